//! Lines that begin with `/`.

use super::{
    begin_sending, change, editing, give_back, going, is_too_long, overlays, scrolling, take_draft,
};
use crate::{
    conversation::Conversation,
    input::{Change, Content, Effect},
    keys::Action,
    row::{Body, Message, Quote, Tone},
    state::{Asked, Connection, LogAlarm, State},
    theme::Theme,
};
use openchat_client::{
    Pick, Say,
    engine::{MemberView, Role, Target},
    text, trust,
    wire::Name,
    wish::{self, Shown, Slash, What, Wish},
};

/// Does what the line says. One that is not understood stays where it is, and nothing is sent.
pub(super) fn obey(state: &mut State, line: &str, typed: &str) -> Vec<Effect> {
    let slash = match wish::slash(line) {
        Ok(slash) => slash,
        Err((message, hint)) => {
            state.say(Tone::Warning, format!("{message}. {hint}"));
            return Vec::new();
        }
    };
    take_draft(state, typed.to_owned());
    match slash {
        Slash::Help => overlays::open(state, Action::Help),
        Slash::Quit => return vec![Effect::Quit],
        Slash::Wish(wish) => return wished(state, wish),
        Slash::Shown(shown) => return do_shown(state, shown, typed),
    }
    Vec::new()
}

/// What the session does.
fn wished(state: &mut State, Wish { target, what }: Wish) -> Vec<Effect> {
    let Some(here) = state.open().map(|open| open.target.clone()) else { return Vec::new() };
    let asked = Asked {
        target: here.clone(),
        said: what.done(),
        go: matches!(what, What::Join | What::New { .. } | What::Rejoin),
        tell: matches!(what, What::Names),
        loud: true,
    };
    // What is said has no order: its answer names the message.
    let first = match what.questions() {
        0 => state.last_order,
        questions => state.expect(asked, questions),
    };
    let target = target.unwrap_or(here);
    let what = of_chosen(state, what);
    if let What::Say(Say::File(path)) = &what {
        let path = text::safe(&path.to_string_lossy());
        state.say(Tone::News, format!("reading {path}; it is sent in the background"));
    }
    vec![Effect::Wish { first, target, what }]
}

/// A file that is chosen is the one to save.
fn of_chosen(state: &State, what: What) -> What {
    let chosen = state.open().and_then(|open| open.message(open.chosen?));
    match (what, chosen) {
        (
            What::Save { file: Pick::Last, to },
            Some(message @ Message { body: Body::File { .. }, .. }),
        ) => What::Save { file: Pick::Of(message.named()), to },
        (what, _) => what,
    }
}

fn do_shown(state: &mut State, shown: Shown, typed: &str) -> Vec<Effect> {
    match shown {
        Shown::Me(text) => return say(state, Content::Action(text), typed),
        Shown::Reply(text) => return reply(state, text, typed),
        Shown::Msg(who, text) => return write_to(state, who, text, typed),
        Shown::React(word) => return react(state, word),
        Shown::Edit(text) => return edit(state, text),
        Shown::Delete => return delete(state),
        Shown::Topic(text) => return say(state, Content::Topic(text), typed),
        Shown::Search(query) => return overlays::search(state, query),
        Shown::Unread => return going::next_unread(state),
        Shown::Set(setting) => return set(state, setting),
        Shown::Mute(target) => return mute(state, target),
        Shown::Whois(who) => whois(state, &who),
        Shown::Status => status(state),
        Shown::Theme(name) => theme(state, name),
    }
    Vec::new()
}

fn say(state: &mut State, content: Content, typed: &str) -> Vec<Effect> {
    let text = match &content {
        Content::Text(text)
        | Content::Action(text)
        | Content::Topic(text)
        | Content::Reply { text, .. } => text.as_str(),
        Content::About { .. } => "",
    };
    let Some(target) = state.open().map(|open| open.target.clone()) else { return Vec::new() };
    if is_too_long(state, text) {
        let at = state.place(&target);
        give_back(state, at, typed);
        return Vec::new();
    }
    scrolling::live(state);
    vec![begin_sending(state, target, content, typed.to_owned())]
}

fn reply(state: &mut State, text: String, typed: &str) -> Vec<Effect> {
    match chosen(state, |message| !message.own && message.is_said()) {
        Some((_, to)) => {
            let quote = Quote { to: None, sender: to.sender.clone(), text: to.text().to_owned() };
            say(state, Content::Reply { to: to.named(), quote, text }, typed)
        }
        None => none(state, "answer"),
    }
}

fn write_to(state: &mut State, who: Name, text: String, typed: &str) -> Vec<Effect> {
    let mut effects = going::to(state, &Target::Person(who));
    effects.extend(say(state, Content::Text(text), typed));
    effects
}

fn react(state: &mut State, word: String) -> Vec<Effect> {
    let target = state.open().map(|open| open.target.clone());
    match (target, chosen(state, |message| !message.own && message.is_said())) {
        (Some(target), Some((_, to))) => {
            // The same again takes it back.
            let mut same = to.reactions.iter().filter(|reaction| reaction.word == word);
            let on = !same.any(|reaction| reaction.by.contains(&state.setup.me));
            vec![change(state, target, to.named(), Change::React { word, on })]
        }
        _ => none(state, "react to"),
    }
}

fn edit(state: &mut State, text: Option<String>) -> Vec<Effect> {
    let target = state.open().map(|open| open.target.clone());
    match (target, chosen(state, editing::is_editable), text) {
        (Some(target), Some((_, message)), Some(text)) => {
            vec![change(state, target, message.named(), Change::Edit(text))]
        }
        (Some(_), Some((at, _)), None) => {
            editing::begin(state, at);
            Vec::new()
        }
        _ => none(state, "edit"),
    }
}

