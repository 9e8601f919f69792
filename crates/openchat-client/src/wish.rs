//! What a person can want besides writing: the same from the command line, from lines that begin
//! with `/`, and from objects.

mod slash;

pub use slash::{Arg, COMMANDS, Mistake, Shown, Slash, SlashCommand, Where, complete, help, slash};

use crate::{Ask, Pick, Say, outside};
use openchat_engine::{Bring, Grounds, GroupKind, Inviting, Joining, Order, Role, Target};
use openchat_wire::{GroupName, MessageId, Name};
use std::path::PathBuf;

/// A wish about a conversation. Without a target it is about the one that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where.
    pub target: Option<Target>,
    /// What.
    pub what: What,
}

/// What is to happen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
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
    /// Take part, and begin an open group if there is none.
    Join,
    /// Take part in what there is.
    Accept,
    /// Refuse an invitation.
    Decline,
    /// Give up one's seat.
    Leave,
    /// Come back with new keys.
    Rejoin,
    /// Ask these to come.
    Invite(Vec<Name>),
    /// Put these in.
    Add(Vec<Name>),
    /// Put somebody out.
    Kick(Name),
    /// Say what somebody may do.
    Role(Name, Role),
    /// Say who may join and invite; what is not named stays.
    Policy {
        /// Who may take a seat by themselves.
        join: Option<Joining>,
        /// Who may invite.
        invite: Option<Inviting>,
    },
    /// Tell who is in.
    Names,
    /// Show what is to be compared.
    Compare(Name),
    /// Trust somebody's key.
    Trust(Name, Grounds),
    /// Have a further certificate.
    Renew,
    /// Say something.
    Say(Say),
    /// Write a file that somebody has sent to a place of one's own.
    Save {
        /// Which.
        file: Pick,
        /// A directory, or the path.
        to: PathBuf,
    },
    /// Go on with a file that the server has refused a part of.
    Resume(MessageId),
}

impl What {
    /// How many questions it makes: one a person, where it is about several.
    #[must_use]
    pub const fn questions(&self) -> usize {
        match self {
            Self::Invite(who) | Self::Add(who) => who.len(),
            // Its answer names the message.
            Self::Say(_) => 0,
            _ => 1,
        }
    }

    /// What is said when it is done, where nothing else tells it.
    #[must_use]
    pub const fn done(&self) -> Option<&'static str> {
        match self {
            Self::New { .. } => Some("begun"),
            Self::Decline => Some("declined"),
            Self::Leave => Some("you leave as soon as another member's device has seen it"),
            Self::Rejoin => Some("back with new keys"),
            Self::Trust(_, Grounds::Compared(_)) => Some("verified"),
            Self::Trust(_, Grounds::Accepted) => {
                Some("this key is accepted; compare it when you can")
            }
            _ => None,
        }
    }

    /// The questions to the session about `target`, numbered from `first`.
    #[must_use]
    pub fn ask(self, target: Target, first: u64) -> Vec<Ask> {
        let one = |what| vec![Ask::Do { order: first, what }];
        match self {
            Self::New { name, kind, people, how } => one(Order::New { name, kind, people, how }),
            Self::Join => vec![Ask::Open { order: first, target }],
            Self::Accept => one(Order::Accept { target }),
            Self::Decline => one(Order::Decline { target }),
            Self::Leave => one(Order::Leave { target }),
            Self::Rejoin => one(Order::Rejoin { target }),
            Self::Kick(who) => one(Order::Kick { target, who }),
            Self::Role(who, role) => one(Order::Role { target, who, role }),
            Self::Invite(who) => {
                each(who, first, |who| Order::Invite { target: target.clone(), who })
            }
            Self::Add(who) => each(who, first, |who| Order::Add { target: target.clone(), who }),
            Self::Policy { join, invite } => {
                vec![Ask::Policy { order: first, target, join, invite }]
            }
            Self::Compare(who) => vec![Ask::Compare { order: first, who }],
            Self::Trust(who, on) => vec![Ask::Trust { order: first, who, on }],
            Self::Say(what) => {
                vec![Ask::Say { target, id: outside::message_id(), what }]
            }
            Self::Save { file, to } => vec![Ask::Save { order: first, target, file, to }],
            Self::Resume(file) => one(Order::Resume { target, file }),
            Self::Renew => vec![Ask::Renew { order: first }],
            Self::Names => vec![Ask::Describe { order: first, target }],
        }
    }
}

fn each(who: Vec<Name>, first: u64, order: impl Fn(Name) -> Order) -> Vec<Ask> {
    let people = who.into_iter().zip(first..);
    people.map(|(who, number)| Ask::Do { order: number, what: order(who) }).collect()
}
