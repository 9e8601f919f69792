//! `MQTT` 3.1.1 with `QoS` 1, as mosquitto speaks it.

use crate::{
    broker::{Found, PAYLOAD, Stream, What},
    stage::Stage,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) fn config(stage: &Stage, port: u16) -> String {
    let data = stage.server.data();
    let file = |name: &str| data.join(name).display().to_string();
    // Paths of this program's own making have a space, which mosquitto takes as it is.
    format!(
        "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
         max_queued_messages 0\nmax_inflight_messages 0\ncafile {}\ncertfile {}\nkeyfile {}\n\
         require_certificate true\ntls_version tlsv1.3\n",
        file("ca.crt"),
        file("server.crt"),
        file("server.key")
    )
}

pub(crate) async fn greet(stream: &mut Stream, who: usize) {
    let id = format!("c{who}-{}", crate::load::now());
    let mut body = vec![0, 4];
    body.extend_from_slice(b"MQTT\x04\x02\x00\x00");
    body.extend_from_slice(&text(&id));
    stream.write_all(&packet(0x10, &body)).await.expect("it takes CONNECT");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.expect("CONNACK");
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
}

pub(crate) async fn subscribe(stream: &mut Stream, topic: &str) {
    let body = [&[0, 1][..], &text(topic), &[1]].concat();
    stream.write_all(&packet(0x82, &body)).await.expect("it takes SUBSCRIBE");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.expect("SUBACK");
    assert_eq!((answer[0], answer[4]), (0x90, 1), "{answer:?}");
}

/// Its id is what the ack names, so one sender sends fewer than there are ids.
pub(crate) fn publish(topic: &str, payload: &[u8; PAYLOAD], number: u32) -> Vec<u8> {
    let id = u16::try_from(number + 1).expect("fewer messages than ids");
    packet(0x32, &[&text(topic), &id.to_be_bytes()[..], payload].concat())
}

pub(crate) async fn ping(stream: &mut Stream) {
    stream.write_all(&[0xc0, 0]).await.expect("it takes PINGREQ");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.expect("PINGRESP");
    assert_eq!(answer, [0xd0, 0]);
}

pub(crate) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let kind = bytes.first()? & 0xf0;
    let (length, start) = length(bytes)?;
    let body = bytes.get(start..start + length)?;
    let used = start + length;
    match kind {
        0x30 => {
            let topic = usize::from(u16::from_be_bytes(*body.first_chunk::<2>()?)) + 2;
            let id = body.get(topic..topic + 2)?;
            let payload = body.get(body.len().checked_sub(PAYLOAD)?..)?;
            Some(Found { what: What::Delivery(payload), used, reply: Some(packet(0x40, id)) })
        }
        0x40 => {
            let id = u16::from_be_bytes(*body.first_chunk::<2>()?);
            let number = u32::from(id).saturating_sub(1);
            Some(Found { what: What::Ack(number), used, reply: None })
        }
        _ => Some(Found { what: What::Other, used, reply: None }),
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut rest = body.len();
    loop {
        let low = u8::try_from(rest & 127).unwrap_or(0);
        rest >>= 7;
        bytes.push(if rest > 0 { low | 128 } else { low });
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// The remaining length and where the rest begins.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for at in 1..5 {
        let byte = *bytes.get(at)?;
        value |= usize::from(byte & 127) << (7 * (at - 1));
        if byte & 128 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
