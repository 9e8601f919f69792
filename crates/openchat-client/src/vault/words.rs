//! What of a text is searched for, and how.
//!
//! The index takes words as Unicode has them: letters and digits side by side. Where people write
//! without spaces between words, a whole sentence would be one of them; so each such character is
//! made a word of its own, and what is searched for is the same characters side by side. Emoji too.

/// The text with such characters set apart; nothing if it has none.
pub(super) fn apart(text: &str) -> Option<String> {
    text.chars().any(stands_alone).then(|| set_apart(text))
}

fn set_apart(text: &str) -> String {
    let mut apart = String::with_capacity(text.len().saturating_mul(2));
    for character in text.chars() {
        if stands_alone(character) {
            apart.push(' ');
            apart.push(character);
            apart.push(' ');
        } else {
            apart.push(character);
        }
    }
    apart
}

/// What FTS5 is asked for: every one of `wanted` has to occur, its words side by side, its last word
/// also as the beginning of a longer one, unless it is a single letter, with which half of all messages
/// have a word. Nothing in it acts on FTS5: it is one quoted string each.
pub(super) fn query(wanted: &[String]) -> String {
    let phrase = |phrase: &String| {
        let last = phrase.chars().rev().skip_while(|c| !c.is_alphanumeric());
        let begins = if last.take_while(|c| c.is_alphanumeric()).count() > 1 { " *" } else { "" };
        format!("\"{}\"{begins}", set_apart(phrase).replace('"', " "))
    };
    let is_word = |text: &&String| text.chars().any(|c| c.is_alphanumeric() || stands_alone(c));
    wanted.iter().filter(is_word).map(phrase).collect::<Vec<_>>().join(" AND ")
}

/// Thai, Lao, Burmese, Khmer, kana, Chinese characters and their radicals, and pictures.
const fn stands_alone(character: char) -> bool {
    matches!(
        character,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{2190}'..='\u{2bff}'
            | '\u{2e80}'..='\u{2fdf}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}'
            | '\u{1f000}'..='\u{1faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_and_characters_without_spaces_are_set_apart() {
        assert_eq!(apart("Grüße, 한국어 https://wiki.acme/rel-2.4 שלום"), None);
        assert_eq!(apart("東京へ go").as_deref(), Some(" 東  京  へ  go"));
        assert_eq!(apart("ok👍").as_deref(), Some("ok 👍 "));
    }

    #[test]
    fn a_query_is_quoted_and_nothing_of_it_acts() {
        let query =
            |words: &[&str]| query(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(query(&["deploy", "red fox"]), "\"deploy\" * AND \"red fox\" *");
        assert_eq!(query(&["a\" OR text:*"]), "\"a  OR text:*\" *");
        assert_eq!(query(&["!!!", " "]), "");
        assert_eq!(query(&["a", "b.", "o'b", "42!"]), "\"a\" AND \"b.\" AND \"o'b\" AND \"42!\" *");
        assert_eq!(query(&["東京"]), "\" 東  京 \" *");
    }
}
