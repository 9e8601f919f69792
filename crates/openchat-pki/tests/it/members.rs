//! What must not pass for a member's certificate, and what each is called.

use crate::support::{
    CA_NAME, DAY, NOW, Subject, authority, bob, body, by_ca, ca, ca_key, common_name, date,
    element, frame, header_length, key, member_params, name, patched, rng, signed, split,
};
use openchat_pki::{Fault, IssuedError, MemberError, NotOurs, Validity, check_issued};
use openchat_wire::{UnixMillis, limits::MAX_CERTIFICATE};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use std::net::{IpAddr, Ipv4Addr};

fn refused(der: &[u8]) -> MemberError {
    ca().verify_member(der).unwrap_err()
}

fn not_ours(der: &[u8]) -> NotOurs {
    match refused(der) {
        MemberError::NotOurs(reason) => reason,
        other @ MemberError::NotAMember(_) => panic!("{other:?}"),
    }
}

/// The fault of a certificate like bob's but for one change, which the CA's own key signed.
fn fault(change: impl FnOnce(&mut CertificateParams)) -> Fault {
    let mut params = member_params("bob");
    change(&mut params);
    fault_of(&by_ca(&params))
}

fn fault_of(der: &[u8]) -> Fault {
    match refused(der) {
        MemberError::NotAMember(fault) => fault,
        other @ MemberError::NotOurs(_) => panic!("{other:?}"),
    }
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn a_members_certificate_is_read() {
    let bob = ca().verify_member(&bob()).unwrap();
    assert_eq!(bob.name(), &name("bob"));
    assert_eq!(bob.public_key(), key(3).public());
    assert_eq!(bob.fingerprint(), key(3).fingerprint());
    assert_eq!(bob.not_before(), UnixMillis(NOW.0 - 500 - 300_000));
    assert_eq!(bob.not_after(), UnixMillis(NOW.0 - 500 + 90 * DAY));
    let like = ca().verify_member(&by_ca(&member_params("bob"))).unwrap();
    assert_eq!(like.serial().to_string(), "41".repeat(16));
    assert_eq!(like.name(), &name("bob"), "the base of the attacks below is good");
}

#[test]
fn its_period_is_told_with_a_clock() {
    let bob = ca().verify_member(&bob()).unwrap();
    let (from, until) = (bob.not_before().0, bob.not_after().0);
    for (at, expected) in [
        (0, Err(Validity::NotYet)),
        (from - 1, Err(Validity::NotYet)),
        (from, Ok(())),
        (until, Ok(())),
        (until + 999, Ok(())),
        (until + 1000, Err(Validity::Expired)),
        (u64::MAX, Err(Validity::Expired)),
    ] {
        assert_eq!(bob.valid_at(UnixMillis(at)), expected, "{at}");
    }
}

#[test]
fn a_clock_five_minutes_slow_takes_a_new_certificate() {
    let bob = ca().verify_member(&bob()).unwrap();
    assert_eq!(bob.valid_at(UnixMillis(NOW.0 - 300_000)), Ok(()));
    assert_eq!(bob.valid_at(UnixMillis(NOW.0 - 301_000)), Err(Validity::NotYet));
}

#[test]
fn strangers_certificates_are_not_ours() {
    let subject = Subject::p256(key(3).public());
    let params = member_params("bob");
    let self_signed = signed(&params, &subject, "bob", &key(3));
    assert_eq!(not_ours(&self_signed), NotOurs::Issuer);
    let foreign = signed(&params, &subject, "Other openchat CA", &key(7));
    assert_eq!(not_ours(&foreign), NotOurs::Issuer);
    let foreign_under_our_name = signed(&params, &subject, CA_NAME, &key(7));
    assert_eq!(not_ours(&foreign_under_our_name), NotOurs::Signature);
}

#[test]
fn a_members_key_certifies_nobody() {
    let (alice, bob) = (key(8), key(3));
    let subject = Subject::p256(alice.public());
    let params = member_params("alice");
    assert_eq!(not_ours(&signed(&params, &subject, "bob", &bob)), NotOurs::Issuer);
    assert_eq!(not_ours(&signed(&params, &subject, CA_NAME, &bob)), NotOurs::Signature);
}

#[test]
fn garbage_is_not_ours() {
    let der = bob();
    assert_eq!(not_ours(&[]), NotOurs::Malformed);
    assert_eq!(not_ours(&[0x30, 0x80, 0, 0]), NotOurs::Malformed);
    assert_eq!(not_ours(&[der.as_slice(), &[0]].concat()), NotOurs::Malformed);
    assert_eq!(not_ours(&[der.as_slice(), &der].concat()), NotOurs::Malformed);
    assert_eq!(not_ours(&vec![0x30; MAX_CERTIFICATE + 1]), NotOurs::TooLong);
    for end in 0..der.len() {
        assert_eq!(not_ours(&der[..end]), NotOurs::Malformed, "{end}");
    }
}

#[test]
fn another_algorithm_is_not_ours() {
    let der = bob();
    let sha384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let inner = patched(body(&der), &sha256, &sha384);
    assert_eq!(not_ours(&frame(&inner, &ca_key())), NotOurs::Algorithm);
    let (header, tbs, rest) = split(&der);
    let outer = [header, tbs, &patched(rest, &sha256, &sha384)].concat();
    assert_eq!(not_ours(&outer), NotOurs::Algorithm);
}

#[test]
fn bytes_after_the_signed_fields_are_refused() {
    let der = bob();
    let tbs = body(&der);
    let content = &tbs[header_length(tbs)..];
    let longer = element(0x30, &[content, &[5, 0]].concat());
    assert!(ca().verify_member(&frame(&longer, &ca_key())).is_err());
}

#[test]
fn every_changed_byte_is_refused() {
    let (ca, der) = (ca(), bob());
    for at in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut changed = der.clone();
            changed[at] ^= bit;
            assert!(ca.verify_member(&changed).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_servers_certificate_is_no_members() {
    let hosts = ["bob".parse().unwrap()];
    let der = authority().issue_server(key(5).public(), &hosts, NOW, &mut rng(6)).unwrap();
    assert_eq!(fault_of(&der), Fault::ServerAuthOnly);
    assert_eq!(fault_of(&der).to_string(), "it is a server's");
    let member = ca().verify_server(&bob()).unwrap_err();
    assert_eq!(member, MemberError::NotAMember(Fault::ServerAuthMissing));
}

#[test]
fn the_cas_own_certificate_is_no_members() {
    assert_eq!(fault_of(ca().der()), Fault::Authority);
}

#[test]
fn client_authentication_must_be_stated_and_alone() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection, OcspSigning, Other};
    assert_eq!(
        fault(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        Fault::ServerAuthOnly
    );
    for usages in [
        vec![],
        vec![Any],
        vec![ClientAuth, Any],
        vec![ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
        vec![ClientAuth, EmailProtection],
        vec![ClientAuth, OcspSigning],
        vec![ClientAuth, Other(vec![1, 2, 3])],
    ] {
        assert_eq!(fault(|p| p.extended_key_usages = usages), Fault::ClientAuthMissing);
    }
}

#[test]
fn there_must_be_one_canonical_alternative_name() {
    for names in [
        vec![],
        vec![dns("bob"), dns("alice")],
        vec![dns("bob"), dns("bob")],
        vec![dns("bob"), SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))],
        vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))],
        vec![SanType::Rfc822Name("bob".try_into().unwrap())],
        vec![SanType::URI("bob".try_into().unwrap())],
        vec![SanType::OtherName((vec![1, 2, 3], "bob".into()))],
    ] {
        assert_eq!(fault(|p| p.subject_alt_names = names), Fault::Name, "common name alone");
    }
    let long = "b".repeat(33);
    for text in [
        "", "*", "*.bob", "Bob", "BOB", "bob\0", "\0bob", "b\0b", "bob.", "bob.org", " bob",
        "1bob", "-bob", &long,
    ] {
        assert_eq!(fault(|p| p.subject_alt_names = vec![dns(text)]), Fault::Name, "{text:?}");
    }
}

