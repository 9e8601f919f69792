//! Commits in one's own name that one did not make, and answers that are lies.

use openchat_group::{Change, CommitOutcome, Effect, Group, PrivateFault, SealError, Unreadable};
use openchat_roster::CommitFault;

use crate::kit::{Act, Device, Event, Liar, Lie, World, world::invalid};

const BEHIND: Effect = Effect::LeftBehind(PrivateFault::Behind);

/// A copy of a device at another place: the same key, the same records, other random numbers.
fn copy(world: &mut World, of: usize) -> usize {
    let index = world.devices.len();
    let group = *world.roster().group();
    let mut copy = Device::new(index, group, &world.rng);
    let vault = {
        let original = &mut world.devices[of];
        copy.name = original.name.clone();
        copy.key = openchat_crypto::IdentityKey::from_pkcs8(&original.key.to_pkcs8()).unwrap();
        original.vault()
    };
    copy.group = Group::new(group, copy.key.fingerprint());
    copy.read(&world.log);
    copy.restart_with(&vault);
    world.devices.push(copy);
    index
}

/// Somebody with a member's identity key alone: it has read the public log.
fn key_thief(world: &mut World, of: usize) -> usize {
    let thief = copy(world, of);
    world.devices[thief].lose_secrets();
    thief
}

#[test]
fn a_copy_that_updates_leaves_the_original_behind_until_one_rejoin() {
    let mut world = World::new(1, 4, 0);
    let copy = copy(&mut world, 1);
    let events = world.act(copy, Act::Update);
    assert_eq!(events[1].effect(), Effect::NotMine);
    assert_eq!(events[2].effect(), Effect::Followed { back: false });
    assert!(world.devices[1].group.is_left_behind());
    // Nobody else is to blame for what comes after.
    let events = world.act(2, Act::Update);
    assert_eq!(events[1].effect(), BEHIND);
    // The original rejoins once; the copy is told that it is one.
    let events = world.act(1, Act::Rejoin);
    assert_eq!(events[copy].effect(), Effect::Reseated);
    assert_eq!(world.stuck(), [copy]);
    world.assert_heard(&[0, 1, 2, 3]);
}

/// Two devices that run from one copied directory use the same keys: whoever writes second is not
/// understood, sees its own key used in the log, and learns of the other by its next commit.
#[test]
fn two_devices_from_one_copied_state_use_the_same_keys() {
    let mut world = World::new(11, 3, 0);
    let copy = copy(&mut world, 1);
    let first = world.devices[1].seal("by the original").unwrap();
    let second = world.devices[copy].seal("by the copy").unwrap();
    let events = world.publish(first);
    assert_eq!(events[0].text(), Some("by the original"));
    let events = world.publish(second);
    assert_eq!(events[0], Event::Unreadable(Unreadable::Spent));
    assert_eq!(events[2], Event::Unreadable(Unreadable::Spent));
    world.act(1, Act::Rejoin);
    assert!(world.devices[copy].group.is_left_behind());
    assert_eq!(world.devices[copy].seal("again").unwrap_err(), SealError::NoKeys);
    world.assert_heard(&[0, 1, 2]);
}

/// The original can even open what a rejoin wraps for its epoch; its own leaf is another's now.
#[test]
fn an_original_blames_nobody_whose_rejoin_it_cannot_follow() {
    let mut world = World::new(2, 4, 0);
    let copy = copy(&mut world, 1);
    let stuck_at = world.roster().epoch();
    world.act(copy, Act::Update);
    let epochs = [world.roster().epoch(), stuck_at];
    let device = &mut world.devices[3];
    let rejoin = Liar { device }.commit_for(Act::Rejoin, &Lie::Nothing, &epochs);
    let events = world.publish(rejoin);
    assert_eq!(events[1].effect(), BEHIND);
    assert_eq!(events[2].effect(), Effect::Followed { back: false });
}

#[test]
fn a_stolen_identity_key_can_rejoin_and_everybody_is_told() {
    let mut world = World::new(3, 3, 0);
    let thief = key_thief(&mut world, 1);
    assert!(world.devices[thief].make(Act::Update).is_err(), "the key alone updates nothing");
    let events = world.act(thief, Act::Rejoin);
    for (device, event) in events.iter().enumerate() {
        let Event::Commit(CommitOutcome::Valid { author, changes, effect, .. }) = event else {
            panic!("{event:?}")
        };
        assert_eq!((author.as_str(), &changes[..]), ("d1", &[Change::Rejoined][..]));
        let expected = match device {
            1 => Effect::Reseated,
            _ if device == thief => Effect::Own,
            _ => Effect::Followed { back: false },
        };
        assert_eq!(*effect, expected);
    }
    // The thief reads now; the owner's next rejoin throws it out again.
    world.act(1, Act::Rejoin);
    assert_eq!(world.stuck(), [thief]);
    world.assert_heard(&[0, 1, 2]);
}

