//! How far the server is on its way to its end.

use tokio::sync::watch;

/// In this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No connection is accepted and no request read; those under way are still decided.
    Draining,
    /// Everything is decided: sessions write what waits, say goodbye and end.
    Closing,
}

/// Moves the phase on.
#[derive(Debug)]
pub(crate) struct PhaseSwitch(watch::Sender<Phase>);

/// Waits for a phase.
#[derive(Debug, Clone)]
pub(crate) struct PhaseWatch(watch::Receiver<Phase>);

pub(crate) fn new() -> (PhaseSwitch, PhaseWatch) {
    let (switch, watch) = watch::channel(Phase::Running);
    (PhaseSwitch(switch), PhaseWatch(watch))
}

impl PhaseSwitch {
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

impl PhaseWatch {
    pub(crate) async fn draining(&self) {
        self.reaches(Phase::Draining).await;
    }

    pub(crate) async fn closing(&self) {
        self.reaches(Phase::Closing).await;
    }

    async fn reaches(&self, phase: Phase) {
        // Without its switch the server is past its end, so that counts as any phase.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }
}
