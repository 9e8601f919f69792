//! A device that runs twice, and devices that have lost what they knew.

use crate::{
    answers::is_commit,
    liar::Instead,
    vault::Vault,
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Key};
use openchat_group::StateKey;
use openchat_wire::relay::{Refusal, Request};

/// `Kind::State` as it is stored: numbers are for ever.
const STATE: u8 = 14;

/// Whether it is the record of a group's secrets.
fn is_secrets(key: &Key) -> bool {
    key.kind == STATE && key.sub == StateKey::Secrets.to_bytes()
}

/// Whether it is a record of message keys.
fn is_ratchets(key: &Key) -> bool {
    let is_other = |part| matches!(part, StateKey::Secrets | StateKey::Pending);
    key.kind == STATE && !StateKey::from_bytes(&key.sub).is_none_or(is_other)
}

/// A world in which a copy of bob's device runs beside it.
fn with_copy(seed: u64) -> (World, Who, Who, Who) {
    let (mut world, all) = World::with(seed, &["alice", "bob"]);
    world.holds_keys_single = false;
    world.kill(all[1]);
    let copy = world.copy(all[1]);
    world.start(all[1]);
    world.start(copy);
    world.run(SECOND);
    (world, all[0], all[1], copy)
}

#[test]
fn a_message_of_a_copy_is_an_alarm_on_the_other_device() {
    let (mut world, alice, bob, copy) = with_copy(60);
    world.say(copy, "bob did not write this");
    world.run(SECOND);
    assert_eq!(world.alarms(bob), [AlarmCode::Clone]);
    assert_eq!(world.alarms(alice), []);
    // What the device knows to be its own does not alarm it.
    world.say(bob, "bob wrote this");
    world.run(SECOND);
    assert_eq!(world.alarms(bob), [AlarmCode::Clone]);
    assert_eq!(world.alarms(copy), [AlarmCode::Clone]);
}

#[test]
fn two_copies_raise_alarms_and_do_not_rejoin_against_each_other_for_ever() {
    let (mut world, alice, bob, copy) = with_copy(61);
    for _ in 0..3 {
        world.sleep(20 * HOUR);
        world.run(10 * MINUTE);
    }
    for who in [bob, copy] {
        assert!(world.alarms(who).contains(&AlarmCode::Clone), "{who:?}");
    }
    let commits = world.commits();
    assert!(commits < 14, "{commits} commits in 60 hours");
    world.forget_events();
    world.say(alice, "who of you is bob?");
    world.run(SECOND);
    let heard = |who| world.person(who).texts().contains(&"who of you is bob?".to_owned());
    assert!(heard(bob) || heard(copy), "one of them goes on");
    assert_eq!(world.alarms(alice), []);
}

#[test]
fn an_old_backup_is_an_alarm_and_comes_back() {
    let (mut world, all) = World::with(62, &["alice", "bob"]);
    let backup = world.person(all[1]).vault.clone();
    world.sleep(29 * HOUR);
    world.run(MINUTE);
    world.say(all[1], "after the backup");
    world.run(SECOND);
    world.kill(all[1]);
    world.person_mut(all[1]).vault = backup;
    world.holds_keys_single = false;
    world.forget_events();
    world.start(all[1]);
    world.run(MINUTE);
    assert!(world.alarms(all[1]).contains(&AlarmCode::Clone));
    world.say(all[1], "restored");
    world.say(all[0], "welcome back");
    world.run(SECOND);
    assert!(world.person(all[0]).texts().contains(&"restored".to_owned()));
    assert!(world.person(all[1]).texts().contains(&"welcome back".to_owned()));
    assert_eq!(world.alarms(all[0]), []);
}

/// Bob loses records, with a message still in his outbox, and comes back by himself.
fn loses(seed: u64, lost: impl Fn(&Key) -> bool) {
    let (mut world, all) = World::with(seed, &["alice", "bob", "carol"]);
    world.say(all[1], "before");
    world.run(SECOND);
    world.disconnect(all[1]);
    world.say(all[1], "queued");
    world.kill(all[1]);
    let records = &mut world.person_mut(all[1]).vault.records;
    let before = records.len();
    records.retain(|key, _| !lost(key));
    assert!(records.len() < before);
    world.say(all[0], "while he was away");
    world.run(SECOND);
    world.start(all[1]);
    world.run(MINUTE);
    world.say(all[0], "hello again");
    world.run(SECOND);
    world.say(all[1], "hello");
    world.run(SECOND);
    let expected = ["before", "while he was away", "queued", "hello again", "hello"];
    assert_eq!(world.person(all[0]).texts(), expected);
    assert_eq!(world.person(all[1]).texts().last().unwrap(), "hello");
    assert_eq!(world.queued(all[1]), 0);
    for who in &all {
        assert_eq!(world.alarms(*who), []);
    }
    assert_eq!(world.person(all[0]).unreadable(), []);
}

#[test]
fn lost_secrets_come_back_by_a_rejoin() {
    loses(63, |key| is_secrets(key) || is_ratchets(key));
}

#[test]
fn lost_secrets_alone_come_back_by_a_rejoin() {
    loses(64, is_secrets);
}

#[test]
fn lost_message_keys_come_back_by_a_rejoin() {
    loses(65, is_ratchets);
}

#[test]
fn a_slow_network_makes_no_device_rejoin_against_itself() {
    for seed in 670..680 {
        let (mut world, all) = World::with(seed, &["alice", "bob"]);
        let (alice, bob) = (all[0], all[1]);
        world.kill(bob);
        world.person_mut(bob).vault.records.retain(|key, _| !is_secrets(key));
        world.latency = 1_500;
        let mut denials = 2;
        world.liar = Box::new(Instead(move |who, request: &Request| {
            let fails = who == bob && denials > 0 && is_commit(request);
            denials -= usize::from(fails);
            fails.then_some(Err(Refusal::Internal))
        }));
        world.start(bob);
        world.run(MINUTE);
        world.say(bob, "back");
        world.run(MINUTE);
        world.assert_no_alarms();
        assert_eq!(world.person(alice).texts(), ["back"]);
        assert_eq!(world.commits(), 3, "one rejoin");
    }
}

#[test]
fn a_device_that_has_only_its_identity_left_comes_back() {
    let (mut world, all) = World::with(66, &["alice", "bob"]);
    world.say(all[1], "before");
    world.run(SECOND);
    world.kill(all[1]);
    world.person_mut(all[1]).vault = Vault::default();
    world.start(all[1]);
    world.run(MINUTE);
    world.say(all[1], "I know nothing any more");
    world.say(all[0], "then we begin anew");
    world.run(SECOND);
    assert_eq!(world.person(all[0]).texts().len(), 3);
    assert_eq!(world.person(all[1]).texts().len(), 2);
    assert_eq!(world.alarms(all[0]), []);
    assert_eq!(world.alarms(all[1]), []);
}
