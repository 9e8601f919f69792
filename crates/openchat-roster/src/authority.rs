//! Operation by operation: whether the author may, whether those whom it is about are who they must
//! be, and what it does (`docs/protocol.md` §4.3; C5, C6, C14 to C18).

use openchat_crypto::{PublicKey, parallel};
use openchat_wire::{Epoch, Fingerprint, Name, Slot, limits::MAX_REJOIN_WRAPS};

use crate::{
    commit::{Entrant, HeadRef, Operation, Reason, Wrap},
    fault::CommitFault,
    lists::{Admitted, Denied},
    outline::{Draw, Outline, Trust, check_combination},
    policy::{Joining, Person, Policy, Rules},
    prekey::{Prekey, PrekeyFault, PrekeyKind, SignedPrekey},
    revocation::Revocation,
    roster::{Roster, group_id},
    seat::{Claim, Role, Seat, Unclaimed},
};

/// The outline of a commit with these operations on this roster.
pub(crate) fn outline(
    roster: &Roster,
    author: &Fingerprint,
    operations: &[Operation],
    (head, trust): (&HeadRef, Trust),
) -> Result<Outline, CommitFault> {
    check_combination(operations)?;
    let policy = match (operations.first(), roster.policy()) {
        (Some(Operation::Create { policy, .. }), None) => policy.clone(),
        (Some(Operation::Create { .. }), Some(_)) | (_, None) => {
            return Err(CommitFault::Operations);
        }
        (_, Some(policy)) => policy.clone(),
    };
    let mut draw = Draw::new(roster, *author, policy, (head, trust));
    check_renewal(&draw, operations)?;
    draw.prekeys = viewed(operations, trust).into_iter();
    for operation in operations {
        draw.take(operation)?;
    }
    draw.finish()
}

/// C4: an unclaimed author renews its leaf. C5: whoever does not enter has a seat.
fn check_renewal(draw: &Draw<'_>, operations: &[Operation]) -> Result<(), CommitFault> {
    if matches!(operations.first(), Some(Operation::Create { .. } | Operation::Join { .. })) {
        return Ok(());
    }
    let seat = draw.roster.seat(&draw.author).ok_or(CommitFault::Authority)?;
    let renews =
        |operation: &Operation| matches!(operation, Operation::Update | Operation::Rejoin { .. });
    if seat.is_unclaimed() && !operations.iter().any(renews) {
        return Err(CommitFault::Operations);
    }
    Ok(())
}

/// C16, of all adds at once: a thousand signatures are most of what a newcomer's first commit costs.
fn viewed(operations: &[Operation], trust: Trust) -> Vec<Result<Prekey, PrekeyFault>> {
    let adds: Vec<_> = operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::Add { entrant, prekey } => Some((&entrant.key, prekey)),
            _ => None,
        })
        .collect();
    parallel::map(&adds, |(key, prekey)| match trust {
        Trust::Nobody => prekey.verify(key),
        Trust::OwnStore => prekey.view(),
    })
}

