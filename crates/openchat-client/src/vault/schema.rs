//! The tables, and what their format is.
//!
//! Sequence numbers and times are 64 bits of the relay's or an author's choosing. SQLite's integers
//! are signed; so these are blobs of 8 bytes, big-endian, which sort as the numbers do.

use super::{VaultError, clock, marks};
use crate::outside::now;
use rusqlite::Connection;

/// The format that this program writes. In format 1 the engine's records were those of a protocol
/// without closed groups and prekeys, whose logs nobody reads any more; format 2 was not sealed.
pub(super) const FORMAT: i64 = 3;

/// The last format that was not sealed. It is brought up to date (`reseal`).
const PLAIN_FORMAT: i64 = 2;

/// What a backup holds, too.
pub(super) const TABLES: &str = "
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

-- `row` is the order of coming and the place in the index. `kind` says what is in `body`: of a text (1)
-- nothing, as `text` says it all. `text` is what is shown, and what is searched unless `words` is there.
-- `stored` is when it came here, and `due` when it is to go, by the clock of this device: with the first bit
-- set it was not shown yet, and the rest is for how many milliseconds it is kept from then. Of a message that
-- was deleted nothing is left but that: it reads as one that deletes itself.
CREATE TABLE messages (
    row INTEGER PRIMARY KEY,
    grp BLOB NOT NULL REFERENCES conversations (grp),
    seq BLOB NOT NULL CHECK (length(seq) = 8),
    id BLOB NOT NULL CHECK (length(id) = 16),
    sender TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    trust TEXT NOT NULL,
    time BLOB NOT NULL CHECK (length(time) = 8),
    stored BLOB NOT NULL CHECK (length(stored) = 8),
    own INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    text TEXT NOT NULL,
    body BLOB,
    words TEXT,
    edited INTEGER NOT NULL DEFAULT 0,
    due BLOB CHECK (length(due) = 8),
    UNIQUE (grp, seq)
) STRICT;

