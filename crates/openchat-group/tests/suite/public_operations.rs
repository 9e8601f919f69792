//! Public checks of commits that do several things at once, each broken alone by an insider who may
//! sign: everybody names that check, nobody's state changes.

use openchat_crypto::{KeyPair, PublicKey, Secret};
use openchat_group::Proposal;
use openchat_roster::{
    Claim, Commit, CommitEntry, CommitFault, Entrant, Inviting, Joining, LeaveFault, NodeIndex,
    Operation, Person, PrekeyFault, PrekeyKind, Reason, Role, Roster, Rules, SignedPrekey,
};
use openchat_wire::{Digest, Fingerprint, Slot};

use crate::kit::{
    Act, World,
    insider::resigned,
    world::{commit_of, invalid},
};

const ADMIN: usize = 0;
const MEMBER: usize = 1;
const OTHER: usize = 2;
const VICTIM: usize = 3;
const UNCLAIMED: usize = 4;
const ADMITTED: usize = 5;
const DENIED: usize = 6;
const STRANGER: usize = 7;
const GUEST: usize = 8;

/// A closed group with somebody in every position, and an honest commit of its admin that removes,
/// adds, renews, admits, and promotes.
struct Stage {
    world: World,
    honest: Vec<u8>,
    entry: CommitEntry,
    commit: Commit,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::closed(1, 4, 5);
        world.add(ADMIN, DENIED);
        world.act(DENIED, Act::Update);
        world.evict(ADMIN, &[DENIED]);
        world.add(MEMBER, UNCLAIMED);
        world.admit(MEMBER, ADMITTED);
        let adds = vec![world.devices[STRANGER].as_new_member(PrekeyKind::OneTime)];
        let admits = vec![world.devices[GUEST].as_invited()];
        let removes = vec![(world.fingerprint(VICTIM), Reason::Evicted)];
        let roles = vec![(world.fingerprint(OTHER), Role::Admin)];
        let update = true;
        let proposal = Proposal { removes, adds, update, admits, roles, ..Proposal::default() };
        let honest = world.devices[ADMIN].propose(proposal).unwrap();
        let entry = commit_of(&honest);
        let commit = entry.view().unwrap();
        Self { world, honest, entry, commit }
    }

    fn fingerprint(&self, device: usize) -> Fingerprint {
        self.world.fingerprint(device)
    }

    fn person(&self, device: usize) -> Person {
        self.world.devices[device].as_person()
    }

    fn evict(&self, device: usize) -> Operation {
        Operation::Remove { member: self.fingerprint(device), reason: Reason::Evicted }
    }

    fn add(&mut self, device: usize) -> Operation {
        let device = &mut self.world.devices[device];
        let prekey = device.prekey(PrekeyKind::OneTime);
        Operation::Add {
            entrant: Entrant { name: device.name.clone(), key: *device.key.public() },
            prekey,
        }
    }

    fn role(&self, device: usize, role: Role) -> Operation {
        Operation::Role { member: self.fingerprint(device), role }
    }

    /// These operations by this member are refused, whatever else is in the commit.
    fn refuses(&mut self, by: usize, operations: Vec<Operation>, fault: CommitFault) {
        let author = self.fingerprint(by);
        let commit = Commit { author, operations, ..self.commit.clone() };
        self.refuses_commit(by, &commit, fault);
    }

    /// The honest commit with a change, its tree hash fitted where there is a tree, is refused.
    fn refuses_change(&mut self, fault: CommitFault, change: impl FnOnce(&mut Commit)) {
        let mut commit = self.commit.clone();
        change(&mut commit);
        if let Some(hash) = tree_hash(self.world.roster(), &commit) {
            commit.tree_hash = hash;
        }
        self.refuses_commit(ADMIN, &commit, fault);
    }

    fn refuses_commit(&mut self, by: usize, commit: &Commit, fault: CommitFault) {
        let forged = resigned(&self.world.devices[by].key, commit, self.entry.tag);
        assert_ne!(forged, self.honest, "not an attack");
        self.world.assert_refused(&forged, &invalid(fault));
    }

    /// The honest commit is taken, and those inside talk.
    fn accepts(mut self) {
        self.world.publish(self.honest);
        self.world.act(STRANGER, Act::Update);
        self.world.act(UNCLAIMED, Act::Update);
        self.world.act(GUEST, Act::Join);
        self.world.assert_agree();
        self.world.assert_all_talk();
    }
}

