//! The panes from top to bottom, lists aside.

use super::put;
use crate::{
    keys::Action,
    layout::{Areas, Composer, sheet, short},
    row::Tone,
    state::{Connection, State},
    wrap::{columns, cut, flat, wrap},
};
use openchat_client::{
    engine::{ConversationKind, Standing},
    spoken::span,
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

/// How the transparency log stands.
fn log(state: &State) -> Option<(String, Style)> {
    let bar = state.theme.bar;
    match (state.setup.log, state.log_alarm) {
        (Some(size), None) => Some((format!("log #{size} ok"), bar)),
        (Some(size), Some(alarm)) => {
            Some((format!("log #{size} {}", alarm.word()), bar.patch(state.theme.alarm)))
        }
        (None, Some(alarm)) => {
            Some((format!("log {}", alarm.word()), bar.patch(state.theme.alarm)))
        }
        (None, None) => None,
    }
}

/// Days before its end from which on the certificate is warned of.
const SOON: u64 = 14;

/// Who and where, and how things stand.
pub(super) fn header(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.theme;
    buffer.set_style(area, theme.bar);
    let setup = &state.setup;
    let (connection, style) = match &state.connection {
        Connection::Connecting => ("connecting", theme.bar),
        Connection::Online => ("online", theme.bar),
        Connection::Offline(_) => ("offline, retrying", theme.bar.patch(theme.warning)),
    };
    let days = state.days_left();
    let certificate = format!("cert {days}d");
    let soon = if days < SOON { theme.bar.patch(theme.warning) } else { theme.bar };
    let log = log(state);
    // From the right, as long as there is room; the connection always has some.
    let mut words = [Some((connection.to_owned(), style)), Some((certificate, soon)), log];
    if state.log_alarm.is_some() {
        // It must not be the first to go.
        words.swap(1, 2);
    }
    let mut right = area.width.saturating_sub(1);
    let least = short(columns(&setup.me)) + 2;
    for (word, style) in words.into_iter().flatten() {
        let wide = short(columns(&word));
        if right < wide + 2 + least {
            break;
        }
        right -= wide;
        put(buffer, Rect { x: right, width: wide, ..area }, 0, &word, style);
        right = right.saturating_sub(2);
    }
    let left = Rect { width: right, ..area };
    let both = format!(" openchat  {}  {}", flat(&setup.org), setup.me);
    let name = format!(" {}", setup.me);
    let text = if columns(&both) < usize::from(right) { both } else { name };
    put(buffer, left, 0, &text, theme.bar);
}

/// A rule beside a pane.
pub(super) fn upright(state: &State, x: u16, beside: Rect, buffer: &mut Buffer) {
    for y in beside.top()..beside.bottom() {
        buffer.set_string(x, y, "|", state.theme.rule);
    }
}

/// What the conversation is, and what it is about.
pub(super) fn title(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(open) = state.open() else { return };
    let count = open.members.len();
    let who = match open.partner() {
        Some(partner) => openchat_client::trust::word(partner.trust).to_owned(),
        None if count == 0 => String::new(),
        None if count == 1 => "only you".to_owned(),
        None => format!("{count} members"),
    };
    let kind = match open.kind {
        ConversationKind::Open => "open",
        ConversationKind::Closed => "closed",
        ConversationKind::Direct | ConversationKind::Unknown => "",
    };
    let stands = match open.standing {
        Standing::Invited => "you are invited",
        Standing::Entering if open.is_empty() => "joining",
        Standing::Out => "you are out",
        Standing::Halted => "HALTED",
        Standing::Member | Standing::Entering => "",
    };
    let topic = open.topic.as_deref().map(flat).unwrap_or_default();
    let timer = open.timer.map(|time| format!("kept {}", span(time))).unwrap_or_default();
    let former = open.former.as_ref().map(openchat_client::standing::former).unwrap_or_default();
    let words = [former.as_str(), who.as_str(), kind, stands, timer.as_str(), topic.as_str()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let target = format!(" {}", open.target);
    put(buffer, area, 0, &target, state.theme.heading);
    let used = short(columns(&target)) + 2;
    // Without the list, what is unread elsewhere is told here.
    let sum =
        if Areas::of(state).list.is_none() { super::lists::sum(state) } else { String::new() };
    let wide = short(columns(&sum));
    let sum_at = Rect { x: area.right().saturating_sub(wide), width: wide, ..area };
    put(buffer, sum_at, 0, &sum, state.theme.unread);
    let rest = Rect { x: area.x + used, width: area.width.saturating_sub(used + wide + 1), ..area };
    if rest.width > 0 {
        put(buffer, rest, 0, &words.join("  "), state.theme.dim);
    }
}

pub(super) fn messages(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(lines) = sheet(state).map(|sheet| sheet.visible()) else { return };
    // The newest stands lowest.
    let top = area.height.saturating_sub(short(lines.len()));
    for (at, line) in lines.into_iter().enumerate() {
        let y = area.y + top + short(at);
        if y < area.bottom() {
            line.render(Rect { y, height: 1, ..area }, buffer);
        }
    }
}

/// What came while the view was elsewhere.
pub(super) fn below(state: &State, area: Rect, buffer: &mut Buffer) {
    let count = state.open().map_or(0, |open| open.below);
    let key = state.keys().first_of(Action::Escape).unwrap_or_default();
    let (text, style) = match count {
        0 => (format!("{key} to the newest"), state.theme.rule),
        count => (format!("{count} new below, {key} goes there"), state.theme.unread),
    };
    super::rows::rule('-', &text, area.width.into(), style).render(area, buffer);
}

/// The draft. Gives the place of the cursor.
pub(super) fn composer(state: &State, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let open = state.open()?;
    let composer = Composer::of(state, &open.draft, area);
    let indent = short(columns(&composer.prompt));
    let prompt = if composer.more { "^" } else { composer.prompt.as_str() };
    put(buffer, area, 0, prompt, state.theme.heading);
    let text = Rect { x: area.x + indent, width: area.width.saturating_sub(indent), ..area };
    for (at, line) in composer.lines.iter().enumerate() {
        put(buffer, text, short(at), line, state.theme.text);
    }
    if let Some(counter) = composer.counter {
        let wide = short(columns(&counter)).min(area.width);
        let line = area.height.saturating_sub(1);
        let over = open.draft.length() > openchat_client::wire::limits::MAX_TEXT;
        let style = if over { state.theme.alarm } else { state.theme.dim };
        let at = Rect { x: area.right() - wide, width: wide, ..area };
        put(buffer, at, line, &counter, style);
    }
    let (x, y) = composer.cursor;
    Some((area.x + x, area.y + y))
}

/// The last word about what was typed, or the keys that are needed most.
pub(super) fn hint(state: &State, area: Rect, buffer: &mut Buffer) {
    let (lines, style) = match &state.flash {
        Some((tone, text)) => (wrap(text, area.width.into()), tone_style(state, *tone)),
        None => (vec![keys(state, area.width.into())], state.theme.dim),
    };
    let count = lines.len();
    for (at, line) in lines.into_iter().take(area.height.into()).enumerate() {
        let is_cut = count > usize::from(area.height) && at + 1 == usize::from(area.height);
        let line = if is_cut { cut(&(line + " …"), area.width.into()) } else { line };
        put(buffer, area, short(at), &line, style);
    }
}

fn tone_style(state: &State, tone: Tone) -> Style {
    match tone {
        Tone::News => state.theme.notice,
        Tone::Warning => state.theme.warning,
        Tone::Alarm => state.theme.alarm,
    }
}

/// As many as fit, the most needed first.
fn keys(state: &State, width: usize) -> String {
    const NEEDED: [(Action, &str); 7] = [
        (Action::Send, "send"),
        (Action::Help, "help"),
        (Action::Switcher, "switch"),
        (Action::NextUnread, "next unread"),
        (Action::Newline, "newline"),
        (Action::Search, "find"),
        (Action::Complete, "complete"),
    ];
    const CLOSE: [(Action, &str); 3] =
        [(Action::Escape, "close"), (Action::Send, "take"), (Action::Down, "next")];
    let needed = if state.is_covered() { CLOSE.as_slice() } else { NEEDED.as_slice() };
    let mut line = String::new();
    for (action, word) in needed {
        let Some(key) = state.keys().first_of(*action) else { continue };
        let more = format!(" {key} {word} ");
        if columns(&line) + columns(&more) <= width {
            line += &more;
        }
    }
    line
}
