//! Old bodies go, a few at a time, and nothing else does.

use crate::{people::Member, support::World};
use core::time::Duration;
use openchat_relay::{Quotas, Retained, Store as _, StoreError, store::Body};
use openchat_roster::{LogEntry, log_hash_over, log_hash_start};
use openchat_wire::{
    Seq, UnixMillis,
    relay::{Answer, Quota, Refusal, Request},
};

const DAY: Duration = Duration::from_hours(24);

const HOUR: Duration = Duration::from_hours(1);

/// A run of dropping what is older than ten days.
fn run(world: &mut World) -> u64 {
    let mut bodies = 0;
    loop {
        let step = world.relay.drop_old(10 * DAY, world.now).unwrap();
        world.relay.flush().unwrap();
        assert!(step.bodies <= 64, "nobody waits for a long step");
        bodies += step.bodies;
        if step.complete {
            return bodies;
        }
    }
}

/// Time passes, and each hour there is a run.
fn pass(world: &mut World, time: Duration) -> u64 {
    let hours = time.as_secs() / 3_600;
    (0..hours).map(|_| hour(world)).sum()
}

fn hour(world: &mut World) -> u64 {
    world.wait(HOUR);
    run(world)
}

fn talk(world: &mut World, alice: &mut Member, texts: usize) {
    for text in 0..texts {
        let message = alice.message(&text.to_string());
        world.place(&alice.person, alice.log(), &message);
    }
}

fn alone(world: &mut World) -> Member {
    let alice = world.person("alice");
    world.open_group(&alice, "general")
}

#[test]
fn messages_go_when_they_are_old_and_the_log_stays_one_chain() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    let log = alice.log();
    talk(&mut world, &mut alice, 300);
    world.wait(5 * DAY);
    assert_eq!(run(&mut world), 0, "that is not old");
    talk(&mut world, &mut alice, 3);
    let tail = world.relay.store().tail(&log).unwrap().unwrap();
    pass(&mut world, 6 * DAY);
    let entries = world.entries(log).entries;
    let mut hash = log_hash_start(&log);
    for (seq, body) in &entries {
        let entry_hash = match body {
            Body::Whole(bytes) => openchat_crypto::sha256(bytes),
            Body::Dropped(hash) => *hash,
        };
        hash = log_hash_over(&hash, *seq, &entry_hash);
    }
    assert_eq!(hash, tail.log_hash);
    let whole: Vec<_> = world.bytes(log).into_iter().map(|(seq, _)| seq.0).collect();
    assert_eq!(whole, [1, 302, 303, 304], "the creation and what is young");
    let seq = Request::Tail { log, after: Seq(0) };
    assert_eq!(world.ask(&alice.person, &seq).answer, Ok(Answer::Done));
    assert_eq!(world.receipt(&alice.person, log, None).log_hash, tail.log_hash);
}

#[test]
fn commits_and_wishes_to_leave_stay_for_ever() {
    let mut world = World::new();
    let alice = alone(&mut world);
    let bob = world.person("bob");
    let bob = world.join(&bob, alice.log());
    let mut alice = world.synced(alice);
    talk(&mut world, &mut alice, 2);
    world.place(&bob.person, bob.log(), &bob.leave());
    run(&mut world);
    pass(&mut world, 400 * DAY);
    let entries = world.entries(alice.log()).entries;
    let kinds = entries.iter().map(|(_, body)| match body {
        Body::Whole(bytes) => match LogEntry::decode(bytes).unwrap() {
            LogEntry::Commit(_) => "commit",
            LogEntry::Leave(_) => "leave",
            _ => "another",
        },
        Body::Dropped(_) => "dropped",
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["commit", "commit", "dropped", "dropped", "leave"]);
    let mut world = world.crash();
    let carol = world.person("carol");
    world.join(&carol, alice.log());
}

#[test]
fn the_same_bytes_are_known_again_when_their_body_is_gone() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    let message = alice.message("once");
    let seq = world.place(&alice.person, alice.log(), &message);
    run(&mut world);
    pass(&mut world, 12 * DAY);
    assert_eq!(world.bytes(alice.log()).len(), 1);
    assert_eq!(world.place(&alice.person, alice.log(), &message), seq);
    assert_eq!(world.entries(alice.log()).entries.len(), 2, "no second one");
}

#[test]
fn retention_gives_room_back() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    let log = alice.log();
    let before = world.relay.kept_bytes();
    talk(&mut world, &mut alice, 5);
    let kept = world.relay.kept_bytes();
    world.relay.set_quotas(Quotas { log: None, person: Some(kept) });
    let more = alice.message("more");
    let full = Refusal::Quota(Quota::Person);
    assert_eq!(world.refusal(&alice.person, log, &more), full);
    run(&mut world);
    pass(&mut world, 12 * DAY);
    assert_eq!(world.relay.kept_bytes(), before);
    world.place(&alice.person, log, &more);
    let world = world.crash();
    let more = u64::try_from(more.0.len()).unwrap();
    assert_eq!(world.relay.kept_bytes(), before + more);
}

