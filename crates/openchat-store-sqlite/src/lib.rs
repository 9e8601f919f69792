//! The relay's store on SQLite, compiled in: one file, no other service.
//!
//! Writes of a batch are one transaction in the write-ahead log, which is synced to the disk before
//! [`flush`](openchat_relay::Store::flush) returns (`synchronous=FULL`). A server works on a
//! database alone, held by a lock file; readers have connections of their own.

mod backup;
mod connection;
mod convert;
mod logs;
mod operator;
mod read;
mod retention;
mod schema;
mod store;

pub use backup::{Checked, check};
pub use operator::Figures;
pub use read::SqliteReader;
pub use store::SqliteStore;
