//! How fast people may do things: token buckets.

use core::{hash::Hash, time::Duration};
use openchat_wire::{
    UnixMillis,
    limits::{
        CERTIFICATE_BURST, CERTIFICATE_INTERVAL, CHANGE_BURST, CHANGE_INTERVAL, CREATE_BURST,
        CREATE_INTERVAL, JOIN_BURST, JOIN_INTERVAL, KEPT_PLACE_BURST, KEPT_PLACE_INTERVAL,
        PREKEY_BURST, PREKEY_BURST_OF_ONE, PREKEY_INTERVAL, PREKEY_INTERVAL_OF_ONE, PUBLISH_BURST,
        PUBLISH_INTERVAL, RENEWAL_BURST, RENEWAL_INTERVAL,
    },
};
use std::collections::HashMap;

/// People whom one person adds at once: two whole groups' worth, for a commit that lost its race.
pub(crate) const ADD_BURST: u32 = 2_048;

/// And then one in this time: at 0.3 ms for a check the relay spends 0.3% of its time on it.
pub(crate) const ADD_INTERVAL: Duration = Duration::from_millis(100);

/// How many tokens a bucket holds, and how often it gains one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    burst: u32,
    interval: Duration,
}

impl Pace {
    /// Of a group's newcomers who place themselves.
    pub(crate) const JOINS: Self = Self { burst: JOIN_BURST, interval: JOIN_INTERVAL };
    /// Of a group's newcomers who were added and make their leaves their own.
    pub(crate) const CLAIMS: Self = Self { burst: JOIN_BURST, interval: JOIN_INTERVAL };
    /// Of one member's updates and rejoins.
    pub(crate) const RENEWALS: Self = Self { burst: RENEWAL_BURST, interval: RENEWAL_INTERVAL };
    /// Of one member's other commits.
    pub(crate) const CHANGES: Self = Self { burst: CHANGE_BURST, interval: CHANGE_INTERVAL };
    /// Of places that a group keeps for one admin, and for all others together.
    pub(crate) const KEPT: Self = Self { burst: KEPT_PLACE_BURST, interval: KEPT_PLACE_INTERVAL };
    /// Of one author's commits on an epoch that is over: each is answered with a whole commit.
    pub(crate) const LOST: Self = Self { burst: CHANGE_BURST, interval: CHANGE_INTERVAL };
    /// Of one author's leave requests, which are logged again for those who came later.
    pub(crate) const ASKS: Self = Self { burst: 1, interval: Duration::from_mins(1) };
    /// Of the people whom one person adds, in whatever groups: each costs a signature's check.
    pub(crate) const ADDS: Self = Self { burst: ADD_BURST, interval: ADD_INTERVAL };
    /// Of one person's new groups.
    pub(crate) const CREATES: Self = Self { burst: CREATE_BURST, interval: CREATE_INTERVAL };
    /// Of one person's further certificates.
    pub(crate) const CERTIFICATES: Self =
        Self { burst: CERTIFICATE_BURST, interval: CERTIFICATE_INTERVAL };
    /// Of one person's new prekeys.
    pub(crate) const PUBLISHED: Self = Self { burst: PUBLISH_BURST, interval: PUBLISH_INTERVAL };
    /// Of the prekeys that one person fetches.
    pub(crate) const FETCHES: Self = Self { burst: PREKEY_BURST, interval: PREKEY_INTERVAL };
    /// Of the prekeys of one other person that one person fetches.
    pub(crate) const FETCHES_OF_ONE: Self =
        Self { burst: PREKEY_BURST_OF_ONE, interval: PREKEY_INTERVAL_OF_ONE };
}

/// A bucket of tokens.
///
/// It is kept as the one moment at which it will be full: each token taken moves that moment by
/// an interval, and it may lie at most a bucketful ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pace: Pace,
    full_at: UnixMillis,
    /// When a token was last taken: a moment to come was named by a clock that has been set back.
    taken_at: UnixMillis,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn new(pace: Pace) -> Self {
        Self { pace, full_at: UnixMillis(0), taken_at: UnixMillis(0) }
    }

    /// Milliseconds until there are so many tokens, or the bucket is full: 0 is now.
    pub(crate) fn wait(self, tokens: u32, now: UnixMillis) -> u32 {
        let Pace { burst, interval } = self.pace;
        let allowed = now.after(interval.saturating_mul(burst.saturating_sub(tokens)));
        let wait = self.full_at(now).0.saturating_sub(allowed.0);
        u32::try_from(wait).unwrap_or(u32::MAX)
    }

    /// Takes tokens, which [`wait`](Self::wait) said there are.
    pub(crate) fn take(&mut self, tokens: u32, now: UnixMillis) {
        self.full_at = self.full_at(now).after(self.pace.interval.saturating_mul(tokens));
        self.taken_at = now;
    }

    fn is_full(self, now: UnixMillis) -> bool {
        self.full_at(now) <= now
    }

    /// Never more than a bucketful ahead. Beyond that, a clock that was set back counts as time that
    /// has passed: by what it shows now, nobody would have a token until it shows the old time again.
    fn full_at(self, now: UnixMillis) -> UnixMillis {
        let Pace { burst, interval } = self.pace;
        let farthest = now.after(interval.saturating_mul(burst));
        let was_set_back = now < self.taken_at && farthest.after(interval) < self.full_at;
        if was_set_back { now } else { self.full_at.clamp(now, farthest) }
    }
}

