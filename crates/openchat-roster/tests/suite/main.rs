//! The public half by itself: its bytes against known answers, its tree against a plain one, its
//! checks at their limits. Attacks by insiders stand beside the secret half, in `openchat-group`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod entries;
mod full_group;
mod known_answers;
mod messages;
mod mutants;
mod notices;
mod operations;
mod removals;
mod scribe;
mod trees;
