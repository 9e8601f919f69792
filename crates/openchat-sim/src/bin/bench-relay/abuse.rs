//! What others notice of somebody who misbehaves: the same work with and without.

use crate::{
    broker::{Broker, PAYLOAD, Stream, Topic},
    load::{Sender, milliseconds, now, received, receiver},
    ours::Members,
    stage::{Stage, connect_from},
};
use openchat_sim::percentile;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinHandle,
};

/// Requests that one client sends without waiting for an answer.
pub(crate) const REQUESTS: u32 = 100_000;

/// Clients that ask for everything and read nothing, and entries that wait for them: far more bytes
/// than the system and the relay hold for a connection.
pub(crate) const SLOW: usize = 10;
const WAITING: u32 = 20_000;
/// Bytes that the system of a slow reader takes from the network.
const SLOW_BUFFER: u32 = 8 * 1024;

/// Handshakes that are begun and not gone on with, and when one that was ended comes back.
pub(crate) const HALF_OPEN: usize = 5_000;
const COMES_BACK: Duration = Duration::from_secs(10);
/// Those of one address.
const AN_ADDRESS: usize = 25;

/// Those who do no harm: receivers, messages to them, and between two of these.
const RECEIVERS: usize = 10;
pub(crate) const MESSAGES: u32 = 800;
const PACE: Duration = Duration::from_millis(5);
/// Logins.
const LOGINS: usize = 300;

/// Who sends to them. Others than in the other scenes, because nobody makes many groups in a short
/// time.
const FIRST: usize = 25;
const FLOODER: usize = FIRST + RECEIVERS + 1;
const FIRST_SLOW: usize = FLOODER + 1;
/// Everybody.
pub(crate) const PEOPLE: usize = FIRST_SLOW + SLOW;

/// The p99 of messages of those who do no harm; no more of them than anybody may send.
pub(crate) async fn quiet(stage: Arc<Stage>, messages: u32) -> f64 {
    p99(&Broker::ours(&stage), &stage, &fresh(&stage).await, messages).await
}

/// The same, while one person floods the relay with appends to a log of its own.
pub(crate) async fn beside_flood(stage: Arc<Stage>, messages: u32) -> f64 {
    let broker = Broker::ours(&stage);
    let own = broker.topic(&stage, Members { first: FLOODER, count: 1 }).await;
    let topic = fresh(&stage).await;
    let requests = requests(&broker, &own);
    let flood = tokio::spawn(flood(broker.connect(&stage, FLOODER).await, requests));
    let p99 = p99(&broker, &stage, &topic, messages).await;
    flood.abort();
    p99
}

/// The same, while some of the log's members don't read.
pub(crate) async fn beside_slow(stage: Arc<Stage>, messages: u32) -> f64 {
    let broker = Broker::ours(&stage);
    let members = Members { first: FLOODER, count: 1 + SLOW };
    let full = Arc::new(broker.topic(&stage, members).await);
    Sender::new(&broker, &stage, (FLOODER, WAITING), &full).await.burst(WAITING).await;
    let topic = fresh(&stage).await;
    let mut slow = Vec::new();
    for who in FIRST_SLOW..FIRST_SLOW + SLOW {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(SLOW_BUFFER).expect("a small buffer");
        let mut stream = connect_from(socket, stage.messenger(who), broker.address).await;
        broker.subscribe(&mut stream, &topic, who).await;
        broker.subscribe(&mut stream, &full, who).await;
        slow.push(stream);
    }
    p99(&broker, &stage, &topic, messages).await
}

/// The p99 of logins.
pub(crate) async fn logins(stage: Arc<Stage>) -> f64 {
    let broker = Broker::ours(&stage);
    let mut times = Vec::new();
    for who in 0..LOGINS {
        let begin = now();
        drop(broker.connect(&stage, who).await);
        times.push(milliseconds(now() - begin));
    }
    percentile(&mut times, 99)
}

/// The same, beside handshakes that never end, from other addresses.
pub(crate) async fn logins_beside_half_open(stage: Arc<Stage>) -> f64 {
    let to = stage.address();
    let mut lanes: Vec<JoinHandle<()>> = Vec::new();
    for number in 0..HALF_OPEN {
        lanes.push(tokio::spawn(half_open(number, to)));
        // Faster, they would fill the queue of the port before the server has looked at it.
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let p99 = logins(stage).await;
    lanes.iter().for_each(JoinHandle::abort);
    p99
}

/// A log of those who do no harm, and of slow readers.
async fn fresh(stage: &Stage) -> Arc<Topic> {
    // Receivers are sent all that is in it, so it is a new one each time.
    Arc::new(
        Broker::ours(stage).topic(stage, Members { first: FIRST, count: PEOPLE - FIRST }).await,
    )
}

async fn p99(broker: &Broker, stage: &Stage, topic: &Arc<Topic>, messages: u32) -> f64 {
    let mut waiting = Vec::new();
    for who in FIRST + 1..=FIRST + RECEIVERS {
        waiting.push(receiver(broker, stage, who, topic).await);
    }
    let mut sender = Sender::new(broker, stage, (FIRST, messages + 1), topic).await;
    for _ in 0..messages {
        tokio::time::sleep(PACE).await;
        sender.publish().await;
    }
    sender.burst(1).await;
    percentile(&mut received(waiting).await.0, 99)
}

/// All of a flood, made before it begins so that making it takes nobody's time.
fn requests(broker: &Broker, topic: &Topic) -> Vec<u8> {
    (0..REQUESTS)
        .flat_map(|number| {
            let mut payload = [7; PAYLOAD];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            topic.publish(broker.kind, &payload, number)
        })
        .collect()
}

/// Asks as fast as the relay takes it; whatever the answers are, they are read.
async fn flood(stream: Stream, requests: Vec<u8>) {
    let (mut input, mut output) = tokio::io::split(stream);
    let answers = async {
        let mut bytes = vec![0; 64 * 1024];
        while matches!(input.read(&mut bytes).await, Ok(read) if read > 0) {}
    };
    // The relay may end a connection that asks too much; then the flood is over.
    let asking = async { drop(output.write_all(&requests).await) };
    tokio::join!(answers, asking);
}

/// Begins a handshake, and another one when the server has ended it.
async fn half_open(number: usize, to: SocketAddr) {
    let place = number / AN_ADDRESS;
    let part = |part: usize| u8::try_from(part % 250).unwrap_or(0) + 1;
    let from = SocketAddr::from(([127, 9, part(place / 250), part(place)], 0));
    loop {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(from).expect("an address of this machine");
        if let Ok(mut stream) = socket.connect(to).await {
            // The beginning of a ClientHello: 512 bytes are promised.
            drop(stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await);
            // Nothing comes but the end.
            drop(stream.read_u8().await);
        }
        tokio::time::sleep(COMES_BACK).await;
    }
}
