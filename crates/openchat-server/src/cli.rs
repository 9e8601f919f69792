//! What the operator may say on the command line.

mod args;

pub(crate) use args::*;

use crate::{
    failure::{Exit, Failure},
    output::Output,
};
use clap::{ColorChoice, CommandFactory, FromArgMatches, error::ErrorKind};
use std::{ffi::OsString, process::ExitCode};

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
    fn times_are_whole_days() {
        let days = |text: &str| text.parse::<Days>().map(|Days(days)| days).ok();
        assert_eq!([days("90d"), days("10y"), days("7")], [Some(90), Some(3_650), Some(7)]);
        for bad in ["", "d", "y", "-1d", "+1d", "1.5y", "90 d", "4294967295y", "1w"] {
            assert_eq!(days(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_invitation_is_named_by_the_beginning_of_its_id() {
        for args in [&["invite", "revoke", "0aF3"][..], &["invite", "revoke", "--name", "bob"]] {
            assert!(parsed(args).is_ok(), "{args:?}");
        }
        for args in [
            &["invite", "revoke"][..],
            &["invite", "revoke", "abc"],
            &["invite", "revoke", "wxyz"],
            &["invite", "revoke", "abcd", "--name", "bob"],
            &["cert", "show"],
            &["cert", "show", "bob", "--ca"],
        ] {
            assert_eq!(parsed(args).unwrap_err().failure().exit, Exit::Usage, "{args:?}");
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
