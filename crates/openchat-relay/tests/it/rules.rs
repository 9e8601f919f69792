//! The relay's own rules, R1 to R7 of `docs/protocol.md` §4.4: each is broken by a commit that is
//! good in every other way. R1, R3 and the open names of R4 are in `commits`, the paces of R5 in
//! `turns`.

use crate::{
    people::{Member, Person},
    support::{World, commit, evicting, invalid, is_invalid, open},
};
use openchat_group::{Invited, Proposal};
use openchat_pki::Entry;
use openchat_roster::{Person as Named, Policy, Reason, Revocation};
use openchat_wire::{
    Blob,
    limits::{MAX_LETTER, MAX_LETTERS, PREKEY_LIFE},
    relay::{Answer, Letter, Refusal, Request},
};
use std::time::Duration;

const STRANGER: &str = "R2: the directory does not have this name with this key";
const LETTER: &str = "R6: a letter to somebody whom no commit adds or admits, or a second one";

fn inviting(who: &Person) -> Proposal {
    let person = Named { name: who.identity.name.clone(), fingerprint: who.identity.fingerprint };
    Proposal { admits: vec![Invited { person, prekey: None }], ..Proposal::default() }
}

fn refused(world: &mut World, member: Member, proposal: Proposal) -> Refusal {
    let (member, entry, letters) = world.prepare(member, proposal);
    let request = Request::Append { log: member.log(), entry, letters, follows: false };
    world.refusal_of(&member.person, &request)
}

#[test]
fn r2_whoever_is_added_goes_by_its_certified_name() {
    let mut world = World::new();
    let (alice, mut bob) = (world.person("alice"), world.person("bob"));
    let group = world.closed_group(&alice);
    bob.identity.name = "admin".parse().unwrap();
    let proposal = world.adding(&bob);
    assert_eq!(refused(&mut world, group, proposal), invalid(STRANGER));
}

#[test]
fn r2_whoever_is_admitted_goes_by_its_certified_name() {
    let mut world = World::new();
    let (alice, mut bob) = (world.person("alice"), world.person("bob"));
    let group = world.closed_group(&alice);
    bob.identity.name = "admin".parse().unwrap();
    assert_eq!(refused(&mut world, group, inviting(&bob)), invalid(STRANGER));
}

#[test]
fn r2_nobody_without_a_certificate_is_added_admitted_or_talked_to() {
    let mut world = World::new();
    let alice = world.person("alice");
    let ghost = Person::new("ghost", &mut world.rng);
    let proposal = world.adding(&ghost);
    for proposal in [proposal, inviting(&ghost)] {
        let group = world.closed_group(&alice);
        assert_eq!(refused(&mut world, group, proposal), invalid(STRANGER));
    }
    let policy = Policy::direct(alice.identity.fingerprint, ghost.identity.fingerprint);
    let (member, entry) = world.begin(&alice, policy);
    assert_eq!(world.refusal(&alice, member.log(), &entry), invalid(STRANGER));
}

#[test]
fn r2_holds_for_those_who_are_in_from_the_beginning() {
    let mut world = World::new();
    let (alice, mut bob) = (world.person("alice"), world.person("bob"));
    bob.identity.name = "admin".parse().unwrap();
    let proposal = world.adding(&bob);
    let (member, entry, _) = world.begin_with(&alice, open("general"), proposal);
    assert_eq!(world.refusal(&alice, member.log(), &entry), invalid(STRANGER));
}

/// The proof that a key was revoked, in a log that has grown by it.
fn revoke(mut world: World, who: &Person) -> (World, Revocation) {
    let size = world.head().size;
    let name = who.identity.name.clone();
    let entry = Entry::Revoke { name, fingerprint: who.identity.fingerprint }.encode();
    let (world, inclusion) = world.with_recorded(size, &entry);
    (world, Revocation { entry: Blob(entry), inclusion })
}

#[test]
fn r3_a_revocation_is_proved_by_the_head_that_its_commit_names() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.open_group(&alice, "general");
    let log = group.log();
    world.join(&bob, log);
    let old = world.head_ref();
    let (mut world, proof) = revoke(world, &bob);
    let removes = vec![(bob.identity.fingerprint, Reason::Revoked(proof))];
    let proposal = Proposal { removes, ..Proposal::default() };

    let mut group = world.synced(group);
    let made = group.group.propose(&alice.author(old), None, proposal.clone(), &mut world.rng);
    assert!(made.is_err(), "C18: the old head does not have it");
    world.commit(group, proposal);
    assert_eq!(world.ask(&bob, &Request::Groups).answer, Ok(Answer::Groups(Vec::new())));
}

