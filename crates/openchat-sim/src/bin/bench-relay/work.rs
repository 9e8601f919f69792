//! The work that is measured.

use crate::{
    broker::{Broker, Found, Kind, PAYLOAD, Stream, Topic},
    ours::{self, Members},
    people::Stage,
    report::{Row, percentile},
};
use openchat_crypto::CryptoRng;
use openchat_wire::relay::{Answer, Request};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    task::JoinHandle,
};

/// Messages whose way is timed, and between two of them.
const PACED: u32 = 200;
const PACE: Duration = Duration::from_millis(5);

/// Deliveries of a burst, about; and messages of it at least.
const BURST_DELIVERIES: usize = 400_000;
const BURST: usize = 800;

/// How long handshakes are counted, and how many are made at once.
const HANDSHAKES: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 16;

/// Groups of the mesh, members of each, posts a second in all of them, and for how long.
const GROUPS: usize = 50;
const GROUP: usize = 20;
const POSTS_A_SECOND: u32 = 1_000;
const POSTS: u32 = 4_000;

/// A receiver gives up after this long without anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// What one round of a fan-out shows.
pub(crate) struct FanOut {
    p50: f64,
    p99: f64,
    /// Deliveries a second.
    rate: f64,
    /// From publishing to the broker's answer, where it gives one.
    ack: Option<f64>,
}

