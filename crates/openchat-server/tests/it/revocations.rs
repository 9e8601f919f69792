//! A revocation that acts: what somebody whose key is revoked can still do, which is nothing.

use crate::{
    forge::{self, Wish},
    groups::Peer,
    operator::{failed, objects, said},
    server::Server,
    tls::{Connection, Device, ping},
};
use openchat_wire::{
    Seq,
    enroll::EnrollRefusal,
    limits::MAX_SESSIONS_A_PERSON,
    relay::{Answer, Goodbye, Request, ToClient},
};
use rustls::AlertDescription;
use std::time::Duration;
use tokio::time::timeout;

/// As the test server's CA is called.
const CA: &str = "Test openchat CA";

const REVOKED: AlertDescription = AlertDescription::CertificateRevoked;

/// Takes what is on its way, to the word that ends the connection.
async fn is_told_revoked(connection: &mut Connection) -> bool {
    loop {
        match connection.receive().await {
            Some(ToClient::Goodbye(Goodbye::Revoked)) => break,
            Some(ToClient::Answer { .. } | ToClient::Entry { .. }) => {}
            frame => panic!("{frame:?}"),
        }
    }
    connection.receive::<ToClient>().await.is_none()
}

#[tokio::test]
async fn all_connections_of_a_revoked_key_are_cut_and_no_others() {
    let server = Server::start();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut of_bob = Vec::new();
    for _ in 0..MAX_SESSIONS_A_PERSON {
        let mut connection = server.connect(&bob).await;
        assert!(connection.is_served().await);
        of_bob.push(connection);
    }
    let mut of_carol = server.connect(&carol).await;
    let revoked = objects(&server.place, &["user", "revoke", "bob"]).remove(0);
    assert_eq!(revoked["type"], "user_revoked");
    assert_eq!((&revoked["name"], &revoked["index"]), (&"bob".into(), &2.into()));
    assert_eq!(revoked["connections"], MAX_SESSIONS_A_PERSON);
    assert_eq!(revoked["fingerprint"], bob.key.fingerprint().to_string());
    for connection in &mut of_bob {
        assert!(is_told_revoked(connection).await);
    }
    let ends = server.lines("disconnected  bob", MAX_SESSIONS_A_PERSON);
    assert!(ends.iter().all(|line| line.ends_with("  the certificate was revoked")), "{ends:?}");
    assert!(server.line("revoked").ends_with("  bob  #3  16 connections cut"));
    assert!(of_carol.is_served().await);
    assert_eq!(server.lines("disconnected", 0).len(), MAX_SESSIONS_A_PERSON);
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_the_handshake_for_ever() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    said(&server.place, &["user", "revoke", "bob"]);
    let ca = server.place.key("ca.key");
    let wish = || Wish::new("bob", &bob.key);
    let again = wish().issued(&ca, CA);
    let expired = wish().ending(-time::Duration::HOUR).issued(&ca, CA);
    for life in 0..2 {
        for device in [&bob, &again, &expired] {
            assert_eq!(server.refuses(Some(device)).await, REVOKED);
        }
        let lines = server.lines("refused", 3);
        assert!(lines[0].ends_with("the key of bob was revoked"), "{lines:?}");
        // Only the holder of the key learns so.
        let unproved = Device { certificate: bob.certificate.clone(), key: forge::key() };
        let renamed = Wish::new("eve", &bob.key).issued(&ca, CA);
        for stranger in [&unproved, &renamed] {
            let alert = server.refuses(Some(stranger)).await;
            assert_eq!(alert, AlertDescription::AccessDenied);
        }
        if life == 0 {
            server = server.crashed();
        }
    }
}

