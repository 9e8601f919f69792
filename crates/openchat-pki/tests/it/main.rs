//! The crate from outside: what it issues, and everything that must not get past it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that can't go on fails")]

mod authority;
mod ca;
mod members;
mod requests;
mod servers;
mod statements;
mod support;
mod transparency;
