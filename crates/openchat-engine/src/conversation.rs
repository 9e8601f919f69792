//! One conversation: what it is at, and its parts. How it gets a seat stands in `membership`, how
//! it reads its log in `reading`.

use std::collections::{BTreeSet, VecDeque};

use openchat_group::{Content, ContentKind, Group};
use openchat_roster::{Heartbeat, LogEntry, Seat, Seen, SignedHeartbeat};
use openchat_wire::{
    Blob, Epoch, Fingerprint, GroupId, GroupName, MessageId, Seq, UnixMillis,
    limits::MAX_TEXT,
    relay::{Answer, Refusal, Request},
};
use serde::{Deserialize, Serialize};

use crate::{
    event::{AlarmCode, Event, MemberView},
    history::History,
    outbox::{Outbox, Outgoing},
    record::Key,
    shared::{Ask, Now, Shared},
    timers::Timers,
};

/// Messages sent and not answered at once: enough to fill a round trip.
const MAX_IN_FLIGHT: usize = 256;

/// What a conversation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not connected.
    Offline,
    /// Finding out which group has the name.
    Finding,
    /// The commit that creates the group is on its way.
    Creating,
    /// Reading commits; `complete` when the relay had no more.
    Reading { complete: bool },
    /// The commit that takes a seat is on its way.
    Joining,
    /// Waiting for the log hash at the own seat.
    Seating,
    /// Reading everything up to where the log ended when reading began.
    Syncing { target: Option<Seq> },
    /// At the end of the log.
    Live,
    /// Stopped for good, after an alarm.
    Halted,
}

/// Why this device commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Create,
    Join,
    Update,
    Rejoin,
}

/// What is stored beside the group's own state.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Where reading everything has come to; `None` while only commits are read.
    pub(crate) seen: Option<Seen>,
    /// The last commit that was read.
    pub(crate) last_commit: Seq,
    /// When this device last renewed its keys.
    pub(crate) healed_at: UnixMillis,
    /// Messages of its own since then.
    pub(crate) sent: u64,
    /// This device's identity rejoined without it: it waits for its person.
    pub(crate) cloned: bool,
}

#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) name: GroupName,
    pub(crate) group: Option<Group>,
    pub(crate) stage: Stage,
    pub(crate) intent: Option<Intent>,
    pub(crate) progress: Progress,
    pub(crate) history: History,
    pub(crate) outbox: Outbox,
    pub(crate) timers: Timers,
    /// Entries that came and were not processed: they wait for a certificate.
    pub(crate) backlog: VecDeque<(Seq, Blob)>,
    pub(crate) waits_for: BTreeSet<Fingerprint>,
    /// Who was accused of another history already.
    pub(crate) accused: BTreeSet<Fingerprint>,
    /// The farthest place that somebody has seen and this device has not, and until when.
    pub(crate) expected: Option<(Seq, UnixMillis)>,
    /// Epochs whose ratchets are stored, and those that changed since.
    pub(crate) stored_epochs: BTreeSet<Epoch>,
    pub(crate) dirty_epochs: BTreeSet<Epoch>,
    pub(crate) dirty: bool,
}

impl Conversation {
    pub(crate) fn new(name: GroupName) -> Self {
        let progress = Progress {
            seen: None,
            last_commit: Seq(0),
            healed_at: UnixMillis(0),
            sent: 0,
            cloned: false,
        };
        Self {
            name,
            group: None,
            stage: Stage::Offline,
            intent: None,
            progress,
            history: History::default(),
            outbox: Outbox::default(),
            timers: Timers::default(),
            backlog: VecDeque::new(),
            waits_for: BTreeSet::new(),
            accused: BTreeSet::new(),
            expected: None,
            stored_epochs: BTreeSet::new(),
            dirty_epochs: BTreeSet::new(),
            dirty: false,
        }
    }

    /// The conversation as people write it.
    pub(crate) fn target(&self) -> String {
        format!("#{}", self.name)
    }

    pub(crate) fn id(&self) -> Option<GroupId> {
        self.group.as_ref().map(|group| *group.roster().group())
    }

    pub(crate) fn ask(&self, shared: &mut Shared, ask: Ask, request: Request) {
        shared.ask_for(&self.name, ask, request);
    }

    pub(crate) fn alarm(&self, now: &mut Now<'_>, code: AlarmCode, message: &str, hint: &str) {
        now.shared.pen.alarm(Some(self.target()), code, message, hint);
    }

    /// An alarm after which nothing of this group can be believed: no reading, no sending.
    pub(crate) fn halt(&mut self, now: &mut Now<'_>, code: AlarmCode, message: &str, hint: &str) {
        self.alarm(now, code, message, hint);
        self.stage = Stage::Halted;
        self.backlog.clear();
    }

    pub(crate) fn disconnected(&mut self) {
        if self.stage != Stage::Halted {
            self.stage = Stage::Offline;
        }
        self.intent = None;
        self.backlog.clear();
        self.waits_for.clear();
        self.outbox.disconnected();
    }

    /// Puts a text into the outbox and sends what can be sent.
    pub(crate) fn send(&mut self, now: &mut Now<'_>, id: MessageId, text: String) {
        if text.len() > MAX_TEXT {
            return fail(
                now,
                id,
                "too-long",
                &format!("the text has {} bytes, the limit is {MAX_TEXT}", text.len()),
                "Nothing was sent. Send it in parts.",
            );
        }
        if self.outbox.contains(id) {
            return;
        }
        let body = Blob(text.into_bytes());
        let content = Content { time: now.time, kind: ContentKind::TEXT, body };
        let outgoing = Outgoing { id, content, sealed: None };
        self.outbox.push(&mut now.shared.pen, &self.name, outgoing);
        self.flush(now);
    }