#[tokio::test]
async fn neither_flooding_nor_silence_nor_half_a_frame_keeps_a_revoked_connection() {
    let server = Server::start();
    let mut peer = Peer::new(&server, "bob").await;
    let mut group = peer.begin(&server, "general").await;
    let log = *group.roster().group();
    peer.catch_up(&mut group).await;
    let bob = peer.device;

    let mut tailing = server.connect(&bob).await;
    assert_eq!(tailing.ask(Request::Tail { log, after: Seq(0) }).await, Ok(Answer::Done));
    let mut half = server.connect(&bob).await;
    half.send(&ping(1)[..3]).await;
    let mut deaf = server.connect(&bob).await;
    let many: Vec<u8> = (0..20_000).flat_map(ping).collect();
    deaf.send(&many).await;
    let mut flooding = server.connect(&bob).await;
    let flood = tokio::spawn(async move {
        while flooding.try_send(&many[..1_000]).await {
            let Ok(Some(ToClient::Answer { .. })) = flooding.try_receive().await else { break };
        }
    });

    said(&server.place, &["user", "revoke", "bob"]);
    assert!(is_told_revoked(&mut tailing).await);
    assert!(is_told_revoked(&mut half).await);
    timeout(Duration::from_secs(10), flood).await.unwrap().unwrap();
    // With the one that the group was begun on.
    let ends = server.lines("disconnected  bob", 5);
    assert!(ends.iter().all(|line| line.ends_with("  the certificate was revoked")), "{ends:?}");
}

#[tokio::test]
async fn a_revoked_person_enrolls_neither_with_the_old_key_nor_with_another() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let kept = server.request("bob", &bob.key);
    said(&server.place, &["user", "revoke", "bob"]);
    assert_eq!(server.ask_to_enroll(&kept).await, Err(EnrollRefusal::Invitation));
    // Not even if the operator is talked into another invitation.
    let old = server.request("bob", &bob.key);
    assert_eq!(server.ask_to_enroll(&old).await, Err(EnrollRefusal::Revoked));
    let other = server.request("bob", &forge::key());
    assert_eq!(server.ask_to_enroll(&other).await, Err(EnrollRefusal::NameTaken));
    let renamed = server.request("robert", &bob.key);
    assert_eq!(server.ask_to_enroll(&renamed).await, Err(EnrollRefusal::Revoked));
    assert_eq!(objects(&server.place, &["cert", "list"]).len(), 1);
}

#[tokio::test]
async fn the_operator_sees_who_is_revoked_and_may_say_it_twice() {
    let server = Server::start();
    let place = &server.place;
    server.enroll("bob").await;
    server.enroll("carol").await;
    let shown = said(place, &["user", "revoke", "bob"]);
    assert_eq!(shown, "bob's key is revoked, logged as #3; it had no connection\n");
    let advice = place.output(&["user", "revoke", "carol", "--yes"]).stderr;
    let advice = String::from_utf8(advice).unwrap();
    assert!(advice.contains("openchat-server user reset carol"), "{advice}");

    let again = objects(place, &["user", "revoke", "bob"]).remove(0);
    assert_eq!((&again["already"], &again["index"]), (&true.into(), &2.into()));
    let state = |user: &serde_json::Value| user["state"].as_str().unwrap().to_owned();
    assert!(objects(place, &["user", "list"]).iter().all(|user| state(user) == "revoked"));
    let bob = objects(place, &["user", "show", "bob"]).remove(0);
    assert_eq!((state(&bob), &bob["revoked_index"]), ("revoked".to_owned(), &2.into()));
    assert!(bob["revoked"].is_string());
    assert!(said(place, &["user", "show", "bob"]).contains("as #3"));
    let certificate = &objects(place, &["cert", "list", "--name", "bob"])[0];
    assert_eq!(
        (certificate["state"].as_str(), &certificate["revoked_index"]),
        (Some("revoked"), &2.into())
    );
    assert_eq!(objects(place, &["status"])[0]["registered"], 0);

    let (code, hint) = failed(place, &["user", "revoke", "nobody"], 7);
    assert_eq!((code.as_str(), hint.as_str()), ("not_found", "openchat-server user list"));
    assert_eq!(place.output(&["user", "revoke", "Bob"]).status.code(), Some(2));
}
