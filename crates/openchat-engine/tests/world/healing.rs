//! Members renew their keys by themselves.

use crate::{
    coming::{ops, target},
    world::{HOUR, MINUTE, SECOND, World},
};
use openchat_engine::Order;
use openchat_wire::relay::{Answer, Request};

/// `Kind::State` and `Kind::Prekey` as they are stored: numbers are for ever.
const STATE: u8 = 14;
const PREKEY: u8 = 15;

#[test]
fn a_renewal_replaces_the_prekeys_that_a_thief_has_copied() {
    let (mut world, all) = ops(297, &["alice", "bob"]);
    let stolen: Vec<_> = world.person(all[1]).vault.records.keys().cloned().collect();
    world.run(30 * HOUR);
    let fetch = Request::FetchPrekey(world.person(all[1]).identity.fingerprint);
    let alice = world.person(all[0]).identity.clone();
    let now = openchat_wire::UnixMillis(world.now);
    let Ok(Answer::Prekey(given)) = world.server.relay.handle(&alice, &fetch, now).answer else {
        panic!("no prekey")
    };
    let hash = openchat_roster::SignedPrekey::decode(&given.0).unwrap().hash();
    let has = |key: &openchat_engine::Key| key.kind == PREKEY && key.sub == hash.0;
    assert!(world.person(all[1]).vault.records.keys().any(has));
    assert!(!stolen.iter().any(has), "the relay gives out what was stolen");
}

#[test]
fn the_last_one_who_leaves_takes_every_secret_along() {
    let (mut world, all) = ops(298, &["alice", "bob"]);
    let secrets = |world: &World| {
        world.person(all[0]).vault.records.keys().filter(|key| key.kind == STATE).count()
    };
    world.done(all[1], Order::Leave { target: target("#ops") });
    world.run(MINUTE);
    assert_eq!(world.members(all[0], "#ops"), ["alice"]);
    assert_ne!(secrets(&world), 0);
    world.done(all[0], Order::Leave { target: target("#ops") });
    world.run(SECOND);
    assert_eq!(secrets(&world), 0);
    world.kill(all[0]);
    world.wake(all[0]);
    world.run(MINUTE);
    assert_eq!(secrets(&world), 0);
    world.assert_no_alarms();
}

#[test]
fn everybody_renews_keys_within_a_day_and_a_fifth() {
    let (mut world, all) = World::with(40, &["alice", "bob"]);
    let before = world.epoch(all[0]);
    world.sleep(19 * HOUR);
    world.run(5 * MINUTE);
    assert_eq!(world.epoch(all[0]), before, "not before 24 h less a fifth");
    let renewed = world.run_until(10 * HOUR, |world| world.epoch(all[0]) == before + 2);
    assert!(renewed, "each once");
    world.run(HOUR);
    assert_eq!(world.epoch(all[0]), before + 2, "and no more");
    world.say(all[0], "still here");
    world.run(SECOND);
    assert_eq!(world.person(all[1]).texts(), ["still here"]);
    world.assert_no_alarms();
}

#[test]
fn two_renewals_that_race_both_come_through() {
    let (mut world, all) = World::with(41, &["alice", "bob", "carol"]);
    let before = world.epoch(all[0]);
    for who in &all {
        world.kill(*who);
    }
    world.now += 48 * HOUR;
    for who in &all {
        world.start(*who);
    }
    for n in 0..20 {
        world.say(all[n % 3], &format!("{n}"));
        world.run(20);
    }
    world.run(10 * MINUTE);
    assert_eq!(world.epoch(all[0]), before + 3, "each once");
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).texts().len(), 20);
}

#[test]
fn a_thousand_messages_of_its_own_renew_a_members_keys() {
    let (mut world, all) = World::with(42, &["alice", "bob"]);
    let before = world.epoch(all[1]);
    for n in 0..130 {
        for m in 0..10 {
            world.say(all[0], &format!("{n} {m}"));
        }
        world.run(100);
        if n == 78 {
            assert_eq!(world.epoch(all[1]), before, "not before 1,000 less a fifth");
        }
    }
    world.run(2 * MINUTE);
    assert_eq!(world.epoch(all[1]), before + 1);
    assert_eq!(world.person(all[1]).texts().len(), 1_300);
    world.assert_no_alarms();
    world.assert_same(&all);
}
