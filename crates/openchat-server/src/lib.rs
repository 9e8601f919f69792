//! The openchat server: TLS, configuration, admin socket.
//!
//! What is decided about logs, people and invitations is decided in `openchat-relay`, without I/O.
//! Here is what surrounds it:
//!
//! - `cli`: what the operator may say; `init_ca`, `invite` and `serve`: what is done then.
//! - `serve`: one TCP port, one relay thread, one task a connection, an admin socket.
//! - `output`: everything printed. Data goes to stdout, errors and the trace to stderr.
//!
//! Nothing that a peer sent is printed as it came.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod cli;
mod clock;
mod data_dir;
mod failure;
mod hosts;
mod init_ca;
mod invite;
mod keys;
mod output;
mod pem;
mod serve;
mod trace;

use cli::{Cli, Command, InviteCommand};
use failure::Failure;
use output::Output;
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
    let data = data_dir::DataDir::find(cli.global.data.clone())?;
    match &cli.command {
        Command::InitCa(args) => init_ca::run(&data, args, output),
        Command::Run(args) => serve::run(&data, args, &cli.global),
        Command::Invite(InviteCommand::New(args)) => {
            invite::run(&data, args, cli.global.quiet, output)
        }
    }
}
