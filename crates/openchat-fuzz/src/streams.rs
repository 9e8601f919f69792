//! Streams of frames (`docs/protocol.md` §2.4).

use openchat_wire::{
    admin::{AdminAnswer, AdminRequest},
    enroll::{EnrollAnswer, EnrollRequest},
    frame::{FrameDecoder, FrameError, to_frame},
    limits::{MAX_ADMIN_FRAME, MAX_ENROLL_FRAME, MAX_FRAME},
    relay::{ToClient, ToServer},
};
use serde::{Serialize, de::DeserializeOwned};

/// A client's stream to the relay.
pub fn to_server(data: &[u8]) {
    stream::<ToServer>(data, MAX_FRAME);
}

/// The relay's stream to a client.
pub fn to_client(data: &[u8]) {
    stream::<ToClient>(data, MAX_FRAME);
}

/// What somebody without a certificate asks.
pub fn enroll_request(data: &[u8]) {
    stream::<EnrollRequest>(data, MAX_ENROLL_FRAME);
}

/// What it is answered.
pub fn enroll_answer(data: &[u8]) {
    stream::<EnrollAnswer>(data, MAX_ENROLL_FRAME);
}

/// What an operator's tool asks.
pub fn admin_request(data: &[u8]) {
    stream::<AdminRequest>(data, MAX_ADMIN_FRAME);
}

/// What it is answered.
pub fn admin_answer(data: &[u8]) {
    stream::<AdminAnswer>(data, MAX_ADMIN_FRAME);
}

/// However a stream is cut, the same frames come out, and each has the bytes that it came in.
fn stream<T: Serialize + DeserializeOwned>(data: &[u8], max: usize) {
    let piece = usize::from(data.first().copied().unwrap_or_default()) + 1;
    let whole = frames::<T>(&[data], max);
    let pieces: Vec<&[u8]> = data.chunks(piece).collect();
    let cut = frames::<T>(&pieces, max);
    assert!(whole == cut, "a stream in pieces of {piece} gives other frames");
    let (frames, _) = whole;
    let taken: Vec<u8> = frames.concat();
    assert!(data.starts_with(&taken), "a frame has two encodings");
}

/// The frames of a stream, encoded again, and what ended it.
fn frames<T: Serialize + DeserializeOwned>(
    pieces: &[&[u8]],
    max: usize,
) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut decoder = FrameDecoder::<T>::new(max);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(value)) => frames.push(to_frame(&value)),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
        assert!(decoder.pending() <= max.saturating_add(4), "it keeps more than one frame");
    }
    (frames, None)
}
