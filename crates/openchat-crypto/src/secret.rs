//! Secrets of 32 bytes, what is derived from them (HKDF, RFC 5869) and tags (HMAC, RFC 2104).

use crate::{CryptoRng, Label};
use core::fmt;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes: wiped when dropped, redacted when printed, compared in constant time.
///
/// It serializes as its 32 raw bytes **for the vault only**, the store of a device; no
/// type that is sent or logged may contain one.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// 32 random bytes.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Self([0; 32]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// These bytes as a secret. The caller's copy is the caller's to wipe.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the moment they are used.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HKDF-Extract with SHA-256 (RFC 5869 §2.2). An empty salt counts as 32 zero bytes there.
    #[must_use]
    pub fn extract(salt: &[u8], ikm: &[u8]) -> Self {
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
        let secret = Self(prk.into());
        prk.zeroize();
        secret
    }

    /// Random bytes hedged: `extract(hedge, 32 random bytes)`. They stay secret if either the
    /// random numbers or `hedge` do.
    pub fn hedged(hedge: &Self, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::extract(&hedge.0, &Self::random(rng).0)
    }

    /// 32 bytes of HKDF-Expand with SHA-256 (RFC 5869 §2.3), where
    /// `info = "openchat/1 " ‖ label ‖ 0x00 ‖ context`.
    #[must_use]
    pub fn expand(&self, label: Label, context: &[u8]) -> Self {
        let [domain, text, end] = label.pieces();
        self.expand_parts(&[domain, text, end, context])
    }

    /// HKDF-Expand to 32 bytes with the info in pieces and no label of ours.
    pub(crate) fn expand_parts(&self, info: &[&[u8]]) -> Self {
        // One block of output: T(1) = HMAC(prk, info ‖ 0x01).
        let mut mac = self.hmac();
        for piece in info {
            mac.update(piece);
        }
        mac.update(&[1]);
        let mut block = mac.finalize().into_bytes();
        let secret = Self(block.into());
        block.zeroize();
        secret
    }

    /// HMAC-SHA-256 of `data` under this secret.
    #[must_use]
    pub fn tag(&self, data: &[u8]) -> Tag {
        Tag(self.hmac().chain_update(data).finalize().into_bytes().into())
    }

    /// Checks a tag in constant time.
    ///
    /// # Errors
    /// [`BadTag`] if the tag is not [`tag`](Self::tag) of `data`.
    pub fn verify_tag(&self, data: &[u8], tag: &Tag) -> Result<(), BadTag> {
        if self.tag(data) == *tag { Ok(()) } else { Err(BadTag) }
    }

    /// Bytewise exclusive or: the one-time wrap of a join. A pad serves once.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Self {
        let mut result = self.clone();
        for (byte, pad) in result.0.iter_mut().zip(&other.0) {
            *byte ^= pad;
        }
        result
    }

    fn hmac(&self) -> Hmac<Sha256> {
        // HMAC pads a short key with zeros to its block (RFC 2104 §2), which is done here because
        // the constructor for a whole block can't fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (byte, key) in block.iter_mut().zip(&self.0) {
            *byte = *key;
        }
        let mac = Hmac::new(&block);
        block.zeroize();
        mac
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 32]>::deserialize(deserializer).map(Self)
    }
}

/// HMAC-SHA-256, all 32 bytes of it. Public, but compared in constant time: an expected tag is not
/// public before it was sent.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Tag(pub [u8; 32]);

impl Tag {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Tag {}

impl fmt::Debug for Tag {
    /// Redacted, because the tag that one computes to compare with is a secret until it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

/// The tag does not belong to the data and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tag is wrong")]
pub struct BadTag;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sha256,
        testing::{TestRng, hex, hex32},
    };
    use openchat_wire::{DecodeError, decode, encode};

    /// HMAC pads a key with zeros, so that a shorter one is the same as a padded one.
    fn padded(key: &[u8]) -> Secret {
        let mut bytes = [0; 32];
        bytes[..key.len()].copy_from_slice(key);
        Secret(bytes)
    }

