//! When the operator is told that a certificate comes to its end.

use openchat_wire::UnixMillis;

/// Days before the end: when it should have been renewed, when it is time to do something, and when it is
/// nearly too late.
const DAYS: [u64; 3] = [30, 14, 3];

const DAY_MS: u64 = 86_400_000;

/// What was told of one certificate.
#[derive(Debug, Default)]
pub(crate) struct Reminders {
    /// The least number of days that was told.
    told: Option<u64>,
}

impl Reminders {
    /// The days that are left, if that is to be told now: once for each of [`DAYS`].
    pub(crate) fn remind(&mut self, end: UnixMillis, now: UnixMillis) -> Option<u64> {
        let left = end.0.saturating_sub(now.0) / DAY_MS;
        let reached = DAYS.into_iter().rev().find(|days| left <= *days)?;
        if self.told.is_some_and(|told| told <= reached) {
            return None;
        }
        self.told = Some(reached);
        Some(left)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use super::*;

    /// What is told in the hours of so many days before the end.
    fn told(days: u64) -> Vec<u64> {
        let (mut reminders, end) = (Reminders::default(), UnixMillis(1_000 * DAY_MS));
        let hours = (0..=days * 24).rev();
        hours
            .filter_map(|hours| reminders.remind(end, UnixMillis(end.0 - hours * 3_600_000)))
            .collect()
    }

    #[test]
    fn each_number_of_days_is_told_once() {
        assert_eq!(told(60), [30, 14, 3]);
        assert_eq!(told(20), [20, 14, 3]);
        assert_eq!((told(2), told(0)), (vec![2], vec![0]));
    }

    #[test]
    fn a_clock_that_is_a_year_off_tells_of_the_end_once() {
        let (mut reminders, end) = (Reminders::default(), UnixMillis(1_000 * DAY_MS));
        assert_eq!(reminders.remind(end, UnixMillis(635 * DAY_MS)), None);
        assert_eq!(reminders.remind(end, UnixMillis(1_365 * DAY_MS)), Some(0));
        assert_eq!(reminders.remind(end, UnixMillis(985 * DAY_MS)), None);
    }
}
