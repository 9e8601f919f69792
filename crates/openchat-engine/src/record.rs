//! What the engine has stored for it: a table of records under typed keys, whose values only the
//! engine reads, and the messages, which others read too.

use openchat_wire::{Blob, Epoch, Fingerprint, GroupId, GroupName, Name, Seq};

use crate::event::StoredMessage;

/// A change to the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The record under this key is now this.
    Put {
        /// Key.
        key: Key,
        /// Value.
        value: Blob,
    },
    /// There is no record under this key any more; its bytes are to be overwritten.
    Delete(Key),
    /// A message to keep.
    Message(StoredMessage),
}

/// Names a record. The vault compares keys and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What kind of record.
    pub kind: u8,
    /// The group it belongs to, if any.
    pub group: Option<GroupId>,
    /// Which of that kind.
    pub sub: Vec<u8>,
}

/// The kinds of records. Numbers are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An open group's name → its id.
    GroupName,
    /// Where reading stopped, when keys were renewed.
    Progress,
    /// `Secrets`.
    Secrets,
    /// `EpochRatchets`, by epoch.
    Ratchets,
    /// `Pending`.
    Pending,
    /// An approved commit, by place.
    Commit,
    /// A message on its way, by order.
    Outgoing,
    /// What is remembered of a log entry, by place.
    Past,
    /// A member's certificate, by fingerprint.
    Certificate,
    /// The newest transparency head.
    Head,
    /// A name's first key.
    Pin,
    /// `Pending`s that the relay has refused, while their place in the log is not taken.
    GivenUp,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::GroupName,
        Self::Progress,
        Self::Secrets,
        Self::Ratchets,
        Self::Pending,
        Self::Commit,
        Self::Outgoing,
        Self::Past,
        Self::Certificate,
        Self::Head,
        Self::Pin,
        Self::GivenUp,
    ];

    pub(crate) fn of(key: &Key) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == key.kind)
    }

    const fn number(self) -> u8 {
        match self {
            Self::GroupName => 1,
            Self::Progress => 2,
            Self::Secrets => 3,
            Self::Ratchets => 4,
            Self::Pending => 5,
            Self::Commit => 6,
            Self::Outgoing => 7,
            Self::Past => 8,
            Self::Certificate => 9,
            Self::Head => 10,
            Self::Pin => 11,
            Self::GivenUp => 12,
        }
    }

    fn key(self, group: Option<GroupId>, sub: &[u8]) -> Key {
        Key { kind: self.number(), group, sub: sub.to_vec() }
    }
}

impl Key {
    pub(crate) fn group_name(name: &GroupName) -> Self {
        Kind::GroupName.key(None, name.as_str().as_bytes())
    }

    pub(crate) fn progress(group: GroupId) -> Self {
        Kind::Progress.key(Some(group), b"")
    }

    pub(crate) fn secrets(group: GroupId) -> Self {
        Kind::Secrets.key(Some(group), b"")
    }

    pub(crate) fn ratchets(group: GroupId, epoch: Epoch) -> Self {
        Kind::Ratchets.key(Some(group), &epoch.0.to_be_bytes())
    }

    pub(crate) fn pending(group: GroupId) -> Self {
        Kind::Pending.key(Some(group), b"")
    }

    pub(crate) fn given_up(group: GroupId) -> Self {
        Kind::GivenUp.key(Some(group), b"")
    }

    pub(crate) fn commit(group: GroupId, seq: Seq) -> Self {
        Kind::Commit.key(Some(group), &seq.0.to_be_bytes())
    }

    pub(crate) fn outgoing(name: &GroupName, order: u64) -> Self {
        let sub = [&order.to_be_bytes(), name.as_str().as_bytes()].concat();
        Kind::Outgoing.key(None, &sub)
    }

    pub(crate) fn past(group: GroupId, seq: Seq) -> Self {
        Kind::Past.key(Some(group), &seq.0.to_be_bytes())
    }

    pub(crate) fn certificate(of: &Fingerprint) -> Self {
        Kind::Certificate.key(None, &of.0)
    }

    pub(crate) fn head() -> Self {
        Kind::Head.key(None, b"")
    }

    pub(crate) fn pin(name: &Name) -> Self {
        Kind::Pin.key(None, name.as_str().as_bytes())
    }

    /// The number at the beginning of `sub`.
    pub(crate) fn number(&self) -> Option<u64> {
        let (number, _) = self.sub.split_first_chunk::<8>()?;
        Some(u64::from_be_bytes(*number))
    }

    /// The text after the number, or the whole of `sub` as text.
    pub(crate) fn text(&self, after: usize) -> Option<&str> {
        core::str::from_utf8(self.sub.get(after..)?).ok()
    }
}
