//! What is being written: an editor of several lines, in which a person's characters stay whole.

use crate::keys::Action;
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

    /// Does what a key means to a line; nothing, if it means something else.
    pub(crate) fn edit(&mut self, action: Action) {
        match action {
            Action::Left => self.step(CursorMove::Back, self.before()),
            Action::Right => self.step(CursorMove::Forward, self.after()),
            Action::WordLeft => self.area.move_cursor(CursorMove::WordBack),
            Action::WordRight => self.area.move_cursor(CursorMove::WordForward),
            Action::LineStart => self.area.move_cursor(CursorMove::Head),
            Action::LineEnd => self.area.move_cursor(CursorMove::End),
            Action::Up => self.area.move_cursor(CursorMove::Up),
            Action::Down => self.area.move_cursor(CursorMove::Down),
            Action::Backspace => {
                let chars = self.before();
                self.step(CursorMove::Back, chars);
                self.area.delete_str(chars);
            }
            Action::Delete => {
                self.area.delete_str(self.after());
            }
            Action::CutWord => {
                self.area.delete_word();
            }
            Action::CutNextWord => {
                self.area.delete_next_word();
            }
            Action::CutToStart => {
                self.area.delete_line_by_head();
            }
            Action::CutToEnd => {
                self.area.delete_line_by_end();
            }
            Action::Yank => {
                self.area.paste();
            }
            Action::Undo => {
                self.area.undo();
            }
            Action::Newline => self.area.insert_newline(),
            _ => return,
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
        draft.edit(Action::Left);
        draft.edit(Action::Backspace);
        assert_eq!(draft.text(), "aé");
        draft.edit(Action::Left);
        draft.edit(Action::Delete);
        assert_eq!(draft.text(), "é");
        draft.edit(Action::Undo);
        assert_eq!(draft.text(), "aé");
    }

    #[test]
    fn the_end_of_a_line_is_a_character() {
        let mut draft = Draft::of("a\nb");
        draft.edit(Action::LineStart);
        draft.edit(Action::Backspace);
        assert_eq!(draft.text(), "ab");
        let mut draft = Draft::of("a\nb");
        draft.edit(Action::Up);
        draft.edit(Action::LineEnd);
        draft.edit(Action::Delete);
        assert_eq!((draft.text().as_str(), draft.length()), ("ab", 2));
    }

    #[test]
    fn what_was_cut_comes_back() {
        let mut draft = Draft::of("one two");
        draft.edit(Action::CutWord);
        assert_eq!(draft.text(), "one ");
        draft.edit(Action::LineStart);
        draft.edit(Action::Yank);
        assert_eq!(draft.text(), "twoone ");
        draft.edit(Action::CutToEnd);
        assert_eq!((draft.text().as_str(), draft.length()), ("two", 3));
    }

    #[test]
    fn a_word_is_completed_in_place() {
        let mut draft = Draft::of("hi ü @bo");
        draft.replace_back("hi ü ".len(), "@bob ");
        assert_eq!(draft.text(), "hi ü @bob ");
        draft.edit(Action::Undo);
        draft.edit(Action::Undo);
        assert_eq!(draft.text(), "hi ü @bo");
    }
}