    #[test]
    fn rfc_5869_appendix_a() {
        // Test cases 1 to 3; of the output, the first block.
        let known = [
            (
                hex("000102030405060708090a0b0c"),
                vec![0x0b; 22],
                hex("f0f1f2f3f4f5f6f7f8f9"),
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                (0x60..=0xaf).collect(),
                (0x00..=0x4f).collect(),
                (0xb0..=0xff).collect(),
                "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
            ),
            (
                vec![],
                vec![0x0b; 22],
                vec![],
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        for (salt, ikm, info, prk, okm) in known {
            let secret = Secret::extract(&salt, &ikm);
            assert_eq!(secret.0, hex32(prk));
            assert_eq!(secret.expand_parts(&[&info]).0, hex32(okm));
        }
    }

    #[test]
    fn rfc_4231_section_4() {
        let long = padded(&sha256(&[0xaa; 131]).0);
        let known: [(Secret, &[u8], &str); 6] = [
            (
                padded(&[0x0b; 20]),
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                padded(b"Jefe"),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                padded(&[0xaa; 20]),
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                padded(&(0x01..=0x19).collect::<Vec<u8>>()),
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                long.clone(),
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                long,
                b"This is a test using a larger than block-size key and a larger than \
                  block-size data. The key needs to be hashed before being used by the HMAC \
                  algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, data, tag) in known {
            assert_eq!(key.tag(data).0, hex32(tag));
        }
    }

    #[test]
    fn expansion_as_another_implementation_makes_it() {
        let secret = padded(&(0..32).collect::<Vec<u8>>());
        let known = hex32("05a8e6ef002567436e795f919086486fd467b60551877b5c2db75936387af192");
        assert_eq!(secret.expand(Label::Leaf, b"context").0, known);
    }

    #[test]
    fn expansion_depends_on_secret_label_and_context() {
        let secret = padded(b"one");
        let base = secret.expand(Label::Leaf, b"x");
        assert_ne!(base, padded(b"two").expand(Label::Leaf, b"x"));
        assert_ne!(base, secret.expand(Label::Node, b"x"));
        assert_ne!(base, secret.expand(Label::Leaf, b"y"));
    }

    #[test]
    fn a_changed_tag_key_or_text_is_refused() {
        let secret = padded(b"key");
        let tag = secret.tag(b"data");
        assert_eq!(secret.verify_tag(b"data", &tag), Ok(()));
        assert_eq!(secret.verify_tag(b"datA", &tag), Err(BadTag));
        assert_eq!(padded(b"kez").verify_tag(b"data", &tag), Err(BadTag));
        for bit in 0..256 {
            let mut flipped = tag;
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(secret.verify_tag(b"data", &flipped), Err(BadTag));
        }
    }

    #[test]
    fn hedged_randomness_needs_both_halves_to_fail() {
        let (hedge, other) = (padded(b"hedge"), padded(b"other"));
        let drawn = Secret::hedged(&hedge, &mut TestRng(1));
        assert_ne!(drawn, Secret::hedged(&other, &mut TestRng(1)));
        assert_ne!(drawn, Secret::hedged(&hedge, &mut TestRng(2)));
        let random = Secret::random(&mut TestRng(1));
        assert_eq!(drawn, Secret::extract(hedge.expose(), random.expose()));
    }

    #[test]
    fn debug_shows_no_byte() {
        let secret = padded(&[0xab; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(format!("{:?}", secret.tag(b"")), "Tag(..)");
    }

    #[test]
    fn secrets_are_wiped() {
        fn wiped_on_drop<T: ZeroizeOnDrop>() {}
        wiped_on_drop::<Secret>();
        wiped_on_drop::<crate::KeyPair>();
        wiped_on_drop::<crate::IdentityKey>();
        wiped_on_drop::<crate::fernet::MessageKey>();
        let mut secret = padded(&[0xab; 32]);
        secret.zeroize();
        assert_eq!(secret.0, [0; 32]);
    }

    #[test]
    fn the_vault_stores_the_32_bytes() {
        let secret = Secret::random(&mut TestRng(1));
        let stored = encode(&secret);
        assert_eq!(stored, secret.0);
        assert_eq!(decode::<Secret>(&stored, 32), Ok(secret));
        assert_eq!(decode::<Secret>(&stored[1..], 32), Err(DecodeError::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn a_wrap_comes_off_with_its_own_pad(secret: [u8; 32], pad: [u8; 32]) {
            let (secret, pad) = (Secret(secret), Secret(pad));
            let wrapped = secret.xor(&pad);
            proptest::prop_assert_eq!(wrapped.0[0], secret.0[0] ^ pad.0[0]);
            proptest::prop_assert_eq!(wrapped.xor(&pad), secret);
        }
    }
}
