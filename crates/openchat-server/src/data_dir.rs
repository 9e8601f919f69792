//! The data directory: where everything the server keeps is, readable by its owner only.

use crate::failure::Failure;
use rustix::process::geteuid;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The variable that names the directory.
const HOME_VARIABLE: &str = "OPENCHAT_SERVER_HOME";

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "OPENCHAT_SERVER_CONFIG";

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Bytes of the largest file that is read whole: a profile with long comments.
pub(crate) const MAX_FILE: u64 = 256 * 1024;

/// Files of the directory.
pub(crate) mod file {
    pub(crate) const CA_KEY: &str = "ca.key";
    pub(crate) const CA_CERTIFICATE: &str = "ca.crt";
    pub(crate) const SERVER_KEY: &str = "server.key";
    pub(crate) const SERVER_CERTIFICATE: &str = "server.crt";
    pub(crate) const RELAY_KEY: &str = "relay.key";
    pub(crate) const LOG_KEY: &str = "tlog.key";
    /// The statement of the two keys above, by the CA.
    pub(crate) const SERVER_KEYS: &str = "server-keys.pem";
    /// The CA's next key and certificates, from before its change is announced until they are in place.
    pub(crate) const NEXT_KEY: &str = "next-ca.key";
    pub(crate) const NEXT_CERTIFICATE: &str = "next-ca.crt";
    /// A key that the root is asked to certify.
    pub(crate) const ASKED_KEY: &str = "asked-ca.key";
    pub(crate) const HOSTS: &str = "hosts";
    pub(crate) const DATABASE: &str = "openchat.db";
    /// What a restore leaves: the manifest of the backup.
    pub(crate) const RESTORED: &str = "restored.json";
}

/// The directory, which need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Who named it.
    source: &'static str,
    /// What a command that is advised has to say to find it again.
    arguments: String,
}

impl DataDir {
    /// The directory named on the command line or by the environment, else by the configuration
    /// file, else the default place. `config` is the file that the command line named.
    pub(crate) fn find(
        given: Option<PathBuf>,
        configured: Option<PathBuf>,
        config: Option<&Path>,
    ) -> Result<Self, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let given = given.filter(|path| !path.as_os_str().is_empty());
        let by_variable = given.is_some() && given == variable(HOME_VARIABLE).map(PathBuf::from);
        let (path, source) = match (given, configured) {
            (Some(path), _) if by_variable => (path, HOME_VARIABLE),
            (Some(path), _) => (path, "--data"),
            (None, Some(path)) => (path, "file"),
            (None, None) => {
                let place = default_place(
                    variable("XDG_DATA_HOME").map(PathBuf::from),
                    variable("HOME").map(PathBuf::from),
                );
                (place.ok_or_else(no_home)?, "default")
            }
        };
        let path = std::path::absolute(&path).map_err(|e| refused("use", &path, &e))?;
        let named = variable(CONFIG_VARIABLE).map(PathBuf::from);
        let config = config.filter(|config| named.as_deref() != Some(*config));
        let file = config.map_or_else(String::new, |c| format!(" -c {}", quoted(c)));
        let data = match source {
            "--data" => format!(" --data {}", quoted(&path)),
            _ => String::new(),
        };
        Ok(Self { path, source, arguments: file + &data })
    }

    /// A directory that is no place for a server to run, such as a backup.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|e| refused("use", path, &e))?;
        let arguments = format!(" --data {}", quoted(&path));
        Ok(Self { path, source: "--data", arguments })
    }

    /// Who named it: a flag, a variable, the file or nobody.
    pub(crate) const fn source(&self) -> &'static str {
        self.source
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// A command of this program over this directory, to be pasted into a shell.
    pub(crate) fn command(&self, arguments: &str) -> String {
        format!("openchat-server {arguments}{}", self.arguments)
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
        self.check_own()?;
        self.check_private(path, "700")
    }

    /// What root puts into another user's directory, that user's server could not read.
    fn check_own(&self) -> Result<(), Failure> {
        let (owner, user) = (self.owner()?, geteuid().as_raw());
        if owner == user {
            return Ok(());
        }
        let message =
            format!("{} belongs to user {owner}, not to user {user}", self.path.display());
        let hint = format!("do it as that user: sudo -u '#{owner}' openchat-server …");
        Err(Failure::config("owner", message, hint))
    }

    /// A directory inside another one that is private already.
    pub(crate) fn create_below(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|e| refused("create", &self.path, &e))
    }

    /// Whether nothing is in the directory; `why` it has to be so.
    pub(crate) fn check_empty(&self, why: &str) -> Result<(), Failure> {
        let path = &self.path;
        if fs::read_dir(path).map_err(|e| refused("read", path, &e))?.next().is_none() {
            return Ok(());
        }
        let message = format!("{} is not empty, and {why}", path.display());
        let mut aside = path.clone().into_os_string();
        aside.push(".aside");
        let hint = format!("mv {} {}", quoted(path), quoted(Path::new(&aside)));
        Err(Failure::config("not_empty", message, hint))
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

    /// Gives a file the name of another, in whose place it is then, on the disk.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        let path = self.join(to);
        let renamed = fs::rename(self.join(from), &path).and_then(|()| sync(&self.path));
        renamed.map_err(|e| refused("write", &path, &e))
    }

    /// Removes a file, on the disk.
    pub(crate) fn remove(&self, file: &str) -> Result<(), Failure> {
        let path = self.join(file);
        let removed = fs::remove_file(&path).and_then(|()| sync(&self.path));
        removed.map_err(|e| refused("remove", &path, &e))
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

    /// A file whose name need not say whether it holds a key.
    pub(crate) fn read_whole(&self, file: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let path = self.join(file);
        read_whole(&path).map(Zeroizing::new).map_err(|e| refused("read", &path, &e))
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
        if self.has(file::ASKED_KEY) {
            let message = "the root has not certified this server's authority yet";
            return Failure::config("not_certified", message, self.command("ca install FILE"));
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
    path.parent().map_or(Ok(()), sync)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(crate) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read < MAX_FILE) {
        Ok(bytes)
    } else {
        Err(io::Error::other("the file is too large"))
    }
}

pub(crate) fn refused(what: &str, path: &Path, error: &io::Error) -> Failure {
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
        let data = DataDir::at(&place.path().join("a/b")).unwrap();
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
    fn nothing_is_made_in_another_users_directory() {
        let (_place, data) = private();
        data.create().unwrap();
        if std::os::unix::fs::chown(data.path(), Some(65_534), None).is_err() {
            return; // Only root can give a directory away, and only root can make this mistake.
        }
        let failure = data.create().unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Config, "owner"));
        assert!(failure.hint.contains("sudo -u '#65534'"));
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
