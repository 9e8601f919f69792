//! Frames on a byte stream: `length: u32 big-endian ‖ version: u8 ‖ payload`, sans I/O.
//!
//! `length` counts version and payload. The decoder holds at most one frame of the cap it was
//! given plus what the caller pushed at once; a length beyond the cap ends the stream before a
//! byte of it is kept.

use crate::codec::{DecodeError, decode, encode_behind};
use core::marker::PhantomData;
use serde::{Serialize, de::DeserializeOwned};

/// Version of everything in a frame.
pub const VERSION: u8 = 1;

const LENGTH_BYTES: usize = 4;

/// Room for most frames, so that they are written in one go: a message of a few hundred letters.
const USUAL_FRAME: usize = 512;

/// A decoder gives memory beyond this back as soon as the frame that needed it was taken: most
/// frames are small, and thousands of idle connections have a decoder each.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Why a stream is not one of frames. The stream can't be trusted after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length of 0 has no room for the version.
    #[error("empty frame")]
    Empty,
    /// Longer than this stream allows.
    #[error("frame of {len} bytes where at most {max} are allowed")]
    TooLong {
        /// Bytes announced.
        len: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// A version this program does not speak.
    #[error("frame of version {0}, this program speaks {VERSION}")]
    Version(u8),
    /// The payload is not what belongs on this stream.
    #[error("frame payload {0}")]
    Payload(#[from] DecodeError),
}

/// `value` as one frame.
pub fn to_frame<T: Serialize>(value: &T) -> Vec<u8> {
    let mut frame = Vec::with_capacity(USUAL_FRAME);
    frame.extend_from_slice(&[0; LENGTH_BYTES]);
    frame.push(VERSION);
    let mut frame = encode_behind(frame, value);
    let length = u32::try_from(frame.len().saturating_sub(LENGTH_BYTES)).unwrap_or(u32::MAX);
    if let Some(header) = frame.first_chunk_mut::<LENGTH_BYTES>() {
        *header = length.to_be_bytes();
    }
    frame
}

/// Takes a stream's bytes as they come and gives its frames.
#[derive(Debug)]
pub struct FrameDecoder<T> {
    buffer: Vec<u8>,
    start: usize,
    max: usize,
    frames: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> FrameDecoder<T> {
    /// A decoder for a stream whose frames have at most `max` bytes of version and payload.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, max, frames: PhantomData }
    }

    /// Adds what the stream delivered. Take all frames before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() <= KEPT_CAPACITY {
            self.buffer.shrink_to(KEPT_CAPACITY);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// The next whole frame, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is to be closed then.
    pub fn next_frame(&mut self) -> Result<Option<T>, FrameError> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let Some((header, rest)) = pending.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = self.checked_length(u32::from_be_bytes(*header))?;
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        let value = open(frame, self.max)?;
        self.start = self.start.saturating_add(LENGTH_BYTES).saturating_add(length);
        Ok(Some(value))
    }

    fn checked_length(&self, length: u32) -> Result<usize, FrameError> {
        let too_long = FrameError::TooLong { len: length.into(), max: self.max };
        match usize::try_from(length) {
            Ok(0) => Err(FrameError::Empty),
            Ok(length) if length <= self.max => Ok(length),
            _ => Err(too_long),
        }
    }
}

fn open<T: Serialize + DeserializeOwned>(frame: &[u8], max: usize) -> Result<T, FrameError> {
    match frame.split_first() {
        Some((&VERSION, payload)) => Ok(decode(payload, max)?),
        Some((&version, _)) => Err(FrameError::Version(version)),
        None => Err(FrameError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Decoder = FrameDecoder<Vec<u8>>;

    fn decoder() -> Decoder {
        FrameDecoder::new(16)
    }

    fn pushed(bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        let mut decoder = decoder();
        decoder.push(bytes);
        decoder.next_frame()
    }

    #[test]
    fn f1_length_0_is_refused() {
        assert_eq!(pushed(&[0, 0, 0, 0]), Err(FrameError::Empty));
    }

    #[test]
    fn f2_a_length_beyond_the_cap_is_refused_from_the_header_alone() {
        assert_eq!(pushed(&[0, 0, 0, 17]), Err(FrameError::TooLong { len: 17, max: 16 }));
        assert_eq!(
            pushed(&[0xff; 4]),
            Err(FrameError::TooLong { len: u64::from(u32::MAX), max: 16 })
        );
    }

    #[test]
    fn f3_an_unknown_version_is_refused() {
        assert_eq!(pushed(&[0, 0, 0, 2, 2, 0]), Err(FrameError::Version(2)));
    }

    #[test]
    fn f4_trailing_and_overlong_payloads_are_refused() {
        let not_canonical = Err(FrameError::Payload(DecodeError::NotCanonical));
        assert_eq!(pushed(&[0, 0, 0, 3, 1, 0, 9]), not_canonical);
        assert_eq!(pushed(&[0, 0, 0, 3, 1, 0x80, 0]), not_canonical);
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_frames() {
        let frames = [vec![1, 2, 3], vec![], vec![9; 14]];
        let mut decoder = decoder();
        let mut seen = Vec::new();
        for byte in frames.iter().flat_map(to_frame) {
            decoder.push(&[byte]);
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push(frame);
            }
        }
        assert_eq!(seen, frames);
        assert!(decoder.buffer.capacity() < 256, "memory stays bounded by the cap");
    }

    #[test]
    fn the_memory_of_a_large_frame_is_given_back() {
        let mut decoder: Decoder = FrameDecoder::new(1 << 20);
        decoder.push(&to_frame(&vec![7_u8; 1 << 19]));
        assert!(decoder.next_frame().unwrap().is_some());
        decoder.push(&to_frame(&vec![7_u8; 10]));
        assert!(decoder.next_frame().unwrap().is_some());
        assert!(decoder.buffer.capacity() <= 2 * KEPT_CAPACITY);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(pieces: Vec<Vec<u8>>) {
            let mut decoder = decoder();
            for piece in pieces {
                decoder.push(&piece);
                while let Ok(Some(_)) = decoder.next_frame() {}
            }
        }
    }
}
