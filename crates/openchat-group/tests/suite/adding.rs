//! People who are seated while they are away: how they come in, and until when others know their
//! leaf's secret.

use openchat_group::{
    Change, CommitError, Effect, Group, LetterFault, NewMember, PrivateFault, Proposal, Why,
};
use openchat_roster::{
    Claim, CommitFault, Entrant, Naming, NewLeaf, Operation, Policy, PrekeyFault, PrekeyKind,
    Roster, SignedPrekey,
};
use openchat_wire::{Digest, GroupId};

use crate::kit::{
    Act, Device, Event, Liar, Lie, SecretsView, World,
    world::{commit_of, naming},
};

const FOLLOWED: Effect = Effect::Followed { back: false };

fn added() -> Effect {
    Effect::Added { naming: Some(naming()) }
}

/// Whose leaves the last commit set.
fn set_for(world: &World, before: &Roster) -> Vec<NewLeaf> {
    let commit = commit_of(world.log.last().unwrap()).view().unwrap();
    let outline = before.outline(&commit.author, &commit.operations, &commit.head).unwrap();
    outline.leaves().map(|(_, leaf)| leaf).collect()
}

#[test]
fn whoever_was_added_while_away_reads_the_first_message_later() {
    let mut world = World::closed(1, 3, 1);
    let mut away = world.devices.pop().unwrap();
    let adds = vec![away.as_new_member(PrekeyKind::OneTime)];
    let entry = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
    let letters = world.devices[1].letters_with(&entry);
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(letter.to, away.key.fingerprint());
    let place = (*world.roster().group(), world.roster().epoch().next());
    world.publish(entry);
    world.say(1, "welcome");
    world.act(0, Act::Update);
    world.say(2, "are you there?");
    // It comes, finds the letter, and reads the log from its beginning.
    away.ring.letters.insert(place, letter.sealed.clone());
    let events = away.read(&world.log);
    let n = events.len();
    assert_eq!(events[n - 4].effect(), added());
    assert_eq!(events[n - 3].text(), Some("welcome"));
    assert_eq!(events[n - 2].effect(), FOLLOWED);
    assert_eq!(events[n - 1].text(), Some("are you there?"));
    assert_eq!(away.naming, Some(naming()));
    world.devices.push(away);
    world.assert_agree();
    world.assert_all_talk();
    // And makes its seat its own.
    let events = world.act(3, Act::Update);
    let name = world.devices[3].name.clone();
    assert_eq!(events[0].changes(), [Change::Updated, Change::Claimed(name)]);
    assert_eq!(world.claim(3), Claim::Claimed);
    world.assert_all_talk();
}

#[test]
fn a_direct_message_waits_for_the_other_one() {
    let mut world = World::direct(2, 1);
    let events = world.say(0, "hello, you have never been here");
    assert_eq!(events[1].text(), Some("hello, you have never been here"));
    assert!(events[2].is_refusal());
    world.act(1, Act::Update);
    world.assert_all_talk();
    // Nobody else comes in, whoever says so.
    let adds = vec![world.devices[2].as_new_member(PrekeyKind::OneTime)];
    let fault = world.devices[0].propose(Proposal { adds, ..Proposal::default() });
    assert_eq!(fault, Err(CommitFault::Authority.into()));
    assert_eq!(world.devices[2].make(Act::Join), Err(CommitFault::Authority.into()));
    // Either of the two may go and come back.
    let leave = world.leave(1);
    world.remove_leaver(0, 1, &leave);
    assert_eq!(world.devices[1].make(Act::Update), Err(CommitFault::Authority.into()));
    world.add(0, 1);
    world.assert_all_talk();
}

