//! Whatever a relay says or withholds, a device asks it only so often.

use crate::{
    answers::everything,
    liar::{Instead, Lies, Said},
    world::{HOUR, MINUTE, Who, World},
};
use openchat_wire::{
    Seq,
    relay::{Answer, Request},
};

const BOB: Who = Who(1);

/// Requests in a minute that a device may make to a relay that never gives what it wants. It tries
/// about every second, and some tries take three requests.
const BUSY: usize = 300;

/// What is answered falsely, by kind.
const KINDS: [fn(&Request) -> bool; 7] = [
    |request| matches!(request, Request::Head),
    |request| matches!(request, Request::FindGroup(_)),
    |request| matches!(request, Request::Certificate(_)),
    |request| matches!(request, Request::ReadCommits { .. }),
    |request| matches!(request, Request::Tail { .. }),
    |request| matches!(request, Request::Append { .. }),
    |request| matches!(request, Request::Receipt { .. }),
];

/// The place of `Append` among them.
const APPEND: usize = 5;

/// Tells bob the same to every request of a kind.
fn always(kind: usize, said: Said) -> impl Lies {
    Instead(move |who, request: &Request| {
        (who == BOB && KINDS[kind](request)).then(|| said.clone())
    })
}

fn assert_bounded(world: &mut World, note: &str) {
    let before = world.person(BOB).requests;
    world.run(MINUTE);
    let requests = world.person(BOB).requests - before;
    assert!(requests <= BUSY, "{note}: {requests} requests in a minute");
}

#[test]
fn a_newcomer_is_not_kept_busy() {
    for kind in 0..KINDS.len() {
        for said in everything() {
            let note = format!("{kind}: {said:?}");
            let mut world = World::new(120);
            world.enroll("alice");
            let bob = world.enroll("bob");
            world.start(Who(0));
            world.run(MINUTE);
            world.liar = Box::new(always(kind, said));
            world.start(bob);
            world.say(bob, "am I in?");
            assert_bounded(&mut world, &note);
        }
    }
}

#[test]
fn a_founder_is_not_kept_busy() {
    for kind in 0..KINDS.len() {
        for said in everything() {
            let note = format!("{kind}: {said:?}");
            let mut world = World::new(121);
            world.enroll("alice");
            let bob = world.enroll("bob");
            world.liar = Box::new(always(kind, said));
            world.start(bob);
            world.say(bob, "am I in?");
            assert_bounded(&mut world, &note);
        }
    }
}

#[test]
fn a_member_is_not_kept_busy() {
    for kind in 0..KINDS.len() {
        for said in everything() {
            let note = format!("{kind}: {said:?}");
            let (mut world, all) = World::with(122, &["alice", "bob"]);
            world.sleep(30 * HOUR);
            world.liar = Box::new(always(kind, said));
            world.say(all[0], "alice speaks");
            for n in 0..if kind == APPEND { 300 } else { 3 } {
                world.say(all[1], &format!("{n}"));
            }
            // The words are sent once, before the minute that counts.
            world.run(MINUTE / 4);
            assert_bounded(&mut world, &note);
        }
    }
}

#[test]
fn a_commit_that_is_acknowledged_and_never_shown_is_an_alarm_and_no_frenzy() {
    let (mut world, _) = World::with(123, &["alice"]);
    let bob = world.enroll("bob");
    world.liar = Box::new(always(APPEND, Ok(Answer::Appended(Seq(99)))));
    world.start(bob);
    world.run(MINUTE);
    assert!(world.alarms(bob).contains(&openchat_engine::AlarmCode::HeldBack));
    assert!(world.alarms(bob).len() < 6);
    assert_bounded(&mut world, "never shown");
}
