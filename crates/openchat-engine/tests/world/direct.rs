//! Conversations of two people.

use crate::{
    cases::{deaths, one_of},
    coming::{add, invite, kick, target},
    liar::Answers,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{
    AlarmCode, Command, ConversationKind, Event, Grounds, Input, Order, Standing,
};
use openchat_roster::SignedPrekey;
use openchat_wire::{
    Blob, Name,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

fn two(seed: u64) -> World {
    let mut world = World::new(seed);
    world.online_people(&["alice", "bob"]);
    world
}

fn waits(world: &World, who: Who) -> bool {
    world.person(who).events.iter().any(|event| matches!(event, Event::Waiting { .. }))
}

#[test]
fn two_people_talk() {
    let mut world = two(240);
    world.tell(ALICE, "@bob", "hello");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts_in("@alice"), ["hello"]);
    world.tell(BOB, "@alice", "hello yourself");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts_in("@bob"), ["hello", "hello yourself"]);
    world.run(MINUTE);
    let summary = world.summary(BOB, "@alice").unwrap();
    assert_eq!((summary.kind, summary.standing), (ConversationKind::Direct, Standing::Member));
    assert!(summary.members.iter().all(|member| member.claimed));
    world.assert_no_alarms();
}

#[test]
fn who_is_away_reads_the_first_message_first_thing() {
    let mut world = two(241);
    world.kill(BOB);
    for n in 0..3 {
        world.tell(ALICE, "@bob", &format!("{n}"));
    }
    world.run(SECOND);
    assert_eq!(world.queued(ALICE), 0);
    world.kill(ALICE);
    world.run(29 * 24 * 60 * MINUTE);
    world.wake(BOB);
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts_in("@alice"), ["0", "1", "2"]);
    world.tell(BOB, "@alice", "got them");
    world.run(SECOND);
    world.wake(ALICE);
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts_in("@bob"), ["0", "1", "2", "got them"]);
    world.assert_no_alarms();
}

#[test]
fn who_has_never_been_online_gets_what_was_written_when_it_is() {
    let mut world = World::new(242);
    let alice = world.online_people(&["alice"])[0];
    let bob = world.enroll("bob");
    world.tell(alice, "@bob", "are you there?");
    world.run(5 * MINUTE);
    assert_eq!(world.queued(alice), 1);
    assert!(waits(&world, alice));
    world.wake(bob);
    world.run(2 * MINUTE);
    assert_eq!(world.person(bob).texts_in("@alice"), ["are you there?"]);
    assert_eq!(world.queued(alice), 0);
    world.assert_no_alarms();
}

#[test]
fn nobody_is_nobody() {
    let mut world = two(243);
    let id = world.tell(ALICE, "@nobody", "hello?");
    world.run(SECOND);
    let failed = |event: &Event| {
        matches!(event, Event::Failed { id: Some(it), code: "no-such-person", message, .. }
            if *it == id && message.ends_with("not sent: \"hello?\""))
    };
    assert!(world.person(ALICE).events.iter().any(failed));
    assert_eq!(world.queued(ALICE), 0);
    assert_eq!(world.summary(ALICE, "@nobody"), None);
    world.forget_events();
    world.tell(ALICE, "@alice", "note to self");
    let failed = |event: &Event| matches!(event, Event::Failed { code: "myself", .. });
    assert!(world.person(ALICE).events.iter().any(failed));
}

#[test]
fn two_who_write_at_the_same_moment_end_in_one_conversation() {
    for seed in one_of(2, 0, 2_440..2_460) {
        let mut world = two(seed);
        world.latency = 20 + (seed % 5) * 40;
        for n in 0..3 {
            world.tell(ALICE, "@bob", &format!("a{n}"));
            world.run((seed % 4) * 25);
            world.tell(BOB, "@alice", &format!("b{n}"));
        }
        world.run(2 * MINUTE);
        for (who, other) in [(ALICE, "@bob"), (BOB, "@alice")] {
            let mut texts = world.person(who).texts_in(other);
            texts.sort();
            assert_eq!(texts, ["a0", "a1", "a2", "b0", "b1", "b2"], "{seed}: {who:?}");
            assert_eq!(world.queued(who), 0);
            let engine = world.person(who).engine.as_ref().unwrap();
            assert_eq!(engine.conversations().count(), 1, "{seed}");
        }
        assert_eq!(world.alarms(ALICE), []);
        assert_eq!(world.alarms(BOB), []);
    }
}

