//! What may be typed. Help, usage errors and parsing all come from these types.

mod file;
mod group;
mod vault;

pub(crate) use file::{FileCommand, Whose};
pub(crate) use group::{GroupArgs, GroupCommand};
pub(crate) use vault::{
    ExportArgs, Format, HistoryArgs, ImportArgs, Kept, NewVaultArgs, RangeArgs, RetentionArgs,
    SearchArgs, VaultArgs, VaultCommand,
};

use crate::fault::{Exit, Fault};
use crate::out::Out;
use crate::{audit, moment, target, verify};
use clap::{ArgAction, Parser, Subcommand, ValueEnum, error::ErrorKind};
use openchat_client::{
    ProfileName, Start,
    engine::{SafetyNumber, Target},
};
use openchat_wire::{Digest, MessageId, Name};
use std::{ffi::OsString, fmt, path::PathBuf};

const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failure, 2 usage, 3 not enrolled, 4 unreachable, 5 trust failure,
6 expired or revoked, 7 not found, 8 queued and not acknowledged yet, 130 interrupted.";

const DOCTOR_HELP: &str = "\
Prints a line for everything that was looked at: 'ok', 'warn' or 'FAIL', what it is, and how it
stands; then the next command, if there is something to do. Changes nothing, and works also while
another openchat uses the profile. Exit code 1 if anything says FAIL, 3 if the profile is not enrolled.";

/// End-to-end encrypted conversations.
#[derive(Debug, Parser)]
#[command(name = "openchat", version, after_help = EXIT_CODES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command, accepted before and after it.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Read this configuration file instead of the usual one
    #[arg(short, long, global = true, value_name = "FILE", env = "OPENCHAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Be this one of several people on this machine
    #[arg(short = 'P', long, global = true, value_name = "NAME", env = "OPENCHAT_PROFILE")]
    pub(crate) profile: Option<ProfileName>,
    /// Say on stderr what happens; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing on stderr but errors and alarms
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print JSON, one object a line (docs/json.md)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour errors
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<Color>,
    /// Open the vault with the passphrase in this file's first line ('-': stdin)
    #[arg(long, global = true, value_name = "FILE", env = "OPENCHAT_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Never prompt, also on a terminal
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get a certificate for a key made on this device, or renew it
    Enroll(EnrollArgs),
    /// Take part in a conversation
    Join(JoinArgs),
    /// Send one message, and wait until the server has it
    Send(SendArgs),
    /// List the files that came, save one, go on with one that found no room
    File {
        #[command(subcommand)]
        command: FileCommand,
    },
    /// Be told of messages, as lines, as objects, or by a command that is run for each
    Listen(ListenArgs),
    /// Begin and change conversations, and see who is in
    Group(GroupArgs),
    /// Compare keys with somebody, so that no server can stand between you
    Verify(VerifyArgs),
    /// See and decide whose keys are trusted
    Trust {
        #[command(subcommand)]
        command: TrustCommand,
    },
    /// Have the certificate renewed now; it renews itself at two thirds of its life
    Renew,
    /// Print what this device has of a conversation
    History(HistoryArgs),
    /// Find messages by their words
    Search(SearchArgs),
    /// Write messages in the clear, or a sealed backup
    Export(ExportArgs),
    /// Make this profile of a backup
    Import(ImportArgs),
    /// Say for how long this device keeps messages
    Retention(RetentionArgs),
    /// See and choose how the vault's key is kept
    Vault(VaultArgs),
    /// Check a server's transparency log, or evidence against it, in a file
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Say how things stand: certificate, server, conversations
    Status,
    /// Say who this profile is
    Whoami,
    /// Find what is wrong here, and say what to do about it
    #[command(after_help = DOCTOR_HELP)]
    Doctor,
    /// Print completions for a shell
    Completions {
        /// Of which shell
        shell: Shell,
    },
    /// Print the manual page (for `man -l -`), or write one for every command into a directory
    Man {
        /// Write `openchat*.1` into this directory
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Shells that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `openchat enroll`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --invite the server on this machine is asked through its admin socket
(OPENCHAT_SERVER_HOME, or the usual place).

Examples:
  openchat enroll --name bob
  openchat enroll --name bob --invite 'openchat://192.168.1.20:7443/#v1.…'
  openchat -P carol enroll --name carol --invite - < invitation.txt
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256 -subj /CN=bot \\
    -keyout bot.key -noenc -out bot.csr
  openchat enroll --name bot --csr bot.csr --out bot.crt --ca-out ca.crt --invite '…'")]
pub(crate) struct EnrollArgs {
    /// Your name: 1 to 32 characters, a-z first, then a-z, 0-9 or '-'
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// The invitation, or '-' to read it from stdin
    #[arg(long, value_name = "INVITATION", env = "OPENCHAT_INVITE", hide_env_values = true)]
    pub(crate) invite: Option<Pasted>,
    #[command(flatten)]
    pub(crate) new: NewVaultArgs,
    /// Certify the key of this certification request (PKCS#10, PEM or DER), which another program
    /// made, and no key of this profile
    #[arg(long, value_name = "FILE", requires_all = ["out", "name"])]
    pub(crate) csr: Option<PathBuf>,
    /// Where that certificate goes, as PEM; must not exist
    #[arg(long, value_name = "FILE", requires = "csr")]
    pub(crate) out: Option<PathBuf>,
    /// Where the CA's certificates go, as PEM; must not exist
    #[arg(long, value_name = "FILE", requires = "csr")]
    pub(crate) ca_out: Option<PathBuf>,
}

/// An invitation as it was given. It is a secret, so neither `Debug` nor a usage error shows it;
/// that is why clap does not parse it further.
#[derive(Clone)]
pub(crate) struct Pasted(pub(crate) String);

impl From<&str> for Pasted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Pasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pasted(…)")
    }
}

