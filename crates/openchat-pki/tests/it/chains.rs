//! A CA below a root whose key is elsewhere, and a CA whose key becomes another.

use crate::support::{
    CA_NAME, DAY, NOW, Subject, authority, bob, ca, ca_key, common_name, element, key,
    member_params, name, request, rng, signed,
};
use openchat_pki::{
    Announcement, AuthorityError, CaCertificate, CaError, CertificateAuthority, Fault, HostName,
    IssuedError, MemberError, NotOurs, OfflineRoot, Origin, Profiles, RootProfiles, ServerKeys,
    UnverifiedCsr, Validity, certification_request, check_issued, profile, rotation,
};
use openchat_wire::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType,
};

/// The root's key. The CA below it has `key(1)`, as the CA without a root has.
fn root_key() -> openchat_crypto::IdentityKey {
    key(40)
}

pub(crate) fn root() -> OfflineRoot {
    let profiles = RootProfiles::builtin().unwrap();
    OfflineRoot::create("Test", root_key(), &profiles, NOW, &mut rng(41)).unwrap()
}

pub(crate) fn hosts() -> Vec<HostName> {
    ["chat.example.org", "192.0.2.7", "2001:db8::7"].map(|host| host.parse().unwrap()).to_vec()
}

pub(crate) fn below() -> CertificateAuthority {
    let der = certify(&hosts());
    let chain = [der.as_slice(), root().certificate()].map(<[u8]>::to_vec);
    CertificateAuthority::load_chain(ca_key(), &chain, &Profiles::builtin().unwrap()).unwrap()
}

fn certify(hosts: &[HostName]) -> Vec<u8> {
    let excluded = ["secret.example.org".parse().unwrap()];
    root().certify(ca_key().public(), hosts, &excluded, NOW, &mut rng(42)).unwrap()
}

#[test]
fn t12_a_ca_below_a_root_issues_for_who_pins_the_root() {
    let authority = below();
    assert_eq!(authority.pin(), root().pin());
    assert_ne!(authority.pin(), ca().pin());
    let member = request(&key(3), &name("bob"));
    let der = authority.issue_client(&member, &name("bob"), NOW, &mut rng(4)).unwrap();
    let server = authority.issue_server(key(5).public(), &hosts(), NOW, &mut rng(6)).unwrap();
    let chain: Vec<Vec<u8>> = authority.ca().chain().map(<[u8]>::to_vec).collect();
    assert_eq!(chain.len(), 2);
    let ca = CaCertificate::from_chain(&chain, &root().pin()).unwrap();
    assert_eq!(ca.verify_member(&der).unwrap().name(), &name("bob"));
    assert_eq!(ca.verify_server(&server).unwrap().hosts(), hosts());
    // The server's keys are stated by the CA below, and believed by who has the root's pin alone.
    let keys = ServerKeys::new(*key(10).public(), *key(11).public());
    let origin = Origin::new(&ca, &authority.sign_server_keys(&keys));
    assert_eq!(origin.verify(Some(&root().pin())).unwrap().keys, keys);
}

