//! Senders and receivers: the same code for every broker, but for the bytes that it says.
//!
//! Payloads are numbered, and the last one says that it is: a receiver that misses one, gets one
//! twice or gets them in another order fails, and with it the row.

use crate::{
    broker::{Broker, Kind, PAYLOAD, Stream, Topic, What},
    stage::Stage,
};
use openchat_crypto::CryptoRng;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    task::JoinHandle,
};

/// A receiver, or a sender that waits for an ack, gives up after this long without anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same before the first message: that is not sent until the last of many receivers is there.
const GATHERING: Duration = Duration::from_mins(2);

/// Room for what is read at once.
const PIECE: usize = 64 * 1024;

/// Messages of a burst that are written at once, as a client does that has more of them.
const TOGETHER: usize = 16;

/// What a receiver got.
pub(crate) struct Received {
    /// Of those payloads that were sent at a pace, in milliseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) finished: Instant,
}

/// Somebody who subscribes and takes what comes, up to the last payload.
pub(crate) async fn receiver(
    broker: &Broker,
    stage: &Stage,
    who: usize,
    topic: &Topic,
) -> JoinHandle<Received> {
    let mut stream = broker.connect(stage, who).await;
    broker.subscribe(&mut stream, topic, who).await;
    let kind = broker.kind;
    tokio::spawn(async move { receive(kind, stream).await })
}

/// What all receivers got.
pub(crate) async fn received(receivers: Vec<JoinHandle<Received>>) -> (Vec<f64>, Instant) {
    let (mut latencies, mut finished) = (Vec::new(), Instant::now());
    for (at, receiver) in receivers.into_iter().enumerate() {
        let received = receiver.await.expect("a receiver that gets everything");
        latencies.extend(received.latencies);
        finished = if at == 0 { received.finished } else { finished.max(received.finished) };
    }
    (latencies, finished)
}

async fn receive(kind: Kind, mut stream: Stream) -> Received {
    let (mut latencies, mut next) = (Vec::new(), 0);
    let (mut bytes, mut replies) = (Vec::with_capacity(PIECE), Vec::new());
    loop {
        more(kind, &mut stream, &mut bytes, next).await;
        let mut start = 0;
        while let Some(found) = kind.find(&bytes[start..]) {
            start += found.used;
            replies.extend(found.reply.into_iter().flatten());
            match found.what {
                What::Refused(why) => panic!("{kind:?}: after {next}: {why}"),
                What::Delivery(payload) => {
                    let Stamp { sent, number, part } = Stamp::of(payload);
                    assert_eq!(number, next, "{kind:?}: lost, repeated or out of order");
                    next += 1;
                    if part == Part::Paced {
                        latencies.push(milliseconds(now().saturating_sub(sent)));
                    }
                    if part == Part::Last {
                        // A broker may want to hear that it has arrived before it forgets it.
                        drop(stream.write_all(&replies).await);
                        return Received { latencies, finished: Instant::now() };
                    }
                }
                What::Ack(_) | What::Other => {}
            }
        }
        bytes.drain(..start);
        if !replies.is_empty() {
            stream.write_all(&replies).await.expect("a connection");
            stream.flush().await.expect("a connection");
            replies.clear();
        }
    }
}

/// Waits for more bytes of a stream that has some to come.
async fn more(
    kind: Kind,
    stream: &mut (impl AsyncReadExt + Unpin),
    bytes: &mut Vec<u8>,
    after: u32,
) {
    bytes.reserve(PIECE);
    let patience = if after == 0 { GATHERING } else { PATIENCE };
    let read = tokio::time::timeout(patience, stream.read_buf(bytes)).await;
    let read = read.unwrap_or_else(|_| panic!("{kind:?}: nothing more after {after}"));
    assert!(read.expect("a connection") > 0, "{kind:?} closes after {after}");
}

/// Somebody who publishes, and takes the broker's acks if it gives any.
pub(crate) struct Sender {
    kind: Kind,
    topic: Arc<Topic>,
    output: WriteHalf<Stream>,
    next: u32,
    /// When each message was published, by number.
    sent: Arc<Vec<AtomicU64>>,
    acks: JoinHandle<Vec<f64>>,
}

