//! The leaf secret that an author gives to a member whose leaf it sets (`docs/protocol.md` §4.6).

use openchat_crypto::{Label, PublicKey, Secret, hash};
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Slot};

/// What the secret is bound to.
pub(crate) struct Handover<'a> {
    pub(crate) group: &'a GroupId,
    /// n+1.
    pub(crate) epoch: Epoch,
    pub(crate) slot: Slot,
    pub(crate) author: &'a Fingerprint,
    pub(crate) member: &'a Fingerprint,
    pub(crate) prekey_hash: &'a Digest,
    /// E.
    pub(crate) ephemeral: &'a PublicKey,
}

/// What author and member alone have.
pub(crate) struct Handed {
    /// `leaf_secret`.
    pub(crate) leaf: Secret,
    /// `wkey`: seals the Welcome, if there is one.
    pub(crate) welcome: Secret,
}

impl Handover<'_> {
    /// From x(ECDH(e, P)), which the member has as x(ECDH(p, E)).
    pub(crate) fn derive(&self, shared: &Secret) -> Handed {
        let prk = Secret::extract(&self.context().0, shared.expose());
        Handed { leaf: prk.expand(Label::Leaf, b""), welcome: prk.expand(Label::Welcome, b"") }
    }

    /// A.
    fn context(&self) -> Digest {
        let parts: [&[u8]; 7] = [
            &self.group.0,
            &self.epoch.0.to_be_bytes(),
            &self.slot.0.to_be_bytes(),
            &self.author.0,
            &self.member.0,
            &self.prekey_hash.0,
            self.ephemeral.as_bytes(),
        ];
        hash(Label::LeafOfAdd, &parts)
    }
}
