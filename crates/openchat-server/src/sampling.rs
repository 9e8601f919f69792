//! So many lines of one kind and no more, so that a stranger who can cause a line can't fill a
//! disk with it. What is left out is counted and told.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many lines of one kind are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// At once.
    pub(crate) burst: u32,
    /// After that one in this time.
    pub(crate) interval: Duration,
}

/// Counts lines by their kind, of which there must be few.
#[derive(Debug)]
pub(crate) struct Sampler<K> {
    kinds: Mutex<HashMap<K, Kind>>,
}

/// A bucket of tokens, kept as the moment at which it is full again.
#[derive(Debug, Clone, Copy)]
struct Kind {
    full: Instant,
    left_out: u64,
}

impl<K: Copy + Eq + Hash> Sampler<K> {
    pub(crate) fn new() -> Self {
        Self { kinds: Mutex::new(HashMap::new()) }
    }

    /// Whether a line of this kind is written now: then how many were left out before it.
    pub(crate) fn take(&self, key: K, rate: Rate, now: Instant) -> Option<u64> {
        let mut kinds = self.lock();
        let kind = kinds.entry(key).or_insert(Kind { full: now, left_out: 0 });
        let debt = kind.full.saturating_duration_since(now);
        if debt > rate.interval.saturating_mul(rate.burst.saturating_sub(1)) {
            kind.left_out = kind.left_out.saturating_add(1);
            return None;
        }
        kind.full = kind.full.max(now).checked_add(rate.interval).unwrap_or(now);
        Some(std::mem::take(&mut kind.left_out))
    }

    /// What was left out and not told yet.
    pub(crate) fn rest(&self) -> Vec<(K, u64)> {
        let mut kinds = self.lock();
        let left = kinds.iter_mut().filter(|(_, kind)| kind.left_out > 0);
        left.map(|(key, kind)| (*key, std::mem::take(&mut kind.left_out))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(1) };

    #[test]
    fn a_flood_is_counted_and_the_next_line_tells() {
        let (sampler, start) = (Sampler::new(), Instant::now());
        let taken = |key, ms| sampler.take(key, RATE, start + Duration::from_millis(ms));
        assert_eq!([(); 3].map(|()| taken("a", 0)), [Some(0); 3]);
        assert_eq!([(); 100].map(|()| taken("a", 500)), [None; 100]);
        assert_eq!(taken("b", 500), Some(0), "another kind is not touched");
        assert_eq!(taken("a", 1_001), Some(100));
        assert_eq!(taken("a", 1_002), None);
        assert_eq!(sampler.rest(), [("a", 1)]);
        assert!(sampler.rest().is_empty());
        assert_eq!([(); 3].map(|()| taken("a", 60_000)), [Some(0); 3], "it comes back in full");
        assert_eq!(taken("a", 60_000), None, "and no more than that");
    }
}
