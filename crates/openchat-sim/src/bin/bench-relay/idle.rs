//! What connections that do nothing cost the broker.

use crate::{
    broker::Broker,
    machine::{cpu_time, resident},
    stage::Stage,
};
use std::{sync::Arc, time::Duration};

/// How many connect at once.
const LANES: usize = 16;

/// Until the broker has calmed down.
const CALM: Duration = Duration::from_secs(1);

/// What they cost.
pub(crate) struct Idle {
    pub(crate) kib: f64,
    pub(crate) cpu_percent: f64,
}

/// Holds so many connections, watches them for a while, and checks at the end that each still answers.
pub(crate) async fn round(
    broker: Arc<Broker>,
    stage: Arc<Stage>,
    count: usize,
    watched: Duration,
) -> Idle {
    let pid = broker.pid(&stage);
    let before = resident(pid);
    let lane = |lane| {
        let (broker, stage) = (Arc::clone(&broker), Arc::clone(&stage));
        tokio::spawn(async move {
            let mut streams = Vec::new();
            for who in (lane..count).step_by(LANES) {
                streams.push(broker.connect(&stage, who).await);
            }
            streams
        })
    };
    let lanes: Vec<_> = (0..LANES).map(lane).collect();
    let mut streams = Vec::with_capacity(count);
    for lane in lanes {
        streams.extend(lane.await.expect("connections that are held"));
    }
    tokio::time::sleep(CALM).await;
    let (kib, used) = (resident(pid).saturating_sub(before), cpu_time(pid));
    tokio::time::sleep(watched).await;
    let used = cpu_time(pid).saturating_sub(used);
    for stream in &mut streams {
        broker.ping(stream).await;
    }
    Idle {
        kib: f64::from(kib) / f64::from(u32::try_from(count).unwrap_or(1)),
        cpu_percent: 100.0 * used.as_secs_f64() / watched.as_secs_f64(),
    }
}
