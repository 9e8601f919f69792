//! Connections that have not proved anything yet: so many and no more, in all and from one address.
//!
//! When the places are full, the oldest one gives way, not the newcomer: an honest handshake takes
//! milliseconds, so whoever has waited longest is the least likely to be one. It is the oldest of the
//! address that has the most: an address never pushes out one that has fewer, and a login from an
//! address of its own is safe until there are as many addresses as places. When an address
//! has its share, its own oldest gives way.

use crate::serve::address::Address;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
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
    max_an_address: AtomicUsize,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// By age.
    taken: BTreeMap<u64, Holder>,
    /// The numbers of those that have some.
    by_address: HashMap<Address, BTreeSet<u64>>,
    /// The same addresses, last the one whose oldest gives way.
    ranks: BTreeSet<Rank>,
}

/// Places of an address, its oldest one, and the address.
type Rank = (usize, Reverse<u64>, Address);

#[derive(Debug)]
struct Holder {
    address: Address,
    evicted: Arc<Notify>,
}

/// A place, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    number: u64,
    evicted: Arc<Notify>,
}

impl Gate {
    pub(crate) fn new(max: usize, max_an_address: usize) -> Self {
        let places = Mutex::default();
        Self { places, max: max.into(), max_an_address: max_an_address.into() }
    }

    /// So many places from now on, and so many of one address.
    pub(crate) fn set_max(&self, max: usize, max_an_address: usize) {
        self.max.store(max, Ordering::Relaxed);
        self.max_an_address.store(max_an_address, Ordering::Relaxed);
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken.len()
    }

    /// Takes a place. If there is none, the oldest holder loses its: of this address if that has its
    /// share, or else of all.
    pub(crate) fn enter(&self, address: Address) -> Place<'_> {
        let mut places = self.lock();
        // More than one may have to go after a limit was lowered.
        while places.of(address).is_some_and(|own| own.len() >= self.max_an_address())
            && let Some(oldest) = places.of(address).and_then(BTreeSet::first).copied()
        {
            places.evict(oldest);
        }
        while places.taken.len() >= self.max()
            && let Some(&(_, Reverse(oldest), _)) = places.ranks.last()
        {
            places.evict(oldest);
        }
        let number = places.next;
        places.next = number.wrapping_add(1);
        let evicted = Arc::new(Notify::new());
        places.taken.insert(number, Holder { address, evicted: Arc::clone(&evicted) });
        places.change(address, |own| own.insert(number));
        Place { gate: self, number, evicted }
    }

    fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed).max(1)
    }

    fn max_an_address(&self) -> usize {
        self.max_an_address.load(Ordering::Relaxed).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn of(&self, address: Address) -> Option<&BTreeSet<u64>> {
        self.by_address.get(&address)
    }

    fn evict(&mut self, number: u64) {
        if let Some(holder) = self.remove(number) {
            holder.evicted.notify_one();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Holder> {
        let holder = self.taken.remove(&number)?;
        self.change(holder.address, |own| own.remove(&number));
        Some(holder)
    }

    /// Changes what an address has, and its rank with it.
    fn change(&mut self, address: Address, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let mut own = self.by_address.remove(&address).unwrap_or_default();
        if let Some(rank) = rank(&own, address) {
            self.ranks.remove(&rank);
        }
        change(&mut own);
        if let Some(rank) = rank(&own, address) {
            self.ranks.insert(rank);
            self.by_address.insert(address, own);
        }
    }
}

fn rank(own: &BTreeSet<u64>, address: Address) -> Option<Rank> {
    own.first().map(|oldest| (own.len(), Reverse(*oldest), address))
}

impl Place<'_> {
    /// Returns when the place was given to somebody else.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, time::Duration};
    use tokio::time::timeout;

    fn address(last: u8) -> Address {
        Address::of(Ipv4Addr::new(192, 0, 2, last).into())
    }

    /// Everybody from an address of its own.
    fn enter(gate: &Gate) -> Place<'_> {
        let next = gate.lock().next;
        gate.enter(address(u8::try_from(next).unwrap()))
    }

    async fn is_evicted(place: &Place<'_>) -> bool {
        timeout(Duration::ZERO, place.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_gives_way() {
        let gate = Gate::new(2, 2);
        let (first, second) = (enter(&gate), enter(&gate));
        assert!(!is_evicted(&first).await);
        let third = enter(&gate);
        assert!(is_evicted(&first).await && !is_evicted(&second).await);
        drop(second);
        let fourth = enter(&gate);
        assert!(!is_evicted(&third).await && !is_evicted(&fourth).await);
    }

    #[tokio::test]
    async fn who_floods_pushes_out_itself() {
        let gate = Gate::new(6, 3);
        let (honest, flooder) = (gate.enter(address(1)), address(2));
        let flood: Vec<_> = (0..100).map(|_| gate.enter(flooder)).collect();
        assert!(!is_evicted(&honest).await);
        assert_eq!(gate.taken(), 4);
        for (i, place) in flood.iter().enumerate() {
            assert_eq!(is_evicted(place).await, i < 97, "place {i}");
        }
        drop(flood);
    }

    #[tokio::test]
    async fn many_floods_push_out_each_other() {
        let gate = Gate::new(10, 5);
        let honest = gate.enter(address(1));
        // From more and more addresses, none of which exceeds its share.
        let mut floods = Vec::new();
        for round in 0..100 {
            floods.push(gate.enter(address(2 + round % 8)));
        }
        assert!(!is_evicted(&honest).await);
        assert_eq!(gate.taken(), 10);
        // With as many addresses as places nobody has more than another, and the oldest goes.
        let _tenth = gate.enter(address(98));
        assert!(!is_evicted(&honest).await);
        let _eleventh = gate.enter(address(99));
        assert!(is_evicted(&honest).await);
    }

    #[tokio::test]
    async fn fewer_places_are_made_room_for() {
        let gate = Gate::new(3, 3);
        let [first, second, third] = [enter(&gate), enter(&gate), enter(&gate)];
        gate.set_max(2, 3);
        let _fourth = enter(&gate);
        assert!(is_evicted(&first).await && is_evicted(&second).await);
        assert!(!is_evicted(&third).await);
        assert_eq!(gate.taken(), 2);
        let own = [gate.enter(address(9)), gate.enter(address(9))];
        gate.set_max(9, 1);
        let _last = gate.enter(address(9));
        assert!(is_evicted(&own[0]).await && is_evicted(&own[1]).await);
    }

    #[test]
    fn places_come_back() {
        let gate = Gate::new(2, 1);
        for _ in 0..10 {
            drop(enter(&gate));
        }
        drop([gate.enter(address(1)), gate.enter(address(1))]);
        let places = gate.lock();
        assert!(places.taken.is_empty() && places.by_address.is_empty());
        assert!(places.ranks.is_empty());
    }
}
