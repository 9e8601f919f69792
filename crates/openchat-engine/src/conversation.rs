//! One conversation: what it is at, and its parts. How it finds its group and gets a seat stands in
//! `membership`, how it commits in `commits`, what it was ordered to do in `tasks`, how it reads its
//! log in `reading`, what commits mean for it in `changes`, what others say about that log in
//! `witness`, how its own messages get there in `sending`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use openchat_crypto::PublicKey;
use openchat_group::{Group, Pending};
use openchat_roster::{Claim, Heartbeat, LeaveEntry, Naming, Seat, Seen, SignedHeartbeat};
use openchat_wire::{
    Blob, Epoch, Fingerprint, Generation, GroupId, GroupName, Name, Seq, UnixMillis, relay::Request,
};
use serde::{Deserialize, Serialize};

use crate::{
    alarms::{Kept, WAY_OUT},
    backlog::Backlog,
    delivered::Marks,
    downloads::Downloads,
    dropped::DroppedRange,
    event::{AlarmCode, MemberView},
    failure::about,
    history::History,
    inbox::Calls,
    invitations::NEVER,
    missed::Missed,
    outbox::Outbox,
    record::{Key, Local},
    said::Said,
    shared::{Ask, Now, Shared},
    target::Target,
    tasks::{Founding, Task},
    timers::{LEAVE_WAIT, LONGEST_REVOCATION_RETRY, Timers},
    transparency::Ticket,
    uploads::Uploads,
    witness::Expected,
};

/// What a conversation is, as far as this device knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum About {
    /// Somebody has told of it, and its creation was not read yet.
    Unknown,
    /// The open group of this name.
    Open(GroupName),
    /// A closed group; its name may be lost.
    Closed(Option<Naming>),
    /// The direct conversation with this person.
    Direct(Name),
    /// A direct conversation with a key of this person that was revoked since. It is over.
    Former(Name),
}

/// What this device's person wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// To be in.
    In,
    /// Nothing yet: somebody else has begun it. Whoever was seated is in; whoever was invited is
    /// asked.
    Told,
    /// To be removed: the request is on its way, or in the log.
    Leaving,
    /// Nothing any more.
    Out,
}

/// What is stored of a conversation beside its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) about: About,
    pub(crate) group: Option<GroupId>,
    pub(crate) wish: Wish,
    /// Who has invited this device.
    pub(crate) inviter: Option<Name>,
}

/// What a conversation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not connected.
    Offline,
    /// Finding out which group it is, or whom to found it with.
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
    /// The person has to answer an invitation.
    Invited,
    /// Not in it, and not wanting to be.
    Out,
    /// Stopped after an alarm, until the process ends.
    Halted,
}

/// Why this device commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Create,
    Join,
    /// Heal, or claim.
    Update,
    Rejoin,
    /// Do what was ordered first.
    Task,
    /// Remove those who have asked to leave.
    Leaves,
    /// Remove those whose keys were revoked.
    Revoked,
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

/// Somebody's request to leave, and when this device sees to it if nobody else has.
#[derive(Debug, Clone)]
pub(crate) struct Leaver {
    pub(crate) entry: LeaveEntry,
    pub(crate) at: UnixMillis,
}

/// What to bear in mind for a while.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each was told or not, independently")]
pub(crate) struct Notes {
    /// What has stopped it, on this connection or an earlier one, and was not seen to be well since.
    pub(crate) halted: Option<Kept>,
    /// The person was told what it has to wait for, or to answer.
    pub(crate) announced: bool,
    /// The person was told that this one's changed key holds back what it writes.
    pub(crate) held: Option<Name>,
    /// The relay does not show the log on this connection, as to somebody who has no seat: the
    /// commits may tell why.
    pub(crate) barred: bool,
    /// The person wants in again who wanted to leave.
    pub(crate) returns: bool,
    /// Nobody has to see to it any more that this device has left.
    pub(crate) released: bool,
    /// How often the log was read again because a letter speaks of more than it shows.
    pub(crate) rereads: u32,
    /// The person was told that the relay can't store what they write.
    pub(crate) unstored: bool,
    /// The person was told that the relay keeps back new entries.
    pub(crate) withheld: bool,
}

