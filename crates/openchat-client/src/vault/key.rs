//! The vault's key, and how it is kept: in a file beside the vault, in a file elsewhere, sealed
//! under a passphrase, or in the desktop's keyring. The key is random and has nothing to do with how it is kept.
//!
//! `vault.key` is text: a line that says what it is, then an entry a line. There is one, but for the
//! moment in which the vault is sealed anew (`reseal`): then the one of them counts that opens it.

use super::{
    VaultError, file,
    keyring::{self, Place},
};
use crate::outside::os_random;
use openchat_crypto::{Cost, Passphrase, Salt, Secret, fernet::MessageKey};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

/// Beside the vault.
pub(super) const FILE: &str = "vault.key";

const TITLE: &str = "openchat vault key 1";

/// The longest key file that is read: two entries with the longest paths are shorter.
const MAX_FILE: u64 = 16 * 1024;

/// How a vault's key is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// In `vault.key` beside the vault, for the owner's eyes: whoever has the whole folder has the
    /// messages. Nobody is ever asked for anything.
    Beside,
    /// In a file of its own, made for it, perhaps on something that can be taken out.
    At(PathBuf),
    /// Sealed under a passphrase. Without it the files are of no use.
    Passphrase(Passphrase),
    /// In the keyring of the desktop, which opens when its owner logs in.
    Keyring {
        /// So long its owner may take to open it, if it is locked.
        patience: Duration,
    },
}

/// How a vault's key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Beside the vault.
    Beside,
    /// In this file.
    At(PathBuf),
    /// Under a passphrase.
    Passphrase,
    /// In the desktop's keyring.
    Keyring,
}

/// One line of the file.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Beside(Secret),
    At(PathBuf),
    Sealed { cost: Cost, salt: Salt, token: Vec<u8> },
    Keyring(Place),
}

/// Whom to ask for what opens a key.
pub(super) trait Asked {
    /// For the passphrase, with the number of answers that were wrong so far.
    fn passphrase(&self, wrong: u32) -> Result<Passphrase, VaultError>;

    /// How long somebody may take to open the keyring.
    fn patience(&self) -> Duration;
}

impl Entry {
    /// An entry for this key, which is in its place when this returns.
    pub(super) fn new(key: &Secret, keeping: &Keeping) -> Result<Self, VaultError> {
        match keeping {
            Keeping::Beside => Ok(Self::Beside(key.clone())),
            Keeping::At(path) => {
                let path = std::path::absolute(path).map_err(file::at(path))?;
                check_path(&path)?;
                file::create_whole(&path, rendered(&[Self::Beside(key.clone())]).as_bytes())?;
                Ok(Self::At(path))
            }
            Keeping::Passphrase(passphrase) => {
                let (cost, salt) = (Cost::USUAL, Salt::random(&mut os_random()));
                let token = sealing(passphrase, &salt, cost)?.seal(key.expose());
                Ok(Self::Sealed { cost, salt, token })
            }
            Keeping::Keyring { patience } => Ok(Self::Keyring(keyring::put(key, *patience)?)),
        }
    }

    /// The key.
    pub(super) fn key(&self, asked: &dyn Asked) -> Result<Secret, VaultError> {
        match self {
            Self::Beside(key) => Ok(key.clone()),
            Self::At(path) => match read(path)?.as_deref() {
                Some([Self::Beside(key)]) => Ok(key.clone()),
                Some(_) => Err(VaultError::Damaged("the key file")),
                None => Err(VaultError::NoKey(path.clone())),
            },
            Self::Sealed { cost, salt, token } => {
                let mut attempt = 0_u32;
                loop {
                    let passphrase = asked.passphrase(attempt)?;
                    if let Ok(opened) = sealing(&passphrase, salt, *cost)?.open(token) {
                        let opened = Zeroizing::new(opened);
                        let bytes = <[u8; 32]>::try_from(opened.as_slice());
                        let bytes = bytes.map_err(|_| VaultError::Damaged("the key file"))?;
                        return Ok(Secret::from_bytes(bytes));
                    }
                    attempt = attempt.saturating_add(1);
                }
            }
            Self::Keyring(place) => Ok(keyring::get(place, asked.patience())?),
        }
    }

