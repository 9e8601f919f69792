//! Both backends give the same answers, wanted and refused.

use super::*;
use crate::testing::{hex, hex32};
use proptest::prelude::*;

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
/// A square root of the curve's b: with x = 0 a point.
const Y_OF_ZERO: &str = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";

fn one() -> [u8; 32] {
    hex32(&format!("{:064x}", 1))
}

/// n less 1.
fn largest() -> [u8; 32] {
    let mut largest = hex32(ORDER);
    largest[31] -= 1;
    largest
}

fn point(scalar: &[u8; 32]) -> Point {
    Reference::agreeing(scalar).unwrap().1
}

fn from_coordinates(first: u8, x: &str, y: &str) -> Point {
    [vec![first], hex(x), hex(y)].concat().try_into().unwrap()
}

/// What both say of a signature: if they agree.
fn verdict(point: &Point, message: &[&[u8]], signature: &RawSignature) -> bool {
    let said = AwsLc::verify(point, message, signature);
    assert_eq!(said, Reference::verify(point, message, signature), "{signature:02x?}");
    said
}

/// s as n − s.
fn other_form(signature: &RawSignature) -> RawSignature {
    let (r, s) = signature.split_at(32);
    let s: [u8; 32] = s.try_into().unwrap();
    let negated = -p256::ecdsa::Signature::from_scalars(one(), s).unwrap().split_scalars().1;
    [r, &negated.to_bytes()].concat().try_into().unwrap()
}

/// Bytes that are no point, and why.
fn not_points() -> Vec<(&'static str, Point)> {
    let zero = "00".repeat(32);
    let good = point(&one());
    let with_first = |first| {
        let mut bytes = good;
        bytes[0] = first;
        bytes
    };
    let mut off = good;
    off[64] ^= 1;
    vec![
        ("identity, filled up", [0; 65]),
        ("x = y = 0", from_coordinates(4, &zero, &zero)),
        ("x is the prime", from_coordinates(4, PRIME, Y_OF_ZERO)),
        ("both too large", [[4].as_slice(), &[0xff; 64]].concat().try_into().unwrap()),
        ("off the curve", off),
        ("hybrid, even", with_first(6)),
        ("hybrid, odd", with_first(7)),
        ("compressed, and more", with_first(2 | (good[64] & 1))),
        ("no form at all", with_first(0x80)),
    ]
}

