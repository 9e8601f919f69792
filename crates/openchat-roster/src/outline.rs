//! What a commit's operations do, before its keys are looked at: who comes and goes, which leaves
//! get new keys, and whether the author may do this (`docs/protocol.md` §4.3, §4.4).
//!
//! Authors begin with it, because it tells them which keys to make; readers check by it that those
//! keys are the ones that were to be made.

use std::collections::{BTreeMap, BTreeSet};

use openchat_crypto::PublicKey;
use openchat_wire::{
    Digest, Epoch, Fingerprint, Name, Slot,
    limits::{MAX_ADMITTED, MAX_DENIED, MAX_MEMBERS, MAX_UNCLAIMED},
};

use crate::{
    commit::{HeadRef, Operation},
    fault::CommitFault,
    lists::Lists,
    policy::Policy,
    prekey::{Prekey, PrekeyFault},
    roster::Roster,
    seat::{Claim, Role, Seat, Unclaimed},
    shape::{Moves, Shape},
    tree::NodeIndex,
};

/// What a commit's operations do.
#[derive(Debug)]
pub struct Outline {
    pub(crate) author: Fingerprint,
    pub(crate) slot: Slot,
    pub(crate) leaves: BTreeMap<Slot, NewLeaf>,
    pub(crate) shape: Shape,
    /// Seats that are different afterwards, or gone.
    pub(crate) seats: BTreeMap<Slot, Option<Seat>>,
    pub(crate) removed: Vec<Seat>,
    /// Slots on which somebody new sits.
    newcomers: BTreeSet<Slot>,
    pub(crate) policy: Policy,
    pub(crate) lists: Lists,
}

/// Whose a changed leaf is, and so how its secret is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewLeaf {
    /// The author's own: a fresh secret, which it keeps.
    Own,
    /// Nobody's: a fresh secret, which nobody keeps.
    Vacant,
    /// Another member's who has not claimed it: a secret that it finds by its prekey (§4.6).
    Member {
        /// Who.
        member: Fingerprint,
        /// The prekey's public key.
        prekey: PublicKey,
        /// The hash of the signed prekey.
        prekey_hash: Digest,
    },
}

/// Whether signatures and proofs are still to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Nobody,
    OwnStore,
}

impl Outline {
    /// The author's slot.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Leaves that get a new key, by slot.
    pub fn leaves(&self) -> impl Iterator<Item = (Slot, NewLeaf)> {
        self.leaves.iter().map(|(slot, leaf)| (*slot, *leaf))
    }

    /// What becomes of a leaf, if it gets a new key.
    #[must_use]
    pub fn leaf(&self, slot: Slot) -> Option<NewLeaf> {
        self.leaves.get(&slot).copied()
    }

    /// Whether the commit has an ephemeral key: a changed leaf is another member's.
    #[must_use]
    pub fn needs_ephemeral(&self) -> bool {
        self.leaves.values().any(|leaf| matches!(leaf, NewLeaf::Member { .. }))
    }

    /// The agreements that get a new key, by level, then index: the order of a commit's nodes.
    #[must_use]
    pub fn agreements(&self) -> Vec<NodeIndex> {
        self.shape.agreements()
    }

    /// The key of a subtree in which nothing changes; `None` where it changes or is empty.
    #[must_use]
    pub fn unchanged_key(&self, at: NodeIndex) -> Option<PublicKey> {
        self.shape.unchanged_key(at)
    }

    /// Levels of the tree afterwards.
    #[must_use]
    pub const fn height(&self) -> u8 {
        self.shape.height
    }

    /// Seats that the commit takes away.
    #[must_use]
    pub fn removed(&self) -> &[Seat] {
        &self.removed
    }

    /// The prekeys of those whom the commit adds.
    pub(crate) fn new_prekeys(&self) -> impl Iterator<Item = PublicKey> {
        let unclaimed = self.newcomers.iter().filter_map(|slot| self.seats.get(slot)?.as_ref());
        unclaimed.filter_map(|seat| match seat.claim {
            Claim::Unclaimed(unclaimed) => Some(unclaimed.prekey),
            _ => None,
        })
    }

    /// Seats that are new or different afterwards.
    pub fn changed_seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values().flatten()
    }
}

