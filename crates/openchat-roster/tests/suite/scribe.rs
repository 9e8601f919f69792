//! Makes commits that are publicly valid and know no secrets: their keys are drawn at random.

use core::convert::Infallible;

use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret, Tag, sha256};
use openchat_roster::{
    Commit, CommitEntry, Entrant, HeadRef, NodeIndex, Operation, Policy, Roster, Seen, Wrap,
    group_id,
};
use openchat_wire::{Digest, Fingerprint, GroupId, Name, Seq, Slot};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) const HEAD: HeadRef = HeadRef { size: 7, root: Digest([7; 32]) };

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
}

/// A group and everybody who may be in it.
#[derive(Debug)]
pub(crate) struct Scribe {
    pub(crate) roster: Roster,
    pub(crate) people: Vec<Person>,
    drawn: Draw,
}

/// What a person does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Join,
    Update,
    Rejoin,
}

impl Scribe {
    /// `seated` members, who came in this order, and `outside` more people.
    pub(crate) fn new(seated: usize, outside: usize) -> Self {
        let mut drawn = Draw(0);
        let people: Vec<Person> = (0..seated + outside)
            .map(|index| Person {
                name: format!("p{index}").parse().unwrap(),
                key: IdentityKey::generate(&mut drawn),
            })
            .collect();
        let nonce = Digest([1; 32]);
        let group = group_id(&people[0].key.fingerprint(), &nonce, &policy());
        let mut scribe = Self { roster: Roster::new(group), people, drawn };
        let operation = Operation::Create { nonce, policy: policy(), entrant: scribe.entrant(0) };
        let creation = scribe.commit(0, operation, Slot(0));
        scribe.take(0, &creation);
        for joiner in 1..seated {
            scribe.act(joiner, Act::Join);
        }
        scribe
    }

    /// Makes and takes a commit.
    pub(crate) fn act(&mut self, who: usize, act: Act) {
        let commit = self.make(who, act);
        self.take(who, &commit);
    }

    pub(crate) fn make(&mut self, who: usize, act: Act) -> Commit {
        let seat = self.roster.seat(&self.fingerprint(who));
        let slot = seat.map_or(self.roster.tree().lowest_free(), |seat| seat.slot);
        let wrap = Wrap { epoch: self.roster.epoch(), wrapped: Digest([9; 32]) };
        let operation = match act {
            Act::Join => {
                Operation::Join { entrant: self.entrant(who), wrap, ephemeral: self.fresh() }
            }
            Act::Rejoin => Operation::Rejoin { wraps: vec![wrap], ephemeral: self.fresh() },
            Act::Update => Operation::Update,
        };
        self.commit(who, operation, slot)
    }

    pub(crate) fn take(&mut self, who: usize, commit: &Commit) {
        let entry = self.signed(who, commit);
        let transition = self.roster.check(&entry).unwrap();
        self.roster.apply(transition);
    }

    pub(crate) fn signed(&self, who: usize, commit: &Commit) -> CommitEntry {
        let (commit, tag) = (commit.to_bytes(), Tag([5; 32]));
        let body = CommitEntry::signed_bytes(&commit, &tag);
        let signature = self.people[who].key.sign(Label::Commit, &body);
        CommitEntry { commit, tag, signature }
    }

    fn commit(&mut self, who: usize, operation: Operation, slot: Slot) -> Commit {
        let nodes = path(slot, &self.occupied(slot));
        let mut commit = Commit {
            author: self.fingerprint(who),
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
            seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
            operations: vec![operation],
            leaves: vec![(slot, self.fresh())],
            nodes: nodes.into_iter().map(|at| (at, self.fresh())).collect(),
            tree_hash: Digest([0; 32]),
            external: self.fresh(),
            head: HEAD,
        };
        commit.tree_hash = *self.roster.draft(&commit).unwrap().tree_hash();
        commit
    }

    fn occupied(&self, and: Slot) -> Vec<u32> {
        let mut slots: Vec<u32> = self.roster.seats().map(|seat| seat.slot.0).collect();
        slots.push(and.0);
        slots
    }

    pub(crate) fn fingerprint(&self, who: usize) -> Fingerprint {
        self.people[who].key.fingerprint()
    }

    pub(crate) fn entrant(&self, who: usize) -> Entrant {
        let person = &self.people[who];
        Entrant { name: person.name.clone(), key: *person.key.public() }
    }

    pub(crate) fn fresh(&mut self) -> PublicKey {
        *KeyPair::derive(&Secret::random(&mut self.drawn)).public()
    }
}

pub(crate) fn policy() -> Policy {
    Policy::Open { name: "general".parse().unwrap() }
}

/// The inner nodes above a slot that have leaves on both sides, upward.
pub(crate) fn path(slot: Slot, occupied: &[u32]) -> Vec<NodeIndex> {
    let highest = occupied.iter().copied().max().unwrap_or(0);
    let levels = (1..=32_u8).take_while(|level| *level == 1 || highest >> (level - 1) > 0);
    let is_occupied = |level: u8, index: u32| occupied.iter().any(|leaf| leaf >> level == index);
    levels
        .map(|level| NodeIndex { level, index: slot.0 >> level })
        .filter(|at| {
            let (below, left) = (at.level - 1, at.index * 2);
            is_occupied(below, left) && is_occupied(below, left + 1)
        })
        .collect()
}

/// Random bytes that are the same in every run: SHA-256 of a counter.
#[derive(Debug)]
pub(crate) struct Draw(pub(crate) u64);

impl TryRng for Draw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(32) {
            self.0 += 1;
            let block = sha256(&self.0.to_be_bytes()).0;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Draw {}

/// A group that nobody is in.
pub(crate) fn nobodys() -> Roster {
    Roster::new(GroupId([0; 32]))
}
