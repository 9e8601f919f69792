//! Keeping a certificate authority, through the real programs: changes of its key, passphrases, a root
//! that is kept elsewhere, and the log that tells of it all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod crashes;
mod fakes;
mod interop;
mod logs;
mod passphrases;
mod roots;
mod rotations;
mod support;
