//! What is refused when enough is kept, and what never is.

use crate::{
    people::{Member, Person},
    support::{World, append, evicting, open},
};
use openchat_group::{Invited, Proposal};
use openchat_relay::{Quotas, StoreError};
use openchat_roster::Person as Named;
use openchat_wire::{
    Blob, GroupId,
    limits::RENEWAL_INTERVAL,
    relay::{Answer, Quota, Refusal},
};

const UNLIMITED: Quotas = Quotas { log: None, person: None };

fn two(world: &mut World) -> [Member; 2] {
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let alice = world.open_group(&alice, "general");
    let bob = world.join(&bob, alice.log());
    [world.synced(alice), world.synced(bob)]
}

fn kept(world: &World, log: GroupId) -> u64 {
    world.bytes(log).iter().map(|(_, entry)| u64::try_from(entry.len()).unwrap()).sum()
}

fn len(entry: &Blob) -> u64 {
    u64::try_from(entry.0.len()).unwrap()
}

fn limit_log(world: &mut World, bytes: u64) {
    world.relay.set_quotas(Quotas { log: Some(bytes), ..UNLIMITED });
}

fn limit_person(world: &mut World, bytes: u64) {
    world.relay.set_quotas(Quotas { person: Some(bytes), ..UNLIMITED });
}

#[test]
fn r8_a_log_takes_messages_up_to_its_last_byte() {
    let mut world = World::new();
    let [mut alice, mut bob] = two(&mut world);
    let log = alice.log();
    let (first, second) = (alice.message("first"), bob.message("second"));
    let room = kept(&world, log) + len(&first);
    limit_log(&mut world, room - 1);
    assert_eq!(world.refusal(&alice.person, log, &first), Refusal::Quota(Quota::Log));
    limit_log(&mut world, room);
    let seq = world.place(&alice.person, log, &first);
    assert_eq!(world.relay.kept_bytes(), room);
    assert_eq!(world.refusal(&bob.person, log, &second), Refusal::Quota(Quota::Log));
    let again = world.append(&bob.person, log, &first);
    assert_eq!(again.answer, Ok(Answer::Appended(seq)), "what is there is answered for");
    let other = world.open_group(&bob.person, "other");
    assert_eq!(other.group.roster().epoch().0, 1, "the others have room");
}

#[test]
fn a_person_may_fill_its_own_part_of_all_logs_and_nobody_elses() {
    let mut world = World::new();
    let [mut alice, mut bob] = two(&mut world);
    let log = alice.log();
    let other = world.open_group(&alice.person, "other");
    let mine = len(&Blob(world.bytes(log)[0].1.clone())) + kept(&world, other.log());
    let text = alice.message("mine");
    limit_person(&mut world, mine + len(&text) - 1);
    assert_eq!(world.refusal(&alice.person, log, &text), Refusal::Quota(Quota::Person));
    limit_person(&mut world, mine + len(&text));
    world.place(&alice.person, log, &text);
    let (_, create) = world.begin(&alice.person, open("third"));
    let third = world.begin(&alice.person, open("fourth")).0.log();
    assert_eq!(world.refusal(&alice.person, third, &create), Refusal::Quota(Quota::Person));
    let text = bob.message("yours");
    world.place(&bob.person, log, &text);
}

#[test]
fn a_full_group_heals_and_lets_members_go_and_takes_nobody_in() {
    let mut world = World::new();
    let [alice, bob] = two(&mut world);
    let (carol, dave) = (world.person("carol"), world.person("dave"));
    let carol = world.join(&carol, alice.log());
    let log = alice.log();
    limit_log(&mut world, 1);
    let full = Refusal::Quota(Quota::Log);
    let (_, join) = world.prepare_join(&dave, log);
    assert_eq!(world.refusal(&dave, log, &join), full);
    let proposal = world.adding(&dave);
    let (alice, add, _) = world.prepare(alice, proposal);
    assert_eq!(world.refusal(&alice.person, log, &add), full);
    let named = Named { name: dave.identity.name.clone(), fingerprint: dave.identity.fingerprint };
    let admits = vec![Invited { person: named, prekey: None }];
    let mut alice = alice;
    alice.group.drop_pending();
    let (alice, admit, _) = world.prepare(alice, Proposal { admits, ..Proposal::default() });
    assert_eq!(world.refusal(&alice.person, log, &admit), full);

    let mut alice = alice;
    alice.group.drop_pending();
    let alice = world.commit(alice, Proposal::update());
    world.wait(RENEWAL_INTERVAL);
    let (bob, rejoin) = world.prepare_rejoin(bob);
    world.place(&bob.person, log, &rejoin);
    let leave = carol.leave();
    world.place(&carol.person, log, &leave);
    let alice = world.commit(alice, evicting(&carol.person));
    assert_eq!(alice.group.roster().tree().members(), 2);
}

#[test]
fn outsiders_learn_no_more_from_a_full_log_than_from_any() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mallory = world.person("mallory");
    let mut group = world.closed_group(&alice);
    let log = group.log();
    let text = group.message("hello");
    world.place(&alice, log, &text);
    limit_log(&mut world, 1);
    let fresh = group.message("never sent");
    for quotas in [1, 0].map(|bytes| Quotas { log: Some(bytes), person: Some(bytes) }) {
        world.relay.set_quotas(quotas);
        for entry in [&text, &fresh] {
            for log in [log, GroupId([9; 32])] {
                assert_eq!(world.refusal(&mallory, log, entry), Refusal::NoAccess);
            }
        }
    }
}

#[test]
fn what_a_lost_batch_had_counted_is_given_back() {
    let mut world = World::new();
    let [mut alice, _] = two(&mut world);
    let log = alice.log();
    let before = world.relay.kept_bytes();
    assert_eq!(before, kept(&world, log));
    let lost = alice.message("lost");
    limit_log(&mut world, before + len(&lost));
    let handle = |world: &mut World, who: &Person, entry: &Blob| {
        world.relay.handle(&who.identity, &append(log, entry), world.now).answer
    };
    for _ in 0..3 {
        assert!(handle(&mut world, &alice.person, &lost).is_ok());
        world.faults.fail_write(0, StoreError::Full);
        assert!(world.relay.flush().is_err());
        assert_eq!(world.relay.kept_bytes(), before);
    }
    world.place(&alice.person, log, &lost);
    let world = world.crash();
    assert_eq!(world.relay.kept_bytes(), before + len(&lost), "counted anew at the start");
}

#[test]
fn letters_count_for_the_one_who_sends_them() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.closed_group(&alice);
    let before = world.relay.kept_bytes();
    let proposal = world.adding(&bob);
    let (group, entry, letters) = world.prepare(group, proposal);
    world.post(&alice, group.log(), &entry, &letters);
    let letter = world.letters(&bob)[0].to_bytes().len();
    let grown = world.relay.kept_bytes() - before;
    assert_eq!(grown, len(&entry) + u64::try_from(letter).unwrap());
    let kept = world.relay.kept_bytes();
    limit_person(&mut world, kept);
    let mut group = world.synced(group);
    let text = group.message("one more");
    assert_eq!(world.refusal(&alice, group.log(), &text), Refusal::Quota(Quota::Person));
}
