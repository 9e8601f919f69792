//! The CA's certificate: what everything else is checked against.

use crate::{
    fault::{Fault, MemberError, NotOurs, Validity, valid_at},
    member::MemberCertificate,
    server::ServerCertificate,
    x509::{Extensions, Unverified},
};
use openchat_crypto::{PublicKey, sha256};
use openchat_wire::{Digest, UnixMillis};
use x509_parser::{asn1_rs::Tag, extensions::KeyUsage};

/// The certificate of the CA that was pinned: self-signed, and its key is the one expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    der: Vec<u8>,
    public_key: PublicKey,
    subject: Vec<u8>,
    common_name: Option<String>,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl CaCertificate {
    /// Reads `der` if its key is the pinned one: SHA-256 of the CA's `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`CaError::Pin`] for another key; any other for a certificate that no CA of ours makes.
    pub fn pinned(der: &[u8], pin: &Digest) -> Result<Self, CaError> {
        let unverified = Unverified::parse(der).map_err(CaError::Unreadable)?;
        let common = unverified.common().map_err(CaError::Wrong)?;
        if common.public_key.fingerprint().0 != pin.0 {
            return Err(CaError::Pin);
        }
        let subject = unverified.tbs.subject.as_raw();
        unverified.check_issuer(subject, &common.public_key).map_err(CaError::Unreadable)?;
        check_ca(&unverified.extensions().map_err(CaError::Wrong)?)?;
        Ok(Self {
            der: der.to_vec(),
            public_key: common.public_key,
            subject: subject.to_vec(),
            common_name: only_common_name(&unverified),
            not_before: common.not_before,
            not_after: common.not_after,
        })
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The CA's key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What devices pin: SHA-256 of the CA's `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn pin(&self) -> Digest {
        sha256(&self.public_key.to_spki())
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

    /// Checks the CA's own period.
    ///
    /// # Errors
    /// [`Validity`] outside it.
    pub fn valid_at(&self, now: UnixMillis) -> Result<(), Validity> {
        valid_at(self.not_before, self.not_after, now)
    }

    /// Reads a member's certificate that this CA issued. Looks at no clock.
    ///
    /// # Errors
    /// [`MemberError::NotOurs`] if another, or nobody, issued it;
    /// [`MemberError::NotAMember`] if this CA did, but not by the rules for members.
    pub fn verify_member(&self, der: &[u8]) -> Result<MemberCertificate, MemberError> {
        let unverified = self.issued(der)?;
        Ok(MemberCertificate::read(&unverified)?)
    }

    /// Reads a server's certificate that this CA issued. Looks at no clock.
    ///
    /// # Errors
    /// As [`verify_member`](Self::verify_member), with [`Fault::ServerAuthMissing`] for a
    /// member's.
    pub fn verify_server(&self, der: &[u8]) -> Result<ServerCertificate, MemberError> {
        let unverified = self.issued(der)?;
        Ok(ServerCertificate::read(&unverified)?)
    }

    /// The subject's common name, if that is all its subject is made of.
    pub(crate) fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    fn issued<'a>(&self, der: &'a [u8]) -> Result<Unverified<'a>, NotOurs> {
        let unverified = Unverified::parse(der)?;
        unverified.check_issuer(&self.subject, &self.public_key)?;
        Ok(unverified)
    }
}

/// A CA says so in both extensions (RFC 5280 §4.2.1.3, §4.2.1.9) and allows none below it.
fn check_ca(extensions: &Extensions<'_>) -> Result<(), CaError> {
    let constraints = extensions.basic_constraints.ok_or(CaError::NotACa)?;
    let signs = extensions.key_usage.is_some_and(KeyUsage::key_cert_sign);
    let right = constraints.ca && constraints.path_len_constraint == Some(0) && signs;
    right.then_some(()).ok_or(CaError::NotACa)
}

/// UTF-8 is how the authority writes it, so that what is written again has the same bytes.
fn only_common_name(unverified: &Unverified<'_>) -> Option<String> {
    let subject = &unverified.tbs.subject;
    let name = subject.iter_common_name().next()?;
    let alone = subject.iter_attributes().count() == 1;
    let utf8 = name.attr_value().tag() == Tag::Utf8String;
    if alone && utf8 { name.as_str().ok().map(str::to_owned) } else { None }
}

/// Why bytes are not the certificate of the pinned CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// Not a self-signed certificate of this PKI.
    #[error("the CA certificate: {0}")]
    Unreadable(NotOurs),
    /// A field is out of bounds.
    #[error("the CA certificate: {0}")]
    Wrong(Fault),
    /// A CA certificate, perhaps, but of another key than the pinned.
    #[error("the CA's key is not the pinned one")]
    Pin,
    /// Not allowed to issue certificates, or to let others do so.
    #[error("the CA certificate is not that of a CA without further CAs")]
    NotACa,
}
