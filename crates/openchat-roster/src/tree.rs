//! The public tree: leaves and the inner nodes that their agreements lead to (`docs/protocol.md` §5).
//!
//! A tree has a power-of-two number of slots. An empty subtree is transparent: its parent has the
//! other child's key. The structure is persistent, so that a commit is judged on a new tree that
//! shares all unchanged subtrees with the old one; building it costs O(log n) for one leaf.

use core::ops::Range;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use openchat_crypto::{Label, PublicKey, hash};
use openchat_wire::{Digest, Epoch, Fingerprint, Name, Slot, encode};
use serde::{Deserialize, Serialize};

use crate::{
    fault::CommitFault,
    seat::{Claim, Role, Seat, Unclaimed},
    shape::Shape,
};

/// Hash of a subtree without leaves.
const EMPTY: Digest = Digest([0; 32]);

/// An inner node: `level` 1 stands above two leaves; it covers `2^level` slots from
/// `index · 2^level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIndex {
    /// Distance from the leaves.
    pub level: u8,
    /// Place within the level, from the left.
    pub index: u32,
}

impl NodeIndex {
    /// The node itself, or what stands above a slot on a level.
    #[must_use]
    pub fn above(slot: Slot, level: u8) -> Self {
        Self { level, index: slot.0.checked_shr(level.into()).unwrap_or(0) }
    }

    /// The other child of its parent.
    #[must_use]
    pub const fn sibling(self) -> Self {
        Self { level: self.level, index: self.index ^ 1 }
    }

    /// Its left child; itself, for a leaf.
    #[must_use]
    pub const fn left(self) -> Self {
        Self { level: self.level.saturating_sub(1), index: self.index.saturating_mul(2) }
    }

    /// Its right child.
    #[must_use]
    pub const fn right(self) -> Self {
        let left = self.left();
        Self { level: left.level, index: left.index.saturating_add(1) }
    }

    /// The slots below it.
    #[must_use]
    pub fn slots(self) -> Range<Slot> {
        let first = self.index.saturating_mul(width(self.level));
        Slot(first)..Slot(first.saturating_add(width(self.level)))
    }
}

/// A leaf that is not empty.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Its public key.
    pub key: PublicKey,
    /// Who authored the last commit that set it, and so knows its secret.
    pub owner: Fingerprint,
    /// Its member; a vacant leaf has none.
    pub seat: Option<Seat>,
}

/// The tree after a commit, and what is no longer in it.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) tree: Tree,
    /// Keys that were replaced or pruned.
    pub(crate) replaced: Vec<PublicKey>,
    /// Leaves that were pruned, with their owners.
    pub(crate) emptied: Vec<(Slot, Fingerprint)>,
}

/// A tree of public keys.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    height: u8,
    root: Subtree,
}

type Subtree = Option<Arc<Node>>;

#[derive(Debug)]
struct Node {
    /// The leaf's or the agreement's key; in a transparent node the only child's.
    key: PublicKey,
    hash: Digest,
    /// Leaves below that have a member.
    members: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Leaf(Box<Leaf>),
    Parent(Subtree, Subtree),
}

impl Tree {
    /// Levels above the leaves; the tree has `2^height` slots.
    #[must_use]
    pub const fn height(&self) -> u8 {
        self.height
    }

    /// Leaves that have a member.
    #[must_use]
    pub fn members(&self) -> u32 {
        members(&self.root)
    }

    /// The leaf on `slot`, unless it is empty.
    #[must_use]
    pub fn leaf(&self, slot: Slot) -> Option<&Leaf> {
        match &self.node(NodeIndex { level: 0, index: slot.0 })?.kind {
            Kind::Leaf(leaf) => Some(leaf),
            Kind::Parent(..) => None,
        }
    }

