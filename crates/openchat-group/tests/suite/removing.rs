//! People who go, or have to: what they can still read, what they can do, and what they keep.

use openchat_group::{Change, Effect, Proposal, StateKey, Unreadable, Why};
use openchat_roster::{
    CommitFault, LeaveEntry, LeaveFault, LogEntry, MessageFault, PrekeyKind, Reason, Revocation,
    Role, Rules,
};
use openchat_wire::{Blob, Name};

use crate::kit::{
    Act, Device, Event, SecretsView, Thief, World,
    device::Vault,
    world::{commit_of, invalid},
};

const FOLLOWED: Effect = Effect::Followed { back: false };

fn removed(world: &World, who: usize, why: Why) -> Change {
    let Device { name, key, .. } = &world.devices[who];
    Change::Removed { name: name.clone(), fingerprint: key.fingerprint(), why }
}

#[test]
fn who_is_thrown_out_is_told_and_keeps_nothing() {
    let mut world = World::closed(1, 5, 0);
    world.say(2, "still here");
    let expected = removed(&world, 2, Why::Evicted);
    let events = world.evict(0, &[2]);
    for (device, event) in events.iter().enumerate() {
        let effect = match device {
            0 => Effect::Own,
            2 => Effect::Removed,
            _ => FOLLOWED,
        };
        assert_eq!((event.effect(), &event.changes()[..]), (effect, &[expected.clone()][..]));
    }
    let gone = &mut world.devices[2];
    assert_eq!(gone.vault(), Vault::new(), "secrets and message keys are deleted");
    assert!(gone.group.secrets().is_none() && gone.group.epochs().next().is_none());
    assert!(!gone.group.is_seated());
    assert!(gone.seal("let me in").is_err());
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        assert_eq!(gone.make(act), Err(CommitFault::Authority.into()), "{act:?}");
    }
    world.devices[2].restart();
    world.assert_heard(&[0, 1, 3, 4]);
    world.assert_agree();
}

/// Keys of epochs before a removal are deleted everywhere: what was sealed there no longer counts.
#[test]
fn at_a_removal_the_keys_of_earlier_epochs_are_deleted() {
    let mut world = World::closed(2, 4, 0);
    let late = world.devices[1].seal("sealed before").unwrap();
    world.evict(0, &[3]);
    let tail = world.roster().epoch();
    for device in &mut world.devices[..3] {
        assert!(device.group.epochs().eq([tail]));
        let others = |key: &StateKey| match key {
            StateKey::Epoch(epoch) | StateKey::Node(epoch, _) | StateKey::Ratchet(epoch, _) => {
                *epoch != tail
            }
            StateKey::Secrets | StateKey::Pending => false,
        };
        assert!(!device.vault().keys().any(others));
    }
    let stale = Event::Unreadable(Unreadable::Fault(MessageFault::Stale));
    world.assert_refused(&late, &stale);
    let again = world.devices[1].seal("sealed before").unwrap();
    assert_eq!(world.publish(again)[2].text(), Some("sealed before"));
    // An admission that is struck removes nobody's seat.
    let person = world.devices[3].as_person();
    let fingerprint = person.fingerprint;
    let invited = openchat_group::Invited { person, prekey: None };
    world.propose(0, Proposal { admits: vec![invited], ..Proposal::default() });
    let kept = world.devices[1].seal("sealed before it was struck").unwrap();
    let removes = vec![(fingerprint, Reason::Evicted)];
    let events = world.propose(0, Proposal { removes, ..Proposal::default() });
    let name = world.devices[3].name.clone();
    assert_eq!(events[1].changes(), [Change::Struck { name, fingerprint, why: Why::Evicted }]);
    assert!(world.publish(kept)[2].text().is_some());
}

