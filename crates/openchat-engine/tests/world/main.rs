//! The engine against the real relay: devices that die, networks that fail, relays that lie.
//!
//! Everything runs in one thread and in virtual time, and follows from a seed.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on fails"
)]

mod crashes;
mod forming;
mod liar;
mod outages;
mod person;
mod random;
mod server;
mod talking;
mod vault;
mod world;
