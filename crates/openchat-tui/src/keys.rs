//! Which key does what: one table, from which the handling of keys, the help and the guide come.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::{collections::HashMap, fmt, str::FromStr};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sends, or takes what is chosen in a list.
    Send,
    /// Begins a line.
    Newline,
    /// Completes the word.
    Complete,
    /// Clears the draft; twice quits.
    Clear,
    /// Looks back in what was typed.
    Recall,
    /// To the end of the conversation; closes what is open.
    Escape,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Chooses an older message.
    ChooseUp,
    /// Chooses a newer message.
    ChooseDown,
    /// Copies the chosen message.
    Copy,
    /// Lists links.
    Links,
    /// Chooses a conversation.
    Switcher,
    /// Looks for messages.
    Search,
    /// To the next conversation with something new.
    NextUnread,
    /// To the conversation above.
    Previous,
    /// To the conversation below.
    Next,
    /// To the conversation with this number.
    Nth(u8),
    /// Shows the keys and commands.
    Help,
    /// Draws all again.
    Redraw,
    /// Moves up; in an empty line, edits one's last message.
    Up,
    /// Moves down.
    Down,
    /// Moves left.
    Left,
    /// Moves right.
    Right,
    /// Moves a word left.
    WordLeft,
    /// Moves a word right.
    WordRight,
    /// Moves to the beginning of the line.
    LineStart,
    /// Moves to the end of the line.
    LineEnd,
    /// Deletes the character before the cursor.
    Backspace,
    /// Deletes the character at the cursor.
    Delete,
    /// Cuts the word before the cursor.
    CutWord,
    /// Cuts the word behind the cursor.
    CutNextWord,
    /// Cuts to the beginning of the line.
    CutToStart,
    /// Cuts to the end of the line.
    CutToEnd,
    /// Puts back what was cut.
    Yank,
    /// Undoes.
    Undo,
}

/// Where the help lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Writing.
    Write,
    /// Reading.
    Read,
    /// Conversations.
    Go,
    /// The line.
    Line,
}

impl Section {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 4] = [Self::Write, Self::Read, Self::Go, Self::Line];

    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Write => "Write",
            Self::Read => "Read",
            Self::Go => "Go",
            Self::Line => "Edit the line",
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct KeyRow {
    /// What it does.
    pub action: Action,
    /// As the configuration file calls it.
    pub name: &'static str,
    /// The keys, unless the configuration says others.
    pub keys: &'static [&'static str],
    /// For people.
    pub help: &'static str,
    /// Where it is listed.
    pub section: Section,
}

use Section::{Go, Line, Read, Write};

/// Every key that does something, but for those that write themselves.
pub const KEYS: &[KeyRow] = &[
    row(Action::Send, "send", &["enter"], "send; take what is chosen in a list", Write),
    row(Action::Newline, "newline", &["alt+enter", "ctrl+j"], "begin a new line", Write),
    row(Action::Complete, "complete", &["tab"], "complete a command, name or group", Write),
    row(Action::Up, "up", &["up"], "line up; in an empty line, edit your last message", Write),
    row(Action::Down, "down", &["down"], "line down", Write),
    row(Action::Recall, "recall", &["ctrl+r"], "look back in what you have typed", Write),
    row(Action::Clear, "clear", &["ctrl+c"], "clear the draft; twice: quit", Write),
    row(Action::PageUp, "page-up", &["pgup"], "a page up", Read),
    row(Action::PageDown, "page-down", &["pgdn"], "a page down", Read),
    row(Action::Escape, "live", &["esc"], "to the newest message; close what is open", Read),
    row(Action::ChooseUp, "choose-up", &["ctrl+up"], "choose an older message", Read),
    row(Action::ChooseDown, "choose-down", &["ctrl+down"], "choose a newer message", Read),
    row(Action::Copy, "copy", &["alt+c"], "copy the chosen message, or the last one", Read),
    row(Action::Links, "links", &["alt+l"], "list the links; Enter copies one", Read),
    row(Action::Search, "search", &["ctrl+f"], "find messages", Read),
    row(Action::Switcher, "switcher", &["ctrl+p"], "switch the conversation", Go),
    row(Action::NextUnread, "next-unread", &["alt+a"], "next unread conversation", Go),
    row(Action::Previous, "previous", &["alt+up"], "the conversation above", Go),
    row(Action::Next, "next", &["alt+down"], "the conversation below", Go),
    row(Action::Nth(1), "conversation-1", &["alt+1"], "conversation 1 of the list", Go),
    row(Action::Nth(2), "conversation-2", &["alt+2"], "conversation 2 of the list", Go),
    row(Action::Nth(3), "conversation-3", &["alt+3"], "conversation 3 of the list", Go),
    row(Action::Nth(4), "conversation-4", &["alt+4"], "conversation 4 of the list", Go),
    row(Action::Nth(5), "conversation-5", &["alt+5"], "conversation 5 of the list", Go),
    row(Action::Nth(6), "conversation-6", &["alt+6"], "conversation 6 of the list", Go),
    row(Action::Nth(7), "conversation-7", &["alt+7"], "conversation 7 of the list", Go),
    row(Action::Nth(8), "conversation-8", &["alt+8"], "conversation 8 of the list", Go),
    row(Action::Nth(9), "conversation-9", &["alt+9"], "conversation 9 of the list", Go),
    row(Action::Help, "help", &["f1"], "this help", Go),
    row(Action::Redraw, "redraw", &["ctrl+l"], "draw the screen again", Go),
    row(Action::Left, "left", &["left", "ctrl+b"], "left", Line),
    row(Action::Right, "right", &["right"], "right", Line),
    row(Action::WordLeft, "word-left", &["alt+b", "ctrl+left"], "a word left", Line),
    row(Action::WordRight, "word-right", &["alt+f", "ctrl+right"], "a word right", Line),
    row(Action::LineStart, "line-start", &["ctrl+a", "home"], "to the line's beginning", Line),
    row(Action::LineEnd, "line-end", &["ctrl+e", "end"], "to the line's end", Line),
    row(Action::Backspace, "backspace", &["backspace", "ctrl+h"], "delete backwards", Line),
    row(Action::Delete, "delete", &["delete", "ctrl+d"], "delete forwards", Line),
    row(Action::CutWord, "cut-word", &["ctrl+w", "alt+backspace"], "cut the word before", Line),
    row(Action::CutNextWord, "cut-next-word", &["alt+d"], "cut the word behind", Line),
    row(Action::CutToStart, "cut-to-start", &["ctrl+u"], "cut to the line's beginning", Line),
    row(Action::CutToEnd, "cut-to-end", &["ctrl+k"], "cut to the line's end", Line),
    row(Action::Yank, "yank", &["ctrl+y"], "put back what was cut", Line),
    row(Action::Undo, "undo", &["ctrl+z", "ctrl+_"], "undo", Line),
];

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    section: Section,
) -> KeyRow {
    KeyRow { action, name, keys, help, section }
}

