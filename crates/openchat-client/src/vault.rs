//! Everything that a device must not lose, in one SQLite file a profile: its identity, the engine's
//! records, the messages, and how far each conversation was shown.
//!
//! The file is sealed page by page (`SQLCipher`, docs/adr/0020-vault-at-rest.md) with a random key, which is
//! kept as the person wants it ([`Keeping`]). A transaction is on the disk when its function returns; an
//! error of the disk is fatal and never retried, because after a failed `fsync` nobody knows what it
//! holds.

mod backup;
mod clock;
mod contents;
mod ends;
mod error;
mod evidence;
mod file;
mod files;
mod history;
mod identity;
mod key;
mod keyring;
mod marks;
mod mutes;
mod recall;
mod reseal;
mod retention;
mod schema;
mod search;
mod tidy;
mod unlock;
mod words;

pub use backup::Restored;
pub use contents::{Holding, Marks, Reacted};
pub use error::VaultError;
pub use files::{FileState, KeptFile};
pub use history::Range;
pub use identity::{Identity, SavedKey};
pub use key::{Keeping, Kept};
pub use keyring::KeyringError;
pub use search::Search;
pub use unlock::Unlock;

use openchat_engine::{Change, Key};
use openchat_wire::{Blob, GroupId};
use rusqlite::{Connection, params};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use tidy::Tidy;

const FILE: &str = "vault.db";

/// An open vault.
#[derive(Debug)]
pub struct Vault {
    database: Connection,
    /// Held as long as the vault may be written; none for a look.
    lock: Option<File>,
    kept: Kept,
    tidy: Tidy,
    directory: PathBuf,
}

impl Vault {
    /// [`Vault::open_with`] nobody to ask for a passphrase.
    ///
    /// # Errors
    /// As there; [`VaultError::Locked`] if it has one.
    pub fn open(directory: &Path) -> Result<Self, VaultError> {
        Self::open_with(directory, &Unlock::alone())
    }

    /// [`Vault::look_with`] nobody to ask for a passphrase.
    ///
    /// # Errors
    /// As there; [`VaultError::Locked`] if it has one.
    pub fn look(directory: &Path) -> Result<Option<Self>, VaultError> {
        Self::look_with(directory, &Unlock::alone())
    }

    /// How its key is kept.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// All records of the engine.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn records(&self) -> Result<Vec<(Key, Blob)>, VaultError> {
        let mut all = self.database.prepare("SELECT kind, grp, sub, value FROM records")?;
        let records = all.query_map([], |row| {
            Ok((row.get::<_, u8>(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?, row.get(3)?))
        })?;
        records
            .map(|record| {
                let (kind, group, sub, value) = record?;
                let group = (group != NO_GROUP).then_some(GroupId(group));
                Ok((Key { kind, group, sub }, Blob(value)))
            })
            .collect()
    }

    /// Makes all of `changes`, or none of them, and returns when they survive what they have to.
    ///
    /// # Errors
    /// The database's. The engine's state is ahead of the vault then and must not be used further.
    pub fn apply(&mut self, changes: &[Change], survive: Survive) -> Result<(), VaultError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.surviving(survive, |vault| vault.write(changes))
    }

    /// Does something that has to survive no more than this.
    fn surviving(
        &mut self,
        survive: Survive,
        act: impl FnOnce(&mut Self) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.tidy.dirty = true;
        if survive == Survive::PowerCut {
            return act(self);
        }
        self.database.pragma_update(None, "synchronous", "NORMAL")?;
        let done = act(self);
        self.database.pragma_update(None, "synchronous", "FULL")?;
        done
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), VaultError> {
        let transaction = self.database.transaction()?;
        for change in changes {
            match change {
                Change::Put { key, value } => put(&transaction, key, value)?,
                Change::Delete(key) => delete(&transaction, key)?,
                Change::Message(message) => history::insert(&transaction, message)?,
                Change::Chunk { group, file, index, bytes } => {
                    files::put_part(&transaction, group, file, *index, &bytes.0)?;
                }
                Change::DropFile { group, file } => files::drop_parts(&transaction, group, file)?,
            }
        }
        Ok(transaction.commit()?)
    }
}

/// What a transaction must survive. The journal keeps the order of transactions, so that after a
/// power cut the newest of the lesser ones may be missing, and never one before a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survive {
    /// The end of the machine: waits for the disk.
    PowerCut,
    /// The end of the process.
    Kill,
}

/// Stands for "no group" in the records' key, where SQL's NULL would not be unique.
const NO_GROUP: [u8; 32] = [0; 32];

fn group_bytes(key: &Key) -> [u8; 32] {
    key.group.map_or(NO_GROUP, |group| group.0)
}

fn put(database: &Connection, key: &Key, value: &Blob) -> Result<(), VaultError> {
    let mut put = database.prepare_cached(
        "INSERT INTO records (kind, grp, sub, value) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, grp, sub) DO UPDATE SET value = excluded.value",
    )?;
    put.execute(params![key.kind, group_bytes(key), key.sub, value.0])?;
    Ok(())
}

fn delete(database: &Connection, key: &Key) -> Result<(), VaultError> {
    let mut delete =
        database.prepare_cached("DELETE FROM records WHERE kind = ?1 AND grp = ?2 AND sub = ?3")?;
    delete.execute(params![key.kind, group_bytes(key), key.sub])?;
    Ok(())
}

#[cfg(test)]
mod tests;
