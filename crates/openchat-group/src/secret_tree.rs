//! Message keys of one epoch: a secret tree over the slots, then a hash ratchet for each sender
//! (`docs/protocol.md` §6.1, after RFC 9420 §9).
//!
//! A key exists only between its derivation and its use. Taking one computes on the side
//! ([`Taken`]); [`EpochRatchets::keep`] then deletes what led to it.

use std::collections::BTreeMap;

use openchat_crypto::{Label, Secret};
use openchat_roster::NodeIndex;
use openchat_wire::{Digest, Epoch, Generation, Slot, limits::MAX_FORWARD_SKIP};
use serde::{Deserialize, Serialize};

use crate::state::StateKey;

/// The generation that is never used, so that counting on from the one before can't repeat it.
const LAST: Generation = Generation(u32::MAX);

/// The keys of one epoch that have not been used. Serialised for the vault only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRatchets {
    /// The epoch.
    pub epoch: Epoch,
    /// `confirmed_n`, which every message of the epoch is bound to.
    pub confirmed: Digest,
    height: u8,
    nodes: BTreeMap<NodeIndex, Secret>,
    ratchets: BTreeMap<Slot, Ratchet>,
}

/// What is the same for all of an epoch. Serialised for the vault only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    confirmed: Digest,
    height: u8,
}

/// A sender's ratchet, at the first generation whose key was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ratchet {
    next: Generation,
    secret: Secret,
}

/// A key, and what becomes of the ratchets if it turns out to be the right one.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) generation: Generation,
    /// `Expand(ratchet secret, "ratchet generation" ‖ generation)`.
    pub(crate) secret: Secret,
    slot: Slot,
    after: Ratchet,
    opened: Option<Opened>,
}

/// A walk from a node of the secret tree down to a slot.
#[derive(Debug)]
struct Opened {
    from: NodeIndex,
    siblings: Vec<(NodeIndex, Secret)>,
}

/// Why there is no key for a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// It was used, or skipped, and is deleted.
    Spent,
    /// It lies too far ahead.
    TooFar,
    /// The epoch's tree has no such slot.
    NoSlot,
}

impl EpochRatchets {
    /// The keys of an epoch whose tree has `2^height` slots.
    pub(crate) fn new(epoch: Epoch, confirmed: Digest, height: u8, message_secret: Secret) -> Self {
        let top = NodeIndex { level: height, index: 0 };
        let nodes = BTreeMap::from([(top, message_secret)]);
        Self { epoch, confirmed, height, nodes, ratchets: BTreeMap::new() }
    }

    /// The key of a sender's next generation: for sealing.
    pub(crate) fn next(&self, slot: Slot) -> Result<Taken, NoKey> {
        let (ratchet, opened) = self.ratchet(slot)?;
        let generation = ratchet.next;
        if generation == LAST {
            return Err(NoKey::TooFar);
        }
        Ok(step(slot, generation, &ratchet, opened))
    }

    /// The key of a sender's generation, deriving forward over those that never came.
    pub(crate) fn take(&self, slot: Slot, generation: Generation) -> Result<Taken, NoKey> {
        let (mut ratchet, opened) = self.ratchet(slot)?;
        let ahead = generation.0.checked_sub(ratchet.next.0).ok_or(NoKey::Spent)?;
        if ahead > MAX_FORWARD_SKIP || generation == LAST {
            return Err(NoKey::TooFar);
        }
        while ratchet.next < generation {
            ratchet = advanced(&ratchet);
        }
        Ok(step(slot, generation, &ratchet, opened))
    }

    /// Deletes the key that was taken and everything that led to it. Returns the records that are
    /// different now, or gone.
    pub(crate) fn keep(&mut self, taken: Taken) -> Vec<StateKey> {
        let mut changed = vec![StateKey::Ratchet(self.epoch, taken.slot)];
        if let Some(opened) = taken.opened {
            self.nodes.remove(&opened.from);
            let touched = opened.siblings.iter().map(|(at, _)| *at).chain([opened.from]);
            changed.extend(touched.map(|at| StateKey::Node(self.epoch, at)));
            self.nodes.extend(opened.siblings);
        }
        self.ratchets.insert(taken.slot, taken.after);
        changed
    }