#[test]
fn a_creation_adds_and_admits_as_many_as_it_likes() {
    let mut world = World::closed(3, 1, 0);
    let group = GroupId([0; 32]);
    let mut others: Vec<Device> = (1..=12).map(|i| Device::new(i, group, &world.rng)).collect();
    let adds = others[..10].iter_mut().map(|d| d.as_new_member(PrekeyKind::OneTime)).collect();
    let admits = others[10..].iter_mut().map(Device::as_invited).collect();
    let proposal = Proposal { adds, admits, ..Proposal::default() };
    let policy = Policy::closed(&naming());
    let entry = world.devices[0].create_with(policy, proposal).unwrap();
    let group = *world.devices[0].group.roster().group();
    for device in &mut others {
        device.group = Group::new(group, device.key.fingerprint());
    }
    (world.log, world.devices[0].read) = (Vec::new(), 0);
    world.devices.extend(others);
    let events = world.publish(entry);
    assert_eq!(events[0].effect(), Effect::Own);
    assert!(events[1..=10].iter().all(|event| event.effect() == added()));
    let invited = Effect::Invited(Ok(Some(naming())));
    assert!(events[11..].iter().all(|event| event.effect() == invited));
    assert_eq!(events[0].changes().len(), 13);
    assert_eq!(events[0].changes()[0], Change::Created);
    world.assert_agree();
    world.assert_all_talk();
    for newcomer in [11, 12] {
        world.act(newcomer, Act::Join);
    }
    for device in 1..=10 {
        world.act(device, Act::Update);
    }
    assert_eq!(world.roster().unclaimed(), 0);
    world.assert_agree();
    world.assert_all_talk();
}

/// The adder's update heals what it knows of: its own leaf and those that it has set.
#[test]
fn an_unclaimed_leaf_is_set_again_by_its_adder() {
    let mut world = World::closed(4, 3, 2);
    world.add(1, 3);
    world.add(1, 4);
    let old = [3, 4].map(|device: usize| SecretsView::of(&world.devices[device].group).leaf);
    let before = world.roster().clone();
    let events = world.act(1, Act::Update);
    assert!([0, 2, 3, 4].iter().all(|&device| events[device].effect() == FOLLOWED));
    let members = set_for(&world, &before)
        .iter()
        .filter(|leaf| matches!(leaf, NewLeaf::Member { .. }))
        .count();
    assert_eq!(members, 2);
    let new = [3, 4].map(|device: usize| SecretsView::of(&world.devices[device].group).leaf);
    assert!(old[0] != new[0] && old[1] != new[1]);
    world.assert_agree();
    world.assert_all_talk();
    // Other people's updates leave it alone, and once it is claimed the adder's do too.
    world.act(2, Act::Update);
    world.act(3, Act::Update);
    let mine = SecretsView::of(&world.devices[3].group).leaf;
    world.act(1, Act::Update);
    assert_eq!(SecretsView::of(&world.devices[3].group).leaf, mine);
    assert_ne!(SecretsView::of(&world.devices[4].group).leaf, new[1]);
    world.assert_all_talk();
}

#[test]
fn an_unclaimed_leaf_is_set_again_by_who_removes_its_adder() {
    let mut world = World::closed(5, 4, 2);
    world.add(2, 4);
    world.add(2, 5);
    let old = SecretsView::of(&world.devices[4].group).leaf;
    let events = world.evict(0, &[2]);
    assert_eq!(events[2].effect(), Effect::Removed);
    for member in [1, 3, 4, 5] {
        assert_eq!(events[member].effect(), FOLLOWED, "d{member}");
    }
    assert_ne!(SecretsView::of(&world.devices[4].group).leaf, old);
    world.assert_all_talk();
    // The remover owns them now: its updates set them until they are claimed.
    let before = world.roster().clone();
    world.act(0, Act::Update);
    let leaves = set_for(&world, &before);
    let members = leaves.iter().filter(|leaf| matches!(leaf, NewLeaf::Member { .. })).count();
    assert_eq!(members, 2, "{leaves:?}");
    world.act(4, Act::Update);
    world.act(5, Act::Rejoin);
    assert_eq!(world.roster().unclaimed(), 0);
    world.assert_all_talk();
}

