//! What the session reports, as objects.

use super::{Error, Object, Reference, line, said};
use crate::{standing, text};
use openchat_client::{
    GuestEnd, LogView, Report,
    dial::DialError,
    engine::{self, Event, MemberView, Rules, Summary},
    trust,
};
use openchat_wire::{MessageId, Name, UnixMillis};
use serde::Serialize;

/// The first line of whoever holds the profile, or of whoever comes to it.
pub(crate) fn hello(kind: &str, agent: u32) -> String {
    #[derive(Serialize)]
    struct Hello<'a> {
        agent: u32,
        version: &'a str,
        pid: u32,
    }
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    line(&Object::of(kind, Hello { agent, version, pid }))
}

/// A conversation is open there from now on.
pub(crate) fn opened(target: &str) -> String {
    #[derive(Serialize)]
    struct Opened<'a> {
        target: &'a str,
    }
    line(&Object::of("opened", Opened { target }))
}

/// What is written there after this place is told from now on.
pub(crate) fn following(target: &str, seq: u64) -> String {
    #[derive(Serialize)]
    struct Following<'a> {
        target: &'a str,
        seq: u64,
    }
    line(&Object::of("following", Following { target, seq }))
}

/// Nothing follows.
pub(crate) fn end(end: &GuestEnd, taken: &[Reference]) -> String {
    #[derive(Serialize)]
    struct End<'a> {
        taken: &'a [Reference],
        lost: usize,
        halted: bool,
    }
    line(&Object::of("end", End { taken, lost: end.lost, halted: end.halted }))
}

/// What the session reports, with the script's `reference` for what it is about.
pub(crate) fn report(report: &Report, reference: Option<Reference>) -> String {
    match report {
        Report::Event(event) => self::event(event, reference),
        Report::File { progress, is_right } => said::file(progress, *is_right),
        Report::Saved { target, path } => said::saved(target, &path.to_string_lossy()),
        Report::Standing(summary) => conversation(summary, None),
        Report::Contact(contact) => self::contact(contact, reference),
        Report::Log(view) => log(*view),
        Report::Evidence(path) => evidence(&path.to_string_lossy()),
        Report::Forgotten { target, unshown } => forgotten(target, *unshown),
        Report::Online => connection("online", None),
        Report::Offline { cause, .. } => connection("offline", Some(cause)),
    }
}

/// Somebody whom this device has met, and what is to be compared.
pub(crate) fn contact(contact: &engine::Contact, reference: Option<Reference>) -> String {
    #[derive(Serialize)]
    struct Contact<'a> {
        name: &'a str,
        trust: &'a str,
        fingerprint: String,
        number: String,
        qr: &'a str,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    }
    let object = Contact {
        name: contact.name.as_str(),
        trust: trust::word(contact.trust),
        fingerprint: contact.key.to_string(),
        number: contact.number.to_string(),
        qr: &contact.text,
        reference,
    };
    line(&Object::of("contact", object))
}

/// The certificate was renewed.
pub(crate) fn renewed(until: UnixMillis) -> Object<'static, impl Serialize> {
    certificate("renewed", until)
}

fn certificate(kind: &'static str, until: UnixMillis) -> Object<'static, impl Serialize> {
    #[derive(Serialize)]
    struct Certificate {
        until: String,
    }
    Object::of(kind, Certificate { until: text::rfc3339(until) })
}

fn log(view: LogView) -> String {
    #[derive(Serialize)]
    struct Log {
        size: u64,
        warns: bool,
    }
    line(&Object::of("log-size", Log { size: view.size, warns: view.warns }))
}

fn evidence(path: &str) -> String {
    #[derive(Serialize)]
    struct Evidence<'a> {
        path: &'a str,
    }
    line(&Object::of("evidence", Evidence { path }))
}

