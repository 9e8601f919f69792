//! The clear part of a message, which the relay sees too (`docs/protocol.md` §6).

use crate::fault::MessageFault;
use openchat_crypto::{Label, hash};
use openchat_wire::{Blob, Digest, Epoch, Generation, GroupId, MessageId, Slot, encode};
use serde::{Deserialize, Serialize};

/// Bytes of `confirmed_n` in a header: enough that two histories never look alike by accident.
pub const CONFIRMED_PREFIX: usize = 16;

/// A message in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEntry {
    /// Says which key opens it, and is bound into that key.
    pub header: MessageHeader,
    /// A Fernet token as raw bytes.
    pub token: Blob,
}

/// What a message is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageHeader {
    /// The epoch n whose keys seal it.
    pub epoch: Epoch,
    /// The first bytes of `confirmed_n`.
    pub confirmed: [u8; CONFIRMED_PREFIX],
    /// The author's slot.
    pub slot: Slot,
    /// Which key of the author's ratchet.
    pub generation: Generation,
    /// Random; stays when the message has to be sealed again.
    pub id: MessageId,
}

impl MessageHeader {
    /// The hash that binds the header and the group into the message key. The group itself does
    /// not travel: a message lives in its group's log and opens nowhere else.
    #[must_use]
    pub fn hash(&self, group: &GroupId) -> Digest {
        hash(Label::Header, &[&group.0, &encode(self)])
    }

    /// The prefix of a `confirmed_n` that a header carries.
    #[must_use]
    pub fn prefix(confirmed: &Digest) -> [u8; CONFIRMED_PREFIX] {
        let mut prefix = [0; CONFIRMED_PREFIX];
        prefix.iter_mut().zip(confirmed.0).for_each(|(to, from)| *to = from);
        prefix
    }
}

/// The newest epochs of a group, for judging whether a message still counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window(std::collections::VecDeque<Recent>);

/// One of the newest epochs.
#[derive(Debug, Clone, Copy)]
struct Recent {
    epoch: Epoch,
    confirmed: Digest,
    interim: Digest,
    /// No seat was removed since.
    counts: bool,
}

impl Window {
    /// The next epoch. If its commit removed a seat, messages of those before no longer count.
    pub(crate) fn push(
        &mut self,
        epoch: Epoch,
        (confirmed, interim): (Digest, Digest),
        removed: bool,
    ) {
        if removed {
            self.0.iter_mut().for_each(|recent| recent.counts = false);
        }
        self.0.push_back(Recent { epoch, confirmed, interim, counts: true });
        let kept = usize::try_from(openchat_wire::limits::EPOCH_WINDOW).unwrap_or(usize::MAX);
        while self.0.len() > kept {
            self.0.pop_front();
        }
    }

    /// The oldest epoch whose messages count.
    pub(crate) fn oldest(&self) -> Option<Epoch> {
        self.0.iter().find(|recent| recent.counts).map(|recent| recent.epoch)
    }

    /// The interim hash of a recent epoch.
    pub(crate) fn interim(&self, epoch: Epoch) -> Option<&Digest> {
        self.0.iter().find(|recent| recent.epoch == epoch).map(|recent| &recent.interim)
    }

    /// M2–M4 of `docs/protocol.md`.
    pub(crate) fn check(&self, header: &MessageHeader) -> Result<(), MessageFault> {
        if self.0.back().is_some_and(|tail| header.epoch > tail.epoch) {
            return Err(MessageFault::Future);
        }
        let recent = self.0.iter().find(|recent| recent.counts && recent.epoch == header.epoch);
        let recent = recent.ok_or(MessageFault::Stale)?;
        if MessageHeader::prefix(&recent.confirmed) == header.confirmed {
            Ok(())
        } else {
            Err(MessageFault::Fork)
        }
    }
}
