//! Certificates that end, and are renewed in time (`docs/protocol.md` §9.5).

use crate::{
    cases::deaths,
    liar::{Honest, Instead, Lies, Said},
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Command, Event, Input};
use openchat_pki::MemberCertificate;
use openchat_wire::{
    Blob,
    relay::{Answer, Refusal, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const DAY: u64 = 24 * HOUR;
const YEAR: i64 = 365 * 24 * 60 * 60 * 1_000;

fn certificate(world: &World, who: Who) -> MemberCertificate {
    MemberCertificate::claimed(&world.person(who).device().certificate).unwrap()
}

fn renewals(world: &World, who: Who) -> usize {
    let is_renewed = |event: &&Event| matches!(event, Event::Renewed { .. });
    world.person(who).events.iter().filter(is_renewed).count()
}

/// How often somebody has asked for another certificate.
fn asked(world: &World, who: Who) -> usize {
    let ours = world.requests.iter().filter(|(from, _)| *from == who);
    ours.filter(|(_, bytes)| {
        let request = openchat_wire::decode::<Request>(bytes, 1 << 20).unwrap();
        matches!(request, Request::Renew(_))
    })
    .count()
}

fn expiring(world: &World, who: Who) -> Vec<u64> {
    let days = |event: &Event| match event {
        Event::Expiring { days, .. } => Some(*days),
        _ => None,
    };
    world.person(who).events.iter().filter_map(days).collect()
}

/// Somebody in a world of their own, at so many days of the certificate's life; nobody was online since.
fn aged(seed: u64, days: u64) -> (World, Vec<Who>) {
    let (mut world, all) = World::with(seed, &["alice", "bob"]);
    world.sleep(days * DAY);
    (world, all)
}

/// Refuses every further certificate.
fn refusing(refusal: Refusal) -> Box<dyn Lies> {
    Box::new(Instead(move |_, request: &Request| match request {
        Request::Renew(_) => Some(Err(refusal.clone())),
        _ => None,
    }))
}

#[test]
fn t17_two_thirds_of_the_life_and_a_jitter_after_it_began_there_is_another_one() {
    let names = ["alice", "bob", "carol", "dan"];
    let (mut world, all) = World::with(800, &names);
    let life = |world: &World, who| {
        let certificate = certificate(world, who);
        certificate.not_after().0 - certificate.not_before().0
    };
    let begun = certificate(&world, ALICE).not_before().0;
    let whole = life(&world, ALICE);
    world.sleep(whole / 3 * 2 - HOUR);
    world.run(10 * MINUTE);
    for who in &all {
        assert_eq!(renewals(&world, *who), 0, "{who:?}");
    }
    let mut at = Vec::new();
    for who in &all {
        for _ in 0..40 {
            if renewals(&world, *who) == 0 {
                world.sleep(2 * HOUR);
                world.run(MINUTE);
            }
        }
        assert_eq!(renewals(&world, *who), 1, "{who:?}");
        let Some(Event::Renewed { until, .. }) =
            world.person(*who).events.iter().find(|it| matches!(it, Event::Renewed { .. }))
        else {
            panic!()
        };
        at.push(until.0 - whole);
    }
    at.sort_unstable();
    at.dedup();
    assert_eq!(at.len(), 4, "not all at one moment");
    assert!(
        at.iter()
            .all(|at| (begun + whole / 3 * 2..begun + whole / 3 * 2 + whole / 20).contains(at))
    );
    world.run(HOUR);
    for who in &all {
        assert_eq!(renewals(&world, *who), 1, "once");
        assert_eq!(world.person(*who).mirrored(), world.logged());
    }
    world.assert_no_alarms();
}

#[test]
fn t17_a_lost_answer_is_no_alarm_and_no_loop() {
    let (mut world, _) = aged(801, 66);
    let mut lost = 0;
    world.liar = Box::new(Lost(ALICE));
    for _ in 0..3 {
        world.reconnect(ALICE);
        world.run(2 * MINUTE);
        world.kill(ALICE);
        world.start(ALICE);
        lost += 1;
        world.run(2 * MINUTE);
    }
    assert!(asked(&world, ALICE) <= 2 * lost + 1);
    world.liar = Box::new(Honest);
    world.sleep(2 * DAY);
    world.run(10 * MINUTE);
    assert_eq!(renewals(&world, ALICE), 1);
    for who in [ALICE, BOB] {
        assert_eq!(world.alarms(who), [], "{who:?}");
    }
}

/// The answer never comes, though the relay has done what it was asked.
struct Lost(Who);

impl Lies for Lost {
    fn answer(&mut self, to: Who, request: &Request, answer: Said) -> Said {
        match request {
            Request::Renew(_) if to == self.0 => Err(Refusal::Internal),
            _ => answer,
        }
    }
}

#[test]
fn t17_death_at_every_step_of_a_renewal_is_no_alarm() {
    for (step, death) in deaths(11) {
        let (mut world, _) = World::with(802, &["alice", "bob"]);
        world.kill(ALICE);
        world.sleep(66 * DAY);
        let steps = world.person(ALICE).steps;
        world.dies(ALICE, steps + step, death);
        world.start(ALICE);
        for _ in 0..4 {
            world.run(5 * MINUTE);
            world.sleep(12 * HOUR);
        }
        world.run(MINUTE);
        let note = format!("{death:?} {step}");
        assert_eq!(world.alarms(ALICE), [], "{note}");
        assert_eq!(world.person(ALICE).mirrored(), world.logged(), "{note}");
        let until = certificate(&world, ALICE).not_after().0;
        assert!(until > world.now + 80 * DAY, "{note}: there is another one");
        assert!(asked(&world, ALICE) <= 3, "{note}: {}", asked(&world, ALICE));
    }
}

#[test]
fn t17_no_clock_makes_a_device_ask_again_and_again() {
    for years in [1, -1, 10] {
        let (mut world, _) = World::with(803, &["alice", "bob"]);
        world.kill(ALICE);
        world.person_mut(ALICE).skew = years * YEAR;
        world.start(ALICE);
        for _ in 0..50 {
            world.run(MINUTE);
            world.reconnect(ALICE);
        }
        assert!(asked(&world, ALICE) <= 1, "{years}: {} times", asked(&world, ALICE));
        // A clock that is mended asks at the right time.
        world.person_mut(ALICE).skew = 0;
        world.sleep(66 * DAY);
        world.run(MINUTE);
        let until = certificate(&world, ALICE).not_after().0;
        assert!(until > world.now + 60 * DAY, "{years}");
        assert_eq!(world.alarms(ALICE), [], "{years}");
    }
}

#[test]
fn t17_what_is_refused_is_asked_again_ever_more_seldom() {
    for refusal in [
        Refusal::Internal,
        Refusal::Invalid("no".to_owned()),
        Refusal::Paced { retry_ms: 1 },
        Refusal::Paced { retry_ms: u32::MAX },
        Refusal::NoAccess,
    ] {
        let (mut world, _) = aged(804, 66);
        world.liar = refusing(refusal.clone());
        world.reconnect(ALICE);
        world.run(8 * HOUR);
        let times = asked(&world, ALICE);
        assert!((1..12).contains(&times), "{refusal:?}: {times} times in eight hours");
        // Nor does it help a server that connections end.
        for _ in 0..50 {
            world.run(MINUTE);
            world.reconnect(ALICE);
        }
        let more = asked(&world, ALICE) - times;
        assert!(more < 8, "{refusal:?}: {more} times in 50 connections");
        world.liar = Box::new(Honest);
        world.sleep(DAY);
        world.run(MINUTE);
        assert_eq!(renewals(&world, ALICE), 1, "{refusal:?}");
        assert_eq!(world.alarms(ALICE), []);
    }
}

#[test]
fn t17_who_is_not_renewed_is_told_at_30_14_and_3_days() {
    let (mut world, _) = World::with(805, &["alice", "bob"]);
    world.sleep(50 * DAY);
    world.liar = refusing(Refusal::Internal);
    for _ in 0..50 {
        world.sleep(DAY - MINUTE);
        world.run(MINUTE);
    }
    let told = expiring(&world, ALICE);
    assert_eq!(told.len(), 3, "{told:?}");
    for (days, limit) in told.into_iter().zip([30, 14, 3]) {
        assert!(days < limit && days + 5 >= limit, "{days} days, not {limit}");
    }
    assert_eq!(world.alarms(ALICE), []);
}

#[test]
fn t17_a_certificate_that_is_no_better_or_somebody_elses_is_not_taken() {
    let (mut world, _) = World::with(806, &["alice", "bob"]);
    let (bobs, (_, other, _)) = (world.person(BOB).device().certificate, world.second_key(ALICE));
    for der in [bobs, other, vec![1, 2, 3], Vec::new()] {
        let before = certificate(&world, ALICE);
        world.liar = Box::new(Instead(move |_, request: &Request| match request {
            Request::Renew(_) => Some(Ok(Answer::Certificate(Blob(der.clone())))),
            _ => None,
        }));
        world.kill(ALICE);
        world.start(ALICE);
        let (order, command) = (900, Command::Renew { order: 900 });
        world.input(ALICE, Input::Command(command));
        world.run(MINUTE);
        assert_eq!(world.outcome(ALICE, order), Some(Err("uncertified".to_owned())));
        assert_eq!(certificate(&world, ALICE), before);
        world.forget_events();
    }
}

#[test]
fn t17_at_the_second_of_expiry_and_after_it_everything_is_tried_still() {
    let (mut world, _) = World::with(807, &["alice", "bob"]);
    let end = certificate(&world, ALICE).not_after().0;
    for past in [0, 1, DAY] {
        world.forget_events();
        world.sleep((end + past).saturating_sub(world.now));
        world.run(MINUTE);
        world.say(ALICE, &format!("{past}"));
        world.run(SECOND);
        // A real server lets nobody in after the end; what this device does there is ask.
        assert!(asked(&world, ALICE) >= 1);
        assert_eq!(world.alarms(ALICE), [] as [AlarmCode; 0]);
    }
    assert!(certificate(&world, ALICE).not_after().0 > world.now);
}

#[test]
fn a_person_who_renews_hears_what_came_of_it() {
    let (mut world, _) = World::with(808, &["alice", "bob"]);
    for n in 0..4 {
        let order = 700 + n;
        world.input(ALICE, Input::Command(Command::Renew { order }));
        world.run(SECOND);
        assert_eq!(world.outcome(ALICE, order), Some(Ok("alice".to_owned())));
    }
    world.input(ALICE, Input::Command(Command::Renew { order: 710 }));
    world.run(SECOND);
    assert!(matches!(world.outcome(ALICE, 710), Some(Err(_))), "the log is for ever");
    world.run(MINUTE);
    assert_eq!(world.person(BOB).mirrored(), world.logged());
    world.assert_no_alarms();
}
