//! The `p256` crate: complete, pure Rust, three to five times slower than AWS-LC.

use super::{Backend, Point, RawSignature};
use crate::Secret;
use p256::{
    NonZeroScalar, PublicKey,
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{MultipartSigner, MultipartVerifier},
    },
    elliptic_curve::PrimeField,
};
use zeroize::Zeroizing;

/// The implementation that the other is measured by. It signs as in RFC 6979.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference;

impl Backend for Reference {
    type Agreeing = SigningKey;
    type Signing = SigningKey;

    fn agreeing(scalar: &[u8; 32]) -> Option<(SigningKey, Point)> {
        let key = SigningKey::from_slice(scalar).ok()?;
        let point = key.verifying_key().to_sec1_point(false).as_bytes().try_into().ok()?;
        Some((key, point))
    }

    fn signing(scalar: &[u8; 32]) -> Option<(SigningKey, Point)> {
        Self::agreeing(scalar)
    }

    fn is_point(bytes: &Point) -> bool {
        parse_point(bytes).is_some()
    }

    fn agree(private: &SigningKey, point: &Point) -> Option<Secret> {
        let shared = p256::ecdh::diffie_hellman(
            private.as_nonzero_scalar(),
            parse_point(point)?.as_affine(),
        );
        Some(Secret::from_bytes((*shared.raw_secret_bytes()).into()))
    }

    fn sign(private: &SigningKey, message: &[&[u8]]) -> RawSignature {
        let signature: Signature = private.multipart_sign(message);
        signature.normalize_s().to_bytes().into()
    }

    fn verify(point: &Point, message: &[&[u8]], signature: &RawSignature) -> bool {
        let (Some(key), Ok(signature)) = (parse_point(point), Signature::from_slice(signature))
        else {
            return false;
        };
        VerifyingKey::from(key).multipart_verify(message, &signature).is_ok()
    }
}

/// The product of two scalars modulo the order, unless one is out of range.
#[expect(clippy::arithmetic_side_effects, reason = "it is modular")]
pub(super) fn product(one: &[u8; 32], other: &[u8; 32]) -> Option<Secret> {
    let scalar = |bytes: &[u8; 32]| {
        let scalar = NonZeroScalar::from_repr((*bytes).into());
        Option::from(scalar).map(Zeroizing::<NonZeroScalar>::new)
    };
    let (one, other) = (scalar(one)?, scalar(other)?);
    let product = Zeroizing::new(*one * *other);
    let bytes = Zeroizing::new(product.to_repr());
    Some(Secret::from_bytes((*bytes).into()))
}

fn parse_point(bytes: &Point) -> Option<PublicKey> {
    // The parser goes by the first byte, so 65 bytes that begin otherwise (hybrid points) end here.
    (bytes.first() == Some(&0x04)).then(|| PublicKey::from_sec1_bytes(bytes).ok()).flatten()
}
