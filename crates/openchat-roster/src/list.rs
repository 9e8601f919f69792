//! Lists of people with a hash over all of them that one change costs O(log n) to follow
//! (`docs/protocol.md` §4.8).
//!
//! A binary trie by the bits of the fingerprint, in which a subtree with one record is that record.
//! The structure is persistent: a changed list shares what did not change with the one before.

use std::sync::Arc;

use openchat_crypto::{Label, hash};
use openchat_wire::{Digest, Fingerprint, encode};
use serde::Serialize;

/// Hash of a list without records.
const EMPTY: Digest = Digest([0; 32]);

/// A record of a list.
pub(crate) trait Record: Clone + Serialize {
    /// Whom it is about. No two records of a list are about the same key.
    fn key(&self) -> &Fingerprint;
}

/// A set of records.
#[derive(Debug, Clone)]
pub(crate) struct List<R> {
    root: Option<Arc<Node<R>>>,
    len: usize,
}

#[derive(Debug)]
enum Node<R> {
    One {
        record: R,
        hash: Digest,
    },
    /// At least two records below.
    Fork {
        halves: [Option<Arc<Node<R>>>; 2],
        hash: Digest,
    },
}

impl<R> Default for List<R> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<R: Record> List<R> {
    /// Number of records.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The hash over all records.
    pub(crate) fn hash(&self) -> Digest {
        hash_of(self.root.as_ref())
    }

    /// The record about a key.
    pub(crate) fn get(&self, key: &Fingerprint) -> Option<&R> {
        let (mut node, mut depth) = (self.root.as_ref()?, 0_u8);
        loop {
            match &**node {
                Node::One { record, .. } => return (record.key() == key).then_some(record),
                Node::Fork { halves, .. } => node = half(halves, key, depth).as_ref()?,
            }
            depth = depth.saturating_add(1);
        }
    }

    /// Adds a record, in place of the one about the same key.
    pub(crate) fn insert(&mut self, record: R) {
        if self.get(record.key()).is_none() {
            self.len = self.len.saturating_add(1);
        }
        self.root = Some(inserted(self.root.as_ref(), one(record), 0));
    }

    /// Takes the record about a key out.
    pub(crate) fn remove(&mut self, key: &Fingerprint) -> Option<R> {
        let record = self.get(key)?.clone();
        self.len = self.len.saturating_sub(1);
        self.root = self.root.take().and_then(|root| removed(&root, key, 0));
        Some(record)
    }

    /// All records, by fingerprint.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        let mut stack: Vec<&Arc<Node<R>>> = self.root.iter().collect();
        core::iter::from_fn(move || {
            loop {
                match &**stack.pop()? {
                    Node::One { record, .. } => return Some(record),
                    Node::Fork { halves: [low, high], .. } => {
                        stack.extend(high.iter().chain(low));
                    }
                }
            }
        })
    }
}

fn one<R: Record>(record: R) -> Arc<Node<R>> {
    let hash = hash(Label::ListEntry, &[&encode(&record)]);
    Arc::new(Node::One { record, hash })
}

fn fork<R>(halves: [Option<Arc<Node<R>>>; 2]) -> Arc<Node<R>> {
    let [low, high] = &halves;
    let parts = [hash_of(low.as_ref()).0, hash_of(high.as_ref()).0];
    let hash = hash(Label::ListNode, &[&parts[0], &parts[1]]);
    Arc::new(Node::Fork { halves, hash })
}

fn inserted<R: Record>(into: Option<&Arc<Node<R>>>, new: Arc<Node<R>>, depth: u8) -> Arc<Node<R>> {
    let Node::One { record, .. } = &*new else { return new };
    let key = *record.key();
    let Some(into) = into else { return new };
    let mut halves = match &**into {
        Node::One { record, .. } if *record.key() == key => return new,
        Node::One { record, .. } => {
            let mut halves = [None, None];
            *half_mut(&mut halves, record.key(), depth) = Some(into.clone());
            halves
        }
        Node::Fork { halves, .. } => halves.clone(),
    };
    let half = half_mut(&mut halves, &key, depth);
    *half = Some(inserted(half.as_ref(), new, depth.saturating_add(1)));
    fork(halves)
}

