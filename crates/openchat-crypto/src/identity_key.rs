//! The key a device, a CA or a relay signs with.

#[cfg(any(test, feature = "simulation"))]
use crate::backend::Reference;
use crate::{
    CryptoRng, InvalidKey, Label, PublicKey, Secret, Signature,
    backend::{Backend, Curve, RawSignature},
    key_pair::derived,
    public_key::length_of,
};
use core::fmt;
use openchat_wire::Fingerprint;
use p256::pkcs8::DecodePrivateKey;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A P-256 key for ECDSA with SHA-256. Never agrees on keys.
///
/// The nonce of a signature is drawn from the operating system and bound to the key and to what is
/// signed, so a weak random number generator can't give the key away; its `s` is in its lower half.
#[derive(Clone)]
pub struct IdentityKey {
    scalar: Secret,
    signer: Signer,
    public: PublicKey,
}

impl IdentityKey {
    /// A new key, from 32 random bytes by RFC 9180 §7.1.3.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        derived(Secret::random(rng).expose(), Self::new)
    }

    /// The key in a PKCS#8 document (RFC 5958, RFC 5915).
    ///
    /// # Errors
    /// [`InvalidKey`] if it is none of P-256, not DER, or names a public key of another.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidKey> {
        let key = p256::SecretKey::from_pkcs8_der(der).map_err(|_| InvalidKey)?;
        let scalar = Zeroizing::new(key.to_bytes());
        Self::new(Secret::from_bytes((*scalar).into())).ok_or(InvalidKey)
    }

    /// The key as a PKCS#8 document in DER, public key included.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(
            [PKCS8_START, self.scalar.expose(), PKCS8_MIDDLE, self.public.as_bytes()].concat(),
        )
    }

    /// The same key, which signs the same bytes the same way in every run (RFC 6979): for test
    /// vectors and simulations.
    #[cfg(any(test, feature = "simulation"))]
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the scalar is in range")]
    pub fn deterministic(mut self) -> Self {
        let (signing, _) = Reference::signing(self.scalar.expose()).expect("a key's scalar");
        self.signer = Signer::Deterministic(signing);
        self
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// [`PublicKey::fingerprint`] of the public half.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// Signs `"openchat/1 " ‖ label ‖ 0x00 ‖ length of body as u32 big-endian ‖ body`.
    /// The body begins with the signer's fingerprint.
    #[must_use]
    pub fn sign(&self, label: Label, body: &[u8]) -> Signature {
        let length = length_of(body);
        let [domain, text, end] = label.pieces();
        Signature::made(self.signer.sign(&[domain, text, end, &length, body]))
    }

    /// Signs `message` alone, as X.509 does: the signature in DER (RFC 3279 §2.2.3). Only for
    /// certificates, certification requests and TLS, whose messages never begin as ours do.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "what was just made is a signature"
    )]
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        p256::ecdsa::Signature::from_slice(&self.signer.sign(&[message]))
            .expect("a signature is in range")
            .to_der()
            .as_bytes()
            .to_vec()
    }

    /// The key with this scalar, if it is in range.
    fn new(scalar: Secret) -> Option<Self> {
        let (signing, point) = Curve::signing(scalar.expose())?;
        Some(Self { scalar, signer: Signer::Usual(signing), public: PublicKey::made(point) })
    }
}

/// How a key signs.
#[derive(Clone)]
enum Signer {
    Usual(<Curve as Backend>::Signing),
    #[cfg(any(test, feature = "simulation"))]
    Deterministic(<Reference as Backend>::Signing),
}

impl Signer {
    fn sign(&self, message: &[&[u8]]) -> RawSignature {
        match self {
            Self::Usual(key) => Curve::sign(key, message),
            #[cfg(any(test, feature = "simulation"))]
            Self::Deterministic(key) => Reference::sign(key, message),
        }
    }
}

/// `PrivateKeyInfo` of a P-256 key up to the scalar: every length is fixed.
const PKCS8_START: &[u8] = &[
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];

/// Between scalar and point: `[1] BIT STRING`.
const PKCS8_MIDDLE: &[u8] = &[0xa1, 0x44, 0x03, 0x42, 0x00];