fn tree_hash(roster: &Roster, commit: &Commit) -> Option<Digest> {
    let outline = roster.outline(&commit.author, &commit.operations, &commit.head).ok()?;
    roster.draft(outline, commit).ok().map(|draft| *draft.tree_hash())
}

fn fresh(byte: u8) -> PublicKey {
    *KeyPair::derive(&Secret::from_bytes([byte; 32])).public()
}

#[test]
fn c4_order_and_combinations() {
    let mut stage = Stage::new();
    let fault = CommitFault::Operations;
    let good = stage.commit.operations.clone();
    for (at, _) in good.iter().enumerate().skip(1) {
        let mut swapped = good.clone();
        swapped.swap(at - 1, at);
        stage.refuses(ADMIN, swapped, fault);
        let twice: Vec<_> = good[..=at].iter().chain(&good[at..]).cloned().collect();
        // An add twice is somebody who is seated twice.
        let fault = match good[at] {
            Operation::Add { .. } => CommitFault::Identity,
            _ => fault,
        };
        stage.refuses(ADMIN, twice, fault);
    }
    // Those about people go by fingerprint.
    let mut pair = [stage.evict(VICTIM), stage.evict(OTHER)];
    pair.sort_by_key(|operation| core::cmp::Reverse(operation.about().copied()));
    stage.refuses(ADMIN, pair.into(), fault);
    let rules = Operation::Rules(Rules::INVITED);
    stage.refuses(ADMIN, vec![rules.clone(), rules], fault);
    // A rejoin comes with removes alone.
    let rejoin = || Operation::Rejoin { wraps: Vec::new(), ephemeral: fresh(1) };
    let role = stage.role(OTHER, Role::Admin);
    for other in [Operation::Update, role, stage.add(STRANGER)] {
        stage.refuses(ADMIN, vec![rejoin(), other], fault);
    }
    stage.accepts();
}

#[test]
fn c4_an_unclaimed_author_renews_its_leaf() {
    let mut stage = Stage::new();
    let add = stage.add(STRANGER);
    let admit = Operation::Admit(stage.person(STRANGER));
    for operation in [add, admit] {
        stage.refuses(UNCLAIMED, vec![operation], CommitFault::Operations);
    }
    stage.accepts();
}

#[test]
fn c5_who_may_do_what() {
    let mut stage = Stage::new();
    let fault = CommitFault::Authority;
    let stricter = Rules { join: Joining::Admitted, invite: Inviting::Admins };
    let for_admins = [
        stage.evict(VICTIM),
        Operation::Rules(stricter),
        Operation::Lift(stage.fingerprint(DENIED)),
        stage.role(OTHER, Role::Admin),
        stage.add(DENIED),
        Operation::Admit(stage.person(DENIED)),
    ];
    for operation in for_admins {
        stage.refuses(MEMBER, vec![operation], fault);
    }
    let for_members = [stage.add(STRANGER), Operation::Admit(stage.person(STRANGER))];
    for operation in for_members {
        for outside in [ADMITTED, DENIED, STRANGER] {
            stage.refuses(outside, vec![operation.clone()], fault);
        }
    }
    // Nobody removes itself.
    let own = stage.evict(ADMIN);
    stage.refuses(ADMIN, vec![own], fault);
    // A member's rejoin throws nobody out.
    let (interim, external) = (stage.commit.epoch, fresh(1));
    let wraps = vec![openchat_roster::Wrap { epoch: interim, wrapped: Digest([0; 32]) }];
    let rejoin = Operation::Rejoin { wraps, ephemeral: external };
    let operations = vec![rejoin, stage.evict(VICTIM)];
    stage.refuses(MEMBER, operations, fault);
    // Nor does somebody come by itself whom nobody has admitted.
    for outsider in [STRANGER, DENIED] {
        let join = join_of(&stage, outsider);
        stage.refuses(outsider, vec![join], fault);
    }
    stage.accepts();
}