#[test]
fn two_who_wrote_while_they_were_offline_end_in_one_conversation() {
    let mut world = two(2_461);
    world.disconnect(ALICE);
    world.disconnect(BOB);
    world.tell(ALICE, "@bob", "from alice");
    world.tell(BOB, "@alice", "from bob");
    world.kill(BOB);
    world.connect(ALICE);
    world.run(SECOND);
    world.wake(BOB);
    world.run(MINUTE);
    assert_eq!(world.person(ALICE).texts(), ["from alice", "from bob"]);
    assert_eq!(world.person(BOB).texts(), ["from alice", "from bob"]);
    world.assert_no_alarms();
}

#[test]
fn who_has_left_is_brought_back_by_the_next_text() {
    let mut world = two(246);
    world.tell(ALICE, "@bob", "one");
    world.run(MINUTE);
    world.done(BOB, Order::Leave { target: target("@alice") });
    world.run(MINUTE);
    assert_eq!(world.members(ALICE, "@bob"), ["alice"]);
    assert_eq!(world.summary(BOB, "@alice").unwrap().standing, Standing::Out);
    world.tell(ALICE, "@bob", "two");
    world.run(MINUTE);
    assert_eq!(world.person(BOB).texts_in("@alice"), ["one", "two"]);
    // And the one who has left may come back by itself.
    world.done(BOB, Order::Leave { target: target("@alice") });
    world.run(MINUTE);
    world.tell(BOB, "@alice", "three");
    world.run(MINUTE);
    assert_eq!(world.person(ALICE).texts_in("@bob"), ["one", "two", "three"]);
    world.assert_no_alarms();
}

#[test]
fn nobody_else_comes_in() {
    let mut world = two(247);
    world.online_people(&["carol"]);
    world.tell(ALICE, "@bob", "between us");
    world.run(SECOND);
    for order in [add("@bob", "carol"), invite("@bob", "carol"), kick("@bob", "bob")] {
        assert_eq!(world.fails(ALICE, order), "direct");
    }
}

#[test]
fn a_prekey_that_its_owner_did_not_sign_is_refused() {
    let mut world = two(248);
    let mallory = world.online_people(&["mallory"])[0];
    let theirs = world.person(mallory).identity.fingerprint;
    let from_mallory = Request::FetchPrekey(theirs);
    let identity = world.person(ALICE).identity.clone();
    let now = openchat_wire::UnixMillis(world.now);
    let Ok(Answer::Prekey(false_one)) =
        world.server.relay.handle(&identity, &from_mallory, now).answer
    else {
        panic!("no prekey")
    };
    let mut spoilt = SignedPrekey::decode(&false_one.0).unwrap();
    spoilt.prekey.0[40] ^= 1;
    for lie in [false_one, spoilt.to_bytes(), Blob(vec![1, 2, 3])] {
        world.forget_events();
        world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
            Request::FetchPrekey(_) => Ok(Answer::Prekey(lie.clone())),
            _ => answer,
        }));
        let id = world.tell(ALICE, "@bob", "secret");
        world.run(SECOND);
        assert_eq!(world.alarms(ALICE), [AlarmCode::ForgedPrekey]);
        let failed = |event: &Event| matches!(event, Event::Failed { id: Some(it), code: "forged-prekey", .. } if *it == id);
        assert!(world.person(ALICE).events.iter().any(failed));
        assert_eq!(world.queued(ALICE), 0);
    }
    assert_eq!(world.person(mallory).texts(), [] as [&str; 0]);
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    let mut world = two(249);
    let mallory = world.online_people(&["mallory"])[0];
    let theirs = Blob(world.person(mallory).device().certificate);
    world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
        Request::CertificateOf(_) => Ok(Answer::Certificate(theirs.clone())),
        _ => answer,
    }));
    world.tell(ALICE, "@bob", "secret");
    world.run(MINUTE);
    assert_eq!(world.alarms(ALICE), [AlarmCode::Uncertified]);
    assert_eq!(world.person(mallory).texts(), [] as [&str; 0]);
}

