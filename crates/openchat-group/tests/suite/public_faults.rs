//! Each public check, C1 to C15, broken alone and signed by an insider who may sign: everybody
//! names that check, nobody's state changes, and the honest commit is taken afterwards.

use openchat_crypto::{KeyPair, Label, PublicKey, Secret, Tag};
use openchat_group::Effect;
use openchat_roster::{
    Commit, CommitEntry, CommitFault, Entrant, LogEntry, NodeIndex, Operation, Policy, Roster, Wrap,
};
use openchat_wire::{
    Blob, DecodeError, Digest, Epoch, GroupId, Slot, limits::MAX_COMMIT, limits::MAX_REJOIN_WRAPS,
};

use crate::kit::{
    Act, World,
    insider::{resigned, signed_as},
    world::{commit_of, invalid, naming, open_policy},
};

/// Five members, two who watch, and an honest commit that waits while others are tried.
struct Stage {
    world: World,
    author: usize,
    honest: Vec<u8>,
    entry: CommitEntry,
    commit: Commit,
}

impl Stage {
    fn new(act: Act) -> Self {
        let mut world = World::new(1, 5, 2);
        let author = if act == Act::Join { 5 } else { 3 };
        let honest = world.devices[author].make(act).unwrap();
        let entry = commit_of(&honest);
        let commit = entry.view().unwrap();
        Self { world, author, honest, entry, commit }
    }

    /// The honest commit with a change, its tree hash fitted and signed again, is refused.
    fn refuses(&mut self, fault: CommitFault, change: impl FnOnce(&mut Commit)) {
        let author = self.author;
        self.refuses_by(author, fault, change);
    }

    fn refuses_by(&mut self, by: usize, fault: CommitFault, change: impl FnOnce(&mut Commit)) {
        let mut commit = self.commit.clone();
        change(&mut commit);
        if let Some(hash) = tree_hash(self.world.roster(), &commit) {
            commit.tree_hash = hash;
        }
        let forged = resigned(&self.world.devices[by].key, &commit, self.entry.tag);
        self.refuses_entry(fault, &forged);
    }

    /// Bytes in place of the commit, signed by its author.
    fn refuses_bytes(&mut self, fault: CommitFault, bytes: Vec<u8>) {
        let key = &self.world.devices[self.author].key;
        let forged = signed_as(key, Label::Commit, Blob(bytes), self.entry.tag);
        self.refuses_entry(fault, &forged);
    }

    fn refuses_entry(&mut self, fault: CommitFault, entry: &[u8]) {
        assert_ne!(entry, self.honest, "not an attack");
        self.world.assert_refused(entry, &invalid(fault));
        // From one's own store the signature alone is taken on trust.
        let replayed = self.world.roster().replay(&commit_of(entry)).err();
        assert_eq!(replayed, Some(fault).filter(|fault| *fault != CommitFault::Signature));
    }

    /// The honest commit is taken, and everybody talks.
    fn accepts(mut self) {
        let events = self.world.publish(self.honest);
        assert_eq!(events[self.author].effect(), Effect::Own);
        self.world.assert_agree();
        self.world.assert_all_talk();
    }

    fn leaf_of(&self, device: usize) -> PublicKey {
        let roster = self.world.roster();
        let seat = roster.seat(&self.world.devices[device].key.fingerprint()).unwrap();
        roster.tree().leaf(seat.slot).unwrap().key
    }
}

/// The hash that a commit has to claim, if its tree can be built.
fn tree_hash(roster: &Roster, commit: &Commit) -> Option<Digest> {
    let outline = roster.outline(&commit.author, &commit.operations, &commit.head).ok()?;
    roster.draft(outline, commit).ok().map(|draft| *draft.tree_hash())
}

/// A key that nobody has seen.
fn fresh(byte: u8) -> PublicKey {
    *KeyPair::derive(&Secret::from_bytes([byte; 32])).public()
}

