//! What the vault does from time to time: what was deleted leaves the journal, and messages whose time
//! is over leave the vault.

use super::{Vault, VaultError, file, history::sortable};
use crate::outside::now;
use openchat_wire::{GroupId, UnixMillis};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// A key that was deleted is in the journal for this long at most, while the program runs. Writing the
/// journal back costs two waits for the disk.
const JOURNAL_EVERY: Duration = Duration::from_secs(30);

/// Retention is counted in days, and so an hour late is early enough: it is not read any more before.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// Where a timer ends, its messages go at once. Of many that end one after the other each would cost
/// waits for the disk.
const ENDS_EVERY: Duration = Duration::from_secs(1);

/// What is due when.
#[derive(Debug)]
pub(super) struct Tidy {
    /// Something was written that is in the journal.
    pub(super) dirty: bool,
    journal_at: Instant,
    /// Nothing before the first time.
    expired_at: Option<Instant>,
    /// When something was deleted.
    ended_at: Option<Instant>,
}

impl Tidy {
    pub(super) fn new() -> Self {
        Self { dirty: false, journal_at: Instant::now(), expired_at: None, ended_at: None }
    }
}

impl Vault {
    /// Does what is due; to be called often. Gives the groups of which messages were deleted.
    ///
    /// # Errors
    /// The database's.
    pub fn tidy(&mut self) -> Result<BTreeSet<GroupId>, VaultError> {
        let is_due = |last: Instant, every| last.elapsed() >= every;
        let mut groups = BTreeSet::new();
        let is_time = self.tidy.expired_at.is_none_or(|last| is_due(last, EXPIRE_EVERY));
        let rests = self.tidy.ended_at.is_some_and(|last| !is_due(last, ENDS_EVERY));
        let is_time = is_time || (!rests && self.has_ended(now())?);
        if is_time && self.believes(now())? {
            self.tidy.expired_at = Some(Instant::now());
            groups = self.end(now())?.1;
        }
        if self.tidy.dirty && is_due(self.tidy.journal_at, JOURNAL_EVERY) {
            self.write_back()?;
        }
        Ok(groups)
    }

    /// Whether the timer of a message has ended.
    fn has_ended(&self, now: UnixMillis) -> Result<bool, VaultError> {
        let mut first = self
            .database
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM messages WHERE due <= ?1)")?;
        Ok(first.query_row([sortable(now.0)], |row| row.get(0))?)
    }

    /// Deletes messages whose time is over, for good; gives their number.
    ///
    /// # Errors
    /// The database's.
    pub fn expire(&mut self, now: UnixMillis) -> Result<usize, VaultError> {
        Ok(self.end(now)?.0)
    }

    fn end(&mut self, now: UnixMillis) -> Result<(usize, BTreeSet<GroupId>), VaultError> {
        let (count, groups) = self.delete_expired(now)?;
        if count > 0 {
            self.tidy.ended_at = Some(Instant::now());
            self.write_back()?;
        }
        Ok((count, groups))
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