/// `openchat join`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints TIME, TARGET, SENDER, TRUST and TEXT of each message, separated by tabs, in the order of
the conversation; '\\', newline and tab in a text as '\\\\', '\\n', '\\t'. Each line of stdin is
a message. At the end of stdin it waits until the conversation is read to its end and all messages
are acknowledged: exit code 0, or 8 if 10 seconds pass without progress; what is queued is sent the
next time.

An open group that does not exist is begun, and so is a conversation with somebody.
A '#' needs quotes: to the shell it begins a comment.

Examples:
  openchat join
  openchat join @bob
  echo 'deploy done' | openchat join '#ops'
  openchat join --json < orders.ndjson > events.ndjson")]
pub(crate) struct JoinArgs {
    /// The conversation: '#GROUP' or '@PERSON' [default: #general]
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Option<Target>,
    /// Plain lines without a prompt; otherwise a terminal gets the full screen
    #[arg(long)]
    pub(crate) line: bool,
    /// Take lines that begin with '/' as commands, also when stdin is no terminal
    #[arg(long)]
    pub(crate) commands: bool,
}

/// `openchat send`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints the message's id. Exit codes: 0 the server has it; 8 it is stored here and is sent by the
next openchat that runs, because the server could not be reached within 10 seconds; 7 there is no
such person or conversation; 5 the message was withheld because a key can't be trusted.

Examples:
  openchat send @bob 'The backup is done.'
  df -h | openchat send '#ops' -
  openchat send --file report.pdf --file data.csv '#ops'
  openchat send --reply-to 9f86d081884c7d659a2feaa0c55ad015 '#ops' 'Done.'
  openchat send --wait delivered --timeout 60 @bob 'Are you there?'")]
