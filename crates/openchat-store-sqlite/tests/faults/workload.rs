//! What the store is made to do while its disk fails: batches as the relay makes them, each of
//! which can be done again without harm.

use openchat_crypto::sha256;
use openchat_relay::{
    Limit, Store, StoreError,
    store::{Body, CommitPoint, NewEntry, Older, Origin, Place, Table, Which},
};
use openchat_roster::{log_hash_over, log_hash_start};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Seq, UnixMillis};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

const LOGS: u8 = 3;
const NAMES: u64 = 7;

/// Which batches, and what is special about some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// Batches that stand before anything fails.
    pub(crate) before: u64,
    /// All batches.
    pub(crate) batches: u64,
    /// The store is closed before this one, which copies its write-ahead log and removes it.
    pub(crate) closed_before: u64,
    /// This one is so large that the write-ahead log is copied after it.
    pub(crate) large: Option<u64>,
}

impl Workload {
    /// Does what has not been done yet, and notes each batch as acknowledged once it is flushed.
    pub(crate) fn run(self, database: &Path, journal: &Path) -> Result<(), StoreError> {
        let mut journal = OpenOptions::new().append(true).create(true).open(journal).unwrap();
        let mut store = SqliteStore::open(database)?;
        for batch in self.before..self.batches {
            if batch == self.closed_before {
                drop(store);
                store = SqliteStore::open(database)?;
            }
            self.batch(&mut store, batch)?;
            acknowledge(&mut journal);
        }
        Ok(())
    }

    /// One batch with its flush; nothing of it is written twice.
    pub(crate) fn batch(self, store: &mut SqliteStore, batch: u64) -> Result<(), StoreError> {
        let stands = !store.recorded(batch, 1)?.is_empty();
        for log in 0..LOGS {
            let bytes = self.entry(batch, log);
            let hash = sha256(&bytes);
            let found = store.find(&GroupId([log; 32]), batch, &hash)?;
            assert_eq!(found.is_some(), stands, "half of batch {batch} stands");
            if !stands {
                append(store, log, batch, &bytes)?;
            }
        }
        if !stands {
            if batch % 4 == 3 {
                store.drop_bodies(0, Older::than(UnixMillis(batch - 2)), usize::MAX / 2)?;
            }
            records(store, batch)?;
        }
        store.flush()
    }

    /// Some fit on a page, others take several.
    fn entry(self, batch: u64, log: u8) -> Vec<u8> {
        let length = match batch {
            _ if self.large == Some(batch) => 1_400_000,
            _ => 100 + usize::try_from(batch * 977 % 3_000).unwrap(),
        };
        let mut bytes = vec![log; length];
        bytes[..8].copy_from_slice(&batch.to_be_bytes());
        bytes
    }
}

/// Batches that were acknowledged, from the file that is outside of what fails.
pub(crate) fn acknowledged(journal: &Path) -> u64 {
    std::fs::metadata(journal).map_or(0, |journal| journal.len())
}

fn acknowledge(journal: &mut File) {
    journal.write_all(b".").unwrap();
}

/// A record is replaced or removed, and the transparency log grows, which marks the batch.
fn records(store: &mut SqliteStore, batch: u64) -> Result<(), StoreError> {
    let key = (batch % NAMES).to_be_bytes();
    let before = store.get(Table::Name, &key)?;
    match before {
        Some(value) if batch % 6 == 5 => store.remove(Table::Name, &key, &value)?,
        value => store.put(Table::Name, &key, value.as_deref(), &batch.to_be_bytes())?,
    }
    store.record(batch, UnixMillis(batch), &batch.to_be_bytes())
}

fn append(store: &mut SqliteStore, log: u8, batch: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let log = GroupId([log; 32]);
    let start = Place { seq: Seq(0), log_hash: log_hash_start(&log) };
    let tail = store.tail(&log)?.unwrap_or(start);
    let point = CommitPoint { epoch: Epoch(batch + 1), interim: Digest([7; 32]) };
    let commit = batch.is_multiple_of(5).then_some(point);
    let (near, before) = (batch, tail.log_hash);
    let origin = Origin { author: Fingerprint([9; 32]), time: UnixMillis(batch), lasts: false };
    let entry = NewEntry { near, hash: sha256(bytes), before, commit, origin, bytes };
    store.append(&log, tail.seq, &entry).map(drop)
}

/// All that stands, as one hash. Every log's own hash is computed anew and has to agree.
pub(crate) fn state(store: &SqliteStore) -> Digest {
    let all = Limit { entries: usize::MAX, bytes: usize::MAX };
    let mut said = Vec::new();
    for number in 0..LOGS {
        let log = GroupId([number; 32]);
        let mut place = Place { seq: Seq(0), log_hash: log_hash_start(&log) };
        for (seq, body) in store.read(&log, Seq(0), Which::All, all).unwrap().entries {
            assert_eq!(seq, place.seq.next(), "places are dense here");
            let hash = match &body {
                Body::Whole(bytes) => sha256(bytes),
                Body::Dropped(hash) => *hash,
            };
            place = Place { seq, log_hash: log_hash_over(&place.log_hash, seq, &hash) };
            let point = store.point(&log, seq).unwrap();
            assert!(point.is_none_or(|point| point.place == place), "a commit's log hash");
            assert_eq!(store.find(&log, seq.0 - 1, &hash).unwrap(), Some(seq));
            let is_whole = matches!(body, Body::Whole(_));
            assert!(is_whole || point.is_none(), "a commit's body is never dropped");
            said.push(format!("{seq:?} {hash} {point:?} {is_whole}"));
        }
        let tail = store.tail(&log).unwrap();
        assert!(tail.is_none_or(|tail| tail == place), "the tail's log hash");
        said.push(format!("{tail:?}"));
        let commits = store.read(&log, Seq(0), Which::Commits, all).unwrap().entries;
        said.push(format!("{:?}", commits.iter().map(|(seq, _)| seq).collect::<Vec<_>>()));
    }
    said.push(format!("{:?}", store.scan(Table::Name, &[], 1_000).unwrap()));
    said.push(format!("{:?}", store.recorded(0, 10_000).unwrap()));
    sha256(said.join("\n").as_bytes())
}
