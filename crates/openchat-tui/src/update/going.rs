//! From one conversation to another.

use crate::{
    conversation::Past,
    input::Effect,
    row::Tone,
    state::{Asked, State},
};
use openchat_client::engine::{Standing, Target};

/// Opens the conversation at this place of the list.
pub(super) fn go(state: &mut State, at: usize) -> Vec<Effect> {
    leave(state);
    state.current = at;
    let Some(open) = state.open_mut() else { return vec![Effect::Look(None)] };
    let target = open.target.clone();
    let mut effects = vec![Effect::Look(Some(target.clone()))];
    if open.past == Past::Unasked {
        open.past = Past::Loading;
        // Before it is opened: what was not seen then follows what was.
        let (group, before) = (open.group, open.first_seq());
        effects.push(Effect::Past { target: target.clone(), group, before, from: None });
    } else {
        arrive(state);
    }
    effects.extend(take_part(state, &target));
    effects
}

/// The conversation is in view and what was stored of it is there: nothing of it is unread.
pub(super) fn arrive(state: &mut State) {
    if let Some(open) = state.open_mut() {
        open.mark_fresh();
        open.unread = 0;
        open.mentions = 0;
    }
}

/// An invitation is accepted by `/join` and by nothing else; who has left stays out.
fn take_part(state: &mut State, target: &Target) -> Option<Effect> {
    let open = state.open()?;
    let waits = matches!(open.standing, Standing::Invited | Standing::Out | Standing::Halted);
    (!waits).then(|| {
        let asked =
            Asked { target: target.clone(), said: None, go: false, tell: false, loud: true };
        Effect::Open { order: state.expect(asked, 1), target: target.clone() }
    })
}

fn leave(state: &mut State) {
    state.editing = None;
    let aside = state.set_aside.take();
    if let Some(open) = state.open_mut() {
        if let Some(aside) = aside {
            open.draft = aside;
        }
        open.fresh = None;
        open.chosen = None;
    }
}

/// To the conversation with this name, which need not be in the list.
pub(super) fn to(state: &mut State, target: &Target) -> Vec<Effect> {
    let at = state.place(target);
    go(state, at)
}

pub(super) fn by(state: &mut State, step: isize) -> Vec<Effect> {
    let count = state.conversations.len();
    if count < 2 {
        return Vec::new();
    }
    let back = count - 1;
    let at = if step < 0 { state.current + back } else { state.current + 1 } % count;
    go(state, at)
}

pub(super) fn nth(state: &mut State, number: u8) -> Vec<Effect> {
    let at = usize::from(number).saturating_sub(1);
    if at >= state.conversations.len() {
        state.say(Tone::News, format!("there is no conversation {number}"));
        return Vec::new();
    }
    go(state, at)
}

/// Mentions first.
pub(super) fn next_unread(state: &mut State) -> Vec<Effect> {
    let count = state.conversations.len();
    let around = (1..count).map(|step| (state.current + step) % count);
    let has = |at: usize, mention: bool| {
        let one = &state.conversations[at];
        !one.muted && if mention { one.mentions > 0 } else { one.unread > 0 }
    };
    let next = around.clone().find(|at| has(*at, true));
    let next = next.or_else(|| around.clone().find(|at| has(*at, false)));
    if let Some(at) = next {
        return go(state, at);
    }
    state.say(Tone::News, "nothing is unread");
    Vec::new()
}
