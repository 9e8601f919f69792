//! The load program behind `scripts/bench relay`: our relay beside other brokers that carry opaque
//! bytes, the same payload over the same mutual TLS, in interleaved rounds of one run.
//!
//! What it measures of ours is what members get: an entry is stored and synced before anybody hears
//! of it. NATS core and MQTT store nothing; `JetStream` stores, and syncs every two minutes; the floor
//! is a fan-out in memory that does nothing else.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its figures are its output")]
#![allow(clippy::expect_used, clippy::panic, reason = "a load program fails by a panic")]

mod abuse;
mod broker;
mod certificates;
mod fan_out;
mod floor;
mod handshakes;
mod idle;
mod load;
mod machine;
mod mesh;
mod mirror;
mod mqtt;
mod nats;
mod ours;
mod plan;
mod run;
mod stage;
mod whole;

pub(crate) use openchat_sim::Figures;
use plan::Tables;
use run::Run;
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["floor-server", data] => {
            runtime().block_on(floor::serve(data.as_ref()));
            ExitCode::SUCCESS
        }
        ["ca", options @ ..] => {
            runtime().block_on(certificates::bench(options.contains(&"--json")));
            ExitCode::SUCCESS
        }
        ["--chart", chart, options @ ..] => bench(chart.as_ref(), options),
        _ => {
            eprintln!(
                "usage: bench-relay --chart FILE [--json] [--quick] [SCENE ...] | ca [--json]"
            );
            ExitCode::from(2)
        }
    }
}

fn bench(chart: &Path, options: &[&str]) -> ExitCode {
    if let Err(why) = machine::raise_limits() {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    let scenes = options.iter().filter(|option| !option.starts_with("--"));
    let run = Run {
        is_quick: options.contains(&"--quick"),
        scenes: scenes.map(|scene| (*scene).to_owned()).collect(),
    };
    let mut tables = Tables::new();
    runtime().block_on(run.measure(&mut tables));
    if options.contains(&"--json") {
        tables.json().iter().for_each(|row| println!("{row}"));
    } else {
        print!("{}", tables.text());
    }
    match std::fs::write(chart, tables.brokers.picture()) {
        Ok(()) => eprintln!("picture: {}", chart.display()),
        Err(error) => eprintln!("{}: {error}", chart.display()),
    }
    ExitCode::from(u8::from(tables.has_failed()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
