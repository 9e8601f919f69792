//! What a log's commits amount to, and whether the next one counts (`docs/protocol.md` §4.3).

use std::collections::{BTreeMap, BTreeSet};

use openchat_crypto::{Label, PublicKey, hash};
use openchat_wire::{
    Digest, Epoch, Fingerprint, GroupId, Name, Slot, encode,
    limits::{MAX_MEMBERS, MAX_REJOIN_WRAPS},
};
use serde::Serialize;

use crate::{
    commit::{Commit, CommitEntry, Entrant, HeadRef, Operation, Policy, Wrap},
    fault::{CommitFault, MessageFault, NoticeFault},
    heartbeat::{Heartbeat, SignedHeartbeat},
    message::{MessageHeader, Window},
    notice::{Notice, NoticeEntry},
    seat::{Role, Seat},
    tree::{Changes, Leaf, Tree},
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
    slots: BTreeMap<Fingerprint, Slot>,
    names: BTreeMap<Name, Slot>,
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
    tree: Tree,
    tree_hash: Digest,
    seat: Seat,
    policy: Policy,
    replaced: Vec<PublicKey>,
    added: BTreeSet<PublicKey>,
}

/// `group_id = H("group" ‖ author ‖ nonce ‖ policy)`.
#[must_use]
pub fn group_id(author: &Fingerprint, nonce: &Digest, policy: &Policy) -> GroupId {
    GroupId(hash(Label::Group, &[&author.0, &nonce.0, &encode(policy)]).0)
}

