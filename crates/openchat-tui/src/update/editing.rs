//! The line.

use crate::{
    complete::possibilities,
    conversation::Conversation,
    draft::Draft,
    keys::Action,
    row::{Body, Message, Tone},
    state::State,
};

pub(super) fn edit(state: &mut State, action: Action) {
    if let Some(open) = state.open_mut() {
        open.draft.edit(action);
    }
}

/// In an empty line, the last own message comes back to be edited.
pub(super) fn up(state: &mut State) {
    let Some(open) = state.open_mut() else { return };
    if !open.draft.is_empty() {
        open.draft.edit(Action::Up);
    } else if let Some(at) = open.newest(is_editable) {
        begin(state, at);
    } else {
        state.say(Tone::News, "there is no message of yours here to edit");
    }
}

/// Only what is text. What is on its way is followed by its change.
pub(super) fn is_editable(message: &Message) -> bool {
    message.own && matches!(message.body, Body::Text(_) | Body::Action(_))
}

/// Puts the text of a message into the draft; what was there is set aside.
pub(super) fn begin(state: &mut State, at: i64) {
    let message = state.open().and_then(|open| open.seen(at));
    let Some((of, text)) = message.map(|message| (message.named(), message.text().to_owned()))
    else {
        return;
    };
    state.editing = Some(of);
    if let Some(open) = state.open_mut() {
        let aside = std::mem::replace(&mut open.draft, Draft::of(&text));
        state.set_aside = Some(aside);
    }
    let (send, escape) =
        (state.keys().first_of(Action::Send), state.keys().first_of(Action::Escape));
    let said = format!(
        "{} puts the new text in its place; {} leaves it as it was",
        send.unwrap_or_default(),
        escape.unwrap_or_default()
    );
    state.say(Tone::News, said);
}

/// The next possibility for the word at the cursor.
pub(super) fn complete_word(state: &mut State) {
    let before = state.completing.take();
    let Some(open) = state.open() else { return };
    let (row, at) = open.draft.cursor();
    let completing = if let Some(mut completing) = before {
        completing.at = (completing.at + 1) % completing.words.len().max(1);
        completing
    } else {
        let line = open.draft.lines().get(row).map_or("", String::as_str);
        possibilities(state, line.get(..at).unwrap_or_default(), row == 0)
    };
    let Some(word) = completing.words.get(completing.at).cloned() else {
        return state.say(Tone::News, "nothing fits");
    };
    if completing.words.len() > 1 {
        let words: Vec<&str> = completing.words.iter().map(|word| word.trim()).collect();
        state.say(Tone::News, words.join("  "));
    }
    let replace = |open: &mut Conversation| open.draft.replace_back(completing.from, &word);
    state.open_mut().map(replace);
    state.completing = Some(completing);
}
