//! Several processes of one person at once, through the real programs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]
#![allow(clippy::print_stdout, reason = "says what was not tried, and figures")]

mod exec;
mod figures;
mod guide;
mod handover;
mod listen;
mod offline;
mod people;
mod socket;
mod together;
