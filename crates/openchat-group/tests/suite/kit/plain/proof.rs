//! RFC 6962 §2.1: the transparency log's tree, as far as a revocation needs it.

use super::{
    bytes::{Reader, sized},
    commit::Revocation,
    prim::{Fpr, Hash, sha},
};

fn leaf(entry: &[u8]) -> Hash {
    sha(&[&[0], entry].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha(&[&[1], &left[..], right].concat())
}

/// The largest power of two below the length.
fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

/// The Merkle tree hash.
pub(crate) fn root(entries: &[Vec<u8>]) -> Hash {
    match entries {
        [] => sha(&[]),
        [entry] => leaf(entry),
        _ => {
            let (left, right) = entries.split_at(split(entries.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The hashes beside the way from an entry to the root, from below.
pub(crate) fn path(entries: &[Vec<u8>], index: usize) -> Vec<Hash> {
    if entries.len() == 1 {
        return Vec::new();
    }
    let (left, right) = entries.split_at(split(entries.len()));
    let (mut below, beside) = match index.checked_sub(left.len()) {
        None => (path(left, index), root(right)),
        Some(index) => (path(right, index), root(left)),
    };
    below.push(beside);
    below
}

/// Whether the path leads from the entry to the root, as RFC 9162 §2.1.3.2 goes it.
fn is_included(entry: &[u8], index: u64, path: &[Hash], size: u64, top: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf(entry));
    for beside in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node(beside, &hash);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = node(&hash, beside);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == *top
}

/// An entry of the log that revokes a name's key.
pub(crate) fn revoke_entry(name: &str, who: &Fpr) -> Vec<u8> {
    [&[2], &sized(name.as_bytes())[..], who].concat()
}

impl Revocation {
    /// The name and the key that its entry revokes.
    pub(crate) fn revoked(&self) -> Option<(String, Fpr)> {
        let mut reader = Reader::new(&self.entry);
        let is_revoke = reader.byte()? == 2;
        let revoked = (reader.name()?, reader.array()?);
        (is_revoke && reader.rest().is_empty()).then_some(revoked)
    }

    /// Whether it proves under this head that the key is revoked.
    pub(crate) fn proves(&self, who: &Fpr, head: &(u64, Hash)) -> bool {
        self.revoked().is_some_and(|(_, revoked)| revoked == *who)
            && is_included(&self.entry, self.index, &self.path, head.0, &head.1)
    }
}
