//! The passphrase of the CA's key: from a file, from systemd's credentials, or typed.

use crate::{
    config::Located,
    data_dir::quoted,
    failure::{Exit, Failure},
};
use openchat_pki::Passphrase;
use rustix::process::geteuid;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Bytes of a passphrase's file. What is longer was not typed by anybody.
const MAX_FILE: u64 = 1_024;

/// The credential of this name is taken if the unit has one (`LoadCredential=`).
const CREDENTIAL: &str = "ca-passphrase";

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Where the passphrase comes from when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct Passphrases {
    from: From,
    /// Whether somebody may be asked.
    prompt: bool,
}

#[derive(Debug, Clone)]
enum From {
    Nowhere,
    Stdin,
    File(PathBuf),
}

impl Passphrases {
    /// From the file that was named, else from systemd, else from whoever sits at the terminal.
    pub(crate) fn of(
        located: &Located,
        flag: Option<&Path>,
        no_input: bool,
    ) -> Result<Self, Failure> {
        let named = located.passphrase_file(flag)?;
        Ok(Self::from(named.as_deref().or(credential().as_deref()), no_input))
    }

    /// From this file, if it is one.
    pub(crate) fn from(named: Option<&Path>, no_input: bool) -> Self {
        let from = match named {
            None => From::Nowhere,
            Some(path) if path == Path::new("-") => From::Stdin,
            Some(path) => From::File(path.to_owned()),
        };
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { from, prompt: terminal && !no_input }
    }

    /// Nobody has it.
    pub(crate) const fn none() -> Self {
        Self { from: From::Nowhere, prompt: false }
    }

    /// Whether one was named.
    pub(crate) const fn is_named(&self) -> bool {
        !matches!(self.from, From::Nowhere)
    }

    /// The passphrase of this key.
    ///
    /// # Errors
    /// If nobody has it, or the file is open to others.
    pub(crate) fn read(&self, key: &Path) -> Result<Passphrase, Failure> {
        match &self.from {
            From::File(path) => from_file(path),
            From::Stdin if !self.prompt => from_stream(io::stdin().lock(), "stdin"),
            From::Stdin | From::Nowhere if self.prompt => {
                typed(&format!("Passphrase of {}: ", key.display()))
            }
            From::Stdin | From::Nowhere => Err(missing(key)),
        }
    }

    /// A new one, asked for twice where somebody types it.
    ///
    /// # Errors
    /// As [`read`](Self::read); or if it was not the same twice.
    pub(crate) fn read_new(&self, key: &Path) -> Result<Passphrase, Failure> {
        if !self.prompt || matches!(self.from, From::File(_)) {
            return self.read(key);
        }
        let first = line(&format!("New passphrase of {}: ", key.display()))?;
        let again = line("The same again: ")?;
        if *first != *again {
            let message = "the two are not the same";
            return Err(Failure::new(Exit::Usage, "passphrase", message, "type it again"));
        }
        Ok(Passphrase::new(first))
    }

    /// What was given does not open this key.
    pub(crate) fn wrong(&self, key: &Path) -> Failure {
        let message = format!("the passphrase is not that of {}", key.display());
        let hint = match &self.from {
            From::File(path) => format!("look into {}", quoted(path)),
            From::Stdin | From::Nowhere => "type it again; nobody can recover it".to_owned(),
        };
        Failure::config("passphrase", message, hint)
    }
}

fn missing(key: &Path) -> Failure {
    let message = format!("{} is under a passphrase, and nobody is asked for it", key.display());
    let hint = "say --passphrase-file FILE, or set passphrase_file in the configuration";
    Failure::config("passphrase", message, hint)
}

fn credential() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty())?;
    Some(Path::new(&directory).join(CREDENTIAL)).filter(|path| path.exists())
}

/// The first line of a file that nobody else may read.
fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let unreadable = |error: &io::Error| {
        let message = format!("can't read the passphrase in {}: {error}", path.display());
        Failure::config("passphrase_file", message, format!("ls -l {}", quoted(path)))
    };
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let found = file.metadata().map_err(|e| unreadable(&e))?;
    let (owner, user) = (found.uid(), geteuid().as_raw());
    if found.is_file() && (found.permissions().mode() & OTHERS != 0 || ![0, user].contains(&owner))
    {
        let message = format!("{} is open to other users of this machine", path.display());
        let hint = format!("chown {user} {0} && chmod 600 {0}", quoted(path));
        return Err(Failure::config("permissions", message, hint));
    }
    from_stream(BufReader::new(file), &path.display().to_string())
}

fn from_stream(stream: impl BufRead, name: &str) -> Result<Passphrase, Failure> {
    let failed = |why: &str| {
        let message = format!("there is no passphrase in {name}: {why}");
        Failure::config("passphrase_file", message, "put the passphrase into its first line")
    };
    // Reserved at once: a string that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(1_024));
    let read = stream.take(MAX_FILE).read_line(&mut line);
    read.map_err(|error| failed(&error.to_string()))?;
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    if line.is_empty() {
        return Err(failed("its first line is empty"));
    }
    Ok(Passphrase::new(line))
}

fn typed(question: &str) -> Result<Passphrase, Failure> {
    line(question).map(Passphrase::new)
}

/// A line that is not shown while it is typed.
fn line(question: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| {
        Failure::system("can't ask for the passphrase", &error, "say --passphrase-file FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_helps() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p");
        fs::write(&path, "correct horse battery\nrest\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let passphrases = Passphrases::from(Some(&path), true);
        let failure = passphrases.read(Path::new("k")).unwrap_err();
        assert_eq!(failure.code, "permissions");
        assert!(failure.hint.contains("chmod 600"), "{}", failure.hint);
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(passphrases.read(Path::new("k")).is_ok());
        fs::remove_file(&path).unwrap();
        assert_eq!(passphrases.read(Path::new("k")).unwrap_err().code, "passphrase_file");
    }

    #[test]
    fn a_passphrase_is_one_line() {
        let key = openchat_crypto::IdentityKey::generate(&mut crate::clock::rng());
        let seal = |text: &str| {
            let passphrase = from_stream(text.as_bytes(), "x").unwrap();
            openchat_pki::sealed_key::seal(&key, &passphrase, &mut crate::clock::rng()).unwrap()
        };
        let open = |sealed: &[u8], text: &str| {
            let passphrase = Passphrase::new(text.to_owned().into());
            openchat_pki::sealed_key::open(sealed, &passphrase).is_ok()
        };
        let plain = "correct horse battery";
        for text in [plain, "correct horse battery\n", "correct horse battery\r\nmore"] {
            assert!(open(&seal(text), plain), "{text:?}");
        }
        assert!(from_stream(&b"\nx"[..], "x").is_err());
        assert!(from_stream(&b""[..], "x").is_err());
    }

    #[test]
    fn nobody_is_asked_when_nobody_is_there() {
        let failure = Passphrases::none().read(Path::new("k")).unwrap_err();
        assert!(failure.hint.contains("--passphrase-file"));
    }
}
