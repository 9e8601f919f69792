//! Where everything stands, by the size of the terminal and what there is to show.

use crate::{
    conversation::Anchor,
    draft::Draft,
    state::State,
    view::sheet::Sheet,
    wrap::{characters, clean, columns, wrap},
};
use openchat_client::wire::limits::MAX_TEXT;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// Below this many columns the members are not shown.
const WITH_MEMBERS: u16 = 90;

/// Below this many columns there is one pane.
const WITH_LIST: u16 = 60;

/// From this many columns on the panes at the sides are wider.
const ROOMY: u16 = 140;

/// Lines of the draft that are shown at most.
const MAX_COMPOSER: usize = 8;

/// Lines that the last word may take.
const MAX_HINT: usize = 3;

/// Bytes of a draft from which on the counter is shown also where there is little room.
const COUNT_FROM: usize = 1_000;

/// The places of the panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    pub(crate) list: Option<Rect>,
    pub(crate) title: Rect,
    pub(crate) messages: Rect,
    /// While the view is not at the end: what came below.
    pub(crate) below: Option<Rect>,
    pub(crate) composer: Rect,
    pub(crate) members: Option<Rect>,
    pub(crate) hint: Rect,
}

impl Areas {
    pub(crate) fn of(state: &State) -> Self {
        let (width, height) = state.size;
        let hint = hint_lines(state).min(usize::from(height.saturating_sub(4)));
        let hint = short(hint).max(1).min(height);
        let body = height.saturating_sub(1 + hint);
        let side = if width >= ROOMY { 28 } else { 20 };
        let list = (width >= WITH_LIST).then(|| Rect::new(0, 1, side, body));
        let side = if width >= ROOMY { 28 } else { 18 };
        let with_members = width >= WITH_MEMBERS && state.config.members;
        let members = with_members.then(|| Rect::new(width - side, 1, side, body));
        // One column each for the rules.
        let left = list.map_or(0, |list| list.width + 1);
        let right = members.map_or(0, |members| members.width + 1);
        // What stands at the right end keeps away from the rule.
        let margin = u16::from(members.is_some());
        let pane = Rect::new(left, 1, width.saturating_sub(left + right + margin), body);
        let composer = composer_height(state, pane).min(body.saturating_sub(2)).max(1);
        let scrolled = state.open().is_some_and(|open| open.anchor != Anchor::Live);
        let below = u16::from(scrolled && body > composer + 3);
        let messages = body.saturating_sub(1 + composer + below);
        let line = |y, height| Rect { y, height, ..pane };
        Self {
            header: Rect::new(0, 0, width, 1.min(height)),
            list,
            title: line(1, 1.min(body)),
            messages: line(2, messages),
            below: (below > 0).then(|| line(2 + messages, 1)),
            composer: line(2 + messages + below, composer),
            members,
            hint: Rect::new(0, height - hint, width, hint),
        }
    }
}

/// The messages as they stand in the view.
pub(crate) fn sheet(state: &State) -> Option<Sheet<'_>> {
    let area = Areas::of(state).messages;
    Some(Sheet::new(state, state.open()?, area.width.into(), area.height.into()))
}

fn composer_height(state: &State, pane: Rect) -> u16 {
    let Some(open) = state.open() else { return 1 };
    let most = (usize::from(pane.height) / 3).clamp(1, MAX_COMPOSER);
    let width = Composer::text_width(state, usize::from(pane.width));
    // No more is counted than is shown.
    let mut lines = 0;
    for line in open.draft.lines() {
        lines += wrapped(line, width).len();
        if lines >= most {
            return short(most);
        }
    }
    short(lines)
}

fn hint_lines(state: &State) -> usize {
    let width = usize::from(state.size.0);
    let lines = state.flash.as_ref().map_or(1, |(_, text)| wrap(text, width).len());
    lines.clamp(1, MAX_HINT)
}

