//! A table, or a row a line as JSON, and a picture.

use crate::broker::{Broker, Kind};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// A figure of ours beside that of a peer.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) n: usize,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
    pub(crate) peer_name: &'static str,
}

/// All rows of a run.
pub(crate) struct Report {
    as_json: bool,
    rows: Vec<Row>,
}

/// A name, and figures by receivers.
type Series<'a> = (&'a str, Vec<(usize, Option<f64>)>);

impl Row {
    /// A row for each peer, with the medians of their rounds.
    pub(crate) fn of_all(
        work: &'static str,
        n: usize,
        unit: &'static str,
        brokers: &[Broker],
        rounds: &[Vec<f64>],
    ) -> Vec<Self> {
        let median =
            |rounds: &Vec<f64>| (!rounds.is_empty()).then(|| percentile(&mut rounds.clone(), 50));
        let figures: Vec<(&Broker, Option<f64>)> =
            brokers.iter().zip(rounds.iter().map(median)).collect();
        let ours = figures.iter().find(|(broker, _)| broker.kind == Kind::Ours);
        let Some(ours) = ours.and_then(|(_, figure)| *figure) else { return Vec::new() };
        let peers = figures.iter().filter(|(broker, _)| broker.kind != Kind::Ours);
        peers
            .map(|(broker, peer)| Self {
                work,
                n,
                unit,
                ours,
                peer: *peer,
                peer_name: broker.name(),
            })
            .collect()
    }
}

impl Report {
    pub(crate) fn new(as_json: bool) -> Self {
        if !as_json {
            println!("{:<26}{:>7}{:>14}{:>14}{:>9}  peer", "work", "n", "ours", "peer", "ratio");
        }
        Self { as_json, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        for row in rows {
            let Row { work, n, unit, ours, peer, peer_name } = &row;
            let ratio = peer.map(|peer| ours / peer);
            if self.as_json {
                let line = json!({
                    "work": work, "n": n, "unit": unit, "ours": ours, "peer": peer,
                    "peer_name": peer_name, "ratio": ratio,
                });
                println!("{line}");
            } else {
                let shown = |figure: Option<f64>| figure.map_or("-".to_owned(), rounded);
                println!(
                    "{work:<26}{n:>7}{:>14}{:>14}{:>9}  {peer_name} ({unit})",
                    rounded(*ours),
                    shown(*peer),
                    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
                );
            }
            self.rows.push(row);
        }
    }

    /// Draws deliveries a second against receivers.
    pub(crate) fn finish(self) {
        let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let path = folder.join("bench-relay.svg");
        match std::fs::write(&path, self.picture()) {
            Ok(()) if !self.as_json => println!("\npicture: {}", path.display()),
            Ok(()) => {}
            Err(error) => println!("{}: {error}", path.display()),
        }
    }

    fn picture(&self) -> String {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.work == "deliveries/s").collect();
        let mut peers: Vec<&str> = rows.iter().map(|row| row.peer_name).collect();
        peers.sort_unstable();
        peers.dedup();
        let most =
            rows.iter().flat_map(|row| [Some(row.ours), row.peer]).flatten().fold(1.0, f64::max);
        let mut svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"420\" \
            font-family=\"sans-serif\" font-size=\"13\">\n\
            <rect width=\"760\" height=\"420\" fill=\"white\"/>\n\
            <text x=\"20\" y=\"24\">deliveries a second by receivers, mutual TLS, 300 bytes</text>\n"
            .to_owned();
        let colours = ["#1b6ca8", "#888888", "#c0641c", "#3d8b40", "#7b3fa0"];
        let ours = rows.iter().map(|row| (row.n, Some(row.ours))).collect();
        let mut series: Vec<Series<'_>> = vec![("openchat (synced)", ours)];
        for peer in peers {
            let of = rows.iter().filter(|row| row.peer_name == peer);
            series.push((peer, of.map(|row| (row.n, row.peer)).collect()));
        }
        for ((name, points), (colour, line)) in series.iter().zip(colours.iter().zip(1_u8..)) {
            let place = |(n, figure): &(usize, Option<f64>)| {
                let across = 60.0 + 170.0 * f64::from(u32::try_from(*n).unwrap_or(1)).log10();
                figure.map(|figure| format!("{across:.0},{:.0}", 380.0 - 320.0 * figure / most))
            };
            let mut points: Vec<String> = points.iter().filter_map(place).collect();
            points.dedup();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n\
                 <text x=\"590\" y=\"{}\" fill=\"{colour}\">{name}</text>",
                points.join(" "),
                40 + 20 * u16::from(line),
            );
        }
        let _ = writeln!(svg, "<text x=\"20\" y=\"50\">{}</text>\n</svg>", rounded(most));
        svg
    }
}

/// The value below which `percent` of all lie; sorts them.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

fn rounded(figure: f64) -> String {
    match figure {
        _ if figure >= 1_000.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.3}"),
    }
}
