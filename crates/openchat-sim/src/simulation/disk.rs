//! What a server's store is on, and what is left of it when its power fails.

use openchat_relay::{Store, StoreError, memory::MemoryStore};
use openchat_store_sqlite::SqliteStore;
use std::path::PathBuf;

/// Where a relay's store is.
pub trait Disk {
    /// The store.
    type Store: Store;

    /// The store as it is found at a start. What the last one had not flushed is gone.
    ///
    /// # Errors
    /// As the backend fails.
    fn open(&mut self, last: Option<Self::Store>) -> Result<Self::Store, StoreError>;

    /// Lets a write of this batch fail for want of room; tells whether this disk can.
    fn fill(&self, store: &Self::Store, writes_before: u32) -> bool;
}

/// A disk in memory.
#[derive(Debug, Default)]
pub struct MemoryDisk;

impl Disk for MemoryDisk {
    type Store = MemoryStore;

    fn open(&mut self, last: Option<MemoryStore>) -> Result<MemoryStore, StoreError> {
        Ok(last.map_or_else(MemoryStore::new, MemoryStore::crash))
    }

    fn fill(&self, store: &MemoryStore, writes_before: u32) -> bool {
        store.faults().fail_write(writes_before, StoreError::Full);
        true
    }
}

/// The store that servers have, in a folder. A transaction that was not committed when the process
/// ended is taken back by `SQLite`; that what was committed outlasts the power is for the tests that
/// tear writes under it.
#[derive(Debug)]
pub struct SqliteDisk(pub PathBuf);

impl SqliteDisk {
    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("openchat.db")
    }
}

impl Disk for SqliteDisk {
    type Store = SqliteStore;

    fn open(&mut self, last: Option<SqliteStore>) -> Result<SqliteStore, StoreError> {
        // It holds the lock.
        drop(last);
        SqliteStore::open(&self.database())
    }

    fn fill(&self, _: &SqliteStore, _: u32) -> bool {
        false
    }
}
