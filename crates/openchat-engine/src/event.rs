//! What the engine has to say.

use openchat_roster::{Role, Rules};
use openchat_wire::{Epoch, Fingerprint, GroupId, MessageId, Name, Seq, UnixMillis};

#[cfg(doc)]
use crate::command::Order;
use crate::{
    body::{Body, MessageRef},
    target::Target,
};

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
    /// What it may do.
    pub role: Role,
    /// Whether it has made its leaf its own. Until then whoever has its prekey reads along.
    pub claimed: bool,
    /// The server says that it is connected. If it does not say so, it may be all the same.
    pub online: bool,
}

/// How somebody's part in a group changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It came in.
    Joined,
    /// It came back after losing its state.
    Rejoined,
    /// A member seated it.
    Added,
    /// A member invited it.
    Invited,
    /// It refused its invitation, or the invitation was taken back.
    Declined,
    /// It left.
    Left,
    /// An admin removed it.
    Removed,
    /// Its key was revoked, so it was removed.
    Revoked,
    /// It has made its leaf its own.
    Claimed,
    /// It is an admin now.
    Admin,
    /// It is an admin no longer.
    Member,
    /// An admin has lifted the ban on it.
    Lifted,
}

impl Change {
    /// The change as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Rejoined => "rejoined",
            Self::Added => "added",
            Self::Invited => "invited",
            Self::Declined => "declined",
            Self::Left => "left",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
            Self::Claimed => "claimed",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Lifted => "lifted",
        }
    }
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
    pub body: Body,
    /// Written on this device.
    pub own: bool,
}

impl StoredMessage {
    /// What of it is a text to be shown and searched.
    #[must_use]
    pub fn text(&self) -> &str {
        self.body.text()
    }

    /// What names it.
    #[must_use]
    pub const fn named(&self) -> MessageRef {
        MessageRef { author: self.fingerprint, id: self.id }
    }
}

/// How far a file has come: its parts in the log if it is this device's own, else those that are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The conversation.
    pub target: String,
    /// The log.
    pub group: GroupId,
    /// The message that has offered it.
    pub file: MessageRef,
    /// What its sender calls it.
    pub name: String,
    /// Bytes so far. All of them, if it is the size; what came is to be compared with its hash then.
    pub done: u64,
    /// Bytes of it.
    pub size: u64,
    /// Sent by this device.
    pub own: bool,
}

/// What this device has said and the log is not known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Its name.
    pub id: MessageId,
    /// When it was said.
    pub time: UnixMillis,
    /// What it says.
    pub body: Body,
}

/// What became of an own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is stored here.
    Queued,
    /// It is in the log, on the server's disk.
    Sent,
    /// Devices of others have it.
    Delivered {
        /// How many.
        count: u32,
        /// Of how many who could read it when it was written.
        of: u32,
    },
}

/// What kind of conversation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A group whose name is public.
    Open,
    /// A group that only its members know.
    Closed,
    /// Two people.
    Direct,
    /// Its log was not read yet.
    Unknown,
}

/// Where this device stands in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has a seat.
    Member,
    /// It was invited and has not answered.
    Invited,
    /// It is on its way in: offline, reading, or waiting for somebody.
    Entering,
    /// It has left, has declined, or was removed.
    Out,
    /// An alarm has stopped the conversation.
    Halted,
}

/// A conversation, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// As people write it.
    pub target: Target,
    /// What it is.
    pub kind: Kind,
    /// The log, once it is known.
    pub group: Option<GroupId>,
    /// Where this device stands.
    pub standing: Standing,
    /// Who has invited it, if somebody has.
    pub inviter: Option<Name>,
    /// Commits so far.
    pub epoch: Epoch,
    /// Who may join and invite, once that was read.
    pub rules: Option<Rules>,
    /// Who is in.
    pub members: Vec<MemberView>,
    /// Who was invited and has not come yet.
    pub invited: Vec<Name>,
    /// Texts that are not in the log yet.
    pub queued: usize,
    /// Another copy of this device was seen here: nothing is sent until the person says `rejoin`.
    pub stopped: bool,
    /// With whom it was, if it is one of two whose key that person has no more. The one with the
    /// key of now goes by the name.
    pub former: Option<Name>,
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
    /// The relay has handed out a prekey that its owner did not sign.
    ForgedPrekey,
    /// A name that this device knows has another key now.
    KeyChanged,
    /// The server has shown others another transparency log than this device.
    SplitView,
    /// The transparency log breaks its own rules.
    LogIrregular,
    /// The transparency log has something about this device's name that the device did not ask for.
    OwnName,
    /// This device's key was revoked.
    Revoked,
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
            Self::ForgedPrekey => "forged-prekey",
            Self::KeyChanged => "key-changed",
            Self::SplitView => "split-view",
            Self::LogIrregular => "log-irregular",
            Self::OwnName => "own-name",
            Self::Revoked => "revoked",
        }
    }
}