/// An outline in the making. Authority is judged on `roster`, the one before the commit.
pub(crate) struct Draw<'a> {
    pub(crate) roster: &'a Roster,
    pub(crate) author: Fingerprint,
    pub(crate) head: &'a HeadRef,
    pub(crate) trust: Trust,
    pub(crate) policy: Policy,
    pub(crate) lists: Lists,
    pub(crate) seats: BTreeMap<Slot, Option<Seat>>,
    pub(crate) removed: Vec<Seat>,
    pub(crate) moves: Moves,
    /// Where the author sits afterwards.
    pub(crate) slot: Option<Slot>,
    /// Slots below this one have a member.
    next_free: u32,
    /// The author renews its own leaf and what it owns.
    pub(crate) renews: bool,
    /// It has just come, and sets its own leaf for the first time.
    pub(crate) enters: bool,
    /// It comes back.
    pub(crate) rejoins: bool,
    /// Whom this commit has seated.
    pub(crate) newcomers: BTreeSet<Fingerprint>,
    pub(crate) new_names: BTreeSet<Name>,
    /// What the prekeys of the adds say that are still to come.
    pub(crate) prekeys: std::vec::IntoIter<Result<Prekey, PrekeyFault>>,
}

impl<'a> Draw<'a> {
    pub(crate) fn new(
        roster: &'a Roster,
        author: Fingerprint,
        policy: Policy,
        (head, trust): (&'a HeadRef, Trust),
    ) -> Self {
        Self {
            roster,
            author,
            head,
            trust,
            policy,
            lists: roster.lists().clone(),
            seats: BTreeMap::new(),
            removed: Vec::new(),
            moves: Moves::default(),
            slot: roster.seat(&author).map(|seat| seat.slot),
            next_free: 0,
            renews: false,
            enters: false,
            rejoins: false,
            newcomers: BTreeSet::new(),
            new_names: BTreeSet::new(),
            prekeys: Vec::new().into_iter(),
        }
    }

    /// The epoch that the commit leads to.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.roster.epoch().next()
    }

    /// A seat as the operations so far leave it.
    pub(crate) fn seat_at(&self, slot: Slot) -> Option<&Seat> {
        match self.seats.get(&slot) {
            Some(changed) => changed.as_ref(),
            None => self.roster.seat_at(slot),
        }
    }

    /// Gives somebody the lowest free slot.
    pub(crate) fn take_seat(&mut self, mut seat: Seat) -> Slot {
        let slot = self.roster.tree().next_free(self.next_free, &self.moves.vacated);
        self.next_free = slot.0.saturating_add(1);
        seat.slot = slot;
        self.lists.strike(&seat.fingerprint);
        self.newcomers.insert(seat.fingerprint);
        self.new_names.insert(seat.name.clone());
        self.moves.seated.insert(slot);
        self.seats.insert(slot, Some(seat));
        slot
    }

    /// Takes a member's seat away.
    pub(crate) fn vacate(&mut self, seat: &Seat) {
        self.moves.vacated.insert(seat.slot);
        self.seats.insert(seat.slot, None);
        self.removed.push(seat.clone());
    }

    /// All that follows from the operations.
    pub(crate) fn finish(mut self) -> Result<Outline, CommitFault> {
        let slot = self.slot.ok_or(CommitFault::Authority)?;
        let rekeyed = self.rekeyed(slot);
        self.check_room(&rekeyed)?;
        if rekeyed.contains(&slot) && !self.enters {
            self.change_seat(slot, |seat| seat.claim = seat.claim.advanced());
        }
        self.appoint();
        let shape = Shape::new(self.roster.tree(), rekeyed, slot, &self.moves);
        let kind = |at: &Slot| (*at, self.new_leaf(*at, slot));
        let leaves = shape.rekeyed().iter().map(kind).collect();
        let Self { author, policy, lists, seats, removed, moves, .. } = self;
        let newcomers = moves.seated;
        Ok(Outline { author, slot, leaves, shape, seats, removed, newcomers, policy, lists })
    }

    /// §4.3, the set of re-keyed leaves, before pruning.
    fn rekeyed(&self, own: Slot) -> BTreeSet<Slot> {
        let mut all = self.moves.seated.clone();
        if self.renews {
            all.insert(own);
            all.extend(self.roster.owned(&self.author));
        }
        for seat in &self.removed {
            all.insert(seat.slot);
            all.extend(self.roster.owned(&seat.fingerprint));
        }
        all
    }