#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) local: Local,
    pub(crate) card: Card,
    /// How it is written. The engine sees to it that no two are written alike.
    pub(crate) label: Target,
    pub(crate) group: Option<Group>,
    /// The other one of a direct conversation.
    pub(crate) peer: Option<PublicKey>,
    /// Commits that the relay has refused, newest last, while their place in the log is not taken.
    pub(crate) given_up: Vec<Pending>,
    pub(crate) stage: Stage,
    pub(crate) intent: Option<Intent>,
    /// What the last commit was made for.
    pub(crate) made: Option<Intent>,
    pub(crate) progress: Progress,
    pub(crate) history: History,
    pub(crate) outbox: Outbox,
    pub(crate) uploads: Uploads,
    pub(crate) downloads: Downloads,
    pub(crate) said: Said,
    pub(crate) missed: Missed,
    pub(crate) marks: Marks,
    pub(crate) timers: Timers,
    /// What is to be done, in this order.
    pub(crate) tasks: VecDeque<Task>,
    /// With whom the group is to begin.
    pub(crate) founding: Option<Founding>,
    /// Orders that are done when this device has come in.
    pub(crate) arrivals: Vec<u64>,
    /// Orders that are done when the group has this device's leave request.
    pub(crate) departures: Vec<u64>,
    /// Who has asked to leave and is still there.
    pub(crate) leavers: BTreeMap<Fingerprint, Leaver>,
    pub(crate) notes: Notes,
    /// Entries without a body, since the person was told of some.
    pub(crate) dropped: Option<DroppedRange>,
    /// Whose key was revoked, and when this device removes it if nobody else has.
    pub(crate) revoked: BTreeMap<Fingerprint, UnixMillis>,
    /// Entries that came and were not processed: they wait for the transparency log.
    pub(crate) backlog: Backlog,
    /// The read of the transparency log that the next entry waits for.
    pub(crate) unproven: Option<Ticket>,
    /// The read that the intended commit waits for: it names that head.
    pub(crate) head_asked: Option<Ticket>,
    /// Certificates of people to be brought in that the mirror did not have, and the reads after
    /// which it must.
    pub(crate) claimed_keys: Vec<(Name, Blob, Ticket)>,
    /// The certificate of the other one of two, while the person has not decided about its key.
    pub(crate) undecided: Option<(Name, Blob)>,
    /// The size of the transparency log that this device has last told of here.
    pub(crate) witnessed: u64,
    /// Who was accused of another history already.
    pub(crate) accused: BTreeSet<Fingerprint>,
    /// What somebody has seen and this device has not.
    pub(crate) expected: Option<Expected>,
    /// What the relay has signed of a place that was not read yet.
    pub(crate) claimed: Option<Seen>,
    /// Commits up to here were read on this connection, also those that don't count.
    pub(crate) read_to: Seq,
    /// When the newest entry was read.
    pub(crate) read_at: UnixMillis,
    /// Which commits have added or admitted this device: every letter comes with one.
    pub(crate) calls: Calls,
    /// Where stored commits are, while the group may turn out to be nothing and be forgotten.
    pub(crate) provisional: Vec<Seq>,
    pub(crate) dirty: bool,
    pub(crate) card_dirty: bool,
}

impl Conversation {
    pub(crate) fn new(local: Local, card: Card, label: Target) -> Self {
        let progress = Progress {
            seen: None,
            last_commit: Seq(0),
            healed_at: UnixMillis(0),
            sent: 0,
            logged: None,
            cloned: false,
        };
        Self {
            local,
            card,
            label,
            group: None,
            peer: None,
            given_up: Vec::new(),
            stage: Stage::Offline,
            intent: None,
            made: None,
            progress,
            history: History::default(),
            outbox: Outbox::new(local),
            uploads: Uploads::new(local),
            downloads: Downloads::default(),
            said: Said::new(local),
            missed: Missed::default(),
            marks: Marks::default(),
            timers: Timers::default(),
            tasks: VecDeque::new(),
            founding: None,
            arrivals: Vec::new(),
            departures: Vec::new(),
            leavers: BTreeMap::new(),
            notes: Notes::default(),
            dropped: None,
            backlog: Backlog::default(),
            revoked: BTreeMap::new(),
            unproven: None,
            head_asked: None,
            claimed_keys: Vec::new(),
            undecided: None,
            witnessed: 0,
            accused: BTreeSet::new(),
            expected: None,
            claimed: None,
            read_to: Seq(0),
            read_at: UnixMillis(0),
            calls: Calls::default(),
            provisional: Vec::new(),
            dirty: false,
            card_dirty: true,
        }
    }

    /// The conversation as people write it.
    pub(crate) fn target(&self) -> String {
        self.label.to_string()
    }

    pub(crate) fn id(&self) -> Option<GroupId> {
        self.card.group
    }

    /// The name of a closed group, if it is known.
    pub(crate) const fn naming(&self) -> Option<&Naming> {
        match &self.card.about {
            About::Closed(Some(naming)) => Some(naming),
            _ => None,
        }
    }

    pub(crate) const fn is_direct(&self) -> bool {
        matches!(self.card.about, About::Direct(_))
    }

    pub(crate) fn set_wish(&mut self, now: &mut Now<'_>, wish: Wish) {
        if self.card.wish != wish {
            self.card.wish = wish;
            self.card_dirty = true;
            now.shared.relabel = true;
        }
    }

    pub(crate) fn set_about(&mut self, now: &mut Now<'_>, about: About) {
        if self.card.about != about {
            self.card.about = about;
            self.card_dirty = true;
            now.shared.relabel = true;
        }
    }

    /// This device's seat.
    pub(crate) fn seat(&self, me: &Fingerprint) -> Option<&Seat> {
        self.group.as_ref()?.roster().seat(me)
    }

