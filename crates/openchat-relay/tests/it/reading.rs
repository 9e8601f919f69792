//! Who may read what, receipts, heads, heartbeats.

use crate::{
    people::{Member, Person},
    support::World,
};
use core::time::Duration;
use openchat_pki::{MerkleLog, UnverifiedHead};
use openchat_relay::{Publish, Store as _, Tailing, store::Which};
use openchat_roster::{Heartbeat, Seen, SignedHeartbeat, log_hash_next, log_hash_start};
use openchat_wire::{
    Blob, Digest, Epoch, GroupId, Seq,
    limits::MAX_HEARTBEAT,
    relay::{Answer, Receipt, Refusal, Request},
};

const NOWHERE: GroupId = GroupId([9; 32]);

fn answer(world: &mut World, who: &Person, request: &Request) -> Result<Answer, Refusal> {
    world.ask(who, request).answer
}

fn beat(member: &Member, author: &Person) -> Blob {
    beat_at(member, author, member.group.seen().unwrap())
}

fn beat_at(member: &Member, author: &Person, seen: Seen) -> Blob {
    let roster = member.group.roster();
    let heartbeat = Heartbeat {
        author: author.identity.fingerprint,
        group: *roster.group(),
        epoch: roster.epoch(),
        interim: *roster.interim(),
        seen,
    };
    SignedHeartbeat::sign(&heartbeat, &author.key).to_bytes()
}

#[test]
fn ping_is_answered() {
    let mut world = World::new();
    let alice = world.person("alice");
    assert_eq!(answer(&mut world, &alice, &Request::Ping), Ok(Answer::Done));
}

#[test]
fn everybody_reads_what_the_ca_did_and_a_head_over_it() {
    let mut world = World::new();
    let (alice, _) = (world.person("alice"), world.person("bob"));
    let mut recorded = |index| answer(&mut world, &alice, &Request::ReadTransparency(index));
    let Ok(Answer::Recorded { entries, complete: true, .. }) = recorded(0) else { panic!() };
    let log: MerkleLog = entries.iter().map(|entry| &entry.0).collect();
    let Ok(Answer::Recorded { entries: rest, head, .. }) = recorded(1) else { panic!() };
    assert_eq!(rest, entries[1..]);
    let Ok(Answer::Head(newest)) = answer(&mut world, &alice, &Request::Head) else { panic!() };
    assert_eq!(head, newest);
    let (keys, id) = (&world.public.log_key, &world.public.log_id);
    let head = UnverifiedHead::decode(&head.0).unwrap().verify(keys, id).unwrap();
    assert_eq!((head.size, head.root), (log.size(), log.root()));
}

#[test]
fn only_members_tail() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    let message = member.message("hello");
    world.place(&alice, log, &message);
    let tail = Request::Tail { log, after: Seq(1) };
    let outcome = world.ask(&alice, &tail);
    assert_eq!(outcome.answer, Ok(Answer::Done));
    assert_eq!(
        outcome.tail,
        Some(Tailing {
            log,
            after: Seq(1),
            end: Seq(2),
            reader: alice.identity.fingerprint,
            last: None
        })
    );

    let outcome = world.ask(&bob, &tail);
    assert_eq!(outcome.answer, Err(Refusal::NoAccess));
    assert_eq!(outcome.tail, None);
    let nowhere = Request::Tail { log: NOWHERE, after: Seq(0) };
    assert_eq!(answer(&mut world, &bob, &nowhere), Err(Refusal::NoAccess), "the same answer");
    world.join(&bob, log);
    assert_eq!(answer(&mut world, &bob, &tail), Ok(Answer::Done));
}

#[test]
fn commits_of_an_open_group_are_for_all_and_of_a_closed_one_for_members() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut open = world.open_group(&alice, "general");
    let message = open.message("not a commit");
    world.place(&alice, open.log(), &message);
    let log = world.update(open).log();
    let read = Request::ReadCommits { log, after: Seq(0) };
    let Ok(Answer::Entries { entries, complete: true }) = answer(&mut world, &bob, &read) else {
        panic!()
    };
    assert_eq!(entries.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [Seq(1), Seq(3)]);
    let rest = Request::ReadCommits { log, after: Seq(1) };
    let Ok(Answer::Entries { entries, .. }) = answer(&mut world, &bob, &rest) else { panic!() };
    assert_eq!(entries.len(), 1);

    let closed = world.closed_group(&alice).log();
    let read = Request::ReadCommits { log: closed, after: Seq(0) };
    assert!(answer(&mut world, &alice, &read).is_ok());
    for log in [closed, NOWHERE] {
        let read = Request::ReadCommits { log, after: Seq(0) };
        assert_eq!(answer(&mut world, &bob, &read), Err(Refusal::NoAccess));
    }
}

#[test]
fn receipts_say_what_the_log_is() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    let message = member.message("hello");
    world.place(&alice, log, &message);
    let mut hash = log_hash_start(&log);
    let mut hashes = Vec::new();
    for (seq, entry) in world.bytes(log) {
        hash = log_hash_next(&hash, seq, &entry);
        hashes.push(hash);
    }
    let (epoch, interim) = (Epoch(1), *member.group.roster().interim());
    let expected = |seq, log_hash| Receipt { group: log, seq, log_hash, epoch, interim };
    for who in [&alice, &bob] {
        assert_eq!(world.receipt(who, log, None), expected(Seq(2), hashes[1]));
        assert_eq!(world.receipt(who, log, Some(Seq(1))), expected(Seq(1), hashes[0]));
    }
    let mut world = world.crash();
    assert_eq!(world.receipt(&alice, log, None), expected(Seq(2), hashes[1]));
    for at in [Seq(0), Seq(2), Seq(3), Seq(u64::MAX)] {
        let request = Request::Receipt { log, at: Some(at) };
        assert_eq!(answer(&mut world, &alice, &request), Err(Refusal::NotFound), "no commit");
    }
}

