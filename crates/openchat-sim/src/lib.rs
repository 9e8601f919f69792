//! Development only: a harness that runs the real programs, for tests from end to end.
//!
//! [`Server::start`] makes a CA in a temporary place and runs `openchat-server`; its
//! [`Server::enroll`] gives a [`Person`], whose [`Person::join`] runs `openchat join --json` as a
//! [`Client`]. Each is killed when dropped. Whatever fails panics with what the programs printed:
//! this crate serves tests and nothing else.

#![allow(clippy::expect_used, clippy::panic, reason = "a harness fails by failing its test")]

mod client;
mod command;
mod database;
mod desktop;
mod figures;
mod lines;
mod person;
pub mod picture;
pub mod schema;
mod search;
mod server;
pub mod simulation;
mod terminal;

pub use client::Client;
pub use command::{program, run};
pub use database::{Entry, entries};
pub use desktop::{Desktop, Shown};
pub use figures::{Figures, Plan, percentile};
pub use lines::Lines;
pub use person::Person;
pub use search::{
    files_below, files_with, forget_groups, group_secrets, identity_keys, vault_holds,
};
pub use server::Server;
pub use terminal::Terminal;

use std::path::PathBuf;
use std::time::Duration;

/// How long a test waits for one thing to happen. Far more than it takes: a loaded machine is slow,
/// and a test that gives up early tells nothing.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Crates without I/O, clock or randomness of their own.
pub const PURE_CRATES: &[&str] = &[
    "openchat-wire",
    "openchat-crypto",
    "openchat-pki",
    "openchat-roster",
    "openchat-group",
    "openchat-relay",
    "openchat-engine",
];

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect()
}
