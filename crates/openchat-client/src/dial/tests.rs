mod changes;

use super::*;
use crate::{
    outside::{now, os_random},
    tls::{self, ClientIdentity},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{CertificateAuthority, Profiles, UnverifiedCsr, certification_request};
use openchat_wire::{UnixMillis, relay::ALPN};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key.
struct Leaf {
    certificate: Vec<u8>,
    key: IdentityKey,
}

fn ca() -> CertificateAuthority {
    let profiles = Profiles::builtin().unwrap();
    let years_ago = UnixMillis(now().0 - 3 * 365 * 24 * 3_600_000);
    let mut rng = os_random();
    let key = IdentityKey::generate(&mut rng);
    CertificateAuthority::create("Acme", key, &profiles, years_ago, &mut rng).unwrap()
}

fn server_leaf(ca: &CertificateAuthority, host: &str, at: UnixMillis) -> Leaf {
    let mut rng = os_random();
    let key = IdentityKey::generate(&mut rng);
    let hosts = [host.parse().unwrap()];
    Leaf { certificate: ca.issue_server(key.public(), &hosts, at, &mut rng).unwrap(), key }
}

fn member_leaf(ca: &CertificateAuthority) -> Leaf {
    let mut rng = os_random();
    let (key, name) = (IdentityKey::generate(&mut rng), "bob".parse().unwrap());
    let request = certification_request(&key, &name).unwrap();
    let request = UnverifiedCsr::decode(&request).unwrap().verify_for(&name).unwrap();
    Leaf { certificate: ca.issue_client(&request, &name, now(), &mut rng).unwrap(), key }
}

fn pkcs8(key: &IdentityKey) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec())
}

/// What a server shows and asks for.
fn config(leaf: &Leaf, also: &[&[u8]], clients: Option<CertificateError>) -> ServerConfig {
    let shown = std::iter::once(leaf.certificate.as_slice()).chain(also.iter().copied());
    let chain = shown.map(|der| CertificateDer::from(der.to_vec())).collect();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verdict) => builder.with_client_cert_verifier(Arc::new(Strict(verdict))),
    };
    let mut config =
        builder.with_single_cert(chain, PrivateKeyDer::Pkcs8(pkcs8(&leaf.key))).unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

/// Serves one connection and gives the address.
async fn serve(config: ServerConfig) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await {
            let _ = stream.read(&mut [0]).await;
        }
    });
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn dialer(address: Address, pin: Digest) -> Dialer {
    Dialer { address, tls: tls::config(ALPN, pin, None).unwrap() }
}

/// What dialing somebody who trusts `pin` gives at a server that shows this.
async fn dialed(pin: Digest, config: ServerConfig) -> Result<(), DialError> {
    dialer(serve(config).await, pin).dial().await.map(drop)
}

