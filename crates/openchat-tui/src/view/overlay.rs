//! What lies over the conversation.

use super::{help::help_lines, put};
use crate::{
    draft::Draft,
    input::Hit,
    keys::Action,
    layout::{Areas, short},
    state::{Overlay, State},
    update::{recalled, switching},
    wrap::{clean, columns, cut, wrap},
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

/// Draws it and gives the place of the cursor, if something is typed there.
pub(super) fn draw(
    state: &State,
    overlay: &Overlay,
    screen: Rect,
    buffer: &mut Buffer,
) -> Option<(u16, u16)> {
    let area = placed(state, overlay, screen);
    ratatui::widgets::Clear.render(area, buffer);
    match overlay {
        Overlay::Help { top } => help(state, *top, area, buffer),
        Overlay::Switcher { query, chosen } => {
            let fitting = switching(state, query);
            let entry = |at: &usize| switch_entry(state, *at);
            let entries = fitting.iter().map(entry).collect();
            let list = List { title: "Switch to", query: Some(query), entries, chosen: *chosen };
            return list.draw(state, area, buffer);
        }
        Overlay::Recall { query, chosen } => {
            let entry = |text: &String| (text.replace('\n', " "), state.theme.text);
            let entries: Vec<_> = recalled(state, query).into_iter().map(entry).collect();
            let title = if entries.is_empty() { "You typed nothing like it" } else { "You typed" };
            let list = List { title, query: Some(query), entries, chosen: *chosen };
            return list.draw(state, area, buffer);
        }
        Overlay::Search { query, asked, hits, chosen } => {
            let title = search_title(state, query, asked.as_deref(), hits.as_deref());
            let entry = |hit: &Hit| (hit_line(state, hit), state.theme.text);
            let entries = hits.iter().flatten().map(entry).collect();
            let list = List { title: &title, query: Some(query), entries, chosen: *chosen };
            return list.draw(state, area, buffer);
        }
        Overlay::Links { links, chosen } => {
            let entries = links.iter().map(|link| (link.clone(), state.theme.link)).collect();
            let title = "Links: Enter copies one; nothing is opened";
            let list = List { title, query: None, entries, chosen: *chosen };
            return list.draw(state, area, buffer);
        }
    }
    None
}

/// Help and search take all the room, the others that of the conversation.
fn placed(state: &State, overlay: &Overlay, screen: Rect) -> Rect {
    const HEIGHT: u16 = 20;
    let pane = Areas::of(state).title;
    match overlay {
        Overlay::Help { .. } | Overlay::Search { .. } => screen,
        _ => Rect { height: screen.height.min(HEIGHT), ..pane },
    }
}

fn help(state: &State, top: usize, area: Rect, buffer: &mut Buffer) {
    let lines = help_lines(state, area.width.into());
    let height = usize::from(area.height.saturating_sub(1));
    let escape = state.keys().first_of(Action::Escape).unwrap_or_default();
    let top = top.min(lines.len().saturating_sub(height));
    let rest = lines.len().saturating_sub(top + height);
    let more = if rest > 0 { format!("  {rest} more lines: Down, PgDn") } else { String::new() };
    let title = format!(" Help   {escape} closes{more}");
    buffer.set_style(Rect { height: 1, ..area }, state.theme.chosen);
    put(buffer, area, 0, &title, state.theme.chosen);
    for (at, line) in lines.into_iter().skip(top).take(height).enumerate() {
        line.render(Rect { y: area.y + 1 + short(at), height: 1, ..area }, buffer);
    }
}

fn switch_entry(state: &State, at: usize) -> (String, Style) {
    let Some(one) = state.conversations.get(at) else { return Default::default() };
    let badge = match (one.mentions, one.unread) {
        (0, 0) => String::new(),
        (0, unread) => format!("  {unread} unread"),
        (mentions, unread) => format!("  {unread} unread, {mentions} of them for you"),
    };
    let style = if one.unread > 0 { state.theme.unread } else { state.theme.text };
    (format!("{}{badge}", one.target), style)
}

fn search_title(state: &State, query: &Draft, asked: Option<&str>, hits: Option<&[Hit]>) -> String {
    let key = state.keys().first_of(Action::Send).unwrap_or_default();
    match (asked, hits) {
        (Some(_), None) => "Looking …".to_owned(),
        (Some(asked), Some(hits)) if asked == query.text().trim() => match hits.len() {
            0 => format!("Nothing found for \"{asked}\""),
            1 => format!("1 message; {key} goes there"),
            count => format!("{count} messages, newest first; {key} goes to one"),
        },
        _ => format!("Find messages: type words, then {key}"),
    }
}

fn hit_line(state: &State, hit: &Hit) -> String {
    let clock = &state.setup.clock;
    let (day, hour) = (clock.day(hit.time, state.now), clock.hour(hit.time));
    format!("{day} {hour} {} {}: {}", hit.target, hit.sender, hit.text.replace('\n', " "))
}

struct List<'a> {
    title: &'a str,
    query: Option<&'a Draft>,
    entries: Vec<(String, Style)>,
    chosen: usize,
}

impl List<'_> {
    fn draw(self, state: &State, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
        let title = Rect { height: 1, ..area };
        buffer.set_style(title, state.theme.chosen);
        put(buffer, title, 0, &format!(" {}", self.title), state.theme.chosen);
        let cursor = self.query.map(|query| typed(state, query, area, buffer));
        let first_line = 1 + u16::from(self.query.is_some());
        let height = usize::from(area.height.saturating_sub(first_line + 1));
        let first = (self.chosen + 1).saturating_sub(height);
        let width = usize::from(area.width).saturating_sub(3);
        for (at, (text, style)) in self.entries.iter().enumerate().skip(first).take(height) {
            let line = Rect { y: area.y + first_line + short(at - first), height: 1, ..area };
            let is_chosen = at == self.chosen;
            let (mark, style) = if is_chosen { (">", state.theme.chosen) } else { (" ", *style) };
            if is_chosen {
                buffer.set_style(line, style);
            }
            put(buffer, line, 0, &format!("{mark} {}", cut(&clean(text), width)), style);
        }
        let count = self.entries.len();
        let last = area.height.saturating_sub(1);
        let end =
            if count > height { format!(" {} of {count}", self.chosen + 1) } else { String::new() };
        super::rows::rule('-', "", area.width.into(), state.theme.rule)
            .render(Rect { y: area.y + last, height: 1, ..area }, buffer);
        if !end.is_empty() {
            put(buffer, area, last, &end, state.theme.dim);
        }
        cursor
    }
}

/// The line in which one types; its end is always seen.
fn typed(state: &State, query: &Draft, area: Rect, buffer: &mut Buffer) -> (u16, u16) {
    let room = usize::from(area.width).saturating_sub(4);
    let text = query.text();
    let shown = wrap(&text, usize::MAX / 2).concat();
    let over = columns(&shown).saturating_sub(room);
    let mut skipped = 0;
    let tail: String = crate::wrap::characters(&shown)
        .skip_while(|(_, wide)| {
            let skip = skipped < over;
            skipped += if skip { *wide } else { 0 };
            skip
        })
        .map(|(one, _)| one)
        .collect();
    put(buffer, area, 1, &format!(" > {tail}"), state.theme.heading);
    let before = text.get(..query.cursor().1).map_or(0, |before| columns(&clean(before)));
    let column = 3 + before.saturating_sub(skipped);
    (area.x + short(column).min(area.width.saturating_sub(1)), area.y + 1)
}