#[test]
fn c1_other_encodings() {
    let mut stage = Stage::new(Act::Update);
    let good = stage.entry.commit.0.clone();
    let malformed = CommitFault::Encoding(DecodeError::Malformed);
    let not_canonical = CommitFault::Encoding(DecodeError::NotCanonical);
    stage.refuses_bytes(not_canonical, [&good[..], &[0]].concat());
    stage.refuses_bytes(malformed, good[..good.len() - 1].to_vec());
    stage.refuses_bytes(malformed, Vec::new());
    // The epoch, 5, stands behind author and group; 0x85 0x00 is 5 in two bytes.
    let overlong = [&good[..64], &[good[64] | 0x80, 0], &good[65..]].concat();
    stage.refuses_bytes(not_canonical, overlong);
    // An operation of a later version.
    let mut unknown = stage.commit.clone();
    unknown.operations = Vec::new();
    let before_operations = 64 + 1 + 32 + 1 + 32;
    let mut bytes = unknown.to_bytes().0;
    assert_eq!(bytes[before_operations], 0, "no operations");
    bytes.splice(before_operations..=before_operations, [1, 10]);
    stage.refuses_bytes(malformed, bytes);
    // Points that are none, or in another form: not on the curve, compressed, the identity.
    let at = good.len() - 33 - 65;
    let external = stage.commit.external;
    assert_eq!(good[at..at + 65], external.as_bytes()[..]);
    for (byte, value) in [(at, 2), (at, 3), (at, 0), (at + 64, good[at + 64] ^ 1), (at + 1, 0xff)] {
        let mut bytes = good.clone();
        bytes[byte] = value;
        stage.refuses_bytes(malformed, bytes);
    }
    let too_long = DecodeError::TooLong { len: MAX_COMMIT + 1, max: MAX_COMMIT };
    stage.refuses_bytes(CommitFault::Encoding(too_long), vec![0; MAX_COMMIT + 1]);
    stage.accepts();
}

#[test]
fn c2_another_group() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        stage.refuses(CommitFault::Group, |commit| commit.group = GroupId([1; 32]));
        stage.accepts();
    }
}

#[test]
fn c3_another_place() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        for epoch in [0, 4, 6, u64::MAX] {
            stage.refuses(CommitFault::Place, |commit| commit.epoch = Epoch(epoch));
        }
        stage.refuses(CommitFault::Place, |commit| commit.interim.0[0] ^= 1);
        stage.refuses(CommitFault::Place, |commit| commit.interim = Digest([0; 32]));
        for former in stage.world.log.clone() {
            stage.refuses_entry(CommitFault::Place, &former);
        }
        stage.accepts();
    }
}

#[test]
fn c4_other_combinations() {
    let mut stage = Stage::new(Act::Update);
    let create = Operation::Create {
        nonce: Digest([3; 32]),
        policy: open_policy(),
        entrant: entrant(&stage.world, 3),
    };
    stage.refuses(CommitFault::Operations, |commit| commit.operations.clear());
    let twice = vec![Operation::Update, Operation::Update];
    stage.refuses(CommitFault::Operations, |commit| commit.operations = twice);
    let rejoin = Operation::Rejoin { wraps: vec![wrap(5)], ephemeral: fresh(2) };
    let both = vec![rejoin.clone(), Operation::Update];
    stage.refuses(CommitFault::Operations, |commit| commit.operations = both);
    stage.refuses(CommitFault::Operations, |commit| commit.operations = vec![create.clone()]);
    let creates = vec![create, Operation::Update];
    stage.refuses(CommitFault::Operations, |commit| commit.operations = creates);
    stage.accepts();
}

#[test]
fn c4_a_group_begins_with_its_creation() {
    let mut stage = Stage::new(Act::Join);
    let group = *stage.world.roster().group();
    stage.commit.epoch = Epoch(0);
    stage.commit.interim = Digest([0; 32]);
    let entry = |stage: &Stage, operation: Operation| {
        let commit = Commit { operations: vec![operation], ..stage.commit.clone() };
        commit_of(&resigned(&stage.world.devices[5].key, &commit, stage.entry.tag))
    };
    let join = stage.commit.operations[0].clone();
    let rejoin = Operation::Rejoin { wraps: vec![wrap(0)], ephemeral: fresh(2) };
    for (operation, expected) in [
        (join, CommitFault::Operations),
        (rejoin, CommitFault::Authority),
        (Operation::Update, CommitFault::Authority),
    ] {
        let roster = Roster::new(group);
        let fault = roster.check(&entry(&stage, operation)).unwrap_err();
        assert_eq!(fault, expected);
    }
    stage.accepts();
}

