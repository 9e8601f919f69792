//! Files for their owner's eyes, and how the database among them is opened.

use super::{VaultError, key};
use openchat_crypto::{Salt, Secret};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

const LOCK: &str = "vault.lock";

/// How long a writer waits for `openchat status`, which only reads, or the other way round.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Whoever has just been killed, or has just forked, may hold the lock for a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// `SQLCipher`'s defaults of version 4 but for two of them, by measurement (docs/adr/0020): pages of 8 KiB
/// and HMAC-SHA-256, which processors compute, instead of HMAC-SHA-512. They hold for files attached
/// later, too. What goes wrong is told by errors, not on stderr.
const CIPHER: &str = "
PRAGMA cipher_log_level = NONE;
PRAGMA cipher_default_page_size = 8192;
PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256;
";

/// Deleted keys are overwritten, and the journal does not keep old pages when it is done. What a
/// query sorts or gathers stays in memory. 16 MiB of pages, so that a search does not read them twice.
const MANNERS: &str = "
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA journal_size_limit = 0;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -16384;
";

/// Opens a database, sealed with `key` if there is one. That it is right, the first query shows.
pub(super) fn open(path: &Path, key: Option<&Secret>) -> Result<Connection, VaultError> {
    open_as(path, key.map(literal))
}

/// Opens a database that is sealed with `key` and begins with `salt`.
pub(super) fn open_salted(
    path: &Path,
    key: &Secret,
    salt: &Salt,
) -> Result<Connection, VaultError> {
    open_as(path, Some(literal_of(&[key.expose(), &salt.0])))
}

fn open_as(path: &Path, literal: Option<Zeroizing<String>>) -> Result<Connection, VaultError> {
    let database = open_bare(path, literal)?;
    database.execute_batch(MANNERS)?;
    Ok(database)
}

/// Opens a database without reading any of it.
pub(super) fn open_bare(
    path: &Path,
    literal: Option<Zeroizing<String>>,
) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY)?;
    database.execute_batch(CIPHER)?;
    if let Some(literal) = literal {
        let told = Zeroizing::new(format!("PRAGMA key = {}", &*literal));
        database.execute_batch(&told)?;
    }
    Ok(database)
}

/// Lets readers and one writer work side by side.
pub(super) fn write_ahead(database: &Connection) -> Result<(), VaultError> {
    Ok(database.pragma_update(None, "journal_mode", "WAL")?)
}

/// The key as `SQLCipher` reads it: the very bytes, which nothing is derived from.
pub(super) fn literal(key: &Secret) -> Zeroizing<String> {
    literal_of(&[key.expose()])
}

fn literal_of(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(104));
    text.push_str("\"x'");
    for part in parts {
        key::push_hex(&mut text, part);
    }
    text.push_str("'\"");
    text
}

pub(super) fn make_private_directory(directory: &Path) -> Result<(), VaultError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o700)))
        .map_err(at(directory))
}

/// SQLite gives its journal the mode of the database, so the mode is set before it opens it.
pub(super) fn make_private(path: &Path) -> Result<File, VaultError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let made = made.and_then(|file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    });
    made.map_err(at(path))
}

/// Keeps others out of the profile as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, VaultError> {
    let path = directory.join(LOCK);
    let file = make_private(&path)?;
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

/// What a file has, at most `limit` bytes; nothing if there is none.
pub(super) fn read_small(
    path: &Path,
    limit: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    match File::open(path) {
        Ok(file) => {
            file.take(limit).read_to_end(&mut bytes).map_err(at(path))?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Makes a file that was not there, with all of this, on the disk.
pub(super) fn create_whole(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    let mut file = made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => VaultError::Exists(path.to_owned()),
        _ => at(path)(error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))?;
    sync_directory(path)
}

/// Puts a file with all of this in the place of what was there: either is whole at any time.
pub(super) fn replace_whole(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let fresh = path.with_extension("key.new");
    remove(&fresh)?;
    create_whole(&fresh, bytes)?;
    fs::rename(&fresh, path).map_err(at(path))?;
    sync_directory(path)
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Overwrites a file with zeros and removes it. Disks that write elsewhere, and file systems that
/// copy, keep the old bytes for a while all the same.
pub(super) fn wipe(path: &Path) -> Result<(), VaultError> {
    let overwritten = OpenOptions::new().write(true).open(path).and_then(|mut file| {
        let mut left = file.metadata()?.len();
        let zeros = vec![0; 1 << 16];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            file.write_all(zeros.get(..count).unwrap_or_default())?;
            left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
        file.sync_all()
    });
    match overwritten {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => remove(path),
    }
}

/// Makes sure that what happened to the names beside this one survives a power cut.
pub(super) fn sync_directory(path: &Path) -> Result<(), VaultError> {
    let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(path))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    |cause| VaultError::File { path: path.to_owned(), cause }
}
