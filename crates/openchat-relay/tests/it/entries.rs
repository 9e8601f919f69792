//! Messages and notices: whose, of which epoch, once.

use crate::{
    people::Member,
    support::{World, is_invalid},
};
use openchat_relay::Publish;
use openchat_roster::{LogEntry, Notice, NoticeEntry};
use openchat_wire::{
    Blob, Epoch, GroupId, Seq,
    limits::{EPOCH_WINDOW, MAX_ENTRY, RENEWAL_INTERVAL},
    relay::{Answer, Refusal},
};

fn three(world: &mut World) -> [Member; 3] {
    let alice = world.person("alice");
    let alice = world.open_group(&alice, "general");
    let others = ["bob", "carol"].map(|name| {
        let person = world.person(name);
        world.join(&person, alice.log())
    });
    let [bob, carol] = others.map(|member| world.synced(member));
    [world.synced(alice), bob, carol]
}

#[test]
fn a_message_is_placed_and_published_as_it_is() {
    let mut world = World::new();
    let [mut alice, ..] = three(&mut world);
    let message = alice.message("hello");
    let outcome = world.append(&alice.person, alice.log(), &message);
    assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(4))));
    let [Publish::Entry { seq, entry, .. }] = &outcome.publish[..] else { panic!() };
    assert_eq!((*seq, &entry[..]), (Seq(4), &message.0[..]));
}

#[test]
fn the_same_message_again_gets_the_same_answer_whoever_sends_it() {
    let mut world = World::new();
    let [mut alice, bob, _] = three(&mut world);
    let (log, message) = (alice.log(), alice.message("hello"));
    let seq = world.place(&alice.person, log, &message);
    for _ in 0..3 {
        for who in [&alice.person, &bob.person] {
            let outcome = world.append(who, log, &message);
            assert_eq!(outcome.answer, Ok(Answer::Appended(seq)));
            assert!(outcome.publish.is_empty());
        }
        assert_eq!(world.entries(log).entries.len(), 4);
        world = world.crash();
    }
}

#[test]
fn an_outsider_learns_nothing_by_replaying_an_entry() {
    let mut world = World::new();
    let [mut alice, ..] = three(&mut world);
    let mallory = world.person("mallory");
    let (log, message) = (alice.log(), alice.message("hello"));
    world.place(&alice.person, log, &message);
    assert_eq!(world.refusal(&mallory, log, &message), Refusal::NoAccess);
    assert_eq!(world.refusal(&mallory, GroupId([9; 32]), &message), Refusal::NoAccess);
    let fresh = alice.message("never sent");
    assert_eq!(world.refusal(&mallory, log, &fresh), Refusal::NoAccess);
}

#[test]
fn nobody_sends_in_anothers_place() {
    let mut world = World::new();
    let [mut alice, bob, _] = three(&mut world);
    let message = alice.message("hello");
    is_invalid(&world.refusal(&bob.person, alice.log(), &message), "M1");
}

#[test]
fn a_message_stays_in_its_group() {
    let mut world = World::new();
    let [mut alice, ..] = three(&mut world);
    let other = world.open_group(&alice.person, "other").log();
    let message = alice.message("hello");
    let refusal = world.refusal(&alice.person, other, &message);
    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
}

#[test]
fn messages_count_for_sixteen_epochs() {
    let mut world = World::new();
    let [mut alice, mut bob, _] = three(&mut world);
    let log = alice.log();
    let (just, late) = (alice.message("just in time"), alice.message("too late"));
    for _ in 1..EPOCH_WINDOW {
        world.wait(RENEWAL_INTERVAL);
        bob = world.update(bob);
    }
    let seq = world.place(&alice.person, log, &just);
    world.wait(RENEWAL_INTERVAL);
    world.update(bob);
    let again = world.append(&alice.person, log, &just);
    assert_eq!(again.answer, Ok(Answer::Appended(seq)), "it was in time");
    assert!(again.publish.is_empty());
    assert_eq!(world.refusal(&alice.person, log, &late), Refusal::Stale);
    let mut world = world.crash();
    assert_eq!(world.refusal(&alice.person, log, &late), Refusal::Stale, "nor after a restart");
    alice = world.synced(alice);
    let again = alice.message("too late");
    world.place(&alice.person, log, &again);
}

#[test]
fn a_message_of_an_epoch_that_has_not_come_is_refused() {
    let mut world = World::new();
    let [mut alice, ..] = three(&mut world);
    let message = alice.message("hello");
    let Ok(LogEntry::Message(mut entry)) = LogEntry::decode(&message.0) else { panic!() };
    entry.header.epoch = Epoch(99);
    let early = Blob(LogEntry::Message(entry).to_bytes());
    is_invalid(&world.refusal(&alice.person, alice.log(), &early), "M3");
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let mut world = World::new();
    let [mut alice, ..] = three(&mut world);
    let Ok(LogEntry::Message(mut entry)) = LogEntry::decode(&alice.message("hello").0) else {
        panic!()
    };
    entry.token = Blob(vec![0; MAX_ENTRY]);
    let large = Blob(LogEntry::Message(entry).to_bytes());
    assert_eq!(world.refusal(&alice.person, alice.log(), &large), Refusal::TooLarge);
}

#[test]
fn notices_are_their_authors_alone_to_send() {
    let mut world = World::new();
    let [alice, bob, carol] = three(&mut world);
    let log = alice.log();
    let notice = Blob(LogEntry::Notice(alice.group.notice(&alice.person.key)).to_bytes());
    is_invalid(
        &world.refusal(&bob.person, log, &notice),
        "R1: the author is not the one who sends it",
    );
    assert_eq!(world.place(&alice.person, log, &notice), Seq(4));
    assert_eq!(world.place(&alice.person, log, &notice), Seq(4), "again");

    let body = Notice {
        author: carol.person.identity.fingerprint,
        group: log,
        epoch: Epoch(3),
        interim: *bob.group.roster().interim(),
    };
    let forged = NoticeEntry::sign(&body, &bob.person.key);
    let forged = Blob(LogEntry::Notice(forged).to_bytes());
    is_invalid(&world.refusal(&carol.person, log, &forged), "N3");
    let mallory = world.person("mallory");
    let outside = NoticeEntry::sign(&body, &mallory.key);
    let outside = Blob(LogEntry::Notice(outside).to_bytes());
    assert_eq!(world.refusal(&mallory, log, &outside), Refusal::NoAccess);
}
