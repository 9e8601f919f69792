//! What must not pass for a certification request.

use crate::support::{
    NOW, Signer, authority, body, common_name, element, frame, header_length, key, name, patched,
    rng, split,
};
use openchat_pki::{CsrError, UnverifiedCsr, VerifiedCsr, certification_request};
use openchat_wire::limits::MAX_CSR;
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};

fn judged(der: &[u8]) -> Result<VerifiedCsr, CsrError> {
    UnverifiedCsr::decode(der)?.verify_for(&name("bob"))
}

fn refused(der: &[u8]) -> CsrError {
    judged(der).unwrap_err()
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("bob");
    params.subject_alt_names = vec![SanType::DnsName("bob".try_into().unwrap())];
    params
}

/// Like bob's own request but for one change.
fn changed(change: impl FnOnce(&mut CertificateParams)) -> Result<VerifiedCsr, CsrError> {
    let mut params = params();
    change(&mut params);
    judged(params.serialize_request(&Signer::new(&key(3))).unwrap().der())
}

fn bob() -> Vec<u8> {
    certification_request(&key(3), &name("bob")).unwrap()
}

#[test]
fn a_devices_request_is_taken() {
    let request = judged(&bob()).unwrap();
    assert_eq!(request.public_key(), key(3).public());
    assert_eq!(request.name(), &name("bob"));
}

#[test]
fn openssls_requests_are_taken() {
    for der in [
        &include_bytes!("../../testdata/csr-openssl-low-s.der")[..],
        include_bytes!("../../testdata/csr-openssl-high-s.der"),
    ] {
        let request = judged(der).unwrap();
        authority().issue_client(&request, &name("bob"), NOW, &mut rng(4)).unwrap();
    }
}

#[test]
fn other_keys_and_algorithms_are_refused() {
    for (der, expected) in [
        (&include_bytes!("../../testdata/csr-p384.der")[..], CsrError::Key),
        (include_bytes!("../../testdata/csr-p256-compressed-point.der"), CsrError::Key),
        (include_bytes!("../../testdata/csr-p256-explicit-curve.der"), CsrError::Key),
        (include_bytes!("../../testdata/csr-p256-sha384.der"), CsrError::Algorithm),
        (include_bytes!("../../testdata/csr-rsa-2048.der"), CsrError::Algorithm),
        (include_bytes!("../../testdata/csr-ed25519.der"), CsrError::Algorithm),
    ] {
        assert_eq!(refused(der), expected);
    }
}

#[test]
fn somebody_elses_key_is_refused() {
    let thief = Signer { key: &key(8), shown: *key(3).public() };
    let der = params().serialize_request(&thief).unwrap();
    assert_eq!(refused(der.der()), CsrError::Signature);
}

#[test]
fn q2_a_bad_signature_is_refused() {
    let good = bob();
    let mut der = good.clone();
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&der), CsrError::Signature);
    let alice = certification_request(&key(3), &name("amy")).unwrap();
    let (header, _, rest) = split(&good);
    let swapped = [header, body(&alice), rest].concat();
    assert_eq!(refused(&swapped), CsrError::Signature);
}

#[test]
fn every_changed_byte_is_refused() {
    let good = bob();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut der = good.clone();
            der[at] ^= bit;
            assert!(judged(&der).is_err(), "byte {at}");
        }
    }
}

#[test]
fn q1_other_sizes_are_refused() {
    let good = bob();
    assert_eq!(refused(&[]), CsrError::Malformed);
    assert_eq!(refused(&[good.as_slice(), &[0]].concat()), CsrError::Malformed);
    assert_eq!(refused(&[good.as_slice(), &good].concat()), CsrError::Malformed);
    assert_eq!(refused(&vec![0x30; 1024 * 1024]), CsrError::TooLong);
    let padded = [good.as_slice(), &vec![0; MAX_CSR]].concat();
    assert_eq!(refused(&padded), CsrError::TooLong);
    for end in 0..good.len() {
        assert_eq!(refused(&good[..end]), CsrError::Malformed, "{end}");
    }
}

