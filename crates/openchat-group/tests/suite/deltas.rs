//! What a step stores: bounded whatever the size of the group, and all that is needed.

use openchat_group::{Group, Proposal, StateKey};
use openchat_roster::{LogEntry, Policy, PrekeyKind};
use openchat_wire::{GroupId, encode};

use crate::kit::{
    Act, Device, SecretsView, World,
    world::{commit_of, naming},
};

/// A group of `size`, of which the creator and three more are at hand. The creator owns the leaves
/// of all who are not.
fn group_of(size: usize) -> World {
    let mut world = World::closed(1, 1, 0);
    let nowhere = GroupId([0; 32]);
    let mut others: Vec<Device> =
        (1..size).map(|index| Device::new(index, nowhere, &world.rng)).collect();
    let adds = others.iter_mut().map(|it| it.as_new_member(PrekeyKind::OneTime)).collect();
    let proposal = Proposal { adds, ..Proposal::default() };
    let policy = Policy::closed(&naming());
    let entry = world.devices[0].create_with(policy, proposal).unwrap();
    let group = *world.devices[0].group.roster().group();
    let kept = [1, size / 2, size - 1];
    let others = others.into_iter().enumerate();
    world.devices.extend(others.filter(|(at, _)| kept.contains(&(at + 1))).map(|(_, it)| it));
    for device in &mut world.devices[1..] {
        device.group = Group::new(group, device.key.fingerprint());
    }
    (world.log, world.devices[0].read) = (Vec::new(), 0);
    world.publish(entry);
    for member in 1..world.devices.len() {
        world.act(member, Act::Update);
    }
    world.devices.iter_mut().for_each(|device| {
        device.store();
    });
    world
}

/// Bytes that steps of these kinds store at most: a message, a commit by its author before it is
/// sent, and one that is read.
fn largest(world: &mut World) -> [usize; 3] {
    let mut most = [0; 3];
    let mut grow = |kind: usize, bytes: usize| most[kind] = most[kind].max(bytes);
    for round in 0..3 {
        for speaker in 0..world.devices.len() {
            let entry = world.devices[speaker].seal("0123456789").unwrap();
            grow(0, world.devices[speaker].store());
            world.publish(entry);
            world.devices.iter_mut().for_each(|device| grow(0, device.store()));
        }
        let author = round + 1;
        let entry = world.devices[author].make(Act::Update).unwrap();
        grow(1, world.devices[author].store());
        world.publish(entry);
        world.devices.iter_mut().for_each(|device| grow(2, device.store()));
    }
    most
}

#[test]
fn a_step_stores_little_whatever_the_size_of_the_group() {
    let [small, large] = [group_of(8), group_of(300)].map(|mut world| largest(&mut world));
    for (bytes, limit) in [small, large].into_iter().flat_map(|it| it.into_iter().zip([1_024; 3])) {
        assert!(bytes <= limit * 2, "{small:?} {large:?}");
    }
    assert!(large[0] <= 1_024, "a message: {large:?}");
    // The author's record holds the commit itself, one key a level.
    assert!(large[1] - small[1] < 1_000, "{small:?} {large:?}");
    // Who reads a commit stores its secrets; the height of the tree does not matter.
    assert!(large[2] <= small[2] + 250, "{small:?} {large:?}");
}

/// The records, put together from what each step says has changed, are all there is.
#[test]
fn deltas_add_up_to_the_whole() {
    let mut world = World::closed(2, 5, 2);
    world.say(1, "one");
    world.add(1, 5);
    world.say(5, "two");
    world.act(3, Act::Rejoin);
    world.admit(0, 6);
    world.act(6, Act::Join);
    world.evict(0, &[2]);
    world.say(4, "three");
    for device in &mut world.devices {
        let vault = device.vault();
        assert!(device.group.take_changes().is_empty(), "taken once");
        let Some(secrets) = device.group.secrets() else {
            assert!(vault.is_empty());
            continue;
        };
        assert_eq!(vault[&StateKey::Secrets].0, encode(secrets));
        let epochs = device.group.epochs().count();
        let heads = vault.keys().filter(|key| matches!(key, StateKey::Epoch(_))).count();
        assert_eq!(epochs, heads);
        let before = device.snapshot();
        device.restart();
        assert_eq!(device.snapshot(), before);
    }
    world.assert_all_talk();
}

#[test]
fn a_message_has_at_most_240_bytes_beside_its_text_and_an_update_1200() {
    let mut world = group_of(300);
    for length in [0, 1, 32, 100, 255, 1_000, 4_000, 16_000] {
        let text = "x".repeat(length);
        let entry = world.devices[1].seal(&text).unwrap();
        // Padmé adds up to an eighth.
        let padding = length / 8 + 16;
        assert!(entry.len() - length <= 240 + padding, "{length}: {}", entry.len());
        if length == 32 {
            assert!(entry.len() - length <= 240, "{}", entry.len());
        }
        world.publish(entry);
    }
    let update = world.devices[1].make(Act::Update).unwrap();
    // One level less than a group of a thousand, whose keys take 68 bytes each.
    assert!(update.len() + 68 <= 1_200, "{} bytes", update.len());
}

/// What an author draws for others is gone once the commit is made.
#[test]
fn an_author_keeps_no_secret_of_anothers_leaf() {
    let mut world = World::closed(3, 2, 1);
    let adds = vec![world.devices[2].as_new_member(PrekeyKind::OneTime)];
    let entry = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
    let made = world.devices[1].vault();
    world.publish(entry);
    let after = world.devices[1].vault();
    let leaf = SecretsView::of(&world.devices[2].group).leaf;
    for vault in [made, after] {
        for (key, record) in vault {
            let has = record.0.windows(32).any(|bytes| bytes == leaf.expose());
            assert!(!has, "{key:?}");
        }
    }
    // Its own it has, and so would this test find it.
    let own = SecretsView::of(&world.devices[1].group).leaf;
    let vault = world.devices[1].vault();
    assert!(vault[&StateKey::Secrets].0.windows(32).any(|bytes| bytes == own.expose()));
    assert!(matches!(LogEntry::decode(world.log.last().unwrap()), Ok(LogEntry::Commit(_))));
    assert!(commit_of(world.log.last().unwrap()).view().unwrap().ephemeral.is_some());
}
