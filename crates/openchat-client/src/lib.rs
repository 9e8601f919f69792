//! The client's runtime: sockets, vault, clock, randomness.
//!
//! [`openchat_engine`] decides and touches nothing; this crate does what it decides, in an order
//! that survives being killed ([`session`]). A front end opens a [`Vault`], enrolls with
//! [`enroll::enroll`], and runs a [`Session`].
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

pub mod admin;
pub mod audit;
pub mod authority;
pub mod device;
pub mod dial;
pub mod enroll;
pub mod outside;
pub mod pem;
pub mod place;
pub mod probe;
pub mod save;
pub mod say;
pub mod session;
pub mod spoken;
pub mod standing;
pub mod target;
pub mod text;
pub mod trust;
pub mod vault;
pub mod wish;

mod ask;
mod backoff;
mod link;
mod tls;

pub use openchat_crypto::Passphrase;
pub use place::{PlaceError, Places, ProfileName};
pub use session::{
    Ask, End, Follow, FromHolder, Front, Guest, GuestEnd, GuestEvent, GuestId, LogView, Pick,
    Remote, Report, Resume, Say, Session, SessionError, Start, StoredConversation, Until,
};
pub use vault::{
    FileState, Holding, Identity, Keeping, Kept, KeptFile, KeyringError, Marks, Range, Reacted,
    Restored, Search, Survive, Unlock, Vault, VaultError,
};

/// What events, messages and members are, for front ends.
pub use openchat_engine as engine;
/// What names, places, times and limits are, for front ends.
pub use openchat_wire as wire;
