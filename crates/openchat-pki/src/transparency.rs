//! The CA's transparency log: a Merkle tree (RFC 6962 §2.1) over its entries, and its signed heads.
//!
//! A head commits to all entries up to its size. Its root does not bind the size, so the signature
//! covers both.

use crate::signed::{Signed, SignedError};
use core::time::Duration;
use ct_merkle::{InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use openchat_crypto::{IdentityKey, Label, PublicKey, sha256};
use openchat_wire::{Digest, UnixMillis, encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Entries of a log that proofs are judged for. A log that takes a million entries a second would
/// have them in twelve days; the limit keeps absurd sizes out of the arithmetic of trees.
pub(crate) const MAX_SIZE: u64 = 1 << 40;

/// The place of an entry in the log and the hashes beside its way to the root (RFC 6962 §2.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The entry's index, from 0.
    pub index: u64,
    /// From the leaf upward.
    pub path: Vec<Digest>,
}

impl Inclusion {
    /// Whether the log of this size and root has the encoded entry at the index.
    #[must_use]
    pub fn verify(&self, entry: &[u8], size: u64, root: &Digest) -> bool {
        if size > MAX_SIZE {
            return false;
        }
        let path: Vec<u8> = self.path.iter().flat_map(|digest| digest.0).collect();
        let Ok(proof) = InclusionProof::<Sha256>::try_from_bytes(path) else { return false };
        let root = RootHash::<Sha256>::new(root.0.into(), size);
        root.verify_inclusion(&entry.to_vec(), self.index, &proof).is_ok()
    }
}

/// The log's tree, in memory. It grows and never changes; the entries themselves are the caller's
/// to store, and to push again in order when it starts.
#[derive(Debug, Clone, Default)]
pub struct MerkleLog {
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl MerkleLog {
    /// A log without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an encoded [`Entry`](crate::Entry) and returns its index, from 0.
    pub fn push(&mut self, entry: &[u8]) -> u64 {
        let index = self.size();
        self.tree.push(entry.to_vec());
        index
    }

    /// The Merkle tree hash over all entries.
    #[must_use]
    pub fn root(&self) -> Digest {
        Digest((*self.tree.root().as_bytes()).into())
    }

    /// The root of a log without entries: SHA-256 of nothing.
    #[must_use]
    pub fn root_of_empty() -> Digest {
        sha256(&[])
    }

    /// The proof that the log, as it is now, has an entry at an index; `None` if it has none there.
    #[must_use]
    pub fn prove(&self, index: u64) -> Option<Inclusion> {
        if index >= self.size() {
            return None;
        }
        let proof = self.tree.prove_inclusion(usize::try_from(index).ok()?);
        let (digests, _) = proof.as_bytes().as_chunks::<32>();
        Some(Inclusion { index, path: digests.iter().copied().map(Digest).collect() })
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.len()
    }

    /// The log's head at this moment, to be signed.
    #[must_use]
    pub fn head(&self, log_id: Digest, time: UnixMillis) -> Head {
        Head { log_id, size: self.size(), root: self.root(), time }
    }
}

impl<E: AsRef<[u8]>> FromIterator<E> for MerkleLog {
    /// The log of these encoded entries, in order.
    fn from_iter<I: IntoIterator<Item = E>>(entries: I) -> Self {
        let mut log = Self::new();
        for entry in entries {
            log.push(entry.as_ref());
        }
        log
    }
}

/// What a transparency log was at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which log ([`ServerKeys::log_id`](crate::ServerKeys)).
    pub log_id: Digest,
    /// Number of entries.
    pub size: u64,
    /// Merkle tree hash over them.
    pub root: Digest,
    /// When it was signed, by the server's clock.
    pub time: UnixMillis,
}

impl Head {
    /// The head under the log's key, as it travels.
    #[must_use]
    pub fn sign(&self, key: &IdentityKey) -> Vec<u8> {
        encode(&Signed::new(Label::TlogHead, self, key))
    }

    /// How long ago it was signed, by this clock: none if it is of the future.
    #[must_use]
    pub const fn age(&self, now: UnixMillis) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.time.0))
    }

    /// Checks that this head may come after `earlier`. A larger size still needs a proof that the
    /// earlier entries are the same; this finds what needs no proof.
    ///
    /// # Errors
    /// [`Rollback`], the first that applies in the order of its variants.
    pub fn follows(&self, earlier: &Self) -> Result<(), Rollback> {
        if self.log_id != earlier.log_id {
            return Err(Rollback::OtherLog);
        }
        if self.size < earlier.size {
            return Err(Rollback::Shrunk);
        }
        if self.size == earlier.size && self.root != earlier.root {
            return Err(Rollback::OtherRoot);
        }
        if self.time < earlier.time {
            return Err(Rollback::Time);
        }
        Ok(())
    }
}

/// A head as it came: readable, and nothing more is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedHead(Signed);

impl UnverifiedHead {
    /// Reads the bytes of [`Head::sign`].
    ///
    /// # Errors
    /// [`HeadError::Signed`] if they are not a signed statement.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        Ok(Self(Signed::decode(bytes)?))
    }

    /// The head, if the key of the log with this id signed it.
    ///
    /// # Errors
    /// [`HeadError`] otherwise.
    pub fn verify(self, key: &PublicKey, log_id: &Digest) -> Result<Head, HeadError> {
        let head: Head = self.0.open(Label::TlogHead, key)?;
        if head.log_id != *log_id {
            return Err(HeadError::OtherLog);
        }
        let empty = head.root == MerkleLog::root_of_empty();
        if empty == (head.size == 0) { Ok(head) } else { Err(HeadError::Empty) }
    }
}

/// Why a head is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not signed by the log's key.
    #[error("transparency head: {0}")]
    Signed(#[from] SignedError),
    /// Of another log.
    #[error("the transparency head is another log's")]
    OtherLog,
    /// It has entries and the root of none, or none and another root.
    #[error("the transparency head's size and root contradict each other")]
    Empty,
}

/// How a log was taken back. Two heads that differ so, both signed, prove that the server lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rollback {
    /// Of another log: the two can't be compared.
    #[error("the head is another log's")]
    OtherLog,
    /// Fewer entries than before.
    #[error("the transparency log has shrunk")]
    Shrunk,
    /// As many entries, but not the same.
    #[error("the transparency log shows two histories")]
    OtherRoot,
    /// Signed before the one that came before.
    #[error("the transparency head is older than the last one")]
    Time,
}
