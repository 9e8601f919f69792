//! What the vault does from time to time: what was deleted leaves the journal, and messages whose time
//! is over leave the vault.

use super::{Vault, VaultError, file};
use crate::outside::now;
use openchat_wire::UnixMillis;
use std::time::{Duration, Instant};

/// A key that was deleted is in the journal for this long at most, while the program runs. Writing the
/// journal back costs two waits for the disk.
const JOURNAL_EVERY: Duration = Duration::from_secs(30);

/// Retention is counted in days, and so an hour late is early enough.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// What is due when.
#[derive(Debug)]
pub(super) struct Tidy {
    /// Something was written that is in the journal.
    pub(super) dirty: bool,
    journal_at: Instant,
    /// Nothing before the first time.
    expired_at: Option<Instant>,
}

impl Tidy {
    pub(super) fn new() -> Self {
        Self { dirty: false, journal_at: Instant::now(), expired_at: None }
    }
}

impl Vault {
    /// Does what is due; to be called often.
    ///
    /// # Errors
    /// The database's.
    pub fn tidy(&mut self) -> Result<(), VaultError> {
        let is_due = |last: Instant, every| last.elapsed() >= every;
        if self.tidy.expired_at.is_none_or(|last| is_due(last, EXPIRE_EVERY)) {
            self.tidy.expired_at = Some(Instant::now());
            self.expire(now())?;
        }
        if self.tidy.dirty && is_due(self.tidy.journal_at, JOURNAL_EVERY) {
            self.write_back()?;
        }
        Ok(())
    }

    /// Deletes messages whose time is over, for good; gives their number.
    ///
    /// # Errors
    /// The database's.
    pub fn expire(&mut self, now: UnixMillis) -> Result<usize, VaultError> {
        let count = self.delete_expired(now)?;
        if count > 0 {
            self.write_back()?;
        }
        Ok(count)
    }

    /// Writes the journal back and empties it, so that no old page is left in it. While somebody looks
    /// it may have to stay: then the next time sees to it.
    ///
    /// # Errors
    /// The database's.
    pub fn write_back(&mut self) -> Result<(), VaultError> {
        self.tidy.journal_at = Instant::now();
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        // Nobody waits for who only looks.
        self.database.busy_timeout(Duration::ZERO)?;
        let busy = self.database.query_row(checkpoint, [], |row| row.get::<_, i64>(0));
        self.database.busy_timeout(file::BUSY)?;
        self.tidy.dirty = busy? != 0;
        Ok(())
    }
}
