//! Who may come in though it has no seat, and who may not (`docs/protocol.md` §4.3).

use std::collections::BTreeSet;

use openchat_wire::{Epoch, Fingerprint, Name};
use serde::Serialize;

use crate::list::{List, Record};

/// Somebody who may take a seat by itself. Field order is the encoding in the tree hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admitted {
    /// Who.
    pub fingerprint: Fingerprint,
    /// Its name.
    pub name: Name,
    /// The epoch that the admitting commit led to.
    pub since: Epoch,
}

/// Somebody who may not come in until an admin lifts that. Field order is the encoding in the
/// tree hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// Which key.
    pub fingerprint: Fingerprint,
    /// Whoever has this name, too.
    pub name: Option<Name>,
}

impl Record for Admitted {
    fn key(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl Record for Denied {
    fn key(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// Both lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) admitted: List<Admitted>,
    pub(crate) denied: List<Denied>,
}

impl Lists {
    /// Somebody is admitted no longer.
    pub(crate) fn strike(&mut self, who: &Fingerprint) -> Option<Admitted> {
        self.admitted.remove(who)
    }

    /// Whether the key or the name is denied.
    pub(crate) fn is_denied(&self, who: &Fingerprint, name: &Name) -> bool {
        self.denied.get(who).is_some() || self.named(name).next().is_some()
    }

    /// Neither the key nor the name is denied any longer.
    pub(crate) fn lift(&mut self, who: &Fingerprint, name: &Name) {
        if self.denied.len() == 0 {
            return;
        }
        let of_name: BTreeSet<Fingerprint> = self.named(name).collect();
        for key in of_name.iter().chain([who]) {
            self.denied.remove(key);
        }
    }

    fn named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = Fingerprint> + 'a {
        let is_it = move |denied: &&Denied| denied.name.as_ref() == Some(name);
        self.denied.iter().filter(is_it).map(|denied| denied.fingerprint)
    }
}
