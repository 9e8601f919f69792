//! A member's report that a commit left it behind (`docs/protocol.md` §5.4).
//!
//! It names the commit and nothing else: a value derived from the faulty keys would be an oracle.

use openchat_crypto::{IdentityKey, Label, Signature};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, decode, encode};
use serde::{Deserialize, Serialize};

use crate::fault::NoticeFault;

/// Bytes of a notice: two hashes, a fingerprint, an epoch.
const MAX_NOTICE: usize = 128;

/// A notice in the log, unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeEntry {
    /// The canonical encoding of a [`Notice`].
    pub notice: Blob,
    /// `Sig("notice", notice)`.
    pub signature: Signature,
}

/// "I could not follow this commit."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who says so.
    pub author: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The epoch that the commit led to.
    pub epoch: Epoch,
    /// The interim hash that names the commit.
    pub interim: Digest,
}

impl NoticeEntry {
    /// A signed notice.
    #[must_use]
    pub fn sign(notice: &Notice, key: &IdentityKey) -> Self {
        let body = encode(notice);
        let signature = key.sign(Label::Notice, &body);
        Self { notice: Blob(body), signature }
    }

    /// What the bytes say, unverified.
    ///
    /// # Errors
    /// [`NoticeFault::Encoding`].
    pub fn view(&self) -> Result<Notice, NoticeFault> {
        decode(&self.notice.0, MAX_NOTICE).map_err(|_| NoticeFault::Encoding)
    }
}
