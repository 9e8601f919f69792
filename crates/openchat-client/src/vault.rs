//! Everything that a device must not lose, in one SQLite file a profile: its identity, the engine's
//! records, the messages, and how far each conversation was shown.
//!
//! The file is opened in one place (`open_file`), so that encrypting it at rest later is a change
//! of one place. Until then whoever reads the file reads the conversations; its mode is 0600 and
//! its directory's 0700. A transaction is on the disk when its function returns; an error of the
//! disk is fatal and never retried, because after a failed `fsync` nobody knows what it holds.

mod evidence;
mod history;
mod identity;
mod schema;

pub use identity::{Identity, SavedKey};

use openchat_engine::{Change, Key};
use openchat_wire::{Blob, GroupId};
use rusqlite::{Connection, OpenFlags, params};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const FILE: &str = "vault.db";
const LOCK: &str = "vault.lock";

/// How long a writer waits for `openchat status`, which only reads, or the other way round.
const BUSY: Duration = Duration::from_secs(5);

/// Why the vault can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Another process has it.
    #[error("another openchat is using this profile ({})", .0.display())]
    InUse(PathBuf),
    /// Written by a later version of this program.
    #[error("the vault has format {found}, this openchat knows {known}")]
    Newer {
        /// Its format.
        found: i64,
        /// The newest known one.
        known: i64,
    },
    /// Written by an earlier version of this program, whose protocol is no longer spoken.
    #[error("the vault has format {found} of an earlier openchat, this one reads {known}")]
    Older {
        /// Its format.
        found: i64,
        /// The one that is read.
        known: i64,
    },
    /// A value in it is not what this program writes.
    #[error("the vault is damaged: {0}")]
    Damaged(&'static str),
    /// The database failed.
    #[error("the vault can't be read or written: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file or directory failed.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// An open vault.
#[derive(Debug)]
pub struct Vault {
    database: Connection,
    /// Held as long as the vault may be written; none for a look.
    _lock: Option<File>,
}

impl Vault {
    /// Opens the vault in `directory` to use it, and makes it if there is none.
    ///
    /// # Errors
    /// [`VaultError::InUse`] if another process has it: two engines on one state would reuse keys.
    pub fn open(directory: &Path) -> Result<Self, VaultError> {
        make_private_directory(directory)?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        make_private_file(&path).map_err(at(&path))?;
        let mut database = open_file(&path)?;
        schema::migrate(&mut database)?;
        Ok(Self { database, _lock: Some(lock) })
    }

    /// Looks into the vault in `directory`, also while another process uses it; nothing if there
    /// is none.
    ///
    /// # Errors
    /// As [`Vault::open`], but for [`VaultError::InUse`]. Writing to it fails.
    pub fn look(directory: &Path) -> Result<Option<Self>, VaultError> {
        let path = directory.join(FILE);
        if !path.try_exists().map_err(at(&path))? {
            return Ok(None);
        }
        let database = open_file(&path)?;
        database.pragma_update(None, "query_only", true)?;
        let made = schema::check(&database)?;
        Ok(made.then_some(Self { database, _lock: None }))
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

/// Whoever has just been killed, or has just forked, may hold the lock for a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

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

/// The one place where the vault's file is opened.
fn open_file(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    // Deleted keys are overwritten, and the journal does not keep old pages when it is done.
    database.pragma_update(None, "secure_delete", true)?;
    database.pragma_update(None, "journal_size_limit", 0)?;
    database.pragma_update(None, "foreign_keys", true)?;
    database.pragma_update(None, "trusted_schema", false)?;
    Ok(database)
}

fn make_private_directory(directory: &Path) -> Result<(), VaultError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.and_then(|()| std::fs::set_permissions(directory, Permissions::from_mode(0o700)))
        .map_err(at(directory))
}

/// SQLite gives its journal the mode of the database, so the mode is set before it opens it.
fn make_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn lock(directory: &Path) -> Result<File, VaultError> {
    let path = directory.join(LOCK);
    let file = make_private_file(&path).map_err(at(&path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(VaultError::File { path, cause }),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= LOCK_PATIENCE => {
                return Err(VaultError::InUse(directory.to_owned()));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    |cause| VaultError::File { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests;
