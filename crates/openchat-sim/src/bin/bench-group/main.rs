//! The load program behind `scripts/bench group`: what a group costs, ours beside others'.
//!
//! Every side is a process of its own, told to play one scene after another, in turns: so a
//! machine that is busy for a while is busy for all of them. A figure is the median of its samples.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]

mod ours;
mod scenes;
mod worker;

use openchat_sim::{Figures, Plan};
use scenes::Outcome;
use std::path::Path;
use worker::Worker;

const SIZES: [u32; 6] = [2, 8, 32, 128, 512, 1000];

/// Ours alone.
const LARGEST: u32 = 10_000;

/// The group whose log is replayed.
const LONG_LIVED: u32 = 1000;

/// The sides, ours first.
pub(crate) const SIDES: [&str; 4] = ["ours", "mls-rs", "openmls", "megolm"];

/// What is shown, and of what the picture is.
const PLAN: Plan = Plan {
    sides: &SIDES,
    rows: &[
        ("build", "µs"),
        ("build bytes", "bytes"),
        ("join", "µs"),
        ("replay 10,000 commits", "µs"),
        ("update committer", "µs"),
        ("update bytes", "bytes"),
        ("update receive far", "µs"),
        ("update receive near", "µs"),
        ("add committer", "µs"),
        ("add bytes", "bytes"),
        ("welcome bytes", "bytes"),
        ("remove committer", "µs"),
        ("remove bytes", "bytes"),
        ("remove owner of all", "µs"),
        ("remove owner of all bytes", "bytes"),
        ("seal 32 B", "µs"),
        ("open 32 B", "µs"),
        ("overhead bytes", "bytes"),
        ("state bytes a message", "bytes"),
        ("peak memory bytes", "bytes"),
    ],
    panels: &[
        "build",
        "join",
        "update committer",
        "update receive far",
        "update receive near",
        "add committer",
        "remove committer",
        "remove owner of all",
        "seal 32 B",
        "open 32 B",
        "update bytes",
        "state bytes a message",
    ],
};

/// A scene and how often it is played in a small group and in a large one.
const SCENES: [(&str, usize, usize); 6] = [
    ("build", 9, 3),
    ("join", 9, 5),
    ("owner", 9, 3),
    ("update", 25, 11),
    ("members", 9, 5),
    ("message", 5, 5),
];

const LARGE: u32 = 500;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["worker"] => ours::worker(),
        ["--peers", peers, "--chart", chart] => bench(peers.as_ref(), chart.as_ref(), false),
        ["--peers", peers, "--chart", chart, "--json"] => {
            bench(peers.as_ref(), chart.as_ref(), true)
        }
        _ => Err("usage: bench-group --peers PROGRAM --chart FILE [--json]".into()),
    }
}

fn bench(peers: &Path, chart: &Path, as_json: bool) -> Outcome<()> {
    let mut figures = Figures::new(&PLAN);
    for n in SIZES {
        side_by_side(peers, n, &mut figures)?;
    }
    largest(&mut figures)?;
    replayed(&mut figures)?;
    if as_json {
        figures.json().iter().for_each(|row| println!("{row}"));
    } else {
        print!("{}", figures.table());
    }
    std::fs::write(chart, figures.picture())?;
    eprintln!("cost against n: {}", chart.display());
    Ok(())
}

/// Everybody's group of n.
fn side_by_side(peers: &Path, n: u32, figures: &mut Figures) -> Outcome<()> {
    let mut workers = vec![Worker::ours()?];
    for side in SIDES.into_iter().skip(1) {
        workers.push(Worker::of(side, peers, side)?);
    }
    for (scene, often, seldom) in SCENES {
        eprintln!("{scene}, n = {n}");
        for _ in 0..if n < LARGE { often } else { seldom } {
            for worker in &mut workers {
                worker.play(scene, n, figures)?;
            }
        }
    }
    Ok(())
}

/// Our largest group, and the memory that it and all clients of it that take part here need.
fn largest(figures: &mut Figures) -> Outcome<()> {
    let mut worker = Worker::ours()?;
    for (scene, _, seldom) in SCENES {
        eprintln!("{scene}, n = {LARGEST}");
        for _ in 0..seldom.min(5) {
            worker.play(scene, LARGEST, figures)?;
        }
    }
    worker.play("memory", LARGEST, figures)?;
    Ok(())
}

fn replayed(figures: &mut Figures) -> Outcome<()> {
    let mut worker = Worker::ours()?;
    eprintln!("replay, n = {LONG_LIVED}");
    for _ in 0..3 {
        worker.play("replay", LONG_LIVED, figures)?;
    }
    Ok(())
}
