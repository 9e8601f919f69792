//! A device that ends and starts again from its records goes on where it was.

use openchat_crypto::KeyPair;
use openchat_group::{Effect, Group, Proposal, RestoreError, StateKey};
use openchat_roster::{CommitFault, PrekeyKind, Roster};
use openchat_wire::{Blob, DecodeError, Generation, decode};

use crate::kit::{
    Act, Event, World,
    world::{commit_of, message_of},
};

#[test]
fn a_restart_at_every_step_changes_nothing() {
    let mut world = World::new(1, 4, 1);
    for round in 0..4 {
        for device in &mut world.devices {
            let before = device.snapshot();
            device.restart();
            assert_eq!(device.snapshot(), before);
        }
        world.assert_all_talk();
        let act = if round % 2 == 0 { Act::Update } else { Act::Rejoin };
        world.act(round, act);
    }
    world.devices[4].restart();
    world.act(4, Act::Join);
    world.assert_all_talk();
}

/// Sealed, stored, and then the process ends: the next message takes the next key.
#[test]
fn no_generation_is_used_twice() {
    let mut world = World::new(2, 3, 0);
    let mut sent = Vec::new();
    for number in 0..10 {
        sent.push(world.devices[1].seal(&number.to_string()).unwrap());
        if number % 2 == 0 {
            world.devices[1].restart();
        }
        if number == 6 {
            world.act(0, Act::Update);
        }
    }
    let used: Vec<_> = sent
        .iter()
        .map(|entry| message_of(entry).header)
        .map(|header| (header.epoch.0, header.generation))
        .collect();
    let expected = (0..7).map(|g| (3, Generation(g))).chain((0..3).map(|g| (4, Generation(g))));
    assert!(used.iter().copied().eq(expected), "{used:?}");
    for (number, entry) in sent.into_iter().enumerate() {
        let events = world.publish(entry);
        assert_eq!(events[0].text(), Some(&number.to_string()[..]));
        assert_eq!(events[1], Event::OwnMessage);
        world.devices[0].restart();
        world.devices[2].restart();
    }
}

/// A backup of the same epoch reads its own later messages out of the log, and so goes past them.
#[test]
fn a_backup_uses_no_key_that_the_log_shows_as_used() {
    let mut world = World::new(8, 3, 0);
    let backup = world.devices[1].vault();
    let sent: Vec<_> = (0..3).map(|n| world.devices[1].seal(&n.to_string()).unwrap()).collect();
    for entry in &sent {
        world.publish(entry.clone());
    }
    world.devices[1].restart_with(&backup);
    for entry in &sent {
        let opened = world.devices[1].group.open(&message_of(entry)).unwrap();
        assert_eq!(opened.author, world.devices[1].key.fingerprint());
    }
    let next = world.devices[1].seal("after the backup").unwrap();
    assert_eq!(message_of(&next).header.generation, Generation(3));
    assert_eq!(world.publish(next)[0].text(), Some("after the backup"));
}

#[test]
fn a_pending_commit_outlives_the_process() {
    for (who, act) in [(0, Act::Update), (1, Act::Rejoin), (2, Act::Join)] {
        let mut world = World::new(3, 2, 1);
        let entry = world.devices[who].make(act).unwrap();
        world.devices[who].restart();
        assert_eq!(world.devices[who].pending(), entry);
        assert_eq!(world.publish(entry)[who].effect(), Effect::Own);
        world.devices[who].restart();
        world.assert_all_talk();
    }
}

#[test]
fn a_pending_add_outlives_the_process_with_its_letters() {
    let mut world = World::closed(9, 3, 2);
    let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
    let admits = vec![world.devices[4].as_invited()];
    let proposal = Proposal { adds, admits, ..Proposal::default() };
    let entry = world.devices[1].propose(proposal).unwrap();
    let before = world.devices[1].group.pending().unwrap().clone();
    world.devices[1].restart();
    assert_eq!(world.devices[1].group.pending(), Some(&before));
    assert_eq!(before.letters.len(), 2);
    let events = world.publish(entry);
    assert_eq!(events[1].effect(), Effect::Own);
    assert!(matches!(events[3].effect(), Effect::Added { .. }));
    assert!(matches!(events[4].effect(), Effect::Invited(Ok(_))));
    world.assert_agree();
    world.assert_all_talk();
}

