//! Further certificates, over a member's own connection.

use crate::{
    forge::{self, Wish},
    operator::objects,
    server::Server,
    tls::{Connection, Device},
};
use openchat_crypto::IdentityKey;
use openchat_pki::certification_request;
use openchat_wire::{
    limits::CERTIFICATE_BURST,
    relay::{Answer, Refusal, Request, ToClient},
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// As the test server's CA is called.
const CA: &str = "Test openchat CA";

fn csr(name: &str, key: &IdentityKey) -> Request {
    Request::Renew(certification_request(key, &name.parse().unwrap()).unwrap().into())
}

async fn renewed(connection: &mut Connection, device: &Device) -> Device {
    let answer = connection.ask(csr("bob", &device.key)).await;
    let Ok(Answer::Certificate(der)) = answer else { panic!("{answer:?}") };
    Device { certificate: der.0.into(), key: device.key.clone() }
}

#[tokio::test]
async fn a_member_gets_a_further_certificate_which_is_logged_and_shown() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    let new = renewed(&mut connection, &bob).await;
    assert_ne!(new.certificate, bob.certificate);
    assert!(server.line("renewed").ends_with("  bob  #2"));
    for device in [&new, &bob] {
        assert!(server.connect(device).await.is_served().await, "both are good until they end");
    }
    let shown = objects(&server.place, &["user", "show", "bob"]).remove(0);
    assert_eq!(shown["certificates"].as_array().unwrap().len(), 2);
    let told = connection.ask(Request::Certificate(bob.key.fingerprint())).await;
    assert_eq!(told, Ok(Answer::Certificate(new.certificate.to_vec().into())));
}

#[tokio::test]
async fn programs_that_read_the_console_are_told_of_renewal_revocation_and_reset() {
    let place = crate::server::Place::new();
    place.init();
    let server = Server::run(place, &["--json"]);
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    renewed(&mut connection, &bob).await;
    objects(&server.place, &["user", "reset", "bob"]);
    // The last one; objects have their keys in order.
    server.line(r#"{"name":"bob","type":"reset""#);
    let found: Vec<_> = server
        .lines("{", 1)
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .collect();
    let of = |kind: &str| found.iter().find(|event| event["type"] == kind).unwrap().clone();
    assert_eq!((&of("renewed")["name"], &of("renewed")["index"]), (&"bob".into(), &1.into()));
    let revoked = of("revoked");
    assert_eq!((&revoked["index"], &revoked["connections"]), (&2.into(), &1.into()));
    assert_eq!(of("reset")["name"], "bob");
}

#[tokio::test]
async fn nobody_renews_for_another_key_or_name() {
    let server = Server::start();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut connection = server.connect(&bob).await;
    for request in [
        csr("bob", &carol.key),
        csr("bob", &forge::key()),
        csr("carol", &bob.key),
        csr("carol", &carol.key),
    ] {
        let answer = connection.ask(request).await;
        assert!(matches!(answer, Err(Refusal::Invalid(_))), "{answer:?}");
    }
    assert_eq!(objects(&server.place, &["status"])[0]["recorded"], 2);
}

#[tokio::test]
async fn a_client_that_loops_is_told_to_come_back_tomorrow() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    for _ in 0..3 {
        // A new connection is no new beginning.
        let mut connection = server.connect(&bob).await;
        for _ in 0..50 {
            match connection.ask(csr("bob", &bob.key)).await {
                Ok(Answer::Certificate(_)) => {}
                Err(Refusal::Paced { retry_ms }) => assert!(retry_ms > 80_000_000, "{retry_ms}"),
                answer => panic!("{answer:?}"),
            }
        }
    }
    let recorded = objects(&server.place, &["status"])[0]["recorded"].as_u64();
    assert_eq!(recorded, Some(1 + u64::from(CERTIFICATE_BURST)));
}

#[tokio::test]
async fn in_the_last_second_of_a_certificate_another_one_is_to_be_had_and_after_it_none() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let ca = server.place.key("ca.key");
    let wish = || Wish::new("bob", &bob.key);
    let ending = wish().ending(time::Duration::seconds(6)).issued(&ca, CA);
    let (mut asks, mut idles) = (server.connect(&ending).await, server.connect(&ending).await);
    assert!(idles.is_served().await);
    let new = renewed(&mut asks, &bob).await;
    // Its own end comes all the same: a connection is as good as the certificate that it was made with.
    for connection in [&mut asks, &mut idles] {
        let end = timeout(Duration::from_secs(18), connection.receive::<ToClient>());
        assert_eq!(end.await.unwrap(), None);
    }
    let ends = server.lines("disconnected  bob", 2);
    assert!(ends.iter().all(|line| line.ends_with("  the certificate has expired")), "{ends:?}");
    let alert = server.refuses(Some(&ending)).await;
    assert_eq!(alert, rustls::AlertDescription::CertificateExpired);
    assert!(server.connect(&new).await.is_served().await);

    // Whoever has missed it enrolls with the key that it has.
    let late = wish().ending(time::Duration::seconds(1)).issued(&ca, CA);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.refuses(Some(&late)).await, rustls::AlertDescription::CertificateExpired);
    let again = server.request("bob", &bob.key);
    assert!(server.ask_to_enroll(&again).await.is_ok());
}
