//! What the session reports, as objects.

use super::{Error, Object, Reference, line};
use crate::text;
use openchat_client::{
    Report,
    engine::{Event, MemberChange, MemberView, StoredMessage},
    trust,
};
use serde::Serialize;

/// A message.
pub(crate) fn message(message: &StoredMessage) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        target: &'a str,
        sender: &'a str,
        trust: &'a str,
        id: String,
        seq: u64,
        time: String,
        text: &'a str,
        own: bool,
    }
    let StoredMessage { target, sender, text, own, .. } = message;
    let object = Message {
        target,
        sender: sender.as_str(),
        trust: trust::word(message.trust),
        id: message.id.to_string(),
        seq: message.seq.0,
        time: text::rfc3339(message.time),
        text,
        own: *own,
    };
    line(&Object::of("message", object))
}

/// What the session reports, with the script's `reference` for what it is about.
pub(crate) fn report(report: &Report, reference: Option<Reference>) -> String {
    match report {
        Report::Event(event) => self::event(event, reference),
        Report::Online => connection("online", None),
        Report::Offline { cause, .. } => connection("offline", Some(cause.to_string())),
    }
}

fn connection(state: &str, message: Option<String>) -> String {
    #[derive(Serialize)]
    struct Connection<'a> {
        state: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    }
    line(&Object::of("connection", Connection { state, message }))
}

fn event(event: &Event, reference: Option<Reference>) -> String {
    match event {
        Event::Ready { target, epoch, members } => ready(target, epoch.0, members),
        Event::Message(stored) => message(stored),
        Event::Ack { id, seq } => ack(&id.to_string(), seq.0, reference),
        Event::Member { target, name, change, epoch, count } => {
            member(target, name.as_str(), *change, epoch.0, *count)
        }
        Event::Alarm { target, code, message, hint } => {
            alarm(target.as_deref(), code.as_str(), message, hint)
        }
        Event::Unreadable { target, seq, cause, hint } => unreadable(target, seq.0, cause, hint),
        Event::Failed { code, message, hint, .. } => {
            line(&Error::about(code, message, hint, reference))
        }
    }
}

fn ready(target: &str, epoch: u64, members: &[MemberView]) -> String {
    #[derive(Serialize)]
    struct Member<'a> {
        name: &'a str,
        me: bool,
        trust: &'a str,
    }
    #[derive(Serialize)]
    struct Ready<'a> {
        target: &'a str,
        epoch: u64,
        members: Vec<Member<'a>>,
    }
    let view = |member: &'_ MemberView| trust::word(member.trust);
    let members = members
        .iter()
        .map(|member| Member { name: member.name.as_str(), me: member.me, trust: view(member) })
        .collect();
    line(&Object::of("ready", Ready { target, epoch, members }))
}

fn ack(id: &str, seq: u64, reference: Option<Reference>) -> String {
    #[derive(Serialize)]
    struct Ack<'a> {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
        id: &'a str,
        seq: u64,
    }
    line(&Object::of("ack", Ack { reference, id, seq }))
}

fn member(target: &str, who: &str, change: MemberChange, epoch: u64, count: u32) -> String {
    #[derive(Serialize)]
    struct Member<'a> {
        target: &'a str,
        who: &'a str,
        change: &'a str,
        epoch: u64,
        count: u32,
    }
    let change = change_word(change);
    line(&Object::of("member", Member { target, who, change, epoch, count }))
}

/// The word for a change of membership.
pub(crate) const fn change_word(change: MemberChange) -> &'static str {
    match change {
        MemberChange::Joined => "joined",
        MemberChange::Rejoined => "rejoined",
    }
}

fn alarm(target: Option<&str>, code: &str, message: &str, hint: &str) -> String {
    #[derive(Serialize)]
    struct Alarm<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<&'a str>,
        code: &'a str,
        message: &'a str,
        hint: &'a str,
    }
    line(&Object::of("alarm", Alarm { target, code, message, hint }))
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
    use openchat_client::dial::DialError;
    use openchat_wire::{Epoch, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
    use std::time::Duration;

    fn stored(text: &str) -> StoredMessage {
        StoredMessage {
            group: GroupId([1; 32]),
            target: "#general".to_owned(),
            seq: Seq(7),
            id: MessageId([0xab; 16]),
            sender: "bob".parse().unwrap(),
            fingerprint: Fingerprint([2; 32]),
            trust: trust::of_word("certified").unwrap(),
            time: UnixMillis(0),
            text: text.to_owned(),
            own: false,
        }
    }

    #[test]
    fn a_message_is_one_line_that_acts_on_nothing() {
        let line = message(&stored("a\nb\u{202e}\u{9b}"));
        assert_eq!(
            line,
            "{\"v\":1,\"type\":\"message\",\"target\":\"#general\",\"sender\":\"bob\",\
             \"trust\":\"certified\",\"id\":\"abababababababababababababababab\",\"seq\":7,\
             \"time\":\"1970-01-01T00:00:00.000Z\",\"text\":\"a\\nb\\u202e\\u009b\",\
             \"own\":false}\n"
        );
    }

    #[test]
    fn an_ack_hands_back_the_ref() {
        let ack = Report::Event(Event::Ack { id: MessageId([1; 16]), seq: Seq(9) });
        let with = report(&ack, Some(Reference(5.into())));
        assert!(with.starts_with(r#"{"v":1,"type":"ack","ref":5,"id":"0101"#), "{with}");
        assert!(with.ends_with("\"seq\":9}\n"), "{with}");
        assert!(!report(&ack, None).contains("ref"));
    }

    #[test]
    fn ready_lists_the_members() {
        let members = vec![MemberView {
            name: "bob".parse().unwrap(),
            me: true,
            trust: trust::of_word("verified").unwrap(),
        }];
        let ready = Event::Ready { target: "#general".to_owned(), epoch: Epoch(3), members };
        assert_eq!(
            report(&Report::Event(ready), None),
            "{\"v\":1,\"type\":\"ready\",\"target\":\"#general\",\"epoch\":3,\"members\":\
             [{\"name\":\"bob\",\"me\":true,\"trust\":\"verified\"}]}\n"
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