/// The draft as it stands on the screen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Composer {
    pub(crate) prompt: String,
    pub(crate) lines: Vec<String>,
    pub(crate) cursor: (u16, u16),
    pub(crate) counter: Option<String>,
    /// There is more above the first line.
    pub(crate) more: bool,
}

impl Composer {
    pub(crate) fn of(state: &State, draft: &Draft, area: Rect) -> Self {
        let prompt = Self::prompt(state);
        let width = Self::text_width(state, usize::from(area.width));
        let (row, byte) = draft.cursor();
        let (mut lines, mut cursor) = (Vec::new(), (0, 0));
        for (at, line) in draft.lines().iter().enumerate() {
            let pieces = wrapped(line, width);
            if at == row {
                let (piece, column) = place(&pieces, byte);
                cursor = (lines.len() + piece, column);
            }
            lines.extend(pieces.into_iter().map(|piece| piece.shown));
        }
        let height = usize::from(area.height).max(1);
        let first = (cursor.0 + 1).saturating_sub(height);
        let first = first.max(lines.len().saturating_sub(height).min(cursor.0));
        let shown = lines.into_iter().skip(first).take(height).collect();
        let column = short(columns(&prompt) + cursor.1).min(area.width.saturating_sub(1));
        Self {
            prompt,
            lines: shown,
            cursor: (column, short(cursor.0 - first)),
            counter: Self::counter(state, usize::from(area.width)),
            more: first > 0,
        }
    }

    fn prompt(state: &State) -> String {
        /// Longer names would leave no room.
        const WIDEST: usize = 16;
        if state.editing.is_some() {
            return "edit> ".to_owned();
        }
        let target = state.open().map(|open| open.target.to_string()).unwrap_or_default();
        crate::wrap::cut(&target, WIDEST) + "> "
    }

    fn counter(state: &State, width: usize) -> Option<String> {
        const ROOM: usize = 50;
        let length = state.open()?.draft.length();
        let shown = length >= COUNT_FROM || (length > 0 && width >= ROOM);
        shown.then(|| format!("{length}/{MAX_TEXT}"))
    }

    fn text_width(state: &State, width: usize) -> usize {
        let counter = Self::counter(state, width).map_or(0, |counter| columns(&counter) + 1);
        // The cursor may stand behind the last character.
        width.saturating_sub(columns(&Self::prompt(state)) + counter + 1).max(4)
    }
}

/// A piece of a line of the draft.
struct Piece {
    shown: String,
    /// The first byte of the line that is in it, and the bytes at which its characters begin with
    /// their columns.
    starts: Vec<(usize, usize)>,
    width: usize,
}

/// A line of the draft in pieces of at most so many columns. It is cut anywhere, so that the cursor
/// never jumps while one types.
fn wrapped(line: &str, width: usize) -> Vec<Piece> {
    let piece = || Piece { shown: String::new(), starts: Vec::new(), width: 0 };
    let (mut pieces, mut current) = (Vec::new(), piece());
    for (at, grapheme) in line.grapheme_indices(true) {
        let shown: String = characters(&clean(grapheme)).map(|(one, _)| one).collect();
        let wide = columns(&shown);
        if current.width + wide > width && current.width > 0 {
            pieces.push(std::mem::replace(&mut current, piece()));
        }
        current.starts.push((at, current.width));
        current.width += wide;
        current.shown.push_str(&shown);
    }
    pieces.push(current);
    pieces
}

/// The piece and the column of a byte of the line.
fn place(pieces: &[Piece], byte: usize) -> (usize, usize) {
    for (at, piece) in pieces.iter().enumerate().rev() {
        let Some((first, _)) = piece.starts.first() else { continue };
        if *first <= byte {
            let column = piece.starts.iter().find(|(start, _)| *start >= byte);
            return (at, column.map_or(piece.width, |(_, column)| *column));
        }
    }
    (0, 0)
}

/// Sizes of a screen are small.
pub(crate) fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