fn connection(state: &str, cause: Option<&DialError>) -> String {
    #[derive(Serialize)]
    struct Connection<'a> {
        state: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
    }
    let code = cause.filter(|cause| **cause == DialError::NotOpenchat).map(|_| "not-openchat");
    let message = cause.map(ToString::to_string);
    line(&Object::of("connection", Connection { state, message, code }))
}

/// Something that happened.
pub(crate) fn event(event: &Event, reference: Option<Reference>) -> String {
    match event {
        Event::Ready { target, epoch, members } => ready(target, epoch.0, members),
        Event::Message(stored) => said::message(stored),
        Event::Progress(progress) => said::progress(progress),
        // It is kept in a file, of which a report of its own tells.
        Event::Evidence(_) => String::new(),
        Event::Renewed { until, .. } => line(&renewed(*until)),
        Event::Expiring { until, .. } => line(&certificate("expiring", *until)),
        Event::Ack { id, seq } => ack(&id.to_string(), seq.0, reference),
        Event::Member { target, name, change, by, epoch, count } => {
            member(target, name.as_str(), change.as_str(), by.as_ref(), epoch.0, *count)
        }
        Event::Delivered { target, id, seq, by, count, of } => {
            delivered(target, &id.to_string(), seq.0, by, (*count, *of))
        }
        Event::Presence { target, online, offline } => presence(target, online, offline),
        Event::Rules { target, rules, by } => policy(target, *rules, by.as_str()),
        Event::Invited { target, by, members } => invited(target, by.as_ref(), members),
        Event::Gone { target, change, by } => gone(target, change.as_str(), by.as_ref()),
        Event::Waiting { target, code, message, hint } => {
            warning("waiting", Some(target), code, message, hint)
        }
        Event::Alarm { target, code, message, hint } => {
            warning("alarm", target.as_deref(), code.as_str(), message, hint)
        }
        Event::Unreadable { target, seq, cause, hint } => unreadable(target, seq.0, cause, hint),
        Event::Dropped { target, count, first, last } => dropped(target, *count, first.0, last.0),
        Event::Done { target, .. } => done(target, reference),
        Event::Failed { code, message, hint, .. } => {
            line(&Error::about(code, message, hint, reference))
        }
    }
}

/// Somebody, in a list of members.
#[derive(Serialize)]
struct Member<'a> {
    name: &'a str,
    me: bool,
    trust: &'a str,
    role: &'a str,
    claimed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    online: bool,
}

impl<'a> Member<'a> {
    fn of(view: &'a MemberView) -> Self {
        Self {
            name: view.name.as_str(),
            me: view.me,
            trust: trust::word(view.trust),
            role: standing::role(view.role),
            claimed: view.claimed,
            online: view.online && !view.me,
        }
    }
}

fn ready(target: &str, epoch: u64, members: &[MemberView]) -> String {
    #[derive(Serialize)]
    struct Ready<'a> {
        target: &'a str,
        epoch: u64,
        members: Vec<Member<'a>>,
    }
    let members = members.iter().map(Member::of).collect();
    line(&Object::of("ready", Ready { target, epoch, members }))
}

/// How a conversation stands, with how many messages wait there, where that is known.
pub(crate) fn conversation(summary: &Summary, waiting: Option<u64>) -> String {
    #[derive(Serialize)]
    struct Conversation<'a> {
        target: String,
        kind: &'a str,
        stage: &'a str,
        epoch: u64,
        members: Vec<Member<'a>>,
        invited: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        join: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        invite: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        former: Option<&'a str>,
        queued: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        waiting: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<String>,
    }
    let object = Conversation {
        target: summary.target.to_string(),
        kind: standing::kind(summary.kind),
        stage: standing::stage(summary),
        epoch: summary.epoch.0,
        members: summary.members.iter().map(Member::of).collect(),
        invited: summary.invited.iter().map(Name::as_str).collect(),
        join: summary.rules.map(|rules| standing::joining(rules.join)),
        invite: summary.rules.map(|rules| standing::inviting(rules.invite)),
        by: summary.inviter.as_ref().map(Name::as_str),
        former: summary.former.as_ref().map(Name::as_str),
        queued: summary.queued,
        waiting,
        group: summary.group.map(|group| group.to_string()),
    };
    line(&Object::of("conversation", object))
}

