//! Reports that were written as objects by another process of this person, read again.
//!
//! Whatever `report` writes is read here into a report that says the same.

use openchat_client::{
    FromHolder, GuestEnd, LogView, Report,
    dial::DialError,
    engine::{
        AlarmCode, Body, Contact, ConversationKind, Event, MemberChange, MemberView, MessageRef,
        Offer, Progress, Rules, Standing, StoredMessage, Summary, Target,
    },
    standing, trust,
};
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, MessageId, Name, Seq, UnixMillis};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Codes that are remembered: more than `docs/json.md` lists. Behind them one word stands for all.
const MOST_CODES: usize = 512;

/// The object in this line; nothing if it is of a kind that this program does not know.
pub(crate) fn news(line: &str) -> Option<FromHolder> {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return None };
    let of = Fields(&fields);
    Some(match of.text("type")? {
        "opened" => FromHolder::Opened(of.string("target")?),
        "following" => FromHolder::Following(of.string("target")?, of.seq("seq")?),
        "end" => FromHolder::End(of.end()?),
        "connection" => FromHolder::Report(of.connection()?),
        "file" => FromHolder::Report(of.file()?),
        "saved" => FromHolder::Report(of.saved()?),
        "evidence" => FromHolder::Report(Report::Evidence(PathBuf::from(of.text("path")?))),
        "forgotten" => FromHolder::Report(Report::Forgotten {
            target: of.string("target")?,
            unshown: of.number("unshown")?,
        }),
        "log-size" => FromHolder::Report(Report::Log(LogView {
            size: of.number("size")?,
            warns: of.flag("warns"),
        })),
        "conversation" => FromHolder::Report(Report::Standing(of.summary()?)),
        "contact" => FromHolder::Report(Report::Contact(of.contact()?)),
        kind => FromHolder::Report(Report::Event(of.event(kind)?)),
    })
}

struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn event(&self, kind: &str) -> Option<Event> {
        let target = || self.string("target");
        Some(match kind {
            "message" => Event::Message(self.message()?),
            "progress" => Event::Progress(self.progress()?),
            "ack" => Event::Ack { id: self.id("id")?, seq: self.seq("seq")? },
            "delivered" => self.delivered()?,
            "ready" => Event::Ready {
                target: target()?,
                epoch: Epoch(self.number("epoch")?),
                members: self.members()?,
            },
            "presence" => Event::Presence {
                target: target()?,
                online: self.names("online")?,
                offline: self.names("offline")?,
            },
            "member" => self.member()?,
            "policy" => {
                Event::Rules { target: target()?, rules: self.rules()?, by: self.name("by")? }
            }
            "invited" => Event::Invited {
                target: target()?,
                by: self.name("by"),
                members: self.names("members")?,
            },
            "gone" => {
                Event::Gone { target: target()?, change: self.change()?, by: self.name("by") }
            }
            "waiting" => Event::Waiting {
                target: target()?,
                code: known(self.text("code")?),
                message: self.string("message")?,
                hint: self.string("hint")?,
            },
            "alarm" => self.alarm()?,
            "unreadable" => Event::Unreadable {
                target: target()?,
                seq: self.seq("seq")?,
                cause: self.string("cause")?,
                hint: self.string("hint")?,
            },
            "dropped" => Event::Dropped {
                target: target()?,
                count: self.number("count")?,
                first: self.seq("first")?,
                last: self.seq("last")?,
            },
            "renewed" => Event::Renewed { certificate: Vec::new(), until: self.time("until")? },
            "expiring" => self.expiring()?,
            "done" => Event::Done { order: self.number("ref")?, target: target()? },
            "error" => self.failed()?,
            _ => return None,
        })
    }

    fn message(&self) -> Option<StoredMessage> {
        Some(StoredMessage {
            group: GroupId(hex(self.text("group")?)?),
            target: self.string("target")?,
            seq: self.seq("seq")?,
            id: self.id("id")?,
            sender: self.name("sender")?,
            fingerprint: Fingerprint(hex(self.text("fingerprint")?)?),
            trust: trust::of_word(self.text("trust")?)?,
            time: self.time("time")?,
            body: self.body()?,
            own: self.flag("own"),
        })
    }

    fn body(&self) -> Option<Body> {
        let text = || self.string("text");
        Some(match self.text("kind")? {
            "text" => Body::Text(text()?),
            "action" => Body::Action(text()?),
            "topic" => Body::Topic(text()?),
            "reply" => Body::Reply { to: self.about("to")?, text: text()? },
            "reaction" => Body::Reaction {
                to: self.about("to")?,
                emoji: self.string("emoji")?,
                on: self.flag("on"),
            },
            "edit" => Body::Edit { of: self.id("of")?, text: text()? },
            "delete" => Body::Delete { of: self.id("of")? },
            "file" => Body::File(Offer {
                name: self.string("name")?,
                size: self.number("size")?,
                hash: Digest(hex(self.text("sha256")?)?),
            }),
            "timer" => {
                let seconds = self.number("seconds")?;
                Body::Timer((seconds > 0).then(|| Duration::from_secs(seconds)))
            }
            // Whoever shows it needs only the number; the bytes are in the vault.
            "unknown" => {
                let kind = self.number("number")?.try_into().ok()?;
                Body::Unknown { kind, bytes: Vec::new() }
            }
            _ => return None,
        })
    }

    /// The message of this id, by the author of that name.
    fn about(&self, id: &str) -> Option<MessageRef> {
        let author = Fingerprint(hex(self.text("author")?)?);
        Some(MessageRef { author, id: self.id(id)? })
    }

    fn progress(&self) -> Option<Progress> {
        Some(Progress {
            target: self.string("target")?,
            group: GroupId(hex(self.text("group")?)?),
            file: self.about("id")?,
            name: self.string("name")?,
            done: self.number("done")?,
            size: self.number("size")?,
            own: self.flag("own"),
        })
    }

    fn file(&self) -> Option<Report> {
        Some(Report::File { progress: self.progress()?, is_right: self.flag("good") })
    }

    fn saved(&self) -> Option<Report> {
        let path = PathBuf::from(self.text("path")?);
        Some(Report::Saved { target: self.string("target")?, path })
    }

    fn delivered(&self) -> Option<Event> {
        Some(Event::Delivered {
            target: self.string("target")?,
            id: self.id("id")?,
            seq: self.seq("seq")?,
            by: self.name("by")?,
            count: self.small("count")?,
            of: self.small("of")?,
        })
    }

    fn member(&self) -> Option<Event> {
        Some(Event::Member {
            target: self.string("target")?,
            name: self.name("who")?,
            change: self.change()?,
            by: self.name("by"),
            epoch: Epoch(self.number("epoch")?),
            count: self.small("count")?,
        })
    }

    fn alarm(&self) -> Option<Event> {
        let word = self.text("code")?;
        Some(Event::Alarm {
            target: self.string("target"),
            code: ALARMS.into_iter().find(|code| code.as_str() == word)?,
            message: self.string("message")?,
            hint: self.string("hint")?,
        })
    }

    fn expiring(&self) -> Option<Event> {
        let until = self.time("until")?;
        let left = until.0.saturating_sub(openchat_client::outside::now().0);
        Some(Event::Expiring { until, days: left / 86_400_000 })
    }

    /// Its `ref` is a message's name, or an order's number.
    fn failed(&self) -> Option<Event> {
        let (message, order) = match self.0.get("ref") {
            Some(Value::String(id)) => (hex(id).map(MessageId), None),
            Some(Value::Number(number)) => (None, number.as_u64()),
            _ => (None, None),
        };
        Some(Event::Failed {
            order,
            id: message,
            target: None,
            code: known(self.text("code")?),
            message: self.string("message")?,
            hint: self.string("hint")?,
        })
    }

    fn connection(&self) -> Option<Report> {
        if self.text("state")? == "online" {
            return Some(Report::Online);
        }
        let said = self.string("message").unwrap_or_default();
        let cause = match self.text("code") {
            Some("not-openchat") => DialError::NotOpenchat,
            _ => DialError::Unreachable(said),
        };
        Some(Report::Offline { cause, retry: Duration::ZERO })
    }

    fn summary(&self) -> Option<Summary> {
        let target: Target = self.parsed("target")?;
        let stage = self.text("stage")?;
        Some(Summary {
            target,
            kind: KINDS
                .into_iter()
                .find(|it| standing::kind(*it) == self.text("kind").unwrap_or_default())?,
            group: self.text("group").and_then(hex).map(GroupId),
            standing: standing_of(stage)?,
            inviter: self.name("by"),
            epoch: Epoch(self.number("epoch")?),
            rules: self.rules(),
            members: self.members()?,
            invited: self.names("invited")?,
            queued: usize::try_from(self.number("queued")?).ok()?,
            stopped: stage == "stopped",
            former: self.name("former"),
        })
    }

    fn contact(&self) -> Option<Contact> {
        Some(Contact {
            name: self.name("name")?,
            key: Fingerprint(hex(self.text("fingerprint")?)?),
            trust: trust::of_word(self.text("trust")?)?,
            number: self.parsed("number")?,
            text: self.string("qr")?,
        })
    }

    fn end(&self) -> Option<GuestEnd> {
        let taken = self.0.get("taken")?.as_array()?.iter().filter_map(Value::as_u64).collect();
        let lost = usize::try_from(self.number("lost")?).ok()?;
        Some(GuestEnd { taken, lost, halted: self.flag("halted") })
    }

    fn members(&self) -> Option<Vec<MemberView>> {
        let members = self.0.get("members")?.as_array()?.iter();
        members.map(|member| Fields(member.as_object()?).view()).collect()
    }

    fn view(&self) -> Option<MemberView> {
        Some(MemberView {
            name: self.name("name")?,
            me: self.flag("me"),
            trust: trust::of_word(self.text("trust")?)?,
            role: standing::role_of(self.text("role")?).ok()?,
            claimed: self.flag("claimed"),
            online: self.flag("online"),
        })
    }

    fn rules(&self) -> Option<Rules> {
        let join = standing::joining_of(self.text("join")?).ok()?;
        Some(Rules { join, invite: standing::inviting_of(self.text("invite")?).ok()? })
    }

    fn change(&self) -> Option<MemberChange> {
        let word = self.text("change")?;
        CHANGES.into_iter().find(|change| change.as_str() == word)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn small(&self, name: &str) -> Option<u32> {
        self.number(name)?.try_into().ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn seq(&self, name: &str) -> Option<Seq> {
        self.number(name).map(Seq)
    }

    fn id(&self, name: &str) -> Option<MessageId> {
        hex(self.text(name)?).map(MessageId)
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn name(&self, name: &str) -> Option<Name> {
        self.parsed(name)
    }

    fn names(&self, name: &str) -> Option<Vec<Name>> {
        let names = self.0.get(name)?.as_array()?.iter();
        names.map(|name| name.as_str()?.parse().ok()).collect()
    }

    fn time(&self, name: &str) -> Option<UnixMillis> {
        time(self.text(name)?)
    }
}

/// A time as RFC 3339 writes it.
pub(crate) fn time(text: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

/// Bytes in hexadecimal.
pub(crate) fn hex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The code for as long as this process runs. There are few, and the other process is this person's.
fn known(code: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    kept(code, &mut CODES.lock().unwrap_or_else(PoisonError::into_inner))
}

fn kept(code: &str, codes: &mut BTreeSet<&'static str>) -> &'static str {
    if let Some(found) = codes.get(code) {
        return found;
    }
    if codes.len() >= MOST_CODES {
        return "other";
    }
    let kept: &'static str = Box::leak(code.to_owned().into_boxed_str());
    codes.insert(kept);
    kept
}

const KINDS: [ConversationKind; 4] = [
    ConversationKind::Open,
    ConversationKind::Closed,
    ConversationKind::Direct,
    ConversationKind::Unknown,
];

fn standing_of(stage: &str) -> Option<Standing> {
    Some(match stage {
        "member" | "stopped" => Standing::Member,
        "invited" => Standing::Invited,
        "entering" => Standing::Entering,
        "out" => Standing::Out,
        "halted" => Standing::Halted,
        _ => return None,
    })
}

const CHANGES: [MemberChange; 12] = [
    MemberChange::Joined,
    MemberChange::Rejoined,
    MemberChange::Added,
    MemberChange::Invited,
    MemberChange::Declined,
    MemberChange::Left,
    MemberChange::Removed,
    MemberChange::Revoked,
    MemberChange::Claimed,
    MemberChange::Admin,
    MemberChange::Member,
    MemberChange::Lifted,
];

const ALARMS: [AlarmCode; 16] = [
    AlarmCode::HistoryFork,
    AlarmCode::ReceiptMismatch,
    AlarmCode::HeldBack,
    AlarmCode::LogRollback,
    AlarmCode::Uncertified,
    AlarmCode::UnknownEntry,
    AlarmCode::InvalidCommit,
    AlarmCode::BadCommit,
    AlarmCode::Clone,
    AlarmCode::Equivocation,
    AlarmCode::ForgedPrekey,
    AlarmCode::KeyChanged,
    AlarmCode::SplitView,
    AlarmCode::LogIrregular,
    AlarmCode::OwnName,
    AlarmCode::Revoked,
];

#[cfg(test)]
mod tests;