#[test]
fn scalars_are_taken_in_range_and_with_the_same_point() {
    for scalar in [one(), largest(), [7; 32]] {
        let expected = Some(point(&scalar));
        assert_eq!(AwsLc::agreeing(&scalar).map(|(_, point)| point), expected);
        assert_eq!(AwsLc::signing(&scalar).map(|(_, point)| point), expected);
        assert_eq!(Reference::signing(&scalar).map(|(_, point)| point), expected);
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    let mut above = hex32(ORDER);
    above[31] += 1;
    for scalar in [[0; 32], hex32(ORDER), above, [0xff; 32]] {
        assert!(AwsLc::agreeing(&scalar).is_none(), "{scalar:02x?}");
        assert!(AwsLc::signing(&scalar).is_none(), "{scalar:02x?}");
        assert!(Reference::agreeing(&scalar).is_none(), "{scalar:02x?}");
        assert!(Reference::signing(&scalar).is_none(), "{scalar:02x?}");
    }
}

#[test]
fn products_of_scalars_out_of_range_are_none() {
    for scalar in [[0; 32], hex32(ORDER), [0xff; 32]] {
        assert_eq!(AwsLc::agree_alone(&scalar, &one()), None);
        assert_eq!(AwsLc::agree_alone(&one(), &scalar), None);
    }
    // (n − 1)² = 1, and 1 times any other is the other.
    let x = Some(Secret::from_bytes(point(&one())[1..33].try_into().unwrap()));
    assert_eq!(AwsLc::agree_alone(&largest(), &largest()), x);
    assert_eq!(AwsLc::agree_alone(&one(), &one()), x);
}

#[test]
fn what_is_no_point_neither_agrees_nor_verifies() {
    let (ours, _) = AwsLc::agreeing(&[7; 32]).unwrap();
    let (reference, _) = Reference::agreeing(&[7; 32]).unwrap();
    let (signing, _) = Reference::signing(&one()).unwrap();
    let signature = Reference::sign(&signing, &[b"body"]);
    assert!(verdict(&point(&one()), &[b"body"], &signature));
    for (why, bytes) in not_points() {
        assert!(!AwsLc::is_point(&bytes), "{why}");
        assert!(!Reference::is_point(&bytes), "{why}");
        assert_eq!(Reference::agree(&reference, &bytes), None, "{why}");
        assert!(!Reference::verify(&bytes, &[b"body"], &signature), "{why}");
        assert_eq!(AwsLc::agree(&ours, &bytes), None, "{why}");
        assert!(!AwsLc::verify(&bytes, &[b"body"], &signature), "{why}");
    }
}

#[test]
fn the_point_whose_x_is_zero_is_a_point() {
    let bytes = from_coordinates(4, &"00".repeat(32), Y_OF_ZERO);
    let (ours, _) = AwsLc::agreeing(&[7; 32]).unwrap();
    let (reference, _) = Reference::agreeing(&[7; 32]).unwrap();
    assert!(AwsLc::is_point(&bytes));
    assert_eq!(AwsLc::agree(&ours, &bytes), Reference::agree(&reference, &bytes));
}

#[test]
fn numbers_of_a_signature_out_of_range_are_refused() {
    let (signing, public) = Reference::signing(&[7; 32]).unwrap();
    let good = Reference::sign(&signing, &[b"body"]);
    let (r, s) = good.split_at(32);
    assert!(verdict(&public, &[b"body"], &good));
    for bad in [[0; 32], hex32(ORDER), [0xff; 32]] {
        for (r, s) in [(&bad[..], s), (r, &bad[..]), (&bad[..], &bad[..])] {
            let signature = [r, s].concat().try_into().unwrap();
            assert!(!verdict(&public, &[b"body"], &signature));
        }
    }
    for (r, s) in [(&one()[..], s), (r, &one()[..]), (&largest()[..], s), (r, &largest()[..])] {
        assert!(!verdict(&public, &[b"body"], &[r, s].concat().try_into().unwrap()));
    }
}

#[test]
fn both_verify_either_form_of_s_and_make_the_low_one() {
    let (ours, public) = AwsLc::signing(&[7; 32]).unwrap();
    let (reference, _) = Reference::signing(&[7; 32]).unwrap();
    // Half of all signatures have a high s before it is made low, so 64 leave no doubt.
    for count in 0..64_u8 {
        for signature in [AwsLc::sign(&ours, &[&[count]]), Reference::sign(&reference, &[&[count]])]
        {
            assert!(crate::Signature::from_bytes(&signature).is_ok());
            let high = other_form(&signature);
            assert!(crate::Signature::from_bytes(&high).is_err());
            assert!(verdict(&public, &[&[count]], &high));
        }
    }
}

#[test]
fn only_the_reference_repeats_itself() {
    let (ours, _) = AwsLc::signing(&[7; 32]).unwrap();
    let (reference, _) = Reference::signing(&[7; 32]).unwrap();
    assert_ne!(AwsLc::sign(&ours, &[b"x"]), AwsLc::sign(&ours, &[b"x"]));
    assert_eq!(Reference::sign(&reference, &[b"x"]), Reference::sign(&reference, &[b"x"]));
}

#[test]
fn parsed_keys_are_wiped() {
    fn wiped_on_drop<T: ZeroizeOnDrop>() {}
    wiped_on_drop::<<AwsLc as Backend>::Agreeing>();
    wiped_on_drop::<<AwsLc as Backend>::Signing>();
    wiped_on_drop::<<Reference as Backend>::Agreeing>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_verifies_what_the_other_signs(
        scalar: [u8; 32],
        pieces: [Vec<u8>; 3],
        bit in 0_usize..512,
    ) {
        // About one scalar in 2^32 is out of range.
        let (ours, public) = AwsLc::signing(&scalar).unwrap();
        let (reference, same) = Reference::signing(&scalar).unwrap();
        prop_assert_eq!(public, same);
        let pieces = pieces.each_ref().map(Vec::as_slice);
        for signature in [AwsLc::sign(&ours, &pieces), Reference::sign(&reference, &pieces)] {
            prop_assert!(verdict(&public, &pieces, &signature));
            prop_assert!(verdict(&public, &[&pieces.concat()], &signature));
            prop_assert!(!verdict(&public, &[&pieces.concat(), b"x"], &signature));
            let mut flipped = signature;
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verdict(&public, &pieces, &flipped));
        }
    }

    #[test]
    fn both_agree_on_the_same_secret(a: [u8; 32], b: [u8; 32]) {
        let (ours, point_a) = AwsLc::agreeing(&a).unwrap();
        let (reference, point_b) = Reference::agreeing(&b).unwrap();
        let (same, _) = Reference::agreeing(&a).unwrap();
        let shared = AwsLc::agree(&ours, &point_b);
        prop_assert!(shared.is_some());
        prop_assert_eq!(&shared, &Reference::agree(&same, &point_b));
        prop_assert_eq!(&shared, &Reference::agree(&reference, &point_a));
        prop_assert_eq!(&shared, &AwsLc::agree_alone(&a, &b));
        prop_assert_eq!(&shared, &Reference::agree_alone(&b, &a));
    }

    #[test]
    fn no_bytes_make_them_panic_or_differ(bytes: [[u8; 13]; 5], signature: [[u8; 32]; 2]) {
        let mut bytes: Point = bytes.concat().try_into().unwrap();
        let signature: RawSignature = signature.concat().try_into().unwrap();
        prop_assert!(!verdict(&bytes, &[b"body"], &signature));
        bytes[0] = 4;
        prop_assert!(!verdict(&bytes, &[b"body"], &signature));
        prop_assert!(!verdict(&point(&[7; 32]), &[b"body"], &signature));
        let (ours, _) = AwsLc::agreeing(&[7; 32]).unwrap();
        prop_assert!(AwsLc::agree(&ours, &bytes).is_none());
    }
}
