//! What the relay needs of a place that keeps things: logs, the transparency log, small records.
//!
//! # Batches
//! Writes are staged: later reads of the same store see them, but they stand only after
//! [`Store::flush`], all of them or none. So one flush serves everything that waits for the disk.
//! After a write has failed with anything but a [`StoreError::Conflict`] the batch is lost, and the
//! next call is [`Store::rollback`].
//!
//! # Places
//! A store gives each entry of a log its place. Places grow and need not be dense, so a store may
//! number entries as its backend does. One writer is assumed; compare-and-swap makes it certain.
//!
//! # Bodies
//! An entry's body may be dropped when it is old; its place, its hash and the log hash stay for ever,
//! so the log goes on to be one chain, and the same bytes are known again. A commit's body, and that of
//! any entry that [lasts](Origin::lasts), is never dropped.
//!
//! `conformance` (feature `simulation`) is the suite that every store has to pass.

use openchat_roster::log_hash_next;
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Seq, UnixMillis, limits};
use std::{error::Error, ops::ControlFlow, sync::Arc};

/// Keeps what the relay decided. See the [module](self) for what it promises.
pub trait Store {
    /// Puts an entry behind the one at `after`, which is [`Seq`] 0 for the first of a log.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] unless `after` is the log's tail, and for an entry or a commit's
    /// epoch that the log already has; otherwise as the backend fails.
    fn append(
        &mut self,
        log: &GroupId,
        after: Seq,
        entry: &NewEntry<'_>,
    ) -> Result<Place, StoreError>;

    /// Where the log has the entry with this SHA-256, which was appended as [`near`](NewEntry::near).
    ///
    /// # Errors
    /// As the backend fails.
    fn find(&self, log: &GroupId, near: u64, hash: &Digest) -> Result<Option<Seq>, StoreError>;

    /// The newest entry's place; `None` if there is no such log.
    ///
    /// # Errors
    /// As the backend fails.
    fn tail(&self, log: &GroupId) -> Result<Option<Place>, StoreError>;

    /// The place of the commit that led to `epoch`.
    ///
    /// # Errors
    /// As the backend fails.
    fn commit(&self, log: &GroupId, epoch: Epoch) -> Result<Option<Seq>, StoreError>;

    /// The commit at a place; `None` if there is none or it is another kind of entry.
    ///
    /// # Errors
    /// As the backend fails.
    fn point(&self, log: &GroupId, seq: Seq) -> Result<Option<Point>, StoreError>;

    /// Entries behind `after`, in order, as many as `limit` allows.
    ///
    /// # Errors
    /// As the backend fails.
    fn read(
        &self,
        log: &GroupId,
        after: Seq,
        which: Which,
        limit: Limit,
    ) -> Result<Page, StoreError>;

    /// Drops bodies that are older than `older` says: of at most `max` entries, in the order in which
    /// they came into any log, from the one behind `after` on ([`Dropping::reached`] of the last time,
    /// 0 at first). It ends at the first entry that is not that old ([`Older::leading`]).
    ///
    /// # Errors
    /// As the backend fails.
    fn drop_bodies(&mut self, after: u64, older: Older, max: usize)
    -> Result<Dropping, StoreError>;

    /// When the last entries of all logs came, at most `max`; the last one first.
    ///
    /// # Errors
    /// As the backend fails.
    fn newest(&self, max: usize) -> Result<Vec<UnixMillis>, StoreError>;

    /// Bytes of the bodies that are kept, of each log and of each person who brought some.
    ///
    /// # Errors
    /// As the backend fails.
    fn usage(&self) -> Result<Vec<(Owner, u64)>, StoreError>;

    /// Puts an entry at the end of the transparency log, whose length `index` must be.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for another index; otherwise as the backend fails.
    fn record(&mut self, index: u64, time: UnixMillis, entry: &[u8]) -> Result<(), StoreError>;