// The scalar wipes itself, and so do both signers, by the bounds of `Backend`.
impl ZeroizeOnDrop for IdentityKey {}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({:?}, ..)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BadSignature, sha256,
        testing::{TestRng, hex, hex32},
    };

    /// The key of RFC 6979 A.2.5, as another implementation writes it.
    const PKCS8: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420\
        c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a144034200\
        0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
        7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

    /// r and s of "sample" in RFC 6979 A.2.5: a high s.
    const SAMPLE_R: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    const SAMPLE_HIGH_S: &str = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    /// n less that.
    const SAMPLE_LOW_S: &str = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";

    fn rfc_6979_key() -> IdentityKey {
        IdentityKey::from_pkcs8(&hex(PKCS8)).unwrap().deterministic()
    }

    fn key(seed: u64) -> IdentityKey {
        IdentityKey::generate(&mut TestRng(seed))
    }

    /// INTEGER of DER, for numbers of 32 bytes of which the first is not zero.
    fn integer(number: &str) -> Vec<u8> {
        let bytes = hex(number);
        if bytes[0] < 0x80 {
            [&[0x02, 32], &bytes[..]].concat()
        } else {
            [&[0x02, 33, 0], &bytes[..]].concat()
        }
    }

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let length = u8::try_from(r.len() + s.len()).unwrap();
        [&[0x30, length], r, s].concat()
    }

    #[test]
    fn rfc_6979_appendix_a_2_5() {
        let known = [
            ("sample", SAMPLE_R, SAMPLE_LOW_S),
            (
                "test",
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ];
        for (message, r, s) in known {
            let raw = rfc_6979_key().signer.sign(&[message.as_bytes()]);
            assert_eq!(raw[..], [hex32(r), hex32(s)].concat(), "{message}");
            let signature = rfc_6979_key().sign_der(message.as_bytes());
            assert_eq!(signature, der(&integer(r), &integer(s)), "{message}");
        }
    }

    #[test]
    fn signed_body_as_another_implementation_signs_it() {
        let known = hex("17e5d44cc1896e2e5a5c80732f71b1a5860819925acffbe22e6b5d9c626d2d0f\
             698857836a80a7f3a6160190422a374b23504aeb827a5bf3996e0b5f51d542be");
        assert_eq!(rfc_6979_key().sign(Label::Commit, b"body").as_bytes()[..], known);
    }

    #[test]
    fn only_a_deterministic_key_signs_alike_twice() {
        let twice = |key: &IdentityKey| [(); 2].map(|()| key.sign(Label::Commit, b"x"));
        let [one, other] = twice(&key(1));
        assert_ne!(one, other);
        let [one, other] = twice(&key(1).deterministic());
        assert_eq!(one, other);
        assert_eq!(key(1).public().verify(Label::Commit, b"x", &one), Ok(()));
        assert_eq!(key(1).deterministic().to_pkcs8(), key(1).to_pkcs8());
    }

    #[test]
    fn pkcs8_spki_and_fingerprint_as_another_implementation_writes_them() {
        let key = rfc_6979_key();
        assert_eq!(*key.to_pkcs8(), hex(PKCS8));
        let spki = hex("3059301306072a8648ce3d020106082a8648ce3d030107034200\
            0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
            7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
        assert_eq!(key.public().to_spki()[..], spki);
        assert_eq!(key.fingerprint().0, sha256(&spki).0);
        let known = hex32("5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4");
        assert_eq!(key.fingerprint().0, known);
    }

    #[test]
    fn a_key_comes_back_from_pkcs8() {
        let restored = IdentityKey::from_pkcs8(&key(1).to_pkcs8()).unwrap();
        assert_eq!(restored.public(), key(1).public());
        let signature = restored.sign(Label::Commit, b"x");
        assert_eq!(key(1).public().verify(Label::Commit, b"x", &signature), Ok(()));
    }

    #[test]
    fn a_pkcs8_document_with_the_public_key_of_another_is_refused() {
        let mut mixed = key(1).to_pkcs8();
        let start = mixed.len() - 65;
        mixed[start..].copy_from_slice(key(2).public().as_bytes());
        assert_eq!(IdentityKey::from_pkcs8(&mixed).err(), Some(InvalidKey));
    }

    #[test]
    fn a_pkcs8_document_of_another_curve_or_cut_or_longer_is_refused() {
        let p384 = hex("3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430\
            44a5acc3997706740d7e011b5d4b970deb43b19220a3830b3216a2a0b5ea05e1e38aeec2e271c074514cac68\
            fc476bffa1640362000455b6182bc65d16e022a6f8e375e6478d4610d9a6661cc53a86f23b6a176480794a70\
            8459402cc87bf0782479b5df7638af7c7329ea15e9b55456b7a020db7f3f4a065666ca4c2955f5e71740e6e6\
            e4c2c01936c0edc0f025dc914bc5c5f5bca8");
        assert_eq!(IdentityKey::from_pkcs8(&p384).err(), Some(InvalidKey));
        let good = key(1).to_pkcs8();
        for length in 0..good.len() {
            assert!(IdentityKey::from_pkcs8(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(IdentityKey::from_pkcs8(&[&good[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_signature_is_for_one_key_one_purpose_and_one_body() {
        let signature = key(1).sign(Label::Commit, b"body");
        let public = *key(1).public();
        assert_eq!(public.verify(Label::Commit, b"body", &signature), Ok(()));
        assert_eq!(public.verify(Label::Message, b"body", &signature), Err(BadSignature));
        assert_eq!(public.verify(Label::Commit, b"bodY", &signature), Err(BadSignature));
        assert_eq!(public.verify(Label::Commit, b"body\0", &signature), Err(BadSignature));
        assert_eq!(key(2).public().verify(Label::Commit, b"body", &signature), Err(BadSignature));
        let as_x509 = public.verify_der(b"body", signature.as_bytes());
        assert_eq!(as_x509, Err(BadSignature));
    }

    #[test]
    fn a_signature_with_any_bit_flipped_is_refused() {
        let signature = key(1).sign(Label::Commit, b"body");
        for bit in 0..512 {
            let mut bytes = *signature.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let verdict = Signature::from_bytes(&bytes)
                .and_then(|flipped| key(1).public().verify(Label::Commit, b"body", &flipped));
            assert_eq!(verdict, Err(BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn x509_signatures_may_have_a_high_s() {
        let public = *rfc_6979_key().public();
        for s in [SAMPLE_HIGH_S, SAMPLE_LOW_S] {
            let signature = der(&integer(SAMPLE_R), &integer(s));
            assert_eq!(public.verify_der(b"sample", &signature), Ok(()));
            assert_eq!(public.verify_der(b"sampl", &signature), Err(BadSignature));
        }
    }

    #[test]
    fn x509_signatures_that_are_not_der_are_refused() {
        let public = *rfc_6979_key().public();
        let (r, s) = (integer(SAMPLE_R), integer(SAMPLE_LOW_S));
        let good = der(&r, &s);
        assert_eq!(public.verify_der(b"sample", &good), Ok(()));
        let padded_s = [&[0x02, 33, 0], &s[2..]].concat();
        let negative_r = [&[0x02, 32], &r[3..]].concat();
        let long_length = [&[0x30, 0x81], &good[1..]].concat();
        let bad = [
            ("trailing byte", [&good[..], &[0]].concat()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("s with a needless zero", der(&r, &padded_s)),
            ("negative r", der(&negative_r, &s)),
            ("length in the long form", long_length),
            ("r = 0", der(&[0x02, 1, 0], &s)),
            ("s = 0", der(&r, &[0x02, 1, 0])),
            ("empty", vec![]),
        ];
        for (what, signature) in bad {
            assert_eq!(public.verify_der(b"sample", &signature), Err(BadSignature), "{what}");
        }
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let shown = format!("{:?}", key(1));
        assert_eq!(shown, format!("IdentityKey(PublicKey({}), ..)", key(1).fingerprint()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_verifies_in_its_one_form(seed: u64, body: Vec<u8>) {
            let key = key(seed);
            let signature = key.sign(Label::Message, &body);
            proptest::prop_assert_eq!(Signature::from_bytes(signature.as_bytes()), Ok(signature));
            proptest::prop_assert_eq!(key.public().verify(Label::Message, &body, &signature), Ok(()));
            proptest::prop_assert_eq!(key.public().verify_der(&body, &key.sign_der(&body)), Ok(()));
        }
    }
}
