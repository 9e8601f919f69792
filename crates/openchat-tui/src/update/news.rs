//! What the session tells.

use super::{give_back, going, mentions, remember};
use crate::{
    adapter::answers,
    conversation::{Anchor, Conversation, Past},
    input::{Change, Effect, News},
    note::{self, Note},
    row::{Body, Message, Notice, Tone},
    state::{Asked, Connection, LogAlarm, Overlay, State},
    wrap::{cut, flat},
};
use openchat_client::{
    LogView,
    engine::{Delivery, MessageRef, Standing, Summary, Target},
    standing,
    wire::{MessageId, Name},
};

pub(super) fn take(state: &mut State, news: News) -> Vec<Effect> {
    match news {
        News::Online => state.connection = Connection::Online,
        News::Log(view) => log(state, view),
        News::LogAlarm(alarm) => state.log_alarm = state.log_alarm.max(Some(alarm)),
        News::Offline(cause) => offline(state, cause),
        News::Standing(summary) => stands(state, *summary),
        News::Ready { target, members } => return ready(state, &target, members),
        News::Message { target, message } => return said(state, &target, message),
        News::Edited { target, said, of, seq, text } => about(state, &target, said, |one| {
            one.edit(&of, seq, text);
        }),
        News::Deleted { target, said, of, seq } => {
            about(state, &target, said, |one| one.delete(&of, seq));
        }
        News::Forgotten { target } => return recall(state, &target),
        News::Reacted { target, said, to, word, by, on } => about(state, &target, said, |one| {
            one.react(&to, word, &by, on);
        }),
        News::Topic { target, topic } => at(state, &target, |one| one.topic = topic),
        News::Timer { target, timer } => at(state, &target, |one| one.timer = timer),
        News::Progress { target, file, here, wrong } => {
            at(state, &target, |one| one.file(&file, here, wrong));
        }
        News::Delivery { id, state: delivery } => deliver(state, &id, delivery),
        News::Presence { target, online, offline } => {
            presence(state, &target, &online, &offline);
        }
        News::Changed { target, notice, loud } => {
            return changed(state, &target, notice, Loud(loud));
        }
        News::Renewed(until) => state.setup.not_after = until,
        News::Notice { target, notice } => return noticed(state, target.as_deref(), notice),
        News::Done { order, target } => return done(state, order, &target),
        News::Failed { order, id, target, notice } => failed(state, order, id, target, notice),
    }
    Vec::new()
}

/// Of what is gone nothing is to stay on the screen either.
fn recall(state: &State, target: &str) -> Vec<Effect> {
    let conversation = target.parse().ok().and_then(|target| {
        let at = state.find(&target)?;
        state.conversations.get(at)
    });
    let recalled = conversation.and_then(|one| {
        let (target, messages) = (one.target.clone(), one.told());
        Some(Effect::Recall { target, group: one.group?, messages })
    });
    let found = match &state.overlay {
        Some(Overlay::Search { asked: Some(asked), .. }) => Some(Effect::Search(asked.clone())),
        _ => None,
    };
    recalled.into_iter().chain(found).collect()
}

/// Nobody is known to be there any more, and nothing to be read to its end.
fn offline(state: &mut State, cause: String) {
    state.connection = Connection::Offline(cause);
    for conversation in &mut state.conversations {
        conversation.ready = false;
        conversation.fresh = None;
        conversation.members.iter_mut().for_each(|member| member.online = false);
    }
}

fn log(state: &mut State, view: LogView) {
    state.setup.log = Some(view.size);
    match state.log_alarm {
        // It was answered.
        Some(LogAlarm::OwnName) if !view.warns => state.log_alarm = None,
        None if view.warns => state.log_alarm = Some(LogAlarm::OwnName),
        _ => {}
    }
}

fn stands(state: &mut State, summary: Summary) {
    let at = state.place(&summary.target);
    let Some(conversation) = state.conversations.get_mut(at) else { return };
    let was = conversation.standing;
    conversation.stands(summary);
    if was == Standing::Invited && conversation.standing != was {
        let answers = answers(&conversation.target.to_string());
        state.conversations.iter_mut().for_each(|one| one.settle(&answers));
    }
}

