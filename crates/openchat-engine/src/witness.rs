//! What members and the relay say about the log, compared with what was read here
//! (`docs/protocol.md` §7).

use openchat_group::{Group, Opened};
use openchat_pki::verify_receipt;
use openchat_roster::Seen;
use openchat_wire::{
    Blob, Fingerprint, Name, Seq, UnixMillis,
    limits::IDLE_TIMEOUT,
    relay::{Receipt, Request, SignedReceipt},
};

use crate::{
    conversation::{Conversation, Stage},
    event::AlarmCode,
    history::Memory,
    shared::{ASK_OPERATOR, Ask, Now},
    timers::{HELD_BACK, LAST_CHANCE},
};

/// How often a log is read again that ends before a commit that a letter speaks of.
const MAX_REREADS: u32 = 4;

/// The nearest place that somebody has seen and this device has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    seq: Seq,
    patience: Patience,
}

/// How long an entry may take. A connection that is held up for long is no lie of the relay, so it is
/// asked for a sign of life before it is accused of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until then it may come.
    First(UnixMillis),
    /// It has not, and the relay was asked whether it is there. If all is held up until then, the
    /// connection is given up; if it is not, the relay has kept the answer back too.
    Asked(UnixMillis),
    /// The relay has answered: until then it may come behind the answer.
    Last(UnixMillis),
}

impl Expected {
    fn new(seq: Seq, now: UnixMillis) -> Self {
        Self { seq, patience: Patience::First(now.after(HELD_BACK)) }
    }

    pub(crate) const fn deadline(self) -> UnixMillis {
        match self.patience {
            Patience::First(until) | Patience::Asked(until) | Patience::Last(until) => until,
        }
    }

    /// A clock that was set back puts nothing off.
    pub(crate) fn draw_near(self, now: UnixMillis) -> Self {
        let patience = match self.patience {
            Patience::First(until) => Patience::First(until.min(now.after(HELD_BACK))),
            Patience::Asked(until) => Patience::Asked(until.min(now.after(IDLE_TIMEOUT))),
            Patience::Last(until) => Patience::Last(until.min(now.after(LAST_CHANCE))),
        };
        Self { patience, ..self }
    }
}

