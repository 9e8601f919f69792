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
    /// The other key that the CA has given to the name since. Only the person takes it away: a server
    /// that shows the first one again would else undo what holds back.
    changed: Option<Fingerprint>,
}

/// The pins of all names that this device has met.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    pins: BTreeMap<Name, Pin>,
    /// Those that were compared, because every line that is sent asks.
    verified: BTreeSet<Name>,
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
        if pin.key == key || pin.changed == Some(key) {
            return Met::Known;
        }
        pin.changed = Some(key);
        Met::Changed { verified: pin.verified }
    }

    /// The person has decided that this is the name's key. `None` for a name that was never met.
    pub(crate) fn decide(&mut self, name: &Name, key: Fingerprint, verified: bool) -> Option<Pin> {
        let pin = self.pins.get_mut(name)?;
        *pin = Pin { key, verified, changed: None };
        self.sort(name.clone());
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

    /// Those whose keys were compared.
    pub(crate) fn verified(&self) -> impl Iterator<Item = (&Name, Pin)> {
        self.verified.iter().filter_map(|name| Some((name, self.get(name)?)))
    }

    fn sort(&mut self, name: Name) {
        if self.get(&name).is_some_and(|pin| pin.verified) {
            self.verified.insert(name);
        } else {
            self.verified.remove(&name);
        }
    }
}

impl Pin {
    /// The key that is kept.
    pub(crate) fn kept(&self) -> Fingerprint {
        self.key
    }

    /// Whether nothing may be sealed for the name under this key: another one was compared, or the
    /// CA has given the name another one since.
    pub(crate) fn holds(&self, key: &Fingerprint) -> bool {
        self.verified && (self.changed.is_some() || self.key != *key)
    }

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
        assert_eq!(pins.verified().count(), 0, "nobody has compared");

        pins.decide(&bob(), TWO, false).unwrap();
        assert_eq!(pins.trust(&bob(), &TWO), Trust::Certified);
        assert_eq!(pins.trust(&bob(), &ONE), Trust::Changed, "the old key is not bob's any more");
    }

    #[test]
    fn what_was_compared_holds_when_it_changes_or_another_key_is_there() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        let pin = pins.decide(&bob(), ONE, true).unwrap();
        assert_eq!(pin.standing(), Trust::Verified);
        assert!(!pin.holds(&ONE) && pin.holds(&TWO));
        assert_eq!(pins.meet(&bob(), TWO), Met::Changed { verified: true });
        assert!(pins.get(&bob()).unwrap().holds(&ONE));
        assert_eq!(pins.verified().count(), 1);
        let pin = pins.decide(&bob(), TWO, false).unwrap();
        assert!(!pin.holds(&TWO) && !pin.holds(&ONE), "nothing is compared now");
        assert_eq!(pins.verified().count(), 0);
        assert_eq!(pins.trust(&bob(), &TWO), Trust::Certified, "comparing is another thing");
    }

    #[test]
    fn a_server_that_shows_the_first_key_again_undoes_nothing() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        pins.decide(&bob(), ONE, true).unwrap();
        pins.meet(&bob(), TWO);
        assert_eq!(pins.meet(&bob(), ONE), Met::Known);
        assert!(pins.get(&bob()).unwrap().holds(&ONE));
        pins.decide(&bob(), ONE, true).unwrap();
        assert!(!pins.get(&bob()).unwrap().holds(&ONE), "the person does");
    }

    #[test]
    fn pins_come_back_from_the_vault_and_so_do_those_of_before() {
        let mut pins = Pins::default();
        pins.meet(&bob(), ONE);
        pins.decide(&bob(), ONE, true).unwrap();
        pins.meet(&bob(), TWO);
        let pin = pins.get(&bob()).unwrap();
        let mut restored = Pins::default();
        restored.load(bob(), &pin.to_blob()).unwrap();
        assert_eq!(restored.get(&bob()), Some(pin));
        assert_eq!(restored.verified().count(), 1);
        restored.load(bob(), &Blob(encode(&ONE))).unwrap();
        assert_eq!(restored.trust(&bob(), &ONE), Trust::Certified);
        assert_eq!(restored.load(bob(), &Blob(vec![1, 2])), None);
    }

    #[test]
    fn nobody_is_accepted_who_was_never_met() {
        assert_eq!(Pins::default().decide(&bob(), ONE, true), None);
        assert_eq!(Pins::default().trust(&bob(), &ONE), Trust::Certified);
    }
}
