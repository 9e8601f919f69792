//! Entries that somebody with a valid key makes who does not keep to the protocol.

use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret, Tag};
use openchat_pki::Inclusion;
use openchat_roster::{
    Commit, CommitEntry, Entrant, Inviting, Joining, LeaveEntry, LogEntry, MessageEntry, NodeIndex,
    NoticeEntry, Operation, Outline, Policy, Reason, Revocation, Role, Rules, Seen, Wrap,
};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, Generation, MessageId, Seq, Slot, encode};

use crate::{
    Random,
    device::HEAD,
    input::Input,
    world::{DAVE, MALLORY, World},
};

/// Makes entries by the choices of an input.
pub(crate) struct Forger<'a, 'b> {
    pub(crate) world: &'a mut World,
    pub(crate) input: &'a mut Input<'b>,
    rng: Random,
}

impl<'a, 'b> Forger<'a, 'b> {
    pub(crate) fn new(world: &'a mut World, input: &'a mut Input<'b>) -> Self {
        let rng = Random::new(&encode(world.relay.interim()));
        Self { world, input, rng }
    }

    /// A commit in Mallory's or Dave's name, or in somebody else's; whole but for its path keys
    /// and its tag, or with a field changed.
    pub(crate) fn commit(&mut self) -> LogEntry {
        let signer = *self.input.one(&[MALLORY, MALLORY, MALLORY, DAVE]);
        let author = if self.input.byte() < 240 { signer } else { self.anybody() };
        let author = self.world.devices[author].fingerprint();
        let is_stranger = self.world.relay.seat(&author).is_none();
        let operations = if is_stranger && self.input.byte() < 200 {
            vec![self.join()]
        } else {
            self.operations()
        };
        let mut commit = self.bare(author, operations);
        if let Ok(outline) = self.world.relay.outline(&author, &commit.operations, &commit.head) {
            self.fill(&mut commit, outline);
        }
        for _ in 0..self.input.below(3) {
            self.change(&mut commit);
        }
        let tag = Tag(self.rng.array());
        let label = if self.input.byte() < 250 { Label::Commit } else { Label::Notice };
        let commit = commit.to_bytes();
        let body = CommitEntry::signed_bytes(&commit, &tag);
        let signature = self.world.devices[signer].key.sign(label, &body);
        LogEntry::Commit(CommitEntry { commit, tag, signature })
    }

    /// Something that Mallory has sealed, with its header or its token changed, or neither.
    pub(crate) fn message(&mut self) -> Option<LogEntry> {
        let kind = openchat_group::ContentKind(u16::from(self.input.byte()));
        let body = self.input.bytes();
        let LogEntry::Message(mut entry) = self.world.devices[MALLORY].seal(kind, body)? else {
            return None;
        };
        self.change_message(&mut entry);
        Some(LogEntry::Message(entry))
    }

    /// A notice or a leave request, in whosever name.
    pub(crate) fn report(&mut self) -> LogEntry {
        let author = self.anybody();
        let author = self.world.devices[author].fingerprint();
        let roster = &self.world.relay;
        let (group, mut epoch) = (*roster.group(), roster.epoch());
        let mut interim = *roster.interim();
        if self.input.flag() {
            epoch = Epoch(self.input.number());
            interim = Digest(self.input.array());
        }
        let key = self.mallory();
        if self.input.flag() {
            let notice = openchat_roster::Notice { author, group, epoch, interim };
            return LogEntry::Notice(NoticeEntry::sign(&notice, &key));
        }
        let since = roster.seat(&author).map_or(epoch, |seat| seat.seated);
        let key_field = self.input.flag().then(|| *key.public());
        let leave = openchat_roster::Leave { author, group, since, key: key_field };
        LogEntry::Leave(LeaveEntry::sign(&leave, &key))
    }

    fn mallory(&self) -> IdentityKey {
        self.world.devices[MALLORY].key.clone()
    }

    fn anybody(&mut self) -> usize {
        self.input.below(self.world.devices.len())
    }

    fn fingerprint(&mut self) -> Fingerprint {
        let who = self.anybody();
        self.world.devices[who].fingerprint()
    }

    fn public(&mut self) -> PublicKey {
        *KeyPair::derive(&Secret::random(&mut self.rng)).public()
    }

    fn operations(&mut self) -> Vec<Operation> {
        let count = [1, 1, 1, 1, 1, 2, 3, 0][self.input.below(8)];
        let mut operations: Vec<Operation> = (0..count).map(|_| self.operation()).collect();
        if self.input.byte() < 200 {
            operations.sort_by_key(|one| (one.index(), one.about().copied()));
        }
        operations
    }

    fn operation(&mut self) -> Operation {
        match self.input.below(16) {
            12.. => Operation::Update,
            0 => {
                let member = self.fingerprint();
                Operation::Remove { member, reason: self.reason() }
            }
            1 | 2 => self.add(),
            3 | 4 => {
                let who = self.anybody();
                Operation::Admit(self.world.devices[who].person())
            }
            5 => Operation::Rules(Rules {
                join: *self.input.one(&[Joining::Admitted, Joining::Anyone]),
                invite: *self.input.one(&[Inviting::Members, Inviting::Admins]),
            }),
            6 => Operation::Lift(self.fingerprint()),
            7 => {
                let member = self.fingerprint();
                Operation::Role { member, role: *self.input.one(&[Role::Admin, Role::Member]) }
            }
            8 | 9 => {
                let count = [1, 1, 1, 0, 2, 6][self.input.below(6)];
                let wraps = (0..count).map(|_| self.wrap()).collect();
                Operation::Rejoin { wraps, ephemeral: self.public() }
            }
            10 => self.join(),
            11 => self.create(),
        }
    }

