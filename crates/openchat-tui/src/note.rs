//! What the desktop is told of, while nobody looks at the terminal.

use crate::{
    conversation::Conversation,
    row::{Message, Notice, Tone},
    state::State,
    wrap::flat,
};
use openchat_client::wire::UnixMillis;
use std::{collections::VecDeque, time::Duration};
use unicode_segmentation::UnicodeSegmentation;

/// Notes within [`PERIOD`]. A person who was away wants to know that there is something, not all of it;
/// and nobody who writes fast fills another one's desktop.
pub(crate) const MAX_NOTES: usize = 6;

/// The time in which there are no more than [`MAX_NOTES`].
pub(crate) const PERIOD: Duration = Duration::from_mins(1);

/// Characters of a message that are shown: no desktop shows more without being asked to.
pub(crate) const MAX_SHOWN: usize = 200;

/// How this person wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// The desktop tells.
    pub desktop: bool,
    /// The terminal rings.
    pub bell: bool,
    /// What the desktop shows.
    pub show: Show,
}

impl Default for Notify {
    fn default() -> Self {
        Self { desktop: true, bell: true, show: Show::Name }
    }
}

/// What the desktop shows of a message. A lock screen shows it to whoever passes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Who writes, and where.
    Name,
    /// The text too.
    Text,
}

impl Show {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "name" => Some(Self::Name),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Something for the desktop. Nothing in it acts on a terminal; what a desktop takes for markup is still
/// in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The first line.
    pub title: String,
    /// What is below it.
    pub body: String,
    /// It should stay until somebody has seen it.
    pub urgent: bool,
}

/// When the desktop was told something. Alarms are counted apart: no flood of messages drowns one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    messages: VecDeque<UnixMillis>,
    alarms: VecDeque<UnixMillis>,
}

impl Pace {
    fn allows(&mut self, note: &Note, now: UnixMillis) -> bool {
        let told = if note.urgent { &mut self.alarms } else { &mut self.messages };
        let is_recent = |at: &UnixMillis| {
            now.0.checked_sub(at.0).is_some_and(|ago| u128::from(ago) < PERIOD.as_millis())
        };
        // A clock that was set back must not keep it silent: what is yet to come is forgotten, too.
        told.retain(is_recent);
        let allowed = told.len() < MAX_NOTES;
        if allowed {
            told.push_back(now);
        }
        allowed
    }
}

/// The note that a message of another's is worth, if it `calls` this person.
pub(crate) fn of_message(state: &State, at: usize, message: &Message) -> Option<Note> {
    let conversation = state.conversations.get(at)?;
    let sender = flat(&message.sender);
    let (title, body) = if conversation.is_direct() {
        (sender, "writes to you".to_owned())
    } else {
        (format!("{sender} in {}", flat(&conversation.target.to_string())), "names you".to_owned())
    };
    let body = match state.config.notify.show {
        Show::Name => body,
        Show::Text => start(message.text()),
    };
    Some(Note { title, body, urgent: false })
}

/// The note that a notice is worth: an alarm, or something else that waits for an answer.
pub(crate) fn of_notice(target: Option<&str>, notice: &Notice) -> Note {
    let urgent = notice.tone == Tone::Alarm;
    let about =
        target.map_or("openchat".to_owned(), |target| format!("openchat: {}", flat(target)));
    Note { title: about, body: start(&notice.text), urgent }
}

/// Whether the desktop is told now; counts it if so. `at` is the conversation that it is about.
pub(crate) fn is_due(state: &mut State, at: Option<usize>, note: &Note) -> bool {
    let conversation = at.and_then(|at| state.conversations.get(at));
    let is_muted = conversation.is_some_and(|one: &Conversation| one.muted);
    let is_seen = match state.focus {
        Some(is_looked_at) => is_looked_at,
        // It may be looked at: what is in view then needs no telling.
        None => at == Some(state.current),
    };
    state.config.notify.desktop && !is_muted && !is_seen && state.pace.allows(note, state.now)
}

/// The beginning of a text, in one line.
fn start(text: &str) -> String {
    let mut characters = text.graphemes(true);
    let start: String = characters.by_ref().take(MAX_SHOWN).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    // A "character" may be made of any number of marks.
    let bound = start.char_indices().nth(4 * MAX_SHOWN).map_or(start.len(), |(at, _)| at);
    format!("{}{more}", flat(start.get(..bound).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(urgent: bool) -> Note {
        Note { title: String::new(), body: String::new(), urgent }
    }

    #[test]
    fn there_are_no_more_than_so_many_and_alarms_are_counted_apart() {
        let mut pace = Pace::default();
        let mut told = |urgent, second: u64| {
            let now = UnixMillis(1_000_000 + second * 1000);
            (0..100).filter(|_| pace.allows(&note(urgent), now)).count()
        };
        assert_eq!(told(false, 0), MAX_NOTES);
        assert_eq!(told(false, 59), 0);
        assert_eq!(told(true, 59), MAX_NOTES, "an alarm is not drowned");
        assert_eq!(told(false, 60), MAX_NOTES);
        // The clock is set back.
        assert_eq!(told(false, 10), MAX_NOTES);
    }

    #[test]
    fn the_start_of_a_text_is_one_line_and_short() {
        assert_eq!(start("a\nb\u{1b}[2J"), "a b\\u{1b}[2J");
        assert_eq!(start(&"é".repeat(MAX_SHOWN)), "é".repeat(MAX_SHOWN));
        assert_eq!(start(&"é".repeat(MAX_SHOWN + 1)), format!("{}…", "é".repeat(MAX_SHOWN)));
        let marks = format!("a{}", "\u{301}".repeat(16_000));
        assert!(start(&marks).chars().count() <= 4 * MAX_SHOWN);
    }
}
