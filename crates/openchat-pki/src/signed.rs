//! Statements under a signature: `body = fingerprint of the signer ‖ encoded value`, signed for one
//! purpose. What is decoded is what was signed, byte by byte.

use openchat_crypto::{IdentityKey, Label, PublicKey, Signature};
use openchat_wire::{Blob, DecodeError, Fingerprint, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Bytes of the longest statement: three keys' worth, with room for fields to come.
const MAX_STATEMENT: usize = 512;

/// A statement as it travels, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) body: Blob,
    pub(crate) signature: Signature,
}

/// Why a signed statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not a statement of this kind.
    #[error("the statement is {0}")]
    Decode(#[from] DecodeError),
    /// It names another signer than the one that should have signed.
    #[error("the statement is another signer's")]
    Signer,
    /// The signature is not the signer's over this statement.
    #[error("the statement's signature is wrong")]
    Signature,
}

impl Signed {
    /// States `value` under `key`.
    pub(crate) fn new<T: Serialize>(label: Label, value: &T, key: &IdentityKey) -> Self {
        let body = encode(&(key.fingerprint(), value));
        Self { signature: key.sign(label, &body), body: Blob(body) }
    }

    /// Reads the frame; nothing is verified.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SignedError> {
        Ok(decode(bytes, MAX_STATEMENT)?)
    }

    /// The value, if `key` stated it.
    pub(crate) fn open<T>(&self, label: Label, key: &PublicKey) -> Result<T, SignedError>
    where
        T: Serialize + DeserializeOwned,
    {
        let body = self.body.as_ref();
        let (signer, value) = decode::<(Fingerprint, T)>(body, MAX_STATEMENT)?;
        if signer != key.fingerprint() {
            return Err(SignedError::Signer);
        }
        key.verify(label, body, &self.signature).map_err(|_| SignedError::Signature)?;
        Ok(value)
    }
}
