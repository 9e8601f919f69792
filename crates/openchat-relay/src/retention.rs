//! Dropping old bodies, a few at a time.
//!
//! The relay keeps what the log hash needs for ever: the place and the hash of each entry. Commits stay
//! whole, because who comes later reads all of them, and so do wishes to leave. Everything else may
//! go when it is old, letters too: a letter whose body is gone has its receiver come in by itself
//! (`docs/protocol.md` §4.6), as one whose prekey is gone does, and prekeys are gone after five weeks.

use crate::{
    relay::{MAX_RECORD, Relay},
    store::{Dropping, Store, StoreError, Table},
};
use core::time::Duration;
use openchat_wire::{UnixMillis, decode, encode};
use serde::{Deserialize, Serialize};

/// Entries looked at in one step, about a millisecond: nobody waits for more than that.
const STEP: usize = 64;

/// How far a run may be ahead of the one before. A clock that was set ahead by years costs the oldest
/// days, a day each run, and somebody sees it meanwhile: with such a clock no certificate is valid.
const MAX_ADVANCE: Duration = Duration::from_hours(24);

/// The only key of its table.
const KEY: &[u8] = b"";

/// How far it has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Progress {
    /// The last entry that was looked at.
    reached: u64,
    /// The time that the run goes by.
    clock: UnixMillis,
    /// The run is not at its end.
    running: bool,
}

/// The last entry that was looked at, by the record in [`Table::Retention`], for the operator.
#[must_use]
pub fn reached(record: &[u8]) -> Option<u64> {
    decode::<Progress>(record, MAX_RECORD).ok().map(|progress| progress.reached)
}

/// What came of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Bodies that were dropped.
    pub bodies: u64,
    /// The run is at its end.
    pub complete: bool,
}

impl<S: Store> Relay<S> {
    /// Takes one step: drops bodies that are older than `keep`. It stands after the next
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn drop_old(&mut self, keep: Duration, now: UnixMillis) -> Result<Retained, StoreError> {
        self.guard(|relay| relay.step(keep, now))
    }

    fn step(&mut self, keep: Duration, now: UnixMillis) -> Result<Retained, StoreError> {
        let known: Option<Progress> = self.record(Table::Retention, KEY)?;
        let mut progress = known.unwrap_or(Progress { reached: 0, clock: now, running: false });
        if !progress.running {
            progress.clock = now.min(progress.clock.after(MAX_ADVANCE));
        }
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let before = UnixMillis(progress.clock.0.saturating_sub(keep));
        let dropped = self.store.drop_bodies(progress.reached, before, STEP)?;
        let Dropping { reached, bodies, freed, complete } = dropped;
        self.usage.free(&freed);
        progress = Progress { reached, running: !complete, ..progress };
        let expected = known.map(|known| encode(&known));
        self.store.put(Table::Retention, KEY, expected.as_deref(), &encode(&progress))?;
        Ok(Retained { bodies, complete })
    }
}