#[test]
fn a_creation_outlives_the_process() {
    let mut world = World::new(4, 1, 0);
    let device = &mut world.devices[0];
    let entry = device.create(crate::kit::world::open_policy());
    let vault = device.vault();
    let id = commit_of(&entry).view().unwrap().group;
    let seen = device.group.seen();
    device.group = Group::restore(id, device.key.fingerprint(), [], seen, vault).unwrap();
    assert_eq!(device.judge(&entry).effect(), Effect::Own);
    assert!(device.seal("hello").is_ok());
}

#[test]
fn whoever_was_left_behind_still_is_after_a_restart() {
    let mut world = World::new(5, 3, 0);
    let old = world.devices[2].vault();
    world.act(0, Act::Update);
    world.devices[2].restart_with(&old);
    world.devices[2].restart();
    assert_eq!(world.stuck(), [2]);
    world.act(2, Act::Rejoin);
    world.assert_all_talk();
    world.devices[1].lose_secrets();
    assert_eq!(world.stuck(), [1]);
    world.act(1, Act::Rejoin);
    world.assert_all_talk();
}

/// The roster from one's own store is the one that was checked from the log.
#[test]
fn replaying_gives_what_checking_gave() {
    let mut world = World::new(6, 3, 0);
    for act in [Act::Update, Act::Rejoin] {
        world.act(1, act);
    }
    let commits: Vec<_> = world.log.iter().map(|entry| commit_of(entry)).collect();
    let mut replayed = Roster::new(*world.roster().group());
    for commit in &commits {
        let transition = replayed.replay(commit).unwrap();
        replayed.apply(transition);
    }
    assert_eq!(format!("{replayed:?}"), format!("{:?}", world.roster()));
    // A store that lost one, or has one twice, or in another order, is damaged.
    let group = *world.roster().group();
    let me = world.devices[0].key.fingerprint();
    let [first, second, third, ..] = &commits[..] else { panic!() };
    for damaged in [[first, third], [first, first], [second, first]] {
        let fault = Group::restore(group, me, damaged, None, []).unwrap_err();
        assert_eq!(fault, RestoreError::Commit(CommitFault::Place));
    }
}

#[test]
fn damaged_records_are_refused() {
    let mut world = World::new(7, 2, 0);
    world.devices[0].make(Act::Update).unwrap();
    let _ = world.devices[0].seal("one").unwrap();
    let vault = world.devices[0].vault();
    let device = &world.devices[0];
    let (group, me) = (*world.roster().group(), device.key.fingerprint());
    let restored = |vault| Group::restore(group, me, &device.approved, device.group.seen(), vault);
    assert!(restored(vault.clone()).is_ok());
    for (key, record) in &vault {
        let with = |bytes: Vec<u8>| {
            let mut damaged = vault.clone();
            damaged.insert(*key, Blob(bytes));
            restored(damaged).err()
        };
        let malformed = Some(RestoreError::Record(DecodeError::Malformed));
        for length in 0..record.0.len().min(300) {
            assert_eq!(with(record.0[..length].to_vec()), malformed, "{key:?}");
        }
        let longer = Some(RestoreError::Record(DecodeError::NotCanonical));
        assert_eq!(with([&record.0[..], &[0]].concat()), longer, "{key:?}");
    }
    // The external key is a scalar in range, or nothing.
    let mut zero = vault.clone();
    let secrets = zero.get_mut(&StateKey::Secrets).unwrap();
    let key = secrets.0.len() - 32;
    assert!(decode::<KeyPair>(&secrets.0[key..], 32).is_ok());
    secrets.0[key..].fill(0);
    assert!(matches!(restored(zero), Err(RestoreError::Record(_))));
    // A key whose epoch is nowhere.
    let mut stray = vault;
    stray.retain(|key, _| !matches!(key, StateKey::Epoch(_)));
    assert_eq!(restored(stray).err(), Some(RestoreError::Stray));
}
