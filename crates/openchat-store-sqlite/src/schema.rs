//! The tables, and which version of them a file has.

use crate::convert::failed;
use openchat_relay::StoreError;
use rusqlite::Connection;

/// Marks the file as ours: "opch".
pub(crate) const APPLICATION: i64 = 0x6f70_6368;

/// Version of the tables. A later one comes with the steps that lead to it.
pub(crate) const VERSION: i64 = 2;

/// `entries` keeps its rows in the order in which they come, whatever their log: a write touches
/// few pages then, and a read of one log is still far faster than what it is sent through.
/// `epoch` and `interim` are those that a commit leads to, and null for other entries.
const LOGS: &str = "
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
        (0, 0, 0) => &[LOGS, RECORDS],
        (APPLICATION, 1, _) => &[SET_ASIDE, LOGS],
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