pub(crate) struct SendArgs {
    /// For what: the server has it, or the device of another member has it (8 if not in time)
    #[arg(long, value_name = "WHAT", default_value = "sent")]
    pub(crate) wait: Wait,
    /// How many seconds at most [default: 30 with --wait delivered]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// Answer the message of this id
    #[arg(long, value_name = "ID", value_parser = target::message_id, conflicts_with = "action")]
    pub(crate) reply_to: Option<MessageId>,
    /// The text is what you do: 'waves' is shown as '* alice waves'
    #[arg(long)]
    pub(crate) action: bool,
    /// Send a file; may be said several times. A text goes after the files
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// The conversation: '#GROUP' or '@PERSON'
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Target,
    /// The text; '-' or, without --file, nothing: all of stdin
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
}

/// `openchat listen`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints each message of others as `openchat join` does, and takes part in nothing: it joins no group
and accepts no invitation. It runs until it is ended, beside any other openchat of this profile.

With --exec CMD runs for each message, one after the other. The text is on its stdin; OPENCHAT_TARGET,
OPENCHAT_KIND (text, reply, edit, …), OPENCHAT_SENDER, OPENCHAT_TRUST, OPENCHAT_ID, OPENCHAT_SEQ,
OPENCHAT_TIME and OPENCHAT_OWN say the rest. No shell reads any of it. A message is done when CMD exits with 0; otherwise CMD runs again, after
a pause that grows, until --attempts are used up. With --as NAME the place is kept: whoever was killed
goes on with the first message that was not done, so that none is missed and the last one may come twice.

Examples:
  openchat listen '#ops'
  openchat listen --json --since 2d
  openchat listen '#ops' --as pager --exec ./page -- --urgent")]
pub(crate) struct ListenArgs {
    /// The conversation: '#GROUP' or '@PERSON' [default: all]
    #[arg(value_name = "TARGET", value_parser = target::target)]
    pub(crate) target: Option<Target>,
    /// Where to begin: now, beginning, a message's seq (after it) or id (after it), a day, a time, or
    /// how long ago (2d)
    #[arg(long, value_name = "PLACE", default_value = "now", value_parser = moment::place)]
    pub(crate) since: Start,
    /// Keep the place under this name, and go on there the next time; --since then counts only once
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<Name>,
    /// Also what was written on this device
    #[arg(long)]
    pub(crate) own: bool,
    /// End after so many messages
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Run this program for each message
    #[arg(long, value_name = "CMD")]
    pub(crate) exec: Option<OsString>,
    /// How often CMD is run for one message at most
    #[arg(long, value_name = "NUMBER", default_value = "5", requires = "exec")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) attempts: u32,
    /// What to do when CMD has failed so often
    #[arg(long, value_name = "WHAT", default_value = "stop", requires = "exec")]
    pub(crate) on_failure: OnFailure,
    /// Arguments of CMD, as they are
    #[arg(last = true, value_name = "ARG", requires = "exec")]
    pub(crate) args: Vec<OsString>,
}

/// What follows a command that failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    /// End with exit code 1; the next time begins with this message
    Stop,
    /// Say so, and go on with the next message
    Skip,
}

/// What `openchat send` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The server has it on its disk
    Sent,
    /// The device of another member has it
    Delivered,
}

/// `openchat verify`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows 60 digits. Read them to each other in person or on a call: both devices show the same exactly
if nobody stands between you. Then --number records it, and a later change of the key holds what you
write to them until you decide.

Examples:
  openchat verify bob
  openchat verify bob --qr
  openchat verify bob --number '12345 …'")]
pub(crate) struct VerifyArgs {
    /// With whom
    #[arg(value_name = "WHO", value_parser = target::person)]
    pub(crate) who: Name,
    /// What their device shows: records that it is the same
    #[arg(long, value_name = "NUMBER", value_parser = verify::number)]
    pub(crate) number: Option<SafetyNumber>,
    /// Show a picture, too
    #[arg(long, conflicts_with = "number")]
    pub(crate) qr: bool,
}

/// `openchat trust`
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Everybody whom this device has met, with the word for their key
    List,
    /// Accept the key that somebody has now, without comparing; or with --ca the CA's new one
    #[command(after_help = "\
When the server's CA was replaced without a word of the one before (it was lost, or stolen), nothing
follows by itself. Get the new pin from the operator in person or on a call, and an invitation for your
name. Your key stays, and so do your conversations.

