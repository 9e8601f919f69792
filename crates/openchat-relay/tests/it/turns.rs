//! R5: paces, and places that are kept. Joins and renewals are in `commits`.

use crate::{
    people::{Member, Person},
    support::{World, commit, evicting, is_invalid, naming, promoting},
};
use core::time::Duration;
use openchat_crypto::Label;
use openchat_group::Proposal;
use openchat_roster::{CommitEntry, LogEntry, Policy, Role};
use openchat_wire::{
    Blob, GroupId,
    limits::{
        CHANGE_BURST, CHANGE_INTERVAL, CREATE_BURST, CREATE_INTERVAL, JOIN_BURST, JOIN_INTERVAL,
        KEPT_PLACE, MAX_UNCLAIMED, NOTICE_MEMORY, SLOWEST_JOINS,
    },
    relay::Refusal,
};

fn paced(wait: Duration) -> Refusal {
    Refusal::Paced { retry_ms: u32::try_from(wait.as_millis()).unwrap() }
}

/// A commit of this member that changes somebody's role.
fn change(world: &mut World, member: Member, who: &Person) -> (Member, Blob) {
    let role = member.group.roster().seat(&who.identity.fingerprint).unwrap().role;
    let proposal = match role {
        Role::Member => promoting(who),
        Role::Admin => Proposal {
            roles: vec![(who.identity.fingerprint, Role::Member)],
            ..Proposal::default()
        },
    };
    let (member, entry, _) = world.prepare(member, proposal);
    (member, entry)
}

#[test]
fn a_member_changes_the_group_in_a_burst_and_then_at_a_pace() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut group = world.open_group(&alice, "general");
    let log = group.log();
    world.join(&bob, log);
    for _ in 0..CHANGE_BURST {
        group = world.synced(group);
        let (member, entry) = change(&mut world, group, &bob);
        world.place(&alice, log, &entry);
        group = world.synced(member);
    }
    let (group, entry) = change(&mut world, group, &bob);
    assert_eq!(world.refusal(&alice, log, &entry), paced(CHANGE_INTERVAL));
    // Renewals are counted by themselves.
    let group = world.update(group);
    world.wait(CHANGE_INTERVAL);
    let (_, entry) = change(&mut world, group, &bob);
    world.place(&alice, log, &entry);
}

#[test]
fn claims_come_in_a_burst_and_then_at_the_pace_of_joins() {
    let mut world = World::new();
    let alice = world.person("alice");
    let people: Vec<Person> = (0..=JOIN_BURST).map(|n| world.person(&format!("p{n}"))).collect();
    let adds = people.iter().map(|person| world.new_member(person)).collect();
    let proposal = Proposal { adds, ..Proposal::default() };
    let group = world.closed_group(&alice);
    let log = world.commit(group, proposal).log();
    let (last, others) = people.split_last().unwrap();
    for person in others {
        let member = world.arrived(person, log);
        world.update(member);
    }
    let member = world.arrived(last, log);
    let (_, claim) = world.prepare_update(member);
    assert_eq!(world.refusal(last, log, &claim), paced(JOIN_INTERVAL));
    world.wait(JOIN_INTERVAL);
    world.place(last, log, &claim);
}

#[test]
fn a_person_creates_groups_in_a_burst_and_then_at_a_pace() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut first = None;
    for _ in 0..CREATE_BURST {
        let (member, entry) = world.begin(&alice, Policy::closed(&naming()));
        world.place(&alice, member.log(), &entry);
        first.get_or_insert((member.log(), entry));
    }
    let (member, entry) = world.begin(&alice, Policy::closed(&naming()));
    assert_eq!(world.refusal(&alice, member.log(), &entry), paced(CREATE_INTERVAL));
    let (log, create) = first.unwrap();
    assert!(world.append(&alice, log, &create).answer.is_ok(), "what stands is told again");
    world.closed_group(&bob);
    world.wait(CREATE_INTERVAL);
    world.place(&alice, member.log(), &entry);
}

