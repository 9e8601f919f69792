//! The panes at the sides: conversations and members.

use super::put;
use crate::{
    conversation::Conversation,
    layout::short,
    state::State,
    wrap::{columns, cut},
};
use openchat_client::{
    engine::{MemberView, Role, Standing, Trust},
    standing, trust,
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

/// From this width on there is room for a second word beside a member.
const ROOMY: u16 = 26;

/// A line of the list.
enum Entry {
    Heading(&'static str),
    At(usize),
}

pub(super) fn conversations(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut entries = vec![Entry::Heading("GROUPS")];
    let (mut direct, mut chosen) = (false, 0);
    for (at, conversation) in state.conversations.iter().enumerate() {
        if conversation.is_direct() && !direct {
            entries.push(Entry::Heading("DIRECT"));
            direct = true;
        }
        if at == state.current {
            chosen = entries.len();
        }
        entries.push(Entry::At(at));
    }
    // The last line is for the sum.
    let height = usize::from(area.height.saturating_sub(1));
    let first = (chosen + 2).saturating_sub(height).min(entries.len().saturating_sub(height));
    for (line, entry) in entries.iter().skip(first).take(height).enumerate() {
        let line = Rect { y: area.y + short(line), height: 1, ..area };
        match entry {
            Entry::Heading(word) => {
                put(buffer, line, 0, &format!(" {word}"), state.theme.heading);
            }
            Entry::At(at) => conversation(state, *at, line, buffer),
        }
    }
    let sum = sum(state);
    put(buffer, area, area.height.saturating_sub(1), &format!(" {sum}"), state.theme.unread);
}

fn conversation(state: &State, at: usize, line: Rect, buffer: &mut Buffer) {
    let Some(one) = state.conversations.get(at) else { return };
    let is_open = at == state.current;
    // Its tag says nothing to a person.
    let name = one.former.as_ref().map(standing::former);
    let name = name.unwrap_or_else(|| one.target.to_string());
    let name = if one.is_direct() { name.trim_start_matches('@') } else { name.as_str() };
    let mark = if is_open { ">" } else { " " };
    let (badge, badge_style) = badge(state, one);
    let style = match one {
        _ if is_open => state.theme.heading,
        one if one.muted || matches!(one.standing, Standing::Out) => state.theme.dim,
        one if one.unread > 0 => state.theme.unread,
        _ => state.theme.text,
    };
    let width = usize::from(line.width);
    let room = width.saturating_sub(columns(&badge) + 3);
    put(buffer, line, 0, &format!("{mark} {}", cut(name, room)), style);
    let wide = short(columns(&badge));
    let right = Rect { x: line.right().saturating_sub(wide), width: wide, ..line };
    put(buffer, right, 0, &badge, badge_style);
}

/// What has to be known of a conversation before it is opened, in a word.
fn badge(state: &State, one: &Conversation) -> (String, Style) {
    let theme = &state.theme;
    if one.has_changed_key() {
        return ("CHANGED".to_owned(), theme.changed);
    }
    match one.standing {
        Standing::Invited => return ("invited".to_owned(), theme.mention),
        Standing::Halted => return ("HALTED".to_owned(), theme.alarm),
        Standing::Out => return ("out".to_owned(), theme.dim),
        Standing::Member | Standing::Entering => {}
    }
    match (one.muted, one.mentions, one.unread) {
        (true, _, _) => ("muted".to_owned(), theme.dim),
        (_, 0, 0) => (String::new(), theme.dim),
        (_, 0, unread) => (many(unread), theme.unread),
        (_, mentions, _) => (format!("@{}", many(mentions)), theme.mention),
    }
}

fn many(count: u64) -> String {
    const MOST: u64 = 9_999;
    if count > MOST { format!("{MOST}+") } else { count.to_string() }
}

/// What is unread, in a few words.
pub(super) fn sum(state: &State) -> String {
    let counted = || state.conversations.iter().filter(|one| !one.muted);
    let unread: u64 = counted().map(|one| one.unread).sum();
    let mentions: u64 = counted().map(|one| one.mentions).sum();
    match (unread, mentions) {
        (0, _) => String::new(),
        (unread, 0) => format!("{} unread", many(unread)),
        (unread, 1) => format!("{} unread, @1", many(unread)),
        (unread, mentions) => format!("{} unread, @{}", many(unread), many(mentions)),
    }
}

pub(super) fn members(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(open) = state.open() else { return };
    let heading = format!(" MEMBERS {}", open.members.len());
    put(buffer, area, 0, &heading, state.theme.heading);
    let height = usize::from(area.height.saturating_sub(1));
    let hidden = (open.members.len() + open.invited.len()).saturating_sub(height);
    let room = if hidden > 0 { height.saturating_sub(1) } else { height };
    let mut lines: Vec<(String, &'static str, Style)> = Vec::new();
    for member in open.members.iter().take(room) {
        let (word, style) = word(state, member);
        let mark = if member.online && !member.me { "+" } else { " " };
        let host = member.role == Role::Admin && !member.me && area.width >= ROOMY;
        let host = if host { " host" } else { "" };
        lines.push((format!("{mark}{}{host}", member.name), word, style));
    }
    for name in open.invited.iter().take(room.saturating_sub(lines.len())) {
        lines.push((format!(" {name}"), "invited", state.theme.dim));
    }
    for (at, (name, word, style)) in lines.iter().enumerate() {
        let line = Rect { y: area.y + 1 + short(at), height: 1, ..area };
        member(state, name, word, *style, line, buffer);
    }
    if hidden > 0 {
        let more = format!(" {} more: /names", hidden + 1);
        put(buffer, area, area.height.saturating_sub(1), &more, state.theme.dim);
    }
}

fn member(state: &State, name: &str, word: &str, style: Style, line: Rect, buffer: &mut Buffer) {
    let wide = short(columns(word)).min(line.width);
    let room = usize::from(line.width.saturating_sub(wide + 1));
    put(buffer, line, 0, &cut(name, room), state.theme.text);
    let right = Rect { x: line.right() - wide, width: wide, ..line };
    put(buffer, right, 0, word, style);
}

/// One word of trust, or of one's own part.
fn word(state: &State, member: &MemberView) -> (&'static str, Style) {
    let theme = &state.theme;
    match (member.me, member.role, member.trust) {
        (true, Role::Admin, _) => ("me, host", theme.mine),
        (true, Role::Member, _) => ("me", theme.mine),
        (_, _, Trust::Changed) => (trust::word(Trust::Changed), theme.changed),
        (_, _, Trust::Verified) => (trust::word(Trust::Verified), theme.verified),
        (_, _, Trust::Certified) => (trust::word(Trust::Certified), theme.certified),
    }
}
