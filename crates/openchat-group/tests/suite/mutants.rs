//! Checks that other tests pass by: each of these fails if one line of the source is another.

use openchat_crypto::{Label, Secret, fernet::MessageKey};
use openchat_group::{Author, CommitError, Effect, Group, Proposal};
use openchat_roster::{CommitFault, MessageEntry, NodeIndex, Role};
use openchat_wire::{Epoch, Slot, decode, encode};

use crate::kit::{
    Act, SecretsView, Thief, World,
    views::RatchetsView,
    world::{commit_of, message_of},
};

/// A commit in this device's name is not its own because it has one of its own under way: with that
/// one's secrets it would go on in an epoch that nobody else is in.
#[test]
fn a_copys_commit_is_not_mine_though_one_is_pending() {
    let mut world = World::new(1, 3, 0);
    let mut copy = world.devices[1].group.clone();
    let device = &mut world.devices[1];
    device.make(Act::Update).unwrap();
    let author = Author { key: &device.key, name: &device.name, head: device.head };
    let entry = copy.update(&author, &mut device.rng).unwrap().entry.0.clone();
    let events = world.publish(entry);
    assert_eq!(events[1].effect(), Effect::NotMine);
    assert_eq!(world.devices[1].group.pending(), None);
    assert!(world.devices[1].group.is_left_behind());
    world.act(1, Act::Rejoin);
    world.assert_all_talk();
}

/// Neither who has written a message nor who has read it keeps a secret that leads to its key; to
/// that of the next one they do.
#[test]
fn what_was_read_opens_by_no_secret_that_is_kept() {
    let mut world = World::new(2, 5, 0);
    for (author, reader) in [(0, 3), (4, 1)] {
        let first = world.devices[author].seal("first").unwrap();
        let second = world.devices[author].seal("second").unwrap();
        world.publish(first.clone());
        for device in [author, reader] {
            world.devices[device].restart();
            let group = &world.devices[device].group;
            assert!(!opens(group, &message_of(&first)), "d{device} keeps a used key");
            let is_unused = device == reader;
            assert_eq!(opens(group, &message_of(&second)), is_unused, "d{device}");
        }
        world.publish(second);
    }
}

/// Whether a message's key follows from what a device keeps of its epoch.
fn opens(group: &Group, message: &MessageEntry) -> bool {
    let ratchets = group.ratchets(message.header.epoch).unwrap();
    let view: RatchetsView = decode(&encode(ratchets), 100_000).unwrap();
    let mut chains: Vec<Secret> = view.ratchets.values().map(|(_, it)| it.clone()).collect();
    for (NodeIndex { level, .. }, secret) in &view.nodes {
        chains.extend(leaves(secret, *level));
    }
    let header = message.header.hash(group.roster().group());
    let opens = |secret: Secret| {
        let key = secret.expand(Label::MessageKey, &header.0);
        MessageKey::new(key).open(&message.token.0).is_ok()
    };
    chains.iter().flat_map(generations).any(opens)
}

/// The ratchets below a node of the secret tree.
fn leaves(secret: &Secret, level: u8) -> Vec<Secret> {
    (0..level).fold(vec![secret.clone()], |row, _| {
        let below = |secret: &Secret| {
            [Label::TreeLeft, Label::TreeRight].map(|label| secret.expand(label, b""))
        };
        row.iter().flat_map(below).collect()
    })
}

/// What a ratchet leads to, whichever of the first generations it stands at.
fn generations(ratchet: &Secret) -> Vec<Secret> {
    let mut all = Vec::new();
    for start in 0..4_u32 {
        let mut ratchet = ratchet.clone();
        for generation in start..4 {
            let generation = generation.to_be_bytes();
            all.push(ratchet.expand(Label::RatchetGeneration, &generation));
            ratchet = ratchet.expand(Label::RatchetNext, &generation);
        }
    }
    all
}

/// An open group takes anyone, but not whom an admin has thrown out: neither with that key nor with
/// another one under that name.
#[test]
fn who_was_thrown_out_of_an_open_group_stays_outside() {
    let mut world = World::new(3, 3, 1);
    world.evict(0, &[2]);
    let refused = Err(CommitError::Fault(CommitFault::Authority));
    assert_eq!(world.devices[2].make(Act::Join), refused);
    let thrown_out = world.devices[2].name.clone();
    let own = core::mem::replace(&mut world.devices[3].name, thrown_out);
    assert_eq!(world.devices[3].make(Act::Join), refused);
    world.devices[3].name = own;
    world.act(3, Act::Join);
    assert_eq!(world.roster().epoch(), Epoch(5));
    world.assert_heard(&[0, 1, 3]);
}

/// Its leaf was its adder's and not its own: whoever else removes it sets that leaf all the same.
#[test]
fn who_never_claimed_is_removed_by_another_than_its_adder() {
    let mut world = World::closed(4, 3, 1);
    let roles = vec![(world.fingerprint(1), Role::Admin)];
    world.propose(0, Proposal { roles, ..Proposal::default() });
    world.add(0, 3);
    let mut thief = Thief::default();
    thief.steal(&SecretsView::of(&world.devices[3].group));
    let before = world.roster().clone();
    world.evict(1, &[3]);
    thief.listen(&before, &commit_of(world.log.last().unwrap()), world.roster());
    assert!(!thief.knows(world.roster().epoch()));
    assert!(world.roster().tree().leaf(Slot(3)).is_some_and(|leaf| leaf.seat.is_none()));
    world.assert_heard(&[0, 1, 2]);
}
