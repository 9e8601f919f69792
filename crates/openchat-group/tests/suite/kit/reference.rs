//! A second implementation of the group, written from `docs/protocol.md` §4.5, §5 and §6.1 alone
//! and as plainly as can be: a list of leaves, recursion, no sharing. The first is held against it.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, Label, PublicKey, Secret, hash, sha256};
use openchat_roster::{Commit, CommitEntry, NodeIndex, Operation, Policy, Wrap};
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Name, Slot, decode, encode};
use serde::{Deserialize, Serialize};

/// A member's secrets, read out of its vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SecretsView {
    pub(crate) epoch: Epoch,
    pub(crate) slot: Slot,
    pub(crate) leaf: Secret,
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) external: KeyPair,
}

impl SecretsView {
    pub(crate) fn of(group: &openchat_group::Group) -> Self {
        let secrets = group.secrets().expect("a member has secrets");
        decode(&encode(secrets), 1_000).unwrap()
    }
}

/// The group as its commits say.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) group: GroupId,
    pub(crate) epoch: Epoch,
    pub(crate) interim: Digest,
    pub(crate) confirmed: Digest,
    /// One a slot; their number is a power of two.
    pub(crate) leaves: Vec<Option<Leaf>>,
    pub(crate) nodes: BTreeMap<NodeIndex, PublicKey>,
    /// Of every epoch so far.
    pub(crate) externals: BTreeMap<Epoch, PublicKey>,
    policy: Option<Policy>,
    head_size: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) key: PublicKey,
    pub(crate) member: Fingerprint,
    name: Name,
    is_admin: bool,
    seated: Epoch,
}

/// What a leaf secret leads to.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) leaf: PublicKey,
    pub(crate) nodes: Vec<(NodeIndex, PublicKey)>,
    pub(crate) root: Secret,
}

/// The secrets of an epoch.
#[derive(Debug, Clone)]
pub(crate) struct EpochKeys {
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) confirmation: Secret,
    pub(crate) message: Secret,
}

impl Reference {
    pub(crate) fn new(group: GroupId) -> Self {
        Self {
            group,
            epoch: Epoch(0),
            interim: Digest([0; 32]),
            confirmed: Digest([0; 32]),
            leaves: vec![None],
            nodes: BTreeMap::new(),
            externals: BTreeMap::new(),
            policy: None,
            head_size: 0,
        }
    }

    /// As far as a log goes, skipping what is no commit on the tail.
    pub(crate) fn of_log(group: GroupId, log: &[Vec<u8>]) -> Self {
        use openchat_roster::LogEntry;
        let mut reference = Self::new(group);
        for bytes in log {
            if let Ok(LogEntry::Commit(entry)) = LogEntry::decode(bytes)
                && entry.view().is_ok_and(|commit| commit.interim == reference.interim)
            {
                reference.apply(&entry);
            }
        }
        reference
    }

    /// Takes a commit that is valid, and checks the tree hash that it claims.
    pub(crate) fn apply(&mut self, entry: &CommitEntry) {
        let commit = entry.view().unwrap();
        self.apply_tree(&commit);
        assert_eq!(self.tree_hash(), commit.tree_hash, "tree hash at {}", commit.epoch);
        let confirmed = hash(Label::CommitConfirmed, &[&self.interim.0, &entry.commit.0]);
        self.interim = hash(Label::Interim, &[&confirmed.0, &entry.tag.0]);
        self.confirmed = confirmed;
        self.epoch = Epoch(self.epoch.0 + 1);
        self.externals.insert(self.epoch, commit.external);
    }

    /// The public tree after a commit, whatever tree hash it claims.
    pub(crate) fn apply_tree(&mut self, commit: &Commit) {
        let entrant = match &commit.operations[0] {
            Operation::Create { entrant, policy, .. } => {
                self.policy = Some(policy.clone());
                Some(entrant)
            }
            Operation::Join { entrant, .. } => Some(entrant),
            Operation::Rejoin { .. } | Operation::Update => None,
        };
        let key = commit.leaves[0].1;
        if let Some(entrant) = entrant {
            let slot = self.free_slot();
            let leaf = Leaf {
                key,
                member: commit.author,
                name: entrant.name.clone(),
                is_admin: self.epoch == Epoch(0),
                seated: Epoch(self.epoch.0 + 1),
            };
            self.place(slot, leaf);
        } else {
            let slot = self.slot_of(&commit.author).unwrap();
            let leaf = self.leaves[slot].clone().unwrap();
            self.leaves[slot] = Some(Leaf { key, ..leaf });
        }
        self.nodes.extend(commit.nodes.iter().copied());
        self.head_size = commit.head.size;
    }