/// An order is obeyed.
pub(crate) fn done(target: &str, reference: Option<Reference>) -> String {
    #[derive(Serialize)]
    struct Done<'a> {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
        target: &'a str,
    }
    line(&Object::of("done", Done { reference, target }))
}

/// A message is stored, and not acknowledged yet.
pub(crate) fn queued(id: MessageId) -> String {
    #[derive(Serialize)]
    struct Queued {
        id: String,
    }
    line(&Object::of("queued", Queued { id: id.to_string() }))
}

/// Something was said in a conversation that is not open.
pub(crate) fn unread(target: &str, sender: &Name) -> String {
    #[derive(Serialize)]
    struct Unread<'a> {
        target: &'a str,
        sender: &'a str,
    }
    line(&Object::of("unread", Unread { target, sender: sender.as_str() }))
}

fn invited(target: &str, by: Option<&Name>, members: &[Name]) -> String {
    #[derive(Serialize)]
    struct Invited<'a> {
        target: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        members: Vec<&'a str>,
    }
    let (by, members) = (by.map(Name::as_str), members.iter().map(Name::as_str).collect());
    line(&Object::of("invited", Invited { target, by, members }))
}

fn gone(target: &str, change: &str, by: Option<&Name>) -> String {
    #[derive(Serialize)]
    struct Gone<'a> {
        target: &'a str,
        change: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    }
    line(&Object::of("gone", Gone { target, change, by: by.map(Name::as_str) }))
}

fn policy(target: &str, rules: Rules, by: &str) -> String {
    #[derive(Serialize)]
    struct Policy<'a> {
        target: &'a str,
        join: &'a str,
        invite: &'a str,
        by: &'a str,
    }
    let (join, invite) = (standing::joining(rules.join), standing::inviting(rules.invite));
    line(&Object::of("policy", Policy { target, join, invite, by }))
}

/// An acknowledgement of one's own message.
pub(crate) fn ack(id: &str, seq: u64, reference: Option<Reference>) -> String {
    #[derive(Serialize)]
    struct Ack<'a> {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
        id: &'a str,
        seq: u64,
    }
    line(&Object::of("ack", Ack { reference, id, seq }))
}

/// Somebody's device has a message.
fn delivered(target: &str, id: &str, seq: u64, by: &Name, (count, of): (u32, u32)) -> String {
    #[derive(Serialize)]
    struct Delivered<'a> {
        target: &'a str,
        id: &'a str,
        seq: u64,
        by: &'a str,
        count: u32,
        of: u32,
    }
    line(&Object::of("delivered", Delivered { target, id, seq, by: by.as_str(), count, of }))
}

/// Who has come and who has gone, as the server says.
fn presence(target: &str, online: &[Name], offline: &[Name]) -> String {
    #[derive(Serialize)]
    struct Presence<'a> {
        target: &'a str,
        online: Vec<&'a str>,
        offline: Vec<&'a str>,
    }
    let online = online.iter().map(Name::as_str).collect();
    let offline = offline.iter().map(Name::as_str).collect();
    line(&Object::of("presence", Presence { target, online, offline }))
}

fn member(
    target: &str,
    who: &str,
    change: &str,
    by: Option<&Name>,
    epoch: u64,
    count: u32,
) -> String {
    #[derive(Serialize)]
    struct Member<'a> {
        target: &'a str,
        who: &'a str,
        change: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        epoch: u64,
        count: u32,
    }
    let by = by.map(Name::as_str);
    line(&Object::of("member", Member { target, who, change, by, epoch, count }))
}

