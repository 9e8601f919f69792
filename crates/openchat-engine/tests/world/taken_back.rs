//! What was taken back is gone: no record of the device has it, and nobody is told it again.

use crate::{
    coming::{ops, target},
    liar::{Honest, Instead},
    person::Death,
    repeats::{asks_for, loses_secrets, told},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{Body, Command, Input, Key};
use openchat_roster::LogEntry;
use openchat_wire::{
    Blob, MessageId,
    relay::{Refusal, Request},
};

impl World {
    /// Says anything in `#ops`.
    fn put(&mut self, who: Who, what: Body) -> MessageId {
        let mut id = MessageId([0; 16]);
        rand_core::Rng::fill_bytes(&mut self.rng, &mut id.0);
        let target = target("#ops");
        self.input(who, Input::Command(Command::Send { target, id, what }));
        self.run(SECOND);
        id
    }

    fn holds(&self, who: Who, text: &str) -> bool {
        let is_there = |bytes: &[u8]| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        self.person(who).vault.records.values().any(|value| is_there(&value.0))
    }

    fn bodies_in_ops(&self, who: Who) -> Vec<Body> {
        let all = self.person(who).vault.messages.iter().filter(|it| it.target == "#ops");
        all.map(|message| message.body.clone()).collect()
    }
}

fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

fn topic(topic: &str) -> Body {
    Body::Topic(topic.to_owned())
}

#[test]
fn m21_what_is_in_the_log_stands_in_no_record_but_in_the_vault_s_messages() {
    let (mut world, all) = ops(294, &["alice", "bob"]);
    let of = world.put(all[0], text("umbrella"));
    world.put(all[0], Body::Edit { of, text: "parasol".to_owned() });
    world.put(all[0], Body::Action("opens an awning".to_owned()));
    for who in &all {
        assert_eq!(world.bodies_in_ops(*who).len(), 3);
        for word in ["umbrella", "parasol", "awning"] {
            assert!(!world.holds(*who, word), "{who:?}: {word}");
        }
    }
}

#[test]
fn m21_what_was_deleted_is_not_said_again_whoever_asks() {
    let (mut world, all) = ops(295, &["alice", "bob", "carol"]);
    loses_secrets(&mut world, all[2]);
    let of = world.put(all[0], text("gone"));
    world.put(all[0], Body::Delete { of });
    world.put(all[0], text("stays"));
    world.wake(all[2]);
    world.run(MINUTE);
    assert_eq!(world.bodies_in_ops(all[2]), [Body::Delete { of }, text("stays")]);
    asks_for(&mut world, all[2], all[0], of);
    assert_eq!(world.bodies_in_ops(all[2]).len(), 2);
    assert_eq!(told(&world, all[0]), 0, "she knows that it is gone");
}

/// The relay takes nothing that this one says.
fn takes_nothing_of(world: &mut World, author: Who) {
    world.liar = Box::new(Instead(move |who, request: &Request| match request {
        Request::Append { entry, .. } if who == author => {
            let is_message = matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Message(_)));
            is_message.then_some(Err(Refusal::Internal))
        }
        _ => None,
    }));
}

#[test]
fn m21_what_is_being_deleted_is_not_said_behind_the_deletion() {
    for restarts in [false, true] {
        let (mut world, all) = ops(296, &["alice", "bob", "carol"]);
        loses_secrets(&mut world, all[2]);
        let of = world.put(all[0], text("gone"));
        takes_nothing_of(&mut world, all[0]);
        world.put(all[0], Body::Delete { of });
        world.wake(all[2]);
        world.run(MINUTE);
        if restarts {
            world.kill(all[0]);
            world.wake(all[0]);
            world.run(SECOND);
        }
        world.liar = Box::new(Honest);
        world.run(2 * MINUTE);
        world.put(all[0], text("later"));
        let read = world.bodies_in_ops(all[2]);
        assert!(read.contains(&text("later")) && !read.contains(&text("gone")), "{read:?}");
    }
}

#[test]
fn m21_of_what_was_changed_the_old_text_is_not_said_again_and_its_author_hears_of_it_once() {
    let (mut world, all) = ops(297, &["alice", "bob", "carol"]);
    loses_secrets(&mut world, all[2]);
    let of = world.put(all[0], text("umbrella"));
    let edit = |text: &str| Body::Edit { of, text: text.to_owned() };
    world.put(all[0], edit("parasol"));
    world.put(all[0], edit("awning"));
    world.wake(all[2]);
    world.run(MINUTE);
    assert_eq!(world.bodies_in_ops(all[2]), [edit("awning")]);
    assert_eq!(told(&world, all[0]), 1);
    asks_for(&mut world, all[2], all[0], of);
    assert_eq!(told(&world, all[0]), 1);
}

#[test]
fn m21_a_topic_that_another_one_has_replaced_is_not_said_again() {
    let (mut world, all) = ops(298, &["alice", "bob", "carol"]);
    loses_secrets(&mut world, all[2]);
    let topics = [(all[1], "one"), (all[0], "two"), (all[1], "three"), (all[0], "four")];
    for (who, it) in topics {
        world.put(who, topic(it));
    }
    world.wake(all[2]);
    world.run(MINUTE);
    assert_eq!(world.bodies_in_ops(all[2]), [topic("four")]);
}

#[test]
fn m22_what_is_said_again_comes_in_the_order_in_which_it_was_said() {
    let (mut world, all) = ops(299, &["alice", "bob", "carol"]);
    loses_secrets(&mut world, all[2]);
    let said: Vec<_> = (0..20).map(|n| text(&n.to_string())).collect();
    for it in &said {
        world.put(all[0], it.clone());
    }
    world.wake(all[2]);
    world.run(MINUTE);
    assert_eq!(world.bodies_in_ops(all[2]), said);
}

#[test]
fn what_is_asked_for_is_said_again_also_if_the_device_dies_over_it() {
    let deaths = [Death::BeforeStored, Death::AfterStored, Death::PowerCut];
    for (step, death) in (1..=6).flat_map(|step| deaths.map(|death| (step, death))) {
        let (mut world, all) = ops(300, &["alice", "bob", "carol"]);
        world.restarts_into_general = false;
        loses_secrets(&mut world, all[2]);
        let said = ["one", "two", "three"].map(text);
        for it in &said {
            world.put(all[0], it.clone());
        }
        world.wake(all[2]);
        let steps = world.person(all[0]).steps;
        world.dies(all[0], steps + step, death);
        world.run(2 * MINUTE);
        assert_eq!(world.bodies_in_ops(all[2]), said, "{death:?} at {step}");
    }
}

/// Texts as they were kept once, with what they say.
const SAID_WHOLE: u8 = 20;

#[test]
fn m21_what_was_kept_of_old_texts_goes_when_the_device_starts() {
    let (mut world, all) = ops(301, &["alice", "bob"]);
    world.kill(all[0]);
    let sub = [1_u64, 0].map(u64::to_be_bytes).concat();
    let key = Key { kind: SAID_WHOLE, group: None, sub };
    world.person_mut(all[0]).vault.records.insert(key.clone(), Blob(b"umbrella".to_vec()));
    world.wake(all[0]);
    world.run(SECOND);
    assert!(!world.person(all[0]).vault.records.contains_key(&key));
}