/// News for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file that proves to anybody with the CA's pin that the server has lied. It is to be kept.
    Evidence(Vec<u8>),
    /// This device's certificate nears its end and could not be renewed.
    Expiring {
        /// Its end.
        until: UnixMillis,
        /// Whole days until then.
        days: u64,
    },
    /// This device has a further certificate, for the connections to come. It is to be kept once it
    /// was checked against the CA.
    Renewed {
        /// In DER.
        certificate: Vec<u8>,
        /// Its end.
        until: UnixMillis,
    },
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
    /// More of a file is there.
    Progress(Progress),
    /// One's own message is in the log.
    Ack {
        /// Which.
        id: MessageId,
        /// Where.
        seq: Seq,
    },
    /// Somebody's device has one of this device's messages, as it has signed.
    Delivered {
        /// The conversation.
        target: String,
        /// Which.
        id: MessageId,
        /// Its place.
        seq: Seq,
        /// Who has it.
        by: Name,
        /// How many others have it now.
        count: u32,
        /// How many others could read it when it was written.
        of: u32,
    },
    /// The server says who has come and who has gone. Nobody has signed it.
    Presence {
        /// The conversation.
        target: String,
        /// Who is connected now.
        online: Vec<Name>,
        /// Who is not any more.
        offline: Vec<Name>,
    },
    /// Somebody's part in the group changed.
    Member {
        /// The conversation.
        target: String,
        /// Who.
        name: Name,
        /// How.
        change: Change,
        /// Who did it, if it was somebody else.
        by: Option<Name>,
        /// The epoch that it led to.
        epoch: Epoch,
        /// How many are in now.
        count: u32,
    },
    /// An admin has changed who may join and invite.
    Rules {
        /// The conversation.
        target: String,
        /// What holds now.
        rules: Rules,
        /// Who did it.
        by: Name,
    },
    /// This device was invited; [`Order::Accept`] or [`Order::Decline`] is the answer. Told again
    /// after each start until it is given.
    Invited {
        /// To where.
        target: String,
        /// By whom, if that could be read.
        by: Option<Name>,
        /// Who is in.
        members: Vec<Name>,
    },
    /// This device has a seat no longer. Texts that were not sent are reported as failed.
    Gone {
        /// From where.
        target: String,
        /// Why: [`Change::Left`], [`Change::Removed`] or [`Change::Revoked`].
        change: Change,
        /// Whose commit it was, if that could be read.
        by: Option<Name>,
    },
    /// A conversation waits for something that only another person or the server can do. Nothing
    /// is lost.
    Waiting {
        /// The conversation.
        target: String,
        /// Stable, for scripts.
        code: &'static str,
        /// For what.
        message: String,
        /// What to do meanwhile.
        hint: String,
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
    /// The server keeps some entries no more that this device had not read. They are gone; nothing
    /// has failed.
    Dropped {
        /// The conversation.
        target: String,
        /// How many: messages, hardly anything else.
        count: u64,
        /// The place of the first one.
        first: Seq,
        /// The place of the last one.
        last: Seq,
    },
    /// What was ordered is done.
    Done {
        /// Which order.
        order: u64,
        /// The conversation that it was about, as it is written from here on.
        target: String,
    },
    /// What was asked for can't be done.
    Failed {
        /// The order that it is about.
        order: Option<u64>,
        /// The message that it is about.
        id: Option<MessageId>,
        /// The conversation, if it is about one.
        target: Option<String>,
        /// Stable, for scripts.
        code: &'static str,
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
    },
}
