//! How long to wait before the next try, so that a server that comes back is not trampled.

use crate::outside::jittered;
use openchat_crypto::CryptoRng;
use std::time::Duration;

/// The first wait: a restart of the server is hardly noticed.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait: what somebody will sit through after the network is back.
const LONGEST: Duration = Duration::from_secs(10);

/// A connection that lasted this long was a good one; the next wait is the first again.
/// A server that takes connections only to end them is still backed away from.
const GOOD: Duration = Duration::from_secs(5);

/// Waits that double from 0.2 s to 10 s, each cut by up to a half at random.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait before the next try.
    pub(crate) fn wait(&mut self, rng: &mut impl CryptoRng) -> Duration {
        let wait = jittered(self.next, rng);
        self.next = self.next.saturating_mul(2).min(LONGEST);
        wait
    }

    /// A connection ended after `lasted`.
    pub(crate) fn ended(&mut self, lasted: Duration) {
        if lasted >= GOOD {
            self.next = FIRST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::os_random;

    #[test]
    fn waits_double_to_the_longest() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..12 {
            let wait = backoff.wait(&mut os_random());
            assert!((whole / 2..=whole).contains(&wait), "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(backoff.next, LONGEST);
    }

    #[test]
    fn only_a_good_connection_starts_over() {
        let mut backoff = Backoff::new();
        backoff.wait(&mut os_random());
        backoff.ended(Duration::from_secs(1));
        assert_eq!(backoff.next, FIRST * 2);
        backoff.ended(GOOD);
        assert_eq!(backoff.next, FIRST);
    }
}
