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
pub mod session;
pub mod trust;
pub mod vault;

mod ask;
mod backoff;
mod link;
mod tls;

pub use place::{PlaceError, Places, ProfileName};
pub use session::{Ask, End, Front, Report, Session, SessionError, StoredConversation, Until};
pub use vault::{Identity, Survive, Vault, VaultError};

/// What events, messages and members are, for front ends.
pub use openchat_engine as engine;
