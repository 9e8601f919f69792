//! What a log's commits amount to, and whether the next one counts (`docs/protocol.md` §4.4).

use std::collections::{BTreeMap, BTreeSet};

use openchat_crypto::{Label, PublicKey, hash};
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Name, Slot, encode};
use serde::Serialize;

use crate::{
    authority::outline,
    commit::{Commit, CommitEntry, HeadRef, Operation},
    fault::CommitFault,
    index::Index,
    lists::{Admitted, Denied, Lists},
    message::Window,
    outline::{Outline, Trust},
    policy::Policy,
    seat::Seat,
    tree::{Leaf, Rebuilt, Tree},
};

/// The state of a group that everybody who reads its log agrees on.
#[derive(Debug, Clone)]
pub struct Roster {
    group: GroupId,
    epoch: Epoch,
    interim: Digest,
    confirmed: Digest,
    policy: Option<Policy>,
    tree: Tree,
    lists: Lists,
    index: Index,
    keys: BTreeSet<PublicKey>,
    external: Option<PublicKey>,
    head: HeadRef,
    window: Window,
}

/// Proof that a commit is valid: what it makes of the roster that checked it.
#[derive(Debug)]
pub struct Transition {
    commit: Commit,
    confirmed: Digest,
    interim: Digest,
    draft: Draft,
}

/// A commit's effect on the public tree, before anybody vouched for it.
#[derive(Debug)]
pub struct Draft {
    outline: Outline,
    tree: Tree,
    tree_hash: Digest,
    replaced: Vec<PublicKey>,
    emptied: Vec<(Slot, Fingerprint)>,
    added: BTreeSet<PublicKey>,
}

/// `group_id = H("group" ‖ author ‖ nonce ‖ policy)`.
#[must_use]
pub fn group_id(author: &Fingerprint, nonce: &Digest, policy: &Policy) -> GroupId {
    GroupId(hash(Label::Group, &[&author.0, &nonce.0, &encode(policy)]).0)
}

impl Roster {
    /// A group before its first commit.
    #[must_use]
    pub fn new(group: GroupId) -> Self {
        Self {
            group,
            epoch: Epoch(0),
            interim: Digest([0; 32]),
            confirmed: Digest([0; 32]),
            policy: None,
            tree: Tree::default(),
            lists: Lists::default(),
            index: Index::default(),
            keys: BTreeSet::new(),
            external: None,
            head: HeadRef { size: 0, root: Digest([0; 32]) },
            window: Window::default(),
        }
    }

    /// Judges a commit that somebody says comes next. The roster stays as it is.
    ///
    /// # Errors
    /// The first check of `docs/protocol.md` §4.4 that fails.
    pub fn check(&self, entry: &CommitEntry) -> Result<Transition, CommitFault> {
        self.judge(entry, Trust::Nobody)
    }

    /// As [`check`](Self::check), for a commit that was checked before it was put in one's own
    /// store: signatures and proofs are not verified again.
    ///
    /// # Errors
    /// The first check that fails, those aside.
    pub fn replay(&self, entry: &CommitEntry) -> Result<Transition, CommitFault> {
        self.judge(entry, Trust::OwnStore)
    }

    /// Takes the step that [`check`](Self::check) on this very roster has approved.
    pub fn apply(&mut self, transition: Transition) {
        let Transition { commit, confirmed, interim, draft } = transition;
        let Draft { outline, tree, replaced, emptied, added, .. } = draft;
        for key in &replaced {
            self.keys.remove(key);
        }
        if let Some(old) = self.external.replace(commit.external) {
            self.keys.remove(&old);
        }
        self.keys.extend(added);
        self.index.follow(&self.tree, &outline, &emptied);
        self.tree = tree;
        self.epoch = self.epoch.next();
        self.interim = interim;
        self.confirmed = confirmed;
        self.head = commit.head;
        self.window.push(self.epoch, (confirmed, interim), !outline.removed.is_empty());
        self.policy = Some(outline.policy);
        self.lists = outline.lists;
    }

    /// What a commit of these operations does, keys aside: for its author, who learns from it which
    /// keys to make, and for [`check`](Self::check).
    ///
    /// # Errors
    /// C4 to C6 and C13 to C18 of `docs/protocol.md` §4.4.
    pub fn outline(
        &self,
        author: &Fingerprint,
        operations: &[Operation],
        head: &HeadRef,
    ) -> Result<Outline, CommitFault> {
        outline(self, author, operations, (head, Trust::Nobody))
    }

