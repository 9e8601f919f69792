//! What the server states: its own keys under the CA's signature, and receipts under its relay
//! key's (protocol §6, §9).

use crate::{
    ca::CaCertificate,
    signed::{Signed, SignedError},
};
use openchat_crypto::{IdentityKey, Label, PublicKey, hash};
use openchat_wire::{
    Blob, Digest, decode, encode,
    relay::{Receipt, SignedReceipt},
};
use serde::{Deserialize, Serialize};

/// The keys, beside the CA's, that a server signs with. A device learns them at enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKeys {
    /// Names the transparency log; stays when its key should change.
    pub log_id: Digest,
    /// Signs transparency heads.
    pub log_key: PublicKey,
    /// Signs receipts.
    pub relay_key: PublicKey,
}

impl ServerKeys {
    /// The keys of a new server, whose log is named by a hash of its first key.
    #[must_use]
    pub fn new(log_key: PublicKey, relay_key: PublicKey) -> Self {
        Self { log_id: hash(Label::TlogId, &[log_key.as_bytes()]), log_key, relay_key }
    }

    /// The statement of these keys under the CA's signature.
    #[must_use]
    pub fn sign(&self, ca_key: &IdentityKey) -> Vec<u8> {
        encode(&Signed::new(Label::ServerKeys, self, ca_key))
    }

    /// The keys in a statement that the CA signed.
    ///
    /// # Errors
    /// [`SignedError`] for anything else.
    pub fn verify(bytes: &[u8], ca: &CaCertificate) -> Result<Self, SignedError> {
        Signed::decode(bytes)?.open(Label::ServerKeys, ca.public_key())
    }

    /// The same for a statement that a device verified long ago, maybe by an earlier key of the CA.
    ///
    /// # Errors
    /// [`SignedError`] for anything else.
    pub fn verify_stored(bytes: &[u8], ca: &CaCertificate) -> Result<Self, SignedError> {
        let stated = Self::verify(bytes, ca);
        let before = || ca.former().iter().find_map(|former| Self::verify(bytes, former).ok());
        stated.or_else(|error| before().ok_or(error))
    }
}

/// The relay's claim under its key.
#[must_use]
pub fn sign_receipt(receipt: &Receipt, key: &IdentityKey) -> SignedReceipt {
    let Signed { body, signature } = Signed::new(Label::Receipt, receipt, key);
    SignedReceipt { body, signature: Blob(signature.as_bytes().to_vec()) }
}

/// What the relay claimed, if `key` is its key.
///
/// # Errors
/// [`SignedError`] if it did not sign this, or if this is no receipt.
pub fn verify_receipt(signed: &SignedReceipt, key: &PublicKey) -> Result<Receipt, SignedError> {
    let signature = decode(signed.signature.as_ref(), 64)?;
    Signed { body: signed.body.clone(), signature }.open(Label::Receipt, key)
}
