//! Everything that is printed, except the trace: data on stdout, diagnostics on stderr.

mod background;
mod event;

pub(crate) use background::{Background, Lines};
pub(crate) use event::Event;

use crate::{
    failure::{Exit, Failure},
    metrics::METRICS,
    sampling::{Rate, Sampler},
};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

/// Lines about strangers, who may cause as many as they like.
const STRANGERS: Rate = Rate { burst: 100, interval: Duration::from_millis(100) };

/// Lines about members who come and go: a company that starts in the morning, not a program that comes and goes
/// all the time and would fill a disk with it.
const VISITS: Rate = Rate { burst: 2_000, interval: Duration::from_millis(100) };

/// Lines about the server itself.
const OTHERS: Rate = Rate { burst: 2_000, interval: Duration::from_millis(10) };

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

    /// A list: a line for each, as text with its columns aligned or as an object.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    pub(crate) fn rows(self, rows: &[(Vec<String>, Value)]) -> Result<(), Failure> {
        let lines: Vec<String> = if self.json {
            rows.iter().map(|(_, object)| object.to_string()).collect()
        } else {
            aligned(&rows.iter().map(|(columns, _)| columns.as_slice()).collect::<Vec<_>>())
        };
        let mut out = io::stdout().lock();
        lines
            .iter()
            .try_for_each(|line| write_line(&mut out, line))
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

/// Columns two spaces apart, each as wide as its longest value.
fn aligned(rows: &[&[String]]) -> Vec<String> {
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &&[String]| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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
    kinds: Arc<Sampler<&'static str>>,
}

impl Console {
    pub(crate) fn new(json: bool, lines: Lines) -> Self {
        Self { json, lines, kinds: Arc::new(Sampler::new()) }
    }

    pub(crate) fn show(&self, event: &Event<'_>) {
        let kind = event.kind();
        let rate = match kind {
            "refused" => STRANGERS,
            "connected" | "disconnected" => VISITS,
            _ => OTHERS,
        };
        match self.kinds.take(kind, rate, Instant::now()) {
            None => return METRICS.suppressed.one(),
            Some(0) => {}
            Some(lines) => self.put(&Event::Suppressed { kind, lines }),
        }
        if matches!(event, Event::Stopped) {
            for (kind, lines) in self.kinds.rest() {
                self.put(&Event::Suppressed { kind, lines });
            }
        }
        self.put(event);
    }

    fn put(&self, event: &Event<'_>) {
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
