//! The data directory: where everything the server keeps is, readable by its owner only.

use crate::failure::Failure;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The variable that names the directory.
const HOME_VARIABLE: &str = "OPENCHAT_SERVER_HOME";

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Bytes of the largest file that is read whole: a profile with long comments.
const MAX_FILE: u64 = 256 * 1024;

/// Files of the directory.
pub(crate) mod file {
    pub(crate) const CA_KEY: &str = "ca.key";
    pub(crate) const CA_CERTIFICATE: &str = "ca.crt";
    pub(crate) const SERVER_KEY: &str = "server.key";
    pub(crate) const SERVER_CERTIFICATE: &str = "server.crt";
    pub(crate) const RELAY_KEY: &str = "relay.key";
    pub(crate) const LOG_KEY: &str = "tlog.key";
    pub(crate) const HOSTS: &str = "hosts";
    pub(crate) const DATABASE: &str = "openchat.db";
}

/// The directory, which need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Whether a command that is advised has to name it.
    named: bool,
}

impl DataDir {
    /// The directory named on the command line or by the environment, else the default place.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let from_environment = variable(HOME_VARIABLE).map(PathBuf::from);
        let named = given.is_some() && given != from_environment;
        let path = match given.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => path,
            None => default_place(
                variable("XDG_DATA_HOME").map(PathBuf::from),
                variable("HOME").map(PathBuf::from),
            )
            .ok_or_else(no_home)?,
        };
        let path = std::path::absolute(&path).map_err(|e| refused("use", &path, &e))?;
        Ok(Self { path, named })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// A command of this program over this directory, to be pasted into a shell.
    pub(crate) fn command(&self, arguments: &str) -> String {
        if self.named {
            format!("openchat-server {arguments} --data {}", quoted(&self.path))
        } else {
            format!("openchat-server {arguments}")
        }
    }

    /// Makes the directory for its owner alone. One with something in it must be so already.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let path = &self.path;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| refused("create", path, &e))?;
        let empty = fs::read_dir(path).map_err(|e| refused("read", path, &e))?.next().is_none();
        if empty {
            let private = fs::set_permissions(path, Permissions::from_mode(0o700));
            private.map_err(|e| refused("protect", path, &e))?;
        }
        self.check_private(path, "700")
    }

    /// Whether the directory exists, for its owner alone.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.check_private(&self.path, "700")
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        fs::symlink_metadata(self.join(file)).is_ok()
    }

    /// The user that owns the directory.
    pub(crate) fn owner(&self) -> Result<u32, Failure> {
        let found = fs::metadata(&self.path);
        Ok(found.map_err(|e| refused("read", &self.path, &e))?.uid())
    }

    /// Replaces a file as a whole: after a crash it is the old one or the new one.
    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.join(file);
        replace(&path, bytes).map_err(|e| refused("write", &path, &e))
    }

    /// A file that nobody else may read, because it holds a key.
    pub(crate) fn read_secret(&self, file: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let path = self.join(file);
        self.check_private(&path, "600")?;
        read_whole(&path).map(Zeroizing::new).map_err(|e| self.unreadable(&path, &e))
    }

    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, Failure> {
        let path = self.join(file);
        read_whole(&path).map_err(|e| self.unreadable(&path, &e))
    }

    fn check_private(&self, path: &Path, mode: &str) -> Result<(), Failure> {
        let found = fs::metadata(path).map_err(|e| self.unreadable(path, &e))?;
        if found.permissions().mode() & OTHERS == 0 {
            return Ok(());
        }
        let message = format!("{} is open to other users of this machine", path.display());
        Err(Failure::config("permissions", message, format!("chmod {mode} {}", quoted(path))))
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Failure {
        if error.kind() != io::ErrorKind::NotFound {
            return refused("read", path, error);
        }
        if self.has(file::CA_KEY) || self.has(file::CA_CERTIFICATE) {
            let message = format!("{} is missing from the server's data", path.display());
            return Failure::config("data", message, "restore it from your backup");
        }
        let message = format!("there is no certificate authority in {}", self.path.display());
        Failure::config("no_ca", message, self.command("init-ca"))
    }
}

/// What the XDG specification says, which ignores relative paths.
fn default_place(xdg_data: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let share = xdg_data
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| home.join(".local/share")));
    share.map(|share| share.join("openchat-server"))
}

fn no_home() -> Failure {
    let message = "no home directory is known: HOME is not set";
    Failure::config("no_home", message, "openchat-server --data DIR …")
}

/// A new file beside the old one, on the disk before it takes the old one's name.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read < MAX_FILE) {
        Ok(bytes)
    } else {
        Err(io::Error::other("the file is too large"))
    }
}

fn refused(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("can't {what} {}: {error}", path.display());
    Failure::config("data", message, format!("ls -ld {}", quoted(path)))
}

/// A path as a shell takes it for one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn private() -> (tempfile::TempDir, DataDir) {
        let place = tempfile::Builder::new().prefix("data dir ").tempdir().unwrap();
        let data = DataDir { path: place.path().join("a/b"), named: true };
        (place, data)
    }

    #[test]
    fn it_is_made_for_its_owner_alone_and_so_are_its_files() {
        let (_place, data) = private();
        data.create().unwrap();
        data.write("k", b"1").unwrap();
        data.write("k", b"22").unwrap();
        assert_eq!(data.read_secret("k").unwrap().as_slice(), b"22");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(data.path()), mode(&data.join("k"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn what_others_may_read_is_refused_with_the_command_that_helps() {
        let (_place, data) = private();
        data.create().unwrap();
        data.write("k", b"1").unwrap();
        fs::set_permissions(data.join("k"), Permissions::from_mode(0o640)).unwrap();
        let failure = data.read_secret("k").unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert_eq!(failure.hint, format!("chmod 600 '{}'", data.join("k").display()));
        fs::set_permissions(data.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(data.check().is_err());
        assert!(data.create().is_err(), "a directory in use is not changed");
    }

    #[test]
    fn nothing_there_means_no_ca_yet() {
        let (_place, data) = private();
        let failure = data.check().unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Config, "no_ca"));
        assert_eq!(
            failure.hint,
            format!("openchat-server init-ca --data '{}'", data.path.display())
        );
    }

    #[test]
    fn huge_files_are_refused() {
        let (_place, data) = private();
        data.create().unwrap();
        data.write("k", &vec![0; 256 * 1024]).unwrap();
        assert!(data.read("k").is_err());
    }

    #[test]
    fn the_default_follows_xdg() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(default_place(path("/x"), path("/h")), path("/x/openchat-server"));
        let home = path("/h/.local/share/openchat-server");
        assert_eq!(default_place(path("relative"), path("/h")), home);
        assert_eq!(default_place(None, None), None);
    }

    #[test]
    fn a_quoted_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a/b-1")), "/a/b-1");
        assert_eq!(quoted(Path::new("/it's a")), r"'/it'\''s a'");
    }
}
