//! What must not pass for the server's certificate.

use crate::support::{CA_NAME, NOW, Subject, by_ca, ca, key, member_params, signed};
use openchat_pki::{Fault, MemberError, NotOurs};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};

/// What the server profile comes to.
fn params() -> CertificateParams {
    let mut params = member_params("chat.example.org");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// The fault of a server's certificate with one change, which the CA's own key signed.
fn fault(change: impl FnOnce(&mut CertificateParams)) -> Fault {
    let mut params = params();
    change(&mut params);
    match ca().verify_server(&by_ca(&params)) {
        Err(MemberError::NotAMember(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_servers_certificate_is_read() {
    let server = ca().verify_server(&by_ca(&params())).unwrap();
    assert_eq!(server.hosts(), ["chat.example.org".parse().unwrap()]);
    assert_eq!(server.serial().to_string(), "41".repeat(16));
    assert_eq!(server.valid_at(NOW), Ok(()));
}

#[test]
fn a_strangers_is_not_ours() {
    let foreign = signed(&params(), &Subject::p256(key(3).public()), CA_NAME, &key(7));
    let refused = ca().verify_server(&foreign).unwrap_err();
    assert_eq!(refused, MemberError::NotOurs(NotOurs::Signature));
}

#[test]
fn a_server_has_no_authority() {
    assert_eq!(fault(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), Fault::Authority);
    assert_eq!(fault(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]), Fault::KeyUsage);
}

#[test]
fn server_authentication_must_be_stated_and_alone() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    for usages in [vec![], vec![ClientAuth], vec![ServerAuth, ClientAuth], vec![ServerAuth, Any]] {
        assert_eq!(fault(|p| p.extended_key_usages = usages), Fault::ServerAuthMissing);
    }
}

#[test]
fn hosts_must_be_names_or_addresses() {
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    for names in [
        vec![],
        vec![dns("*.example.org")],
        vec![dns("chat.example.org"), dns("a\0b")],
        vec![SanType::URI("https://chat.example.org".try_into().unwrap())],
    ] {
        assert_eq!(fault(|p| p.subject_alt_names = names), Fault::Name);
    }
}
