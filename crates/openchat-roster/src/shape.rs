//! What a commit makes of a tree's shape, before anybody knows the new keys: which leaves and
//! agreements get one (`docs/protocol.md` §4.3).

use std::collections::BTreeSet;

use openchat_crypto::PublicKey;
use openchat_wire::Slot;

use crate::tree::{NodeIndex, Tree};

/// A tree's shape after a commit.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The tree before, doubled until it has all slots.
    pub(crate) grown: Tree,
    /// Levels above the leaves afterwards.
    pub(crate) height: u8,
    /// Leaves that get a new key.
    rekeyed: BTreeSet<Slot>,
    /// The highest nodes of what is emptied.
    pruned: Vec<NodeIndex>,
}

/// Who comes and goes.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// Slots that lose their member.
    pub(crate) vacated: BTreeSet<Slot>,
    /// Slots that get one.
    pub(crate) seated: BTreeSet<Slot>,
}

impl Shape {
    /// The shape once `rekeyed` leaves have new keys. If the author's leaf is among them, what has
    /// no member beside its path is pruned, and is not re-keyed then.
    pub(crate) fn new(
        tree: &Tree,
        mut rekeyed: BTreeSet<Slot>,
        author: Slot,
        moves: &Moves,
    ) -> Self {
        let highest = rekeyed.last().copied().unwrap_or_default();
        let grown = tree.grown_for(highest);
        let mut pruned = Vec::new();
        if rekeyed.contains(&author) {
            let beside = (0..grown.height()).map(|level| NodeIndex::above(author, level).sibling());
            let is_deserted =
                |at: &NodeIndex| grown.key(*at).is_some() && !moves.has_member(&grown, *at);
            pruned = beside.filter(is_deserted).collect();
            for at in &pruned {
                rekeyed.retain(|slot| !at.slots().contains(slot));
            }
        }
        let mut shape = Self { height: grown.height(), grown, rekeyed, pruned };
        if shape.rekeyed.contains(&author) {
            shape.drop_empty_halves();
        }
        shape
    }

    /// Leaves that get a new key, by slot.
    pub(crate) const fn rekeyed(&self) -> &BTreeSet<Slot> {
        &self.rekeyed
    }

    /// Whether the subtree is emptied as a whole.
    pub(crate) fn is_pruned(&self, at: NodeIndex) -> bool {
        self.pruned.contains(&at)
    }

    /// Whether something below the node, or it itself, gets a new key or is emptied.
    pub(crate) fn is_rekeyed(&self, at: NodeIndex) -> bool {
        let slots = at.slots();
        self.rekeyed.range(slots.clone()).next().is_some()
            || self.pruned.iter().any(|pruned| slots.contains(&pruned.slots().start))
    }

    /// Whether nothing is below the node afterwards.
    pub(crate) fn is_empty(&self, at: NodeIndex) -> bool {
        self.rekeyed.range(at.slots()).next().is_none() && self.kept_key(at).is_none()
    }

    /// The key of a subtree in which nothing changes; `None` if it is empty afterwards or changes.
    pub(crate) fn unchanged_key(&self, at: NodeIndex) -> Option<PublicKey> {
        if self.is_rekeyed(at) { None } else { self.kept_key(at) }
    }

    /// The agreements that get a new key, by level, then index.
    pub(crate) fn agreements(&self) -> Vec<NodeIndex> {
        let mut all = Vec::new();
        let mut level: BTreeSet<u32> = self.rekeyed.iter().map(|slot| slot.0).collect();
        for height in 1..=self.height {
            level = level.iter().map(|index| index >> 1).collect();
            let nodes = level.iter().map(|index| NodeIndex { level: height, index: *index });
            all.extend(nodes.filter(|at| !self.is_empty(at.left()) && !self.is_empty(at.right())));
        }
        all
    }

    /// The key that a subtree has before, unless it is within what is emptied.
    fn kept_key(&self, at: NodeIndex) -> Option<PublicKey> {
        let start = at.slots().start;
        let is_within =
            |pruned: &NodeIndex| pruned.level >= at.level && pruned.slots().contains(&start);
        if self.pruned.iter().any(is_within) { None } else { self.grown.key(at) }
    }

    fn drop_empty_halves(&mut self) {
        while let Some(below) = self.height.checked_sub(1)
            && self.is_empty(NodeIndex { level: below, index: 1 })
        {
            self.height = below;
        }
    }
}

impl Moves {
    /// Whether a subtree has a member afterwards.
    fn has_member(&self, tree: &Tree, at: NodeIndex) -> bool {
        if self.seated.range(at.slots()).next().is_some() {
            return true;
        }
        let vacated = self.vacated.range(at.slots()).count();
        tree.members_below(at) > u32::try_from(vacated).unwrap_or(u32::MAX)
    }
}
