//! A server's clock that is a year off for a while.

use crate::{
    operator::{objects, said},
    server::{Place, Server},
    shim::Faults,
    tls::Device,
};
use openchat_pki::certification_request;
use openchat_wire::relay::{Answer, Refusal, Request};
use rustls::AlertDescription;

const YEAR: i64 = 365 * 24 * 60 * 60;

fn server() -> (Server, Faults) {
    let place = Place::new();
    place.init();
    let faults = Faults::new(&place.data(), place.data().parent().unwrap());
    let environment = faults.environment();
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    (Server::run_with(place, &[], &environment), faults)
}

fn renewal(bob: &Device) -> Request {
    Request::Renew(certification_request(&bob.key, &"bob".parse().unwrap()).unwrap().into())
}

#[tokio::test]
async fn a_certificate_from_next_year_does_no_harm_and_a_good_one_is_to_be_had_after() {
    let (server, faults) = server();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    faults.set_clock(YEAR);
    let answer = connection.ask(renewal(&bob)).await;
    let Ok(Answer::Certificate(der)) = answer else { panic!("{answer:?}") };
    let ahead = Device { certificate: der.0.into(), key: bob.key.clone() };
    // Who comes now is refused for the time of its certificate, unless that is of this clock.
    assert_eq!(server.refuses(Some(&bob)).await, AlertDescription::CertificateExpired);

    faults.set_clock(0);
    assert_eq!(server.refuses(Some(&ahead)).await, AlertDescription::CertificateExpired);
    let mut connection = server.connect(&bob).await;
    let answer = connection.ask(renewal(&bob)).await;
    let Ok(Answer::Certificate(der)) = answer else { panic!("{answer:?}") };
    let good = Device { certificate: der.0.into(), key: bob.key.clone() };
    assert!(server.connect(&good).await.is_served().await);
}

#[tokio::test]
async fn before_the_cas_time_nothing_is_issued_and_a_revocation_acts_all_the_same() {
    let (server, faults) = server();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut of_bob = server.connect(&bob).await;
    let mut of_carol = server.connect(&carol).await;
    assert!(of_bob.is_served().await && of_carol.is_served().await);
    faults.set_clock(-YEAR);
    assert_eq!(of_bob.ask(renewal(&bob)).await, Err(Refusal::Internal));
    server.traces("the CA can't issue");
    said(&server.place, &["user", "revoke", "carol"]);
    assert!(server.line("disconnected  carol").ends_with("the certificate was revoked"));
    assert_eq!(server.refuses(Some(&carol)).await, AlertDescription::CertificateRevoked);

    faults.set_clock(0);
    assert!(matches!(of_bob.ask(renewal(&bob)).await, Ok(Answer::Certificate(_))));
    assert_eq!(server.refuses(Some(&carol)).await, AlertDescription::CertificateRevoked);
    let recorded = &objects(&server.place, &["status"])[0]["recorded"];
    assert_eq!(*recorded, 4, "two people, a revocation, one renewal");
}
