//! A backup: one file, sealed under a passphrase of its own.
//!
//! It holds what a device is and knows: its identity, whom it trusts, which conversations it is in, the
//! messages. It holds nothing that seals or opens messages: a ratchet that exists twice would use a key
//! twice. So who restores it is the same person with the same seats, and comes back into each group with
//! new keys, as a device that has lost its own.
//!
//! The file is a database whose first 16 bytes, which `SQLCipher` leaves in the clear, are the salt of the
//! passphrase.

use super::{NO_GROUP, Unlock, Vault, VaultError, ends, file, identity::Identity, schema};
use crate::outside::now;
use openchat_crypto::{Cost, Passphrase, Salt, Secret};
use openchat_engine::Key;
use openchat_wire::GroupId;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Format of backups; it is no vault's.
const FORMAT: i64 = 1003;

/// What came out of a backup.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Who this device is now.
    pub identity: Identity,
    /// How many messages there were.
    pub messages: u64,
}

impl Vault {
    /// Writes a backup into a new file.
    ///
    /// # Errors
    /// [`VaultError::Exists`], or the vault's.
    pub fn back_up(&self, path: &Path, passphrase: &Passphrase) -> Result<(), VaultError> {
        let salt = Salt::random(&mut crate::outside::os_random());
        let sealed = Sealed { salt, key: stretched(path, passphrase, &salt)? };
        file::create_whole(path, &[])?;
        let written = self.fill(path, &sealed);
        if written.is_err() {
            // What is not whole would only mislead. The first error is the one to tell.
            let _ = file::remove(path);
        }
        written
    }

    fn fill(&self, path: &Path, sealed: &Sealed) -> Result<(), VaultError> {
        let mut backup = sealed.open(path)?;
        let transaction = backup.transaction()?;
        transaction.execute_batch(schema::TABLES)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        let over = format!("NOT {}", ends::lasting(&ends::millis(now()).to_string()));
        for table in &WHOLE_TABLES {
            let lasts = |of| format!("NOT EXISTS (SELECT 1 FROM messages m WHERE {of} AND {over})");
            let which: Vec<String> = table.of.iter().map(lasts).collect();
            copy_rows(&self.database, &transaction, (table, &which.join(" AND ")), |_| true)?;
        }
        let kept = |row: &rusqlite::Row<'_>| is_kept(row).unwrap_or(false);
        copy_rows(&self.database, &transaction, (&RECORDS, ""), kept)?;
        transaction.commit()?;
        drop(backup);
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(file::at(path))?;
        file::sync_directory(path)
    }

    /// Makes a new vault in `directory` from a backup.
    ///
    /// # Errors
    /// [`VaultError::NoBackup`]; [`VaultError::NotEmpty`] if somebody has enrolled there; the vault's.
    pub fn restore(
        directory: &Path,
        unlock: &Unlock<'_>,
        path: &Path,
        passphrase: &Passphrase,
    ) -> Result<Restored, VaultError> {
        let backup = opened(path, passphrase)?;
        let mut vault = Self::open_with(directory, unlock)?;
        if let Some(identity) = vault.identity()? {
            return Err(VaultError::NotEmpty(identity.name));
        }
        let transaction = vault.database.transaction()?;
        for table in WHOLE_TABLES.iter().chain([&RECORDS]) {
            copy_rows(&backup, &transaction, (table, ""), |_| true)?;
        }
        transaction.commit()?;
        vault.write_back()?;
        let identity = vault.identity()?.ok_or_else(|| VaultError::NoBackup(path.to_owned()))?;
        let count = "SELECT count(*) FROM messages";
        let messages: i64 = vault.database.query_row(count, [], |row| row.get(0))?;
        Ok(Restored { identity, messages: u64::try_from(messages).unwrap_or_default() })
    }
}

/// A table with its columns.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    /// Which messages `m` a row `t` belongs to: with what is over goes what was on it.
    of: &'static [&'static str],
}

const ON_A_MESSAGE: &str = "m.grp = t.grp AND m.fingerprint = t.author AND m.id = t.id";

/// One's own files have no group.
const OWN_FILE: &str = "t.grp = zeroblob(32) AND m.id = t.id AND m.fingerprint = t.author
    AND m.own = 1 AND m.kind = 11";