/// The relay says "rejected", and logs the commit all the same.
#[test]
fn only_the_log_decides_about_a_pending_commit() {
    let mut world = World::new(4, 3, 1);
    for (who, act) in [(1, Act::Update), (2, Act::Rejoin), (3, Act::Join)] {
        let entry = world.devices[who].make(act).unwrap();
        // Time passes: messages, a restart, even commits that don't count.
        world.say(0, "meanwhile");
        world.devices[who].restart();
        let former = world.log[0].clone();
        world.publish(former);
        assert_eq!(world.devices[who].pending(), entry);
        let events = world.publish(entry);
        assert_eq!(events[who].effect(), Effect::Own);
        assert_eq!(world.devices[who].group.pending(), None);
        world.assert_all_talk();
    }
}

#[test]
fn a_commit_logged_twice_counts_once() {
    let mut world = World::new(5, 3, 0);
    world.act(1, Act::Update);
    let again = world.log.last().unwrap().clone();
    for _ in 0..3 {
        world.assert_refused(&again, &invalid(CommitFault::Place));
        world.publish(again.clone());
    }
    world.assert_all_talk();
}

#[test]
fn another_commit_ends_a_pending_one_even_if_it_can_not_be_followed() {
    let mut world = World::new(6, 3, 0);
    let lost = world.devices[1].make(Act::Update).unwrap();
    let device = &mut world.devices[0];
    let entry = Liar { device }.commit(Act::Update, &Lie::Tag);
    world.publish(entry);
    assert_eq!(world.devices[1].group.pending(), None);
    world.assert_refused(&lost, &invalid(CommitFault::Place));
    world.act(1, Act::Rejoin);
    world.assert_all_talk();
}

/// A backup is brought back that does not know of the commit that is in the log.
#[test]
fn an_own_commit_without_its_secrets_needs_one_rejoin() {
    for act in [Act::Update, Act::Rejoin] {
        let mut world = World::new(7, 3, 0);
        let backup = world.devices[2].vault();
        let entry = world.devices[2].make(act).unwrap();
        world.devices[2].restart_with(&backup);
        let events = world.publish(entry);
        let expected = if act == Act::Rejoin { Effect::Reseated } else { Effect::NotMine };
        assert_eq!(events[2].effect(), expected);
        world.assert_heard(&[0, 1]);
        world.act(2, Act::Rejoin);
        world.assert_all_talk();
    }
}

#[test]
fn a_join_without_its_secrets_needs_one_rejoin() {
    let mut world = World::new(8, 2, 1);
    let before = world.devices[2].vault();
    let entry = world.devices[2].make(Act::Join).unwrap();
    world.devices[2].restart_with(&before);
    assert_eq!(world.publish(entry)[2].effect(), Effect::NotMine);
    assert!(world.devices[2].group.is_left_behind());
    assert_eq!(world.devices[2].make(Act::Join), Err(CommitFault::Authority.into()));
    world.act(2, Act::Rejoin);
    world.assert_all_talk();
}

/// "Heal now": what was pending is given up for something fresh, and only the fresh one is mine.
#[test]
fn a_fresh_commit_replaces_a_pending_one() {
    let mut world = World::new(9, 3, 0);
    let first = world.devices[1].make(Act::Update).unwrap();
    let second = world.devices[1].make(Act::Update).unwrap();
    assert_ne!(first, second);
    assert_eq!(world.publish(first)[1].effect(), Effect::NotMine);
    assert_eq!(world.publish(second).len(), 3);
    world.act(1, Act::Rejoin);
    world.assert_all_talk();
}

/// A commit that was given up after the relay had refused it stands in the log all the same.
#[test]
fn a_commit_that_was_given_up_is_taken_up_when_the_log_shows_it() {
    for act in [Act::Update, Act::Rejoin] {
        let mut world = World::new(10, 3, 0);
        let first = world.devices[1].make(act).unwrap();
        let given_up = world.devices[1].group.drop_pending().unwrap();
        assert_eq!(world.devices[1].group.pending(), None);
        let second = world.devices[1].make(Act::Update).unwrap();
        world.devices[1].group.take_up(given_up);
        assert_eq!(world.publish(first)[1].effect(), Effect::Own);
        world.assert_refused(&second, &invalid(CommitFault::Place));
        world.assert_all_talk();
    }
}
