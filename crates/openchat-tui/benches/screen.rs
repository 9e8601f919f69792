//! How long a key press takes to reach the screen, with a long history: `cargo bench -p openchat-tui`.
//! A row a line, medians of one run; what a terminal itself takes is not in it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    reason = "a program for figures, which shares the tests' kit"
)]

#[path = "../tests/it/kit.rs"]
mod kit;

use kit::{Kit, message, target};
use openchat_tui::Input;
use ratatui::{Terminal, backend::TestBackend};
use std::time::{Duration, Instant};

/// What the issue of this screen asks for.
const MESSAGES: u64 = 100_000;

const ROUNDS: usize = 300;

fn main() {
    // Cargo's own flags (`--bench`) are of no interest.
    let sizes = [(100, 30), (300, 100)];
    for size in sizes {
        let mut kit = long(size);
        row("a letter typed, to its frame", size, median(&mut kit, |kit| kit.press("x")));
        kit.press("ctrl+c esc");
        row("a page up, to its frame", size, median(&mut kit, |kit| kit.press("pgup")));
        row("a message while scrolled, to its frame", size, news(&mut kit));
        kit.press("esc");
        row("a message at the end, to its frame", size, news(&mut kit));
        row("choose a message, to its frame", size, median(&mut kit, |kit| kit.press("ctrl+up")));
        row(
            "another conversation and back",
            size,
            median(&mut kit, |kit| kit.press("alt+1 alt+3")),
        );
        row("a whole history put before", size, once(size));
    }
}

/// `#ops` with all messages, some of them long.
fn long(size: (u16, u16)) -> Kit {
    let mut kit = Kit::new(size);
    kit.input(Input::Past { target: target("#ops"), messages: history(), complete: true });
    kit
}

fn history() -> Vec<openchat_tui::Message> {
    let text = |seq: u64| match seq % 10 {
        0 => "a longer one, which goes over several lines and 日本語 too; ".repeat(8),
        1 => "see https://example.org/a/rather/long/link".to_owned(),
        _ => "a line as people write it".to_owned(),
    };
    let senders = ["bob", "alice", "carol"].into_iter().cycle();
    (0..MESSAGES).zip(senders).map(|(seq, sender)| message(seq, sender, &text(seq))).collect()
}

/// Half of the times lie below it: of an input and the drawing after it.
fn median(kit: &mut Kit, mut act: impl FnMut(&mut Kit)) -> Duration {
    let (width, height) = kit.state.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        act(kit);
        terminal.draw(|frame| openchat_tui::view(&kit.state, frame)).unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn news(kit: &mut Kit) -> Duration {
    let mut seq = kit.open().end().unsigned_abs() + MESSAGES;
    median(kit, |kit| {
        seq += 1;
        kit.say("#ops", message(seq, "bob", "one more"));
    })
}

fn once(size: (u16, u16)) -> Duration {
    let mut kit = Kit::new(size);
    let messages = history();
    let start = Instant::now();
    kit.input(Input::Past { target: target("#ops"), messages, complete: true });
    start.elapsed()
}

fn row(work: &str, (width, height): (u16, u16), took: Duration) {
    let millis = took.as_secs_f64() * 1000.0;
    println!(
        "{{\"work\":\"{work}, {width}x{height}\",\"n\":{MESSAGES},\"unit\":\"ms\",\"ours\":{millis:.3}}}"
    );
}
