//! Certificates and requests that no authority of ours would make.

use crate::tls::Device;
use getrandom::{SysRng, rand_core::UnwrapErr};
use openchat_crypto::{IdentityKey, PublicKey, sha256};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber, SignatureAlgorithm, SigningKey,
};
use std::time::Duration;
use time::OffsetDateTime;

pub(crate) const DAY: Duration = Duration::from_hours(24);

pub(crate) fn key() -> IdentityKey {
    IdentityKey::generate(&mut UnwrapErr(SysRng))
}

/// A certificate as wished. It begins as one that the server accepts.
pub(crate) struct Wish {
    params: CertificateParams,
    key: IdentityKey,
}

impl Wish {
    pub(crate) fn new(name: &str, key: &IdentityKey) -> Self {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&[0x55; 16]));
        params.not_before = now - DAY;
        params.not_after = now + DAY;
        params.distinguished_name = common_name(name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = identifier(key.public());
        Self { params, key: key.clone() }
    }

    pub(crate) fn ending(mut self, from_now: time::Duration) -> Self {
        self.params.not_after = OffsetDateTime::now_utc() + from_now;
        self
    }

    pub(crate) fn beginning(mut self, from_now: time::Duration) -> Self {
        self.params.not_before = OffsetDateTime::now_utc() + from_now;
        self
    }

    pub(crate) fn for_uses(mut self, uses: &[ExtendedKeyUsagePurpose]) -> Self {
        self.params.extended_key_usages = uses.to_vec();
        self
    }

    pub(crate) fn with_an_unknown_critical_extension(mut self) -> Self {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        self.params.custom_extensions = vec![extension];
        self
    }

    /// With these alternative names, whatever they are, and no others.
    pub(crate) fn named(mut self, names: &[&[u8]]) -> Self {
        self.params.subject_alt_names.clear();
        self.params.custom_extensions = alternative_names(names);
        self
    }

    /// Issued by this key under this common name.
    pub(crate) fn issued(self, issuer: &IdentityKey, common_name: &str) -> Device {
        let mut params = CertificateParams::default();
        params.distinguished_name = self::common_name(common_name);
        params.key_identifier_method = identifier(issuer.public());
        let issuer = Issuer::new(params, Signer(issuer));
        let certificate = self.params.signed_by(&Signer(&self.key), &issuer).unwrap();
        Device { certificate: certificate.der().clone(), key: self.key }
    }
}

/// A request for a CA's certificate.
pub(crate) fn authority_request(name: &str, key: &IdentityKey) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_identifier_method = identifier(key.public());
    params.serialize_request(&Signer(key)).unwrap().der().to_vec()
}

/// A request under this common name for these alternative names, whatever they are.
pub(crate) fn request(common_name: &str, names: &[&[u8]], key: &IdentityKey) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = self::common_name(common_name);
    params.custom_extensions = alternative_names(names);
    params.key_identifier_method = identifier(key.public());
    params.serialize_request(&Signer(key)).unwrap().der().to_vec()
}

/// The extension in DER, byte by byte: no library writes all of this. None without a name.
fn alternative_names(names: &[&[u8]]) -> Vec<CustomExtension> {
    if names.is_empty() {
        return Vec::new();
    }
    let element = |tag: u8, body: &[u8]| {
        assert!(body.len() < 128);
        [&[tag, u8::try_from(body.len()).unwrap()], body].concat()
    };
    let names: Vec<u8> = names.iter().flat_map(|name| element(0x82, name)).collect();
    vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], element(0x30, &names))]
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn identifier(key: &PublicKey) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(sha256(&key.to_spki()).0[..20].to_vec())
}

struct Signer<'a>(&'a IdentityKey);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public().as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign_der(message))
    }
}
