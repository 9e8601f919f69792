//! The tables, and what their format is.
//!
//! Sequence numbers and times are 64 bits of the relay's or an author's choosing. SQLite's integers
//! are signed; so these are blobs of 8 bytes, big-endian, which sort as the numbers do.

use super::VaultError;
use rusqlite::Connection;

/// The format that this program writes. In format 1 the engine's records were those of a protocol
/// without closed groups and prekeys, whose logs nobody reads any more.
const FORMAT: i64 = 2;

const TABLES: &str = "
-- A key whose certificate has not come yet: kept, because the answer may only have been lost.
CREATE TABLE saved_keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL
) STRICT;

-- Who this device is; at most one row.
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    certificate BLOB NOT NULL,
    ca BLOB NOT NULL,
    ca_pin BLOB NOT NULL CHECK (length(ca_pin) = 32),
    server TEXT NOT NULL,
    server_keys BLOB NOT NULL
) STRICT;

-- The engine's records; their meaning is the engine's.
CREATE TABLE records (
    kind INTEGER NOT NULL,
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    sub BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, grp, sub)
) STRICT;

-- One row a group with messages; what was shown up to and including `shown` is not shown again.
CREATE TABLE conversations (
    grp BLOB PRIMARY KEY CHECK (length(grp) = 32),
    target TEXT NOT NULL,
    shown BLOB NOT NULL CHECK (length(shown) = 8)
) STRICT;

CREATE TABLE messages (
    grp BLOB NOT NULL REFERENCES conversations (grp),
    seq BLOB NOT NULL CHECK (length(seq) = 8),
    id BLOB NOT NULL CHECK (length(id) = 16),
    sender TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    trust TEXT NOT NULL,
    time BLOB NOT NULL CHECK (length(time) = 8),
    text TEXT NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (grp, seq)
) STRICT;
";

/// Makes the tables where there are none.
pub(super) fn migrate(database: &mut Connection) -> Result<(), VaultError> {
    if !check(database)? {
        let transaction = database.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether the tables are there, in a format that this program knows.
pub(super) fn check(database: &Connection) -> Result<bool, VaultError> {
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => Ok(false),
        FORMAT => Ok(true),
        older if older < FORMAT => Err(VaultError::Older { found, known: FORMAT }),
        _ => Err(VaultError::Newer { found, known: FORMAT }),
    }
}
