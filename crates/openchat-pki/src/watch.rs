//! A device's watch over its own name and key: whatever the log says of them that the device did not
//! ask for is an alarm, because nobody else could have asked (`docs/protocol.md` §9, T7).

use crate::{
    entry::{Entry, Logged},
    serial::Serial,
};
use openchat_wire::{Fingerprint, Name};
use std::collections::BTreeSet;

/// What a device knows to be its own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    name: Name,
    key: Fingerprint,
    since: u64,
    serials: BTreeSet<Serial>,
}

/// An entry about the device's own name or key that the device did not ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The entry.
    pub index: u64,
    /// What it says.
    pub concern: Concern,
}

/// What the CA did in a person's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Concern {
    /// It certified another key for this name.
    #[error("T7: the CA has certified another key for {name}")]
    OtherKey {
        /// The device's name.
        name: Name,
        /// The key that is not the device's.
        fingerprint: Fingerprint,
    },
    /// It certified this key for another name.
    #[error("T7: the CA has certified this device's key for {name}")]
    OtherName {
        /// The name that is not the device's.
        name: Name,
    },
    /// It issued a certificate for this name and key that the device did not ask for.
    #[error("T7: the CA has issued certificate {serial}, which this device did not ask for")]
    Unasked {
        /// The certificate's serial number.
        serial: Serial,
    },
    /// It revoked this key.
    #[error("T7: the CA has revoked this device's key")]
    Revoked,
    /// It revoked another key under this name, which was not this device's.
    #[error("T7: the CA has revoked another key of {name}")]
    OtherRevoked {
        /// The device's name.
        name: Name,
        /// The key.
        fingerprint: Fingerprint,
    },
}

impl Watch {
    /// The watch of a device over its name and key. Of its name, entries before `since` tell of
    /// earlier holders; of its key they are judged from the first one on.
    #[must_use]
    pub const fn new(name: Name, key: Fingerprint, since: u64) -> Self {
        Self { name, key, since, serials: BTreeSet::new() }
    }

    /// Notes a certificate that the device asked for and got.
    pub fn asked(&mut self, serial: Serial) {
        self.serials.insert(serial);
    }

    /// What an entry has to do with this device, if the device did not ask for it.
    #[must_use]
    pub fn judge(&self, index: u64, logged: &Logged) -> Option<Alert> {
        let concern = match logged {
            Logged::Entry(Entry::Issue { name, fingerprint, serial, .. }) => {
                self.issued(index, name, *fingerprint, *serial)
            }
            Logged::Entry(Entry::Revoke { name, fingerprint }) => {
                self.revoked(index, name, *fingerprint)
            }
            _ => None,
        };
        concern.map(|concern| Alert { index, concern })
    }

    fn issued(
        &self,
        index: u64,
        name: &Name,
        fingerprint: Fingerprint,
        serial: Serial,
    ) -> Option<Concern> {
        match (*name == self.name, fingerprint == self.key) {
            (true, true) if self.serials.contains(&serial) => None,
            (true, true) => Some(Concern::Unasked { serial }),
            (true, false) if index >= self.since => {
                Some(Concern::OtherKey { name: name.clone(), fingerprint })
            }
            (false, true) => Some(Concern::OtherName { name: name.clone() }),
            _ => None,
        }
    }

    fn revoked(&self, index: u64, name: &Name, fingerprint: Fingerprint) -> Option<Concern> {
        match (*name == self.name, fingerprint == self.key) {
            (_, true) => Some(Concern::Revoked),
            (true, false) if index >= self.since => {
                Some(Concern::OtherRevoked { name: name.clone(), fingerprint })
            }
            _ => None,
        }
    }
}