/// A key with what is held beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    code: KeyCode,
    held: KeyModifiers,
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no key; keys are written like ctrl+p, alt+enter, f1, pgup, esc, x")]
pub struct ChordError(String);

/// The names of keys that have one.
const NAMED: &[(&str, &str, KeyCode)] = &[
    ("enter", "Enter", KeyCode::Enter),
    ("tab", "Tab", KeyCode::Tab),
    ("esc", "Esc", KeyCode::Esc),
    ("backspace", "Backspace", KeyCode::Backspace),
    ("delete", "Delete", KeyCode::Delete),
    ("insert", "Insert", KeyCode::Insert),
    ("up", "Up", KeyCode::Up),
    ("down", "Down", KeyCode::Down),
    ("left", "Left", KeyCode::Left),
    ("right", "Right", KeyCode::Right),
    ("home", "Home", KeyCode::Home),
    ("end", "End", KeyCode::End),
    ("pgup", "PgUp", KeyCode::PageUp),
    ("pgdn", "PgDn", KeyCode::PageDown),
    ("space", "Space", KeyCode::Char(' ')),
];

/// The highest function key that keyboards have.
const LAST_F: u8 = 24;

impl Chord {
    /// As the terminal tells it.
    #[must_use]
    pub fn of(event: KeyEvent) -> Self {
        let relevant = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let (mut code, mut held) = (event.code, event.modifiers & relevant);
        match code {
            // The character says it already.
            KeyCode::Char(_) => held -= KeyModifiers::SHIFT,
            KeyCode::BackTab => (code, held) = (KeyCode::Tab, held | KeyModifiers::SHIFT),
            _ => {}
        }
        // Terminals send one byte for both.
        if (code, held) == (KeyCode::Char('7'), KeyModifiers::CONTROL) {
            code = KeyCode::Char('_');
        }
        Self { code, held }
    }

    /// The character that it writes, if it writes one.
    #[must_use]
    pub const fn writes(self) -> Option<char> {
        match self.code {
            KeyCode::Char(character) if self.held.is_empty() => Some(character),
            _ => None,
        }
    }
}

impl fmt::Display for Chord {
    /// As people read it: `Ctrl+P`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [
            (KeyModifiers::CONTROL, "Ctrl+"),
            (KeyModifiers::ALT, "Alt+"),
            (KeyModifiers::SHIFT, "Shift+"),
        ] {
            if self.held.contains(held) {
                f.write_str(name)?;
            }
        }
        match (NAMED.iter().find(|(_, _, code)| *code == self.code), self.code) {
            (Some((_, shown, _)), _) => f.write_str(shown),
            (None, KeyCode::Char(character)) => write!(f, "{}", character.to_uppercase()),
            (None, KeyCode::F(number)) => write!(f, "F{number}"),
            (None, other) => write!(f, "{other}"),
        }
    }
}

impl FromStr for Chord {
    type Err = ChordError;