    fn reason(&mut self) -> Reason {
        match (self.input.below(3), self.world.leave.clone()) {
            (0, Some(leave)) => Reason::Left(leave),
            (1, _) => Reason::Revoked(self.revocation()),
            _ => Reason::Evicted,
        }
    }

    fn revocation(&mut self) -> Revocation {
        let path = (0..self.input.below(4)).map(|at| Digest([u8::try_from(at).unwrap(); 32]));
        let path = path.collect();
        let entry = Blob(self.input.bytes().to_vec());
        Revocation { entry, inclusion: Inclusion { index: self.input.number(), path } }
    }

    fn entrant(&mut self) -> Entrant {
        let (name, key) = (self.anybody(), self.anybody());
        // Mostly somebody's name with that person's key.
        let key = if self.input.byte() < 220 { name } else { key };
        let devices = &self.world.devices;
        Entrant { name: devices[name].name.clone(), key: *devices[key].key.public() }
    }

    fn entrant_of(&self, who: usize) -> Entrant {
        let device = &self.world.devices[who];
        Entrant { name: device.name.clone(), key: *device.key.public() }
    }

    fn add(&mut self) -> Operation {
        let (entrant, last_resort) = (self.entrant(), self.input.flag());
        let owner = self.world.devices.iter().position(|one| *one.key.public() == entrant.key);
        let owner = if self.input.byte() < 220 { owner.unwrap_or(DAVE) } else { MALLORY };
        let mut prekey = self.world.devices[owner].prekey(last_resort);
        if self.input.byte() >= 240 {
            prekey.prekey = Blob(self.input.bytes().to_vec());
        }
        Operation::Add { entrant, prekey }
    }

    fn join(&mut self) -> Operation {
        let replaces = (self.input.byte() >= 200).then(|| self.revocation());
        let entrant = if self.input.byte() < 200 { self.entrant_of(DAVE) } else { self.entrant() };
        let (wrap, ephemeral) = (self.wrap(), self.public());
        Operation::Join { entrant, wrap, ephemeral, replaces }
    }

    fn create(&mut self) -> Operation {
        let (entrant, nonce) = (self.entrant(), Digest(self.input.array()));
        let one = self.fingerprint();
        Operation::Create { nonce, policy: Policy::direct(one, one), entrant }
    }

    fn wrap(&mut self) -> Wrap {
        let tail = self.world.relay.epoch();
        let epoch = if self.input.byte() < 192 { tail } else { Epoch(self.input.number()) };
        Wrap { epoch, wrapped: Digest(self.rng.array()) }
    }

    fn bare(&mut self, author: Fingerprint, operations: Vec<Operation>) -> Commit {
        let roster = &self.world.relay;
        let (group, epoch, interim) = (*roster.group(), roster.epoch(), *roster.interim());
        let external = self.public();
        Commit {
            author,
            group,
            epoch,
            interim,
            seen: Seen { seq: Seq(self.input.number()), log_hash: Digest([0; 32]) },
            operations,
            ephemeral: None,
            leaves: Vec::new(),
            nodes: Vec::new(),
            tree_hash: Digest([0; 32]),
            external,
            head: HEAD,
        }
    }

    /// All public keys that the operations ask for, and the right tree hash.
    fn fill(&mut self, commit: &mut Commit, outline: Outline) {
        commit.leaves = outline.leaves().map(|(slot, _)| (slot, self.public())).collect();
        commit.nodes = outline.agreements().into_iter().map(|at| (at, self.public())).collect();
        commit.ephemeral = outline.needs_ephemeral().then(|| self.public());
        if let Ok(draft) = self.world.relay.draft(outline, commit) {
            commit.tree_hash = *draft.tree_hash();
        }
    }

    /// One field is another.
    fn change(&mut self, commit: &mut Commit) {
        let key = self.public();
        let node = NodeIndex { level: self.input.byte(), index: u32::from(self.input.byte()) };
        let slot = Slot(u32::try_from(self.input.number() & 0xffff_ffff).unwrap());
        // What is checked first would hide the rest.
        let field =
            if self.input.byte() < 220 { 4 + self.input.below(12) } else { self.input.below(4) };
        match field {
            0 => commit.epoch = Epoch(self.input.number()),
            1 => commit.interim = Digest(self.input.array()),
            2 => commit.group.0 = self.input.array(),
            3 => commit.author = self.fingerprint(),
            4 => commit.leaves.push((slot, key)),
            5 => drop(commit.leaves.pop()),
            6 => commit.nodes.push((node, key)),
            7 => drop(commit.nodes.pop()),
            8 => commit.leaves.reverse(),
            9 => commit.nodes.reverse(),
            10 => commit.tree_hash = Digest(self.input.array()),
            11 => commit.external = *self.world.relay.external().unwrap(),
            12 => commit.ephemeral = Some(key).filter(|_| commit.ephemeral.is_none()),
            13 => commit.head.size = self.input.number(),
            14 => commit.operations.extend_from_within(..),
            _ => {
                let known = self.world.relay.tree().leaf(slot).map(|leaf| leaf.key);
                commit.leaves.iter_mut().for_each(|(_, key)| *key = known.unwrap_or(*key));
            }
        }
    }

    fn change_message(&mut self, entry: &mut MessageEntry) {
        let header = &mut entry.header;
        match self.input.below(9) {
            0 => header.epoch = Epoch(self.input.number()),
            1 => header.confirmed = self.input.array(),
            2 => header.slot = Slot(u32::from(self.input.byte())),
            3 => header.generation = Generation(u32::from(self.input.byte())),
            4 => header.generation = Generation(u32::MAX),
            5 => header.id = MessageId(self.input.array()),
            6 => entry.token = Blob(self.input.bytes().to_vec()),
            _ => {}
        }
    }
}