/// All that they ever knew, put together, opens nothing after their removal.
#[test]
fn removed_members_pooled_together_do_not_read_on() {
    let mut world = World::closed(3, 7, 3);
    let mut thief = Thief::default();
    // One of them has added people who never claimed; their leaves are what it set.
    world.add(1, 7);
    world.add(1, 8);
    for pooled in [1, 3, 5] {
        thief.steal(&SecretsView::of(&world.devices[pooled].group));
        let ring = world.devices[pooled].ring.clone();
        thief.steal_prekeys(&ring);
    }
    // What it drew for those it has added, it may have kept.
    for set in [7, 8] {
        let set = SecretsView::of(&world.devices[set].group);
        thief.steal(&set);
    }
    let follow = |world: &mut World, thief: &mut Thief, step: &dyn Fn(&mut World)| {
        let before = world.roster().clone();
        step(world);
        let entry = commit_of(world.log.last().unwrap());
        thief.listen(&before, &entry, world.roster());
        thief.knows(world.roster().epoch())
    };
    assert!(follow(&mut world, &mut thief, &|world| {
        world.act(2, Act::Update);
    }));
    let inside = follow(&mut world, &mut thief, &|world| {
        world.evict(0, &[1, 3, 5]);
    });
    assert!(!inside);
    for step in [(0, Act::Update), (7, Act::Update), (2, Act::Rejoin), (8, Act::Rejoin)] {
        assert!(!follow(&mut world, &mut thief, &|world| {
            world.act(step.0, step.1);
        }));
    }
    assert!(!follow(&mut world, &mut thief, &|world| {
        world.add(2, 9);
    }));
    world.assert_all_talk();
}

/// One removal is not enough while another of them is inside.
#[test]
fn who_stays_tells_who_was_removed() {
    let mut world = World::closed(4, 4, 0);
    let mut thief = Thief::default();
    for pooled in [1, 2] {
        thief.steal(&SecretsView::of(&world.devices[pooled].group));
    }
    for (removed, inside) in [(1, true), (2, false)] {
        let before = world.roster().clone();
        world.evict(0, &[removed]);
        let entry = commit_of(world.log.last().unwrap());
        thief.listen(&before, &entry, world.roster());
        assert_eq!(thief.knows(world.roster().epoch()), inside);
    }
}

#[test]
fn who_owns_leaves_is_removed_with_its_hold_on_them() {
    let mut world = World::closed(5, 6, 2);
    // A vacant leaf that it owns, and two members that it has added.
    let role = vec![(world.fingerprint(4), Role::Admin)];
    world.propose(0, Proposal { roles: role, ..Proposal::default() });
    world.evict(4, &[2]);
    world.add(4, 6);
    world.add(4, 7);
    let owned: Vec<_> = world.roster().owned(&world.fingerprint(4)).collect();
    assert!(owned.len() >= 3, "{owned:?}");
    world.evict(0, &[4]);
    assert_eq!(world.roster().owned(&world.fingerprint(4)).count(), 0);
    world.assert_agree();
    world.assert_all_talk();
    world.act(6, Act::Update);
    world.act(7, Act::Update);
    world.assert_all_talk();
}

#[test]
fn trees_shrink_and_grow_again() {
    let mut world = World::closed(6, 9, 0);
    assert_eq!(world.roster().tree().height(), 4);
    let everybody: Vec<usize> = (1..9).collect();
    world.evict(0, &everybody);
    assert_eq!(world.roster().tree().height(), 0);
    world.assert_all_talk();
    for newcomer in [3, 8, 1, 2] {
        world.add(0, newcomer);
        world.act(newcomer, Act::Update);
    }
    assert_eq!(world.roster().tree().height(), 3);
    world.evict(0, &[8, 3]);
    world.assert_agree();
    world.assert_all_talk();
}

#[test]
fn who_wants_to_go_is_let_go_by_anybody() {
    for granted_by in [0, 2] {
        let mut world = World::closed(7, 4, 0);
        let leave = world.leave(1);
        let expected = removed(&world, 1, Why::Left);
        let events = world.remove_leaver(granted_by, 1, &leave);
        assert_eq!(events[1].effect(), Effect::Removed);
        assert_eq!(events[3].changes(), [expected]);
        world.assert_heard(&[0, 2, 3]);
        // It was not denied: it may be asked again, and the old request is void for its new seat.
        world.admit(2, 1);
        world.act(1, Act::Join);
        world.assert_all_talk();
        world.assert_refused(&entry(&leave), &Event::Leave(Err(LeaveFault::Seat)));
        let removes = vec![(world.fingerprint(1), Reason::Left(leave))];
        let fault = world.devices[2].propose(Proposal { removes, ..Proposal::default() });
        assert_eq!(fault, Err(CommitFault::Leave(LeaveFault::Seat).into()));
    }
}

