//! The transparency log as the server keeps it: entries into the store, signed heads out, and
//! which heads a commit may still name (`docs/protocol.md` §9).

use crate::store::{Store, StoreError, Table};
use core::time::Duration;
use openchat_crypto::IdentityKey;
use openchat_pki::{Entry, MerkleLog};
use openchat_roster::HeadRef;
use openchat_wire::{Digest, Fingerprint, UnixMillis, limits::MAX_HEAD_AGE};
use std::collections::{HashSet, VecDeque};

/// A head is signed anew when the log has grown or its time is this old, and only if somebody
/// asks: a server at rest signs nothing.
const HEAD_LIFE: Duration = Duration::from_mins(1);

/// Entries read at once when the log is loaded.
const LOAD: usize = 1_024;

/// Why a commit may not name a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadFault {
    /// This log never had that root at that size, or long ago.
    #[error("R3: the transparency head is unknown or over ten minutes old")]
    NotCurrent,
}

/// The log and its newest signed head.
#[derive(Debug)]
pub(crate) struct Transparency {
    log_id: Digest,
    key: IdentityKey,
    heads: Heads,
    signed: Option<Signed>,
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
        Ok(Self { log_id, key, heads: Heads::load(store)?, signed: None })
    }

    /// Forgets what may not stand in the store.
    pub(crate) fn reload<S: Store>(&mut self, store: &S) -> Result<(), StoreError> {
        self.signed = None;
        self.heads = Heads::load(store)?;
        Ok(())
    }

    /// Stages an entry at the end of the log and returns its index. The head that covers it is stored
    /// with it, so that whoever has the key's public half sees later which entry was changed in place:
    /// 200 bytes an entry, of which a thousand people cause some 6,000 a year.
    pub(crate) fn push<S: Store>(
        &mut self,
        store: &mut S,
        entry: &Entry,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let (index, bytes) = (self.heads.tree.size(), entry.encode());
        store.record(index, now, &bytes)?;
        self.heads.grow(&bytes, now);
        let head = self.sign(now);
        store.put(Table::Head, &self.len().to_be_bytes(), None, &head)?;
        Ok(index)
    }

    fn sign(&mut self, now: UnixMillis) -> Vec<u8> {
        let bytes = self.heads.tree.head(self.log_id, now).sign(&self.key);
        self.signed = Some(Signed { time: now, bytes: bytes.clone() });
        bytes
    }

    /// The newest head, signed.
    pub(crate) fn head(&mut self, now: UnixMillis) -> &[u8] {
        if self.signed.as_ref().is_none_or(|signed| is_older(signed.time, HEAD_LIFE, now)) {
            self.sign(now);
        }
        self.signed.as_ref().map_or(&[], |signed| &signed.bytes)
    }

    /// Entries that it has.
    pub(crate) fn len(&self) -> u64 {
        self.heads.tree.size()
    }

    /// Whether the log says that this key counts no more.
    pub(crate) fn is_revoked(&self, key: &Fingerprint) -> bool {
        self.heads.revoked.contains(key)
    }

    /// Whether a commit may name this head: it is the newest, or was until not long ago. Its age
    /// counts from the entry that made it old, so a log at rest has no stale heads.
    pub(crate) fn check(&self, head: HeadRef, now: UnixMillis) -> Result<(), HeadFault> {
        self.heads.check(head, now)
    }
}

/// The log's tree and the heads that count.
#[derive(Debug, Default)]
struct Heads {
    tree: MerkleLog,
    /// Heads that were the newest until not long ago, oldest first.
    former: VecDeque<Former>,
    /// The keys that it revokes.
    revoked: HashSet<Fingerprint>,
}

#[derive(Debug)]
struct Former {
    head: HeadRef,
    until: UnixMillis,
}

impl Heads {
    fn load<S: Store>(store: &S) -> Result<Self, StoreError> {
        let mut heads = Self::default();
        loop {
            let entries = store.recorded(heads.tree.size(), LOAD)?;
            for recorded in &entries {
                heads.grow(&recorded.entry, recorded.time);
            }
            if entries.len() < LOAD {
                return Ok(heads);
            }
        }
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
        if let Ok(Entry::Revoke { fingerprint, .. }) = Entry::decode(entry) {
            self.revoked.insert(fingerprint);
        }
    }

    fn check(&self, head: HeadRef, now: UnixMillis) -> Result<(), HeadFault> {
        let was_newest = self
            .former
            .iter()
            .any(|former| former.head == head && !is_older(former.until, MAX_HEAD_AGE, now));
        if was_newest || self.newest() == head { Ok(()) } else { Err(HeadFault::NotCurrent) }
    }
}

/// Whether `life` has passed since `time`. A clock that was set back makes nothing older.
fn is_older(time: UnixMillis, life: Duration, now: UnixMillis) -> bool {
    time.after(life) < now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;

    #[test]
    fn heads_that_are_too_old_take_no_memory_not_even_after_a_restart() {
        let mut store = MemoryStore::new();
        for index in 0..2_000 {
            store.record(index, UnixMillis(index * 10_000), &index.to_be_bytes()).unwrap();
        }
        let heads = Heads::load(&store).unwrap();
        assert_eq!(heads.newest().size, 2_000);
        assert!(heads.former.len() <= 62, "{} heads of ten minutes", heads.former.len());
    }
}