fn ready(
    state: &mut State,
    target: &str,
    members: Vec<openchat_client::engine::MemberView>,
) -> Vec<Effect> {
    let Some(at) = place(state, target) else { return Vec::new() };
    let now = state.now;
    let conversation = &mut state.conversations[at];
    conversation.ready = true;
    conversation.members = members;
    let target = conversation.target.clone();
    let is_alone = matches!(&conversation.members[..], [only] if only.me);
    if is_alone && conversation.past == Past::Complete && conversation.is_empty() {
        // A slip of the fingers begins a group, too.
        let text = format!("you are the only one in {target} so far");
        let hint = Some(format!("if that is not its name: /leave {target}"));
        conversation.tell(Notice { time: now, tone: Tone::News, text, hint });
    }
    vec![describe(state, target)]
}

fn place(state: &mut State, target: &str) -> Option<usize> {
    Some(state.place(&target.parse::<Target>().ok()?))
}

/// Changes a conversation, if it has a name.
fn at(state: &mut State, target: &str, change: impl FnOnce(&mut Conversation)) {
    if let Some(at) = place(state, target)
        && let Some(conversation) = state.conversations.get_mut(at)
    {
        change(conversation);
    }
}

/// The same for what was said about a message: it waits no more.
fn about(
    state: &mut State,
    target: &str,
    said: MessageRef,
    change: impl FnOnce(&mut Conversation),
) {
    at(state, target, |one| {
        one.take_waiting(&said);
        change(one);
    });
}

/// Asks for what events don't tell: kind, standing, trust words.
fn describe(state: &mut State, target: Target) -> Effect {
    let asked = Asked { target: target.clone(), said: None, go: false, tell: false, loud: false };
    let order = state.expect(asked, 1);
    Effect::Describe { order, target }
}

fn said(state: &mut State, target: &str, message: Message) -> Vec<Effect> {
    let Some(at) = place(state, target) else { return Vec::new() };
    let in_view = at == state.current;
    let me = state.setup.me.clone();
    let (own, names_me) = (message.own, mentions(message.text(), &me));
    let calls = !own && (names_me || state.conversations[at].is_direct());
    let note = calls.then(|| note::of_message(state, at, &message)).flatten();
    let conversation = &mut state.conversations[at];
    if !conversation.push(message) || own {
        return Vec::new();
    }
    if in_view && !conversation.ready {
        // It was said while this device was away.
        conversation.catch_up();
    }
    if in_view && conversation.anchor != Anchor::Live {
        conversation.below += 1;
    }
    if !in_view && !conversation.muted {
        conversation.unread += 1;
        conversation.mentions += u64::from(names_me);
    }
    let rings = state.config.notify.bell && calls && !conversation.muted;
    let bell = rings.then_some(Effect::Bell);
    let note = note.and_then(|note| notify(state, Some(at), note));
    bell.into_iter().chain(note).collect()
}

/// Tells the desktop, if it is to be told.
fn notify(state: &mut State, at: Option<usize>, note: Note) -> Option<Effect> {
    note::is_due(state, at, &note).then_some(Effect::Notify(note))
}

fn deliver(state: &mut State, id: &MessageId, delivery: Delivery) {
    let which = state.own(*id);
    state.conversations.iter_mut().for_each(|one| one.deliver(&which, delivery));
}

fn presence(state: &mut State, target: &str, online: &[Name], offline: &[Name]) {
    let Some(at) = place(state, target) else { return };
    for member in &mut state.conversations[at].members {
        if online.contains(&member.name) {
            member.online = true;
        } else if offline.contains(&member.name) {
            member.online = false;
        }
    }
}

/// Whether something is also told where the person is.
struct Loud(bool);

