//! Why a vault can't be used.

use super::keyring::KeyringError;
use rusqlite::ErrorCode;
use std::{io, path::PathBuf};

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
    /// It has a passphrase, and there is nobody to ask for it.
    #[error("the vault has a passphrase, and nothing says it")]
    Locked,
    /// Not that passphrase.
    #[error("this is not the vault's passphrase")]
    WrongPassphrase,
    /// What its key is made from is gone.
    #[error("the vault's key is not there: {}", .0.display())]
    NoKey(PathBuf),
    /// Its key is in the keyring, or should be, and does not come from there.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A value in it is not what this program writes.
    #[error("the vault is damaged: {0}")]
    Damaged(&'static str),
    /// A page of the file does not open, or is not where it was.
    #[error("the vault's file is damaged, or sealed with another key: {0}")]
    Broken(rusqlite::Error),
    /// Something is there already that would be overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// It is not a backup, or it was made with another passphrase.
    #[error("{} does not open: it is no backup of openchat, or has another passphrase", .0.display())]
    NoBackup(PathBuf),
    /// The profile has somebody in it already.
    #[error("this profile belongs to {0} already")]
    NotEmpty(openchat_wire::Name),
    /// The database failed.
    #[error("the vault can't be read or written: {0}")]
    Database(rusqlite::Error),
    /// A file or directory failed.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl From<rusqlite::Error> for VaultError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Broken(error),
            _ => Self::Database(error),
        }
    }
}
