//! What is being written: an editor of several lines, in which a person's characters stay whole.

use ratatui_textarea::{CursorMove, TextArea};
use unicode_segmentation::UnicodeSegmentation;

/// A draft.
#[derive(Debug, Clone)]
pub struct Draft {
    area: TextArea<'static>,
    /// Bytes, so that the counter costs nothing.
    length: usize,
}

impl Default for Draft {
    fn default() -> Self {
        Self::of("")
    }
}

/// A step of the cursor, or a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Up,
    Down,
    Backspace,
    Delete,
    CutWord,
    CutNextWord,
    CutToStart,
    CutToEnd,
    Yank,
    Undo,
    Newline,
}

impl Draft {
    /// With this text, the cursor at its end.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.move_cursor(CursorMove::Bottom);
        area.move_cursor(CursorMove::End);
        Self { area, length: text.len() }
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Its lines.
    pub(crate) fn lines(&self) -> &[String] {
        self.area.lines()
    }

    /// The line of the cursor, and the byte in it.
    pub(crate) fn cursor(&self) -> (usize, usize) {
        let cursor = self.area.cursor();
        let line = self.line(cursor.0);
        (cursor.0, line.char_indices().nth(cursor.1).map_or(line.len(), |(at, _)| at))
    }

    /// In bytes, as the limit counts.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Puts a text where the cursor is; all of it is one step to undo.
    pub(crate) fn insert(&mut self, text: &str) {
        self.area.insert_str(text);
        self.count();
    }

    /// Puts a character there.
    pub(crate) fn insert_char(&mut self, character: char) {
        self.area.insert_char(character);
        self.count();
    }

    /// Replaces what stands from this byte of the cursor's line up to the cursor.
    pub(crate) fn replace_back(&mut self, from: usize, with: &str) {
        let (row, at) = self.cursor();
        let back = self.line(row).get(from..at).map_or(0, |text| text.chars().count());
        (0..back).for_each(|_| self.area.move_cursor(CursorMove::Back));
        self.area.delete_str(back);
        self.insert(with);
    }

    pub(crate) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Left => self.step(CursorMove::Back, self.before()),
            Edit::Right => self.step(CursorMove::Forward, self.after()),
            Edit::WordLeft => self.area.move_cursor(CursorMove::WordBack),
            Edit::WordRight => self.area.move_cursor(CursorMove::WordForward),
            Edit::LineStart => self.area.move_cursor(CursorMove::Head),
            Edit::LineEnd => self.area.move_cursor(CursorMove::End),
            Edit::Up => self.area.move_cursor(CursorMove::Up),
            Edit::Down => self.area.move_cursor(CursorMove::Down),
            Edit::Backspace => {
                let chars = self.before();
                self.step(CursorMove::Back, chars);
                self.area.delete_str(chars);
            }
            Edit::Delete => {
                self.area.delete_str(self.after());
            }
            Edit::CutWord => {
                self.area.delete_word();
            }
            Edit::CutNextWord => {
                self.area.delete_next_word();
            }
            Edit::CutToStart => {
                self.area.delete_line_by_head();
            }
            Edit::CutToEnd => {
                self.area.delete_line_by_end();
            }
            Edit::Yank => {
                self.area.paste();
            }
            Edit::Undo => {
                self.area.undo();
            }
            Edit::Newline => self.area.insert_newline(),
        }
        self.count();
    }

    fn step(&mut self, by: CursorMove, times: usize) {
        (0..times).for_each(|_| self.area.move_cursor(by));
    }

    /// How many `char`s the character before the cursor has; the end of a line is one.
    fn before(&self) -> usize {
        let (row, at) = self.cursor();
        let last = self.line(row).get(..at).and_then(|text| text.graphemes(true).next_back());
        last.map_or(usize::from(row > 0), |one| one.chars().count())
    }

    fn after(&self) -> usize {
        let (row, at) = self.cursor();
        let next = self.line(row).get(at..).and_then(|text| text.graphemes(true).next());
        let is_last = row + 1 == self.area.lines().len();
        next.map_or(usize::from(!is_last), |one| one.chars().count())
    }

    fn line(&self, row: usize) -> &str {
        self.area.lines().get(row).map_or("", String::as_str)
    }

    /// A text of the longest kind has some hundred lines, so this costs microseconds.
    fn count(&mut self) {
        let lines = self.area.lines();
        self.length = lines.iter().map(String::len).sum::<usize>() + lines.len() - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_goes_as_a_whole() {
        let mut draft = Draft::of("a👩‍👩‍👧é");
        draft.edit(Edit::Left);
        draft.edit(Edit::Backspace);
        assert_eq!(draft.text(), "aé");
        draft.edit(Edit::Left);
        draft.edit(Edit::Delete);
        assert_eq!(draft.text(), "é");
        draft.edit(Edit::Undo);
        assert_eq!(draft.text(), "aé");
    }

    #[test]
    fn the_end_of_a_line_is_a_character() {
        let mut draft = Draft::of("a\nb");
        draft.edit(Edit::LineStart);
        draft.edit(Edit::Backspace);
        assert_eq!(draft.text(), "ab");
        let mut draft = Draft::of("a\nb");
        draft.edit(Edit::Up);
        draft.edit(Edit::LineEnd);
        draft.edit(Edit::Delete);
        assert_eq!((draft.text().as_str(), draft.length()), ("ab", 2));
    }

    #[test]
    fn what_was_cut_comes_back() {
        let mut draft = Draft::of("one two");
        draft.edit(Edit::CutWord);
        assert_eq!(draft.text(), "one ");
        draft.edit(Edit::LineStart);
        draft.edit(Edit::Yank);
        assert_eq!(draft.text(), "twoone ");
        draft.edit(Edit::CutToEnd);
        assert_eq!((draft.text().as_str(), draft.length()), ("two", 3));
    }

    #[test]
    fn a_word_is_completed_in_place() {
        let mut draft = Draft::of("hi ü @bo");
        draft.replace_back("hi ü ".len(), "@bob ");
        assert_eq!(draft.text(), "hi ü @bob ");
        draft.edit(Edit::Undo);
        draft.edit(Edit::Undo);
        assert_eq!(draft.text(), "hi ü @bo");
    }
}