#[test]
fn bytes_inside_the_frame_are_refused() {
    let good = bob();
    let inside = element(0x30, &[&good[header_length(&good)..], &[5, 0]].concat());
    assert_eq!(refused(&inside), CsrError::Malformed);
}

#[test]
fn another_version_is_refused() {
    let other = patched(body(&bob()), &[2, 1, 0, 0x30], &[2, 1, 1, 0x30]);
    assert_eq!(refused(&frame(&other, &key(3))), CsrError::Malformed);
}

#[test]
fn q3_a_request_for_a_cas_power_is_refused() {
    let ca = changed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(ca, Err(CsrError::Authority));
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(changed(|p| p.key_usages = vec![usage]), Err(CsrError::Authority));
    }
    assert!(changed(|p| p.is_ca = IsCa::ExplicitNoCa).is_ok());
}

#[test]
fn q3_a_request_for_another_name_is_refused() {
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    assert_eq!(changed(|p| p.distinguished_name = common_name("alice")), Err(CsrError::OtherName));
    for names in [
        vec![dns("alice")],
        vec![dns("bob"), dns("alice")],
        vec![dns("Bob")],
        vec![dns("*")],
        vec![dns("bob\0")],
        vec![SanType::Rfc822Name("bob".try_into().unwrap())],
        vec![SanType::URI("bob".try_into().unwrap())],
        vec![SanType::IpAddress([127, 0, 0, 1].into())],
    ] {
        assert_eq!(changed(|p| p.subject_alt_names = names), Err(CsrError::OtherName));
    }
    assert_eq!(
        UnverifiedCsr::decode(&bob()).unwrap().verify_for(&name("alice")),
        Err(CsrError::OtherName)
    );
}

#[test]
fn a_second_extension_request_hides_nothing() {
    let constraints = element(0x30, &[1, 1, 0xff]);
    let extension = [&[6, 3, 0x55, 0x1d, 0x13][..], &element(4, &constraints)].concat();
    let asked = element(0x31, &element(0x30, &element(0x30, &extension)));
    let second = Attribute { oid: &[1, 2, 840, 113_549, 1, 9, 14], values: asked };
    let key = key(3);
    let der = params().serialize_request_with_attributes(&Signer::new(&key), vec![second]);
    assert_eq!(refused(der.unwrap().der()), CsrError::Authority);
}

#[test]
fn unreadable_extensions_are_refused() {
    let broken = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![4, 0]);
    assert_eq!(changed(|p| p.custom_extensions = vec![broken]), Err(CsrError::Malformed));
}

#[test]
fn what_else_is_asked_decides_nothing() {
    let request = changed(|p| {
        p.distinguished_name.push(DnType::OrganizationName, "Acme");
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        p.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])];
    })
    .unwrap();
    let authority = authority();
    let plain = authority.issue_client(&judged(&bob()).unwrap(), &name("bob"), NOW, &mut rng(4));
    let asked = authority.issue_client(&request, &name("bob"), NOW, &mut rng(4));
    assert_eq!(asked, plain);
}

#[test]
fn a_request_without_names_gets_the_name_it_was_invited_for() {
    let nameless = changed(|p| {
        p.subject_alt_names.clear();
        p.distinguished_name = rcgen::DistinguishedName::new();
    });
    assert_eq!(nameless.unwrap().name(), &name("bob"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(judged(&bytes).is_err());
    }

    /// Fuzzes behind the signature.
    #[test]
    fn no_signed_bytes_make_the_reader_panic(
        changes in proptest::collection::vec((0..400_usize, 0..=255_u8), 1..6)
    ) {
        let mut info = body(&bob()).to_vec();
        let length = info.len();
        for (at, byte) in changes {
            info[at % length] = byte;
        }
        drop(judged(&frame(&info, &key(3))));
    }
}
