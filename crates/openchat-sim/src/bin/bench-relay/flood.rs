//! What others notice of one client that misbehaves.

use crate::{
    broker::{Broker, Topic},
    ours::Members,
    people::Stage,
    report::{Row, percentile},
    work::{self, Sender, Stop},
};
use openchat_wire::{
    frame::to_frame,
    relay::{Request, ToServer},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Requests that one client sends without waiting for an answer.
const REQUESTS: u32 = 100_000;
/// Clients that ask for everything and read nothing.
const SLOW: usize = 10;
const RECEIVERS: usize = 10;
/// Messages whose way is timed: half a minute of them, so that a p99 means something.
const MESSAGES: u32 = 3_000;
const PACE: Duration = Duration::from_millis(5);

/// The p99 beside a flood and beside slow readers, each with the quiet one before it.
pub(crate) async fn row(stage: &Stage) -> Vec<Row> {
    let broker = Broker::ours(stage);
    let members = Members { first: 0, count: RECEIVERS + SLOW + 2 };
    // Each time a new log: receivers are sent all that is in it.
    let topic = async || Arc::new(broker.topic(stage, members).await);
    let quiet = p99(&broker, stage, &topic().await).await;
    let stop = Stop::default();
    let flood = tokio::spawn(flood(broker.connect(stage, RECEIVERS + 1).await, Arc::clone(&stop)));
    let flooded = p99(&broker, stage, &topic().await).await;
    stop.store(true, Ordering::Relaxed);
    let sent = flood.await.expect("a flood that can be stopped");
    let still = p99(&broker, stage, &topic().await).await;
    let topic = topic().await;
    let mut slow = Vec::new();
    for who in 0..SLOW {
        let mut stream = broker.connect(stage, RECEIVERS + 2 + who).await;
        broker.subscribe(&mut stream, &topic).await;
        slow.push(stream);
    }
    let beside_slow = p99(&broker, stage, &topic).await;
    let row = |work, n, ours, peer| Row {
        work,
        n,
        unit: "ms",
        ours,
        peer: Some(peer),
        peer_name: "quiet",
    };
    vec![
        row("p99 beside a flood", usize::try_from(sent).unwrap_or(0), flooded, quiet),
        row("p99 beside slow readers", SLOW, beside_slow, still),
    ]
}

async fn p99(broker: &Broker, stage: &Stage, topic: &Arc<Topic>) -> f64 {
    let mut waiting = Vec::new();
    for who in 1..=RECEIVERS {
        let all = usize::try_from(MESSAGES).unwrap_or(0);
        waiting.push(work::receiver(broker, stage, (who, all), topic).await);
    }
    let mut sender = Sender::new(broker, stage, 0).await;
    for number in 0..MESSAGES {
        tokio::time::sleep(PACE).await;
        sender.publish(broker, topic, number).await;
    }
    let mut latencies = Vec::new();
    for receiver in waiting {
        latencies.extend(receiver.await.expect("a receiver").latencies);
    }
    percentile(&mut latencies, 99)
}

/// Asks as fast as the relay takes it, at least [`REQUESTS`] times, until told to stop.
async fn flood(stream: crate::broker::Stream, stop: Stop) -> u32 {
    let (mut input, mut output) = tokio::io::split(stream);
    let answers = tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1024];
        while matches!(input.read(&mut bytes).await, Ok(read) if read > 0) {}
    });
    let mut sent = 0;
    while sent < REQUESTS || !stop.load(Ordering::Relaxed) {
        let frames: Vec<u8> =
            (0..100).flat_map(|id| to_frame(&ToServer { id, request: Request::Ping })).collect();
        if output.write_all(&frames).await.is_err() {
            break;
        }
        sent += 100;
    }
    answers.abort();
    sent
}