    /// What a commit with this outline makes of the tree, its claimed tree hash aside: for its
    /// author, who learns the hash from here, and for [`check`](Self::check).
    ///
    /// # Errors
    /// C8 to C10 and C12 of `docs/protocol.md` §4.4.
    pub fn draft(&self, outline: Outline, commit: &Commit) -> Result<Draft, CommitFault> {
        if commit.head.size < self.head.size {
            return Err(CommitFault::Head);
        }
        let slots = commit.leaves.iter().map(|(slot, _)| slot);
        if !slots.eq(outline.leaves.keys())
            || commit.ephemeral.is_some() != outline.needs_ephemeral()
        {
            return Err(CommitFault::Leaves);
        }
        if !commit.nodes.iter().map(|(at, _)| *at).eq(outline.agreements()) {
            return Err(CommitFault::Nodes);
        }
        let added = self.new_keys(&outline, commit)?;
        let nodes = commit.nodes.iter().copied().collect();
        let rebuilt = Tree::rebuild(&outline.shape, &self.leaves_after(&outline, commit), &nodes)?;
        let Rebuilt { tree, replaced, emptied } = rebuilt;
        let tree_hash = top_hash(&tree, &outline, commit.head.size);
        Ok(Draft { outline, tree, tree_hash, replaced, emptied, added })
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> &GroupId {
        &self.group
    }

    /// Commits so far.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Names the last commit and all before it.
    #[must_use]
    pub const fn interim(&self) -> &Digest {
        &self.interim
    }

    /// `confirmed_n` of the current epoch.
    #[must_use]
    pub const fn confirmed(&self) -> &Digest {
        &self.confirmed
    }

    /// The public tree.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What the group is; `None` before the first commit.
    #[must_use]
    pub const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// The current epoch's external key; `None` before the first commit.
    #[must_use]
    pub const fn external(&self) -> Option<&PublicKey> {
        self.external.as_ref()
    }

    /// The transparency head that the last commit named.
    #[must_use]
    pub const fn head(&self) -> &HeadRef {
        &self.head
    }

    /// The seat of an identity key.
    #[must_use]
    pub fn seat(&self, member: &Fingerprint) -> Option<&Seat> {
        self.seat_at(self.index.slot(member)?)
    }

    /// The seat of a name.
    #[must_use]
    pub fn seat_named(&self, name: &Name) -> Option<&Seat> {
        self.seat_at(self.index.slot_named(name)?)
    }

    /// The seat on a slot.
    #[must_use]
    pub fn seat_at(&self, slot: Slot) -> Option<&Seat> {
        self.tree.leaf(slot)?.seat.as_ref()
    }

    /// All seats, by slot.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.tree.leaves().filter_map(|leaf| leaf.seat.as_ref())
    }

    /// Members that have not claimed their leaf.
    #[must_use]
    pub fn unclaimed(&self) -> usize {
        self.index.unclaimed()
    }

    /// The slots of the admins.
    pub fn admins(&self) -> impl Iterator<Item = Slot> {
        self.index.admins()
    }

    /// The leaves whose last commit somebody authored.
    pub fn owned(&self, owner: &Fingerprint) -> impl Iterator<Item = Slot> {
        self.index.owned(owner)
    }

    /// Who may take a seat by itself.
    #[must_use]
    pub fn admitted(&self, who: &Fingerprint) -> Option<&Admitted> {
        self.lists.admitted.get(who)
    }

    /// Everybody who was admitted and has no seat, by fingerprint.
    pub fn all_admitted(&self) -> impl Iterator<Item = &Admitted> {
        self.lists.admitted.iter()
    }

    /// Everybody who may not come in, by fingerprint.
    pub fn all_denied(&self) -> impl Iterator<Item = &Denied> {
        self.lists.denied.iter()
    }

    /// Whether somebody may not come in, by key or by name.
    #[must_use]
    pub fn is_denied(&self, who: &Fingerprint, name: &Name) -> bool {
        self.lists.is_denied(who, name)
    }

    pub(crate) const fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The newest epochs.
    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    /// The oldest epoch whose messages count; `None` before the first commit.
    #[must_use]
    pub fn oldest_epoch(&self) -> Option<Epoch> {
        self.window.oldest()
    }

    fn judge(&self, entry: &CommitEntry, trust: Trust) -> Result<Transition, CommitFault> {
        let commit = entry.view()?;
        self.check_place(&commit)?;
        if trust == Trust::Nobody {
            let signed = CommitEntry::signed_bytes(&entry.commit, &entry.tag);
            self.signer(&commit)?
                .verify(Label::Commit, &signed, &entry.signature)
                .map_err(|_| CommitFault::Signature)?;
        }
        let outline = outline(self, &commit.author, &commit.operations, (&commit.head, trust))?;
        let draft = self.draft(outline, &commit)?;
        if draft.tree_hash != commit.tree_hash {
            return Err(CommitFault::TreeHash);
        }
        let confirmed = CommitEntry::confirmed(&self.interim, &entry.commit);
        let interim = CommitEntry::interim(&confirmed, &entry.tag);
        Ok(Transition { commit, confirmed, interim, draft })
    }

    /// C2, C3.
    fn check_place(&self, commit: &Commit) -> Result<(), CommitFault> {
        if commit.group != self.group {
            return Err(CommitFault::Group);
        }
        if commit.epoch != self.epoch || commit.interim != self.interim {
            return Err(CommitFault::Place);
        }
        Ok(())
    }

