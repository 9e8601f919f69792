//! A copy of a database that is in use, and whether a copy is whole.
//!
//! SQLite's `VACUUM INTO` writes what one read transaction sees. The store goes on meanwhile; only
//! its write-ahead log grows until the copy is done.

use crate::{
    SqliteReader, connection,
    convert::{failed, number},
    schema::{APPLICATION, VERSION},
};
use openchat_relay::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// What was found in a copy that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Version of its tables; the store brings an older one up to date when it opens it.
    pub version: u64,
    /// Entries of the transparency log.
    pub recorded: u64,
    /// Entries of all logs.
    pub entries: u64,
}

impl SqliteReader {
    /// Copies the whole database, as it is now, into a file that does not exist yet and that only
    /// its owner may read. It is on the disk when this returns.
    ///
    /// # Errors
    /// As SQLite or the file system fails. What was written till then is worth nothing.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        if file.exists() {
            return Err(StoreError::Conflict("no file where the copy goes"));
        }
        let copy = connection::private_file(file)?;
        let Some(path) = file.to_str() else {
            return Err(StoreError::Conflict("a path that is text"));
        };
        self.0.execute("VACUUM INTO ?1", [path]).map_err(failed)?;
        copy.sync_all().map_err(StoreError::backend)
    }
}

/// Looks through a database that nobody works on, whether every page, row and index is as it
/// should be. It is not changed, and may be of an older version.
///
/// # Errors
/// [`StoreError::Version`] for another program's or a newer one's, [`StoreError::Corrupt`] if it
/// is damaged, otherwise as SQLite fails.
pub fn check(database: &Path) -> Result<Checked, StoreError> {
    let connection = connection::reader(database)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    if application != APPLICATION || !(1..=VERSION).contains(&version) {
        return Err(StoreError::Version(format!("version {version} of {application:x}")));
    }
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(StoreError::Corrupt("the database's own check fails"));
    }
    Ok(Checked {
        version: number(version)?,
        recorded: count(&connection, "SELECT count(*) FROM transparency")?,
        entries: count(&connection, "SELECT count(*) FROM entries")?,
    })
}

fn count(connection: &Connection, query: &str) -> Result<u64, StoreError> {
    connection.query_row(query, [], |row| row.get(0)).map_err(failed).and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use openchat_crypto::sha256;
    use openchat_relay::{
        Limit, Store as _,
        store::{NewEntry, Origin, Place, Table},
    };
    use openchat_roster::log_hash_start;
    use openchat_wire::{Fingerprint, GroupId, Seq, UnixMillis};
    use std::{fs, os::unix::fs::PermissionsExt};

    const LOG: GroupId = GroupId([1; 32]);

    fn fill(store: &mut SqliteStore, count: u8) {
        let mut place = Place { seq: Seq(0), log_hash: log_hash_start(&LOG) };
        for index in 0..count {
            let bytes = vec![index; 5_000];
            let (hash, before) = (sha256(&bytes), place.log_hash);
            let origin = Origin { author: Fingerprint([2; 32]), time: UnixMillis(1), lasts: false };
            let entry = NewEntry { near: 0, hash, before, commit: None, origin, bytes: &bytes };
            place = store.append(&LOG, place.seq, &entry).unwrap();
            store.record(index.into(), UnixMillis(0), &[index]).unwrap();
        }
        store.put(Table::Name, b"bob", None, b"1").unwrap();
        store.flush().unwrap();
    }

    #[test]
    fn a_copy_of_a_store_in_use_is_whole_and_holds_what_was_flushed() {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
        fill(&mut store, 50);
        store.put(Table::Name, b"carol", None, b"staged, not flushed").unwrap();
        let copy = place.path().join("it's a copy");
        store.reader().unwrap().copy_to(&copy).unwrap();
        let found = check(&copy).unwrap();
        assert_eq!(found, Checked { version: number(VERSION).unwrap(), recorded: 50, entries: 50 });
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.reader().unwrap().copy_to(&copy).is_err(), "never over another file");
        store.flush().unwrap();

        let restored = SqliteStore::open(&copy).unwrap();
        let read = |store: &SqliteStore| {
            let limit = Limit { entries: 100, bytes: usize::MAX };
            store.read(&LOG, Seq(0), openchat_relay::store::Which::All, limit).unwrap()
        };
        assert_eq!(read(&restored), read(&store));
        assert_eq!(restored.tail(&LOG).unwrap(), store.tail(&LOG).unwrap());
        assert!(restored.get(Table::Name, b"bob").unwrap().is_some());
        assert!(restored.get(Table::Name, b"carol").unwrap().is_none());
    }

    #[test]
    fn a_damaged_copy_is_found() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        let mut store = SqliteStore::open(&path).unwrap();
        fill(&mut store, 50);
        let copy = place.path().join("copy");
        store.reader().unwrap().copy_to(&copy).unwrap();
        let whole = fs::read(&copy).unwrap();
        fs::write(&copy, &whole[..whole.len() / 2]).unwrap();
        assert!(check(&copy).is_err());
        let mut damaged = whole;
        damaged[4_096..8_192].fill(0x55);
        fs::write(&copy, &damaged).unwrap();
        assert!(check(&copy).is_err());
    }

    #[test]
    fn another_programs_database_is_not_ours() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(check(&path), Err(StoreError::Version(_))));
        assert!(check(&place.path().join("none")).is_err());
    }
}