    pub(crate) fn ask(&self, shared: &mut Shared, ask: Ask, request: Request) {
        shared.ask_for(self.local, ask, request);
    }

    pub(crate) fn alarm(&self, now: &mut Now<'_>, code: AlarmCode, message: &str, hint: &str) {
        let target = self.target();
        let hint = about(hint, &target);
        now.shared.pen.alarm(Some(target), code, message, &hint);
    }

    /// An alarm after which nothing of this group can be believed: no reading, no sending.
    pub(crate) fn halt(&mut self, now: &mut Now<'_>, code: AlarmCode, message: &str, hint: &str) {
        let hint = format!("{hint} {WAY_OUT}");
        self.alarm(now, code, message, &hint);
        self.keep_alarm(now, Kept::new(code, message, &hint));
        self.stage = Stage::Halted;
        self.backlog.clear();
    }

    /// When this conversation has to act by itself: exactly what [`tick`](Self::tick) acts on, so
    /// that no deadline stays in the past.
    pub(crate) fn next_deadline(&self) -> Option<UnixMillis> {
        let timers = &self.timers;
        let always = [timers.retry_at, self.expected.map(Expected::deadline)];
        // While orders wait after a lost race, so does all else that this device would commit.
        let commits = self.may_commit() && timers.work_at.is_none();
        let live = [
            Some(timers.beat_at),
            timers.rejoin_at,
            timers.work_at,
            timers.naming_at,
            timers.mark_at,
            commits.then_some(timers.heal_at),
            timers.claim_at.filter(|_| commits),
            self.next_leave().filter(|_| commits),
            self.next_revocation().filter(|_| commits),
        ];
        let live = live.into_iter().filter(|_| self.stage == Stage::Live);
        let all = always.into_iter().chain(live);
        all.flatten().min().filter(|_| self.stage != Stage::Halted)
    }

    /// Draws nearer what a clock that was set back has put off.
    pub(crate) fn draw_deadlines_near(&mut self, now: UnixMillis) {
        self.timers.draw_near(now);
        if self.progress.healed_at > now {
            self.progress.healed_at = now;
            self.dirty = true;
        }
        for leaver in self.leavers.values_mut().filter(|leaver| leaver.at != NEVER) {
            leaver.at = leaver.at.min(now.after(LEAVE_WAIT));
        }
        for at in self.revoked.values_mut() {
            *at = (*at).min(now.after(LONGEST_REVOCATION_RETRY));
        }
        self.expected = self.expected.map(|expected| expected.draw_near(now));
    }

    pub(crate) fn disconnected(&mut self) {
        if self.stage != Stage::Halted {
            self.stage = Stage::Offline;
        }
        (self.intent, self.head_asked, self.unproven) = (None, None, None);
        self.claimed_keys.clear();
        self.undecided = None;
        (self.notes.barred, self.notes.rereads) = (false, 0);
        self.forget_asked();
        self.claimed = None;
        self.read_to = Seq(0);
        self.backlog.clear();
        self.outbox.disconnected();
        self.marks.disconnected();
    }

    pub(crate) fn members(&self, shared: &Shared) -> Vec<MemberView> {
        let view = |seat: &Seat| {
            let trust = shared.trust(&seat.name, &seat.fingerprint);
            let (me, claimed) = (seat.fingerprint == shared.me, seat.claim == Claim::Claimed);
            let online = me || self.marks.is_present(&seat.fingerprint);
            let (name, role) = (seat.name.clone(), seat.role);
            MemberView { name, me, trust, role, claimed, online }
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

    /// Whether a claim, or the removal of somebody who leaves, is due soon or on its way.
    pub(crate) fn owes_commit(&self) -> bool {
        let on_its_way = self.group.as_ref().is_some_and(|group| group.pending().is_some());
        let removes = self.next_leave().or(self.next_revocation()).is_some();
        let due = self.timers.claim_at.is_some() || removes;
        self.stage == Stage::Live && (due || on_its_way)
    }

    /// Whether it is no more than an order, which goes with the process: what is left of it would
    /// begin another group than the one that was ordered.
    fn is_plan(&self) -> bool {
        let is_ordered = self.founding.as_ref().is_some_and(|founding| founding.must_be_new);
        is_ordered && self.card.group.is_none() && self.outbox.is_empty()
    }

    /// Writes what changed since the last time.
    pub(crate) fn save(&mut self, shared: &mut Shared) {
        if !self.is_plan() && core::mem::take(&mut self.card_dirty) {
            shared.pen.put(Key::conversation(self.local), &self.card);
        }
        let Some(group) = &mut self.group else { return };
        let id = *group.roster().group();
        for (part, value) in group.take_changes() {
            let key = Key::state(id, &part.to_bytes());
            match value {
                Some(value) => shared.pen.put_bytes(key, value.0),
                None => shared.pen.delete(key),
            }
        }
        if core::mem::take(&mut self.dirty) {
            self.progress.seen = group.seen();
            shared.pen.put(Key::progress(id), &self.progress);
        }
    }
}
