//! Connections: two streams of bytes each, which may be late, held up, or cut anywhere.

use crate::simulation::device::Who;
use openchat_wire::{
    GroupId, Seq,
    frame::{FrameDecoder, FrameError, to_frame},
    limits::MAX_FRAME,
    relay::{ToClient, ToServer},
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, VecDeque};

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Up,
    /// To the device.
    Down,
}

/// A connection, from the first byte to the last that arrives of it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) who: Who,
    pub(crate) up: Stream<ToServer>,
    pub(crate) down: Stream<ToClient>,
    /// The place up to which each log was sent.
    pub(crate) sent: BTreeMap<GroupId, Seq>,
    /// The device sends here and believes that it is heard.
    pub(crate) device_holds: bool,
    /// The server does.
    pub(crate) server_holds: bool,
}

/// One direction. Frames arrive in order.
#[derive(Debug)]
pub(crate) struct Stream<T> {
    flying: VecDeque<(u64, Vec<u8>)>,
    last_due: u64,
    /// Nothing arrives for now.
    held: bool,
    /// Nothing that is sent from now on arrives.
    cut: bool,
    decoder: FrameDecoder<T>,
}

impl Connection {
    pub(crate) fn new(who: Who) -> Self {
        let (up, down) = (Stream::new(), Stream::new());
        Self { who, up, down, sent: BTreeMap::new(), device_holds: true, server_holds: true }
    }

    /// Both ends have let go and nothing is on its way.
    pub(crate) fn is_over(&self) -> bool {
        !self.device_holds
            && !self.server_holds
            && self.up.flying.is_empty()
            && self.down.flying.is_empty()
    }
}

impl<T: Serialize + DeserializeOwned> Stream<T> {
    fn new() -> Self {
        let decoder = FrameDecoder::new(MAX_FRAME);
        Self { flying: VecDeque::new(), last_due: 0, held: false, cut: false, decoder }
    }

    /// Sends a frame; returns when it arrives, unless something comes between.
    pub(crate) fn send(&mut self, frame: &T, due: u64) -> Option<u64> {
        if self.cut {
            return None;
        }
        self.last_due = self.last_due.max(due);
        self.flying.push_back((self.last_due, to_frame(frame)));
        Some(self.last_due)
    }

    /// The next frame that arrives at this time, if it is whole.
    pub(crate) fn arrive(&mut self, now: u64) -> Result<Option<T>, FrameError> {
        let is_due = self.flying.front().is_some_and(|(due, _)| *due <= now);
        let Some((_, bytes)) = self.flying.pop_front_if(|_| is_due && !self.held) else {
            return Ok(None);
        };
        // A stream knows no frames: it comes in pieces.
        let (one, other) = bytes.split_at(bytes.len() / 2);
        self.decoder.push(one);
        let early = self.decoder.next_frame()?;
        self.decoder.push(other);
        Ok(early.or(self.decoder.next_frame()?))
    }

    /// How many frames are on their way.
    pub(crate) fn flying(&self) -> usize {
        self.flying.len()
    }

    /// The stream ends behind this many of the frames that are on their way, within the next one.
    pub(crate) fn cut(&mut self, kept: usize) {
        self.cut = true;
        self.held = false;
        if let Some((_, partial)) = self.flying.get_mut(kept) {
            partial.truncate(partial.len() / 3);
        }
        self.flying.truncate(kept.saturating_add(1));
    }

    pub(crate) fn hold(&mut self) {
        self.held = !self.cut;
    }

    /// Goes on; returns when each frame arrives that was held up.
    pub(crate) fn release(&mut self, now: u64) -> Vec<u64> {
        self.held = false;
        self.flying.iter().map(|(due, _)| now.max(*due)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::relay::Request;

    fn ping(id: u32) -> ToServer {
        ToServer { id, request: Request::Ping }
    }

    fn arrived(stream: &mut Stream<ToServer>, now: u64) -> Vec<u32> {
        let frames = core::iter::from_fn(|| stream.arrive(now).unwrap());
        frames.map(|frame| frame.id).collect()
    }

    #[test]
    fn frames_arrive_in_order_however_late_one_is() {
        let mut stream = Stream::new();
        assert_eq!(stream.send(&ping(1), 50), Some(50));
        assert_eq!(stream.send(&ping(2), 20), Some(50));
        assert_eq!(arrived(&mut stream, 49), [] as [u32; 0]);
        assert_eq!(arrived(&mut stream, 50), [1, 2]);
    }

    #[test]
    fn what_is_held_up_arrives_later() {
        let mut stream = Stream::new();
        stream.send(&ping(1), 10);
        stream.hold();
        assert_eq!(arrived(&mut stream, 99), [] as [u32; 0]);
        assert_eq!(stream.release(99), [99]);
        assert_eq!(arrived(&mut stream, 99), [1]);
    }

    #[test]
    fn a_cut_lets_through_what_was_before_it_and_no_part_of_a_frame() {
        let mut stream = Stream::new();
        for id in 1..=3 {
            stream.send(&ping(id), 10);
        }
        stream.cut(1);
        assert_eq!(stream.send(&ping(4), 10), None);
        assert_eq!(arrived(&mut stream, 10), [1]);
        assert_eq!(stream.flying(), 0);
    }
}
