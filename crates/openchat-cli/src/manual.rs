//! `openchat completions` and `man`, made from the definition of the command line.

use crate::{
    args::{Args, Shell},
    fault::{Exit, Fault},
    json,
    out::Out,
    text::quoted_path,
};
use clap::{Command, CommandFactory as _};
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;
use std::{fs, io, path::Path};

const PROGRAM: &str = "openchat";

/// Prints a script for the shell.
pub(crate) fn completions(out: Out, shell: Shell) -> Result<Exit, Fault> {
    let script = script(shell);
    let object = json::Object::of("completions", json::Text { text: &script });
    out.result(script.trim_end(), &object)?;
    Ok(Exit::Ok)
}

/// Prints the manual page, or writes those of all commands.
pub(crate) fn man(out: Out, directory: Option<&Path>) -> Result<Exit, Fault> {
    let mut command = Args::command();
    command.build();
    let Some(directory) = directory else {
        let page = page(&command).map_err(|error| Fault::output(&error))?;
        let object = json::Object::of("man", json::Text { text: &page });
        out.result(page.trim_end(), &object)?;
        return Ok(Exit::Ok);
    };
    let place = directory.display().to_string();
    let count = write_all(&command, directory).map_err(|error| {
        let message = format!("can't write pages into {place}: {error}");
        Fault::new(Exit::Failure, "file", message, format!("mkdir -p {}", quoted_path(directory)))
    })?;
    let text = format!("{count} pages in {place}");
    let object = json::ManPages { count, directory: place };
    out.result(&text, &json::Object::of("man_pages", object))?;
    Ok(Exit::Ok)
}

fn script(shell: Shell) -> String {
    let (mut command, mut script) = (Args::command(), Vec::new());
    match shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, PROGRAM, &mut script),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, PROGRAM, &mut script),
        Shell::Fish => clap_complete::generate(Fish, &mut command, PROGRAM, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

/// A page for the command and each of its subcommands, named as `git` names its own. Gives their
/// number.
fn write_all(command: &Command, directory: &Path) -> io::Result<usize> {
    fs::write(directory.join(file_name(command)), page(command)?)?;
    let mut written = 1;
    for subcommand in pages_below(command) {
        written += write_all(subcommand, directory)?;
    }
    Ok(written)
}

fn file_name(command: &Command) -> String {
    format!("{}.1", command.get_display_name().unwrap_or(PROGRAM))
}

/// `help` repeats what the pages say.
fn pages_below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

fn page(command: &Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use std::{
        io::{ErrorKind, Write as _},
        process::{Command as Process, Stdio},
    };

    /// `openchat`, `openchat-group`, `openchat-group-new`, …, by the words that are typed.
    fn typed(command: &Command, before: &str, all: &mut Vec<String>) {
        all.push(before.to_owned());
        for below in pages_below(command) {
            typed(below, &format!("{before}-{}", below.get_name()), all);
        }
    }

    #[test]
    fn every_command_has_a_page_that_names_it() {
        let place = tempfile::tempdir().unwrap();
        let mut command = Args::command();
        command.build();
        let mut all = Vec::new();
        typed(&command, PROGRAM, &mut all);
        assert!(["openchat-join", "openchat-group-new"].iter().all(|a| all.contains(&(*a).into())));
        assert_eq!(write_all(&command, place.path()).unwrap(), all.len());
        for name in all {
            let page = fs::read_to_string(place.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(&name.replace('-', "\\-")), "{name}: {page}");
            assert!(page.contains(".SH DESCRIPTION"), "{name}");
        }
    }

    #[test]
    fn shells_parse_their_scripts() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            let said = shell.to_possible_value().unwrap();
            let name = said.get_name();
            for word in ["completions", "enroll", "trust", "retention"] {
                assert!(script.contains(word), "{name}: {word}");
            }
            // A shell that is not installed has no opinion.
            let child = Process::new(name).arg("-n").stdin(Stdio::piped()).spawn();
            let mut child = match child {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                child => child.unwrap(),
            };
            child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success(), "{name} does not parse its script");
        }
    }
}
