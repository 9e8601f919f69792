//! A database that an older server wrote is brought up to date with everything that is in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use openchat_crypto::sha256;
use openchat_relay::{
    Limit, Store as _, StoreError,
    store::{Body, NewEntry, Older, Origin, Owner, Which},
};
use openchat_roster::{LogEntry, log_hash_next, log_hash_start};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{Fingerprint, GroupId, Seq, UnixMillis};
use rusqlite::Connection;
use std::{collections::BTreeSet, path::Path};

const VERSION_2: &str = include_str!("../../openchat-server/tests/data/version-2.sql");

const ALL: Limit = Limit { entries: 1_000, bytes: usize::MAX };

fn logs(path: &Path) -> Vec<GroupId> {
    let file = Connection::open(path).unwrap();
    let mut query = file.prepare("SELECT name FROM logs ORDER BY id").unwrap();
    let names = query.query_map([], |row| row.get(0).map(GroupId)).unwrap();
    names.map(Result::unwrap).collect()
}

#[test]
fn logs_of_version_2_are_the_same_and_can_lose_bodies() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("db");
    Connection::open(&path).unwrap().execute_batch(VERSION_2).unwrap();
    let logs = logs(&path);
    let mut store = SqliteStore::open(&path).unwrap();
    let mut expected = Vec::new();
    for log in &logs {
        let page = store.read(log, Seq(0), Which::All, ALL).unwrap();
        let (mut hash, mut bytes) = (log_hash_start(log), 0);
        for (seq, body) in page.entries {
            let entry = body.whole().unwrap();
            hash = log_hash_next(&hash, seq, &entry);
            bytes += u64::try_from(entry.len()).unwrap();
        }
        assert_eq!(store.tail(log).unwrap().unwrap().log_hash, hash);
        expected.push((Owner::Log(*log), bytes));
    }
    assert_eq!(expected.len(), 3);
    assert_eq!(store.usage().unwrap(), expected, "counted, and for nobody");

    let early = UnixMillis(1_700_000_000_000);
    assert_eq!(
        store.drop_bodies(0, Older::than(early), 100).unwrap().bodies,
        0,
        "as if it came just now"
    );
    let dropping = store.drop_bodies(0, Older::than(UnixMillis(u64::MAX)), 100).unwrap();
    assert_eq!((dropping.reached, dropping.bodies, dropping.complete), (12, 5, true));
    store.flush().unwrap();
    let page = store.read(&logs[0], Seq(0), Which::All, ALL).unwrap();
    let kinds = page.entries.iter().map(|(_, body)| match body {
        Body::Whole(bytes) => match LogEntry::decode(bytes).unwrap() {
            LogEntry::Commit(_) => "commit",
            LogEntry::Leave(_) => "leave",
            _ => "another",
        },
        Body::Dropped(_) => "dropped",
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, ["commit", "commit", "commit", "dropped", "dropped", "leave", "commit"]);
    assert_eq!(store.find(&logs[0], 0, &sha256(b"x")).unwrap(), None);
}

#[test]
fn what_came_before_version_3_is_known_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("db");
    Connection::open(&path).unwrap().execute_batch(VERSION_2).unwrap();
    let logs = logs(&path);
    // Once as it was brought up to date, once as it is opened later.
    for _ in 0..2 {
        let mut store = SqliteStore::open(&path).unwrap();
        for log in &logs {
            let tail = store.tail(log).unwrap().unwrap();
            for (seq, body) in store.read(log, Seq(0), Which::All, ALL).unwrap().entries {
                let bytes = body.whole().unwrap();
                let (near, hash) = (1 << 40, sha256(&bytes));
                assert_eq!(store.find(log, near, &hash).unwrap(), Some(seq));
                let origin =
                    Origin { author: Fingerprint([9; 32]), time: UnixMillis(1), lasts: false };
                let before = tail.log_hash;
                let entry = NewEntry { near, hash, before, commit: None, origin, bytes: &bytes };
                let refused = store.append(log, tail.seq, &entry);
                assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
            }
        }
        store.flush().unwrap();
    }
}

#[test]
fn what_was_brought_up_to_date_has_the_tables_that_are_made_anew() {
    let columns = |old: &str| {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        Connection::open(&path).unwrap().execute_batch(old).unwrap();
        drop(SqliteStore::open(&path).unwrap());
        let file = Connection::open(&path).unwrap();
        // Columns that came later stand behind those before, whose rows are as they were.
        let mut query = file
            .prepare(
                "SELECT tables.name, columns.name, columns.type, columns.\"notnull\", columns.pk
                 FROM sqlite_schema AS tables, pragma_table_xinfo(tables.name) AS columns",
            )
            .unwrap();
        let rows = query.query_map([], |row| {
            Ok(format!(
                "{:?}",
                (0..5).map(|at| row.get(at).unwrap()).collect::<Vec<rusqlite::types::Value>>()
            ))
        });
        rows.unwrap().map(Result::unwrap).collect::<BTreeSet<_>>()
    };
    assert_eq!(columns(VERSION_2), columns(""));
}