fn notice(world: &mut World, member: Member) -> Member {
    let member = world.synced(member);
    let notice = Blob(LogEntry::Notice(member.group.notice(&member.person.key)).to_bytes());
    world.place(&member.person, member.log(), &notice);
    member
}

#[test]
fn notices_slow_those_who_join_and_nobody_else() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut group = world.open_group(&alice, "general");
    let log = group.log();
    let [bob, carol, dave] = ["bob", "carol", "dave"].map(|name| world.person(name));
    world.join(&bob, log);
    group = notice(&mut world, group);
    let (_, join) = world.prepare_join(&carol, log);
    assert_eq!(world.refusal(&carol, log, &join), paced(JOIN_INTERVAL * 2));
    for number in 0..8 {
        group = world.update(group);
        world.wait(Duration::from_secs(10));
        if number < 6 {
            group = notice(&mut world, group);
        }
    }
    let (_, join) = world.prepare_join(&carol, log);
    world.place(&carol, log, &join);
    let (_, join) = world.prepare_join(&dave, log);
    assert_eq!(world.refusal(&dave, log, &join), paced(SLOWEST_JOINS));
    world.wait(SLOWEST_JOINS);
    world.place(&dave, log, &join);
    world.wait(NOTICE_MEMORY);
    for name in ["erin", "frank"] {
        let person = world.person(name);
        world.join(&person, log);
    }
}

/// Alice is about to remove bob, and bob is about to be quicker.
struct Race {
    world: World,
    log: GroupId,
    alice: Member,
    bob: Member,
    carol: Person,
    removal: Blob,
}

fn race() -> Race {
    let mut world = World::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.person(name));
    let group = world.open_group(&alice, "general");
    let log = group.log();
    let theirs = world.join(&bob, log);
    world.join(&carol, log);
    let theirs = world.synced(theirs);
    let (alice, removal, _) = world.prepare(group, evicting(&bob));
    let bob = world.update(theirs);
    Race { world, log, alice, bob, carol, removal }
}

#[test]
fn whoever_is_to_be_removed_cannot_outrun_it() {
    let Race { mut world, log, alice, bob, carol, removal } = race();
    let refusal = world.refusal(&alice.person, log, &removal);
    assert!(matches!(refusal, Refusal::Conflict { .. }), "{refusal:?}");
    let (bobs, carols) = (bob.person.clone(), world.arrived_by_log(&carol, log));
    for member in [bob, carols] {
        let (member, update) = world.prepare_rejoin(member);
        assert_eq!(world.refusal(&member.person, log, &update), paced(KEPT_PLACE));
    }
    world.wait(KEPT_PLACE.saturating_sub(Duration::from_millis(1)));
    let eve = world.person("eve");
    let (_, join) = world.prepare_join(&eve, log);
    assert_eq!(world.refusal(&eve, log, &join), paced(Duration::from_millis(1)));
    let (alice, again, _) = world.prepare(alice, evicting(&bobs));
    world.place(&alice.person, log, &again);
    world.join(&eve, log);
}

#[test]
fn a_place_is_kept_for_ten_seconds_and_not_for_ever() {
    let Race { mut world, log, alice, bob, removal, .. } = race();
    world.refusal(&alice.person, log, &removal);
    world.wait(KEPT_PLACE);
    world.update(bob);
}

#[test]
fn no_place_is_kept_for_what_is_no_removal_or_makes_no_sense() {
    let Race { mut world, log, alice, bob, carol, removal } = race();
    // A lost update.
    let carols = world.arrived_by_log(&carol, log);
    let (carols, lost) = world.prepare_rejoin(carols);
    let (bob, update) = world.prepare_update(bob);
    world.place(&bob.person, log, &update);
    assert!(matches!(world.refusal(&carol, log, &lost), Refusal::Conflict { .. }));
    // A removal of somebody who is not there any more.
    let gone = world.prepare(alice, evicting(&bob.person));
    world.place(&gone.0.person, log, &gone.1);
    let refusal = world.refusal(&gone.0.person, log, &removal);
    assert!(matches!(refusal, Refusal::Conflict { .. }));
    let (carols, rejoin) = world.prepare_rejoin(carols);
    world.place(&carols.person, log, &rejoin);
}

