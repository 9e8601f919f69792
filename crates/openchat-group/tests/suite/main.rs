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

mod adding;
mod clones;
mod deltas;
mod healing;
mod histories;
mod kinds;
mod kit;
mod letters;
mod mangled;
mod messages;
mod mutants;
mod private_faults;
mod public_faults;
mod public_operations;
mod races;
mod removing;
mod restart;
mod sizes;
