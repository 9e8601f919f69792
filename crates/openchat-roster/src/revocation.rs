//! Proof that a key was revoked (`docs/protocol.md` §4.3, C18).

use openchat_pki::{Entry, Inclusion};
use openchat_wire::{Blob, Fingerprint};
use serde::{Deserialize, Serialize};

use crate::commit::HeadRef;

/// An entry of the transparency log that revokes a key, and where it stands in the log.
///
/// The proof is for the head that the commit names, so that whoever has the commit can judge it
/// without the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The encoded entry.
    pub entry: Blob,
    /// Its place, and the way to the root.
    pub inclusion: Inclusion,
}

impl Revocation {
    /// C18: whether the log under this head revokes this key.
    #[must_use]
    pub fn revokes(&self, key: &Fingerprint, head: &HeadRef) -> bool {
        let entry = Entry::decode(&self.entry.0);
        matches!(entry, Ok(Entry::Revoke { fingerprint, .. }) if fingerprint == *key)
            && self.inclusion.verify(&self.entry.0, head.size, &head.root)
    }
}
