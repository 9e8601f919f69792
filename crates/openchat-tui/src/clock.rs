//! Times as the reader's clock and calendar show them.

use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};
use openchat_client::wire::UnixMillis;

/// The reader's time zone.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

impl Clock {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// What the system says (`TZ`, `/etc/localtime`), or UTC if it says nothing.
    #[must_use]
    pub fn of_the_system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// `20:04`
    pub(crate) fn hour(&self, time: UnixMillis) -> String {
        self.at(time).strftime("%H:%M").to_string()
    }

    /// `Fri 20 Nov`, with the year unless it is `now`'s.
    pub(crate) fn day(&self, time: UnixMillis, now: UnixMillis) -> String {
        let at = self.at(time);
        let form = if at.year() == self.at(now).year() { "%a %-d %b" } else { "%a %-d %b %Y" };
        at.strftime(form).to_string()
    }

    pub(crate) fn date(&self, time: UnixMillis) -> Date {
        self.at(time).date()
    }

    /// It may be an author's claim: what no calendar has reads as the end of time.
    fn at(&self, time: UnixMillis) -> Zoned {
        let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        at.to_zoned(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_the_readers() {
        let at = UnixMillis(1_763_668_800_000);
        let there = Clock(TimeZone::fixed(jiff::tz::offset(9)));
        assert_eq!((Clock::utc().hour(at), there.hour(at)), ("20:00".into(), "05:00".into()));
        assert_eq!(Clock::utc().day(at, at), "Thu 20 Nov");
        assert_eq!(there.day(at, UnixMillis(0)), "Fri 21 Nov 2025");
        assert!(!Clock::utc().hour(UnixMillis(u64::MAX)).is_empty());
    }
}
