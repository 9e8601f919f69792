//! Every kind of content, between honest devices and from members who write what no engine writes.

use crate::{
    traitor::Traitor,
    world::{MINUTE, SECOND, Who, World},
};
use core::time::Duration;
use openchat_engine::{Body, MessageRef};
use openchat_wire::{Fingerprint, MessageId};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

impl World {
    pub(crate) fn assert_no_alarms_of(&self, who: Who) {
        assert_eq!(self.alarms(who), []);
    }

    fn bodies(&self, who: Who) -> Vec<Body> {
        self.person(who).vault.messages.iter().map(|message| message.body.clone()).collect()
    }
}

fn everything(of: MessageId, author: Fingerprint) -> Vec<Body> {
    let to = MessageRef { author, id: of };
    vec![
        Body::Action("waves".to_owned()),
        Body::Reply { to, text: "indeed".to_owned() },
        Body::Reply {
            to: MessageRef { id: MessageId([9; 16]), ..to },
            text: "to nothing".to_owned(),
        },
        Body::Reaction { to, emoji: "👍🏽".to_owned(), on: true },
        Body::Reaction { to, emoji: "👍🏽".to_owned(), on: false },
        Body::Edit { of, text: "better".to_owned() },
        Body::Delete { of },
        Body::Topic("what we talk about".to_owned()),
        Body::Topic(String::new()),
        Body::Timer(Some(Duration::from_hours(1))),
        Body::Timer(None),
    ]
}

#[test]
fn every_kind_comes_as_it_was_said_and_in_this_order() {
    let (mut world, _) = World::with(760, &["alice", "bob"]);
    let first = world.say(ALICE, "first");
    let said = everything(first, world.fingerprint(ALICE));
    let ids: Vec<_> = said.iter().map(|body| world.utter(ALICE, body.clone())).collect();
    assert_eq!(world.queued(ALICE), said.len() + 1, "each is waited for");
    world.run(5 * SECOND);
    for who in [ALICE, BOB] {
        assert_eq!(world.bodies(who)[1..], said, "{who:?}");
    }
    assert!(ids.iter().all(|id| world.person(ALICE).acks.contains_key(id)), "each is acknowledged");
    assert_eq!(world.queued(ALICE), 0);
    world.assert_no_alarms();
}

#[test]
fn what_breaks_a_limit_is_not_sent_and_its_person_hears_why() {
    let (mut world, _) = World::with(761, &["alice", "bob"]);
    let to = MessageRef { author: Fingerprint([1; 32]), id: MessageId([2; 16]) };
    let wrong = [
        Body::Text("x".repeat(16_001)),
        Body::Action(String::new()),
        Body::Reaction { to, emoji: "no".to_owned(), on: true },
        Body::Topic("two\nlines".to_owned()),
        Body::Timer(Some(Duration::from_hours(366 * 24))),
        Body::Unknown { kind: 77, bytes: Vec::new() },
    ];
    for body in wrong {
        let before = world.person(ALICE).events.len();
        world.utter(ALICE, body.clone());
        assert_eq!(world.person(ALICE).events.len(), before + 1, "{body:?}");
    }
    world.run(SECOND);
    assert!(world.bodies(BOB).is_empty());
}

#[test]
fn m9_a_body_that_is_none_is_shown_as_unreadable_and_what_follows_is_read() {
    let (mut world, all) = World::with(762, &["alice", "bob", "carol"]);
    let mut carol = Traitor::take_over(&mut world, all[2]);
    let mut faults = 0;
    for body in everything(MessageId([5; 16]), Fingerprint([6; 32])) {
        let mut bytes = body.to_bytes();
        bytes.push(0);
        carol.says(&mut world, body.kind(), bytes);
        faults += 1;
        assert_eq!(world.person(BOB).unreadable().len(), faults, "{body:?}");
    }
    carol.says(&mut world, 1, b"and a text".to_vec());
    assert_eq!(world.person(BOB).texts(), ["and a text"]);
    world.assert_no_alarms_of(BOB);
    // What goes between devices has no place among what people say.
    carol.says(&mut world, 4, vec![1]);
    assert_eq!(world.person(BOB).unreadable().len(), faults + 1);
}

#[test]
fn m10_a_kind_of_tomorrow_is_kept_as_it_came() {
    let (mut world, all) = World::with(763, &["alice", "bob", "carol"]);
    let mut carol = Traitor::take_over(&mut world, all[2]);
    for kind in [0, 14, 4_000, u16::MAX] {
        carol.says(&mut world, kind, vec![1, 2, 3]);
        let last = world.bodies(BOB).pop();
        assert_eq!(last, Some(Body::Unknown { kind, bytes: vec![1, 2, 3] }));
    }
    assert_eq!(world.person(BOB).unreadable(), []);
    // It survives, and talks on.
    world.say(BOB, "what was that?");
    assert!(world.run_until(MINUTE, |it| it.person(ALICE).texts().len() == 5));
    world.assert_no_alarms_of(BOB);
}