-- Signs on messages that are there.
CREATE TABLE reactions (
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    author BLOB NOT NULL CHECK (length(author) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    emoji TEXT NOT NULL,
    sender TEXT NOT NULL,
    own INTEGER NOT NULL,
    seq BLOB NOT NULL CHECK (length(seq) = 8),
    PRIMARY KEY (grp, author, id, fingerprint, emoji)
) STRICT;

-- What holds in a conversation until somebody says another: its topic (10) and its timer (13).
CREATE TABLE holding (
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    kind INTEGER NOT NULL,
    sender TEXT NOT NULL,
    time BLOB NOT NULL CHECK (length(time) = 8),
    body BLOB NOT NULL,
    PRIMARY KEY (grp, kind)
) STRICT;

-- Files. Of one's own `grp` is all zeros: they are here before it is known where they go. `state`: 0 not
-- all there or not compared yet, 1 compared, 2 another one than was offered, 3 given up before it was whole.
CREATE TABLE files (
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    author BLOB NOT NULL CHECK (length(author) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    state INTEGER NOT NULL,
    PRIMARY KEY (grp, author, id)
) STRICT;

CREATE TABLE file_parts (
    grp BLOB NOT NULL,
    author BLOB NOT NULL,
    id BLOB NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (grp, author, id, part),
    FOREIGN KEY (grp, author, id) REFERENCES files (grp, author, id) ON DELETE CASCADE
) STRICT;

-- For how long messages are kept, in seconds; of all zeros: those of all other groups.
CREATE TABLE retention (
    grp BLOB PRIMARY KEY CHECK (length(grp) = 32),
    seconds INTEGER NOT NULL CHECK (seconds > 0)
) STRICT;
";

/// What only a vault has.
const MORE: &str = "
-- A key whose certificate has not come yet: kept, because the answer may only have been lost.
CREATE TABLE saved_keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL
) STRICT;

CREATE INDEX messages_by_id ON messages (grp, id);
CREATE INDEX messages_by_coming ON messages (stored);
CREATE INDEX messages_by_end ON messages (due) WHERE due IS NOT NULL;
CREATE INDEX messages_of_others ON messages (grp, seq) WHERE own = 0;

-- Words as Unicode has them, without case and accents; symbols too, because emoji are some. The index
-- has no copy of the texts, and what is deleted leaves it at once (`secure-delete`).
CREATE VIEW searchable AS SELECT row, coalesce(words, text) AS text FROM messages;
CREATE VIRTUAL TABLE search USING fts5 (
    text, content = 'searchable', content_rowid = 'row',
    tokenize = \"unicode61 remove_diacritics 2 categories 'L* N* Co So'\"
);
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER message_comes AFTER INSERT ON messages BEGIN
    INSERT INTO search (rowid, text) VALUES (new.row, coalesce(new.words, new.text));
END;
CREATE TRIGGER message_goes_with_what_is_on_it AFTER DELETE ON messages BEGIN
    DELETE FROM reactions WHERE grp = old.grp AND author = old.fingerprint AND id = old.id;
    DELETE FROM files WHERE grp IN (old.grp, zeroblob(32)) AND author = old.fingerprint AND id = old.id;
END;
CREATE TRIGGER message_changes AFTER UPDATE OF text, words ON messages BEGIN
    INSERT INTO search (search, rowid, text)
        VALUES ('delete', old.row, coalesce(old.words, old.text));
    INSERT INTO search (rowid, text) VALUES (new.row, coalesce(new.words, new.text));
END;
";

/// Indexes that vaults of this format got later. They are made where they are missing: who only looks does
/// without them.
const LATER: &str = "
CREATE INDEX IF NOT EXISTS files_by_id ON files (id);
CREATE INDEX IF NOT EXISTS files_coming ON files (state) WHERE state = 0;
CREATE INDEX IF NOT EXISTS messages_with_own_files ON messages (id) WHERE own = 1 AND kind = 11;
";

/// What is deleted leaves the index, too.
const MESSAGE_GOES: &str = "
CREATE TRIGGER message_goes AFTER DELETE ON messages BEGIN
    INSERT INTO search (search, rowid, text)
        VALUES ('delete', old.row, coalesce(old.words, old.text));
END;
";

/// Deletes many messages by `act`: the index is made anew from what is left, which costs less.
pub(super) fn delete_many<T>(
    database: &Connection,
    act: impl FnOnce() -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    database.execute_batch("DROP TRIGGER message_goes")?;
    let done = act()?;
    database.execute_batch("INSERT INTO search (search) VALUES ('rebuild')")?;
    database.execute_batch(MESSAGE_GOES)?;
    Ok(done)
}

/// Makes the tables where there are none.
pub(super) fn migrate(database: &mut Connection) -> Result<(), VaultError> {
    if !check(database)? {
        let transaction = database.transaction()?;
        create(&transaction)?;
        transaction.commit()?;
    }
    database.execute_batch(LATER)?;
    database.execute_batch(clock::TABLE)?;
    marks::create(database)
}

/// Makes the tables.
pub(super) fn create(database: &Connection) -> Result<(), VaultError> {
    database.execute_batch(TABLES)?;
    database.execute_batch(MORE)?;
    database.execute_batch(MESSAGE_GOES)?;
    Ok(database.pragma_update(None, "user_version", FORMAT)?)
}

/// Whether the tables are there, in a format that this program knows.
pub(super) fn check(database: &Connection) -> Result<bool, VaultError> {
    check_format(database, FORMAT)
}

/// Whether an unsealed database is one that can be brought up to date.
pub(super) fn check_plain(database: &Connection) -> Result<bool, VaultError> {
    check_format(database, PLAIN_FORMAT)
}

fn check_format(database: &Connection, known: i64) -> Result<bool, VaultError> {
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => Ok(false),
        _ if found == known => Ok(true),
        older if older < known => Err(VaultError::Older { found, known }),
        _ => Err(VaultError::Newer { found, known }),
    }
}

/// Fills new tables from the attached `old` of the last unsealed format. When a message came was not
/// written down there: now is the time that deletes none too early.
pub(super) fn copy_plain(database: &Connection) -> Result<(), VaultError> {
    let found: i64 = database.query_row("PRAGMA old.user_version", [], |row| row.get(0))?;
    if found != PLAIN_FORMAT {
        return Ok(());
    }
    database.execute_batch(
        "INSERT INTO saved_keys SELECT name, key FROM old.saved_keys;
         INSERT INTO identity
            SELECT one, name, key, certificate, ca, ca_pin, server, server_keys FROM old.identity;
         INSERT INTO records SELECT kind, grp, sub, value FROM old.records;
         INSERT INTO conversations SELECT grp, target, shown FROM old.conversations;",
    )?;
    database.execute(
        "INSERT INTO messages (grp, seq, id, sender, fingerprint, trust, time, stored, own, kind, text)
         SELECT grp, seq, id, sender, fingerprint, trust, time, ?1, own, 1, text
         FROM old.messages ORDER BY rowid",
        [now().0.to_be_bytes()],
    )?;
    Ok(())
}
