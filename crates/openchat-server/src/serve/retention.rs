//! Quotas and retention as the operator wants them: told to the relay, and old bodies dropped in steps
//! so small that nobody waits for them.

use crate::{
    config::Keep,
    serve::relay_thread::{Job, Jobs},
};
use std::time::Duration;
use tokio::{sync::watch, time::sleep};

/// How long after the end of one run the next one begins. The shortest retention is a day.
const EVERY: Duration = Duration::from_hours(1);

/// Between two steps the relay has this long for others: a step takes a millisecond or so, and six
/// thousand bodies a second are more than a busy server gets.
const PAUSE: Duration = Duration::from_millis(10);

/// Does what is wanted, as long as the server runs. Without retention it does nothing at all.
pub(crate) async fn keep(jobs: Jobs, mut wanted: watch::Receiver<Keep>) {
    loop {
        let (quotas, age) = {
            let wanted = wanted.borrow_and_update();
            (wanted.quotas(), wanted.retention.value.age())
        };
        if !jobs.put(Job::Quotas(quotas)).await {
            return;
        }
        if let Some(age) = age {
            if run(&jobs, age).await.is_none() {
                return;
            }
            let _ = tokio::time::timeout(EVERY, wanted.changed()).await;
        } else if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Drops everything that is old; `None` if the relay has ended.
async fn run(jobs: &Jobs, age: Duration) -> Option<()> {
    let mut bodies = 0_u64;
    loop {
        match jobs.ask(|reply| Job::DropOld(age, reply)).await? {
            Ok(step) => {
                bodies = bodies.saturating_add(step.bodies);
                if step.complete {
                    break;
                }
            }
            // What could not be stored now is tried in the next run.
            Err(error) => {
                tracing::warn!(%error, "old messages could not be dropped");
                return Some(());
            }
        }
        sleep(PAUSE).await;
    }
    if bodies > 0 {
        tracing::info!(bodies, days = age.as_secs() / 86_400, "messages were old, and dropped");
    }
    Some(())
}
