//! The store: one connection, one transaction a batch.

use crate::{
    SqliteReader, connection,
    convert::{failed, failed_or_conflict, integer, number},
    logs::{Log, Logs},
    read, retention,
};
use openchat_relay::{
    Limit, Page, Store, StoreError,
    store::{
        CommitPoint, Dropping, NewEntry, Older, Owner, Place, Point, Record, Recorded, Table, Which,
    },
};
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row, hooks::Wal, params};
use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

/// Pages of the write-ahead log after which they are copied into the database: 16 MiB. Whoever waits
/// for an answer meanwhile waits for milliseconds more, so it is done rarely: the pages that change
/// most are copied once, however often they were written.
const CHECKPOINT_PAGES: i32 = 4_000;

/// The relay's store in an SQLite database, which it alone writes to.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    /// Length of the write-ahead log in pages, after the last commit.
    log_pages: Arc<AtomicI32>,
    logs: Logs,
    /// There may be entries from before version 3, which are known by their hashes alone.
    was_upgraded: bool,
    /// The rows of people.
    people: HashMap<Fingerprint, i64>,
    /// Entries since the sums of what is kept were brought up to date.
    uncounted: u64,
    /// Nothing failed that leaves open what is on the disk.
    sound: bool,
    _lock: File,
}

impl SqliteStore {
    /// The store in this file, made if need be and readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another server works on it, [`StoreError::Version`] if this
    /// program does not know what it is, otherwise as SQLite fails.
    pub fn open(database: &Path) -> Result<Self, StoreError> {
        let lock = connection::lock(database)?;
        let mut connection = connection::writer(database)?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&log_pages);
        let hook = move |_: &mut Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(failed)?;
        let path = database.to_owned();
        let was_upgraded = retention::was_upgraded(&connection)?;
        let mut store = Self {
            connection,
            path,
            log_pages,
            logs: Logs::default(),
            was_upgraded,
            people: HashMap::new(),
            uncounted: 0,
            sound: false,
            _lock: lock,
        };
        // What a killed process wrote may stand in the system's cache only. It is found again and
        // answered for from now on, so it has to be on the disk: also what can't be copied yet, because
        // a backup still reads.
        connection::sync_log(database)?;
        store.copy_log()?;
        store.sound = true;
        Ok(store)
    }

    /// A further connection for reading what is flushed.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::open(&self.path)
    }

    /// The connection inside the batch's transaction, which the first write begins.
    fn writing(&self) -> Result<&Connection, StoreError> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        }
        Ok(&self.connection)
    }

    /// The row of a log that has no entries yet.
    fn begin_log(&self, log: &GroupId) -> Result<i64, StoreError> {
        const LOG: &str = "INSERT OR IGNORE INTO logs (name) VALUES (?1)";
        const ROW: &str = "SELECT id FROM logs WHERE name = ?1";
        let connection = self.writing()?;
        connection.execute(LOG, [log.0]).map_err(failed)?;
        connection.query_row(ROW, [log.0], |row| row.get(0)).map_err(failed)
    }

    /// A log that has entries.
    fn log(&self, name: &GroupId) -> Result<Option<Log>, StoreError> {
        const TAIL: &str = "
            SELECT seq, log_hash, log FROM entries
            WHERE log = (SELECT id FROM logs WHERE name = ?1) ORDER BY seq DESC LIMIT 1";
        if let Some(known) = self.logs.get(name) {
            return Ok(Some(known));
        }
        let mut statement = self.connection.prepare_cached(TAIL).map_err(failed)?;
        let log = |row: &Row<'_>| Ok(Log { tail: place(row)?, row: row.get(2).map_err(failed)? });
        statement.query_row([name.0], |row| Ok(log(row))).optional().map_err(failed)?.transpose()
    }

    /// The row of a person.
    fn person(&mut self, who: &Fingerprint) -> Result<i64, StoreError> {
        if let Some(id) = self.people.get(who) {
            return Ok(*id);
        }
        let connection = self.writing()?;
        let add = "INSERT OR IGNORE INTO people (fingerprint) VALUES (?1)";
        connection.execute(add, [who.0]).map_err(failed)?;
        let find = "SELECT id FROM people WHERE fingerprint = ?1";
        let id = connection.query_row(find, [who.0], |row| row.get(0)).map_err(failed)?;
        self.people.insert(*who, id);
        Ok(id)
    }

    /// Brings the sums of what is kept up to date, now and then.
    fn count_if_many(&mut self) -> Result<(), StoreError> {
        if self.uncounted >= retention::COUNT_AFTER {
            retention::count_up(&self.connection)?;
            self.uncounted = 0;
        }
        Ok(())
    }

    /// Copies the write-ahead log into the database once it is long.
    fn checkpoint(&self) -> Result<(), StoreError> {
        if self.log_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return Ok(());
        }
        self.copy_log()
    }

    /// Syncs the write-ahead log and copies it into the database. Nobody is waited for: what a
    /// reader still needs stays. A disk without room for it may have some later.
    fn copy_log(&self) -> Result<(), StoreError> {
        let copied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(failed);
        match copied {
            Err(StoreError::Full) => Ok(()),
            copied => copied,
        }
    }
}

