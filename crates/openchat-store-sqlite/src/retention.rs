//! Dropping old bodies, and counting what is kept.
//!
//! Entries are numbered by their rows, in the order in which they came, and are never deleted; so a
//! number says how far dropping, or counting, has come. A row whose body goes is taken out and put
//! back under its number: SQLite merges pages that become empty by that, where an update in place would
//! leave a hole in each. What is freed that way is used again; the file itself does not shrink, but a
//! backup of it is small.
//!
//! Sums stand beside the names of logs and people. They cover the entries up to a mark, which moves on
//! every [`COUNT_AFTER`] entries, so that an append does not pay for them; what lies behind the mark is
//! added when somebody asks.

use crate::{
    SqliteReader,
    convert::{failed, integer, number},
};
use openchat_relay::{
    StoreError,
    store::{Dropping, Older, Owner},
};
use openchat_wire::{Digest, Fingerprint, GroupId, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::collections::BTreeMap;

/// Entries after which the sums are brought up to date: half a millisecond each time.
pub(crate) const COUNT_AFTER: u64 = 1_024;

/// The mark up to which the sums count.
const COUNTED: &str = "counted";

/// Bytes by the rows of a log and a person.
type Sums = BTreeMap<(i64, Option<i64>), u64>;

/// What dropping needs to know of a row.
struct Old {
    row: i64,
    log: i64,
    name: GroupId,
    author: Option<(i64, Fingerprint)>,
    time: Option<i64>,
    seq: Seq,
    near: i64,
    hash: Digest,
    log_hash: Digest,
    /// A commit, or something that lasts, or dropped already.
    stays: bool,
    len: u64,
    /// When it came, or the upgrade if that is not known.
    came: UnixMillis,
}

/// Drops bodies behind the row `after`, within the batch's transaction.
pub(crate) fn drop_bodies(
    connection: &Connection,
    after: u64,
    older: Older,
    max: usize,
) -> Result<Dropping, StoreError> {
    let mut dropping = Dropping { reached: after, complete: true, ..Dropping::default() };
    let mut sums = Sums::new();
    let counted = mark(connection, COUNTED)?;
    let mut old = old(connection, after, older, max.saturating_add(1))?;
    if old.len() > max {
        old.truncate(max);
        dropping.complete = false;
    }
    for Old { row, .. } in old.iter().filter(|old| !old.stays) {
        let mut delete =
            connection.prepare_cached("DELETE FROM entries WHERE rowid = ?1").map_err(failed)?;
        delete.execute([row]).map_err(failed)?;
    }
    for old in old {
        dropping.reached = number(old.row)?;
        if old.stays {
            continue;
        }
        put_back(connection, &old)?;
        if dropping.reached <= counted {
            add(&mut sums, (old.log, old.author.map(|(id, _)| id)), old.len);
        }
        dropping.bodies = dropping.bodies.saturating_add(1);
        dropping.freed.push((Owner::Log(old.name), old.len));
        let author = old.author.map(|(_, author)| (Owner::Person(author), old.len));
        dropping.freed.extend(author);
    }
    change_sums(connection, &sums, "-")?;
    Ok(dropping)
}

/// Rows behind `after` in their order, while they are old.
fn old(
    connection: &Connection,
    after: u64,
    older: Older,
    max: usize,
) -> Result<Vec<Old>, StoreError> {
    const OLD: &str = "
        SELECT entries.rowid, log, name, author, fingerprint, time, seq, hash, log_hash,
               epoch IS NOT NULL OR lasts OR length(entries.bytes) = 0, length(entries.bytes),
               coalesce(time, (SELECT value FROM marks WHERE name = 'upgraded'), 0), near
        FROM entries JOIN logs ON logs.id = log LEFT JOIN people ON people.id = author
        WHERE entries.rowid > ?1 ORDER BY entries.rowid LIMIT ?2";
    let mut statement = connection.prepare_cached(OLD).map_err(failed)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![integer(after), max]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read_old(row).map_err(failed)?);
        if found.last().and_then(|row| older.says(row.came)) == Some(false) {
            break;
        }
    }
    let end = found.last().map_or(0, |last| last.row);
    let count = older.leading(found.iter().map(|row| row.came), |distance| {
        time_from(connection, end.saturating_add(integer(distance)))
    })?;
    found.truncate(count);
    Ok(found)
}

/// When the first of the rows from this one on came.
fn time_from(connection: &Connection, row: i64) -> Result<Option<UnixMillis>, StoreError> {
    const FROM: &str = "
        SELECT coalesce(time, (SELECT value FROM marks WHERE name = 'upgraded'), 0) FROM entries
        WHERE rowid >= ?1 ORDER BY rowid LIMIT 1";
    let mut statement = connection.prepare_cached(FROM).map_err(failed)?;
    let found = statement.query_row([row], |row| row.get(0)).optional().map_err(failed)?;
    found.map(|time| number(time).map(UnixMillis)).transpose()
}

