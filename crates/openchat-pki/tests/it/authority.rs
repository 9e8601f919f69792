//! What the authority issues, field by field, read with another program's eyes.

use crate::support::{
    CA_NAME, DAY, NOW, StuckRng, authority, bob, body, ca_key, key, name, request, rng,
};
use openchat_crypto::sha256;
use openchat_pki::{
    AuthorityError, CaCertificate, CaError, CertificateAuthority, Fault, HostName, MemberError,
    NotOurs, ProfileError, Profiles, Validity, profile,
};
use openchat_wire::UnixMillis;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    parse_x509_certificate,
    x509::X509Version,
};

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = parse_x509_certificate(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

/// Dotted identifiers and criticality, in order.
fn extensions(certificate: &X509Certificate<'_>) -> Vec<(String, bool)> {
    certificate.extensions().iter().map(|e| (e.oid.to_id_string(), e.critical)).collect()
}

fn listed(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(oid, critical)| ((*oid).to_owned(), *critical)).collect()
}

const AUTHORITY_KEY: (&str, bool) = ("2.5.29.35", false);
const SUBJECT_KEY: (&str, bool) = ("2.5.29.14", false);
const ALTERNATIVE_NAMES: (&str, bool) = ("2.5.29.17", false);
const KEY_USAGE: (&str, bool) = ("2.5.29.15", true);
const EXTENDED_KEY_USAGE: (&str, bool) = ("2.5.29.37", false);
const BASIC_CONSTRAINTS: (&str, bool) = ("2.5.29.19", true);

/// The fields that all certificates share: version, serial, algorithms, issuer, key identifiers.
fn check_common(certificate: &X509Certificate<'_>, subject: &str, spki: &[u8]) {
    assert_eq!(certificate.version(), X509Version::V3);
    assert_eq!(certificate.raw_serial().len(), 16);
    assert_eq!(certificate.raw_serial()[0] & 0xc0, 0x40, "positive and of full length");
    for algorithm in [&certificate.signature_algorithm, &certificate.signature] {
        assert_eq!(algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2");
        assert!(algorithm.parameters.is_none());
    }
    assert_eq!(certificate.issuer().to_string(), format!("CN={CA_NAME}"));
    assert_eq!(certificate.subject().to_string(), format!("CN={subject}"));
    assert_eq!(certificate.public_key().raw, spki);
    assert!(certificate.issuer_uid.is_none() && certificate.subject_uid.is_none());
    let ca_id = &sha256(&ca_key().public().to_spki()).0[..20];
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                assert_eq!(id.key_identifier.as_ref().unwrap().0, ca_id);
            }
            ParsedExtension::SubjectKeyIdentifier(id) => assert_eq!(id.0, &sha256(spki).0[..20]),
            _ => {}
        }
    }
}

fn check_period(certificate: &X509Certificate<'_>, days: u64) {
    let validity = certificate.validity();
    let now = i64::try_from(NOW.seconds()).unwrap();
    assert_eq!(validity.not_before.timestamp(), now - 300);
    assert_eq!(validity.not_after.timestamp(), now + i64::try_from(days).unwrap() * 86_400);
    assert!(validity.not_before.is_utctime() && validity.not_after.is_utctime());
}

#[test]
fn the_authoritys_own_certificate_is_by_its_profile() {
    let authority = authority();
    let certificate = parse(authority.certificate());
    check_common(&certificate, CA_NAME, &ca_key().public().to_spki());
    check_period(&certificate, 3650);
    let all = [AUTHORITY_KEY, KEY_USAGE, SUBJECT_KEY, BASIC_CONSTRAINTS];
    assert_eq!(extensions(&certificate), listed(&all));
    let constraints = certificate.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.to_string(), "Digital Signature, Key Cert Sign, CRL Sign");
    assert_eq!(authority.pin(), sha256(&ca_key().public().to_spki()));
}

#[test]
fn a_members_certificate_is_by_its_profile() {
    let der = bob();
    let certificate = parse(&der);
    check_common(&certificate, "bob", &key(3).public().to_spki());
    check_period(&certificate, 90);
    let all = [
        AUTHORITY_KEY,
        ALTERNATIVE_NAMES,
        KEY_USAGE,
        EXTENDED_KEY_USAGE,
        SUBJECT_KEY,
        BASIC_CONSTRAINTS,
    ];
    assert_eq!(extensions(&certificate), listed(&all));
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
    assert_eq!(certificate.key_usage().unwrap().unwrap().value.to_string(), "Digital Signature");
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty());
    let names = certificate.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names, [GeneralName::DNSName("bob")]);
}

