//! Everything that was said arrives exactly once and in one order, through the real programs,
//! whatever ends the server, its disk, its connections or its clock.
//!
//! `cargo test -p openchat-sim --test once -- --include-ignored` tries every write point of the
//! server; without the option it is some of them, spread over all.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it did"
)]

#[path = "../../../openchat-store-sqlite/tests/shim/mod.rs"]
mod shim;

mod clock;
mod cuts;
mod disk;
mod keyring;
mod kill;
mod load;
mod people;
mod profile;
mod restore;
mod room;
mod sync;
mod watched;
