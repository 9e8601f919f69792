//! The certificate authority at work, behind `scripts/bench ca`: how long a revoked key keeps its
//! connections, and what it costs that everybody renews at once.

use crate::{
    broker::Stream,
    mirror,
    ours::ask,
    stage::{LIMITED, Stage, connect},
};
use openchat_pki::certification_request;
use openchat_wire::{
    Blob,
    frame::{FrameDecoder, to_frame},
    limits::MAX_FRAME,
    relay::{Answer, Goodbye, Request, ToClient, ToServer},
};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// People whose keys are revoked, one after the other.
const REVOKED: usize = 100;

/// People who stay connected meanwhile, and hear of each.
const OTHERS: usize = 100;

/// People who renew at once.
const RENEWING: usize = 1_000;

/// Measures and prints a row a line.
pub(crate) async fn bench(as_json: bool) {
    for row in mirror::bench() {
        row.print(as_json);
    }
    for row in revocations().await.into_iter().chain(renewals().await) {
        row.print(as_json);
    }
}

/// One figure.
pub(crate) struct Row {
    work: &'static str,
    n: usize,
    unit: &'static str,
    ours: f64,
}

impl Row {
    /// A percentile of these times.
    fn of(work: &'static str, times: &mut [Duration], percentile: usize) -> Self {
        times.sort();
        let at = (times.len() * percentile / 100).min(times.len().saturating_sub(1));
        let ours = times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        Self { work, n: times.len(), unit: "ms", ours }
    }

    /// The median of these times, which concern a log of `n` entries.
    pub(crate) fn us(work: &'static str, n: usize, times: &mut [Duration]) -> Self {
        times.sort();
        let ours = times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
        Self { work, n, unit: "us", ours }
    }

    /// A size.
    pub(crate) fn bytes(work: &'static str, n: usize, bytes: usize) -> Self {
        let ours = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        Self { work, n, unit: "bytes", ours }
    }

    fn print(&self, as_json: bool) {
        let Self { work, n, unit, ours } = self;
        if as_json {
            let none = Value::Null;
            let row = json!({
                "work": work, "n": n, "unit": unit, "ours": ours,
                "peer": none, "peer_name": none, "ratio": none,
            });
            println!("{row}");
        } else {
            println!("{work:44} {ours:10.2} {unit:8} n = {n}");
        }
    }
}

/// From the operator's command to the end of the connection at the client.
async fn revocations() -> Vec<Row> {
    let stage = Arc::new(Stage::set(REVOKED + OTHERS, LIMITED).await);
    let mut others = Vec::new();
    for who in REVOKED..REVOKED + OTHERS {
        others.push(connect(stage.messenger(who), stage.address()).await);
    }
    let (mut cut, mut done) = (Vec::new(), Vec::new());
    for who in 0..REVOKED {
        let mut stream = connect(stage.messenger(who), stage.address()).await;
        assert_eq!(ask(&mut stream, Request::Ping).await, Answer::Done);
        let ended = tokio::spawn(async move {
            is_told_revoked(&mut stream).await;
            Instant::now()
        });
        let mut command = stage.server.command();
        command.args(["user", "revoke", stage.people[who].name.as_str(), "--json"]);
        let begin = Instant::now();
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.expect("a thread").expect("the program");
        done.push(begin.elapsed());
        assert!(output.status.success(), "{output:?}");
        cut.push(ended.await.expect("it is cut").duration_since(begin));
    }
    drop(others);
    vec![
        Row::of("revoke, from command to cut, p50", &mut cut, 50),
        Row::of("revoke, from command to cut, p99", &mut cut, 99),
        Row::of("revoke, the whole command, p50", &mut done, 50),
    ]
}

/// Reads to the end, before which has to come the word.
async fn is_told_revoked(stream: &mut Stream) {
    let mut decoder: FrameDecoder<ToClient> = FrameDecoder::new(MAX_FRAME);
    let (mut bytes, mut last) = ([0; 4096], None);
    loop {
        let read = stream.read(&mut bytes).await.expect("an end in order");
        if read == 0 {
            break;
        }
        decoder.push(&bytes[..read]);
        while let Some(frame) = decoder.next_frame().expect("a frame") {
            last = Some(frame);
        }
    }
    assert_eq!(last, Some(ToClient::Goodbye(Goodbye::Revoked)));
}

/// Everybody is connected and asks at once.
async fn renewals() -> Vec<Row> {
    let stage = Stage::set(RENEWING, LIMITED).await;
    let mut streams = Vec::new();
    for who in 0..RENEWING {
        let person = &stage.people[who];
        let csr = Blob(certification_request(&person.key, &person.name).expect("a request"));
        let frame = to_frame(&ToServer { id: u32::MAX, request: Request::Renew(csr) });
        streams.push((connect(stage.messenger(who), stage.address()).await, frame));
    }
    let before = recorded(&stage).await;
    let begin = Instant::now();
    let asked = streams.into_iter().map(|(mut stream, frame)| {
        tokio::spawn(async move {
            stream.write_all(&frame).await.expect("it takes a request");
            is_renewed(&mut stream).await;
            (begin.elapsed(), stream)
        })
    });
    let asked: Vec<_> = asked.collect();
    let (mut times, mut streams) = (Vec::new(), Vec::new());
    for asked in asked {
        let (time, stream) = asked.await.expect("a certificate");
        times.push(time);
        streams.push(stream);
    }
    let all = times.iter().max().map_or(f64::NAN, Duration::as_secs_f64) * 1e3;
    let after = recorded(&stage).await;
    assert_eq!(after.0 - before.0, RENEWING, "each is logged once");
    let grown = after.1 - before.1;
    let bytes = f64::from(u32::try_from(grown).expect("a few hundred kilobytes"));
    vec![
        Row { work: "renewal of all, whole", n: RENEWING, unit: "ms", ours: all },
        Row::of("renewal of all, one of them, p50", &mut times, 50),
        Row { work: "log growth by renewal of all", n: RENEWING, unit: "bytes", ours: bytes },
    ]
}

async fn is_renewed(stream: &mut Stream) {
    let mut decoder: FrameDecoder<ToClient> = FrameDecoder::new(MAX_FRAME);
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).await.expect("an answer");
        assert!(read > 0, "the server closes");
        decoder.push(&bytes[..read]);
        while let Some(frame) = decoder.next_frame().expect("a frame") {
            match frame {
                ToClient::Answer { answer: Ok(Answer::Certificate(_)), .. } => return,
                ToClient::Answer { answer, .. } => panic!("{answer:?}"),
                _ => {}
            }
        }
    }
}

/// Entries of the transparency log, and their bytes.
async fn recorded(stage: &Stage) -> (usize, usize) {
    let mut stream = connect(stage.messenger(0), stage.address()).await;
    let (mut count, mut bytes) = (0, 0);
    loop {
        let from = u64::try_from(count).expect("a number");
        match ask(&mut stream, Request::ReadTransparency(from)).await {
            Answer::Recorded { entries, complete, .. } => {
                count += entries.len();
                bytes += entries.iter().map(|entry| entry.0.len()).sum::<usize>();
                if complete {
                    return (count, bytes);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
