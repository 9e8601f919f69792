//! Who is in which group, by person: written in the batch of the commit that changes it.
//!
//! A group's commits say who is in it. These records say it the other way round, for a device that
//! has lost all it knew, and hold what nobody may have without bound.

use crate::{
    outcome::Stop,
    relay::record,
    store::{Store, StoreError, Table},
};
use openchat_roster::{Access, Commit, Operation, Seat};
use openchat_wire::{
    Fingerprint, GroupId, Seq, encode,
    limits::{MAX_GROUPS, MAX_GROUPS_BY_ANOTHER},
    relay::Refusal,
};

/// Places of one person: all the groups that it enters itself, after others have filled its list,
/// and those of others that it enters then.
const MAX_PLACES: usize = 3 * MAX_GROUPS;

/// What a commit changes of who is where.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// Who comes in, and who put it there.
    into: Vec<(Fingerprint, Fingerprint)>,
    out: Vec<Fingerprint>,
    /// Who loses its seat.
    pub(crate) unseated: Vec<Fingerprint>,
}

impl Moves {
    /// Those of a valid commit. `claims`: its author was added and makes its leaf its own.
    pub(crate) fn of(commit: &Commit, access: &Access, removed: &[Seat], claims: bool) -> Self {
        let mut moves = Self::default();
        let author = commit.author;
        for operation in &commit.operations {
            match operation {
                Operation::Create { .. } | Operation::Join { .. } => {
                    moves.into.push((author, author));
                }
                Operation::Add { entrant, .. } => {
                    moves.into.push((entrant.key.fingerprint(), author));
                }
                Operation::Admit(person) => moves.into.push((person.fingerprint, author)),
                Operation::Remove { member, .. } => moves.out.push(*member),
                _ => {}
            }
        }
        if claims {
            moves.into.push((author, author));
        }
        moves.unseated = removed.iter().map(|seat| seat.fingerprint).collect();
        moves.out.extend_from_slice(&moves.unseated);
        if let Access::Direct { peers } = access {
            moves.keep_two(peers, author);
        }
        moves
    }

    /// The two of a direct group are in it from its beginning and for ever.
    fn keep_two(&mut self, peers: &[Fingerprint; 2], author: Fingerprint) {
        self.out.clear();
        if self.into.contains(&(author, author)) {
            let other = peers.iter().find(|peer| **peer != author);
            self.into.extend(other.map(|other| (*other, author)));
        }
    }

    /// Whether everybody who comes in may be in a group more.
    pub(crate) fn check_room(&self, store: &impl Store, log: &GroupId) -> Result<(), Stop> {
        for (person, by) in &self.into {
            let places = store.scan(Table::Place, &person.0, MAX_PLACES)?;
            if places.iter().any(|place| place.rest == log.0) {
                continue;
            }
            let same = places.iter().filter(|place| place.value == by.0).count();
            // Nobody is kept from what it does itself by places that others have put it in.
            let is_full = if person == by {
                same >= MAX_GROUPS
            } else {
                places.len() >= MAX_GROUPS || same >= MAX_GROUPS_BY_ANOTHER
            };
            if is_full {
                return Err(Refusal::TooManyGroups(*person).into());
            }
        }
        Ok(())
    }

    /// Stages them, with the place of their commit.
    pub(crate) fn stage(
        &self,
        store: &mut impl Store,
        log: &GroupId,
        seq: Seq,
    ) -> Result<(), StoreError> {
        for person in &self.out {
            leave(store, person, log)?;
        }
        for (person, by) in &self.into {
            enter(store, person, log, by)?;
        }
        for person in &self.unseated {
            replace(store, Table::Former, &key(&log.0, &person.0), &encode(&seq))?;
        }
        Ok(())
    }
}

/// The groups of a person.
pub(crate) fn groups(store: &impl Store, person: &Fingerprint) -> Result<Vec<GroupId>, StoreError> {
    let mut places = store.scan(Table::Place, &person.0, MAX_PLACES)?;
    // Its own come first if there are more than one answer tells; letters tell of the others.
    places.sort_by_key(|place| place.value != person.0);
    places.truncate(MAX_GROUPS);
    places.sort_by(|one, other| one.rest.cmp(&other.rest));
    let group = |rest: Vec<u8>| rest.try_into().map(GroupId);
    let groups = places.into_iter().map(|place| group(place.rest)).collect::<Result<_, _>>();
    groups.map_err(|_| StoreError::Corrupt("the place of a person in a group"))
}

/// Takes a person out of a group, if it is in.
pub(crate) fn leave(
    store: &mut impl Store,
    person: &Fingerprint,
    log: &GroupId,
) -> Result<(), StoreError> {
    let key = key(&person.0, &log.0);
    match store.get(Table::Place, &key)? {
        Some(known) => store.remove(Table::Place, &key, &known),
        None => Ok(()),
    }
}

/// Whoever has come in by itself stays so, whoever adds it then.
fn enter(
    store: &mut impl Store,
    person: &Fingerprint,
    log: &GroupId,
    by: &Fingerprint,
) -> Result<(), StoreError> {
    let key = key(&person.0, &log.0);
    let known = store.get(Table::Place, &key)?;
    if known.as_deref() == Some(&person.0) {
        return Ok(());
    }
    store.put(Table::Place, &key, known.as_deref(), &by.0)
}

/// Where somebody who has no seat any more lost it.
pub(crate) fn lost_seat(
    store: &impl Store,
    log: &GroupId,
    person: &Fingerprint,
) -> Result<Option<Seq>, StoreError> {
    record(store, Table::Former, &key(&log.0, &person.0))
}

/// A key of two parts.
pub(crate) fn key(one: &[u8; 32], other: &[u8; 32]) -> [u8; 64] {
    let mut key = [0; 64];
    let (first, second) = key.split_at_mut(32);
    first.copy_from_slice(one);
    second.copy_from_slice(other);
    key
}

/// Puts a record in place of the one that may be there.
pub(crate) fn replace(
    store: &mut impl Store,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    let known = store.get(table, key)?;
    store.put(table, key, known.as_deref(), value)
}
