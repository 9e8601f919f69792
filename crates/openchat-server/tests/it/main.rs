//! The real binary in a place of its own, spoken to over raw TLS: what it is for, and what it has
//! to withstand.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed, and says what it saw"
)]

#[path = "../../../openchat-store-sqlite/tests/shim/mod.rs"]
mod shim;

mod clock;
mod commands;
mod config;
mod enrollment;
mod figures;
mod forge;
mod groups;
mod handshake;
mod heads;
mod lifecycle;
mod limits;
mod names;
mod operator;
mod prekeys;
mod presence;
mod renewals;
mod resets;
mod resumption;
mod revocations;
mod secrets;
mod server;
mod session;
mod slow;
mod tls;
mod upgrade;