Examples:
  openchat trust accept bob
  openchat trust accept --ca SHA256:7c1e90ab… --invite 'openchat://192.168.1.20:7443/#v1.…'")]
    Accept {
        /// Whose
        #[arg(value_name = "WHO", value_parser = target::person, required_unless_present = "ca")]
        who: Option<Name>,
        /// The pin of the server's new CA, as the operator told it
        #[arg(long, value_name = "PIN", value_parser = audit::pin, conflicts_with = "who")]
        ca: Option<Digest>,
        /// The invitation, or '-' to read it from stdin; without it the server on this machine is asked
        #[arg(long, value_name = "INVITATION", requires = "ca")]
        invite: Option<Pasted>,
    },
}

/// `openchat log`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Needs no profile and no server. The operator makes a log's file with `openchat-server log export`;
evidence is made by a device that was shown two histories. Exit code 5 if the file does not prove what
it says, or tells of what an honest CA does not do.

Examples:
  openchat log verify acme.log
  openchat log verify acme.log --pin SHA256:7c1e90ab…")]
pub(crate) enum LogCommand {
    /// Verify a file and say what it proves
    Verify {
        /// A log or evidence; which of them is seen from what is in it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The CA's pin, as `openchat whoami` shows it: the file must be of that CA
        #[arg(long, value_name = "PIN", value_parser = audit::pin)]
        pin: Option<Digest>,
    },
}

/// Prints why the command line was not understood, or the help that was asked for.
pub(crate) fn explain(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && asks_for_json(std::env::args()) {
        let rendered = error.render().to_string();
        let message = rendered.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        return Out::json().fault(&Fault::usage(message, "openchat --help"));
    }
    // clap chooses the stream and the colours. A closed stream leaves nobody to tell.
    let _ = error.print();
    if asked { Exit::Ok } else { Exit::Usage }
}

/// Whether `--json` is among the arguments, which could not be parsed as a whole.
fn asks_for_json(args: impl Iterator<Item = String>) -> bool {
    args.take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for line in ["openchat --json -P bob join", "openchat join --json -P bob"] {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            assert!(args.global.json, "{line}");
            assert_eq!(args.global.profile.unwrap().to_string(), "bob", "{line}");
        }
    }

    #[test]
    fn the_secret_of_an_invitation_is_never_shown() {
        let line = ["openchat", "enroll", "--invite", "s3cret", "--nonsense"];
        let args = Args::try_parse_from(&line[..4]).unwrap();
        assert!(!format!("{args:?}").contains("s3cret"));
        let error = Args::try_parse_from(line).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let help = Args::command().render_long_help().to_string();
        assert!(!help.contains("OPENCHAT_INVITE="), "{help}");
    }

    #[test]
    fn every_group_command_that_anything_advises_exists() {
        let command = Args::command();
        let group = command.find_subcommand("group").unwrap();
        let exists = |word: &str| group.find_subcommand(word).is_some();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = ["README.md", "docs/user-guide.md", "docs/json.md", "scripts/demo"]
            .map(|file| root.join(file))
            .to_vec();
        for folder in ["openchat-engine/src", "openchat-client/src/session", "openchat-cli/src"] {
            let folder = std::fs::read_dir(root.join("crates").join(folder)).unwrap();
            let paths = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
            files.extend(paths);
        }
        let mut advised = 0;
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for rest in text.split("openchat group ").skip(1) {
                let end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
                let word = &rest[..end];
                assert!(word.is_empty() || exists(word), "{}: {word}", file.display());
                advised += usize::from(!word.is_empty());
            }
        }
        assert!(advised > 20, "the search finds what is there: {advised}");
    }

    #[test]
    fn json_is_seen_in_a_line_that_does_not_parse() {
        let seen = |line: &str| asks_for_json(line.split(' ').map(str::to_owned));
        assert!(seen("openchat nonsense --json"));
        assert!(!seen("openchat join -- --json"));
    }
}
