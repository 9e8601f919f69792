//! Entries that came and wait for a certificate before they are processed.

use std::collections::VecDeque;

use openchat_wire::{Blob, Digest, Seq};

/// Bytes that may wait. An answer takes one round trip; a relay that sends more than this
/// meanwhile is not waiting for us, so we stop listening to it.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Entries that may wait, for the same reason.
const MAX_ENTRIES: usize = 262_144;

/// What the relay shows of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Its bytes.
    Whole(Blob),
    /// It does not keep them any more: their SHA-256.
    Dropped(Digest),
}

impl Shown {
    fn len(&self) -> usize {
        match self {
            Self::Whole(entry) => entry.0.len(),
            Self::Dropped(hash) => hash.0.len(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    entries: VecDeque<(Seq, Shown)>,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES || self.entries.len() >= MAX_ENTRIES
    }

    pub(crate) fn push(&mut self, seq: Seq, entry: Shown) {
        self.bytes = self.bytes.saturating_add(entry.len());
        self.entries.push_back((seq, entry));
    }

    pub(crate) fn pop(&mut self) -> Option<(Seq, Shown)> {
        let (seq, entry) = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.len());
        Some((seq, entry))
    }

    /// The entry that was popped goes back to its place.
    pub(crate) fn put_back(&mut self, seq: Seq, entry: Shown) {
        self.bytes = self.bytes.saturating_add(entry.len());
        self.entries.push_front((seq, entry));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
