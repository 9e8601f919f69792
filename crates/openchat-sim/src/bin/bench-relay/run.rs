//! One run: every scene, in rounds in which the brokers take turns.

use crate::{
    abuse,
    broker::{Broker, Kind},
    fan_out, handshakes, idle, machine, mesh,
    plan::{PREDECESSOR, PREDECESSORS, QUIET, Tables},
    stage::{LIMITED, Stage, UNLIMITED},
    whole,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Receivers of one sender.
const FAN_OUT: [usize; 4] = [1, 10, 100, 500];
const FAN_OUT_QUICK: [usize; 2] = [1, 10];

/// Connections that do nothing. With the people of the mesh, each has ten of them.
const IDLE: usize = 10_000;
const IDLE_QUICK: usize = 500;

/// Whole clients that receive.
const WHOLE: [usize; 2] = [2, 32];

/// Rounds in which the brokers take turns.
const ROUNDS: usize = 3;

/// A scene that takes longer than this has lost something.
const PATIENCE: Duration = Duration::from_mins(2);

/// What to measure.
pub(crate) struct Run {
    pub(crate) is_quick: bool,
    /// The scenes' names; all if none is named.
    pub(crate) scenes: Vec<String>,
}

impl Run {
    pub(crate) async fn measure(&self, tables: &mut Tables) {
        let people = if self.is_quick { IDLE_QUICK / 10 } else { mesh::PEOPLE };
        eprintln!("{people} people enroll");
        let stage = Arc::new(Stage::set(people.max(abuse::PEOPLE), UNLIMITED).await);
        tables.brokers.add(Kind::Ours.side(), 1, "disk bytes a person", stage.bytes_a_person);
        let brokers = brokers(&stage);
        // First, because memory that a broker has had for something else would hide some.
        if self.plays("idle") {
            self.idle(&stage, &brokers, tables).await;
        }
        if self.plays("fan-out") {
            self.fan_out(&stage, &brokers, tables).await;
        }
        if self.plays("mesh") && !self.is_quick {
            self.mesh(&stage, &brokers, tables).await;
        }
        if self.plays("handshakes") {
            self.handshakes(&stage, &brokers, tables).await;
        }
        drop(brokers);
        if self.plays("slow readers") {
            self.slow_readers(&stage, tables).await;
        }
        drop(stage);
        if self.plays("abuse") {
            let stage = Arc::new(Stage::set(abuse::PEOPLE, LIMITED).await);
            self.abuse(&stage, tables).await;
        }
        if self.plays("whole") {
            self.whole(tables).await;
        }
    }

    fn plays(&self, scene: &str) -> bool {
        self.scenes.is_empty() || self.scenes.iter().any(|named| named == scene)
    }

    const fn rounds(&self) -> usize {
        if self.is_quick { 1 } else { ROUNDS }
    }

    /// How long it is looked at what goes on by itself.
    const fn watched(&self) -> Duration {
        Duration::from_secs(if self.is_quick { 2 } else { 4 })
    }

    async fn idle(&self, stage: &Arc<Stage>, brokers: &[Arc<Broker>], tables: &mut Tables) {
        let count = if self.is_quick { IDLE_QUICK } else { IDLE };
        let n = number(count);
        for broker in brokers {
            let side = broker.kind.side();
            let round = idle::round(Arc::clone(broker), Arc::clone(stage), count, self.watched());
            match attempt(&format!("{count} idle connections, {side}"), round).await {
                Some(idle) => {
                    tables.brokers.add(side, n, "KiB a connection", idle.kib);
                    tables.brokers.add(side, n, "idle CPU", idle.cpu_percent);
                }
                None => tables.brokers.fail(side, n, "KiB a connection"),
            }
        }
    }

    async fn fan_out(&self, stage: &Arc<Stage>, brokers: &[Arc<Broker>], tables: &mut Tables) {
        let sizes = if self.is_quick { &FAN_OUT_QUICK[..] } else { &FAN_OUT[..] };
        for &receivers in sizes {
            for _ in 0..self.rounds() {
                let disk = machine::sync_time(stage.server.place());
                let row = "disk: 4 KiB written and synced";
                tables.brokers.add(Kind::Ours.side(), 1, row, disk);
                for broker in brokers {
                    let (broker, stage) = (Arc::clone(broker), Arc::clone(stage));
                    let (kind, is_quick) = (broker.kind, self.is_quick);
                    let round =
                        async move { fan_out::round(&broker, &stage, receivers, is_quick).await };
                    let what = format!("fan-out to {receivers}, {}", kind.side());
                    let round = attempt(&what, round).await;
                    fan_out::note(&mut tables.brokers, kind, number(receivers), round);
                }
            }
        }
    }

    async fn mesh(&self, stage: &Arc<Stage>, brokers: &[Arc<Broker>], tables: &mut Tables) {
        for _ in 0..self.rounds() {
            for broker in brokers {
                let (broker, stage) = (Arc::clone(broker), Arc::clone(stage));
                let kind = broker.kind;
                let round = async move { mesh::round(&broker, &stage).await };
                let round = attempt(&format!("mesh, {}", kind.side()), round).await;
                mesh::note(&mut tables.brokers, kind, round.as_ref());
            }
        }
    }

    async fn handshakes(&self, stage: &Arc<Stage>, brokers: &[Arc<Broker>], tables: &mut Tables) {
        let n = number(handshakes::AT_ONCE);
        for _ in 0..self.rounds() {
            // With a log or without, it is the same program.
            for broker in brokers.iter().filter(|broker| broker.kind != Kind::JetStream) {
                let side = broker.kind.side();
                let round =
                    handshakes::round(Arc::clone(broker), Arc::clone(stage), self.watched() / 2);
                match attempt(&format!("handshakes, {side}"), round).await {
                    Some(rate) => tables.brokers.add(side, n, "handshakes/s", rate),
                    None => tables.brokers.fail(side, n, "handshakes/s"),
                }
            }
        }
    }

    /// Each beside the quiet before it. What they are sent is more than one person may say.
    async fn slow_readers(&self, stage: &Arc<Stage>, tables: &mut Tables) {
        let messages = self.harmless_messages();
        for _ in 0..self.rounds() {
            let pair = attempt("quiet", abuse::quiet(Arc::clone(stage), messages)).await;
            let slow = abuse::beside_slow(Arc::clone(stage), messages);
            let pair = pair.zip(attempt("slow readers", slow).await);
            let row = "p99 beside slow readers";
            note_pair(&mut tables.abuse, row, number(abuse::SLOW), pair);
        }
    }

    const fn harmless_messages(&self) -> u32 {
        abuse::MESSAGES / if self.is_quick { 4 } else { 1 }
    }

    /// The same with the limits that a server has by itself.
    async fn abuse(&self, stage: &Arc<Stage>, tables: &mut Tables) {
        let figures = &mut tables.abuse;
        let messages = self.harmless_messages();
        for _ in 0..self.rounds() {
            let of = || Arc::clone(stage);
            let row = "p99 beside a flood";
            let pair = attempt("quiet", abuse::quiet(of(), messages)).await;
            let pair = pair.zip(attempt("flood", abuse::beside_flood(of(), messages)).await);
            note_pair(figures, row, abuse::REQUESTS, pair);
            let row = "login p99 beside half-open";
            let pair = attempt("logins", abuse::logins(of())).await;
            let half_open = abuse::logins_beside_half_open(of());
            let pair = pair.zip(attempt("logins beside half-open", half_open).await);
            note_pair(figures, row, number(abuse::HALF_OPEN), pair);
        }
    }

    async fn whole(&self, tables: &mut Tables) {
        let sizes = if self.is_quick { &WHOLE[..1] } else { &WHOLE[..] };
        let figures = &mut tables.whole;
        for &receivers in sizes {
            let n = number(receivers);
            let side = Kind::Ours.side();
            for _ in 0..self.rounds() {
                let run =
                    async move { tokio::task::spawn_blocking(move || whole::run(receivers)).await };
                match attempt(&format!("{receivers} whole clients"), run).await {
                    Some(Ok(whole)) => {
                        figures.add(side, n, "end to end p50", whole.p50);
                        figures.add(side, n, "end to end p99", whole.p99);
                        figures.add(side, n, "end to end deliveries/s", whole.deliveries_a_second);
                        figures.add(side, n, "group formed from nothing", whole.formed);
                    }
                    _ => figures.fail(side, n, "end to end deliveries/s"),
                }
            }
        }
        for (work, n, value) in PREDECESSORS {
            if sizes.iter().any(|size| number(*size) == n) {
                figures.add(PREDECESSOR, n, work, value);
            }
        }
    }
}

/// Every broker that can be had here.
fn brokers(stage: &Stage) -> Vec<Arc<Broker>> {
    let mut brokers = vec![Broker::ours(stage), Broker::floor(stage)];
    brokers.extend(Broker::nats(stage, Kind::Nats));
    brokers.extend(Broker::nats(stage, Kind::JetStream));
    brokers.extend(Broker::mosquitto(stage));
    brokers.into_iter().map(Arc::new).collect()
}

/// Ours, beside ours without the one who misbehaves.
fn note_pair(figures: &mut crate::Figures, row: &str, n: u32, pair: Option<(f64, f64)>) {
    match pair {
        Some((quiet, beside)) => {
            figures.add(Kind::Ours.side(), n, row, beside);
            figures.add(QUIET, n, row, quiet);
        }
        None => figures.fail(Kind::Ours.side(), n, row),
    }
}

/// A scene's figures, or none if anything of it was lost; the others go on.
async fn attempt<T: Send + 'static>(
    what: &str,
    scene: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let begin = Instant::now();
    let outcome = tokio::spawn(timeout(PATIENCE, scene)).await;
    eprintln!("{what}: {:.1} s", begin.elapsed().as_secs_f64());
    match outcome {
        Ok(Ok(figures)) => return Some(figures),
        Ok(Err(_)) => eprintln!("{what}: no end after {} s", PATIENCE.as_secs()),
        Err(error) => eprintln!("{what}: {error}"),
    }
    None
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
