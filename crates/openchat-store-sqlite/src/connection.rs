//! Opening: the file, who may read it, and who works on it.

use crate::{convert::failed, schema};
use openchat_relay::StoreError;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A reader may wait this long for another connection that recovers the log after a crash.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that the write-ahead log's file keeps once it has been larger.
const KEPT_LOG: i64 = 64 * 1024 * 1024;

/// Holds the database for one server. The operating system lets go of it when the process ends.
pub(crate) fn lock(database: &Path) -> Result<File, StoreError> {
    let mut path = OsString::from(database);
    path.push(".lock");
    let file = private_file(&PathBuf::from(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(database.display().to_string())),
        Err(TryLockError::Error(error)) => Err(StoreError::backend(error)),
    }
}

/// The one connection that writes.
pub(crate) fn writer(database: &Path) -> Result<Connection, StoreError> {
    // The other files of the database get the mode of this one from SQLite.
    private_file(database)?;
    let mut connection = open(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&connection)?;
    schema::prepare(&mut connection)?;
    Ok(connection)
}

/// A connection that can't write.
pub(crate) fn reader(database: &Path) -> Result<Connection, StoreError> {
    open(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn open(database: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    Ok(connection)
}

/// Checkpoints are the store's own affair ([`crate::SqliteStore`]): SQLite's automatic ones ignore
/// a failed sync, and the one on closing would sync again what has just failed to.
fn configure(connection: &Connection) -> Result<(), StoreError> {
    let mode = journal_mode_wal(connection).map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::backend(io::Error::other(
            "no write-ahead log on this file system",
        )));
    }
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    checkpoint_on_close(connection, false)?;
    connection.pragma_update(None, "journal_size_limit", KEPT_LOG).map_err(failed)
}

/// The statement tells the mode before it has stored it: only its end says whether that worked.
fn journal_mode_wal(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("PRAGMA journal_mode = wal")?;
    let modes = statement.query_map([], |row| row.get::<_, String>(0))?;
    modes.collect()
}

/// Whether closing this connection, as the last one, copies the write-ahead log and removes it.
pub(crate) fn checkpoint_on_close(connection: &Connection, does: bool) -> Result<(), StoreError> {
    let set = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !does);
    set.map_err(failed).map(drop)
}

/// Puts the write-ahead log on the disk as it is.
pub(crate) fn sync_log(database: &Path) -> Result<(), StoreError> {
    let mut path = OsString::from(database);
    path.push("-wal");
    match File::open(PathBuf::from(path)) {
        Ok(log) => log.sync_all().map_err(StoreError::backend),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::backend(error)),
    }
}

/// A file that only its owner may read and write, made if need be.
pub(crate) fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(StoreError::backend)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(StoreError::backend)?;
    Ok(file)
}
