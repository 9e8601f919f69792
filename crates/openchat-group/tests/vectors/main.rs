//! The frozen vectors in `testdata/`: made by the second implementation from a seed, made again and
//! compared, and judged by the first. `OPENCHAT_WRITE_VECTORS=1` writes them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod commits;
mod entries;
mod file;
mod first;
mod history;
#[path = "../suite/kit/plain/mod.rs"]
mod plain;
mod primitives;
mod rejected;
mod setting;
mod trees;