/// A device restarts between every two steps, and the members' leaves are set again meanwhile.
#[test]
fn who_was_added_follows_after_a_restart() {
    let mut world = World::closed(6, 2, 2);
    world.add(1, 2);
    world.devices[2].restart();
    world.act(1, Act::Update);
    world.devices[2].restart();
    world.add(0, 3);
    world.devices[2].restart();
    world.devices[3].restart();
    world.act(0, Act::Update);
    world.assert_all_talk();
    world.act(2, Act::Update);
    world.devices[2].restart();
    world.assert_all_talk();
}

/// By a last-resort prekey that others may have been given too, a seat is claimed twice.
#[test]
fn a_seat_by_the_last_resort_is_claimed_twice() {
    for claim in [Act::Update, Act::Rejoin] {
        let mut world = World::closed(7, 2, 1);
        world.add_by(1, 2, PrekeyKind::LastResort);
        assert!(matches!(world.claim(2), Claim::Unclaimed(it) if it.is_last_resort));
        let events = world.act(2, claim);
        assert_eq!(events[0].changes().len(), 1, "no claim yet");
        assert_eq!(world.claim(2), Claim::Half);
        // The adder no longer knows the leaf: its update leaves it alone.
        let leaf = SecretsView::of(&world.devices[2].group).leaf;
        world.act(1, Act::Update);
        assert_eq!(SecretsView::of(&world.devices[2].group).leaf, leaf);
        let events = world.act(2, claim);
        let claimed = Change::Claimed(world.devices[2].name.clone());
        assert_eq!(events[0].changes().last(), Some(&claimed));
        assert_eq!(world.claim(2), Claim::Claimed);
        world.assert_all_talk();
    }
}

/// The prekey is gone: it rejoins, and accuses nobody.
#[test]
fn who_was_added_by_a_prekey_that_is_gone_rejoins() {
    let mut world = World::closed(8, 3, 1);
    let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
    let entry = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
    world.devices[3].ring.prekeys.clear();
    let events = world.publish(entry);
    let Effect::LeftBehind(fault) = events[3].effect() else { panic!("{:?}", events[3]) };
    assert_eq!(fault, PrivateFault::NoPrekey);
    assert!(!fault.is_authors(), "no notice");
    assert!(world.devices[3].group.is_left_behind());
    let events = world.act(3, Act::Rejoin);
    assert_eq!(events[0].changes()[0], Change::Rejoined);
    assert_eq!(world.claim(3), Claim::Claimed);
    world.assert_all_talk();
}

/// The same while the leaf is set again, and the device has long been inside.
#[test]
fn a_leaf_that_is_set_again_by_a_prekey_that_is_gone() {
    let mut world = World::closed(9, 3, 1);
    world.add(1, 3);
    world.assert_all_talk();
    world.devices[3].ring.prekeys.clear();
    let events = world.act(1, Act::Update);
    assert_eq!(events[3].effect(), Effect::LeftBehind(PrivateFault::NoPrekey));
    let events = world.act(0, Act::Update);
    assert_eq!(events[3].effect(), Effect::LeftBehind(PrivateFault::Behind));
    world.act(3, Act::Rejoin);
    world.assert_all_talk();
}

/// An adder who gives the leaf another key than follows from the prekey is found out by the one
/// whom it concerns, and by nobody else.
#[test]
fn p1_a_leaf_that_does_not_follow_from_the_prekey() {
    let mut world = World::closed(10, 3, 1);
    world.add(1, 3);
    let device = &mut world.devices[1];
    let entry = Liar { device }.propose(vec![Operation::Update], &Lie::Leaves);
    let events = world.publish(entry);
    let Effect::LeftBehind(fault) = events[3].effect() else { panic!("{:?}", events[3]) };
    assert_eq!(fault, PrivateFault::PathKey);
    assert!(fault.is_authors());
    assert!([0, 2].iter().all(|&device| events[device].effect() == FOLLOWED));
    world.act(3, Act::Rejoin);
    world.assert_all_talk();
}

