//! When a session that is asked for nothing more may end: when all is done, or when waiting on has
//! no prospect.

use super::{Report, Until};
use openchat_engine::Event;
use std::time::Duration;
use tokio::time::Instant;

/// How long the end waits without progress: longer than an outage that a restart of the server
/// makes, short enough for a script.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a single order may take in all. Reading a conversation to its end may take as long as
/// it has to; but whoever ordered one thing waits for an answer.
const LONGEST: Duration = Duration::from_mins(1);

/// Waits for the last answers.
#[derive(Debug)]
pub(super) struct Drain {
    until: Until,
    begun: Option<Instant>,
    /// The last progress, once the drain has begun.
    last: Option<Instant>,
}

impl Drain {
    pub(super) const fn new(until: Until) -> Self {
        Self { until, begun: None, last: None }
    }

    pub(super) fn begin(&mut self) {
        let now = Some(Instant::now());
        (self.begun, self.last) = (now, now);
    }

    pub(super) const fn begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Something happened that brings the end nearer.
    pub(super) fn progress(&mut self) {
        if self.begun() {
            self.last = Some(Instant::now());
        }
    }

    /// Progress is what happens to one's own messages and to the group they wait for; what others
    /// write meanwhile is none, or the end would never come in a busy group.
    pub(super) fn watch(&mut self, reports: &[Report]) {
        let progress = |report: &Report| match report {
            Report::Event(Event::Message(message)) => message.own,
            Report::Event(
                Event::Ack { .. } | Event::Ready { .. } | Event::Failed { .. } | Event::Done { .. },
            ) => true,
            _ => false,
        };
        if reports.iter().any(progress) {
            self.progress();
        }
        // A file takes as long as it has to.
        let of_file =
            |report: &Report| matches!(report, Report::Event(Event::Progress(it)) if it.own);
        if self.begun() && reports.iter().any(of_file) {
            self.begin();
        }
    }

    /// Whether to end, given whether all is `done`.
    pub(super) fn is_over(&self, done: bool, now: Instant) -> bool {
        self.begun() && (done || self.patience(now) == Some(Duration::ZERO))
    }

    /// Until the end comes without progress.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let patience = PATIENCE.saturating_sub(now.duration_since(self.last?));
        let longest = LONGEST.saturating_sub(now.duration_since(self.begun?));
        Some(if self.until == Until::Sent { patience } else { patience.min(longest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_done_ends_at_once_and_the_rest_after_patience() {
        let mut drain = Drain::new(Until::Sent);
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

    #[tokio::test(start_paused = true)]
    async fn progress_without_end_is_waited_for_only_in_conversations() {
        let mut drains = [Until::Sent, Until::Answered, Until::Reachable].map(Drain::new);
        drains.iter_mut().for_each(Drain::begin);
        for _ in 0..12 {
            tokio::time::advance(PATIENCE / 2).await;
            drains.iter_mut().for_each(Drain::progress);
        }
        let over = drains.each_ref().map(|drain| drain.is_over(false, Instant::now()));
        assert_eq!(over, [false, true, true]);
    }
}
