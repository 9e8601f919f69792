//! What differs between two pictures of the same session by its nature: times, dates, keys, the
//! numbers that are made of them, and the names of messages. All else has to be the same.

/// The texts of a picture with a fixed one in the place of each of these.
#[must_use]
pub fn without(svg: &str) -> String {
    let mut all = String::new();
    for (at, part) in svg.split('>').enumerate() {
        if at > 0 {
            all.push('>');
        }
        let (text, tag) = part.split_once('<').unwrap_or((part, ""));
        all.push_str(&of_text(text));
        if part.contains('<') {
            all.push('<');
            all.push_str(tag);
        }
    }
    all
}

/// The first line in which two pictures differ by more than their nature.
///
/// # Errors
/// Both lines.
pub fn compare(one: &str, other: &str) -> Result<(), String> {
    let (one, other) = (without(one), without(other));
    let (mut ones, mut others) = (one.lines(), other.lines());
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return Ok(()),
            (one, other) if one == other => {}
            (one, other) => {
                let (one, other) = (one.unwrap_or("(end)"), other.unwrap_or("(end)"));
                return Err(format!("- {one}\n+ {other}"));
            }
        }
    }
}

fn of_text(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let rest = &words[at..];
        let (taken, put) = match rest {
            [day, number, month, ..] if is_date(day, number, month) => (3, "DATE".to_owned()),
            [one, two, ..] if is_four_hex(bare(one)) && is_four_hex(two) => {
                let count = rest.iter().take_while(|word| is_four_hex(bare(word))).count();
                (count, format!("KEY {count}"))
            }
            _ => (1, of_word(word)),
        };
        kept.push(put);
        at += taken;
    }
    if kept.iter().any(|word| word == "DATE") && is_rule(&kept) {
        return "RULE DATE".to_owned();
    }
    kept.join(" ")
}

/// A date of another length leaves another number of dashes beside it.
fn is_rule(words: &[String]) -> bool {
    words.iter().all(|word| word == "DATE" || word.bytes().all(|byte| byte == b'-'))
}

fn is_date(day: &str, number: &str, month: &str) -> bool {
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    days.contains(&day) && months.contains(&month) && is_digits(number, 1..=2)
}

fn of_word(word: &str) -> String {
    // A rule between panes may stand right before it.
    if let Some((hour, minute)) = word.trim_start_matches('|').split_once(':')
        && is_digits(hour, 2..=2)
        && is_digits(minute, 2..=2)
    {
        return "TIME".to_owned();
    }
    // Five digits of the number that two people compare.
    if is_digits(word, 5..=5) {
        return "DIGIT".to_owned();
    }
    if matches!(word.len(), 32 | 64) && is_hex(word) {
        return "ID".to_owned();
    }
    let parts: Vec<&str> = word.split('-').collect();
    match parts[..] {
        [year, month, day]
            if is_digits(year, 4..=4) && is_digits(month, 2..=2) && is_digits(day, 2..=2) =>
        {
            "DATE".to_owned()
        }
        _ => word.to_owned(),
    }
}

/// A fingerprint says how it was made.
fn bare(word: &str) -> &str {
    word.strip_prefix("SHA256:").unwrap_or(word)
}

fn is_four_hex(word: &str) -> bool {
    word.len() == 4 && is_hex(word)
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_digits(word: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_nature_is_the_same() {
        for (one, other) in [
            ("<text>12:03</text>", "<text>12:59</text>"),
            ("<text>--- Sat 21 Nov ---</text>", "<text>---- Sun 1 Feb ---</text>"),
            ("<text>key 5f2c a9d0 1234 ffff</text>", "<text>key 0000 1111 2222 3333</text>"),
            ("<text>SHA256:5f2c a9d0</text>", "<text>SHA256:0000 1111</text>"),
            ("<text>79893 46286</text>", "<text>00000 11111</text>"),
            (
                "<text>2337e4af7cb5ce042e20d1da6544d708</text>",
                "<text>0037e4af7cb5ce042e20d1da6544d708</text>",
            ),
            ("<text>valid to 2027-02-19</text>", "<text>valid to 2031-01-01</text>"),
        ] {
            assert_eq!(compare(one, other), Ok(()));
        }
    }

    #[test]
    fn all_else_is_not() {
        for (one, other) in [
            ("<text>bob verified</text>", "<text>bob certified</text>"),
            ("<text x=\"12\">a</text>", "<text x=\"20\">a</text>"),
            ("<text fill=\"red\">a</text>", "<text fill=\"green\">a</text>"),
            ("<text>3 new</text>", "<text>4 new</text>"),
            ("<text>12:03</text>", "<text>12:3</text>"),
            ("<text>key 5f2c a9d0 1234</text>", "<text>key 5f2c a9d0</text>"),
            ("<text>cert 90d</text>", "<text>cert 89d</text>"),
            ("<text>a</text>\n<text>b</text>", "<text>a</text>"),
        ] {
            assert!(compare(one, other).is_err(), "{one} {other}");
        }
    }
}
