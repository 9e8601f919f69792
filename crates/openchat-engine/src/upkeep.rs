//! What concerns the device rather than one conversation: its prekeys, its inbox, and the groups
//! that the relay knows it to be in.

use core::time::Duration;

use openchat_crypto::CryptoRng;
use openchat_wire::{
    Blob, GroupId, Seq, UnixMillis,
    limits::MAX_GROUPS,
    relay::{Answer, Refusal, Request},
};

use crate::{
    conversation::{About, Card, Conversation, Stage, Wish},
    engine::Engine,
    following::FIRST_REREAD,
    prekeys::Stock,
    shared::{Asked, Now},
    transparency::Next,
};

/// Prekeys are counted this often, and a moment after one was used.
const COUNT_EVERY: Duration = Duration::from_hours(1);
const COUNT_SOON: Duration = Duration::from_secs(10);

/// Prekeys that the relay did not take are tried again after this long, then after twice as long.
const FIRST_RETRY: Duration = Duration::from_mins(1);

/// What the relay could not tell of letters and groups is asked again after this long, then after
/// twice as long: whoever was added waits for it …
const FIRST_AGAIN: Duration = Duration::from_secs(1);

/// … and at most this long: a disk has room again without notice.
const LONGEST_AGAIN: Duration = Duration::from_secs(16);

/// A group that the relay speaks of and this device knows nothing of is looked into only after the
/// inbox had this long to tell of it: a letter brings more.
const LETTERS_FIRST: Duration = Duration::from_secs(5);

/// How things stand on this connection.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    count_at: Option<UnixMillis>,
    retries: u32,
    /// When what was refused is asked again: the letters …
    inbox_at: Option<UnixMillis>,
    /// … or the groups.
    groups_at: Option<UnixMillis>,
    /// How often in a row one of them was refused.
    refusals: u32,
    /// When the transparency log is read again, which the relay could not show, or which did not check.
    log_at: Option<UnixMillis>,
    log_failures: u32,
    rumours_at: Option<UnixMillis>,
    rumours: Vec<GroupId>,
    has_prekeys: bool,
    has_inbox: bool,
    has_groups: bool,
}

impl Upkeep {
    pub(crate) const fn is_settled(&self) -> bool {
        self.has_prekeys && self.has_inbox && self.has_groups && self.rumours_at.is_none()
    }

    pub(crate) fn next_deadline(&self) -> Option<UnixMillis> {
        let all = [self.count_at, self.inbox_at, self.groups_at, self.rumours_at, self.log_at];
        all.into_iter().flatten().min()
    }

    pub(crate) fn draw_near(&mut self, now: UnixMillis) {
        let near = |at: Option<UnixMillis>| at.map(|at| at.min(now.after(COUNT_EVERY)));
        self.count_at = near(self.count_at);
        self.inbox_at = near(self.inbox_at);
        self.groups_at = near(self.groups_at);
        self.log_at = near(self.log_at);
        self.rumours_at = self.rumours_at.map(|at| at.min(now.after(LETTERS_FIRST)));
    }

    /// Prekeys were used, or are to be replaced.
    pub(crate) fn count_soon(&mut self, now: UnixMillis) {
        self.count_at = self.count_at.map(|at| at.min(now.after(COUNT_SOON)));
    }

    /// Without its letter a group can only be joined anew, and what was said before stays unread.
    fn await_letters(&mut self, now: UnixMillis) {
        let is_to_wait = self.has_inbox && !self.rumours.is_empty();
        self.rumours_at = is_to_wait.then(|| now.after(LETTERS_FIRST));
    }

    fn later(&mut self, now: UnixMillis, refusal: Option<&Refusal>) -> UnixMillis {
        let wait = doubled(FIRST_RETRY, self.retries);
        self.retries = self.retries.saturating_add(1);
        now.after(wait.max(told(refusal)).min(COUNT_EVERY))
    }

    /// The relay could not show the log now.
    pub(crate) fn read_log_later(&mut self, now: UnixMillis, refusal: Option<&Refusal>) {
        let wait = doubled(FIRST_AGAIN, self.log_failures).min(LONGEST_AGAIN);
        self.log_failures = self.log_failures.saturating_add(1);
        self.log_at = Some(now.after(wait.max(told(refusal)).min(COUNT_EVERY)));
    }

    /// What it showed does not check.
    pub(crate) fn reread_log(&mut self, now: UnixMillis) {
        let wait = doubled(FIRST_REREAD, self.log_failures).min(COUNT_EVERY);
        self.log_failures = self.log_failures.saturating_add(1);
        self.log_at = Some(now.after(wait));
    }

    pub(crate) fn log_is_read(&mut self) {
        (self.log_at, self.log_failures) = (None, 0);
    }