    /// Seals and sends what waits, as far as the group's state allows.
    pub(crate) fn flush(&mut self, now: &mut Now<'_>) {
        if self.stage != Stage::Live || self.progress.cloned {
            return;
        }
        while let Some((id, entry)) = self.next_sealed(now) {
            let Some(log) = self.id() else { return };
            let append = Request::Append { log, entry };
            self.ask(now.shared, Ask::Message(id), append);
        }
    }

    fn next_sealed(&mut self, now: &mut Now<'_>) -> Option<(MessageId, Blob)> {
        let group = self.group.as_mut().filter(|group| !group.is_left_behind())?;
        let outgoing = self.outbox.next(MAX_IN_FLIGHT)?;
        let id = outgoing.id;
        if let Some(sealed) = &outgoing.sealed {
            return Some((id, sealed.clone()));
        }
        let sealed = group.seal(&now.shared.device.key, id, &outgoing.content).ok()?;
        let epoch = sealed.header.epoch;
        let entry = Blob(LogEntry::Message(sealed).to_bytes());
        outgoing.sealed = Some(entry.clone());
        self.outbox.save(&mut now.shared.pen, &self.name, id);
        self.dirty_epochs.insert(epoch);
        self.dirty = true;
        self.progress.sent = self.progress.sent.saturating_add(1);
        Some((id, entry))
    }

    /// What came of a message.
    pub(crate) fn message_answered(
        &mut self,
        now: &mut Now<'_>,
        id: MessageId,
        answer: Result<Answer, Refusal>,
    ) {
        match answer {
            Ok(Answer::Appended(seq)) => self.acked(now, id, seq),
            Err(Refusal::Stale) => {
                self.outbox.again(&mut now.shared.pen, &self.name, id, true);
            }
            Err(Refusal::Paced { retry_ms }) => {
                self.outbox.again(&mut now.shared.pen, &self.name, id, false);
                self.timers.retry(now.time, retry_ms, now.rng);
            }
            Err(Refusal::Internal) | Ok(_) => {
                self.outbox.again(&mut now.shared.pen, &self.name, id, false);
                self.timers.retry(now.time, 1_000, now.rng);
            }
            Err(refusal) => {
                self.outbox.take(&mut now.shared.pen, &self.name, id);
                let why = format!("the server refused the message: {refusal}");
                fail(now, id, "refused", &why, "Run 'openchat status', then send it again.");
            }
        }
    }

    pub(crate) fn acked(&mut self, now: &mut Now<'_>, id: MessageId, seq: Seq) {
        if self.outbox.ack(id) {
            now.shared.pen.event(Event::Ack { id, seq });
        }
    }

    pub(crate) fn members(&self, shared: &Shared) -> Vec<MemberView> {
        let view = |seat: &Seat| {
            let key = seat.key.fingerprint();
            let trust = shared.trust(&seat.name, &key);
            MemberView { name: seat.name.clone(), me: key == shared.me, trust }
        };
        let roster = self.group.as_ref().map(Group::roster);
        roster.map(|roster| roster.seats().map(view).collect()).unwrap_or_default()
    }

    /// Tells the others how far this device has read.
    pub(crate) fn beat(&mut self, now: &mut Now<'_>) {
        self.timers.beaten(now.time, now.rng);
        let Some(group) = &self.group else { return };
        let Some(seen) = group.seen() else { return };
        let roster = group.roster();
        let heartbeat = Heartbeat {
            author: now.shared.me,
            group: *roster.group(),
            epoch: roster.epoch(),
            interim: *roster.interim(),
            seen,
        };
        let beat = SignedHeartbeat::sign(&heartbeat, &now.shared.device.key).to_bytes();
        let request = Request::Heartbeat { log: *roster.group(), beat };
        self.ask(now.shared, Ask::Courtesy, request);
    }

    /// Writes what changed since the last time.
    pub(crate) fn save(&mut self, shared: &mut Shared) {
        if !core::mem::take(&mut self.dirty) {
            return;
        }
        let Some(group) = &self.group else { return };
        let id = *group.roster().group();
        self.progress.seen = group.seen();
        shared.pen.put(Key::progress(id), &self.progress);
        match group.secrets() {
            Some(secrets) => shared.pen.put(Key::secrets(id), secrets),
            None => shared.pen.delete(Key::secrets(id)),
        }
        match group.pending() {
            Some(pending) => shared.pen.put(Key::pending(id), pending),
            None => shared.pen.delete(Key::pending(id)),
        }
        let kept: BTreeSet<Epoch> = group.epochs().collect();
        for gone in self.stored_epochs.difference(&kept) {
            shared.pen.delete(Key::ratchets(id, *gone));
        }
        let changed = kept.difference(&self.stored_epochs).chain(&self.dirty_epochs);
        for epoch in changed {
            if let Some(ratchets) = group.ratchets(*epoch) {
                shared.pen.put(Key::ratchets(id, *epoch), ratchets);
            }
        }
        self.stored_epochs = kept;
        self.dirty_epochs.clear();
    }
}

/// What was asked for can't be done.
fn fail(now: &mut Now<'_>, id: MessageId, code: &'static str, message: &str, hint: &str) {
    let (message, hint) = (message.to_owned(), hint.to_owned());
    now.shared.pen.event(Event::Failed { id: Some(id), code, message, hint });
}
