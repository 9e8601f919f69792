//! Letters: with their commit or not at all, and for their addressee alone.

use crate::{
    people::{Member, Person},
    support::{World, append, open},
};
use openchat_group::Proposal;
use openchat_relay::{Outcome, Publish, Tailing};
use openchat_roster::{LogEntry, inbox, log_hash_next, log_hash_start};
use openchat_wire::{
    Blob, Digest, GroupId, Seq,
    limits::JOIN_BURST,
    relay::{Answer, InboxEntry, Letter, Refusal, Request},
};

fn inbox_of(who: &Person) -> GroupId {
    inbox(&who.identity.fingerprint)
}

fn tail(who: &Person, after: u64) -> Request {
    Request::Tail { log: inbox_of(who), after: Seq(after) }
}

/// A group of alice's, and what adds bob to it.
fn adding_bob(world: &mut World) -> (Member, Person, Blob, Vec<Letter>) {
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.closed_group(&alice);
    let proposal = world.adding(&bob);
    let (group, entry, letters) = world.prepare(group, proposal);
    (group, bob, entry, letters)
}

fn post(world: &mut World, who: &Person, log: GroupId, what: (&Blob, &[Letter])) -> Outcome {
    let (entry, letters) = (what.0.clone(), what.1.to_vec());
    world.ask(who, &Request::Append { log, entry, letters, follows: false })
}

#[test]
fn a_letter_is_delivered_with_its_commit_and_told_to_who_tails() {
    let mut world = World::new();
    let (group, bob, entry, letters) = adding_bob(&mut world);
    let outcome = post(&mut world, &group.person, group.log(), (&entry, &letters));
    assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(2))));
    let expected = InboxEntry {
        from: group.person.identity.fingerprint,
        group: group.log(),
        seq: Seq(2),
        letter: letters[0].sealed.clone(),
    };
    assert_eq!(world.letters(&bob), [expected]);
    let [Publish::Entry { log: first, .. }, Publish::Entry { log, seq, entry: told }] =
        &outcome.publish[..]
    else {
        panic!("{:?}", outcome.publish)
    };
    assert_eq!((*first, *log, *seq), (group.log(), inbox_of(&bob), Seq(1)));
    assert_eq!(told[..], world.bytes(inbox_of(&bob))[0].1[..]);
    assert_eq!(world.arrived(&bob, group.log()).group.roster().unclaimed(), 1);
}

#[test]
fn an_inbox_is_a_log() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    for _ in 0..3 {
        let group = world.closed_group(&alice);
        let proposal = world.adding(&bob);
        world.commit(group, proposal);
    }
    let world = world.crash();
    let log = inbox_of(&bob);
    let mut hash = log_hash_start(&log);
    for (seq, entry) in world.bytes(log) {
        hash = log_hash_next(&hash, seq, &entry);
    }
    let tail = openchat_relay::Store::tail(world.relay.store(), &log).unwrap().unwrap();
    assert_eq!((tail.seq, tail.log_hash), (Seq(3), hash));
}

#[test]
fn the_same_commit_again_brings_no_second_letter() {
    let mut world = World::new();
    let (group, bob, entry, letters) = adding_bob(&mut world);
    for _ in 0..3 {
        let outcome = post(&mut world, &group.person, group.log(), (&entry, &letters));
        assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(2))));
        assert_eq!(world.letters(&bob).len(), 1);
        world = world.crash();
    }
    // Nor does it bring one that was left out before.
    let carol = world.person("carol");
    let group = world.synced(group);
    let proposal = world.adding(&carol);
    let (group, entry, letters) = world.prepare(group, proposal);
    world.place(&group.person, group.log(), &entry);
    let again = post(&mut world, &group.person, group.log(), (&entry, &letters));
    assert!(again.answer.is_ok() && again.publish.is_empty());
    assert_eq!(world.letters(&carol), []);
}

#[test]
fn a_refused_commit_brings_no_letter() {
    let mut world = World::new();
    let (group, bob, entry, letters) = adding_bob(&mut world);
    let Ok(LogEntry::Commit(mut forged)) = LogEntry::decode(&entry.0) else { panic!() };
    forged.tag.0[0] ^= 1;
    let entry = Blob(LogEntry::Commit(forged).to_bytes());
    let request = Request::Append { log: group.log(), entry, letters, follows: false };
    let refusal = world.refusal_of(&group.person, &request);
    assert_eq!(refusal, Refusal::Invalid("C7: not signed by its author".to_owned()));
    assert_eq!(world.letters(&bob), []);
}