fn join_of(stage: &Stage, device: usize) -> Operation {
    let epoch = stage.commit.epoch;
    let device = &stage.world.devices[device];
    Operation::Join {
        entrant: Entrant { name: device.name.clone(), key: *device.key.public() },
        wrap: openchat_roster::Wrap { epoch, wrapped: Digest([0; 32]) },
        ephemeral: fresh(1),
        replaces: None,
    }
}

#[test]
fn c5_a_direct_group_is_of_two_equals() {
    let mut world = World::direct(2, 1);
    world.act(1, Act::Update);
    let honest = world.devices[0].make(Act::Update).unwrap();
    let entry = commit_of(&honest);
    let other = world.fingerprint(1);
    let device = &mut world.devices[2];
    let prekey = device.prekey(PrekeyKind::OneTime);
    let entrant = Entrant { name: device.name.clone(), key: *device.key.public() };
    let stranger = device.as_person();
    let operations = [
        Operation::Remove { member: other, reason: Reason::Evicted },
        Operation::Add { entrant, prekey },
        Operation::Admit(stranger),
        Operation::Rules(Rules::INVITED),
        Operation::Role { member: other, role: Role::Admin },
    ];
    for operation in operations {
        let commit = Commit { operations: vec![operation], ..entry.view().unwrap() };
        let forged = resigned(&world.devices[0].key, &commit, entry.tag);
        world.assert_refused(&forged, &invalid(CommitFault::Authority));
    }
    world.publish(honest);
    world.assert_all_talk();
}

#[test]
fn c6_who_is_who() {
    let mut stage = Stage::new();
    let fault = CommitFault::Identity;
    for seated in [MEMBER, UNCLAIMED] {
        let add = stage.add(seated);
        stage.refuses(ADMIN, vec![add], fault);
        let admit = Operation::Admit(stage.person(seated));
        stage.refuses(ADMIN, vec![admit], fault);
    }
    // Another's name.
    let Operation::Add { entrant, prekey } = stage.add(STRANGER) else { unreachable!() };
    let name = stage.world.devices[MEMBER].name.clone();
    let namesake = Operation::Add { entrant: Entrant { name, ..entrant }, prekey };
    stage.refuses(ADMIN, vec![namesake], fault);
    let name = stage.world.devices[MEMBER].name.clone();
    let namesake = Person { name, ..stage.person(STRANGER) };
    stage.refuses(ADMIN, vec![Operation::Admit(namesake)], fault);
    // Two in one.
    let both = vec![stage.add(STRANGER), Operation::Admit(stage.person(STRANGER))];
    stage.refuses(ADMIN, both, fault);
    for gone in [VICTIM, ADMITTED] {
        let both = vec![stage.evict(gone), stage.add(gone)];
        stage.refuses(ADMIN, both, fault);
        let both = vec![stage.evict(gone), Operation::Admit(stage.person(gone))];
        stage.refuses(ADMIN, both, fault);
    }
    let again = Operation::Admit(stage.person(ADMITTED));
    stage.refuses(ADMIN, vec![again], fault);
    // Who is not there can't be removed, promoted or lifted.
    let absent = [
        stage.evict(STRANGER),
        stage.role(STRANGER, Role::Admin),
        stage.role(ADMITTED, Role::Admin),
        Operation::Lift(stage.fingerprint(STRANGER)),
        Operation::Lift(stage.fingerprint(MEMBER)),
        stage.role(ADMIN, Role::Admin),
        stage.role(MEMBER, Role::Member),
    ];
    for operation in absent {
        stage.refuses(ADMIN, vec![operation], fault);
    }
    let both = vec![stage.evict(VICTIM), stage.role(VICTIM, Role::Admin)];
    stage.refuses(ADMIN, both, fault);
    stage.accepts();
}

