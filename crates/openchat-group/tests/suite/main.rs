//! Attacks on a group, conversations in one, and random histories.
//!
//! `kit` has devices around a log, a second implementation of the group to compare the first with,
//! insiders who lie, and thieves who listen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod clones;
mod healing;
mod histories;
mod kinds;
mod kit;
mod mangled;
mod messages;
mod private_faults;
mod public_faults;
mod races;
mod restart;
mod sizes;
