//! Text of others on its way to a terminal or a script: nothing in it may act on either.

use std::fmt::Write;

/// The text as one field of a line: `\`, newline and tab as `\\`, `\n`, `\t`; control and
/// bidirectional characters, which would move the cursor or reorder what is read, as `\u{…}`.
/// No two texts look alike afterwards.
#[must_use]
pub fn escaped(text: &str) -> String {
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
#[must_use]
pub fn safe(text: &str) -> String {
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

/// Control characters (C0, DEL, C1), line and paragraph separators, and the characters that steer
/// the bidirectional algorithm (Unicode UAX #9 §2). All lie in the basic plane.
#[must_use]
pub const fn acts(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// `SHA256:` and groups of four, as people compare them.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
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
        }
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
    }
}