/// What takes bob out, made on an epoch that is over, in a form that a modified client can sign.
fn forged(removal: &Blob, by: &Person, change: impl FnOnce(&mut openchat_roster::Commit)) -> Blob {
    let mut forged = commit(&removal.0).unwrap();
    let mut said = forged.view().unwrap();
    change(&mut said);
    forged.commit = said.to_bytes();
    let signed = CommitEntry::signed_bytes(&forged.commit, &forged.tag);
    forged.signature = by.key.sign(Label::Commit, &signed);
    Blob(LogEntry::Commit(forged).to_bytes())
}

/// Whether a lost commit of alice's makes bob wait.
fn is_kept_for(make: impl FnOnce(&Blob, &Person, &Person) -> Blob, updates: usize) -> bool {
    let Race { mut world, log, alice, mut bob, removal, .. } = race();
    for _ in 1..updates {
        bob = world.update(bob);
    }
    let lost = make(&removal, &alice.person, &bob.person);
    let refusal = world.refusal(&alice.person, log, &lost);
    assert!(!matches!(refusal, Refusal::Paced { .. }), "{refusal:?}");
    let (bob, update) = world.prepare_update(bob);
    world.append(&bob.person, log, &update).answer == Err(paced(KEPT_PLACE))
}

#[test]
fn a_place_is_kept_only_for_a_signed_removal_that_has_lost_the_last_race() {
    assert!(is_kept_for(|removal, _, _| removal.clone(), 1));
    assert!(is_kept_for(|removal, alice, _| forged(removal, alice, |_| ()), 1));
    assert!(!is_kept_for(|removal, _, _| removal.clone(), 2), "it lost an earlier one");
    assert!(!is_kept_for(|removal, _, bob| forged(removal, bob, |_| ()), 1), "unsigned");
    let elsewhere = |said: &mut openchat_roster::Commit| said.interim.0[0] ^= 1;
    assert!(!is_kept_for(|removal, alice, _| forged(removal, alice, elsewhere), 1));
}

#[test]
fn commits_that_have_lost_are_looked_at_at_a_pace() {
    let Race { mut world, log, alice, removal, .. } = race();
    for _ in 0..CHANGE_BURST {
        let refusal = world.refusal(&alice.person, log, &removal);
        assert!(matches!(refusal, Refusal::Conflict { .. }), "{refusal:?}");
    }
    assert_eq!(world.refusal(&alice.person, log, &removal), paced(CHANGE_INTERVAL));
    world.update(alice);
}

#[test]
fn a_person_adds_people_at_a_pace_whatever_comes_of_it() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let proposal = world.adding(&bob);
    let (group, entry, _) = world.begin_with(&alice, Policy::closed(&naming()), proposal);
    let crowd = |count| {
        forged(&entry, &alice, |said| {
            let add = said.operations.last().unwrap().clone();
            said.operations.extend(vec![add; count - 1]);
        })
    };
    // No signature is looked at of so many, so they cost nothing.
    for _ in 0..CREATE_BURST {
        is_invalid(&world.refusal(&alice, group.log(), &crowd(MAX_UNCLAIMED + 1)), "C13");
    }
    for _ in 0..2 {
        is_invalid(&world.refusal(&alice, group.log(), &crowd(MAX_UNCLAIMED)), "C");
    }
    assert_eq!(world.refusal(&alice, group.log(), &entry), paced(Duration::from_millis(100)));
    world.closed_group(&alice);
    world.wait(Duration::from_millis(100));
    world.place(&alice, group.log(), &entry);
}
