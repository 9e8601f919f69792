//! From what happened to the next state, and to what is to be done outside.

mod command;
mod editing;
mod going;
mod news;
mod overlays;
mod scrolling;

pub(crate) use overlays::{recalled, switching};

use crate::{
    adapter,
    draft::Draft,
    input::{Change, Content, Effect, Input},
    keys::{Action, Chord},
    layout,
    row::{Body, Tone},
    state::{State, Unnamed},
    waiting::Waiting,
};
use openchat_client::{
    engine::{self, MessageRef, Target},
    spoken::spoken,
    wire::{MessageId, UnixMillis, limits::MAX_TEXT},
};

/// Bytes of a draft at most. What is longer than a message may still be cut down here; what is far
/// longer would only make the screen slow.
pub(crate) const MAX_DRAFT: usize = 4 * MAX_TEXT;

/// Takes an input at a time and says what is to be done.
#[must_use]
pub fn update(state: &mut State, input: Input, now: UnixMillis) -> Vec<Effect> {
    state.now = now;
    let mut effects = match input {
        Input::Key(chord) => key(state, chord),
        Input::Paste(text) => paste(state, &text),
        Input::Resize { width, height } => {
            state.size = (width, height);
            Vec::new()
        }
        Input::Wheel(lines) => scrolling::wheel(state, lines),
        Input::Focus(is_looked_at) => {
            state.focus = Some(is_looked_at);
            Vec::new()
        }
        Input::News(news) => news::take(state, news),
        Input::Sending { ticket, id } => named(state, ticket, id),
        Input::Refused { ticket, why } => refused(state, ticket, why),
        Input::Past { target, messages, complete } => {
            scrolling::past(state, &target, messages, complete)
        }
        Input::Gone { target, gone } => {
            let at = state.find(&target);
            if let Some(conversation) = at.and_then(|at| state.conversations.get_mut(at)) {
                conversation.forget(&gone);
            }
            Vec::new()
        }
        Input::Found { query, hits } => overlays::found(state, &query, hits),
    };
    effects.extend(scrolling::wanted(state));
    effects
}

/// What is to be done when the screen opens.
pub(crate) fn begin(state: &mut State) -> Vec<Effect> {
    let mouse = state.config.mouse.then_some(Effect::Mouse(true));
    let mut effects: Vec<Effect> = mouse.into_iter().collect();
    effects.extend(going::go(state, state.current));
    effects
}

fn key(state: &mut State, chord: Chord) -> Vec<Effect> {
    let action = state.config.keys.action(chord);
    if action != Some(Action::Clear) {
        state.quitting = false;
    }
    if action != Some(Action::Complete) {
        state.completing = None;
    }
    state.flash = None;
    match (action, chord.writes()) {
        (Some(action), _) if state.is_covered() => overlays::act(state, action),
        (Some(action), _) => act(state, action),
        (None, Some(character)) => write(state, character),
        (None, None) => {
            let help = state.keys().first_of(Action::Help);
            let where_to = help.map(|key| format!("; {key} lists the keys")).unwrap_or_default();
            state.say(Tone::News, format!("{chord} has no meaning here{where_to}"));
            Vec::new()
        }
    }
}

fn write(state: &mut State, character: char) -> Vec<Effect> {
    if state.is_covered() {
        return overlays::write(state, character);
    }
    if let Some(open) = state.open_mut()
        && open.draft.length() < MAX_DRAFT
    {
        open.draft.insert_char(character);
    }
    Vec::new()
}

/// A paste is one draft, whatever lines it has.
fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    state.flash = None;
    state.quitting = false;
    if state.is_covered() {
        return overlays::paste(state, &text);
    }
    let Some(open) = state.open_mut() else { return Vec::new() };
    if open.draft.length() + text.len() > MAX_DRAFT {
        let length = text.len();
        let target = openchat_client::target::quoted(&open.target.to_string());
        let said = format!(
            "{length} bytes are too much for a message (at most {MAX_TEXT}); nothing was pasted. \
             Send it in parts: split -C 15k FILE, then openchat send {target} - < PART"
        );
        state.say(Tone::Warning, said);
        return Vec::new();
    }
    open.draft.insert(&text);
    let lines = open.draft.lines().len();
    if lines > 1 {
        state.say(Tone::News, format!("{lines} lines, one message; nothing is sent before Enter"));
    }
    Vec::new()
}

fn act(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Send => return send(state),
        Action::Clear => return clear(state),
        Action::Complete => editing::complete_word(state),
        Action::Escape => return escape(state),
        Action::PageUp | Action::PageDown => return scrolling::page(state, action),
        Action::ChooseUp | Action::ChooseDown => scrolling::choose(state, action),
        Action::Copy => return scrolling::copy(state),
        Action::Switcher | Action::Search | Action::Help | Action::Recall | Action::Links => {
            overlays::open(state, action);
        }
        Action::NextUnread => return going::next_unread(state),
        Action::Previous => return going::by(state, -1),
        Action::Next => return going::by(state, 1),
        Action::Nth(number) => return going::nth(state, number),
        Action::Redraw => return vec![Effect::Redraw],
        Action::Up => editing::up(state),
        _ => editing::edit(state, action),
    }
    Vec::new()
}

fn escape(state: &mut State) -> Vec<Effect> {
    if state.editing.take().is_some() {
        let draft = state.set_aside.take().unwrap_or_default();
        if let Some(open) = state.open_mut() {
            open.draft = draft;
        }
        return Vec::new();
    }
    scrolling::live(state);
    Vec::new()
}

