//! Between SQLite's values and errors and ours.

use openchat_relay::StoreError;
use rusqlite::{Error, ErrorCode};

/// A number as SQLite keeps it. Ours never reach its limit; a peer's may, and then name nothing.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that was stored with [`integer`].
pub(crate) fn number(value: i64) -> Result<u64, StoreError> {
    value.try_into().map_err(|_| StoreError::Corrupt("a negative number"))
}

/// What a failure means to the relay. A full disk takes only the batch with it.
pub(crate) fn failed(error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        _ => StoreError::backend(error),
    }
}

/// As [`failed`], where a constraint is the other half of compare-and-swap.
pub(crate) fn failed_or_conflict(error: Error, what: &'static str) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict(what),
        _ => failed(error),
    }
}