#[test]
fn c8_every_leaf_that_is_set_and_e() {
    let mut stage = Stage::new();
    let fault = CommitFault::Leaves;
    let leaves = stage.commit.leaves.clone();
    assert_eq!(leaves.len(), 2, "the author's, and the removed one's, which the added one takes");
    for (missing, leaf) in leaves.iter().enumerate() {
        stage.refuses_change(fault, |commit| {
            commit.leaves.remove(missing);
        });
        stage.refuses_change(fault, |commit| commit.leaves.insert(missing, *leaf));
    }
    stage.refuses_change(fault, |commit| commit.leaves.reverse());
    // Another member's, though it is nobody else's business.
    for slot in (0..10).map(Slot).filter(|slot| leaves.iter().all(|(at, _)| at != slot)) {
        stage.refuses_change(fault, |commit| {
            commit.leaves.push((slot, fresh(1)));
            commit.leaves.sort_by_key(|(at, _)| *at);
        });
    }
    stage.refuses_change(fault, |commit| commit.ephemeral = None);
    // One that nobody needs.
    let update = commit_of(&stage.world.devices[OTHER].make(Act::Update).unwrap());
    let mut commit = update.view().unwrap();
    commit.ephemeral = Some(fresh(1));
    stage.refuses_commit(OTHER, &commit, fault);
    stage.accepts();
}

#[test]
fn c9_every_agreement_above_them() {
    let mut stage = Stage::new();
    let nodes = stage.commit.nodes.clone();
    assert!(nodes.len() >= 4);
    for (missing, (at, _)) in nodes.iter().enumerate() {
        stage.refuses_change(CommitFault::Nodes, |commit| {
            commit.nodes.remove(missing);
        });
        stage.refuses_change(CommitFault::Nodes, |commit| {
            commit.nodes.insert(missing, (*at, fresh(1)));
        });
    }
    for (level, index) in [(0, 0), (1, 7), (2, 3), (3, 1), (4, 0), (255, u32::MAX)] {
        stage.refuses_change(CommitFault::Nodes, |commit| {
            commit.nodes.push((NodeIndex { level, index }, fresh(1)));
            commit.nodes.sort_by_key(|(at, _)| *at);
        });
    }
    stage.refuses_change(CommitFault::Nodes, |commit| commit.nodes.reverse());
    stage.accepts();
}

#[test]
fn c10_no_key_twice() {
    let mut stage = Stage::new();
    let fault = CommitFault::ReusedKey;
    let old = stage.world.roster().tree().leaf(Slot(1)).unwrap().key;
    let external = stage.commit.external;
    let leaf = stage.commit.leaves[0].1;
    for key in [old, external, leaf] {
        stage.refuses_change(fault, |commit| commit.ephemeral = Some(key));
    }
    for key in [old, external, leaf] {
        stage.refuses_change(fault, |commit| commit.leaves[1].1 = key);
    }
    let e = stage.commit.ephemeral.unwrap();
    stage.refuses_change(fault, |commit| commit.leaves[1].1 = e);
    stage.refuses_change(fault, |commit| commit.external = e);
    stage.accepts();
}

#[test]
fn c10_a_prekey_is_no_other_key_of_the_group() {
    let mut stage = Stage::new();
    let fault = CommitFault::ReusedKey;
    let Claim::Unclaimed(unclaimed) = stage.world.claim(UNCLAIMED) else { panic!() };
    let device = &stage.world.devices[STRANGER];
    let Operation::Add { prekey: own, .. } = stage.commit.operations[1].clone() else { panic!() };
    let entrant = Entrant { name: device.name.clone(), key: *device.key.public() };
    let add = |key| {
        let view = openchat_roster::Prekey { key, ..own.view().unwrap() };
        let prekey = SignedPrekey::sign(&view, &device.key);
        Operation::Add { entrant: entrant.clone(), prekey }
    };
    let taken = [stage.commit.external, stage.commit.leaves[0].1, stage.commit.ephemeral.unwrap()];
    let adds: Vec<Operation> = taken.into_iter().map(&add).collect();
    // P of another seat is no key of the group: nobody has shown to hold it.
    let copied = add(unclaimed.prekey);
    for add in adds {
        stage.refuses_change(fault, |commit| commit.operations[1] = add);
    }
    assert!(
        stage
            .world
            .roster()
            .outline(
                &stage.commit.author,
                &[stage.commit.operations[0].clone(), copied],
                &stage.commit.head
            )
            .is_ok()
    );
    stage.accepts();
}