#[test]
fn a_receipt_of_a_past_commit_has_the_epoch_of_its_time() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let interim = *member.group.roster().interim();
    member = world.update(member);
    let receipt = world.receipt(&alice, member.log(), Some(Seq(1)));
    assert_eq!((receipt.epoch, receipt.interim), (Epoch(1), interim));
    let receipt = world.receipt(&alice, member.log(), None);
    assert_eq!((receipt.epoch, receipt.interim), (Epoch(2), *member.group.roster().interim()));
}

#[test]
fn a_receipt_is_of_the_tail_at_the_moment() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut member = world.open_group(&alice, "general");
    let log = member.log();
    for seq in 2..5 {
        let message = member.message(&format!("message {seq}"));
        world.place(&alice, log, &message);
        assert_eq!(world.receipt(&alice, log, None).seq, Seq(seq));
    }
}

#[test]
fn receipts_of_a_closed_group_are_for_members() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let closed = world.closed_group(&alice).log();
    world.receipt(&alice, closed, None);
    for (log, at) in [(closed, None), (closed, Some(Seq(1))), (NOWHERE, None)] {
        let request = Request::Receipt { log, at };
        assert_eq!(answer(&mut world, &bob, &request), Err(Refusal::NoAccess));
    }
}

#[test]
fn a_head_is_signed_once_a_minute_at_most_and_when_the_log_grows() {
    let mut world = World::new();
    let alice = world.person("alice");
    let head = |world: &mut World| answer(world, &alice, &Request::Head).unwrap();
    let first = head(&mut world);
    world.wait(Duration::from_mins(1));
    assert_eq!(head(&mut world), first);
    world.wait(Duration::from_millis(1));
    let second = head(&mut world);
    assert_ne!(second, first);
    let time = world.head().time;
    assert_eq!(time, world.now);
    world.person("bob");
    assert_eq!(world.head().size, 2);
    assert_ne!(head(&mut world), second);
}

#[test]
fn a_heartbeat_is_handed_on_with_a_receipt_and_not_logged() {
    let mut world = World::new();
    let alice = world.person("alice");
    let member = world.open_group(&alice, "general");
    let (log, beat) = (member.log(), beat(&member, &alice));
    let before = world.entries(log);
    let outcome = world.ask(&alice, &Request::Heartbeat { log, beat: beat.clone() });
    assert_eq!(outcome.answer, Ok(Answer::Done));
    let [Publish::Heartbeat { log: to, beat: handed_on, receipt }] = &outcome.publish[..] else {
        panic!()
    };
    assert_eq!((*to, &handed_on[..]), (log, &beat.0[..]));
    let receipt = openchat_pki::verify_receipt(receipt, &world.public.relay_key).unwrap();
    let Seen { seq, log_hash } = member.group.seen().unwrap();
    assert_eq!((receipt.seq, receipt.log_hash), (seq, log_hash));
    assert_eq!(world.entries(log), before);
}

#[test]
fn heartbeats_are_members_own_and_small() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let member = world.open_group(&alice, "general");
    let log = member.log();
    let mut ask = |who: &Person, log, beat: &Blob| {
        let outcome = world.ask(who, &Request::Heartbeat { log, beat: beat.clone() });
        assert!(outcome.publish.is_empty());
        outcome.answer.unwrap_err()
    };
    let (own, outside) = (beat(&member, &alice), beat(&member, &bob));
    assert_eq!(ask(&bob, log, &outside), Refusal::NoAccess);
    assert_eq!(ask(&bob, log, &own), Refusal::NoAccess);
    assert_eq!(ask(&alice, NOWHERE, &own), Refusal::NoAccess);
    assert_eq!(ask(&alice, log, &Blob(vec![0; MAX_HEARTBEAT + 1])), Refusal::TooLarge);
    assert!(matches!(ask(&alice, log, &outside), Refusal::Invalid(_)), "N2");
    assert!(matches!(ask(&alice, log, &Blob(vec![0; 9])), Refusal::Invalid(_)), "N1");
    let ahead = Seen { seq: Seq(99), log_hash: Digest([0; 32]) };
    let ahead = ask(&alice, log, &beat_at(&member, &alice, ahead));
    assert!(matches!(ahead, Refusal::Invalid(_)), "it would raise alarms at everybody");
    world.join(&bob, log);
    let own_by_bob = world.ask(&bob, &Request::Heartbeat { log, beat: own });
    assert!(matches!(own_by_bob.answer, Err(Refusal::Invalid(_))), "another's");
}

#[test]
fn the_relay_shows_its_store_to_readers_of_the_same_process() {
    let mut world = World::new();
    let alice = world.person("alice");
    let log = world.open_group(&alice, "general").log();
    let limit = openchat_relay::Limit::READ;
    let page = world.relay.store().read(&log, Seq(0), Which::All, limit).unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_ne!(world.receipt(&alice, log, None).log_hash, Digest([0; 32]));
}
