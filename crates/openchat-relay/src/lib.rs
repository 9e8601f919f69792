//! What the relay decides, without I/O, and the store trait with its conformance suite.
//!
//! A [`Relay`] owns a [`Store`] and answers one request after another: whether a commit or message
//! may stand in a log, who may read, who gets a certificate. It holds no group's secrets and can't
//! name one: of the groups it knows their public half, `openchat-roster`.
//!
//! # The contract of a batch
//! Call [`Relay::handle`], [`Relay::renew`], [`Relay::enroll`], [`Relay::invite`], [`Relay::revoke`] and
//! [`Relay::reset`] any number of times, then [`Relay::flush`] once, and only then tell anybody what came of it. Nothing that was answered or
//! published before its flush is certain to stand.
//!
//! Time comes in as milliseconds of the server's clock, randomness as a `CryptoRng`.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic"))]

mod announce;
mod append;
mod authority;
pub mod chain;
mod commit;
#[cfg(any(test, feature = "simulation"))]
pub mod conformance;
mod fault;
mod group;
mod inbox;
#[cfg(any(test, feature = "simulation"))]
pub mod memory;
mod outcome;
mod pace;
mod place;
mod prekey;
mod read;
mod relay;
mod retention;
pub mod store;
mod transparency;
mod turn;
mod usage;

pub use announce::announce;
pub use authority::{
    EnrollOutcome, EnrollReason, Invited,
    operator::{Reset, Revoking, certificate_record, invitation_record, registered_key},
    renewal::{RenewalFault, RenewalOutcome},
};
pub use outcome::{Identity, Outcome, Publish, TailEnd, Tailing};
pub use relay::{Keys, Relay};
pub use retention::{Retained, reached};
pub use store::{Limit, Page, Store, StoreError};
pub use usage::Quotas;