/// Whether the signature of a commit is still to be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Nobody,
    OwnStore,
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
            slots: BTreeMap::new(),
            names: BTreeMap::new(),
            keys: BTreeSet::new(),
            external: None,
            head: HeadRef { size: 0, root: Digest([0; 32]) },
            window: Window::default(),
        }
    }

    /// Judges a commit that somebody says comes next. The roster stays as it is.
    ///
    /// # Errors
    /// The first check of `docs/protocol.md` §4.3 that fails.
    pub fn check(&self, entry: &CommitEntry) -> Result<Transition, CommitFault> {
        self.judge(entry, Trust::Nobody)
    }

    /// As [`check`](Self::check), for a commit that was checked before it was put in one's own
    /// store: the signature is not verified again.
    ///
    /// # Errors
    /// The first check that fails, the signature's aside.
    pub fn replay(&self, entry: &CommitEntry) -> Result<Transition, CommitFault> {
        self.judge(entry, Trust::OwnStore)
    }

    /// Takes the step that [`check`](Self::check) on this very roster has approved.
    pub fn apply(&mut self, transition: Transition) {
        let Transition { commit, confirmed, interim, draft } = transition;
        for key in &draft.replaced {
            self.keys.remove(key);
        }
        if let Some(old) = self.external.replace(commit.external) {
            self.keys.remove(&old);
        }
        self.keys.extend(draft.added);
        self.slots.insert(draft.seat.key.fingerprint(), draft.seat.slot);
        self.names.insert(draft.seat.name, draft.seat.slot);
        self.policy = Some(draft.policy);
        self.tree = draft.tree;
        self.epoch = self.epoch.next();
        self.interim = interim;
        self.confirmed = confirmed;
        self.head = commit.head;
        self.window.push(self.epoch, confirmed);
    }

    /// What `commit` would make of the tree, its claimed tree hash aside: for its author, who
    /// learns the hash from here, and for [`check`](Self::check).
    ///
    /// # Errors
    /// C2 to C15 of `docs/protocol.md` §4.3, but for the signature and the tree hash.
    pub fn draft(&self, commit: &Commit) -> Result<Draft, CommitFault> {
        self.check_place(commit)?;
        let (seat, policy) = self.seat_after(commit)?;
        self.draft_of(commit, seat, policy)
    }

    /// C8 to C10 and C12: the tree after a commit whose place, author and operation are right.
    fn draft_of(&self, commit: &Commit, seat: Seat, policy: Policy) -> Result<Draft, CommitFault> {
        if commit.head.size < self.head.size {
            return Err(CommitFault::Head);
        }
        let key = match commit.leaves[..] {
            [(slot, key)] if slot == seat.slot => key,
            _ => return Err(CommitFault::Leaves),
        };
        // One changed leaf changes at most one node a level: no more are looked at.
        if commit.nodes.len() > self.tree.height_with(seat.slot).into() {
            return Err(CommitFault::Nodes);
        }
        let added = self.new_keys(commit)?;
        let leaf = Leaf { key, owner: commit.author, seat: Some(seat.clone()) };
        let changes = Changes {
            leaves: BTreeMap::from([(seat.slot, leaf)]),
            nodes: sorted_map(&commit.nodes)?,
        };
        let rebuilt = self.tree.rebuild(&changes)?;
        let tree_hash = top_hash(&rebuilt.tree, &policy, commit.head.size);
        let (tree, replaced) = (rebuilt.tree, rebuilt.replaced);
        Ok(Draft { tree, tree_hash, seat, policy, replaced, added })
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

    /// Who may come in; `None` before the first commit.
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
        self.seat_at(*self.slots.get(member)?)
    }

    /// The seat on a slot.
    #[must_use]
    pub fn seat_at(&self, slot: Slot) -> Option<&Seat> {
        self.tree.leaf(slot)?.seat.as_ref()
    }

    /// All seats, by slot.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        let slots: BTreeSet<Slot> = self.slots.values().copied().collect();
        slots.into_iter().filter_map(|slot| self.seat_at(slot))
    }

    /// Whether a message counts at this place in the log, its author being who TLS says.
    ///
    /// # Errors
    /// M1 to M4 of `docs/protocol.md` §6.2.
    pub fn check_message(
        &self,
        header: &MessageHeader,
        author: &Fingerprint,
    ) -> Result<(), MessageFault> {
        let seat = self.seat(author).ok_or(MessageFault::NotSeated)?;
        if seat.slot != header.slot {
            return Err(MessageFault::NotSeated);
        }
        if header.epoch < seat.since {
            return Err(MessageFault::Stale);
        }
        self.window.check(header)
    }

    /// The notice, if it is a member's.
    ///
    /// # Errors
    /// N1 to N4 of `docs/protocol.md` §5.4.
    pub fn check_notice(&self, entry: &NoticeEntry) -> Result<Notice, NoticeFault> {
        let notice = entry.view()?;
        if notice.group != self.group {
            return Err(NoticeFault::Encoding);
        }
        let seat = self.seat(&notice.author).ok_or(NoticeFault::NotSeated)?;
        seat.key
            .verify(Label::Notice, &entry.notice.0, &entry.signature)
            .map_err(|_| NoticeFault::Signature)?;
        if notice.epoch > self.epoch || notice.epoch <= seat.seated {
            return Err(NoticeFault::Epoch);
        }
        Ok(notice)
    }

    /// The heartbeat, if it is a member's.
    ///
    /// # Errors
    /// N1 to N3 of `docs/protocol.md` §7.3.
    pub fn check_heartbeat(&self, bytes: &[u8]) -> Result<Heartbeat, NoticeFault> {
        let (signed, beat) = SignedHeartbeat::decode(bytes).map_err(|_| NoticeFault::Encoding)?;
        if beat.group != self.group {
            return Err(NoticeFault::Encoding);
        }
        let seat = self.seat(&beat.author).ok_or(NoticeFault::NotSeated)?;
        seat.key
            .verify(Label::Heartbeat, &signed.heartbeat.0, &signed.signature)
            .map_err(|_| NoticeFault::Signature)?;
        Ok(beat)
    }

    fn judge(&self, entry: &CommitEntry, trust: Trust) -> Result<Transition, CommitFault> {
        let commit = entry.view()?;
        self.check_place(&commit)?;
        let (seat, policy) = self.seat_after(&commit)?;
        if trust == Trust::Nobody {
            let signed = CommitEntry::signed_bytes(&entry.commit, &entry.tag);
            seat.key
                .verify(Label::Commit, &signed, &entry.signature)
                .map_err(|_| CommitFault::Signature)?;
        }
        let draft = self.draft_of(&commit, seat, policy)?;
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

    /// C4, C5, C6, C13, C14, C15: the author's seat and the policy after the commit.
    fn seat_after(&self, commit: &Commit) -> Result<(Seat, Policy), CommitFault> {
        match (&commit.operations[..], &self.policy) {
            ([Operation::Create { nonce, policy, entrant }], None) => {
                if group_id(&commit.author, nonce, policy) != self.group {
                    return Err(CommitFault::GroupId);
                }
                Ok((self.entrant_seat(commit, entrant, Role::Admin)?, policy.clone()))
            }
            ([Operation::Join { entrant, wrap, .. }], Some(policy)) => {
                self.check_wraps(core::slice::from_ref(wrap))?;
                if !matches!(policy, Policy::Open { .. }) {
                    return Err(CommitFault::Authority);
                }
                Ok((self.entrant_seat(commit, entrant, Role::Member)?, policy.clone()))
            }
            ([Operation::Rejoin { wraps, .. }], Some(policy)) => {
                self.check_wraps(wraps)?;
                let seat = self.seat(&commit.author).ok_or(CommitFault::Authority)?.clone();
                Ok((Seat { since: self.epoch.next(), ..seat }, policy.clone()))
            }
            ([Operation::Update], Some(policy)) => {
                let seat = self.seat(&commit.author).ok_or(CommitFault::Authority)?.clone();
                Ok((seat, policy.clone()))
            }
            _ => Err(CommitFault::Operations),
        }
    }

    fn entrant_seat(
        &self,
        commit: &Commit,
        entrant: &Entrant,
        role: Role,
    ) -> Result<Seat, CommitFault> {
        if entrant.key.fingerprint() != commit.author
            || self.slots.contains_key(&commit.author)
            || self.names.contains_key(&entrant.name)
        {
            return Err(CommitFault::Identity);
        }
        if self.slots.len() >= MAX_MEMBERS {
            return Err(CommitFault::Full);
        }
        let seated = self.epoch.next();
        let slot = self.tree.lowest_free();
        let (name, key) = (entrant.name.clone(), entrant.key);
        Ok(Seat { name, key, role, seated, since: seated, slot })
    }

    /// C15: the tail's epoch first, then earlier ones, falling.
    fn check_wraps(&self, wraps: &[Wrap]) -> Result<(), CommitFault> {
        let tail_first = wraps.first().is_some_and(|wrap| wrap.epoch == self.epoch);
        let falling = wraps.is_sorted_by(|a, b| a.epoch > b.epoch);
        let all_past = wraps.iter().all(|wrap| wrap.epoch > Epoch(0));
        if tail_first && falling && all_past && wraps.len() <= MAX_REJOIN_WRAPS {
            Ok(())
        } else {
            Err(CommitFault::Wraps)
        }
    }

    /// C10: the keys that a commit brings, all different and none of them known.
    fn new_keys(&self, commit: &Commit) -> Result<BTreeSet<PublicKey>, CommitFault> {
        let leaves = commit.leaves.iter().map(|(_, key)| *key);
        let nodes = commit.nodes.iter().map(|(_, key)| *key);
        let kept: Vec<PublicKey> = leaves.chain(nodes).chain([commit.external]).collect();
        let ephemeral = match commit.operations.first() {
            Some(Operation::Join { ephemeral, .. } | Operation::Rejoin { ephemeral, .. }) => {
                Some(*ephemeral)
            }
            _ => None,
        };
        let mut all = BTreeSet::new();
        for key in kept.iter().copied().chain(ephemeral) {
            if self.keys.contains(&key) || !all.insert(key) {
                return Err(CommitFault::ReusedKey);
            }
        }
        Ok(kept.into_iter().collect())
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

    /// The author's seat after the commit.
    #[must_use]
    pub const fn seat(&self) -> &Seat {
        &self.draft.seat
    }

    /// The policy after the commit.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.draft.policy
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

/// C9: nodes by level, then index, each once.
fn sorted_map<K: Ord + Copy, V: Copy>(list: &[(K, V)]) -> Result<BTreeMap<K, V>, CommitFault> {
    if list.is_sorted_by(|a, b| a.0 < b.0) {
        Ok(list.iter().copied().collect())
    } else {
        Err(CommitFault::Nodes)
    }
}

/// What the top of the tree hash covers beside the tree.
#[derive(Serialize)]
struct Top<'a> {
    height: u8,
    root: Digest,
    policy: &'a Policy,
    head_size: u64,
}

fn top_hash(tree: &Tree, policy: &Policy, head_size: u64) -> Digest {
    let top = Top { height: tree.height(), root: tree.hash(), policy, head_size };
    hash(Label::TreeTop, &[&encode(&top)])
}
