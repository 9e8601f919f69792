//! ECDSA signatures, in the one form that counts.

use crate::{array, backend::RawSignature};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `r ‖ s`, 32 bytes each, big-endian, both in range and `s` in its lower half, so that nobody can
/// turn one valid signature into another. Still no signature may serve as an identifier: its
/// author can make many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(RawSignature);

impl Signature {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The signature that [`as_bytes`](Self::as_bytes) gives, not yet checked against anything.
    ///
    /// # Errors
    /// [`BadSignature`] unless it is 64 bytes with 0 < r < n and 0 < s ≤ n/2.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSignature> {
        let raw: RawSignature = bytes.try_into().map_err(|_| BadSignature)?;
        // Big-endian numbers of one length compare as their bytes do.
        let (r, s) = raw.split_at(32);
        let in_range = ZERO[..] < *r && *r < ORDER[..] && ZERO[..] < *s && *s <= HALF_ORDER[..];
        if in_range { Ok(Self(raw)) } else { Err(BadSignature) }
    }

    /// A signature that this program has just made.
    pub(crate) const fn made(raw: RawSignature) -> Self {
        Self(raw)
    }
}

const ZERO: [u8; 32] = [0; 32];

/// The order n of P-256 (NIST SP 800-186 §3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// (n − 1) / 2, the largest low `s`.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

impl fmt::Debug for Signature {
    /// Without its bytes, which name nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(64 bytes)")
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        array::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: RawSignature = array::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// Not a signature, or not one by this key over these bytes: the difference is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is wrong")]
pub struct BadSignature;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityKey, Label, testing::TestRng};
    use openchat_wire::{DecodeError, decode, encode};

    const ONE: [u8; 32] = {
        let mut one = [0; 32];
        one[31] = 1;
        one
    };

    fn parsed(r: [u8; 32], s: [u8; 32]) -> Result<Signature, BadSignature> {
        Signature::from_bytes(&[r, s].concat())
    }

    /// `number` and one more, big-endian.
    fn plus_one(mut number: [u8; 32]) -> [u8; 32] {
        for byte in number.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        number
    }

    /// n − s.
    fn negated(s: &[u8]) -> Vec<u8> {
        let mut borrow = 0;
        let mut result = vec![0; 32];
        for i in (0..32).rev() {
            let difference = i16::from(ORDER[i]) - i16::from(s[i]) - borrow;
            borrow = i16::from(difference < 0);
            result[i] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        result
    }

    #[test]
    fn the_half_of_the_order_is_its_half() {
        // n is odd: n − (n − 1)/2 is one more than (n − 1)/2.
        assert_eq!(negated(&HALF_ORDER), plus_one(HALF_ORDER));
    }

    #[test]
    fn b4_zero_is_refused() {
        assert_eq!(parsed(ZERO, ONE), Err(BadSignature));
        assert_eq!(parsed(ONE, ZERO), Err(BadSignature));
        assert!(parsed(ONE, ONE).is_ok());
    }

    #[test]
    fn a_number_not_below_the_order_is_refused() {
        let largest: [u8; 32] = negated(&ONE).try_into().unwrap();
        assert!(parsed(largest, ONE).is_ok());
        assert_eq!(parsed(ORDER, ONE), Err(BadSignature));
        assert_eq!(parsed(plus_one(ORDER), ONE), Err(BadSignature));
        assert_eq!(parsed([0xff; 32], ONE), Err(BadSignature));
        assert_eq!(parsed(ONE, [0xff; 32]), Err(BadSignature));
    }

    #[test]
    fn b4_a_high_s_is_refused() {
        assert!(parsed(ONE, HALF_ORDER).is_ok());
        assert_eq!(parsed(ONE, plus_one(HALF_ORDER)), Err(BadSignature));
        assert_eq!(parsed(ONE, ORDER), Err(BadSignature));
    }

    #[test]
    fn the_other_form_of_a_valid_signature_is_refused() {
        let key = IdentityKey::generate(&mut TestRng(1));
        let good = key.sign(Label::Commit, b"body");
        let (r, s) = good.0.split_at(32);
        let other: RawSignature = [r, &negated(s)].concat().try_into().unwrap();
        assert_eq!(Signature::from_bytes(&other), Err(BadSignature));
        assert_eq!(decode::<Signature>(&other, 64), Err(DecodeError::Malformed));
        let smuggled = key.public().verify(Label::Commit, b"body", &Signature(other));
        assert_eq!(smuggled, Ok(()), "ECDSA itself takes both, so the decoder has to refuse one");
    }

    #[test]
    fn another_length_is_refused() {
        for length in [0, 63, 65, 128] {
            assert_eq!(Signature::from_bytes(&vec![1; length]), Err(BadSignature));
        }
    }

    #[test]
    fn it_encodes_as_64_bytes() {
        let good = IdentityKey::generate(&mut TestRng(1)).sign(Label::Commit, b"body");
        let bytes = encode(&good);
        assert_eq!(bytes, good.0);
        assert_eq!(decode::<Signature>(&bytes, 64), Ok(good));
        assert_eq!(decode::<Signature>(&[0; 64], 64), Err(DecodeError::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic_and_what_passes_is_unchanged(bytes: Vec<u8>) {
            if let Ok(signature) = Signature::from_bytes(&bytes) {
                proptest::prop_assert_eq!(&signature.as_bytes()[..], &bytes[..]);
            }
        }
    }
}
