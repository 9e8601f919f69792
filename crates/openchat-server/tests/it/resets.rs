//! A name that gets another key, and whoever has the one before.

use crate::{
    forge,
    operator::{failed, objects, said},
    server::Server,
};
use openchat_pki::certification_request;
use openchat_wire::{
    Name,
    enroll::{EnrollAnswer, EnrollRefusal, EnrollRequest},
    invitation::Invitation,
    relay::{Goodbye, Request, ToClient},
};
use rustls::AlertDescription;
use std::sync::Arc;
use tokio::task::JoinSet;

fn request(
    invitation: &Invitation,
    name: &str,
    key: &openchat_crypto::IdentityKey,
) -> EnrollRequest {
    let name: Name = name.parse().unwrap();
    let csr = certification_request(key, &name).unwrap().into();
    EnrollRequest { name, invitation: invitation.id, secret: invitation.secret, csr }
}

#[tokio::test]
async fn a_reset_prints_the_invitation_alone_and_says_the_rest_beside_it() {
    let server = Server::start();
    server.enroll("bob").await;
    let output = server.place.output(&["user", "reset", "bob"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let invitation: Invitation = printed.trim_end().parse().unwrap();
    assert_eq!(printed, format!("{invitation}\n"));
    let beside = String::from_utf8(output.stderr).unwrap();
    for word in ["revoked, logged as #2", "CHANGED", "openchat enroll --name bob"] {
        assert!(beside.contains(word), "{word}: {beside}");
    }
    let secret = crate::secrets::written(&invitation.secret);
    assert!(
        secret.iter().all(|secret| !beside.contains(secret) && !server.trace().contains(secret))
    );
    server.line("revoked  bob  #2");
    server.line("reset  bob");

    let bob = objects(&server.place, &["user", "show", "bob"]).remove(0);
    assert_eq!((bob["state"].as_str(), &bob["revoked_index"]), (Some("reset"), &1.into()));
    let (code, hint) = failed(&server.place, &["user", "reset", "bob"], 1);
    assert_eq!((code.as_str(), hint.as_str()), ("waits", "openchat-server invite new bob"));
    assert_eq!(failed(&server.place, &["user", "reset", "nobody"], 7).0, "not_found");

    let key = forge::key();
    server.ask_to_enroll(&request(&invitation, "bob", &key)).await.unwrap();
    let bob = objects(&server.place, &["user", "show", "bob"]).remove(0);
    assert_eq!(bob["state"], "valid");
    assert_eq!(bob["fingerprint"], key.fingerprint().to_string());
    assert_eq!(bob["certificates"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_name_that_was_revoked_is_reset_without_another_revocation() {
    let server = Server::start();
    server.enroll("bob").await;
    said(&server.place, &["user", "revoke", "bob"]);
    let reset = objects(&server.place, &["user", "reset", "bob"]).remove(0);
    assert_eq!(
        (&reset["type"], &reset["revoked"]),
        (&"user_reset".into(), &serde_json::Value::Null)
    );
    let invitation: Invitation = reset["invitation"].as_str().unwrap().parse().unwrap();
    let key = forge::key();
    let enrolled = server.ask_to_enroll(&request(&invitation, "bob", &key)).await.unwrap();
    assert_eq!(enrolled.index, 2);
}

#[tokio::test]
async fn the_old_key_tries_everything_and_gets_nothing() {
    let server = Server::start();
    let old = server.enroll("bob").await;
    let kept = server.request("bob", &old.key);
    let mut connection = server.connect(&old).await;
    assert!(connection.is_served().await);
    let reset = objects(&server.place, &["user", "reset", "bob"]).remove(0);
    assert_eq!(reset["revoked"]["connections"], 1);
    assert_eq!(connection.receive().await, Some(ToClient::Goodbye(Goodbye::Revoked)));
    assert_eq!(connection.receive::<ToClient>().await, None);

    let invitation: Invitation = reset["invitation"].as_str().unwrap().parse().unwrap();
    let tries = async |when: &str, enroll: EnrollRefusal| {
        let alert = server.refuses(Some(&old)).await;
        assert_eq!(alert, AlertDescription::CertificateRevoked, "{when}");
        assert_eq!(server.ask_to_enroll(&kept).await, Err(EnrollRefusal::Invitation), "{when}");
        let stolen = request(&invitation, "bob", &old.key);
        assert_eq!(server.ask_to_enroll(&stolen).await, Err(enroll), "{when}");
        let renamed = server.request("robert", &old.key);
        assert_eq!(server.ask_to_enroll(&renamed).await, Err(EnrollRefusal::Revoked), "{when}");
    };
    tries("before the new key has come", EnrollRefusal::Revoked).await;
    let key = forge::key();
    let enrolled = server.ask_to_enroll(&request(&invitation, "bob", &key)).await.unwrap();
    tries("after it", EnrollRefusal::Invitation).await;

    // Nor does the new one's certificate do the old one any good.
    let certificate = enrolled.certificate.0.into();
    let new = crate::tls::Device { certificate, key };
    let mut connection = server.connect(&new).await;
    let old_csr = certification_request(&old.key, &"bob".parse().unwrap()).unwrap().into();
    assert!(connection.ask(Request::Renew(old_csr)).await.is_err());
    let mixed = crate::tls::Device { certificate: new.certificate.clone(), key: old.key.clone() };
    assert_eq!(server.refuses(Some(&mixed)).await, AlertDescription::AccessDenied);
    assert!(connection.is_served().await);
}

#[tokio::test]
async fn sixty_four_who_race_for_a_reset_name_get_one_certificate() {
    let server = Arc::new(Server::start());
    let old = server.enroll("bob").await;
    let reset = objects(&server.place, &["user", "reset", "bob"]).remove(0);
    let invitation: Invitation = reset["invitation"].as_str().unwrap().parse().unwrap();
    let mut race = JoinSet::<EnrollAnswer>::new();
    for number in 0..64 {
        let key = if number % 4 == 0 { old.key.clone() } else { forge::key() };
        let (server, request) = (Arc::clone(&server), request(&invitation, "bob", &key));
        race.spawn(async move { server.ask_to_enroll(&request).await });
    }
    let won: Vec<_> = race.join_all().await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    let certificate = server.ca().verify_member(&won[0].certificate.0).unwrap();
    assert_ne!(certificate.fingerprint(), old.key.fingerprint());
    assert_eq!(objects(&server.place, &["cert", "list"]).len(), 2);
}

#[tokio::test]
async fn resets_that_race_leave_one_name_with_one_key() {
    let server = Server::start();
    server.enroll("bob").await;
    let resets: Vec<_> = (0..8)
        .map(|_| {
            let mut command = server.place.command(&["user", "reset", "bob", "--json"]);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let done: Vec<_> = resets.into_iter().map(|reset| reset.wait_with_output().unwrap()).collect();
    let good = done.iter().filter(|output| output.status.success()).count();
    assert_eq!(good, 1, "{done:?}");
    assert_eq!(objects(&server.place, &["status"])[0]["recorded"], 2);
}
