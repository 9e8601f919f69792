//! A member's word on how far it has read, relayed but never logged (`docs/protocol.md` §7.3).

use openchat_crypto::{IdentityKey, Label, Signature};
use openchat_wire::{
    Blob, DecodeError, Digest, Epoch, Fingerprint, GroupId, decode, encode, limits::MAX_HEARTBEAT,
};
use serde::{Deserialize, Serialize};

use crate::commit::Seen;

/// A heartbeat as it travels, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHeartbeat {
    /// The canonical encoding of a [`Heartbeat`].
    pub heartbeat: Blob,
    /// `Sig("heartbeat", heartbeat)`.
    pub signature: Signature,
}

/// "This is the log as I have it."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who says so.
    pub author: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The interim hash of that epoch.
    pub interim: Digest,
    /// The last entry it has processed.
    pub seen: Seen,
}

impl SignedHeartbeat {
    /// A signed heartbeat.
    #[must_use]
    pub fn sign(heartbeat: &Heartbeat, key: &IdentityKey) -> Self {
        let body = encode(heartbeat);
        let signature = key.sign(Label::Heartbeat, &body);
        Self { heartbeat: Blob(body), signature }
    }

    /// The bytes to hand to the relay.
    #[must_use]
    pub fn to_bytes(&self) -> Blob {
        Blob(encode(self))
    }

    /// The heartbeat that somebody relayed.
    ///
    /// # Errors
    /// [`DecodeError`] for anything not canonical or too long.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Heartbeat), DecodeError> {
        let signed: Self = decode(bytes, MAX_HEARTBEAT)?;
        let heartbeat = decode(&signed.heartbeat.0, MAX_HEARTBEAT)?;
        Ok((signed, heartbeat))
    }
}
