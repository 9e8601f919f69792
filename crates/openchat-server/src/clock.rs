//! The clock and the randomness that everything below is handed.

use getrandom::{SysRng, rand_core::UnwrapErr};
use openchat_crypto::CryptoRng;
use openchat_wire::UnixMillis;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// How long at most until the clock is looked at again that others may set.
const LOOK: Duration = Duration::from_hours(1);

/// Now. A clock before 1970 reads as 1970, which no certificate is valid at.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns when it is this time.
pub(crate) async fn reaches(end: UnixMillis) {
    loop {
        let left = Duration::from_millis(end.0.saturating_sub(now().0));
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

/// The operating system's randomness. It panics if the system has none, because a server without
/// randomness must not go on.
pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use getrandom::rand_core::Rng;

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(now() > UnixMillis(1_763_000_000_000));
    }

    #[tokio::test]
    async fn a_time_is_reached_when_it_is_there_and_not_before() {
        let end = now().after(Duration::from_millis(50));
        reaches(end).await;
        assert!(now() >= end);
        reaches(UnixMillis(0)).await;
        let far = reaches(now().after(Duration::from_hours(9)));
        assert!(tokio::time::timeout(Duration::from_millis(20), far).await.is_err());
    }

    #[test]
    fn randomness_differs() {
        assert_ne!(rng().next_u64(), rng().next_u64());
    }
}
