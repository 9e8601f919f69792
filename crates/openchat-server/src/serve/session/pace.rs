//! How much one person may ask for, over all its connections: token buckets before the relay thread, so
//! that a flood does not cost it anything.
//!
//! Whoever asks for too much is read more slowly. That costs nothing, keeps the order, and needs no
//! client that understands it: its kernel stops sending. Only a request that would have to wait for
//! longer than [`PATIENCE`] is refused, with the time after which it would be taken.

use crate::{config::Limits, metrics::METRICS};
use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use openchat_wire::relay::{Refusal, Request};
use std::{
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// What may come at once, as the time after which as much may come again: a script's 1,000 lines, 32 MiB
/// of a file, most of the start of a device in a thousand groups. The relay decides so many entries
/// within 50 ms, so even a burst moves no p99 of a few seconds.
pub(crate) const BURST: Duration = Duration::from_secs(8);

/// How long a request is held back before it is refused. A client waits for so much anyway, and less
/// than for the answer to a ping.
const PATIENCE: Duration = Duration::from_secs(2);

/// The shortest wait of somebody who asks for too much. What it asks for then comes in lumps, which
/// share a wake-up and a flush: 500 single ones a second would have the others wait for 500 flushes.
const PAUSE: Duration = Duration::from_millis(50);

/// What a request counts as whose answer may have hundreds of kilobytes, read by the relay thread.
const READ: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Requests,
    Entries,
    Bytes,
}

/// How much of each a person may send in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) requests: usize,
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// One person's buckets.
#[derive(Debug)]
pub(crate) struct Allowance(RwLock<Arc<Buckets>>);

#[derive(Debug)]
struct Buckets {
    requests: Bucket,
    entries: Bucket,
    bytes: Bucket,
}

#[derive(Debug)]
struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    burst: NonZeroU32,
}

/// The time since a bucket was made, by the clock that tests can turn.
#[derive(Debug, Clone, Copy)]
struct Ticks(Instant);

/// A request that would have to wait for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    kind: Kind,
    wait: Duration,
}

impl From<&Limits> for Rates {
    fn from(limits: &Limits) -> Self {
        Self {
            requests: limits.requests_a_second.value,
            entries: limits.entries_a_second.value,
            bytes: limits.bytes_a_second.value,
        }
    }
}

impl Allowance {
    /// Full buckets.
    pub(crate) fn new(rates: Rates) -> Self {
        Self(RwLock::new(Arc::new(Buckets::new(rates))))
    }

    /// Full buckets of another size, at once.
    pub(crate) fn change(&self, rates: Rates) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Buckets::new(rates));
    }

    /// Waits until so many bytes may have come. They are read already, but nothing more is.
    pub(crate) async fn bytes(&self, count: usize) {
        let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
        let Some(count) = count else { return };
        while let Err(wait) = self.buckets().bytes.take(count) {
            hold_back(Kind::Bytes, wait).await;
        }
    }

    /// Waits until this may be asked.
    ///
    /// # Errors
    /// If that takes too long.
    pub(crate) async fn request(&self, request: &Request) -> Result<(), Excess> {
        let mut left = PATIENCE;
        self.wait(Kind::Requests, cost(request), &mut left).await?;
        if is_entry(request) {
            self.wait(Kind::Entries, ONE, &mut left).await?;
        }
        Ok(())
    }

    async fn wait(&self, kind: Kind, count: NonZeroU32, left: &mut Duration) -> Result<(), Excess> {
        while let Err(wait) = self.buckets().of(kind).take(count) {
            let Some(rest) = left.checked_sub(wait.max(PAUSE)) else {
                return Err(Excess { kind, wait });
            };
            *left = rest;
            hold_back(kind, wait).await;
        }
        Ok(())
    }

    fn buckets(&self) -> Arc<Buckets> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn hold_back(kind: Kind, wait: Duration) {
    METRICS.hold_back(kind.name());
    sleep(wait.max(PAUSE)).await;
}

/// What a request counts as.
const fn cost(request: &Request) -> NonZeroU32 {
    match request {
        Request::ReadCommits { .. } | Request::ReadTransparency(_) | Request::Groups => READ,
        _ => ONE,
    }
}

/// Whether it goes to all who tail a log.
const fn is_entry(request: &Request) -> bool {
    matches!(request, Request::Append { .. } | Request::Heartbeat { .. })
}

impl Buckets {
    fn new(rates: Rates) -> Self {
        Self {
            requests: Bucket::new(rates.requests),
            entries: Bucket::new(rates.entries),
            bytes: Bucket::new(rates.bytes),
        }
    }

    const fn of(&self, kind: Kind) -> &Bucket {
        match kind {
            Kind::Requests => &self.requests,
            Kind::Entries => &self.entries,
            Kind::Bytes => &self.bytes,
        }
    }
}

