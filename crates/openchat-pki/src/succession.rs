//! A CA over the changes of its key: what a server shows of them, how who pinned an earlier key finds
//! the way to the newest, and whose signatures count on (`docs/protocol.md` §9, T11, T13).
//!
//! At a planned change the old key certifies the new one and the new key the old one. The first
//! certificate leads those forward who were away; by the second, what the old key has issued counts
//! until it ends, also for those who never knew the old key.

use crate::{
    ca::{CaCertificate, CaError, NO_CA_BELOW, check_ca},
    der,
    fault::{Validity, valid_at},
    rotation::MAX_ROTATIONS,
    x509::Unverified,
};
use openchat_crypto::PublicKey;
use openchat_wire::{Blob, Digest, UnixMillis, decode, encode, limits::MAX_CERTIFICATE};
use serde::{Deserialize, Serialize};

/// Certificates that a server shows of its CA: its own, its root's, and two for each change of the key.
pub const MAX_SHOWN: usize = 2 + 2 * MAX_ROTATIONS;

/// Bytes of a CA as a device stores it: all that may be shown, each as long as a certificate gets.
const MAX_STORED: usize = MAX_SHOWN * MAX_CERTIFICATE;

/// The first byte of a certificate in DER. No list of certificates is that long.
const SEQUENCE: u8 = 0x30;

/// A CA as it stands in a vault: this device has verified all of it.
#[derive(Serialize, Deserialize)]
struct Stored {
    chain: Vec<Blob>,
    former: Vec<Vec<Blob>>,
}

impl CaCertificate {
    /// The CA of which a server shows these certificates, for who pinned its key, its root's, or an
    /// earlier one's: its own and its root's if it has one; then, of a CA without a root, the
    /// certificates forward and back of each change of its key, the last one first; of a CA below a
    /// root those that the root gave to its earlier keys.
    ///
    /// # Errors
    /// [`CaError::Pin`] if nothing leads from the pinned key to it; any other if what is shown is not
    /// as a server shows it. All of it is verified, also what is older than the pin.
    pub fn shown<C: AsRef<[u8]>>(
        shown: &[C],
        pin: &Digest,
        now: UnixMillis,
    ) -> Result<Self, CaError> {
        let (own, rest) = shown.split_first().ok_or(CaError::Chain)?;
        if shown.len() > MAX_SHOWN {
            return Err(CaError::Chain);
        }
        let unverified = Unverified::parse(own.as_ref()).map_err(CaError::Unreadable)?;
        if unverified.tbs.subject.as_raw() == unverified.tbs.issuer.as_raw() {
            Self::over_changes(own.as_ref(), rest, pin, now)
        } else {
            Self::over_intermediates(own.as_ref(), rest, pin)
        }
    }

    /// The same for who has all of it from the CA itself: the pin is the one that it shows.
    ///
    /// # Errors
    /// As [`shown`](Self::shown).
    pub fn shown_by_itself<C: AsRef<[u8]>>(shown: &[C], now: UnixMillis) -> Result<Self, CaError> {
        let own = shown.first().ok_or(CaError::Chain)?;
        let unverified = Unverified::parse(own.as_ref()).map_err(CaError::Unreadable)?;
        let rooted = unverified.tbs.subject.as_raw() != unverified.tbs.issuer.as_raw();
        let top = shown.get(usize::from(rooted)).ok_or(CaError::Chain)?;
        Self::shown(shown, &Self::pin_of(top.as_ref())?, now)
    }

    /// The same for certificates one behind the other, as an enrollment is answered.
    ///
    /// # Errors
    /// As [`shown`](Self::shown).
    pub fn shown_in(bytes: &[u8], pin: &Digest, now: UnixMillis) -> Result<Self, CaError> {
        Self::shown(&der::certificates(bytes).ok_or(CaError::Chain)?, pin, now)
    }

