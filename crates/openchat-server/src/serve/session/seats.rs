//! Who is connected: how often a person may be, what its connections share, and how the server ends
//! them.

use super::pace::{Allowance, BURST, Rates};
use openchat_relay::Identity;
use openchat_wire::{Fingerprint, Name, relay::Goodbye};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicUsize},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

/// Requests of one person that wait for the relay. As many as of one connection, so whoever opens
/// sixteen has no more of the relay than whoever opens one; and a quarter of a batch, so that
/// others have the rest.
pub(super) const QUEUED: usize = 128;

/// People that are kept without a look for those who are gone.
const UNPRUNED: usize = 64;

/// How many connections each person has.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(super) people: Mutex<People>,
    pub(super) max: AtomicUsize,
    rates: Mutex<Rates>,
}

#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) by_name: HashMap<Name, Present>,
    next: u64,
    /// People that make it worth looking for those who are gone.
    prune_at: usize,
}

/// A person with connections, or who had some a moment ago.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) chairs: HashMap<u64, Chair>,
    shared: Arc<Shared>,
    /// When the last connection ended. Its buckets are full again a while after.
    left: Instant,
}

/// A connection, for those who end it.
#[derive(Debug)]
pub(super) struct Chair {
    key: Fingerprint,
    cut: Arc<Cut>,
}

/// What all connections of a person share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whoever holds its one permit may send a large frame.
    pub(super) large: Arc<Semaphore>,
    /// A permit for each request that may wait for the relay.
    pub(super) turns: Arc<Semaphore>,
    pub(super) allowance: Allowance,
}

/// The end of a connection, as the server wants it.
#[derive(Debug, Default)]
struct Cut {
    goodbye: OnceLock<Goodbye>,
    noticed: Notify,
}

/// One of a person's connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    sessions: &'a Sessions,
    name: Name,
    number: u64,
    pub(super) shared: Arc<Shared>,
    cut: Arc<Cut>,
}

impl Sessions {
    pub(crate) fn new(max: usize, rates: Rates) -> Self {
        Self { people: Mutex::default(), max: max.into(), rates: Mutex::new(rates) }
    }