#[test]
fn an_invitation_is_declined() {
    let mut world = World::closed(8, 3, 1);
    world.admit(1, 3);
    let decline = world.leave(3);
    let events = world.remove_leaver(2, 3, &decline);
    let Device { name, key, .. } = &world.devices[3];
    let struck =
        Change::Struck { name: name.clone(), fingerprint: key.fingerprint(), why: Why::Left };
    assert_eq!(events[0].changes(), [struck]);
    assert_eq!(events[3].effect(), Effect::Watched);
    assert_eq!(world.devices[3].make(Act::Join), Err(CommitFault::Authority.into()));
    let device = &world.devices[3];
    assert_eq!(device.group.leave_request(&device.key), None, "nothing to leave");
    world.assert_all_talk();
}

fn entry(leave: &LeaveEntry) -> Vec<u8> {
    LogEntry::Leave(leave.clone()).to_bytes()
}

#[test]
fn what_is_not_a_leave_request() {
    let mut world = World::closed(9, 3, 1);
    world.admit(0, 3);
    let device = &world.devices[1];
    let good = device.group.leave_request(&device.key).unwrap();
    let view = good.view().unwrap();
    let signed =
        |leave: openchat_roster::Leave, by: usize| LeaveEntry::sign(&leave, &world.devices[by].key);
    let key = Some(*world.devices[1].key.public());
    let elsewhere = openchat_wire::GroupId([0; 32]);
    let stranger = Device::new(9, elsewhere, &world.rng);
    let bad = [
        (signed(view, 2), LeaveFault::Signature),
        (signed(openchat_roster::Leave { group: elsewhere, ..view }, 1), LeaveFault::Encoding),
        (signed(openchat_roster::Leave { since: view.since.next(), ..view }, 1), LeaveFault::Seat),
        (signed(openchat_roster::Leave { key, ..view }, 1), LeaveFault::Seat),
        (
            LeaveEntry::sign(
                &openchat_roster::Leave { author: stranger.key.fingerprint(), key, ..view },
                &stranger.key,
            ),
            LeaveFault::Seat,
        ),
        (LeaveEntry { leave: Blob(Vec::new()), ..good.clone() }, LeaveFault::Encoding),
    ];
    for (leave, fault) in bad {
        world.assert_refused(&entry(&leave), &Event::Leave(Err(fault)));
        let removes = vec![(world.fingerprint(1), Reason::Left(leave))];
        let proposal = Proposal { removes, ..Proposal::default() };
        let refused = world.devices[2].propose(proposal);
        assert!(matches!(refused, Err(openchat_group::CommitError::Fault(CommitFault::Leave(_)))));
    }
    // One person's wish does not remove another.
    let removes = vec![(world.fingerprint(0), Reason::Left(good.clone()))];
    let refused = world.devices[2].propose(Proposal { removes, ..Proposal::default() });
    assert!(refused.is_err());
    world.remove_leaver(2, 1, &good);
    world.assert_heard(&[0, 2]);
}

#[test]
fn only_admins_throw_out_and_the_oldest_becomes_one() {
    let mut world = World::closed(10, 4, 0);
    let evict = |world: &World, whom: usize| Proposal {
        removes: vec![(world.fingerprint(whom), Reason::Evicted)],
        ..Proposal::default()
    };
    let proposal = evict(&world, 2);
    assert_eq!(world.devices[1].propose(proposal), Err(CommitFault::Authority.into()));
    // Nor does anybody remove itself.
    let proposal = evict(&world, 0);
    assert_eq!(world.devices[0].propose(proposal), Err(CommitFault::Authority.into()));
    let leave = world.leave(0);
    let events = world.remove_leaver(3, 0, &leave);
    let Device { name, key, .. } = &world.devices[1];
    let appointed =
        Change::Role { name: name.clone(), fingerprint: key.fingerprint(), role: Role::Admin };
    assert_eq!(events[2].changes()[1..], [appointed]);
    world.evict(1, &[3]);
    world.assert_heard(&[1, 2]);
}

