//! The engine against the real relay: devices that die, networks that fail, relays that lie.
//!
//! Everything runs in one thread and in virtual time, and follows from a seed.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on fails"
)]

mod acts;
mod answers;
mod authority;
mod bounds;
mod cases;
mod clocks;
mod coming;
mod copies;
mod crashes;
mod crowd;
mod delivered;
mod direct;
mod dropped;
mod files;
mod forge;
mod forming;
mod frames;
mod going;
mod healing;
mod histories;
mod insider;
mod kinds;
mod led;
mod letters;
mod liar;
mod lies;
mod losses;
mod mirror;
mod names;
mod outages;
mod own_name;
mod person;
mod random;
mod renewing;
mod repeats;
mod resetting;
mod revoked;
mod revoking;
mod server;
mod split_view;
mod standstill;
mod strangers;
mod taken_back;
mod talking;
mod traitor;
mod trusting;
mod vault;
mod world;
