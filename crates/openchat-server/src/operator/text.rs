//! Times, hashes and sizes as people read them.

use openchat_wire::{Digest, Fingerprint, UnixMillis};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The day, in UTC.
pub(crate) fn date(time: UnixMillis) -> String {
    let seconds = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "ever".to_owned(), |time| time.date().to_string())
}

/// Hex in groups of four, which people can compare.
pub(crate) fn grouped(pin: &Digest) -> String {
    let hex: Vec<char> = pin.to_string().chars().collect();
    hex.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

/// Date and time to the second, in UTC (RFC 3339).
pub(crate) fn moment(time: UnixMillis) -> String {
    let seconds = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
    let shown = OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok());
    shown.unwrap_or_else(|| "ever".to_owned())
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The beginning of a fingerprint, enough to tell keys apart in a list.
pub(crate) fn short(key: &Fingerprint) -> String {
    key.to_string().chars().take(16).collect()
}

/// Bytes in the unit that leaves one to three digits before the point.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes).saturating_mul(10) / 1_024, UNITS[0]);
    for larger in &UNITS[1..] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1_024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Seconds as days, hours, minutes: the two largest that count.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_shown_in_groups() {
        let shown = grouped(&Digest([0x7c; 32]));
        assert!(shown.starts_with("7c7c 7c7c "));
        assert_eq!(shown.len(), 64 + 15);
    }

    #[test]
    fn dates_are_days() {
        assert_eq!(date(UnixMillis(0)), "1970-01-01");
        assert_eq!(date(UnixMillis(u64::MAX)), "ever");
    }

    #[test]
    fn moments_are_to_the_second() {
        assert_eq!(moment(UnixMillis(1_763_000_000_999)), "2025-11-13T02:13:20Z");
        assert_eq!(moment(UnixMillis(u64::MAX)), "ever");
    }

    #[test]
    fn sizes_and_spans_have_few_digits() {
        let sizes = [0, 1_023, 1_024, 1_536, 1_048_576, 5_000_000_000, u64::MAX].map(size);
        let tib = "16777215.9 TiB";
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "4.6 GiB", tib]);
        let spans = [0, 59, 61, 3_700, 90_000].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