    /// Whose a changed leaf is. Whoever does not own its own leaf has not claimed it.
    fn new_leaf(&self, at: Slot, own: Slot) -> NewLeaf {
        match self.seat_at(at) {
            _ if at == own => NewLeaf::Own,
            Some(Seat { fingerprint, claim: Claim::Unclaimed(unclaimed), .. }) => {
                let Unclaimed { prekey, prekey_hash, .. } = *unclaimed;
                NewLeaf::Member { member: *fingerprint, prekey, prekey_hash }
            }
            _ => NewLeaf::Vacant,
        }
    }

    /// C13.
    fn check_room(&self, rekeyed: &BTreeSet<Slot>) -> Result<(), CommitFault> {
        let gone = u32::try_from(self.removed.len()).unwrap_or(u32::MAX);
        let come = self.moves.seated.len();
        let members = self.roster.tree().members().saturating_sub(gone);
        let members = usize::try_from(members).unwrap_or(usize::MAX).saturating_add(come);
        let full = members > MAX_MEMBERS
            || self.lists.admitted.len() > MAX_ADMITTED
            || self.lists.denied.len() > MAX_DENIED;
        let adds = come > usize::from(self.enters);
        let crowded = adds && self.unclaimed_of_author(rekeyed) > MAX_UNCLAIMED;
        if full || crowded { Err(CommitFault::Full) } else { Ok(()) }
    }

    /// Unclaimed leaves that the author owns afterwards, of members whom it added itself.
    fn unclaimed_of_author(&self, rekeyed: &BTreeSet<Slot>) -> usize {
        let owned: BTreeSet<Slot> =
            self.roster.owned(&self.author).chain(rekeyed.iter().copied()).collect();
        let counts = |slot: &&Slot| {
            let claim = self.seat_at(**slot).map(|seat| seat.claim);
            matches!(claim, Some(Claim::Unclaimed(unclaimed)) if unclaimed.adder == self.author)
        };
        owned.iter().filter(counts).count()
    }

    /// Changes a seat that there is.
    pub(crate) fn change_seat(&mut self, slot: Slot, change: impl FnOnce(&mut Seat)) {
        if let Some(mut seat) = self.seat_at(slot).cloned() {
            change(&mut seat);
            self.seats.insert(slot, Some(seat));
        }
    }

    /// If nobody is an admin any more, the longest-seated member becomes one.
    fn appoint(&mut self) {
        let is_admin = |seat: &Seat| seat.role == Role::Admin;
        let kept = self.roster.admins().filter(|slot| !self.seats.contains_key(slot));
        if kept.count() > 0 || self.seats.values().flatten().any(is_admin) {
            return;
        }
        let kept = self.roster.seats().filter(|seat| !self.seats.contains_key(&seat.slot));
        let all = kept.chain(self.seats.values().flatten());
        let rank = |seat: &&Seat| (seat.claim != Claim::Claimed, seat.seated, seat.slot);
        if let Some(slot) = all.min_by_key(rank).map(|seat| seat.slot) {
            self.change_seat(slot, |seat| seat.role = Role::Admin);
        }
    }
}

/// C4: the operations are a combination that has a meaning, in order.
pub(crate) fn check_combination(operations: &[Operation]) -> Result<(), CommitFault> {
    let (Some(first), in_order) = (operations.first(), operations.is_sorted_by(is_before)) else {
        return Err(CommitFault::Operations);
    };
    let rest = operations.get(1..).unwrap_or_default();
    let fits = |operation: &Operation| match first {
        Operation::Create { .. } => {
            matches!(operation, Operation::Add { .. } | Operation::Admit(_))
        }
        Operation::Join { .. } => false,
        Operation::Rejoin { .. } => matches!(operation, Operation::Remove { .. }),
        _ => true,
    };
    if in_order && rest.iter().all(fits) { Ok(()) } else { Err(CommitFault::Operations) }
}

/// By kind; those about people by fingerprint, adds as they are listed.
fn is_before(one: &Operation, other: &Operation) -> bool {
    match (one.index().cmp(&other.index()), one.about().zip(other.about())) {
        (core::cmp::Ordering::Equal, Some((one, other))) => one < other,
        (core::cmp::Ordering::Equal, None) => matches!(one, Operation::Add { .. }),
        (order, _) => order.is_lt(),
    }
}
