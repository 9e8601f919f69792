//! Makes commits that are publicly valid and know no secrets: their keys are drawn at random.

use core::convert::Infallible;

use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret, Tag, sha256};
use openchat_roster::{
    self as roster, Commit, CommitEntry, CommitFault, Entrant, HeadRef, Operation, Policy, Prekey,
    PrekeyKind, Reason, Roster, Seen, SignedPrekey, Wrap, group_id,
};
use openchat_wire::{Digest, Fingerprint, GroupId, Name, Seq, Slot, UnixMillis};
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
    /// What all commits name.
    pub(crate) head: HeadRef,
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
        let mut scribe = Self { roster: nobodys(), people, head: HEAD, drawn };
        scribe.create(policy(), Vec::new());
        for joiner in 1..seated {
            scribe.act(joiner, Act::Join);
        }
        scribe
    }

    /// Begins another group, of person 0, with what else its creation does.
    pub(crate) fn create(&mut self, policy: Policy, more: Vec<Operation>) {
        let (nonce, entrant) = (Digest([1; 32]), self.entrant(0));
        self.roster = Roster::new(group_id(&self.fingerprint(0), &nonce, &policy));
        let first = Operation::Create { nonce, policy, entrant };
        self.does(0, [vec![first], more].concat());
    }

    /// Makes and takes a commit of these operations.
    pub(crate) fn does(&mut self, who: usize, operations: Vec<Operation>) {
        let commit = self.commit(who, operations).unwrap();
        self.take(who, &commit);
    }

    /// What is wrong with a commit of these operations, the same for its author and its readers.
    pub(crate) fn fault(&mut self, who: usize, operations: Vec<Operation>) -> CommitFault {
        let outline = self.roster.outline(&self.fingerprint(who), &operations, &self.head);
        let fault = outline.unwrap_err();
        // Any leaves and nodes will do: operations are judged first.
        let mut commit = self.blank(who, operations);
        commit.leaves = vec![(Slot(0), self.fresh())];
        let read = self.roster.check(&self.signed(who, &commit)).unwrap_err();
        if fault == CommitFault::Authority && self.roster.seat(&self.fingerprint(who)).is_none() {
            assert!(matches!(read, CommitFault::Authority | CommitFault::Identity), "{read:?}");
        } else {
            assert_eq!(read, fault);
        }
        fault
    }

    /// Makes and takes a commit.
    pub(crate) fn act(&mut self, who: usize, act: Act) {
        let commit = self.make(who, act);
        self.take(who, &commit);
    }

    pub(crate) fn make(&mut self, who: usize, act: Act) -> Commit {
        let operation = match act {
            Act::Join => self.join(who),
            Act::Rejoin => Operation::Rejoin { wraps: vec![self.wrap()], ephemeral: self.fresh() },
            Act::Update => Operation::Update,
        };
        self.commit(who, vec![operation]).unwrap()
    }

    pub(crate) fn join(&mut self, who: usize) -> Operation {
        let (entrant, wrap) = (self.entrant(who), self.wrap());
        Operation::Join { entrant, wrap, ephemeral: self.fresh(), replaces: None }
    }

    pub(crate) fn wrap(&self) -> Wrap {
        Wrap { epoch: self.roster.epoch(), wrapped: Digest([9; 32]) }
    }

    pub(crate) fn prekey(&mut self, of: usize, kind: PrekeyKind) -> SignedPrekey {
        let prekey = Prekey {
            owner: self.fingerprint(of),
            kind,
            id: [3; 16],
            key: self.fresh(),
            not_before: UnixMillis(1),
            not_after: UnixMillis(2),
        };
        SignedPrekey::sign(&prekey, &self.people[of].key)
    }

    pub(crate) fn add(&mut self, who: usize) -> Operation {
        let prekey = self.prekey(who, PrekeyKind::OneTime);
        Operation::Add { entrant: self.entrant(who), prekey }
    }

    pub(crate) fn admit(&self, who: usize) -> Operation {
        Operation::Admit(roster::Person {
            name: self.people[who].name.clone(),
            fingerprint: self.fingerprint(who),
        })
    }

    pub(crate) fn evict(&self, who: usize) -> Operation {
        Operation::Remove { member: self.fingerprint(who), reason: Reason::Evicted }
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

    pub(crate) fn commit(
        &mut self,
        who: usize,
        operations: Vec<Operation>,
    ) -> Result<Commit, CommitFault> {
        let outline = self.roster.outline(&self.fingerprint(who), &operations, &self.head)?;
        let mut commit = self.blank(who, operations);
        commit.leaves = outline.leaves().map(|(slot, _)| (slot, self.fresh())).collect();
        commit.nodes = outline.agreements().into_iter().map(|at| (at, self.fresh())).collect();
        commit.ephemeral = outline.needs_ephemeral().then(|| self.fresh());
        commit.tree_hash = *self.roster.draft(outline, &commit)?.tree_hash();
        Ok(commit)
    }

    fn blank(&mut self, who: usize, operations: Vec<Operation>) -> Commit {
        Commit {
            author: self.fingerprint(who),
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
            seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
            operations,
            ephemeral: None,
            leaves: Vec::new(),
            nodes: Vec::new(),
            tree_hash: Digest([0; 32]),
            external: self.fresh(),
            head: self.head,
        }
    }

    /// The tree hash that a changed commit has to claim.
    pub(crate) fn rehash(&self, commit: &mut Commit) -> Result<(), CommitFault> {
        let outline = self.roster.outline(&commit.author, &commit.operations, &commit.head)?;
        commit.tree_hash = *self.roster.draft(outline, commit)?.tree_hash();
        Ok(())
    }

    /// Which slots a commit changes.
    pub(crate) fn changed(&mut self, who: usize, operations: Vec<Operation>) -> Vec<u32> {
        let commit = self.commit(who, operations).unwrap();
        self.take(who, &commit);
        commit.leaves.iter().map(|(slot, _)| slot.0).collect()
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
    Policy::open("general".parse().unwrap())
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
