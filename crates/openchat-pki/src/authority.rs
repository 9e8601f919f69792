//! The certificate authority: issues what the profiles say, to whom its caller says.
//!
//! It decides nothing about who may have which name; that is the relay's affair. Each certificate
//! is read again, as a peer will read it, before it leaves.

use crate::{
    ca::{CaCertificate, CaError},
    entry::Entry,
    fault::{MemberError, Validity},
    host::HostName,
    profile::{ExtendedKeyUsage, KeyUsage, MAX_ORGANISATION, Profile, Profiles},
    request::VerifiedCsr,
    rotation,
    serial::Serial,
    signer::{Signer, Subject},
    statement::ServerKeys,
    succession::{self, MAX_SHOWN},
};
use openchat_crypto::{CryptoRng, IdentityKey, PublicKey, sha256};
use openchat_wire::{Digest, Name, UnixMillis};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;

/// A CA: its key, its certificate and its profiles.
#[derive(Debug)]
pub struct CertificateAuthority {
    key: IdentityKey,
    certificate: CaCertificate,
    /// All that a server shows of it, its own certificate first.
    shown: Vec<Vec<u8>>,
    profiles: Profiles,
}

/// A CA's next key, and what makes devices follow from the one before.
#[derive(Debug)]
pub struct Succession {
    /// The CA with the new key.
    pub authority: CertificateAuthority,
    /// The new key's certificate by the old one, for devices that were not connected.
    pub cross: Vec<u8>,
    /// The old key's certificate by the new one, for those who never knew the old one.
    pub back: Vec<u8>,
    /// For the transparency log.
    pub announcement: Entry,
}

impl CertificateAuthority {
    /// A new CA for an organisation, self-signed.
    ///
    /// # Errors
    /// [`AuthorityError::Organisation`] for a name that can't be certified,
    /// [`AuthorityError::Time`] for a `now` after the year 9999.
    pub fn create(
        org: &str,
        key: IdentityKey,
        profiles: &Profiles,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, AuthorityError> {
        if !is_organisation(org) {
            return Err(AuthorityError::Organisation);
        }
        let name = profiles.ca().common_name(org);
        let until = now.after(profiles.ca().validity());
        let params = params(profiles.ca(), &name, key.public(), (now, until), rng)?;
        let der = params.self_signed(&Signer(&key))?;
        Self::load(key, der.der(), profiles)
    }

    /// The CA with this key and certificate.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] unless the certificate is a CA's and for this key;
    /// [`AuthorityError::Subject`] unless its subject is one common name, as
    /// [`create`](Self::create) writes it.
    pub fn load(
        key: IdentityKey,
        cert_der: &[u8],
        profiles: &Profiles,
    ) -> Result<Self, AuthorityError> {
        Self::load_chain(key, &[cert_der], profiles)
    }

    /// The CA with this key and this chain: its own certificate, and its root's if it has one.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_chain<C: AsRef<[u8]>>(
        key: IdentityKey,
        chain: &[C],
        profiles: &Profiles,
    ) -> Result<Self, AuthorityError> {
        let top = chain.last().ok_or(CaError::Chain)?;
        let certificate = CaCertificate::from_chain(chain, &CaCertificate::pin_of(top.as_ref())?)?;
        if certificate.public_key() != key.public() {
            return Err(CaError::Pin.into());
        }
        if certificate.common_name().is_none() {
            return Err(AuthorityError::Subject);
        }
        let shown = certificate.chain().map(<[u8]>::to_vec).collect();
        Ok(Self { key, certificate, shown, profiles: profiles.clone() })
    }

