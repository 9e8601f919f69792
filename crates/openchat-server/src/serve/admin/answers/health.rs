//! Whether the server is in order, as far as it can tell by itself.

use super::Operator;
use crate::{
    clock,
    operator::text::{date, size},
    serve::relay_thread::Job,
};
use openchat_wire::{UnixMillis, admin::Check};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long the relay thread may take until it has decided and stored what waits before a probe.
/// A disk that takes longer is about to fail, or far too slow.
const SLOW: Duration = Duration::from_secs(5);

/// Below this the next backup, or a busy day, fills the disk.
const LITTLE: u64 = 256 * 1024 * 1024;

/// The server renews its own certificate when at least this part of its life is left, so less of it
/// means that renewal fails. Profiles renew after 90 % at the latest.
const LAST_PART: u64 = 16;

/// A new CA takes everybody's doing, so its end is told a quarter of a year before.
const CA_SOON: Duration = Duration::from_hours(90 * 24);

impl Operator {
    /// Looks at everything.
    pub(crate) async fn health(&self) -> Vec<Check> {
        let now = clock::now();
        vec![self.relay().await, self.disk(), self.own_certificate(now), self.authority(now)]
    }

    async fn relay(&self) -> Check {
        let began = Instant::now();
        let (ok, detail) = match timeout(SLOW, self.ask(Job::Probe)).await {
            Ok(Ok(())) => (true, format!("answers within {} ms", began.elapsed().as_millis())),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("has not answered for {} s", SLOW.as_secs())),
        };
        check("relay", ok, detail)
    }

    fn disk(&self) -> Check {
        match self.free_bytes() {
            Some(free) => check("disk", free >= LITTLE, format!("{} free", size(free))),
            None => check("disk", false, "can't be looked at".to_owned()),
        }
    }

    fn own_certificate(&self, now: UnixMillis) -> Check {
        match self.server_record() {
            Ok(record) => {
                let life = record.not_after.0.saturating_sub(record.not_before.0);
                let soon = now.after(Duration::from_millis(life / LAST_PART));
                until("certificate", record.not_after, soon)
            }
            Err(error) => check("certificate", false, error.to_string()),
        }
    }

    fn authority(&self, now: UnixMillis) -> Check {
        until("authority", self.ca.not_after(), now.after(CA_SOON))
    }
}

fn until(name: &str, end: UnixMillis, soon: UnixMillis) -> Check {
    check(name, soon < end, format!("valid to {}", date(end)))
}

fn check(name: &str, ok: bool, detail: String) -> Check {
    Check { name: name.to_owned(), ok, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_near_is_told() {
        let (end, day) = (UnixMillis(1_763_000_000_000), Duration::from_hours(24));
        assert!(until("x", end, UnixMillis(0).after(day)).ok);
        assert!(!until("x", end, end).ok);
        assert_eq!(until("x", end, end).detail, "valid to 2025-11-13");
    }
}