#[test]
fn p1_to_p3_at_the_one_who_is_added() {
    let lies = [
        (Lie::Leaves, PrivateFault::PathKey),
        (Lie::Path(vec![1]), PrivateFault::PathKey),
        (Lie::Path(vec![2]), PrivateFault::PathKey),
        // Its Welcome is what it goes by, so that these are W4.
        (Lie::External, PrivateFault::Welcome(LetterFault::Secret)),
        (Lie::Tag, PrivateFault::Welcome(LetterFault::Secret)),
    ];
    for (lie, expected) in lies {
        let mut world = World::closed(11, 3, 1);
        let add = add_of(&mut world.devices[3]);
        let entry = Liar { device: &mut world.devices[2] }.propose(vec![add], &lie);
        let events = world.publish(entry);
        assert_eq!(events[3].effect(), Effect::LeftBehind(expected), "{lie:?}");
        world.act(3, Act::Rejoin);
        for stuck in world.stuck() {
            world.act(stuck, Act::Rejoin);
        }
        world.assert_all_talk();
    }
    let mut world = World::closed(11, 3, 1);
    let add = add_of(&mut world.devices[3]);
    let entry = Liar { device: &mut world.devices[2] }.propose(vec![add], &Lie::Nothing);
    assert_eq!(world.publish(entry)[3].effect(), added());
    world.assert_all_talk();
}

fn add_of(device: &mut Device) -> Operation {
    let NewMember { name, key, prekey } = device.as_new_member(PrekeyKind::OneTime);
    Operation::Add { entrant: Entrant { name, key }, prekey }
}

/// Whoever was removed may be added again by an admin, and takes a seat of its own.
#[test]
fn an_admin_brings_somebody_back_who_was_thrown_out() {
    let mut world = World::closed(12, 4, 0);
    world.evict(0, &[2]);
    let adds = vec![world.devices[2].as_new_member(PrekeyKind::OneTime)];
    let fault = world.devices[1].propose(Proposal { adds, ..Proposal::default() });
    assert_eq!(fault, Err(CommitFault::Authority.into()), "denied");
    let events = world.add(0, 2);
    assert_eq!(events[2].effect(), added());
    world.act(2, Act::Update);
    assert_eq!(world.roster().all_denied().count(), 0);
    world.assert_agree();
    world.assert_all_talk();
}

/// C16, at the author: what the relay hands out is checked before it is used.
#[test]
fn an_author_uses_no_prekey_that_is_not_its_owners() {
    let mut world = World::closed(13, 2, 2);
    let mut others = world.devices[3].as_new_member(PrekeyKind::OneTime);
    let good = world.devices[2].as_new_member(PrekeyKind::OneTime);
    let mut signed_by_another = good.clone();
    let view = good.prekey.view().unwrap();
    signed_by_another.prekey = SignedPrekey::sign(&view, &world.devices[3].key);
    let mut flipped = good.clone();
    flipped.prekey.prekey.0[40] ^= 1;
    let mut garbage = good.clone();
    garbage.prekey.prekey.0.clear();
    core::mem::swap(&mut others.prekey, &mut signed_by_another.prekey);
    let swapped = NewMember { prekey: signed_by_another.prekey.clone(), ..good.clone() };
    let forged = NewMember { prekey: others.prekey.clone(), ..good.clone() };
    let cases = [
        (swapped, PrekeyFault::Owner),
        (forged, PrekeyFault::Signature),
        (flipped, PrekeyFault::Signature),
        (garbage, PrekeyFault::Encoding),
    ];
    for (bad, fault) in cases {
        let before = world.devices[0].snapshot();
        let proposal = Proposal { adds: vec![bad], ..Proposal::default() };
        assert_eq!(world.devices[0].propose(proposal), Err(CommitFault::from(fault).into()));
        assert_eq!(world.devices[0].snapshot(), before);
    }
    // An invitation's prekey is somebody's whose key is not at hand; its owner must be the invited.
    let mut invited = world.devices[2].as_invited();
    invited.prekey = world.devices[3].as_invited().prekey;
    let proposal = Proposal { admits: vec![invited], ..Proposal::default() };
    let fault = world.devices[0].propose(proposal);
    assert_eq!(fault, Err(CommitFault::from(PrekeyFault::Owner).into()));
    world.add(0, 2);
    world.assert_all_talk();
}

