//! How a vault is opened: with the key that opens it, after whatever an earlier process left half
//! done was brought to its end.

use super::{Vault, VaultError, file, key, reseal, schema, tidy::Tidy};
use key::{Asked, Entry, Keeping};
use openchat_crypto::{Passphrase, Secret};
use rusqlite::Connection;
use std::{
    cell::RefCell,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// What opens vaults: whom to ask for a passphrase, and how the key of a new vault is kept. It
/// remembers the key that has served, so that a passphrase is asked for once.
pub struct Unlock<'a> {
    ask: Box<dyn Fn(u32) -> Result<Passphrase, VaultError> + 'a>,
    patience: Duration,
    new: RefCell<Keeping>,
    served: RefCell<Option<Served>>,
}

/// A key, and the entry that it came from: of two entries only one opens the vault, and the other one is
/// forgotten.
#[derive(Clone)]
struct Served {
    entry: Entry,
    key: Secret,
}

impl<'a> Unlock<'a> {
    /// Asks `ask` for the passphrase of a vault that has one, with the number of answers that were
    /// wrong so far. It ends the asking with an error.
    #[must_use]
    pub fn new(ask: impl Fn(u32) -> Result<Passphrase, VaultError> + 'a) -> Self {
        let (new, served) = (RefCell::new(Keeping::Beside), RefCell::new(None));
        Self { ask: Box::new(ask), patience: Duration::ZERO, new, served }
    }

    /// Gives its owner so long to open a keyring that is locked. Otherwise nobody is asked to.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Has nobody to ask.
    #[must_use]
    pub fn alone() -> Self {
        Self::new(|_| Err(VaultError::Locked))
    }

    /// Keeps the key of a new vault like this.
    #[must_use]
    pub fn keeping(self, new: Keeping) -> Self {
        self.keep_new(new);
        self
    }

    /// Keeps the key of a vault that is made from now on like this.
    pub fn keep_new(&self, new: Keeping) {
        self.new.replace(new);
    }

    /// Knows the key of this entry already.
    pub(super) fn with_key(self, entry: &Entry, key: Secret) -> Self {
        self.serve(entry, key);
        self
    }

    fn serve(&self, entry: &Entry, key: Secret) {
        self.served.replace(Some(Served { entry: entry.clone(), key }));
    }

    fn served(&self, entry: &Entry) -> Option<Secret> {
        let served = self.served.borrow();
        served.as_ref().filter(|served| served.entry.is(entry)).map(|served| served.key.clone())
    }
}

impl Asked for Unlock<'_> {
    fn passphrase(&self, wrong: u32) -> Result<Passphrase, VaultError> {
        (self.ask)(wrong)
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

impl std::fmt::Debug for Unlock<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unlock(..)")
    }
}

/// The files of a vault.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) database: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) key: PathBuf,
    /// What is to become the database.
    pub(super) fresh: PathBuf,
    /// What was the database, until it is overwritten.
    pub(super) old: PathBuf,
}

impl Files {
    pub(super) fn of(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        Self {
            database: file(super::FILE),
            journal: file("vault.db-wal"),
            key: file(key::FILE),
            fresh: file("vault.db.new"),
            old: file("vault.db.old"),
        }
    }
}

/// What there is where a vault's database belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// What an openchat before format 3 wrote.
    Plain,
    Sealed,
}

const PLAIN: &[u8; 16] = b"SQLite format 3\0";

pub(super) fn found(files: &Files) -> Result<Found, VaultError> {
    let mut start = [0; 16];
    let read = match File::open(&files.database) {
        Ok(mut file) => file.read(&mut start).map_err(file::at(&files.database))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(file::at(&files.database)(error)),
    };
    Ok(match read {
        0 => Found::Nothing,
        _ if &start == PLAIN => Found::Plain,
        _ => Found::Sealed,
    })
}

impl Vault {
    /// Opens the vault in `directory` to use it, and makes it if there is none.
    ///
    /// # Errors
    /// [`VaultError::InUse`] if another process has it: two engines on one state would reuse keys.
    pub fn open_with(directory: &Path, unlock: &Unlock<'_>) -> Result<Self, VaultError> {
        file::make_private_directory(directory)?;
        let lock = file::lock(directory)?;
        let files = Files::of(directory);
        reseal::clean(&files)?;
        let (mut database, entry) = match found(&files)? {
            Found::Sealed => unseal(&files, unlock)?,
            Found::Plain => reseal::plain(&files, unlock)?,
            Found::Nothing => create(&files, unlock)?,
        };
        file::write_ahead(&database)?;
        schema::migrate(&mut database)?;
        let directory = directory.to_owned();
        Ok(Self { database, lock: Some(lock), kept: entry.kept(), tidy: Tidy::new(), directory })
    }