    /// The epoch without keys, as it comes back from the vault.
    pub(crate) fn restored(epoch: Epoch, head: Head) -> Self {
        let Head { confirmed, height } = head;
        Self { epoch, confirmed, height, nodes: BTreeMap::new(), ratchets: BTreeMap::new() }
    }

    /// The keys of all its records.
    pub(crate) fn records(&self) -> impl Iterator<Item = StateKey> {
        let nodes = self.nodes.keys().map(|at| StateKey::Node(self.epoch, *at));
        let ratchets = self.ratchets.keys().map(|slot| StateKey::Ratchet(self.epoch, *slot));
        core::iter::once(StateKey::Epoch(self.epoch)).chain(nodes).chain(ratchets)
    }

    pub(crate) const fn head(&self) -> Head {
        Head { confirmed: self.confirmed, height: self.height }
    }

    pub(crate) fn node(&self, at: NodeIndex) -> Option<&Secret> {
        self.nodes.get(&at)
    }

    pub(crate) fn sender(&self, slot: Slot) -> Option<&Ratchet> {
        self.ratchets.get(&slot)
    }

    pub(crate) fn put_node(&mut self, at: NodeIndex, secret: Secret) {
        self.nodes.insert(at, secret);
    }

    pub(crate) fn put_sender(&mut self, slot: Slot, ratchet: Ratchet) {
        self.ratchets.insert(slot, ratchet);
    }

    fn ratchet(&self, slot: Slot) -> Result<(Ratchet, Option<Opened>), NoKey> {
        if let Some(ratchet) = self.ratchets.get(&slot) {
            return Ok((ratchet.clone(), None));
        }
        let (secret, opened) = self.descend(slot).ok_or(NoKey::NoSlot)?;
        Ok((Ratchet { next: Generation(0), secret }, Some(opened)))
    }

    /// From the lowest node above `slot` whose secret is still there, down to the slot's own.
    fn descend(&self, slot: Slot) -> Option<(Secret, Opened)> {
        let above = |level: u8| NodeIndex { level, index: ancestor(slot, level) };
        let from = (0..=self.height).map(above).find(|at| self.nodes.contains_key(at))?;
        let mut secret = self.nodes.get(&from)?.clone();
        let mut siblings = Vec::new();
        for level in (0..from.level).rev() {
            let to = above(level);
            let left = secret.expand(Label::TreeLeft, b"");
            let right = secret.expand(Label::TreeRight, b"");
            let (down, beside) = if to.index & 1 == 0 { (left, right) } else { (right, left) };
            siblings.push((NodeIndex { level, index: to.index ^ 1 }, beside));
            secret = down;
        }
        Some((secret, Opened { from, siblings }))
    }
}

fn ancestor(slot: Slot, level: u8) -> u32 {
    slot.0.checked_shr(level.into()).unwrap_or(0)
}

fn step(slot: Slot, generation: Generation, at: &Ratchet, opened: Option<Opened>) -> Taken {
    let secret = at.secret.expand(Label::RatchetGeneration, &generation.0.to_be_bytes());
    Taken { generation, secret, slot, after: advanced(at), opened }
}

