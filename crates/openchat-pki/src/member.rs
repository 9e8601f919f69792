//! Members' certificates, as peers and the members themselves read them.

use crate::{
    ca::CaCertificate,
    fault::{Fault, MemberError, Validity, valid_at},
    serial::Serial,
    x509::{Common, Role, Unverified},
};
use openchat_crypto::PublicKey;
use openchat_wire::{Fingerprint, Name, UnixMillis};
use x509_parser::extensions::GeneralName;

/// A member's certificate, issued by the pinned CA and by the rules of `pki/client.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCertificate {
    name: Name,
    public_key: PublicKey,
    serial: Serial,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl MemberCertificate {
    /// What a member's certificate says, whoever has signed it: for a device that holds the
    /// transparency log, which tells it whose key it is.
    #[must_use]
    pub fn claimed(der: &[u8]) -> Option<Self> {
        Self::read(&Unverified::parse(der).ok()?).ok()
    }

    /// The member. Only the alternative name counts; the common name is decoration.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The device's identity key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The identity key's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public_key.fingerprint()
    }

    /// The certificate's serial number.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Start of validity.
    #[must_use]
    pub const fn not_before(&self) -> UnixMillis {
        self.not_before
    }

    /// End of validity; the second it names is the last one.
    #[must_use]
    pub const fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// Checks the period.
    ///
    /// # Errors
    /// [`Validity`] outside it.
    pub fn valid_at(&self, now: UnixMillis) -> Result<(), Validity> {
        valid_at(self.not_before, self.not_after, now)
    }

    pub(crate) fn read(unverified: &Unverified<'_>) -> Result<Self, Fault> {
        let Common { serial, public_key, not_before, not_after } = unverified.common()?;
        let extensions = unverified.extensions()?;
        extensions.check_leaf()?;
        match extensions.role() {
            Role::Client => {}
            Role::Server => return Err(Fault::ServerAuthOnly),
            Role::Other => return Err(Fault::ClientAuthMissing),
        }
        let name = member_name(extensions.names())?;
        Ok(Self { name, public_key, serial, not_before, not_after })
    }
}

/// Exactly one alternative name, and that a canonical one: no capitals, no wildcard, no zero byte.
fn member_name(names: &[GeneralName<'_>]) -> Result<Name, Fault> {
    match names {
        [GeneralName::DNSName(name)] => name.parse().map_err(|_| Fault::Name),
        _ => Err(Fault::Name),
    }
}

/// What a device checks before it stores the certificate it was given: issued by the pinned CA, to
/// its own name, for its own key, valid now.
///
/// # Errors
/// [`IssuedError`], the first that applies in this order.
pub fn check_issued(
    ca: &CaCertificate,
    der: &[u8],
    name: &Name,
    key: &PublicKey,
    now: UnixMillis,
) -> Result<MemberCertificate, IssuedError> {
    let certificate = ca.verify_member(der)?;
    if certificate.name() != name {
        return Err(IssuedError::OtherName);
    }
    if certificate.public_key() != key {
        return Err(IssuedError::OtherKey);
    }
    ca.valid_at(now).map_err(IssuedError::CaValidity)?;
    certificate.valid_at(now)?;
    Ok(certificate)
}

/// Why a device does not take the certificate that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssuedError {
    /// Not a member's certificate of the pinned CA.
    #[error(transparent)]
    Certificate(#[from] MemberError),
    /// For another name than was asked.
    #[error("the certificate is for another name")]
    OtherName,
    /// For another key than this device's.
    #[error("the certificate is for another key")]
    OtherKey,
    /// Not valid now, by this device's clock.
    #[error(transparent)]
    Validity(#[from] Validity),
    /// The CA's own certificate is not valid now.
    #[error("of the CA: {0}")]
    CaValidity(Validity),
}
