//! What lies over the conversation: help, switcher, search, links, what was typed.

use super::{going, scrolling};
use crate::{
    draft::Draft,
    input::{Effect, Hit},
    keys::Action,
    row::{Row, Tone},
    state::{Overlay, State},
    view::help_lines,
    wrap::flat,
};

/// Rows of the conversation in which links are looked for.
const LINK_ROWS: usize = 2_000;

/// Links that are listed.
const LINKS: usize = 200;

/// Bytes of what is looked for.
const MAX_QUERY: usize = 256;

pub(super) fn open(state: &mut State, action: Action) {
    let overlay = match action {
        Action::Help => Overlay::Help { top: 0 },
        Action::Switcher => Overlay::Switcher { query: Draft::default(), chosen: 0 },
        Action::Recall => Overlay::Recall { query: Draft::default(), chosen: 0 },
        Action::Search => {
            let (query, hits) = (Draft::default(), Some(Vec::new()));
            Overlay::Search { query, asked: None, hits, chosen: 0 }
        }
        Action::Links => {
            let links = links(state);
            if links.is_empty() {
                return state.say(Tone::News, "there are no links here");
            }
            Overlay::Links { links, chosen: 0 }
        }
        _ => return,
    };
    state.overlay = Some(overlay);
}

/// The newest links of the conversation in view, each once.
fn links(state: &State) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    let Some(open) = state.open() else { return links };
    for row in (open.first()..open.end()).rev().take(LINK_ROWS).filter_map(|at| open.row(at)) {
        let Row::Message(message) = row else { continue };
        let words = message.text().split_whitespace().rev();
        for link in words.map(trimmed).filter(|word| super::is_link(word)).map(flat) {
            if !links.contains(&link) && links.len() < LINKS {
                links.push(link);
            }
        }
    }
    links
}

/// A link without the sentence around it.
fn trimmed(word: &str) -> &str {
    let word = word.trim_start_matches(['(', '<', '"', '\'', '[']);
    word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '>', '"', '\'', ']'])
}

/// Opens the search, with what is looked for if that is known.
pub(super) fn search(state: &mut State, query: Option<String>) -> Vec<Effect> {
    open(state, Action::Search);
    let Some(text) = query else { return Vec::new() };
    if let Some(Overlay::Search { query, .. }) = &mut state.overlay {
        *query = Draft::of(&text);
    }
    accept(state)
}

pub(super) fn found(state: &mut State, query: &str, found: Vec<Hit>) -> Vec<Effect> {
    if let Some(Overlay::Search { asked: Some(asked), hits, chosen, .. }) = &mut state.overlay
        && asked == query
    {
        *hits = Some(found);
        *chosen = 0;
    }
    Vec::new()
}

pub(super) fn write(state: &mut State, character: char) -> Vec<Effect> {
    edit_query(state, |query| {
        if query.length() < MAX_QUERY {
            query.insert_char(character);
        }
    });
    Vec::new()
}

pub(super) fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    let line: String = text.lines().next().unwrap_or_default().chars().take(MAX_QUERY).collect();
    edit_query(state, |query| {
        if query.length() + line.len() <= MAX_QUERY {
            query.insert(&line);
        }
    });
    Vec::new()
}

/// What is typed changes what fits, so the first one is chosen again.
fn edit_query(state: &mut State, edit: impl FnOnce(&mut Draft)) {
    match &mut state.overlay {
        Some(
            Overlay::Switcher { query, chosen }
            | Overlay::Recall { query, chosen }
            | Overlay::Search { query, chosen, .. },
        ) => {
            edit(query);
            *chosen = 0;
        }
        Some(Overlay::Help { .. } | Overlay::Links { .. }) | None => {}
    }
}

pub(super) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Escape | Action::Clear => state.overlay = None,
        Action::Send => return accept(state),
        Action::Up | Action::Previous => step(state, -1),
        Action::Down | Action::Next | Action::Complete => step(state, 1),
        Action::PageUp => step(state, -page(state)),
        Action::PageDown => step(state, page(state)),
        // The key that opened it takes the next one, or closes it.
        Action::Recall if matches!(state.overlay, Some(Overlay::Recall { .. })) => step(state, 1),
        Action::Help if matches!(state.overlay, Some(Overlay::Help { .. })) => state.overlay = None,
        Action::Switcher | Action::Search | Action::Help | Action::Links | Action::Recall => {
            state.overlay = None;
            open(state, action);
        }
        Action::Redraw => return vec![Effect::Redraw],
        Action::Newline => {}
        _ => edit_query(state, |query| query.edit(action)),
    }
    Vec::new()
}

