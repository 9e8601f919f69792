//! Whether this is a terminal that the full screen can use.

use super::Finding;
use std::{
    env,
    io::{self, IsTerminal as _},
};

const TERMINAL: &str = "terminal";
const LOCALE: &str = "locale";
const COLOURS: &str = "colours";

/// The smallest screen on which a conversation is still read with ease.
const SMALLEST: (u16, u16) = (40, 12);

pub(super) fn check() -> Vec<Finding> {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let size = size.map(|size| (size.ws_col, size.ws_row));
    vec![
        screen(is_terminal, size),
        locale(["LC_ALL", "LC_CTYPE", "LANG"].map(set)),
        if is_terminal {
            colours(set("NO_COLOR").is_some(), set("TERM").as_deref())
        } else {
            Finding::ok(COLOURS, "none where there is no terminal")
        },
    ]
}

/// A variable that has something in it.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn screen(is_terminal: bool, size: Option<(u16, u16)>) -> Finding {
    if !is_terminal {
        return Finding::ok(TERMINAL, "none: openchat join speaks lines");
    }
    match size {
        Some((columns, rows)) if columns < SMALLEST.0 || rows < SMALLEST.1 => {
            let (least_columns, least_rows) = SMALLEST;
            let message = format!("{columns}×{rows}, less than {least_columns}×{least_rows}");
            Finding::warn(TERMINAL, message, "enlarge the window, or: openchat join --line")
        }
        Some((columns, rows)) => Finding::ok(TERMINAL, format!("{columns}×{rows}")),
        None => Finding::warn(TERMINAL, "it does not tell its size", "openchat join --line"),
    }
}

/// The first of these that is set decides, as POSIX has it.
fn locale(variables: [Option<String>; 3]) -> Finding {
    let decides = variables.into_iter().flatten().next();
    let said = decides.as_deref().unwrap_or("C");
    let encoding = said.to_ascii_lowercase().replace('-', "");
    if encoding.contains("utf8") {
        return Finding::ok(LOCALE, said);
    }
    let message = format!("{said} is not UTF-8: what is not ASCII may look wrong");
    Finding::warn(LOCALE, message, "export LC_ALL=C.UTF-8")
}

fn colours(unwanted: bool, term: Option<&str>) -> Finding {
    match term {
        _ if unwanted => Finding::ok(COLOURS, "none, as NO_COLOR says"),
        None | Some("dumb") => {
            let message = "TERM says that this terminal can neither colour nor move";
            Finding::warn(COLOURS, message, "openchat join --line")
        }
        Some(term) => Finding::ok(COLOURS, format!("as {term} has them")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    #[test]
    fn a_small_screen_is_told() {
        let level = |size| screen(true, size).level;
        assert_eq!(level(Some((40, 12))), Level::Ok);
        for small in [Some((39, 12)), Some((40, 11)), Some((0, 0)), None] {
            assert_eq!(level(small), Level::Warn, "{small:?}");
        }
        assert_eq!(screen(false, None).level, Level::Ok, "a pipe is no fault");
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_encoding() {
        let level = |all: [Option<&str>; 3]| locale(all.map(|one| one.map(str::to_owned))).level;
        assert_eq!(level([None, None, Some("de_DE.UTF-8")]), Level::Ok);
        assert_eq!(level([None, Some("C.utf8"), None]), Level::Ok);
        assert_eq!(level([Some("C"), None, Some("de_DE.UTF-8")]), Level::Warn);
        assert_eq!(level([None, None, None]), Level::Warn);
    }

    #[test]
    fn colours_are_what_the_terminal_and_its_person_say() {
        assert_eq!(colours(false, Some("xterm-256color")).level, Level::Ok);
        assert_eq!(colours(false, Some("dumb")).level, Level::Warn);
        assert_eq!(colours(true, None).level, Level::Ok);
        assert_eq!(colours(false, None).level, Level::Warn);
    }
}
