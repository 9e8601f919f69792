//! Who may come into a group and what its members may do (`docs/protocol.md` §4.2).

use openchat_crypto::{Label, hash};
use openchat_wire::{Digest, Fingerprint, GroupName, Name};
use serde::{Deserialize, Serialize};

/// What a group is and what its rules are. The group's id commits to its first policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it is, for ever.
    pub access: Access,
    /// What admins may change.
    pub rules: Rules,
}

/// What kind of group it is. Public to the relay, so that it can judge commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// The name is public and belongs to this group alone.
    Open {
        /// The name, without `#`.
        name: GroupName,
    },
    /// The name stays among members and those whom they invite.
    Closed {
        /// [`Naming::hash`], so that members can check a name they are told.
        name_hash: Digest,
    },
    /// Two people, and never anybody else.
    Direct {
        /// Fingerprints, ascending.
        peers: [Fingerprint; 2],
    },
}

/// What admins may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Who may take a seat by itself.
    pub join: Joining,
    /// Who may add and admit.
    pub invite: Inviting,
}

/// Who may take a seat by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joining {
    /// Whoever is enrolled and not denied; in open groups only.
    Anyone,
    /// Whom somebody has admitted.
    Admitted,
}

/// Who may add and admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inviting {
    /// Every member.
    Members,
    /// Admins.
    Admins,
}

/// The name of a closed group, and what keeps others from guessing it by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// The name, without `#`.
    pub name: GroupName,
    /// 32 random bytes.
    pub salt: Digest,
}

/// Somebody, by certified name and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The certified name.
    pub name: Name,
    /// The identity key's.
    pub fingerprint: Fingerprint,
}

impl Policy {
    /// An open group that anyone may join and every member may invite to.
    #[must_use]
    pub const fn open(name: GroupName) -> Self {
        let rules = Rules { join: Joining::Anyone, invite: Inviting::Members };
        Self { access: Access::Open { name }, rules }
    }

    /// A closed group to which every member may invite.
    #[must_use]
    pub fn closed(naming: &Naming) -> Self {
        Self { access: Access::Closed { name_hash: naming.hash() }, rules: Rules::INVITED }
    }

    /// The group of these two, whichever comes first.
    #[must_use]
    pub fn direct(one: Fingerprint, other: Fingerprint) -> Self {
        let peers = [one.min(other), one.max(other)];
        Self { access: Access::Direct { peers }, rules: Rules::INVITED }
    }

    /// C14: the access is well formed and its rules suit it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match &self.access {
            Access::Open { .. } => true,
            Access::Closed { .. } => self.rules.join == Joining::Admitted,
            Access::Direct { peers: [one, other] } => one < other && self.rules == Rules::INVITED,
        }
    }

    /// Whether this is a direct group and that is one of its two.
    #[must_use]
    pub fn is_peer(&self, who: &Fingerprint) -> bool {
        matches!(&self.access, Access::Direct { peers } if peers.contains(who))
    }

    /// Whether this is the group of two people.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self.access, Access::Direct { .. })
    }
}

impl Rules {
    /// Only the admitted come in, and every member may admit.
    pub const INVITED: Self = Self { join: Joining::Admitted, invite: Inviting::Members };
}

impl Naming {
    /// `H("closed name" ‖ salt ‖ name)`.
    #[must_use]
    pub fn hash(&self) -> Digest {
        hash(Label::ClosedName, &[&self.salt.0, self.name.as_str().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_suit_their_access() {
        let name = || "ops".parse::<GroupName>().unwrap();
        let naming = Naming { name: name(), salt: Digest([1; 32]) };
        let [one, other] = [Fingerprint([1; 32]), Fingerprint([2; 32])];
        let anyone = Rules { join: Joining::Anyone, invite: Inviting::Members };
        let admins = Rules { join: Joining::Admitted, invite: Inviting::Admins };
        for (policy, sound) in [
            (Policy::open(name()), true),
            (Policy { rules: admins, ..Policy::open(name()) }, true),
            (Policy::closed(&naming), true),
            (Policy { rules: admins, ..Policy::closed(&naming) }, true),
            (Policy { rules: anyone, ..Policy::closed(&naming) }, false),
            (Policy::direct(other, one), true),
            (Policy { rules: admins, ..Policy::direct(one, other) }, false),
            (Policy { rules: anyone, ..Policy::direct(one, other) }, false),
            (Policy::direct(one, one), false),
        ] {
            assert_eq!(policy.is_sound(), sound, "{policy:?}");
        }
        assert_eq!(Policy::direct(one, other), Policy::direct(other, one));
        let unsorted = Access::Direct { peers: [other, one] };
        assert!(!Policy { access: unsorted, rules: Rules::INVITED }.is_sound());
    }

    #[test]
    fn a_closed_name_is_hidden_by_its_salt() {
        let naming =
            |name: &str, salt| Naming { name: name.parse().unwrap(), salt: Digest([salt; 32]) };
        let hash = naming("ops", 1).hash();
        assert_ne!(hash, naming("ops", 2).hash());
        assert_ne!(hash, naming("opt", 1).hash());
        assert_eq!(hash, naming("ops", 1).hash());
    }
}
