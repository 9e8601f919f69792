//! What a member wants to change about its group (`docs/protocol.md` §4.3).

use openchat_crypto::PublicKey;
use openchat_roster::{Entrant, Operation, Person, PrekeyFault, Reason, Role, Rules, SignedPrekey};
use openchat_wire::{Fingerprint, Name};

use crate::author::CommitError;

/// Changes that one commit makes together. Their order within each list does not matter, but for
/// the adds: they take their slots as listed.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// Who loses its seat or its admission, and why.
    pub removes: Vec<(Fingerprint, Reason)>,
    /// Who is seated at once.
    pub adds: Vec<NewMember>,
    /// Renew one's own keys. A commit of an unclaimed author always does.
    pub update: bool,
    /// Who may come.
    pub admits: Vec<Invited>,
    /// New rules.
    pub rules: Option<Rules>,
    /// Who is no longer denied.
    pub lifts: Vec<Fingerprint>,
    /// New roles of members.
    pub roles: Vec<(Fingerprint, Role)>,
}

/// Somebody to be seated at once, online or not.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// The certified name.
    pub name: Name,
    /// The certified key.
    pub key: PublicKey,
    /// A prekey, as the relay gave it out. Its signature is checked when the commit is made; its
    /// times are the caller's to check, who has a clock.
    pub prekey: SignedPrekey,
}

/// Somebody who may come.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Who.
    pub person: Person,
    /// A prekey that the caller has verified: a letter is sealed with it. Without one the person
    /// learns of it from the relay alone.
    pub prekey: Option<SignedPrekey>,
}

impl Proposal {
    /// Renews one's own keys and does nothing else.
    #[must_use]
    pub fn update() -> Self {
        Self { update: true, ..Self::default() }
    }

    /// Whether somebody gets a letter.
    pub(crate) fn has_letters(&self) -> bool {
        !self.adds.is_empty() || self.admits.iter().any(|invited| invited.prekey.is_some())
    }

    /// The operations in the order of §4.3, and whom a letter goes to beside those who are added.
    pub(crate) fn into_operations(mut self) -> Result<(Vec<Operation>, Vec<Invited>), CommitError> {
        self.removes.sort_by_key(|(who, _)| *who);
        self.admits.sort_by_key(|invited| invited.person.fingerprint);
        self.lifts.sort_unstable();
        self.roles.sort_by_key(|(who, _)| *who);
        self.admits.iter().try_for_each(Invited::check)?;
        let remove = |(member, reason)| Operation::Remove { member, reason };
        let add = |NewMember { name, key, prekey }| Operation::Add {
            entrant: Entrant { name, key },
            prekey,
        };
        let admit = |invited: &Invited| Operation::Admit(invited.person.clone());
        let mut operations: Vec<Operation> = self.removes.into_iter().map(remove).collect();
        operations.extend(self.adds.into_iter().map(add));
        operations.extend(self.update.then_some(Operation::Update));
        operations.extend(self.admits.iter().map(admit));
        operations.extend(self.rules.map(Operation::Rules));
        operations.extend(self.lifts.into_iter().map(Operation::Lift));
        let role = |(member, role)| Operation::Role { member, role };
        operations.extend(self.roles.into_iter().map(role));
        Ok((operations, self.admits))
    }
}

impl Invited {
    /// The prekey is that person's; with no key at hand no more can be said here.
    fn check(&self) -> Result<(), PrekeyFault> {
        let Some(prekey) = &self.prekey else { return Ok(()) };
        let is_own = prekey.view()?.owner == self.person.fingerprint;
        is_own.then_some(()).ok_or(PrekeyFault::Owner)
    }
}