#[test]
fn of_64_who_race_for_an_epoch_one_wins_and_only_its_letter_is_delivered() {
    let mut world = World::new();
    let alice = world.person("alice");
    let mut racers = vec![world.open_group(&alice, "general")];
    let log = racers[0].log();
    for number in 1..JOIN_BURST {
        let person = world.person(&format!("p{number}"));
        racers.push(world.join(&person, log));
    }
    let mut made = Vec::new();
    for (number, racer) in racers.into_iter().enumerate() {
        let friend = world.person(&format!("f{number}"));
        let proposal = world.adding(&friend);
        made.push((friend, world.prepare(racer, proposal)));
    }
    made.rotate_left(17);
    // In one batch, as when they come at once.
    let mut won = Vec::new();
    for (friend, (racer, entry, letters)) in &made {
        let (entry, letters) = (entry.clone(), letters.clone());
        let request = Request::Append { log, entry, letters, follows: false };
        let outcome = world.relay.handle(&racer.person.identity, &request, world.now);
        match outcome.answer {
            Ok(Answer::Appended(seq)) => won.push((friend, seq)),
            Err(Refusal::Conflict { seq, entry }) => {
                assert_eq!((seq, &entry), (Seq(65), &made[0].1.1));
                assert!(outcome.publish.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
    world.relay.flush().unwrap();
    let [(winner, seq)] = &won[..] else { panic!("{} have won", won.len()) };
    assert_eq!((*seq, world.letters(winner).len()), (Seq(65), 1));
    let letters = made.iter().map(|(friend, _)| world.letters(friend).len());
    assert_eq!(letters.sum::<usize>(), 1);
}

#[test]
fn an_inbox_is_tailed_by_its_owner_even_before_there_is_a_letter() {
    let mut world = World::new();
    let (group, bob, entry, letters) = adding_bob(&mut world);
    let tailing = |end| {
        let (log, reader) = (inbox_of(&bob), bob.identity.fingerprint);
        Some(Tailing { log, after: Seq(0), end: Seq(end), reader, last: None })
    };
    assert_eq!(world.ask(&bob, &tail(&bob, 0)).tail, tailing(0));
    post(&mut world, &group.person, group.log(), (&entry, &letters));
    assert_eq!(world.ask(&bob, &tail(&bob, 0)).tail, tailing(1));
}

#[test]
fn an_inbox_is_nobody_elses_to_read_and_nobodys_to_write() {
    let mut world = World::new();
    let (mut group, bob, entry, letters) = adding_bob(&mut world);
    let log = inbox_of(&bob);
    for _ in 0..2 {
        let message = group.message("for the inbox");
        let notice = Blob(LogEntry::Notice(group.group.notice(&group.person.key)).to_bytes());
        for who in [&group.person, &bob] {
            for entry in [&message, &notice, &entry] {
                let refusal = world.ask(who, &append(log, entry)).answer.unwrap_err();
                assert!(matches!(refusal, Refusal::NoAccess | Refusal::Invalid(_)), "{refusal:?}");
            }
            for request in [
                Request::ReadCommits { log, after: Seq(0) },
                Request::Receipt { log, at: None },
                Request::Receipt { log, at: Some(Seq(1)) },
                Request::Heartbeat { log, beat: Blob(vec![0; 9]) },
            ] {
                assert_eq!(world.refusal_of(who, &request), Refusal::NoAccess);
            }
        }
        assert_eq!(world.refusal_of(&group.person, &tail(&bob, 0)), Refusal::NoAccess);
        // Once more when there is a letter.
        post(&mut world, &group.person, group.log(), (&entry, &letters));
        group = world.synced(group);
    }
    assert_eq!(world.letters(&bob).len(), 1);
}

#[test]
fn a_group_begins_with_letters_to_all_who_are_in_it() {
    let mut world = World::new();
    let alice = world.person("alice");
    let people: Vec<Person> = (0..20).map(|n| world.person(&format!("p{n}"))).collect();
    let adds = people.iter().map(|person| world.new_member(person)).collect();
    let proposal = Proposal { adds, ..Proposal::default() };
    let (member, entry, letters) = world.begin_with(&alice, open("general"), proposal);
    assert_eq!(world.post(&alice, member.log(), &entry, &letters), Seq(1));
    for person in &people {
        let [letter] = &world.letters(person)[..] else { panic!() };
        assert_eq!((letter.group, letter.seq), (member.log(), Seq(1)));
    }
    assert_ne!(member.log().0, Digest([0; 32]).0);
}
