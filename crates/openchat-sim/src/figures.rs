//! Samples of a load program, and what is made of them: a table, rows of JSON, a picture.

mod chart;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a load program measures, and whose.
#[derive(Debug)]
pub struct Plan {
    /// Whose figures stand beside each other, ours first.
    pub sides: &'static [&'static str],
    /// The rows in the order in which they are shown, each with its unit: `µs`, `ms`, `s`, `bytes`,
    /// `KiB`, `1/s` or `%`.
    pub rows: &'static [(&'static str, &'static str)],
    /// The rows that the picture shows.
    pub panels: &'static [&'static str],
}

/// A row's name, its size and whose it is.
type Key = (&'static str, u32, &'static str);

/// Every sample of a run, by row, size and side.
#[derive(Debug)]
pub struct Figures {
    plan: &'static Plan,
    samples: BTreeMap<Key, Vec<f64>>,
    /// Of which there is no figure, because something was lost.
    failed: BTreeSet<Key>,
}

impl Figures {
    /// None yet.
    #[must_use]
    pub const fn new(plan: &'static Plan) -> Self {
        Self { plan, samples: BTreeMap::new(), failed: BTreeSet::new() }
    }

    /// One more sample.
    ///
    /// # Panics
    /// If the plan has no such row.
    pub fn add(&mut self, side: &'static str, n: u32, work: &str, value: f64) {
        self.samples.entry((self.row(work).0, n, side)).or_default().push(value);
    }

    /// This one could not be measured: whatever samples there are, it is no figure.
    ///
    /// # Panics
    /// If the plan has no such row.
    pub fn fail(&mut self, side: &'static str, n: u32, work: &str) {
        self.failed.insert((self.row(work).0, n, side));
    }

    /// Whether anything could not be measured.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The middle one of a row's samples.
    #[must_use]
    pub fn median(&self, work: &str, n: u32, side: &'static str) -> Option<f64> {
        let key = (self.row(work).0, n, side);
        let mut samples = self.samples.get(&key).filter(|_| !self.failed.contains(&key))?.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied()
    }

    /// A line for each row and size: ours, then each peer's and what part of it ours is.
    #[must_use]
    pub fn table(&self) -> String {
        let [ours, peers @ ..] = self.plan.sides else { return String::new() };
        let heads: Vec<String> =
            peers.iter().map(|side| format!("{side:>width$} ratio", width = width(side))).collect();
        let mut lines = vec![format!("{:<30}{:>6}{ours:>12}{}", "", "n", heads.concat())];
        for (work, unit) in self.plan.rows {
            for n in self.sizes(work) {
                let cells = peers.iter().map(|side| self.cell(work, unit, n, side));
                let (ours, cells) = (self.shown(work, unit, n, ours), cells.collect::<String>());
                lines.push(format!("{work:<30}{n:>6}{ours:>12}{cells}").trim_end().to_owned());
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// A row for each size and peer; one without a peer if there is none.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for (work, unit) in self.plan.rows {
            for n in self.sizes(work) {
                let peers: Vec<&'static str> =
                    self.sides_of(work, n).filter(|side| *side != self.plan.sides[0]).collect();
                if peers.is_empty() {
                    rows.push(self.json_row(work, unit, n, None));
                }
                let row = |peer| self.json_row(work, unit, n, Some(peer));
                rows.extend(peers.into_iter().map(row));
            }
        }
        rows
    }

    /// The plan's panels as an SVG: cost against n, both axes logarithmic.
    #[must_use]
    pub fn picture(&self) -> String {
        chart::draw(self)
    }

    fn json_row(&self, work: &str, unit: &str, n: u32, peer: Option<&'static str>) -> Value {
        let ours = self.median(work, n, self.plan.sides[0]);
        let theirs = peer.and_then(|peer| self.median(work, n, peer));
        json!({
            "work": work,
            "n": n,
            "unit": unit,
            "ours": ours.map(rounded),
            "peer": theirs.map(rounded),
            "peer_name": peer,
            "ratio": ratio(ours, theirs).map(rounded),
        })
    }

    /// A peer's figure, and what part of it ours is.
    fn cell(&self, work: &'static str, unit: &str, n: u32, side: &'static str) -> String {
        let ours = self.median(work, n, self.plan.sides[0]);
        let ratio = match ratio(ours, self.median(work, n, side)) {
            Some(ratio) => format!("{ratio:>5.2}"),
            None => " ".repeat(5),
        };
        format!("{:>width$} {ratio}", self.shown(work, unit, n, side), width = width(side))
    }

    fn shown(&self, work: &'static str, unit: &str, n: u32, side: &'static str) -> String {
        match self.median(work, n, side) {
            Some(value) => shown(unit, value),
            None if self.failed.contains(&(work, n, side)) => "LOST".to_owned(),
            None => String::new(),
        }
    }

    /// The sizes of which anything is known, ascending.
    fn sizes(&self, work: &str) -> BTreeSet<u32> {
        let all = self.samples.keys().chain(&self.failed);
        all.filter(|(row, _, _)| *row == work).map(|(_, n, _)| *n).collect()
    }

    /// Of whom anything is known, in the plan's order.
    fn sides_of(&self, work: &str, n: u32) -> impl Iterator<Item = &'static str> {
        let work = self.row(work).0;
        self.plan.sides.iter().copied().filter(move |side| {
            let key = (work, n, *side);
            self.samples.contains_key(&key) || self.failed.contains(&key)
        })
    }