fn advanced(ratchet: &Ratchet) -> Ratchet {
    let context = ratchet.next.0.to_be_bytes();
    Ratchet {
        next: ratchet.next.next(),
        secret: ratchet.secret.expand(Label::RatchetNext, &context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> EpochRatchets {
        EpochRatchets::new(Epoch(1), Digest([0; 32]), 2, Secret::from_bytes([7; 32]))
    }

    #[test]
    fn sender_and_receiver_take_the_same_keys() {
        let (mut ours, mut theirs) = (epoch(), epoch());
        for generation in 0..5 {
            let sent = ours.next(Slot(2)).unwrap();
            let received = theirs.take(Slot(2), Generation(generation)).unwrap();
            assert_eq!(sent.secret, received.secret);
            assert_eq!(sent.generation, Generation(generation));
            ours.keep(sent);
            theirs.keep(received);
        }
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_used_or_skipped_key_is_gone() {
        let mut ratchets = epoch();
        let third = ratchets.take(Slot(0), Generation(2)).unwrap();
        ratchets.keep(third);
        for spent in 0..=2 {
            assert_eq!(ratchets.take(Slot(0), Generation(spent)).unwrap_err(), NoKey::Spent);
        }
        assert!(ratchets.take(Slot(0), Generation(3)).is_ok());
    }

    #[test]
    fn taking_without_keeping_changes_nothing() {
        let ratchets = epoch();
        let before = ratchets.clone();
        let _ = ratchets.take(Slot(1), Generation(9)).unwrap();
        assert_eq!(ratchets, before);
    }

    #[test]
    fn the_skip_limit_holds_at_its_edge() {
        let ratchets = epoch();
        assert!(ratchets.take(Slot(0), Generation(MAX_FORWARD_SKIP)).is_ok());
        let beyond = Generation(MAX_FORWARD_SKIP + 1);
        assert_eq!(ratchets.take(Slot(0), beyond).unwrap_err(), NoKey::TooFar);
        assert_eq!(ratchets.take(Slot(0), Generation(u32::MAX)).unwrap_err(), NoKey::TooFar);
    }

    #[test]
    fn the_last_generation_is_never_used() {
        let mut ratchets = epoch();
        let secret = Secret::from_bytes([1; 32]);
        ratchets.put_sender(Slot(0), Ratchet { next: Generation(u32::MAX - 1), secret });
        assert_eq!(ratchets.take(Slot(0), Generation(u32::MAX)).unwrap_err(), NoKey::TooFar);
        let one_before = ratchets.next(Slot(0)).unwrap();
        assert_eq!(one_before.generation, Generation(u32::MAX - 1));
        ratchets.keep(one_before);
        assert_eq!(ratchets.next(Slot(0)).unwrap_err(), NoKey::TooFar);
        for generation in [u32::MAX - 1, u32::MAX] {
            assert!(ratchets.take(Slot(0), Generation(generation)).is_err());
        }
    }

    #[test]
    fn keeping_a_key_names_every_record_that_it_changes() {
        let mut ratchets = epoch();
        for slot in [2, 3, 0, 0, 1] {
            let before = ratchets.clone();
            let taken = ratchets.next(Slot(slot)).unwrap();
            let changed = ratchets.keep(taken);
            let all = before.records().chain(ratchets.records());
            let value = |of: &EpochRatchets, key: StateKey| match key {
                StateKey::Node(_, at) => of.node(at).map(|secret| *secret.expose()),
                StateKey::Ratchet(_, slot) => of.sender(slot).map(|it| *it.secret.expose()),
                _ => None,
            };
            for key in all {
                let differs = value(&before, key) != value(&ratchets, key);
                assert_eq!(changed.contains(&key), differs, "{key:?}");
            }
        }
    }

    #[test]
    fn slots_have_different_keys_and_no_other_slots_exist() {
        let ratchets = epoch();
        let keys: Vec<_> = (0..4).map(|slot| ratchets.next(Slot(slot)).unwrap().secret).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| other != key));
        }
        assert_eq!(ratchets.next(Slot(4)).unwrap_err(), NoKey::NoSlot);
    }

    #[test]
    fn the_root_is_deleted_with_the_first_key() {
        let mut ratchets = epoch();
        let first = ratchets.next(Slot(0)).unwrap();
        ratchets.keep(first);
        assert!(!ratchets.nodes.contains_key(&NodeIndex { level: 2, index: 0 }));
        assert_eq!(ratchets.nodes.len(), 2, "the right half and the neighbour");
    }
}
