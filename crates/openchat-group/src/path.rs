//! The agreements from a leaf to the root (`docs/protocol.md` §5.1).

use openchat_crypto::{KeyPair, Label, PublicKey, Secret};
use openchat_roster::NodeIndex;
use openchat_wire::{GroupId, Slot};

/// Everything that a leaf secret leads to.
pub(crate) struct Path {
    /// The leaf's public key.
    pub(crate) leaf: PublicKey,
    /// The agreements above it, upward; transparent nodes are left out.
    pub(crate) nodes: Vec<(NodeIndex, PublicKey)>,
    /// `root_secret = Expand(secret of the topmost node, "root")`.
    pub(crate) root: Secret,
}

/// Walks from `slot` to the root. `copath` has the key of each subtree beside the way, from the
/// leaf upward, `None` where it is empty: that parent is transparent and has its child's secret.
///
/// `node_secret = Expand(Extract("", x(ECDH(left, right))), "node" ‖ group ‖ left_pub ‖ right_pub)`
pub(crate) fn walk(
    group: &GroupId,
    slot: Slot,
    leaf_secret: &Secret,
    copath: &[Option<PublicKey>],
) -> Path {
    let mut secret = leaf_secret.clone();
    let mut pair = key_pair(&secret);
    let leaf = *pair.public();
    let mut nodes = Vec::new();
    let mut index = slot.0;
    for (level, sibling) in (1_u8..).zip(copath) {
        let on_the_left = index & 1 == 0;
        index = index.checked_shr(1).unwrap_or(0);
        let Some(sibling) = sibling else { continue };
        let own = *pair.public();
        let (left, right) = if on_the_left { (&own, sibling) } else { (sibling, &own) };
        let context = [group.as_bytes().as_slice(), left.as_bytes(), right.as_bytes()].concat();
        let shared = pair.agree(sibling);
        secret = Secret::extract(b"", shared.expose()).expand(Label::Node, &context);
        pair = key_pair(&secret);
        nodes.push((NodeIndex { level, index }, *pair.public()));
    }
    Path { leaf, nodes, root: secret.expand(Label::Root, b"") }
}

/// `DeriveKeyPair(Expand(secret, "key"))`.
fn key_pair(secret: &Secret) -> KeyPair {
    KeyPair::derive(&secret.expand(Label::Key, b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId([9; 32]);

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes([byte; 32])
    }

    #[test]
    fn both_sides_of_an_agreement_reach_the_same_root() {
        let (a, b) = (secret(1), secret(2));
        let leaf = |secret: &Secret| walk(&GROUP, Slot(0), secret, &[]).leaf;
        let from_a = walk(&GROUP, Slot(0), &a, &[Some(leaf(&b))]);
        let from_b = walk(&GROUP, Slot(1), &b, &[Some(leaf(&a))]);
        assert_eq!(from_a.root, from_b.root);
        assert_eq!(from_a.nodes, from_b.nodes);
        assert_eq!(from_a.nodes[0].0, NodeIndex { level: 1, index: 0 });
    }

    #[test]
    fn an_empty_sibling_is_transparent() {
        let alone = walk(&GROUP, Slot(0), &secret(1), &[]);
        let beside_empty = walk(&GROUP, Slot(0), &secret(1), &[None, None]);
        assert_eq!(alone.root, beside_empty.root);
        assert!(beside_empty.nodes.is_empty());
    }

    #[test]
    fn another_group_or_order_is_another_root() {
        let sibling = walk(&GROUP, Slot(0), &secret(2), &[]).leaf;
        let root = |group, slot| walk(&group, slot, &secret(1), &[Some(sibling)]).root;
        assert_ne!(root(GROUP, Slot(0)), root(GroupId([8; 32]), Slot(0)));
        assert_ne!(root(GROUP, Slot(0)), root(GROUP, Slot(1)));
    }
}
