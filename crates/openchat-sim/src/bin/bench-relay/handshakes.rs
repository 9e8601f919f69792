//! Full mutual handshakes, each used for one round trip.

use crate::{broker::Broker, stage::Stage};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How many are under way at once.
pub(crate) const AT_ONCE: usize = 16;

/// So many a second, counted for so long.
pub(crate) async fn round(broker: Arc<Broker>, stage: Arc<Stage>, long: Duration) -> f64 {
    let begin = Instant::now();
    let lane = |lane| {
        let (broker, stage) = (Arc::clone(&broker), Arc::clone(&stage));
        tokio::spawn(async move {
            let mut count = 0;
            while begin.elapsed() < long {
                let who = lane + usize::try_from(count).unwrap_or(0) * AT_ONCE;
                drop(broker.connect(&stage, who).await);
                count += 1;
            }
            count
        })
    };
    let lanes: Vec<_> = (0..AT_ONCE).map(lane).collect();
    let mut all: u32 = 0;
    for lane in lanes {
        all += lane.await.expect("handshakes that succeed");
    }
    f64::from(all) / begin.elapsed().as_secs_f64()
}
