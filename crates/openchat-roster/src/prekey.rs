//! Prekeys: keys that somebody leaves with the relay so that others can add it while it is away
//! (`docs/protocol.md` §4.6).

use openchat_crypto::{IdentityKey, Label, PublicKey, Signature, hash};
use openchat_wire::{
    Blob, DecodeError, Digest, Fingerprint, UnixMillis, decode, encode, limits::MAX_PREKEY,
};
use serde::{Deserialize, Serialize};

/// A prekey as it travels, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPrekey {
    /// The canonical encoding of a [`Prekey`].
    pub prekey: Blob,
    /// `Sig("prekey", prekey)`, by its owner.
    pub signature: Signature,
}

/// What a prekey says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prekey {
    /// Whose it is. First, because every signed body begins with its signer.
    pub owner: Fingerprint,
    /// How often it is given out.
    pub kind: PrekeyKind,
    /// Random; tells the owner's prekeys apart.
    pub id: [u8; 16],
    /// The public key, P.
    pub key: PublicKey,
    /// Not to be used before.
    pub not_before: UnixMillis,
    /// Not to be used after.
    pub not_after: UnixMillis,
}

/// How often a prekey is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrekeyKind {
    /// Once.
    OneTime,
    /// To everybody who asks while there is no other.
    LastResort,
}

/// Why a prekey can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrekeyFault {
    /// Its bytes are not one canonical prekey.
    #[error("C16: not a canonical prekey")]
    Encoding,
    /// It is another person's.
    #[error("C16: the prekey is another person's")]
    Owner,
    /// Its owner did not sign it.
    #[error("C16: the prekey is not signed by its owner")]
    Signature,
}

impl SignedPrekey {
    /// A signed prekey.
    #[must_use]
    pub fn sign(prekey: &Prekey, owner: &IdentityKey) -> Self {
        let body = encode(prekey);
        let signature = owner.sign(Label::Prekey, &body);
        Self { prekey: Blob(body), signature }
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Blob {
        Blob(encode(self))
    }

    /// The prekey that `bytes` are.
    ///
    /// # Errors
    /// [`DecodeError`] for anything not canonical or too long.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_PREKEY)
    }

    /// What the bytes say, unverified.
    ///
    /// # Errors
    /// [`PrekeyFault::Encoding`].
    pub fn view(&self) -> Result<Prekey, PrekeyFault> {
        decode(&self.prekey.0, MAX_PREKEY).map_err(|_| PrekeyFault::Encoding)
    }

    /// The prekey, if it is this person's and signed.
    ///
    /// # Errors
    /// [`PrekeyFault`].
    pub fn verify(&self, owner: &PublicKey) -> Result<Prekey, PrekeyFault> {
        let prekey = self.view()?;
        if prekey.owner != owner.fingerprint() {
            return Err(PrekeyFault::Owner);
        }
        let verified = owner.verify(Label::Prekey, &self.prekey.0, &self.signature);
        verified.map_err(|_| PrekeyFault::Signature)?;
        Ok(prekey)
    }

    /// `H("prekey record" ‖ SignedPrekey)`: names it.
    #[must_use]
    pub fn hash(&self) -> Digest {
        hash(Label::PrekeyRecord, &[&encode(self)])
    }
}

impl Prekey {
    /// Whether it may be used now, by a clock. Validity of commits never depends on this.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixMillis) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}