    /// All leaves that are not empty, by slot.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        let mut stack: Vec<&Arc<Node>> = self.root.iter().collect();
        core::iter::from_fn(move || {
            loop {
                match &stack.pop()?.kind {
                    Kind::Leaf(leaf) => return Some(&**leaf),
                    Kind::Parent(left, right) => stack.extend(right.iter().chain(left)),
                }
            }
        })
    }

    /// The key of the agreement at an inner node; `None` where it is transparent or empty.
    #[must_use]
    pub fn agreement(&self, at: NodeIndex) -> Option<PublicKey> {
        let node = self.node(at)?;
        match &node.kind {
            Kind::Parent(Some(_), Some(_)) => Some(node.key),
            _ => None,
        }
    }

    /// The lowest slot without a member: the next newcomer's. In a full tree the first slot of the
    /// half that doubling it adds.
    #[must_use]
    pub fn lowest_free(&self) -> Slot {
        self.next_free(0, &BTreeSet::new())
    }

    /// The lowest slot from `from` on that has no member once those of `vacated` have lost theirs.
    pub(crate) fn next_free(&self, from: u32, vacated: &BTreeSet<Slot>) -> Slot {
        let top = NodeIndex { level: self.height, index: 0 };
        let inside = free_below(&self.root, top, from, vacated);
        inside.unwrap_or_else(|| Slot(from.max(width(self.height))))
    }

    /// Members below a node.
    pub(crate) fn members_below(&self, at: NodeIndex) -> u32 {
        self.node(at).map_or(0, |node| node.members)
    }

    /// The key of a subtree; `None` where it is empty.
    pub(crate) fn key(&self, at: NodeIndex) -> Option<PublicKey> {
        self.node(at).map(|node| node.key)
    }

    /// The key of each subtree beside the path from `slot` to the root, from the leaf upward;
    /// `None` where that subtree is empty. In a tree that is grown to have `slot`, if it has not.
    #[must_use]
    pub fn copath(&self, slot: Slot) -> Vec<Option<PublicKey>> {
        let grown = self.grown_for(slot);
        (0..grown.height)
            .map(|level| {
                let sibling = slot.0.checked_shr(level.into()).unwrap_or(0) ^ 1;
                grown.node(NodeIndex { level, index: sibling }).map(|node| node.key)
            })
            .collect()
    }

    /// Hash over the whole tree; 32 zero bytes for an empty one.
    #[must_use]
    pub fn hash(&self) -> Digest {
        hash_of(&self.root)
    }

    /// The tree in its new shape. `leaves` are those that are different, in whatever way; `nodes`
    /// has a key for each agreement of the shape.
    ///
    /// # Errors
    /// C9 if one has none.
    pub(crate) fn rebuild(
        shape: &Shape,
        leaves: &BTreeMap<Slot, Leaf>,
        nodes: &BTreeMap<NodeIndex, PublicKey>,
    ) -> Result<Rebuilt, CommitFault> {
        let grown = &shape.grown;
        let mut walk = Walk { shape, leaves, nodes, replaced: Vec::new(), emptied: Vec::new() };
        let mut root = walk.subtree(&grown.root, NodeIndex { level: grown.height, index: 0 })?;
        for _ in shape.height..grown.height {
            // The right half is empty, and the left one has the same key.
            root = root.and_then(|root| match &root.kind {
                Kind::Parent(left, _) => left.clone(),
                Kind::Leaf(_) => None,
            });
        }
        let tree = Self { height: shape.height, root };
        Ok(Rebuilt { tree, replaced: walk.replaced, emptied: walk.emptied })
    }

    /// Doubled until it has `slot`. New right halves are empty, so old keys stay as they are.
    pub(crate) fn grown_for(&self, slot: Slot) -> Self {
        let mut tree = self.clone();
        while slot.0 >= width(tree.height) && tree.height < 31 {
            tree.height = tree.height.saturating_add(1);
            tree.root = tree.root.map(|root| parent(root.key, Some(root), None, tree.height));
        }
        tree
    }

    fn node(&self, at: NodeIndex) -> Option<&Arc<Node>> {
        let mut subtree = &self.root;
        let mut level = self.height;
        if at.index >= width(self.height.checked_sub(at.level)?) {
            return None;
        }
        while level > at.level {
            let Kind::Parent(left, right) = &subtree.as_ref()?.kind else { return None };
            level = level.saturating_sub(1);
            let down = u32::from(level.saturating_sub(at.level));
            let goes_right = at.index.checked_shr(down).unwrap_or(0) & 1 == 1;
            subtree = if goes_right { right } else { left };
        }
        subtree.as_ref()
    }
}

/// One descent that replaces what changed and shares the rest.
struct Walk<'a> {
    shape: &'a Shape,
    leaves: &'a BTreeMap<Slot, Leaf>,
    nodes: &'a BTreeMap<NodeIndex, PublicKey>,
    replaced: Vec<PublicKey>,
    emptied: Vec<(Slot, Fingerprint)>,
}

