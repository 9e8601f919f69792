//! From what the session reports and the vault holds to what the screen shows. The one place that
//! knows both.

use crate::{
    input::News,
    row::{Body, Message, Notice, Quote, Tone},
    runner::Incoming,
    state::LogAlarm,
};
use openchat_client::{
    Front, Report,
    engine::{
        self, AlarmCode, Delivery, Event, MemberChange, MessageRef, Offer, Progress, StoredMessage,
        Trust,
    },
    outside::now,
    say,
    spoken::{bytes, spoken},
    standing,
    wire::UnixMillis,
};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc::Sender},
};

/// The session's end of the screen: it hands over what is reported, and knows which conversation is
/// in view, whose messages count as shown.
#[derive(Debug, Clone)]
pub struct Panel {
    news: Sender<Incoming>,
    in_view: Arc<Mutex<Option<String>>>,
}

impl Panel {
    /// A panel that hands over to this queue.
    #[must_use]
    pub fn new(news: Sender<Incoming>) -> Self {
        Self { news, in_view: Arc::default() }
    }

    /// This conversation is in view from now on.
    pub(crate) fn look(&self, target: Option<String>) {
        *self.in_view.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }
}

impl Front for Panel {
    /// It is the screen that has asked for it.
    fn opened(&mut self, target: &str) {
        let mut in_view = self.in_view.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a tag more or less may have been typed than it is called by.
        let is_it = |seen: &String| {
            seen.contains('~') && (target.starts_with(seen.as_str()) || seen.starts_with(target))
        };
        if in_view.as_ref().is_some_and(is_it) {
            *in_view = Some(target.to_owned());
        }
    }

    fn shows(&self, target: &str) -> bool {
        let in_view = self.in_view.lock().unwrap_or_else(PoisonError::into_inner);
        in_view.as_deref() == Some(target)
    }

    fn show(&mut self, reports: &[Report]) -> io::Result<()> {
        let news: Vec<News> = reports.iter().flat_map(|report| news(report, now())).collect();
        // A screen that was left takes nothing; what is queued is sent all the same.
        let _ = self.news.send(Incoming::News(news));
        Ok(())
    }
}

/// A message as it is shown, without what others have said about it.
pub(crate) fn past(stored: &StoredMessage) -> Message {
    Message {
        id: stored.id,
        author: stored.fingerprint,
        seq: Some(stored.seq),
        sender: stored.sender.to_string(),
        own: stored.own,
        trust: stored.trust,
        time: stored.time,
        body: body(&stored.body, stored.own),
        reply: answered(&stored.body),
        reactions: Vec::new(),
        edited: false,
        changing: false,
        delivery: None,
    }
}

pub(crate) fn body(said: &engine::Body, own: bool) -> Body {
    match said {
        engine::Body::Text(text) | engine::Body::Reply { text, .. } => Body::Text(text.clone()),
        engine::Body::Action(text) => Body::Action(text.clone()),
        engine::Body::Delete { .. } => Body::Deleted,
        // Of one's own all is here.
        engine::Body::File(Offer { name, size, .. }) => Body::File {
            name: name.clone(),
            size: *size,
            here: if own { *size } else { 0 },
            wrong: false,
        },
        engine::Body::Unknown { kind, .. } => Body::Unknown(format!("message of kind {kind}")),
        about @ (engine::Body::Topic(_)
        | engine::Body::Timer(_)
        | engine::Body::Edit { .. }
        | engine::Body::Reaction { .. }) => Body::Changed(spoken(about).into_owned()),
    }
}

/// A message of this device that the log is not known to have.
pub(crate) fn queued(
    named: MessageRef,
    me: &str,
    time: UnixMillis,
    body: Body,
    reply: Option<Box<Quote>>,
) -> Message {
    Message {
        id: named.id,
        author: named.author,
        seq: None,
        sender: me.to_owned(),
        own: true,
        trust: Trust::Verified,
        time,
        body,
        reply,
        reactions: Vec::new(),
        edited: false,
        changing: false,
        delivery: Some(Delivery::Queued),
    }
}

/// A message that is not known in words yet.
pub(crate) fn answered(body: &engine::Body) -> Option<Box<Quote>> {
    let engine::Body::Reply { to, .. } = body else { return None };
    Some(Box::new(Quote::unknown(*to)))
}

