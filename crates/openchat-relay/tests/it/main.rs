//! The relay from outside: what it takes, and everything that must not get past it.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that can't go on fails")]

mod access;
mod batch;
mod commits;
mod enrollment;
mod entries;
mod leaving;
mod letters;
mod people;
mod prekeys;
mod quotas;
mod reading;
mod renewals;
mod resets;
mod retention;
mod ring;
mod rules;
mod support;
mod turns;
