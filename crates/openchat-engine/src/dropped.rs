//! Entries whose bodies the relay keeps no more: the log goes on over their hashes, and the person is
//! told that something was there (`docs/protocol.md` §7.4).

use openchat_crypto::sha256;
use openchat_group::Group;
use openchat_wire::{Blob, Digest, Epoch, Seq};

use crate::{
    conversation::{Conversation, Stage},
    event::{AlarmCode, Event},
    shared::{ASK_OPERATOR, Now},
};

/// What was dropped and not told of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DroppedRange {
    count: u64,
    first: Seq,
    last: Seq,
}

impl Conversation {
    /// The bytes of an entry that this device has made itself and waits for: the hash names them as
    /// well as the relay could.
    pub(crate) fn own_bytes(&self, hash: &Digest) -> Option<Blob> {
        let pending = self.group.as_ref().and_then(Group::pending).map(|pending| &pending.entry);
        let given_up = self.given_up.iter().map(|pending| &pending.entry);
        let own = self.outbox.all_sealed().chain(pending).chain(given_up);
        own.into_iter().find(|entry| sha256(&entry.0) == *hash).cloned()
    }

    /// H6: nobody drops what has only just come, so a relay that says so keeps it back.
    pub(crate) fn take_dropped(&mut self, now: &mut Now<'_>, seq: Seq) {
        let is_new = match self.stage {
            Stage::Syncing { target, .. } => target.is_some_and(|target| seq > target),
            _ => true,
        };
        if is_new && !self.notes.withheld {
            self.notes.withheld = true;
            let message = "the relay says of a new entry that it does not keep it any more";
            self.alarm(now, AlarmCode::HeldBack, message, ASK_OPERATOR);
        }
        let range = self.dropped.get_or_insert(DroppedRange { count: 0, first: seq, last: seq });
        range.count = range.count.saturating_add(1);
        range.last = seq;
        if self.stage == Stage::Live {
            self.tell_dropped(now);
        }
    }

    /// The log was read to its end.
    pub(crate) fn tell_dropped(&mut self, now: &mut Now<'_>) {
        if let Some(DroppedRange { count, first, last }) = self.dropped.take() {
            now.shared.pen.event(Event::Dropped { target: self.target(), count, first, last });
        }
    }

    /// H5: whether a claim about the epoch at a place can't be true of the log as it was read here.
    /// The log hash says nothing about that if the relay calls a commit dropped.
    pub(crate) fn contradicts_epoch(&self, at: Seq, epoch: Epoch, interim: &Digest) -> bool {
        let Some(group) = &self.group else { return false };
        let roster = group.roster();
        let is_read = group.seen().is_some_and(|read| at <= read.seq);
        let is_ahead = epoch > roster.epoch();
        let is_another = epoch == roster.epoch() && interim != roster.interim();
        is_read && (is_ahead || is_another)
    }
}
