//! What the operator may say on the command line.

use crate::failure::{Exit, Failure};
use crate::output::Output;
use clap::{
    Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    error::ErrorKind,
};
use openchat_pki::HostName;
use openchat_wire::Name;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

/// The openchat server: the certificate authority of its members and the relay between them,
/// which can't read what they say.
#[derive(Debug, Parser)]
#[command(name = "openchat-server", version, propagate_version = true)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 4 the server does not run, \
                        78 its data directory is not in order, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that stand before or after the subcommand.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory of the CA, the database and the admin socket
    /// [default: ~/.local/share/openchat-server]
    #[arg(long, global = true, env = "OPENCHAT_SERVER_HOME", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Trace more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Trace errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print one JSON object a line on stdout, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Never ask anything (this program has no questions yet)
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the certificate authority and the server's keys; never overwrites
    InitCa(InitCaArgs),
    /// Run the server until it is told to stop
    Run(RunArgs),
    /// Invite people to the server
    #[command(subcommand)]
    Invite(InviteCommand),
}

#[derive(Debug, Args)]
pub(crate) struct InitCaArgs {
    /// Name of the organisation, shown in the CA's certificate
    #[arg(long, default_value = "openchat", value_name = "NAME")]
    pub(crate) org: String,
    /// Name or address under which clients reach the server, beside those it finds by itself;
    /// the first one goes into invitations. May be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<HostName>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:7443")]
    pub(crate) listen: SocketAddr,
    /// Further name or address for the server's certificate, beside those of `init-ca`.
    /// May be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<HostName>,
    /// Form of the trace on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// Form of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// Print a new invitation: one use, 24 hours, for one name.
    ///
    /// Stdout gets the invitation and nothing else; with --qr the same as a QR code below it.
    New(InviteNewArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InviteNewArgs {
    /// Who is invited: a-z first, then a-z, 0-9 or '-', at most 32 characters
    pub(crate) name: Name,
    /// Draw it as a QR code too
    #[arg(long)]
    pub(crate) qr: bool,
}

/// The command line, understood.
///
/// # Errors
/// [`Said`]: help, the version or what is wrong with it, still to be printed.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Said> {
    let args: Vec<OsString> = args.into_iter().collect();
    Cli::command()
        .color(early_color(&args))
        .try_get_matches_from(&args)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches))
        .map_err(|error| Said { error, json: args.iter().any(|arg| arg == "--json") })
}

/// `--color` has to be known before anything can be wrong with the command line.
fn early_color(args: &[OsString]) -> ColorChoice {
    let mut choice = ColorChoice::Auto;
    for (i, arg) in args.iter().enumerate() {
        let Some(arg) = arg.to_str() else { continue };
        let next = || args.get(i.saturating_add(1)).and_then(|next| next.to_str());
        let value = if arg == "--color" { next() } else { arg.strip_prefix("--color=") };
        choice = match value {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => choice,
        };
    }
    choice
}

/// What clap says instead of a command line.
#[derive(Debug)]
pub(crate) struct Said {
    error: clap::Error,
    json: bool,
}

impl Said {
    /// Help and version go to stdout, mistakes to where errors belong.
    pub(crate) fn print(&self) -> ExitCode {
        let asked_for =
            matches!(self.error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if self.json && !asked_for {
            return Output::new(true).failure(&self.failure());
        }
        // A closed stdout or stderr leaves nobody to tell.
        let _ = self.error.print();
        if asked_for { ExitCode::SUCCESS } else { Exit::Usage.code() }
    }

    fn failure(&self) -> Failure {
        let text = self.error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first);
        Failure::new(Exit::Usage, "usage", message, "openchat-server --help")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Cli, Said> {
        parse(std::iter::once("openchat-server").chain(args.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_subcommand() {
        for args in [
            &["--json", "-v", "--data", "/d", "invite", "new", "bob"][..],
            &["invite", "new", "bob", "--json", "-v", "--data", "/d"],
            &["invite", "--json", "new", "--data=/d", "bob", "-v"],
        ] {
            let cli = parsed(args).unwrap();
            assert!(cli.global.json && cli.global.verbose == 1, "{args:?}");
            assert_eq!(cli.global.data, Some("/d".into()));
        }
    }

    #[test]
    fn the_version_may_be_asked_for_anywhere() {
        for args in [&["-V"][..], &["run", "-V"], &["invite", "new", "-V"]] {
            assert_eq!(parsed(args).unwrap_err().error.kind(), ErrorKind::DisplayVersion);
        }
    }

    #[test]
    fn mistakes_are_usage_errors_with_one_line() {
        for args in [&["invite", "new", "Bob"][..], &["run", "--listen", "x"], &["walk"]] {
            let failure = parsed(args).unwrap_err().failure();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(!failure.message.is_empty() && !failure.message.contains('\n'));
        }
    }

    #[test]
    fn the_colour_is_known_early() {
        let choice =
            |args: &[&str]| early_color(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(choice(&["run", "--color", "never", "--nonsense"]), ColorChoice::Never);
        assert_eq!(choice(&["--color=always"]), ColorChoice::Always);
        assert_eq!(choice(&["--color"]), ColorChoice::Auto);
    }
}
