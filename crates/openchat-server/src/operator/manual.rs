//! `openchat-server completions` and `man`, made from the definition of the command line.

use crate::{
    cli::{Cli, CompletionsArgs, ManArgs, Shell},
    data_dir::quoted,
    failure::Failure,
    output::Output,
};
use clap::{Command, CommandFactory as _};
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;
use serde_json::json;
use std::{io, path::Path, process::ExitCode};

const PROGRAM: &str = "openchat-server";

/// Prints a script for the shell.
///
/// # Errors
/// If stdout takes no more.
pub(crate) fn completions(args: &CompletionsArgs, output: Output) -> Result<ExitCode, Failure> {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    match args.shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, PROGRAM, &mut script),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, PROGRAM, &mut script),
        Shell::Fish => clap_complete::generate(Fish, &mut command, PROGRAM, &mut script),
    }
    let script = String::from_utf8_lossy(&script);
    let object = json!({"v": 1, "type": "completions", "text": script});
    output.data(script.trim_end(), &object)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or writes all of them.
///
/// # Errors
/// If stdout or the directory takes no more.
pub(crate) fn man(args: &ManArgs, output: Output) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    let Some(place) = &args.directory else {
        let page = page(&command).map_err(|e| Failure::system("no page", &e, "report this"))?;
        let object = json!({"v": 1, "type": "man", "text": page});
        output.data(page.trim_end(), &object)?;
        return Ok(ExitCode::SUCCESS);
    };
    let written = write_all(&command, place).map_err(|error| {
        let what = format!("can't write pages into {}", place.display());
        Failure::system(&what, &error, format!("mkdir -p {}", quoted(place)))
    })?;
    let text = format!("{written} pages in {}", place.display());
    let object = json!({
        "v": 1, "type": "man_pages", "count": written, "directory": place.display().to_string()
    });
    output.data(&text, &object)?;
    Ok(ExitCode::SUCCESS)
}

fn page(command: &Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

/// A page for the command and each of its subcommands, named as `git` names its own.
fn write_all(command: &Command, place: &Path) -> io::Result<u32> {
    Man::new(command.clone()).generate_to(place)?;
    let mut written = 1_u32;
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        written = written.saturating_add(write_all(subcommand, place)?);
    }
    Ok(written)
}
