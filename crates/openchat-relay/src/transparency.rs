//! The transparency log as the server keeps it: entries into the store, signed heads out, and
//! which heads a commit may still name (`docs/protocol.md` §9).

use crate::store::{Store, StoreError};
use core::time::Duration;
use openchat_crypto::IdentityKey;
use openchat_pki::{Entry, Head, MerkleLog};
use openchat_roster::HeadRef;
use openchat_wire::{Digest, UnixMillis, limits::MAX_HEAD_AGE};
use std::collections::VecDeque;

/// A head is signed anew when the log has grown or its time is this old, and only if somebody
/// asks: a server at rest signs nothing.
const HEAD_LIFE: Duration = Duration::from_mins(1);

/// Entries read at once when the log is loaded.
const LOAD: usize = 1_024;

/// Why a commit may not name a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadFault {
    /// This log never had that root at that size, or long ago.
    #[error("the transparency head is unknown or over ten minutes old")]
    NotCurrent,
}

/// The log and its newest signed head.
#[derive(Debug)]
pub(crate) struct Transparency {
    log_id: Digest,
    key: IdentityKey,
    tree: MerkleLog,
    /// Heads that were the newest until not long ago, oldest first.
    former: VecDeque<Former>,
    signed: Option<Signed>,
}

#[derive(Debug)]
struct Former {
    head: HeadRef,
    until: UnixMillis,
}

#[derive(Debug)]
struct Signed {
    time: UnixMillis,
    bytes: Vec<u8>,
}

impl Transparency {
    /// The log as it stands in the store.
    pub(crate) fn load<S: Store>(
        store: &S,
        log_id: Digest,
        key: IdentityKey,
    ) -> Result<Self, StoreError> {
        let (tree, former) = (MerkleLog::new(), VecDeque::new());
        let mut log = Self { log_id, key, tree, former, signed: None };
        log.reload(store)?;
        Ok(log)
    }

    /// Forgets what may not stand in the store.
    pub(crate) fn reload<S: Store>(&mut self, store: &S) -> Result<(), StoreError> {
        self.tree = MerkleLog::new();
        self.former.clear();
        self.signed = None;
        loop {
            let entries = store.recorded(self.tree.size(), LOAD)?;
            for recorded in &entries {
                self.grow(&recorded.entry, recorded.time);
            }
            if entries.len() < LOAD {
                return Ok(());
            }
        }
    }

    /// Stages an entry at the end of the log and returns its index.
    pub(crate) fn push<S: Store>(
        &mut self,
        store: &mut S,
        entry: &Entry,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let (index, bytes) = (self.tree.size(), entry.encode());
        store.record(index, now, &bytes)?;
        self.grow(&bytes, now);
        Ok(index)
    }

    /// The newest head, signed.
    pub(crate) fn head(&mut self, now: UnixMillis) -> &[u8] {
        if self.signed.as_ref().is_none_or(|signed| is_older(signed.time, HEAD_LIFE, now)) {
            let HeadRef { size, root } = self.newest();
            let head = Head { log_id: self.log_id, size, root, time: now };
            self.signed = Some(Signed { time: now, bytes: head.sign(&self.key) });
        }
        self.signed.as_ref().map_or(&[], |signed| &signed.bytes)
    }

    /// Whether a commit may name this head: it is the newest, or was until not long ago. Its age
    /// counts from the entry that made it old, so a log at rest has no stale heads.
    pub(crate) fn check(&self, head: HeadRef, now: UnixMillis) -> Result<(), HeadFault> {
        let was_newest = self
            .former
            .iter()
            .any(|former| former.head == head && !is_older(former.until, MAX_HEAD_AGE, now));
        if was_newest || self.newest() == head { Ok(()) } else { Err(HeadFault::NotCurrent) }
    }

    fn newest(&self) -> HeadRef {
        HeadRef { size: self.tree.size(), root: self.tree.root() }
    }

    fn grow(&mut self, entry: &[u8], now: UnixMillis) {
        while self.former.front().is_some_and(|oldest| is_older(oldest.until, MAX_HEAD_AGE, now)) {
            self.former.pop_front();
        }
        self.former.push_back(Former { head: self.newest(), until: now });
        self.tree.push(entry);
        self.signed = None;
    }
}

/// Whether `life` has passed since `time`. A clock that was set back makes nothing older.
fn is_older(time: UnixMillis, life: Duration, now: UnixMillis) -> bool {
    time.after(life) < now
}
