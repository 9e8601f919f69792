//! Looking for what must not be there.

use crate::Person;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::path::{Path, PathBuf};

/// How PKCS#8 introduces the 32 bytes of a P-256 private key (RFC 5915: version 1, octet string).
const KEY_FOLLOWS: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];

/// Kind of the vault's records that hold a group's secrets. The first byte of their keys says which:
/// [`SECRETS`], [`NODE`] or [`RATCHET`].
const GROUP_STATE: u8 = 14;

/// Leaf, init, hedge and external secret, at the end of the record.
const SECRETS: u8 = 0;

/// A secret of an epoch's secret tree.
const NODE: u8 = 3;

/// A sender's ratchet, whose secret is at the end of the record.
const RATCHET: u8 = 4;

/// Kind of the vault's records that begin with the private part of a prekey.
const PREKEYS: u8 = 15;

/// Bytes of a secret.
const SECRET: usize = 32;

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

/// The private keys that stand in a person's vault.
///
/// # Panics
/// If the vault can't be read.
#[must_use]
pub fn identity_keys(person: &Person) -> Vec<Vec<u8>> {
    vaults(person)
        .iter()
        .flat_map(|vault| values(&open(vault)))
        .flat_map(|it| keys_in(&it))
        .collect()
}

/// Whether a person's vault, once it is opened, holds these bytes.
///
/// # Panics
/// If the vault can't be read, or `wanted` is empty.
#[must_use]
pub fn vault_holds(person: &Person, wanted: &[u8]) -> bool {
    let holds = |value: Vec<u8>| value.windows(wanted.len()).any(|window| window == wanted);
    vaults(person).iter().flat_map(|vault| values(&open(vault))).any(holds)
}

/// Secrets of a person's groups, from the vault: leaf, init, hedge and external secret of each
/// group's last good epoch, what its epochs' message keys come from, and the prekeys' private parts.
///
/// # Panics
/// If the vault can't be read, or a record is shorter than its secrets.
#[must_use]
pub fn group_secrets(person: &Person) -> Vec<Vec<u8>> {
    vaults(person).iter().flat_map(|vault| secrets_in(&open(vault))).collect()
}

/// Takes from a person's vault all that is known of the groups but that they exist and what they
/// are called, as a damaged disk might.
///
/// # Panics
/// If the vault can't be changed.
pub fn forget_groups(person: &Person) {
    for vault in vaults(person) {
        let forgotten = open(&vault).execute("DELETE FROM records WHERE grp != zeroblob(32)", []);
        assert_ne!(forgotten.expect("records"), 0, "{} has groups", person.name());
    }
}

fn vaults(person: &Person) -> Vec<PathBuf> {
    let mut files = files_below(person.home());
    files.retain(|file| file.ends_with("vault.db"));
    files
}

/// Opens a vault with the key that lies beside it.
fn open(vault: &Path) -> Connection {
    let key = std::fs::read_to_string(vault.with_file_name("vault.key")).expect("a key");
    let key = key.trim_end().rsplit(' ').next().expect("the key's digits");
    let opened = Connection::open_with_flags(vault, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let opened = opened.expect("a vault");
    let told = format!(
        "PRAGMA cipher_default_page_size = 8192;
         PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256;
         PRAGMA key = \"x'{key}'\""
    );
    opened.execute_batch(&told).expect("a key");
    opened
}

/// Everything that the tables hold, value by value.
fn values(vault: &Connection) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for table in ["identity", "saved_keys", "records", "conversations", "messages"] {
        let mut read = vault.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let count = read.column_count();
        let mut rows = read.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..count {
                match row.get_ref(column).expect("a column") {
                    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => all.push(bytes.to_vec()),
                    ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {}
                }
            }
        }
    }
    all
}

fn secrets_in(vault: &Connection) -> Vec<Vec<u8>> {
    let mut records = vault
        .prepare("SELECT kind, sub, value FROM records WHERE kind IN (?1, ?2)")
        .expect("a table");
    let rows = records
        .query_map([GROUP_STATE, PREKEYS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("records");
    rows.flat_map(|row: rusqlite::Result<(u8, Vec<u8>, Vec<u8>)>| {
        let (kind, sub, value) = row.expect("a record");
        let last = |count: usize| {
            value[value.len().checked_sub(count * SECRET).expect("secrets")..].to_vec()
        };
        let secrets = match (kind, sub.first()) {
            (PREKEYS, _) => value[..SECRET].to_vec(),
            (_, Some(&SECRETS)) => last(4),
            (_, Some(&(NODE | RATCHET))) => last(1),
            _ => Vec::new(),
        };
        secrets.chunks(SECRET).map(<[u8]>::to_vec).collect::<Vec<_>>()
    })
    .collect()
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