fn page(state: &State) -> isize {
    isize::try_from(state.size.1.saturating_sub(6).max(1)).unwrap_or(1)
}

fn step(state: &mut State, by: isize) {
    let count = match &state.overlay {
        Some(Overlay::Switcher { query, .. }) => switching(state, query).len(),
        Some(Overlay::Recall { query, .. }) => recalled(state, query).len(),
        Some(Overlay::Search { hits, .. }) => hits.as_ref().map_or(0, Vec::len),
        Some(Overlay::Links { links, .. }) => links.len(),
        Some(Overlay::Help { .. }) => help_lines(state, state.size.0.into()).len(),
        None => 0,
    };
    if let Some(
        Overlay::Switcher { chosen, .. }
        | Overlay::Recall { chosen, .. }
        | Overlay::Search { chosen, .. }
        | Overlay::Links { chosen, .. }
        | Overlay::Help { top: chosen },
    ) = &mut state.overlay
    {
        *chosen = chosen.saturating_add_signed(by).min(count.saturating_sub(1));
    }
}

/// The conversations that fit what is typed: first those that begin so, then those that have it
/// anywhere. The ones with something new come first.
pub(crate) fn switching(state: &State, query: &Draft) -> Vec<usize> {
    let query = query.text().to_lowercase();
    let bare = query.trim_start_matches(['#', '@']);
    let mut fitting: Vec<(bool, bool, usize)> = Vec::new();
    for (at, conversation) in state.conversations.iter().enumerate() {
        let name = conversation.target.to_string();
        if name.starts_with(&query) || name.get(1..).is_some_and(|name| name.contains(bare)) {
            let begins = name.starts_with(&query) || name[1..].starts_with(bare);
            fitting.push((!begins, conversation.unread == 0, at));
        }
    }
    fitting.sort_unstable();
    fitting.into_iter().map(|(_, _, at)| at).collect()
}

/// What was typed and has this in it, the newest first.
pub(crate) fn recalled<'a>(state: &'a State, query: &Draft) -> Vec<&'a String> {
    let query = query.text().to_lowercase();
    let fits = |typed: &&String| typed.to_lowercase().contains(&query);
    state.typed.iter().rev().filter(fits).collect()
}

/// Takes what is chosen.
fn accept(state: &mut State) -> Vec<Effect> {
    match state.overlay.take() {
        Some(Overlay::Switcher { query, chosen }) => {
            if let Some(at) = switching(state, &query).get(chosen).copied() {
                return going::go(state, at);
            }
            let said = "no conversation of this name; /join #NAME or /msg NAME TEXT begins one";
            state.say(Tone::News, said);
            Vec::new()
        }
        Some(Overlay::Recall { query, chosen }) => {
            let text = recalled(state, &query).get(chosen).map(|text| (*text).clone());
            if let (Some(text), Some(open)) = (text, state.open_mut()) {
                open.draft = Draft::of(&text);
            }
            Vec::new()
        }
        Some(Overlay::Search { query, asked, hits, chosen }) => {
            take_hit(state, query, asked, hits, chosen)
        }
        Some(Overlay::Links { links, chosen }) => {
            state.say(Tone::News, "copied, if the terminal allows it");
            links.into_iter().nth(chosen).map(Effect::Copy).into_iter().collect()
        }
        Some(Overlay::Help { .. }) | None => Vec::new(),
    }
}

/// Enter looks for what is typed; once that is found, it goes to the chosen one.
fn take_hit(
    state: &mut State,
    query: Draft,
    asked: Option<String>,
    hits: Option<Vec<Hit>>,
    chosen: usize,
) -> Vec<Effect> {
    let text = query.text().trim().to_owned();
    let is_answered = asked.as_ref() == Some(&text);
    let hit = hits.as_ref().and_then(|hits| hits.get(chosen)).filter(|_| is_answered);
    if let Some(hit) = hit {
        return scrolling::jump(state, hit.clone());
    }
    let ask = !text.is_empty() && !is_answered;
    let (asked, hits) = if ask { (Some(text.clone()), None) } else { (asked, hits) };
    state.overlay = Some(Overlay::Search { query, asked, hits, chosen: 0 });
    if ask { vec![Effect::Search(text)] } else { Vec::new() }
}
