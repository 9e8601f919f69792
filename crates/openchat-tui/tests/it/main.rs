//! The screen as a person meets it: keys and news in, what stands there out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a screen that is not there has failed"
)]

mod commands;
mod harmless;
mod keys;
mod kit;
mod marks;
mod notes;
mod reading;
mod screens;
mod words;
