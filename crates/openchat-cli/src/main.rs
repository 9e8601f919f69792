//! `openchat`: an end-to-end encrypted messenger for the command line.
//!
//! This crate turns what was typed into calls of `openchat-client`, and what comes back into lines,
//! JSON and exit codes. Data goes to stdout, everything else to stderr ([`out`]).

mod agent;
mod args;
mod audit;
mod config;
mod context;
mod csr;
mod doctor;
mod enroll;
mod export;
mod fault;
mod file;
mod group;
mod history;
mod identity;
mod join;
mod json;
mod listen;
mod manual;
mod moment;
mod once;
mod out;
mod passphrase;
mod send;
mod status;
mod text;
mod vault;
mod verify;

/// What is the same on the full screen.
pub(crate) use openchat_client::{standing, target, wish};

use args::{Args, Command};
use clap::Parser;
use context::Context;
use fault::{Exit, Fault};
use out::Out;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match Args::try_parse() {
        Ok(args) => run(args),
        Err(error) => args::explain(&error),
    };
    ExitCode::from(exit.code())
}

fn run(args: Args) -> Exit {
    out::start_trace(args.global.verbose);
    let first = Out::of(&args.global);
    if let Some(ended) = of_nobody(first, &args.command) {
        return ended.unwrap_or_else(|fault| first.fault(&fault));
    }
    // A broken configuration is a finding, too.
    if matches!(args.command, Command::Doctor) {
        return doctor::run(args.global).unwrap_or_else(|fault| first.fault(&fault));
    }
    let ended = Context::new(args.global).map_err(|fault| (fault, first)).and_then(|context| {
        let ended = dispatch(&context, args.command);
        ended.map_err(|fault| (fault, context.out))
    });
    match ended {
        Ok(exit) => exit,
        Err((fault, out)) => out.fault(&fault),
    }
}

/// What needs no profile: whoever checks a file, or installs this program, need not be anybody here.
fn of_nobody(out: Out, command: &Command) -> Option<Result<Exit, Fault>> {
    match command {
        Command::Log { command } => Some(audit::run(out, command)),
        Command::Completions { shell } => Some(manual::completions(out, *shell)),
        Command::Man { directory } => Some(manual::man(out, directory.as_deref())),
        _ => None,
    }
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Enroll(args) => enroll::run(context, args),
        Command::Join(args) => join::run(context, &args),
        Command::Send(args) => send::run(context, &args),
        Command::File { command } => file::run(context, command),
        Command::Listen(args) => listen::run(context, args),
        Command::Group(args) => group::run(context, args),
        Command::Verify(args) => verify::verify(context, args),
        Command::Renew => identity::renew(context),
        Command::Trust { command } => verify::run(context, command),
        Command::History(args) => history::history(context, &args),
        Command::Search(args) => history::search(context, args),
        Command::Export(args) => export::export(context, &args),
        Command::Import(args) => export::import(context, &args),
        Command::Retention(args) => history::retention(context, &args),
        Command::Vault(args) => vault::run(context, args),
        Command::Log { command } => audit::run(context.out, &command),
        Command::Status => status::run(context),
        Command::Whoami => identity::whoami(context),
        Command::Doctor => doctor::examine(context, Vec::new()),
        Command::Completions { shell } => manual::completions(context.out, shell),
        Command::Man { directory } => manual::man(context.out, directory.as_deref()),
    }
}
