//! What may be typed about the vault and what it holds.

use crate::{moment, target};
use clap::{Subcommand, ValueEnum};
use openchat_client::engine::Target;
use openchat_wire::{Name, UnixMillis};
use std::{path::PathBuf, time::Duration};

/// `openchat history`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints what this device has of a conversation, as `openchat join` prints it; needs no server.
A moment is a day (2026-11-20), a time (2026-11-20T20:04:00Z), or how long ago (90m, 12h, 7d).

Examples:
  openchat history '#ops' --limit 20
  openchat history @bob --since 2d --json")]
pub(crate) struct HistoryArgs {
    /// The conversation: '#GROUP' or '@PERSON'
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// At most so many, the newest [default: 100, or all with --since or --until]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

/// From when to when, by the authors' clocks.
#[derive(Debug, clap::Args)]
pub(crate) struct RangeArgs {
    /// From this moment on
    #[arg(long, value_name = "MOMENT", value_parser = moment::moment)]
    pub(crate) since: Option<UnixMillis>,
    /// Before this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment::moment)]
    pub(crate) until: Option<UnixMillis>,
}

/// `openchat search`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every WORD has to occur, also as the beginning of a longer one (but for single letters); case and accents don't matter.
Words in one pair of quotes stand side by side. Addresses and numbers are words, too.

Examples:
  openchat search deploy friday
  openchat search 'red fox' --in '#zoo' --from carol
  openchat search https://wiki.acme/rel-2.4 --json")]
pub(crate) struct SearchArgs {
    /// What to look for
    #[arg(value_name = "WORDS", required = true)]
    pub(crate) words: Vec<String>,
    /// Only in this conversation
    #[arg(long, value_name = "TARGET", value_parser = target::target)]
    pub(crate) r#in: Option<Target>,
    /// Only what this person wrote
    #[arg(long, value_name = "WHO", value_parser = target::person)]
    pub(crate) from: Option<Name>,
    /// At most so many, those that came last
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// `openchat export`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --format, messages in the clear, of one conversation or of all: whoever gets them reads them.
With --backup, all of this profile in one file, sealed under a passphrase of its own: `openchat import`
makes a new profile of it. It has this device's identity, so keep it as you keep your keys.

Examples:
  openchat export --format md '#ops' --output ops.md
  openchat export --format json | gzip > all.ndjson.gz
  openchat export --backup bob.openchat")]
#[group(id = "what", required = true, multiple = false, args = ["format", "backup"])]
pub(crate) struct ExportArgs {
    /// Print messages like this
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write a sealed backup into this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "since", "until", "output"])]
    pub(crate) backup: Option<PathBuf>,
    /// The backup's passphrase, from a file ('-': stdin)
    #[arg(long, value_name = "FILE", requires = "backup")]
    pub(crate) backup_passphrase_file: Option<PathBuf>,
    /// Into this new file, for your eyes [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Only this conversation
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Option<Target>,
}

/// How messages are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One object a line (docs/json.md)
    Json,
    /// Markdown, to be read
    Md,
}

/// `openchat import`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Makes this profile of a backup; nobody may have enrolled in it. You are the same person with the same
seats, but the device comes back into every group with new keys, and a device that goes on with the old
ones stops with an alarm: of the two only one can be. What was queued when the backup was made is gone.

Examples:
  openchat import bob.openchat
  openchat -P old-bob import bob.openchat --backup-passphrase-file secret.txt")]
pub(crate) struct ImportArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) backup: PathBuf,
    /// The backup's passphrase, from a file ('-': stdin)
    #[arg(long, value_name = "FILE")]
    pub(crate) backup_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) new: NewVaultArgs,
}

/// How the key of a vault that is made now is kept.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct NewVaultArgs {
    /// Ask for a passphrase without which this profile can't be opened (or name it: --passphrase-file)
    #[arg(long)]
    pub(crate) passphrase: bool,
}

/// `openchat retention`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Messages that came to this device longer ago are deleted from it for good; other devices and the server
keep theirs. Without TIME it says what is set.

Examples:
  openchat retention '#ops' 30d
  openchat retention all 365d
  openchat retention '#ops' forever
  openchat retention")]
pub(crate) struct RetentionArgs {
    /// The conversation, or 'all': those of which nothing else was said
    #[arg(value_name = "TARGET", value_parser = moment::scope)]
    pub(crate) scope: Option<moment::Scope>,
    /// How long: 12h, 30d, 52w, or 'forever'
    #[arg(value_name = "TIME", value_parser = moment::retention)]
    pub(crate) time: Option<Kept>,
}

/// For how long messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    For(Duration),
    Forever,
}

/// `openchat vault`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The vault is sealed with a random key. Beside the vault the key is safe from whoever gets only one of
the two files; in a file elsewhere, from whoever has only this disk; under a passphrase, from whoever
does not know it; in the desktop's keyring, from whoever is not logged in as you. Each change seals the
vault with a new key.

Examples:
  openchat vault
  openchat vault passphrase
  openchat vault keyring
  openchat vault key-file /media/stick/bob.key")]
pub(crate) struct VaultArgs {
    #[command(subcommand)]
    pub(crate) command: Option<VaultCommand>,
}

/// What to do with the vault.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Set a passphrase, or change it
    Passphrase {
        /// The new one, from a file ('-': stdin)
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Keep the key in a file, without a passphrase
    KeyFile {
        /// A new file, perhaps on something you take with you [default: beside the vault]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Keep the key in the keyring of the desktop, which opens when you log in
    #[command(after_help = "\
The keyring is any that speaks the Secret Service: GNOME Keyring, KWallet, KeePassXC. What runs without your
desktop's session (cron, ssh) does not reach it, and ends with exit code 1 (vault-keyring).
Back again: openchat vault key-file, or openchat vault passphrase.")]
    Keyring,
    /// Read every page, and say whether any is damaged
    Check,
}
