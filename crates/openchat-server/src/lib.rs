//! The openchat server: TLS, configuration, admin socket.
//!
//! What is decided about logs, people and invitations is decided in `openchat-relay`, without I/O.
//! Here is what surrounds it:
//!
//! - `cli` and `config`: what the operator may say; `init_ca`, `operator` and `serve`: what is done
//!   then.
//! - `serve`: one TCP port, one relay thread, one task a connection, an admin socket.
//! - `output`: everything printed. Data goes to stdout, errors and the trace to stderr.
//!
//! Nothing that a peer sent is printed as it came.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod cli;
mod clock;
mod config;
mod data_dir;
mod failure;
mod hosts;
mod init_ca;
mod keys;
mod metrics;
mod notify;
mod operator;
mod output;
mod passphrase;
mod pem;
mod sampling;
mod serve;
mod trace;

use cli::{CaCommand, Cli, Command};
use config::Located;
use failure::Failure;
use operator::{authority, backup, cert, invite, log, manual, restore, status, user};
use output::Output;
use passphrase::Passphrases;
use std::process::ExitCode;

/// Runs the program with this process's arguments; what it returns is the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(said) => return said.print(),
    };
    let output = Output::new(cli.global.json);
    match dispatch(&cli, output) {
        Ok(code) => code,
        Err(failure) => output.failure(&failure),
    }
}

fn dispatch(cli: &Cli, output: Output) -> Result<ExitCode, Failure> {
    match &cli.command {
        // These need no place, and so work where nothing is in order.
        Command::Completions(args) => return manual::completions(args, output),
        Command::Man(args) => return manual::man(args, output),
        Command::Ca(CaCommand::Root(command)) => {
            return authority::root::run(&cli.global, command, output);
        }
        _ => {}
    }
    let located = Located::find(&cli.global)?;
    let (data, quiet) = (&located.data, cli.global.quiet);
    match &cli.command {
        Command::InitCa(args) => {
            let file = args.passphrase_file.as_deref();
            let passphrases = Passphrases::of(&located, file, cli.global.no_input)?;
            init_ca::run(data, args, &passphrases, output)
        }
        Command::Ca(command) => authority::run(&located, command, &cli.global, output),
        Command::Log(command) => log::run(data, command, output),
        Command::Run(args) => serve::run(&located, args, &cli.global),
        Command::Invite(command) => invite::run(data, command, quiet, output),
        Command::User(command) => user::run(data, command, &cli.global, output),
        Command::Cert(command) => cert::run(data, command, quiet, output),
        Command::Status => status::status(data, output),
        Command::Health => status::health(data, output),
        Command::Config(command) => config::run(&located, command, output),
        Command::Backup(args) => backup::run(data, args, output),
        Command::Restore(args) => restore::run(data, args, output),
        Command::Completions(args) => manual::completions(args, output),
        Command::Man(args) => manual::man(args, output),
    }
}