#[test]
fn t12_the_ca_below_ends_with_the_root_and_after_two_years() {
    let ca = below().ca().clone();
    let two_years = UnixMillis(NOW.0 + 730 * DAY);
    assert_eq!(ca.valid_at(two_years), Ok(()));
    assert_eq!(ca.valid_at(UnixMillis(two_years.0 + 1_000)), Err(Validity::Expired));
    let late = UnixMillis(NOW.0 + 7_200 * DAY);
    let der = root().certify(ca_key().public(), &[], &[], late, &mut rng(1)).unwrap();
    let root_der = root().certificate().to_vec();
    let ca = CaCertificate::from_chain(&[der, root_der], &root().pin()).unwrap();
    assert_eq!(ca.not_after().0, NOW.0 - 500 + 7_300 * DAY);
    let expired = UnixMillis(NOW.0 + 7_301 * DAY);
    let refused = root().certify(ca_key().public(), &[], &[], expired, &mut rng(1));
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn t12_chains_of_another_shape_are_refused() {
    let (own, root_der) = (certify(&hosts()), root().certificate().to_vec());
    let pin = root().pin();
    let refused = |chain: &[Vec<u8>]| CaCertificate::from_chain(chain, &pin).unwrap_err();
    let none: [Vec<u8>; 0] = [];
    assert_eq!(refused(&none), CaError::Chain);
    assert_eq!(refused(&[own.clone(), own.clone(), root_der.clone()]), CaError::Chain);
    assert_eq!(
        refused(std::slice::from_ref(&root_der)),
        CaError::NotACa,
        "a root issues to no member"
    );
    assert_eq!(refused(std::slice::from_ref(&own)), CaError::Pin);
    assert_eq!(refused(&[root_der.clone(), own.clone()]), CaError::Pin, "in the other order");
    assert_eq!(refused(&[root_der.clone(), root_der.clone()]), CaError::NotACa);
    let strange = CaError::Unreadable(NotOurs::Issuer);
    assert_eq!(refused(&[ca().der().to_vec(), root_der.clone()]), strange);
    let pinned_to_own = CaCertificate::from_chain(&[own, root_der], &ca().pin());
    assert_eq!(pinned_to_own.unwrap_err(), CaError::Pin, "the pin is the root's");
}

/// What the intermediate profile comes to.
fn below_params() -> CertificateParams {
    let mut params = member_params("x");
    params.subject_alt_names.clear();
    params.distinguished_name = common_name(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn chain_of(change: impl FnOnce(&mut CertificateParams)) -> Result<CaCertificate, CaError> {
    let mut params = below_params();
    change(&mut params);
    let subject = Subject::p256(ca_key().public());
    let der = signed(&params, &subject, "Test openchat root", &root_key());
    CaCertificate::from_chain(&[der.as_slice(), root().certificate()], &root().pin())
}

#[test]
fn t12_a_ca_below_has_the_power_of_one_server_and_no_more() {
    assert!(chain_of(|_| ()).is_ok(), "the base of the attacks is good");
    for is_ca in [
        IsCa::ExplicitNoCa,
        IsCa::NoCa,
        IsCa::Ca(BasicConstraints::Unconstrained),
        IsCa::Ca(BasicConstraints::Constrained(1)),
    ] {
        assert_eq!(chain_of(|p| p.is_ca = is_ca).unwrap_err(), CaError::NotACa);
    }
    for usages in [vec![], vec![ExtendedKeyUsagePurpose::ServerAuth], {
        let mut more = below_params().extended_key_usages;
        more.push(ExtendedKeyUsagePurpose::CodeSigning);
        more
    }] {
        let refused = chain_of(|p| p.extended_key_usages = usages).unwrap_err();
        assert_eq!(refused, CaError::NotBelow);
    }
    let same_name = chain_of(|p| p.distinguished_name = common_name("Test openchat root"));
    assert_eq!(same_name.unwrap_err(), CaError::NotBelow);
    let own_key = root().certify(root_key().public(), &[], &[], NOW, &mut rng(1));
    assert_eq!(own_key.unwrap_err(), AuthorityError::Certificate(CaError::NotBelow));
    let by_other =
        signed(&below_params(), &Subject::p256(ca_key().public()), "Test openchat root", &key(7));
    let refused =
        CaCertificate::from_chain(&[by_other.as_slice(), root().certificate()], &root().pin());
    assert_eq!(refused.unwrap_err(), CaError::Unreadable(NotOurs::Signature));
    let mail = |p: &mut CertificateParams| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::Rfc822Name("example.org".to_owned())],
            excluded_subtrees: vec![],
        });
    };
    assert_eq!(
        chain_of(mail).unwrap_err(),
        CaError::Wrong(Fault::Extensions),
        "a limit we can't apply"
    );
}

#[test]
fn t12_names_beyond_the_constraints_are_refused() {
    let ca = below().ca().clone();
    let server = |names: Vec<SanType>| {
        let mut params = member_params("x");
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let subject = Subject::p256(key(5).public());
        ca.verify_server(&signed(&params, &subject, CA_NAME, &ca_key())).map(|_| ())
    };
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let ip = |text: &str| SanType::IpAddress(text.parse().unwrap());
    assert_eq!(server(vec![dns("chat.example.org"), ip("192.0.2.7"), ip("2001:db8::7")]), Ok(()));
    for names in [
        vec![ip("192.0.2.8")],
        vec![ip("2001:db8::8")],
        vec![dns("secret.example.org")],
        vec![dns("a.secret.example.org")],
        vec![dns("chat.example.org"), ip("127.0.0.1")],
    ] {
        assert_eq!(server(names), Err(MemberError::NotAMember(Fault::Constrained)));
    }
    let issued =
        below().issue_server(key(5).public(), &["10.0.0.1".parse().unwrap()], NOW, &mut rng(6));
    let refused = AuthorityError::Issued(MemberError::NotAMember(Fault::Constrained));
    assert_eq!(issued.unwrap_err(), refused, "the authority knows its own limits");
}

