//! What goes into the engine.

use openchat_pki::CaCertificate;
use openchat_roster::{Role, Rules};
use openchat_wire::{GroupName, MessageId, Name, UnixMillis, relay::ToClient};

#[cfg(doc)]
use crate::event::Event;
use crate::{
    body::Body,
    output::{Recall, Want},
    safety::SafetyNumber,
    target::Target,
};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The relay can be reached, as this device.
    Connected,
    /// The server's TLS has led this device to another key of its CA. It comes before [`Connected`].
    ///
    /// [`Connected`]: Self::Connected
    Authority(Box<CaCertificate>),
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
    /// Take part in a conversation: an open group, found by its name and begun if there is none; a
    /// person; or any that is known. [`Event::Ready`] tells that it is so.
    Open {
        /// Which.
        target: Target,
    },
    /// Say something there. It is kept until it is in the log.
    Send {
        /// Where.
        target: Target,
        /// Chosen at random by the caller; names the message for ever.
        id: MessageId,
        /// What. The parts of a file are to be in the vault before: they are asked for.
        what: Body,
    },
    /// The part of a file that was wanted.
    Part {
        /// Which.
        want: Want,
        /// What it is; nothing if the vault does not have it, which ends the file.
        bytes: Option<Vec<u8>>,
    },
    /// The message that was wanted, to say it again.
    Recalled {
        /// Which.
        recall: Recall,
        /// When it was written and what it says, as it stands: after an edit the new text, of what is
        /// deleted that it is. Nothing if the vault does not have it any more, or if it is a sign, a topic, a
        /// timer or an edit that another one has replaced.
        said: Option<(UnixMillis, Body)>,
    },
    /// Ask for a further certificate now. It waits for a connection. [`Event::Done`] or
    /// [`Event::Failed`] tells what came of it, [`Event::Renewed`] before that what came.
    Renew {
        /// Chosen by the caller; returned when it is done or has failed.
        order: u64,
    },
    /// Trust somebody's key: the one that its name has now. Of oneself, accepting says that one knows
    /// what was told of one's own name. It needs no connection.
    /// [`Event::Done`] or [`Event::Failed`] tells what came of it.
    Trust {
        /// Chosen by the caller; returned when it is done or has failed.
        order: u64,
        /// Whose.
        who: Name,
        /// Why.
        on: Grounds,
    },
    /// Do something with a group. It waits until it can be done, also for a connection; but it is
    /// not kept beyond the process. [`Event::Done`] or [`Event::Failed`] tells what came of it.
    Order {
        /// Chosen by the caller; returned when it is done or has failed.
        order: u64,
        /// What to do.
        what: Order,
    },
}

/// Why a key is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// The two people have compared this.
    Compared(SafetyNumber),
    /// The person says so.
    Accepted,
}

/// What a person may do with a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Begin a group.
    New {
        /// Its name.
        name: GroupName,
        /// Who may know of it.
        kind: GroupKind,
        /// Who else is to be in it.
        people: Vec<Name>,
        /// Whether they are asked.
        how: Bring,
    },
    /// Let somebody take a seat, if it wants to.
    Invite {
        /// Where.
        target: Target,
        /// Whom.
        who: Name,
    },
    /// Seat somebody at once.
    Add {
        /// Where.
        target: Target,
        /// Whom.
        who: Name,
    },
    /// Follow an invitation.
    Accept {
        /// To where.
        target: Target,
    },
    /// Refuse an invitation.
    Decline {
        /// To where.
        target: Target,
    },
    /// Ask to be removed. It is done when the group has the request.
    Leave {
        /// From where.
        target: Target,
    },
    /// Remove somebody, or take its invitation back; for admins.
    Kick {
        /// From where.
        target: Target,
        /// Whom.
        who: Name,
    },
    /// Make somebody an admin, or a member again; for admins.
    Role {
        /// Where.
        target: Target,
        /// Whom.
        who: Name,
        /// What it becomes.
        role: Role,
    },
    /// Change who may join and invite; for admins.
    Rules {
        /// Where.
        target: Target,
        /// The new rules.
        rules: Rules,
    },
    /// Go on with a file of this device's own that the server has refused a part of.
    Resume {
        /// Where.
        target: Target,
        /// The message that has offered it.
        file: MessageId,
    },
    /// Come back with new keys. It is also the person's answer to the alarm that another copy of
    /// this device is running.
    Rejoin {
        /// Where.
        target: Target,
    },
}

impl Order {
    /// The conversation that it is about; a new group has none yet.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        Some(match self {
            Self::New { .. } => return None,
            Self::Invite { target, .. }
            | Self::Add { target, .. }
            | Self::Accept { target }
            | Self::Decline { target }
            | Self::Leave { target }
            | Self::Kick { target, .. }
            | Self::Role { target, .. }
            | Self::Rules { target, .. }
            | Self::Resume { target, .. }
            | Self::Rejoin { target } => target,
        })
    }
}

/// Who may know of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// Everybody enrolled, who may also join.
    Open,
    /// Its members and those whom they invite.
    Closed,
}

/// How somebody is brought into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bring {
    /// Seated at once, online or not.
    Add,
    /// Asked first.
    Invite,
}
