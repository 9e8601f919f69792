//! Certificates, requests for them, and what the server signs.

use std::sync::OnceLock;

use openchat_crypto::{IdentityKey, PublicKey, Signature};
use openchat_pki::{
    CaCertificate, CertificateAuthority, Entry, Profiles, ServerKeys, UnverifiedCsr,
    UnverifiedHead, certification_request, check_issued, verify_receipt,
};
use openchat_wire::{
    Blob, Digest, Name, UnixMillis, decode, encode, limits::MAX_CSR, limits::MAX_FRAME,
    relay::SignedReceipt,
};

use crate::Random;

/// When everything here is valid.
const NOW: UnixMillis = UnixMillis(1_782_864_000_000);

/// A request for a certificate.
pub fn request(data: &[u8]) {
    let Ok(request) = UnverifiedCsr::decode(data) else { return };
    assert!(data.len() <= MAX_CSR);
    let Ok(verified) = request.verify_for(&office().name) else { return };
    assert_eq!(verified.name(), &office().name);
    let issued = office().authority.issue_client(&verified, &office().name, NOW, &mut rng());
    let key = verified.public_key();
    check_issued(office().authority.ca(), &issued.unwrap(), &office().name, key, NOW).unwrap();
}

/// A member's or a server's certificate, and the CA's.
pub fn certificate(data: &[u8]) {
    let ca = office().authority.ca();
    if let Ok(member) = ca.verify_member(data) {
        assert_eq!(data, office().certificate, "this CA has issued no other one");
        assert_eq!(member.name(), &office().name);
    }
    assert!(ca.verify_server(data).is_err(), "this CA has issued none");
    if CaCertificate::pinned(data, &ca.pin()).is_ok() {
        assert_eq!(data, ca.der(), "the CA has signed no other one");
    }
}

/// A head of the transparency log, and its entries.
pub fn transparency(data: &[u8]) {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode(), data, "an entry has two encodings");
    }
    if let Ok(head) = UnverifiedHead::decode(data) {
        assert!(head.verify(office().key.public(), &Digest([3; 32])).is_err(), "nobody signed it");
    }
}

/// The server's statement of its keys, its receipts, keys and signatures.
pub fn statements(data: &[u8]) {
    let ca = office().authority.ca();
    if ServerKeys::verify(data, ca).is_ok() {
        assert_eq!(data, office().statement, "the CA has signed no other one");
    }
    if let Ok(receipt) = decode::<SignedReceipt>(data, MAX_FRAME) {
        assert_eq!(encode(&receipt), data, "a receipt has two encodings");
        assert!(verify_receipt(&receipt, office().key.public()).is_err(), "nobody signed it");
    }
    let (body, signature) = data.split_at(data.len().saturating_sub(64));
    let (body, signature) = (Blob(body.to_vec()), Blob(signature.to_vec()));
    assert!(verify_receipt(&SignedReceipt { body, signature }, office().key.public()).is_err());
    if let Ok(key) = PublicKey::from_bytes(data) {
        assert_eq!(key.as_bytes()[..], *data, "a key has two encodings");
        assert_eq!(PublicKey::from_spki(&key.to_spki()).unwrap(), key);
    }
    if let Ok(key) = PublicKey::from_spki(data) {
        assert_eq!(key.to_spki()[..], *data, "a key has two encodings");
    }
    if let Ok(signature) = Signature::from_bytes(data) {
        assert_eq!(signature.as_bytes()[..], *data, "a signature has two encodings");
    }
    let _may_fail = IdentityKey::from_pkcs8(data).map(|key| key.fingerprint());
}

/// Bytes that the bodies take.
pub(crate) fn samples(target: &str) -> Vec<Vec<u8>> {
    let Office { authority, certificate, statement, key, .. } = office();
    match target {
        "request" => vec![certification_request(key, &office().name).unwrap()],
        "certificate" => vec![certificate.clone(), authority.certificate().to_vec()],
        "transparency" => {
            let mut log = openchat_pki::MerkleLog::new();
            let issued = authority.ca().verify_member(certificate).unwrap();
            let entry = Entry::issue(&issued).encode();
            log.push(&entry);
            vec![log.head(Digest([3; 32]), NOW).sign(&other_key()), entry]
        }
        "statements" => vec![
            statement.clone(),
            key.public().as_bytes().to_vec(),
            key.public().to_spki().to_vec(),
            key.to_pkcs8().to_vec(),
        ],
        _ => Vec::new(),
    }
}

/// A CA that has issued one certificate and signed one statement.
struct Office {
    authority: CertificateAuthority,
    name: Name,
    key: IdentityKey,
    certificate: Vec<u8>,
    statement: Vec<u8>,
}

fn office() -> &'static Office {
    static OFFICE: OnceLock<Office> = OnceLock::new();
    OFFICE.get_or_init(|| {
        let rng = &mut rng();
        let ca_key = IdentityKey::generate(rng).deterministic();
        let profiles = Profiles::builtin().unwrap();
        let authority = CertificateAuthority::create("fuzz", ca_key, &profiles, NOW, rng).unwrap();
        let name: Name = "alice".parse().unwrap();
        let key = IdentityKey::generate(rng).deterministic();
        let request = certification_request(&key, &name).unwrap();
        let request = UnverifiedCsr::decode(&request).unwrap().verify_for(&name).unwrap();
        let certificate = authority.issue_client(&request, &name, NOW, rng).unwrap();
        let keys = ServerKeys::new(*key.public(), *other_key().public());
        let statement = authority.sign_server_keys(&keys);
        Office { authority, name, key, certificate, statement }
    })
}

fn other_key() -> IdentityKey {
    IdentityKey::generate(&mut Random::new(b"another")).deterministic()
}

fn rng() -> Random {
    Random::new(b"the office")
}
