//! The store as a whole: the suite that every store passes, and what is SQLite's own: files, their
//! modes, who holds them, and what a copy of them after a crash has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use openchat_crypto::sha256;
use openchat_relay::{
    Limit, Store, StoreError, conformance,
    store::{Body, NewEntry, Origin, Place, Table},
};
use openchat_roster::log_hash_start;
use openchat_store_sqlite::{SqliteReader, SqliteStore};
use openchat_wire::{Fingerprint, GroupId, Seq, UnixMillis};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const LOG: GroupId = GroupId([1; 32]);

/// Where every entry comes from.
const ORIGIN: Origin = Origin { author: Fingerprint([2; 32]), time: UnixMillis(1), lasts: false };

fn append(store: &mut SqliteStore, bytes: &[u8]) -> Place {
    let start = Place { seq: Seq(0), log_hash: log_hash_start(&LOG) };
    let tail = store.tail(&LOG).unwrap().unwrap_or(start);
    let (hash, before) = (sha256(bytes), tail.log_hash);
    let entry = NewEntry { near: 0, hash, before, commit: None, origin: ORIGIN, bytes };
    store.append(&LOG, tail.seq, &entry).unwrap()
}

/// A directory whose path has a space, as a person's may.
fn place() -> (TempDir, PathBuf) {
    let place = tempfile::Builder::new().prefix("open chat").tempdir().unwrap();
    let path = place.path().join("relay.db");
    (place, path)
}

fn files(of: &Path) -> Vec<PathBuf> {
    fs::read_dir(of).unwrap().map(|file| file.unwrap().path()).collect()
}

#[test]
fn passes_the_suite() {
    let mut places = Vec::new();
    let path = std::cell::RefCell::new(PathBuf::new());
    let fresh = || {
        let (place, database) = place();
        places.push(place);
        path.replace(database);
        SqliteStore::open(&path.borrow()).unwrap()
    };
    let crash = |store| {
        drop(store);
        SqliteStore::open(&path.borrow()).unwrap()
    };
    conformance::run(fresh, crash).unwrap();
}

#[test]
fn a_copy_of_the_files_has_what_was_flushed_and_nothing_else() {
    let (place, path) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let kept = append(&mut store, b"kept");
    store.flush().unwrap();
    append(&mut store, &vec![1; 100_000]);

    let after = tempfile::tempdir().unwrap();
    for file in files(place.path()) {
        fs::copy(&file, after.path().join(file.file_name().unwrap())).unwrap();
    }
    let found = SqliteStore::open(&after.path().join("relay.db")).unwrap();
    assert_eq!(found.tail(&LOG).unwrap(), Some(kept));
}

#[test]
fn a_reader_sees_what_is_flushed_and_holds_nobody_up() {
    let (_place, path) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let reader = store.reader().unwrap();
    let first = append(&mut store, b"first");
    let read = |after| reader.read(&LOG, after, Limit::READ).unwrap().entries;
    assert_eq!(read(Seq(0)), [], "staged only");
    store.flush().unwrap();
    assert_eq!(read(Seq(0)), [(first.seq, Body::Whole(b"first".to_vec()))]);
    let second = append(&mut store, b"second");
    assert_eq!(read(first.seq), [], "a transaction is open and nobody waits for it");
    store.flush().unwrap();
    assert_eq!(read(first.seq), [(second.seq, Body::Whole(b"second".to_vec()))]);
}

#[test]
fn a_reader_works_in_another_thread_and_without_a_server() {
    let (_place, path) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    append(&mut store, b"first");
    store.flush().unwrap();
    drop(store);
    let reader = SqliteReader::open(&path).unwrap();
    let thread = std::thread::spawn(move || reader.read(&LOG, Seq(0), Limit::READ));
    assert_eq!(thread.join().unwrap().unwrap().entries.len(), 1);
}

