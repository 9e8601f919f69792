//! How a conversation finds its group, takes a seat, keeps it and gets it back.

use openchat_group::{Group, Pending};
use openchat_roster::{CommitFault, Policy, Seen};
use openchat_wire::{
    Blob, GroupId,
    relay::{Answer, Refusal, Request},
};

use crate::{
    conversation::{Conversation, Intent, Stage},
    event::{AlarmCode, Event},
    reading::ANOTHER_COPY,
    record::Key,
    shared::{ASK_OPERATOR, Ask, Asked, Now},
};

/// Refused commits kept for one place. Each further try takes some seconds, so an honest relay
/// has long shown what became of the first.
const MAX_GIVEN_UP: usize = 4;

impl Conversation {
    /// Goes on from whatever is stored, on a new connection.
    pub(crate) fn start(&mut self, now: &mut Now<'_>) {
        if self.stage == Stage::Halted || !now.shared.online {
            return;
        }
        self.timers.arm(self.progress.healed_at, now.time, now.rng);
        let Some(group) = &self.group else {
            self.stage = Stage::Finding;
            return self.ask(now.shared, Ask::Find, Request::FindGroup(self.name.clone()));
        };
        if group.roster().policy().is_none() && group.pending().is_some() {
            self.stage = Stage::Creating;
            self.resend_commit(now);
        } else if group.is_seated() && group.seen().is_some() {
            self.tail(now);
        } else if group.is_seated() && group.secrets().is_some() {
            self.ask_seat_receipt(now);
        } else {
            self.read_on(now);
        }
    }

