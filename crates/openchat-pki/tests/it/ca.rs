//! What must not pass for the pinned CA's certificate.

use crate::support::{
    CA_NAME, Signer, Subject, authority, bob, body, by_ca, ca, ca_key, common_name, frame, key,
    member_params, patched, signed,
};
use openchat_crypto::sha256;
use openchat_pki::{
    AuthorityError, CaCertificate, CaError, CertificateAuthority, Fault, NotOurs, Validity,
};
use openchat_wire::{Digest, UnixMillis, limits::MAX_CERTIFICATE};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa,
    KeyUsagePurpose,
};

fn pin() -> Digest {
    authority().pin()
}

fn refused(der: &[u8]) -> CaError {
    CaCertificate::pinned(der, &pin()).unwrap_err()
}

/// What the CA profile comes to, under the CA's name.
fn ca_params() -> CertificateParams {
    let mut params = member_params("x");
    params.subject_alt_names.clear();
    params.extended_key_usages.clear();
    params.distinguished_name = common_name(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn self_signed(params: &CertificateParams) -> Vec<u8> {
    signed(params, &Subject::p256(ca_key().public()), CA_NAME, &ca_key())
}

#[test]
fn the_pinned_certificate_is_read() {
    let ca = ca();
    let again = CaCertificate::pinned(ca.der(), &pin()).unwrap();
    assert_eq!(again, ca);
    assert_eq!(ca.public_key(), ca_key().public());
    assert_eq!(ca.pin(), sha256(&ca_key().public().to_spki()));
    assert!(CaCertificate::pinned(&self_signed(&ca_params()), &pin()).is_ok());
}

#[test]
fn its_period_is_told_with_a_clock() {
    let ca = ca();
    assert_eq!(ca.valid_at(ca.not_before()), Ok(()));
    assert_eq!(ca.valid_at(UnixMillis(ca.not_before().0 - 1)), Err(Validity::NotYet));
    assert_eq!(ca.valid_at(UnixMillis(ca.not_after().0 + 1000)), Err(Validity::Expired));
}

#[test]
fn another_key_is_not_the_pinned_one() {
    let other = signed(&ca_params(), &Subject::p256(key(7).public()), CA_NAME, &key(7));
    assert_eq!(refused(&other), CaError::Pin);
    let zero = CaCertificate::pinned(ca().der(), &Digest([0; 32]));
    assert_eq!(zero.unwrap_err(), CaError::Pin);
}

#[test]
fn the_pinned_key_under_another_signature_is_refused() {
    let subject = Subject::p256(ca_key().public());
    let by_other = signed(&ca_params(), &subject, CA_NAME, &key(7));
    assert_eq!(refused(&by_other), CaError::Unreadable(NotOurs::Signature));
    let not_self_issued = signed(&ca_params(), &subject, "Other CA", &ca_key());
    assert_eq!(refused(&not_self_issued), CaError::Unreadable(NotOurs::Issuer));
}

#[test]
fn one_that_is_no_ca_is_refused() {
    let mut leaf = ca_params();
    leaf.is_ca = IsCa::ExplicitNoCa;
    let mut silent = ca_params();
    silent.is_ca = IsCa::NoCa;
    let mut deep = ca_params();
    deep.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let mut endless = ca_params();
    endless.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut mute = ca_params();
    mute.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut unstated = ca_params();
    unstated.key_usages.clear();
    for params in [leaf, silent, deep, endless, mute, unstated] {
        assert_eq!(refused(&self_signed(&params)), CaError::NotACa);
    }
}

#[test]
fn a_path_length_without_the_flag_makes_no_ca() {
    let mut params = ca_params();
    params.is_ca = IsCa::NoCa;
    let path_length_0 = vec![0x30, 3, 2, 1, 0];
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], path_length_0)];
    assert_eq!(refused(&self_signed(&params)), CaError::NotACa);
}

/// What the authority writes as issuer must be, to the byte, what its certificate has as subject.
#[test]
fn an_authority_does_not_issue_under_a_subject_that_it_would_write_otherwise() {
    let mut two = common_name(CA_NAME);
    two.push(DnType::OrganizationName, "Acme");
    let mut organisation = DistinguishedName::new();
    organisation.push(DnType::OrganizationName, "Acme");
    let mut printable = DistinguishedName::new();
    let text = "Acme".try_into().unwrap();
    printable.push(DnType::CommonName, DnValue::PrintableString(text));
    for subject in [two, organisation, printable] {
        let mut params = ca_params();
        params.distinguished_name = subject;
        let ca_key = ca_key();
        let der = params.self_signed(&Signer::new(&ca_key)).unwrap().der().to_vec();
        assert!(CaCertificate::pinned(&der, &pin()).is_ok(), "devices need not care");
        let loaded = CertificateAuthority::load(ca_key, &der, authority().profiles());
        assert_eq!(loaded.unwrap_err(), AuthorityError::Subject);
    }
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let mut params = ca_params();
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    assert_eq!(refused(&self_signed(&params)), CaError::Wrong(Fault::UnknownCritical));
}

#[test]
fn version_1_is_refused() {
    let body = patched(body(ca().der()), &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 0]);
    assert_eq!(refused(&frame(&body, &ca_key())), CaError::Wrong(Fault::Version));
}

#[test]
fn other_bytes_are_refused() {
    let der = ca().der().to_vec();
    let malformed = CaError::Unreadable(NotOurs::Malformed);
    assert_eq!(refused(&[]), malformed);
    assert_eq!(refused(&[der.as_slice(), &[0]].concat()), malformed);
    assert_eq!(refused(&vec![0; MAX_CERTIFICATE + 1]), CaError::Unreadable(NotOurs::TooLong));
    assert_eq!(refused(&bob()), CaError::Pin);
    assert_eq!(refused(&by_ca(&member_params("bob"))), CaError::Pin);
    for end in 0..der.len() {
        assert!(CaCertificate::pinned(&der[..end], &pin()).is_err(), "{end}");
    }
}
