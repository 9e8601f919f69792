//! What members and the relay say about the log, compared with what was read here
//! (`docs/protocol.md` §7).

use openchat_group::{Group, Opened};
use openchat_pki::verify_receipt;
use openchat_roster::Seen;
use openchat_wire::{
    Blob, Fingerprint, Name, Seq, UnixMillis,
    relay::{Receipt, SignedReceipt},
};

use crate::{
    conversation::{Conversation, Stage},
    event::AlarmCode,
    history::Memory,
    shared::{ASK_OPERATOR, Now},
    timers::HELD_BACK,
};

/// How often a log is read again that ends before a commit that a letter speaks of.
const MAX_REREADS: u32 = 4;

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
        if self.contradicts(&beat.seen) {
            self.accuse(now, beat.author);
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
        if self.contradicts(&Seen { seq: receipt.seq, log_hash: receipt.log_hash }) {
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
            let name = now.shared.certified(&author).map_or("somebody", Name::as_str);
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
            let (nearest, until) = self.expected.unwrap_or((seq, now.time.after(HELD_BACK)));
            self.expected = Some((nearest.min(seq), until));
        }
    }

    /// On a new connection the relay has its time again to show what was expected.
    pub(crate) fn expect_anew(&mut self, now: UnixMillis) {
        self.expected = self.expected.map(|(seq, _)| (seq, now.after(HELD_BACK)));
    }

    /// The log has come this far. While it comes at all, nothing is held back.
    pub(crate) fn came(&mut self, now: &Now<'_>, seq: Seq) {
        self.read_at = now.time;
        self.expected = self
            .expected
            .filter(|(expected, _)| *expected > seq)
            .map(|(expected, _)| (expected, now.time.after(HELD_BACK)));
    }

    pub(crate) fn check_expected(&mut self, now: &mut Now<'_>) {
        if self.expected.is_some_and(|(_, until)| until <= now.time) {
            self.expected = None;
            let message = "the log has entries that the relay does not show to this device";
            self.alarm(now, AlarmCode::HeldBack, message, ASK_OPERATOR);
        }
    }

    /// Whether a claim about a place can't be true of the log as it was read here. Places beyond
    /// what was read, and before what is remembered, contradict nothing.
    fn contradicts(&self, claim: &Seen) -> bool {
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
