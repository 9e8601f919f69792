//! The help: the keys as they are bound, and the commands, from the tables that are obeyed.

use crate::{
    keys::{Action, KEYS, Section},
    state::State,
    wrap::{columns, wrap},
};
use openchat_client::wish::COMMANDS;
use ratatui::text::{Line, Span};

/// Columns of what is pressed or typed.
const LEFT: usize = 26;

/// Below this width what it does stands on a line of its own.
const NARROW: usize = 64;

/// What words on the screen mean.
const WORDS: [(&str, &str); 8] = [
    ("certified", "the CA says that this key belongs to the name"),
    ("verified", "you have compared the numbers: /verify WHO"),
    ("CHANGED", "the name had another key before; /verify WHO compares, /trust WHO accepts it"),
    ("queued", "stored here; sent when the server can be reached"),
    ("sent", "on the server's disk"),
    ("delivered", "on the device of others, as it has signed"),
    ("+ beside a name", "connected now, as the server says"),
    ("host", "an admin of the group"),
];

/// The help in lines of this width.
pub(crate) fn help_lines(state: &State, width: usize) -> Vec<Line<'static>> {
    let mut page = Page { state, width, lines: Vec::new() };
    for section in Section::ALL {
        page.heading(section.title());
        page.keys(section);
    }
    page.heading("Commands: one that is not known is never sent");
    for command in COMMANDS {
        page.entry(command.usage, command.help);
    }
    page.entry("//text", "send /text");
    page.heading("Words");
    for (word, means) in WORDS {
        page.entry(word, means);
    }
    page.lines
}

struct Page<'a> {
    state: &'a State,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Page<'_> {
    fn heading(&mut self, word: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        for line in wrap(word, self.width.saturating_sub(2)) {
            self.lines.push(Line::styled(format!(" {line}"), self.state.theme.heading));
        }
    }

    fn keys(&mut self, section: Section) {
        for row in KEYS.iter().filter(|row| row.section == section) {
            let keys = self.state.keys().of(row.action);
            match row.action {
                Action::Nth(1) if self.is_usual() => {
                    self.entry("Alt+1 … Alt+9", "the conversation of that number in the list");
                }
                Action::Nth(_) if self.is_usual() => {}
                _ if keys.is_empty() => {}
                _ => self.entry(&keys, row.help),
            }
        }
    }

    /// Whether the nine keys have their usual places, so that one line says it.
    fn is_usual(&self) -> bool {
        (1..=9).all(|number| self.state.keys().of(Action::Nth(number)) == format!("Alt+{number}"))
    }

    /// What is pressed or typed, and what it does.
    fn entry(&mut self, typed: &str, means: &str) {
        let theme = &self.state.theme;
        let beside = self.width >= NARROW && columns(typed) < LEFT;
        let indent = if self.width >= NARROW { LEFT + 2 } else { 6 };
        let mut means = wrap(means, self.width.saturating_sub(indent + 1)).into_iter();
        if beside {
            self.lines.push(Line::from(vec![
                Span::styled(format!("  {typed:<LEFT$}"), theme.text),
                Span::styled(means.next().unwrap_or_default(), theme.dim),
            ]));
        } else {
            for line in wrap(typed, self.width.saturating_sub(3)) {
                self.lines.push(Line::styled(format!("  {line}"), theme.text));
            }
        }
        let line = |line| Line::styled(format!("{:indent$}{line}", ""), theme.dim);
        self.lines.extend(means.map(line));
    }
}
