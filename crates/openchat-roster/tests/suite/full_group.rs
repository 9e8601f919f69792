//! C13: ten thousand members, and not one more.

use openchat_crypto::{KeyPair, PublicKey, Secret, Tag};
use openchat_roster::{
    Commit, CommitEntry, CommitFault, Entrant, NodeIndex, Operation, Roster, Seen, Wrap, group_id,
};
use openchat_wire::{Digest, Seq, Slot, limits::MAX_MEMBERS};

use crate::scribe::{Draw, HEAD, Person, policy};

/// Keys that go back when a commit has replaced them, so that few are ever drawn.
struct Pool {
    free: Vec<PublicKey>,
    drawn: Draw,
}

impl Pool {
    fn take(&mut self) -> PublicKey {
        let drawn = &mut self.drawn;
        self.free.pop().unwrap_or_else(|| *KeyPair::derive(&Secret::random(drawn)).public())
    }
}

/// A group that fills up, one join after the other.
struct Filling {
    roster: Roster,
    nonce: Digest,
    pool: Pool,
    /// Whoever signs; the others' commits are replayed, which asks for no signature.
    signer: openchat_crypto::IdentityKey,
}

impl Filling {
    fn new() -> Self {
        let mut drawn = Draw(1 << 40);
        let signer = openchat_crypto::IdentityKey::generate(&mut drawn);
        let nonce = Digest([1; 32]);
        let group = group_id(&signer.fingerprint(), &nonce, &policy());
        let pool = Pool { free: Vec::new(), drawn };
        Self { roster: Roster::new(group), nonce, pool, signer }
    }

    /// The commit with which the next one comes in.
    fn next(&mut self, number: u32, key: PublicKey) -> Commit {
        let entrant = Entrant { name: format!("n{number}").parse().unwrap(), key };
        let author = key.fingerprint();
        let wrap = Wrap { epoch: self.roster.epoch(), wrapped: Digest([9; 32]) };
        let operation = if number == 0 {
            Operation::Create { nonce: self.nonce, policy: policy(), entrant }
        } else {
            Operation::Join { entrant, wrap, ephemeral: self.pool.take(), replaces: None }
        };
        // Whoever comes is on the right of everybody else: above it, each right child has a left
        // sibling, and no left child a right one.
        let above = (1..=14_u8).filter(|level| number >> (level - 1) & 1 == 1);
        let nodes = above.map(|level| NodeIndex { level, index: number >> level });
        let nodes: Vec<_> = nodes.map(|at| (at, self.pool.take())).collect();
        let mut commit = Commit {
            author,
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
            seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
            operations: vec![operation],
            ephemeral: None,
            leaves: vec![(Slot(number), self.pool.take())],
            nodes,
            tree_hash: Digest([0; 32]),
            external: self.pool.take(),
            head: HEAD,
        };
        if let Ok(hash) = self.tree_hash(&commit) {
            commit.tree_hash = hash;
        }
        commit
    }

    fn tree_hash(&self, commit: &Commit) -> Result<Digest, CommitFault> {
        let outline = self.roster.outline(&commit.author, &commit.operations, &commit.head)?;
        Ok(*self.roster.draft(outline, commit)?.tree_hash())
    }

    fn take(&mut self, commit: &Commit) {
        let tree = self.roster.tree();
        let replaced = commit.nodes.iter().filter_map(|(at, _)| tree.agreement(*at));
        let external = self.roster.external().copied();
        let used: Vec<_> = replaced.chain(external).collect();
        let transition = self.roster.replay(&self.signed(commit)).unwrap();
        self.roster.apply(transition);
        self.pool.free.extend(used);
        if let Operation::Join { ephemeral, .. } = &commit.operations[0] {
            self.pool.free.push(*ephemeral);
        }
    }

    fn signed(&self, commit: &Commit) -> CommitEntry {
        let (commit, tag) = (commit.to_bytes(), Tag([5; 32]));
        let body = CommitEntry::signed_bytes(&commit, &tag);
        let signature = self.signer.sign(openchat_crypto::Label::Commit, &body);
        CommitEntry { commit, tag, signature }
    }
}

#[test]
fn c13_a_full_group_takes_nobody_and_goes_on() {
    let mut group = Filling::new();
    let creator = *group.signer.public();
    let first = group.next(0, creator);
    group.take(&first);
    let most = u32::try_from(MAX_MEMBERS).unwrap();
    for number in 1..most {
        let key = group.pool.take();
        let join = group.next(number, key);
        group.take(&join);
    }
    assert_eq!(group.roster.tree().members(), most);
    assert_eq!(group.roster.tree().height(), 14);
    assert_eq!(group.roster.seats().count(), MAX_MEMBERS);
    let mut late = Draw(1 << 50);
    let late = Person {
        name: "late".parse().unwrap(),
        key: openchat_crypto::IdentityKey::generate(&mut late),
    };
    let one_more = group.next(most, *late.key.public());
    let signer = core::mem::replace(&mut group.signer, late.key);
    let shown = (*group.roster.interim(), group.roster.tree().hash());
    assert_eq!(group.roster.check(&group.signed(&one_more)).unwrap_err(), CommitFault::Full);
    assert_eq!(shown, (*group.roster.interim(), group.roster.tree().hash()));
    // Who is in it can still renew itself.
    group.signer = signer;
    let nodes: Vec<_> =
        (1..=14).map(|level| (NodeIndex { level, index: 0 }, group.pool.take())).collect();
    let mut update = Commit {
        author: creator.fingerprint(),
        operations: vec![Operation::Update],
        leaves: vec![(Slot(0), group.pool.take())],
        nodes,
        ..one_more
    };
    update.tree_hash = group.tree_hash(&update).unwrap();
    let transition = group.roster.check(&group.signed(&update)).unwrap();
    group.roster.apply(transition);
}
