//! Text of others on its way to a terminal or a script: nothing in it may act on either.

use openchat_wire::UnixMillis;
use std::fmt::Write;
use time::OffsetDateTime;

/// The text as one field of a line: `\`, newline and tab as `\\`, `\n`, `\t`; control and
/// bidirectional characters, which would move the cursor or reorder what is read, as `\u{…}`.
/// No two texts look alike afterwards.
pub(crate) fn escaped(text: &str) -> String {
    let mut field = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => field.push_str("\\\\"),
            '\n' => field.push_str("\\n"),
            '\t' => field.push_str("\\t"),
            _ if acts(character) => field.extend(character.escape_unicode()),
            _ => field.push(character),
        }
    }
    field
}

/// The text of a diagnostic, in which `\` means nothing: only what acts is escaped.
pub(crate) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if acts(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

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

/// Control characters (C0, DEL, C1), line and paragraph separators, and the characters that steer
/// the bidirectional algorithm (Unicode UAX #9 §2). All lie in the basic plane.
const fn acts(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fff9}'..='\u{fffb}'
    )
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

/// `SHA256:` and groups of four, as people compare them.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let mut text = "SHA256:".to_owned();
    for (index, byte) in bytes.iter().enumerate() {
        let gap = if index > 0 && index % 2 == 0 { " " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{gap}{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(escaped("a\tb\nc\\d"), r"a\tb\nc\\d");
        assert_eq!(escaped("\u{1b}[2J\r\u{9b}\u{7f}"), r"\u{1b}[2J\u{d}\u{9b}\u{7f}");
        assert_eq!(escaped("\u{202e}evil\u{2066}\u{200f}"), r"\u{202e}evil\u{2066}\u{200f}");
        assert_eq!(escaped("a\u{2028}b"), r"a\u{2028}b");
    }

    #[test]
    fn scripts_of_the_world_pass() {
        for text in ["grüße", "日本語", "שלום", "नमस्ते", "👩‍👩‍👧", "\u{200d}\u{200c}"]
        {
            assert_eq!(escaped(text), text);
            assert_eq!(safe_json(text), text);
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(UnixMillis(1_763_683_200_007)), "2025-11-21T00:00:00.007Z");
        assert_eq!(rfc3339(UnixMillis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn fingerprints_are_grouped() {
        assert_eq!(fingerprint(&[0x7c, 0x1e, 0x90, 0xab]), "SHA256:7c1e 90ab");
    }

    /// The inverse of [`escaped`], as `docs/json.md` describes it.
    fn unescaped(field: &str) -> String {
        let mut text = String::new();
        let mut rest = field.chars();
        while let Some(character) = rest.next() {
            if character != '\\' {
                text.push(character);
                continue;
            }
            match rest.next().unwrap() {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'u' => {
                    let number: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    text.push(u32::from_str_radix(&number, 16).unwrap().try_into().unwrap());
                }
                other => text.push(other),
            }
        }
        text
    }

    proptest! {
        #[test]
        fn escaping_loses_nothing_and_lets_nothing_act(text in any::<String>()) {
            let field = escaped(&text);
            prop_assert!(!field.chars().any(acts));
            prop_assert_eq!(unescaped(&field), text);
        }

        #[test]
        fn safe_json_means_the_same(text in any::<String>()) {
            let document = serde_json::to_string(&text).unwrap();
            let safe = safe_json(&document);
            prop_assert!(!safe.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