    /// At most `max` entries of the transparency log from `index` on, with their times.
    ///
    /// # Errors
    /// As the backend fails.
    fn recorded(&self, index: u64, max: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The record of a table under a key.
    ///
    /// # Errors
    /// As the backend fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the record under a key, which must be `expected` (`None`: must not exist).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is not; otherwise as the backend fails.
    fn put(
        &mut self,
        table: Table,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), StoreError>;

    /// Removes the record under a key, which must be `expected`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is not; otherwise as the backend fails.
    fn remove(&mut self, table: Table, key: &[u8], expected: &[u8]) -> Result<(), StoreError>;

    /// Records whose keys begin so, with the rest of their keys, in the order of the keys; at most
    /// `max` of them.
    ///
    /// # Errors
    /// As the backend fails.
    fn scan(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<Record>, StoreError>;

    /// Makes everything staged durable, at once. Nothing staged is an error-free no-op.
    ///
    /// # Errors
    /// [`StoreError::Full`]: nothing staged stands, and the store goes on. After any other error
    /// nobody knows what stands: the store is given up, a flush is never tried again.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// Forgets everything staged since the last flush.
    ///
    /// # Errors
    /// As the backend fails; the store is given up then.
    fn rollback(&mut self) -> Result<(), StoreError>;
}

/// An entry on its way into a log.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// A number that follows from the bytes and is alike for entries that come after one another. By
    /// their hashes alone, the entries of a batch would stand all over a store's index, and each of
    /// them would cost a page of its own.
    pub near: u64,
    /// SHA-256 of the bytes, by which the same entry is known again.
    pub hash: Digest,
    /// The log hash at the place before.
    pub before: Digest,
    /// What a commit leads to; `None` for any other entry.
    pub commit: Option<CommitPoint>,
    /// Who brought it, and when.
    pub origin: Origin,
    /// The entry as it was received; never empty.
    pub bytes: &'a [u8],
}

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Whose quota it counts for.
    pub author: Fingerprint,
    /// When it came, by the server's clock.
    pub time: UnixMillis,
    /// Its body is never dropped. A commit's is not anyway.
    pub lasts: bool,
}

impl NewEntry<'_> {
    /// The place `seq` with the log hash that this entry has there.
    #[must_use]
    pub fn at(&self, seq: Seq) -> Place {
        Place { seq, log_hash: log_hash_next(&self.before, seq, self.bytes) }
    }
}

/// A place in a log and the log hash there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The place.
    pub seq: Seq,
    /// The hash over the log up to it.
    pub log_hash: Digest,
}

/// What a commit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPoint {
    /// The new epoch.
    pub epoch: Epoch,
    /// Its interim hash.
    pub interim: Digest,
}

/// A commit in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Where it stands.
    pub place: Place,
    /// What it leads to.
    pub commit: CommitPoint,
}

/// Which entries of a log to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Commits only.
    Commits,
}

/// How much one read may bring. One entry always comes, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Entries, the dropped ones too.
    pub entries: usize,
    /// Bytes of all entries together.
    pub bytes: usize,
}

impl Limit {
    /// What one answer to a peer may bring.
    pub const READ: Self =
        Self { entries: limits::MAX_READ_ENTRIES, bytes: limits::MAX_READ_BYTES };
}

/// Consecutive entries of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Places and bodies, in order.
    pub entries: Vec<(Seq, Body)>,
    /// Nothing that was asked for stands behind the last one.
    pub complete: bool,
}

/// What is there of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Its bytes.
    Whole(Vec<u8>),
    /// They were dropped: their SHA-256.
    Dropped(Digest),
}

impl Body {
    /// The bytes of an entry whose body is never dropped.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it was all the same.
    pub fn whole(self) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Dropped(_) => Err(StoreError::Corrupt("a commit without its body")),
        }
    }
}

/// What is old. Entries are numbered in the order in which they came, so the time of each says
/// something about those before it too, and a time that can't be right says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Older {
    /// What came before this is old.
    pub than: UnixMillis,
    /// A later time than this is wrong: the clock was ahead when the entry came.
    pub plausible: UnixMillis,
}

impl Older {
    /// What came before `time`; any time may be right.
    #[must_use]
    pub const fn than(time: UnixMillis) -> Self {
        Self { than: time, plausible: UnixMillis(u64::MAX) }
    }

    /// Whether what came at `time`, and so all before it, is old; `None` if that time is wrong.
    #[must_use]
    pub fn says(self, time: UnixMillis) -> Option<bool> {
        (time <= self.plausible).then_some(time < self.than)
    }

    /// How many of the first entries are old, by the `times` of some that stand behind each other. One
    /// with a wrong time is old if a later one is. Where those at the end are all wrong, `behind` is
    /// asked for the time of an entry so many places behind the last one, at doubling distances: few
    /// questions however many there are, and only as the entries behind them grow old too.
    ///
    /// # Errors
    /// As `behind` fails.
    pub fn leading<E>(
        self,
        times: impl IntoIterator<Item = UnixMillis>,
        mut behind: impl FnMut(u64) -> Result<Option<UnixMillis>, E>,
    ) -> Result<usize, E> {
        let (mut old, mut looked) = (0, 0_usize);
        for time in times {
            looked = looked.saturating_add(1);
            match self.says(time) {
                Some(true) => old = looked,
                Some(false) => return Ok(old),
                None => {}
            }
        }
        if old == looked {
            return Ok(old);
        }
        for distance in (0..63).map(|power| 1_u64 << power) {
            match behind(distance)?.map(|time| self.says(time)) {
                Some(Some(true)) => return Ok(looked),
                Some(None) => {}
                Some(Some(false)) | None => break,
            }
        }
        Ok(old)
    }
}