fn clear(state: &mut State) -> Vec<Effect> {
    if state.quitting {
        return vec![Effect::Quit];
    }
    state.quitting = true;
    state.editing = None;
    let draft = state.open_mut().map(|open| std::mem::take(&mut open.draft)).unwrap_or_default();
    let cleared = !draft.is_empty();
    remember(state, draft.text());
    if let Some(aside) = state.set_aside.take()
        && let Some(open) = state.open_mut()
    {
        open.draft = aside;
    }
    let again = state.keys().first_of(Action::Clear).unwrap_or_default();
    let said = match state.keys().first_of(Action::Recall).filter(|_| cleared) {
        Some(recall) => format!("cleared ({recall} brings it back); {again} again quits"),
        None => format!("{again} again quits"),
    };
    state.say(Tone::News, said);
    Vec::new()
}

/// Keeps a line for Ctrl+R.
fn remember(state: &mut State, text: String) {
    if text.trim().is_empty() || state.typed.last() == Some(&text) {
        return;
    }
    if state.typed.len() >= crate::state::HISTORY {
        state.typed.remove(0);
    }
    state.typed.push(text);
}

fn send(state: &mut State) -> Vec<Effect> {
    let Some(open) = state.open() else { return Vec::new() };
    let (text, target) = (open.draft.text(), open.target.clone());
    if text.trim().is_empty() {
        return Vec::new();
    }
    if let Some(rest) = text.strip_prefix('/').filter(|_| state.editing.is_none()) {
        if let Some(said) = rest.strip_prefix('/') {
            let said = format!("/{said}");
            return say(state, target, said, text);
        }
        return command::obey(state, rest, &text);
    }
    say(state, target, text.clone(), text)
}

fn say(state: &mut State, target: Target, text: String, typed: String) -> Vec<Effect> {
    if is_too_long(state, &text) {
        return Vec::new();
    }
    take_draft(state, typed.clone());
    if let Some(of) = state.editing.take() {
        if let (Some(aside), Some(open)) = (state.set_aside.take(), state.open_mut()) {
            open.draft = aside;
        }
        return vec![change(state, target, of, Change::Edit(text))];
    }
    scrolling::live(state);
    vec![begin_sending(state, target, Content::Text(text), typed)]
}

/// Says so, and leaves the draft as it is.
fn is_too_long(state: &mut State, text: &str) -> bool {
    let over = text.len().saturating_sub(MAX_TEXT);
    if over > 0 {
        state.say(
            Tone::Warning,
            format!("{over} bytes too long (at most {MAX_TEXT}); nothing was sent. Cut it or send it in parts"),
        );
    }
    over > 0
}

/// The draft is done with; what was typed can be recalled.
fn take_draft(state: &mut State, typed: String) {
    remember(state, typed);
    if let Some(open) = state.open_mut() {
        open.draft = Draft::default();
    }
}

fn begin_sending(state: &mut State, target: Target, content: Content, typed: String) -> Effect {
    state.last_order += 1;
    let ticket = state.last_order;
    let (to, said) = (target.clone(), content.clone());
    state.unnamed.insert(ticket, Unnamed { target: to, content: said, typed, time: state.now });
    Effect::Send { ticket, target, content }
}

/// Something about a message. What was typed is a new text, if anything.
fn change(state: &mut State, target: Target, message: MessageRef, change: Change) -> Effect {
    let typed = match &change {
        Change::Edit(text) => text.clone(),
        Change::Delete | Change::React { .. } => String::new(),
    };
    begin_sending(state, target, Content::About { message, change }, typed)
}

/// It has a name: it stands there as queued.
fn named(state: &mut State, ticket: u64, id: MessageId) -> Vec<Effect> {
    let Some(Unnamed { target, content, time, .. }) = state.unnamed.remove(&ticket) else {
        return Vec::new();
    };
    let (said, me) = (state.own(id), state.setup.me.clone());
    let (body, reply) = match content {
        Content::Text(text) => (Body::Text(text), None),
        Content::Reply { text, quote, .. } => (Body::Text(text), Some(Box::new(quote))),
        Content::Action(text) => (Body::Action(text), None),
        Content::Topic(topic) => (Body::Changed(spoken(&engine::Body::Topic(topic)).into()), None),
        Content::About { message, change } => {
            let about = message;
            let waiting = Waiting { said, about, change, by: me, acknowledged: false };
            let at = state.place(&target);
            state.conversations[at].wait(waiting);
            return Vec::new();
        }
    };
    let message = adapter::queued(said, &me, time, body, reply);
    let at = state.place(&target);
    if let Some(conversation) = state.conversations.get_mut(at) {
        conversation.push_pending(message);
    }
    Vec::new()
}

fn refused(state: &mut State, ticket: Option<u64>, why: String) -> Vec<Effect> {
    let lost = ticket.and_then(|ticket| state.unnamed.remove(&ticket));
    if let Some(lost) = lost {
        let at = state.place(&lost.target);
        give_back(state, at, &lost.typed);
    }
    state.say(Tone::Warning, why);
    Vec::new()
}

/// A text that was not sent is put where it can be sent again, unless something else is there.
fn give_back(state: &mut State, at: usize, text: &str) {
    match state.conversations.get_mut(at) {
        Some(conversation) if conversation.draft.is_empty() => {
            conversation.draft = Draft::of(text);
        }
        _ => remember(state, text.to_owned()),
    }
}

/// Whether a text names this person.
pub(crate) fn mentions(text: &str, me: &str) -> bool {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
    text.match_indices(me).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + me.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// Whether a word is a link that people open.
pub(crate) fn is_link(word: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| word.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// The sheet of the messages in view.
fn sheet(state: &State) -> Option<crate::view::sheet::Sheet<'_>> {
    layout::sheet(state)
}