    /// Looks into the vault in `directory`, also while another process uses it; nothing if there
    /// is none.
    ///
    /// # Errors
    /// As [`Vault::open_with`]; [`VaultError::InUse`] only if an earlier openchat has it. Writing to it
    /// fails.
    pub fn look_with(directory: &Path, unlock: &Unlock<'_>) -> Result<Option<Self>, VaultError> {
        let files = Files::of(directory);
        match found(&files)? {
            Found::Nothing => return Ok(None),
            Found::Plain => drop(Self::open_with(directory, unlock)?),
            Found::Sealed => {}
        }
        let (database, entry) = unlocked(&files, unlock)?;
        database.pragma_update(None, "query_only", true)?;
        let made = schema::check(&database)?;
        let (kept, directory) = (entry.kept(), directory.to_owned());
        let look = Self { database, lock: None, kept, tidy: Tidy::new(), directory };
        Ok(made.then_some(look))
    }
}

impl Vault {
    /// Whether there is a vault in `directory`.
    #[must_use]
    pub fn exists(directory: &Path) -> bool {
        // What can't be looked at is there: whoever opens it learns why not.
        !matches!(found(&Files::of(directory)), Ok(Found::Nothing))
    }

    /// How many pages of the vault's file are not what was written there; reads all of it.
    ///
    /// # Errors
    /// As [`Vault::look_with`].
    pub fn damaged_pages(directory: &Path, unlock: &Unlock<'_>) -> Result<usize, VaultError> {
        let files = Files::of(directory);
        let entries = key::read(&files.key)?.ok_or_else(|| VaultError::NoKey(files.key.clone()))?;
        let mut fewest = usize::MAX;
        for entry in entries {
            let literal = file::literal(&entry.key(unlock)?);
            let database = file::open_bare(&files.database, Some(literal))?;
            let mut check = database.prepare("PRAGMA cipher_integrity_check")?;
            fewest = fewest.min(check.query_map([], |_| Ok(()))?.count());
        }
        Ok(fewest)
    }
}

/// Makes an empty database. Its key is on the disk before there is anything to open with it.
fn create(files: &Files, unlock: &Unlock<'_>) -> Result<(Connection, Entry), VaultError> {
    let (key, entry) = new_key(files, unlock)?;
    // A journal without a database is that of another.
    file::remove(&files.journal)?;
    file::make_private(&files.database)?;
    Ok((file::open(&files.database, Some(&key))?, entry))
}

/// A key for a vault that holds nothing yet: what the key file had opens nothing.
pub(super) fn new_key(files: &Files, unlock: &Unlock<'_>) -> Result<(Secret, Entry), VaultError> {
    let key = Secret::random(&mut crate::outside::os_random());
    let entry = Entry::new(&key, &unlock.new.borrow())?;
    key::write(&files.key, std::slice::from_ref(&entry))?;
    unlock.serve(&entry, key.clone());
    Ok((key, entry))
}

/// Opens the database and forgets the entries of the key file that don't open it.
fn unseal(files: &Files, unlock: &Unlock<'_>) -> Result<(Connection, Entry), VaultError> {
    let (database, entry) = unlocked(files, unlock)?;
    if key::read(&files.key)?.is_some_and(|entries| entries.len() > 1) {
        key::leave(&files.key, &entry)?;
    }
    Ok((database, entry))
}

fn unlocked(files: &Files, unlock: &Unlock<'_>) -> Result<(Connection, Entry), VaultError> {
    let entries = key::read(&files.key)?.ok_or_else(|| VaultError::NoKey(files.key.clone()))?;
    let mut last = VaultError::Damaged("the key file");
    for entry in entries {
        match opened(files, &entry, unlock) {
            Ok(database) => return Ok((database, entry)),
            // A key that fits nothing says less than one that is out of reach.
            Err(VaultError::Broken(_)) if is_out_of_reach(&last) => {}
            Err(error @ VaultError::Broken(_)) => last = error,
            Err(error) if is_out_of_reach(&error) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Whether an error is about where the key is.
const fn is_out_of_reach(error: &VaultError) -> bool {
    matches!(error, VaultError::NoKey(_) | VaultError::Keyring(_))
}

fn opened(files: &Files, entry: &Entry, unlock: &Unlock<'_>) -> Result<Connection, VaultError> {
    if let Some(database) = unlock.served(entry).and_then(|key| fits(files, &key).ok()) {
        return Ok(database);
    }
    let key = entry.key(unlock)?;
    let database = fits(files, &key)?;
    unlock.serve(entry, key);
    Ok(database)
}

/// The database, if the key opens its first page.
fn fits(files: &Files, key: &Secret) -> Result<Connection, VaultError> {
    let database = file::open(&files.database, Some(key))?;
    database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(database)
}
