//! What is in a backup, file by file, so that one that was cut or changed is found.

use crate::{
    data_dir::{DataDir, file, refused},
    failure::{Exit, Failure},
    operator::text::moment,
};
use openchat_crypto::sha256;
use openchat_store_sqlite::Checked;
use openchat_wire::{Digest, UnixMillis};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// The manifest's file name.
pub(crate) const MANIFEST: &str = "backup.json";

/// Bytes of one piece; a database is hashed in pieces, and then their hashes.
const PIECE: u64 = 1024 * 1024;

/// A backup's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// When it was made.
    pub(crate) made: UnixMillis,
    /// Names, relative to the directory, and hashes.
    pub(crate) files: BTreeMap<String, String>,
    /// Entries of the transparency log: how far back a restore goes.
    pub(crate) recorded: u64,
}

impl Manifest {
    /// Of everything in the directory.
    pub(crate) fn of(copy: &DataDir, made: UnixMillis, checked: &Checked) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        list(copy, "", &mut files)?;
        Ok(Self { made, files, recorded: checked.recorded })
    }

    pub(crate) fn to_json(&self) -> String {
        let files: Map<String, Value> =
            self.files.iter().map(|(name, hash)| (name.clone(), json!(hash))).collect();
        let object = json!({
            "v": 1, "type": "backup", "program": env!("CARGO_PKG_VERSION"),
            "made": moment(self.made), "made_ms": self.made.0, "recorded": self.recorded,
            "sha256_of_sha256_of_each_mib": files
        });
        format!("{object:#}\n")
    }

    /// The manifest in a directory.
    ///
    /// # Errors
    /// If there is none, or it is none.
    pub(crate) fn read(copy: &DataDir) -> Result<Self, Failure> {
        if !copy.has(MANIFEST) {
            let message = format!("{} is not a finished backup", copy.path().display());
            let hint = "name a directory that `openchat-server backup` made";
            return Err(Failure::config("no_backup", message, hint));
        }
        let bytes = copy.read_whole(MANIFEST)?;
        Self::parse(&bytes).ok_or_else(|| {
            let message = format!("{} can't be read", copy.join(MANIFEST).display());
            Failure::new(Exit::Failure, "damaged", message, "take another backup")
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let object: Value = serde_json::from_slice(bytes).ok()?;
        let listed = object.get("sha256_of_sha256_of_each_mib")?.as_object()?;
        let mut files = BTreeMap::new();
        for (name, hash) in listed {
            // A name leads to a file that is written: it has to stay inside.
            let inside = name.strip_prefix("pki/").unwrap_or(name);
            if !is_kept(inside) {
                return None;
            }
            files.insert(name.clone(), hash.as_str()?.to_owned());
        }
        let number = |key| object.get(key).and_then(Value::as_u64);
        Some(Self { made: UnixMillis(number("made_ms")?), files, recorded: number("recorded")? })
    }

    /// Whether every file is there, unchanged.
    ///
    /// # Errors
    /// For the first one that is not.
    pub(crate) fn check(&self, copy: &DataDir) -> Result<(), Failure> {
        for (name, expected) in &self.files {
            let path = copy.join(name);
            let found = hashed(&path).map_err(|e| refused("read", &path, &e))?;
            if found != *expected {
                let message = format!("{} is not as it was backed up", path.display());
                return Err(Failure::new(
                    Exit::Failure,
                    "damaged",
                    message,
                    "take another backup of the same server",
                ));
            }
        }
        Ok(())
    }
}

/// When the backup was made that a data directory was restored from, if it was.
pub(crate) fn restored(data: &DataDir) -> Result<Option<UnixMillis>, Failure> {
    if !data.has(file::RESTORED) {
        return Ok(None);
    }
    let bytes = data.read_whole(file::RESTORED)?;
    Ok(Manifest::parse(&bytes).map(|manifest| manifest.made))
}

/// Whether this is a plain name of a file that a server may keep.
pub(crate) fn is_kept(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

fn list(copy: &DataDir, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    let directory = copy.join(prefix);
    let failed = |e: &io::Error| refused("read", &directory, e);
    for entry in fs::read_dir(&directory).map_err(|e| failed(&e))? {
        let entry = entry.map_err(|e| failed(&e))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(|e| failed(&e))?.is_dir() {
            list(copy, &format!("{name}/"), files)?;
        } else {
            files.insert(name, hashed(&entry.path()).map_err(|e| failed(&e))?);
        }
    }
    Ok(())
}

fn hashed(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hashes: Vec<u8> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if Read::by_ref(&mut file).take(PIECE).read_to_end(&mut piece)? == 0 {
            return Ok(sha256(&hashes).to_string());
        }
        let Digest(hash) = sha256(&piece);
        hashes.extend_from_slice(&hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> (tempfile::TempDir, DataDir, Manifest) {
        let place = tempfile::tempdir().unwrap();
        let copy = DataDir::at(&place.path().join("copy")).unwrap();
        copy.create().unwrap();
        copy.write("openchat.db", &vec![7; 3_000_000]).unwrap();
        DataDir::at(&copy.join("pki")).unwrap().create().unwrap();
        copy.write("pki/ca.toml", b"a = 1").unwrap();
        let checked = Checked { version: 2, recorded: 5, entries: 6 };
        let manifest = Manifest::of(&copy, UnixMillis(1_000), &checked).unwrap();
        (place, copy, manifest)
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let (_place, copy, manifest) = backup();
        assert_eq!(manifest.files.len(), 2);
        assert_eq!(Manifest::parse(manifest.to_json().as_bytes()), Some(manifest.clone()));
        assert!(manifest.check(&copy).is_ok());
        assert_eq!(Manifest::read(&copy).unwrap_err().code, "no_backup");
    }

    #[test]
    fn a_changed_byte_anywhere_is_found() {
        let (_place, copy, manifest) = backup();
        for at in [0, 1_500_000, 2_999_999] {
            let mut bytes = vec![7; 3_000_000];
            bytes[at] = 8;
            copy.write("openchat.db", &bytes).unwrap();
            assert_eq!(manifest.check(&copy).unwrap_err().code, "damaged");
        }
        copy.write("openchat.db", &[7; 1_000]).unwrap();
        assert!(manifest.check(&copy).is_err());
        fs::remove_file(copy.join("openchat.db")).unwrap();
        assert!(manifest.check(&copy).is_err());
    }

    #[test]
    fn names_stay_inside_the_directory() {
        for bad in ["../x", "/etc/x", "a/b", "pki/../x", "pki/pki/x", ".hidden", "", "a b"] {
            let (_place, _copy, mut manifest) = backup();
            manifest.files.insert(bad.to_owned(), String::new());
            assert_eq!(Manifest::parse(manifest.to_json().as_bytes()), None, "{bad}");
        }
    }
}