impl Draw<'_> {
    fn take(&mut self, operation: &Operation) -> Result<(), CommitFault> {
        match operation {
            Operation::Create { nonce, policy, entrant } => {
                if group_id(&self.author, nonce, policy) != *self.roster.group() {
                    return Err(CommitFault::GroupId);
                }
                self.create(policy, entrant)
            }
            Operation::Join { entrant, wrap, replaces, .. } => {
                self.check_wraps(core::slice::from_ref(wrap))?;
                self.join(entrant, replaces.as_ref())
            }
            Operation::Rejoin { wraps, .. } => self.rejoin(wraps),
            Operation::Remove { member, reason } => self.remove(member, reason),
            Operation::Add { entrant, prekey } => self.add(entrant, prekey),
            Operation::Update => {
                self.renews = true;
                Ok(())
            }
            Operation::Admit(person) => self.admit(person),
            Operation::Rules(rules) => self.set_rules(*rules),
            Operation::Lift(who) => self.lift(who),
            Operation::Role { member, role } => self.set_role(member, *role),
        }
    }

    fn create(&mut self, policy: &Policy, entrant: &Entrant) -> Result<(), CommitFault> {
        if !policy.is_sound() {
            return Err(CommitFault::Rules);
        }
        if policy.is_direct() && !policy.is_peer(&self.author) {
            return Err(CommitFault::Authority);
        }
        self.enter(entrant, Role::Admin)
    }

    fn join(
        &mut self,
        entrant: &Entrant,
        replaces: Option<&Revocation>,
    ) -> Result<(), CommitFault> {
        if !self.roster.may_join(&self.author, &entrant.name) {
            return Err(CommitFault::Authority);
        }
        let namesake = self.roster.seat_named(&entrant.name).cloned();
        match (namesake, replaces) {
            (Some(seat), Some(proof)) => self.revoke(&seat.fingerprint, proof)?,
            (None, None) => {}
            _ => return Err(CommitFault::Identity),
        }
        self.enter(entrant, Role::Member)
    }

    /// The author takes a seat.
    fn enter(&mut self, entrant: &Entrant, role: Role) -> Result<(), CommitFault> {
        if entrant.key.fingerprint() != self.author || self.roster.seat(&self.author).is_some() {
            return Err(CommitFault::Identity);
        }
        let seat = self.new_seat((&entrant.name, &entrant.key, self.author), role, Claim::Claimed);
        self.slot = Some(self.take_seat(seat));
        (self.enters, self.renews) = (true, true);
        Ok(())
    }

    fn rejoin(&mut self, wraps: &[Wrap]) -> Result<(), CommitFault> {
        self.check_wraps(wraps)?;
        let (slot, since) = (self.slot.ok_or(CommitFault::Authority)?, self.epoch());
        self.change_seat(slot, |seat| seat.since = since);
        (self.rejoins, self.renews) = (true, true);
        Ok(())
    }

    fn remove(&mut self, member: &Fingerprint, reason: &Reason) -> Result<(), CommitFault> {
        if *member == self.author || (self.rejoins && !self.is_admin()) {
            return Err(CommitFault::Authority);
        }
        match reason {
            Reason::Evicted if !self.is_admin() || self.policy.is_direct() => {
                return Err(CommitFault::Authority);
            }
            Reason::Evicted => self.expel(member, Denial::NameAndKey)?,
            Reason::Left(entry) => {
                let leave = self.roster.judge_leave(entry, self.trust)?;
                if leave.author != *member {
                    return Err(crate::fault::LeaveFault::Encoding.into());
                }
                self.expel(member, Denial::None)?;
            }
            Reason::Revoked(proof) => self.revoke(member, proof)?,
        }
        self.renews = true;
        Ok(())
    }

    fn revoke(&mut self, member: &Fingerprint, proof: &Revocation) -> Result<(), CommitFault> {
        if self.trust == Trust::Nobody && !proof.revokes(member, self.head) {
            return Err(CommitFault::Revocation);
        }
        self.expel(member, Denial::Key)
    }

    /// Takes somebody's seat and admission away.
    fn expel(&mut self, member: &Fingerprint, denial: Denial) -> Result<(), CommitFault> {
        let seat = self.roster.seat(member).cloned();
        let struck = self.lists.strike(member);
        let name = match (&seat, struck) {
            (Some(seat), _) => seat.name.clone(),
            (None, Some(admitted)) => admitted.name,
            (None, None) => return Err(CommitFault::Identity),
        };
        if let Some(seat) = &seat {
            self.vacate(seat);
        }
        let name = match denial {
            Denial::None => return Ok(()),
            Denial::Key => None,
            Denial::NameAndKey => Some(name),
        };
        self.lists.denied.insert(Denied { fingerprint: *member, name });
        Ok(())
    }

    fn add(&mut self, entrant: &Entrant, prekey: &SignedPrekey) -> Result<(), CommitFault> {
        let fingerprint = entrant.key.fingerprint();
        self.check_inviting(&fingerprint, &entrant.name)?;
        if self.policy.is_direct() && !self.policy.is_peer(&fingerprint) {
            return Err(CommitFault::Authority);
        }
        let prekey_hash = prekey.hash();
        let prekey = self.prekeys.next().ok_or(CommitFault::Operations)??;
        let claim = Claim::Unclaimed(Unclaimed {
            prekey: prekey.key,
            prekey_hash,
            is_last_resort: prekey.kind == PrekeyKind::LastResort,
            adder: self.author,
        });
        let who = (&entrant.name, &entrant.key, fingerprint);
        let seat = self.new_seat(who, Role::Member, claim);
        self.lists.lift(&fingerprint, &entrant.name);
        self.take_seat(seat);
        Ok(())
    }

    fn admit(&mut self, person: &Person) -> Result<(), CommitFault> {
        let Person { name, fingerprint } = person;
        if self.policy.is_direct() {
            return Err(CommitFault::Authority);
        }
        self.check_inviting(fingerprint, name)?;
        if self.lists.admitted.get(fingerprint).is_some() {
            return Err(CommitFault::Identity);
        }
        self.lists.lift(fingerprint, name);
        let (fingerprint, name, since) = (*fingerprint, name.clone(), self.epoch());
        self.lists.admitted.insert(Admitted { fingerprint, name, since });
        Ok(())
    }

    /// C5 and C6 of an add and an admit.
    fn check_inviting(&self, who: &Fingerprint, name: &Name) -> Result<(), CommitFault> {
        let creates = self.roster.policy().is_none();
        let denied = self.roster.is_denied(who, name);
        if !(creates || self.roster.may_invite(&self.author)) || (denied && !self.is_admin()) {
            return Err(CommitFault::Authority);
        }
        let seated = self.roster.seat(who).is_some() || self.roster.seat_named(name).is_some();
        let enters = self.newcomers.contains(who) || self.new_names.contains(name);
        let struck = self.lists.admitted.get(who).is_none() && self.roster.admitted(who).is_some();
        if seated || enters || struck { Err(CommitFault::Identity) } else { Ok(()) }
    }

    fn set_rules(&mut self, rules: Rules) -> Result<(), CommitFault> {
        self.check_admin()?;
        self.policy.rules = rules;
        if self.policy.is_sound() { Ok(()) } else { Err(CommitFault::Rules) }
    }

    fn lift(&mut self, who: &Fingerprint) -> Result<(), CommitFault> {
        if !self.is_admin() {
            return Err(CommitFault::Authority);
        }
        let was_denied = self.roster.lists().denied.get(who).is_some();
        match self.lists.denied.remove(who) {
            Some(_) if was_denied => Ok(()),
            _ => Err(CommitFault::Identity),
        }
    }

    fn set_role(&mut self, member: &Fingerprint, role: Role) -> Result<(), CommitFault> {
        self.check_admin()?;
        let before = self.roster.seat(member).ok_or(CommitFault::Identity)?;
        let slot = before.slot;
        let stays = self.seat_at(slot).is_some_and(|seat| seat.fingerprint == *member);
        if !stays || before.role == role {
            return Err(CommitFault::Identity);
        }
        self.change_seat(slot, |seat| seat.role = role);
        Ok(())
    }

    fn check_admin(&self) -> Result<(), CommitFault> {
        if self.is_admin() && !self.policy.is_direct() {
            Ok(())
        } else {
            Err(CommitFault::Authority)
        }
    }

    fn is_admin(&self) -> bool {
        self.roster.seat(&self.author).is_some_and(|seat| seat.role == Role::Admin)
    }

    fn new_seat(
        &self,
        (name, key, fingerprint): (&Name, &PublicKey, Fingerprint),
        role: Role,
        claim: Claim,
    ) -> Seat {
        let seated = self.epoch();
        let (name, key, slot) = (name.clone(), *key, Slot::default());
        Seat { name, key, fingerprint, role, seated, since: seated, slot, claim }
    }

    /// C15: the tail's epoch first, then earlier ones, falling.
    fn check_wraps(&self, wraps: &[Wrap]) -> Result<(), CommitFault> {
        let tail_first = wraps.first().is_some_and(|wrap| wrap.epoch == self.roster.epoch());
        let falling = wraps.is_sorted_by(|a, b| a.epoch > b.epoch);
        let all_past = wraps.iter().all(|wrap| wrap.epoch > Epoch(0));
        if tail_first && falling && all_past && wraps.len() <= MAX_REJOIN_WRAPS {
            Ok(())
        } else {
            Err(CommitFault::Wraps)
        }
    }
}

