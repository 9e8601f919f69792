//! Where people sit and what they own, found without walking the tree.

use std::collections::{BTreeMap, BTreeSet};

use openchat_wire::{Fingerprint, Name, Slot};

use crate::{
    outline::Outline,
    seat::{Role, Seat},
    tree::Tree,
};

/// All that could be read off a tree by looking at every leaf.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    slots: BTreeMap<Fingerprint, Slot>,
    names: BTreeMap<Name, Slot>,
    owned: BTreeMap<Fingerprint, BTreeSet<Slot>>,
    admins: BTreeSet<Slot>,
    unclaimed: BTreeSet<Slot>,
}

impl Index {
    pub(crate) fn slot(&self, member: &Fingerprint) -> Option<Slot> {
        self.slots.get(member).copied()
    }

    pub(crate) fn slot_named(&self, name: &Name) -> Option<Slot> {
        self.names.get(name).copied()
    }

    pub(crate) fn owned(&self, owner: &Fingerprint) -> impl Iterator<Item = Slot> {
        self.owned.get(owner).into_iter().flatten().copied()
    }

    pub(crate) fn admins(&self) -> impl Iterator<Item = Slot> {
        self.admins.iter().copied()
    }

    pub(crate) fn unclaimed(&self) -> usize {
        self.unclaimed.len()
    }

    /// Takes the step of a commit from `before`, in which the leaves of `emptied` were pruned.
    pub(crate) fn follow(
        &mut self,
        before: &Tree,
        outline: &Outline,
        emptied: &[(Slot, Fingerprint)],
    ) {
        for slot in outline.seats.keys() {
            if let Some(seat) = before.leaf(*slot).and_then(|leaf| leaf.seat.as_ref()) {
                self.forget(seat);
            }
        }
        outline.seats.values().flatten().for_each(|seat| self.learn(seat));
        for (slot, owner) in emptied {
            self.disown(owner, *slot);
        }
        for slot in outline.leaves.keys() {
            if let Some(leaf) = before.leaf(*slot) {
                self.disown(&leaf.owner, *slot);
            }
            self.owned.entry(outline.author).or_default().insert(*slot);
        }
    }

    fn forget(&mut self, seat: &Seat) {
        self.slots.remove(&seat.fingerprint);
        self.names.remove(&seat.name);
        self.admins.remove(&seat.slot);
        self.unclaimed.remove(&seat.slot);
    }

    fn learn(&mut self, seat: &Seat) {
        self.slots.insert(seat.fingerprint, seat.slot);
        self.names.insert(seat.name.clone(), seat.slot);
        if seat.role == Role::Admin {
            self.admins.insert(seat.slot);
        }
        if seat.is_unclaimed() {
            self.unclaimed.insert(seat.slot);
        }
    }

    fn disown(&mut self, owner: &Fingerprint, slot: Slot) {
        if let Some(owned) = self.owned.get_mut(owner) {
            owned.remove(&slot);
            if owned.is_empty() {
                self.owned.remove(owner);
            }
        }
    }
}
