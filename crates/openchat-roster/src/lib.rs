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

mod authority;
mod commit;
mod entries;
mod fault;
mod heartbeat;
mod index;
mod leave;
mod list;
mod lists;
mod log;
mod message;
mod notice;
mod outline;
mod policy;
mod prekey;
mod revocation;
mod roster;
mod seat;
mod shape;
mod tree;

pub use commit::{Commit, CommitEntry, Entrant, HeadRef, Operation, Reason, Seen, Wrap};
pub use fault::{CommitFault, LeaveFault, MessageFault, NoticeFault};
pub use heartbeat::{Heartbeat, SignedHeartbeat};
pub use leave::{Leave, LeaveEntry};
pub use lists::{Admitted, Denied};
pub use log::{LogEntry, inbox, log_hash_next, log_hash_over, log_hash_start};
pub use message::{CONFIRMED_PREFIX, MessageEntry, MessageHeader};
pub use notice::{Notice, NoticeEntry};
pub use outline::{NewLeaf, Outline};
pub use policy::{Access, Inviting, Joining, Naming, Person, Policy, Rules};
pub use prekey::{Prekey, PrekeyFault, PrekeyKind, SignedPrekey};
pub use revocation::Revocation;
pub use roster::{Draft, Roster, Transition, group_id};
pub use seat::{Claim, Role, Seat, Unclaimed};
pub use tree::{Leaf, NodeIndex, Tree};
