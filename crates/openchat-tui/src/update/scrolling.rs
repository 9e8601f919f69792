//! Which part of a conversation is in view.

use super::{going, sheet};
use crate::{
    conversation::{Anchor, Past},
    input::{Effect, Hit},
    keys::Action,
    layout::Areas,
    row::{Message, Tone},
    state::State,
};
use openchat_client::engine::Target;

pub(super) fn page(state: &mut State, action: Action) -> Vec<Effect> {
    // Two lines stay, so that the eye finds its place; a page down undoes a page up.
    let Areas { messages, below, .. } = Areas::of(state);
    let height = messages.height + below.map_or(0, |below| below.height);
    let by = usize::from(height).saturating_sub(3).max(1);
    scroll(state, action == Action::PageUp, by);
    Vec::new()
}

pub(super) fn wheel(state: &mut State, lines: i32) -> Vec<Effect> {
    scroll(state, lines < 0, lines.unsigned_abs().try_into().unwrap_or(usize::MAX));
    Vec::new()
}

fn scroll(state: &mut State, up: bool, by: usize) {
    let Some(sheet) = sheet(state) else { return };
    let anchor = if up { sheet.up(by) } else { sheet.down(by) };
    set(state, anchor);
}

fn set(state: &mut State, anchor: Anchor) {
    if let Some(open) = state.open_mut() {
        open.anchor = anchor;
        if anchor == Anchor::Live {
            open.below = 0;
        }
    }
}

/// To the end.
pub(super) fn live(state: &mut State) {
    set(state, Anchor::Live);
    if let Some(open) = state.open_mut() {
        open.chosen = None;
    }
}

/// Chooses the next message in a direction and brings it into view.
pub(super) fn choose(state: &mut State, action: Action) {
    let Some(open) = state.open() else { return };
    let (first, end) = (open.first(), open.end());
    let is_message = |at: &i64| open.message(*at).is_some();
    let chosen = match (action, open.chosen) {
        (Action::ChooseUp, from) => (first..from.unwrap_or(end)).rev().find(is_message),
        (_, Some(from)) => (from + 1..end).find(is_message),
        (_, None) => None,
    };
    match (chosen, action) {
        (Some(at), _) => show(state, at),
        // Below the last one nothing is chosen.
        (None, Action::ChooseDown) => live(state),
        (None, _) => {}
    }
}

fn show(state: &mut State, at: i64) {
    if let Some(open) = state.open_mut() {
        open.chosen = Some(at);
    }
    let Some(sheet) = sheet(state) else { return };
    if !sheet.shows(at) {
        let anchor = sheet.around(at);
        set(state, anchor);
    }
}

pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let Some(open) = state.open() else { return Vec::new() };
    let at = open.chosen.or_else(|| open.newest(|_| true));
    let Some(text) = at.and_then(|at| open.seen(at)).map(|one| one.text().to_owned()) else {
        state.say(Tone::News, "there is nothing to copy");
        return Vec::new();
    };
    state.say(Tone::News, format!("copied ({} bytes), if the terminal allows it", text.len()));
    vec![Effect::Copy(text)]
}

/// Older messages, when the view comes near the first one that is here.
pub(super) fn wanted(state: &mut State) -> Option<Effect> {
    let open = state.open()?;
    if open.past != Past::More || !sheet(state)?.shows_the_first() {
        return None;
    }
    let (target, group, before) = (open.target.clone(), open.group, open.first_seq());
    state.open_mut()?.past = Past::Loading;
    Some(Effect::Past { target, group, before, from: None })
}

pub(super) fn past(
    state: &mut State,
    target: &Target,
    messages: Vec<Message>,
    complete: bool,
) -> Vec<Effect> {
    let Some(at) = state.find(target) else { return Vec::new() };
    let is_first = state.conversations[at].first_seq().is_none();
    let conversation = &mut state.conversations[at];
    conversation.put_before(messages);
    conversation.past = if complete { Past::Complete } else { Past::More };
    if at == state.current && (is_first || conversation.unread > 0) {
        going::arrive(state);
    }
    if let Some(hit) = state.jump.take() {
        return jump(state, hit);
    }
    Vec::new()
}

/// To a message, also if it has to be read first.
pub(super) fn jump(state: &mut State, hit: Hit) -> Vec<Effect> {
    let mut effects = Vec::new();
    if state.find(&hit.target) != Some(state.current) {
        effects = going::to(state, &hit.target);
    }
    let Some(open) = state.open_mut() else { return effects };
    if let Some((at, _)) = open.named(&hit.message) {
        open.chosen = Some(at);
        let anchor = sheet(state).map_or(Anchor::Live, |sheet| sheet.around(at));
        set(state, anchor);
    } else if open.past == Past::Complete || open.first_seq().is_some_and(|seq| seq <= hit.seq) {
        state.say(Tone::Warning, "this message is no longer here");
    } else if effects.iter().any(|effect| matches!(effect, Effect::Past { .. })) {
        // It is gone to when the newest ones are here.
        state.jump = Some(hit);
    } else {
        open.past = Past::Loading;
        let (target, group, before) = (open.target.clone(), open.group, open.first_seq());
        effects.push(Effect::Past { target, group, before, from: Some(hit.seq) });
        state.jump = Some(hit);
    }
    effects
}