    /// The key that a commit has to be signed by.
    fn signer(&self, commit: &Commit) -> Result<PublicKey, CommitFault> {
        match commit.operations.first() {
            Some(Operation::Create { entrant, .. } | Operation::Join { entrant, .. }) => {
                let is_authors = entrant.key.fingerprint() == commit.author;
                if is_authors { Ok(entrant.key) } else { Err(CommitFault::Identity) }
            }
            Some(_) => Ok(self.seat(&commit.author).ok_or(CommitFault::Authority)?.key),
            None => Err(CommitFault::Operations),
        }
    }

    /// The leaves that are different after a commit, in whatever way.
    fn leaves_after(&self, outline: &Outline, commit: &Commit) -> BTreeMap<Slot, Leaf> {
        let seat = |slot: &Slot| match outline.seats.get(slot) {
            Some(changed) => changed.clone(),
            None => self.seat_at(*slot).cloned(),
        };
        let rekeyed = commit
            .leaves
            .iter()
            .map(|(slot, key)| (*slot, Leaf { key: *key, owner: commit.author, seat: seat(slot) }));
        let others = outline.seats.iter().filter(|(slot, _)| !outline.leaves.contains_key(slot));
        let edited = others.filter_map(|(slot, seat)| {
            let leaf = self.tree.leaf(*slot)?;
            Some((*slot, Leaf { seat: seat.clone(), ..leaf.clone() }))
        });
        rekeyed.chain(edited).collect()
    }

    /// C10: the keys that a commit brings, all different and none of them known. Returns those that
    /// stay.
    fn new_keys(
        &self,
        outline: &Outline,
        commit: &Commit,
    ) -> Result<BTreeSet<PublicKey>, CommitFault> {
        let leaves = commit.leaves.iter().map(|(_, key)| *key);
        let nodes = commit.nodes.iter().map(|(_, key)| *key);
        let kept: BTreeSet<PublicKey> = leaves.chain(nodes).chain([commit.external]).collect();
        let passing = match commit.operations.first() {
            Some(Operation::Join { ephemeral, .. } | Operation::Rejoin { ephemeral, .. }) => {
                Some(*ephemeral)
            }
            _ => None,
        };
        let passing = passing.into_iter().chain(commit.ephemeral).chain(outline.new_prekeys());
        let mut all = kept.clone();
        let are_new = passing.into_iter().all(|key| all.insert(key));
        let listed = commit.leaves.len().saturating_add(commit.nodes.len()).saturating_add(1);
        if are_new && kept.len() == listed && !all.iter().any(|key| self.keys.contains(key)) {
            Ok(kept)
        } else {
            Err(CommitFault::ReusedKey)
        }
    }
}

impl Transition {
    /// What the commit says.
    #[must_use]
    pub const fn commit(&self) -> &Commit {
        &self.commit
    }

    /// `confirmed_{n}`: what the confirmation tag covers.
    #[must_use]
    pub const fn confirmed(&self) -> &Digest {
        &self.confirmed
    }

    /// `interim_{n+1}`: names the commit.
    #[must_use]
    pub const fn interim(&self) -> &Digest {
        &self.interim
    }

    /// The tree after the commit.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.draft.tree
    }

    /// What the commit's operations do.
    #[must_use]
    pub const fn outline(&self) -> &Outline {
        &self.draft.outline
    }

    /// The seat on a slot after the commit.
    #[must_use]
    pub fn seat_at(&self, slot: Slot) -> Option<&Seat> {
        self.draft.tree.leaf(slot)?.seat.as_ref()
    }

    /// The author's seat after the commit; `None` never, for a commit that was checked.
    #[must_use]
    pub fn author(&self) -> Option<&Seat> {
        self.seat_at(self.draft.outline.slot)
    }

    /// The policy after the commit.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.draft.outline.policy
    }
}

impl Draft {
    /// The tree hash that the commit has to claim.
    #[must_use]
    pub const fn tree_hash(&self) -> &Digest {
        &self.tree_hash
    }

    /// Levels of the tree after the commit.
    #[must_use]
    pub const fn height(&self) -> u8 {
        self.tree.height()
    }
}

/// What the top of the tree hash covers beside the tree.
#[derive(Serialize)]
struct Top<'a> {
    height: u8,
    root: Digest,
    policy: &'a Policy,
    admitted: Digest,
    denied: Digest,
    head_size: u64,
}

fn top_hash(tree: &Tree, outline: &Outline, head_size: u64) -> Digest {
    let Outline { policy, lists, .. } = outline;
    let (admitted, denied) = (lists.admitted.hash(), lists.denied.hash());
    let (height, root) = (tree.height(), tree.hash());
    hash(Label::TreeTop, &[&encode(&Top { height, root, policy, admitted, denied, head_size })])
}
