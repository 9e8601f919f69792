//! What a batch leaves when it is lost, in the store and in memory.

use crate::{
    people::Person,
    support::{World, append, evicting, open},
};
use openchat_group::Proposal;
use openchat_relay::{EnrollReason, Store as _, StoreError};
use openchat_wire::{
    Seq,
    enroll::EnrollRefusal,
    relay::{Answer, Refusal, Request},
};

/// A request whose batch is not flushed yet.
fn handle(world: &mut World, who: &Person, request: &Request) -> Result<Answer, Refusal> {
    world.relay.handle(&who.identity, request, world.now).answer
}

fn failing() -> StoreError {
    StoreError::backend(std::io::Error::other("fsync"))
}

#[test]
fn nothing_is_certain_before_the_flush() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    let (first, second) = (member.message("first"), member.message("second"));
    assert_eq!(world.place(&alice, log, &first), Seq(2));
    assert_eq!(handle(&mut world, &alice, &append(log, &second)), Ok(Answer::Appended(Seq(3))));
    let mut world = world.crash();
    assert_eq!(world.entries(log).entries.len(), 2);
    assert_eq!(world.place(&alice, log, &first), Seq(2), "what was acknowledged stands");
    assert_eq!(world.place(&alice, log, &second), Seq(3), "the other one goes in again");
}

#[test]
fn a_whole_life_in_one_batch_stands_or_falls_together() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (member, entry) = world.begin(&alice, open("general"));
    let log = member.log();
    assert!(handle(&mut world, &alice, &append(log, &entry)).is_ok());
    assert!(handle(&mut world, &alice, &Request::Tail { log, after: Seq(0) }).is_ok());
    let mut world = world.crash();
    let tail = Request::Tail { log, after: Seq(0) };
    assert_eq!(handle(&mut world, &alice, &tail), Err(Refusal::NoAccess));
    let find = Request::FindGroup("general".parse().unwrap());
    assert_eq!(handle(&mut world, &alice, &find), Err(Refusal::NotFound));
    assert_eq!(world.head().size, 1);
}

#[test]
fn a_create_that_fails_at_any_write_leaves_nothing_half_done() {
    let mut world = World::new();
    let alice = world.person("alice");
    let (member, entry) = world.begin(&alice, open("general"));
    let (log, find) = (member.log(), Request::FindGroup("general".parse().unwrap()));
    // Transparency entry, its head, name, log entry, the author's place, flush.
    for write in 0..6 {
        world.faults.fail_write(write, StoreError::Full);
        let answer = handle(&mut world, &alice, &append(log, &entry));
        assert_eq!(answer.is_ok(), write == 5);
        assert!(matches!(world.relay.flush(), Err(StoreError::Full)));
        assert_eq!(handle(&mut world, &alice, &find), Err(Refusal::NotFound));
        assert_eq!(world.entries(log).entries, []);
        assert_eq!(world.head().size, 1);
    }
    world.place(&alice, log, &entry);
}

#[test]
fn a_full_disk_takes_the_batch_and_what_memory_has_of_it() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let log = world.open_group(&alice, "general").log();
    let (_, join) = world.prepare_join(&bob, log);
    assert!(handle(&mut world, &bob, &append(log, &join)).is_ok());
    world.faults.fail_write(0, StoreError::Full);
    let error = world.relay.flush().unwrap_err();
    assert!(!error.is_fatal());

    let tail = Request::Tail { log, after: Seq(0) };
    assert_eq!(handle(&mut world, &bob, &tail), Err(Refusal::NoAccess), "bob is not seated");
    world.relay.flush().unwrap();
    world.place(&bob, log, &join);
    assert!(handle(&mut world, &bob, &tail).is_ok());
}

