//! A member's place in a group.

use openchat_crypto::PublicKey;
use openchat_wire::{Digest, Epoch, Fingerprint, Name, Slot};
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
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What the member may do.
    pub role: Role,
    /// The epoch that the seating commit led to.
    pub seated: Epoch,
    /// The epoch that the seating commit or the last rejoin led to: messages count from here.
    pub since: Epoch,
    /// The leaf.
    pub slot: Slot,
    /// Whether the member alone knows its leaf's secret.
    pub claim: Claim,
}

/// How far a member that was added has made its leaf its own (`docs/protocol.md` §4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The member has set its leaf itself.
    Claimed,
    /// Whoever set the leaf knows its secret too, and whoever gets hold of the prekey.
    Unclaimed(Unclaimed),
    /// Added by a prekey of last resort, it has set its leaf once and has to do so once more.
    Half,
}

/// What an unclaimed leaf's secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclaimed {
    /// The prekey's public key.
    pub prekey: PublicKey,
    /// The hash of the signed prekey.
    pub prekey_hash: Digest,
    /// It may have been given to others too.
    pub is_last_resort: bool,
    /// Who added the member.
    pub adder: Fingerprint,
}

impl Seat {
    /// Whether the member has still to set its leaf itself.
    #[must_use]
    pub const fn is_unclaimed(&self) -> bool {
        matches!(self.claim, Claim::Unclaimed(_))
    }
}

impl Claim {
    /// After the member has set its leaf.
    pub(crate) const fn advanced(self) -> Self {
        match self {
            Self::Unclaimed(Unclaimed { is_last_resort: true, .. }) => Self::Half,
            Self::Unclaimed(_) | Self::Half | Self::Claimed => Self::Claimed,
        }
    }
}