/// What a removal puts on the list of the denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    None,
    Key,
    NameAndKey,
}

impl Roster {
    /// Whether somebody could take a seat by itself.
    #[must_use]
    pub fn may_join(&self, who: &Fingerprint, name: &Name) -> bool {
        let Some(policy) = self.policy() else { return false };
        if self.seat(who).is_some() || self.is_denied(who, name) {
            return false;
        }
        match policy.rules.join {
            _ if policy.is_direct() => policy.is_peer(who),
            Joining::Anyone => true,
            Joining::Admitted => self.admitted(who).is_some_and(|it| it.name == *name),
        }
    }

    /// Whether a member may add and admit.
    #[must_use]
    pub fn may_invite(&self, who: &Fingerprint) -> bool {
        let (Some(policy), Some(seat)) = (self.policy(), self.seat(who)) else { return false };
        match policy.rules.invite {
            crate::policy::Inviting::Members => true,
            crate::policy::Inviting::Admins => seat.role == Role::Admin,
        }
    }

    /// Whether somebody may read the commits.
    #[must_use]
    pub fn may_read(&self, who: &Fingerprint) -> bool {
        let Some(policy) = self.policy() else { return false };
        matches!(policy.access, crate::policy::Access::Open { .. })
            || policy.is_peer(who)
            || self.seat(who).is_some()
            || self.admitted(who).is_some()
    }
}