fn delete(state: &mut State) -> Vec<Effect> {
    let target = state.open().map(|open| open.target.clone());
    match (target, chosen(state, is_deletable)) {
        (Some(target), Some((_, message))) => {
            vec![change(state, target, message.named(), Change::Delete)]
        }
        _ => none(state, "delete"),
    }
}

fn is_deletable(message: &Message) -> bool {
    message.own && message.is_said()
}

fn none(state: &mut State, what: &str) -> Vec<Effect> {
    let choose = state.keys().first_of(Action::ChooseUp).unwrap_or_default();
    state
        .say(Tone::Warning, format!("there is nothing to {what} here; {choose} chooses a message"));
    Vec::new()
}

/// The chosen message, or the newest that fits.
fn chosen(state: &State, fits: impl Fn(&Message) -> bool) -> Option<(i64, Message)> {
    let open = state.open()?;
    let at = match open.chosen {
        Some(at) => open.seen(at).filter(|message| fits(message)).map(|_| at),
        None => open.newest(fits),
    }?;
    Some((at, open.seen(at)?.into_owned()))
}

/// What is said here holds wherever this profile is used, from now on.
fn mute(state: &mut State, target: Option<Target>) -> Vec<Effect> {
    let at = match target {
        None => Some(state.current),
        Some(target) => state.find(&target),
    };
    let Some(conversation) = at.and_then(|at| state.conversations.get_mut(at)) else {
        state.say(Tone::Warning, "there is no such conversation");
        return Vec::new();
    };
    conversation.muted = !conversation.muted;
    let (target, muted) = (conversation.target.to_string(), conversation.muted);
    let group = conversation.group;
    let word = if muted { "muted" } else { "counted again" };
    // What nobody has answered yet has no log by which it could be remembered.
    let until = if group.is_none() { " until you quit" } else { "" };
    state.say(Tone::News, format!("{target} is {word}{until}"));
    group.map(|group| Effect::Mute { group, muted }).into_iter().collect()
}

fn whois(state: &mut State, who: &Name) {
    let views = |one: &Conversation| -> Option<MemberView> {
        one.members.iter().find(|member| member.name == *who).cloned()
    };
    let places: Vec<(String, MemberView)> = state
        .conversations
        .iter()
        .filter_map(|one| Some((one.target.to_string(), views(one)?)))
        .collect();
    let Some((_, member)) = places.first() else {
        return state.say(Tone::Warning, format!("{who} is in none of your conversations"));
    };
    let word = if member.me { "me" } else { trust::word(member.trust) };
    let online = if places.iter().any(|(_, member)| member.online) { ", online" } else { "" };
    let place = |(target, member): &(String, MemberView)| match member.role {
        Role::Admin => format!("{target} (admin)"),
        Role::Member => target.clone(),
    };
    let places = places.iter().map(place).collect::<Vec<_>>().join(", ");
    let hint = (!member.me).then(|| format!("/verify {who} shows the number to compare"));
    state.tell(Tone::News, format!("{who}: {word}{online}; in {places}"), hint);
}

fn status(state: &mut State) {
    let connection = match &state.connection {
        Connection::Connecting => "connecting".to_owned(),
        Connection::Online => "online".to_owned(),
        Connection::Offline(cause) => format!("offline: {cause}; trying again"),
    };
    let setup = &state.setup;
    let word = state.log_alarm.map_or("checked", LogAlarm::word);
    let log = setup.log.map(|size| format!("\nlog: {size} entries, {word}")).unwrap_or_default();
    let said = format!(
        "{} of {}, server {}: {connection}\ncertificate: {} more days{log}\n{} queued",
        setup.me,
        setup.org,
        setup.server,
        state.days_left(),
        state.queued(),
    );
    state.tell(Tone::News, said, None);
}

fn set(state: &mut State, setting: Option<(String, String)>) -> Vec<Effect> {
    let config = &mut state.config;
    let word = |on: bool| if on { "on" } else { "off" };
    let Some((name, value)) = setting else {
        let said = format!(
            "bell {}   members {}   mouse {}   theme {}",
            word(config.notify.bell),
            word(config.members),
            word(config.mouse),
            state.theme.name
        );
        state.say(Tone::News, said);
        return Vec::new();
    };
    let on = match value.as_str() {
        "on" => true,
        "off" => false,
        _ => {
            state.say(Tone::Warning, "/set NAME on, or /set NAME off");
            return Vec::new();
        }
    };
    match name.as_str() {
        "bell" => config.notify.bell = on,
        "members" => config.members = on,
        "mouse" => config.mouse = on,
        _ => {
            state.say(Tone::Warning, "settings are: bell, members, mouse");
            return Vec::new();
        }
    }
    state.say(Tone::News, format!("{name} is {} until you quit", word(on)));
    if name == "mouse" { vec![Effect::Mouse(on)] } else { Vec::new() }
}

fn theme(state: &mut State, name: Option<String>) {
    let names = state.config.theme_names().join(", ");
    let Some(name) = name else {
        return state.say(Tone::News, format!("{} of: {names}", state.theme.name));
    };
    match state.config.theme_named(&name) {
        Some(_) if !state.setup.color && name != "mono" => {
            state.theme = Theme::mono();
            state.say(Tone::News, "NO_COLOR or --color never is set, so there are no colours");
        }
        Some(theme) => {
            state.theme = theme;
            state.say(Tone::News, format!("theme {name} until you quit"));
        }
        None => state.say(Tone::Warning, format!("there is no theme {name}; themes are: {names}")),
    }
}
