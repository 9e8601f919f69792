//! Who has which key, as the entries say in their order.

use crate::{
    entry::{Entry, Logged},
    rotation::Announcement,
};
use core::num::NonZeroU64;
use openchat_wire::{Fingerprint, GroupId, GroupName, Name, UnixMillis};
use std::collections::BTreeMap;

/// The state of all names and keys after some entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(super) keys: BTreeMap<Fingerprint, Key>,
    /// Names that have a key.
    pub(super) people: BTreeMap<ShortName, Fingerprint>,
    pub(super) groups: BTreeMap<GroupName, GroupId>,
    pub(super) announcements: Vec<Announcement>,
}

/// A key that the log names. It has one name for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(super) owner: ShortName,
    /// Where it was first named.
    pub(super) since: u64,
    pub(super) not_after: UnixMillis,
    /// Where it was revoked, and one more.
    pub(super) revoked: Option<NonZeroU64>,
}

/// A name in place, without memory of its own: at most 32 characters, then zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShortName([u8; openchat_wire::name::MAX_NAME]);

/// The key that a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The key.
    pub fingerprint: Fingerprint,
    /// The entry that gave it to the name.
    pub since: u64,
    /// The end of its newest certificate.
    pub not_after: UnixMillis,
}

/// An entry that breaks a rule of the log, or that everybody should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry.
    pub index: u64,
    /// What is the matter with it.
    pub what: Irregularity,
}

