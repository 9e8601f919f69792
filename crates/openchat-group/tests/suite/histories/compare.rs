//! The first implementation's group against the second's.

use openchat_roster::{Claim as FirstClaim, Leaf as FirstLeaf, NodeIndex, Role, Roster};
use openchat_wire::{Slot, encode};

use crate::kit::plain::{Claim, Fpr, Leaf, Op, State, state::children};

pub(crate) fn compare(roster: &Roster, state: &State) {
    assert_eq!(roster.epoch().0, state.epoch);
    assert_eq!(roster.interim().0, state.interim);
    assert_eq!(roster.confirmed().0, state.confirmed);
    assert_eq!(roster.external().copied(), state.external(state.epoch));
    assert_eq!(roster.head().size, state.head_size);
    assert_eq!(encode(roster.policy().unwrap()), state.policy.as_ref().unwrap().write());
    tree(roster, state);
    let admitted = roster
        .all_admitted()
        .map(|it| (it.fingerprint.0, (it.name.to_string(), it.since.0)))
        .collect();
    assert_eq!(state.admitted, admitted);
    let denied = roster
        .all_denied()
        .map(|it| (it.fingerprint.0, it.name.as_ref().map(ToString::to_string)))
        .collect();
    assert_eq!(state.denied, denied);
}

fn tree(roster: &Roster, state: &State) {
    for (slot, leaf) in state.slots() {
        let first = roster.tree().leaf(Slot(slot));
        match (leaf, first) {
            (Leaf::Empty, None) => {}
            (Leaf::Held { owner, key, .. }, Some(first)) => {
                assert_eq!(first.owner.0, *owner);
                assert_eq!(Some(first.key), *key);
                seat(leaf, first);
            }
            other => panic!("leaf {slot}: {other:?}"),
        }
    }
    for level in 1..=state.height() {
        for index in 0..1_u32 << (state.height() - level) {
            let node = (level, index);
            if state.is_agreement(node) {
                let key = roster.tree().agreement(NodeIndex { level, index });
                assert_eq!(key, state.key(node), "{node:?} over {:?}", children(node));
            }
        }
    }
    assert_eq!(roster.tree().height(), state.height());
}

fn seat(leaf: &Leaf, first: &FirstLeaf) {
    let (Some(seat), Some(first)) = (leaf.seat(), first.seat.as_ref()) else {
        assert!(leaf.seat().is_none() && first.seat.is_none());
        return;
    };
    assert_eq!(first.name.as_str(), seat.name);
    assert_eq!((first.key, first.fingerprint.0), (seat.key, seat.fpr));
    assert_eq!(first.role == Role::Admin, seat.admin);
    assert_eq!((first.seated.0, first.since.0), (seat.seated, seat.since));
    match (first.claim, &seat.claim) {
        (FirstClaim::Claimed, Claim::Claimed) | (FirstClaim::Half, Claim::Half) => {}
        (FirstClaim::Unclaimed(first), Claim::Unclaimed { prekey, adder }) => {
            assert_eq!((first.prekey_hash.0, first.adder.0), (prekey.hash(), *adder));
        }
        other => panic!("claims {other:?}"),
    }
}

/// Whether a commit admits somebody.
pub(crate) fn admits(ops: &[Op], person: &Fpr) -> bool {
    ops.iter().any(|op| matches!(op, Op::Admit { who, .. } if who == person))
}

/// The epochs that a commit wraps for.
pub(crate) fn wraps(op: &Op) -> Vec<u64> {
    match op {
        Op::Join { wrap, .. } => vec![wrap.0],
        Op::Rejoin { wraps, .. } => wraps.iter().map(|wrap| wrap.0).collect(),
        _ => Vec::new(),
    }
}
