//! The public tree: leaves and the inner nodes that their agreements lead to (`docs/protocol.md` §5).
//!
//! A tree has a power-of-two number of slots. An empty subtree is transparent: its parent has the
//! other child's key. The structure is persistent, so that a commit is judged on a new tree that
//! shares all unchanged subtrees with the old one; building it costs O(log n) for one leaf.

use std::{collections::BTreeMap, sync::Arc};

use openchat_crypto::{Label, PublicKey, hash};
use openchat_wire::{Digest, Epoch, Fingerprint, Name, Slot, encode};
use serde::{Deserialize, Serialize};

use crate::{
    fault::CommitFault,
    seat::{Role, Seat},
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

/// What a commit does to a tree.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) leaves: BTreeMap<Slot, Leaf>,
    pub(crate) nodes: BTreeMap<NodeIndex, PublicKey>,
}

/// The tree after a commit, and the keys that are no longer in it.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) tree: Tree,
    pub(crate) replaced: Vec<PublicKey>,
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
    Leaf(Leaf),
    Parent(Subtree, Subtree),
}

impl Tree {
    /// Levels above the leaves; the tree has `2^height` slots.
    #[must_use]
    pub const fn height(&self) -> u8 {
        self.height
    }

    /// Levels above the leaves once the tree has `slot`.
    pub(crate) fn height_with(&self, slot: Slot) -> u8 {
        self.grown_for(slot).height
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
        let mut at = NodeIndex { level: self.height, index: 0 };
        if members(&self.root) == width(self.height) {
            return Slot(width(self.height));
        }
        while at.level > 0 {
            let left = left(at);
            let full = self.node(left).is_some_and(|node| node.members == width(left.level));
            at = if full { right(at) } else { left };
        }
        Slot(at.index)
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

    /// The tree with `changes`.
    ///
    /// # Errors
    /// C9, unless `changes.nodes` are exactly the agreements above the changed leaves.
    pub(crate) fn rebuild(&self, changes: &Changes) -> Result<Rebuilt, CommitFault> {
        let highest = changes.leaves.keys().next_back().copied().unwrap_or_default();
        let grown = self.grown_for(highest);
        let mut walk = Walk { changes, used: 0, replaced: Vec::new() };
        let root = walk.subtree(&grown.root, NodeIndex { level: grown.height, index: 0 })?;
        if walk.used != changes.nodes.len() {
            return Err(CommitFault::Nodes);
        }
        Ok(Rebuilt { tree: Self { height: grown.height, root }, replaced: walk.replaced })
    }

    /// Doubled until it has `slot`. New right halves are empty, so old keys stay as they are.
    fn grown_for(&self, slot: Slot) -> Self {
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
    changes: &'a Changes,
    used: usize,
    replaced: Vec<PublicKey>,
}

impl Walk<'_> {
    fn subtree(&mut self, old: &Subtree, at: NodeIndex) -> Result<Subtree, CommitFault> {
        if self.changes.leaves.range(slots(at)).next().is_none() {
            return Ok(old.clone());
        }
        if at.level == 0 {
            self.replaced.extend(old.as_ref().map(|node| node.key));
            return Ok(self.changes.leaves.get(&Slot(at.index)).cloned().map(leaf_node));
        }
        let none = None;
        let (old_left, old_right) = match old.as_deref() {
            Some(Node { kind: Kind::Parent(left, right), .. }) => (left, right),
            _ => (&none, &none),
        };
        if old_left.is_some() && old_right.is_some() {
            self.replaced.extend(old.as_ref().map(|node| node.key));
        }
        let left = self.subtree(old_left, left(at))?;
        let right = self.subtree(old_right, right(at))?;
        let key = match (&left, &right) {
            (Some(_), Some(_)) => Some(self.agreement(at)?),
            (Some(only), None) | (None, Some(only)) => Some(only.key),
            (None, None) => None,
        };
        Ok(key.map(|key| parent(key, left, right, at.level)))
    }

    /// C9: an agreement above a changed leaf has a new key in the commit.
    fn agreement(&mut self, at: NodeIndex) -> Result<PublicKey, CommitFault> {
        self.used = self.used.saturating_add(1);
        self.changes.nodes.get(&at).copied().ok_or(CommitFault::Nodes)
    }
}

/// What a leaf's hash covers, in the order of encoding.
#[derive(Serialize)]
struct LeafContent<'a> {
    seat: Option<(&'a Name, Fingerprint, Role, Epoch)>,
    owner: Fingerprint,
    key: PublicKey,
}

fn leaf_node(leaf: Leaf) -> Arc<Node> {
    let content = LeafContent {
        seat: leaf.seat.as_ref().map(|s| (&s.name, s.key.fingerprint(), s.role, s.seated)),
        owner: leaf.owner,
        key: leaf.key,
    };
    let hash = hash(Label::TreeLeaf, &[&encode(&content)]);
    let members = u32::from(leaf.seat.is_some());
    Arc::new(Node { key: leaf.key, hash, members, kind: Kind::Leaf(leaf) })
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

fn slots(at: NodeIndex) -> core::ops::Range<Slot> {
    let first = at.index.saturating_mul(width(at.level));
    Slot(first)..Slot(first.saturating_add(width(at.level)))
}

fn left(at: NodeIndex) -> NodeIndex {
    NodeIndex { level: at.level.saturating_sub(1), index: at.index.saturating_mul(2) }
}

fn right(at: NodeIndex) -> NodeIndex {
    let left = left(at);
    NodeIndex { index: left.index.saturating_add(1), ..left }
}