#[test]
fn r3_a_revocation_in_a_log_that_is_not_the_cas_is_refused() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.open_group(&alice, "general");
    world.join(&bob, group.log());
    let mut group = world.synced(group);
    // A log of the liar's own.
    let entry =
        Entry::Revoke { name: bob.identity.name.clone(), fingerprint: bob.identity.fingerprint };
    let mut tree = openchat_pki::MerkleLog::default();
    for _ in 0..9 {
        tree.push(b"x");
    }
    tree.push(&entry.encode());
    let head = openchat_roster::HeadRef { size: tree.size(), root: tree.root() };
    let proof = Revocation { entry: Blob(entry.encode()), inclusion: tree.prove(9).unwrap() };
    let removes = vec![(bob.identity.fingerprint, Reason::Revoked(proof))];
    let proposal = Proposal { removes, ..Proposal::default() };
    let made = group.group.propose(&alice.author(head), None, proposal, &mut world.rng);
    let entry = made.unwrap().entry.clone();
    is_invalid(&world.refusal(&alice, group.log(), &entry), "R3");
}

#[test]
fn r4_two_people_have_one_group_whoever_begins_it() {
    let mut world = World::new();
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| world.person(name));
    let policy = Policy::direct(alice.identity.fingerprint, bob.identity.fingerprint);
    let find = |world: &mut World, who: &Person, other: &Person| {
        world.ask(who, &Request::FindDirect(other.identity.fingerprint)).answer
    };
    assert_eq!(find(&mut world, &alice, &bob), Err(Refusal::NotFound));
    let (first, entry) = world.begin(&alice, policy.clone());
    let (second, late) = world.begin(&bob, policy);
    world.place(&alice, first.log(), &entry);
    assert_eq!(world.refusal(&bob, second.log(), &late), Refusal::NameTaken(first.log()));
    let mut world = world.crash();
    assert_eq!(world.refusal(&bob, second.log(), &late), Refusal::NameTaken(first.log()));
    let found = Ok(Answer::Group(first.log()));
    assert_eq!(find(&mut world, &alice, &bob), found);
    assert_eq!(find(&mut world, &bob, &alice), found);
    assert_eq!(find(&mut world, &eve, &alice), Err(Refusal::NotFound), "hers alone to ask for");
    assert_eq!(find(&mut world, &alice, &eve), Err(Refusal::NotFound));
}

/// A commit that adds `bob`, and his letter.
fn add(world: &mut World, bob: &Person) -> (Member, Blob, Letter) {
    let alice = world.person("alice");
    let group = world.closed_group(&alice);
    let proposal = world.adding(bob);
    let (group, entry, letters) = world.prepare(group, proposal);
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    let letter = letter.clone();
    (group, entry, letter)
}

/// Why this commit is refused with these letters; without them it is taken.
fn letters_refused(letters: impl FnOnce(&mut World, &Letter) -> Vec<Letter>) -> Refusal {
    let mut world = World::new();
    let bob = world.person("bob");
    let (group, entry, letter) = add(&mut world, &bob);
    let letters = letters(&mut world, &letter);
    let request =
        Request::Append { log: group.log(), entry: entry.clone(), letters, follows: false };
    let refusal = world.refusal_of(&group.person, &request);
    world.place(&group.person, group.log(), &entry);
    refusal
}

#[test]
fn r6_a_letter_to_somebody_else_is_refused() {
    let refusal = letters_refused(|world, letter| {
        let carol = world.person("carol").identity.fingerprint;
        vec![letter.clone(), Letter { to: carol, ..letter.clone() }]
    });
    assert_eq!(refusal, invalid(LETTER));
}

#[test]
fn r6_a_second_letter_to_one_person_is_refused() {
    let refusal = letters_refused(|_, letter| vec![letter.clone(), letter.clone()]);
    assert_eq!(refusal, invalid(LETTER));
}

#[test]
fn r6_a_letter_of_more_than_a_kilobyte_is_refused() {
    let sized = |bytes| {
        move |_: &mut World, letter: &Letter| {
            vec![Letter { sealed: Blob(vec![7; bytes]), ..letter.clone() }]
        }
    };
    assert_eq!(letters_refused(sized(MAX_LETTER + 1)), Refusal::TooLarge);
}

#[test]
fn r6_more_letters_than_four_megabytes_are_refused() {
    let refusal = letters_refused(|_, letter| {
        let sealed = Blob(vec![7; MAX_LETTER]);
        vec![Letter { sealed, ..letter.clone() }; MAX_LETTERS / MAX_LETTER + 1]
    });
    assert_eq!(refusal, Refusal::TooLarge);
}