/// What a message that has come means: itself, or something about others.
fn said(stored: &StoredMessage) -> Vec<News> {
    let (target, seq, said) = (stored.target.clone(), stored.seq, stored.named());
    let own = |id| MessageRef { author: stored.fingerprint, id };
    let itself = || News::Message { target: stored.target.clone(), message: logged(stored) };
    match &stored.body {
        engine::Body::Edit { of, text } => {
            vec![News::Edited { target, said, of: own(*of), seq, text: text.clone() }]
        }
        // One that was taken back before it was shown.
        engine::Body::Delete { of } if *of == stored.id => vec![itself()],
        engine::Body::Delete { of } => vec![News::Deleted { target, said, of: own(*of), seq }],
        engine::Body::Reaction { to, emoji, on } => vec![News::Reacted {
            target,
            said,
            to: *to,
            word: emoji.clone(),
            by: stored.sender.to_string(),
            on: *on,
        }],
        engine::Body::Topic(topic) => {
            let topic = Some(topic.clone()).filter(|topic| !topic.is_empty());
            vec![itself(), News::Topic { target, topic }]
        }
        engine::Body::Timer(timer) => vec![itself(), News::Timer { target, timer: *timer }],
        _ => vec![itself()],
    }
}

/// What a report means on the screen.
pub(crate) fn news(report: &Report, now: UnixMillis) -> Vec<News> {
    match report {
        Report::Log(view) => vec![News::Log(*view)],
        Report::Online => vec![News::Online],
        Report::Offline { cause, .. } => vec![News::Offline(cause.to_string())],
        Report::Evidence(path) => {
            let path = path.to_string_lossy();
            let text = format!("what the server has signed proves that it lied: {path}");
            let hint = Some(format!("anybody can check it: openchat log verify '{path}'"));
            let notice = Notice { time: now, tone: Tone::Alarm, text, hint };
            vec![News::Notice { target: None, notice }]
        }
        Report::Standing(summary) => vec![News::Standing(Box::new(summary.clone()))],
        Report::Contact(contact) => {
            let name = &contact.name;
            let text = say::contact(contact).trim_end().to_owned();
            let hint = format!(
                "if {name}'s device shows the same: /verify {name} followed by the 60 digits"
            );
            let notice = Notice { time: now, tone: Tone::Warning, text, hint: Some(hint) };
            vec![News::Notice { target: None, notice }]
        }
        Report::File { progress, is_right } => file(progress, *is_right, now),
        Report::Saved { target, path } => {
            let text = format!("saved: {}", path.display());
            let notice = Notice { time: now, tone: Tone::News, text, hint: None };
            vec![News::Notice { target: Some(target.clone()), notice }]
        }
        Report::Forgotten { target, unshown } => forgotten(target, *unshown, now),
        Report::Event(event) => of_event(event, now),
    }
}

/// Messages are gone whose time was over.
fn forgotten(target: &str, unshown: u64, now: UnixMillis) -> Vec<News> {
    let mut news = vec![News::Forgotten { target: target.to_owned() }];
    if unshown > 0 {
        let text = say::forgotten(unshown);
        let notice = Notice { time: now, tone: Tone::Warning, text, hint: None };
        news.push(News::Notice { target: Some(target.to_owned()), notice });
    }
    news
}

/// A file of somebody's has come.
fn file(file: &Progress, is_right: bool, now: UnixMillis) -> Vec<News> {
    let Progress { name, size, .. } = file;
    let (tone, text, hint) = if is_right {
        let text = format!("{name} is here ({})", bytes(*size));
        (Tone::News, text, "/save writes it to your directory".to_owned())
    } else {
        let text = format!("{name} is not the file that was announced; it is not kept");
        (Tone::Warning, text, "ask its sender to send it again".to_owned())
    };
    let notice = Notice { time: now, tone, text, hint: Some(hint) };
    let told = News::Notice { target: Some(file.target.clone()), notice };
    vec![progressed(file, !is_right), told]
}

fn progressed(progress: &Progress, wrong: bool) -> News {
    let Progress { target, file, done, .. } = progress;
    News::Progress { target: target.clone(), file: *file, here: *done, wrong }
}

