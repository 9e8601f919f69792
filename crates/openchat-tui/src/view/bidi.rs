//! Text from right to left, as Hebrew and Arabic are written, beside text from left to right.
//!
//! Some terminals order a line by the bidirectional algorithm (Unicode UAX #9), and to them a line of
//! the screen is one: digits and signs that follow a Hebrew word would be drawn before it, though
//! they are the time of another pane or a counter. So every run of such text is put between the two
//! characters that isolate it from what stands around. They take no room, terminals without that
//! algorithm pass over them, and a line without such text has none. Those that others write never
//! come here: they are written out.

use crate::layout::short;
use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// What follows is ordered by itself, in the direction of its first letter,
const ISOLATE: char = '\u{2068}';

/// up to here.
const END: char = '\u{2069}';

/// Isolates what is written from right to left in every line.
pub(super) fn isolate(buffer: &mut Buffer) {
    for y in buffer.area.top()..buffer.area.bottom() {
        for Run { before, first, last } in runs(buffer, y) {
            // At the end of the cell before it, as terminals keep with a cell what takes no room.
            match before {
                Some(before) => mark(buffer, (before, y), |symbol| format!("{symbol}{ISOLATE}")),
                None => mark(buffer, (first, y), |symbol| format!("{ISOLATE}{symbol}")),
            }
            mark(buffer, (last, y), |symbol| format!("{symbol}{END}"));
        }
    }
}

fn mark(buffer: &mut Buffer, at: (u16, u16), marked: impl FnOnce(&str) -> String) {
    let symbol = marked(buffer[at].symbol());
    buffer[at].set_symbol(&symbol);
}

/// Cells that begin and end with a letter that runs from right to left, without one from left to right
/// between them.
struct Run {
    before: Option<u16>,
    first: u16,
    last: u16,
}

fn runs(buffer: &Buffer, y: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut open, mut gap, mut before) = (false, 0, None);
    let mut x = buffer.area.left();
    while x < buffer.area.right() {
        let symbol = buffer[(x, y)].symbol();
        gap = if symbol == " " { gap + 1 } else { 0 };
        match (symbol.chars().any(is_rtl), runs.last_mut()) {
            (true, Some(run)) if open => run.last = x,
            (true, _) => {
                runs.push(Run { before, first: x, last: x });
                open = true;
            }
            // Another pane, or another thing in the same one.
            _ if gap > 1 || symbol == "|" || symbol.chars().any(char::is_alphabetic) => {
                open = false;
            }
            _ => {}
        }
        before = Some(x);
        // The second cell of a wide character is not drawn.
        x = x.saturating_add(short(symbol.width()).max(1));
    }
    runs
}

/// The blocks that Unicode keeps for scripts from right to left, those of the future too.
const fn is_rtl(character: char) -> bool {
    matches!(
        character,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{layout::Rect, style::Style};

    fn isolated(line: &str) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 1));
        buffer.set_string(0, 0, line, Style::new());
        isolate(&mut buffer);
        let (mut line, mut x) = (String::new(), 0);
        while x < 40 {
            let symbol = buffer[(x, 0)].symbol();
            line.push_str(symbol);
            x += short(symbol.width()).max(1);
        }
        line.trim_end().replace(ISOLATE, "<").replace(END, ">")
    }

    #[test]
    fn what_runs_from_right_to_left_is_isolated() {
        assert_eq!(isolated("20:04 bob שלום  delivered 2/4"), "20:04 bob <שלום>  delivered 2/4");
        assert_eq!(isolated("bob שלום, 3 פעמים! 7"), "bob <שלום, 3 פעמים>! 7");
        assert_eq!(isolated("שלום hi שלום"), "<שלום> hi <שלום>");
        assert_eq!(isolated("x مرحبا | مرحبا"), "x <مرحبا> | <مرحبا>");
        assert_eq!(isolated("שלום   412/16000"), "<שלום>   412/16000");
        assert_eq!(isolated("日本語שלום"), "日本語<שלום>");
        for plain in ["20:04 bob hi", "日本語 3", "e\u{301}"] {
            assert_eq!(isolated(plain), plain);
        }
    }

    #[test]
    fn marks_take_no_room() {
        assert_eq!((" \u{2068}".width(), "ש\u{2069}".width()), (1, 1));
    }
}
