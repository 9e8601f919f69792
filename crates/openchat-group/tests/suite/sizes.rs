//! Trees of every size: everybody agrees, whoever joins, whoever renews, whoever comes late.

use openchat_crypto::Secret;
use openchat_group::Effect;
use openchat_roster::LogEntry;
use openchat_wire::encode;

use crate::kit::{Act, Device, SecretsView, World, world::open_policy};

/// One more than a full tree of 32.
const MOST: usize = 33;

#[test]
fn members_of_trees_of_1_to_33_agree_and_talk() {
    let mut world = World::empty(1, MOST, open_policy());
    for size in 1..=MOST {
        assert_eq!(world.seated().len(), size);
        world.assert_agree();
        if size <= 9 || size.is_power_of_two() || (size - 1).is_power_of_two() {
            world.assert_all_talk();
        } else {
            world.assert_heard(&[0, size / 2, size - 1]);
        }
        if size < MOST {
            world.act(size, Act::Join);
        }
    }
}

#[test]
fn everybody_renews_in_trees_of_many_sizes() {
    for size in [1, 2, 3, 5, 8, 9, 17] {
        let mut world = World::new(2, size, 0);
        for who in 0..size {
            let act = if who % 3 == 2 { Act::Rejoin } else { Act::Update };
            let events = world.act(who, act);
            let followed = |&device: &usize| {
                device == who || events[device].effect() == Effect::Followed { back: false }
            };
            assert!((0..size).all(|device| followed(&device)), "{events:?}");
            world.assert_heard(&[who]);
        }
        world.assert_agree();
        world.assert_all_talk();
    }
}

#[test]
fn late_joiners_read_the_log_from_its_beginning() {
    let mut world = World::new(4, 3, 0);
    for round in 0..4 {
        world.act(round % 3, Act::Update);
        world.say(round % 3, "before");
        let index = world.devices.len();
        let group = *world.roster().group();
        let mut late = Device::new(index, group, &world.rng);
        let events = late.read(&world.log);
        assert_eq!(events.len(), world.log.len());
        assert!(events.iter().all(|event| event.text().is_none()), "nothing is readable");
        world.devices.push(late);
        world.act(index, Act::Join);
        world.assert_agree();
        world.assert_all_talk();
    }
}

/// Only the commits of the log matter to the state.
#[test]
fn a_joiner_who_reads_commits_only_has_the_same_state() {
    let mut world = World::new(5, 3, 1);
    world.say(0, "chatter");
    world.act(1, Act::Update);
    world.say(2, "more");
    let group = *world.roster().group();
    let mut reader = Device::new(3, group, &world.rng);
    reader.group.read_commits_only();
    for bytes in &world.log {
        if let Ok(LogEntry::Commit(_)) = LogEntry::decode(bytes) {
            reader.judge(bytes);
        }
    }
    assert_eq!(reader.group.seen(), None);
    reader.read = world.log.len();
    let tail = world.devices[0].group.seen().unwrap();
    reader.group.begin_reading(tail);
    world.devices[3] = reader;
    world.act(3, Act::Join);
    world.assert_agree();
    world.assert_all_talk();
}

/// Everybody derives the same bytes, not just keys that happen to open.
#[test]
fn all_members_store_the_same_epoch() {
    let mut world = World::new(6, 6, 0);
    world.act(4, Act::Update);
    let epoch = world.roster().epoch();
    let stored = |index: usize| {
        let group = &world.devices[index].group;
        let secrets = SecretsView::of(group);
        let common = (secrets.init, secrets.hedge, *secrets.external.public());
        (common, encode(group.ratchets(epoch).unwrap()))
    };
    for other in 1..6 {
        assert_eq!(stored(0), stored(other));
    }
    let leaves: Vec<Secret> =
        (0..6).map(|index| SecretsView::of(&world.devices[index].group).leaf).collect();
    for (index, leaf) in leaves.iter().enumerate() {
        assert!(!leaves[index + 1..].contains(leaf));
    }
}