/// In the order in which they refer to each other.
const WHOLE_TABLES: [Table; 8] = [
    Table {
        name: "identity",
        columns: &["one", "name", "key", "certificate", "ca", "ca_pin", "server", "server_keys"],
        of: &[],
    },
    Table { name: "conversations", columns: &["grp", "target", "shown"], of: &[] },
    Table {
        name: "messages",
        columns: &[
            "row",
            "grp",
            "seq",
            "id",
            "sender",
            "fingerprint",
            "trust",
            "time",
            "stored",
            "own",
            "kind",
            "text",
            "body",
            "words",
            "edited",
            "due",
        ],
        of: &["m.row = t.row"],
    },
    Table {
        name: "reactions",
        columns: &["grp", "author", "id", "fingerprint", "emoji", "sender", "own", "seq"],
        of: &[ON_A_MESSAGE],
    },
    Table { name: "holding", columns: &["grp", "kind", "sender", "time", "body"], of: &[] },
    Table {
        name: "files",
        columns: &["grp", "author", "id", "name", "size", "hash", "state"],
        of: &[ON_A_MESSAGE, OWN_FILE],
    },
    Table {
        name: "file_parts",
        columns: &["grp", "author", "id", "part", "bytes"],
        of: &[ON_A_MESSAGE, OWN_FILE],
    },
    Table { name: "retention", columns: &["grp", "seconds"], of: &[] },
];

const RECORDS: Table =
    Table { name: "records", columns: &["kind", "grp", "sub", "value"], of: &[] };

/// Whether a record belongs into a backup.
fn is_kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let group: [u8; 32] = row.get(1)?;
    let group = (group != NO_GROUP).then_some(GroupId(group));
    Ok(Key { kind: row.get(0)?, group, sub: row.get(2)? }.survives_restoring())
}

fn copy_rows(
    from: &Connection,
    to: &Connection,
    (table, which): (&Table, &str),
    keep: impl Fn(&rusqlite::Row<'_>) -> bool,
) -> Result<(), VaultError> {
    let Table { name, columns, .. } = table;
    let which = if which.is_empty() { String::new() } else { format!(" WHERE {which}") };
    let places = (1..=columns.len()).map(|place| format!("?{place}")).collect::<Vec<_>>();
    let (columns, places) = (columns.join(", "), places.join(", "));
    let mut read = from.prepare(&format!("SELECT {columns} FROM {name} t{which}"))?;
    let mut put = to.prepare(&format!("INSERT INTO {name} ({columns}) VALUES ({places})"))?;
    let count = read.column_count();
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        if keep(row) {
            let values = (0..count).map(|at| row.get::<_, rusqlite::types::Value>(at));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            put.execute(rusqlite::params_from_iter(values))?;
        }
    }
    Ok(())
}

/// How a backup's file is sealed.
struct Sealed {
    salt: Salt,
    key: Secret,
}

impl Sealed {
    fn open(&self, path: &Path) -> Result<Connection, VaultError> {
        file::open_salted(path, &self.key, &self.salt)
    }
}

fn stretched(path: &Path, passphrase: &Passphrase, salt: &Salt) -> Result<Secret, VaultError> {
    let problem = |_| file::at(path)(std::io::Error::other("not enough memory for the passphrase"));
    passphrase.stretch(salt, Cost::USUAL).map_err(problem)
}

fn opened(path: &Path, passphrase: &Passphrase) -> Result<Connection, VaultError> {
    let no_backup = || VaultError::NoBackup(PathBuf::from(path));
    let start = file::read_small(path, 16)?;
    let missing = || {
        file::at(path)(std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such file"))
    };
    let start: Zeroizing<Vec<u8>> = start.ok_or_else(missing)?;
    let salt = Salt(start.as_slice().try_into().map_err(|_| no_backup())?);
    let sealed = Sealed { key: stretched(path, passphrase, &salt)?, salt };
    let format = || -> Result<_, VaultError> {
        let backup = sealed.open(path)?;
        backup.pragma_update(None, "query_only", true)?;
        let found = backup.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
        Ok((backup, found))
    };
    match format() {
        Ok((backup, FORMAT)) => Ok(backup),
        Ok((_, found)) if found > FORMAT => Err(VaultError::Newer { found, known: FORMAT }),
        Ok(_) | Err(VaultError::Broken(_)) => Err(no_backup()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
