//! Everything that is printed, except the trace: data on stdout, diagnostics on stderr.

mod background;
mod event;

pub(crate) use background::{Background, Lines};
pub(crate) use event::Event;

use crate::failure::{Exit, Failure};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Prints for commands that do one thing and end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// The result: `text` for people, or `object` for programs, each with a newline.
    ///
    /// # Errors
    /// If stdout takes no more: whoever reads it misses something then.
    pub(crate) fn data(self, text: &str, object: &Value) -> Result<(), Failure> {
        let line = if self.json { object.to_string() } else { text.to_owned() };
        write_line(&mut io::stdout().lock(), &line)
            .map_err(|e| Failure::system("can't write to stdout", &e, "look at what reads it"))
    }

    /// Something worth knowing beside the result, for people only.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            // Without a stderr nobody wants to know.
            let _ = write_line(&mut io::stderr().lock(), text);
        }
    }

    /// The last words: an object on stdout for programs, text on stderr for people.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        let Failure { exit, code, message, hint } = failure;
        // A stream that is closed leaves the exit code to tell it.
        let _ = if self.json {
            let object = json!({
                "v": 1, "type": "error", "code": code, "message": message, "hint": hint
            });
            write_line(&mut io::stdout().lock(), &object.to_string())
        } else {
            write_line(&mut io::stderr().lock(), &failure.to_string())
        };
        exit.code()
    }
}

fn write_line(stream: &mut impl Write, text: &str) -> io::Result<()> {
    stream.write_all(format!("{text}\n").as_bytes())?;
    stream.flush()
}

/// Prints what happens at a running server, and never makes it wait.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    json: bool,
    lines: Lines,
}

impl Console {
    pub(crate) const fn new(json: bool, lines: Lines) -> Self {
        Self { json, lines }
    }

    pub(crate) fn show(&self, event: &Event<'_>) {
        let mut line = if self.json { event.to_json().to_string() } else { event.to_string() };
        line.push('\n');
        self.lines.put(line.into_bytes());
    }

    /// What stands in for lines that nobody read in time.
    pub(crate) fn lost(json: bool) -> fn(u64) -> String {
        if json {
            |lines| format!("{}\n", json!({"v": 1, "type": "lost", "lines": lines}))
        } else {
            |lines| format!("lost  {lines} lines\n")
        }
    }
}

/// Ends the process without waiting for anything.
pub(crate) fn interrupt() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.number()))
}
