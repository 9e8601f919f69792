//! Which events of the trace are written: those of the level that was asked for, and of each place
//! in the program only so many.

use crate::{
    cli::LogFormat,
    clock,
    metrics::METRICS,
    operator::text::moment,
    output::Lines,
    sampling::{Rate, Sampler},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{Event, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    filter::LevelFilter,
    layer::{Context, Filter},
};

/// Events of one place in the program: enough to see what happens, too few to fill a disk.
const RATE: Rate = Rate { burst: 200, interval: Duration::from_millis(100) };

/// File and line of an event.
type Place = (&'static str, u32);

/// The filter.
#[derive(Debug, Clone)]
pub(crate) struct Sampled {
    level: LevelFilter,
    format: LogFormat,
    lines: Lines,
    places: Arc<Sampler<Place>>,
}

impl Sampled {
    pub(crate) fn new(level: LevelFilter, format: LogFormat, lines: Lines) -> Self {
        Self { level, format, lines, places: Arc::new(Sampler::new()) }
    }

    /// The last words about what was left out.
    pub(crate) fn tell_rest(&self) {
        for (place, left_out) in self.places.rest() {
            self.tell(place, left_out);
        }
    }

    fn is_written(&self, event: &'static Metadata<'static>) -> bool {
        let place = (event.file().unwrap_or("?"), event.line().unwrap_or_default());
        match self.places.take(place, RATE, Instant::now()) {
            Some(0) => true,
            Some(left_out) => {
                self.tell(place, left_out);
                true
            }
            None => {
                METRICS.suppressed.one();
                false
            }
        }
    }

    fn tell(&self, (file, line): Place, left_out: u64) {
        let text = match self.format {
            LogFormat::Text => format!("{left_out} events of {file}:{line} were left out\n"),
            LogFormat::Json => {
                let object = json!({
                    "timestamp": moment(clock::now()), "level": "WARN",
                    "message": "events were left out", "events": left_out, "place": format!("{file}:{line}")
                });
                format!("{object}\n")
            }
        };
        self.lines.put(text.into_bytes());
    }
}

impl<S: Subscriber> Filter<S> for Sampled {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.level { Interest::always() } else { Interest::never() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.is_written(event.metadata())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }
}