#[test]
fn roles_rules_and_the_denied() {
    let mut world = World::closed(11, 4, 1);
    let admins_only = Rules { invite: openchat_roster::Inviting::Admins, ..Rules::INVITED };
    let promote = (world.fingerprint(2), Role::Admin);
    let proposal =
        Proposal { rules: Some(admins_only), roles: vec![promote], ..Proposal::default() };
    assert_eq!(world.devices[1].propose(proposal.clone()), Err(CommitFault::Authority.into()));
    let events = world.propose(0, proposal);
    let Device { name, key, .. } = &world.devices[2];
    let promoted =
        Change::Role { name: name.clone(), fingerprint: key.fingerprint(), role: Role::Admin };
    assert_eq!(events[3].changes(), [Change::Rules(admins_only), promoted]);
    assert!(events.iter().skip(1).take(3).all(|event| event.effect() == FOLLOWED));
    let admits = vec![world.devices[4].as_invited()];
    let refused = world.devices[1].propose(Proposal { admits, ..Proposal::default() });
    assert_eq!(refused, Err(CommitFault::Authority.into()));
    world.evict(2, &[3]);
    let lifts = vec![world.fingerprint(3)];
    let events = world.propose(0, Proposal { lifts, ..Proposal::default() });
    assert_eq!(events[1].changes(), [Change::Lifted { fingerprint: world.fingerprint(3) }]);
    world.admit(2, 3);
    world.act(3, Act::Join);
    world.assert_agree();
    world.assert_all_talk();
}

/// An admin who is left behind may throw the liar out as it comes back.
#[test]
fn an_admin_removes_a_liar_by_its_rejoin() {
    use crate::kit::{Liar, Lie};
    let mut world = World::closed(12, 5, 0);
    let liar = Liar { device: &mut world.devices[3] }.commit(Act::Update, &Lie::Tag);
    world.publish(liar);
    assert_eq!(world.stuck(), [0, 1, 2, 4]);
    let removes = vec![(world.fingerprint(3), Reason::Evicted)];
    let device = &mut world.devices[0];
    let author = openchat_group::Author { key: &device.key, name: &device.name, head: device.head };
    let pending = device.group.rejoin(&author, removes.clone(), &mut device.rng).unwrap();
    let entry = pending.entry.0.clone();
    let events = world.publish(entry);
    assert_eq!(events[3].effect(), Effect::Removed);
    assert!([1, 2, 4].iter().all(|&d| events[d].effect() == Effect::Followed { back: true }));
    assert_eq!(events[1].changes(), [Change::Rejoined, removed(&world, 3, Why::Evicted)]);
    world.assert_heard(&[0, 1, 2, 4]);
    let device = &mut world.devices[1];
    let author = openchat_group::Author { key: &device.key, name: &device.name, head: device.head };
    let refused = device.group.rejoin(&author, removes, &mut device.rng).err();
    assert_eq!(refused, Some(CommitFault::Authority.into()));
}

/// A transparency log that says who was revoked.
struct Revocations {
    log: openchat_pki::transparency::MerkleLog,
    entries: Vec<Vec<u8>>,
}

impl Revocations {
    /// After a few other entries, and before some.
    fn of(people: &[(Name, openchat_wire::Fingerprint)]) -> Self {
        let mut it =
            Self { log: openchat_pki::transparency::MerkleLog::new(), entries: Vec::new() };
        for (name, fingerprint) in people {
            let (name, fingerprint) = (name.clone(), *fingerprint);
            let entry = openchat_pki::Entry::Revoke { name, fingerprint };
            it.push(entry.encode());
        }
        (0..8_u8).for_each(|filler| it.push(vec![filler]));
        it
    }

    fn push(&mut self, entry: Vec<u8>) {
        self.log.push(&entry);
        self.entries.push(entry);
    }

    fn proof(&self, index: usize) -> Revocation {
        let inclusion = self.log.prove(u64::try_from(index).unwrap()).unwrap();
        Revocation { entry: Blob(self.entries[index].clone()), inclusion }
    }

    fn head(&self) -> openchat_roster::HeadRef {
        openchat_roster::HeadRef { size: self.log.size(), root: self.log.root() }
    }
}

