//! What somebody has missed is said again, and only to those who could read it the first time.

use crate::{
    coming::{add, ops, talk, target},
    liar::{Honest, Instead},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{Event, Key, Order};
use openchat_roster::LogEntry;
use openchat_wire::{
    Blob, MessageId, encode,
    relay::{Refusal, Request},
};

/// `Kind::State` and `Kind::Missed` as they are stored: numbers are for ever.
const STATE: u8 = 14;
const MISSED: u8 = 19;

/// The device loses its secrets, so that it asks for what it has missed when it is back.
pub(crate) fn loses_secrets(world: &mut World, who: Who) {
    world.kill(who);
    world.person_mut(who).vault.records.retain(|key, _| key.kind != STATE);
}

/// How often somebody was told that texts were not said again.
pub(crate) fn told(world: &World, who: Who) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Failed { code: "not-repeated", .. });
    world.person(who).events.iter().filter(is_it).count()
}

/// Brings dave into `#ops` and lets him claim his leaf.
fn with_dave(world: &mut World, by: Who) -> Who {
    let dave = world.online_people(&["dave"])[0];
    world.done(by, add("#ops", "dave"));
    world.run(MINUTE);
    dave
}

/// The device, wrongly, believes that it has missed this.
pub(crate) fn asks_for(world: &mut World, asker: Who, author: Who, id: MessageId) {
    let group = world.summary(asker, "#ops").unwrap().group;
    let named = vec![(world.person(author).identity.fingerprint, id)];
    loses_secrets(world, asker);
    let key = Key { kind: MISSED, group, sub: Vec::new() };
    world.person_mut(asker).vault.records.insert(key, Blob(encode(&named)));
    world.wake(asker);
    world.run(MINUTE);
}

#[test]
fn a_newcomer_who_asks_for_what_was_said_before_it_came_gets_nothing() {
    let (mut world, all) = ops(290, &["alice", "bob"]);
    let old = world.tell(all[0], "#ops", "not for dave");
    world.run(SECOND);
    let dave = with_dave(&mut world, all[0]);
    let new = world.tell(all[0], "#ops", "for dave too");
    world.run(SECOND);
    asks_for(&mut world, dave, all[0], old);
    assert_eq!(world.person(dave).texts_in("#ops"), ["for dave too"]);
    assert_eq!(told(&world, all[0]), 0, "whoever came later can't make alice hear of it");
    // What it could read it is told again.
    world.person_mut(dave).vault.messages.clear();
    asks_for(&mut world, dave, all[0], new);
    talk(&mut world, "#ops", &[all[0], all[1], dave]);
}

#[test]
fn what_an_honest_member_missed_is_not_said_again_once_somebody_has_come() {
    let (mut world, all) = ops(291, &["alice", "bob", "carol"]);
    loses_secrets(&mut world, all[2]);
    for n in 0..3 {
        world.tell(all[0], "#ops", &format!("{n}"));
        world.run(50);
    }
    world.run(SECOND);
    let dave = with_dave(&mut world, all[0]);
    world.wake(all[2]);
    world.run(MINUTE);
    let none: [&str; 0] = [];
    for who in [all[2], dave] {
        assert_eq!(world.person(who).texts_in("#ops"), none, "{who:?}");
    }
    assert_eq!(told(&world, all[0]), 1);
    assert_eq!(told(&world, all[1]), 0, "these were not his");
    talk(&mut world, "#ops", &[all[0], all[1], all[2], dave]);
}

#[test]
fn a_repetition_that_is_on_its_way_when_somebody_comes_is_not_sealed_for_them() {
    let (mut world, all) = ops(292, &["alice", "bob", "carol", "eve"]);
    loses_secrets(&mut world, all[2]);
    world.tell(all[0], "#ops", "not for dave");
    world.run(SECOND);
    // The relay takes no message of alice's while dave comes, and eve goes: then what she has
    // sealed counts no more.
    let alice = all[0];
    world.liar = Box::new(Instead(move |who, request: &Request| match request {
        Request::Append { entry, .. } if who == alice => {
            let is_message = matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Message(_)));
            is_message.then_some(Err(Refusal::Internal))
        }
        _ => None,
    }));
    world.wake(all[2]);
    world.run(MINUTE);
    let dave = with_dave(&mut world, all[1]);
    world.done(all[3], Order::Leave { target: target("#ops") });
    world.run(MINUTE);
    world.liar = Box::new(Honest);
    world.run(MINUTE);
    let none: [&str; 0] = [];
    for who in [all[2], dave] {
        assert_eq!(world.person(who).texts_in("#ops"), none, "{who:?}");
    }
    assert_eq!(told(&world, alice), 1);
    talk(&mut world, "#ops", &[all[0], all[1], all[2], dave]);
}

#[test]
fn one_text_is_said_again_a_few_times_also_if_the_device_starts_anew_between() {
    let (mut world, all) = ops(293, &["alice", "bob"]);
    let id = world.tell(all[0], "#ops", "again and again");
    world.run(SECOND);
    let group = world.summary(all[0], "#ops").unwrap().group.unwrap();
    let messages = |world: &World| {
        let entries = world.server.entries(&group, openchat_wire::Seq(0));
        let is_it = |entry: &[u8]| matches!(LogEntry::decode(entry), Ok(LogEntry::Message(it)) if it.header.id == id);
        entries.iter().filter(|(_, entry)| is_it(entry)).count()
    };
    for n in 0..5 {
        asks_for(&mut world, all[1], all[0], id);
        world.kill(all[0]);
        world.wake(all[0]);
        world.run(SECOND);
        assert_eq!(messages(&world), 1 + (n + 1).min(3));
    }
}
