//! What the engine has stored for it: a table of records under typed keys, whose values only the
//! engine reads, and the messages, which others read too.

use openchat_wire::{Blob, Digest, Fingerprint, GroupId, MessageId, Name, Seq};

use crate::{body::MessageRef, event::StoredMessage};

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
    /// A message to keep. What it says about others is to be done to them.
    Message(StoredMessage),
    /// A part of a file to keep. The message that has offered it was kept before.
    Chunk {
        /// The log.
        group: GroupId,
        /// The message that has offered the file.
        file: MessageRef,
        /// Which part.
        index: u32,
        /// What it carries.
        bytes: Blob,
    },
    /// The rest of a file is not waited for any more: its parts are of no use.
    DropFile {
        /// The log.
        group: GroupId,
        /// The message that has offered the file.
        file: MessageRef,
    },
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

/// What a device calls a conversation in its own records: the first one is 1. Unlike a group's id
/// it is there before the group is found, and unlike a name it never changes.
pub(crate) type Local = u64;

/// The kinds of records. Numbers are for ever; those that are missing were used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Where reading stopped, when keys were renewed.
    Progress,
    /// An approved commit, by place.
    Commit,
    /// A message on its way, by conversation and order.
    Outgoing,
    /// What is remembered of a log entry, by place.
    Past,
    /// A member's certificate: kept before there was a mirror.
    Certificate,
    /// The newest transparency head.
    Head,
    /// A name's first key.
    Pin,
    /// `Pending`s that the relay has refused, while their place in the log is not taken.
    GivenUp,
    /// What a conversation is, by local number.
    Conversation,
    /// A part of a group's state, by [`openchat_group::StateKey`].
    State,
    /// The private part of a prekey, by its hash.
    Prekey,
    /// A letter that has not served yet, by the commit's place.
    Letter,
    /// Where reading the own inbox stopped.
    Inbox,
    /// A leave request that is due, by its author.
    Leave,
    /// Messages that could not be opened and were not asked for again yet.
    Missed,
    /// A message of this device's own with what it says: kept before the vault was asked for that.
    SaidWhole,
    /// A message of this device's own that is in the log, by conversation and order.
    Said,
    /// How far a member has read, as it has signed.
    Mark,
    /// Entries of the transparency log, by number of the record.
    Logged,
    /// What the mirror makes of them.
    Mirror,
    /// An entry about this device that it did not ask for, by index.
    Warning,
    /// A further certificate was asked for.
    Renewal,
    /// A file of this device's own, by conversation and offer.
    Upload,
    /// Which parts of somebody's file are there, by author and offer.
    Download,
    /// An alarm that goes on, by local number.
    Alarm,
}

impl Kind {
    const ALL: [Self; 25] = [
        Self::Progress,
        Self::Commit,
        Self::Outgoing,
        Self::Past,
        Self::Certificate,
        Self::Head,
        Self::Pin,
        Self::GivenUp,
        Self::Conversation,
        Self::State,
        Self::Prekey,
        Self::Letter,
        Self::Inbox,
        Self::Leave,
        Self::Missed,
        Self::SaidWhole,
        Self::Said,
        Self::Mark,
        Self::Logged,
        Self::Mirror,
        Self::Warning,
        Self::Renewal,
        Self::Upload,
        Self::Download,
        Self::Alarm,
    ];

    pub(crate) fn of(key: &Key) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == key.kind)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Progress => 2,
            Self::Commit => 6,
            Self::Outgoing => 7,
            Self::Past => 8,
            Self::Certificate => 9,
            Self::Head => 10,
            Self::Pin => 11,
            Self::GivenUp => 12,
            Self::Conversation => 13,
            Self::State => 14,
            Self::Prekey => 15,
            Self::Letter => 16,
            Self::Inbox => 17,
            Self::Leave => 18,
            Self::Missed => 19,
            Self::SaidWhole => 20,
            Self::Mark => 21,
            Self::Logged => 22,
            Self::Mirror => 23,
            Self::Warning => 24,
            Self::Renewal => 25,
            Self::Upload => 26,
            Self::Download => 27,
            Self::Said => 28,
            Self::Alarm => 29,
        }
    }

    fn key(self, group: Option<GroupId>, sub: &[u8]) -> Key {
        Key { kind: self.number(), group, sub: sub.to_vec() }
    }
}

