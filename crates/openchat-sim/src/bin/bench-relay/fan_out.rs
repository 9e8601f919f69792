//! One sender and its receivers: first at a pace, then as fast as it goes.

use crate::{
    Figures,
    broker::{Broker, Kind},
    load::{Sender, received, receiver},
    ours::Members,
    stage::{Stage, ratio},
};
use openchat_sim::percentile;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Messages whose way is timed; fewer if there are many receivers, each of which times them, and in a
/// quick run.
const PACED: u32 = 300;
const FEWER_PACED: u32 = 100;
const MANY: usize = 200;

/// Between two of them, and deliveries a second at most: a pace that every peer keeps, because a
/// queue that grows says nothing of a way.
const PACE: Duration = Duration::from_millis(5);
const PACE_A_RECEIVER: Duration = Duration::from_micros(50);

/// Deliveries of a burst, about; and messages of it at least and at most.
const BURST_DELIVERIES: usize = 250_000;
const BURST: (usize, usize) = (500, 20_000);

/// What one round shows.
pub(crate) struct FanOut {
    p50: f64,
    p99: f64,
    deliveries_a_second: f64,
    /// From publishing to the broker's ack, where it gives one.
    ack: Option<f64>,
    /// Bytes that it stored for a message, where it stores, and for a member of the group.
    a_message: Option<f64>,
    a_member: Option<f64>,
}

pub(crate) async fn round(
    broker: &Broker,
    stage: &Stage,
    receivers: usize,
    is_quick: bool,
) -> FanOut {
    let paced = if receivers < MANY && !is_quick { PACED } else { FEWER_PACED };
    let burst = (BURST_DELIVERIES / receivers).clamp(BURST.0, BURST.1);
    let count = u32::try_from(burst).unwrap_or(u32::MAX);
    let empty = broker.stored(stage);
    let topic = broker.topic(stage, Members { first: 0, count: receivers + 1 }).await;
    let (topic, made) = (Arc::new(topic), broker.stored(stage));
    let mut waiting = Vec::new();
    for who in 1..=receivers {
        waiting.push(receiver(broker, stage, who, &topic).await);
    }
    let mut sender = Sender::new(broker, stage, (0, paced + count), &topic).await;
    let pace = PACE.max(PACE_A_RECEIVER * u32::try_from(receivers).unwrap_or(1));
    for _ in 0..paced {
        tokio::time::sleep(pace).await;
        sender.publish().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begin = Instant::now();
    let mut acks = sender.burst(count).await;
    let (mut latencies, end) = received(waiting).await;
    let deliveries = f64::from(u32::try_from(burst * receivers).unwrap_or(u32::MAX));
    acks.truncate(usize::try_from(paced).unwrap_or(0));
    let grown = |to: Option<u64>, from: Option<u64>, by: usize| {
        to.zip(from).map(|(to, from)| ratio(to.saturating_sub(from), by))
    };
    let messages = burst + usize::try_from(paced).unwrap_or(0);
    FanOut {
        p50: percentile(&mut latencies, 50),
        p99: percentile(&mut latencies, 99),
        deliveries_a_second: deliveries / end.duration_since(begin).as_secs_f64(),
        ack: (!acks.is_empty()).then(|| percentile(&mut acks, 50)),
        a_message: grown(broker.stored(stage), made, messages),
        a_member: grown(made, empty, receivers + 1),
    }
}

pub(crate) fn note(figures: &mut Figures, kind: Kind, receivers: u32, round: Option<FanOut>) {
    let Some(round) = round else {
        for work in ["fan-out p50", "fan-out p99", "deliveries/s"] {
            figures.fail(kind.side(), receivers, work);
        }
        return;
    };
    figures.add(kind.side(), receivers, "fan-out p50", round.p50);
    figures.add(kind.side(), receivers, "fan-out p99", round.p99);
    figures.add(kind.side(), receivers, "deliveries/s", round.deliveries_a_second);
    if let Some(ack) = round.ack {
        figures.add(kind.side(), receivers, "ack p50", ack);
    }
    // Whole pages are the less noise the more there is of what fills them.
    if let Some(bytes) = round.a_message.filter(|_| receivers == 1) {
        figures.add(kind.side(), receivers, "disk bytes a message", bytes);
    }
    if let Some(bytes) = round.a_member.filter(|_| kind == Kind::Ours && receivers > 1) {
        figures.add(kind.side(), receivers, "disk bytes a member", bytes);
    }
}
