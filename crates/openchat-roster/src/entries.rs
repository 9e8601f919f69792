//! Entries of a log that are no commits: whether they count where they stand, by what the commits
//! before them amount to.

use openchat_crypto::Label;
use openchat_wire::{Digest, Fingerprint};

use crate::{
    fault::{LeaveFault, MessageFault, NoticeFault},
    heartbeat::{Heartbeat, SignedHeartbeat},
    leave::{Leave, LeaveEntry},
    message::MessageHeader,
    notice::{Notice, NoticeEntry},
    outline::Trust,
    roster::Roster,
};

impl Roster {
    /// Whether a message counts at this place in the log, its author being who TLS says.
    ///
    /// # Errors
    /// M1 to M4 of `docs/protocol.md` §6.2.
    pub fn check_message(
        &self,
        header: &MessageHeader,
        author: &Fingerprint,
    ) -> Result<(), MessageFault> {
        let seat = self.seat(author).ok_or(MessageFault::NotSeated)?;
        if seat.slot != header.slot {
            return Err(MessageFault::NotSeated);
        }
        if header.epoch < seat.since {
            return Err(MessageFault::Stale);
        }
        self.window().check(header)
    }

    /// The notice, if it is a member's.
    ///
    /// # Errors
    /// N1 to N4 of `docs/protocol.md` §5.4.
    pub fn check_notice(&self, entry: &NoticeEntry) -> Result<Notice, NoticeFault> {
        let notice = entry.view()?;
        if notice.group != *self.group() {
            return Err(NoticeFault::Encoding);
        }
        let seat = self.seat(&notice.author).ok_or(NoticeFault::NotSeated)?;
        seat.key
            .verify(Label::Notice, &entry.notice.0, &entry.signature)
            .map_err(|_| NoticeFault::Signature)?;
        let is_it = |interim: &Digest| *interim == notice.interim;
        let known = self.window().interim(notice.epoch).is_none_or(is_it);
        if notice.epoch > self.epoch() || notice.epoch <= seat.seated || !known {
            return Err(NoticeFault::Epoch);
        }
        Ok(notice)
    }

    /// The heartbeat, if it is a member's.
    ///
    /// # Errors
    /// N1 to N3 of `docs/protocol.md` §7.3.
    pub fn check_heartbeat(&self, bytes: &[u8]) -> Result<Heartbeat, NoticeFault> {
        let (signed, beat) = SignedHeartbeat::decode(bytes).map_err(|_| NoticeFault::Encoding)?;
        if beat.group != *self.group() {
            return Err(NoticeFault::Encoding);
        }
        let seat = self.seat(&beat.author).ok_or(NoticeFault::NotSeated)?;
        seat.key
            .verify(Label::Heartbeat, &signed.heartbeat.0, &signed.signature)
            .map_err(|_| NoticeFault::Signature)?;
        Ok(beat)
    }

    /// The leave request, if its author may be removed for it now.
    ///
    /// # Errors
    /// C17 of `docs/protocol.md` §4.4.
    pub fn check_leave(&self, entry: &LeaveEntry) -> Result<Leave, LeaveFault> {
        self.judge_leave(entry, Trust::Nobody)
    }

    pub(crate) fn judge_leave(
        &self,
        entry: &LeaveEntry,
        trust: Trust,
    ) -> Result<Leave, LeaveFault> {
        let leave = entry.view()?;
        if leave.group != *self.group() {
            return Err(LeaveFault::Encoding);
        }
        let (since, key) = match (self.seat(&leave.author), leave.key) {
            (Some(seat), None) => (seat.seated, seat.key),
            (None, Some(key)) if key.fingerprint() == leave.author => {
                (self.admitted(&leave.author).ok_or(LeaveFault::Seat)?.since, key)
            }
            _ => return Err(LeaveFault::Seat),
        };
        if since != leave.since {
            return Err(LeaveFault::Seat);
        }
        if trust == Trust::Nobody {
            key.verify(Label::Leave, &entry.leave.0, &entry.signature)
                .map_err(|_| LeaveFault::Signature)?;
        }
        Ok(leave)
    }
}
