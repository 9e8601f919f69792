//! Connections that have not proved anything yet: so many and no more.
//!
//! When the places are full, the oldest one gives way, not the newcomer: an honest handshake takes
//! milliseconds, so whoever has waited longest is the least likely to be one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// The places.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Mutex<Places>,
    max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// By age.
    taken: BTreeMap<u64, Arc<Notify>>,
}

/// A place, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    number: u64,
    evicted: Arc<Notify>,
}

impl Gate {
    pub(crate) fn new(max: usize) -> Self {
        Self { places: Mutex::default(), max: AtomicUsize::new(max) }
    }

    /// So many places from now on.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken.len()
    }

    /// Takes a place. If there is none, the oldest holder loses its.
    pub(crate) fn enter(&self) -> Place<'_> {
        let mut places = self.lock();
        // More than one may have to go after the limit was lowered.
        while places.taken.len() >= self.max.load(Ordering::Relaxed).max(1)
            && let Some((_, oldest)) = places.taken.pop_first()
        {
            oldest.notify_one();
        }
        let number = places.next;
        places.next = number.wrapping_add(1);
        let evicted = Arc::new(Notify::new());
        places.taken.insert(number, Arc::clone(&evicted));
        Place { gate: self, number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Returns when the place was given to somebody else.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    async fn is_evicted(place: &Place<'_>) -> bool {
        timeout(Duration::ZERO, place.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let gate = Gate::new(2);
        let (first, second) = (gate.enter(), gate.enter());
        assert!(!is_evicted(&first).await);
        let third = gate.enter();
        assert!(is_evicted(&first).await && !is_evicted(&second).await);
        drop(second);
        let fourth = gate.enter();
        assert!(!is_evicted(&third).await && !is_evicted(&fourth).await);
    }

    #[tokio::test]
    async fn fewer_places_are_made_room_for() {
        let gate = Gate::new(3);
        let [first, second, third] = [gate.enter(), gate.enter(), gate.enter()];
        gate.set_max(2);
        let _fourth = gate.enter();
        assert!(is_evicted(&first).await && is_evicted(&second).await);
        assert!(!is_evicted(&third).await);
        assert_eq!(gate.taken(), 2);
    }

    #[test]
    fn places_come_back() {
        let gate = Gate::new(2);
        for _ in 0..10 {
            drop(gate.enter());
        }
        assert!(gate.lock().taken.is_empty());
    }
}
