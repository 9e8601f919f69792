//! Writing a file that somebody has sent to where its person says, and nowhere else.

use crate::vault::{FileState, KeptFile, Vault, VaultError};
use openchat_crypto::Hasher;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Why a file is not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Some of it has not come.
    #[error("'{name}' is not all here yet: {done} of {size} bytes")]
    Coming {
        /// What its sender calls it.
        name: String,
        /// What is here.
        done: u64,
        /// All of it.
        size: u64,
    },
    /// It was another one than was offered.
    #[error("'{0}' was not what its sender had announced, and is not kept")]
    Wrong(String),
    /// It was given up before it was whole.
    #[error("'{0}' did not come whole, and is not kept: too many others were under way")]
    GivenUp(String),
    /// There is something of that name.
    #[error("{} is there already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// It can't be written.
    #[error("{}: {cause}", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The vault can't be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Writes a file into the directory `to`, or to that very path, and gives where it is. It is readable by
/// its person alone, can't be executed, replaces nothing, and is whole when it appears.
///
/// # Errors
/// [`SaveError`]; nothing is left behind then.
pub fn save(vault: &Vault, file: &KeptFile, to: &Path) -> Result<PathBuf, SaveError> {
    let name = file.offer.name.clone();
    match file.state {
        FileState::Whole => {}
        FileState::Wrong => return Err(SaveError::Wrong(name)),
        FileState::GivenUp => return Err(SaveError::GivenUp(name)),
        FileState::Coming { done } => {
            return Err(SaveError::Coming { name, done, size: file.offer.size });
        }
    }
    let path = if to.is_dir() { to.join(visible(&name)) } else { to.to_owned() };
    if path.symlink_metadata().is_ok() {
        return Err(SaveError::Exists(path));
    }
    let partial = partial(&path);
    let written = write(vault, file, &partial).and_then(|()| settle(&partial, &path));
    // What is not whole would only mislead. The first error is the one to tell.
    let _ = fs::remove_file(&partial);
    written.map(|()| path)
}

/// What a file is saved as where only the directory was said: one that the shell shows, and that no
/// program takes for an option or for its own settings.
#[must_use]
pub fn visible(name: &str) -> String {
    match name.strip_prefix(['.', '-']) {
        Some(rest) => format!("_{rest}"),
        None => name.to_owned(),
    }
}

fn partial(path: &Path) -> PathBuf {
    let id = crate::outside::message_id();
    path.with_file_name(format!(".openchat-{id}.part"))
}

fn write(vault: &Vault, file: &KeptFile, path: &Path) -> Result<(), SaveError> {
    let at = |cause| SaveError::Unwritable { path: path.to_owned(), cause };
    let mut out =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at)?;
    let mut hasher = Hasher::new();
    for index in 0..file.offer.chunks() {
        let part = vault.part(file.group.as_ref(), &file.message, index)?;
        let part = part.ok_or(VaultError::Damaged("a part of a file"))?;
        hasher.update(&part);
        out.write_all(&part).map_err(at)?;
    }
    if hasher.finish() != file.offer.hash {
        return Err(VaultError::Damaged("a file").into());
    }
    out.sync_all().map_err(at)
}

/// Gives it its name, if there is nothing of that name even now.
fn settle(partial: &Path, path: &Path) -> Result<(), SaveError> {
    let at = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AlreadyExists => SaveError::Exists(path.to_owned()),
        _ => SaveError::Unwritable { path: path.to_owned(), cause },
    };
    match fs::hard_link(partial, path) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Err(at(cause)),
        // Not every file system has links.
        Err(_) => rename(partial, path).map_err(at)?,
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new("."))).and_then(|it| it.sync_all()).map_err(at)
}

/// Takes the name first, so that nothing is replaced; an empty file of that name would only mislead.
fn rename(partial: &Path, path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fs::rename(partial, path).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests;
