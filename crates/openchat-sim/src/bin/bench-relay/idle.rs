//! What a connection that does nothing costs the broker in memory.

use crate::{broker::Broker, people::Stage, report::Row, work};

/// Connections.
const IDLE: usize = 10_000;

pub(crate) async fn row(brokers: &[Broker], stage: &Stage) -> Vec<Row> {
    let mut figures = Vec::new();
    for broker in brokers {
        figures.push(vec![cost(broker, stage).await]);
    }
    Row::of_all("KiB a connection", IDLE, "KiB", brokers, &figures)
}

async fn cost(broker: &Broker, stage: &Stage) -> f64 {
    let before = resident(broker.pid(stage));
    let mut streams = Vec::with_capacity(IDLE);
    for who in 0..IDLE {
        let mut stream = broker.connect(stage, who).await;
        work::settle(broker, &mut stream).await;
        streams.push(stream);
    }
    let after = resident(broker.pid(stage));
    f64::from(after.saturating_sub(before)) / f64::from(u32::try_from(IDLE).unwrap_or(1))
}

/// KiB of memory that a process has in use.
fn resident(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}
