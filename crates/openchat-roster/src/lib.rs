//! The public half of a group: everything about it that its members and its relay see alike.
//!
//! A [`LogEntry`] is decoded from a log's bytes; a [`Roster`] is what the commits up to some entry
//! amount to: the tree of public keys, who is seated where, the policy. [`Roster::check`] judges
//! the next commit by the earlier ones alone, so that everybody who reads the same log decides the
//! same. No secret type can be named here, which is what lets the relay run this code.
//!
//! Numbers like `C4` refer to the checks of `docs/protocol.md`.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

mod commit;
mod fault;
mod heartbeat;
mod log;
mod message;
mod notice;
mod roster;
mod seat;
mod tree;

pub use commit::{Commit, CommitEntry, Entrant, HeadRef, Operation, Policy, Seen, Wrap};
pub use fault::{CommitFault, MessageFault, NoticeFault};
pub use heartbeat::{Heartbeat, SignedHeartbeat};
pub use log::{LogEntry, log_hash_next, log_hash_start};
pub use message::{CONFIRMED_PREFIX, MessageEntry, MessageHeader};
pub use notice::{Notice, NoticeEntry};
pub use roster::{Draft, Roster, Transition, group_id};
pub use seat::{Role, Seat};
pub use tree::{NodeIndex, Tree};