    fn row(&self, work: &str) -> (&'static str, &'static str) {
        let row = self.plan.rows.iter().find(|(name, _)| *name == work);
        *row.unwrap_or_else(|| panic!("no row {work:?} is planned"))
    }
}

/// The value below which `percent` of all lie; sorts them.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// Room for a side's figures below its name.
fn width(side: &str) -> usize {
    (side.chars().count() + 2).max(12)
}

/// What part of theirs ours is; none of nothing.
fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    let (ours, theirs) = ours.zip(theirs)?;
    (theirs > 0.0).then(|| ours / theirs)
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A figure as people read it.
fn shown(unit: &str, value: f64) -> String {
    match (unit, value) {
        ("bytes", value) if value >= 1e7 => format!("{:.1} MB", value / 1e6),
        ("bytes", value) if value >= 1e4 => format!("{:.1} kB", value / 1e3),
        ("bytes", value) => format!("{value:.0} B"),
        ("µs", value) if value >= 1e6 => format!("{:.2} s", value / 1e6),
        ("µs", value) if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        ("µs", value) => format!("{value:.1} µs"),
        ("1/s", value) => format!("{value:.0} /s"),
        ("ms", value) if value >= 100.0 => format!("{value:.0} ms"),
        ("ms", value) if value < 10.0 => format!("{value:.3} ms"),
        (unit, value) => format!("{value:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        sides: &["ours", "theirs", "others"],
        rows: &[("way", "ms"), ("size", "bytes")],
        panels: &["way"],
    };

    fn figures() -> Figures {
        let mut figures = Figures::new(&PLAN);
        for value in [3.0, 1.0, 2.0] {
            figures.add("ours", 10, "way", value);
            figures.add("theirs", 10, "way", value * 2.0);
        }
        figures.add("ours", 2, "size", 20_000.0);
        figures
    }

    #[test]
    fn a_row_has_medians_and_their_ratio() {
        let rows = figures().json();
        let expected = [
            json!({"work": "way", "n": 10, "unit": "ms", "ours": 2.0, "peer": 4.0,
                "peer_name": "theirs", "ratio": 0.5}),
            json!({"work": "size", "n": 2, "unit": "bytes", "ours": 20_000.0, "peer": null,
                "peer_name": null, "ratio": null}),
        ];
        assert_eq!(rows, expected);
        let table = figures().table();
        assert!(table.contains("2.000 ms    4.000 ms  0.50"), "{table}");
    }

    #[test]
    fn what_was_lost_is_no_figure() {
        let mut figures = figures();
        figures.fail("theirs", 10, "way");
        figures.fail("others", 100, "way");
        assert!(figures.has_failed());
        assert_eq!(figures.median("way", 10, "theirs"), None);
        let rows = figures.json();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().take(2).all(|row| row["peer"].is_null() && row["ratio"].is_null()));
        assert_eq!(figures.table().matches("LOST").count(), 2);
    }

    #[test]
    fn the_picture_has_a_point_for_each_figure() {
        let picture = figures().picture();
        assert_eq!(picture.matches("<circle").count(), 2, "{picture}");
        assert!(!picture.contains("NaN"));
    }
}