#[test]
fn c14_rules_that_do_not_suit() {
    let mut stage = Stage::new();
    let anyone = Rules { join: Joining::Anyone, invite: Inviting::Members };
    stage.refuses(ADMIN, vec![Operation::Rules(anyone)], CommitFault::Rules);
    stage.accepts();
}

#[test]
fn c16_an_adds_prekey_is_its_owners() {
    let mut stage = Stage::new();
    let Operation::Add { entrant, prekey } = stage.add(STRANGER) else { unreachable!() };
    let foreign = stage.world.devices[GUEST].prekey(PrekeyKind::OneTime);
    let view = prekey.view().unwrap();
    let by_another = SignedPrekey::sign(&view, &stage.world.devices[GUEST].key);
    let mut moved = prekey.clone();
    moved.signature = foreign.signature;
    let mut longer = prekey;
    longer.prekey.0.push(0);
    let cases = [
        (foreign, PrekeyFault::Owner),
        (by_another, PrekeyFault::Signature),
        (moved, PrekeyFault::Signature),
        (longer, PrekeyFault::Encoding),
    ];
    for (prekey, fault) in cases {
        let add = Operation::Add { entrant: entrant.clone(), prekey };
        stage.refuses(ADMIN, vec![add], fault.into());
    }
    stage.accepts();
}

/// Validity depends on no clock: a prekey that has expired is the author's and the relay's to
/// refuse.
#[test]
fn c16_knows_no_clock() {
    let mut stage = Stage::new();
    let device = &mut stage.world.devices[STRANGER];
    let prekey = device.prekey(PrekeyKind::OneTime);
    let mut view = prekey.view().unwrap();
    view.not_after = openchat_wire::UnixMillis(0);
    assert!(!view.is_valid_at(openchat_wire::UnixMillis(1)));
    let expired = SignedPrekey::sign(&view, &device.key);
    let pair = device.ring.prekeys[&prekey.hash()].clone();
    device.ring.prekeys.insert(expired.hash(), pair);
    let (name, key) = (device.name.clone(), *device.key.public());
    let adds = vec![openchat_group::NewMember { name, key, prekey: expired }];
    let events = stage.world.propose(ADMIN, Proposal { adds, ..Proposal::default() });
    assert!(matches!(events[STRANGER].effect(), openchat_group::Effect::Added { .. }));
    stage.world.act(STRANGER, Act::Update);
    stage.world.assert_all_talk();
}

#[test]
fn c17_and_c18_a_removal_needs_its_reason() {
    let mut stage = Stage::new();
    let device = &stage.world.devices[VICTIM];
    let leave = device.group.leave_request(&device.key).unwrap();
    let member = stage.fingerprint(OTHER);
    let others = Operation::Remove { member, reason: Reason::Left(leave.clone()) };
    stage.refuses(MEMBER, vec![others], CommitFault::Leave(LeaveFault::Encoding));
    let member = stage.fingerprint(VICTIM);
    let mut unsigned = leave;
    unsigned.signature = stage.entry.signature;
    let forged = Operation::Remove { member, reason: Reason::Left(unsigned) };
    stage.refuses(MEMBER, vec![forged], CommitFault::Leave(LeaveFault::Signature));
    let proof = openchat_roster::Revocation {
        entry: openchat_wire::Blob(Vec::new()),
        inclusion: openchat_pki::transparency::Inclusion { index: 0, path: Vec::new() },
    };
    let revoked = Operation::Remove { member, reason: Reason::Revoked(proof) };
    stage.refuses(MEMBER, vec![revoked], CommitFault::Revocation);
    stage.accepts();
}
