//! [`Presence`] with the clock, the sessions and the task that rings for them.

use super::{Changes, Millis, Presence};
use openchat_wire::{Fingerprint, GroupId};
use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

/// Reaches a session, which then looks.
pub(crate) trait Bell: Debug + Send + Sync {
    /// There is something to take.
    fn ring(&self);
}

/// Shared by the relay thread, which lets people in, and the sessions, which go by themselves.
#[derive(Debug)]
pub(crate) struct Lobby {
    start: Instant,
    presence: Mutex<Presence<Arc<dyn Bell>>>,
    /// The next deadline may be another one.
    moved: Notify,
}

impl Default for Lobby {
    fn default() -> Self {
        Self { start: Instant::now(), presence: Mutex::default(), moved: Notify::new() }
    }
}

impl Lobby {
    pub(crate) fn arrive(&self, log: GroupId, tail: (Fingerprint, u64), bell: Arc<dyn Bell>) {
        self.change(|presence, now| presence.arrive(now, log, tail, bell));
    }

    pub(crate) fn depart(&self, log: GroupId, number: u64) {
        self.change(|presence, now| presence.depart(now, log, number));
    }

    pub(crate) fn expel(&self, log: GroupId, reader: &Fingerprint) {
        self.change(|presence, now| presence.expel(now, log, reader));
    }

    pub(crate) fn take(&self, log: GroupId, number: u64) -> Option<Changes> {
        self.change(|presence, now| presence.take(now, log, number))
    }

    /// Rings when it is time to. It sleeps while nobody comes or goes.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            let deadline = self.lock().next_deadline();
            tokio::select! {
                // Its permits are kept, so no change since the look is missed.
                () = self.moved.notified() => {}
                () = sleep_until(self.instant(deadline)), if deadline.is_some() => {}
            }
            let bells = self.lock().tick(self.now());
            // Outside the lock, because a bell takes that of its session's mailbox.
            for bell in &bells {
                bell.ring();
            }
        }
    }

    fn change<T>(&self, act: impl FnOnce(&mut Presence<Arc<dyn Bell>>, Millis) -> T) -> T {
        let mut presence = self.lock();
        let before = presence.next_deadline();
        let result = act(&mut presence, self.now());
        if presence.next_deadline() != before {
            self.moved.notify_one();
        }
        result
    }

    fn now(&self) -> Millis {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn instant(&self, at: Option<Millis>) -> Instant {
        let after = Duration::from_millis(at.unwrap_or_default());
        self.start.checked_add(after).unwrap_or(self.start)
    }

    fn lock(&self) -> MutexGuard<'_, Presence<Arc<dyn Bell>>> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[derive(Debug, Default)]
    struct Rung(Notify);

    impl Bell for Rung {
        fn ring(&self) {
            self.0.notify_one();
        }
    }

    const LOG: GroupId = GroupId([1; 32]);

    #[tokio::test(start_paused = true)]
    async fn a_session_is_rung_for_when_somebody_comes_and_when_they_are_gone_for_good() {
        let lobby = Arc::new(Lobby::default());
        tokio::spawn(Arc::clone(&lobby).keep());
        let (bell, who) = (Arc::new(Rung::default()), |n| Fingerprint([n; 32]));
        let rung: Arc<dyn Bell> = Arc::<Rung>::clone(&bell);
        lobby.arrive(LOG, (who(1), 1), rung);
        assert_eq!(lobby.take(LOG, 1), None);
        lobby.arrive(LOG, (who(2), 2), Arc::new(Rung::default()));
        bell.0.notified().await;
        assert_eq!(lobby.take(LOG, 1).unwrap().online, [who(2)]);
        lobby.depart(LOG, 2);
        bell.0.notified().await;
        assert_eq!(lobby.take(LOG, 1).unwrap().offline, [who(2)]);
        let hour = Duration::from_hours(1);
        assert!(timeout(hour, bell.0.notified()).await.is_err(), "nothing is told twice");
        assert_eq!(lobby.lock().next_deadline(), None, "an idle server sleeps");
    }
}
