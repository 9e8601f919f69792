//! The secret half of a group: a pure state machine over one log, for one device.
//!
//! [`Group`] holds the public [`openchat_roster::Roster`] and, once seated, the secrets that go
//! with it. Every operation computes beside the state and changes it only after all checks passed,
//! so that nothing a peer sends can leave a half-changed group behind. There is no clock and no
//! I/O: randomness comes in, entries to append come out.
//!
//! What must be stored before anything leaves the device: after each step,
//! [`Group::take_changes`].
//!
//! Section and check numbers are those of `docs/protocol.md`.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

mod advance;
mod author;
mod follow;
mod group;
mod handover;
mod keyring;
pub mod letter;
mod message;
mod outcome;
mod padding;
mod path;
mod proposal;
mod schedule;
mod secret_tree;
mod state;

pub use author::{Author, CommitError, Pending};
pub use follow::PrivateFault;
pub use group::{Group, SealError};
pub use keyring::Keyring;
pub use letter::LetterFault;
pub use message::{Content, ContentKind, Opened, Unreadable};
pub use outcome::{Change, CommitOutcome, Effect, Why};
pub use proposal::{Invited, NewMember, Proposal};
pub use schedule::Secrets;
pub use secret_tree::EpochRatchets;
pub use state::{RestoreError, StateKey};