fn forgotten(target: &str, unshown: u64) -> String {
    #[derive(Serialize)]
    struct Forgotten<'a> {
        target: &'a str,
        unshown: u64,
    }
    line(&Object::of("forgotten", Forgotten { target, unshown }))
}

fn dropped(target: &str, count: u64, first: u64, last: u64) -> String {
    #[derive(Serialize)]
    struct Dropped<'a> {
        target: &'a str,
        count: u64,
        first: u64,
        last: u64,
    }
    line(&Object::of("dropped", Dropped { target, count, first, last }))
}

fn warning(kind: &str, target: Option<&str>, code: &str, message: &str, hint: &str) -> String {
    #[derive(Serialize)]
    struct Warning<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<&'a str>,
        code: &'a str,
        message: &'a str,
        hint: &'a str,
    }
    line(&Object::of(kind, Warning { target, code, message, hint }))
}

fn unreadable(target: &str, seq: u64, cause: &str, hint: &str) -> String {
    #[derive(Serialize)]
    struct Unreadable<'a> {
        target: &'a str,
        seq: u64,
        cause: &'a str,
        hint: &'a str,
    }
    line(&Object::of("unreadable", Unreadable { target, seq, cause, hint }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Epoch, MessageId, Seq};
    use std::time::Duration;

    #[test]
    fn an_ack_hands_back_the_ref() {
        let ack = Report::Event(Event::Ack { id: MessageId([1; 16]), seq: Seq(9) });
        let with = report(&ack, Some(Reference(5.into())));
        assert!(with.starts_with(r#"{"v":1,"type":"ack","ref":5,"id":"0101"#), "{with}");
        assert!(with.ends_with("\"seq\":9}\n"), "{with}");
        assert!(!report(&ack, None).contains("ref"));
    }

    #[test]
    fn marks_and_presence_name_people() {
        let (target, bob) = ("#ops".to_owned(), "bob".parse::<Name>().unwrap());
        let (id, seq, by) = (MessageId([1; 16]), Seq(9), bob.clone());
        let mark = Event::Delivered { target: target.clone(), id, seq, by, count: 1, of: 2 };
        assert_eq!(
            report(&Report::Event(mark), None),
            "{\"v\":1,\"type\":\"delivered\",\"target\":\"#ops\",\
             \"id\":\"01010101010101010101010101010101\",\"seq\":9,\"by\":\"bob\",\
             \"count\":1,\"of\":2}\n"
        );
        let presence = Event::Presence { target, online: vec![bob], offline: Vec::new() };
        assert_eq!(
            report(&Report::Event(presence), None),
            "{\"v\":1,\"type\":\"presence\",\"target\":\"#ops\",\"online\":[\"bob\"],\
             \"offline\":[]}\n"
        );
    }

    #[test]
    fn ready_lists_the_members() {
        let members = vec![MemberView {
            name: "bob".parse().unwrap(),
            me: true,
            trust: trust::of_word("verified").unwrap(),
            role: openchat_client::engine::Role::Admin,
            claimed: false,
            online: true,
        }];
        let ready = Event::Ready { target: "#general".to_owned(), epoch: Epoch(3), members };
        assert_eq!(
            report(&Report::Event(ready), None),
            "{\"v\":1,\"type\":\"ready\",\"target\":\"#general\",\"epoch\":3,\"members\":\
             [{\"name\":\"bob\",\"me\":true,\"trust\":\"verified\",\"role\":\"admin\",\
             \"claimed\":false}]}\n"
        );
    }

    #[test]
    fn a_connection_says_its_state() {
        let cause = DialError::Unreachable("refused".to_owned());
        let offline = Report::Offline { cause, retry: Duration::from_secs(1) };
        assert_eq!(
            report(&offline, None),
            "{\"v\":1,\"type\":\"connection\",\"state\":\"offline\",\"message\":\"refused\"}\n"
        );
        assert_eq!(
            report(&Report::Online, None),
            "{\"v\":1,\"type\":\"connection\",\"state\":\"online\"}\n"
        );
    }
}
