//! What goes into the engine and what it has to say.

use openchat_wire::{
    Epoch, Fingerprint, GroupId, GroupName, MessageId, Name, Seq, UnixMillis, relay::ToClient,
};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The relay can be reached, as this device.
    Connected,
    /// It can't any more. Requests without an answer are asked again after the next connection.
    Disconnected,
    /// The relay says something.
    Frame(ToClient),
    /// The person wants something.
    Command(Command),
    /// The deadline has come.
    Tick,
}

/// What a person may want.
#[derive(Debug, Clone)]
pub enum Command {
    /// Take part in an open group, found by its name, and begin it if there is none.
    Open {
        /// Its name.
        group: GroupName,
    },
    /// Say something there. It is kept until it is in the log.
    Send {
        /// Where.
        group: GroupName,
        /// Chosen at random by the caller; names the message for ever.
        id: MessageId,
        /// What.
        text: String,
    },
}

/// How sure this device is whom a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The CA says so.
    Certified,
    /// Two people compared safety numbers.
    Verified,
    /// The name had another key before.
    Changed,
}

/// A member, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Name.
    pub name: Name,
    /// It is this device's person.
    pub me: bool,
    /// Whether the name is to be believed.
    pub trust: Trust,
}

/// How a member's part in a group changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It came in.
    Joined,
    /// It came back after losing its state.
    Rejoined,
}

/// A message that was opened, authenticated and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The log.
    pub group: GroupId,
    /// The conversation, as people write it: `#general`.
    pub target: String,
    /// Its place.
    pub seq: Seq,
    /// Its author's name for it.
    pub id: MessageId,
    /// Who wrote it.
    pub sender: Name,
    /// The key that signed it.
    pub fingerprint: Fingerprint,
    /// Whether the name is to be believed.
    pub trust: Trust,
    /// The author's clock.
    pub time: UnixMillis,
    /// What it says.
    pub text: String,
    /// Written on this device.
    pub own: bool,
}

/// What an alarm is about. Codes are stable, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmCode {
    /// A member, or the relay, has another history of the log than this device.
    HistoryFork,
    /// The relay's signed claims contradict each other or the log.
    ReceiptMismatch,
    /// The relay keeps back entries that others have.
    HeldBack,
    /// The transparency log was taken back or split.
    LogRollback,
    /// A name's key is not certified by the pinned CA, or a name has two keys.
    Uncertified,
    /// The log has an entry that this program can't read.
    UnknownEntry,
    /// The log has a commit that no honest relay lets in.
    InvalidCommit,
    /// A member's commit was wrong in a way that only members see.
    BadCommit,
    /// Somebody used this device's identity.
    Clone,
    /// A member said two things under one message id.
    Equivocation,
}

impl AlarmCode {
    /// The code as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HistoryFork => "history-fork",
            Self::ReceiptMismatch => "receipt-mismatch",
            Self::HeldBack => "held-back",
            Self::LogRollback => "log-rollback",
            Self::Uncertified => "uncertified",
            Self::UnknownEntry => "unknown-entry",
            Self::InvalidCommit => "invalid-commit",
            Self::BadCommit => "bad-commit",
            Self::Clone => "clone",
            Self::Equivocation => "equivocation",
        }
    }
}

/// News for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This device is seated and has read the log to its end.
    Ready {
        /// The conversation.
        target: String,
        /// Its epoch.
        epoch: Epoch,
        /// Who is in.
        members: Vec<MemberView>,
    },
    /// A message, in log order; one's own too.
    Message(StoredMessage),
    /// One's own message is in the log.
    Ack {
        /// Which.
        id: MessageId,
        /// Where.
        seq: Seq,
    },
    /// Somebody's part in the group changed.
    Member {
        /// The conversation.
        target: String,
        /// Who.
        name: Name,
        /// How.
        change: Change,
        /// The epoch that it led to.
        epoch: Epoch,
        /// How many are in now.
        count: u32,
    },
    /// Something that must not be overlooked.
    Alarm {
        /// The conversation, if it is about one.
        target: Option<String>,
        /// What it is about.
        code: AlarmCode,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
    },
    /// An entry that can't be opened.
    Unreadable {
        /// The conversation.
        target: String,
        /// Its place.
        seq: Seq,
        /// Why.
        cause: String,
        /// What to do.
        hint: String,
    },
    /// What was asked for can't be done.
    Failed {
        /// The message that it is about.
        id: Option<MessageId>,
        /// Stable, for scripts.
        code: &'static str,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
    },
}
