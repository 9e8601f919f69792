//! NATS by its text protocol: core, and `JetStream` with its log on the disk.

use crate::{
    broker::{Found, PAYLOAD, Stream, What},
    stage::Stage,
};
use serde_json::json;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The subscription of what is not a delivery: acks, and answers of `JetStream`.
const CONTROL: &[u8] = b"9";

pub(crate) fn config(stage: &Stage, place: &Path, port: u16, has_log: bool) -> String {
    let data = stage.server.data();
    let file = |name: &str| data.join(name).display().to_string();
    let place = place.display();
    let log = if has_log {
        format!("jetstream {{ store_dir: \"{place}/store\", max_file_store: 20G }}\n")
    } else {
        String::new()
    };
    format!(
        "listen: 127.0.0.1:{port}\nmax_connections: 20000\npid_file: \"{place}/pid\"\n{log}\
         tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true, timeout: 10 }}\n",
        file("server.crt"),
        file("server.key"),
        file("ca.crt"),
    )
}

pub(crate) async fn greet(stream: &mut Stream) {
    let hello = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true}\r\n";
    stream.write_all(hello).await.expect("it takes CONNECT");
    ping(stream).await;
}

/// Everything before this was done.
pub(crate) async fn ping(stream: &mut Stream) {
    stream.write_all(b"PING\r\n").await.expect("it takes PING");
    let mut got = Vec::new();
    while !got.ends_with(b"PONG\r\n") {
        got.push(stream.read_u8().await.expect("PONG"));
    }
}

pub(crate) async fn subscribe(stream: &mut Stream, topic: &str) {
    let line = format!("SUB {topic} 1\r\n");
    stream.write_all(line.as_bytes()).await.expect("it takes SUB");
    ping(stream).await;
}

/// A stream of `JetStream` on the disk.
pub(crate) async fn create_stream(stream: &mut Stream, topic: &str) {
    let config = json!({
        "name": topic, "subjects": [topic], "retention": "limits", "storage": "file",
        "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "num_replicas": 1,
    });
    api(stream, &format!("STREAM.CREATE.{topic}"), &config, 0).await;
}

/// Pushed what comes from now on, in order and without acks of its own: the least that
/// `JetStream` can do for a receiver.
pub(crate) async fn consume(stream: &mut Stream, topic: &str, who: usize) {
    let deliver = format!("d.{topic}.{who}");
    subscribe(stream, &deliver).await;
    let config = json!({"stream_name": topic, "config": {
        "deliver_subject": deliver, "deliver_policy": "new", "ack_policy": "none",
        "replay_policy": "instant", "mem_storage": true,
    }});
    api(stream, &format!("CONSUMER.CREATE.{topic}"), &config, who).await;
}

/// Where acks go.
pub(crate) async fn expect_acks(stream: &mut Stream, topic: &str) {
    let line = format!("SUB _INBOX.{topic}.* 9\r\n");
    stream.write_all(line.as_bytes()).await.expect("it takes SUB");
    ping(stream).await;
}

/// Asks `JetStream` for something and waits until it has it.
async fn api(stream: &mut Stream, what: &str, config: &serde_json::Value, who: usize) {
    let (inbox, body) = (format!("_INBOX.api.{what}.{who}"), config.to_string());
    let request = format!(
        "SUB {inbox} 9\r\nPUB $JS.API.{what} {inbox} {}\r\n{body}\r\nUNSUB 9 1\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("it takes a request");
    let mut got = Vec::new();
    loop {
        match find(&got) {
            Some(Found { what: What::Refused(why), .. }) => panic!("{what}: {why}"),
            Some(Found { what: What::Ack(_), .. }) => return,
            Some(Found { used, .. }) => drop(got.drain(..used)),
            None => {
                let read = stream.read_buf(&mut got).await.expect("an answer");
                assert!(read > 0, "it closes");
            }
        }
    }
}

pub(crate) fn publish(topic: &str, payload: &[u8; PAYLOAD], ack: Option<u32>) -> Vec<u8> {
    let line = match ack {
        Some(number) => format!("PUB {topic} _INBOX.{topic}.{number} {PAYLOAD}\r\n"),
        None => format!("PUB {topic} {PAYLOAD}\r\n"),
    };
    [line.as_bytes(), payload, b"\r\n"].concat()
}

pub(crate) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let line = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    if !bytes.starts_with(b"MSG ") {
        let what = if bytes.starts_with(b"-ERR") {
            What::Refused(String::from_utf8_lossy(&bytes[..line]).into_owned())
        } else {
            What::Other
        };
        let reply = bytes.starts_with(b"PING").then(|| b"PONG\r\n".to_vec());
        return Some(Found { what, used: line, reply });
    }
    // MSG SUBJECT SUBSCRIPTION [REPLY] SIZE
    let head = bytes[..line].trim_ascii_end();
    let mut words = head.split(|byte| *byte == b' ').skip(1);
    let (subject, subscription) = (words.next()?, words.next()?);
    let size = number(head.rsplit(|byte| *byte == b' ').next()?)?;
    let used = line + size + 2;
    let body = bytes.get(..used)?.get(line..line + size)?;
    let what = match subscription {
        CONTROL if body.windows(8).any(|part| part == b"\"error\":") => {
            What::Refused(String::from_utf8_lossy(body).into_owned())
        }
        // The subject is the one that this message wanted its ack at.
        CONTROL => {
            let number = subject.rsplit(|byte| *byte == b'.').next().and_then(number);
            What::Ack(u32::try_from(number.unwrap_or(0)).unwrap_or(0))
        }
        _ => What::Delivery(body),
    };
    Some(Found { what, used, reply: None })
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