#[test]
fn the_common_name_does_not_count() {
    let mut params = member_params("bob");
    params.distinguished_name = common_name("alice");
    assert_eq!(ca().verify_member(&by_ca(&params)).unwrap().name(), &name("bob"));
}

#[test]
fn a_leaf_with_authority_is_refused() {
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(fault(|p| p.is_ca = ca), Fault::Authority);
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(fault(|p| p.key_usages.push(usage)), Fault::Authority);
    }
}

#[test]
fn a_key_that_may_not_sign_is_refused() {
    assert_eq!(fault(|p| p.key_usages.clear()), Fault::KeyUsage);
    assert_eq!(fault(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]), Fault::KeyUsage);
}

#[test]
fn only_known_extensions_may_be_critical() {
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    let harmless = unknown.clone();
    unknown.set_criticality(true);
    assert_eq!(fault(|p| p.custom_extensions = vec![unknown]), Fault::UnknownCritical);
    let mut params = member_params("bob");
    params.custom_extensions = vec![harmless];
    assert!(ca().verify_member(&by_ca(&params)).is_ok());
    // Policy constraints: the parser knows them, but nothing here applies them.
    let mut policy = CustomExtension::from_oid_content(&[2, 5, 29, 36], vec![0x30, 3, 0x80, 1, 0]);
    policy.set_criticality(true);
    assert_eq!(fault(|p| p.custom_extensions = vec![policy]), Fault::UnknownCritical);
}