    fn place(&mut self, slot: usize, leaf: Leaf) {
        if slot == self.leaves.len() {
            self.leaves.resize(slot * 2, None);
        }
        self.leaves[slot] = Some(leaf);
    }

    /// The lowest empty slot; the number of slots if there is none.
    pub(crate) fn free_slot(&self) -> usize {
        self.leaves.iter().position(Option::is_none).unwrap_or(self.leaves.len())
    }

    pub(crate) fn slot_of(&self, member: &Fingerprint) -> Option<usize> {
        self.leaves.iter().position(|leaf| leaf.as_ref().is_some_and(|leaf| leaf.member == *member))
    }

    pub(crate) fn height(&self) -> u8 {
        u8::try_from(self.leaves.len().ilog2()).unwrap()
    }

    /// The key of a subtree; a transparent one has its only child's.
    pub(crate) fn key(&self, at: NodeIndex) -> Option<PublicKey> {
        if at.level == 0 {
            let leaf = self.leaves.get(usize::try_from(at.index).unwrap())?;
            return leaf.as_ref().map(|leaf| leaf.key);
        }
        let (left, right) = children(at);
        match (self.key(left), self.key(right)) {
            (Some(_), Some(_)) => self.nodes.get(&at).copied(),
            (left, right) => left.or(right),
        }
    }

    /// §4.5.
    pub(crate) fn tree_hash(&self) -> Digest {
        let root = self.hash_at(NodeIndex { level: self.height(), index: 0 });
        let policy = match self.policy.as_ref().unwrap() {
            Policy::Open { name } => [&[0], &text(name.as_str())[..]].concat(),
            Policy::Closed { name_hash } => [&[1], &name_hash.0[..]].concat(),
        };
        let parts = [&[self.height()], &root.0[..], &policy, &leb128(self.head_size)].concat();
        hash(Label::TreeTop, &[&parts])
    }

    fn hash_at(&self, at: NodeIndex) -> Digest {
        if self.key(at).is_none() {
            return Digest([0; 32]);
        }
        if at.level == 0 {
            return self.leaves[usize::try_from(at.index).unwrap()].as_ref().unwrap().hash();
        }
        let (left, right) = children(at);
        let is_transparent = self.key(left).is_none() || self.key(right).is_none();
        let key = match self.key(at) {
            Some(key) if !is_transparent => [&[1], &key.as_bytes()[..]].concat(),
            _ => vec![0],
        };
        let hashes = [self.hash_at(left).0, self.hash_at(right).0].concat();
        hash(Label::TreeNode, &[&[&[at.level], &hashes[..], &key].concat()])
    }

    /// §5.1: everything above a leaf whose secret is known.
    pub(crate) fn walk(&self, slot: usize, leaf: &Secret) -> Walk {
        self.walk_and_lie(slot, leaf, &BTreeMap::new())
    }

    /// As [`Self::walk`], but where `lies` has a secret for a level, that one is taken.
    pub(crate) fn walk_and_lie(
        &self,
        slot: usize,
        leaf: &Secret,
        lies: &BTreeMap<u8, Secret>,
    ) -> Walk {
        let mut secret = leaf.clone();
        let mut own = pair(&secret);
        let (leaf, mut nodes) = (*own.public(), Vec::new());
        for level in 1..=self.height() {
            let index = u32::try_from(slot).unwrap() >> level;
            let at = NodeIndex { level, index };
            let (left, right) = children(at);
            let is_left = (slot >> (level - 1)) & 1 == 0;
            let Some(beside) = self.key(if is_left { right } else { left }) else { continue };
            let ends = if is_left { [*own.public(), beside] } else { [beside, *own.public()] };
            let shared = Secret::extract(b"", own.agree(&beside).expose());
            let context =
                [&self.group.0[..], &ends[0].as_bytes()[..], &ends[1].as_bytes()[..]].concat();
            secret = shared.expand(Label::Node, &context);
            if let Some(lie) = lies.get(&level) {
                secret = lie.clone();
            }
            own = pair(&secret);
            nodes.push((at, *own.public()));
        }
        Walk { leaf, nodes, root: secret.expand(Label::Root, b"") }
    }
}

