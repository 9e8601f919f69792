//! The tables, and which version of them a file has.

use crate::convert::failed;
use openchat_relay::StoreError;
use rusqlite::Connection;

/// Marks the file as ours: "opch".
const APPLICATION: i64 = 0x6f70_6368;

/// Version of [`TABLES`]. A later one comes with the steps that lead to it.
const VERSION: i64 = 1;

/// `entries` keeps its rows in the order in which they come, whatever their log: a write touches
/// few pages then, and a read of one log is still far faster than what it is sent through.
/// `epoch` and `interim` are those that a commit leads to, and null for other entries.
const TABLES: &str = "
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
";

/// Makes the tables in an empty file, or refuses a file that is not of this version.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction().map_err(failed)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (application, version, tables) {
        (APPLICATION, VERSION, _) => Ok(()),
        (0, 0, 0) => {
            transaction.execute_batch(TABLES).map_err(failed)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
            transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
            transaction.commit().map_err(failed)
        }
        (APPLICATION, newer, _) => Err(StoreError::Version(format!("version {newer}"))),
        _ => Err(StoreError::Version("a database of another program".to_owned())),
    }
}
