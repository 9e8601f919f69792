//! The real binary in a place of its own, spoken to over raw TLS: what it is for, and what it has
//! to withstand.

mod commands;
mod enrollment;
mod forge;
mod handshake;
mod lifecycle;
mod server;
mod session;
mod tls;
