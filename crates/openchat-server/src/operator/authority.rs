//! `openchat-server ca`: how the certificate authority stands, and changes of its key.

pub(crate) mod below;
mod passphrase;
pub(crate) mod root;
mod rotate;
mod status;

use crate::{
    cli::{CaCommand, Global},
    config::Located,
    failure::Failure,
    output::Output,
    passphrase::Passphrases,
};
use std::process::ExitCode;

/// Does what was asked.
///
/// # Errors
/// If the data directory is not in order, or the server runs where it must not.
pub(crate) fn run(
    located: &Located,
    command: &CaCommand,
    global: &Global,
    output: Output,
) -> Result<ExitCode, Failure> {
    let data = &located.data;
    data.check()?;
    let passphrases =
        |flag: &Option<_>| Passphrases::of(located, Option::as_deref(flag), global.no_input);
    match command {
        CaCommand::Status => status::run(data, output),
        CaCommand::Rotate(args) => {
            rotate::run(data, args, &passphrases(&args.passphrase_file)?, output)
        }
        CaCommand::Passphrase(args) => {
            let new = Passphrases::from(args.new_passphrase_file.as_deref(), global.no_input);
            passphrase::run(data, args, &passphrases(&args.passphrase_file)?, &new, output)
        }
        CaCommand::Request(args) => {
            below::request(data, args, &passphrases(&args.passphrase_file)?, output)
        }
        CaCommand::Install(args) => {
            below::install(data, args, &passphrases(&args.passphrase_file)?, output)
        }
        CaCommand::Root(command) => root::run(global, command, output).map(drop),
    }?;
    Ok(ExitCode::SUCCESS)
}
