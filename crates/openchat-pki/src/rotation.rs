//! How the CA's key becomes another, and how a device that pinned the old one follows
//! (`docs/protocol.md` §9, T8).
//!
//! A planned change is signed by the key that was, and devices follow it by themselves. A change
//! without that signature may be a loss or a theft; no program can tell which, so a person must.

use crate::{ca::CaCertificate, entry::Entry};
use openchat_crypto::{IdentityKey, Label, PublicKey, Signature};
use openchat_wire::{Digest, encode};
use serde::{Deserialize, Serialize};

/// An announcement of the CA's next key, as the log has it; not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Announcement {
    /// Signed, as it claims, by the key that was.
    Planned {
        /// The pin of the key that was.
        from: Digest,
        /// The next key.
        to: PublicKey,
        /// `Sig("ca rotation", from ‖ to)` by the key that was; `from` is its fingerprint.
        signature: Signature,
    },
    /// Signed by nobody.
    Emergency {
        /// The pin of the key that was.
        from: Digest,
        /// The next key.
        to: PublicKey,
    },
}

/// Where a pin leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Followed {
    /// The pin to keep from now on.
    pub pin: Digest,
    /// Planned changes on the way.
    pub steps: usize,
    /// A change that stopped the way, for a person to decide on.
    pub emergency: Option<Unaccepted>,
}

/// A CA's key that nobody vouches for. It becomes a pin by [`accept`](Self::accept) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Unaccepted {
    from: Digest,
    to: PublicKey,
}

/// Changes of the CA's key that a device follows at once. One in five years is usual; a chain longer
/// than this is somebody's game.
pub const MAX_ROTATIONS: usize = 16;

/// The announcement that `old` makes: the CA's key will be `new`.
#[must_use]
pub fn announce(old: &IdentityKey, new: &PublicKey) -> Entry {
    let from = pin(old.public());
    Entry::Rotate { from, to: *new, signature: old.sign(Label::CaRotation, &body(&from, new)) }
}

/// Follows the announcements of a log, oldest first, from the key that a device trusts. Those from
/// other keys are passed over: of two from one key the first counts.
///
/// # Errors
/// [`RotationFault`]; the device then keeps its pin.
pub fn follow(
    trusted: &PublicKey,
    announcements: &[Announcement],
) -> Result<Followed, RotationFault> {
    let mut keys = vec![*trusted];
    let mut current = *trusted;
    for announcement in announcements {
        if announcement.from() != pin(&current) {
            continue;
        }
        let steps = keys.len().saturating_sub(1);
        let to = match announcement {
            Announcement::Emergency { from, to } => {
                let emergency = Some(Unaccepted { from: *from, to: *to });
                return Ok(Followed { pin: pin(&current), steps, emergency });
            }
            Announcement::Planned { from, to, signature } => {
                let signed = current.verify(Label::CaRotation, &body(from, to), signature);
                signed.map_err(|_| RotationFault::Signature)?;
                *to
            }
        };
        if keys.contains(&to) {
            return Err(RotationFault::Loop);
        }
        if steps >= MAX_ROTATIONS {
            return Err(RotationFault::TooMany);
        }
        keys.push(to);
        current = to;
    }
    Ok(Followed { pin: pin(&current), steps: keys.len().saturating_sub(1), emergency: None })
}

/// Checks that the log announces every change of the key that has led to the CA which a device trusts,
/// each as the first word of the key that was. What only the server's TLS has shown, and nobody else was
/// told, is a change for one device alone.
///
/// Intermediates come and go without a word: their root answers for them.
///
/// # Errors
/// [`RotationFault::Unannounced`], [`RotationFault::Signature`].
pub fn announced(ca: &CaCertificate, announcements: &[Announcement]) -> Result<(), RotationFault> {
    if ca.chain().count() != 1 {
        return Ok(());
    }
    let mut to = ca.public_key();
    for from in ca.former().iter().map(CaCertificate::public_key) {
        let word = announcements.iter().find(|word| word.from() == pin(from));
        match word.filter(|word| word.to() == to) {
            None => return Err(RotationFault::Unannounced),
            Some(Announcement::Planned { from: old, to: new, signature }) => {
                let signed = from.verify(Label::CaRotation, &body(old, new), signature);
                signed.map_err(|_| RotationFault::Signature)?;
            }
            // Its person has accepted it.
            Some(Announcement::Emergency { .. }) => {}
        }
        to = from;
    }
    Ok(())
}

impl Announcement {
    /// The announcement in an entry, if it is one.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        match entry {
            Entry::Rotate { from, to, signature } => {
                Some(Self::Planned { from: *from, to: *to, signature: *signature })
            }
            Entry::Replace { from, to } => Some(Self::Emergency { from: *from, to: *to }),
            _ => None,
        }
    }

    /// The pin of the key that was.
    #[must_use]
    pub const fn from(&self) -> Digest {
        let (Self::Planned { from, .. } | Self::Emergency { from, .. }) = self;
        *from
    }

    /// The next key.
    #[must_use]
    pub const fn to(&self) -> &PublicKey {
        let (Self::Planned { to, .. } | Self::Emergency { to, .. }) = self;
        to
    }
}

impl Unaccepted {
    /// The pin that the device has.
    #[must_use]
    pub const fn from(&self) -> &Digest {
        &self.from
    }

    /// The pin that it would have, for the person to compare by a way that does not lead through the
    /// server.
    #[must_use]
    pub fn pin(&self) -> Digest {
        pin(&self.to)
    }

    /// The key to trust from now on, because its person said so.
    #[must_use]
    pub const fn accept(self) -> PublicKey {
        self.to
    }
}

fn pin(key: &PublicKey) -> Digest {
    Digest(key.fingerprint().0)
}

fn body(from: &Digest, to: &PublicKey) -> Vec<u8> {
    encode(&(from, to))
}

/// Why a device does not follow the CA to its next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationFault {
    /// The key that was did not sign it.
    #[error("T8: the change of the CA's key is not signed by the key that was")]
    Signature,
    /// The device has followed to a key that the log says nothing of.
    #[error("T14: the transparency log does not announce the CA's key that this device was shown")]
    Unannounced,
    /// It leads back to a key that was left.
    #[error("T8: the CA's key changes back to an earlier one")]
    Loop,
    /// More changes than [`MAX_ROTATIONS`].
    #[error("T8: the CA's key changes over {MAX_ROTATIONS} times")]
    TooMany,
}