#[test]
fn nothing_is_sealed_for_a_key_that_has_taken_the_place_of_a_compared_one() {
    let mut world = two(251);
    world.tell(ALICE, "@bob", "to bob");
    world.run(MINUTE);
    let number = world.person(ALICE).engine.as_ref().unwrap().contact(&name("bob")).unwrap().number;
    trust(&mut world, ALICE, Grounds::Compared(number));
    world.done(BOB, Order::Leave { target: target("@alice") });
    world.run(MINUTE);
    // Somebody else gets the name, as the log says to everybody.
    let false_bob = world.reset(BOB);
    world.wake(false_bob);
    world.run(SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::KeyChanged]);
    world.kill(ALICE);
    world.wake(ALICE);
    world.run(SECOND);
    world.forget_events();
    world.tell(ALICE, "@bob", "secret");
    world.run(MINUTE);
    let held = |event: &&Event| matches!(event, Event::Waiting { code: "held", .. });
    assert_eq!(world.person(ALICE).events.iter().filter(held).count(), 1);
    assert_eq!(world.alarms(ALICE), []);
    assert_eq!(world.person(false_bob).texts(), [] as [&str; 0]);
    // Nor by a start; it is kept, and goes when the person has decided.
    world.kill(ALICE);
    world.wake(ALICE);
    world.run(MINUTE);
    assert_eq!(world.queued(ALICE), 1);
    assert_eq!(world.person(false_bob).texts(), [] as [&str; 0]);
    trust(&mut world, ALICE, Grounds::Accepted);
    world.run(MINUTE);
    assert_eq!(world.person(false_bob).texts(), ["secret"]);
    assert_eq!(world.person(BOB).texts(), ["to bob"]);
}

fn name(of: &str) -> Name {
    of.parse().unwrap()
}

fn trust(world: &mut World, who: Who, on: Grounds) {
    let order = world.next();
    world.input(who, Input::Command(Command::Trust { order, who: name("bob"), on }));
    world.outcome(who, order).expect("decided at once").unwrap();
}

#[test]
fn no_crash_of_either_loses_or_doubles_a_text() {
    for victim in [ALICE, BOB] {
        for (step, death) in deaths(23) {
            let mut world = World::new(250);
            let all: Vec<Who> = ["alice", "bob"].map(|name| world.enroll(name)).into();
            world.dies(victim, step, death);
            world.restarts_into_general = false;
            for who in &all {
                world.wake(*who);
            }
            world.run(2 * SECOND);
            let mut said = Vec::new();
            for (who, to, text) in [(ALICE, "@bob", "a"), (BOB, "@alice", "b")] {
                let id = world.tell(who, to, text);
                if world.person(who).engine.is_none() {
                    let back = |world: &World| world.person(who).engine.is_some();
                    assert!(world.run_until(MINUTE, back));
                    world.tell_as(who, to, id, text);
                }
                said.push(text);
                world.run(200);
            }
            world.run(3 * MINUTE);
            for who in [ALICE, BOB] {
                let note = format!("{victim:?} {death:?} {step}: {who:?}");
                let mut texts = world.person(who).texts();
                texts.sort();
                assert_eq!(texts, said, "{note}");
                assert_eq!(world.queued(who), 0, "{note}");
                assert_eq!(world.alarms(who), [], "{note}");
            }
        }
    }
}
