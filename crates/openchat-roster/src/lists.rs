//! Who may come in though it has no seat, and who may not (`docs/protocol.md` §4.3).

use std::{collections::BTreeSet, sync::Arc};

use openchat_wire::{Digest, Epoch, Fingerprint, Name};
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
    pub(crate) denied: DenyList,
}

/// Everybody denied, found by key and by name. Most groups deny few, so that its copies cost little;
/// whoever denies thousands pays for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct DenyList {
    records: List<Denied>,
    names: Arc<BTreeSet<(Name, Fingerprint)>>,
}

impl DenyList {
    pub(crate) const fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn hash(&self) -> Digest {
        self.records.hash()
    }

    pub(crate) fn get(&self, who: &Fingerprint) -> Option<&Denied> {
        self.records.get(who)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Denied> {
        self.records.iter()
    }

    pub(crate) fn insert(&mut self, denied: Denied) {
        self.remove(&denied.fingerprint);
        if let Some(name) = &denied.name {
            Arc::make_mut(&mut self.names).insert((name.clone(), denied.fingerprint));
        }
        self.records.insert(denied);
    }

    pub(crate) fn remove(&mut self, who: &Fingerprint) -> Option<Denied> {
        let removed = self.records.remove(who)?;
        if let Some(name) = &removed.name {
            Arc::make_mut(&mut self.names).remove(&(name.clone(), *who));
        }
        Some(removed)
    }

    /// The keys with which a name is denied.
    fn named(&self, name: &Name) -> impl Iterator<Item = Fingerprint> {
        let first = (name.clone(), Fingerprint([0; 32]));
        self.names.range(first..).map_while(move |(at, key)| (*at == *name).then_some(*key))
    }
}

impl Lists {
    /// Somebody is admitted no longer.
    pub(crate) fn strike(&mut self, who: &Fingerprint) -> Option<Admitted> {
        self.admitted.remove(who)
    }

    /// Whether the key or the name is denied.
    pub(crate) fn is_denied(&self, who: &Fingerprint, name: &Name) -> bool {
        self.denied.get(who).is_some() || self.denied.named(name).next().is_some()
    }

    /// Neither the key nor the name is denied any longer.
    pub(crate) fn lift(&mut self, who: &Fingerprint, name: &Name) {
        let keys: Vec<Fingerprint> = self.denied.named(name).chain([*who]).collect();
        for key in keys {
            self.denied.remove(&key);
        }
    }
}
