//! Somebody has lost a key and comes back under another one: to the groups, and to each conversation of
//! two (`docs/protocol.md` §9.3).

use crate::{
    cases::deaths,
    coming::{accept, invite, ops, target},
    liar::{Answers, Honest},
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Command, Event, Grounds, Input, Order, Standing};
use openchat_wire::{
    GroupId, MessageId,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);

fn trust(world: &mut World, who: Who, whom: &str) {
    let (order, whom) = (world.next(), whom.parse().unwrap());
    let on = Grounds::Accepted;
    world.input(who, Input::Command(Command::Trust { order, who: whom, on }));
    world.outcome(who, order).unwrap().unwrap();
}

fn failure(world: &World, who: Who, message: MessageId) -> Option<&'static str> {
    world.person(who).events.iter().find_map(|event| match event {
        Event::Failed { id: Some(id), code, .. } if *id == message => Some(*code),
        _ => None,
    })
}

/// Alice and bob have talked, and bob gets another key.
fn two(seed: u64) -> (World, GroupId) {
    let mut world = World::new(seed);
    world.online_people(&["alice", "bob"]);
    world.tell(ALICE, "@bob", "hello, bob");
    world.run(MINUTE);
    world.tell(BOB, "@alice", "hello, alice");
    world.run(MINUTE);
    let group = world.summary(ALICE, "@bob").unwrap().group.unwrap();
    (world, group)
}

#[test]
fn who_was_reset_takes_the_seat_of_the_key_before_by_one_commit() {
    let (mut world, all) = World::with(780, &["alice", "bob", "carol"]);
    world.say(BOB, "it is me");
    world.run(SECOND);
    // Nobody else is there to remove the old one.
    for who in [ALICE, CAROL] {
        world.kill(who);
    }
    let new = world.reset(BOB);
    world.run(HOUR);
    let before = world.commits();
    world.start(new);
    assert!(world.run_until(10 * SECOND, |world| world.is_ready(new)));
    assert_eq!(world.commits() - before, 1, "the join takes the old seat");
    assert_eq!(world.members(new, "#general"), ["alice", "bob", "carol"]);
    for who in [ALICE, CAROL] {
        world.start(who);
    }
    world.run(10 * SECOND);
    world.say(new, "it is me again");
    world.run(SECOND);
    for who in [all[0], all[2]] {
        assert_eq!(world.person(who).texts(), ["it is me", "it is me again"]);
        assert_eq!(world.alarms(who), [AlarmCode::KeyChanged]);
        assert_eq!(world.members(who, "#general"), ["alice", "bob", "carol"]);
    }
    assert_eq!(world.alarms(new), []);
    assert_eq!(world.commits() - before, 1);
}

#[test]
fn who_was_reset_comes_back_into_a_closed_group_by_a_new_invitation() {
    let (mut world, _) = ops(781, &["alice", "bob", "carol"]);
    let new = world.reset(BOB);
    world.restarts_into_general = false;
    world.wake(new);
    world.run(10 * SECOND);
    assert_eq!(world.members(ALICE, "#ops"), ["alice", "carol"]);
    world.done(ALICE, invite("#ops", "bob"));
    world.run(SECOND);
    world.done(new, accept("#ops"));
    world.tell(new, "#ops", "back");
    world.run(2 * SECOND);
    for who in [ALICE, CAROL] {
        assert_eq!(world.person(who).texts(), ["back"]);
        assert_eq!(world.alarms(who), [AlarmCode::KeyChanged]);
    }
}

#[test]
fn a_conversation_of_two_ends_with_the_key_and_begins_anew_with_the_next_from_either_side() {
    for begins in [ALICE, BOB] {
        let (mut world, former) = two(782);
        let new = world.reset(BOB);
        world.wake(new);
        world.run(10 * SECOND);
        assert_eq!(world.alarms(ALICE), [AlarmCode::KeyChanged]);
        assert_eq!(world.summary(ALICE, "@bob"), None, "what was is not with the bob of now");
        let engine = world.person(ALICE).engine.as_ref().unwrap();
        let old = engine.conversations().find(|it| it.group == Some(former)).unwrap();
        assert_eq!(old.former, Some("bob".parse().unwrap()), "its tag says nothing to a person");
        assert_eq!(old.members.len(), 1, "the old key is out");
        let old = old.target.to_string();
        let id = world.tell(ALICE, &old, "is there anybody?");
        world.run(MINUTE);
        assert_eq!(failure(&world, ALICE, id), Some("denied"));
        if begins == ALICE {
            world.tell(ALICE, "@bob", "welcome back");
        } else {
            world.tell(new, "@alice", "welcome me back");
        }
        world.run(MINUTE);
        let (from, to) = if begins == ALICE { (ALICE, new) } else { (new, ALICE) };
        let wanted = if begins == ALICE { "welcome back" } else { "welcome me back" };
        assert!(
            world.person(to).texts().contains(&wanted.to_owned()),
            "{:?}",
            world.person(from).events
        );
        let group = world.summary(ALICE, "@bob").unwrap().group.unwrap();
        assert_ne!(group, former);
        assert_eq!(world.summary(new, "@alice").unwrap().group, Some(group));
        let texts = world.person(ALICE).texts();
        assert!(texts.starts_with(&["hello, bob".to_owned(), "hello, alice".to_owned()]));
        // It stays so after a start.
        world.kill(ALICE);
        world.wake(ALICE);
        world.run(10 * SECOND);
        assert_eq!(world.summary(ALICE, "@bob").unwrap().group, Some(group));
        world.tell(new, "@alice", "and again");
        world.run(SECOND);
        assert_eq!(world.person(ALICE).texts().last().unwrap(), "and again");
        for who in [ALICE, new] {
            let alarms = world.alarms(who);
            assert!(alarms.iter().all(|it| *it == AlarmCode::KeyChanged), "{who:?} {alarms:?}");
        }
    }
}