    /// Whether both are the same line.
    pub(super) fn is(&self, other: &Self) -> bool {
        *rendered(std::slice::from_ref(self)) == *rendered(std::slice::from_ref(other))
    }

    /// Takes what is elsewhere out of there, where that is ours alone to do: a file may be on a medium
    /// that is somebody's copy.
    fn forget(&self) {
        if let Self::Keyring(place) = self
            && let Err(error) = keyring::forget(place)
        {
            // What is left there opens nothing that is written from now on.
            tracing::warn!(%error, "a key that opens nothing any more stays in the keyring");
        }
    }

    pub(super) fn kept(&self) -> Kept {
        match self {
            Self::Beside(_) => Kept::Beside,
            Self::At(path) => Kept::At(path.clone()),
            Self::Sealed { .. } => Kept::Passphrase,
            Self::Keyring(_) => Kept::Keyring,
        }
    }
}

/// A path that would not survive being a line of text is none for a key.
fn check_path(path: &Path) -> Result<(), VaultError> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']));
    let problem = || std::io::Error::other("a key's path has to be text on one line");
    text.map(|_| ()).ok_or_else(|| file::at(path)(problem()))
}

fn sealing(passphrase: &Passphrase, salt: &Salt, cost: Cost) -> Result<MessageKey, VaultError> {
    let secret = passphrase.stretch(salt, cost);
    let problem = || std::io::Error::other("not enough memory for the passphrase");
    secret.map(MessageKey::new).map_err(|_| file::at(Path::new(FILE))(problem()))
}

/// The entries of a key file; nothing if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Entry>>, VaultError> {
    let Some(text) = file::read_small(path, MAX_FILE)? else { return Ok(None) };
    let damaged = VaultError::Damaged("the key file");
    let text = std::str::from_utf8(&text).map_err(|_| VaultError::Damaged("the key file"))?;
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(damaged);
    }
    let entries: Option<Vec<_>> = lines.map(parse).collect();
    entries.filter(|entries| !entries.is_empty()).ok_or(damaged).map(Some)
}

/// Puts these entries in place of those that the file had. They are on the disk when this returns.
pub(super) fn write(path: &Path, entries: &[Entry]) -> Result<(), VaultError> {
    file::replace_whole(path, rendered(entries).as_bytes())
}

/// Leaves one entry of all, the one that opens the database. What the others name is taken away first:
/// whoever is killed in between finds them again.
pub(super) fn leave(path: &Path, entry: &Entry) -> Result<(), VaultError> {
    let others = read(path)?.unwrap_or_default();
    others.iter().filter(|other| !other.is(entry)).for_each(Entry::forget);
    write(path, std::slice::from_ref(entry))
}

fn rendered(entries: &[Entry]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(TITLE);
    for entry in entries {
        text.push('\n');
        match entry {
            Entry::Beside(key) => {
                text.push_str("beside ");
                push_hex(&mut text, key.expose());
            }
            Entry::At(path) => {
                text.push_str("at ");
                text.push_str(&path.to_string_lossy());
            }
            Entry::Sealed { cost, salt, token } => {
                // Writing to a string does not fail.
                let _ = write!(text, "argon2id {} {} ", cost.kibibytes, cost.passes);
                push_hex(&mut text, &salt.0);
                text.push(' ');
                push_hex(&mut text, token);
            }
            Entry::Keyring(place) => {
                text.push_str("keyring ");
                text.push_str(place.text());
            }
        }
    }
    text.push('\n');
    text
}

fn parse(line: &str) -> Option<Entry> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        "beside" => {
            Some(Entry::Beside(Secret::from_bytes(unhex(rest)?.as_slice().try_into().ok()?)))
        }
        "at" => Some(Entry::At(rest.into())).filter(|_| !rest.is_empty()),
        "argon2id" => {
            let mut words = rest.split(' ');
            let (kibibytes, passes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let salt = Salt(unhex(words.next()?)?.as_slice().try_into().ok()?);
            let token = unhex(words.next()?)?.to_vec();
            let cost = Cost::stored(kibibytes, passes).ok()?;
            words.next().is_none().then_some(Entry::Sealed { cost, salt, token })
        }
        "keyring" => Place::parse(rest).map(Entry::Keyring),
        _ => None,
    }
}

pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
}

pub(super) fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<_>>>().map(Zeroizing::new)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
