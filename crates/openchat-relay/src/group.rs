//! What the relay holds of a group in memory, and how it gets there.

use crate::{
    pace::{Bucket, Pace},
    store::{Limit, Place, Store, StoreError, Which},
};
use openchat_roster::{LogEntry, Policy, Roster};
use openchat_wire::{
    Epoch, Fingerprint, GroupId, Seq,
    relay::{Receipt, SignedReceipt},
};
use std::collections::HashMap;

/// Groups in memory at once. A roster of 100 members takes about 50 KiB; one that was put out is
/// replayed from its commits when somebody asks again.
const MAX_LOADED: usize = 1_024;

/// A group as its log says.
#[derive(Debug)]
pub(crate) struct Group {
    /// What the commits amount to.
    pub(crate) roster: Roster,
    /// The newest entry.
    pub(crate) tail: Place,
    /// How many newcomers may still come right now.
    joins: Bucket,
    /// How often a member may still renew its keys right now; as a rule, nobody is listed.
    renewals: HashMap<Fingerprint, Bucket>,
    /// The signed claim about [`tail`](Self::tail), once somebody asked for it.
    pub(crate) receipt: Option<SignedReceipt>,
    used: u64,
}

impl Group {
    /// A group as it is behind its newest entry.
    pub(crate) fn new(roster: Roster, tail: Place) -> Self {
        Self {
            roster,
            tail,
            joins: Bucket::new(Pace::JOINS),
            renewals: HashMap::new(),
            receipt: None,
            used: 0,
        }
    }

    /// The bucket that a commit of this author takes its token from.
    pub(crate) fn bucket(&mut self, author: Fingerprint, joins: bool) -> &mut Bucket {
        if joins {
            return &mut self.joins;
        }
        self.renewals.entry(author).or_insert(Bucket::new(Pace::RENEWALS))
    }

    /// Whether this key has a seat.
    pub(crate) fn seats(&self, who: &Fingerprint) -> bool {
        self.roster.seat(who).is_some()
    }

    /// Whether whoever is enrolled may come in, and so read the commits.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.roster.policy(), Some(Policy::Open { .. }))
    }

    /// Moves on to a newer tail.
    pub(crate) fn advance(&mut self, tail: Place) {
        self.tail = tail;
        self.receipt = None;
    }

    /// What is true of the tail.
    pub(crate) fn claim(&self) -> Receipt {
        Receipt {
            group: *self.roster.group(),
            seq: self.tail.seq,
            log_hash: self.tail.log_hash,
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
        }
    }
}

/// The groups in memory.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    loaded: HashMap<GroupId, Group>,
    uses: u64,
}

impl Groups {
    /// The group of a log, from the store if need be; `None` if there is no such log.
    pub(crate) fn get<S: Store>(
        &mut self,
        store: &S,
        log: &GroupId,
    ) -> Result<Option<&mut Group>, StoreError> {
        if !self.loaded.contains_key(log)
            && let Some(group) = load(store, log)?
        {
            self.insert(*log, group);
        }
        self.uses = self.uses.saturating_add(1);
        let mut found = self.loaded.get_mut(log);
        if let Some(group) = &mut found {
            group.used = self.uses;
        }
        Ok(found)
    }

    /// Adds a group, in place of the one that was unused for longest if there are too many.
    pub(crate) fn insert(&mut self, log: GroupId, mut group: Group) {
        if self.loaded.len() >= MAX_LOADED
            && let Some(oldest) = self.loaded.iter().min_by_key(|(_, group)| group.used)
        {
            let oldest = *oldest.0;
            self.loaded.remove(&oldest);
        }
        group.used = self.uses;
        self.loaded.insert(log, group);
    }

    /// Forgets all: what they say may not stand in the store.
    pub(crate) fn clear(&mut self) {
        self.loaded.clear();
    }
}

/// Replays a group's commits. They were checked before they came into the store.
fn load<S: Store>(store: &S, log: &GroupId) -> Result<Option<Group>, StoreError> {
    let Some(tail) = store.tail(log)? else {
        return Ok(None);
    };
    let mut roster = Roster::new(*log);
    let mut after = Seq(0);
    loop {
        let page = store.read(log, after, Which::Commits, Limit::READ)?;
        for (seq, bytes) in &page.entries {
            replay(&mut roster, bytes)?;
            after = *seq;
        }
        if page.complete {
            break;
        }
    }
    if roster.epoch() == Epoch(0) {
        return Err(StoreError::Corrupt("a log without commits"));
    }
    Ok(Some(Group::new(roster, tail)))
}

fn replay(roster: &mut Roster, bytes: &[u8]) -> Result<(), StoreError> {
    let Ok(LogEntry::Commit(commit)) = LogEntry::decode(bytes) else {
        return Err(StoreError::Corrupt("a commit that does not decode"));
    };
    let transition =
        roster.replay(&commit).map_err(|_| StoreError::Corrupt("a commit that does not follow"))?;
    roster.apply(transition);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use openchat_wire::Digest;

    fn id(number: usize) -> GroupId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        GroupId(id)
    }

    #[test]
    fn the_group_that_was_unused_for_longest_makes_room() {
        let (mut groups, store) = (Groups::default(), MemoryStore::new());
        let place = Place { seq: Seq(1), log_hash: Digest([0; 32]) };
        for number in 0..MAX_LOADED {
            groups.insert(id(number), Group::new(Roster::new(id(number)), place));
            assert!(groups.get(&store, &id(0)).unwrap().is_some());
        }
        groups.insert(id(MAX_LOADED), Group::new(Roster::new(id(MAX_LOADED)), place));
        assert_eq!(groups.loaded.len(), MAX_LOADED);
        assert!(groups.loaded.contains_key(&id(0)), "used all the time");
        assert!(!groups.loaded.contains_key(&id(1)), "unused for longest");
    }

    #[test]
    fn a_log_that_no_relay_wrote_is_reported_and_not_guessed_at() {
        for (bytes, epoch) in [(&b"no commit"[..], Some(1)), (b"no commit", None)] {
            let mut store = MemoryStore::new();
            let commit = epoch.map(|epoch| crate::store::CommitPoint {
                epoch: Epoch(epoch),
                interim: Digest([0; 32]),
            });
            let (hash, before) = (Digest([1; 32]), Digest([0; 32]));
            let entry = crate::store::NewEntry { hash, before, commit, bytes };
            store.append(&id(0), Seq(0), &entry).unwrap();
            let loaded = Groups::default().get(&store, &id(0)).map(|_| ());
            assert!(matches!(loaded, Err(StoreError::Corrupt(_))), "{loaded:?}");
        }
    }
}
