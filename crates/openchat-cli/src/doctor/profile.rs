//! The profile's directory: who may read it, the room on its disk, and whether the vault opens.

use super::{Finding, Looked};
use crate::{context::Context, text::quoted_path};
use openchat_client::{Kept, Vault, VaultError};
use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const PERMISSIONS: &str = "permissions";
const DISK: &str = "disk";
const VAULT: &str = "vault";

/// Whoever has less than this should make room: a vault of years is smaller, and the database needs
/// some of it to work at all.
const LITTLE: u64 = 100 << 20;

/// What only the owner may read: the messages, the key, and what the database has not written back.
const PRIVATE: [&str; 4] = ["vault.db", "vault.db-wal", "vault.db-shm", "vault.key"];

/// Who may do what with a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mode {
    path: PathBuf,
    found: u32,
    /// The most that it should be.
    wanted: u32,
}

pub(super) fn check(directory: &Path) -> Vec<Finding> {
    let mut modes = vec![mode(directory, 0o700)];
    modes.extend(PRIVATE.iter().map(|name| mode(&directory.join(name), 0o600)));
    let mut findings = permissions(modes.into_iter().filter_map(Result::transpose).collect());
    findings.push(room(directory, free(directory)));
    findings
}

/// The key file, if it is not beside the vault.
pub(super) fn key_elsewhere(vault: &Vault) -> Vec<Finding> {
    match vault.kept() {
        Kept::At(path) => permissions(mode(path, 0o600).transpose().into_iter().collect()),
        Kept::Beside | Kept::Passphrase | Kept::Keyring => Vec::new(),
    }
}

pub(super) fn vault(context: &Context, looked: &Looked) -> Finding {
    let place = context.directory().display().to_string();
    match looked {
        Ok(Some((vault, identity))) => {
            let key = match vault.kept() {
                Kept::Beside => "its key beside it",
                Kept::At(_) => "its key in a file elsewhere",
                Kept::Passphrase => "its key under a passphrase",
                Kept::Keyring => "its key in the keyring",
            };
            Finding::ok(VAULT, format!("{place} opens, {key}; it is {}'s", identity.name))
        }
        Ok(None) => {
            let fault = context.hints.not_enrolled();
            Finding::fail(VAULT, format!("{}: {place}", fault.message), fault.hint)
        }
        Err(error @ VaultError::InUse(_)) => {
            Finding::warn(VAULT, error.to_string(), context.hints.vault(error).hint)
        }
        Err(error) => Finding::of_fault(VAULT, context.hints.vault(error)),
    }
}

fn mode(path: &Path, wanted: u32) -> io::Result<Option<Mode>> {
    match std::fs::metadata(path) {
        Ok(found) => {
            let found = found.permissions().mode() & 0o777;
            Ok(Some(Mode { path: path.to_owned(), found, wanted }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

fn permissions(modes: Vec<io::Result<Mode>>) -> Vec<Finding> {
    if modes.is_empty() {
        return Vec::new();
    }
    let count = modes.len();
    let wrong: Vec<Finding> = modes.into_iter().filter_map(wrong).collect();
    if wrong.is_empty() {
        let whose = if count == 1 { "one place" } else { "the directory and what is in it" };
        return vec![Finding::ok(PERMISSIONS, format!("{whose}: only you may read it"))];
    }
    wrong
}

fn wrong(mode: io::Result<Mode>) -> Option<Finding> {
    let Mode { path, found, wanted } = match mode {
        Ok(mode) => mode,
        Err(error) => return Some(Finding::fail(PERMISSIONS, error.to_string(), "id; ls -ld ~")),
    };
    // What the owner must not be without, and what nobody else may have.
    let is_open = found & !wanted != 0;
    if !is_open && found & wanted == wanted {
        return None;
    }
    let what = if is_open { "others may use it" } else { "you may not use it" };
    let message = format!("{} is {found:04o}, not {wanted:04o}: {what}", path.display());
    Some(Finding::fail(PERMISSIONS, message, format!("chmod {wanted:o} {}", quoted_path(&path))))
}

/// The bytes that this person may still write where the directory is, or will be.
fn free(directory: &Path) -> io::Result<u64> {
    let nearest = directory.ancestors().find(|place| place.is_dir());
    let found = rustix::fs::statvfs(nearest.unwrap_or(directory))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn room(directory: &Path, free: io::Result<u64>) -> Finding {
    let df = format!("df -h {}", quoted_path(directory));
    match free {
        Ok(free) if free < LITTLE => {
            Finding::warn(DISK, format!("only {} MB are free", free >> 20), df)
        }
        Ok(free) => Finding::ok(DISK, format!("{} MB are free", free >> 20)),
        Err(error) => Finding::warn(DISK, format!("nobody knows what is free: {error}"), df),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    fn judged(found: u32, wanted: u32) -> Finding {
        let path = PathBuf::from("/h/a b");
        permissions(vec![Ok(Mode { path, found, wanted })]).remove(0)
    }

    #[test]
    fn only_the_owner_may_read() {
        assert_eq!(judged(0o700, 0o700).level, Level::Ok);
        assert_eq!(judged(0o600, 0o600).level, Level::Ok);
        for (mode, wanted) in [(0o755, 0o700), (0o710, 0o700), (0o640, 0o600), (0o604, 0o600)] {
            let finding = judged(mode, wanted);
            assert_eq!(finding.level, Level::Fail, "{mode:o}");
            assert_eq!(finding.hint, Some(format!("chmod {wanted:o} '/h/a b'")));
        }
        assert!(judged(0o400, 0o600).message.contains("you may not"));
    }

    #[test]
    fn what_is_not_there_is_not_judged() {
        let place = tempfile::tempdir().unwrap();
        let findings = check(&place.path().join("none"));
        assert_eq!(findings.iter().map(|it| it.check).collect::<Vec<_>>(), [DISK]);
        assert_eq!(permissions(vec![Err(io::Error::other("no"))])[0].level, Level::Fail);
    }

    #[test]
    fn little_room_is_told() {
        let level = |free| room(Path::new("/"), Ok(free)).level;
        assert_eq!((level(LITTLE - 1), level(LITTLE)), (Level::Warn, Level::Ok));
        assert_eq!(room(Path::new("/"), Err(io::Error::other("no"))).level, Level::Warn);
    }
}