/// What is the matter with an entry. None stops the mirror: who stopped would see nothing more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Irregularity {
    /// The CA certified a key for a name that has another. The second is void.
    #[error("T4: {name} has a key, and the CA has certified a second one")]
    SecondKey {
        /// The name.
        name: Name,
        /// The key that it has.
        current: Fingerprint,
        /// The key that is void.
        void: Fingerprint,
    },
    /// The CA certified a name for a key that has another. The second is void.
    #[error("T5: the key of {owner} was certified for {void} too")]
    SecondName {
        /// The key.
        fingerprint: Fingerprint,
        /// The name that it has.
        owner: Name,
        /// The name that is void.
        void: Name,
    },
    /// The CA certified a key again that it had revoked. It stays revoked.
    #[error("T6: a revoked key of {name} was certified again")]
    Revived {
        /// The name.
        name: Name,
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The CA revoked a key again. It changes nothing.
    #[error("the key of {name} was revoked a second time")]
    RevokedAgain {
        /// The name in the entry.
        name: Name,
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The CA revoked a key under another name than its own. It is revoked.
    #[error("the key of {owner} was revoked under the name of {named}")]
    RevokedAsOther {
        /// The key.
        fingerprint: Fingerprint,
        /// The name that it has.
        owner: Name,
        /// The name in the entry.
        named: Name,
    },
    /// The CA revoked a key that it never certified here. It is revoked.
    #[error("a key was revoked for {name} that was never certified")]
    RevokedUnknown {
        /// The name in the entry.
        name: Name,
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The name of an open group was given to a second group. That is void.
    #[error("the name #{name} was given to a second group")]
    SecondGroup {
        /// The name.
        name: GroupName,
        /// The group that has it.
        group: GroupId,
        /// The group that has not.
        void: GroupId,
    },
    /// The CA's key changes.
    #[error("the CA announces another key")]
    NewAuthority(Announcement),
    /// An entry of a kind that this program does not know.
    #[error("an entry of the unknown kind {kind}: this program is too old to judge it")]
    Unknown {
        /// The kind's number.
        kind: u8,
    },
    /// No entry at all.
    #[error("an entry that nobody can read")]
    Malformed,
}

impl Index {
    pub(crate) fn certified(&self, name: &Name) -> Option<Standing> {
        let fingerprint = *self.people.get(&ShortName::from(name))?;
        let key = self.keys.get(&fingerprint)?;
        Some(Standing { fingerprint, since: key.since, not_after: key.not_after })
    }

    pub(crate) fn former_keys(&self, name: &Name) -> Vec<Fingerprint> {
        let owner = ShortName::from(name);
        let own = self.keys.iter().filter(|(_, key)| key.owner == owner && key.revoked.is_some());
        let mut former: Vec<_> = own.map(|(of, key)| (key.since, *of)).collect();
        former.sort_unstable();
        former.into_iter().map(|(_, of)| of).collect()
    }

    pub(crate) fn name_of(&self, key: &Fingerprint) -> Option<Name> {
        self.keys.get(key)?.owner.name()
    }

    pub(crate) fn people(&self) -> impl Iterator<Item = (Name, Fingerprint)> {
        self.people.iter().filter_map(|(name, key)| Some((name.name()?, *key)))
    }

    pub(crate) fn revoked(&self, key: &Fingerprint) -> Option<u64> {
        self.keys.get(key)?.revoked_at()
    }

    pub(crate) fn group(&self, name: &GroupName) -> Option<GroupId> {
        self.groups.get(name).copied()
    }

    pub(crate) fn announcements(&self) -> &[Announcement] {
        &self.announcements
    }

    /// Takes the next entry in, and says if something is the matter with it.
    pub(crate) fn note(&mut self, index: u64, logged: Logged) -> Option<Irregularity> {
        match logged {
            Logged::Entry(Entry::Issue { name, fingerprint, serial: _, not_after }) => {
                self.issue(index, name, fingerprint, not_after)
            }
            Logged::Entry(Entry::Revoke { name, fingerprint }) => {
                self.revoke(index, name, fingerprint)
            }
            Logged::Entry(Entry::GroupName { name, group }) => self.open(name, group),
            Logged::Entry(entry @ (Entry::Rotate { .. } | Entry::Replace { .. })) => {
                let announcement = Announcement::of(&entry)?;
                self.announcements.push(announcement.clone());
                Some(Irregularity::NewAuthority(announcement))
            }
            Logged::Unknown { kind } => Some(Irregularity::Unknown { kind }),
            Logged::Malformed => Some(Irregularity::Malformed),
        }
    }

    fn issue(
        &mut self,
        index: u64,
        name: Name,
        fingerprint: Fingerprint,
        not_after: UnixMillis,
    ) -> Option<Irregularity> {
        let owner = ShortName::from(&name);
        if let Some(key) = self.keys.get_mut(&fingerprint) {
            if key.owner != owner {
                let owner = key.owner.name()?;
                return Some(Irregularity::SecondName { fingerprint, owner, void: name });
            }
            if key.revoked.is_some() {
                return Some(Irregularity::Revived { name, fingerprint });
            }
            key.not_after = not_after;
            return None;
        }
        if let Some(current) = self.people.get(&owner).copied() {
            return Some(Irregularity::SecondKey { name, current, void: fingerprint });
        }
        self.people.insert(owner, fingerprint);
        let key = Key { owner, since: index, not_after, revoked: None };
        self.keys.insert(fingerprint, key);
        None
    }

    fn revoke(&mut self, index: u64, name: Name, fingerprint: Fingerprint) -> Option<Irregularity> {
        let (named, at) = (ShortName::from(&name), NonZeroU64::MIN.checked_add(index));
        let Some(key) = self.keys.get_mut(&fingerprint) else {
            let key = Key { owner: named, since: index, not_after: UnixMillis(0), revoked: at };
            self.keys.insert(fingerprint, key);
            return Some(Irregularity::RevokedUnknown { name, fingerprint });
        };
        if key.revoked.is_some() {
            return Some(Irregularity::RevokedAgain { name, fingerprint });
        }
        key.revoked = at;
        let owner = key.owner;
        // A key that is not revoked is its name's current one.
        self.people.remove(&owner);
        let other = (owner != named).then(|| owner.name()).flatten();
        other.map(|owner| Irregularity::RevokedAsOther { fingerprint, owner, named: name })
    }

    fn open(&mut self, name: GroupName, group: GroupId) -> Option<Irregularity> {
        match self.groups.get(&name).copied() {
            Some(has) if has != group => {
                Some(Irregularity::SecondGroup { name, group: has, void: group })
            }
            Some(_) => None,
            None => {
                self.groups.insert(name, group);
                None
            }
        }
    }
}

impl Key {
    pub(super) fn revoked_at(&self) -> Option<u64> {
        self.revoked.and_then(|at| at.get().checked_sub(1))
    }
}

impl ShortName {
    pub(super) fn name(&self) -> Option<Name> {
        let used = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        core::str::from_utf8(self.0.get(..used)?).ok()?.parse().ok()
    }
}

impl From<&Name> for ShortName {
    fn from(name: &Name) -> Self {
        let mut short = [0; openchat_wire::name::MAX_NAME];
        for (to, from) in short.iter_mut().zip(name.as_str().bytes()) {
            *to = from;
        }
        Self(short)
    }
}

impl core::fmt::Debug for ShortName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.name())
    }
}
