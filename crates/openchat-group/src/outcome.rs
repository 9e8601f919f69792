//! What a commit in the log did, for people and for their devices.

use openchat_roster::{
    Claim, CommitFault, Naming, Operation, Reason, Role, Roster, Rules, Seat, Transition,
};
use openchat_wire::{Fingerprint, Name};

use crate::{follow::PrivateFault, letter::LetterFault};

/// What a commit in the log did to this device's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Publicly faulty: everybody skips it. Only a lying relay logs one.
    Invalid(CommitFault),
    /// The commit counts.
    Valid {
        /// Its author's name.
        author: Name,
        /// Its author's key.
        fingerprint: Fingerprint,
        /// What it did, in order.
        changes: Vec<Change>,
        /// What it means for this device.
        effect: Effect,
    },
}

/// Something that a commit did, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The group began.
    Created,
    /// The author took a seat by itself.
    Joined,
    /// The author came back after losing its state, or after being left behind.
    Rejoined,
    /// The author renewed its keys.
    Updated,
    /// The author has made its seat its own: nobody else knows its leaf's secret any longer.
    Claimed(Name),
    /// Somebody lost its seat.
    Removed {
        /// Its name.
        name: Name,
        /// Its key.
        fingerprint: Fingerprint,
        /// Why.
        why: Why,
    },
    /// Somebody was seated by the author.
    Added {
        /// Its name.
        name: Name,
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// Somebody may come in.
    Admitted {
        /// Its name.
        name: Name,
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// Somebody may no longer come in.
    Struck {
        /// Its name.
        name: Name,
        /// Its key.
        fingerprint: Fingerprint,
        /// Why.
        why: Why,
    },
    /// The group has other rules.
    Rules(Rules),
    /// Somebody is no longer denied.
    Lifted {
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// Somebody may do other things than before: by an admin's will, or because no other admin was
    /// left.
    Role {
        /// Its name.
        name: Name,
        /// Its key.
        fingerprint: Fingerprint,
        /// What it is now.
        role: Role,
    },
}

/// Why somebody lost its seat or its admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An admin wanted it.
    Evicted,
    /// It asked to.
    Left,
    /// Its key was revoked.
    Revoked,
    /// The same person came in with a new key, its old one being revoked.
    Replaced,
}

/// What a valid commit means for this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This device has no seat, or has lost the secrets that go with it: it watches.
    Watched,
    /// This device's own pending commit is in the log.
    Own,
    /// The device has the new epoch's secrets; `back` if it had been left behind.
    Followed {
        /// It had been left behind.
        back: bool,
    },
    /// This device was seated by the author, and has the epoch's secrets.
    Added {
        /// The name of a closed group.
        naming: Option<Naming>,
    },
    /// This device may come in; what its invitation says, or why it says nothing.
    Invited(Result<Option<Naming>, LetterFault>),
    /// The commit leaves this device behind: the public state moves on, the secrets stay.
    LeftBehind(PrivateFault),
    /// The commit is this device's own, but it never made it: a clone, or a restored backup.
    NotMine,
    /// As [`NotMine`](Self::NotMine), by a rejoin: the other one has done what this device would
    /// do next. It stops, or the two would take the seat from each other for ever.
    Reseated,
    /// This device has lost its seat, and has deleted all keys of the group.
    Removed,
}

/// What a commit did, in the order of its operations; then what followed by itself.
pub(crate) fn changes(before: &Roster, transition: &Transition) -> Vec<Change> {
    let listing = Listing { before, transition };
    let operations = &transition.commit().operations;
    let listed = operations.iter().flat_map(|operation| listing.of(operation));
    listed.chain(listing.claimed()).chain(listing.appointed()).collect()
}

struct Listing<'a> {
    before: &'a Roster,
    transition: &'a Transition,
}

impl Listing<'_> {
    fn of(&self, operation: &Operation) -> Vec<Change> {
        let one = match operation {
            Operation::Create { .. } => Change::Created,
            Operation::Join { .. } => {
                let replaced = self.transition.outline().removed().iter();
                let removed = replaced.map(|seat| removed(seat, Why::Replaced));
                return removed.chain([Change::Joined]).collect();
            }
            Operation::Rejoin { .. } => Change::Rejoined,
            Operation::Remove { member, reason } => {
                return self.removed(member, why(reason)).into_iter().collect();
            }
            Operation::Add { entrant, .. } => {
                Change::Added { name: entrant.name.clone(), fingerprint: entrant.key.fingerprint() }
            }
            Operation::Update => Change::Updated,
            Operation::Admit(person) => {
                Change::Admitted { name: person.name.clone(), fingerprint: person.fingerprint }
            }
            Operation::Rules(rules) => Change::Rules(*rules),
            Operation::Lift(fingerprint) => Change::Lifted { fingerprint: *fingerprint },
            Operation::Role { member, role } => {
                return self
                    .before
                    .seat(member)
                    .map(|seat| in_role(seat, *role))
                    .into_iter()
                    .collect();
            }
        };
        vec![one]
    }

    fn removed(&self, member: &Fingerprint, why: Why) -> Option<Change> {
        if let Some(seat) = self.before.seat(member) {
            return Some(removed(seat, why));
        }
        let name = self.before.admitted(member)?.name.clone();
        Some(Change::Struck { name, fingerprint: *member, why })
    }

    fn claimed(&self) -> Option<Change> {
        let author = self.transition.author()?;
        let before = self.before.seat(&author.fingerprint)?;
        let is_new = before.claim != Claim::Claimed && author.claim == Claim::Claimed;
        is_new.then(|| Change::Claimed(author.name.clone()))
    }

    /// Who became an admin because nobody else was left.
    fn appointed(&self) -> Option<Change> {
        let is_listed = |who: &Fingerprint| {
            let operations = &self.transition.commit().operations;
            operations.iter().any(|it| match it {
                Operation::Role { member, .. } => member == who,
                Operation::Create { entrant, .. } => entrant.key.fingerprint() == *who,
                _ => false,
            })
        };
        let is_new = |seat: &&Seat| {
            let before = self.before.seat(&seat.fingerprint).map(|seat| seat.role);
            seat.role == Role::Admin && before != Some(Role::Admin) && !is_listed(&seat.fingerprint)
        };
        let seat = self.transition.outline().changed_seats().find(is_new)?;
        Some(in_role(seat, Role::Admin))
    }
}

fn removed(seat: &Seat, why: Why) -> Change {
    Change::Removed { name: seat.name.clone(), fingerprint: seat.fingerprint, why }
}

fn in_role(seat: &Seat, role: Role) -> Change {
    Change::Role { name: seat.name.clone(), fingerprint: seat.fingerprint, role }
}

const fn why(reason: &Reason) -> Why {
    match reason {
        Reason::Evicted => Why::Evicted,
        Reason::Left(_) => Why::Left,
        Reason::Revoked(_) => Why::Revoked,
    }
}
