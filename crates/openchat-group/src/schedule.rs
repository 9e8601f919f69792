//! The key schedule of an epoch (`docs/protocol.md` §5.2, after RFC 9420 §8).

use openchat_crypto::{KeyPair, Label, Secret};
use openchat_wire::{Digest, Epoch, Slot};
use serde::{Deserialize, Serialize};

/// What a member keeps of its last good epoch. Serialised for the vault only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The epoch.
    pub epoch: Epoch,
    /// The member's leaf.
    pub slot: Slot,
    /// `leaf_secret`: leads to every key on the path to the root.
    pub(crate) leaf: Secret,
    /// `init_n`: salts the next epoch's joiner secret.
    pub(crate) init: Secret,
    /// Hedges this device's random numbers against a weak generator.
    pub(crate) hedge: Secret,
    /// Opens what newcomers wrap for this epoch.
    pub(crate) external: KeyPair,
}

/// `joiner_secret = Extract(init_n, root_secret)`, and the external key pair that follows from it.
pub(crate) struct Joiner {
    secret: Secret,
    pub(crate) external: KeyPair,
}

/// What follows from a joiner secret and the commit that it belongs to.
pub(crate) struct EpochSecrets {
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) confirmation_key: Secret,
    pub(crate) message_secret: Secret,
}

impl Joiner {
    pub(crate) fn new(init: &Secret, root: &Secret) -> Self {
        Self::from_secret(Secret::extract(init.expose(), root.expose()))
    }

    /// With `DeriveKeyPair(Expand(joiner_secret, "external"))`.
    pub(crate) fn from_secret(secret: Secret) -> Self {
        Self { external: KeyPair::derive(&secret.expand(Label::External, b"")), secret }
    }

    /// For a Welcome.
    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// `epoch_secret = Expand(joiner_secret, "epoch" ‖ confirmed)` and what it expands to; the
    /// epoch secret itself is gone afterwards.
    pub(crate) fn epoch(&self, confirmed: &Digest) -> EpochSecrets {
        let epoch = self.secret.expand(Label::Epoch, &confirmed.0);
        EpochSecrets {
            init: epoch.expand(Label::Init, b""),
            hedge: epoch.expand(Label::Hedge, b""),
            confirmation_key: epoch.expand(Label::ConfirmationKey, b""),
            message_secret: epoch.expand(Label::MessageSecret, b""),
        }
    }
}
