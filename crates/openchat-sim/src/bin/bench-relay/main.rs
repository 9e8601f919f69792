//! The load program behind `scripts/bench relay`: our relay beside other brokers that carry opaque
//! bytes, the same payload over the same mutual TLS, in interleaved rounds of one run.
//!
//! What it measures of ours is what members get: an entry is stored and synced before anybody hears
//! of it. NATS core and MQTT store nothing; the floor is a fan-out in memory that does nothing else.

#![allow(clippy::print_stdout, reason = "its figures are its output")]
#![allow(clippy::expect_used, clippy::panic, reason = "a load program fails by a panic")]

mod broker;
mod flood;
mod floor;
mod idle;
mod mqtt;
mod nats;
mod ours;
mod people;
mod report;
mod work;

use broker::Broker;
use report::{Report, Row};
use std::process::ExitCode;

/// Receivers of one sender.
const FAN_OUT: [usize; 4] = [1, 10, 100, 500];

/// Everybody: enough for a mesh of 50 groups of 20, and for 10,000 connections of at most 16 each.
const PEOPLE: usize = 1_000;

/// Rounds in which the brokers take turns.
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, place] = &arguments[..]
        && mode == "floor-server"
    {
        runtime().block_on(floor::serve(place.as_ref()));
        return ExitCode::SUCCESS;
    }
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let mut report = Report::new(as_json);
    runtime().block_on(measure(&mut report, quick));
    report.finish();
    ExitCode::SUCCESS
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

async fn measure(report: &mut Report, quick: bool) {
    let (fan_out, rounds) = if quick { (&FAN_OUT[..2], 1) } else { (&FAN_OUT[..], ROUNDS) };
    let most = fan_out.last().copied().unwrap_or(1);
    let stage = people::Stage::set(if quick { most + 1 } else { PEOPLE }).await;
    let mut brokers = vec![Broker::ours(&stage), Broker::floor(&stage)];
    brokers.extend(Broker::nats(&stage));
    brokers.extend(Broker::mosquitto(&stage));
    for &receivers in fan_out {
        let mut rows: Vec<Vec<work::FanOut>> = brokers.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (broker, rows) in brokers.iter().zip(&mut rows) {
                rows.push(work::fan_out(broker, &stage, receivers).await);
            }
        }
        report.add(work::rows(&brokers, &rows, receivers));
    }
    let mut rates = vec![Vec::new(); brokers.len()];
    for _ in 0..rounds {
        for (broker, rates) in brokers.iter().zip(&mut rates) {
            rates.push(work::handshakes(broker, &stage).await);
        }
    }
    report.add(Row::of_all("handshakes/s", 1, "1/s", &brokers, &rates));
    if !quick {
        report.add(mesh(&brokers, &stage).await);
        report.add(flood::row(&stage).await);
        report.add(idle::row(&brokers, &stage).await);
    }
}

async fn mesh(brokers: &[Broker], stage: &people::Stage) -> Vec<Row> {
    let (mut p50, mut p99) = (vec![Vec::new(); brokers.len()], vec![Vec::new(); brokers.len()]);
    for _ in 0..ROUNDS {
        for (at, broker) in brokers.iter().enumerate() {
            // The floor has one topic.
            if broker.kind != broker::Kind::Floor {
                let (half, most) = work::mesh(broker, stage).await;
                p50[at].push(half);
                p99[at].push(most);
            }
        }
    }
    let mut rows = Row::of_all("mesh 50 x 20 p50", 1_000, "ms", brokers, &p50);
    rows.extend(Row::of_all("mesh 50 x 20 p99", 1_000, "ms", brokers, &p99));
    rows
}
