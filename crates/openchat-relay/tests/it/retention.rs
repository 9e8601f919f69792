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
    for _ in 0..6 {
        world.wait(DAY);
        run(&mut world);
    }
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
    for _ in 0..400 {
        world.wait(DAY);
        run(&mut world);
    }
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
    for _ in 0..12 {
        world.wait(DAY);
        run(&mut world);
    }
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
    for _ in 0..12 {
        world.wait(DAY);
        run(&mut world);
    }
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
    let later = UnixMillis(world.now.0 + 1);
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

#[test]
fn a_clock_that_is_ten_years_ahead_for_an_hour_costs_a_day() {
    let mut world = World::new();
    let mut alice = alone(&mut world);
    for _ in 0..12 {
        talk(&mut world, &mut alice, 1);
        world.wait(DAY);
        run(&mut world);
    }
    let kept = world.bytes(alice.log()).len();
    let right = world.now;
    world.now = right.after(3_650 * DAY);
    assert!(run(&mut world) <= 1);
    world.now = right;
    assert_eq!(run(&mut world), 0);
    assert!(world.bytes(alice.log()).len() >= kept - 1);
    world.wait(DAY);
    assert!(run(&mut world) <= 1, "and it goes on as it did");
}
