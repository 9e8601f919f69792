//! The curve operations behind the key types. Two libraries do them: AWS-LC, which is fast, and
//! `p256`, which is pure Rust and the reference. Tests hold both to the same answers.

mod aws_lc;
mod reference;
#[cfg(test)]
mod tests;

pub(crate) use aws_lc::AwsLc;
pub(crate) use reference::Reference;

use crate::Secret;
use zeroize::ZeroizeOnDrop;

/// A point in the encoding of SEC 1 §2.3.3, uncompressed: `0x04 ‖ x ‖ y`.
pub(crate) type Point = [u8; 65];

/// `r ‖ s`, both 32 bytes big-endian.
pub(crate) type RawSignature = [u8; 64];

/// The implementation in use.
pub(crate) type Curve = AwsLc;

/// P-256: what a cryptographic library must do for us. Nothing else of ours calls one for it.
///
/// Private keys are kept as the library parsed them, because parsing one costs a multiplication.
pub(crate) trait Backend {
    /// A valid private key, ready to agree.
    type Agreeing: Clone + ZeroizeOnDrop;

    /// A valid private key, ready to sign.
    type Signing: Clone + ZeroizeOnDrop;

    /// The private key with this scalar, big-endian, and its public key; `None` if the scalar is 0
    /// or not below the order.
    fn agreeing(scalar: &[u8; 32]) -> Option<(Self::Agreeing, Point)>;

    /// As [`agreeing`](Self::agreeing).
    fn signing(scalar: &[u8; 32]) -> Option<(Self::Signing, Point)>;

    /// Whether the bytes are a point of the curve other than the identity, uncompressed.
    fn is_point(bytes: &Point) -> bool;

    /// x-coordinate of the product (ECDH); `None` only if `point` is not a point.
    fn agree(private: &Self::Agreeing, point: &Point) -> Option<Secret>;

    /// What either of two private keys agrees on with the other's public one, for whoever has both:
    /// with their product on the base point, whose multiples are precomputed. `None` only if one
    /// of the scalars is out of range.
    fn agree_alone(one: &[u8; 32], other: &[u8; 32]) -> Option<Secret> {
        let product = reference::product(one, other)?;
        let (_, point) = Self::agreeing(product.expose())?;
        point.get(1..33)?.try_into().ok().map(Secret::from_bytes)
    }

    /// ECDSA with SHA-256 over the joined pieces, `s` in its lower half.
    fn sign(private: &Self::Signing, message: &[&[u8]]) -> RawSignature;

    /// Whether the signature is one of the joined pieces by `point`. Accepts either half for `s`.
    fn verify(point: &Point, message: &[&[u8]], signature: &RawSignature) -> bool;
}