    /// The relay knows, or does not know, a group of this name.
    pub(crate) fn found(&mut self, now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
        if self.stage != Stage::Finding {
            return;
        }
        match answer {
            Ok(Answer::Group(id)) => self.enter(now, *id),
            Err(Refusal::NotFound) => self.intend(now, Intent::Create),
            _ => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// Begins to read a group's commits from the start.
    fn enter(&mut self, now: &mut Now<'_>, id: GroupId) {
        let mut group = Group::new(id, now.shared.me);
        group.read_commits_only();
        self.group = Some(group);
        self.dirty = true;
        now.shared.pen.put(Key::group_name(&self.name), &id);
        self.read_on(now);
    }

    pub(crate) fn read_on(&mut self, now: &mut Now<'_>) {
        let Some(log) = self.id() else { return };
        self.stage = Stage::Reading { complete: false };
        self.backlog.clear();
        self.read_to = self.read_to.max(self.progress.last_commit);
        let request = Request::ReadCommits { log, after: self.read_to };
        self.ask(now.shared, Ask::Read, request);
    }

    /// Commits have come; [`Conversation::process`] works through them.
    pub(crate) fn read_answered(&mut self, now: &mut Now<'_>, answer: Result<Answer, Refusal>) {
        if !matches!(self.stage, Stage::Reading { .. }) {
            return;
        }
        match answer {
            Ok(Answer::Entries { entries, complete })
                if complete || entries.iter().any(|(seq, _)| *seq > self.read_to) =>
            {
                self.stage = Stage::Reading { complete };
                for (seq, entry) in entries {
                    self.ask_certificate(now, &entry);
                    self.backlog.push(seq, entry);
                }
                self.process(now);
            }
            // No answer, or one after which reading would go on for ever at the same place.
            _ => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// All commits that came were processed: read on, take a seat, or begin to read everything.
    pub(crate) fn commits_processed(&mut self, now: &mut Now<'_>) {
        let Some(group) = &self.group else { return };
        // Whoever has its seat's secrets begins right there. Whoever has lost them reads all
        // commits first, because it will come back at the tail.
        let seated = group.is_seated();
        if seated && group.secrets().is_some() {
            return self.ask_seat_receipt(now);
        }
        match self.stage {
            Stage::Reading { complete: true } if seated => self.ask_seat_receipt(now),
            // Made before a crash, or logged and not shown. No hurry, so that a relay that does
            // the latter keeps nobody busy.
            Stage::Reading { complete: true } if group.pending().is_some() => {
                self.stage = Stage::Joining;
                self.timers.retry(now.time, 0, now.rng);
            }
            Stage::Reading { complete: true } => self.intend(now, Intent::Join),
            Stage::Reading { complete: false } => self.read_on(now),
            _ => {}
        }
    }

    fn ask_seat_receipt(&mut self, now: &mut Now<'_>) {
        let Some(log) = self.id() else { return };
        self.stage = Stage::Seating;
        self.backlog.clear();
        let request = Request::Receipt { log, at: Some(self.progress.last_commit) };
        self.ask(now.shared, Ask::SeatReceipt, request);
    }

    /// The log hash at the own seat, as the relay signs it: from here everything is read.
    pub(crate) fn seated(&mut self, now: &mut Now<'_>, answer: Result<Answer, Refusal>) {
        if self.stage != Stage::Seating {
            return;
        }
        let Ok(Answer::Receipt(signed)) = answer else {
            return self.timers.retry(now.time, 1_000, now.rng);
        };
        let Some(receipt) = self.checked_receipt(now, &signed) else { return };
        let Some(group) = &mut self.group else { return };
        let roster = group.roster();
        let fits = receipt.seq == self.progress.last_commit
            && receipt.epoch == roster.epoch()
            && receipt.interim == *roster.interim();
        if !fits {
            let message = "the relay's receipt for this device's seat is about another history";
            return self.halt(now, AlarmCode::ReceiptMismatch, message, ASK_OPERATOR);
        }
        let seen = Seen { seq: receipt.seq, log_hash: receipt.log_hash };
        group.begin_reading(seen);
        self.history.restart(&mut now.shared.pen, receipt.group, seen);
        self.came(now, seen.seq);
        self.dirty = true;
        self.tail(now);
    }

    /// Asks for every entry from here on, and for where the log ends now.
    pub(crate) fn tail(&mut self, now: &mut Now<'_>) {
        let Some(group) = &self.group else { return };
        let Some(seen) = group.seen() else { return };
        let log = *group.roster().group();
        self.stage = Stage::Syncing { from: seen.seq, target: None };
        self.ask(now.shared, Ask::Tail, Request::Tail { log, after: seen.seq });
        self.ask(now.shared, Ask::TailReceipt, Request::Receipt { log, at: None });
    }

    /// Where the relay says the log ends.
    pub(crate) fn tail_known(&mut self, now: &mut Now<'_>, answer: Result<Answer, Refusal>) {
        let Stage::Syncing { from, .. } = self.stage else { return };
        let Ok(Answer::Receipt(signed)) = answer else {
            return self.timers.retry(now.time, 1_000, now.rng);
        };
        let Some(receipt) = self.checked_receipt(now, &signed) else { return };
        if receipt.seq < from {
            let message = "the relay has taken back entries that it had shown before";
            return self.halt(now, AlarmCode::ReceiptMismatch, message, ASK_OPERATOR);
        }
        if self.agrees(now, &receipt) {
            self.stage = Stage::Syncing { from, target: Some(receipt.seq) };
            self.check_synced(now);
        }
    }

    pub(crate) fn check_synced(&mut self, now: &mut Now<'_>) {
        let Stage::Syncing { target: Some(target), .. } = self.stage else { return };
        let Some(group) = &self.group else { return };
        if group.seen().is_none_or(|seen| seen.seq < target) || !group.is_seated() {
            return;
        }
        self.stage = Stage::Live;
        let epoch = group.roster().epoch();
        let (target, members) = (self.target(), self.members(now.shared));
        now.shared.pen.event(Event::Ready { target, epoch, members });
        if self.progress.cloned {
            let message = "somebody else has used your identity here; this device sends nothing";
            self.alarm(now, AlarmCode::Clone, message, ANOTHER_COPY);
        }
        self.forget_refused(now);
        self.come_back_if_left_behind(now);
        self.resend_commit(now);
        self.flush(now);
    }

    /// Waits a little for somebody's rejoin to bring this device back, then rejoins itself.
    pub(crate) fn come_back_if_left_behind(&mut self, now: &mut Now<'_>) {
        if self.may_rejoin() {
            self.timers.rejoin(now.time, now.rng);
        } else {
            self.timers.rejoin_at = None;
        }
    }

    /// Commits as soon as there is a fresh transparency head to name.
    pub(crate) fn intend(&mut self, now: &mut Now<'_>, intent: Intent) {
        if self.intent.is_none() {
            self.intent = Some(intent);
            self.ask(now.shared, Ask::HeadForCommit, Request::Head);
        }
    }

    /// The head has come: makes the commit, stores it, sends it.
    pub(crate) fn commit_intended(&mut self, now: &mut Now<'_>) {
        let Some(intent) = self.intent.take().filter(|intent| self.still_wants(*intent)) else {
            return;
        };
        match self.make_commit(now, intent) {
            Some(Ok(entry)) => self.send_commit(now, entry),
            Some(Err(_)) | None => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// Whether what was intended when the head was asked for still makes sense.
    fn still_wants(&self, intent: Intent) -> bool {
        match intent {
            Intent::Create => self.stage == Stage::Finding,
            Intent::Join => matches!(self.stage, Stage::Reading { complete: true }),
            Intent::Update => self.may_heal(),
            Intent::Rejoin => self.may_rejoin(),
        }
    }

    fn make_commit(
        &mut self,
        now: &mut Now<'_>,
        intent: Intent,
    ) -> Option<Result<Blob, CommitFault>> {
        let author = now.shared.author()?;
        let mut rng = &mut *now.rng;
        self.dirty = true;
        if intent == Intent::Create {
            let policy = Policy::Open { name: self.name.clone() };
            match Group::create(&author, policy, &mut rng) {
                Ok(group) => self.group = Some(group),
                Err(fault) => return Some(Err(fault)),
            }
            self.stage = Stage::Creating;
            let id = self.id()?;
            now.shared.pen.put(Key::group_name(&self.name), &id);
            return self.pending_entry().map(Ok);
        }
        let group = self.group.as_mut()?;
        let pending = match intent {
            Intent::Join => group.join(&author, &mut rng),
            Intent::Update => group.update(&author, &mut rng),
            Intent::Rejoin | Intent::Create => group.rejoin(&author, &mut rng),
        };
        if intent == Intent::Join {
            self.stage = Stage::Joining;
        }
        Some(pending.map(|pending| pending.entry.clone()))
    }

    fn pending_entry(&self) -> Option<Blob> {
        let pending: &Pending = self.group.as_ref()?.pending()?;
        Some(pending.entry.clone())
    }

    fn send_commit(&self, now: &mut Now<'_>, entry: Blob) {
        if let Some(log) = self.id() {
            self.ask(now.shared, Ask::Commit, Request::Append { log, entry });
        }
    }

    /// Sends the pending commit, if there is one, as the same bytes.
    pub(crate) fn resend_commit(&mut self, now: &mut Now<'_>) {
        if let Some(entry) = self.pending_entry() {
            self.send_commit(now, entry);
        }
    }

    /// What the relay says about the pending commit. Only the log decides; this says where to look.
    pub(crate) fn commit_answered(&mut self, now: &mut Now<'_>, answer: Result<Answer, Refusal>) {
        match (answer, self.stage) {
            (Ok(Answer::Appended(seq)), Stage::Creating) => {
                self.expect(now, seq);
                self.tail(now);
            }
            (Ok(Answer::Appended(seq)), Stage::Joining) => {
                self.expect(now, seq);
                self.read_on(now);
            }
            (Err(Refusal::Conflict { seq, .. }), Stage::Joining) => {
                self.expect(now, seq);
                // Others are joining too: read what they did, but not all at the same moment.
                self.stage = Stage::Reading { complete: false };
                self.timers.lost_race(now.time, now.rng);
            }
            (Err(Refusal::NameTaken(id)), Stage::Creating) => self.replace_group(now, id),
            (Ok(Answer::Appended(seq)) | Err(Refusal::Conflict { seq, .. }), Stage::Live) => {
                self.expect(now, seq);
            }
            (Err(Refusal::Paced { retry_ms }), _) => {
                self.timers.retry(now.time, retry_ms, now.rng);
            }
            (Err(Refusal::Invalid(_) | Refusal::NoAccess), _) => {
                self.forget_commit(now);
                self.timers.retry(now.time, 1_000, now.rng);
            }
            (_, _) => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// An honest relay's "invalid" is final: the head was too old, for one. So the next try draws
    /// afresh; but only the log decides, and until the place is taken the commit may still show up.
    fn forget_commit(&mut self, now: &mut Now<'_>) {
        if self.stage == Stage::Creating {
            self.forget_group(now);
        } else if let Some(group) = &mut self.group
            && let Some(pending) = group.drop_pending()
        {
            self.dirty = true;
            if self.given_up.len() >= MAX_GIVEN_UP {
                self.given_up.remove(0);
            }
            self.given_up.push(pending);
            self.save_given_up(now);
        }
    }

    /// The log shows a commit. If it is one that was given up, it counts as pending again.
    pub(crate) fn take_up(&mut self, now: &mut Now<'_>, entry: &Blob) {
        let found = self.given_up.iter().position(|pending| pending.entry == *entry);
        if let (Some(at), Some(group)) = (found, &mut self.group) {
            group.take_up(self.given_up.remove(at));
            self.save_given_up(now);
        }
    }

    /// The place is taken: nothing that was made for it can come any more.
    pub(crate) fn forget_given_up(&mut self, now: &mut Now<'_>) {
        if !core::mem::take(&mut self.given_up).is_empty() {
            self.save_given_up(now);
        }
    }

    fn save_given_up(&self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        match &self.given_up[..] {
            [] => now.shared.pen.delete(Key::given_up(id)),
            some => now.shared.pen.put(Key::given_up(id), &some),
        }
    }

    /// Forgets a group that never came to be, and deletes what was stored of it.
    pub(crate) fn forget_group(&mut self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        let pen = &mut now.shared.pen;
        pen.delete(Key::group_name(&self.name));
        pen.delete(Key::progress(id));
        pen.delete(Key::pending(id));
        self.stored_epochs.clear();
        self.group = None;
    }

    /// K2: two names can't mean one group; a relay that says so would have one conversation's
    /// texts sealed for the other's members.
    pub(crate) fn refuse_group(&mut self, now: &mut Now<'_>) {
        let message = "the relay gives this name a group that has another name here";
        self.halt(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
    }

    /// Somebody else's group has the name: ours never was.
    fn replace_group(&mut self, now: &mut Now<'_>, id: GroupId) {
        self.forget_group(now);
        self.enter(now, id);
    }

    /// The time has come for what this conversation does by itself.
    pub(crate) fn tick(&mut self, now: &mut Now<'_>) {
        if !now.shared.online || self.stage == Stage::Halted {
            return;
        }
        if self.timers.retry_at.is_some_and(|at| at <= now.time) {
            self.timers.retry_at = None;
            self.retry(now);
        }
        self.check_expected(now);
        if self.stage != Stage::Live {
            return;
        }
        if self.timers.rejoin_at.is_some_and(|at| at <= now.time) {
            self.timers.rejoin_at = None;
            self.intend(now, Intent::Rejoin);
        }
        let timers = &self.timers;
        let due = timers.heal_at <= now.time || self.progress.sent >= timers.heal_messages;
        if due && self.may_heal() {
            self.timers.heal_tried(now.time, now.rng);
            self.intend(now, Intent::Update);
        }
        if self.timers.beat_at <= now.time {
            self.beat(now);
        }
    }

    fn retry(&mut self, now: &mut Now<'_>) {
        for key in &self.waits_for {
            now.shared.ask(Asked::Certificate(*key), Request::Certificate(*key));
        }
        match self.stage {
            Stage::Live => {
                self.come_back_if_left_behind(now);
                self.resend_commit(now);
                self.send_on(now);
            }
            Stage::Joining if self.pending_entry().is_some() => self.resend_commit(now),
            Stage::Joining => self.read_on(now),
            _ => self.start(now),
        }
    }

    /// Whether this device has to come back, and has not tried already: a second rejoin would
    /// replace the secrets of the first, which the log may be about to show.
    fn may_rejoin(&self) -> bool {
        let Some(group) = &self.group else { return false };
        group.is_left_behind() && group.pending().is_none() && !self.progress.cloned
    }

    /// Whether this device could renew its keys right now.
    pub(crate) fn may_heal(&self) -> bool {
        let Some(group) = &self.group else { return false };
        let free = group.pending().is_none() && self.intent.is_none();
        self.stage == Stage::Live && free && !group.is_left_behind() && !self.progress.cloned
    }
}
