//! The group as its commits say: who sits where, who may come, and every public key.

use std::collections::BTreeMap;

use openchat_crypto::PublicKey;

use super::{
    commit::{Access, Node, Policy, SignedPrekey},
    prim::{Fpr, Hash, ZEROS},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) group: Hash,
    pub(crate) epoch: u64,
    pub(crate) interim: Hash,
    pub(crate) confirmed: Hash,
    pub(crate) policy: Option<Policy>,
    /// One a slot; their number is a power of two.
    pub(crate) leaves: Vec<Leaf>,
    /// The agreements' keys.
    pub(crate) nodes: BTreeMap<Node, PublicKey>,
    pub(crate) admitted: BTreeMap<Fpr, (String, u64)>,
    pub(crate) denied: BTreeMap<Fpr, Option<String>>,
    pub(crate) head_size: u64,
    /// Of epochs 1, 2, …: interim, confirmed, external key.
    pub(crate) past: Vec<(Hash, Hash, PublicKey)>,
    /// The epoch that the last commit led to that removed a seat.
    pub(crate) last_removal: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "plain before small")]
pub(crate) enum Leaf {
    Empty,
    Held {
        owner: Fpr,
        /// None only while a commit is made.
        key: Option<PublicKey>,
        /// None if it is vacant.
        seat: Option<Seat>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) fpr: Fpr,
    pub(crate) admin: bool,
    pub(crate) seated: u64,
    /// Of its last rejoin, or its seating.
    pub(crate) since: u64,
    pub(crate) claim: Claim,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    Claimed,
    Unclaimed { prekey: SignedPrekey, adder: Fpr },
    Half,
}

impl State {
    pub(crate) fn new(group: Hash) -> Self {
        Self {
            group,
            epoch: 0,
            interim: ZEROS,
            confirmed: ZEROS,
            policy: None,
            leaves: vec![Leaf::Empty],
            nodes: BTreeMap::new(),
            admitted: BTreeMap::new(),
            denied: BTreeMap::new(),
            head_size: 0,
            past: Vec::new(),
            last_removal: 0,
        }
    }

    pub(crate) fn height(&self) -> u8 {
        u8::try_from(self.leaves.len().ilog2()).unwrap()
    }

    pub(crate) fn leaf(&self, slot: u32) -> &Leaf {
        self.leaves.get(usize::try_from(slot).unwrap()).unwrap_or(&Leaf::Empty)
    }

    pub(crate) fn leaf_mut(&mut self, slot: u32) -> &mut Leaf {
        &mut self.leaves[usize::try_from(slot).unwrap()]
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (u32, &Leaf)> {
        (0..).zip(&self.leaves)
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = (u32, &Seat)> {
        self.slots().filter_map(|(slot, leaf)| Some((slot, leaf.seat()?)))
    }

    pub(crate) fn slot_of(&self, who: &Fpr) -> Option<u32> {
        self.seats().find(|(_, seat)| seat.fpr == *who).map(|(slot, _)| slot)
    }

    pub(crate) fn seat_of(&self, who: &Fpr) -> Option<&Seat> {
        self.leaf(self.slot_of(who)?).seat()
    }

    pub(crate) fn seat_mut(&mut self, who: &Fpr) -> Option<&mut Seat> {
        let slot = self.slot_of(who)?;
        match self.leaf_mut(slot) {
            Leaf::Held { seat: Some(seat), .. } => Some(seat),
            _ => None,
        }
    }

    pub(crate) fn is_admin(&self, who: &Fpr) -> bool {
        self.seat_of(who).is_some_and(|seat| seat.admin)
    }

    pub(crate) fn direct_peers(&self) -> Option<[Fpr; 2]> {
        match self.policy.as_ref()?.access {
            Access::Direct(one, other) => Some([one, other]),
            _ => None,
        }
    }

    /// Whether neither the key nor the name was thrown out.
    pub(crate) fn is_denied(&self, who: &Fpr, name: &str) -> bool {
        let by_name = |denied: &Option<String>| denied.as_deref() == Some(name);
        self.denied.contains_key(who) || self.denied.values().any(by_name)
    }

    /// Strikes somebody's key and name from the denied.
    pub(crate) fn lift(&mut self, who: &Fpr, name: &str) {
        self.denied.retain(|key, denied| key != who && denied.as_deref() != Some(name));
    }

    /// The slots below a node.
    pub(crate) fn below(node: Node) -> core::ops::Range<u32> {
        (node.1 << node.0)..((node.1 + 1) << node.0)
    }

    pub(crate) fn is_empty(&self, node: Node) -> bool {
        Self::below(node).all(|slot| *self.leaf(slot) == Leaf::Empty)
    }

    pub(crate) fn has_member(&self, node: Node) -> bool {
        Self::below(node).any(|slot| self.leaf(slot).seat().is_some())
    }

    /// Whether both children of a node are there.
    pub(crate) fn is_agreement(&self, node: Node) -> bool {
        let [left, right] = children(node);
        node.0 > 0 && !self.is_empty(left) && !self.is_empty(right)
    }

    /// The key of a subtree: a transparent one has its only child's.
    pub(crate) fn key(&self, node: Node) -> Option<PublicKey> {
        if node.0 == 0 {
            return self.leaf(node.1).key();
        }
        if self.is_agreement(node) {
            return self.nodes.get(&node).copied();
        }
        let [left, right] = children(node);
        self.key(left).or_else(|| self.key(right))
    }

    pub(crate) fn top(&self) -> Node {
        (self.height(), 0)
    }

    /// The external key of an epoch.
    pub(crate) fn external(&self, epoch: u64) -> Option<PublicKey> {
        let index = usize::try_from(epoch).unwrap().checked_sub(1)?;
        self.past.get(index).map(|(_, _, external)| *external)
    }

    /// Every key of a leaf or agreement.
    pub(crate) fn tree_keys(&self) -> Vec<PublicKey> {
        let leaves = self.leaves.iter().filter_map(Leaf::key);
        leaves.chain(self.nodes.values().copied()).collect()
    }
}

impl Leaf {
    pub(crate) fn seat(&self) -> Option<&Seat> {
        match self {
            Self::Held { seat, .. } => seat.as_ref(),
            Self::Empty => None,
        }
    }

    pub(crate) fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Held { key, .. } => *key,
            Self::Empty => None,
        }
    }

    pub(crate) fn owner(&self) -> Option<Fpr> {
        match self {
            Self::Held { owner, .. } => Some(*owner),
            Self::Empty => None,
        }
    }
}

pub(crate) fn children((level, index): Node) -> [Node; 2] {
    let below = level.saturating_sub(1);
    [(below, index * 2), (below, index * 2 + 1)]
}
