//! What may be typed after `openchat file`.

use crate::target;
use clap::{Args, Subcommand};
use openchat_client::engine::Target;
use openchat_wire::{MessageId, Name};
use std::path::PathBuf;

/// Which of several files: senders choose their ids, so that two may have the same.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Only from this one
    #[arg(long, value_name = "WHO", value_parser = target::person)]
    pub(crate) from: Option<Name>,
    /// Only there
    #[arg(long = "in", value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Option<Target>,
}

/// `openchat file`
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Files on this device, with their ids
    List {
        /// Only there
        #[arg(value_name = "TARGET", value_parser = target::target)]
        target: Option<Target>,
    },
    /// Write a file that somebody has sent; nothing that is there is replaced, nothing is opened
    Save {
        /// Which: the id that 'openchat file list' shows
        #[arg(value_name = "ID", value_parser = target::message_id)]
        id: MessageId,
        /// Into which directory, or under which path
        #[arg(value_name = "PATH", default_value = ".")]
        path: PathBuf,
        #[command(flatten)]
        whose: Whose,
    },
    /// Go on sending a file that the server had no room for
    Resume {
        /// Which
        #[arg(value_name = "ID", value_parser = target::message_id)]
        id: MessageId,
        /// Where it was sent
        #[arg(value_name = "TARGET", value_parser = target::target)]
        target: Target,
    },
}
