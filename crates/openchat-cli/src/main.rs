//! `openchat`: an end-to-end encrypted messenger for the command line.
//!
//! This crate turns what was typed into calls of `openchat-client`, and what comes back into lines,
//! JSON and exit codes. Data goes to stdout, everything else to stderr ([`out`]).

mod args;
mod audit;
mod config;
mod context;
mod csr;
mod enroll;
mod fault;
mod group;
mod identity;
mod join;
mod json;
mod once;
mod out;
mod send;
mod standing;
mod status;
mod target;
mod text;

mod verify;
mod wish;

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
    // Whoever checks a file need not be anybody here.
    if let Command::Log { command } = &args.command {
        return audit::run(first, command).unwrap_or_else(|fault| first.fault(&fault));
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

fn dispatch(context: &Context, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Enroll(args) => enroll::run(context, args),
        Command::Join(args) => join::run(context, &args),
        Command::Send(args) => send::run(context, args),
        Command::Group(args) => group::run(context, args),
        Command::Verify(args) => verify::verify(context, args),
        Command::Renew => identity::renew(context),
        Command::Trust { command } => verify::run(context, command),
        Command::Log { command } => audit::run(context.out, &command),
        Command::Status => status::run(context),
        Command::Whoami => identity::whoami(context),
    }
}