/// One sender, so many receivers: first at a pace, then as fast as it goes.
pub(crate) async fn fan_out(broker: &Broker, stage: &Stage, receivers: usize) -> FanOut {
    let burst = (BURST_DELIVERIES / receivers).clamp(BURST, 20_000);
    let members = Members { first: 0, count: receivers + 1 };
    let topic = Arc::new(broker.topic(stage, members).await);
    let expected = usize::try_from(PACED).unwrap_or(0) + burst;
    let mut waiting = Vec::new();
    for who in 1..=receivers {
        waiting.push(receiver(broker, stage, (who, expected), &topic).await);
    }
    let mut sender = Sender::new(broker, stage, 0).await;
    for number in 0..PACED {
        tokio::time::sleep(PACE).await;
        sender.publish(broker, &topic, number).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ack = sender.median_ack();
    let begin = Instant::now();
    for number in PACED..PACED + u32::try_from(burst).unwrap_or(0) {
        sender.publish(broker, &topic, number).await;
    }
    let mut latencies = Vec::new();
    let mut end = begin;
    for receiver in waiting {
        let received = receiver.await.expect("a receiver that gets everything");
        latencies.extend(received.latencies.into_iter().take(usize::try_from(PACED).unwrap_or(0)));
        end = end.max(received.finished);
    }
    let deliveries = f64::from(u32::try_from(burst * receivers).unwrap_or(0));
    let rate = deliveries / end.duration_since(begin).as_secs_f64();
    FanOut { p50: percentile(&mut latencies, 50), p99: percentile(&mut latencies, 99), rate, ack }
}

/// The rows of one number of receivers, each with the median of its rounds.
pub(crate) fn rows(brokers: &[Broker], rounds: &[Vec<FanOut>], receivers: usize) -> Vec<Row> {
    let row = |work, unit, figure: fn(&FanOut) -> Option<f64>| {
        let of = |rounds: &Vec<FanOut>| rounds.iter().filter_map(figure).collect::<Vec<f64>>();
        Row::of_all(work, receivers, unit, brokers, &rounds.iter().map(of).collect::<Vec<_>>())
    };
    [
        row("fan-out p50", "ms", |round| Some(round.p50)),
        row("fan-out p99", "ms", |round| Some(round.p99)),
        row("deliveries/s", "1/s", |round| Some(round.rate)),
        row("ack p50", "ms", |round| round.ack),
    ]
    .concat()
}

/// Full handshakes a second, each used for one round trip.
pub(crate) async fn handshakes(broker: &Broker, stage: &Stage) -> f64 {
    let end = Instant::now() + HANDSHAKES;
    let mut lanes = Vec::new();
    for lane in 0..AT_ONCE {
        lanes.push(async move {
            let mut count = 0_u32;
            while Instant::now() < end {
                let who = lane + usize::try_from(count).unwrap_or(0) * AT_ONCE;
                settle(broker, &mut broker.connect(stage, who).await).await;
                count += 1;
            }
            count
        });
    }
    let begin = Instant::now();
    let counts = join_all(lanes).await;
    f64::from(counts.iter().sum::<u32>()) / begin.elapsed().as_secs_f64()
}

/// Many small groups at once.
pub(crate) async fn mesh(broker: &Broker, stage: &Stage) -> (f64, f64) {
    let each = POSTS / u32::try_from(GROUPS).unwrap_or(1);
    let mut waiting = Vec::new();
    let mut senders = Vec::new();
    for group in 0..GROUPS {
        let members = Members { first: group * GROUP, count: GROUP };
        let topic = Arc::new(broker.topic(stage, members).await);
        for who in members.first + 1..members.first + GROUP {
            let all = usize::try_from(each).unwrap_or(0);
            waiting.push(receiver(broker, stage, (who, all), &topic).await);
        }
        senders.push((Sender::new(broker, stage, members.first).await, topic));
    }
    let mut clock = tokio::time::interval(Duration::from_secs(1) / POSTS_A_SECOND);
    for number in 0..each {
        for (sender, topic) in &mut senders {
            clock.tick().await;
            sender.publish(broker, topic, number).await;
        }
    }
    let mut latencies = Vec::new();
    for receiver in waiting {
        latencies.extend(receiver.await.expect("a receiver that gets everything").latencies);
    }
    (percentile(&mut latencies, 50), percentile(&mut latencies, 99))
}

/// What a receiver got.
pub(crate) struct Received {
    pub(crate) latencies: Vec<f64>,
    finished: Instant,
}

/// Somebody who subscribes and takes so many deliveries.
pub(crate) async fn receiver(
    broker: &Broker,
    stage: &Stage,
    (who, expected): (usize, usize),
    topic: &Arc<Topic>,
) -> JoinHandle<Received> {
    let mut stream = broker.connect(stage, who).await;
    broker.subscribe(&mut stream, topic).await;
    let kind = broker.kind;
    tokio::spawn(async move { receive(kind, stream, expected).await })
}

async fn receive(kind: Kind, mut stream: Stream, expected: usize) -> Received {
    let mut latencies = Vec::with_capacity(expected);
    let mut buffer = Vec::new();
    let mut bytes = vec![0; 64 * 1024];
    while latencies.len() < expected {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await;
        let read = read.unwrap_or_else(|_| panic!("{kind:?}: {} of {expected}", latencies.len()));
        let read = read.expect("a connection");
        assert!(read > 0, "{kind:?} closes after {} of {expected}", latencies.len());
        buffer.extend_from_slice(&bytes[..read]);
        let (mut start, mut replies) = (0, Vec::new());
        while let Some(found) = kind.find(&buffer[start..]) {
            let (used, reply) = match found {
                Found::Delivery { sent, used, reply } => {
                    latencies.push(milliseconds(now().saturating_sub(sent)));
                    (used, reply)
                }
                Found::Other { used, reply } => (used, reply),
            };
            start += used;
            replies.extend(reply.into_iter().flatten());
        }
        buffer.drain(..start);
        if !replies.is_empty() {
            stream.write_all(&replies).await.expect("a connection");
            stream.flush().await.expect("a connection");
        }
    }
    Received { latencies, finished: Instant::now() }
}

/// Somebody who publishes and takes the answers.
pub(crate) struct Sender {
    output: WriteHalf<Stream>,
    last: Arc<AtomicU64>,
    acks: Arc<std::sync::Mutex<Vec<f64>>>,
    answers: JoinHandle<()>,
}

impl Sender {
    pub(crate) async fn new(broker: &Broker, stage: &Stage, who: usize) -> Self {
        let (input, output) = tokio::io::split(broker.connect(stage, who).await);
        let (last, acks) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let answers = tokio::spawn(answers(input, Arc::clone(&last), Arc::clone(&acks)));
        Self { output, last, acks, answers }
    }

    pub(crate) async fn publish(&mut self, broker: &Broker, topic: &Topic, number: u32) {
        let mut payload = [7; PAYLOAD];
        let sent = now();
        payload[..8].copy_from_slice(&sent.to_be_bytes());
        payload[8..12].copy_from_slice(&number.to_be_bytes());
        let bytes = broker.publish(topic, &payload, number);
        self.last.store(sent, Ordering::Relaxed);
        self.output.write_all(&bytes).await.expect("it takes a message");
        self.output.flush().await.expect("it takes a message");
    }

    fn median_ack(&self) -> Option<f64> {
        let mut acks = self.acks.lock().ok()?.clone();
        (!acks.is_empty()).then(|| percentile(&mut acks, 50))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.answers.abort();
    }
}

/// Takes what the broker says to a sender. At a pace, each read is the answer to the last message.
async fn answers(
    mut input: ReadHalf<Stream>,
    last: Arc<AtomicU64>,
    acks: Arc<std::sync::Mutex<Vec<f64>>>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read) = input.read(&mut bytes).await
        && read > 0
    {
        let took = now().saturating_sub(last.load(Ordering::Relaxed));
        if let Ok(mut acks) = acks.lock() {
            acks.push(milliseconds(took));
        }
    }
}

/// A round trip, so that the other side has finished the handshake too.
pub(crate) async fn settle(broker: &Broker, stream: &mut Stream) {
    match broker.kind {
        Kind::Ours => assert_eq!(ours::ask(stream, Request::Ping).await, Answer::Done),
        Kind::Floor => crate::floor::subscribe(stream).await,
        // Greeting was one.
        Kind::Nats | Kind::Mosquitto => {}
    }
}

/// Nanoseconds since the program began.
pub(crate) fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let elapsed = BEGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Randomness of the system.
pub(crate) fn rng() -> impl CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1_000.0
}

async fn join_all<F: Future<Output = u32>>(futures: Vec<F>) -> Vec<u32> {
    let mut all: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut counts = vec![None; all.len()];
    std::future::poll_fn(|context| {
        for (future, count) in all.iter_mut().zip(&mut counts) {
            if count.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *count = Some(ready);
            }
        }
        if counts.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    counts.into_iter().flatten().collect()
}

/// Runs until it is told to stop.
pub(crate) type Stop = Arc<AtomicBool>;
