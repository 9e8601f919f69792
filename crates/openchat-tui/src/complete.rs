//! Completion of what is typed: commands, people, conversations, words that a command takes.

use crate::state::State;
use openchat_client::wish::{Arg, COMMANDS, complete};

/// A word that is being completed: each press shows the next possibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completing {
    /// Where the word begins in its line.
    pub(crate) from: usize,
    /// What it may become.
    pub(crate) words: Vec<String>,
    /// Which of them stands there now.
    pub(crate) at: usize,
}

/// What the end of `before`, the line up to the cursor, may become. `first` says whether the line is
/// the draft's first one, where commands are.
pub(crate) fn possibilities(state: &State, before: &str, first: bool) -> Completing {
    let from = before
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let (earlier, word) = before.split_at(from);
    let command = before.strip_prefix('/').filter(|rest| first && !rest.starts_with('/'));
    let words = match command {
        Some(_) if from == 0 => {
            let typed = word.strip_prefix('/').unwrap_or_default();
            complete(typed).map(|command| format!("/{} ", command.name)).collect()
        }
        Some(_) => argument(state, earlier, word),
        None => mentioned(state, word),
    };
    Completing { from, words, at: 0 }
}

fn argument(state: &State, earlier: &str, word: &str) -> Vec<String> {
    let mut earlier = earlier.split_whitespace();
    let name = earlier.next().unwrap_or_default().trim_start_matches('/');
    let place = earlier.count();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Vec::new();
    };
    let arg = command.args.get(place).or(command.args.last().filter(|arg| **arg == Arg::People));
    match (arg, name) {
        (Some(Arg::Word(_)), "theme") => fitting(state.config.theme_names(), word),
        (Some(Arg::Word(words)), _) => fitting(words.iter().map(|one| (*one).to_owned()), word),
        (Some(Arg::Person | Arg::People), _) => {
            let bare = word.trim_start_matches('@');
            fitting(people(state), bare)
        }
        (Some(Arg::Target), _) => fitting(targets(state), word),
        (Some(Arg::Text), _) => mentioned(state, word),
        (None, _) => Vec::new(),
    }
}

/// A person or a conversation within a text.
fn mentioned(state: &State, word: &str) -> Vec<String> {
    match word.chars().next() {
        Some('@') => fitting(people(state).map(|name| format!("@{name}")), word),
        Some('#') => fitting(targets(state), word),
        Some(_) => fitting(people(state), word),
        None => Vec::new(),
    }
}

/// Those who are here first, then all others.
fn people(state: &State) -> impl Iterator<Item = String> {
    let here = state.open().into_iter();
    let all = here.chain(&state.conversations).flat_map(|one| &one.members);
    all.filter(|member| !member.me).map(|member| member.name.to_string())
}

fn targets(state: &State) -> impl Iterator<Item = String> {
    state.conversations.iter().map(|one| one.target.to_string())
}

fn fitting(words: impl IntoIterator<Item = String>, beginning: &str) -> Vec<String> {
    let mut fitting: Vec<String> = Vec::new();
    for word in words.into_iter().filter(|word| word.starts_with(beginning)) {
        let word = word + " ";
        if !fitting.contains(&word) {
            fitting.push(word);
        }
    }
    fitting
}