fn of_event(event: &Event, now: UnixMillis) -> Vec<News> {
    let notice = |tone, text, hint: Option<&str>| Notice {
        time: now,
        tone,
        text,
        hint: hint.map(on_screen),
    };
    match event {
        Event::Ready { target, members, .. } => {
            vec![News::Ready { target: target.clone(), members: members.clone() }]
        }
        Event::Message(stored) => said(stored),
        Event::Progress(progress) => vec![progressed(progress, false)],
        Event::Ack { id, .. } => vec![News::Delivery { id: *id, state: Delivery::Sent }],
        Event::Delivered { id, count, of, .. } => {
            let state = Delivery::Delivered { count: *count, of: *of };
            vec![News::Delivery { id: *id, state }]
        }
        Event::Presence { target, online, offline } => vec![News::Presence {
            target: target.clone(),
            online: online.clone(),
            offline: offline.clone(),
        }],
        Event::Done { order, target } => {
            vec![News::Done { order: *order, target: target.clone() }]
        }
        Event::Failed { order, id, target, message, hint, .. } => {
            let notice = notice(Tone::Warning, message.clone(), Some(hint));
            vec![News::Failed { order: *order, id: *id, target: target.clone(), notice }]
        }
        Event::Renewed { until, .. } => {
            let told = notice(Tone::News, "your certificate was renewed".to_owned(), None);
            vec![News::Renewed(*until), News::Notice { target: None, notice: told }]
        }
        Event::Expiring { days, .. } => {
            let text = format!("your certificate ends in {days} days and could not be renewed");
            let told = notice(Tone::Warning, text, Some("quit, then: openchat renew"));
            vec![News::Notice { target: None, notice: told }]
        }
        Event::Alarm { target, code, message, hint } => {
            let told = notice(Tone::Alarm, message.clone(), Some(hint));
            let mut news = told_in(target.clone(), told);
            news.extend(of_log(*code).map(News::LogAlarm));
            news
        }
        _ => happened(event, notice),
    }
}

/// What is a line in a conversation.
fn happened(event: &Event, notice: impl Fn(Tone, String, Option<&str>) -> Notice) -> Vec<News> {
    let (target, told) = match event {
        Event::Member { target, name, change, by, count, .. } => {
            let text = say::changed(name, *change, by.as_ref(), *count);
            let tone = match change {
                MemberChange::Revoked | MemberChange::Rejoined => Tone::Warning,
                _ => Tone::News,
            };
            (target, notice(tone, text, None))
        }
        Event::Rules { target, rules, by } => {
            let text = format!("{by} changed the policy: {}", standing::rules(*rules));
            (target, notice(Tone::News, text, None))
        }
        Event::Invited { target, by, .. } => {
            let by = by.as_ref().map_or("somebody".to_owned(), ToString::to_string);
            let hint = answers(target);
            (target, notice(Tone::Warning, format!("{by} invites you to {target}"), Some(&hint)))
        }
        Event::Gone { target, change, by } => {
            let (text, hint) = say::gone(*change, by.as_ref());
            (target, notice(Tone::Warning, text, hint.as_deref()))
        }
        Event::Waiting { target, message, hint, .. } => {
            (target, notice(Tone::Warning, message.clone(), Some(hint)))
        }
        Event::Unreadable { target, seq, cause, hint } => {
            let text = format!("entry {seq} can't be read: {cause}");
            (target, notice(Tone::Warning, text, Some(hint)))
        }
        Event::Dropped { target, count, first, last } => {
            (target, notice(Tone::Warning, say::dropped(*count, first.0, last.0), None))
        }
        _ => return Vec::new(),
    };
    let loud = matches!(event, Event::Invited { .. });
    // Of two people neither is told that the other one was put there.
    let obvious = matches!(event, Event::Member { change: MemberChange::Added, .. });
    let notice = (!obvious || !target.starts_with('@')).then_some(told);
    vec![News::Changed { target: target.clone(), notice, loud }]
}

const fn of_log(code: AlarmCode) -> Option<LogAlarm> {
    match code {
        AlarmCode::OwnName => Some(LogAlarm::OwnName),
        AlarmCode::LogIrregular => Some(LogAlarm::Irregular),
        AlarmCode::LogRollback => Some(LogAlarm::Rollback),
        AlarmCode::SplitView => Some(LogAlarm::SplitView),
        _ => None,
    }
}

/// How an invitation is answered.
pub(crate) fn answers(target: &str) -> String {
    format!("/join {target} accepts, /decline {target} refuses")
}

/// An alarm about a conversation is about its members too.
fn told_in(target: Option<String>, notice: Notice) -> Vec<News> {
    match target {
        Some(target) => vec![News::Changed { target, notice: Some(notice), loud: true }],
        None => vec![News::Notice { target: None, notice }],
    }
}

/// One that came from the log: of one's own, the server has it.
fn logged(stored: &StoredMessage) -> Message {
    Message { delivery: stored.own.then_some(Delivery::Sent), ..past(stored) }
}