/// When the last rows came, the last one first.
pub(crate) fn newest(connection: &Connection, max: usize) -> Result<Vec<UnixMillis>, StoreError> {
    const NEWEST: &str = "
        SELECT coalesce(time, (SELECT value FROM marks WHERE name = 'upgraded'), 0) FROM entries
        ORDER BY rowid DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(NEWEST).map_err(failed)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let times = statement.query_map([max], |row| row.get(0)).map_err(failed)?;
    times.map(|time| number(time.map_err(failed)?).map(UnixMillis)).collect()
}

fn read_old(row: &Row<'_>) -> rusqlite::Result<Old> {
    let unsigned = |column| row.get(column).map(|value: i64| value.unsigned_abs());
    let (author, fingerprint): (Option<i64>, Option<[u8; 32]>) = (row.get(3)?, row.get(4)?);
    Ok(Old {
        row: row.get(0)?,
        log: row.get(1)?,
        name: GroupId(row.get(2)?),
        author: author.zip(fingerprint.map(Fingerprint)),
        time: row.get(5)?,
        seq: Seq(unsigned(6)?),
        near: row.get(12)?,
        hash: Digest(row.get(7)?),
        log_hash: Digest(row.get(8)?),
        stays: row.get(9)?,
        len: unsigned(10)?,
        came: UnixMillis(unsigned(11)?),
    })
}

/// The row without its body.
fn put_back(connection: &Connection, old: &Old) -> Result<(), StoreError> {
    const EMPTY: &str = "
        INSERT INTO entries (rowid, log, seq, near, hash, log_hash, author, time, bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, x'')";
    let mut statement = connection.prepare_cached(EMPTY).map_err(failed)?;
    let Old { row, log, seq, near, hash, log_hash, author, time, .. } = old;
    let author = author.map(|(id, _)| id);
    let row = params![row, log, integer(seq.0), near, hash.0, log_hash.0, author, time];
    statement.execute(row).map_err(failed).map(drop)
}

/// Whether there may be entries from before version 3.
pub(crate) fn was_upgraded(connection: &Connection) -> Result<bool, StoreError> {
    const UPGRADED: &str = "SELECT EXISTS (SELECT 1 FROM marks WHERE name = 'upgraded')";
    connection.query_row(UPGRADED, [], |row| row.get(0)).map_err(failed)
}

/// Moves the mark to the last entry.
pub(crate) fn count_up(connection: &Connection) -> Result<(), StoreError> {
    const MARK: &str = "
        INSERT OR REPLACE INTO marks (name, value)
        VALUES (?1, (SELECT coalesce(max(rowid), 0) FROM entries))";
    let sums = behind_mark(connection)?;
    change_sums(connection, &sums, "+")?;
    let mut statement = connection.prepare_cached(MARK).map_err(failed)?;
    statement.execute([COUNTED]).map_err(failed).map(drop)
}

fn change_sums(connection: &Connection, sums: &Sums, sign: &str) -> Result<(), StoreError> {
    let (mut logs, mut people) = (BTreeMap::new(), BTreeMap::new());
    for ((log, author), bytes) in sums {
        add(&mut logs, *log, *bytes);
        if let Some(author) = author {
            add(&mut people, *author, *bytes);
        }
    }
    for (table, sums) in [("logs", logs), ("people", people)] {
        let change = format!("UPDATE {table} SET bytes = bytes {sign} ?2 WHERE id = ?1");
        let mut statement = connection.prepare_cached(&change).map_err(failed)?;
        for (id, bytes) in sums {
            statement.execute(params![id, integer(bytes)]).map_err(failed)?;
        }
    }
    Ok(())
}

fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, bytes: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(bytes);
}

/// What the sums don't count yet.
fn behind_mark(connection: &Connection) -> Result<Sums, StoreError> {
    const BEHIND: &str = "SELECT log, author, length(bytes) FROM entries WHERE rowid > ?1";
    let mut statement = connection.prepare_cached(BEHIND).map_err(failed)?;
    let counted = integer(mark(connection, COUNTED)?);
    let mut rows = statement.query([counted]).map_err(failed)?;
    let mut sums = Sums::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let key = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        add(&mut sums, key, number(row.get(2).map_err(failed)?)?);
    }
    Ok(sums)
}

/// Bytes of all that is kept.
pub(crate) fn usage(connection: &Connection) -> Result<Vec<(Owner, u64)>, StoreError> {
    let (mut logs, mut people) = (BTreeMap::new(), BTreeMap::new());
    for ((log, author), bytes) in behind_mark(connection)? {
        add(&mut logs, log, bytes);
        if let Some(author) = author {
            add(&mut people, author, bytes);
        }
    }
    let mut usage = Vec::new();
    let mut collect = |query, behind: &BTreeMap<i64, u64>, owner: fn([u8; 32]) -> Owner| {
        let mut statement = connection.prepare_cached(query).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id: i64 = row.get(0).map_err(failed)?;
            let counted = number(row.get(2).map_err(failed)?)?;
            let bytes = counted.saturating_add(behind.get(&id).copied().unwrap_or(0));
            if bytes > 0 {
                usage.push((owner(row.get(1).map_err(failed)?), bytes));
            }
        }
        Ok::<_, StoreError>(())
    };
    collect("SELECT id, name, bytes FROM logs", &logs, |id| Owner::Log(GroupId(id)))?;
    collect("SELECT id, fingerprint, bytes FROM people", &people, |key| {
        Owner::Person(Fingerprint(key))
    })?;
    Ok(usage)
}