    /// The CA with this key and all that its server shows of it ([`CaCertificate::shown`]). Changes
    /// of the key that lead nowhere any more are left out.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_shown(
        key: IdentityKey,
        shown: Vec<Vec<u8>>,
        profiles: &Profiles,
        now: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        let shown = succession::current(shown, now)?;
        let certificate = CaCertificate::shown_by_itself(&shown, now)?;
        let loaded = Self::load_chain(key, &certificate.chain().collect::<Vec<_>>(), profiles)?;
        Ok(Self { certificate, shown, ..loaded })
    }

    /// The CA that is in the place of one whose key is lost or stolen: the same name, and nothing that
    /// the earlier key says for it; with the entry for the transparency log.
    ///
    /// # Errors
    /// [`AuthorityError::BelowRoot`] if a root makes its certificates; else as
    /// [`create`](Self::create).
    pub fn replace(
        before: &CaCertificate,
        key: IdentityKey,
        profiles: &Profiles,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Entry), AuthorityError> {
        if before.chain().count() != 1 {
            return Err(AuthorityError::BelowRoot);
        }
        let name = before.common_name().ok_or(AuthorityError::Subject)?;
        let until = now.after(profiles.ca().validity());
        let own = params(profiles.ca(), name, key.public(), (now, until), rng)?;
        let own = own.self_signed(&Signer(&key))?;
        let entry = Entry::Replace { from: before.pin(), to: *key.public() };
        Ok((Self::load(key, own.der(), profiles)?, entry))
    }

    /// The CA that comes after this one: the same name, a new key and a certificate of ten more
    /// years; with what makes devices follow. A CA below a root gets its next key from the root,
    /// which no device notices.
    ///
    /// # Errors
    /// [`AuthorityError::BelowRoot`] for such a CA; else as [`create`](Self::create).
    pub fn succeed(
        &self,
        key: IdentityKey,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Succession, AuthorityError> {
        if self.certificate.chain().count() != 1 {
            return Err(AuthorityError::BelowRoot);
        }
        self.certificate.valid_at(now)?;
        let profile = self.profiles.ca();
        let name = self.certificate.common_name().ok_or(AuthorityError::Subject)?;
        let until = now.after(profile.validity());
        let own = params(profile, name, key.public(), (now, until), rng)?;
        let own = own.self_signed(&Signer(&key))?;
        let until = until.min(self.certificate.not_after());
        let cross = params(profile, name, key.public(), (now, until), rng)?;
        let cross = self.issue(&cross, key.public())?;
        let announcement = rotation::announce(&self.key, key.public());
        let alone = Self::load(key.clone(), own.der(), &self.profiles)?;
        self.certificate.successor(&cross, alone.certificate())?;
        let back = params(profile, name, self.key.public(), (now, until), rng)?;
        let back = alone.issue(&back, self.key.public())?;
        let earlier = self.shown.get(1..).unwrap_or_default().iter().cloned();
        let first = [own.der().to_vec(), cross.clone(), back.clone()];
        let shown = first.into_iter().chain(earlier).take(MAX_SHOWN - 1).collect();
        let authority = Self::load_shown(key, shown, &self.profiles, now)?;
        Ok(Succession { authority, cross, back, announcement })
    }

    /// The CA's certificate in DER, without its root's.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.certificate.der()
    }

    /// All that a server shows of the CA, its own certificate first.
    #[must_use]
    pub fn shown(&self) -> &[Vec<u8>] {
        &self.shown
    }

    /// The CA's certificate as its members read it.
    #[must_use]
    pub const fn ca(&self) -> &CaCertificate {
        &self.certificate
    }

    /// What devices pin: SHA-256 of the `SubjectPublicKeyInfo` of the CA, or of its root.
    #[must_use]
    pub const fn pin(&self) -> Digest {
        self.certificate.pin()
    }

    /// The profiles it issues by.
    #[must_use]
    pub const fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// A member's certificate in DER, for the key of a request and the name it was checked for.
    /// It ends with the CA's own certificate at the latest.
    ///
    /// # Errors
    /// [`AuthorityError::OtherName`] if the request was checked for another name;
    /// [`AuthorityError::Validity`] if the CA's certificate is not valid now.
    pub fn issue_client(
        &self,
        request: &VerifiedCsr,
        name: &Name,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, AuthorityError> {
        if request.name() != name {
            return Err(AuthorityError::OtherName);
        }
        let profile = self.profiles.client();
        let mut params = self.leaf(profile, name.as_str(), request.public_key(), now, rng)?;
        params.subject_alt_names = vec![dns_name(name.as_str())?];
        let der = self.issue(&params, request.public_key())?;
        self.certificate.verify_member(&der)?;
        Ok(der)
    }

    /// A server's certificate in DER for these hosts, each once.
    /// It ends with the CA's own certificate at the latest.
    ///
    /// # Errors
    /// [`AuthorityError::NoHost`] without one; [`AuthorityError::Validity`] if the CA's
    /// certificate is not valid now; [`AuthorityError::Issued`] if the hosts are too many for
    /// one certificate ([`MAX_CERTIFICATE`](openchat_wire::limits::MAX_CERTIFICATE)).
    pub fn issue_server(
        &self,
        key: &PublicKey,
        hosts: &[HostName],
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, AuthorityError> {
        if hosts.is_empty() {
            return Err(AuthorityError::NoHost);
        }
        let mut params = self.leaf(self.profiles.server(), "", key, now, rng)?;
        for host in hosts {
            let name = host_name(host)?;
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        let der = self.issue(&params, key)?;
        self.certificate.verify_server(&der)?;
        Ok(der)
    }

    /// The statement of the server's own keys under the CA's signature.
    #[must_use]
    pub fn sign_server_keys(&self, keys: &ServerKeys) -> Vec<u8> {
        keys.sign(&self.key)
    }

    /// All but the alternative names of a leaf, which ends with the CA at the latest.
    fn leaf(
        &self,
        profile: &Profile,
        subject: &str,
        key: &PublicKey,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<CertificateParams, AuthorityError> {
        self.certificate.valid_at(now)?;
        let until = now.after(profile.validity()).min(self.certificate.not_after());
        params(profile, &profile.common_name(subject), key, (now, until), rng)
    }

    fn issue(
        &self,
        params: &CertificateParams,
        key: &PublicKey,
    ) -> Result<Vec<u8>, AuthorityError> {
        Ok(params.signed_by(&Subject(key), &self.issuer()?)?.der().to_vec())
    }

    fn issuer(&self) -> Result<Issuer<'_, Signer<'_>>, AuthorityError> {
        let name = self.certificate.common_name().ok_or(AuthorityError::Subject)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        params.key_identifier_method = key_identifier(self.key.public());
        Ok(Issuer::new(params, Signer(&self.key)))
    }
}

/// Every field but the alternative names, from the profile.
pub(crate) fn params(
    profile: &Profile,
    common_name: &str,
    key: &PublicKey,
    (now, until): (UnixMillis, UnixMillis),
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(Serial::random(rng).as_bytes()));
    params.not_before = date(earlier(now, profile.backdate()))?;
    params.not_after = date(until)?;
    params.distinguished_name = subject(common_name);
    params.is_ca = match profile.path_length() {
        Some(length) => IsCa::Ca(BasicConstraints::Constrained(length)),
        None => IsCa::ExplicitNoCa,
    };
    params.key_usages = profile.key_usages().map(key_usage).collect();
    params.extended_key_usages = profile.extended_key_usages().map(extended_key_usage).collect();
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = key_identifier(key);
    Ok(params)
}

pub(crate) fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject
}

/// RFC 7093 §2, method 4: a truncated hash of the whole `SubjectPublicKeyInfo`.
pub(crate) fn key_identifier(key: &PublicKey) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(sha256(&key.to_spki()).0.iter().take(20).copied().collect())
}