impl Key {
    /// Whether a device that is restored from a backup may have this record of the one it was.
    ///
    /// Nothing that seals or opens messages: a ratchet that exists twice uses one key twice. Nothing of a
    /// group either, nor what is on its way: the device comes back as one that has lost its keys, and
    /// learns of its groups from their logs. What is left is whom it has met and trusts, what it knows of
    /// the transparency log, and which conversations it is in. Files that were under way stay where they are.
    #[must_use]
    pub fn survives_restoring(&self) -> bool {
        match Kind::of(self) {
            Some(
                Kind::Certificate
                | Kind::Head
                | Kind::Pin
                | Kind::Conversation
                | Kind::Logged
                | Kind::Mirror
                | Kind::Warning,
            ) => self.group.is_none(),
            Some(
                Kind::Progress
                | Kind::Commit
                | Kind::Outgoing
                | Kind::Past
                | Kind::GivenUp
                | Kind::State
                | Kind::Prekey
                | Kind::Letter
                | Kind::Inbox
                | Kind::Leave
                | Kind::Missed
                | Kind::SaidWhole
                | Kind::Said
                | Kind::Mark
                | Kind::Renewal
                | Kind::Upload
                | Kind::Download
                | Kind::Alarm,
            )
            | None => false,
        }
    }

    pub(crate) fn conversation(local: Local) -> Self {
        Kind::Conversation.key(None, &local.to_be_bytes())
    }

    pub(crate) fn progress(group: GroupId) -> Self {
        Kind::Progress.key(Some(group), b"")
    }

    pub(crate) fn state(group: GroupId, part: &[u8]) -> Self {
        Kind::State.key(Some(group), part)
    }

    pub(crate) fn given_up(group: GroupId) -> Self {
        Kind::GivenUp.key(Some(group), b"")
    }

    pub(crate) fn commit(group: GroupId, seq: Seq) -> Self {
        Kind::Commit.key(Some(group), &seq.0.to_be_bytes())
    }

    pub(crate) fn outgoing(local: Local, order: u64) -> Self {
        Kind::Outgoing.key(None, &[local.to_be_bytes(), order.to_be_bytes()].concat())
    }

    pub(crate) fn said(local: Local, order: u64) -> Self {
        Kind::Said.key(None, &[local.to_be_bytes(), order.to_be_bytes()].concat())
    }

    pub(crate) fn past(group: GroupId, seq: Seq) -> Self {
        Kind::Past.key(Some(group), &seq.0.to_be_bytes())
    }

    pub(crate) fn leave(group: GroupId, author: &Fingerprint) -> Self {
        Kind::Leave.key(Some(group), &author.0)
    }

    pub(crate) fn missed(group: GroupId) -> Self {
        Kind::Missed.key(Some(group), b"")
    }

    pub(crate) fn letter(group: GroupId, seq: Seq) -> Self {
        Kind::Letter.key(Some(group), &seq.0.to_be_bytes())
    }

    pub(crate) fn mark(group: GroupId, member: &Fingerprint) -> Self {
        Kind::Mark.key(Some(group), &member.0)
    }

    pub(crate) fn inbox() -> Self {
        Kind::Inbox.key(None, b"")
    }

    pub(crate) fn prekey(hash: &Digest) -> Self {
        Kind::Prekey.key(None, &hash.0)
    }

    pub(crate) fn logged(number: u64) -> Self {
        Kind::Logged.key(None, &number.to_be_bytes())
    }

    pub(crate) fn mirror() -> Self {
        Kind::Mirror.key(None, b"")
    }

    pub(crate) fn warning(index: u64) -> Self {
        Kind::Warning.key(None, &index.to_be_bytes())
    }

    pub(crate) fn alarm(local: Local) -> Self {
        Kind::Alarm.key(None, &local.to_be_bytes())
    }

    pub(crate) fn renewal() -> Self {
        Kind::Renewal.key(None, b"")
    }

    pub(crate) fn upload(local: Local, file: MessageId) -> Self {
        Kind::Upload.key(None, &[local.to_be_bytes().as_slice(), &file.0].concat())
    }

    pub(crate) fn download(group: GroupId, (author, file): (Fingerprint, MessageId)) -> Self {
        Kind::Download.key(Some(group), &[author.0.as_slice(), &file.0].concat())
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

    /// The two numbers that `sub` is.
    pub(crate) fn numbers(&self) -> Option<(u64, u64)> {
        let (first, rest) = self.sub.split_first_chunk::<8>()?;
        let second = rest.try_into().ok()?;
        Some((u64::from_be_bytes(*first), u64::from_be_bytes(second)))
    }

    /// The number and the message that `sub` is.
    pub(crate) fn number_and_message(&self) -> Option<(u64, MessageId)> {
        let (number, rest) = self.sub.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*number), MessageId(rest.try_into().ok()?)))
    }

    /// The author and the message that `sub` is.
    pub(crate) fn author_and_message(&self) -> Option<(Fingerprint, MessageId)> {
        let (author, rest) = self.sub.split_first_chunk::<32>()?;
        Some((Fingerprint(*author), MessageId(rest.try_into().ok()?)))
    }

    /// The hash that `sub` is.
    pub(crate) fn hash(&self) -> Option<[u8; 32]> {
        self.sub.as_slice().try_into().ok()
    }

    /// The text that `sub` is.
    pub(crate) fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.sub).ok()
    }
}