#[test]
fn t12_a_root_and_a_leaf_have_no_constraints() {
    let constraints = NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4]))],
        excluded_subtrees: vec![],
    };
    let mut params = below_params();
    params.extended_key_usages.clear();
    params.name_constraints = Some(constraints);
    let subject = Subject::p256(ca_key().public());
    let limited = signed(&params, &subject, CA_NAME, &ca_key());
    let refused = CaCertificate::pinned(&limited, &ca().pin()).unwrap_err();
    assert_eq!(refused, CaError::Wrong(Fault::UnknownCritical));
    let mut params = member_params("bob");
    let empty = CustomExtension::from_oid_content(&[2, 5, 29, 30], element(0x30, &[]));
    params.custom_extensions = vec![empty];
    let leaf = signed(&params, &Subject::p256(key(3).public()), CA_NAME, &ca_key());
    assert!(ca().verify_member(&leaf).is_err());
}

#[test]
fn a_request_carries_the_key_of_a_ca_to_its_root() {
    let der = certification_request(&ca_key(), &name("server")).unwrap();
    let read = |der: &[u8]| UnverifiedCsr::decode(der).and_then(UnverifiedCsr::verify_possession);
    assert_eq!(read(&der), Ok(*ca_key().public()));
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn roots_of_other_shapes_are_refused_in_their_profiles() {
    let parse = |root: &str, below: &str| RootProfiles::parse(root, below).unwrap_err().to_string();
    let (root, below) = (profile::BUILTIN_ROOT, profile::BUILTIN_INTERMEDIATE);
    let shallow = parse(&root.replace("path_length = 1", "path_length = 0"), below);
    assert!(shallow.starts_with("root.toml: path_length"), "{shallow}");
    let deep = parse(root, &below.replace("path_length = 0", "path_length = 1"));
    assert!(deep.starts_with("intermediate.toml: path_length"), "{deep}");
    let all = parse(root, &below.replace("\"serverAuth\", \"clientAuth\"", ""));
    assert!(all.starts_with("intermediate.toml: extended_key_usages"), "{all}");
}

#[test]
fn a_root_is_loaded_with_its_own_key_and_name_alone() {
    let (made, profiles) = (root(), RootProfiles::builtin().unwrap());
    let load = |org: &str, key| OfflineRoot::load(org, key, made.certificate(), &profiles);
    assert_eq!(load("Test", root_key()).unwrap().pin(), made.pin());
    assert_eq!(load("Other", root_key()).unwrap_err(), AuthorityError::Subject);
    assert_eq!(load("Test", key(7)).unwrap_err(), AuthorityError::Certificate(CaError::Pin));
    let ca = OfflineRoot::load("Test", ca_key(), ca().der(), &profiles);
    assert_eq!(ca.unwrap_err(), AuthorityError::Certificate(CaError::NotACa));
}

#[test]
fn t11_a_device_that_was_away_follows_by_the_cross_certificate() {
    let succession = authority().succeed(key(50), NOW, &mut rng(51)).unwrap();
    let (new, cross) = (&succession.authority, &succession.cross);
    let followed = ca().successor(cross, new.certificate()).unwrap();
    assert_eq!((followed.der(), followed.pin()), (new.certificate(), new.pin()));
    let member = request(&key(3), &name("bob"));
    let der = new.issue_client(&member, &name("bob"), NOW, &mut rng(4)).unwrap();
    assert!(followed.verify_member(&der).is_ok());
    let stale = check_issued(&ca(), &der, &name("bob"), key(3).public(), NOW);
    assert_eq!(stale, Err(IssuedError::Certificate(MemberError::NotOurs(NotOurs::Signature))));
    // The log says the same.
    let announcement = Announcement::of(&succession.announcement).unwrap();
    let log = rotation::follow(ca().public_key(), &[announcement]).unwrap();
    assert_eq!(log.pin, new.pin());
}

#[test]
fn t11_nobody_else_names_a_successor() {
    let succession = authority().succeed(key(50), NOW, &mut rng(51)).unwrap();
    let new = succession.authority.certificate();
    let refused = |cross: &[u8], new: &[u8]| ca().successor(cross, new).unwrap_err();
    let mut params = below_params();
    params.extended_key_usages.clear();
    let subject = Subject::p256(key(50).public());
    let by_other = signed(&params, &subject, CA_NAME, &key(7));
    assert_eq!(refused(&by_other, new), CaError::Unreadable(NotOurs::Signature));
    assert_eq!(refused(&bob(), new), CaError::NotACa, "a member's certificate makes no CA");
    let other_key = authority().succeed(key(52), NOW, &mut rng(51)).unwrap();
    assert_eq!(refused(&other_key.cross, new), CaError::Pin);
    params.distinguished_name = common_name("Other CA");
    let other_name = signed(&params, &subject, CA_NAME, &ca_key());
    assert_eq!(refused(&other_name, new), CaError::NotASuccessor);
    let below_root = below().succeed(key(50), NOW, &mut rng(51));
    assert_eq!(below_root.unwrap_err(), AuthorityError::BelowRoot);
}
