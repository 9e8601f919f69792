//! Reading entries of a log, by the store itself and by those who only catch up.

use crate::{
    connection,
    convert::{failed, integer, number},
    store::kind,
};
use openchat_relay::{
    Limit, Page, StoreError,
    store::{PageBuilder, Recorded, Table, Which},
};
use openchat_wire::{Digest, GroupId, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

/// A connection of its own that sees what is flushed and can't write. It may be moved to another
/// thread, and any number of them may read at once without holding up the store.
#[derive(Debug)]
pub struct SqliteReader(pub(crate) Connection);

impl SqliteReader {
    /// A reader of the database in this file, whether or not a server works on it.
    ///
    /// # Errors
    /// As SQLite fails; there has to be a database.
    pub fn open(database: &Path) -> Result<Self, StoreError> {
        connection::reader(database).map(Self)
    }

    /// Entries behind `after`, in order, as many as `limit` allows.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn read(&self, log: &GroupId, after: Seq, limit: Limit) -> Result<Page, StoreError> {
        read(&self.0, log, after, Which::All, limit)
    }
}

const ALL: &str = "
    SELECT seq, bytes, hash FROM entries
    WHERE log = (SELECT id FROM logs WHERE name = ?1) AND seq > ?2 ORDER BY seq";

const COMMITS: &str = "
    SELECT seq, bytes, hash FROM entries INDEXED BY commits_by_place
    WHERE log = (SELECT id FROM logs WHERE name = ?1) AND seq > ?2 AND epoch IS NOT NULL
    ORDER BY seq";

pub(crate) fn read(
    connection: &Connection,
    log: &GroupId,
    after: Seq,
    which: Which,
    limit: Limit,
) -> Result<Page, StoreError> {
    let query = match which {
        Which::All => ALL,
        Which::Commits => COMMITS,
    };
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut rows = statement.query(params![log.0, integer(after.0)]).map_err(failed)?;
    let mut page = PageBuilder::new(limit);
    while let Some(row) = rows.next().map_err(failed)? {
        let seq = Seq(number(row.get(0).map_err(failed)?)?);
        let bytes = row.get_ref(1).map_err(failed)?;
        let bytes = bytes.as_blob().map_err(|_| StoreError::Corrupt("an entry without bytes"))?;
        let added = if bytes.is_empty() {
            page.add_dropped(seq, Digest(row.get(2).map_err(failed)?))
        } else {
            page.add(seq, bytes)
        };
        if added.is_break() {
            break;
        }
    }
    Ok(page.finish())
}

/// The record of a table under a key.
pub(crate) fn record(
    connection: &Connection,
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    const RECORD: &str = "SELECT value FROM records WHERE kind = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(RECORD).map_err(failed)?;
    let found = statement.query_row(params![kind(table), key], |row| row.get(0));
    found.optional().map_err(failed)
}

/// At most `max` entries of the transparency log from `index` on.
pub(crate) fn recorded(
    connection: &Connection,
    index: u64,
    max: usize,
) -> Result<Vec<Recorded>, StoreError> {
    const RECORDED: &str =
        "SELECT time, entry FROM transparency WHERE place >= ?1 ORDER BY place LIMIT ?2";
    let mut statement = connection.prepare_cached(RECORDED).map_err(failed)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![integer(index), max], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (time, entry) = row.map_err(failed)?;
        Ok(Recorded { time: UnixMillis(number(time)?), entry })
    })
    .collect()
}
