//! Megolm of `vodozemac`: one sender's ratchet. It has messages only, and they cost the same in every
//! group.

use crate::scenes::{Outcome, Sample};
use std::time::Instant;
use vodozemac::megolm::{GroupSession, InboundGroupSession, MegolmMessage, SessionConfig};

pub(crate) struct Sender {
    outbound: GroupSession,
    inbound: InboundGroupSession,
}

const TEXT: &[u8] = &[b'x'; 32];
const MESSAGES: u32 = 20;

impl Sender {
    pub(crate) fn new() -> Self {
        let outbound = GroupSession::new(SessionConfig::version_1());
        let inbound = InboundGroupSession::new(&outbound.session_key(), SessionConfig::version_1());
        Self { outbound, inbound }
    }

    pub(crate) fn play(&mut self, scene: &str) -> Outcome<Vec<Sample>> {
        let mut samples = Vec::new();
        if scene != "message" {
            return Ok(samples);
        }
        for _ in 0..MESSAGES {
            let start = Instant::now();
            let sealed = self.outbound.encrypt(TEXT).to_bytes();
            samples.push(("seal 32 B", start.elapsed().as_secs_f64() * 1e6));
            let start = Instant::now();
            let opened = self.inbound.decrypt(&MegolmMessage::from_bytes(&sealed)?)?;
            samples.push(("open 32 B", start.elapsed().as_secs_f64() * 1e6));
            if opened.plaintext != TEXT {
                return Err("another text".into());
            }
            samples.push(("overhead bytes", (sealed.len() - TEXT.len()) as f64));
            let written = self.inbound.pickle().encrypt(&[0; 32]).len();
            samples.push(("state bytes a message", written as f64));
        }
        Ok(samples)
    }
}
