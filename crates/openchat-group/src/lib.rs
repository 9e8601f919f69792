//! The secret half of a group: a pure state machine over one log, for one device.
//!
//! [`Group`] holds the public [`openchat_roster::Roster`] and, once seated, the secrets that go
//! with it. Every operation computes on copies and changes the state only after all checks passed,
//! so that nothing a peer sends can leave a half-changed group behind. There is no clock and no
//! I/O: randomness comes in, entries to append come out.
//!
//! What must be stored before anything leaves the device: after an operation that returns an entry
//! to append, [`Group::secrets`], [`Group::pending`] and the changed [`EpochRatchets`].
//!
//! Section and check numbers are those of `docs/protocol.md`.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

mod author;
mod follow;
mod group;
mod message;
mod padding;
mod path;
mod schedule;
mod secret_tree;

pub use author::{Author, Pending};
pub use follow::PrivateFault;
pub use group::{CommitKind, CommitOutcome, Effect, Group, Saved, SealError};
pub use message::{Content, ContentKind, Opened, Unreadable};
pub use schedule::Secrets;
pub use secret_tree::EpochRatchets;