fn mark(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    const MARK: &str = "SELECT value FROM marks WHERE name = ?1";
    let mut statement = connection.prepare_cached(MARK).map_err(failed)?;
    let found = statement.query_row([name], |row| row.get(0)).optional().map_err(failed)?;
    found.map_or(Ok(0), number)
}

impl SqliteReader {
    /// When the oldest entry came whose body could be dropped and was not, if it came behind the one
    /// of this number ([`Dropping::reached`]).
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn oldest_body(&self, after: u64) -> Result<Option<UnixMillis>, StoreError> {
        const OLDEST: &str = "
            SELECT coalesce(time, (SELECT value FROM marks WHERE name = 'upgraded'), 0) FROM entries
            WHERE rowid > ?1 AND epoch IS NULL AND NOT lasts AND length(bytes) > 0
            ORDER BY rowid LIMIT 1";
        let mut statement = self.0.prepare_cached(OLDEST).map_err(failed)?;
        let found = statement.query_row([integer(after)], |row| row.get(0)).optional();
        found.map_err(failed)?.map(|time| number(time).map(UnixMillis)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use openchat_crypto::sha256;
    use openchat_relay::{
        Store as _,
        store::{NewEntry, Origin, Place},
    };

    const LOG: GroupId = GroupId([1; 32]);

    fn append(store: &mut SqliteStore, number: u64, len: usize) {
        let start = Place { seq: Seq(0), log_hash: Digest([0; 32]) };
        let tail = store.tail(&LOG).unwrap().unwrap_or(start);
        let mut bytes = vec![7; len];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let origin =
            Origin { author: Fingerprint([2; 32]), time: UnixMillis(number), lasts: false };
        let (hash, before) = (sha256(&bytes), tail.log_hash);
        let entry = NewEntry { near: 0, hash, before, commit: None, origin, bytes: &bytes };
        store.append(&LOG, tail.seq, &entry).unwrap();
    }

    fn pragma(store: &SqliteStore, name: &str) -> i64 {
        let reader = store.reader().unwrap();
        reader.0.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_small_and_large_bodies_took_is_used_again() {
        for len in [450, 6_000] {
            let place = tempfile::tempdir().unwrap();
            let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
            let count = 3_000_000 / u64::try_from(len).unwrap();
            (0..count).for_each(|number| append(&mut store, number, len));
            store.flush().unwrap();
            let full = pragma(&store, "page_count");
            let mut reached = 0;
            loop {
                let step =
                    store.drop_bodies(reached, Older::than(UnixMillis(u64::MAX)), 64).unwrap();
                store.flush().unwrap();
                reached = step.reached;
                if step.complete {
                    break;
                }
            }
            let free = pragma(&store, "freelist_count");
            assert!(free * 10 > full * 6, "{free} of {full} pages are free ({len} bytes each)");
            (count..count + count / 2).for_each(|number| append(&mut store, number, len));
            store.flush().unwrap();
            assert!(pragma(&store, "page_count") <= full, "the file has grown ({len} bytes each)");
            assert_eq!(crate::check(&place.path().join("db")).unwrap().entries, count * 3 / 2);
        }
    }

    #[test]
    fn sums_are_brought_up_to_date_now_and_then() {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
        (0..COUNT_AFTER).for_each(|number| append(&mut store, number, 10));
        store.flush().unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(mark(&reader.0, COUNTED).unwrap(), COUNT_AFTER);
        append(&mut store, COUNT_AFTER, 10);
        store.flush().unwrap();
        assert_eq!(mark(&reader.0, COUNTED).unwrap(), COUNT_AFTER, "not each time");
        assert_eq!(behind_mark(&reader.0).unwrap().len(), 1);
        store.drop_bodies(0, Older::than(UnixMillis(5)), 10).unwrap();
        store.flush().unwrap();
        let kept = (COUNT_AFTER + 1 - 5) * 10;
        let me = Owner::Person(Fingerprint([2; 32]));
        assert_eq!(store.usage().unwrap(), [(Owner::Log(LOG), kept), (me, kept)]);
        assert_eq!(reader.oldest_body(0).unwrap(), Some(UnixMillis(5)));
        assert_eq!(reader.oldest_body(100).unwrap(), Some(UnixMillis(100)));
        assert_eq!(reader.oldest_body(COUNT_AFTER + 1).unwrap(), None);
    }
}
