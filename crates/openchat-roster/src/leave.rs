//! Requests to be removed, or to be struck from the list of the admitted (`docs/protocol.md` §4.7).

use openchat_crypto::{IdentityKey, Label, PublicKey, Signature};
use openchat_wire::{Blob, Epoch, Fingerprint, GroupId, decode, encode};
use serde::{Deserialize, Serialize};

use crate::fault::LeaveFault;

/// Bytes of a leave request: two hashes, an epoch, a key.
const MAX_LEAVE: usize = 160;

/// A leave request in the log, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveEntry {
    /// The canonical encoding of a [`Leave`].
    pub leave: Blob,
    /// `Sig("leave", leave)`.
    pub signature: Signature,
}

/// "Let me go", or "no, thank you".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// Who says so.
    pub author: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The epoch that seated the author or, if it has no seat, that admitted it. A later seat is
    /// not meant.
    pub since: Epoch,
    /// The author's key, which an admission does not have; `None` for a seat, which has it.
    pub key: Option<PublicKey>,
}

impl LeaveEntry {
    /// A signed leave request.
    #[must_use]
    pub fn sign(leave: &Leave, key: &IdentityKey) -> Self {
        let body = encode(leave);
        let signature = key.sign(Label::Leave, &body);
        Self { leave: Blob(body), signature }
    }

    /// What the bytes say, unverified.
    ///
    /// # Errors
    /// [`LeaveFault::Encoding`].
    pub fn view(&self) -> Result<Leave, LeaveFault> {
        decode(&self.leave.0, MAX_LEAVE).map_err(|_| LeaveFault::Encoding)
    }
}
