//! Files that prove to others what a server did. They lie beside the vault, not in it: they are to
//! be handed on.

use super::{Vault, VaultError, file::at};
use openchat_crypto::sha256;
use std::{
    fs::{DirBuilder, File, OpenOptions, read_dir},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const DIRECTORY: &str = "evidence";

/// How their names end.
const ENDING: &str = "evidence";

/// Files that are kept. One proves it; a server that goes on lying fills no disk.
const MOST: usize = 16;

impl Vault {
    /// Keeps a file of evidence, once, and says where; nothing if there are enough.
    ///
    /// # Errors
    /// [`VaultError::File`]
    pub fn keep_evidence(&self, bytes: &[u8]) -> Result<Option<PathBuf>, VaultError> {
        let vault = self.database.path().map(Path::new).and_then(Path::parent);
        let Some(directory) = vault.map(|vault| vault.join(DIRECTORY)) else { return Ok(None) };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(at(&directory))?;
        let path = directory.join(name(bytes));
        if path.try_exists().map_err(at(&path))? {
            return Ok(Some(path));
        }
        if read_dir(&directory).map_err(at(&directory))?.count() >= MOST {
            return Ok(None);
        }
        write(&directory, &path, bytes).map_err(at(&path))?;
        Ok(Some(path))
    }
}

impl Vault {
    /// The files of evidence, by their names.
    ///
    /// # Errors
    /// [`VaultError::File`]
    pub fn evidence(&self) -> Result<Vec<PathBuf>, VaultError> {
        let directory = self.directory.join(DIRECTORY);
        let files = match read_dir(&directory) {
            Ok(files) => files.map(|file| file.map(|file| file.path())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let mut files: Vec<PathBuf> = files.map_err(at(&directory))?;
        // What has another ending was not written to its end.
        files.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
        files.sort();
        Ok(files)
    }
}

/// The same evidence has the same name.
fn name(bytes: &[u8]) -> String {
    let short: String = sha256(bytes).to_string().chars().take(16).collect();
    format!("server-{short}.{ENDING}")
}

fn write(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_kept_once_and_not_without_end() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::open(&home.path().join("p")).unwrap();
        assert!(vault.evidence().unwrap().is_empty());
        let path = vault.keep_evidence(b"it lied").unwrap().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"it lied");
        assert_eq!(vault.keep_evidence(b"it lied").unwrap(), Some(path.clone()));
        for lie in 0..MOST {
            vault.keep_evidence(format!("lie {lie}").as_bytes()).unwrap();
        }
        assert_eq!(vault.keep_evidence(b"one more").unwrap(), None);
        let kept = read_dir(home.path().join("p/evidence")).unwrap().count();
        assert_eq!(kept, MOST);
        let listed = vault.evidence().unwrap();
        assert!(listed.len() == MOST && listed.is_sorted() && listed.contains(&path));
    }
}
