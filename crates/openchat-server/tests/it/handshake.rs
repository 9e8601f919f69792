//! Who gets in, who does not, and what each is told.

use crate::{
    forge::{self, Wish},
    server::Server,
    tls::Device,
};
use openchat_wire::{enroll, relay};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::AlertDescription;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As the test server's CA is called.
const CA: &str = "Test openchat CA";

/// What everybody is told who does not hold a certificate of this CA.
const STRANGER: AlertDescription = AlertDescription::AccessDenied;

#[tokio::test]
async fn a_member_is_served_and_gets_no_ticket() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    assert_eq!(connection.tickets(), 0);
    let shown = server.line("connected  bob  127.0.0.1:");
    drop(connection);
    let gone = server.line(&shown.replace("connected", "disconnected"));
    assert!(gone.ends_with("  connection lost: unexpected end of file"), "{gone}");
}

#[tokio::test]
async fn without_a_certificate_nothing_is_reached() {
    let server = Server::start();
    assert_eq!(server.refuses(None).await, AlertDescription::CertificateRequired);
    assert!(server.line("refused  127.0.0.1:").ends_with("  no certificate"));
    server.traces("no certificate");
}

#[tokio::test]
async fn strangers_are_all_told_the_same() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let ca = server.place.key("ca.key");
    let (other_ca, key) = (forge::key(), forge::key());
    let issued = |wish: Wish| wish.issued(&ca, CA);
    let own_server = Device {
        certificate: server.place.certificate("server.crt"),
        key: server.place.key("server.key"),
    };
    let cases = [
        (Wish::new("eve", &key).issued(&other_ca, "Other CA"), "another issuer"),
        (Wish::new("eve", &key).issued(&other_ca, CA), "the signature is wrong"),
        (Wish::new("eve", &key).issued(&key, "eve"), "another issuer"),
        (Wish::new("bob", &bob.key).issued(&other_ca, CA), "the signature is wrong"),
        (Wish::new("eve", &key).issued(&bob.key, "bob"), "another issuer"),
        (own_server, "it is a server's"),
        (issued(Wish::new("bob", &bob.key).for_uses(&[])), "not clientAuth alone"),
        (
            issued(Wish::new("bob", &bob.key).for_uses(&[ExtendedKeyUsagePurpose::ServerAuth])),
            "it is a server's",
        ),
        (
            issued(Wish::new("bob", &bob.key).with_an_unknown_critical_extension()),
            "unknown critical extension",
        ),
        // Certified by a thief of the CA's key, but nowhere registered.
        (issued(Wish::new("eve", &key)), "not the registered key of eve"),
        (issued(Wish::new("bob", &key)), "not the registered key of bob"),
        (issued(Wish::new("eve", &bob.key)), "not the registered key of eve"),
        (issued(Wish::new("eve", &key).ending(-time::Duration::HOUR)), "not the registered key"),
        // Bob's certificate is no secret; his key is.
        (Device { certificate: bob.certificate.clone(), key: forge::key() }, "was not proved"),
        (
            Device {
                certificate: issued(Wish::new("bob", &bob.key).ending(-time::Duration::HOUR))
                    .certificate,
                key: forge::key(),
            },
            "was not proved",
        ),
    ];
    for (i, (device, reason)) in cases.iter().enumerate() {
        assert_eq!(server.refuses(Some(device)).await, STRANGER, "{reason}");
        let lines = server.lines("refused  127.0.0.1:", i + 1);
        assert!(lines[i].contains(reason), "{reason}: {}", lines[i]);
        server.traces(reason);
    }
    assert!(server.connect(&bob).await.is_served().await);
}

