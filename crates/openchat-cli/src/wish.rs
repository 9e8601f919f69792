//! What a person can want besides writing: the same from the command line, from lines that begin
//! with `/`, and from objects.

mod slash;

pub(crate) use slash::{HELP, Slash, slash, word};

use openchat_client::{
    Ask,
    engine::{Bring, Grounds, GroupKind, Inviting, Joining, Order, Role, Target},
};
use openchat_wire::{GroupName, Name};

/// A wish about a conversation. Without a target it is about the one that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) target: Option<Target>,
    pub(crate) what: What,
}

/// What is to happen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    New {
        name: GroupName,
        kind: GroupKind,
        people: Vec<Name>,
        how: Bring,
    },
    /// Take part, and begin an open group if there is none.
    Join,
    /// Take part in what there is.
    Accept,
    Decline,
    Leave,
    Rejoin,
    Invite(Vec<Name>),
    Add(Vec<Name>),
    Kick(Name),
    Role(Name, Role),
    Policy {
        join: Option<Joining>,
        invite: Option<Inviting>,
    },
    Names,
    /// Show what is to be compared.
    Compare(Name),
    Trust(Name, Grounds),
    /// Have a further certificate.
    Renew,
}

impl What {
    /// How many questions it makes: one a person, where it is about several.
    pub(crate) const fn questions(&self) -> usize {
        match self {
            Self::Invite(who) | Self::Add(who) => who.len(),
            _ => 1,
        }
    }

    /// What is said when it is done, where nothing else tells it.
    pub(crate) const fn done(&self) -> Option<&'static str> {
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
    pub(crate) fn ask(self, target: Target, first: u64) -> Vec<Ask> {
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
            Self::Renew => vec![Ask::Renew { order: first }],
            Self::Names => vec![Ask::Describe { order: first, target }],
        }
    }
}

fn each(who: Vec<Name>, first: u64, order: impl Fn(Name) -> Order) -> Vec<Ask> {
    let people = who.into_iter().zip(first..);
    people.map(|(who, number)| Ask::Do { order: number, what: order(who) }).collect()
}
