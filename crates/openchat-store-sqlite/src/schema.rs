//! The tables, and which version of them a file has.

use crate::convert::failed;
use openchat_relay::StoreError;
use rusqlite::Connection;

/// Marks the file as ours: "opch".
pub(crate) const APPLICATION: i64 = 0x6f70_6368;

/// Version of the tables. A later one comes with the steps that lead to it.
pub(crate) const VERSION: i64 = 3;

/// `entries` keeps its rows in the order in which they come, whatever their log: a write touches
/// few pages then, and a read of one log is still far faster than what it is sent through.
/// `epoch` and `interim` are those that a commit leads to, and null for other entries. `bytes` is empty
/// once the body was dropped. Of what came before version 3 nobody knows the `author` and the `time`.
/// `bytes` of a log and of a person are what is kept, up to the entry that the mark "counted" names.
const LOGS: &str = "
    CREATE TABLE logs (
        id INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE,
        bytes INTEGER NOT NULL DEFAULT 0
    ) STRICT;
";

/// `near` of what came before version 3 is 0, whatever the relay would say of it now.
const ENTRIES: &str = "
    CREATE TABLE entries (
        log INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        near INTEGER NOT NULL DEFAULT 0,
        hash BLOB NOT NULL,
        log_hash BLOB NOT NULL,
        epoch INTEGER,
        interim BLOB,
        author INTEGER,
        time INTEGER,
        lasts INTEGER NOT NULL DEFAULT 0,
        bytes BLOB NOT NULL,
        PRIMARY KEY (log, seq),
        UNIQUE (log, near, hash)
    ) STRICT;
    CREATE UNIQUE INDEX commits_by_epoch ON entries (log, epoch) WHERE epoch IS NOT NULL;
    CREATE INDEX commits_by_place ON entries (log, seq) WHERE epoch IS NOT NULL;
";

const PEOPLE: &str = "
    CREATE TABLE people (
        id INTEGER PRIMARY KEY,
        fingerprint BLOB NOT NULL UNIQUE,
        bytes INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE marks (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

const RECORDS: &str = "
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
";

/// Logs of version 1 hold commits from before the group protocol was whole, which no program reads
/// any more. They are set aside with the names of their groups, so that those names can be used.
const SET_ASIDE: &str = "
    DROP INDEX commits_by_epoch;
    DROP INDEX commits_by_place;
    ALTER TABLE logs RENAME TO logs_of_version_1;
    ALTER TABLE entries RENAME TO entries_of_version_1;
    UPDATE records SET kind = 'group name of version 1' WHERE kind = 'group name';
";

/// The index by which an entry is known again is part of its table, so the table is made anew.
const MAKE_WAY: &str = "
    DROP INDEX commits_by_epoch;
    DROP INDEX commits_by_place;
    ALTER TABLE entries RENAME TO entries_of_version_2;
";

/// What was there counts as if it came now, so nothing is dropped too early, and for nobody: who wrote
/// it says no row. Wishes to leave last (`01 ‖ 03`, of a few hundred bytes, in the log of a group).
const TIMES: &str = "
    ALTER TABLE logs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    INSERT INTO entries (rowid, log, seq, hash, log_hash, epoch, interim, bytes)
    SELECT rowid, log, seq, hash, log_hash, epoch, interim, bytes FROM entries_of_version_2
    ORDER BY rowid;
    DROP TABLE entries_of_version_2;
    UPDATE entries SET lasts = 1
    WHERE length(bytes) < 512 AND substr(bytes, 1, 2) = x'0103'
          AND log IN (SELECT log FROM entries WHERE epoch = 1);
    UPDATE logs SET bytes =
        (SELECT coalesce(sum(length(bytes)), 0) FROM entries WHERE log = logs.id);
    INSERT INTO marks SELECT 'upgraded', unixepoch() * 1000;
    INSERT INTO marks SELECT 'counted', coalesce(max(rowid), 0) FROM entries;
";

/// Makes the tables in an empty file, brings those of an older version up to date, or refuses a
/// file that is another program's or a newer one's.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction().map_err(failed)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let steps: &[&str] = match (application, version, tables) {
        (APPLICATION, VERSION, _) => return Ok(()),
        (0, 0, 0) => &[LOGS, ENTRIES, PEOPLE, RECORDS],
        (APPLICATION, 1, _) => &[SET_ASIDE, LOGS, ENTRIES, PEOPLE],
        (APPLICATION, 2, _) => &[MAKE_WAY, ENTRIES, PEOPLE, TIMES],
        (APPLICATION, newer, _) => return Err(StoreError::Version(format!("version {newer}"))),
        _ => return Err(StoreError::Version("a database of another program".to_owned())),
    };
    for step in steps {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)
}