#[test]
fn c5_without_a_seat() {
    let mut stage = Stage::new(Act::Update);
    let stranger = stage.world.devices[5].key.fingerprint();
    stage.refuses_by(5, CommitFault::Authority, |commit| commit.author = stranger);
    stage.accepts();
    let mut stage = Stage::new(Act::Rejoin);
    stage.refuses_by(5, CommitFault::Authority, |commit| commit.author = stranger);
    stage.accepts();
}

#[test]
fn c5_nobody_joins_a_closed_group() {
    let closed = Policy::closed(&naming());
    let mut world = World::empty(2, 2, closed);
    assert_eq!(world.devices[1].make(Act::Join), Err(CommitFault::Authority.into()));
    // Somebody whose program does not ask: a join of an open group, moved here.
    let mut stage = Stage::new(Act::Join);
    let place = (*world.roster().group(), *world.roster().interim());
    let mut commit = stage.commit.clone();
    (commit.group, commit.interim) = place;
    commit.epoch = Epoch(1);
    let Operation::Join { wrap: own, .. } = &mut commit.operations[0] else { unreachable!() };
    own.epoch = Epoch(1);
    commit.leaves[0].0 = Slot(1);
    commit.nodes = vec![(NodeIndex { level: 1, index: 0 }, fresh(1))];
    let forged = resigned(&stage.world.devices[5].key, &commit, stage.entry.tag);
    world.assert_refused(&forged, &invalid(CommitFault::Authority));
    world.act(0, Act::Update);
    stage.refuses_entry(CommitFault::Group, &forged);
}

#[test]
fn c6_anothers_name_or_key() {
    let mut stage = Stage::new(Act::Join);
    let set = |commit: &mut Commit, entrant: Entrant| {
        let Operation::Join { entrant: own, .. } = &mut commit.operations[0] else {
            unreachable!()
        };
        *own = entrant;
    };
    let (own, member) = (entrant(&stage.world, 5), entrant(&stage.world, 3));
    let others_key = Entrant { key: member.key, name: own.name.clone() };
    stage.refuses(CommitFault::Identity, |commit| set(commit, others_key.clone()));
    // The same, signed by the key that it names, which is not the author's.
    stage.refuses_by(3, CommitFault::Identity, |commit| set(commit, others_key));
    let others_name = Entrant { key: own.key, name: member.name.clone() };
    stage.refuses(CommitFault::Identity, |commit| set(commit, others_name));
    // A member takes a second seat, under its own name or another.
    for name in [member.name, own.name] {
        let again = Entrant { key: member.key, name };
        let seated = again.key.fingerprint();
        stage.refuses_by(3, CommitFault::Authority, |commit| {
            commit.author = seated;
            set(commit, again);
        });
    }
    stage.accepts();
}

#[test]
fn c7_anothers_signature() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        for by in [0, 6] {
            stage.refuses_by(by, CommitFault::Signature, |_| ());
        }
        let own = &stage.world.devices[stage.author].key;
        let own_over_another_tag = resigned(own, &stage.commit, Tag([0; 32]));
        let signature = commit_of(&own_over_another_tag).signature;
        let moved = CommitEntry { signature, ..stage.entry.clone() };
        stage.refuses_entry(CommitFault::Signature, &LogEntry::Commit(moved).to_bytes());
        // What a relay can spoil: the signature covers the tag.
        let mut tag = stage.entry.tag;
        tag.0[0] ^= 1;
        let spoilt = CommitEntry { tag, ..stage.entry.clone() };
        stage.refuses_entry(CommitFault::Signature, &LogEntry::Commit(spoilt).to_bytes());
        stage.accepts();
    }
}