impl Store for SqliteStore {
    fn append(
        &mut self,
        log: &GroupId,
        after: Seq,
        entry: &NewEntry<'_>,
    ) -> Result<Place, StoreError> {
        const ENTRY: &str = "
            INSERT INTO entries
                (log, seq, near, hash, log_hash, epoch, interim, author, time, lasts, bytes)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let known = self.log(log)?;
        let tail = known.map_or(Seq(0), |log| log.tail.seq);
        if tail != after {
            return Err(StoreError::Conflict("the log's tail"));
        }
        if self.was_upgraded && self.find(log, 0, &entry.hash)?.is_some() {
            return Err(StoreError::Conflict("an entry of the log"));
        }
        let place = entry.at(tail.next());
        let row = known.map_or_else(|| self.begin_log(log), |log| Ok(log.row))?;
        let author = self.person(&entry.origin.author)?;
        let mut statement = self.writing()?.prepare_cached(ENTRY).map_err(failed)?;
        let inserted = statement.execute(params![
            row,
            integer(place.seq.0),
            integer(entry.near),
            entry.hash.0,
            place.log_hash.0,
            entry.commit.map(|commit| integer(commit.epoch.0)),
            entry.commit.map(|commit| commit.interim.0),
            author,
            integer(entry.origin.time.0),
            entry.origin.lasts,
            entry.bytes,
        ]);
        drop(statement);
        inserted.map_err(|error| failed_or_conflict(error, "an entry or epoch of the log"))?;
        self.logs.know(log, Log { row, tail: place });
        self.uncounted = self.uncounted.saturating_add(1);
        Ok(place)
    }

    fn find(&self, log: &GroupId, near: u64, hash: &Digest) -> Result<Option<Seq>, StoreError> {
        const FIND: &str = "
            SELECT seq FROM entries
            WHERE log = (SELECT id FROM logs WHERE name = ?1) AND near IN (0, ?2) AND hash = ?3";
        let mut statement = self.connection.prepare_cached(FIND).map_err(failed)?;
        let seq =
            statement.query_row(params![log.0, integer(near), hash.0], |row| row.get(0)).optional();
        seq.map_err(failed)?.map(|seq| number(seq).map(Seq)).transpose()
    }

    fn tail(&self, log: &GroupId) -> Result<Option<Place>, StoreError> {
        Ok(self.log(log)?.map(|log| log.tail))
    }

    fn commit(&self, log: &GroupId, epoch: Epoch) -> Result<Option<Seq>, StoreError> {
        const COMMIT: &str = "
            SELECT seq FROM entries
            WHERE log = (SELECT id FROM logs WHERE name = ?1) AND epoch = ?2";
        let mut statement = self.connection.prepare_cached(COMMIT).map_err(failed)?;
        let seq =
            statement.query_row(params![log.0, integer(epoch.0)], |row| row.get(0)).optional();
        seq.map_err(failed)?.map(|seq| number(seq).map(Seq)).transpose()
    }

    fn point(&self, log: &GroupId, seq: Seq) -> Result<Option<Point>, StoreError> {
        const POINT: &str = "
            SELECT seq, log_hash, epoch, interim FROM entries
            WHERE log = (SELECT id FROM logs WHERE name = ?1) AND seq = ?2 AND epoch IS NOT NULL";
        let mut statement = self.connection.prepare_cached(POINT).map_err(failed)?;
        let found = statement.query_row(params![log.0, integer(seq.0)], |row| Ok(point(row)));
        found.optional().map_err(failed)?.transpose()
    }

