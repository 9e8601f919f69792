//! What OpenSSL and webpki, which share no code with this crate, say of what is issued here; and what
//! this crate says of what OpenSSL makes. Needs the command `openssl`.
#![expect(clippy::disallowed_methods, reason = "another program judges, and it reads files")]

use crate::{
    chains::{below, hosts, root},
    sealed_keys::GOOD,
    support::{
        CA_NAME, NOW, Signer, Subject, authority, bob, ca_key, key, member_params, name, request,
        rng, signed,
    },
};
use openchat_pki::{CsrError, Passphrase, UnverifiedCsr, certification_request, sealed_key};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
};
use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};
use tempfile::TempDir;

/// A directory in which OpenSSL works.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    /// Writes a certificate in PEM, as `openssl verify` wants it.
    fn certificate(&self, file: &str, der: &[u8]) {
        std::fs::write(self.path("der"), der).unwrap();
        self.good(&format!("x509 -inform DER -in der -out {file}"));
    }

    fn run(&self, arguments: &str) -> (bool, String) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(arguments.split_whitespace());
        let output = command.output().expect("the command `openssl` is installed");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn good(&self, arguments: &str) -> String {
        let (good, said) = self.run(arguments);
        assert!(good, "openssl {arguments}: {said}");
        said
    }

    fn bad(&self, arguments: &str, why: &str) {
        let (good, said) = self.run(arguments);
        assert!(!good && said.contains(why), "openssl {arguments}: {said}");
    }
}

fn strict(rest: &str) -> String {
    format!("verify -x509_strict -check_ss_sig -attime {} {rest}", NOW.seconds())
}

#[test]
fn requests_that_openssl_makes_are_taken() {
    let bench = Bench::new();
    bench.good("ecparam -name prime256v1 -genkey -noout -out key");
    for how in [
        "-subj /CN=bob",
        "-subj /CN=bob -addext subjectAltName=DNS:bob",
        "-subj / -addext subjectAltName=DNS:bob",
    ] {
        bench.good(&format!("req -new -key key {how} -outform DER -out csr"));
        let der = bench.read("csr");
        let verify = |who| UnverifiedCsr::decode(&der).unwrap().verify_for(&name(who)).map(|_| ());
        assert_eq!(verify("bob"), Ok(()), "{how}");
        assert_eq!(verify("alice"), Err(CsrError::OtherName), "{how}");
    }
    for asks in [
        "-addext subjectAltName=DNS:bob,DNS:alice",
        "-addext subjectAltName=DNS:Bob",
        "-addext subjectAltName=DNS:*",
        "-addext subjectAltName=DNS:bob.",
        "-addext subjectAltName=IP:127.0.0.1",
    ] {
        bench.good(&format!("req -new -key key -subj /CN=bob {asks} -outform DER -out csr"));
        let refused = UnverifiedCsr::decode(&bench.read("csr")).unwrap().verify_for(&name("bob"));
        assert_eq!(refused, Err(CsrError::OtherName), "{asks}");
    }
    bench.good(
        "req -new -key key -subj /CN=bob -addext basicConstraints=CA:TRUE -outform DER -out csr",
    );
    let refused = UnverifiedCsr::decode(&bench.read("csr")).unwrap().verify_for(&name("bob"));
    assert_eq!(refused, Err(CsrError::Authority));
}

#[test]
fn our_requests_satisfy_openssl() {
    let bench = Bench::new();
    std::fs::write(bench.path("csr"), certification_request(&key(3), &name("bob")).unwrap())
        .unwrap();
    let said = bench.good("req -inform DER -in csr -verify -noout -text");
    assert!(said.contains("DNS:bob") && said.contains("CN = bob"), "{said}");
}

#[test]
fn certificates_are_for_one_purpose_each() {
    let bench = Bench::new();
    bench.certificate("ca", authority().certificate());
    bench.certificate("member", &bob());
    let hosts = ["chat.example.org".parse().unwrap(), "::1".parse().unwrap()];
    let server = authority().issue_server(key(5).public(), &hosts, NOW, &mut rng(6)).unwrap();
    bench.certificate("server", &server);
    bench.good(&strict("-CAfile ca -purpose sslclient member"));
    bench.good(&strict("-CAfile ca -purpose sslserver -verify_hostname chat.example.org server"));
    bench.good(&strict("-CAfile ca -purpose sslserver -verify_ip ::1 server"));
    bench.bad(&strict("-CAfile ca -purpose sslserver member"), "purpose");
    bench.bad(&strict("-CAfile ca -purpose sslclient server"), "purpose");
    for (file, client, server, ca) in
        [("member", "Yes", "No", "No"), ("server", "No", "Yes", "No"), ("ca", "Yes", "Yes", "Yes")]
    {
        let said = bench.good(&format!("x509 -in {file} -noout -purpose"));
        for line in [
            format!("SSL client : {client}\n"),
            format!("SSL server : {server}\n"),
            format!("SSL client CA : {ca}\n"),
            format!("SSL server CA : {ca}\n"),
        ] {
            assert!(said.contains(&line), "{file}: {line} {said}");
        }
    }
}