#[test]
fn a_revoked_key_is_removed_by_anybody_who_proves_it() {
    let mut world = World::closed(13, 4, 0);
    let person = world.devices[2].as_person();
    let other = world.devices[1].as_person();
    let log =
        Revocations::of(&[(other.name, other.fingerprint), (person.name, person.fingerprint)]);
    let removes = |proof| Proposal {
        removes: vec![(person.fingerprint, Reason::Revoked(proof))],
        ..Proposal::default()
    };
    // Under another head, of another entry, or of another key, it proves nothing.
    let fault = Err(CommitFault::Revocation.into());
    assert_eq!(world.devices[3].propose(removes(log.proof(1))), fault);
    world.devices[3].head = log.head();
    assert_eq!(world.devices[3].propose(removes(log.proof(0))), fault);
    assert_eq!(world.devices[3].propose(removes(log.proof(5))), fault);
    let mut moved = log.proof(1);
    moved.inclusion.index = 2;
    assert_eq!(world.devices[3].propose(removes(moved)), fault);
    let expected = removed(&world, 2, Why::Revoked);
    let events = world.propose(3, removes(log.proof(1)));
    assert_eq!(events[2].effect(), Effect::Removed);
    assert_eq!(events[0].changes(), [expected]);
    world.assert_heard(&[0, 1, 3]);
    // The key never comes back; the name may, with another one.
    world.devices.iter_mut().for_each(|device| device.head = log.head());
    let admits = vec![world.devices[2].as_invited()];
    let refused = world.devices[1].propose(Proposal { admits, ..Proposal::default() });
    assert_eq!(refused, Err(CommitFault::Authority.into()));
}

/// Somebody lost its key, got another one certified, and takes its old seat's place.
#[test]
fn a_new_key_takes_the_place_of_a_revoked_one() {
    let mut world = World::new(14, 4, 0);
    let old = world.devices[2].as_person();
    let log = Revocations::of(&[(old.name.clone(), old.fingerprint)]);
    let group = *world.roster().group();
    let mut new = Device::new(20, group, &world.rng);
    new.name = old.name.clone();
    new.head = log.head();
    new.read(&world.log);
    world.devices.push(new);
    assert_eq!(world.devices[4].make(Act::Join), Err(CommitFault::Identity.into()));
    let wrong = world.devices[4].join_replacing(log.proof(3));
    assert_eq!(wrong, Err(CommitFault::Revocation.into()));
    let entry = world.devices[4].join_replacing(log.proof(0)).unwrap();
    let expected = [removed(&world, 2, Why::Replaced), Change::Joined];
    let events = world.publish(entry);
    assert_eq!(events[4].effect(), Effect::Own);
    assert_eq!(events[2].effect(), Effect::Removed);
    assert_eq!(events[0].changes(), expected);
    assert!([0, 1, 3].iter().all(|&device| events[device].effect() == FOLLOWED));
    world.assert_heard(&[0, 1, 3, 4]);
    world.assert_agree();
}

/// Who was thrown out and listens on is not let in by anything that it logs, should the relay let
/// it.
#[test]
fn what_the_removed_had_made_before_does_not_count_after() {
    let mut world = World::closed(15, 4, 0);
    let update = world.devices[2].make(Act::Update).unwrap();
    let message = world.devices[2].seal("too late").unwrap();
    let notice = world.devices[2].notice();
    world.evict(0, &[2]);
    world.assert_refused(&update, &invalid(CommitFault::Place));
    let nobody = Event::Unreadable(Unreadable::Fault(MessageFault::NotSeated));
    let stale = Event::Unreadable(Unreadable::Fault(MessageFault::Stale));
    for device in [0, 1, 3] {
        let event = world.devices[device].judge(&message);
        assert!(event == nobody || event == stale, "{event:?}");
        assert!(world.devices[device].judge(&notice).is_refusal());
    }
    // Even if somebody else gets its slot.
    world.add(0, 2);
    let event = world.devices[0].judge(&message);
    assert_eq!(event, stale);
    world.assert_all_talk();
}

#[test]
fn somebody_is_added_and_another_removed_in_one() {
    let mut world = World::closed(16, 4, 2);
    let adds = vec![world.devices[4].as_new_member(PrekeyKind::OneTime)];
    let admits = vec![world.devices[5].as_invited()];
    let removes =
        vec![(world.fingerprint(1), Reason::Evicted), (world.fingerprint(3), Reason::Evicted)];
    let lone = Proposal { removes, adds, admits, update: true, ..Proposal::default() };
    let events = world.propose(0, lone);
    assert!(matches!(events[4].effect(), Effect::Added { .. }));
    assert!(matches!(events[5].effect(), Effect::Invited(Ok(_))));
    assert_eq!(events[2].effect(), FOLLOWED);
    world.act(4, Act::Update);
    world.act(5, Act::Join);
    world.assert_agree();
    world.assert_heard(&[0, 2, 4, 5]);
}