    /// The same CA, with the one that this device has pinned till now: what that one has issued, and
    /// those before it, counts on until it ends.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let before = core::iter::once(before).chain(&before.former);
        for earlier in before.map(Self::alone) {
            if earlier.public_key() == self.public_key() {
                continue;
            }
            let is_it = |of: &Self| of.public_key() == earlier.public_key();
            if let Some(known) = self.former.iter_mut().find(|of| is_it(of)) {
                // The one held has the certificate that others can check.
                *known = earlier;
            } else if self.former.len() < MAX_ROTATIONS {
                self.former.push(earlier);
            }
        }
        self
    }

    /// The CA under its earlier keys.
    #[must_use]
    pub fn former(&self) -> &[Self] {
        &self.former
    }

    /// All of it, for a vault. What comes back is not verified again.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let chain = |ca: &Self| ca.chain().map(|der| Blob(der.to_vec())).collect();
        encode(&Stored { chain: chain(self), former: self.former.iter().map(chain).collect() })
    }

    /// Reads [`to_stored`](Self::to_stored), or the one certificate that earlier versions stored.
    ///
    /// # Errors
    /// [`CaError`] if it was changed.
    pub fn stored(bytes: &[u8], pin: &Digest) -> Result<Self, CaError> {
        if bytes.first() == Some(&SEQUENCE) {
            return Self::pinned(bytes, pin);
        }
        let Stored { chain, former } = decode(bytes, MAX_STORED).map_err(|_| CaError::Chain)?;
        let mut ca = Self::from_chain(&chain, pin)?;
        for chain in former {
            ca.former.push(Self::kept(&chain)?);
        }
        Ok(ca)
    }

    /// One that was verified before it was stored: with the certificates that others can check, or
    /// with the one that its successor gave it.
    fn kept(chain: &[Blob]) -> Result<Self, CaError> {
        let (own, root) = match chain {
            [own] => (own, None),
            [own, root] => (own, Some(root)),
            _ => return Err(CaError::Chain),
        };
        if let Ok(pin) = Self::pin_of(root.unwrap_or(own).as_ref())
            && let Ok(ca) = Self::from_chain(chain, &pin)
        {
            return Ok(ca);
        }
        Self::certified(&Unverified::parse(own.as_ref()).map_err(CaError::Unreadable)?)
    }

    /// Without those before it.
    fn alone(&self) -> Self {
        let mut alone = self.clone();
        alone.former.clear();
        alone
    }

    fn over_changes<C: AsRef<[u8]>>(
        own: &[u8],
        changes: &[C],
        pin: &Digest,
        now: UnixMillis,
    ) -> Result<Self, CaError> {
        let mut ca = Self::pinned(own, &Self::pin_of(own)?)?;
        let mut reached = ca.pin() == *pin;
        let (mut key, mut timely) = (*ca.public_key(), Ok(()));
        let (changes, rest) = changes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(CaError::Chain);
        }
        for [forward, back] in changes {
            let back = Unverified::parse(back.as_ref()).map_err(CaError::Unreadable)?;
            let before = ca.sibling(&back, &key)?;
            let forward = Unverified::parse(forward.as_ref()).map_err(CaError::Unreadable)?;
            let after = ca.sibling(&forward, before.public_key())?;
            if after.public_key() != &key {
                return Err(CaError::NotASuccessor);
            }
            let mut seen = core::iter::once(&ca).chain(&ca.former);
            if seen.any(|seen| seen.public_key() == before.public_key()) {
                return Err(CaError::NotASuccessor);
            }
            if !reached {
                timely = timely.and(after.valid_at(now));
            }
            key = *before.public_key();
            reached |= before.pin() == *pin;
            ca.former.push(before);
        }
        if !reached {
            return Err(CaError::Pin);
        }
        timely.map_err(CaError::Change)?;
        Ok(ca)
    }

    fn over_intermediates<C: AsRef<[u8]>>(
        own: &[u8],
        rest: &[C],
        pin: &Digest,
    ) -> Result<Self, CaError> {
        let (root, earlier) = rest.split_first().ok_or(CaError::Pin)?;
        let mut ca = Self::below(own, root.as_ref(), pin)?;
        for earlier in earlier {
            let earlier = Self::below(earlier.as_ref(), root.as_ref(), pin)?;
            let mut seen = core::iter::once(&ca).chain(&ca.former);
            if seen.any(|seen| seen.public_key() == earlier.public_key()) {
                return Err(CaError::Chain);
            }
            ca.former.push(earlier);
        }
        Ok(ca)
    }

    /// This CA under another key, by the certificate that `issuer` signed for it.
    fn sibling(&self, unverified: &Unverified<'_>, issuer: &PublicKey) -> Result<Self, CaError> {
        unverified.check_issuer(&self.subject, issuer).map_err(CaError::Unreadable)?;
        let sibling = Self::certified(unverified)?;
        if sibling.subject == self.subject { Ok(sibling) } else { Err(CaError::NotASuccessor) }
    }

    /// The CA that a certificate names. By whom it is signed is checked elsewhere.
    fn certified(unverified: &Unverified<'_>) -> Result<Self, CaError> {
        let common = unverified.common().map_err(CaError::Wrong)?;
        check_ca(&unverified.extensions().map_err(CaError::Wrong)?, NO_CA_BELOW)?;
        let pin = Digest(common.public_key.fingerprint().0);
        Ok(Self::read(unverified.der, None, pin, unverified, &common))
    }
}

/// The certificates of a CA that a server shows, without the changes of its key that lead nowhere any
/// more: the key that was has ended, and so has all that it issued.
pub(crate) fn current(mut shown: Vec<Vec<u8>>, now: UnixMillis) -> Result<Vec<Vec<u8>>, CaError> {
    let own = shown.first().ok_or(CaError::Chain)?;
    let unverified = Unverified::parse(own).map_err(CaError::Unreadable)?;
    if unverified.tbs.subject.as_raw() != unverified.tbs.issuer.as_raw() {
        return Ok(shown);
    }
    let mut keep = 1_usize;
    for change in shown.get(1..).unwrap_or_default().chunks(2) {
        let forward = change.first().ok_or(CaError::Chain)?;
        let forward = Unverified::parse(forward).map_err(CaError::Unreadable)?;
        let common = forward.common().map_err(CaError::Wrong)?;
        if valid_at(common.not_before, common.not_after, now) == Err(Validity::Expired) {
            break;
        }
        keep = keep.saturating_add(change.len());
    }
    shown.truncate(keep);
    Ok(shown)
}
