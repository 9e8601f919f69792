//! Passphrases: from a file, from stdin, or typed at a terminal without an echo. Where there is no
//! terminal nothing is asked.

use crate::{
    fault::{Exit, Fault},
    out,
};
use openchat_client::{Passphrase, Unlock, VaultError};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroize;

/// Longest passphrase that is read: a page of text.
const MAX_PASSPHRASE: u64 = 4096;

/// How often a person may try.
const TRIES: u32 = 3;

/// How long the window in which a person opens their keyring stays: long enough for a long passphrase,
/// short enough for whoever sits at another screen to learn what is missing.
const KEYRING: Duration = Duration::from_mins(1);

/// A passphrase that need not be asked for.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// In the first line of this file.
    File(PathBuf),
    /// This one.
    Said(Passphrase),
}

impl Given {
    /// Stdin is read at once: what follows its first line is for others.
    pub(crate) fn of(path: PathBuf) -> Result<Self, VaultError> {
        if path == Path::new("-") { read(&path).map(Self::Said) } else { Ok(Self::File(path)) }
    }

    pub(crate) fn get(&self) -> Result<Passphrase, VaultError> {
        match self {
            Self::File(path) => read(path),
            Self::Said(passphrase) => Ok(passphrase.clone()),
        }
    }
}

/// What opens the vault of this process's profile.
pub(crate) fn unlock(given: Option<Given>, may_ask: bool) -> Unlock<'static> {
    let unlock = Unlock::new(move |wrong| match &given {
        Some(given) if wrong == 0 => given.get(),
        Some(_) => Err(VaultError::WrongPassphrase),
        None if !may_ask => Err(VaultError::Locked),
        None if wrong == TRIES => Err(VaultError::WrongPassphrase),
        None => {
            if wrong > 0 {
                out::diagnostic("That was not it.\n");
            }
            prompt("Passphrase: ")
        }
    });
    unlock.waiting(patience(may_ask))
}

/// How long somebody may take to open the keyring: where nobody is asked, no window opens either.
pub(crate) const fn patience(may_ask: bool) -> Duration {
    if may_ask { KEYRING } else { Duration::ZERO }
}

/// The first line of a file, or of stdin.
pub(crate) fn read(path: &Path) -> Result<Passphrase, VaultError> {
    let failed = |cause| VaultError::File { path: path.to_owned(), cause };
    let mut line = String::new();
    let count = if path == Path::new("-") {
        io::stdin().lock().take(MAX_PASSPHRASE).read_line(&mut line)
    } else {
        File::open(path)
            .and_then(|file| BufReader::new(file.take(MAX_PASSPHRASE)).read_line(&mut line))
    };
    count.map_err(failed)?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    if line.is_empty() {
        return Err(failed(io::Error::other("there is no passphrase in its first line")));
    }
    Ok(Passphrase::new(line))
}

/// A passphrase that something was sealed under elsewhere: from a file, or asked for.
pub(crate) fn read_or_ask(file: Option<&Path>, may_ask: bool) -> Result<Passphrase, ChoiceError> {
    match file {
        Some(file) => Ok(read(file)?),
        None if may_ask => Ok(prompt("Passphrase of the backup: ")?),
        None => Err(ChoiceError::Nobody),
    }
}

/// A new passphrase: from a file, or asked for twice.
pub(crate) fn choose(
    file: Option<&Path>,
    may_ask: bool,
    what: &str,
) -> Result<Passphrase, ChoiceError> {
    if let Some(file) = file {
        return Ok(read(file)?);
    }
    if !may_ask {
        return Err(ChoiceError::Nobody);
    }
    for _ in 0..TRIES {
        let first = prompt(&format!("{what}: "))?;
        if first.is_empty() {
            out::diagnostic("An empty passphrase is none.\n");
        } else if prompt("The same again: ")? == first {
            return Ok(first);
        } else {
            out::diagnostic("Those were two different ones.\n");
        }
    }
    Err(ChoiceError::Nobody)
}

/// Why there is no new passphrase.
#[derive(Debug)]
pub(crate) enum ChoiceError {
    /// Nobody can be asked, or nobody could decide.
    Nobody,
    Unread(VaultError),
}

impl From<VaultError> for ChoiceError {
    fn from(error: VaultError) -> Self {
        Self::Unread(error)
    }
}

impl ChoiceError {
    /// As a fault that names the option by which a script says it.
    pub(crate) fn fault(self, option: &str) -> Fault {
        match self {
            Self::Nobody => {
                Fault::usage("no passphrase was given", format!("{option} FILE, or on a terminal"))
            }
            Self::Unread(error) => {
                let hint = format!("{option} FILE: one line with the passphrase");
                Fault::new(Exit::Failure, "passphrase", error.to_string(), hint)
            }
        }
    }
}

fn prompt(question: &str) -> Result<Passphrase, VaultError> {
    let failed = |cause| VaultError::File { path: "/dev/tty".into(), cause };
    let mut typed = rpassword::prompt_password(question).map_err(failed)?;
    let passphrase = Passphrase::new(typed.clone());
    typed.zeroize();
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("p");
        for text in ["a b \u{e9}", "a b \u{e9}\n", "a b \u{e9}\r\nsecond\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), Passphrase::new("a b \u{e9}".to_owned()));
        }
        for empty in ["", "\n", "\r\n", "\nx"] {
            std::fs::write(&path, empty).unwrap();
            assert!(matches!(read(&path), Err(VaultError::File { .. })), "{empty:?}");
        }
        assert!(read(&place.path().join("none")).is_err());
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        assert!(matches!(choose(None, false, "P"), Err(ChoiceError::Nobody)));
        let place = tempfile::tempdir().unwrap();
        let vault = place.path().join("vault");
        let keeping = openchat_client::Keeping::Passphrase(Passphrase::new("p".to_owned()));
        let made = unlock(None, false).keeping(keeping);
        drop(openchat_client::Vault::open_with(&vault, &made).unwrap());
        let open = |unlock: &Unlock<'_>| openchat_client::Vault::open_with(&vault, unlock);
        assert!(matches!(open(&unlock(None, false)), Err(VaultError::Locked)));
        let file = place.path().join("p");
        std::fs::write(&file, "q\n").unwrap();
        let wrong = open(&unlock(Some(Given::File(file.clone())), true));
        assert!(matches!(wrong, Err(VaultError::WrongPassphrase)));
        std::fs::write(&file, "p\n").unwrap();
        open(&unlock(Some(Given::File(file)), false)).unwrap();
    }
}
