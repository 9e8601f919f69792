//! Asking before something that can't be taken back.

use crate::{
    cli::Global,
    failure::{Exit, Failure},
};
use std::io::{self, BufRead, IsTerminal, Write};

/// Asks, if there is somebody to be asked: a script has said what it wants.
///
/// # Errors
/// If the answer is not yes; nothing is to be changed then. `hint` says what to look at.
pub(crate) fn confirm(
    question: &str,
    yes: bool,
    global: &Global,
    hint: &str,
) -> Result<(), Failure> {
    let people = io::stdin().is_terminal() && io::stderr().is_terminal();
    if yes || global.no_input || global.json || !people {
        return Ok(());
    }
    let said = ask(question, &mut io::stdin().lock(), &mut io::stderr())
        .map_err(|error| Failure::system("can't ask", &error, "say it with --yes"))?;
    if said {
        return Ok(());
    }
    Err(Failure::new(Exit::Failure, "declined", "nothing was changed", hint))
}

fn ask(question: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    write!(to, "{question} [y/N] ")?;
    to.flush()?;
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        let said = |text: &str| {
            let mut shown = Vec::new();
            let said = ask("Really?", &mut text.as_bytes(), &mut shown).unwrap();
            assert_eq!(shown, b"Really? [y/N] ");
            said
        };
        assert!(said("y\n") && said(" YES \n") && said("yes"));
        for other in ["", "\n", "n\n", "no\n", "yeah\n", "yy\n"] {
            assert!(!said(other), "{other:?}");
        }
    }
}