/// Leaves of the CA below the root: (file, certificate, whether its names are allowed).
fn leaves() -> Vec<(&'static str, Vec<u8>, bool)> {
    let authority = below();
    let bob = request(&key(3), &name("bob"));
    let member = authority.issue_client(&bob, &name("bob"), NOW, &mut rng(4)).unwrap();
    let server = authority.issue_server(key(5).public(), &hosts(), NOW, &mut rng(6)).unwrap();
    let other = |names: Vec<SanType>| {
        let mut params = member_params("x");
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = false;
        signed(&params, &Subject::p256(key(5).public()), CA_NAME, &ca_key())
    };
    let v4 = other(vec![SanType::IpAddress("192.0.2.8".parse().unwrap())]);
    let v6 = other(vec![SanType::IpAddress("2001:db8::8".parse().unwrap())]);
    let excluded = other(vec![SanType::DnsName("a.secret.example.org".try_into().unwrap())]);
    vec![
        ("member", member, true),
        ("server", server, true),
        ("v4", v4, false),
        ("v6", v6, false),
        ("excluded", excluded, false),
    ]
}

#[test]
fn t12_openssl_judges_a_chain_to_the_root_as_we_do() {
    let bench = Bench::new();
    bench.certificate("root", root().certificate());
    bench.certificate("below", below().certificate());
    for (file, der, allowed) in leaves() {
        bench.certificate(file, &der);
        let purpose = if file == "member" { "sslclient" } else { "sslserver" };
        if allowed {
            bench
                .good(&strict(&format!("-CAfile root -untrusted below -purpose {purpose} {file}")));
        } else {
            // Not strict: these leaves lack a key identifier, and that is not what is asked.
            let time = NOW.seconds();
            let arguments = format!(
                "verify -attime {time} -CAfile root -untrusted below -purpose {purpose} {file}"
            );
            let (good, said) = bench.run(&arguments);
            assert!(!good && said.contains("subtree violation"), "{file}: {said}");
        }
        bench.bad(&strict(&format!("-CAfile root -purpose {purpose} {file}")), "unable to get");
    }
    // A CA below the CA below: its path length forbids it.
    let mut params = member_params("x");
    params.subject_alt_names.clear();
    params.use_authority_key_identifier_extension = false;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.distinguished_name = crate::support::common_name("Deep CA");
    let deep = signed(&params, &Subject::p256(key(60).public()), CA_NAME, &ca_key());
    let leaf = {
        let issuer_key = key(60);
        let mut issuer = rcgen::CertificateParams::default();
        issuer.distinguished_name = crate::support::common_name("Deep CA");
        let issuer = rcgen::Issuer::new(issuer, Signer::new(&issuer_key));
        let subject = Subject::p256(key(3).public());
        let mut params = member_params("bob");
        params.use_authority_key_identifier_extension = false;
        params.signed_by(&subject, &issuer).unwrap().der().to_vec()
    };
    bench.certificate("deep", &deep);
    bench.certificate("leaf", &leaf);
    let both = [bench.read("below"), bench.read("deep")].concat();
    std::fs::write(bench.path("both"), both).unwrap();
    let time = NOW.seconds();
    bench.bad(&format!("verify -attime {time} -CAfile root -untrusted both leaf"), "path length");
}

#[test]
fn t12_webpki_judges_a_chain_to_the_root_as_we_do() {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root().certificate().to_vec())).unwrap();
    let (roots, provider) =
        (Arc::new(roots), Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let servers = WebPkiServerVerifier::builder_with_provider(roots, provider).build().unwrap();
    let between = [CertificateDer::from(below().certificate().to_vec())];
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW.seconds()));
    for (file, der, allowed) in leaves() {
        let leaf = CertificateDer::from(der);
        let verdict = if file == "member" {
            clients.verify_client_cert(&leaf, &between, now).map(|_| ())
        } else {
            let host = match file {
                "v4" => "192.0.2.8",
                "v6" => "2001:db8::8",
                "excluded" => "a.secret.example.org",
                _ => "192.0.2.7",
            };
            let host = ServerName::try_from(host).unwrap();
            servers.verify_server_cert(&leaf, &between, &host, &[], now).map(|_| ())
        };
        assert_eq!(verdict.is_ok(), allowed, "{file}: {verdict:?}");
    }
}

#[test]
fn t11_openssl_follows_the_cross_certificate() {
    let bench = Bench::new();
    let succession = authority().succeed(key(50), NOW, &mut rng(51)).unwrap();
    bench.certificate("old", authority().certificate());
    bench.certificate("cross", &succession.cross);
    bench.certificate("new", succession.authority.certificate());
    let bob = request(&key(3), &name("bob"));
    let leaf = succession.authority.issue_client(&bob, &name("bob"), NOW, &mut rng(4)).unwrap();
    bench.certificate("leaf", &leaf);
    bench.good(&strict("-CAfile old -untrusted cross -purpose sslclient leaf"));
    bench.good(&strict("-CAfile new -purpose sslclient leaf"));
    bench.bad(&strict("-CAfile old -purpose sslclient leaf"), "error");
}

#[test]
fn sealed_keys_go_both_ways() {
    let bench = Bench::new();
    let passphrase = || Passphrase::new(GOOD.to_owned().into());
    let sealed = sealed_key::seal(&key(1), &passphrase(), &mut rng(5)).unwrap();
    std::fs::write(bench.path("sealed"), sealed).unwrap();
    std::fs::write(bench.path("pass"), GOOD).unwrap();
    bench.good(
        "pkcs8 -inform DER -in sealed -passin file:pass -outform DER -nocrypt -topk8 -out plain",
    );
    assert_eq!(bench.read("plain"), *key(1).to_pkcs8());
    for how in ["-scrypt", "-v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 10000"] {
        bench.good(&format!(
            "pkcs8 -inform DER -in plain -topk8 {how} -passout file:pass -outform DER -out theirs"
        ));
        let opened = sealed_key::open(&bench.read("theirs"), &passphrase()).unwrap();
        assert_eq!(opened.to_pkcs8(), key(1).to_pkcs8(), "{how}");
    }
}
