//! The curve operations behind the key types: the seam where a faster implementation is put in.

use crate::Secret;
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{MultipartSigner, MultipartVerifier},
};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A point in the encoding of SEC 1 §2.3.3, uncompressed: `0x04 ‖ x ‖ y`.
pub(crate) type Point = [u8; 65];

/// `r ‖ s`, both 32 bytes big-endian.
pub(crate) type RawSignature = [u8; 64];

/// The implementation in use.
pub(crate) type Curve = P256;

/// A private key of the implementation in use.
pub(crate) type Private = <Curve as Backend>::Private;

/// P-256: what a cryptographic library must do for us. Nothing else of ours calls one for it.
pub(crate) trait Backend {
    /// A valid private key, with its public key computed.
    type Private: Clone + ZeroizeOnDrop;

    /// The private key with this scalar, big-endian, unless it is 0 or not below the order.
    fn private(scalar: &[u8; 32]) -> Option<Self::Private>;

    /// The scalar, big-endian.
    fn scalar(private: &Self::Private) -> Secret;

    /// The public key.
    fn point(private: &Self::Private) -> Point;

    /// Whether the bytes are a point of the curve other than the identity, uncompressed.
    fn is_point(bytes: &Point) -> bool;

    /// x-coordinate of the product (ECDH); `None` only if `point` is not a point.
    fn agree(private: &Self::Private, point: &Point) -> Option<Secret>;

    /// ECDSA with SHA-256 over the joined pieces, `s` in its lower half.
    fn sign(private: &Self::Private, message: &[&[u8]]) -> RawSignature;

    /// Whether the signature is one of the joined pieces by `point`. Accepts either half for `s`.
    fn verify(point: &Point, message: &[&[u8]], signature: &RawSignature) -> bool;
}

/// The pure Rust implementation of the `p256` crate, which signs as in RFC 6979.
#[derive(Debug, Clone, Copy)]
pub(crate) struct P256;

impl Backend for P256 {
    type Private = SigningKey;

    fn private(scalar: &[u8; 32]) -> Option<SigningKey> {
        SigningKey::from_slice(scalar).ok()
    }

    fn scalar(private: &SigningKey) -> Secret {
        let bytes = Zeroizing::new(private.to_bytes());
        Secret::from_bytes((*bytes).into())
    }

    fn point(private: &SigningKey) -> Point {
        let mut point = [0; 65];
        // An uncompressed point has 65 bytes, as many as `point`.
        for (to, from) in
            point.iter_mut().zip(private.verifying_key().to_sec1_point(false).as_bytes())
        {
            *to = *from;
        }
        point
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

fn parse_point(bytes: &Point) -> Option<p256::PublicKey> {
    // The parser goes by the first byte, so 65 bytes that begin otherwise (hybrid points) end here.
    (bytes.first() == Some(&0x04)).then(|| p256::PublicKey::from_sec1_bytes(bytes).ok()).flatten()
}
