//! When a session that is asked for nothing more may end: when everything is acknowledged, or when
//! waiting on has no prospect.

use super::Report;
use openchat_engine::Event;
use std::time::Duration;
use tokio::time::Instant;

/// How long the end waits without progress: longer than an outage that a restart of the server
/// makes, short enough for a script.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the last acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// The last progress, once the drain has begun.
    last: Option<Instant>,
}

impl Drain {
    pub(super) fn begin(&mut self) {
        self.last = Some(Instant::now());
    }

    pub(super) const fn begun(&self) -> bool {
        self.last.is_some()
    }

    /// Something happened that brings an acknowledgement nearer.
    pub(super) fn progress(&mut self) {
        if self.last.is_some() {
            self.last = Some(Instant::now());
        }
    }

    /// Progress is what happens to one's own messages and to the group they wait for; what others
    /// write meanwhile is none, or the end would never come in a busy group.
    pub(super) fn watch(&mut self, reports: &[Report]) {
        let progress = |report: &Report| match report {
            Report::Event(Event::Message(message)) => message.own,
            Report::Event(Event::Ack { .. } | Event::Ready { .. } | Event::Failed { .. }) => true,
            _ => false,
        };
        if reports.iter().any(progress) {
            self.progress();
        }
    }

    /// Whether to end, given whether all is `done`.
    pub(super) fn is_over(&self, done: bool, now: Instant) -> bool {
        self.last.is_some_and(|last| done || now.duration_since(last) >= PATIENCE)
    }

    /// Until the end comes without progress.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| PATIENCE.saturating_sub(now.duration_since(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_done_ends_at_once_and_the_rest_after_patience() {
        let mut drain = Drain::default();
        assert!(!drain.is_over(true, Instant::now()), "still being asked");
        drain.begin();
        assert!(drain.is_over(true, Instant::now()));
        assert!(!drain.is_over(false, Instant::now()));
        tokio::time::advance(PATIENCE / 2).await;
        drain.progress();
        tokio::time::advance(PATIENCE / 2).await;
        assert!(!drain.is_over(false, Instant::now()), "progress renews patience");
        tokio::time::advance(PATIENCE / 2).await;
        assert!(drain.is_over(false, Instant::now()));
    }
}
