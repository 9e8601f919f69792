//! How many bytes are kept of each log and each person, and what is refused when that is enough.
//!
//! Everything that makes a group larger is refused then, and nothing that heals it or lets somebody
//! go: a conversation that has no room is not one that has to trust a thief for ever.

use crate::{
    append::{Offer, member, repeated},
    outcome::{Outcome, Publish, Stop},
    relay::Relay,
    store::{Owner, Store, StoreError},
};
use openchat_roster::{LogEntry, Operation};
use openchat_wire::{
    Fingerprint,
    relay::{Quota, Refusal},
};
use std::collections::HashMap;

/// Bytes kept of one log, unless the operator says otherwise: ten million texts, or a year of a lively
/// team with files. A conversation gone wild leaves room for others on the disk of a small server.
const QUOTA_LOG: u64 = 4 << 30;

/// Bytes kept of one person in all logs, unless the operator says otherwise: half of what a log may
/// have, so that nobody fills one alone.
const QUOTA_PERSON: u64 = 2 << 30;

/// How much is kept. `None` is as much as the disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Bytes of one log.
    pub log: Option<u64>,
    /// Bytes that one person has brought into all logs.
    pub person: Option<u64>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { log: Some(QUOTA_LOG), person: Some(QUOTA_PERSON) }
    }
}

/// What is kept, counted as the batch goes on; at the start the store tells it.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) quotas: Quotas,
    kept: HashMap<Owner, u64>,
    /// Bytes of all logs.
    total: u64,
    /// What the batch has changed: how it was before, newest last.
    before: Vec<(Owner, u64)>,
}

impl Usage {
    pub(crate) fn load(store: &impl Store) -> Result<Self, StoreError> {
        let kept: HashMap<_, _> = store.usage()?.into_iter().collect();
        let of_log =
            |(owner, bytes): (&Owner, &u64)| matches!(owner, Owner::Log(_)).then_some(*bytes);
        let total = kept.iter().filter_map(of_log).fold(0, u64::saturating_add);
        Ok(Self { quotas: Quotas::default(), kept, total, before: Vec::new() })
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Whose room is used up, if the entry would need more of it and is one that can be refused.
    pub(crate) fn full(&self, offer: Offer<'_>, entry: &LogEntry) -> Option<Quota> {
        let len = size(offer.bytes);
        let over = |owner, quota: Option<u64>| {
            quota.is_some_and(|quota| self.of(&owner).saturating_add(len) > quota)
        };
        let quota = if over(Owner::Log(*offer.log), self.quotas.log) {
            Quota::Log
        } else if over(Owner::Person(offer.who.fingerprint), self.quotas.person) {
            Quota::Person
        } else {
            return None;
        };
        grows(entry).then_some(quota)
    }

    /// What somebody's request has put into logs.
    pub(crate) fn count(&mut self, author: &Fingerprint, published: &[Publish]) {
        for publish in published {
            if let Publish::Entry { log, entry, .. } = publish {
                let len = size(entry);
                self.change(Owner::Log(*log), |bytes| bytes.saturating_add(len));
                self.change(Owner::Person(*author), |bytes| bytes.saturating_add(len));
            }
        }
    }

    /// Bodies were dropped.
    pub(crate) fn free(&mut self, freed: &[(Owner, u64)]) {
        for (owner, len) in freed {
            self.change(*owner, |bytes| bytes.saturating_sub(*len));
        }
    }

    /// The batch stands, or nothing of it does.
    pub(crate) fn settle(&mut self, stands: bool) {
        let before = core::mem::take(&mut self.before);
        if stands {
            return;
        }
        for (owner, bytes) in before.into_iter().rev() {
            self.set(owner, bytes);
        }
    }

    fn of(&self, owner: &Owner) -> u64 {
        self.kept.get(owner).copied().unwrap_or(0)
    }

    fn change(&mut self, owner: Owner, change: impl FnOnce(u64) -> u64) {
        let bytes = self.of(&owner);
        self.before.push((owner, bytes));
        self.set(owner, change(bytes));
    }

    fn set(&mut self, owner: Owner, bytes: u64) {
        let before =
            if bytes == 0 { self.kept.remove(&owner) } else { self.kept.insert(owner, bytes) };
        if matches!(owner, Owner::Log(_)) {
            self.total = self.total.saturating_sub(before.unwrap_or(0)).saturating_add(bytes);
        }
    }
}

impl<S: Store> Relay<S> {
    /// Bytes of all bodies that are kept.
    #[must_use]
    pub const fn kept_bytes(&self) -> u64 {
        self.usage.total()
    }

    /// There is no room. Who may not append hears no more than ever, and what is in the log already
    /// gets its answer again.
    pub(crate) fn refuse_full(
        &mut self,
        offer: Offer<'_>,
        entry: &LogEntry,
        quota: Quota,
    ) -> Result<Outcome, Stop> {
        if let Some(group) = self.groups.get(&self.store, offer.log)? {
            if !group.roster.may_read(&offer.who.fingerprint) {
                member(group, offer.who)?;
            }
            if let Some(outcome) = repeated(&self.store, offer)? {
                return Ok(outcome);
            }
        } else if !has(entry, |operation| matches!(operation, Operation::Create { .. })) {
            return Err(Refusal::NoAccess.into());
        }
        Err(Refusal::Quota(quota).into())
    }
}

/// Whether an entry is more of the conversation, rather than something that it needs to stay sound:
/// new keys, or one person less.
fn grows(entry: &LogEntry) -> bool {
    let brings_somebody = |operation: &Operation| {
        matches!(
            operation,
            Operation::Create { .. }
                | Operation::Join { .. }
                | Operation::Add { .. }
                | Operation::Admit(_)
        )
    };
    match entry {
        LogEntry::Message(_) | LogEntry::Notice(_) => true,
        LogEntry::Leave(_) => false,
        LogEntry::Commit(_) => has(entry, brings_somebody),
    }
}

/// Whether it is a commit with such an operation. One that does not decode is refused for that.
fn has(entry: &LogEntry, is_such: impl Fn(&Operation) -> bool) -> bool {
    let LogEntry::Commit(commit) = entry else { return false };
    commit.view().is_ok_and(|commit| commit.operations.iter().any(is_such))
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