impl Conversation {
    /// K3: somebody has told this device of a commit that the relay does not show at its place: of
    /// the two histories this one is not to be followed.
    pub(crate) fn is_contradicted(&mut self, now: &mut Now<'_>, upto: Seq) -> bool {
        let contradicts = |id| now.shared.inbox.contradicts(&id, upto, &self.calls);
        let is_so = self.id().is_some_and(contradicts);
        if is_so {
            let message = "a letter speaks of a commit that the relay does not show";
            self.halt(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
        }
        is_so
    }

    /// A letter may come before the commit that it came with was read, and not long before.
    pub(crate) fn read_again(&mut self, now: &mut Now<'_>) {
        self.notes.rereads = self.notes.rereads.saturating_add(1);
        if self.notes.rereads > MAX_REREADS {
            self.is_contradicted(now, Seq(u64::MAX));
        } else {
            self.timers.retry(now.time, 1_000, now.rng);
        }
    }

    /// The author's history of the log must be this device's. Whatever it has seen stands before
    /// its message, so this device has read it too.
    pub(crate) fn compare_seen(&mut self, now: &mut Now<'_>, opened: &Opened) {
        let read = self.group.as_ref().and_then(Group::seen);
        let ahead = read.is_none_or(|read| opened.seen.seq > read.seq);
        if ahead || self.contradicts(&opened.seen) {
            self.accuse(now, opened.author);
        } else {
            self.read_by(now, opened.author, opened.seen);
        }
    }

    /// A heartbeat and the relay's own word: both must agree with what was read here.
    pub(crate) fn heard_beat(&mut self, now: &mut Now<'_>, beat: &Blob, signed: &SignedReceipt) {
        if !matches!(self.stage, Stage::Live | Stage::Syncing { .. }) {
            return;
        }
        let Some(receipt) = self.checked_receipt(now, signed) else { return };
        if !self.agrees(now, &receipt) {
            return;
        }
        let Some(group) = &self.group else { return };
        let Ok(beat) = group.roster().check_heartbeat(&beat.0) else { return };
        // Who has not read what everybody has had for long is being lied to: someone else's
        // heartbeat has to tell it so.
        let quiet = self.read_at.after(HELD_BACK) <= now.time;
        if !(quiet && group.seen().is_some_and(|read| beat.seen.seq < read.seq)) {
            self.timers.beaten(now.time, now.rng);
        }
        let another_epoch = self.contradicts_epoch(beat.seen.seq, beat.epoch, &beat.interim);
        if another_epoch || self.contradicts(&beat.seen) {
            self.accuse(now, beat.author);
        } else {
            self.read_by(now, beat.author, beat.seen);
        }
        self.expect(now, beat.seen.seq);
    }

    /// The receipt, if the relay signed it and it is about this group.
    pub(crate) fn checked_receipt(
        &mut self,
        now: &mut Now<'_>,
        signed: &SignedReceipt,
    ) -> Option<Receipt> {
        let verified = verify_receipt(signed, &now.shared.device.server_keys.relay_key);
        match verified {
            Ok(receipt) if Some(receipt.group) == self.id() => Some(receipt),
            _ => {
                let message = "the relay's receipt is not signed by its key for this group";
                self.halt(now, AlarmCode::ReceiptMismatch, message, ASK_OPERATOR);
                None
            }
        }
    }

    /// The relay's claim about what was read here must be the same; what it claims beyond must
    /// come. Halts otherwise.
    pub(crate) fn agrees(&mut self, now: &mut Now<'_>, receipt: &Receipt) -> bool {
        let another_epoch = self.contradicts_epoch(receipt.seq, receipt.epoch, &receipt.interim);
        if another_epoch || self.contradicts(&Seen { seq: receipt.seq, log_hash: receipt.log_hash })
        {
            let message = "the relay signs another history of the log than it has shown here";
            self.halt(now, AlarmCode::ReceiptMismatch, message, ASK_OPERATOR);
            return false;
        }
        let ahead = self.group.as_ref().and_then(Group::seen).is_some_and(|s| s.seq < receipt.seq);
        if ahead && self.claimed.is_none() {
            self.claimed = Some(Seen { seq: receipt.seq, log_hash: receipt.log_hash });
        }
        self.expect(now, receipt.seq);
        true
    }

    /// The log has come to where the relay has signed what it would be.
    pub(crate) fn check_claim(&mut self, now: &mut Now<'_>) {
        let Some(claimed) = self.claimed else { return };
        let Some(read) = self.group.as_ref().and_then(Group::seen) else { return };
        if read.seq < claimed.seq {
            return;
        }
        self.claimed = None;
        if self.contradicts(&claimed) {
            let message = "the relay has signed another history of the log than it shows";
            self.halt(now, AlarmCode::ReceiptMismatch, message, ASK_OPERATOR);
        }
    }

    /// An entry can't stand where the relay shows it, so its author has another history, or the
    /// relay has made it stand there.
    pub(crate) fn accuse(&mut self, now: &mut Now<'_>, author: Fingerprint) {
        if self.accused.insert(author) {
            let name = now.shared.certified(&author);
            let name = name.as_ref().map_or("somebody", Name::as_str);
            let message = format!("{name} has another history of this conversation than you");
            let hint = "The relay has dropped, changed or reordered entries. Compare in person.";
            self.alarm(now, AlarmCode::HistoryFork, &message, hint);
        }
    }

    /// Somebody has read up to here: the relay has to show it to this device too.
    pub(crate) fn expect(&mut self, now: &Now<'_>, seq: Seq) {
        let read = self.group.as_ref().and_then(Group::seen).map(|seen| seen.seq);
        if read.is_none_or(|read| read < seq) {
            // The nearest place counts: a farther one may be somebody's invention.
            let expected = self.expected.unwrap_or(Expected::new(seq, now.time));
            self.expected = Some(Expected { seq: expected.seq.min(seq), ..expected });
        }
    }

    /// On a new connection the relay has its time again to show what was expected.
    pub(crate) fn expect_anew(&mut self, now: UnixMillis) {
        self.expected = self.expected.map(|expected| Expected::new(expected.seq, now));
    }

    /// The log has come this far. While it comes at all, nothing is held back.
    pub(crate) fn came(&mut self, now: &Now<'_>, seq: Seq) {
        self.read_at = now.time;
        self.expected = self
            .expected
            .filter(|expected| expected.seq > seq)
            .map(|expected| Expected::new(expected.seq, now.time));
    }

    pub(crate) fn check_expected(&mut self, now: &mut Now<'_>) {
        let Some(expected) = self.expected.filter(|it| it.deadline() <= now.time) else { return };
        if matches!(expected.patience, Patience::First(_)) {
            // All may be held up on its way, and then so is the answer.
            let patience = Patience::Asked(now.time.after(IDLE_TIMEOUT));
            self.expected = Some(Expected { patience, ..expected });
            self.ask(now.shared, Ask::Alive, Request::Ping);
        } else if now.time > expected.deadline().after(HELD_BACK) {
            // Ticks are on time: the clock was set, or the device has slept.
            self.relay_speaks(now.time, expected);
        } else {
            self.expected = None;
            let message = "the log has entries that the relay does not show to this device";
            self.alarm(now, AlarmCode::HeldBack, message, ASK_OPERATOR);
        }
    }

    /// The relay has answered, and what was expected has not come before.
    pub(crate) fn relay_is_there(&mut self, now: &Now<'_>) {
        if let Some(expected) = self.expected.filter(|it| matches!(it.patience, Patience::Asked(_)))
        {
            self.relay_speaks(now.time, expected);
        }
    }

    fn relay_speaks(&mut self, now: UnixMillis, expected: Expected) {
        let patience = Patience::Last(now.after(LAST_CHANCE));
        self.expected = Some(Expected { patience, ..expected });
    }

    /// Whether a claim about a place can't be true of the log as it was read here. Places beyond
    /// what was read, and before what is remembered, contradict nothing.
    pub(crate) fn contradicts(&self, claim: &Seen) -> bool {
        let Some(read) = self.group.as_ref().and_then(Group::seen) else { return false };
        if claim.seq >= read.seq {
            return claim.seq == read.seq && claim.log_hash != read.log_hash;
        }
        match self.history.log_hash(claim.seq) {
            Memory::Known(here) => here != claim.log_hash,
            Memory::NoSuchPlace => true,
            Memory::Forgotten => false,
        }
    }
}
