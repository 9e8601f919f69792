//! What may be typed after `openchat group`.

use crate::target;
use clap::{Subcommand, ValueEnum};
use openchat_client::engine::{Inviting, Joining, Role, Target};
use openchat_wire::{GroupName, Name};

/// `openchat group`
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "\
TARGET is '#GROUP' or '@PERSON', WHO a person's name. A '#' needs quotes: to the shell it begins a
comment. `list`, `show`, `mute`, `unmute` and `topic` without a text need no server; all others end when
it is done, or say why it is not.")]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    pub(crate) command: GroupCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Begin a group: closed, unless --open
    New {
        /// Its name
        #[arg(value_parser = target::group_name)]
        name: GroupName,
        /// Whoever is enrolled may find and join it
        #[arg(long)]
        open: bool,
        /// Ask these to come; they accept or decline
        #[arg(long, value_name = "WHO", num_args = 1.., value_parser = target::person)]
        invite: Vec<Name>,
        /// Put these in at once
        #[arg(long, value_name = "WHO", num_args = 1.., value_parser = target::person)]
        add: Vec<Name>,
    },
    /// All conversations and invitations, and how many messages wait
    List,
    /// Who is in, who is invited, who decides
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Ask somebody to come; they accept or decline
    Invite {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        people: People,
    },
    /// Put somebody in at once
    Add {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        people: People,
    },
    /// Accept an invitation, or come back to a group that you have left
    Join {
        #[command(flatten)]
        place: Place,
    },
    /// Refuse an invitation
    Decline {
        #[command(flatten)]
        place: Place,
    },
    /// Give up one's seat
    Leave {
        #[command(flatten)]
        place: Place,
    },
    /// Put somebody out, or take an invitation back
    Kick {
        #[command(flatten)]
        place: Place,
        /// Who
        #[arg(value_parser = target::person)]
        who: Name,
    },
    /// Make somebody an admin, or no longer
    Role {
        #[command(flatten)]
        place: Place,
        /// Who
        #[arg(value_parser = target::person)]
        who: Name,
        /// What they are to be
        role: RoleWord,
    },
    /// Say or change who may join and who may invite
    Policy {
        #[command(flatten)]
        place: Place,
        /// Who may take a seat by themselves
        #[arg(long)]
        join: Option<JoinWord>,
        /// Who may invite and add
        #[arg(long)]
        invite: Option<InviteWord>,
    },
    /// Tell what a conversation is about, or say it
    Topic {
        #[command(flatten)]
        place: Place,
        /// One line; an empty one takes the topic away
        #[arg(value_name = "TEXT")]
        text: Option<String>,
    },
    /// Count, ring and tell nothing of a conversation, on this device
    Mute {
        #[command(flatten)]
        place: Place,
    },
    /// Count, ring and tell again
    Unmute {
        #[command(flatten)]
        place: Place,
    },
    /// Come back with new keys, after this device has lost its own
    Rejoin {
        #[command(flatten)]
        place: Place,
    },
}

/// Which conversation.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The conversation: '#GROUP' or '@PERSON'
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Target,
}

/// Whom it is about.
#[derive(Debug, clap::Args)]
pub(crate) struct People {
    /// Who
    #[arg(required = true, value_parser = target::person)]
    pub(crate) who: Vec<Name>,
}

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    Admin,
    Member,
}

/// Who may take a seat by themselves, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JoinWord {
    /// Everybody who is enrolled; of open groups only
    Anyone,
    /// Who was invited
    Admitted,
}

/// Who may invite and add, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InviteWord {
    Members,
    Admins,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Admin => Self::Admin,
            RoleWord::Member => Self::Member,
        }
    }
}

impl From<JoinWord> for Joining {
    fn from(word: JoinWord) -> Self {
        match word {
            JoinWord::Anyone => Self::Anyone,
            JoinWord::Admitted => Self::Admitted,
        }
    }
}

impl From<InviteWord> for Inviting {
    fn from(word: InviteWord) -> Self {
        match word {
            InviteWord::Members => Self::Members,
            InviteWord::Admins => Self::Admins,
        }
    }
}
