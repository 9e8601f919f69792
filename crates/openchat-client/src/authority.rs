//! Whom a device takes for its CA, and when that changes: the one place where a pin is moved.
//!
//! A device trusts one key, which came with its invitation. A server shows its CA with all changes of
//! its key, and what leads from the device's pin to the newest key is followed without asking
//! (`docs/protocol.md` §9, T11). What does not is refused, and only a person who has the new pin from
//! elsewhere can accept it.

use openchat_pki::{CaCertificate, CaError};
use openchat_wire::{Digest, UnixMillis};

/// The CA that a server shows to who pinned `pin`.
///
/// # Errors
/// [`CaError`] if nothing leads from the pin to it.
pub fn shown<C: AsRef<[u8]>>(
    certificates: &[C],
    pin: &Digest,
    now: UnixMillis,
) -> Result<CaCertificate, CaError> {
    let ca = CaCertificate::shown(certificates, pin, now)?;
    ca.valid_at(now).map_err(CaError::Change)?;
    Ok(ca)
}

/// What to store in place of the CA that this device knew, if the one that it was shown, and that
/// [`shown`] led to from the known one's pin, is another: another key, or another certificate from the
/// same root.
#[must_use]
pub fn followed(known: &CaCertificate, shown: CaCertificate) -> Option<CaCertificate> {
    (shown.der() != known.der()).then(|| shown.after(known))
}

/// The pin that certificates claim, for a person to compare.
#[must_use]
pub fn claimed<C: AsRef<[u8]>>(certificates: &[C], now: UnixMillis) -> Option<Digest> {
    CaCertificate::shown_by_itself(certificates, now).ok().map(|ca| ca.pin())
}
