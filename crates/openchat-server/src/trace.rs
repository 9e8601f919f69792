//! The trace: diagnostics on stderr, for the operator.

mod sampled;

use crate::{
    cli::{Color, Global, LogFormat},
    failure::Failure,
    output::Background,
};
use sampled::Sampled;
use std::io::{self, IsTerminal};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt};

/// The trace's thread, and what it left out.
#[derive(Debug)]
pub(crate) struct Trace {
    background: Background,
    sampled: Sampled,
}

/// Sends the trace to stderr from now on. Keep what is returned, to wait for it at the end.
///
/// # Errors
/// If the system starts no thread, or another trace was started before.
pub(crate) fn start(global: &Global, format: LogFormat) -> Result<Trace, Failure> {
    let told = |lines| format!("{lines} lines of the trace were lost\n");
    let failed = |e: &dyn std::error::Error| Failure::system("can't trace", &e, "ulimit -a");
    let background = Background::spawn("trace", io::stderr(), told).map_err(|e| failed(&e))?;
    let lines = background.lines();
    let sampled = Sampled::new(level(global), format, background.lines());
    let layer = fmt::layer().with_writer(move || lines.clone()).with_target(false);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(colourful(global.color)).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let subscriber = Registry::default().with(layer.with_filter(sampled.clone()));
    tracing::subscriber::set_global_default(subscriber).map_err(|e| failed(&e))?;
    Ok(Trace { background, sampled })
}

impl Trace {
    /// Tells what was left out, and waits until everything is written, but not for ever.
    pub(crate) fn finish(&self) {
        self.sampled.tell_rest();
        self.background.finish();
    }
}

/// Our own modules speak; the libraries have nothing to say below warnings.
fn level(global: &Global) -> LevelFilter {
    match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        // The console has a line for whatever an operator looks for; this is for more than that.
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        (_, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

fn colourful(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}
