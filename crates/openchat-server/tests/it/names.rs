//! Names that look like somebody else's, or like several: in requests to enroll, in what they ask to be
//! certified, and in certificates made with the stolen key of the CA.

use crate::{
    forge::{self, Wish},
    server::Server,
    tls::Connection,
};
use openchat_wire::{
    Blob,
    enroll::{EnrollAnswer, EnrollRefusal, EnrollRequest},
    frame::to_frame,
    name::MAX_NAME,
    relay::{Refusal, Request},
};
use rustls::AlertDescription;
use serde::Serialize;

/// As the test server's CA is called.
const CA: &str = "Test openchat CA";

/// What is not `bob`, one way or another. The second one's `о` is Cyrillic.
const NOT_BOB: [&str; 14] = [
    "BOB",
    "bоb",
    "Bob",
    "bob\0",
    "bob\0.eve",
    "\0bob",
    "*",
    "*.bob",
    "b*b",
    "bob.",
    ".bob",
    "bob.acme",
    "bob ",
    "xn--bb-8ja",
];

#[tokio::test]
async fn certificates_with_such_names_open_nothing_even_with_the_cas_key() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let ca = server.place.key("ca.key");
    let mut cases: Vec<Vec<&[u8]>> = NOT_BOB.iter().map(|name| vec![name.as_bytes()]).collect();
    // Two names, the same twice, and none beside the common name, which is bob.
    cases.extend([vec![&b"bob"[..], b"alice"], vec![&b"alice"[..], b"bob"]]);
    cases.extend([vec![&b"bob"[..], b"bob"], vec![]]);
    for (i, names) in cases.iter().enumerate() {
        let forged = Wish::new("bob", &bob.key).named(names).issued(&ca, CA);
        let alert = server.refuses(Some(&forged)).await;
        assert_eq!(alert, AlertDescription::AccessDenied, "{names:?}");
        server.lines("refused", i + 1);
    }
    let good = Wish::new("bob", &bob.key).named(&[b"bob"]).issued(&ca, CA);
    assert!(server.connect(&good).await.is_served().await, "it is for the names");
    let shown = server.lines("", 1).concat() + &server.trace();
    assert!(!shown.contains('\0') && !shown.contains('о'), "as little of it is printed");
}

#[tokio::test]
async fn requests_for_such_names_are_refused_at_enrollment_and_at_renewal() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    let request = server.request("bob", &bob.key);
    let mut cases: Vec<(&str, Vec<&[u8]>)> =
        NOT_BOB.iter().map(|name| ("bob", vec![name.as_bytes()])).collect();
    cases.extend(NOT_BOB.iter().map(|name| (*name, vec![&b"bob"[..]])));
    cases.extend(NOT_BOB.iter().map(|name| (*name, vec![])));
    cases.push(("bob", vec![b"bob", b"alice"]));
    for (common, names) in cases {
        let csr = Blob(forge::request(common, &names, &bob.key));
        let bad = EnrollRequest { csr: csr.clone(), ..request.clone() };
        let answer = server.ask_to_enroll(&bad).await;
        assert_eq!(answer, Err(EnrollRefusal::Csr), "{common:?} {names:?}");
        let answer = connection.ask(Request::Renew(csr)).await;
        assert!(matches!(answer, Err(Refusal::Invalid(_))), "{common:?} {names:?}: {answer:?}");
    }
    // Without an alternative name it gets the one that it was invited for, as such.
    let csr = Blob(forge::request("bob", &[], &bob.key));
    let enrolled = server.ask_to_enroll(&EnrollRequest { csr, ..request }).await.unwrap();
    let certificate = server.ca().verify_member(&enrolled.certificate.0).unwrap();
    assert_eq!(certificate.name().as_str(), "bob");
}

/// [`EnrollRequest`] with anything for a name.
#[derive(Serialize)]
struct Raw<'a> {
    name: &'a str,
    invitation: [u8; 16],
    secret: [u8; 16],
    csr: Blob,
}

#[tokio::test]
async fn nobody_is_enrolled_under_such_a_name() {
    let server = Server::start();
    let key = forge::key();
    let EnrollRequest { invitation, secret, .. } = server.request("bob", &key);
    let (long, digits) = ("b".repeat(MAX_NAME + 1), "0bob");
    for name in NOT_BOB.into_iter().take(13).chain(["", "-bob", digits, &long]) {
        let csr = Blob(forge::request("bob", &[], &key));
        let mut connection: Connection = server.connect_to_enroll().await;
        connection.send(&to_frame(&Raw { name, invitation, secret, csr })).await;
        assert_eq!(connection.receive::<EnrollAnswer>().await, None, "{name:?}");
    }
    let refused = server.lines("refused", 17);
    assert!(refused.iter().all(|line| line.contains("request to enroll: ")), "{refused:?}");
    // A name that only looks like an encoded one is a name, and not the invited one.
    let csr = Blob(forge::request("xn--bb-8ja", &[], &key));
    let name = "xn--bb-8ja".parse().unwrap();
    let other = EnrollRequest { name, invitation, secret, csr };
    assert_eq!(server.ask_to_enroll(&other).await, Err(EnrollRefusal::Invitation));
}