#[tokio::test]
async fn a_member_learns_that_its_time_is_over_or_has_not_come() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let ca = server.place.key("ca.key");
    let wish = || Wish::new("bob", &bob.key);
    let expired = wish().ending(-time::Duration::HOUR).issued(&ca, CA);
    assert_eq!(server.refuses(Some(&expired)).await, AlertDescription::CertificateExpired);
    assert!(server.line("refused").ends_with("the certificate has expired: bob"));
    let early = wish().beginning(time::Duration::HOUR).issued(&ca, CA);
    assert_eq!(server.refuses(Some(&early)).await, AlertDescription::CertificateExpired);
    let again = wish().issued(&ca, CA);
    assert!(server.connect(&again).await.is_served().await, "another of the same key");
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    for alpn in [&[][..], &[&b"h2"[..]], &[b"openchat/2", b"openchat"]] {
        let alert = server.alert(alpn, Some(&bob)).await;
        assert_eq!(alert, AlertDescription::NoApplicationProtocol, "{alpn:?}");
    }
    assert_eq!(server.lines("refused", 3).len(), 3);
    let both = [enroll::ALPN, relay::ALPN, b"h2"];
    assert!(server.dial(&both, Some(&bob)).await.unwrap().is_served().await);
}

/// A `ClientHello` of TLS 1.2 with `openchat/1`; `versions` is its `supported_versions`, if any.
fn old_hello(versions: &[u8]) -> Vec<u8> {
    let extension =
        |kind: u8, body: &[u8]| [&[0, kind, 0, u8::try_from(body.len()).unwrap()], body].concat();
    let mut extensions = [
        extension(10, &[0, 2, 0, 23]),
        extension(11, &[1, 0]),
        extension(13, &[0, 2, 4, 3]),
        extension(16, b"\x00\x0b\x0aopenchat/1"),
    ]
    .concat();
    if !versions.is_empty() {
        extensions.extend(extension(43, versions));
    }
    let body = [
        &[3, 3][..],
        &[9; 32],
        &[0],
        &[0, 2, 0xc0, 0x2b],
        &[1, 0],
        &[0, u8::try_from(extensions.len()).unwrap()],
        &extensions,
    ]
    .concat();
    let message = [&[1, 0, 0, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    [&[22, 3, 1, 0, u8::try_from(message.len()).unwrap()], &message[..]].concat()
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let server = Server::start();
    for (i, versions) in [&[][..], &[2, 3, 3], &[4, 3, 3, 3, 2]].iter().enumerate() {
        let mut tcp = server.tcp().await;
        tcp.write_all(&old_hello(versions)).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "fatal protocol_version");
        assert!(server.lines("refused", i + 1)[i].ends_with("  TLS 1.3 was not offered"));
    }
}

#[tokio::test]
async fn what_is_not_tls_is_refused_and_never_shown() {
    let server = Server::start();
    let rubbish = [
        &b"GET /\x1b[31m HTTP/1.1\r\n\r\n"[..],
        &[0; 5],
        &[0xff; 64],
        &[22, 3, 1, 0xff, 0xff],
        &[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff],
    ];
    for (i, rubbish) in rubbish.iter().enumerate() {
        let mut tcp = server.tcp().await;
        tcp.write_all(rubbish).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The server may have reset the connection, which is an answer too.
        let _ = tcp.read_to_end(&mut answer).await;
        server.lines("refused", i + 1);
    }
    let shown = server.lines("", 1 + rubbish.len()).concat() + &server.trace();
    assert!(!shown.contains("GET") && !shown.contains('\x1b'), "{shown:?}");
}

#[tokio::test]
async fn whoever_does_nothing_is_sent_away_after_ten_seconds() {
    let server = Server::start();
    let began = Instant::now();
    let mut idle = server.tcp().await;
    let _newcomer = server.connect_to_enroll().await;
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
    let refused = server.lines("refused", 2).concat();
    assert!(refused.contains("no handshake within 10 s"), "{refused}");
    assert!(refused.contains("no request to enroll within 10 s"), "{refused}");
    assert!((10..13).contains(&began.elapsed().as_secs()));
}

#[tokio::test]
async fn idle_and_half_handshakes_hold_up_nobody() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut held = Vec::new();
    for i in 0..200 {
        let mut tcp = server.tcp().await;
        if i % 2 == 0 {
            tcp.write_all(&old_hello(&[])[..40]).await.unwrap();
        }
        held.push(tcp);
    }
    let began = Instant::now();
    assert!(server.connect(&bob).await.is_served().await);
    server.enroll("carol").await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
