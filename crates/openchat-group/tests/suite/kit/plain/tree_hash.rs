//! §4.8: the tree hash.

use super::{
    bytes::{number, option, point, sized},
    commit::Node,
    prim::{Fpr, Hash, ZEROS, hash},
    state::{Claim, Leaf, Seat, State, children},
};

pub(crate) fn tree_hash(state: &State) -> Hash {
    let admitted = state.admitted.iter().map(|(who, (name, since))| {
        (*who, [&who[..], &sized(name.as_bytes()), &number(*since)].concat())
    });
    let denied = state.denied.iter().map(|(who, name)| {
        (*who, [&who[..], &option(name.as_ref(), |name| sized(name.as_bytes()))].concat())
    });
    let (admitted, denied): (Vec<_>, Vec<_>) = (admitted.collect(), denied.collect());
    let parts = [
        &[state.height()][..],
        &subtree(state, state.top()),
        &state.policy.as_ref().unwrap().write(),
        &list(&admitted, 0),
        &list(&denied, 0),
        &number(state.head_size),
    ];
    hash("tree top", &parts)
}

fn subtree(state: &State, node: Node) -> Hash {
    if state.is_empty(node) {
        return ZEROS;
    }
    if node.0 == 0 {
        return leaf(state.leaf(node.1));
    }
    let [left, right] = children(node);
    let key = state.is_agreement(node).then(|| state.key(node).unwrap());
    let (left, right) = (subtree(state, left), subtree(state, right));
    hash("tree node", &[&[node.0], &left, &right, &option(key.as_ref(), point)])
}

fn leaf(leaf: &Leaf) -> Hash {
    let Leaf::Held { owner, key, seat } = leaf else { return ZEROS };
    hash("tree leaf", &[&option(seat.as_ref(), seat_bytes), owner, &point(&key.unwrap())])
}

fn seat_bytes(seat: &Seat) -> Vec<u8> {
    let claim = match &seat.claim {
        Claim::Claimed => vec![0],
        Claim::Unclaimed { prekey, adder } => [&[1], &prekey.hash()[..], adder].concat(),
        Claim::Half => vec![2],
    };
    [
        &sized(seat.name.as_bytes())[..],
        &seat.fpr,
        &[u8::from(seat.admin)],
        &number(seat.seated),
        &claim,
    ]
    .concat()
}

/// The hash over records, each with the fingerprint that it begins with.
fn list(records: &[(Fpr, Vec<u8>)], depth: usize) -> Hash {
    match records {
        [] => ZEROS,
        [(_, record)] => hash("list entry", &[record]),
        _ => {
            let bit = |(who, _): &(Fpr, Vec<u8>)| who[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let (ones, zeros): (Vec<_>, Vec<_>) = records.iter().cloned().partition(bit);
            hash("list node", &[&list(&zeros, depth + 1), &list(&ones, depth + 1)])
        }
    }
}