#[test]
fn after_a_failed_write_the_rest_of_the_batch_is_refused() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    let (first, second) = (member.message("first"), member.message("second"));
    world.faults.fail_write(0, StoreError::Full);
    assert_eq!(handle(&mut world, &alice, &append(log, &first)), Err(Refusal::Internal));
    assert_eq!(handle(&mut world, &alice, &append(log, &second)), Err(Refusal::Internal));
    assert_eq!(handle(&mut world, &alice, &Request::Ping), Err(Refusal::Internal));
    let (now, rng) = (world.now, &mut world.rng);
    assert!(world.relay.invite(&alice.identity.name, now, rng).is_err());
    assert!(matches!(world.relay.flush(), Err(StoreError::Full)));
    assert_eq!(world.place(&alice, log, &first), Seq(2));
}

#[test]
fn a_failed_flush_is_the_end() {
    let mut world = World::new();
    let alice = world.person("alice");
    let invited = world.invite("bob");
    let mut member = world.open_group(&alice, "general");
    let (log, message) = (member.log(), member.message("hello"));
    assert!(handle(&mut world, &alice, &append(log, &message)).is_ok());
    world.faults.fail_write(0, failing());
    assert!(world.relay.flush().unwrap_err().is_fatal());

    for _ in 0..2 {
        assert_eq!(handle(&mut world, &alice, &append(log, &message)), Err(Refusal::Internal));
        assert_eq!(handle(&mut world, &alice, &Request::Ping), Err(Refusal::Internal));
        let request = Person::new("bob", &mut world.rng).request(&invited);
        let enrolled = world.relay.enroll(&request, world.now, &mut world.rng);
        assert_eq!(enrolled.answer, Err(EnrollRefusal::Internal));
        assert!(matches!(enrolled.reason, EnrollReason::Store(StoreError::GivenUp)));
        assert!(matches!(world.relay.flush(), Err(StoreError::GivenUp)), "never tried again");
    }
    let mut world = world.crash();
    world.place(&alice, log, &message);
}

#[test]
fn a_failed_write_that_is_not_understood_is_the_end_too() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let message = member.message("hello");
    world.faults.fail_write(0, failing());
    let answer = handle(&mut world, &alice, &append(member.log(), &message));
    assert_eq!(answer, Err(Refusal::Internal));
    assert!(world.relay.flush().unwrap_err().is_fatal());
    assert!(matches!(world.relay.flush(), Err(StoreError::GivenUp)));
    assert_eq!(world.relay.store().tail(&member.log()).unwrap().unwrap().seq, Seq(1));
}

#[test]
fn a_commit_stands_with_its_letters_and_all_that_it_moves_or_not_at_all() {
    let mut world = World::new();
    let [alice, bob, carol, dave] =
        ["alice", "bob", "carol", "dave"].map(|name| world.person(name));
    let mut member = world.closed_group(&alice);
    let proposal = world.adding(&bob);
    member = world.commit(member, proposal);
    let log = member.log();
    let adds = vec![world.new_member(&carol), world.new_member(&dave)];
    let proposal = Proposal { adds, ..evicting(&bob) };
    let (_member, entry, letters) = world.prepare(member, proposal);
    let request = Request::Append { log, entry, letters, follows: false };
    let before = world.relay.store().clone();
    // Entry, three places, where bob lost his, two letters, flush.
    for write in 0..8 {
        world.faults.fail_write(write, StoreError::Full);
        assert_eq!(handle(&mut world, &alice, &request).is_ok(), write == 7, "write {write}");
        assert!(matches!(world.relay.flush(), Err(StoreError::Full)));
        assert!(*world.relay.store() == before, "write {write}");
    }
    assert!(handle(&mut world, &alice, &request).is_ok());
    let mut world = world.crash();
    assert!(*world.relay.store() == before, "not flushed");
    assert!(handle(&mut world, &alice, &request).is_ok());
    world.relay.flush().unwrap();
    let world = world.crash();
    assert_eq!([&bob, &carol, &dave].map(|who| world.letters(who).len()), [1, 1, 1]);
}
