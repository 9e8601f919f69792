//! Whom this device trusts to be who: the first key of each name, and whether people have compared
//! it (`docs/protocol.md` §9.3).

use std::collections::{BTreeMap, BTreeSet};

use openchat_wire::{Blob, Fingerprint, Name, decode, encode};
use serde::{Deserialize, Serialize};

use crate::event::Trust;

/// Bytes of a stored pin: a key, a flag, perhaps another key.
const MAX_PIN: usize = 128;

/// What is kept of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    key: Fingerprint,
    verified: bool,
    /// The key that the CA says is the name's now, if it is another one.
    changed: Option<Fingerprint>,
}

/// The pins of all names that this device has met.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    pins: BTreeMap<Name, Pin>,
    /// Those that were compared and have changed, because every line that is sent asks.
    held: BTreeSet<Name>,
}

/// What came of the word that a name has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// It is the first one, and kept.
    First,
    /// Nothing new.
    Known,
    /// It is another one than the one that is kept, which stays.
    Changed {
        /// The one that is kept was compared.
        verified: bool,
    },
    /// The key that is kept is the name's again.
    Back,
}

impl Pin {
    /// Stored.
    pub(crate) fn to_blob(self) -> Blob {
        Blob(encode(&self))
    }
}

impl Pins {
    /// A stored pin. Those of before there were others are a key alone.
    pub(crate) fn load(&mut self, name: Name, stored: &Blob) -> Option<()> {
        let first = || {
            let key = decode(&stored.0, size_of::<Fingerprint>()).ok()?;
            Some(Pin { key, verified: false, changed: None })
        };
        let pin = decode::<Pin>(&stored.0, MAX_PIN).ok().or_else(first)?;
        self.pins.insert(name.clone(), pin);
        self.sort(name);
        Some(())
    }

    pub(crate) fn get(&self, name: &Name) -> Option<Pin> {
        self.pins.get(name).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Name, Pin)> {
        self.pins.iter().map(|(name, pin)| (name, *pin))
    }

    /// The CA says that this is the name's key now. The caller stores the pin unless it is known.
    pub(crate) fn meet(&mut self, name: &Name, key: Fingerprint) -> Met {
        let Some(pin) = self.pins.get_mut(name) else {
            self.pins.insert(name.clone(), Pin { key, verified: false, changed: None });
            return Met::First;
        };
        let changed = (pin.key != key).then_some(key);
        if core::mem::replace(&mut pin.changed, changed) == changed {
            return Met::Known;
        }
        let verified = pin.verified;
        self.sort(name.clone());
        if changed.is_some() { Met::Changed { verified } } else { Met::Back }
    }

    /// The person has compared, or does without: the name's key now is the one that is kept from
    /// here on. `None` for a name that was never met.
    pub(crate) fn accept(&mut self, name: &Name, verified: bool) -> Option<Pin> {
        let pin = self.pins.get_mut(name)?;
        *pin = Pin { key: pin.current(), verified, changed: None };
        self.held.remove(name);
        self.get(name)
    }

    /// Whether a name under this key is to be believed.
    pub(crate) fn trust(&self, name: &Name, key: &Fingerprint) -> Trust {
        match self.pins.get(name) {
            Some(pin) if pin.key != *key => Trust::Changed,
            Some(Pin { verified: true, .. }) => Trust::Verified,
            _ => Trust::Certified,
        }
    }

    /// Those to whom nothing may be sent: they were verified, and have other keys now.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Name> {
        self.held.iter()
    }

    fn sort(&mut self, name: Name) {
        if self.get(&name).is_some_and(|pin| pin.verified && pin.changed.is_some()) {
            self.held.insert(name);
        } else {
            self.held.remove(&name);
        }
    }
}

impl Pin {
    /// The key that the name has now, as the CA says.
    pub(crate) fn current(&self) -> Fingerprint {
        self.changed.unwrap_or(self.key)
    }

    /// The word for the name as a whole.
    pub(crate) fn standing(&self) -> Trust {
        match (self.changed, self.verified) {
            (Some(_), _) => Trust::Changed,
            (None, true) => Trust::Verified,
            (None, false) => Trust::Certified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);

    fn bob() -> Name {
        "bob".parse().unwrap()
    }

    #[test]
    fn the_first_key_is_kept_until_the_person_decides() {
        let mut pins = Pins::default();
        assert_eq!(pins.meet(&bob(), ONE), Met::First);
        assert_eq!(pins.meet(&bob(), ONE), Met::Known);
        assert_eq!(pins.trust(&bob(), &ONE), Trust::Certified);
        assert_eq!(pins.meet(&bob(), TWO), Met::Changed { verified: false });
        assert_eq!(pins.meet(&bob(), TWO), Met::Known, "told once");
        assert_eq!(pins.trust(&bob(), &TWO), Trust::Changed);
        assert_eq!(pins.get(&bob()).unwrap().standing(), Trust::Changed);
        assert_eq!(pins.held().count(), 0, "nobody has compared");

        pins.accept(&bob(), false).unwrap();
        assert_eq!(pins.trust(&bob(), &TWO), Trust::Certified);
        assert_eq!(pins.trust(&bob(), &ONE), Trust::Changed, "the old key is not bob's any more");
    }

    #[test]
    fn what_was_compared_holds_sends_when_it_changes() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        assert_eq!(pins.accept(&bob(), true).unwrap().standing(), Trust::Verified);
        assert_eq!(pins.held().count(), 0);
        assert_eq!(pins.meet(&bob(), TWO), Met::Changed { verified: true });
        assert_eq!(pins.held().collect::<Vec<_>>(), [&bob()]);
        pins.accept(&bob(), false).unwrap();
        assert_eq!(pins.held().count(), 0);
        assert_eq!(pins.trust(&bob(), &TWO), Trust::Certified, "comparing is another thing");
    }

    #[test]
    fn a_key_that_comes_back_is_the_one_that_was_kept() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        pins.accept(&bob(), true).unwrap();
        pins.meet(&bob(), TWO);
        assert_eq!(pins.meet(&bob(), ONE), Met::Back);
        assert_eq!(pins.trust(&bob(), &ONE), Trust::Verified);
    }

    #[test]
    fn pins_come_back_from_the_vault_and_so_do_those_of_before() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        pins.accept(&bob(), true).unwrap();
        pins.meet(&bob(), TWO);
        let pin = pins.get(&bob()).unwrap();
        let mut restored = Pins::default();
        restored.load(bob(), &pin.to_blob()).unwrap();
        assert_eq!(restored.get(&bob()), Some(pin));
        assert_eq!(restored.held().count(), 1);
        restored.load(bob(), &Blob(encode(&ONE))).unwrap();
        assert_eq!(restored.trust(&bob(), &ONE), Trust::Certified);
        assert_eq!(restored.load(bob(), &Blob(vec![1, 2])), None);
    }

    #[test]
    fn nobody_is_accepted_who_was_never_met() {
        assert_eq!(Pins::default().accept(&bob(), true), None);
        assert_eq!(Pins::default().trust(&bob(), &ONE), Trust::Certified);
    }
}
