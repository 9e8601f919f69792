//! The objects of `--json`, one a line. Their fields are promised in `docs/json.md`: once published
//! a field keeps its meaning.

mod ask;
mod news;
mod order;
mod report;
mod said;

pub(crate) use ask::ask;
pub(crate) use news::news;
pub(crate) use order::{BadLine, Order, Ordered, parse, start};
pub(crate) use report::{
    ack, contact, conversation, done, end, event, following, hello, opened, queued, renewed,
    report, unread,
};
pub(crate) use said::{message, told, told_file};

use crate::{fault::Fault, text};
use openchat_wire::MessageId;
use serde::Serialize;
use serde_json::Value;

/// One object as a line. What would act on a terminal is escaped.
pub(crate) fn line(object: &impl Serialize) -> String {
    // Strings, numbers and their structs always serialise.
    let document = serde_json::to_string(object).unwrap_or_default();
    text::safe_json(&document) + "\n"
}

/// What all objects begin with.
#[derive(Debug, Serialize)]
pub(crate) struct Object<'a, T> {
    v: u8,
    r#type: &'a str,
    #[serde(flatten)]
    rest: T,
}

impl<'a, T: Serialize> Object<'a, T> {
    pub(crate) const fn of(r#type: &'a str, rest: T) -> Self {
        Self { v: 1, r#type, rest }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Enrolled<'a> {
    pub(crate) name: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) fingerprint: String,
    pub(crate) serial: String,
    pub(crate) not_after: String,
    pub(crate) index: u64,
    pub(crate) new_key: bool,
    pub(crate) prekeys: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Whoami<'a> {
    pub(crate) name: &'a str,
    pub(crate) fingerprint: String,
    pub(crate) server: &'a str,
    pub(crate) ca_pin: String,
    pub(crate) profile: &'a str,
    pub(crate) directory: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Status<'a> {
    pub(crate) name: &'a str,
    pub(crate) serial: String,
    pub(crate) not_after: String,
    pub(crate) days_left: u64,
    pub(crate) server: &'a str,
    pub(crate) reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip_ms: Option<u64>,
    pub(crate) groups: Vec<GroupStatus>,
    pub(crate) queued: usize,
    pub(crate) alarms: &'a [StandingAlarm],
}

/// An alarm that goes on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StandingAlarm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupStatus {
    pub(crate) target: String,
    pub(crate) stage: &'static str,
    pub(crate) epoch: u64,
    pub(crate) waiting: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Retention<'a> {
    pub(crate) target: &'a str,
    pub(crate) time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct About<'a> {
    pub(crate) target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Muted<'a> {
    pub(crate) target: &'a str,
    pub(crate) muted: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Backup<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Imported<'a> {
    pub(crate) name: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) messages: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct VaultState<'a> {
    pub(crate) directory: &'a str,
    pub(crate) key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    pub(crate) damaged: usize,
}

/// Something that `openchat doctor` looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding<'a> {
    pub(crate) check: &'a str,
    pub(crate) level: &'a str,
    pub(crate) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<&'a str>,
}

/// What this program says about itself.
#[derive(Debug, Serialize)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ManPages {
    pub(crate) count: usize,
    pub(crate) directory: String,
}

/// An error, or a line of input that was not taken.
#[derive(Debug, Serialize)]
pub(crate) struct Error<'a> {
    v: u8,
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    hint: &'a str,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
}

impl<'a> Error<'a> {
    pub(crate) fn of(fault: &'a Fault) -> Self {
        Self::about(fault.code, &fault.message, &fault.hint, None)
    }

    pub(crate) const fn about(
        code: &'a str,
        message: &'a str,
        hint: &'a str,
        reference: Option<Reference>,
    ) -> Self {
        Self { v: 1, r#type: "error", code, message, hint, reference }
    }
}

/// A script's own name for what it sends: a string or a number, handed back unchanged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Reference(Value);

impl Reference {
    /// A message by its own name, as other processes of this person call it.
    pub(crate) fn of(message: &MessageId) -> Self {
        Self(message.to_string().into())
    }
}
