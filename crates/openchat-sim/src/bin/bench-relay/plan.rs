//! The rows, and with whom each is compared.

use crate::Figures;
use openchat_sim::Plan;
use serde_json::Value;

/// Ours beside other brokers.
const BROKERS: Plan = Plan {
    sides: &["ours", "floor", "nats core", "nats jetstream (fsync every 2 min)", "mosquitto QoS 1"],
    rows: &[
        ("fan-out p50", "ms"),
        ("fan-out p99", "ms"),
        ("deliveries/s", "1/s"),
        ("ack p50", "ms"),
        ("disk: 4 KiB written and synced", "ms"),
        ("mesh 50 x 20 p50", "ms"),
        ("mesh 50 x 20 p99", "ms"),
        ("mesh 50 x 20 CPU", "%"),
        ("handshakes/s", "1/s"),
        ("KiB a connection", "KiB"),
        ("idle CPU", "%"),
        ("disk bytes a message", "bytes"),
        ("disk bytes a member", "bytes"),
        ("disk bytes a person", "bytes"),
    ],
    panels: &[
        "fan-out p50",
        "fan-out p99",
        "deliveries/s",
        "ack p50",
        "mesh 50 x 20 p50",
        "mesh 50 x 20 p99",
        "handshakes/s",
        "KiB a connection",
    ],
};

/// Without whom ours is compared.
pub(crate) const QUIET: &str = "without them";

/// Ours beside ours.
const ABUSE: Plan = Plan {
    sides: &["ours", QUIET],
    rows: &[
        ("p99 beside a flood", "ms"),
        ("p99 beside slow readers", "ms"),
        ("login p99 beside half-open", "ms"),
    ],
    panels: &[],
};

/// The best of the four small programs that this one succeeds, as they were measured on a machine
/// of this kind. They are not run again: what they lack has no figure.
pub(crate) const PREDECESSOR: &str = "best predecessor, then";

/// Figures of predecessors: a row, its n and the value.
pub(crate) const PREDECESSORS: [(&str, u32, f64); 6] = [
    ("end to end p50", 2, 0.8),
    ("end to end p99", 2, 2.2),
    ("end to end p50", 32, 2.4),
    ("end to end p99", 32, 3.5),
    ("end to end deliveries/s", 32, 40_197.0),
    // With keys; another one, without any, needed 4,400.
    ("group formed from nothing", 32, 11_100.0),
];

/// Whole clients.
const WHOLE: Plan = Plan {
    sides: &["ours", PREDECESSOR],
    rows: &[
        ("end to end p50", "ms"),
        ("end to end p99", "ms"),
        ("end to end deliveries/s", "1/s"),
        ("group formed from nothing", "ms"),
    ],
    panels: &[],
};

/// All figures of a run.
pub(crate) struct Tables {
    pub(crate) brokers: Figures,
    pub(crate) abuse: Figures,
    pub(crate) whole: Figures,
}

impl Tables {
    pub(crate) const fn new() -> Self {
        Self {
            brokers: Figures::new(&BROKERS),
            abuse: Figures::new(&ABUSE),
            whole: Figures::new(&WHOLE),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.all().map(Figures::table).join("\n")
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        self.all().map(Figures::json).concat()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.all().into_iter().any(Figures::has_failed)
    }

    const fn all(&self) -> [&Figures; 3] {
        [&self.brokers, &self.abuse, &self.whole]
    }
}
