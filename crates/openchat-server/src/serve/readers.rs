//! Reading logs from the store, beside the relay thread and off the network's threads.

use openchat_relay::{Limit, Page, StoreError};
use openchat_store_sqlite::SqliteReader;
use openchat_wire::{GroupId, Seq};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Readers at once: more would only queue for the same disk.
const READERS: usize = 4;

/// One page for a session that catches up. It is held until the session has taken it.
const PAGE: Limit = Limit { entries: 256, bytes: 128 * 1024 };

/// Connections to the store that only read.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<SqliteReader>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        let idle = Mutex::new(Vec::new());
        Self { path: path.to_owned(), idle, permits: Semaphore::new(READERS) }
    }

    /// The next entries of a log, all of them flushed.
    ///
    /// # Errors
    /// As the store fails.
    pub(crate) async fn read(&self, log: GroupId, after: Seq) -> Result<Page, StoreError> {
        // The semaphore is never closed; without a permit the read would merely compete.
        let _permit = self.permits.acquire().await.ok();
        let (idle, path) = (self.pop(), self.path.clone());
        let read = spawn_blocking(move || {
            let reader = idle.map_or_else(|| SqliteReader::open(&path), Ok)?;
            let page = reader.read(&log, after, PAGE)?;
            Ok((reader, page))
        });
        let (reader, page) = read.await.map_err(StoreError::backend)??;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok(page)
    }

    fn pop(&self) -> Option<SqliteReader> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}