    fn read(
        &self,
        log: &GroupId,
        after: Seq,
        which: Which,
        limit: Limit,
    ) -> Result<Page, StoreError> {
        read::read(&self.connection, log, after, which, limit)
    }

    fn drop_bodies(
        &mut self,
        after: u64,
        older: Older,
        max: usize,
    ) -> Result<Dropping, StoreError> {
        retention::drop_bodies(self.writing()?, after, older, max)
    }

    fn newest(&self, max: usize) -> Result<Vec<UnixMillis>, StoreError> {
        retention::newest(&self.connection, max)
    }

    fn usage(&self) -> Result<Vec<(Owner, u64)>, StoreError> {
        retention::usage(&self.connection)
    }

    fn record(&mut self, index: u64, time: UnixMillis, entry: &[u8]) -> Result<(), StoreError> {
        const RECORD: &str = "
            INSERT INTO transparency (place, time, entry)
            SELECT ?1, ?2, ?3 WHERE ?1 = (SELECT coalesce(max(place) + 1, 0) FROM transparency)";
        let mut statement = self.writing()?.prepare_cached(RECORD).map_err(failed)?;
        let row = params![integer(index), integer(time.0), entry];
        swapped(statement.execute(row), "the transparency log's length")
    }

    fn recorded(&self, index: u64, max: usize) -> Result<Vec<Recorded>, StoreError> {
        read::recorded(&self.connection, index, max)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        read::record(&self.connection, table, key)
    }

    fn put(
        &mut self,
        table: Table,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO records (kind, key, value) VALUES (?1, ?2, ?3)";
        const UPDATE: &str =
            "UPDATE records SET value = ?3 WHERE kind = ?1 AND key = ?2 AND value = ?4";
        let connection = self.writing()?;
        let written = match expected {
            None => {
                let mut insert = connection.prepare_cached(INSERT).map_err(failed)?;
                insert.execute(params![kind(table), key, value])
            }
            Some(expected) => {
                let mut update = connection.prepare_cached(UPDATE).map_err(failed)?;
                update.execute(params![kind(table), key, value, expected])
            }
        };
        swapped(written, "a record")
    }

    fn remove(&mut self, table: Table, key: &[u8], expected: &[u8]) -> Result<(), StoreError> {
        const REMOVE: &str = "DELETE FROM records WHERE kind = ?1 AND key = ?2 AND value = ?3";
        let mut statement = self.writing()?.prepare_cached(REMOVE).map_err(failed)?;
        swapped(statement.execute(params![kind(table), key, expected]), "a record")
    }

    fn scan(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<Record>, StoreError> {
        const BETWEEN: &str = "
            SELECT substr(key, length(?2) + 1), value FROM records
            WHERE kind = ?1 AND key >= ?2 AND key < ?4 ORDER BY key LIMIT ?3";
        const FROM: &str = "
            SELECT substr(key, length(?2) + 1), value FROM records
            WHERE kind = ?1 AND key >= ?2 ORDER BY key LIMIT ?3";
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let record = |row: &Row<'_>| Ok(Record { rest: row.get(0)?, value: row.get(1)? });
        let prepare = |query| self.connection.prepare_cached(query).map_err(failed);
        // Two queries, because a bound that may be missing would not end the search.
        if let Some(behind) = behind(prefix) {
            let mut statement = prepare(BETWEEN)?;
            let rows = statement.query_map(params![kind(table), prefix, max, behind], record);
            rows.map_err(failed)?.map(|row| row.map_err(failed)).collect()
        } else {
            let mut statement = prepare(FROM)?;
            let rows = statement.query_map(params![kind(table), prefix, max], record);
            rows.map_err(failed)?.map(|row| row.map_err(failed)).collect()
        }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        let committed = self
            .count_if_many()
            .and_then(|()| self.connection.execute_batch("COMMIT").map_err(failed));
        let flushed = match committed {
            Ok(()) => self.checkpoint(),
            Err(StoreError::Full) => self.rollback().and(Err(StoreError::Full)),
            Err(error) => Err(error),
        };
        self.sound &= !flushed.as_ref().is_err_and(StoreError::is_fatal);
        flushed
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        // Some of them may be those of the batch.
        self.people.clear();
        self.logs.forget();
        // Some errors make SQLite roll back by itself.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK").map_err(failed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.sound {
            // Without it the write-ahead log stays, which the next start copies.
            let _ = connection::checkpoint_on_close(&self.connection, true);
        }
    }
}

