//! Looking for what must not be there.

use crate::Person;
use std::path::{Path, PathBuf};

/// How PKCS#8 introduces the 32 bytes of a P-256 private key (RFC 5915: version 1, octet string).
const KEY_FOLLOWS: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

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
