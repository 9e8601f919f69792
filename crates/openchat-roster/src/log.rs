//! Entries of a log and the hash that chains them (`docs/protocol.md` §3).

use crate::{commit::CommitEntry, leave::LeaveEntry, message::MessageEntry, notice::NoticeEntry};
use openchat_crypto::{Label, hash, sha256};
use openchat_wire::{
    DecodeError, Digest, Fingerprint, GroupId, Seq, decode, encode,
    limits::{MAX_COMMIT, MAX_ENTRY},
};
use serde::{Deserialize, Serialize};

/// Version of everything in a log; the first byte of each entry.
const VERSION: u8 = 1;

/// Bytes that an entry adds around a commit: version, kind, lengths, tag, signature.
const ENVELOPE: usize = 128;

/// An entry of a group's log, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogEntry {
    /// Moves the group to its next epoch.
    Commit(CommitEntry),
    /// Something sealed for the members.
    Message(MessageEntry),
    /// A member's signed report that a commit left it behind.
    Notice(NoticeEntry),
    /// A member's wish to be removed, or an admitted person's "no".
    Leave(LeaveEntry),
}

impl LogEntry {
    /// The entry's bytes: `version ‖ postcard`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(encode(self));
        bytes
    }

    /// The entry that `bytes` are.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown version or kind, anything not canonical, and entries larger
    /// than their kind may be. A reader must then stop following the log rather than skip.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&VERSION, body)) = bytes.split_first() else {
            return Err(DecodeError::Malformed);
        };
        let entry: Self = decode(body, MAX_COMMIT.saturating_add(ENVELOPE))?;
        match entry {
            Self::Commit(_) => Ok(entry),
            _ if bytes.len() <= MAX_ENTRY => Ok(entry),
            _ => Err(DecodeError::TooLong { len: bytes.len(), max: MAX_ENTRY }),
        }
    }
}

/// The log of somebody's inbox: `H("inbox" ‖ fpr)`. Only its owner reads it, only the relay writes.
#[must_use]
pub fn inbox(owner: &Fingerprint) -> GroupId {
    GroupId(hash(Label::Inbox, &[&owner.0]).0)
}

/// `L_0 = H("log" ‖ group_id)`.
#[must_use]
pub fn log_hash_start(group: &GroupId) -> Digest {
    hash(Label::Log, &[&group.0])
}

/// `L_s = H("entry" ‖ L_{s'} ‖ s ‖ SHA-256(entry))`, where s' is the place before s.
#[must_use]
pub fn log_hash_next(before: &Digest, seq: Seq, entry: &[u8]) -> Digest {
    log_hash_over(before, seq, &sha256(entry))
}

/// As [`log_hash_next`], over an entry of which only the SHA-256 is there.
#[must_use]
pub fn log_hash_over(before: &Digest, seq: Seq, entry_hash: &Digest) -> Digest {
    hash(Label::Entry, &[&before.0, &seq.0.to_be_bytes(), &entry_hash.0])
}
