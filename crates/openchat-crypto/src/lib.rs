//! Newtypes over P-256, HKDF, SHA-256 and Fernet; every label in one file.
//!
//! Nothing here knows what a group is: the protocol's layers combine these types. Secrets are wiped
//! when dropped, never printed, and compared in constant time. Public keys and signatures that come
//! from a peer are validated when they are decoded, so that a value of the type is a valid one.
//!
//! Randomness comes in as a [`CryptoRng`]. Two values the libraries draw from the operating system
//! themselves: the initialisation vector of a Fernet token ([`fernet`]) and the nonce of a
//! signature ([`IdentityKey`]).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")
)]

pub mod fernet;
pub mod parallel;

mod array;
mod backend;
mod hash;
mod identity_key;
mod key_pair;
mod label;
mod passphrase;
mod public_key;
mod secret;
mod signature;
#[cfg(test)]
mod testing;

pub use hash::{Hasher, hash, sha256};
pub use identity_key::IdentityKey;
pub use key_pair::KeyPair;
pub use label::Label;
pub use passphrase::{Cost, InvalidCost, Passphrase, Salt};
pub use public_key::{InvalidKey, PublicKey};
pub use rand_core::CryptoRng;
pub use secret::{BadTag, Secret, Tag};
pub use signature::{BadSignature, Signature};