impl Walk<'_> {
    fn subtree(&mut self, old: &Subtree, at: NodeIndex) -> Result<Subtree, CommitFault> {
        if self.shape.is_pruned(at) {
            self.prune(old, at);
            return Ok(None);
        }
        let rekeyed = self.shape.is_rekeyed(at);
        if !rekeyed && self.leaves.range(at.slots()).next().is_none() {
            return Ok(old.clone());
        }
        if at.level == 0 {
            if rekeyed {
                self.replaced.extend(old.as_ref().map(|node| node.key));
            }
            return Ok(self.leaves.get(&Slot(at.index)).cloned().map(leaf_node));
        }
        self.parent(old, at, rekeyed)
    }

    fn parent(
        &mut self,
        old: &Subtree,
        at: NodeIndex,
        rekeyed: bool,
    ) -> Result<Subtree, CommitFault> {
        let none = None;
        let (old_left, old_right) = match old.as_deref() {
            Some(Node { kind: Kind::Parent(left, right), .. }) => (left, right),
            _ => (&none, &none),
        };
        let old_key = old.as_ref().map(|node| node.key);
        if rekeyed && old_left.is_some() && old_right.is_some() {
            self.replaced.extend(old_key);
        }
        let left = self.subtree(old_left, at.left())?;
        let right = self.subtree(old_right, at.right())?;
        let key = match (&left, &right) {
            (Some(_), Some(_)) if rekeyed => self.nodes.get(&at).copied(),
            (Some(_), Some(_)) => old_key,
            (Some(only), None) | (None, Some(only)) => Some(only.key),
            (None, None) => return Ok(None),
        };
        let key = key.ok_or(CommitFault::Nodes)?;
        Ok(Some(parent(key, left, right, at.level)))
    }

    /// Notes what is no longer in the tree.
    fn prune(&mut self, old: &Subtree, at: NodeIndex) {
        let Some(node) = old else { return };
        match &node.kind {
            Kind::Leaf(leaf) => {
                self.replaced.push(leaf.key);
                self.emptied.push((Slot(at.index), leaf.owner));
            }
            Kind::Parent(left, right) => {
                if left.is_some() && right.is_some() {
                    self.replaced.push(node.key);
                }
                self.prune(left, at.left());
                self.prune(right, at.right());
            }
        }
    }
}

/// The lowest slot below a node, from `from` on, that has no member.
fn free_below(
    subtree: &Subtree,
    at: NodeIndex,
    from: u32,
    vacated: &BTreeSet<Slot>,
) -> Option<Slot> {
    let slots = at.slots();
    if slots.end.0 <= from {
        return None;
    }
    let vacated_here = u32::try_from(vacated.range(slots).count()).unwrap_or(u32::MAX);
    if members(subtree).saturating_sub(vacated_here) == width(at.level) {
        return None;
    }
    let none = None;
    let (left, right) = match subtree.as_deref() {
        _ if at.level == 0 => return Some(Slot(at.index)),
        Some(Node { kind: Kind::Parent(left, right), .. }) => (left, right),
        _ => (&none, &none),
    };
    let lower = free_below(left, at.left(), from, vacated);
    lower.or_else(|| free_below(right, at.right(), from, vacated))
}

/// What a leaf's hash covers, in the order of encoding.
#[derive(Serialize)]
struct LeafContent<'a> {
    seat: Option<(&'a Name, Fingerprint, Role, Epoch, ClaimContent)>,
    owner: Fingerprint,
    key: PublicKey,
}

#[derive(Serialize)]
enum ClaimContent {
    Claimed,
    Unclaimed { prekey_hash: Digest, adder: Fingerprint },
    Half,
}

impl From<Claim> for ClaimContent {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::Claimed => Self::Claimed,
            Claim::Unclaimed(Unclaimed { prekey_hash, adder, .. }) => {
                Self::Unclaimed { prekey_hash, adder }
            }
            Claim::Half => Self::Half,
        }
    }
}

fn leaf_node(leaf: Leaf) -> Arc<Node> {
    let content = LeafContent {
        seat: leaf
            .seat
            .as_ref()
            .map(|seat| (&seat.name, seat.fingerprint, seat.role, seat.seated, seat.claim.into())),
        owner: leaf.owner,
        key: leaf.key,
    };
    let hash = hash(Label::TreeLeaf, &[&encode(&content)]);
    let members = u32::from(leaf.seat.is_some());
    Arc::new(Node { key: leaf.key, hash, members, kind: Kind::Leaf(Box::new(leaf)) })
}

fn parent(key: PublicKey, left: Subtree, right: Subtree, level: u8) -> Arc<Node> {
    let agreement = (left.is_some() && right.is_some()).then_some(key);
    let own = encode(&agreement);
    let parts: [&[u8]; 4] = [&[level], &hash_of(&left).0, &hash_of(&right).0, &own];
    let hash = hash(Label::TreeNode, &parts);
    let members = members(&left).saturating_add(members(&right));
    Arc::new(Node { key, hash, members, kind: Kind::Parent(left, right) })
}

fn hash_of(subtree: &Subtree) -> Digest {
    subtree.as_ref().map_or(EMPTY, |node| node.hash)
}

fn members(subtree: &Subtree) -> u32 {
    subtree.as_ref().map_or(0, |node| node.members)
}

/// Slots below a node of this level.
fn width(level: u8) -> u32 {
    1_u32.checked_shl(level.into()).unwrap_or(u32::MAX)
}
