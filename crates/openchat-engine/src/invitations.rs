//! Coming and going: being told of a group, answering an invitation, leaving, being removed.

use openchat_group::{Group, Why};
use openchat_roster::{LeaveEntry, LogEntry};
use openchat_wire::{
    Blob, Name, UnixMillis,
    relay::{Answer, Refusal},
};

use crate::{
    conversation::{Conversation, Leaver, Stage, Wish},
    event::{AlarmCode, Change, Event},
    failure::Failure,
    outbox::Outgoing,
    record::Key,
    shared::{ASK_OPERATOR, Ask, Now},
    timers::Timers,
};

/// The deadline of what is not to be done.
pub(crate) const NEVER: UnixMillis = UnixMillis(u64::MAX);

impl Conversation {
    /// A letter speaks of this group, so there is something new in its log for this device.
    pub(crate) fn told(&mut self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        if self.seat(&now.shared.me).is_some() && self.card.wish != Wish::Out {
            // Whoever has its seat needs no letter: it is an old one. Unless the log, which was not
            // read to its end, shows that this device has lost its seat and was added again.
            let read = self.group.as_ref().and_then(Group::seen).map(|seen| seen.seq);
            if let (Stage::Live, Some(read)) = (self.stage, read) {
                if now.shared.inbox.contradicts(&id, read, &self.calls) {
                    let message = "a letter speaks of a commit that the relay has not shown";
                    self.alarm(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
                }
                now.shared.inbox.forget_to(&mut now.shared.pen, &id, read);
            }
            return;
        }
        if self.card.wish == Wish::Out {
            self.set_wish(now, Wish::Told);
        }
        if matches!(self.stage, Stage::Out | Stage::Invited | Stage::Offline) {
            self.notes.announced = false;
            self.start(now);
        }
    }

    /// Everything was read, and this device may come in: its person is asked.
    pub(crate) fn invited(&mut self, now: &mut Now<'_>) {
        self.stage = Stage::Invited;
        now.shared.relabel = true;
        if !self.departures.is_empty() {
            return self.resend_leave(now);
        }
        if !self.notes.announced {
            now.shared.invitations.push(self.local);
        }
    }

    /// Asks the person, by the name that the conversation has by now.
    pub(crate) fn announce(&mut self, now: &mut Now<'_>) {
        if self.stage == Stage::Invited && !core::mem::replace(&mut self.notes.announced, true) {
            let by = self.card.inviter.clone();
            let members = self.members(now.shared).into_iter().map(|member| member.name).collect();
            now.shared.pen.event(Event::Invited { target: self.target(), by, members });
        }
    }

    /// The person wants to be in.
    pub(crate) fn come_in(&mut self, now: &mut Now<'_>, order: Option<u64>) {
        if self.stage == Stage::Live && self.card.wish == Wish::In {
            return self.done(now, order);
        }
        self.arrivals.extend(order);
        let was = self.card.wish;
        self.set_wish(now, Wish::In);
        self.notes.returns |= matches!(was, Wish::Out | Wish::Leaving);
        match self.stage {
            Stage::Invited => self.read_on(now),
            Stage::Out | Stage::Offline => self.start(now),
            _ if was == Wish::Leaving => self.start(now),
            _ => {}
        }
    }

    /// The person wants to be out, or not to come in.
    pub(crate) fn go(&mut self, now: &mut Now<'_>, order: u64) {
        if self.card.wish == Wish::Out {
            return self.done(now, Some(order));
        }
        let is_sole = self.seat(&now.shared.me).is_some()
            && self.group.as_ref().is_some_and(|it| it.roster().tree().members() == 1);
        if is_sole || self.group.is_none() {
            // There is nobody to ask: the group ends here.
            self.done(now, Some(order));
            if let Some(group) = &mut self.group {
                group.forget_secrets();
            }
            self.gone(now, Change::Left, None);
            return self.ask_for_release(now);
        }
        self.departures.push(order);
        if self.seat(&now.shared.me).is_some() {
            self.set_wish(now, Wish::Leaving);
        }
        self.resend_leave(now);
    }

    /// Hands the leave request to the group.
    pub(crate) fn resend_leave(&mut self, now: &mut Now<'_>) {
        let is_wanted = self.card.wish == Wish::Leaving || !self.departures.is_empty();
        let can = matches!(self.stage, Stage::Live | Stage::Invited);
        if is_wanted && can && self.group.is_some() && !self.hand_in_leave(now, Ask::Leave) {
            self.departed(now);
        }
    }

    /// Who has gone while nobody was there to see to it still has a seat: whoever has come since is
    /// asked for it. A request is shown to those only who are there when it comes.
    pub(crate) fn ask_for_release(&mut self, now: &mut Now<'_>) {
        let is_seated = self.seat(&now.shared.me).is_some();
        if self.card.wish == Wish::Out && is_seated && !self.notes.released {
            self.hand_in_leave(now, Ask::Release);
        }
    }

    pub(crate) fn release_answered(&mut self, answer: &Result<Answer, Refusal>) {
        // The seat is taken already, and this device reads the group no more.
        self.notes.released = matches!(answer, Err(Refusal::NoAccess | Refusal::Invalid(_)));
    }

    fn hand_in_leave(&self, now: &mut Now<'_>, ask: Ask) -> bool {
        let Some(group) = &self.group else { return false };
        let Some(leave) = group.leave_request(&now.shared.device.key) else { return false };
        self.append(now, ask, Blob(LogEntry::Leave(leave).to_bytes()), Vec::new());
        true
    }

    /// The group has the request, or not yet.
    pub(crate) fn leave_answered(&mut self, now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
        match answer {
            Ok(Answer::Appended(_)) => self.departed(now),
            // Neither seated nor admitted any more, it seems; the log tells.
            Err(Refusal::NoAccess | Refusal::Invalid(_)) if self.stage == Stage::Invited => {
                self.departed(now);
            }
            Err(Refusal::Paced { retry_ms }) => {
                self.timers.retry(now.time, *retry_ms, now.rng);
            }
            _ => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    fn departed(&mut self, now: &mut Now<'_>) {
        for order in core::mem::take(&mut self.departures) {
            self.done(now, Some(order));
        }
        if self.seat(&now.shared.me).is_none() {
            self.set_wish(now, Wish::Out);
            self.withdraw(now);
        }
    }

    /// This device has no seat any more.
    pub(crate) fn gone(&mut self, now: &mut Now<'_>, change: Change, by: Option<Name>) {
        if let Some(group) = &mut self.group {
            group.read_commits_only();
            self.dirty = true;
        }
        let is_rumour = self.card.wish == Wish::Told;
        let is_told_again =
            self.id().is_some_and(|id| now.shared.inbox.tells(&id, self.progress.last_commit));
        if is_told_again {
            // It was added or invited again while it was away.
            self.set_wish(now, Wish::Told);
            self.stage = Stage::Offline;
            return self.start(now);
        }
        if change == Change::Left && core::mem::take(&mut self.notes.returns) {
            // It was let go, and its person wants in again by now.
            self.stage = Stage::Offline;
            return self.start(now);
        }
        if is_rumour {
            return self.withdraw(now);
        }
        let target = self.target();
        now.shared.pen.event(Event::Gone { target, change, by });
        self.fail_texts(now, &Failure::gone());
        let tasks = core::mem::take(&mut self.tasks);
        let orders = tasks.into_iter().filter_map(|task| task.order);
        for order in orders.chain(core::mem::take(&mut self.arrivals)) {
            self.report(now, Some(order), Failure::gone());
        }
        for order in core::mem::take(&mut self.departures) {
            self.done(now, Some(order));
        }
        self.set_wish(now, Wish::Out);
        self.withdraw(now);
    }

    /// The relay shows nothing of this group. Its word alone deletes nothing.
    pub(crate) fn shut_out(&mut self, now: &mut Now<'_>) {
        // Who has left has no keys to keep, and its seat may have gone since.
        let has_keys = self.group.as_ref().is_some_and(|group| group.secrets().is_some());
        let is_seated = self.seat(&now.shared.me).is_some();
        match self.card.wish {
            Wish::In if is_seated && has_keys => {
                self.stage = Stage::Out;
                (self.expected, self.claimed) = (None, None);
                let target = self.target();
                let change = Change::Removed;
                now.shared.pen.event(Event::Gone { target, change, by: None });
                for id in self.outbox.waiting() {
                    self.outbox.refuse(&mut now.shared.pen, id);
                    if self.outbox.find(id).is_some_and(Outgoing::is_text) {
                        self.fail_text(now, id, Failure::gone());
                    }
                }
                self.cancel_files(now, &Failure::gone());
                self.fail_arrivals(now, &Failure::no_access());
            }
            Wish::Leaving => self.gone(now, Change::Left, None),
            Wish::In | Wish::Told | Wish::Out => {
                self.fail_texts(now, &Failure::no_access());
                self.fail_arrivals(now, &Failure::no_access());
                self.withdraw(now);
            }
        }
    }

    /// What was written here will not be sent: it is said, text by text.
    pub(crate) fn fail_texts(&mut self, now: &mut Now<'_>, failure: &Failure) {
        self.cancel_files(now, failure);
        let target = self.target();
        for outgoing in self.outbox.drain(&mut now.shared.pen) {
            if outgoing.is_text() {
                let failure = failure.clone().losing(outgoing.said().map(|it| it.body).as_ref());
                let event = failure.event(None, Some(outgoing.id), Some(target.clone()));
                now.shared.pen.event(event);
            }
        }
    }

    /// This device does not come in.
    pub(crate) fn fail_arrivals(&mut self, now: &mut Now<'_>, failure: &Failure) {
        let orders = core::mem::take(&mut self.arrivals);
        if orders.is_empty() && self.card.wish == Wish::In {
            self.report(now, None, failure.clone());
        }
        for order in orders {
            self.report(now, Some(order), failure.clone());
        }
    }

    /// The log shows that somebody wants to leave. Who has not done it by then sees to it.
    pub(crate) fn take_leave(&mut self, now: &mut Now<'_>, entry: LeaveEntry) {
        let Some(group) = &self.group else { return };
        let Ok(leave) = group.roster().check_leave(&entry) else { return };
        now.shared.pen.put(Key::leave(leave.group, &leave.author), &entry);
        // This device can't remove itself; it only need not ask again.
        let is_mine = leave.author == now.shared.me;
        let at = if is_mine { NEVER } else { Timers::leave_wait(now.time, now.rng) };
        self.leavers.insert(leave.author, Leaver { entry, at });
    }

    /// Whoever is online sees to the requests; not all at the same moment.
    pub(crate) fn postpone_leaves(&mut self, now: &mut Now<'_>) {
        for leaver in self.leavers.values_mut().filter(|leaver| leaver.at != NEVER) {
            leaver.at = Timers::leave_wait(now.time, now.rng);
        }
    }

    /// Requests that were followed, or are void, are forgotten.
    pub(crate) fn settle_leaves(&mut self, now: &mut Now<'_>) {
        if self.leavers.is_empty() {
            return;
        }
        let Some(group) = &self.group else { return };
        let (roster, pen) = (group.roster(), &mut now.shared.pen);
        self.leavers.retain(|who, leaver| {
            let is_due = roster.check_leave(&leaver.entry).is_ok();
            if !is_due {
                pen.delete(Key::leave(*roster.group(), who));
            }
            is_due
        });
    }

    /// When the next request is to be seen to by this device.
    pub(crate) fn next_leave(&self) -> Option<UnixMillis> {
        self.leavers.values().map(|leaver| leaver.at).filter(|at| *at != NEVER).min()
    }
}

/// A reason, as people are told it.
pub(crate) const fn change_of(why: Why) -> Change {
    match why {
        Why::Evicted => Change::Removed,
        Why::Left => Change::Left,
        Why::Revoked | Why::Replaced => Change::Revoked,
    }
}
