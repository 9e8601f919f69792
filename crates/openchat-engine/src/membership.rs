//! How a conversation takes a seat in its group, and reads on from there.

use openchat_group::Group;
use openchat_roster::{Roster, Seen};
use openchat_wire::{
    Epoch, Fingerprint,
    relay::{Answer, Refusal, Request},
};

use crate::{
    alarms::COPIED,
    backlog::Shown,
    command::Bring,
    conversation::{About, Conversation, Intent, Stage, Wish},
    event::{AlarmCode, Change, Event},
    failure::Failure,
    people::Prospect,
    shared::{ASK_OPERATOR, Ask, Asked, Now},
    tasks::{Deed, Task},
};

pub(crate) const ANOTHER_COPY: &str = "If another copy of this profile is running, stop it: two \
     can't share one key. Then run: openchat group rejoin TARGET";

impl Conversation {
    /// Goes on from whatever is stored, on a new connection.
    pub(crate) fn start(&mut self, now: &mut Now<'_>) {
        if self.stage == Stage::Halted || !now.shared.online {
            return;
        }
        if self.card.wish == Wish::Out {
            self.stage = Stage::Out;
            return;
        }
        self.timers.arm(self.progress.healed_at, now.time, now.rng);
        let Some(group) = &self.group else { return self.find(now) };
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
                    self.backlog.push(seq, Shown::Whole(entry));
                }
                self.process(now);
            }
            Err(Refusal::NoAccess) => self.shut_out(now),
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
        if seated && group.secrets().is_some() && !self.notes.barred {
            return self.ask_seat_receipt(now);
        }
        match self.stage {
            Stage::Reading { complete: true } if seated && self.notes.barred => self.shut_out(now),
            Stage::Reading { complete: true } if seated => self.ask_seat_receipt(now),
            // Made before a crash, or logged and not shown. No hurry, so that a relay that does
            // the latter keeps nobody busy.
            Stage::Reading { complete: true } if group.pending().is_some() => {
                self.stage = Stage::Joining;
                self.timers.retry(now.time, 0, now.rng);
            }
            Stage::Reading { complete: true } => self.ask_in(now),
            Stage::Reading { complete: false } => self.read_on(now),
            _ => {}
        }
    }

    /// Not seated, and everything read: comes in by itself, if it wants to and may.
    fn ask_in(&mut self, now: &mut Now<'_>) {
        let read_to = self.read_to.max(self.progress.last_commit);
        if self.is_contradicted(now, read_to) {
            return;
        }
        if self.id().is_some_and(|id| now.shared.inbox.tells(&id, read_to)) {
            return self.read_again(now);
        }
        let Some(group) = &self.group else { return };
        let (me, name) = (now.shared.me, &now.shared.device.name);
        let may_join = group.roster().may_join(&me, name);
        let is_invited = group.roster().admitted(&me).is_some();
        match self.card.wish {
            Wish::In if may_join => self.intend(now, Intent::Join),
            Wish::In => {
                self.fail_arrivals(now, &Failure::not_invited());
                self.fail_texts(now, &Failure::not_invited());
                self.withdraw(now);
            }
            Wish::Told if is_invited => self.invited(now),
            Wish::Told | Wish::Leaving | Wish::Out => self.withdraw(now),
        }
    }

    pub(crate) fn ask_seat_receipt(&mut self, now: &mut Now<'_>) {
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
        let signed = match answer {
            Ok(Answer::Receipt(signed)) => signed,
            Err(Refusal::NoAccess) => return self.barred(now),
            _ => return self.timers.retry(now.time, 1_000, now.rng),
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

    /// Whether the relay shows the log.
    pub(crate) fn tail_answered(&mut self, now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
        match answer {
            Ok(_) => {}
            Err(Refusal::NoAccess) if matches!(self.stage, Stage::Syncing { .. }) => {
                self.barred(now);
            }
            // Where the log ends counts for nothing if what comes then is not pushed.
            Err(_) => {
                let receipt = Asked::Of(self.local, Ask::TailReceipt);
                now.shared.asked.retain(|_, asked| *asked != receipt);
                self.timers.retry(now.time, 1_000, now.rng);
            }
        }
    }

    /// Removed, it seems: the commits tell, if they may be read.
    fn barred(&mut self, now: &mut Now<'_>) {
        self.notes.barred = true;
        self.read_on(now);
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
        let Some(read) = group.seen().map(|seen| seen.seq) else { return };
        if read < target || !group.is_seated() || self.is_contradicted(now, read) {
            return;
        }
        self.stage = Stage::Live;
        self.forget_alarm(now);
        let Some(group) = &self.group else { return };
        let epoch = group.roster().epoch();
        self.founding = None;
        let was_told = self.card.wish == Wish::Told;
        let (id, count) = (*group.roster().group(), group.roster().tree().members());
        self.provisional.clear();
        now.shared.inbox.forget_to(&mut now.shared.pen, &id, read);
        if was_told {
            self.tell_added(now, epoch, count);
        }
        let (target, members) = (self.target(), self.members(now.shared));
        now.shared.pen.event(Event::Ready { target, epoch, members });
        self.tell_dropped(now);
        for order in core::mem::take(&mut self.arrivals) {
            self.done(now, Some(order));
        }
        if self.progress.cloned {
            self.alarm(now, AlarmCode::Clone, COPIED, ANOTHER_COPY);
        }
        self.plan_revocations(now);
        self.forget_refused(now);
        self.come_back_if_left_behind(now);
        self.resend_commit(now);
        self.postpone_leaves(now);
        if !self.departures.is_empty() {
            self.set_wish(now, Wish::Leaving);
        }
        if self.card.wish == Wish::Leaving && !self.leavers.contains_key(&now.shared.me) {
            self.resend_leave(now);
        }
        self.flush(now);
        self.ask_for_name(now);
        self.work(now);
    }

    /// Somebody has seated this device, which has not asked for it.
    fn tell_added(&mut self, now: &mut Now<'_>, epoch: Epoch, count: u32) {
        self.set_wish(now, Wish::In);
        if let Some(by) = self.card.inviter.clone() {
            let (target, name) = (self.target(), now.shared.device.name.clone());
            let (change, by) = (Change::Added, Some(by));
            now.shared.pen.event(Event::Member { target, name, change, by, epoch, count });
        }
    }

    /// In a direct conversation what is written has nobody to read it while the other one has no
    /// seat. Whose key was revoked does not come back because somebody types.
    pub(crate) fn bring_peer_back(&mut self, now: &mut Now<'_>) {
        let About::Direct(name) = self.card.about.clone() else { return };
        let has_task = self.tasks.iter().any(|task| matches!(task.deed, Deed::Bring(_)));
        if !self.is_alone() || self.outbox.is_empty() || has_task {
            return;
        }
        let me = now.shared.me;
        let denies = |roster: &Roster| {
            let is_peer = |it: &Fingerprint| roster.policy().is_some_and(|is| is.is_peer(it));
            roster.all_denied().any(|it| it.fingerprint != me && is_peer(&it.fingerprint))
        };
        if self.group.as_ref().map(Group::roster).is_some_and(denies) {
            return self.fail_texts(now, &Failure::denied_peer(&name));
        }
        let prospect = Prospect::new(name, Bring::Add).with(self.peer);
        self.tasks.push_back(Task::new(None, Deed::Bring(Box::new(prospect))));
    }

    /// Whether the other one of a direct conversation has no seat.
    pub(crate) fn is_alone(&self) -> bool {
        let is_one = || self.group.as_ref().is_none_or(|it| it.roster().tree().members() < 2);
        self.is_direct() && is_one()
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
        if self.timers.work_at.is_some_and(|at| at <= now.time) {
            self.timers.work_at = None;
        }
        if self.timers.naming_at.is_some_and(|at| at <= now.time) {
            self.timers.naming_at = None;
            self.tell_name(now);
        }
        self.work(now);
        if self.timers.mark_at.is_some_and(|at| at <= now.time) {
            self.say_mark(now);
        }
        if self.timers.beat_at <= now.time {
            self.beat(now);
        }
    }

    fn retry(&mut self, now: &mut Now<'_>) {
        self.forget_asked();
        match self.stage {
            Stage::Live => {
                self.come_back_if_left_behind(now);
                self.resend_commit(now);
                self.send_on(now);
                self.work(now);
            }
            Stage::Joining if self.has_pending() => self.resend_commit(now),
            Stage::Joining => self.read_on(now),
            Stage::Invited | Stage::Out => self.resend_leave(now),
            _ => self.start(now),
        }
    }
}
