//! A promise that did not hold.

use core::fmt::Display;

/// Which promise did not hold, and how that showed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not so: {promise}: {detail}")]
pub struct Broken {
    /// What should be true.
    pub promise: &'static str,
    /// What is instead.
    pub detail: String,
}

impl Broken {
    pub(crate) fn new(promise: &'static str, detail: impl Display) -> Self {
        Self { promise, detail: detail.to_string() }
    }
}
