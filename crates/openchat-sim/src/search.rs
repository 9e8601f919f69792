//! Looking for what must not be there.

use crate::Person;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// How PKCS#8 introduces the 32 bytes of a P-256 private key (RFC 5915: version 1, octet string).
const KEY_FOLLOWS: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

/// Kind of the vault's record that ends with leaf, init, hedge and external secret of a group.
const GROUP_SECRETS: u8 = 3;

/// Kind of the vault's record that ends with a message ratchet's secret.
const RATCHETS: u8 = 4;

/// All regular files below a folder.
///
/// # Panics
/// If a folder can't be read.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder that can be read");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// The files that hold these bytes anywhere.
///
/// # Panics
/// If a file can't be read, or `wanted` is empty.
#[must_use]
pub fn files_with<'a>(files: &'a [PathBuf], wanted: &[u8]) -> Vec<&'a Path> {
    let holds = |file: &&PathBuf| {
        let bytes = std::fs::read(file).expect("a file that can be read");
        bytes.windows(wanted.len()).any(|window| window == wanted)
    };
    files.iter().filter(holds).map(PathBuf::as_path).collect()
}

/// The private keys that stand in a person's own files.
///
/// # Panics
/// If a file can't be read.
#[must_use]
pub fn identity_keys(person: &Person) -> Vec<Vec<u8>> {
    let files = files_below(person.home());
    files.iter().flat_map(|file| keys_in(&std::fs::read(file).expect("a file"))).collect()
}

/// Secrets of a person's groups, from the vault: leaf, init, hedge and external secret of each
/// group's last good epoch, and a message ratchet of each epoch kept.
///
/// # Panics
/// If the vault can't be read, or a record is shorter than its secrets.
#[must_use]
pub fn group_secrets(person: &Person) -> Vec<Vec<u8>> {
    let files = files_below(person.home());
    let vaults = files.iter().filter(|file| file.ends_with("vault.db"));
    vaults.flat_map(|vault| secrets_in(vault)).collect()
}

fn secrets_in(vault: &Path) -> Vec<Vec<u8>> {
    let database = Connection::open_with_flags(vault, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let database = database.expect("a vault");
    let last_of = |kind: u8, bytes: usize| {
        let mut records =
            database.prepare("SELECT value FROM records WHERE kind = ?1").expect("a table");
        let values = records.query_map([kind], |row| row.get::<_, Vec<u8>>(0)).expect("records");
        let values = values.map(|value| value.expect("bytes"));
        values
            .flat_map(|value| {
                let secrets = &value[value.len().checked_sub(bytes).expect("secrets")..];
                secrets.chunks(32).map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    [last_of(GROUP_SECRETS, 4 * 32), last_of(RATCHETS, 32)].concat()
}

fn keys_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let windows = bytes.windows(KEY_FOLLOWS.len() + 32);
    let keys = windows.filter_map(|window| window.strip_prefix(&KEY_FOLLOWS));
    keys.map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let inner = place.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("file"), b"..needle..").unwrap();
        let files = files_below(place.path());
        assert_eq!(files_with(&files, b"needle"), [inner.join("file")]);
        assert!(files_with(&files, b"needles").is_empty());
    }

    #[test]
    fn keys_are_found_where_pkcs8_puts_them() {
        let stored = [b"before".as_slice(), &KEY_FOLLOWS, &[7; 32], b"after"].concat();
        assert_eq!(keys_in(&stored), [[7; 32]]);
    }
}
