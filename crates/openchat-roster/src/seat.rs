//! A member's place in a group.

use openchat_crypto::PublicKey;
use openchat_wire::{Epoch, Name, Slot};
use serde::{Deserialize, Serialize};

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Reads and writes.
    Member,
    /// May change the group too.
    Admin,
}

/// A member's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The certified name.
    pub name: Name,
    /// The identity key, which signs commits and messages.
    pub key: PublicKey,
    /// What the member may do.
    pub role: Role,
    /// The epoch that the seating commit led to.
    pub seated: Epoch,
    /// The epoch that the seating commit or the last rejoin led to: messages count from here.
    pub since: Epoch,
    /// The leaf.
    pub slot: Slot,
}
