//! Where logs end, as far as it was asked for lately: every append has to know, and asking SQLite
//! would cost as much as the append.

use openchat_relay::store::Place;
use openchat_wire::GroupId;
use std::collections::HashMap;

/// Logs that are known at once, at about 150 bytes each. All are forgotten when there are more; each
/// costs one query until it is known again.
const MAX_KNOWN: usize = 16_384;

/// A log that has entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    /// Its row.
    pub(crate) row: i64,
    /// Its newest entry, staged ones too.
    pub(crate) tail: Place,
}

/// The logs that are known. They are forgotten with whatever is rolled back.
#[derive(Debug, Default)]
pub(crate) struct Logs(HashMap<GroupId, Log>);

impl Logs {
    pub(crate) fn get(&self, name: &GroupId) -> Option<Log> {
        self.0.get(name).copied()
    }

    pub(crate) fn know(&mut self, name: &GroupId, log: Log) {
        if self.0.len() >= MAX_KNOWN && !self.0.contains_key(name) {
            self.forget();
        }
        self.0.insert(*name, log);
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use openchat_crypto::sha256;
    use openchat_relay::{
        Store, StoreError,
        store::{NewEntry, Origin},
    };
    use openchat_wire::{Digest, Fingerprint, Seq, UnixMillis};

    const ONE: GroupId = GroupId([1; 32]);
    const OTHER: GroupId = GroupId([2; 32]);

    fn append(
        store: &mut SqliteStore,
        log: GroupId,
        after: u64,
        text: &[u8],
    ) -> Result<Place, StoreError> {
        let origin = Origin { author: Fingerprint([3; 32]), time: UnixMillis(1), lasts: false };
        let (hash, before) = (sha256(text), Digest([0; 32]));
        let entry = NewEntry { near: 5, hash, before, commit: None, origin, bytes: text };
        store.append(&log, Seq(after), &entry)
    }

    #[test]
    fn what_is_rolled_back_is_forgotten_and_its_row_may_be_anothers() {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
        append(&mut store, ONE, 0, b"lost").unwrap();
        append(&mut store, ONE, 1, b"lost too").unwrap();
        store.rollback().unwrap();
        assert_eq!(store.tail(&ONE).unwrap(), None);

        append(&mut store, OTHER, 0, b"a").unwrap();
        store.flush().unwrap();
        let first = append(&mut store, ONE, 0, b"b").unwrap();
        assert!(matches!(append(&mut store, ONE, 0, b"c"), Err(StoreError::Conflict(_))));
        assert!(matches!(append(&mut store, ONE, 1, b"b"), Err(StoreError::Conflict(_))));
        assert_eq!(store.tail(&ONE).unwrap(), Some(first), "what is refused moves no tail");
        append(&mut store, OTHER, 1, b"b").unwrap();
        store.flush().unwrap();
        append(&mut store, ONE, 1, b"lost").unwrap();
        store.rollback().unwrap();
        assert_eq!(store.tail(&ONE).unwrap(), Some(first));
        assert_eq!(store.find(&ONE, 5, &sha256(b"lost")).unwrap(), None);
        assert_eq!(store.find(&OTHER, 5, &sha256(b"b")).unwrap(), Some(Seq(2)));
    }

    #[test]
    fn what_is_not_known_any_more_is_read_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        let mut store = SqliteStore::open(&path).unwrap();
        let tail = append(&mut store, ONE, 0, b"a").unwrap();
        store.flush().unwrap();
        drop(store);
        let mut store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.tail(&ONE).unwrap(), Some(tail));
        assert!(matches!(append(&mut store, ONE, 1, b"a"), Err(StoreError::Conflict(_))));
        assert_eq!(append(&mut store, ONE, 1, b"b").unwrap().seq, Seq(2));
    }

    #[test]
    fn no_more_logs_are_known_than_memory_is_meant_for() {
        let mut logs = Logs::default();
        let tail = Place { seq: Seq(1), log_hash: Digest([0; 32]) };
        for number in 0..=MAX_KNOWN {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            logs.know(&GroupId(name), Log { row: 1, tail });
            logs.know(&GroupId(name), Log { row: 2, tail });
            assert_eq!(logs.get(&GroupId(name)), Some(Log { row: 2, tail }));
            assert!(logs.0.len() <= MAX_KNOWN);
        }
        assert_eq!(logs.0.len(), 1);
    }
}
