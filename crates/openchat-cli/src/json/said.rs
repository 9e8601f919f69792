//! What people say, and what comes of files, as objects.

use super::{Object, line};
use crate::text;
use openchat_client::{
    engine::{self, StoredMessage},
    trust,
};
use serde::Serialize;

/// A message.
pub(crate) fn message(message: &StoredMessage) -> String {
    line(&Object::of("message", Message::of(message)))
}

/// A message for another process of this person, which keeps its own place in the conversation.
pub(crate) fn told(message: &StoredMessage) -> String {
    let group = Some(message.group.to_string());
    line(&Object::of("message", Message { group, ..Message::of(message) }))
}

#[derive(Serialize)]
struct Message<'a> {
    target: &'a str,
    sender: &'a str,
    trust: &'a str,
    id: String,
    fingerprint: String,
    seq: u64,
    time: String,
    text: &'a str,
    own: bool,
    #[serde(flatten)]
    body: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
}

impl<'a> Message<'a> {
    fn of(message: &'a StoredMessage) -> Self {
        let StoredMessage { target, sender, own, .. } = message;
        Self {
            target,
            sender: sender.as_str(),
            trust: trust::word(message.trust),
            id: message.id.to_string(),
            seq: message.seq.0,
            time: text::rfc3339(message.time),
            text: text_of(&message.body),
            own: *own,
            body: Body::of(&message.body),
            group: None,
            fingerprint: message.fingerprint.to_string(),
        }
    }
}

/// What is said as text.
fn text_of(body: &engine::Body) -> &str {
    match body {
        engine::Body::Reaction { .. } | engine::Body::File(_) => "",
        body => body.text(),
    }
}

/// What is not text.
#[derive(Default, Serialize)]
struct Body<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u16>,
}

impl<'a> Body<'a> {
    fn of(body: &'a engine::Body) -> Self {
        let about = |to: &engine::MessageRef| Self {
            to: Some(to.id.to_string()),
            author: Some(to.author.to_string()),
            ..Self::default()
        };
        let rest = match body {
            engine::Body::Text(_) | engine::Body::Action(_) | engine::Body::Topic(_) => {
                Self::default()
            }
            engine::Body::Reply { to, .. } => about(to),
            engine::Body::Reaction { to, emoji, on } => {
                Self { emoji: Some(emoji), on: Some(*on), ..about(to) }
            }
            engine::Body::Edit { of, .. } | engine::Body::Delete { of } => {
                Self { of: Some(of.to_string()), ..Self::default() }
            }
            engine::Body::File(offer) => Self {
                name: Some(&offer.name),
                size: Some(offer.size),
                sha256: Some(offer.hash.to_string()),
                ..Self::default()
            },
            engine::Body::Timer(time) => {
                Self { seconds: Some(time.map_or(0, |time| time.as_secs())), ..Self::default() }
            }
            engine::Body::Unknown { kind, .. } => Self { number: Some(*kind), ..Self::default() },
        };
        Self { kind: body.as_str(), ..rest }
    }
}

/// How far a file has come.
pub(super) fn progress(progress: &engine::Progress) -> String {
    line(&Object::of("progress", FileObject::of(progress)))
}

/// A file of somebody's that has come.
pub(super) fn file(progress: &engine::Progress, is_right: bool) -> String {
    line(&Object::of("file", FileObject { good: Some(is_right), ..FileObject::of(progress) }))
}

/// The same two for another process of this person: with the ids of the conversation and the sender.
pub(crate) fn told_file(progress: &engine::Progress, is_right: Option<bool>) -> String {
    let group = Some(progress.group.to_string());
    let author = Some(progress.file.author.to_string());
    let object = FileObject { good: is_right, group, author, ..FileObject::of(progress) };
    line(&Object::of(if is_right.is_some() { "file" } else { "progress" }, object))
}

#[derive(Serialize)]
struct FileObject<'a> {
    target: &'a str,
    id: String,
    name: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    good: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
}

impl<'a> FileObject<'a> {
    fn of(progress: &'a engine::Progress) -> Self {
        let engine::Progress { target, file, name, done, size, own, .. } = progress;
        let (done, own) = (Some(*done), Some(*own));
        let (id, size) = (file.id.to_string(), *size);
        Self { target, id, name, size, done, own, good: None, group: None, author: None }
    }
}

pub(super) fn saved(target: &str, path: &str) -> String {
    #[derive(Serialize)]
    struct Saved<'a> {
        target: &'a str,
        path: &'a str,
    }
    line(&Object::of("saved", Saved { target, path }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Fingerprint, GroupId, MessageId, Seq, UnixMillis};

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
            body: engine::Body::Text(text.to_owned()),
            own: false,
        }
    }

    #[test]
    fn a_message_is_one_line_that_acts_on_nothing() {
        let line = message(&stored("a\nb\u{202e}\u{9b}"));
        assert_eq!(
            line,
            "{\"v\":1,\"type\":\"message\",\"target\":\"#general\",\"sender\":\"bob\",\
             \"trust\":\"certified\",\"id\":\"abababababababababababababababab\",\
             \"fingerprint\":\"0202020202020202020202020202020202020202020202020202020202020202\",\"seq\":7,\
             \"time\":\"1970-01-01T00:00:00.000Z\",\"text\":\"a\\nb\\u202e\\u009b\",\
             \"own\":false,\"kind\":\"text\"}\n"
        );
    }

    #[test]
    fn every_kind_of_message_says_what_it_is() {
        let to = engine::MessageRef { author: Fingerprint([2; 32]), id: MessageId([1; 16]) };
        let (id, author) = ("01".repeat(16), "02".repeat(32));
        let about = format!(r#""to":"{id}","author":"{author}""#);
        let hash = openchat_wire::Digest([3; 32]);
        let (name, text, emoji) = ("a\u{202e}b".to_owned(), "x".to_owned(), "+".to_owned());
        let kinds = [
            (engine::Body::Action(text.clone()), "x", r#""kind":"action"}"#.to_owned()),
            (engine::Body::Topic(text.clone()), "x", r#""kind":"topic"}"#.to_owned()),
            (
                engine::Body::Reply { to, text: text.clone() },
                "x",
                format!(r#""kind":"reply",{about}}}"#),
            ),
            (
                engine::Body::Reaction { to, emoji, on: false },
                "",
                format!(r#""kind":"reaction",{about},"emoji":"+","on":false}}"#),
            ),
            (
                engine::Body::Edit { of: to.id, text },
                "x",
                format!(r#""kind":"edit","of":"{id}"}}"#),
            ),
            (engine::Body::Delete { of: to.id }, "", format!(r#""kind":"delete","of":"{id}"}}"#)),
            (engine::Body::Timer(None), "", r#""kind":"timer","seconds":0}"#.to_owned()),
            (
                engine::Body::Unknown { kind: 77, bytes: vec![0x1b] },
                "",
                r#""kind":"unknown","number":77}"#.to_owned(),
            ),
            (
                engine::Body::File(engine::Offer { name, size: 9, hash }),
                "",
                format!(
                    r#""kind":"file","name":"a\u202eb","size":9,"sha256":"{}"}}"#,
                    "03".repeat(32)
                ),
            ),
        ];
        for (body, text, end) in kinds {
            let line = message(&StoredMessage { body, ..stored("") });
            assert!(line.contains(&format!(r#""text":"{text}","own":false,{end}"#)), "{line}");
        }
    }
}
