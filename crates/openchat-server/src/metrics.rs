//! Figures about this process. They are counted where things happen, and read by `status` and by
//! the metrics listener; nobody's name, address or content is among them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The process's own.
pub(crate) static METRICS: Metrics = Metrics::new();

/// Why connections are refused, in one word each.
pub(crate) const REFUSALS: [&str; 9] = [
    "certificate",
    "tls",
    "lost",
    "late",
    "crowded",
    "address",
    "too_many",
    "enrollment",
    "stopping",
];

/// Of what members wanted too much, in one word each.
pub(crate) const HELD_BACK: [&str; 3] = ["requests", "entries", "bytes"];

/// Upper bounds of the flush times that are told apart, in microseconds: from a disk with a
/// battery to one that is about to fail.
pub(crate) const FLUSH_BOUNDS: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];

/// Something that only grows.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

/// How long something took, in classes.
#[derive(Debug)]
pub(crate) struct Times {
    classes: [Counter; FLUSH_BOUNDS.len()],
    count: Counter,
    micros: Counter,
}

/// All figures.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// TCP connections accepted.
    pub(crate) accepted: Counter,
    /// Handshakes of members that led to a session.
    pub(crate) sessions: Counter,
    /// Certificates issued.
    pub(crate) enrolled: Counter,
    /// Requests of members decided.
    pub(crate) requests: Counter,
    /// Entries appended to logs.
    pub(crate) appended: Counter,
    /// Bodies dropped for being old.
    pub(crate) dropped: Counter,
    /// Bytes of the bodies that are kept now.
    pub(crate) kept_bytes: Counter,
    /// Batches made durable.
    pub(crate) batches: Counter,
    /// Batches of which nothing could be stored.
    pub(crate) failed_batches: Counter,
    /// How long the disk took for a batch.
    pub(crate) flushes: Times,
    /// Lines that were counted instead of written.
    pub(crate) suppressed: Counter,
    /// Reloads that were done, and those that were refused.
    pub(crate) reloads: Counter,
    pub(crate) refused_reloads: Counter,
    /// Requests that would have had to wait for too long.
    pub(crate) paced: Counter,
    /// Receivers that took nothing for too long.
    pub(crate) too_slow: Counter,
    held_back: [Counter; HELD_BACK.len()],
    refused: [Counter; REFUSALS.len()],
}

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub(crate) fn one(&self) {
        self.many(1);
    }

    pub(crate) fn many(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// For what goes up and down.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Times {
    const fn new() -> Self {
        Self {
            classes: [const { Counter::new() }; FLUSH_BOUNDS.len()],
            count: Counter::new(),
            micros: Counter::new(),
        }
    }

    pub(crate) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.one();
        self.micros.many(micros);
        let class = FLUSH_BOUNDS.iter().position(|bound| micros <= *bound);
        if let Some(counter) = class.and_then(|class| self.classes.get(class)) {
            counter.one();
        }
    }

    /// For each bound how many took no longer, then how many there were and their sum in
    /// microseconds.
    pub(crate) fn cumulative(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut below = 0_u64;
        let classes = FLUSH_BOUNDS.iter().zip(&self.classes).map(|(bound, counter)| {
            below = below.saturating_add(counter.get());
            (*bound, below)
        });
        (classes.collect(), self.count.get(), self.micros.get())
    }
}

impl Metrics {
    const fn new() -> Self {
        Self {
            accepted: Counter::new(),
            sessions: Counter::new(),
            enrolled: Counter::new(),
            requests: Counter::new(),
            appended: Counter::new(),
            dropped: Counter::new(),
            kept_bytes: Counter::new(),
            batches: Counter::new(),
            failed_batches: Counter::new(),
            flushes: Times::new(),
            suppressed: Counter::new(),
            reloads: Counter::new(),
            refused_reloads: Counter::new(),
            paced: Counter::new(),
            too_slow: Counter::new(),
            held_back: [const { Counter::new() }; HELD_BACK.len()],
            refused: [const { Counter::new() }; REFUSALS.len()],
        }
    }

    /// A connection was refused.
    pub(crate) fn refuse(&self, kind: &str) {
        count(&REFUSALS, &self.refused, kind);
    }

    /// A member was held back once.
    pub(crate) fn hold_back(&self, kind: &str) {
        count(&HELD_BACK, &self.held_back, kind);
    }

    /// How often members were held back, by what they wanted too much of.
    pub(crate) fn held_back(&self) -> impl Iterator<Item = (&'static str, u64)> {
        HELD_BACK.into_iter().zip(self.held_back.iter().map(Counter::get))
    }

    /// Refused connections by reason.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REFUSALS.into_iter().zip(self.refused.iter().map(Counter::get))
    }
}

fn count(kinds: &[&str], counters: &[Counter], kind: &str) {
    let place = kinds.iter().position(|known| *known == kind);
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_all_classes_above_them() {
        let times = Times::new();
        for micros in [100, 250, 251, 3_000_000] {
            times.note(Duration::from_micros(micros));
        }
        let (classes, count, sum) = times.cumulative();
        assert_eq!((classes[0], classes[1], classes[9]), ((250, 2), (500, 3), (2_500_000, 3)));
        assert_eq!((count, sum), (4, 3_000_601));
    }

    #[test]
    fn every_refusal_is_counted_under_its_reason() {
        let metrics = Metrics::new();
        metrics.refuse("late");
        metrics.refuse("late");
        metrics.refuse("no such reason");
        let counted: Vec<_> = metrics.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("late", 2)]);
    }

    #[test]
    fn whoever_is_held_back_is_counted_under_what_it_wanted() {
        let metrics = Metrics::new();
        metrics.hold_back("bytes");
        let counted: Vec<_> = metrics.held_back().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("bytes", 1)]);
    }
}