/// What came of dropping bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropping {
    /// The number of the last entry that was looked at; the next time goes on behind it.
    pub reached: u64,
    /// Bodies that were dropped.
    pub bodies: u64,
    /// What they took, by log and person; of each there may be several.
    pub freed: Vec<(Owner, u64)>,
    /// No entry behind `reached` is that old.
    pub complete: bool,
}

/// Whose bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A log's, an inbox's too.
    Log(GroupId),
    /// Those that a person brought into any log.
    Person(Fingerprint),
}

/// Fills a page from entries in order, for stores to build on.
#[derive(Debug)]
pub struct PageBuilder {
    page: Page,
    limit: Limit,
    bytes: usize,
}

impl PageBuilder {
    /// A page with nothing on it: complete, until an entry does not fit.
    #[must_use]
    pub const fn new(limit: Limit) -> Self {
        Self { page: Page { entries: Vec::new(), complete: true }, limit, bytes: 0 }
    }

    /// Adds the next entry, or breaks: it does not fit any more.
    pub fn add(&mut self, seq: Seq, bytes: &[u8]) -> ControlFlow<()> {
        self.put(seq, bytes.len(), || Body::Whole(bytes.to_vec()))
    }

    /// Adds the next entry, whose body was dropped.
    pub fn add_dropped(&mut self, seq: Seq, hash: Digest) -> ControlFlow<()> {
        self.put(seq, 0, || Body::Dropped(hash))
    }

    fn put(&mut self, seq: Seq, len: usize, body: impl FnOnce() -> Body) -> ControlFlow<()> {
        let entries = &mut self.page.entries;
        let total = self.bytes.saturating_add(len);
        let fits = entries.len() < self.limit.entries && total <= self.limit.bytes;
        if !fits && !entries.is_empty() {
            self.page.complete = false;
            return ControlFlow::Break(());
        }
        self.bytes = total;
        entries.push((seq, body()));
        ControlFlow::Continue(())
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> Page {
        self.page
    }
}

/// An entry of the transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When it was recorded.
    pub time: UnixMillis,
    /// Its canonical bytes.
    pub entry: Vec<u8>,
}

/// A record as a scan finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What follows the prefix in its key.
    pub rest: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// Records that are not logs. What keys and values are is the relay's own business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Invitations to the server, by id.
    Invitation,
    /// Fingerprints, by the name they belong to.
    Name,
    /// Names and certificates, by fingerprint.
    Member,
    /// Group ids, by open name.
    GroupName,
    /// Group ids, by the two fingerprints of a direct group, ascending.
    Pair,
    /// Who put somebody into a group, by the person and the group.
    Place,
    /// Where somebody lost its seat, by the group and the person.
    Former,
    /// The last leave request, by the group and the person.
    Leave,
    /// One-time prekeys, by their owner, end and hash.
    Prekey,
    /// That a one-time prekey was given out, by its owner, end and hash.
    GivenPrekey,
    /// Prekeys of last resort, by their owner.
    LastResort,
    /// How far old bodies were dropped; one record.
    Retention,
    /// Signed heads of the transparency log, by their size.
    Head,
}

/// Why a store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk. Nothing of the batch stands; reads go on, writes may succeed later.
    #[error("the disk is full")]
    Full,
    /// Another server works on this store.
    #[error("another server uses {0}")]
    InUse(String),
    /// Made by a newer version of this program, or by another one.
    #[error("the store is of a kind or version that this program does not know: {0}")]
    Version(String),
    /// What is stored contradicts what was expected there.
    #[error("not what was expected there: {0}")]
    Conflict(&'static str),
    /// What is stored is not what any relay writes.
    #[error("damaged: {0}")]
    Corrupt(&'static str),
    /// An earlier error ended the use of this store.
    #[error("given up after an earlier error")]
    GivenUp,
    /// The backend failed.
    #[error("{0}")]
    Backend(#[source] Arc<dyn Error + Send + Sync>),
}

impl StoreError {
    /// A backend's own error.
    pub fn backend(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Backend(Arc::new(error))
    }

    /// Whether the server has to stop: what stands on the disk is unknown, or not understood.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Full)
    }
}
