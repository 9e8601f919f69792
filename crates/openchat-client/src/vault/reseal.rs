//! Sealing a vault anew: what an earlier openchat left in the clear, and under another key.
//!
//! A copy is made beside the database and takes its name, which is one step for whoever may be killed
//! at any point. Before it the old file is the vault, after it the new one; the key file has the keys
//! of both meanwhile. What is left over is cleared away by the next process.

use super::{
    Vault, VaultError, file,
    key::{self, Entry, Keeping},
    schema,
    unlock::{self, Files, Found, Unlock},
};
use openchat_crypto::Secret;
use rusqlite::Connection;
use std::fs;
use zeroize::Zeroizing;

impl Vault {
    /// Seals the vault with a new key, kept like this. Copies of the old files and of what the old key
    /// was made from open nothing that is written from now on.
    ///
    /// # Errors
    /// The vault's. It is whole in any case, with the old key or the new one.
    pub fn keep(self, keeping: &Keeping) -> Result<Self, VaultError> {
        let files = Files::of(&self.directory);
        let key = Secret::random(&mut crate::outside::os_random());
        let entry = announce(&files, &key, keeping)?;
        copy(&self.database, &files, &key)?;
        let Self { database, lock, directory, .. } = self;
        settle(database, &files)?;
        swap(&files)?;
        key::leave(&files.key, &entry)?;
        let unlock = Unlock::alone().with_key(&entry, key);
        drop(lock);
        Self::open_with(&directory, &unlock)
    }
}

/// Seals what an earlier openchat left in the clear, and opens it.
pub(super) fn plain(files: &Files, unlock: &Unlock<'_>) -> Result<(Connection, Entry), VaultError> {
    let old = file::open(&files.database, None)?;
    schema::check_plain(&old)?;
    let (key, entry) = unlock::new_key(files, unlock)?;
    copy_plain(files, &key)?;
    settle(old, files)?;
    swap(files)?;
    Ok((file::open(&files.database, Some(&key))?, entry))
}

/// Clears away what a process that was killed has left.
pub(super) fn clean(files: &Files) -> Result<(), VaultError> {
    file::remove(&files.fresh)?;
    file::remove(&files.fresh.with_extension("new-journal"))?;
    if !files.old.try_exists().map_err(file::at(&files.old))? {
        return Ok(());
    }
    // Two names of one file, or the new one is in its place.
    if same_file(files)? { file::remove(&files.old) } else { file::wipe(&files.old) }
}

fn same_file(files: &Files) -> Result<bool, VaultError> {
    use std::os::unix::fs::MetadataExt;
    let of = |path| fs::metadata(path).map_err(file::at(path));
    let (one, two) = (of(&files.database)?, of(&files.old)?);
    Ok((one.dev(), one.ino()) == (two.dev(), two.ino()))
}

/// Writes the new key down beside those that are there.
fn announce(files: &Files, key: &Secret, keeping: &Keeping) -> Result<Entry, VaultError> {
    let entry = Entry::new(key, keeping)?;
    let mut entries = key::read(&files.key)?.unwrap_or_default();
    entries.push(entry.clone());
    key::write(&files.key, &entries)?;
    Ok(entry)
}

/// Copies all tables into a file that is sealed with `key`.
fn copy(database: &Connection, files: &Files, key: &Secret) -> Result<(), VaultError> {
    attach(database, files, key)?;
    database.query_row("SELECT sqlcipher_export('fresh')", [], |_| Ok(()))?;
    database.execute_batch(&format!("PRAGMA fresh.user_version = {}", schema::FORMAT))?;
    database.execute_batch("DETACH fresh")?;
    flush(files)
}

fn attach(database: &Connection, files: &Files, key: &Secret) -> Result<(), VaultError> {
    file::remove(&files.fresh)?;
    file::make_private(&files.fresh)?;
    let path = files.fresh.to_str().ok_or(VaultError::Damaged("the folder's name is no text"))?;
    let literal = file::literal(key);
    let attach = Zeroizing::new(format!("ATTACH ?1 AS fresh KEY {}", &*literal));
    database.execute(&attach, [path])?;
    Ok(())
}

/// Copies the tables of an unsealed vault into a file that is sealed with `key`.
fn copy_plain(files: &Files, key: &Secret) -> Result<(), VaultError> {
    file::remove(&files.fresh)?;
    file::make_private(&files.fresh)?;
    let mut fresh = file::open(&files.fresh, Some(key))?;
    let path = files.database.to_str();
    let path = path.ok_or(VaultError::Damaged("the folder's name is no text"))?;
    fresh.execute("ATTACH ?1 AS old KEY ''", [path])?;
    let transaction = fresh.transaction()?;
    schema::create(&transaction)?;
    schema::copy_plain(&transaction)?;
    transaction.commit()?;
    fresh.execute_batch("DETACH old")?;
    drop(fresh);
    flush(files)
}

fn flush(files: &Files) -> Result<(), VaultError> {
    fs::File::open(&files.fresh).and_then(|file| file.sync_all()).map_err(file::at(&files.fresh))
}

/// Writes the journal back and does without it: after the swap it would belong to the wrong file.
fn settle(database: Connection, files: &Files) -> Result<(), VaultError> {
    let mode: String = database.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    drop(database);
    let is_left = files.journal.try_exists().map_err(file::at(&files.journal))?;
    // Whoever looks at it just now holds it.
    if mode == "delete" && !is_left {
        Ok(())
    } else {
        Err(VaultError::InUse(files.database.clone()))
    }
}

/// Lets the copy take the name of the database, whose bytes are overwritten.
fn swap(files: &Files) -> Result<(), VaultError> {
    fs::hard_link(&files.database, &files.old).map_err(file::at(&files.old))?;
    fs::rename(&files.fresh, &files.database).map_err(file::at(&files.database))?;
    file::sync_directory(&files.database)?;
    debug_assert_eq!(unlock::found(files).ok(), Some(Found::Sealed));
    file::wipe(&files.old)
}

#[cfg(test)]
mod tests;
