//! How fast a group takes commits: token buckets.

use core::time::Duration;
use openchat_wire::{
    UnixMillis,
    limits::{JOIN_BURST, JOIN_INTERVAL, RENEWAL_BURST, RENEWAL_INTERVAL},
};

/// How many tokens a bucket holds, and how often it gains one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    burst: u32,
    interval: Duration,
}

impl Pace {
    /// Of a group's newcomers.
    pub(crate) const JOINS: Self = Self { burst: JOIN_BURST, interval: JOIN_INTERVAL };
    /// Of one member's updates and rejoins.
    pub(crate) const RENEWALS: Self = Self { burst: RENEWAL_BURST, interval: RENEWAL_INTERVAL };
}

/// A bucket of tokens.
///
/// It is kept as the one moment at which it will be full: each token taken moves that moment by
/// an interval, and it may lie at most a bucketful ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pace: Pace,
    full_at: UnixMillis,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn new(pace: Pace) -> Self {
        Self { pace, full_at: UnixMillis(0) }
    }

    /// Milliseconds until there is a token: 0 is now.
    pub(crate) fn wait(self, now: UnixMillis) -> u32 {
        let Pace { burst, interval } = self.pace;
        let allowed = now.after(interval.saturating_mul(burst.saturating_sub(1)));
        let wait = self.full_at(now).0.saturating_sub(allowed.0);
        u32::try_from(wait).unwrap_or(u32::MAX)
    }

    /// Takes a token, which [`wait`](Self::wait) said there is.
    pub(crate) fn take(&mut self, now: UnixMillis) {
        self.full_at = self.full_at(now).after(self.pace.interval);
    }

    /// Never more than a bucketful ahead: a clock that was set back closes no group for long.
    fn full_at(self, now: UnixMillis) -> UnixMillis {
        let Pace { burst, interval } = self.pace;
        self.full_at.clamp(now, now.after(interval.saturating_mul(burst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn emptied() -> Bucket {
        let mut bucket = Bucket::new(Pace::JOINS);
        for taken in 0..JOIN_BURST {
            assert_eq!(bucket.wait(NOW), 0, "token {taken}");
            bucket.take(NOW);
        }
        bucket
    }

    #[test]
    fn a_burst_then_one_an_interval() {
        let mut bucket = emptied();
        assert_eq!(u128::from(bucket.wait(NOW)), JOIN_INTERVAL.as_millis());
        let later = NOW.after(JOIN_INTERVAL);
        assert_eq!(bucket.wait(later), 0);
        bucket.take(later);
        assert_eq!(u128::from(bucket.wait(later)), JOIN_INTERVAL.as_millis());
    }

    #[test]
    fn it_fills_up_and_not_beyond() {
        let mut bucket = emptied();
        let later = NOW.after(JOIN_INTERVAL * JOIN_BURST * 3);
        for _ in 0..JOIN_BURST {
            assert_eq!(bucket.wait(later), 0);
            bucket.take(later);
        }
        assert!(bucket.wait(later) > 0);
    }

    #[test]
    fn a_clock_set_back_by_years_asks_for_an_interval_of_patience() {
        assert_eq!(u128::from(emptied().wait(UnixMillis(0))), JOIN_INTERVAL.as_millis());
        assert_eq!(Bucket::new(Pace::JOINS).wait(UnixMillis(0)), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_stretch_of_time_takes_more_than_a_burst_and_its_intervals(
            steps in proptest::collection::vec(0_u64..3_000, 1..400),
        ) {
            let (mut bucket, mut now) = (Bucket::new(Pace::JOINS), NOW);
            let mut taken = Vec::new();
            for step in steps {
                now.0 += step;
                if bucket.wait(now) == 0 {
                    bucket.take(now);
                    taken.push(now.0);
                }
            }
            let interval = u64::try_from(JOIN_INTERVAL.as_millis()).unwrap();
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let count = u64::try_from(last - first + 1).unwrap();
                    let allowed = u64::from(JOIN_BURST) + (to - from) / interval;
                    proptest::prop_assert!(count <= allowed, "{count} in {} ms", to - from);
                }
            }
        }
    }
}
