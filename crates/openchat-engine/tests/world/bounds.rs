//! Whatever a relay says or withholds, a device asks it only so often.

use crate::{
    answers::everything,
    cases::one_of,
    liar::{Honest, Instead, Lies, Said},
    world::{HOUR, MINUTE, Who, World},
};
use openchat_engine::AlarmCode;
use openchat_wire::{
    Seq,
    relay::{Answer, Request},
};

/// Requests in a minute that a device may make to a relay that never gives what it wants. It tries
/// about every second, and some tries take three requests.
const BUSY: usize = 300;

/// What is answered falsely, by kind.
const KINDS: [fn(&Request) -> bool; 12] = [
    |request| matches!(request, Request::ReadTransparency(_)),
    |request| matches!(request, Request::FindGroup(_)),
    |request| matches!(request, Request::ReadCommits { .. }),
    |request| matches!(request, Request::Tail { .. }),
    |request| matches!(request, Request::Append { .. }),
    |request| matches!(request, Request::Receipt { .. }),
    |request| matches!(request, Request::Groups),
    |request| matches!(request, Request::CountPrekeys),
    |request| matches!(request, Request::PublishPrekeys { .. }),
    |request| matches!(request, Request::CertificateOf(_)),
    |request| matches!(request, Request::FetchPrekey(_)),
    |request| matches!(request, Request::FindDirect(_)),
];

/// The place of `Append` among them.
const APPEND: usize = 4;

/// Tells somebody the same to every request of a kind.
fn always(to: Who, kind: usize, said: Said) -> Box<dyn Lies> {
    let tells =
        move |who, request: &Request| (who == to && KINDS[kind](request)).then(|| said.clone());
    Box::new(Instead(tells))
}

fn assert_bounded(world: &mut World, who: Who, note: &str) {
    let before = world.person(who).requests;
    world.run(MINUTE);
    let requests = world.person(who).requests - before;
    assert!(requests <= BUSY, "{note}: {requests} requests in a minute");
}

#[test]
fn a_newcomer_is_not_kept_busy() {
    for kind in 0..KINDS.len() {
        let (mut world, _) = World::with(120, &["alice"]);
        for (n, said) in one_of(3, kind, everything().into_iter().enumerate()) {
            let note = format!("{kind}: {said:?}");
            let new = world.enroll(&format!("new{n}"));
            world.liar = always(new, kind, said);
            world.start(new);
            world.say(new, "am I in?");
            world.tell(new, "@alice", "are you there?");
            assert_bounded(&mut world, new, &note);
            world.kill(new);
        }
    }
}

#[test]
fn a_founder_is_not_kept_busy() {
    // The others are asked alike of whoever comes in.
    for kind in 0..APPEND + 2 {
        for said in one_of(2, kind, everything()) {
            let note = format!("{kind}: {said:?}");
            let mut world = World::new(121);
            let bob = world.enroll("bob");
            world.liar = always(bob, kind, said);
            world.start(bob);
            world.say(bob, "am I in?");
            assert_bounded(&mut world, bob, &note);
        }
    }
}

#[test]
fn a_member_is_not_kept_busy() {
    for kind in 0..KINDS.len() {
        let (mut world, all) = World::with(122, &["alice", "bob"]);
        for said in one_of(4, kind, everything()) {
            let note = format!("{kind}: {said:?}");
            // Its keys are due, and its words are sent once before the minute that counts.
            world.sleep(30 * HOUR);
            world.liar = always(all[1], kind, said);
            world.say(all[0], "alice speaks");
            for n in 0..if kind == APPEND { 40 } else { 2 } {
                world.say(all[1], &format!("{n}"));
            }
            world.run(MINUTE / 4);
            assert_bounded(&mut world, all[1], &note);
            world.liar = Box::new(Honest);
            world.kill(all[1]);
            world.start(all[1]);
            world.run(MINUTE / 4);
        }
        assert_eq!(world.queued(all[1]), 0, "whatever it was, it is over");
        world.assert_same(&all);
    }
}

#[test]
fn a_commit_that_is_acknowledged_and_never_shown_is_an_alarm_and_no_frenzy() {
    let (mut world, _) = World::with(123, &["alice"]);
    let bob = world.enroll("bob");
    world.liar = always(bob, APPEND, Ok(Answer::Appended(Seq(99))));
    world.start(bob);
    world.run(MINUTE);
    assert!(world.alarms(bob).contains(&AlarmCode::HeldBack));
    assert!(world.alarms(bob).len() < 6);
    assert_bounded(&mut world, bob, "never shown");
}
