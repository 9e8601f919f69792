//! Key pairs for key agreement, derived as HPKE derives them (RFC 9180 §7.1.3).

use crate::{
    InvalidKey, PublicKey, Secret,
    backend::{Backend, Curve},
};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A P-256 key pair for ECDH: of a leaf, a node, a prekey, a commit. Never signs.
///
/// It serializes as the 32 bytes of its secret scalar **for the vault only**, and is validated when
/// it comes back.
#[derive(Clone)]
pub struct KeyPair {
    scalar: Secret,
    private: <Curve as Backend>::Agreeing,
    public: PublicKey,
}

impl KeyPair {
    /// `DeriveKeyPair(ikm)` of DHKEM(P-256, HKDF-SHA256), RFC 9180 §7.1.3. The same secret always
    /// gives the same pair; the secret is not kept.
    #[must_use]
    pub fn derive(ikm: &Secret) -> Self {
        derived(ikm.expose(), Self::new)
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// ECDH: the x-coordinate of the shared point (SP 800-56A §5.7.1.2). Not uniform, so it goes
    /// through [`Secret::extract`] before it serves as a key.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "a PublicKey was checked to be a point when it was made"
    )]
    pub fn agree(&self, public: &PublicKey) -> Secret {
        Curve::agree(&self.private, public.as_bytes()).expect("a public key is a point")
    }

    /// What [`agree`](Self::agree) gives with the public half of `other`, at a third of the cost.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "both are in range")]
    pub fn agree_alone(&self, other: &Self) -> Secret {
        Curve::agree_alone(self.scalar.expose(), other.scalar.expose()).expect("two scalars")
    }

    /// The pair with this scalar, if it is in range.
    fn new(scalar: Secret) -> Option<Self> {
        let (private, point) = Curve::agreeing(scalar.expose())?;
        Some(Self { scalar, private, public: PublicKey::made(point) })
    }
}

/// `key` of the private key that RFC 9180 §7.1.3 derives.
///
/// One candidate in about 2^32 is out of range and the next is taken; that 256 in a row are has no
/// probability worth an error.
#[expect(clippy::expect_used, reason = "256 candidates out of range: 2^-8192")]
pub(crate) fn derived<K>(ikm: &[u8], key: impl Fn(Secret) -> Option<K>) -> K {
    let labeled = Zeroizing::new([HPKE_VERSION, SUITE, b"dkp_prk", ikm].concat());
    let prk = Secret::extract(b"", &labeled);
    (0..=u8::MAX)
        .find_map(|counter| key(candidate(&prk, counter)))
        .expect("one of 256 candidates is in range")
}

/// `LabeledExpand(dkp_prk, "candidate", counter, 32)`; the bit mask of P-256 takes nothing away.
fn candidate(prk: &Secret, counter: u8) -> Secret {
    prk.expand_parts(&[&[0, 32], HPKE_VERSION, SUITE, b"candidate", &[counter]])
}

const HPKE_VERSION: &[u8] = b"HPKE-v1";

/// `"KEM" ‖ kem_id`, of DHKEM(P-256, HKDF-SHA256).
const SUITE: &[u8] = &[b'K', b'E', b'M', 0x00, 0x10];

// The scalar wipes itself, and so does the private key, by the bound of `Backend`.
impl ZeroizeOnDrop for KeyPair {}

impl PartialEq for KeyPair {
    /// By the public halves: one has only one private half.
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for KeyPair {}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?}, ..)", self.public)
    }
}

impl Serialize for KeyPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.scalar.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = Secret::deserialize(deserializer)?;
        Self::new(scalar).ok_or(InvalidKey).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestRng, hex, hex32};
    use openchat_wire::{DecodeError, decode, encode};

    fn pair(seed: u64) -> KeyPair {
        KeyPair::derive(&Secret::random(&mut TestRng(seed)))
    }

    #[test]
    fn rfc_9180_appendix_a_3_1() {
        let known = [
            (
                "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
                "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb",
                "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9\
                 8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
            ),
            (
                "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
                "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
                "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a82\
                 6a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
            ),
        ];
        for (ikm, scalar, point) in known {
            let pair = KeyPair::derive(&Secret::from_bytes(hex32(ikm)));
            assert_eq!(pair.scalar.expose(), &hex32(scalar));
            assert_eq!(pair.public().as_bytes()[..], hex(point));
        }
    }

    #[test]
    fn nist_cavp_ecc_cdh_p_256() {
        // KAS_ECC_CDH_PrimitiveTest.txt, counts 0 and 1: the peer's point, our scalar, our point
        // where it is given here, the shared x.
        let known = [
            (
                "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287\
                 db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
                "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
                "04ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230\
                 28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141",
                "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b",
            ),
            (
                "04809f04289c64348c01515eb03d5ce7ac1a8cb9498f5caa50197e58d43a86a7ae\
                 b29d84e811197f25eba8f5194092cb6ff440e26d4421011372461f579271cda3",
                "38f65d6dce47676044d58ce5139582d568f64bb16098d179dbab07741dd5caf5",
                "04119f2f047902782ab0c9e27a54aff5eb9b964829ca99c06b02ddba95b0a3f6d0\
                 8f52b726664cac366fc98ac7a012b2682cbd962e5acb544671d41b9445704d1d",
                "057d636096cb80b67a8c038c890e887d1adfa4195e9b3ce241c8a778c59cda67",
            ),
        ];
        for (peer, scalar, point, shared) in known {
            let pair: KeyPair = decode(&hex(scalar), 32).unwrap();
            assert_eq!(pair.public().as_bytes()[..], hex(point));
            let peer = PublicKey::from_bytes(&hex(peer)).unwrap();
            assert_eq!(pair.agree(&peer).expose(), &hex32(shared));
        }
    }

    #[test]
    fn both_sides_agree_and_no_third() {
        let (a, b, c) = (pair(1), pair(2), pair(3));
        assert_eq!(a.agree(b.public()), b.agree(a.public()));
        assert_ne!(a.agree(b.public()), a.agree(c.public()));
    }

    #[test]
    fn whoever_has_both_halves_agrees_as_either_does() {
        for seed in 0..50 {
            let (a, b) = (pair(seed), pair(seed + 1));
            assert_eq!(a.agree_alone(&b), a.agree(b.public()));
            assert_eq!(b.agree_alone(&a), a.agree(b.public()));
        }
        assert_eq!(pair(1).agree_alone(&pair(1)), pair(1).agree(pair(1).public()));
    }

    #[test]
    fn the_same_secret_gives_the_same_pair() {
        assert_eq!(pair(1), pair(1));
        assert_ne!(pair(1), pair(2));
    }

    #[test]
    fn the_vault_gives_back_the_pair() {
        let stored = encode(&pair(1));
        assert_eq!(stored.len(), 32);
        let restored: KeyPair = decode(&stored, 32).unwrap();
        assert_eq!(restored, pair(1));
        assert_eq!(restored.agree(pair(2).public()), pair(2).agree(pair(1).public()));
    }

    #[test]
    fn a_scalar_out_of_range_is_refused() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let largest = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";
        for scalar in [[0; 32], hex32(order), [0xff; 32]] {
            assert_eq!(decode::<KeyPair>(&scalar, 32), Err(DecodeError::Malformed));
        }
        assert!(decode::<KeyPair>(&hex(largest), 32).is_ok());
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let shown = format!("{:?}", pair(1));
        assert_eq!(shown, format!("KeyPair(PublicKey({}), ..)", pair(1).public().fingerprint()));
    }
}