#[test]
fn c8_other_leaves() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        let own = stage.commit.leaves[0].1;
        let slot = stage.commit.leaves[0].0.0;
        stage.refuses(CommitFault::Leaves, |commit| commit.leaves.clear());
        for other in [0, 1, 4, 6, 7, 8, 1 << 20, u32::MAX] {
            let moved = vec![(Slot(other), own)];
            stage.refuses(CommitFault::Leaves, |commit| commit.leaves = moved);
            let mut both = vec![(Slot(other), fresh(1)), (Slot(slot), own)];
            both.sort_by_key(|(slot, _)| *slot);
            stage.refuses(CommitFault::Leaves, |commit| commit.leaves = both);
        }
        stage.refuses(CommitFault::Leaves, |commit| commit.leaves.push((Slot(slot), fresh(1))));
        stage.accepts();
    }
}

#[test]
fn c9_other_nodes() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        let nodes = stage.commit.nodes.clone();
        assert!(nodes.len() >= 2);
        for (missing, _) in nodes.iter().enumerate() {
            stage.refuses(CommitFault::Nodes, |commit| {
                commit.nodes.remove(missing);
            });
        }
        for at in [(0, 3), (1, 0), (1, 3), (2, 7), (3, 1), (4, 0), (31, 0), (255, u32::MAX)] {
            let (level, index) = at;
            let extra = (NodeIndex { level, index }, fresh(1));
            stage.refuses(CommitFault::Nodes, |commit| {
                commit.nodes.push(extra);
                commit.nodes.sort_by_key(|(at, _)| *at);
            });
            // In place of one that belongs there.
            stage.refuses(CommitFault::Nodes, |commit| {
                commit.nodes[0] = extra;
                commit.nodes.sort_by_key(|(at, _)| *at);
            });
        }
        stage.refuses(CommitFault::Nodes, |commit| commit.nodes.reverse());
        stage.refuses(CommitFault::Nodes, |commit| commit.nodes.push((nodes[1].0, fresh(1))));
        stage.refuses(CommitFault::Nodes, |commit| commit.nodes.insert(0, (nodes[0].0, fresh(1))));
        stage.accepts();
    }
}

#[test]
fn c10_a_key_used_twice() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        let roster = stage.world.roster();
        let root = NodeIndex { level: 3, index: 0 };
        let known = [
            stage.leaf_of(0),
            stage.leaf_of(3),
            roster.tree().agreement(root).unwrap(),
            *roster.external().unwrap(),
        ];
        let own = stage.commit.leaves[0].1;
        for old in known {
            stage.refuses(CommitFault::ReusedKey, |commit| commit.leaves[0].1 = old);
            stage.refuses(CommitFault::ReusedKey, |commit| commit.nodes[1].1 = old);
            stage.refuses(CommitFault::ReusedKey, |commit| commit.external = old);
            if act != Act::Update {
                stage.refuses(CommitFault::ReusedKey, |commit| *ephemeral(commit) = old);
            }
        }
        stage.refuses(CommitFault::ReusedKey, |commit| commit.nodes[0].1 = own);
        stage.refuses(CommitFault::ReusedKey, |commit| commit.nodes[0].1 = commit.nodes[1].1);
        stage.refuses(CommitFault::ReusedKey, |commit| commit.external = own);
        if act != Act::Update {
            stage.refuses(CommitFault::ReusedKey, |commit| *ephemeral(commit) = own);
            stage.refuses(CommitFault::ReusedKey, |commit| *ephemeral(commit) = commit.external);
        }
        stage.accepts();
    }
}

#[test]
fn c11_another_tree_hash() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        let key = &stage.world.devices[stage.author].key;
        let mut flipped = stage.commit.clone();
        flipped.tree_hash.0[31] ^= 1;
        let zero = Commit { tree_hash: Digest([0; 32]), ..stage.commit.clone() };
        // The hash is that of one tree, not of the keys that somebody put into it afterwards.
        let mut other_node = stage.commit.clone();
        other_node.nodes[0].1 = fresh(1);
        let forged = [flipped, zero, other_node].map(|c| resigned(key, &c, stage.entry.tag));
        for entry in forged {
            stage.refuses_entry(CommitFault::TreeHash, &entry);
        }
        stage.accepts();
    }
}

