//! The messages in view. Only they are laid out, from the lowest line upwards, so that the length of
//! a conversation costs nothing.

use super::rows;
use crate::{
    conversation::{Anchor, Conversation, Past},
    state::{Connection, State},
    wrap::wrap,
};
use openchat_client::engine::Standing;
use ratatui::text::Line;

/// A conversation at a width and a height.
pub(crate) struct Sheet<'a> {
    state: &'a State,
    conversation: &'a Conversation,
    width: usize,
    height: usize,
}

impl<'a> Sheet<'a> {
    pub(crate) const fn new(
        state: &'a State,
        conversation: &'a Conversation,
        width: usize,
        height: usize,
    ) -> Self {
        Self { state, conversation, width, height }
    }

    /// The lines in view, from top to bottom, at most as many as there is room for.
    pub(crate) fn visible(&self) -> Vec<Line<'static>> {
        let mut lines = Vec::with_capacity(self.height);
        let Some((mut row, mut line)) = self.bottom() else { return self.nothing() };
        loop {
            let of_row = self.lines(row);
            let upto = line.saturating_add(1).min(of_row.len());
            lines.extend(of_row.into_iter().take(upto).rev().take(self.height - lines.len()));
            if lines.len() >= self.height || row <= self.conversation.first() {
                break;
            }
            (row, line) = (row - 1, usize::MAX);
        }
        let room = self.height - lines.len();
        lines.extend(self.above().into_iter().rev().take(room));
        lines.reverse();
        lines
    }

    /// Whether the first row is in view, or nearly.
    pub(crate) fn shows_the_first(&self) -> bool {
        let Some((mut row, line)) = self.bottom() else { return true };
        let mut seen = line + 1;
        while seen <= 2 * self.height {
            if row <= self.conversation.first() {
                return true;
            }
            row -= 1;
            seen += self.lines(row).len();
        }
        false
    }

    /// The view so many lines further up.
    pub(crate) fn up(&self, by: usize) -> Anchor {
        let Some((row, line)) = self.bottom() else { return Anchor::Live };
        let (row, line) = self.higher((row, line), by);
        // At the top the view stays full.
        let (top, rest) = self.reach((row, line), self.height);
        let (row, line) =
            if top { self.lower((row, line), rest).unwrap_or((row, line)) } else { (row, line) };
        match self.lower((row, line), 1) {
            Some(_) => Anchor::At { row, line },
            None => Anchor::Live,
        }
    }

    /// The view so many lines further down.
    pub(crate) fn down(&self, by: usize) -> Anchor {
        let Some(from) = self.bottom() else { return Anchor::Live };
        let at = self.lower(from, by);
        match at.and_then(|at| self.lower(at, 1).map(|_| at)) {
            Some((row, line)) => Anchor::At { row, line },
            None => Anchor::Live,
        }
    }

    /// The view in which this row stands in the middle.
    pub(crate) fn around(&self, row: i64) -> Anchor {
        let line = self.lines(row).len().saturating_sub(1);
        match self.lower((row, line), self.height / 2) {
            Some((row, line)) => Anchor::At { row, line },
            None => Anchor::Live,
        }
    }

    /// Whether a row is in view.
    pub(crate) fn shows(&self, wanted: i64) -> bool {
        let Some((mut row, line)) = self.bottom() else { return false };
        let mut seen = line + 1;
        while row > wanted && seen < self.height {
            row -= 1;
            seen += self.lines(row).len();
        }
        row == wanted
    }

    /// Row and line of the lowest line in view.
    fn bottom(&self) -> Option<(i64, usize)> {
        let last = self.conversation.end() - 1;
        if last < self.conversation.first() {
            return None;
        }
        Some(match self.conversation.anchor {
            Anchor::At { row, line } if row <= last => {
                let row = row.max(self.conversation.first());
                (row, line.min(self.lines(row).len().saturating_sub(1)))
            }
            Anchor::Live | Anchor::At { .. } => (last, self.lines(last).len().saturating_sub(1)),
        })
    }

    fn higher(&self, (mut row, mut line): (i64, usize), by: usize) -> (i64, usize) {
        let mut left = by;
        while left > line {
            if row <= self.conversation.first() {
                return (row, 0);
            }
            left -= line + 1;
            row -= 1;
            line = self.lines(row).len().saturating_sub(1);
        }
        (row, line - left)
    }

    /// Nothing if there are not so many lines.
    fn lower(&self, (mut row, mut line): (i64, usize), by: usize) -> Option<(i64, usize)> {
        let mut left = by;
        loop {
            let rest = self.lines(row).len().saturating_sub(line + 1);
            if left <= rest {
                return Some((row, line + left));
            }
            left -= rest + 1;
            (row, line) = (row + 1, 0);
            if row >= self.conversation.end() {
                return None;
            }
        }
    }

    /// Whether the top is less than `lines` above this line, and how many are missing.
    fn reach(&self, (mut row, line): (i64, usize), lines: usize) -> (bool, usize) {
        let mut seen = line + 1 + self.above().len();
        while seen < lines {
            if row <= self.conversation.first() {
                return (true, lines - seen);
            }
            row -= 1;
            seen += self.lines(row).len();
        }
        (false, 0)
    }

    fn lines(&self, row: i64) -> Vec<Line<'static>> {
        rows::lines(self.state, self.conversation, row, self.width)
    }

    /// What stands above the first row.
    fn above(&self) -> Vec<Line<'static>> {
        let said = match self.conversation.past {
            Past::Complete => "this is where it begins on this device",
            Past::Unasked | Past::Loading | Past::More => "loading what was before …",
        };
        vec![Line::styled(crate::wrap::cut(said, self.width), self.state.theme.dim)]
    }

    /// There is no row: why. What is still loading is not empty.
    fn nothing(&self) -> Vec<Line<'static>> {
        let conversation = self.conversation;
        let target = &conversation.target;
        let said = match (conversation.standing, conversation.past, &self.state.connection) {
            (Standing::Invited, ..) => {
                let by =
                    conversation.inviter.as_ref().map_or("Somebody".into(), ToString::to_string);
                format!("{by} invites you. Accept: /join {target}   Refuse: /decline {target}")
            }
            (Standing::Out, ..) => "You are not in this conversation any more.".to_owned(),
            (Standing::Halted, ..) => {
                "An alarm has stopped this conversation. Why, and what to do: openchat status"
                    .to_owned()
            }
            (_, Past::Unasked | Past::Loading, _) => "Loading …".to_owned(),
            (_, _, Connection::Offline(_)) => {
                "Nothing is here yet, and the server can't be reached. What you write is kept and \
                 sent later."
                    .to_owned()
            }
            _ if !conversation.ready => "Reading the conversation …".to_owned(),
            _ => "No messages yet. Type one and press Enter.".to_owned(),
        };
        let style = self.state.theme.dim;
        let lines = wrap(&said, self.width);
        lines.into_iter().take(self.height).map(|line| Line::styled(line, style)).collect()
    }
}