#[test]
fn a_second_server_is_refused_until_the_first_is_gone() {
    let (_place, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    assert!(refused.to_string().contains("relay.db"), "{refused}");
    drop(store);
    SqliteStore::open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_any_of_its_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (place, path) = place();
    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut store = SqliteStore::open(&path).unwrap();
    append(&mut store, b"first");
    store.flush().unwrap();
    let files = files(place.path());
    assert_eq!(files.len(), 4, "database, log, its index, lock: {files:?}");
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn what_it_does_not_know_is_refused_and_left_alone() {
    let (_place, path) = place();
    fs::write(&path, b"not a database, and longer than a header of one hundred bytes. ".repeat(9))
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Backend(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_version_is_refused() {
    let (_place, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 4).unwrap();
    drop(other);
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Version(_)), "{refused}");
    assert!(refused.is_fatal());
}

/// As version 1 made it.
const VERSION_1: &str = "
    PRAGMA application_id = 0x6f706368;
    PRAGMA user_version = 1;
    CREATE TABLE logs (
        id INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE entries (
        log INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        log_hash BLOB NOT NULL,
        epoch INTEGER,
        interim BLOB,
        bytes BLOB NOT NULL,
        PRIMARY KEY (log, seq),
        UNIQUE (log, hash)
    ) STRICT;
    CREATE UNIQUE INDEX commits_by_epoch ON entries (log, epoch) WHERE epoch IS NOT NULL;
    CREATE INDEX commits_by_place ON entries (log, seq) WHERE epoch IS NOT NULL;
    CREATE TABLE transparency (
        place INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        entry BLOB NOT NULL
    ) STRICT;
    CREATE TABLE records (
        kind TEXT NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO logs VALUES (7, zeroblob(32));
    INSERT INTO entries VALUES (7, 1, zeroblob(32), zeroblob(32), 1, zeroblob(32), x'0100');
    INSERT INTO transparency VALUES (0, 5, x'61');
    INSERT INTO records VALUES ('member', x'6b', x'6d'), ('name', x'6e', x'6b'),
        ('invitation', x'69', x'76'), ('group name', x'67', x'00');
";

#[test]
fn a_database_of_version_1_keeps_its_people_and_sets_its_groups_aside() {
    let (_place, path) = place();
    rusqlite::Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        let recorded = store.recorded(0, 10).unwrap();
        assert_eq!((recorded.len(), &recorded[0].entry[..]), (1, &b"a"[..]));
        assert_eq!(store.get(Table::Member, b"k").unwrap().as_deref(), Some(&b"m"[..]));
        assert_eq!(store.get(Table::Name, b"n").unwrap().as_deref(), Some(&b"k"[..]));
        assert_eq!(store.get(Table::Invitation, b"i").unwrap().as_deref(), Some(&b"v"[..]));
        assert_eq!(store.get(Table::GroupName, b"g").unwrap(), None, "free for a new group");
        assert_eq!(store.tail(&GroupId([0; 32])).unwrap(), None);
    }
    let other = rusqlite::Connection::open(&path).unwrap();
    let count = |table| {
        let query = format!("SELECT count(*) FROM {table}");
        other.query_row(&query, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count("logs_of_version_1") + count("entries_of_version_1"), 2, "nothing is lost");
    drop(other);
    let mut store = SqliteStore::open(&path).unwrap();
    append(&mut store, b"first");
    store.flush().unwrap();
}

#[test]
fn what_was_brought_up_to_date_is_what_is_made_anew() {
    let tables = |path: &Path| {
        drop(SqliteStore::open(path).unwrap());
        let other = rusqlite::Connection::open(path).unwrap();
        let mut query = other
            .prepare("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '%version_1%'")
            .unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows: Vec<(String, String, Option<String>)> =
            query.query_map([], row).unwrap().map(Result::unwrap).collect();
        rows.into_iter().collect::<std::collections::BTreeSet<_>>()
    };
    let ((_place, old), (_other, new)) = (place(), place());
    rusqlite::Connection::open(&old).unwrap().execute_batch(VERSION_1).unwrap();
    assert_eq!(tables(&old), tables(&new));
}

#[test]
fn a_search_by_the_beginning_of_a_key_looks_at_nothing_else() {
    let (_place, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    let plan: String = other
        .query_row(
            "EXPLAIN QUERY PLAN SELECT value FROM records
             WHERE kind = 'place' AND key >= x'01' AND key < x'02' ORDER BY key LIMIT 5",
            [],
            |row| row.get(3),
        )
        .unwrap();
    assert_eq!(plan, "SEARCH records USING PRIMARY KEY (kind=? AND key>? AND key<?)");
}

#[test]
fn another_programs_database_is_refused() {
    let (_place, path) = place();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE entries (x)").unwrap();
    drop(other);
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Version(_))));
}
