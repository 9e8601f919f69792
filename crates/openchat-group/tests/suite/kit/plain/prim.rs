//! §2.2 and §2.3: what everything is hashed, derived and signed with. The labels are written out
//! here once more, so that a change of one is seen.

use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret, Signature, Tag, sha256};

pub(crate) type Fpr = [u8; 32];
pub(crate) type Hash = [u8; 32];

pub(crate) const ZEROS: Hash = [0; 32];

/// `D(label)`.
fn domain(label: &str) -> Vec<u8> {
    [b"openchat/1 ", label.as_bytes(), &[0]].concat()
}

/// `H(label ‖ …)`.
pub(crate) fn hash(label: &str, parts: &[&[u8]]) -> Hash {
    sha256(&[domain(label), parts.concat()].concat()).0
}

pub(crate) fn sha(bytes: &[u8]) -> Hash {
    sha256(bytes).0
}

/// HKDF-Expand to one block, by its definition: HMAC(k, info ‖ 01).
fn expand_raw(secret: &Secret, info: &[u8]) -> Secret {
    Secret::from_bytes(secret.tag(&[info, &[1]].concat()).0)
}

/// `Expand(k, label ‖ context)`.
pub(crate) fn expand(secret: &Secret, label: &str, context: &[&[u8]]) -> Secret {
    expand_raw(secret, &[domain(label), context.concat()].concat())
}

/// `Extract(salt, ikm)`, by its definition: HMAC(salt, ikm), a short salt padded with zeros.
pub(crate) fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    let mut key = [0; 32];
    key[..salt.len()].copy_from_slice(salt);
    Secret::from_bytes(Secret::from_bytes(key).tag(ikm).0)
}

/// RFC 9180 §7.1.3 for DHKEM(P-256, HKDF-SHA256).
pub(crate) fn derive_pair(ikm: &Secret) -> KeyPair {
    let suite = [&b"HPKE-v1KEM"[..], &[0, 0x10]].concat();
    let prk = extract(b"", &[&suite[..], b"dkp_prk", ikm.expose()].concat());
    let candidate =
        |counter: u8| expand_raw(&prk, &[&[0, 32], &suite[..], b"candidate", &[counter]].concat());
    (0..=255).find_map(|counter| pair_of(candidate(counter).expose())).unwrap()
}

/// The pair with this private scalar.
pub(crate) fn pair_of(scalar: &[u8; 32]) -> Option<KeyPair> {
    openchat_wire::decode(scalar, 32).ok()
}

/// The pair of a leaf or node.
pub(crate) fn node_pair(secret: &Secret) -> KeyPair {
    derive_pair(&expand(secret, "key", &[]))
}

pub(crate) fn ecdh(pair: &KeyPair, other: &PublicKey) -> Secret {
    pair.agree(other)
}

/// SHA-256 of the DER `SubjectPublicKeyInfo`.
pub(crate) fn fpr(key: &PublicKey) -> Fpr {
    const START: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    sha(&[&START[..], key.as_bytes()].concat())
}

/// The primitives' name of a purpose.
fn purpose(label: &str) -> Label {
    Label::ALL.iter().copied().find(|known| known.as_str() == label).unwrap()
}

pub(crate) fn sign(key: &IdentityKey, label: &str, body: &[u8]) -> Signature {
    key.sign(purpose(label), body)
}

pub(crate) fn is_signed(key: &PublicKey, label: &str, body: &[u8], signature: &Signature) -> bool {
    key.verify(purpose(label), body, signature).is_ok()
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &Secret, bytes: &[u8]) -> Hash {
    key.tag(bytes).0
}

pub(crate) fn is_tag(key: &Secret, bytes: &[u8], tag: &Hash) -> bool {
    key.verify_tag(bytes, &Tag(*tag)).is_ok()
}
