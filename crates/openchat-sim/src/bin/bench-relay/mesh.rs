//! Many small groups at once, at a fixed pace.

use crate::{
    Figures,
    broker::{Broker, Kind},
    load::{Sender, received, receiver},
    machine::cpu_time,
    ours::Members,
    stage::Stage,
};
use openchat_sim::percentile;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Groups, and members of each.
const GROUPS: usize = 50;
const GROUP: usize = 20;
/// Everybody.
pub(crate) const PEOPLE: usize = GROUPS * GROUP;

/// Posts a second in all groups together, and posts in each.
pub(crate) const POSTS_A_SECOND: u32 = 1_000;
const POSTS: u32 = 60;

/// What one round shows.
pub(crate) struct Mesh {
    p50: f64,
    p99: f64,
    /// Of one processor, by the broker.
    cpu_percent: f64,
}

pub(crate) async fn round(broker: &Broker, stage: &Stage) -> Mesh {
    let (mut waiting, mut senders) = (Vec::new(), Vec::new());
    for group in 0..GROUPS {
        let members = Members { first: group * GROUP, count: GROUP };
        let topic = Arc::new(broker.topic(stage, members).await);
        for who in members.first + 1..members.first + GROUP {
            waiting.push(receiver(broker, stage, who, &topic).await);
        }
        senders.push(Sender::new(broker, stage, (members.first, POSTS + 1), &topic).await);
    }
    let (begin, used) = (Instant::now(), cpu_time(broker.pid(stage)));
    let mut clock = tokio::time::interval(Duration::from_secs(1) / POSTS_A_SECOND);
    for _ in 0..POSTS {
        for sender in &mut senders {
            clock.tick().await;
            sender.publish().await;
        }
    }
    let (took, used) = (begin.elapsed(), cpu_time(broker.pid(stage)).saturating_sub(used));
    for sender in &mut senders {
        sender.burst(1).await;
    }
    let (mut latencies, _) = received(waiting).await;
    Mesh {
        p50: percentile(&mut latencies, 50),
        p99: percentile(&mut latencies, 99),
        cpu_percent: 100.0 * used.as_secs_f64() / took.as_secs_f64(),
    }
}

pub(crate) fn note(figures: &mut Figures, kind: Kind, round: Option<&Mesh>) {
    let rows = ["mesh 50 x 20 p50", "mesh 50 x 20 p99", "mesh 50 x 20 CPU"];
    match round {
        None => rows.iter().for_each(|work| figures.fail(kind.side(), POSTS_A_SECOND, work)),
        Some(Mesh { p50, p99, cpu_percent }) => {
            for (work, value) in rows.iter().zip([*p50, *p99, *cpu_percent]) {
                figures.add(kind.side(), POSTS_A_SECOND, work, value);
            }
        }
    }
}