    fn again(&mut self, now: UnixMillis, refusal: Option<&Refusal>) -> UnixMillis {
        let wait = doubled(FIRST_AGAIN, self.refusals).min(LONGEST_AGAIN);
        self.refusals = self.refusals.saturating_add(1);
        now.after(wait.max(told(refusal)).min(COUNT_EVERY))
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

/// How long the relay asks to wait.
fn told(refusal: Option<&Refusal>) -> Duration {
    match refusal {
        Some(Refusal::Paced { retry_ms }) => Duration::from_millis((*retry_ms).into()),
        _ => Duration::ZERO,
    }
}

impl Engine {
    /// On a new connection: letters, groups, prekeys.
    pub(crate) fn settle_in(&mut self, now: UnixMillis) {
        self.upkeep = Upkeep { count_at: Some(now.after(COUNT_EVERY)), ..Upkeep::default() };
        self.tail_inbox();
        self.shared.ask(Asked::Groups, Request::Groups);
        self.shared.ask(Asked::Stock, Request::CountPrekeys);
    }

    fn tail_inbox(&mut self) {
        let log = self.shared.inbox_log;
        let after = self.shared.inbox.position();
        self.shared.ask(Asked::Inbox, Request::Tail { log, after });
    }

    /// The time has come for what this device does by itself.
    pub(crate) fn keep_up(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.shared.keep_renewed(now);
        let is_due = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
        if is_due(self.upkeep.count_at) {
            self.upkeep.count_at = Some(now.after(COUNT_EVERY));
            self.shared.ask(Asked::Stock, Request::CountPrekeys);
            // A letter may never have come.
            self.shared.ask(Asked::Groups, Request::Groups);
            let mut now = Now { shared: &mut self.shared, time: now, rng };
            self.conversations.values_mut().for_each(|it| it.ask_for_release(&mut now));
        }
        if is_due(self.upkeep.inbox_at) {
            self.upkeep.inbox_at = None;
            self.tail_inbox();
        }
        if is_due(self.upkeep.groups_at) {
            self.upkeep.groups_at = None;
            self.shared.ask(Asked::Groups, Request::Groups);
        }
        if is_due(self.upkeep.log_at) {
            self.upkeep.log_at = None;
            match self.shared.log.next() {
                Next::Nothing => drop(self.shared.read_log()),
                next @ Next::Ask(_) => self.shared.ask_log(next),
            }
        }
        if is_due(self.upkeep.rumours_at) {
            self.upkeep.rumours_at = None;
            for group in core::mem::take(&mut self.upkeep.rumours) {
                self.hear_of(group, now, rng);
            }
        }
    }

    /// What the relay has of this device's prekeys: what is missing is made.
    pub(crate) fn stock_answered(
        &mut self,
        answer: &Result<Answer, Refusal>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let Ok(Answer::Prekeys { one_time, last_resort }) = answer else {
            self.upkeep.count_at = Some(self.upkeep.later(now, answer.as_ref().err()));
            return;
        };
        self.expire_prekeys(now);
        let stock = Stock { one_time: *one_time, last_resort: *last_resort };
        let shared = &mut self.shared;
        let owner = (&shared.device.key, now);
        match shared.prekeys.replenish(&mut shared.pen, stock, owner, rng) {
            Some(publication) => {
                let (replace, prekeys) = (publication.replace, publication.prekeys);
                let request = Request::PublishPrekeys { replace, prekeys };
                shared.ask(Asked::Publication, request);
            }
            None => self.upkeep.has_prekeys = true,
        }
    }

    pub(crate) fn publication_answered(
        &mut self,
        answer: &Result<Answer, Refusal>,
        now: UnixMillis,
    ) {
        if let Err(refusal) = answer {
            self.upkeep.count_at = Some(self.upkeep.later(now, Some(refusal)));
        } else {
            (self.upkeep.has_prekeys, self.upkeep.retries) = (true, 0);
        }
    }

    /// A prekey may still open something in a log that was not read to its end.
    fn expire_prekeys(&mut self, now: UnixMillis) {
        let is_read = |stage: Stage| {
            matches!(stage, Stage::Live | Stage::Out | Stage::Invited | Stage::Halted)
        };
        let all_read = self.conversations.values().all(|it| is_read(it.stage));
        if !all_read || !self.upkeep.is_settled() {
            return;
        }
        let me = self.shared.me;
        let in_use = self.conversations.values().filter_map(|it| it.unclaimed_by(&me));
        let in_use: Vec<_> = in_use.collect();
        self.shared.prekeys.expire(&mut self.shared.pen, now, &in_use);
    }

    pub(crate) fn inbox_answered(&mut self, answer: &Result<Answer, Refusal>, now: UnixMillis) {
        match answer {
            Ok(_) => {
                (self.upkeep.has_inbox, self.upkeep.refusals) = (true, 0);
                self.upkeep.await_letters(now);
            }
            Err(refusal) => self.upkeep.inbox_at = Some(self.upkeep.again(now, Some(refusal))),
        }
    }

    /// The groups that the relay knows this device to be in. Those that it has lost come back to
    /// it so.
    pub(crate) fn groups_answered(&mut self, answer: Result<Answer, Refusal>, now: UnixMillis) {
        match answer {
            Ok(Answer::Groups(groups)) => {
                (self.upkeep.has_groups, self.upkeep.refusals) = (true, 0);
                let unknown = groups.into_iter().filter(|group| !self.knows(group));
                self.upkeep.rumours = unknown.take(MAX_GROUPS).collect();
                self.upkeep.await_letters(now);
            }
            other => {
                self.upkeep.groups_at = Some(self.upkeep.again(now, other.as_ref().err()));
            }
        }
    }

    /// A letter has come.
    pub(crate) fn letter(
        &mut self,
        seq: Seq,
        entry: &Blob,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let shared = &mut self.shared;
        let Some(group) = shared.inbox.take(&mut shared.pen, seq, &entry.0) else { return };
        self.upkeep.count_soon(now);
        self.hear_of(group, now, rng);
    }

    /// Somebody speaks of a group: its log tells what this device has to do with it.
    pub(crate) fn hear_of(&mut self, group: GroupId, now: UnixMillis, rng: &mut dyn CryptoRng) {
        if !self.knows(&group) {
            if self.conversations.len() >= MAX_GROUPS.saturating_mul(2) {
                return;
            }
            let (about, wish) = (About::Unknown, Wish::Told);
            self.add(Card { about, group: Some(group), wish, inviter: None });
        }
        self.of_log(group, now, rng, Conversation::told);
    }
}
