//! AWS-LC, which rustls brings anyway.

use super::{Backend, Point, RawSignature, Reference};
use crate::Secret;
use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    digest::{Context, Digest, SHA256},
    signature::{self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use p256::ecdsa::Signature;
use std::sync::Arc;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The implementation in use. It draws the nonces of signatures from the operating system, and binds
/// them to key and message, so that numbers that repeat give no key away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AwsLc;

/// A private key of AWS-LC, which overwrites all memory that it gives back (`OPENSSL_free`).
#[derive(Clone)]
pub(crate) struct Agreeing(Arc<PrivateKey>);

impl ZeroizeOnDrop for Agreeing {}

/// A private key of AWS-LC, counted by it; wiped as [`Agreeing`] is.
#[derive(Clone)]
pub(crate) struct Signing(EcdsaKeyPair);

impl ZeroizeOnDrop for Signing {}

impl Backend for AwsLc {
    type Agreeing = Agreeing;
    type Signing = Signing;

    fn agreeing(scalar: &[u8; 32]) -> Option<(Agreeing, Point)> {
        let key = PrivateKey::from_private_key(&ECDH_P256, scalar).ok()?;
        let point = key.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some((Agreeing(Arc::new(key)), point))
    }

    fn signing(scalar: &[u8; 32]) -> Option<(Signing, Point)> {
        // The library takes a bare scalar only together with its public key.
        let pkcs8 = Zeroizing::new([PKCS8_START, scalar].concat());
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        let point = signature::KeyPair::public_key(&key).as_ref().try_into().ok()?;
        Some((Signing(key), point))
    }

    fn is_point(bytes: &Point) -> bool {
        // A third of what AWS-LC takes, which makes a key of the point on the heap.
        Reference::is_point(bytes)
    }

    fn agree(private: &Agreeing, point: &Point) -> Option<Secret> {
        let point = UnparsedPublicKey::new(&ECDH_P256, uncompressed(point)?);
        agree(&private.0, point, (), |x| x.try_into().map(Secret::from_bytes).map_err(|_| ())).ok()
    }

    #[expect(clippy::expect_used, reason = "AWS-LC has no memory left, or a signature is none")]
    fn sign(private: &Signing, message: &[&[u8]]) -> RawSignature {
        let signature = private.0.sign_digest(&digest(message)).expect("a valid key signs");
        let signature = Signature::from_slice(signature.as_ref()).expect("a signature is in range");
        signature.normalize_s().to_bytes().into()
    }

    fn verify(point: &Point, message: &[&[u8]], signature: &RawSignature) -> bool {
        let Some(point) = uncompressed(point) else { return false };
        signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify_digest(&digest(message), signature)
            .is_ok()
    }
}

/// `PrivateKeyInfo` (RFC 5208) of a P-256 key without its public half, up to the scalar.
const PKCS8_START: &[u8] = &[
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];

/// AWS-LC takes hybrid points, too, which are 65 bytes with another beginning.
fn uncompressed(point: &Point) -> Option<&Point> {
    (point.first() == Some(&0x04)).then_some(point)
}

fn digest(message: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for piece in message {
        context.update(piece);
    }
    context.finish()
}