fn removed<R: Record>(from: &Arc<Node<R>>, key: &Fingerprint, depth: u8) -> Option<Arc<Node<R>>> {
    match &**from {
        Node::One { record, .. } => (record.key() != key).then(|| from.clone()),
        Node::Fork { halves, .. } => {
            let mut halves = halves.clone();
            let half = half_mut(&mut halves, key, depth);
            *half = half.take().and_then(|half| removed(&half, key, depth.saturating_add(1)));
            match &halves {
                // What is left alone stands where the fork stood.
                [Some(only), None] | [None, Some(only)] if matches!(**only, Node::One { .. }) => {
                    Some(only.clone())
                }
                [None, None] => None,
                _ => Some(fork(halves)),
            }
        }
    }
}

/// The half that a key belongs to: bit `depth`, from the first byte's highest.
fn bit(key: &Fingerprint, depth: u8) -> usize {
    let byte = key.0.get(usize::from(depth >> 3)).copied().unwrap_or(0);
    let mask = 0x80_u8.checked_shr((depth & 7).into()).unwrap_or(0);
    usize::from(byte & mask != 0)
}

#[expect(clippy::indexing_slicing, reason = "a bit is 0 or 1")]
fn half<'a, T>(halves: &'a [T; 2], key: &Fingerprint, depth: u8) -> &'a T {
    &halves[bit(key, depth)]
}

#[expect(clippy::indexing_slicing, reason = "a bit is 0 or 1")]
fn half_mut<'a, T>(halves: &'a mut [T; 2], key: &Fingerprint, depth: u8) -> &'a mut T {
    &mut halves[bit(key, depth)]
}

fn hash_of<R>(node: Option<&Arc<Node<R>>>) -> Digest {
    match node.map(|node| &**node) {
        None => EMPTY,
        Some(Node::One { hash, .. } | Node::Fork { hash, .. }) => *hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    struct Mark(Fingerprint, u8);

    impl Record for Mark {
        fn key(&self) -> &Fingerprint {
            &self.0
        }
    }

    /// Few keys, some of which differ in their last bit only.
    fn key(of: u8) -> Fingerprint {
        let mut key = [0; 32];
        key[0] = of & 0xe0;
        key[31] = of & 0x0f;
        Fingerprint(key)
    }

    /// §4.8, as it is written there.
    fn plain(records: &[Mark], depth: usize) -> Digest {
        match records {
            [] => EMPTY,
            [one] => hash(Label::ListEntry, &[&encode(one)]),
            _ => {
                let is_high = |mark: &Mark| mark.0.0[depth / 8] >> (7 - depth % 8) & 1 == 1;
                let (high, low): (Vec<Mark>, Vec<Mark>) =
                    records.iter().cloned().partition(is_high);
                let parts = [plain(&low, depth + 1), plain(&high, depth + 1)];
                hash(Label::ListNode, &[&parts[0].0, &parts[1].0])
            }
        }
    }

    proptest::proptest! {
        // Shared prefixes of 255 bits make long ways down.
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

        #[test]
        fn a_list_is_a_map_with_the_hash_of_the_protocol(
            steps in proptest::collection::vec((0_u8..=255, 0_u8..3), 0..60),
        ) {
            let mut list = List::default();
            let mut map = std::collections::BTreeMap::new();
            for (of, what) in steps {
                if what == 0 {
                    proptest::prop_assert_eq!(list.remove(&key(of)), map.remove(&key(of)));
                } else {
                    list.insert(Mark(key(of), what));
                    map.insert(key(of), Mark(key(of), what));
                }
                let all: Vec<Mark> = map.values().cloned().collect();
                proptest::prop_assert_eq!(list.iter().cloned().collect::<Vec<_>>(), all.clone());
                proptest::prop_assert_eq!(list.len(), all.len());
                proptest::prop_assert_eq!(list.get(&key(of)), map.get(&key(of)));
                proptest::prop_assert_eq!(list.hash(), plain(&all, 0));
            }
        }
    }
}
