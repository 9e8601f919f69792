//! The CA's certificate: what everything else is checked against.

use crate::{
    constraints::Constraints,
    fault::{Fault, MemberError, NotOurs, Validity, valid_at},
    host::HostName,
    member::MemberCertificate,
    server::ServerCertificate,
    x509::{Common, Extensions, Unverified},
};
use openchat_crypto::PublicKey;
use openchat_wire::{Digest, UnixMillis};
use x509_parser::{asn1_rs::Tag, extensions::KeyUsage};

/// The certificate of the CA that was pinned: self-signed, and its key is the one expected. Or that
/// of a CA below a pinned root, whose key is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    der: Vec<u8>,
    /// The certificate of the root above, if there is one.
    root: Option<Vec<u8>>,
    pin: Digest,
    public_key: PublicKey,
    pub(crate) subject: Vec<u8>,
    common_name: Option<String>,
    not_before: UnixMillis,
    not_after: UnixMillis,
    constraints: Constraints,
    /// The same CA under its earlier keys, whose certificates for members count until they end.
    pub(crate) former: Vec<Self>,
}

impl CaCertificate {
    /// Reads `der` if its key is the pinned one: SHA-256 of the CA's `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`CaError::Pin`] for another key; any other for a certificate that no CA of ours makes.
    pub fn pinned(der: &[u8], pin: &Digest) -> Result<Self, CaError> {
        let unverified = Unverified::parse(der).map_err(CaError::Unreadable)?;
        let common = self_signed(&unverified, pin, NO_CA_BELOW)?;
        Ok(Self::read(der, None, *pin, &unverified, &common))
    }

    /// The CA of a chain whose last certificate has the pinned key: its own alone, or its own and
    /// its root's.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn from_chain<C: AsRef<[u8]>>(chain: &[C], pin: &Digest) -> Result<Self, CaError> {
        match chain {
            [own] => Self::pinned(own.as_ref(), pin),
            [own, root] => Self::below(own.as_ref(), root.as_ref(), pin),
            _ => Err(CaError::Chain),
        }
    }

    /// A root's own certificate. It issues to no member or server itself.
    pub(crate) fn root(der: &[u8], pin: &Digest) -> Result<Self, CaError> {
        let unverified = Unverified::parse(der).map_err(CaError::Unreadable)?;
        let common = self_signed(&unverified, pin, ONE_CA_BELOW)?;
        Ok(Self::read(der, None, *pin, &unverified, &common))
    }

    /// T12: a CA that the pinned root certified: for TLS only, with none below it, and with a name
    /// and a key of its own.
    pub(crate) fn below(der: &[u8], root_der: &[u8], pin: &Digest) -> Result<Self, CaError> {
        let root = Unverified::parse(root_der).map_err(CaError::Unreadable)?;
        let above = self_signed(&root, pin, ONE_CA_BELOW)?;
        let own = Unverified::parse(der).map_err(CaError::Unreadable)?;
        own.check_issuer(root.tbs.subject.as_raw(), &above.public_key)
            .map_err(CaError::Unreadable)?;
        let mut common = own.common().map_err(CaError::Wrong)?;
        let extensions = own.extensions().map_err(CaError::Wrong)?;
        check_ca(&extensions, NO_CA_BELOW)?;
        let distinct = common.public_key != above.public_key
            && own.tbs.subject.as_raw() != root.tbs.subject.as_raw();
        if !(distinct && extensions.is_for_tls_alone()) {
            return Err(CaError::NotBelow);
        }
        let constraints = Constraints::read(extensions.name_constraints);
        let constraints = constraints.ok_or(CaError::Wrong(Fault::Extensions))?;
        common.not_before = common.not_before.max(above.not_before);
        common.not_after = common.not_after.min(above.not_after);
        let read = Self::read(der, Some(root_der.to_vec()), *pin, &own, &common);
        Ok(Self { constraints, ..read })
    }

    /// The CA that comes after this one, if this one's key signed for it: `cross` is the
    /// certificate of the new key by the old, `new` the one that the new CA made for itself. Who
    /// was not connected when the key changed learns of it so, and then from the log.
    ///
    /// # Errors
    /// [`CaError`] unless both are of one CA that this one certified under its own name.
    pub fn successor(&self, cross: &[u8], new: &[u8]) -> Result<Self, CaError> {
        let unverified = Unverified::parse(cross).map_err(CaError::Unreadable)?;
        unverified.check_issuer(&self.subject, &self.public_key).map_err(CaError::Unreadable)?;
        let common = unverified.common().map_err(CaError::Wrong)?;
        check_ca(&unverified.extensions().map_err(CaError::Wrong)?, NO_CA_BELOW)?;
        if unverified.tbs.subject.as_raw() != self.subject {
            return Err(CaError::NotASuccessor);
        }
        let new = Self::pinned(new, &Digest(common.public_key.fingerprint().0))?;
        if new.subject == self.subject { Ok(new) } else { Err(CaError::NotASuccessor) }
    }

    pub(crate) fn read(
        der: &[u8],
        root: Option<Vec<u8>>,
        pin: Digest,
        unverified: &Unverified<'_>,
        common: &Common,
    ) -> Self {
        Self {
            der: der.to_vec(),
            root,
            pin,
            public_key: common.public_key,
            subject: unverified.tbs.subject.as_raw().to_vec(),
            common_name: only_common_name(unverified),
            not_before: common.not_before,
            not_after: common.not_after,
            constraints: Constraints::default(),
            former: Vec::new(),
        }
    }

    /// The pin of whoever has this certificate, which proves nothing.
    ///
    /// # Errors
    /// [`CaError`] if it is no certificate.
    pub fn pin_of(der: &[u8]) -> Result<Digest, CaError> {
        let unverified = Unverified::parse(der).map_err(CaError::Unreadable)?;
        let common = unverified.common().map_err(CaError::Wrong)?;
        Ok(Digest(common.public_key.fingerprint().0))
    }

    /// The certificates in DER that lead from this CA to the pinned key.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(self.der.as_slice()).chain(self.root.as_deref())
    }

    /// The certificate in DER, without the root's.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key that issues.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What devices pin: SHA-256 of the `SubjectPublicKeyInfo` of the CA, or of its root.
    #[must_use]
    pub const fn pin(&self) -> Digest {
        self.pin
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

    /// Reads a member's certificate that this CA issued, with this key or an earlier one. Looks at
    /// no clock.
    ///
    /// # Errors
    /// [`MemberError::NotOurs`] if another, or nobody, issued it;
    /// [`MemberError::NotAMember`] if this CA did, but not by the rules for members.
    pub fn verify_member(&self, der: &[u8]) -> Result<MemberCertificate, MemberError> {
        let found = self.verify_own_member(der);
        if !matches!(found, Err(MemberError::NotOurs(NotOurs::Signature | NotOurs::Issuer))) {
            return found;
        }
        let ours = self.former.iter().find_map(|former| former.verify_own_member(der).ok());
        ours.map_or(found, Ok)
    }

    fn verify_own_member(&self, der: &[u8]) -> Result<MemberCertificate, MemberError> {
        let unverified = self.issued(der)?;
        let member = MemberCertificate::read(&unverified)?;
        self.check_names(&unverified)?;
        Ok(member)
    }

    /// Reads a server's certificate that this CA issued. Looks at no clock.
    ///
    /// # Errors
    /// As [`verify_member`](Self::verify_member), with [`Fault::ServerAuthMissing`] for a
    /// member's.
    pub fn verify_server(&self, der: &[u8]) -> Result<ServerCertificate, MemberError> {
        let unverified = self.issued(der)?;
        let server = ServerCertificate::read(&unverified)?;
        self.check_names(&unverified)?;
        Ok(server)
    }

    /// Whether this CA may certify a server at this host: below a root not everyone.
    #[must_use]
    pub fn may_certify(&self, host: &HostName) -> bool {
        self.constraints.allow_host(host)
    }

    /// The subject's common name, if that is all its subject is made of.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    fn check_names(&self, unverified: &Unverified<'_>) -> Result<(), Fault> {
        let allowed = self.constraints.allow(unverified.extensions()?.names());
        allowed.then_some(()).ok_or(Fault::Constrained)
    }

    fn issued<'a>(&self, der: &'a [u8]) -> Result<Unverified<'a>, NotOurs> {
        let unverified = Unverified::parse(der)?;
        unverified.check_issuer(&self.subject, &self.public_key)?;
        Ok(unverified)
    }
}