/// The name of a closed group goes into its letters, or there are none.
#[test]
fn letters_of_a_closed_group_need_its_name() {
    let mut world = World::closed(14, 2, 1);
    for wrong in [None, Some(Naming { salt: Digest([0; 32]), ..naming() })] {
        let right = core::mem::replace(&mut world.devices[1].naming, wrong);
        let adds = vec![world.devices[2].as_new_member(PrekeyKind::OneTime)];
        let refused = world.devices[1].propose(Proposal { adds, ..Proposal::default() });
        assert_eq!(refused, Err(CommitError::Naming));
        let admits = vec![world.devices[2].as_invited()];
        let refused = world.devices[1].propose(Proposal { admits, ..Proposal::default() });
        assert_eq!(refused, Err(CommitError::Naming));
        // What needs no letter needs no name.
        world.act(1, Act::Update);
        world.devices[1].naming = right;
    }
    world.add(1, 2);
    world.assert_all_talk();
}

/// An open group's letters never tell a name, which its policy does.
#[test]
fn letters_of_an_open_group_tell_no_name() {
    let mut world = World::new(15, 2, 2);
    world.devices[1].naming = Some(naming());
    let events = world.add(1, 2);
    assert_eq!(events[2].effect(), Effect::Added { naming: None });
    let events = world.admit(1, 3);
    assert_eq!(events[3].effect(), Effect::Invited(Ok(None)));
}

/// An unclaimed member who commits anything makes its seat its own by that.
#[test]
fn whatever_an_unclaimed_member_commits_claims_its_seat() {
    let mut world = World::closed(16, 2, 2);
    world.add(0, 2);
    world.add(2, 3);
    assert_eq!(world.claim(2), Claim::Claimed);
    let made = commit_of(world.log.last().unwrap()).view().unwrap();
    assert!(matches!(made.operations[..], [Operation::Add { .. }, Operation::Update]));
    world.assert_all_talk();
}

#[test]
fn a_claim_and_an_adders_update_race() {
    for claim_wins in [true, false] {
        let mut world = World::closed(17, 3, 1);
        world.add(1, 3);
        let claim = world.devices[3].make(Act::Update).unwrap();
        let update = world.devices[1].make(Act::Update).unwrap();
        let (first, second) = if claim_wins { (claim, update) } else { (update, claim) };
        world.publish(first);
        let events = world.publish(second);
        assert!(events.iter().all(Event::is_refusal));
        assert_eq!(world.claim(3) == Claim::Claimed, claim_wins);
        world.act(3, Act::Update);
        world.assert_all_talk();
    }
}

#[test]
fn who_is_removed_before_its_claim_reads_nothing_more() {
    let mut world = World::closed(18, 3, 1);
    world.add(1, 3);
    let events = world.evict(0, &[3]);
    assert_eq!(events[3].effect(), Effect::Removed);
    let removed = Change::Removed {
        name: world.devices[3].name.clone(),
        fingerprint: world.fingerprint(3),
        why: Why::Evicted,
    };
    assert_eq!(events[0].changes(), [removed]);
    assert!(world.devices[3].vault().is_empty());
    let events = world.say(0, "gone");
    assert!(matches!(events[3], Event::Unreadable(_)));
    world.assert_heard(&[0, 1, 2]);
}

/// What is no commit is not made, and a pending one is kept.
#[test]
fn proposals_that_make_no_commit() {
    let mut world = World::closed(19, 2, 0);
    let fault = Err(CommitFault::Operations.into());
    world.devices[0].make(Act::Update).unwrap();
    let before = world.devices[0].snapshot();
    assert_eq!(world.devices[0].propose(Proposal::default()), fault);
    let twice = vec![(world.fingerprint(1), openchat_roster::Reason::Evicted); 2];
    let proposal = Proposal { removes: twice, ..Proposal::default() };
    assert_eq!(world.devices[0].propose(proposal), fault);
    assert_eq!(world.devices[0].snapshot(), before);
    let policy = Policy::closed(&naming());
    let create = Proposal { update: true, ..Proposal::default() };
    assert_eq!(world.devices[1].create_with(policy, create), fault);
}