#[test]
fn a_servers_certificate_is_by_its_profile() {
    let authority = authority();
    let hosts: Vec<HostName> = ["chat.example.org", "127.0.0.1", "::1", "127.0.0.1"]
        .iter()
        .map(|host| host.parse().unwrap())
        .collect();
    let der = authority.issue_server(key(5).public(), &hosts, NOW, &mut rng(6)).unwrap();
    let certificate = parse(&der);
    check_common(&certificate, "openchat server", &key(5).public().to_spki());
    check_period(&certificate, 90);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth && !usage.any && usage.other.is_empty());
    assert_eq!(certificate.key_usage().unwrap().unwrap().value.to_string(), "Digital Signature");
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
    let mut v6 = [0; 16];
    v6[15] = 1;
    let names = certificate.subject_alternative_name().unwrap().unwrap().value;
    let expected = [
        GeneralName::DNSName("chat.example.org"),
        GeneralName::IPAddress(&[127, 0, 0, 1]),
        GeneralName::IPAddress(&v6),
    ];
    assert_eq!(names.general_names, expected);
    let read = authority.ca().verify_server(&der).unwrap();
    assert_eq!(read.hosts(), &hosts[..3]);
    assert_eq!(read.public_key(), key(5).public());
    assert_eq!(read.not_before().0, NOW.0 - 500 - 300_000);
    assert_eq!(read.valid_at(NOW), Ok(()));
    assert_eq!(
        read.valid_at(NOW.after(core::time::Duration::from_hours(91 * 24))),
        Err(Validity::Expired)
    );
}

/// OpenSSL has judged these certificates (`testdata/README.md`); the same are issued still. Their
/// signatures may differ, so the signed bodies are compared.
#[test]
fn what_openssl_accepted_is_what_is_issued() {
    let authority = authority();
    let hosts = ["chat.example.org", "127.0.0.1", "::1"].map(|host| host.parse().unwrap());
    let server = authority.issue_server(key(5).public(), &hosts, NOW, &mut rng(6)).unwrap();
    let frozen_ca = include_bytes!("../../testdata/issued-ca.der");
    let frozen_member = include_bytes!("../../testdata/issued-member.der");
    let frozen_server = include_bytes!("../../testdata/issued-server.der");
    assert_eq!(body(authority.certificate()), body(frozen_ca));
    assert_eq!(body(&bob()), body(frozen_member));
    assert_eq!(body(&server), body(frozen_server));
    let ca = CaCertificate::pinned(frozen_ca, &authority.pin()).unwrap();
    assert!(ca.verify_member(frozen_member).is_ok() && ca.verify_server(frozen_server).is_ok());
}

#[test]
fn serial_numbers_differ_and_survive_a_stuck_generator() {
    let (authority, mut rng) = (authority(), rng(9));
    let request = request(&key(3), &name("bob"));
    let serial = |der: &[u8]| authority.ca().verify_member(der).unwrap().serial();
    let one = authority.issue_client(&request, &name("bob"), NOW, &mut rng).unwrap();
    let two = authority.issue_client(&request, &name("bob"), NOW, &mut rng).unwrap();
    assert_ne!(serial(&one), serial(&two));
    for stuck in [0x00, 0x80, 0xff] {
        let der =
            authority.issue_client(&request, &name("bob"), NOW, &mut StuckRng(stuck)).unwrap();
        assert_ne!(serial(&der).as_bytes(), &[0; 16]);
    }
}

#[test]
fn dates_from_2050_on_are_generalized() {
    let profiles = Profiles::builtin().unwrap();
    let later = UnixMillis(NOW.0 + 20 * 365 * DAY);
    let authority =
        CertificateAuthority::create("Test", ca_key(), &profiles, later, &mut rng(2)).unwrap();
    let certificate = parse(authority.certificate());
    assert!(certificate.validity().not_before.is_utctime());
    assert!(certificate.validity().not_after.is_generalizedtime());
}

#[test]
fn a_time_that_no_certificate_can_say_is_refused() {
    let profiles = Profiles::builtin().unwrap();
    for now in [u64::MAX, 253_402_300_800_000 - DAY] {
        let made =
            CertificateAuthority::create("Test", ca_key(), &profiles, UnixMillis(now), &mut rng(2));
        assert_eq!(made.unwrap_err(), AuthorityError::Time);
    }
    let made =
        CertificateAuthority::create("Test", ca_key(), &profiles, UnixMillis(0), &mut rng(2));
    assert_eq!(made.unwrap().ca().not_before(), UnixMillis(0), "not before 1970");
}