fn unacceptable(result: Result<(), DialError>) -> String {
    match result {
        Err(DialError::ServerCertificate(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_of_the_pinned_ca_is_accepted() {
    let ca = ca();
    let leaf = server_leaf(&ca, "127.0.0.1", now());
    dialed(ca.pin(), config(&leaf, &[ca.certificate()], None)).await.unwrap();
}

#[tokio::test]
async fn another_ca_of_the_same_name_is_told_with_its_pin() {
    let (ours, other) = (ca(), ca());
    let leaf = server_leaf(&other, "127.0.0.1", now());
    let expected = DialError::AnotherCa { expected: ours.pin(), found: Some(other.pin()) };
    let shown = config(&leaf, &[other.certificate()], None);
    assert_eq!(dialed(ours.pin(), shown).await, Err(expected));
    let expected = DialError::AnotherCa { expected: ours.pin(), found: None };
    assert_eq!(dialed(ours.pin(), config(&leaf, &[], None)).await, Err(expected));
}

#[tokio::test]
async fn showing_the_pinned_ca_is_not_enough() {
    let (ours, other) = (ca(), ca());
    let leaf = server_leaf(&other, "127.0.0.1", now());
    let shown = config(&leaf, &[ours.certificate()], None);
    unacceptable(dialed(ours.pin(), shown).await);
    let shown = config(&leaf, &[other.certificate(), ours.certificate()], None);
    assert!(matches!(dialed(ours.pin(), shown).await, Err(DialError::AnotherCa { .. })));
}

#[tokio::test]
async fn a_member_can_not_pose_as_the_server_nor_issue_for_it() {
    let ca = ca();
    let member = member_leaf(&ca);
    unacceptable(dialed(ca.pin(), config(&member, &[ca.certificate()], None)).await);
}

#[tokio::test]
async fn the_host_and_the_period_are_looked_at() {
    let ca = ca();
    let elsewhere = server_leaf(&ca, "127.0.0.2", now());
    let why = unacceptable(dialed(ca.pin(), config(&elsewhere, &[ca.certificate()], None)).await);
    assert_eq!(why, "it is not for the host 127.0.0.1");
    let two_years_ago = UnixMillis(now().0 - 2 * 365 * 24 * 3_600_000);
    let expired = server_leaf(&ca, "127.0.0.1", two_years_ago);
    let why = unacceptable(dialed(ca.pin(), config(&expired, &[ca.certificate()], None)).await);
    assert!(why.contains("clock"), "{why}");
}

#[tokio::test]
async fn another_protocol_is_not_openchat() {
    let ca = ca();
    let leaf = server_leaf(&ca, "127.0.0.1", now());
    for protocols in [vec![b"h2".to_vec()], Vec::new()] {
        let mut other = config(&leaf, &[ca.certificate()], None);
        other.alpn_protocols = protocols;
        assert_eq!(dialed(ca.pin(), other).await, Err(DialError::NotOpenchat));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        let _ = tcp.read(&mut [0; 1000]).await;
    });
    assert_eq!(dialer(address, ca.pin()).dial().await.map(drop), Err(DialError::NotOpenchat));
}

#[tokio::test]
async fn who_is_absent_silent_or_gone_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let dialer = dialer(address, Digest([0; 32]));
    tokio::time::pause();
    let silent = dialer.dial().await.map(drop).unwrap_err();
    assert_eq!(silent, DialError::Unreachable("no answer within 10 s".to_owned()));
    tokio::time::resume();
    drop(listener);
    let absent = dialer.dial().await.map(drop).unwrap_err();
    assert!(matches!(absent, DialError::Unreachable(why) if why.contains("refused")));
}

#[tokio::test]
async fn the_servers_verdict_shows_at_the_first_read() {
    let ca = ca();
    for (verdict, expected) in [
        (CertificateError::Expired, DialError::Expired),
        (CertificateError::Revoked, DialError::Revoked),
        (CertificateError::ApplicationVerificationFailure, DialError::Refused),
    ] {
        let leaf = server_leaf(&ca, "127.0.0.1", now());
        let address = serve(config(&leaf, &[ca.certificate()], Some(verdict))).await;
        let member = member_leaf(&ca);
        let shown = ClientIdentity { key: pkcs8(&member.key), certificate: member.certificate };
        let tls = tls::config(ALPN, ca.pin(), Some(shown)).unwrap();
        let dialer = Dialer { address, tls };
        let mut stream = dialer.dial().await.unwrap();
        let error =
            tokio::time::timeout(Duration::from_secs(5), stream.stream.read(&mut [0])).await;
        assert_eq!(dialer.read_error(&error.unwrap().unwrap_err()), expected);
    }
}

/// Says the same of every client's certificate.
#[derive(Debug)]
struct Strict(CertificateError);

impl ClientCertVerifier for Strict {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Err(self.0.clone().into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.2 is off")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[test]
fn addresses_as_invitations_write_them() {
    for good in ["localhost:7443", "192.168.1.20:1", "[::1]:7443", "a-b.example:65535"] {
        assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
    }
    for bad in ["", "localhost", ":7443", "h:", "h:70000", "h:-1", "[::1:7443", "a b:1"] {
        assert_eq!(bad.parse::<Address>(), Err(AddressError), "{bad}");
    }
}

#[test]
fn only_an_absent_server_is_waited_for() {
    assert!(DialError::Unreachable(String::new()).may_pass());
    assert!(DialError::NotOpenchat.may_pass());
    for verdict in [DialError::Expired, DialError::Revoked, DialError::Refused] {
        assert!(!verdict.may_pass());
    }
    assert!(!DialError::AnotherCa { expected: Digest([1; 32]), found: None }.may_pass());
}

#[test]
fn a_changed_ca_is_told_with_both_pins() {
    let fault = DialError::AnotherCa { expected: Digest([1; 32]), found: Some(Digest([2; 32])) };
    let told = fault.to_string();
    assert!(told.contains(&"01".repeat(32)) && told.contains(&"02".repeat(32)), "{told}");
}