#[test]
fn both_write_first_after_a_reset_and_meet_in_one_conversation() {
    let (mut world, _) = two(783);
    let new = world.reset(BOB);
    world.wake(new);
    world.run(10 * SECOND);
    trust(&mut world, ALICE, "bob");
    world.tell(ALICE, "@bob", "one");
    world.tell(new, "@alice", "two");
    world.run(MINUTE);
    assert_eq!(
        world.summary(ALICE, "@bob").unwrap().group,
        world.summary(new, "@alice").unwrap().group
    );
    for (who, other) in [(ALICE, "two"), (new, "one")] {
        assert!(world.person(who).texts().contains(&other.to_owned()), "{who:?}");
        assert_eq!(world.queued(who), 0);
    }
}

#[test]
fn a_reset_while_a_text_waits_for_the_first_prekey_does_not_leave_it_waiting_for_ever() {
    let mut world = World::new(784);
    let alice = world.online_people(&["alice"])[0];
    let bob = world.enroll("bob");
    let id = world.tell(alice, "@bob", "are you there yet?");
    world.run(MINUTE);
    assert_eq!(failure(&world, alice, id), None, "it waits");
    let new = world.reset(bob);
    world.wake(new);
    world.run(2 * MINUTE);
    // Nobody has compared the key of before, so the change is told and holds nothing.
    assert_eq!(world.alarms(alice), [AlarmCode::KeyChanged]);
    assert_eq!(failure(&world, alice, id), None);
    assert_eq!(world.person(new).texts(), ["are you there yet?"]);
}

#[test]
fn t16_the_relay_can_t_pass_the_old_conversation_off_as_the_new_one() {
    let (mut world, former) = two(785);
    // Alice's device has lost its vault, and knows of nothing.
    let new = world.reset(BOB);
    world.wake(new);
    world.run(10 * SECOND);
    world.kill(ALICE);
    let device = world.copy(ALICE);
    world.person_mut(device).vault = crate::vault::Vault::default();
    world.holds_keys_single = false;
    world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
        Request::FindDirect(_) => Ok(Answer::Group(former)),
        _ => answer,
    }));
    world.wake(device);
    world.run(10 * SECOND);
    world.tell(device, "@bob", "for the bob of now");
    world.run(2 * MINUTE);
    assert_eq!(world.person(new).texts(), [] as [&str; 0]);
    let commits = world.server.entries(&former, openchat_wire::Seq(0));
    for (_, entry) in commits {
        if let Ok(openchat_roster::LogEntry::Message(message)) =
            openchat_roster::LogEntry::decode(&entry)
        {
            let stands =
                world.person(BOB).vault.messages.iter().any(|it| it.id == message.header.id);
            assert!(stands, "nothing more was sealed in the conversation with the key of before");
        }
    }
    world.liar = Box::new(Honest);
    assert!(world.queued(device) == 0 || world.summary(device, "@bob").is_some());
}

#[test]
fn a_reset_survives_death_at_every_step_of_the_one_who_stays() {
    for (step, death) in deaths(11) {
        let (mut world, former) = two(786);
        world.restarts_into_general = false;
        let steps = world.person(ALICE).steps;
        world.dies(ALICE, steps + step, death);
        let new = world.reset(BOB);
        world.wake(new);
        world.run(20 * SECOND);
        let back = |world: &World| world.person(ALICE).engine.is_some();
        assert!(world.run_until(MINUTE, back));
        // Twice, for the case that the device died over the first.
        for _ in 0..2 {
            let order = world.next();
            let (who, on) = ("bob".parse().unwrap(), Grounds::Accepted);
            world.input(ALICE, Input::Command(Command::Trust { order, who, on }));
            world.run(SECOND);
            assert!(world.run_until(MINUTE, back));
        }
        let id = world.tell(ALICE, "@bob", "welcome back");
        if world.person(ALICE).engine.is_none() {
            assert!(world.run_until(MINUTE, back));
            world.tell_as(ALICE, "@bob", id, "welcome back");
        }
        world.run(2 * MINUTE);
        let note = format!("{death:?} {step}");
        assert_eq!(world.person(new).texts(), ["welcome back"], "{note}");
        let engine = world.person(ALICE).engine.as_ref().unwrap();
        let old = engine.conversations().find(|it| it.group == Some(former)).unwrap();
        assert_eq!(old.members.len(), 1, "{note}");
        assert_ne!(old.standing, Standing::Halted, "{note}");
    }
}

#[test]
fn a_group_that_waits_for_somebody_whose_key_goes_is_answered() {
    let mut world = World::new(787);
    let all = world.online_people(&["alice", "bob"]);
    let carol = world.enroll("carol");
    let order = world
        .order(all[0], crate::coming::new("ops", &["bob", "carol"], openchat_engine::Bring::Add));
    world.run(100);
    world.reset(carol);
    world.run(2 * MINUTE);
    let outcome = world.outcome(all[0], order);
    assert!(outcome.is_some(), "the order has an answer");
    let left = world.order(all[1], Order::Leave { target: target("#ops") });
    world.run(SECOND);
    assert!(world.outcome(all[1], left).is_some());
}