fn changed(
    state: &mut State,
    target: &str,
    notice: Option<Notice>,
    Loud(loud): Loud,
) -> Vec<Effect> {
    let Some(at) = place(state, target) else { return Vec::new() };
    let mut effects = Vec::new();
    if let Some(notice) = notice {
        if loud {
            let note = note::of_notice(Some(target), &notice);
            effects.extend(notify(state, Some(at), note));
        }
        if loud && at != state.current {
            let text = format!("{target}: {}", notice.text);
            tell(state, None, Notice { text, ..notice.clone() });
        }
        state.conversations[at].tell(notice);
    }
    let target = state.conversations[at].target.clone();
    effects.push(describe(state, target));
    effects
}

/// An alarm is told at once, wherever the person is.
fn noticed(state: &mut State, target: Option<&str>, notice: Notice) -> Vec<Effect> {
    let at = target.and_then(|target| place(state, target));
    let alarm = (notice.tone == Tone::Alarm).then(|| note::of_notice(target, &notice));
    tell(state, target, notice);
    alarm.and_then(|note| notify(state, at, note)).into_iter().collect()
}

/// A notice stands where it belongs; what belongs nowhere is told where the person is.
fn tell(state: &mut State, target: Option<&str>, notice: Notice) {
    let at = target.and_then(|target| place(state, target)).unwrap_or(state.current);
    if let Some(conversation) = state.conversations.get_mut(at) {
        conversation.tell(notice);
    }
}

fn done(state: &mut State, order: u64, target: &str) -> Vec<Effect> {
    let Some(asked) = state.orders.remove(&order) else { return Vec::new() };
    if let Some(said) = asked.said {
        state.say(Tone::News, format!("{target}: {said}"));
    }
    if asked.tell {
        names(state, &asked.target, target);
    }
    match target.parse() {
        Ok(target) if asked.go => going::to(state, &target),
        _ => Vec::new(),
    }
}

/// Who is in, told where it was asked.
fn names(state: &mut State, asked: &Target, target: &str) {
    let Some(at) = place(state, target) else { return };
    let conversation = &state.conversations[at];
    let mut said: Vec<String> = conversation.members.iter().map(standing::member).collect();
    if !conversation.invited.is_empty() {
        let names: Vec<_> = conversation.invited.iter().map(Name::to_string).collect();
        said.push(format!("invited: {}", names.join(", ")));
    }
    let text = format!("{target}: {}", said.join(", "));
    let notice = Notice { time: state.now, tone: Tone::News, text, hint: None };
    tell(state, Some(&asked.to_string()), notice);
}

fn failed(
    state: &mut State,
    order: Option<u64>,
    id: Option<MessageId>,
    target: Option<String>,
    mut notice: Notice,
) {
    let asked = order.and_then(|order| state.orders.remove(&order));
    if asked.as_ref().is_some_and(|asked| !asked.loud) {
        return;
    }
    let own = id.map(|id| state.own(id));
    for at in 0..state.conversations.len() {
        let Some(own) = own else { break };
        let conversation = &mut state.conversations[at];
        let lost = conversation.take_pending(&own);
        if let Some(change) = conversation.take_waiting(&own) {
            notice.text = format!("{}: {}", not_changed(&change.change), notice.text);
            if let Change::Edit(text) = change.change {
                remember(state, text);
            }
        }
        match lost.map(|lost| lost.body) {
            Some(Body::Text(text)) => give_back(state, at, &text),
            Some(Body::Action(text)) => give_back(state, at, &format!("/me {text}")),
            _ => {}
        }
    }
    let place = asked.map(|asked| asked.target.to_string()).or(target);
    tell(state, place.as_deref(), notice);
}

/// What was not done, in words.
fn not_changed(change: &Change) -> String {
    match change {
        Change::Edit(text) => format!("not edited to \"{}\"", cut(&flat(text), SHORT)),
        Change::Delete => "not deleted".to_owned(),
        Change::React { word, on: true } => format!("not reacted with {}", flat(word)),
        Change::React { word, on: false } => format!("reaction {} not taken back", flat(word)),
    }
}

/// Columns of a text that a notice quotes.
const SHORT: usize = 40;
