//! The one module that prints: data on stdout, diagnostics on stderr. With `--json` everything,
//! the last error too, is an object on stdout and stderr stays empty.

use crate::{
    args::{Color, Global},
    fault::{Exit, Fault},
    json,
    text::safe,
};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) color: bool,
}

impl Out {
    pub(crate) fn of(global: &Global) -> Self {
        let color = global.color.unwrap_or_default();
        Self { json: global.json, quiet: global.quiet, color: coloured(color) }
    }

    /// For when the command line was not understood.
    pub(crate) const fn json() -> Self {
        Self { json: true, quiet: true, color: false }
    }

    /// Prints a command's result: `text` for people, `object` for programs.
    pub(crate) fn result(self, text: &str, object: &impl Serialize) -> Result<(), Fault> {
        let line = if self.json { json::line(object) } else { format!("{text}\n") };
        data(&line).map_err(|error| Fault::output(&error))
    }

    /// Says something about the work, to people only.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            diagnostic(&format!("{text}\n"));
        }
    }

    /// Prints the error that ends the program.
    pub(crate) fn fault(self, fault: &Fault) -> Exit {
        if self.json {
            // If stdout is closed, the exit code is left to tell.
            let _ = data(&json::line(&json::Error::of(fault)));
        } else {
            diagnostic(&self.fault_text(fault));
        }
        fault.exit
    }

    fn fault_text(self, Fault { message, hint, .. }: &Fault) -> String {
        let (red, plain) = if self.color { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        // Some of it may be a server's words.
        let (message, hint) = (safe(message), safe(hint));
        format!("{red}error:{plain} {message}\nnext: {hint}\n")
    }
}

/// Writes `lines` to stdout at once; they are out of this process when this returns.
pub(crate) fn data(lines: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

/// Writes to stderr. A stderr that is closed leaves nobody to tell.
pub(crate) fn diagnostic(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn coloured(color: Color) -> bool {
    let unwanted = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stderr().is_terminal() && !unwanted(),
    }
}

/// Ends the process without waiting for anything, as a second signal would. What the vault holds is
/// whole at any time. Nothing is cleaned up: libcrypto would take away what another thread, which
/// works on the vault, still uses.
pub(crate) fn interrupt() -> ! {
    signal_hook::low_level::exit(i32::from(Exit::Interrupted.code()))
}

/// Sends the trace of our own crates to stderr if it was asked for.
pub(crate) fn start_trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = tracing_subscriber::filter::filter_fn(|of| of.target().starts_with("openchat"));
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    Registry::default().with(layer.with_filter(level).with_filter(ours)).init();
}
