//! Text of anybody as lines of at most so many columns, of which none acts on a terminal.

use openchat_client::text::{acts, safe};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Bytes of what is shown as one character. The longest emoji in use takes about forty; hundreds of
/// marks on one letter would run over the lines above.
const MAX_GRAPHEME: usize = 64;

/// Columns of a tab.
const TAB: &str = "    ";

/// One line of anybody's text: what acts on a terminal is written out.
pub(crate) fn clean(line: &str) -> Cow<'_, str> {
    let plain = |character: char| !acts(character);
    if line.chars().all(plain) { Cow::Borrowed(line) } else { Cow::Owned(safe(&tabless(line))) }
}

/// All of the text in one line.
pub(crate) fn flat(text: &str) -> String {
    clean(&text.replace('\n', " ")).into_owned()
}

fn tabless(line: &str) -> Cow<'_, str> {
    if line.contains('\t') { Cow::Owned(line.replace('\t', TAB)) } else { Cow::Borrowed(line) }
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.graphemes(true).map(width_of).sum()
}

/// What people see as characters, each with its columns; those that nothing is seen of are left out.
pub(crate) fn characters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.graphemes(true).map(bounded).map(|one| (one, width_of(one))).filter(|(_, wide)| *wide > 0)
}

/// A character without what is piled onto it beyond measure.
fn bounded(grapheme: &str) -> &str {
    let mut end = grapheme.len().min(MAX_GRAPHEME);
    while !grapheme.is_char_boundary(end) {
        end -= 1;
    }
    &grapheme[..end]
}

/// No cell is wider than two columns, whatever a table says of a cluster.
fn width_of(grapheme: &str) -> usize {
    bounded(grapheme).width()
}

/// The beginning of a text that fits into so many columns, with `…` if something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return characters(text).map(|(one, _)| one).collect();
    }
    let mut line = String::new();
    let mut room = width.saturating_sub(1);
    for (one, wide) in characters(text) {
        if wide > room {
            break;
        }
        room -= wide;
        line.push_str(one);
    }
    if width > 0 { line + "…" } else { line }
}

/// Text in lines of at most `width` columns, broken between words where that is possible. Gives at
/// least one line.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_after(text, width, width)
}

/// The same, where the first line has another width; it stays empty if nothing fits.
pub(crate) fn wrap_after(text: &str, first: usize, width: usize) -> Vec<String> {
    let mut wrapping = Wrapping { first, width: width.max(1), ..Wrapping::default() };
    for line in text.split('\n') {
        words(&clean(line)).for_each(|word| wrapping.word(word));
        wrapping.end();
    }
    wrapping.lines
}

#[derive(Default)]
struct Wrapping {
    first: usize,
    width: usize,
    lines: Vec<String>,
    current: String,
    used: usize,
}

impl Wrapping {
    fn limit(&self) -> usize {
        if self.lines.is_empty() { self.first } else { self.width }
    }

    fn word(&mut self, word: &str) {
        let wide = columns(word);
        if self.used + wide <= self.limit() {
            self.current.extend(characters(word).map(|(one, _)| one));
            self.used += wide;
        } else if word.trim().is_empty() {
            // A gap at a break is not seen.
            self.end();
        } else {
            if wide <= self.width {
                self.current.truncate(self.current.trim_end().len());
                self.end();
            }
            characters(word).for_each(|(one, wide)| self.character(one, wide));
        }
    }

    fn character(&mut self, one: &str, wide: usize) {
        // A terminal of one column has no place for a wide character.
        let (one, wide) = if wide > self.width { ("?", 1) } else { (one, wide) };
        if self.used + wide > self.limit() {
            self.end();
        }
        self.current.push_str(one);
        self.used += wide;
    }

    fn end(&mut self) {
        self.lines.push(std::mem::take(&mut self.current));
        self.used = 0;
    }
}

/// Words and the gaps between them, in order.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let is_gap = rest.chars().next()? == ' ';
        let end = rest.find(|c| (c == ' ') != is_gap).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("a\n\nb", 8), ["a", "", "b"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("  indented", 20), ["  indented"]);
    }

    #[test]
    fn long_words_break_between_characters() {
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("日本語", 5), ["日本", "語"]);
        assert_eq!(wrap("👩‍👩‍👧👩‍👩‍👧", 3), ["👩‍👩‍👧", "👩‍👩‍👧"]);
    }

    #[test]
    fn what_acts_is_written_out() {
        assert_eq!(wrap("\u{1b}[2J", 80), [r"\u{1b}[2J"]);
        assert_eq!(wrap("\u{202e}evil", 80), [r"\u{202e}evil"]);
        assert_eq!(wrap("a\tb", 80), ["a    b"]);
    }

    #[test]
    fn nothing_is_piled_up_beyond_measure() {
        let pile = "a".to_owned() + &"\u{301}".repeat(10_000);
        let lines = wrap(&pile, 80);
        assert!(lines.len() == 1 && lines[0].len() <= MAX_GRAPHEME, "{}", lines[0].len());
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("abcdef", 4).as_str(), cut("abc", 3).as_str()), ("abc…", "abc"));
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_none_acts(text in any::<String>(), width in 1_usize..60) {
            for line in wrap(&text, width) {
                prop_assert!(columns(&line) <= width, "{line:?}");
                prop_assert!(!line.chars().any(acts), "{line:?}");
            }
            prop_assert!(columns(&cut(&flat(&text), width)) <= width);
            let after = wrap_after(&text, 0, width);
            prop_assert!(after[0].is_empty());
            prop_assert!(after.iter().all(|line| columns(line) <= width));
        }

        #[test]
        fn wrapping_loses_no_word(words in proptest::collection::vec("[a-zà-ö]{1,9}", 1..30)) {
            let lines = wrap(&words.join(" "), 12);
            let again: Vec<String> =
                lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
            prop_assert_eq!(again, words);
        }
    }
}