#[test]
fn repeated_and_malformed_extensions_are_refused() {
    let alice = element(0x30, &element(0x82, b"alice"));
    let second_name = CustomExtension::from_oid_content(&[2, 5, 29, 17], alice);
    assert_eq!(fault(|p| p.custom_extensions = vec![second_name]), Fault::Extensions);
    let broken = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![4, 0]);
    let silent = |p: &mut CertificateParams| {
        p.is_ca = IsCa::NoCa;
        p.custom_extensions = vec![broken];
    };
    assert_eq!(fault(silent), Fault::Extensions, "unreadable constraints are not none");
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let p384 = Subject { bytes: vec![4; 97], algorithm: &PKCS_ECDSA_P384_SHA384 };
    let rsa = Subject { bytes: vec![0x30, 6, 2, 1, 7, 2, 1, 3], algorithm: &PKCS_RSA_SHA256 };
    let mut off_curve = Subject::p256(key(3).public());
    off_curve.bytes[64] ^= 1;
    let mut compressed = Subject::p256(key(3).public());
    compressed.bytes.truncate(33);
    compressed.bytes[0] = 2;
    let identity = Subject { bytes: vec![0], ..Subject::p256(key(3).public()) };
    for subject in [p384, rsa, off_curve, compressed, identity] {
        let der = signed(&member_params("bob"), &subject, CA_NAME, &ca_key());
        assert_eq!(fault_of(&der), Fault::Key);
    }
}

#[test]
fn serial_numbers_of_other_forms_are_refused() {
    for serial in [&[0x41; 15][..], &[0x41; 17], &[0; 16], &[0x80; 16], &[0x21; 16], &[1]] {
        let number = Some(SerialNumber::from_slice(serial));
        assert_eq!(fault(|p| p.serial_number = number), Fault::Serial, "{serial:?}");
    }
}

#[test]
fn impossible_periods_are_refused() {
    let backwards = |p: &mut CertificateParams| p.not_after = date(NOW.0 - DAY);
    assert_eq!(fault(backwards), Fault::Period);
    let before_1970 = |p: &mut CertificateParams| {
        p.not_before = time::OffsetDateTime::from_unix_timestamp(-1).unwrap();
    };
    assert_eq!(fault(before_1970), Fault::Period);
}

#[test]
fn version_1_is_refused() {
    let der = by_ca(&member_params("bob"));
    let tbs = patched(body(&der), &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 0]);
    assert_eq!(fault_of(&frame(&tbs, &ca_key())), Fault::Version);
}

#[test]
fn a_device_takes_only_what_it_asked_for() {
    let (ca, der, own) = (ca(), bob(), key(3));
    let check = |der: &[u8], who: &str, now| check_issued(&ca, der, &name(who), own.public(), now);
    assert_eq!(check(&der, "bob", NOW).unwrap().name(), &name("bob"));
    assert_eq!(check(&der, "alice", NOW), Err(IssuedError::OtherName));
    let other_key = check_issued(&ca, &der, &name("bob"), key(8).public(), NOW);
    assert_eq!(other_key, Err(IssuedError::OtherKey));
    let foreign = signed(&member_params("bob"), &Subject::p256(own.public()), "Other", &key(7));
    let not_ours = IssuedError::Certificate(MemberError::NotOurs(NotOurs::Issuer));
    assert_eq!(check(&foreign, "bob", NOW), Err(not_ours));
    let early = UnixMillis(NOW.0 + 91 * DAY);
    assert_eq!(check(&der, "bob", early), Err(IssuedError::Validity(Validity::Expired)));
    let ca_over = UnixMillis(ca.not_after().0 + 1000);
    assert_eq!(check(&der, "bob", ca_over), Err(IssuedError::CaValidity(Validity::Expired)));
    let slow = UnixMillis(NOW.0 - DAY);
    assert_eq!(check(&der, "bob", slow), Err(IssuedError::CaValidity(Validity::NotYet)));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(ca().verify_member(&bytes).is_err());
    }

    /// Fuzzes behind the signature: what the CA's own key signs must not panic either.
    #[test]
    fn no_signed_bytes_make_the_reader_panic(
        changes in proptest::collection::vec((0..400_usize, 0..=255_u8), 1..6)
    ) {
        let mut tbs = body(&bob()).to_vec();
        let length = tbs.len();
        for (at, byte) in changes {
            tbs[at % length] = byte;
        }
        let signed = frame(&tbs, &ca_key());
        drop(ca().verify_member(&signed));
        drop(ca().verify_server(&signed));
    }
}
