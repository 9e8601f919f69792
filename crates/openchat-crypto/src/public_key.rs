//! P-256 public keys, valid by construction.

use crate::{
    BadSignature, Label, Signature, array,
    backend::{Backend, Curve, Point},
    sha256,
};
use core::fmt;
use openchat_wire::Fingerprint;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point of P-256 other than the identity: checked when made, 65 bytes uncompressed
/// (SEC 1 §2.3.3), and in that form encoded, without a length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(Point);

impl PublicKey {
    /// `0x04 ‖ x ‖ y`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The key that [`as_bytes`](Self::as_bytes) gives.
    ///
    /// # Errors
    /// [`InvalidKey`] for any other form (compressed, hybrid, the identity), a coordinate that is
    /// not below the field's prime, or a point that is not on the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let point = bytes.try_into().map_err(|_| InvalidKey)?;
        if Curve::is_point(&point) { Ok(Self(point)) } else { Err(InvalidKey) }
    }

    /// `SubjectPublicKeyInfo` in DER (RFC 5480 §2).
    #[must_use]
    pub fn to_spki(&self) -> [u8; 91] {
        let mut spki = [0; 91];
        for (to, from) in spki.iter_mut().zip(SPKI_START.iter().chain(&self.0)) {
            *to = *from;
        }
        spki
    }

    /// The key in a `SubjectPublicKeyInfo`, which must be the one that
    /// [`to_spki`](Self::to_spki) gives: named curve, uncompressed, no byte more.
    ///
    /// # Errors
    /// [`InvalidKey`] for anything else.
    pub fn from_spki(spki: &[u8]) -> Result<Self, InvalidKey> {
        spki.strip_prefix(SPKI_START).ok_or(InvalidKey).and_then(Self::from_bytes)
    }

    /// SHA-256 of the [`SubjectPublicKeyInfo`](Self::to_spki): the identity key's short name.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha256(&self.to_spki()).0)
    }

    /// Checks a signature of [`IdentityKey::sign`](crate::IdentityKey::sign).
    ///
    /// # Errors
    /// [`BadSignature`] if it is not one by this key, for this purpose, over these bytes.
    pub fn verify(
        &self,
        label: Label,
        body: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let length = length_of(body);
        let [domain, text, end] = label.pieces();
        let message = [domain, text, end, &length, body];
        verdict(Curve::verify(&self.0, &message, signature.as_bytes()))
    }

    /// Checks a signature as X.509 has them: ECDSA with SHA-256 over `message` alone, the signature
    /// in DER (RFC 3279 §2.2.3). Either half of the order is accepted for `s`, because OpenSSL
    /// makes both; so the bytes of such a signature must never name anything.
    ///
    /// # Errors
    /// [`BadSignature`] if it is not one by this key over these bytes, or not DER.
    pub fn verify_der(&self, message: &[u8], der: &[u8]) -> Result<(), BadSignature> {
        let signature = p256::ecdsa::Signature::from_der(der).map_err(|_| BadSignature)?;
        verdict(Curve::verify(&self.0, &[message], &signature.to_bytes().into()))
    }

    /// The public half of a key that this program has just made.
    pub(crate) const fn made(point: Point) -> Self {
        Self(point)
    }
}

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING` up to the point.
const SPKI_START: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Length of a signed body, as it stands before it.
///
/// A body of 4 GiB is far beyond every limit of the project; as the body comes last, even then two
/// bodies would never make one message.
pub(crate) fn length_of(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn verdict(good: bool) -> Result<(), BadSignature> {
    if good { Ok(()) } else { Err(BadSignature) }
}

impl fmt::Debug for PublicKey {
    /// By its fingerprint, which is what people and logs know it by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        array::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Point = array::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// Not a key: a public one off the curve or in another form, a private one out of range, or one
/// whose two halves don't belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid P-256 key")]
pub struct InvalidKey;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        IdentityKey,
        testing::{TestRng, hex},
    };
    use openchat_wire::{DecodeError, decode, encode};

    const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    /// A square root of the curve's b: with x = 0 a point.
    const Y_OF_ZERO: &str = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";

    fn key(seed: u64) -> PublicKey {
        *IdentityKey::generate(&mut TestRng(seed)).public()
    }

    fn parsed(first: u8, x: &[u8], y: &[u8]) -> Result<PublicKey, InvalidKey> {
        PublicKey::from_bytes(&[&[first], x, y].concat())
    }

    #[test]
    fn the_identity_is_refused() {
        assert_eq!(PublicKey::from_bytes(&[0]), Err(InvalidKey));
        assert_eq!(PublicKey::from_bytes(&[0; 65]), Err(InvalidKey));
        assert_eq!(parsed(4, &[0; 32], &[0; 32]), Err(InvalidKey));
    }

    #[test]
    fn b3_points_off_the_curve_are_refused() {
        let good = key(1);
        for bit in 8..65 * 8 {
            let mut bytes = *good.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(PublicKey::from_bytes(&bytes), Err(InvalidKey), "bit {bit}");
        }
    }

    #[test]
    fn compressed_hybrid_and_compact_forms_are_refused() {
        let good = key(1);
        let (x, y) = good.as_bytes()[1..].split_at(32);
        let compressed = 2 | (y[31] & 1);
        assert_eq!(parsed(compressed, x, &[]), Err(InvalidKey));
        assert_eq!(PublicKey::from_bytes(&[&[5], x].concat()), Err(InvalidKey));
        for first in (0..=u8::MAX).filter(|&first| first != 4) {
            assert_eq!(parsed(first, x, y), Err(InvalidKey), "first byte {first}");
        }
        assert_eq!(parsed(4, x, y), Ok(good));
    }

    #[test]
    fn another_length_is_refused() {
        let bytes = key(1).as_bytes().to_vec();
        assert_eq!(PublicKey::from_bytes(&bytes[..64]), Err(InvalidKey));
        assert_eq!(PublicKey::from_bytes(&[&bytes[..], &[0]].concat()), Err(InvalidKey));
        assert_eq!(PublicKey::from_bytes(&[]), Err(InvalidKey));
    }

    #[test]
    fn a_coordinate_not_below_the_prime_is_refused() {
        let y = hex(Y_OF_ZERO);
        assert!(parsed(4, &[0; 32], &y).is_ok());
        assert_eq!(parsed(4, &hex(PRIME), &y), Err(InvalidKey));
        assert_eq!(parsed(4, &[0xff; 32], &[0xff; 32]), Err(InvalidKey));
    }

    #[test]
    fn decoding_validates() {
        let good = key(1);
        let bytes = encode(&good);
        assert_eq!(bytes, good.as_bytes());
        assert_eq!(decode::<PublicKey>(&bytes, 65), Ok(good));
        let mut bad = bytes.clone();
        bad[64] ^= 1;
        assert_eq!(decode::<PublicKey>(&bad, 65), Err(DecodeError::Malformed));
        assert_eq!(decode::<PublicKey>(&bytes[..64], 65), Err(DecodeError::Malformed));
    }

    #[test]
    fn another_spki_than_ours_is_refused() {
        let good = key(1);
        let spki = good.to_spki();
        assert_eq!(PublicKey::from_spki(&spki), Ok(good));
        assert_eq!(PublicKey::from_spki(&[&spki[..], &[0]].concat()), Err(InvalidKey));
        assert_eq!(PublicKey::from_spki(&spki[..90]), Err(InvalidKey));
        assert_eq!(PublicKey::from_spki(&[]), Err(InvalidKey));
        for position in 0..SPKI_START.len() {
            let mut other = spki;
            other[position] ^= 1;
            assert_eq!(PublicKey::from_spki(&other), Err(InvalidKey), "byte {position}");
        }
    }

    #[test]
    fn keys_order_as_their_bytes_do() {
        let (a, b) = (key(1), key(2));
        assert_eq!(a.cmp(&b), a.as_bytes().cmp(b.as_bytes()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>) {
            proptest::prop_assert!(PublicKey::from_bytes(&bytes).is_err());
            proptest::prop_assert!(PublicKey::from_spki(&bytes).is_err());
            proptest::prop_assert!(key(1).verify_der(b"message", &bytes).is_err());
        }
    }
}