/// A bucket for each of many. Full ones take no memory for long.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    pace: Pace,
    unfilled: HashMap<K, Bucket>,
    /// Buckets that make it worth looking for full ones.
    prune_at: usize,
}

/// Buckets that are kept without a look.
const UNPRUNED: usize = 256;

impl<K: Eq + Hash> Buckets<K> {
    /// All full.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, unfilled: HashMap::new(), prune_at: UNPRUNED }
    }

    /// Milliseconds until this one has so many tokens.
    pub(crate) fn wait(&self, key: &K, tokens: u32, now: UnixMillis) -> u32 {
        self.unfilled.get(key).map_or(0, |bucket| bucket.wait(tokens, now))
    }

    /// Takes tokens of this one, which [`wait`](Self::wait) said there are.
    pub(crate) fn take(&mut self, key: K, tokens: u32, now: UnixMillis) {
        if self.unfilled.len() >= self.prune_at {
            self.unfilled.retain(|_, bucket| !bucket.is_full(now));
            self.prune_at = self.unfilled.len().saturating_mul(2).max(UNPRUNED);
        }
        self.unfilled.entry(key).or_insert(Bucket::new(self.pace)).take(tokens, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn emptied() -> Bucket {
        let mut bucket = Bucket::new(Pace::JOINS);
        for taken in 0..JOIN_BURST {
            assert_eq!(bucket.wait(1, NOW), 0, "token {taken}");
            bucket.take(1, NOW);
        }
        bucket
    }

    #[test]
    fn a_burst_then_one_an_interval() {
        let mut bucket = emptied();
        assert_eq!(u128::from(bucket.wait(1, NOW)), JOIN_INTERVAL.as_millis());
        let later = NOW.after(JOIN_INTERVAL);
        assert_eq!(bucket.wait(1, later), 0);
        bucket.take(1, later);
        assert_eq!(u128::from(bucket.wait(1, later)), JOIN_INTERVAL.as_millis());
    }

    #[test]
    fn it_fills_up_and_not_beyond() {
        let mut bucket = emptied();
        let later = NOW.after(JOIN_INTERVAL * JOIN_BURST * 3);
        for _ in 0..JOIN_BURST {
            assert_eq!(bucket.wait(1, later), 0);
            bucket.take(1, later);
        }
        assert!(bucket.wait(1, later) > 0);
    }

    #[test]
    fn a_clock_set_back_by_years_closes_no_bucket() {
        let mut bucket = emptied();
        let mut now = UnixMillis(NOW.0 / 2);
        for taken in 0..JOIN_BURST {
            assert_eq!(bucket.wait(1, now), 0, "token {taken}");
            bucket.take(1, now);
        }
        // From there on it is a bucket as any other.
        for _ in 0..3 {
            assert_eq!(u128::from(bucket.wait(1, now)), JOIN_INTERVAL.as_millis());
            now = now.after(JOIN_INTERVAL);
            assert_eq!(bucket.wait(1, now), 0);
            bucket.take(1, now);
        }
        assert_eq!(Bucket::new(Pace::JOINS).wait(1, UnixMillis(0)), 0);
    }

    #[test]
    fn a_clock_set_back_a_little_gives_no_token_away() {
        let now = UnixMillis(NOW.0 - 1);
        assert_eq!(u128::from(emptied().wait(1, now)), JOIN_INTERVAL.as_millis());
        assert!(emptied().wait(JOIN_BURST, now) > 0);
    }

    #[test]
    fn more_than_a_bucketful_at_once_is_paid_for_to_the_end() {
        let mut bucket = Bucket::new(Pace::JOINS);
        bucket.take(JOIN_BURST * 3, NOW);
        let paid = NOW.after(JOIN_INTERVAL * JOIN_BURST * 2);
        assert!(bucket.wait(1, paid) > 0);
        assert_eq!(bucket.wait(1, paid.after(JOIN_INTERVAL)), 0);
    }

    #[test]
    fn several_tokens_are_several_single_ones() {
        let mut bucket = Bucket::new(Pace::JOINS);
        bucket.take(JOIN_BURST - 3, NOW);
        assert_eq!((bucket.wait(3, NOW), bucket.wait(1, NOW)), (0, 0));
        assert_eq!(u128::from(bucket.wait(5, NOW)), JOIN_INTERVAL.as_millis() * 2);
    }

    #[test]
    fn full_buckets_take_no_memory() {
        let mut buckets = Buckets::new(Pace::JOINS);
        for number in 0..100_000_u64 {
            let now = UnixMillis(NOW.0 + number * 100);
            assert_eq!(buckets.wait(&number, 1, now), 0);
            buckets.take(number, 1, now);
        }
        assert!(buckets.unfilled.len() <= UNPRUNED, "{} of ten a second", buckets.unfilled.len());
        assert_eq!(buckets.pace.interval, JOIN_INTERVAL);
    }

    #[test]
    fn each_has_a_bucket_of_its_own() {
        let mut buckets = Buckets::new(Pace::JOINS);
        buckets.take('a', JOIN_BURST, NOW);
        assert!(buckets.wait(&'a', 1, NOW) > 0);
        assert_eq!(buckets.wait(&'b', 1, NOW), 0);
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
                if bucket.wait(1, now) == 0 {
                    bucket.take(1, now);
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