impl Bucket {
    fn new(a_second: usize) -> Self {
        let a_second =
            u32::try_from(a_second).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        let seconds = u32::try_from(BURST.as_secs()).unwrap_or(1);
        let burst = a_second.saturating_mul(NonZeroU32::new(seconds).unwrap_or(ONE));
        let quota = Quota::per_second(a_second).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, Ticks(Instant::now()));
        Self { limiter, burst }
    }

    /// Takes tokens, or says how long it is until there are enough. More than the bucket holds are
    /// taken as the whole of it.
    fn take(&self, count: NonZeroU32) -> Result<(), Duration> {
        match self.limiter.check_n(count.min(self.burst)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.limiter.clock().now())),
            // It holds that many.
            Err(_) => Err(BURST),
        }
    }
}

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Kind {
    /// One word for figures; see [`crate::metrics::HELD_BACK`].
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Entries => "entries",
            Self::Bytes => "bytes",
        }
    }
}

impl Excess {
    /// What there was too much of.
    pub(crate) const fn kind(self) -> Kind {
        self.kind
    }

    /// As it is told. Never 0, which would be an invitation to ask at once.
    pub(crate) fn refusal(self) -> Refusal {
        let millis = u32::try_from(self.wait.as_millis()).unwrap_or(u32::MAX);
        Refusal::Paced { retry_ms: millis.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Blob, GroupId, Seq};

    const RATES: Rates = Rates { requests: 100, entries: 10, bytes: 1_000_000 };
    const LOG: GroupId = GroupId([1; 32]);

    fn append() -> Request {
        Request::Append { log: LOG, entry: Blob::default(), letters: Vec::new(), follows: false }
    }

    /// How long so many take, one after the other.
    async fn took(allowance: &Allowance, request: &Request, count: u64) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            allowance.request(request).await.unwrap();
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_so_many_a_second() {
        let allowance = Allowance::new(RATES);
        let burst = 10 * BURST.as_secs();
        assert_eq!(took(&allowance, &append(), burst).await, Duration::ZERO);
        let more = took(&allowance, &append(), 50).await;
        assert!((4_900..5_200).contains(&more.as_millis()), "{more:?}");
        assert_eq!(took(&allowance, &Request::Ping, 500).await, Duration::ZERO, "no entry");
        sleep(BURST).await;
        assert_eq!(took(&allowance, &append(), burst).await, Duration::ZERO, "it fills up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_long_to_read_counts_as_several() {
        let allowance = Allowance::new(RATES);
        let read = Request::ReadCommits { log: LOG, after: Seq(0) };
        let burst = 100 * BURST.as_secs();
        assert_eq!(took(&allowance, &read, burst / 4).await, Duration::ZERO);
        let more = took(&allowance, &Request::ReadTransparency(0), 50).await;
        assert!((1_900..2_200).contains(&more.as_millis()), "200 at 100 a second: {more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn excess_comes_in_lumps() {
        let allowance = Allowance::new(Rates { requests: 1_000, ..RATES });
        took(&allowance, &Request::Ping, 8_000).await;
        let began = Instant::now();
        let mut moments = Vec::new();
        for _ in 0..1_000 {
            allowance.request(&Request::Ping).await.unwrap();
            moments.push(began.elapsed());
        }
        moments.dedup();
        assert!(moments.len() <= 21, "{} wake-ups a second", moments.len());
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_for_long_is_told_for_how_long() {
        let allowance = Allowance::new(Rates { entries: 1, requests: 1_000, ..RATES });
        assert_eq!(took(&allowance, &append(), 8).await, Duration::ZERO);
        // Of several connections that wait at once, the last one loses.
        let all = tokio::join!(
            async { allowance.request(&append()).await },
            async { allowance.request(&append()).await },
            async { allowance.request(&append()).await },
            async { allowance.request(&append()).await },
        );
        let all = [all.0, all.1, all.2, all.3];
        let refused: Vec<_> = all.into_iter().filter_map(Result::err).collect();
        assert!(!refused.is_empty() && refused.len() < 4, "{refused:?}");
        let last = refused.last().unwrap();
        assert_eq!(last.kind(), Kind::Entries);
        let Refusal::Paced { retry_ms } = last.refusal() else { panic!() };
        assert!((1..=1_001).contains(&retry_ms), "{retry_ms}");
        // What it was told is true.
        sleep(Duration::from_millis(retry_ms.into())).await;
        assert_eq!(took(&allowance, &append(), 1).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_come_as_fast_as_they_may_and_are_never_refused() {
        let allowance = Allowance::new(RATES);
        let began = Instant::now();
        for _ in 0..2_000 {
            allowance.bytes(10_000).await;
        }
        let took = began.elapsed().as_millis();
        assert!((11_900..12_200).contains(&took), "20 MB, 8 of them at once: {took} ms");
        allowance.bytes(usize::MAX).await;
    }

    #[tokio::test(start_paused = true)]
    async fn other_rates_hold_at_once() {
        let allowance = Allowance::new(Rates { entries: 1, requests: 1_000, ..RATES });
        took(&allowance, &append(), 8).await;
        allowance.change(RATES);
        assert_eq!(took(&allowance, &append(), 80).await, Duration::ZERO);
        allowance.change(Rates { entries: 1, ..RATES });
        took(&allowance, &append(), 8).await;
        assert_eq!(took(&allowance, &append(), 1).await, Duration::from_secs(1));
    }
}
