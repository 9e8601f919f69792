//! What the relay holds of a group in memory, and how it gets there.

use crate::{
    store::{Limit, Place, Store, StoreError, Which},
    turn::Turns,
};
use openchat_roster::{LogEntry, Roster};
use openchat_wire::{
    Epoch, Fingerprint, GroupId, Seq,
    relay::{Receipt, SignedReceipt},
};
use std::collections::HashMap;

/// Groups in memory at once; one that was put out is replayed from its commits when somebody asks
/// again.
const MAX_LOADED: usize = 1_024;

/// Slots of all trees in memory, at about half a kilobyte each: sixteen groups of ten thousand.
const MAX_SLOTS: usize = 1 << 18;

/// A group as its log says.
#[derive(Debug)]
pub(crate) struct Group {
    /// What the commits amount to.
    pub(crate) roster: Roster,
    /// The newest entry.
    pub(crate) tail: Place,
    /// Who may commit right now.
    pub(crate) turns: Turns,
    /// The signed claim about [`tail`](Self::tail), once somebody asked for it.
    pub(crate) receipt: Option<SignedReceipt>,
    used: u64,
}

impl Group {
    /// A group as it is behind its newest entry.
    pub(crate) fn new(roster: Roster, tail: Place) -> Self {
        Self { roster, tail, turns: Turns::new(), receipt: None, used: 0 }
    }

    /// Whether this key has a seat.
    pub(crate) fn seats(&self, who: &Fingerprint) -> bool {
        self.roster.seat(who).is_some()
    }

    /// What it takes in memory: the slots of its tree.
    fn slots(&self) -> usize {
        1_usize.checked_shl(self.roster.tree().height().into()).unwrap_or(usize::MAX)
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
#[derive(Debug)]
pub(crate) struct Groups {
    loaded: HashMap<GroupId, Group>,
    uses: u64,
    max_slots: usize,
}

impl Default for Groups {
    fn default() -> Self {
        Self { loaded: HashMap::new(), uses: 0, max_slots: MAX_SLOTS }
    }
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

    /// Adds a group, in place of those that were unused for longest if there are too many.
    pub(crate) fn insert(&mut self, log: GroupId, mut group: Group) {
        let sizes = self.loaded.values().map(Group::slots);
        let mut slots = sizes.fold(group.slots(), usize::saturating_add);
        while (self.loaded.len() >= MAX_LOADED || slots > self.max_slots)
            && let Some(oldest) = self.loaded.iter().min_by_key(|(_, group)| group.used)
        {
            let oldest = *oldest.0;
            let put_out = self.loaded.remove(&oldest);
            slots = slots.saturating_sub(put_out.map_or(0, |group| group.slots()));
        }
        group.used = self.uses;
        self.loaded.insert(log, group);
    }

    /// Forgets all: what they say may not stand in the store.
    pub(crate) fn clear(&mut self) {
        self.loaded.clear();
    }
}

/// Replays a group's commits. They were checked before they came into the store. An inbox has none
/// and is no group.
fn load<S: Store>(store: &S, log: &GroupId) -> Result<Option<Group>, StoreError> {
    let Some(tail) = store.tail(log)? else {
        return Ok(None);
    };
    if store.commit(log, Epoch(1))?.is_none() {
        return Ok(None);
    }
    let mut roster = Roster::new(*log);
    let mut after = Seq(0);
    loop {
        let page = store.read(log, after, Which::Commits, Limit::READ)?;
        for (seq, body) in page.entries {
            replay(&mut roster, &body.whole()?)?;
            after = seq;
        }
        if page.complete {
            break;
        }
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
    fn large_groups_are_counted_by_their_trees() {
        let place = Place { seq: Seq(1), log_hash: Digest([0; 32]) };
        let mut groups = Groups { max_slots: 10, ..Groups::default() };
        for number in 0..20 {
            let group = Group::new(Roster::new(id(number)), place);
            assert_eq!(group.slots(), 1);
            groups.insert(id(number), group);
        }
        assert_eq!(groups.loaded.len(), 10);
        assert!(groups.loaded.contains_key(&id(19)), "the newest stays");
    }

    #[test]
    fn a_log_that_no_relay_wrote_is_reported_and_not_guessed_at() {
        let commit = Some(crate::store::CommitPoint { epoch: Epoch(1), interim: Digest([0; 32]) });
        let loaded = Groups::default().get(&with_entry(commit), &id(0)).map(|_| ());
        assert!(matches!(loaded, Err(StoreError::Corrupt(_))), "{loaded:?}");
    }

    #[test]
    fn a_log_without_commits_is_no_group() {
        assert!(Groups::default().get(&with_entry(None), &id(0)).unwrap().is_none());
    }

    fn with_entry(commit: Option<crate::store::CommitPoint>) -> MemoryStore {
        let mut store = MemoryStore::new();
        let (hash, before) = (Digest([1; 32]), Digest([0; 32]));
        let origin = crate::store::Origin {
            author: Fingerprint([2; 32]),
            time: openchat_wire::UnixMillis(0),
            lasts: false,
        };
        let entry =
            crate::store::NewEntry { near: 0, hash, before, commit, origin, bytes: b"no commit" };
        store.append(&id(0), Seq(0), &entry).unwrap();
        store
    }
}