impl Leaf {
    fn hash(&self) -> Digest {
        let seat = [
            &[1],
            &text(self.name.as_str())[..],
            &self.member.0,
            &[u8::from(self.is_admin)],
            &leb128(self.seated.0),
        ];
        // Nobody owns another's leaf yet.
        let parts = [&seat.concat(), &self.member.0[..], &self.key.as_bytes()[..]];
        hash(Label::TreeLeaf, &[&parts.concat()])
    }
}

/// §5.2: the joiner secret, and the external key pair that follows from it.
pub(crate) fn joiner(init: &Secret, root: &Secret) -> (Secret, KeyPair) {
    let joiner = Secret::extract(init.expose(), root.expose());
    let external = KeyPair::derive(&joiner.expand(Label::External, b""));
    (joiner, external)
}

pub(crate) fn epoch_keys(joiner: &Secret, confirmed: &Digest) -> EpochKeys {
    let epoch = joiner.expand(Label::Epoch, &confirmed.0);
    EpochKeys {
        init: epoch.expand(Label::Init, b""),
        hedge: epoch.expand(Label::Hedge, b""),
        confirmation: epoch.expand(Label::ConfirmationKey, b""),
        message: epoch.expand(Label::MessageSecret, b""),
    }
}

/// The pad of a wrap in a commit on `before`, from either side's key pair.
pub(crate) fn wrap_pad(
    before: &Reference,
    for_epoch: Epoch,
    mine: &KeyPair,
    theirs: &PublicKey,
    ends: [&PublicKey; 2],
) -> Secret {
    let context = [
        &before.group.0[..],
        &before.epoch.0.to_be_bytes(),
        &for_epoch.0.to_be_bytes(),
        &before.interim.0,
        &ends[0].as_bytes()[..],
        &ends[1].as_bytes()[..],
    ];
    let shared = Secret::extract(b"", mine.agree(theirs).expose());
    shared.expand(Label::RejoinWrap, &context.concat())
}

/// s, wrapped for whoever has the external private key of an epoch.
pub(crate) fn wrapped(before: &Reference, epoch: Epoch, ephemeral: &KeyPair, s: &Secret) -> Wrap {
    let external = &before.externals[&epoch];
    let pad = wrap_pad(before, epoch, ephemeral, external, [ephemeral.public(), external]);
    Wrap { epoch, wrapped: Digest(*s.xor(&pad).expose()) }
}

/// §6.1: the secret of one generation of a sender's ratchet.
pub(crate) fn generation_secret(
    message: &Secret,
    height: u8,
    slot: u32,
    generation: u32,
) -> Secret {
    let mut secret = message.clone();
    for level in (0..height).rev() {
        let is_right = (slot >> level) & 1 == 1;
        let label = if is_right { Label::TreeRight } else { Label::TreeLeft };
        secret = secret.expand(label, b"");
    }
    for step in 0..generation {
        secret = secret.expand(Label::RatchetNext, &step.to_be_bytes());
    }
    secret.expand(Label::RatchetGeneration, &generation.to_be_bytes())
}

pub(crate) fn pair(secret: &Secret) -> KeyPair {
    KeyPair::derive(&secret.expand(Label::Key, b""))
}

/// The log hash of a whole log whose places are 1, 2, 3…
pub(crate) fn log_hash(group: &GroupId, log: &[Vec<u8>]) -> Digest {
    let start = hash(Label::Log, &[&group.0]);
    (1_u64..).zip(log).fold(start, |before, (place, entry)| {
        hash(Label::Entry, &[&before.0, &place.to_be_bytes(), &sha256(entry).0])
    })
}

fn children(at: NodeIndex) -> (NodeIndex, NodeIndex) {
    let child = |index| NodeIndex { level: at.level - 1, index };
    (child(at.index * 2), child(at.index * 2 + 1))
}

fn text(text: &str) -> Vec<u8> {
    [&leb128(u64::try_from(text.len()).unwrap()), text.as_bytes()].concat()
}

fn leb128(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}
