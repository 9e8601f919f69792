//! Quotas and retention as the operator wants them: told to the relay, and old bodies dropped in steps
//! so small that nobody waits for them.

use crate::{
    config::Keep,
    serve::relay_thread::{Job, Jobs},
};
use std::time::Duration;
use tokio::{sync::watch, time::timeout};

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
        let Some(age) = age else {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        };
        match run(&jobs, age, &mut wanted).await {
            End::Relay => return,
            End::Change => {}
            End::Run => {
                if let Ok(Err(_)) = timeout(EVERY, wanted.changed()).await {
                    return;
                }
            }
        }
    }
}

/// What ended a run.
enum End {
    /// Nothing more is old, or could be dropped now.
    Run,
    /// Something else is wanted.
    Change,
    /// The server stops.
    Relay,
}

/// Drops everything that is old, unless something else is wanted meanwhile.
async fn run(jobs: &Jobs, age: Duration, wanted: &mut watch::Receiver<Keep>) -> End {
    let mut bodies = 0_u64;
    let end = loop {
        match jobs.ask(|reply| Job::DropOld(age, reply)).await {
            Some(Ok(step)) => {
                bodies = bodies.saturating_add(step.bodies);
                if step.complete {
                    break End::Run;
                }
            }
            // What could not be stored now is tried in the next run.
            Some(Err(error)) => {
                tracing::warn!(%error, "old messages could not be dropped");
                break End::Run;
            }
            None => return End::Relay,
        }
        match timeout(PAUSE, wanted.changed()).await {
            Ok(Ok(())) => break End::Change,
            Ok(Err(_)) => return End::Relay,
            Err(_) => {}
        }
    };
    if bodies > 0 {
        tracing::info!(bodies, days = age.as_secs() / 86_400, "messages were old, and dropped");
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_relay::Retained;
    use tokio::sync::mpsc;

    const DAY: Duration = Duration::from_hours(24);

    /// The jobs of one who keeps, and what says how long.
    fn started(retention: &str) -> (watch::Sender<Keep>, mpsc::Receiver<Job>) {
        let (jobs, queue) = Jobs::channel();
        let (wanted, watcher) = watch::channel(Keep::for_days(retention));
        tokio::spawn(keep(jobs, watcher));
        (wanted, queue)
    }

    async fn next(queue: &mut mpsc::Receiver<Job>) -> Job {
        queue.recv().await.unwrap()
    }

    /// Answers a step, and says what age it was for.
    async fn step(queue: &mut mpsc::Receiver<Job>, complete: bool) -> Duration {
        let Job::DropOld(age, reply) = next(queue).await else { panic!("no step") };
        reply.send(Ok(Retained { bodies: 64, complete })).unwrap();
        age
    }

    async fn quotas(queue: &mut mpsc::Receiver<Job>) {
        assert!(matches!(next(queue).await, Job::Quotas(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_not_wanted_any_more_stops_after_its_step() {
        let (wanted, mut queue) = started("9d");
        quotas(&mut queue).await;
        for _ in 0..3 {
            assert_eq!(step(&mut queue, false).await, 9 * DAY);
        }
        let Job::DropOld(_, reply) = next(&mut queue).await else { panic!("no step") };
        wanted.send_replace(Keep::for_days("off"));
        reply.send(Ok(Retained { bodies: 64, complete: false })).unwrap();
        quotas(&mut queue).await;
        assert!(timeout(30 * DAY, queue.recv()).await.is_err(), "nothing goes any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_goes_on_with_what_is_wanted_now() {
        let (wanted, mut queue) = started("9d");
        quotas(&mut queue).await;
        assert_eq!(step(&mut queue, false).await, 9 * DAY);
        wanted.send_replace(Keep::for_days("30d"));
        quotas(&mut queue).await;
        assert_eq!(step(&mut queue, false).await, 30 * DAY);
        assert_eq!(step(&mut queue, true).await, 30 * DAY);
        let early = timeout(EVERY.mul_f32(0.9), queue.recv()).await;
        assert!(early.is_err(), "once in an hour");
        quotas(&mut queue).await;
        assert_eq!(step(&mut queue, true).await, 30 * DAY);
        drop(wanted);
        assert!(queue.recv().await.is_none(), "it ends with the server");
    }
}