/// A hint whose commands are for a shell, with those of the screen: another `openchat` of this
/// profile could not change anything while this one runs.
fn on_screen(hint: &str) -> String {
    const SAME: [&str; 6] =
        ["verify", "join", "trust accept", "group join", "group decline", "group new"];
    const OF_TARGET: [&str; 3] = ["group leave", "group rejoin", "group show"];
    const HERE: [&str; 5] =
        ["group invite", "group add", "group kick", "group role", "group policy"];
    let mut hint = hint.to_owned();
    for shell in SAME.iter().chain(&OF_TARGET).chain(&HERE) {
        let word = shell.rsplit(' ').next().unwrap_or(shell);
        let slash = match *shell {
            "trust accept" => "/trust ",
            "group show" => "/names ",
            _ => &format!("/{word} "),
        };
        let shell = format!("openchat {shell} ");
        while let Some(at) = hint.find(&shell) {
            let before = hint.get(..at).unwrap_or_default();
            let after = hint.get(at + shell.len()..).unwrap_or_default();
            hint = replaced(before, slash, after, HERE.iter().any(|one| shell.contains(one)));
        }
    }
    hint
}

/// `before` and `after` without the quotes that a shell needs, and with the screen's command between
/// them; `here` says that it is about the conversation it is typed in.
fn replaced(before: &str, slash: &str, after: &str, here: bool) -> String {
    let (before, mut after) = match before.strip_suffix('\'') {
        Some(before) => (before, after.replacen('\'', "", 1)),
        None => (before, after.to_owned()),
    };
    if let Some((target, rest)) =
        after.strip_prefix('\'').and_then(|quoted| quoted.split_once('\''))
    {
        after = if here { rest.trim_start().to_owned() } else { format!("{target}{rest}") };
    }
    format!("{before}{slash}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_client::{
        engine::Trust,
        wire::{Fingerprint, GroupId, MessageId, Seq},
        wish,
    };

    #[test]
    fn what_a_hint_advises_can_be_typed_here() {
        for (shell, here) in [
            (
                "Compare: 'openchat verify erin'. Trust anyway: 'openchat trust accept erin'.",
                "Compare: /verify erin. Trust anyway: /trust erin.",
            ),
            ("Come back: openchat group rejoin '#ops'", "Come back: /rejoin #ops"),
            ("openchat group role '#ops' NAME admin", "/role NAME admin"),
            ("Write to them first: openchat join @bob", "Write to them first: /join @bob"),
            ("Go on in another one: openchat group new NAME", "Go on in another one: /new NAME"),
            ("Send it in parts.", "Send it in parts."),
        ] {
            assert_eq!(on_screen(shell), here);
        }
    }

    fn stored(body: engine::Body) -> StoredMessage {
        StoredMessage {
            group: GroupId([1; 32]),
            target: "#ops".to_owned(),
            seq: Seq(7),
            id: MessageId([2; 16]),
            sender: "bob".parse().unwrap(),
            fingerprint: Fingerprint([3; 32]),
            trust: Trust::Certified,
            time: UnixMillis(1),
            body,
            own: false,
        }
    }

    #[test]
    fn a_change_is_about_a_message_of_its_author() {
        let id = MessageId([9; 16]);
        let bob = Fingerprint([3; 32]);
        let text = "new".to_owned();
        match &said(&stored(engine::Body::Edit { of: id, text }))[..] {
            [News::Edited { of, seq: Seq(7), .. }] => {
                assert_eq!(*of, MessageRef { author: bob, id });
            }
            other => panic!("{other:?}"),
        }
        match &said(&stored(engine::Body::Delete { of: id }))[..] {
            [News::Deleted { of, .. }] => assert_eq!(*of, MessageRef { author: bob, id }),
            other => panic!("{other:?}"),
        }
        let gone = said(&stored(engine::Body::Delete { of: MessageId([2; 16]) }));
        let [News::Message { message, .. }] = &gone[..] else { panic!("{gone:?}") };
        assert_eq!(message.body, Body::Deleted);
    }

    #[test]
    fn what_holds_is_a_line_and_stands_in_the_title() {
        let news = said(&stored(engine::Body::Topic(String::new())));
        let [News::Message { message, .. }, News::Topic { topic: None, .. }] = &news[..] else {
            panic!("{news:?}")
        };
        assert_eq!(message.body, Body::Changed("removes the topic".to_owned()));
        let unknown = past(&stored(engine::Body::Unknown { kind: 77, bytes: vec![0x1b] }));
        assert_eq!(unknown.text(), "message of kind 77");
    }

    #[test]
    fn each_of_them_is_a_command() {
        let hint = "openchat verify bob; openchat trust accept bob; openchat group kick '#a' bob";
        let words = on_screen(hint);
        let commands: Vec<_> = words.split("; ").collect();
        assert_eq!(commands.len(), 3);
        for command in commands {
            assert!(wish::slash(command.strip_prefix('/').unwrap()).is_ok(), "{command}");
        }
    }
}
