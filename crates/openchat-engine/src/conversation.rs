//! One conversation: what it is at, and its parts. How it gets a seat stands in `membership`, how
//! it reads its log in `reading`, what others say about that log in `witness`, how its own messages
//! get there in `sending`.

use std::collections::BTreeSet;

use openchat_group::{Group, Pending};
use openchat_roster::{Heartbeat, Seat, Seen, SignedHeartbeat};
use openchat_wire::{
    Epoch, Fingerprint, Generation, GroupId, GroupName, Seq, UnixMillis, relay::Request,
};
use serde::{Deserialize, Serialize};

use crate::{
    backlog::Backlog,
    event::{AlarmCode, MemberView},
    history::History,
    outbox::Outbox,
    record::Key,
    shared::{Ask, Now, Shared},
    timers::{HELD_BACK, Timers},
};

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
    /// Reading everything behind `from`, up to where the log ended when reading began.
    Syncing { from: Seq, target: Option<Seq> },
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

/// A message key of this device, by epoch and generation.
pub(crate) type Logged = (Epoch, Generation);

/// What is stored beside the group's own state.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Where reading everything has come to; `None` while only commits are read.
    pub(crate) seen: Option<Seen>,
    /// The last commit that counts.
    pub(crate) last_commit: Seq,
    /// When this device last renewed its keys.
    pub(crate) healed_at: UnixMillis,
    /// Messages of its own since then.
    pub(crate) sent: u64,
    /// The newest of its own message keys that the log has.
    pub(crate) logged: Option<Logged>,
    /// This device's identity rejoined without it: it waits for its person.
    pub(crate) cloned: bool,
}

#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) name: GroupName,
    pub(crate) group: Option<Group>,
    /// Commits that the relay has refused, newest last, while their place in the log is not taken.
    pub(crate) given_up: Vec<Pending>,
    pub(crate) stage: Stage,
    pub(crate) intent: Option<Intent>,
    pub(crate) progress: Progress,
    pub(crate) history: History,
    pub(crate) outbox: Outbox,
    pub(crate) timers: Timers,
    /// Entries that came and were not processed: they wait for a certificate.
    pub(crate) backlog: Backlog,
    pub(crate) waits_for: BTreeSet<Fingerprint>,
    /// Who was accused of another history already.
    pub(crate) accused: BTreeSet<Fingerprint>,
    /// The farthest place that somebody has seen and this device has not, and until when.
    pub(crate) expected: Option<(Seq, UnixMillis)>,
    /// What the relay has signed of a place that was not read yet.
    pub(crate) claimed: Option<Seen>,
    /// Commits up to here were read on this connection, also those that don't count.
    pub(crate) read_to: Seq,
    /// When the newest entry was read.
    pub(crate) read_at: UnixMillis,
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
            logged: None,
            cloned: false,
        };
        Self {
            name,
            group: None,
            given_up: Vec::new(),
            stage: Stage::Offline,
            intent: None,
            progress,
            history: History::default(),
            outbox: Outbox::default(),
            timers: Timers::default(),
            backlog: Backlog::default(),
            waits_for: BTreeSet::new(),
            accused: BTreeSet::new(),
            expected: None,
            claimed: None,
            read_to: Seq(0),
            read_at: UnixMillis(0),
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

    /// When this conversation has to act by itself: exactly what [`tick`](Self::tick) acts on, so
    /// that no deadline stays in the past.
    pub(crate) fn next_deadline(&self) -> Option<UnixMillis> {
        let timers = &self.timers;
        let expected = self.expected.map(|(_, until)| until);
        let live = (self.stage == Stage::Live).then_some(timers.beat_at);
        let rejoin = timers.rejoin_at.filter(|_| self.stage == Stage::Live);
        let heal = self.may_heal().then_some(timers.heal_at);
        let all = [timers.retry_at, expected, live, rejoin, heal];
        all.into_iter().flatten().min().filter(|_| self.stage != Stage::Halted)
    }

    /// Draws nearer what a clock that was set back has put off.
    pub(crate) fn draw_deadlines_near(&mut self, now: UnixMillis) {
        self.timers.draw_near(now);
        if self.progress.healed_at > now {
            self.progress.healed_at = now;
            self.dirty = true;
        }
        let latest = now.after(HELD_BACK);
        self.expected = self.expected.map(|(seq, until)| (seq, until.min(latest)));
    }

    pub(crate) fn disconnected(&mut self) {
        if self.stage != Stage::Halted {
            self.stage = Stage::Offline;
        }
        self.intent = None;
        self.claimed = None;
        self.read_to = Seq(0);
        self.backlog.clear();
        self.waits_for.clear();
        self.outbox.disconnected();
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
