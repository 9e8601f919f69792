//! NATS core, by its text protocol.

use crate::{
    broker::{Found, PAYLOAD, Stream, moment},
    people::Stage,
};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) fn config(stage: &Stage, place: &Path, port: u16) -> String {
    let data = stage.server.data();
    let file = |name: &str| data.join(name).display().to_string();
    format!(
        "listen: 127.0.0.1:{port}\nmax_connections: 20000\npid_file: \"{}\"\n\
         tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true, timeout: 10 }}\n",
        place.join("pid").display(),
        file("server.crt"),
        file("server.key"),
        file("ca.crt"),
    )
}

pub(crate) async fn greet(stream: &mut Stream) {
    let hello = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true}\r\n";
    stream.write_all(hello).await.expect("it takes CONNECT");
    settled(stream).await;
}

pub(crate) async fn subscribe(stream: &mut Stream, topic: &str) {
    let line = format!("SUB {topic} 1\r\n");
    stream.write_all(line.as_bytes()).await.expect("it takes SUB");
    settled(stream).await;
}

/// Everything before this was done.
async fn settled(stream: &mut Stream) {
    stream.write_all(b"PING\r\n").await.expect("it takes PING");
    let mut got = Vec::new();
    while !got.ends_with(b"PONG\r\n") {
        got.push(stream.read_u8().await.expect("PONG"));
    }
}

pub(crate) fn publish(topic: &str, payload: &[u8; PAYLOAD]) -> Vec<u8> {
    [format!("PUB {topic} {PAYLOAD}\r\n").as_bytes(), payload, b"\r\n"].concat()
}

pub(crate) fn find(bytes: &[u8]) -> Option<Found> {
    let line = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    if !bytes.starts_with(b"MSG ") {
        let reply = bytes.starts_with(b"PING").then(|| b"PONG\r\n".to_vec());
        return Some(Found::Other { used: line, reply });
    }
    let used = line + PAYLOAD + 2;
    let payload = bytes.get(line..used)?;
    Some(Found::Delivery { sent: moment(payload), used, reply: None })
}