/// The name of a table in the column `kind`.
pub(crate) const fn kind(table: Table) -> &'static str {
    match table {
        Table::Invitation => "invitation",
        Table::Name => "name",
        Table::Member => "member",
        Table::GroupName => "group name",
        Table::Pair => "pair",
        Table::Place => "place",
        Table::Former => "former",
        Table::Leave => "leave",
        Table::Prekey => "prekey",
        Table::GivenPrekey => "given prekey",
        Table::LastResort => "last resort",
        Table::Retention => "retention",
        Table::Head => "head",
    }
}

/// The first key behind all that begin so; `None` if there is none.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = prefix.get(..=last)?.to_vec();
    if let Some(byte) = behind.last_mut() {
        *byte = byte.saturating_add(1);
    }
    Some(behind)
}

/// A write that changed one row, or found not what it expected.
fn swapped(written: rusqlite::Result<usize>, what: &'static str) -> Result<(), StoreError> {
    match written.map_err(|error| failed_or_conflict(error, what))? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict(what)),
    }
}

/// From the columns `seq`, `log_hash`.
fn place(row: &Row<'_>) -> Result<Place, StoreError> {
    let seq = number(row.get(0).map_err(failed)?)?;
    Ok(Place { seq: Seq(seq), log_hash: Digest(row.get(1).map_err(failed)?) })
}

/// From the columns `seq`, `log_hash`, `epoch`, `interim`.
fn point(row: &Row<'_>) -> Result<Point, StoreError> {
    let epoch = Epoch(number(row.get(2).map_err(failed)?)?);
    let interim = Digest(row.get(3).map_err(failed)?);
    Ok(Point { place: place(row)?, commit: CommitPoint { epoch, interim } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_crypto::sha256;
    use openchat_relay::store::Origin;
    use openchat_roster::log_hash_start;

    const LOG: GroupId = GroupId([1; 32]);

    fn append(store: &mut SqliteStore, bytes: &[u8]) -> Result<Place, StoreError> {
        let start = Place { seq: Seq(0), log_hash: log_hash_start(&LOG) };
        let tail = store.tail(&LOG)?.unwrap_or(start);
        let (hash, before) = (sha256(bytes), tail.log_hash);
        let origin = Origin { author: Fingerprint([2; 32]), time: UnixMillis(1), lasts: false };
        let entry = NewEntry { near: 0, hash, before, commit: None, origin, bytes };
        store.append(&LOG, tail.seq, &entry)
    }

    fn limit_pages(store: &SqliteStore, pages: i64) {
        let set =
            store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| {
                row.get::<_, i64>(0)
            });
        assert!(set.unwrap() >= pages);
    }

    #[test]
    fn a_full_disk_takes_one_batch_and_then_it_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
        let kept = append(&mut store, b"kept").unwrap();
        store.flush().unwrap();
        limit_pages(&store, 20);

        append(&mut store, b"small").unwrap();
        let refused = append(&mut store, &vec![7; 200_000]).and_then(|_| store.flush());
        assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
        assert!(!StoreError::Full.is_fatal());
        store.rollback().unwrap();
        assert_eq!(store.tail(&LOG).unwrap(), Some(kept), "nothing of the batch stands");

        limit_pages(&store, 1_000_000);
        append(&mut store, &vec![7; 200_000]).unwrap();
        store.flush().unwrap();
    }

    #[test]
    fn the_write_ahead_log_is_copied_and_does_not_grow_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        let mut store = SqliteStore::open(&path).unwrap();
        for text in 0..120_u8 {
            append(&mut store, &vec![text; 400_000]).unwrap();
            store.flush().unwrap();
        }
        let log = std::fs::metadata(place.path().join("db-wal")).unwrap().len();
        assert!(log < 24_000_000, "{log} bytes after 48 MB of entries");
        assert!(std::fs::metadata(path).unwrap().len() > 24_000_000);
    }

    #[test]
    fn syncs_at_every_commit() {
        let place = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&place.path().join("db")).unwrap();
        let pragma = |name| {
            store
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
        assert_eq!(pragma("synchronous").unwrap(), 2.into(), "FULL");
    }
}