#[test]
fn a_step_that_is_lost_is_taken_again() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    talk(&mut world, &mut alice, 100);
    run(&mut world);
    let kept = world.relay.kept_bytes();
    let later = world.now.after(HOUR);
    for write in 0..3 {
        world.faults.fail_write(write, StoreError::Full);
        let step = world.relay.drop_old(Duration::ZERO, later);
        assert_eq!(step.is_ok(), write == 2);
        assert!(world.relay.flush().is_err());
        assert_eq!(world.relay.kept_bytes(), kept);
        assert_eq!(world.bytes(alice.log()).len(), 101);
    }
    let first = world.relay.drop_old(Duration::ZERO, later).unwrap();
    assert_eq!(first, Retained { bodies: 63, complete: false }, "64 with the creation");
    let mut world = world.crash();
    assert_eq!(world.bytes(alice.log()).len(), 101, "it was not flushed");
    assert_eq!(world.relay.drop_old(Duration::ZERO, later).unwrap(), first);
    world.relay.flush().unwrap();
    let mut world = world.crash();
    let rest = world.relay.drop_old(Duration::ZERO, later).unwrap();
    assert_eq!(rest, Retained { bodies: 37, complete: true }, "where it was");
}

/// Somebody says something each day, for so many days.
fn daily(world: &mut World, alice: &mut Member, days: usize, each: impl Fn(&mut World)) {
    for _ in 0..days {
        talk(world, alice, 1);
        for _ in 0..24 {
            world.wait(HOUR);
            each(world);
        }
    }
}

fn runs(world: &mut World) {
    run(world);
}

#[test]
fn a_clock_that_is_ten_years_ahead_for_a_day_costs_a_day() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 12, runs);
    let kept = world.bytes(alice.log()).len();
    let right = world.now;
    world.now = right.after(3_650 * DAY);
    assert!(run(&mut world) <= 1, "the first run is an hour's at most");
    assert!(pass(&mut world, 23 * HOUR) <= 2);
    world.now = right.after(DAY);
    assert_eq!(run(&mut world), 0);
    assert!(world.bytes(alice.log()).len() >= kept - 2);
    assert!(pass(&mut world, 3 * DAY) <= 3, "and it goes on as it did");
    assert!(pass(&mut world, 30 * DAY) >= 6);
    assert_eq!(world.bytes(alice.log()).len(), 1);
}

#[test]
fn a_clock_that_is_years_ahead_when_retention_begins_costs_nothing() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 9, |_| {});
    let right = world.now;
    world.now = right.after(3_650 * DAY);
    assert_eq!(run(&mut world), 0, "ten days are kept");
    // Somebody with a certificate for that time comes by, too.
    talk(&mut world, &mut alice, 3);
    world.now = right;
    assert_eq!(run(&mut world), 0);
    assert_eq!(world.bytes(alice.log()).len(), 13);
}

#[test]
fn a_few_entries_from_the_future_do_not_say_when_retention_begins() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 9, |_| {});
    world.wait(3_650 * DAY);
    talk(&mut world, &mut alice, 3);
    assert_eq!(run(&mut world), 0);
}

#[test]
fn what_is_old_when_retention_begins_goes_at_once() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    talk(&mut world, &mut alice, 5);
    world.wait(30 * DAY);
    talk(&mut world, &mut alice, 8);
    assert_eq!(run(&mut world), 5);
}

#[test]
fn an_empty_relay_has_nothing_to_drop() {
    let mut world = World::new();
    assert_eq!(run(&mut world), 0);
    assert_eq!(hour(&mut world), 0);
}

#[test]
fn runs_within_the_hour_are_as_one() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 12, runs);
    let kept = world.bytes(alice.log()).len();
    world.wait(3_650 * DAY);
    for _ in 0..50 {
        run(&mut world);
        world = world.crash();
        world.wait(Duration::from_mins(1));
    }
    assert!(world.bytes(alice.log()).len() >= kept - 1, "an hour, however often it is started");
}

#[test]
fn what_has_only_just_come_stays_with_the_shortest_retention() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    let step = |world: &mut World| {
        let step = world.relay.drop_old(DAY, world.now).unwrap();
        world.relay.flush().unwrap();
        assert!(step.complete);
        step.bodies
    };
    talk(&mut world, &mut alice, 8);
    step(&mut world);
    for _ in 0..48 {
        world.wait(HOUR);
        talk(&mut world, &mut alice, 1);
        step(&mut world);
    }
    let before = world.bytes(alice.log()).len();
    for _ in 0..3 {
        talk(&mut world, &mut alice, 1);
        let right = world.now;
        world.wait(3_650 * DAY);
        for hours in 0..11 {
            step(&mut world);
            let newest = world.entries(alice.log()).entries.pop().unwrap().1;
            assert!(matches!(newest, Body::Whole(_)), "after {hours} hours");
            world.wait(HOUR);
        }
        world.now = right.after(11 * HOUR);
        step(&mut world);
    }
    assert!(world.bytes(alice.log()).len() < before, "old ones go meanwhile");
}

#[test]
fn a_clock_that_was_in_the_past_stops_nothing_for_long() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 12, runs);
    let right = world.now;
    world.now = UnixMillis(0);
    assert_eq!(pass(&mut world, 3 * HOUR), 0);
    world.now = right;
    assert!(pass(&mut world, 6 * DAY) >= 2);
}

#[test]
fn entries_from_the_future_end_nothing() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    daily(&mut world, &mut alice, 2, runs);
    let right = world.now;
    world.now = right.after(3_650 * DAY);
    talk(&mut world, &mut alice, 100);
    world.now = right;
    assert_eq!(pass(&mut world, DAY), 0, "as young as what stands before them");
    talk(&mut world, &mut alice, 150);
    pass(&mut world, 12 * DAY);
    assert_eq!(world.bytes(alice.log()).len(), 1, "the creation");
}
