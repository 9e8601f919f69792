//! Moments and spans of time as they are typed.

use crate::{args::Kept, json, target};
use openchat_client::{Start, engine::Target, outside::now};
use openchat_wire::UnixMillis;
use std::time::Duration;
use time::{Date, OffsetDateTime, Time, format_description::well_known::Rfc3339};

/// The longest time after which messages are deleted, rather than never: a hundred years.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);

/// A day, a time, or how long ago.
pub(crate) fn moment(text: &str) -> Result<UnixMillis, String> {
    if let Some(ago) = span(text) {
        let millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(UnixMillis(now().0.saturating_sub(millis)));
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| day(text));
    let millis = at.and_then(|at| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
    millis.map(UnixMillis).ok_or_else(|| {
        "a day (2026-11-20), a time (2026-11-20T20:04:00Z), or 90m, 12h, 7d".to_owned()
    })
}

/// Where a listener begins: a place of the log, or a moment.
pub(crate) fn place(text: &str) -> Result<Start, String> {
    let place = json::start(text).ok().or_else(|| moment(text).ok().map(Start::At));
    place.ok_or_else(|| {
        "now, beginning, a message's seq or id, a day (2026-11-20), a time (2026-11-20T20:04:00Z), \
         or 90m, 12h, 7d"
            .to_owned()
    })
}

fn day(text: &str) -> Option<OffsetDateTime> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = month.parse::<u8>().ok()?.try_into().ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some(date.with_time(Time::MIDNIGHT).assume_utc())
}

/// A number and a unit.
fn span(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// How long messages are kept.
pub(crate) fn retention(text: &str) -> Result<Kept, String> {
    if text == "forever" {
        return Ok(Kept::Forever);
    }
    let kept = span(text).filter(|kept| (Duration::from_mins(1)..=LONGEST).contains(kept));
    kept.map(Kept::For).ok_or_else(|| "12h, 30d, 52w or the like, or 'forever'".to_owned())
}

/// A span as it would be typed.
pub(crate) fn spelled(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(7 * 24 * 3600, "w"), (24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let fits = |(length, _): &&(u64, &str)| seconds >= *length && seconds.is_multiple_of(*length);
    let (length, unit) = units.iter().find(fits).copied().unwrap_or((1, "s"));
    format!("{}{unit}", seconds.checked_div(length).unwrap_or_default())
}

/// One conversation, or all of which nothing else was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Of(Target),
}

pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    if text == "all" { Ok(Scope::All) } else { target::target(text).map(Scope::Of) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::Seq;

    #[test]
    fn moments_are_days_times_and_spans() {
        assert_eq!(moment("1970-01-02"), Ok(UnixMillis(86_400_000)));
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), Ok(UnixMillis(1500)));
        assert_eq!(moment("1970-01-01T02:00:01+02:00"), Ok(UnixMillis(1000)));
        let ago = now().0 - moment("2h").unwrap().0;
        assert!((7_200_000..7_260_000).contains(&ago));
        assert_eq!(moment("999999999d"), Ok(UnixMillis(0)));
        for bad in ["", "x", "1", "h", "2026-13-01", "2026-02-30", "1969-12-31", "-1d", "1y"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
        assert!(moment("99999999999999999999d").is_err());
    }

    #[test]
    fn a_listener_begins_at_a_place_or_a_moment() {
        assert_eq!(place("now"), Ok(Start::Now));
        assert_eq!(place("7"), Ok(Start::After(Seq(7))));
        assert_eq!(place("1970-01-02"), Ok(Start::At(UnixMillis(86_400_000))));
        assert!(matches!(place("2d"), Ok(Start::At(_))));
        assert!(place("yesterday").unwrap_err().contains("2026-11-20"));
    }

    #[test]
    fn retention_is_a_span_or_for_ever() {
        assert_eq!(retention("30d"), Ok(Kept::For(Duration::from_hours(720))));
        assert_eq!(retention("forever"), Ok(Kept::Forever));
        for bad in ["0d", "59s", "never", "99999w", "18446744073709551615w"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
        for text in ["30d", "12h", "52w", "90m", "61s"] {
            assert_eq!(spelled(span(text).unwrap()), text);
        }
    }

    #[test]
    fn all_is_no_conversation() {
        assert_eq!(scope("all"), Ok(Scope::All));
        assert_eq!(scope("#all"), Ok(Scope::Of("#all".parse().unwrap())));
        assert!(scope("ops").is_err());
    }
}
