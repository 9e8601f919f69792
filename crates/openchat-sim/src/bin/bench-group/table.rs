//! Samples, and the rows that they make.

use crate::SIDES;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The rows in the order in which they are shown.
pub(crate) const ROWS: [&str; 20] = [
    "build",
    "build bytes",
    "join",
    "replay 10,000 commits",
    "update committer",
    "update bytes",
    "update receive far",
    "update receive near",
    "add committer",
    "add bytes",
    "welcome bytes",
    "remove committer",
    "remove bytes",
    "remove owner of all",
    "remove owner of all bytes",
    "seal 32 B",
    "open 32 B",
    "overhead bytes",
    "state bytes a message",
    "peak memory bytes",
];

/// Every sample of a run, by row, size and side.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<(String, u32, &'static str), Vec<f64>>);

/// Ours beside one peer's, or alone.
pub(crate) struct Row {
    work: &'static str,
    n: u32,
    ours: f64,
    peer: Option<(&'static str, f64)>,
}

impl Figures {
    pub(crate) fn add(&mut self, side: &'static str, n: u32, samples: Vec<(String, f64)>) {
        for (row, value) in samples {
            self.0.entry((row, n, side)).or_default().push(value);
        }
    }

    pub(crate) fn median(&self, work: &str, n: u32, side: &'static str) -> Option<f64> {
        let mut samples = self.0.get(&(work.to_owned(), n, side))?.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied()
    }

    /// The sizes of which there is a figure, ascending.
    pub(crate) fn sizes(&self, work: &str) -> Vec<u32> {
        let of_work = self.0.keys().filter(|(row, _, _)| row == work);
        let mut sizes: Vec<u32> = of_work.map(|(_, n, _)| *n).collect();
        sizes.dedup();
        sizes
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for work in ROWS {
            for n in self.sizes(work) {
                let Some(ours) = self.median(work, n, SIDES[0]) else { continue };
                let peer = |side| self.median(work, n, side).map(|value| (side, value));
                let peers: Vec<_> = SIDES.into_iter().skip(1).filter_map(peer).collect();
                if peers.is_empty() {
                    rows.push(Row { work, n, ours, peer: None });
                }
                let beside = |peer| Row { work, n, ours, peer: Some(peer) };
                rows.extend(peers.into_iter().map(beside));
            }
        }
        rows
    }

    /// A line for each row and size: ours, then each peer's and what part of it ours is.
    pub(crate) fn table(&self) -> String {
        let others = || SIDES.into_iter().skip(1);
        let peers: Vec<String> = others().map(|side| format!("{side:>12} ratio")).collect();
        let mut lines = vec![format!("{:<26}{:>6}{:>12}{}", "", "n", SIDES[0], peers.concat())];
        for work in ROWS {
            for n in self.sizes(work) {
                let Some(ours) = self.median(work, n, SIDES[0]) else { continue };
                let cells: Vec<String> = others()
                    .map(|side| match self.median(work, n, side) {
                        Some(peer) => format!("{:>12} {:>5.2}", shown(work, peer), ours / peer),
                        None => " ".repeat(18),
                    })
                    .collect();
                let line = format!("{work:<26}{n:>6}{:>12}{}", shown(work, ours), cells.concat());
                lines.push(line.trim_end().to_owned());
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

impl Row {
    pub(crate) fn json(&self) -> Value {
        json!({
            "work": self.work,
            "n": self.n,
            "unit": unit(self.work),
            "ours": rounded(self.ours),
            "peer": self.peer.map(|(_, value)| rounded(value)),
            "peer_name": self.peer.map(|(name, _)| name),
            "ratio": self.peer.map(|(_, value)| (self.ours / value * 1000.0).round() / 1000.0),
        })
    }
}

pub(crate) fn unit(work: &str) -> &'static str {
    if work.contains("bytes") { "bytes" } else { "µs" }
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A figure as people read it.
fn shown(work: &str, value: f64) -> String {
    match (unit(work), value) {
        ("bytes", value) if value >= 1e7 => format!("{:.1} MB", value / 1e6),
        ("bytes", value) if value >= 1e4 => format!("{:.1} kB", value / 1e3),
        ("bytes", value) => format!("{value} B"),
        (_, value) if value >= 1e6 => format!("{:.2} s", value / 1e6),
        (_, value) if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        (_, value) => format!("{value:.1} µs"),
    }
}