#[test]
fn r6_what_is_no_commit_has_no_letters() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut group = world.open_group(&alice, "general");
    let (log, entry) = (group.log(), group.message("hello"));
    let letters = vec![Letter { to: bob.identity.fingerprint, sealed: Blob(vec![7]) }];
    let request = Request::Append { log, entry: entry.clone(), letters, follows: false };
    assert_eq!(world.refusal_of(&alice, &request), invalid(LETTER));
    world.place(&alice, log, &entry);
}

#[test]
fn r7_nobody_is_added_by_a_prekey_that_has_expired() {
    let mut world = World::new();
    let bob = world.person("bob");
    let (group, entry, _) = add(&mut world, &bob);
    world.wait(PREKEY_LIFE + Duration::from_millis(1));
    let expired = invalid("R7: the prekey has expired");
    assert_eq!(world.refusal(&group.person, group.log(), &entry), expired);
    world.now.0 -= 1;
    world.place(&group.person, group.log(), &entry);
}

#[test]
fn r7_a_leave_request_is_its_authors_alone_to_send() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.open_group(&alice, "general");
    let log = group.log();
    let member = world.join(&bob, log);
    let leave = member.leave();
    let theirs = invalid("R7: a leave request is its author's alone to send");
    assert_eq!(world.refusal(&alice, log, &leave), theirs);
    world.place(&bob, log, &leave);
}

#[test]
fn who_may_not_is_refused_by_the_name_of_the_check() {
    let mut world = World::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.person(name));
    let group = world.open_group(&alice, "general");
    let log = group.log();
    world.join(&bob, log);
    world.join(&carol, log);
    let eviction = world.prepare(group, evicting(&carol)).1;
    // The same operation by somebody who is no admin, as a modified client would send it.
    let mut forged = commit(&eviction.0).unwrap();
    let mut said = forged.view().unwrap();
    said.author = bob.identity.fingerprint;
    forged.commit = said.to_bytes();
    let signed = openchat_roster::CommitEntry::signed_bytes(&forged.commit, &forged.tag);
    forged.signature = bob.key.sign(openchat_crypto::Label::Commit, &signed);
    let forged = Blob(openchat_roster::LogEntry::Commit(forged).to_bytes());
    is_invalid(&world.refusal(&bob, log, &forged), "C5");
    world.place(&alice, log, &eviction);
}

#[test]
fn r2_a_revoked_key_comes_in_nowhere_and_for_ever() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
    let general = world.open_group(&alice, "general").log();
    let prekeys =
        Request::PublishPrekeys { replace: false, prekeys: vec![world.prekey(&bob).to_bytes()] };
    assert!(world.ask(&bob, &prekeys).answer.is_ok());
    let by_key = Request::Certificate(bob.identity.fingerprint);
    let before = world.head().size;
    let (name, now) = (bob.identity.name.clone(), world.now);
    let revoking = world.relay.revoke(&name, now).unwrap();
    assert_eq!(revoking.map(|revoking| revoking.index), Some(before));
    assert_eq!(world.relay.revoke(&name, now).unwrap(), None, "once");
    assert_eq!(world.relay.revoke(&"nobody".parse().unwrap(), now).unwrap(), None);
    world.relay.flush().unwrap();
    let count = Request::CountPrekeys;
    let none = Ok(Answer::Prekeys { one_time: 0, last_resort: None });
    assert_eq!(world.ask(&bob, &count).answer, none);

    let mut world = world.crash();
    let (_, join) = world.prepare_join(&bob, general);
    is_invalid(&world.refusal(&bob, general, &join), "R2: the key was revoked");
    let (own, create) = world.begin(&bob, open("own"));
    is_invalid(&world.refusal(&bob, own.log(), &create), "R2: the key was revoked");
    for proposal in [world.adding(&bob), inviting(&bob)] {
        let group = world.closed_group(&alice);
        let (group, entry, _) = world.prepare(group, proposal);
        is_invalid(&world.refusal(&alice, group.log(), &entry), "R2: the key was revoked");
    }
    is_invalid(&world.refusal_of(&bob, &prekeys), "R2: the key was revoked");
    let fetch = Request::FetchPrekey(bob.identity.fingerprint);
    assert_eq!(world.refusal_of(&alice, &fetch), Refusal::NotFound);
    assert_eq!(world.refusal_of(&alice, &Request::CertificateOf(name)), Refusal::NotFound);
    assert!(world.ask(&alice, &by_key).answer.is_ok(), "logs speak of him still");
    let invited = world.invite("bob");
    let outcome = world.enroll(&bob.request(&invited));
    assert!(matches!(outcome.reason, openchat_relay::EnrollReason::Revoked), "{outcome:?}");
}
