//! The client's decisions: commands in; effects and events out; no I/O, no clock, no randomness of
//! its own.
//!
//! # Order of calls
//! Hand inputs to [`Engine::handle`], any number of them, then take the [`Output`] and do with it,
//! in this order: store all `changes` in one transaction; send the `requests` in order; show the
//! `events`. A request must never leave before the changes it came with are on disk: that is what
//! keeps a key from being used twice after a crash. If the transaction fails the engine must be
//! dropped and loaded again from the vault.
//!
//! # Clock
//! `now` may be wrong by any amount and may jump; it is used for waiting and for the time that a
//! message claims, never for what counts.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

mod alarms;
mod archive;
mod askers;
mod backlog;
mod body;
mod changes;
mod chunk;
mod command;
mod commits;
mod content;
mod conversation;
mod delivered;
mod downloads;
mod dropped;
mod engine;
mod event;
mod failure;
mod finding;
mod following;
mod heads;
mod history;
mod inbox;
mod invitations;
mod labels;
mod loader;
mod membership;
mod messages;
mod missed;
mod orders;
mod outbox;
mod output;
mod people;
mod pins;
mod prekeys;
mod reading;
mod record;
mod renewal;
mod revocations;
mod safety;
mod said;
mod sending;
mod shared;
mod target;
mod tasks;
mod timers;
mod transparency;
mod trusting;
mod upkeep;
mod uploads;
mod witness;

pub use alarms::StandingAlarm;
pub use body::{Body, BodyError, MessageRef, Offer};
pub use chunk::{Chunk, chunk_id};
pub use command::{Bring, Command, Grounds, GroupKind, Input, Order};
pub use engine::Engine;
pub use event::{
    AlarmCode, Change as MemberChange, Delivery, Event, Kind as ConversationKind, MemberView,
    Progress, Standing, StoredMessage, Summary, Trust, Unsent,
};
pub use loader::{LoadError, Snapshot};
/// What members may do, for front ends.
pub use openchat_roster::{Inviting, Joining, Role, Rules};
pub use output::{Output, Recall, Want};
pub use record::{Change, Key};
pub use safety::{SafetyNumber, SafetyNumberError};
pub use shared::Device;
pub use target::{Tag, Target, TargetError};
pub use trusting::Contact;
