//! The real binary in a place of its own, spoken to over raw TLS: what it is for, and what it has
//! to withstand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod commands;
mod enrollment;
mod forge;
mod handshake;
mod lifecycle;
mod server;
mod measure;
mod session;
mod tls;