/// Path length of a CA that issues to members and servers.
pub(crate) const NO_CA_BELOW: u32 = 0;

/// Path length of a root whose key is kept elsewhere.
const ONE_CA_BELOW: u32 = 1;

/// The certificate of the pinned key by the pinned key.
fn self_signed(
    unverified: &Unverified<'_>,
    pin: &Digest,
    path_length: u32,
) -> Result<Common, CaError> {
    let common = unverified.common().map_err(CaError::Wrong)?;
    if common.public_key.fingerprint().0 != pin.0 {
        return Err(CaError::Pin);
    }
    let subject = unverified.tbs.subject.as_raw();
    unverified.check_issuer(subject, &common.public_key).map_err(CaError::Unreadable)?;
    let extensions = unverified.extensions().map_err(CaError::Wrong)?;
    check_ca(&extensions, path_length)?;
    // Whoever pins a key trusts all that it signs; a limit there would be one that nobody checks.
    let unlimited = extensions.name_constraints.is_none();
    unlimited.then_some(common).ok_or(CaError::Wrong(Fault::UnknownCritical))
}

/// A CA says so in both extensions (RFC 5280 §4.2.1.3, §4.2.1.9) and how many may be below it.
pub(crate) fn check_ca(extensions: &Extensions<'_>, path_length: u32) -> Result<(), CaError> {
    let constraints = extensions.basic_constraints.ok_or(CaError::NotACa)?;
    let signs = extensions.key_usage.is_some_and(KeyUsage::key_cert_sign);
    let right = constraints.ca && constraints.path_len_constraint == Some(path_length) && signs;
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
    /// Not one certificate, nor one and its root's.
    #[error("the chain is not of a CA, or of a CA and its root")]
    Chain,
    /// The root's certificate of another kind of CA than one that serves TLS alone.
    #[error("the CA below the root is not one for TLS with a name and key of its own")]
    NotBelow,
    /// Certified under another name: a further CA, and not the same one with another key.
    #[error("the certificate of the next key is another CA's")]
    NotASuccessor,
    /// The certificate that leads from the pinned key to the next one is not valid now.
    #[error("the change of the CA's key: {0}")]
    Change(Validity),
    /// Not allowed to issue certificates, or to let others do so.
    #[error("the CA certificate is not that of a CA without further CAs")]
    NotACa,
}