impl Sender {
    /// Somebody who will publish so many.
    pub(crate) async fn new(
        broker: &Broker,
        stage: &Stage,
        (who, count): (usize, u32),
        topic: &Arc<Topic>,
    ) -> Self {
        let mut stream = broker.connect(stage, who).await;
        broker.announce(&mut stream, topic).await;
        let (input, output) = tokio::io::split(stream);
        let sent: Arc<Vec<AtomicU64>> = Arc::new((0..count).map(|_| AtomicU64::new(0)).collect());
        let kind = broker.kind;
        let acks = tokio::spawn(acks(kind, input, Arc::clone(&sent)));
        Self { kind, topic: Arc::clone(topic), output, next: 0, sent, acks }
    }

    /// Publishes the next one at once.
    pub(crate) async fn publish(&mut self) {
        let bytes = self.message(Part::Paced);
        self.write(&bytes).await;
    }

    /// Publishes one after the other as fast as they are taken, the last of which is the last one;
    /// waits until the broker says that it has all. One that says nothing may lose what it has not
    /// read yet when its sender goes: the sender has to stay until it was received.
    pub(crate) async fn burst(&mut self, count: u32) -> Vec<f64> {
        let mut bytes = Vec::new();
        for number in 1..=count {
            let part = if number == count { Part::Last } else { Part::Burst };
            bytes.extend(self.message(part));
            if number % u32::try_from(TOGETHER).unwrap_or(1) == 0 || number == count {
                self.write(&bytes).await;
                bytes.clear();
            }
        }
        (&mut self.acks).await.expect("an ack for each message")
    }

    fn message(&mut self, part: Part) -> Vec<u8> {
        let (sent, number) = (now(), self.next);
        self.next += 1;
        self.sent[usize::try_from(number).unwrap_or(0)].store(sent, Ordering::Relaxed);
        let payload = Stamp { sent, number, part }.payload();
        self.topic.publish(self.kind, &payload, number)
    }

    async fn write(&mut self, bytes: &[u8]) {
        let written = async {
            self.output.write_all(bytes).await.expect("it takes a message");
            self.output.flush().await.expect("it takes a message");
        };
        tokio::time::timeout(PATIENCE, written).await.expect("it takes messages");
    }
}

/// Takes what the broker says to a sender until all is acknowledged: how long each one took.
async fn acks(kind: Kind, mut input: ReadHalf<Stream>, sent: Arc<Vec<AtomicU64>>) -> Vec<f64> {
    let (mut bytes, mut start, mut took) = (Vec::with_capacity(PIECE), 0, Vec::new());
    while kind.acks() && took.len() < sent.len() {
        bytes.drain(..start);
        start = 0;
        more(kind, &mut input, &mut bytes, u32::try_from(took.len()).unwrap_or(0)).await;
        while let Some(found) = kind.find(&bytes[start..]) {
            start += found.used;
            match found.what {
                What::Refused(why) => panic!("{kind:?} refuses after {}: {why}", took.len()),
                What::Ack(number) => {
                    let sent = sent[usize::try_from(number).unwrap_or(0)].load(Ordering::Relaxed);
                    took.push(milliseconds(now().saturating_sub(sent)));
                }
                What::Delivery(_) | What::Other => {}
            }
        }
    }
    took
}

/// What a payload begins with.
struct Stamp {
    sent: u64,
    number: u32,
    part: Part,
}

/// What a payload is sent for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its way is timed.
    Paced = 0,
    Burst = 1,
    Last = 2,
}

impl Stamp {
    fn payload(&self) -> [u8; PAYLOAD] {
        let mut payload = [7; PAYLOAD];
        payload[..8].copy_from_slice(&self.sent.to_be_bytes());
        payload[8..12].copy_from_slice(&self.number.to_be_bytes());
        payload[12] = self.part as u8;
        payload
    }

    fn of(payload: &[u8]) -> Self {
        let [sent @ .., n0, n1, n2, n3, part] =
            *payload.first_chunk::<13>().expect("a whole payload");
        let part = match part {
            0 => Part::Paced,
            1 => Part::Burst,
            _ => Part::Last,
        };
        Self { sent: u64::from_be_bytes(sent), number: u32::from_be_bytes([n0, n1, n2, n3]), part }
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

pub(crate) fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1_000.0
}
