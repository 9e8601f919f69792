//! A CA whose key the tests hold, so that they can sign what it never would.

use core::convert::Infallible;
use openchat_crypto::{IdentityKey, PublicKey, sha256};
use openchat_pki::{
    CaCertificate, CertificateAuthority, Profiles, UnverifiedCsr, VerifiedCsr,
    certification_request,
};
use openchat_wire::{Name, UnixMillis};
use rand_core::{TryCryptoRng, TryRng};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm, SigningKey,
};

/// 2026-07-01T00:00:00.500Z: half a second, to show that certificates drop it.
pub(crate) const NOW: UnixMillis = UnixMillis(1_782_864_000_500);

pub(crate) const DAY: u64 = 24 * 3600 * 1000;

pub(crate) const CA_NAME: &str = "Test openchat CA";

/// SHA-256 in counter mode: the same numbers in every run.
pub(crate) struct TestRng {
    seed: u8,
    counter: u64,
}

pub(crate) fn rng(seed: u8) -> TestRng {
    TestRng { seed, counter: 0 }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            let block = sha256(&[&[self.seed], &self.counter.to_be_bytes()[..]].concat());
            self.counter += 1;
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// A generator that is stuck at one value.
pub(crate) struct StuckRng(pub(crate) u8);

impl TryRng for StuckRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for StuckRng {}

pub(crate) fn key(seed: u8) -> IdentityKey {
    IdentityKey::generate(&mut rng(seed)).deterministic()
}

/// The CA's key. No test uses seed 1 for another.
pub(crate) fn ca_key() -> IdentityKey {
    key(1)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn authority() -> CertificateAuthority {
    let profiles = Profiles::builtin().unwrap();
    CertificateAuthority::create("Test", ca_key(), &profiles, NOW, &mut rng(2)).unwrap()
}

pub(crate) fn ca() -> CaCertificate {
    authority().ca().clone()
}

pub(crate) fn request(key: &IdentityKey, name: &Name) -> VerifiedCsr {
    let der = certification_request(key, name).unwrap();
    UnverifiedCsr::decode(&der).unwrap().verify_for(name).unwrap()
}

/// The certificate that a member named bob with `key(3)` gets.
pub(crate) fn bob() -> Vec<u8> {
    let request = request(&key(3), &name("bob"));
    authority().issue_client(&request, &name("bob"), NOW, &mut rng(4)).unwrap()
}

/// What the client profile comes to, to be changed and signed.
pub(crate) fn member_params(alternative: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&[0x41; 16]));
    params.not_before = date(NOW.0 - 300_000);
    params.not_after = date(NOW.0 + 90 * DAY);
    params.distinguished_name = common_name("bob");
    params.subject_alt_names = vec![SanType::DnsName(alternative.try_into().unwrap())];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    params
}

pub(crate) fn date(millis: u64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(millis / 1000).unwrap()).unwrap()
}

pub(crate) fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// A certificate of these fields for bob's key, issued in the CA's name and by its key.
pub(crate) fn by_ca(params: &CertificateParams) -> Vec<u8> {
    signed(params, &Subject::p256(key(3).public()), CA_NAME, &ca_key())
}

/// A certificate of these fields, issued in this name and by this key.
pub(crate) fn signed(
    params: &CertificateParams,
    subject: &Subject,
    issuer_name: &str,
    issuer: &IdentityKey,
) -> Vec<u8> {
    let mut issuer_params = CertificateParams::default();
    issuer_params.distinguished_name = common_name(issuer_name);
    issuer_params.key_identifier_method = KeyIdMethod::PreSpecified(vec![8; 20]);
    let issuer = Issuer::new(issuer_params, Signer::new(issuer));
    params.signed_by(subject, &issuer).unwrap().der().to_vec()
}

/// A signed structure made of its body, by this key.
pub(crate) fn frame(body: &[u8], key: &IdentityKey) -> Vec<u8> {
    const ECDSA_WITH_SHA256: &[u8] =
        &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let signature = element(0x03, &[&[0], key.sign_der(body).as_slice()].concat());
    element(0x30, &[body, ECDSA_WITH_SHA256, &signature].concat())
}

pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    match length {
        [0, short] if short < 0x80 => [&[tag, short], content].concat(),
        [0, long] => [&[tag, 0x81, long], content].concat(),
        [high, low] => [&[tag, 0x82, high, low], content].concat(),
    }
}

/// A certificate or request in three: outer header, signed body, algorithm with signature.
pub(crate) fn split(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (header, content) = der.split_at(header_length(der));
    let length = match content[1] {
        0x82 => usize::from(u16::from_be_bytes([content[2], content[3]])),
        0x81 => usize::from(content[2]),
        short => usize::from(short),
    };
    let (body, rest) = content.split_at(header_length(content) + length);
    (header, body, rest)
}

/// The signed body of a certificate or request.
pub(crate) fn body(der: &[u8]) -> &[u8] {
    split(der).1
}

/// Bytes of tag and length.
pub(crate) fn header_length(der: &[u8]) -> usize {
    match der[1] {
        0x82 => 4,
        0x81 => 3,
        _ => 2,
    }
}

/// Replaces the one occurrence of `from`.
pub(crate) fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut places = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from);
    let (at, _) = places.next().unwrap();
    assert!(places.next().is_none(), "occurs once");
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

/// Signs with one key and shows the public half of, perhaps, another.
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a IdentityKey,
    pub(crate) shown: PublicKey,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(key: &'a IdentityKey) -> Self {
        Self { key, shown: *key.public() }
    }
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.shown.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign_der(message))
    }
}

/// A key to be certified, of any kind.
pub(crate) struct Subject {
    pub(crate) bytes: Vec<u8>,
    pub(crate) algorithm: &'static SignatureAlgorithm,
}

impl Subject {
    pub(crate) fn p256(key: &PublicKey) -> Self {
        Self { bytes: key.as_bytes().to_vec(), algorithm: &PKCS_ECDSA_P256_SHA256 }
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}