    /// Takes one of the places that a person has.
    pub(crate) fn enter(&self, who: &Identity) -> Option<Seat<'_>> {
        let mut people = self.people();
        people.prune();
        let number = people.next;
        people.next = number.wrapping_add(1);
        let rates = self.rates();
        let present = people.by_name.entry(who.name.clone()).or_insert_with(|| Present::new(rates));
        if present.chairs.len() >= self.max() {
            return None;
        }
        let (cut, shared) = (Arc::<Cut>::default(), Arc::clone(&present.shared));
        present.chairs.insert(number, Chair { key: who.fingerprint, cut: Arc::clone(&cut) });
        drop(people);
        Some(Seat { sessions: self, name: who.name.clone(), number, shared, cut })
    }

    /// Ends all connections of a key, and returns how many there were. Nothing of theirs is read any
    /// more once this has returned and they have been polled; the goodbye goes out if they take it.
    pub(crate) fn cut(&self, key: &Fingerprint, goodbye: Goodbye) -> usize {
        let people = self.people();
        let chairs = people.by_name.values().flat_map(|present| present.chairs.values());
        chairs.filter(|chair| chair.key == *key).map(|chair| chair.cut.put(goodbye)).count()
    }

    /// Everybody has these from now on, and full buckets.
    pub(crate) fn set_rates(&self, rates: Rates) {
        let mut current = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == rates {
            return;
        }
        *current = rates;
        drop(current);
        for present in self.people().by_name.values() {
            present.shared.allowance.change(rates);
        }
    }

    fn rates(&self) -> Rates {
        *self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl People {
    /// Forgets those who are gone, now and then, and not before their buckets are full: nobody gets
    /// new ones by coming back.
    fn prune(&mut self) {
        if self.by_name.len() >= self.prune_at {
            self.by_name
                .retain(|_, present| !present.chairs.is_empty() || present.left.elapsed() <= BURST);
            self.prune_at = self.by_name.len().saturating_mul(2).max(UNPRUNED);
        }
    }
}

impl Present {
    fn new(rates: Rates) -> Self {
        let shared = Shared {
            large: Arc::new(Semaphore::new(1)),
            turns: Arc::new(Semaphore::new(QUEUED)),
            allowance: Allowance::new(rates),
        };
        Self { chairs: HashMap::new(), shared: Arc::new(shared), left: Instant::now() }
    }
}

impl Cut {
    /// The first word counts.
    fn put(&self, goodbye: Goodbye) {
        // Set already, it ends for that reason.
        let _ = self.goodbye.set(goodbye);
        self.noticed.notify_one();
    }
}

impl Seat<'_> {
    /// Returns when the server wants the connection to end.
    pub(crate) async fn cut(&self) -> Goodbye {
        loop {
            // Permits of `notify_one` are kept, so nothing put before this line is missed.
            self.cut.noticed.notified().await;
            if let Some(goodbye) = self.cut.goodbye.get() {
                return *goodbye;
            }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(present) = self.sessions.people().by_name.get_mut(&self.name) {
            present.chairs.remove(&self.number);
            present.left = Instant::now();
        }
    }
}

#[cfg(test)]
impl Default for Sessions {
    fn default() -> Self {
        let rates = Rates { requests: 1_000, entries: 1_000, bytes: 10_000_000 };
        Self::new(openchat_wire::limits::MAX_SESSIONS_A_PERSON, rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{limits::MAX_SESSIONS_A_PERSON, relay::Request};
    use std::time::Duration;
    use tokio::time::{sleep, timeout};

    fn who(name: &str, key: u8) -> Identity {
        Identity { name: name.parse().unwrap(), fingerprint: Fingerprint([key; 32]) }
    }

    async fn told(seat: &Seat<'_>) -> Option<Goodbye> {
        timeout(Duration::ZERO, seat.cut()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_has_so_many_connections_and_gets_them_back() {
        let (sessions, bob) = (Sessions::default(), who("bob", 1));
        let mut seats: Vec<_> =
            (0..MAX_SESSIONS_A_PERSON).map(|_| sessions.enter(&bob).unwrap()).collect();
        assert!(sessions.enter(&bob).is_none());
        assert!(sessions.enter(&who("carol", 2)).is_some());
        seats.pop();
        assert!(sessions.enter(&bob).is_some());
        drop(seats);
        assert_eq!(sessions.totals(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn people_who_are_gone_take_no_memory_but_nobody_gets_new_buckets() {
        let rates = Rates { requests: 1, entries: 1, bytes: 1 };
        let sessions = Sessions::new(1, rates);
        for number in 0..10_000 {
            let seat = sessions.enter(&who(&format!("n{number}"), 1)).unwrap();
            drop(seat);
            sleep(Duration::from_millis(100)).await;
        }
        let kept = sessions.people().by_name.len();
        assert!(kept <= 400, "{kept} of ten a second");

        let bob = who("bob", 1);
        let seat = sessions.enter(&bob).unwrap();
        for _ in 0..BURST.as_secs() {
            seat.shared.allowance.request(&Request::Ping).await.unwrap();
        }
        drop(seat);
        let (seat, before) = (sessions.enter(&bob).unwrap(), Instant::now());
        seat.shared.allowance.request(&Request::Ping).await.unwrap();
        assert_eq!(before.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn all_connections_of_a_key_are_cut_and_no_others() {
        let sessions = Sessions::default();
        let (bob, again) = (who("bob", 1), who("bob", 2));
        let seats = [&bob, &bob, &again, &who("carol", 3)].map(|who| sessions.enter(who).unwrap());
        assert_eq!(sessions.cut(&bob.fingerprint, Goodbye::Revoked), 2);
        assert_eq!(told(&seats[0]).await, Some(Goodbye::Revoked));
        assert_eq!(told(&seats[1]).await, Some(Goodbye::Revoked));
        assert_eq!((told(&seats[2]).await, told(&seats[3]).await), (None, None));
        drop(seats);
        assert_eq!(sessions.cut(&bob.fingerprint, Goodbye::Revoked), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn other_rates_reach_those_who_are_connected() {
        let sessions = Sessions::new(1, Rates { requests: 1, entries: 1, bytes: 1 });
        let seat = sessions.enter(&who("bob", 1)).unwrap();
        let rates = Rates { requests: 1_000, entries: 1_000, bytes: 1_000 };
        sessions.set_rates(rates);
        let began = Instant::now();
        for _ in 0..8_000 {
            seat.shared.allowance.request(&Request::Ping).await.unwrap();
        }
        // The same again is no reason for full buckets.
        sessions.set_rates(rates);
        assert_eq!(began.elapsed(), Duration::ZERO);
        seat.shared.allowance.request(&Request::Ping).await.unwrap();
        assert!(began.elapsed() > Duration::ZERO);
    }
}