fn key_usage(usage: KeyUsage) -> KeyUsagePurpose {
    match usage {
        KeyUsage::DigitalSignature => KeyUsagePurpose::DigitalSignature,
        KeyUsage::KeyCertSign => KeyUsagePurpose::KeyCertSign,
        KeyUsage::CrlSign => KeyUsagePurpose::CrlSign,
    }
}

fn extended_key_usage(usage: ExtendedKeyUsage) -> ExtendedKeyUsagePurpose {
    match usage {
        ExtendedKeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

fn host_name(host: &HostName) -> Result<SanType, AuthorityError> {
    match host {
        HostName::Dns(name) => dns_name(name.as_str()),
        HostName::Ip(address) => Ok(SanType::IpAddress(*address)),
    }
}

fn dns_name(name: &str) -> Result<SanType, AuthorityError> {
    Ok(SanType::DnsName(name.try_into()?))
}

fn earlier(now: UnixMillis, by: core::time::Duration) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(UnixMillis(0).after(by).0))
}

/// Whole seconds; the encoder has no finer ones.
fn date(time: UnixMillis) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(time.seconds()).map_err(|_| AuthorityError::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Time)
}

/// Letters and digits of any script with the signs that names of firms have; nothing that could
/// steer a terminal or turn the direction of text.
pub(crate) fn is_organisation(org: &str) -> bool {
    const SIGNS: &[char] = &[' ', '.', ',', '-', '_', '&', '\'', '(', ')', '+', '/'];
    (1..=MAX_ORGANISATION).contains(&org.chars().count())
        && org.trim() == org
        && org.chars().all(|c| c.is_alphanumeric() || SIGNS.contains(&c))
}

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Empty, too long, or with characters that have no place in a name.
    #[error("an organisation is 1 to {MAX_ORGANISATION} letters, digits, spaces and .,-_&'()+/")]
    Organisation,
    /// The CA's certificate is not one, or not for this key.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// The CA's subject is not one common name, so it was not made here.
    #[error("the CA certificate's subject is not one common name")]
    Subject,
    /// The request was checked for another name than the certificate is to show.
    #[error("the request was checked for another name")]
    OtherName,
    /// A server without a name or address.
    #[error("a server certificate needs a host name or address")]
    NoHost,
    /// The CA's own certificate is not valid now.
    #[error("of the CA: {0}")]
    Validity(#[from] Validity),
    /// Its next key is the root's affair.
    #[error("a CA below a root gets its next key from the root")]
    BelowRoot,
    /// A time that certificates can't express.
    #[error("the time is beyond the year 9999")]
    Time,
    /// The certificate was made, but peers would refuse it. It is not given out.
    #[error("the certificate made would be refused: {0}")]
    Issued(#[from] MemberError),
    /// The encoder failed.
    #[error("the certificate can't be written: {0}")]
    Encoder(#[from] rcgen::Error),
}