#[test]
fn c12_an_older_head() {
    for act in [Act::Update, Act::Rejoin, Act::Join] {
        let mut stage = Stage::new(act);
        for size in [0, 6] {
            stage.refuses(CommitFault::Head, |commit| commit.head.size = size);
        }
        stage.accepts();
    }
}

#[test]
fn c14_the_group_is_not_this_creation() {
    let mut world = World::new(3, 1, 0);
    let honest = world.devices[0].create(open_policy());
    let entry = commit_of(&honest);
    let commit = entry.view().unwrap();
    let other_policy = Policy::open("generals".parse().unwrap());
    let swap = |nonce: Option<Digest>, policy: Option<Policy>| {
        let mut commit = commit.clone();
        let Operation::Create { nonce: own, policy: ours, .. } = &mut commit.operations[0] else {
            unreachable!()
        };
        *own = nonce.unwrap_or(*own);
        *ours = policy.unwrap_or_else(|| ours.clone());
        resigned(&world.devices[0].key, &commit, entry.tag)
    };
    let forged = [swap(Some(Digest([0; 32])), None), swap(None, Some(other_policy))];
    for entry in forged {
        world.assert_refused(&entry, &invalid(CommitFault::GroupId));
    }
    // The same creation, taken over by somebody else.
    let thief = World::new(4, 1, 0);
    let mut commit = commit.clone();
    commit.author = thief.devices[0].key.fingerprint();
    let Operation::Create { entrant: own, .. } = &mut commit.operations[0] else { unreachable!() };
    *own = entrant(&thief, 0);
    let stolen = resigned(&thief.devices[0].key, &commit, entry.tag);
    world.assert_refused(&stolen, &invalid(CommitFault::GroupId));
    assert_eq!(world.devices[0].judge(&honest).effect(), Effect::Own);
}

#[test]
fn c15_wraps_that_make_no_sense() {
    let mut stage = Stage::new(Act::Join);
    for epoch in [0, 4, 6, u64::MAX] {
        stage.refuses(CommitFault::Wraps, |commit| {
            let Operation::Join { wrap, .. } = &mut commit.operations[0] else { unreachable!() };
            wrap.epoch = Epoch(epoch);
        });
    }
    stage.accepts();
    let mut stage = Stage::new(Act::Rejoin);
    let too_many: Vec<u64> = (1..=5).rev().collect();
    assert_eq!(too_many.len(), MAX_REJOIN_WRAPS + 1);
    let lists: [&[u64]; 10] =
        [&[], &[4], &[6], &[6, 5], &[4, 5], &[5, 5], &[5, 3, 4], &[5, 4, 4], &[5, 4, 0], &too_many];
    for list in lists {
        stage.refuses(CommitFault::Wraps, |commit| *wraps(commit) = wraps_for(list));
    }
    stage.accepts();
}

fn wraps_for(epochs: &[u64]) -> Vec<Wrap> {
    epochs.iter().map(|epoch| wrap(*epoch)).collect()
}

fn wrap(epoch: u64) -> Wrap {
    Wrap { epoch: Epoch(epoch), wrapped: Digest([6; 32]) }
}

fn wraps(commit: &mut Commit) -> &mut Vec<Wrap> {
    let Operation::Rejoin { wraps, .. } = &mut commit.operations[0] else { unreachable!() };
    wraps
}

fn ephemeral(commit: &mut Commit) -> &mut PublicKey {
    match &mut commit.operations[0] {
        Operation::Join { ephemeral, .. } | Operation::Rejoin { ephemeral, .. } => ephemeral,
        other => panic!("{other:?} has none"),
    }
}

fn entrant(world: &World, device: usize) -> Entrant {
    let device = &world.devices[device];
    Entrant { name: device.name.clone(), key: *device.key.public() }
}
