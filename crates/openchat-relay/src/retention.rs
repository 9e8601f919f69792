//! Dropping old bodies, a few at a time.
//!
//! The relay keeps what the log hash needs for ever: the place and the hash of each entry. Commits stay
//! whole, because who comes later reads all of them, and so do wishes to leave. Everything else may
//! go when it is old, letters too: a letter whose body is gone has its receiver come in by itself
//! (`docs/protocol.md` §4.6), as one whose prekey is gone does, and prekeys are gone after five weeks.

use crate::{
    relay::{MAX_RECORD, Relay},
    store::{Dropping, Older, Store, StoreError, Table},
};
use core::time::Duration;
use openchat_wire::{UnixMillis, decode, encode};
use serde::{Deserialize, Serialize};

/// Entries looked at in one step, about a millisecond: nobody waits for more than that.
const STEP: usize = 64;

/// How often the clock that runs go by moves. A run that begins sooner, because the server was started
/// again or its settings changed, goes by the time of the one before.
const EVERY: Duration = Duration::from_hours(1);

/// How far it moves each time. Twice as fast as time, so that it catches up with what it missed; a
/// clock that was set ahead by years costs an hour's messages each hour, those that are nearly old, and
/// somebody sees it meanwhile: with such a clock no certificate is valid. Even then a message stays
/// for half of the time that it should, less an hour.
const MAX_ADVANCE: Duration = Duration::from_hours(2);

/// How far it moves back each time: soon enough that a clock which is ahead a second time finds it
/// right, and not so far that one at 1970 for an hour stops retention for years.
const MAX_BACK: Duration = Duration::from_hours(24);

/// How far ahead the time of an entry may be, of both clocks, before it is taken for wrong.
const MAX_AHEAD: Duration = Duration::from_hours(24);

/// So many of the last entries must be as new as the time of the first run. A few with a wrong time
/// change nothing, and even with a quiet server the eighth last one is not long ago.
const WITNESSES: usize = 8;

/// The only key of its table.
const KEY: &[u8] = b"";

/// How far it has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Progress {
    /// The last entry that was looked at.
    reached: u64,
    /// The time that runs go by.
    clock: UnixMillis,
    /// When it was moved last, by the server's clock.
    moved: UnixMillis,
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
        let mut progress = match known {
            Some(known) => known,
            None => self.first(now)?,
        };
        if !progress.running {
            progress.advance(now);
        }
        let older = Older {
            than: earlier(progress.clock.min(now), keep),
            plausible: progress.clock.max(now).after(MAX_AHEAD),
        };
        let dropped = self.store.drop_bodies(progress.reached, older, STEP)?;
        let Dropping { reached, bodies, freed, complete } = dropped;
        self.usage.free(&freed);
        progress = Progress { reached, running: !complete, ..progress };
        let expected = known.map(|known| encode(&known));
        self.store.put(Table::Retention, KEY, expected.as_deref(), &encode(&progress))?;
        Ok(Retained { bodies, complete })
    }

    /// The first run goes by the time at which the last things came: the clock may be ahead when
    /// retention is wanted for the first time, and then everything would be old.
    fn first(&self, now: UnixMillis) -> Result<Progress, StoreError> {
        let entries = self.store.newest(WITNESSES)?;
        let witnesses = u64::try_from(WITNESSES).unwrap_or(u64::MAX);
        let from = self.transparency.len().saturating_sub(witnesses);
        let recorded = self.store.recorded(from, WITNESSES)?;
        let recorded = recorded.into_iter().map(|recorded| recorded.time);
        let seen = entries.into_iter().min().max(recorded.min()).unwrap_or(UnixMillis(0));
        Ok(Progress { reached: 0, clock: seen.min(now), moved: now, running: false })
    }
}

impl Progress {
    /// Moves the time that runs go by towards `now`, once in an hour and not far.
    fn advance(&mut self, now: UnixMillis) {
        let least = earlier(self.clock, MAX_BACK);
        if now < self.moved {
            // The server's clock was set back. What it said before is not to be used again, and the
            // hour begins anew.
            self.moved = now;
            self.clock = now.clamp(least, self.clock);
        } else if now >= self.moved.after(EVERY) {
            self.moved = now;
            self.clock = now.clamp(least, self.clock.after(MAX_ADVANCE));
        }
    }
}

fn earlier(time: UnixMillis, by: Duration) -> UnixMillis {
    UnixMillis(time.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}
