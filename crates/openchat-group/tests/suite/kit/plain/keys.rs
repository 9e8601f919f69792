//! §5.1 and §5.2: the tree's keys and the key schedule.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, PublicKey, Secret};

use super::{
    commit::Node,
    prim::{Fpr, Hash, derive_pair, ecdh, expand, extract, node_pair},
    state::{State, children},
};

/// What somebody makes of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    /// The keys of all agreements above the leaves that it knows, as it derives them.
    pub(crate) nodes: BTreeMap<Node, PublicKey>,
    /// The secret of the topmost node.
    pub(crate) top: Option<Secret>,
}

/// The secrets of an epoch.
#[derive(Debug, Clone)]
pub(crate) struct EpochKeys {
    pub(crate) joiner: Secret,
    pub(crate) external: KeyPair,
    pub(crate) epoch: Secret,
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) confirmation: Secret,
    pub(crate) message: Secret,
}

/// Goes from known leaf secrets to the root. Agreements above them get the keys that follow; a lie
/// stands in a node's place, and what is above follows from it.
pub(crate) fn walk(
    state: &State,
    leaves: &BTreeMap<u32, Secret>,
    lies: &BTreeMap<Node, Secret>,
) -> Walk {
    let mut walk = Walk::default();
    let (_, top) = walk.up(state, state.top(), leaves, lies);
    walk.top = top;
    walk
}

impl Walk {
    /// The key of a subtree, and its secret if it is known.
    fn up(
        &mut self,
        state: &State,
        node: Node,
        leaves: &BTreeMap<u32, Secret>,
        lies: &BTreeMap<Node, Secret>,
    ) -> (Option<PublicKey>, Option<Secret>) {
        if state.is_empty(node) {
            return (None, None);
        }
        if node.0 == 0 {
            let secret = leaves.get(&node.1).cloned();
            let derived = secret.as_ref().map(|secret| *node_pair(secret).public());
            return (derived.or_else(|| state.key(node)), secret);
        }
        let [left, right] = children(node);
        let (left_key, left) = self.up(state, left, leaves, lies);
        let (right_key, right) = self.up(state, right, leaves, lies);
        let (Some(left_key), Some(right_key)) = (left_key, right_key) else {
            return (left_key.or(right_key), left.or(right));
        };
        let mut secret = match (left, right) {
            (Some(left), _) => agreed(&state.group, &left, &right_key, [&left_key, &right_key]),
            (_, Some(right)) => agreed(&state.group, &right, &left_key, [&left_key, &right_key]),
            (None, None) => return (state.key(node), None),
        };
        if let Some(lie) = lies.get(&node) {
            secret = lie.clone();
        }
        let key = *node_pair(&secret).public();
        self.nodes.insert(node, key);
        (Some(key), Some(secret))
    }
}

/// `node_secret`, from either child.
pub(crate) fn agreed(
    group: &Hash,
    mine: &Secret,
    theirs: &PublicKey,
    ends: [&PublicKey; 2],
) -> Secret {
    let shared = extract(b"", ecdh(&node_pair(mine), theirs).expose());
    expand(&shared, "node", &[group, ends[0].as_bytes(), ends[1].as_bytes()])
}

pub(crate) fn root_secret(top: &Secret) -> Secret {
    expand(top, "root", &[])
}

pub(crate) fn joiner_secret(init: &Secret, top: &Secret) -> Secret {
    extract(init.expose(), root_secret(top).expose())
}

pub(crate) fn external_pair(joiner: &Secret) -> KeyPair {
    derive_pair(&expand(joiner, "external", &[]))
}

pub(crate) fn epoch_keys(joiner: &Secret, confirmed: &Hash) -> EpochKeys {
    let epoch = expand(joiner, "epoch", &[confirmed]);
    let derived = |label| expand(&epoch, label, &[]);
    EpochKeys {
        external: external_pair(joiner),
        init: derived("init"),
        hedge: derived("hedge"),
        confirmation: derived("confirmation key"),
        message: derived("message secret"),
        joiner: joiner.clone(),
        epoch,
    }
}

/// The pad of a wrap in a commit on `before`, from the private half of either end.
pub(crate) fn wrap_pad(
    before: &State,
    j: u64,
    mine: &KeyPair,
    theirs: &PublicKey,
    ends: [&PublicKey; 2],
) -> Secret {
    let shared = extract(b"", ecdh(mine, theirs).expose());
    let context: [&[u8]; 6] = [
        &before.group,
        &before.epoch.to_be_bytes(),
        &j.to_be_bytes(),
        &before.interim,
        ends[0].as_bytes(),
        ends[1].as_bytes(),
    ];
    expand(&shared, "rejoin wrap", &context)
}

/// §4.6: what the leaf secret of an added member, and its Welcome's key, come from.
#[derive(Debug, Clone)]
pub(crate) struct AddSecrets {
    pub(crate) leaf: Secret,
    pub(crate) wkey: Secret,
}

/// Where and for whom a leaf is made with a prekey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeafOfAdd<'a> {
    pub(crate) before: &'a State,
    pub(crate) slot: u32,
    pub(crate) author: &'a Fpr,
    pub(crate) member: &'a Fpr,
    pub(crate) prekey_hash: &'a Hash,
    pub(crate) e: &'a PublicKey,
}

impl LeafOfAdd<'_> {
    pub(crate) fn bound(&self) -> Hash {
        let parts: [&[u8]; 7] = [
            &self.before.group,
            &(self.before.epoch + 1).to_be_bytes(),
            &self.slot.to_be_bytes(),
            self.author,
            self.member,
            self.prekey_hash,
            self.e.as_bytes(),
        ];
        super::prim::hash("leaf of an add", &parts)
    }

    /// From e and P, or from p and E.
    pub(crate) fn secrets(&self, mine: &KeyPair, theirs: &PublicKey) -> AddSecrets {
        let prk = extract(&self.bound(), ecdh(mine, theirs).expose());
        AddSecrets { leaf: expand(&prk, "leaf", &[]), wkey: expand(&prk, "welcome", &[]) }
    }
}

/// §6.1: the secret of one generation of a sender's ratchet.
pub(crate) fn generation_secret(
    message: &Secret,
    height: u8,
    slot: u32,
    generation: u32,
) -> Secret {
    let mut secret = message.clone();
    for level in (0..height).rev() {
        let label = if slot >> level & 1 == 1 { "tree right" } else { "tree left" };
        secret = expand(&secret, label, &[]);
    }
    for step in 0..generation {
        secret = expand(&secret, "ratchet next", &[&step.to_be_bytes()]);
    }
    expand(&secret, "ratchet generation", &[&generation.to_be_bytes()])
}
