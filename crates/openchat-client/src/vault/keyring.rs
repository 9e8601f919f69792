//! The vault's key in the desktop's keyring: the Secret Service on the session's D-Bus
//! (docs/adr/0031-desktop.md).
//!
//! `vault.key` has a random number, by which the keyring's item is found. The service gets the key in
//! the clear over the bus: whoever could listen there is this user, and could as well ask for it.

use super::key::{push_hex, unhex};
use crate::outside::os_random;
use dbus_secret_service::{Collection, EncryptionType, Error, Item, SecretService};
use openchat_crypto::{Salt, Secret};
use std::{collections::HashMap, env, time::Duration};
use zeroize::Zeroizing;

/// Where the session's bus is. Without it libdbus would start one, on which no keyring is.
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// The collection that is in memory only: a key in it would be gone when its owner logs out.
const FLEETING: &str = "/org/freedesktop/secrets/collection/session";

/// What the service says of an item that has to be opened first.
const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";

/// Why the keyring has no key for us.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// This process is in no desktop's session.
    #[error("there is no session bus here, and so no keyring")]
    NoBus,
    /// Nothing answers there.
    #[error("no keyring answers: {0}")]
    Unreachable(String),
    /// It is locked, and nobody has opened it.
    #[error("the keyring is locked")]
    Locked,
    /// It does not keep what is put there.
    #[error("the keyring keeps nothing beyond this session")]
    Fleeting,
    /// It has no such key.
    #[error("the keyring does not have the vault's key")]
    Gone,
}

impl From<Error> for KeyringError {
    fn from(error: Error) -> Self {
        match error {
            Error::Locked | Error::Prompt => Self::Locked,
            Error::Dbus(error) if error.name() == Some(IS_LOCKED) => Self::Locked,
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// An item of the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(String);

impl Place {
    /// As the key file has it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (unhex(text)?.len() == 16).then(|| Self(text.to_owned()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([("application", "openchat"), ("vault", &*self.0)])
    }
}

/// Puts a key there. It can be read back when this returns; if the keyring is locked its owner has so
/// long to open it.
pub(super) fn put(key: &Secret, patience: Duration) -> Result<Place, KeyringError> {
    let mut number = String::new();
    push_hex(&mut number, &Salt::random(&mut os_random()).0);
    let place = Place(number);
    let mut secret = Zeroizing::new(String::with_capacity(64));
    push_hex(&mut secret, key.expose());
    let service = connect(patience)?;
    let keeping = collection(&service)?;
    keeping.ensure_unlocked()?;
    let label = "openchat: the key of a vault";
    keeping.create_item(label, place.attributes(), secret.as_bytes(), false, "text/plain")?;
    if get_from(&service, &place)?.expose() == key.expose() {
        Ok(place)
    } else {
        Err(KeyringError::Unreachable("it gave back another key".to_owned()))
    }
}

/// The key that is there; if the keyring is locked its owner has so long to open it.
pub(super) fn get(place: &Place, patience: Duration) -> Result<Secret, KeyringError> {
    get_from(&connect(patience)?, place)
}

/// Takes a key out, if it is there. Nobody is asked for anything.
pub(super) fn forget(place: &Place) -> Result<(), KeyringError> {
    let service = connect(Duration::ZERO)?;
    let found = service.search_items(place.attributes())?;
    for item in found.unlocked.iter().chain(&found.locked) {
        item.delete()?;
    }
    Ok(())
}

fn connect(patience: Duration) -> Result<SecretService, KeyringError> {
    if env::var_os(BUS).is_none_or(|address| address.is_empty()) {
        return Err(KeyringError::NoBus);
    }
    let encryption = EncryptionType::Plain;
    Ok(SecretService::connect_with_max_prompt_timeout(encryption, patience.as_secs())?)
}

/// Where new items belong. Only there: others are their owner's business.
fn collection(service: &SecretService) -> Result<Collection<'_>, KeyringError> {
    let default = service.get_default_collection().map_err(|error| match error {
        Error::NoResult => KeyringError::Unreachable("it has no default keyring".to_owned()),
        other => other.into(),
    })?;
    if &*default.path == FLEETING { Err(KeyringError::Fleeting) } else { Ok(default) }
}

fn get_from(service: &SecretService, place: &Place) -> Result<Secret, KeyringError> {
    let found = service.search_items(place.attributes())?;
    let item: &Item<'_> = match (found.unlocked.first(), found.locked.first()) {
        (Some(open), _) => open,
        (None, Some(locked)) => {
            locked.unlock()?;
            locked
        }
        (None, None) => return Err(KeyringError::Gone),
    };
    let bytes = Zeroizing::new(item.get_secret()?);
    let key = std::str::from_utf8(&bytes).ok().and_then(unhex);
    let key = key.and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok());
    key.map(Secret::from_bytes).ok_or(KeyringError::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_sixteen_bytes() {
        let text = "00ff".repeat(8);
        assert_eq!(Place::parse(&text).unwrap().text(), text);
        for wrong in ["", "00", &"0".repeat(31), &"g".repeat(32), &"0".repeat(34)] {
            assert!(Place::parse(wrong).is_none(), "{wrong}");
        }
    }
}
