//! Times and JSON as scripts see them.

pub(crate) use openchat_client::text::{escaped, fingerprint, safe};

use openchat_client::text::acts;
use openchat_wire::UnixMillis;
use std::{fmt::Write, path::Path};
use time::OffsetDateTime;

/// JSON in which what acts is written as `\uXXXX`. Outside of strings JSON is ASCII, so this may be
/// done to a whole document, and its meaning stays.
pub(crate) fn safe_json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for character in document.chars() {
        if acts(character) {
            // Writing to a string does not fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A path as a shell takes it.
pub(crate) fn quoted_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// RFC 3339 in UTC with milliseconds. It may be an author's claim, so any number is possible:
/// beyond the year 9999 it reads as the last moment of that year.
pub(crate) fn rfc3339(time: UnixMillis) -> String {
    /// 9999-12-31T23:59:59.999Z
    const LAST: u64 = 253_402_300_799_999;
    let millis = time.0.min(LAST);
    let at = i64::try_from(millis / 1000).map(OffsetDateTime::from_unix_timestamp);
    let Ok(Ok(at)) = at else { return "9999-12-31T23:59:59.999Z".to_owned() };
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        millis % 1000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(UnixMillis(1_763_683_200_007)), "2025-11-21T00:00:00.007Z");
        assert_eq!(rfc3339(UnixMillis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_shell_takes_a_path_as_it_is() {
        for (path, quoted) in
            [("/a/b-1.toml", "/a/b-1.toml"), ("/a b", "'/a b'"), ("it's", "'it'\\''s'"), ("", "''")]
        {
            assert_eq!(quoted_path(Path::new(path)), quoted);
        }
    }

    proptest! {
        #[test]
        fn safe_json_means_the_same(text in any::<String>()) {
            let document = serde_json::to_string(&text).unwrap();
            let safe = safe_json(&document);
            prop_assert!(!safe.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