#[test]
fn nothing_outlives_the_authority_or_is_issued_out_of_its_time() {
    let authority = authority();
    let request = request(&key(3), &name("bob"));
    let issue = |now| authority.issue_client(&request, &name("bob"), now, &mut rng(4));
    let end = authority.ca().not_after();
    let last_days = UnixMillis(end.0 - 10 * DAY);
    let der = issue(last_days).unwrap();
    assert_eq!(authority.ca().verify_member(&der).unwrap().not_after(), end);
    let expired = issue(UnixMillis(end.0 + 1000)).unwrap_err();
    assert_eq!(expired, AuthorityError::Validity(Validity::Expired));
    let early = issue(UnixMillis(authority.ca().not_before().0 - 1)).unwrap_err();
    assert_eq!(early, AuthorityError::Validity(Validity::NotYet));
}

#[test]
fn a_request_checked_for_one_name_is_not_issued_for_another() {
    let request = request(&key(3), &name("bob"));
    let issued = authority().issue_client(&request, &name("alice"), NOW, &mut rng(4));
    assert_eq!(issued.unwrap_err(), AuthorityError::OtherName);
}

#[test]
fn a_server_needs_hosts_but_not_too_many() {
    let authority = authority();
    let key = key(5);
    let issue = |hosts: &[HostName]| {
        authority.issue_server(key.public(), hosts, NOW, &mut rng(6)).unwrap_err()
    };
    assert_eq!(issue(&[]), AuthorityError::NoHost);
    let many: Vec<HostName> =
        (0..1000).map(|i| format!("host-{i}.example.org").parse().unwrap()).collect();
    let too_long = MemberError::NotOurs(NotOurs::TooLong);
    assert_eq!(issue(&many), AuthorityError::Issued(too_long));
}

#[test]
fn an_organisations_name_can_not_steer_a_terminal() {
    let profiles = Profiles::builtin().unwrap();
    let create =
        |org: &str| CertificateAuthority::create(org, ca_key(), &profiles, NOW, &mut rng(2));
    for org in ["A", "M\u{fc}ller & S\u{f6}hne (K\u{f6}ln)", "\u{682a}\u{5f0f}", &"x".repeat(48)] {
        let name = format!("CN={org} openchat CA");
        let made = create(org).unwrap();
        assert_eq!(parse(made.certificate()).subject().to_string(), name);
    }
    let long = "x".repeat(49);
    for org in ["", " ", " a", "a\n", "a\u{1b}[0m", "a\u{202e}b", "a\0b", "{org}", "a=b", &long] {
        assert_eq!(create(org).unwrap_err(), AuthorityError::Organisation, "{org:?}");
    }
}

#[test]
fn an_authority_is_loaded_only_with_its_own_key() {
    let profiles = Profiles::builtin().unwrap();
    let made = authority();
    let der = made.certificate();
    let loaded = CertificateAuthority::load(ca_key(), der, &profiles).unwrap();
    assert_eq!(loaded.certificate(), der);
    let request = request(&key(3), &name("bob"));
    let issued = loaded.issue_client(&request, &name("bob"), NOW, &mut rng(4)).unwrap();
    assert_eq!(issued, bob(), "the same certificate as before the restart");
    let load = |key, der: &[u8]| CertificateAuthority::load(key, der, &profiles).unwrap_err();
    assert_eq!(load(key(7), der), AuthorityError::Certificate(CaError::Pin));
    let not_self_issued = CaError::Unreadable(NotOurs::Issuer);
    assert_eq!(load(key(3), &bob()), AuthorityError::Certificate(not_self_issued));
}

#[test]
fn the_operators_profiles_decide() {
    let client = profile::BUILTIN_CLIENT
        .replace("valid_days = 90", "valid_days = 1")
        .replace("\"{name}\"", "\"{name} of Acme\"");
    let profiles = Profiles::parse(profile::BUILTIN_CA, profile::BUILTIN_SERVER, &client).unwrap();
    let authority =
        CertificateAuthority::create("Test", ca_key(), &profiles, NOW, &mut rng(2)).unwrap();
    let request = request(&key(3), &name("bob"));
    let der = authority.issue_client(&request, &name("bob"), NOW, &mut rng(4)).unwrap();
    let certificate = parse(&der);
    check_common(&certificate, "bob of Acme", &key(3).public().to_spki());
    check_period(&certificate, 1);
    let member = authority.ca().verify_member(&der).unwrap();
    assert_eq!(member.name(), &name("bob"), "the alternative name counts");
}

#[test]
fn errors_tell_the_operator_what_and_where() {
    let client = profile::BUILTIN_CLIENT.replace("valid_days = 90", "valid_days = 400");
    let error = Profiles::parse(profile::BUILTIN_CA, profile::BUILTIN_SERVER, &client).unwrap_err();
    assert!(matches!(error, ProfileError::Rule { .. }));
    assert_eq!(error.to_string(), "client.toml: valid_days must be 1 to 397");
    let fault = MemberError::NotAMember(Fault::ServerAuthOnly);
    assert_eq!(fault.to_string(), "issued by this CA, but it is a server's");
}