    fn from_str(text: &str) -> Result<Self, ChordError> {
        let error = || ChordError(openchat_client::text::safe(text));
        let (mut held, mut rest) = (KeyModifiers::NONE, text);
        loop {
            let (modifier, after) = match rest.split_once('+') {
                Some(("ctrl", after)) if !after.is_empty() => (KeyModifiers::CONTROL, after),
                Some(("alt", after)) if !after.is_empty() => (KeyModifiers::ALT, after),
                Some(("shift", after)) if !after.is_empty() => (KeyModifiers::SHIFT, after),
                _ => break,
            };
            held |= modifier;
            rest = after;
        }
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(one), None) => KeyCode::Char(one),
            _ => named(rest).ok_or_else(error)?,
        };
        let shifted = held.contains(KeyModifiers::SHIFT) && matches!(code, KeyCode::Char(_));
        if shifted { Err(error()) } else { Ok(Self { code, held }) }
    }
}

fn named(name: &str) -> Option<KeyCode> {
    let known = NAMED.iter().find(|(known, _, _)| *known == name).map(|(_, _, code)| *code);
    let function = || name.strip_prefix('f')?.parse().ok().filter(|n| (1..=LAST_F).contains(n));
    known.or_else(|| function().map(KeyCode::F))
}

/// The keys as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(HashMap<Chord, Action>);

impl Default for Keys {
    fn default() -> Self {
        let chords = KEYS.iter().flat_map(|row| {
            row.keys.iter().filter_map(|key| Some((key.parse().ok()?, row.action)))
        });
        Self(chords.collect())
    }
}

impl Keys {
    /// What this key does.
    #[must_use]
    pub fn action(&self, chord: Chord) -> Option<Action> {
        self.0.get(&chord).copied()
    }

    /// Gives an action these keys instead of those that it has.
    pub fn bind(&mut self, action: Action, chords: &[Chord]) {
        self.0.retain(|_, bound| *bound != action);
        self.0.extend(chords.iter().map(|chord| (*chord, action)));
    }

    /// The keys of an action, for people: its own order first.
    #[must_use]
    pub fn of(&self, action: Action) -> String {
        let usual = KEYS.iter().filter(|row| row.action == action).flat_map(|row| row.keys);
        let usual: Vec<String> = usual
            .filter_map(|key| key.parse().ok())
            .filter(|chord| self.action(*chord) == Some(action))
            .map(|chord: Chord| chord.to_string())
            .collect();
        let mut others: Vec<String> = self
            .0
            .iter()
            .filter(|(_, bound)| **bound == action)
            .map(|(chord, _)| chord.to_string())
            .filter(|shown| !usual.contains(shown))
            .collect();
        others.sort();
        usual.into_iter().chain(others).collect::<Vec<_>>().join(", ")
    }

    /// One key of an action, for hints; none if it has none.
    #[must_use]
    pub fn first_of(&self, action: Action) -> Option<String> {
        Some(self.of(action).split(", ").next()?.to_owned()).filter(|key| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_sound() {
        let (mut names, mut chords, mut actions) = (HashSet::new(), HashSet::new(), HashSet::new());
        for row in KEYS {
            assert!(names.insert(row.name), "{}", row.name);
            assert!(actions.insert(row.action), "{}", row.name);
            for key in row.keys {
                let chord: Chord = key.parse().unwrap();
                assert!(chords.insert(chord), "{key} twice");
                assert_eq!(chord.to_string().to_lowercase(), *key, "shown as it is typed");
            }
        }
        assert_eq!(Keys::default().0.len(), chords.len());
    }

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for (typed, shown) in
            [("ctrl+alt+x", "Ctrl+Alt+X"), ("f12", "F12"), ("space", "Space"), ("alt++", "Alt++")]
        {
            assert_eq!(typed.parse::<Chord>().unwrap().to_string(), shown);
        }
        for bad in ["", "ctrl+", "hyper+x", "f0", "f99", "enterr", "shift+x"] {
            assert!(bad.parse::<Chord>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_terminals_send_is_understood() {
        let chord = |code, held| Chord::of(KeyEvent::new(code, held));
        let shift = chord(KeyCode::Char('X'), KeyModifiers::SHIFT);
        assert_eq!(shift.writes(), Some('X'));
        assert_eq!(chord(KeyCode::Char('p'), KeyModifiers::CONTROL), "ctrl+p".parse().unwrap());
        assert_eq!(chord(KeyCode::Char('p'), KeyModifiers::CONTROL).writes(), None);
        assert_eq!(chord(KeyCode::BackTab, KeyModifiers::NONE), "shift+tab".parse().unwrap());
        assert_eq!(chord(KeyCode::Char('7'), KeyModifiers::CONTROL), "ctrl+_".parse().unwrap());
    }

    #[test]
    fn an_action_gets_other_keys() {
        let mut keys = Keys::default();
        keys.bind(Action::Switcher, &["alt+s".parse().unwrap()]);
        assert_eq!(keys.of(Action::Switcher), "Alt+S");
        assert_eq!(keys.action("ctrl+p".parse().unwrap()), None);
        assert_eq!(keys.of(Action::Newline), "Alt+Enter, Ctrl+J");
        keys.bind(Action::Help, &[]);
        assert_eq!(keys.first_of(Action::Help), None);
    }
}
