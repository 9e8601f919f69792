//! The crate from outside: what it issues, and everything that must not get past it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails"
)]

mod authority;
mod ca;
mod chains;
mod checkpoints;
mod evidence;
mod exports;
mod members;
mod mirror;
mod openssl;
mod requests;
mod rotations;
mod sealed_keys;
mod servers;
mod statements;
mod successions;
mod support;
mod transparency;
mod watches;
