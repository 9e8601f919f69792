//! Newcomers, honest and otherwise.

use crate::{forge, server::Server};
use openchat_pki::{ServerKeys, UnverifiedHead, certification_request, check_issued};
use openchat_wire::{
    Blob, Name, UnixMillis,
    enroll::{EnrollAnswer, EnrollRefusal, EnrollRequest},
    frame::to_frame,
    limits::MAX_ENROLL_FRAME,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{task::JoinSet, time::timeout};

#[tokio::test]
async fn a_newcomer_gets_a_certificate_and_everything_to_check_it() {
    let server = Server::start();
    let (key, bob): (_, Name) = (forge::key(), "bob".parse().unwrap());
    let enrolled = server.ask_to_enroll(&server.request("bob", &key)).await.unwrap();
    let ca = server.ca();
    assert_eq!(enrolled.ca.0, ca.der());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = UnixMillis(u64::try_from(since.as_millis()).unwrap());
    check_issued(&ca, &enrolled.certificate.0, &bob, key.public(), now).unwrap();
    let keys = ServerKeys::verify(&enrolled.server_keys.0, &ca).unwrap();
    let head = UnverifiedHead::decode(&enrolled.head.0).unwrap();
    let head = head.verify(&keys.log_key, &keys.log_id).unwrap();
    assert_eq!((enrolled.index, head.size), (0, 1));
    assert!(server.line("enrolled  bob  127.0.0.1:").ends_with("  #1"));
}

#[tokio::test]
async fn one_byte_at_a_time_is_as_good() {
    let server = Server::start();
    let request = server.request("bob", &forge::key());
    let mut connection = server.connect_to_enroll().await;
    for byte in to_frame(&request) {
        connection.send(&[byte]).await;
    }
    assert!(connection.receive::<EnrollAnswer>().await.unwrap().is_ok());
    assert_eq!(connection.receive::<EnrollAnswer>().await, None, "then the connection ends");
}

#[tokio::test]
async fn sixty_four_with_one_invitation_get_one_certificate() {
    let server = Arc::new(Server::start());
    let request = server.request("bob", &forge::key());
    let mut race = JoinSet::new();
    for _ in 0..64 {
        let csr = certification_request(&forge::key(), &request.name).unwrap().into();
        let (server, request) = (Arc::clone(&server), EnrollRequest { csr, ..request.clone() });
        race.spawn(async move { server.ask_to_enroll(&request).await });
    }
    let answers = race.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|answer| answer == Err(EnrollRefusal::Invitation)));
    assert_eq!(server.lines("enrolled", 1).len(), 1);
}

#[tokio::test]
async fn the_same_key_gets_the_same_certificate_again() {
    let server = Server::start();
    let request = server.request("bob", &forge::key());
    let first = server.ask_to_enroll(&request).await.unwrap();
    let again = server.ask_to_enroll(&request).await.unwrap();
    assert_eq!((first.certificate, first.index), (again.certificate, again.index));
}

#[tokio::test]
async fn guessing_locks_the_invitation() {
    let server = Server::start();
    let request = server.request("bob", &forge::key());
    for _ in 0..5 {
        let guess = EnrollRequest { secret: [1; 16], ..request.clone() };
        assert_eq!(server.ask_to_enroll(&guess).await, Err(EnrollRefusal::Invitation));
    }
    assert_eq!(server.ask_to_enroll(&request).await, Err(EnrollRefusal::Invitation));
    server.traces("bob does not enroll: invitation locked");
    let another = server.request("bob", &forge::key());
    assert!(server.ask_to_enroll(&another).await.is_ok());
}

#[tokio::test]
async fn invitations_are_for_their_name_and_names_for_their_key() {
    let server = Server::start();
    let request = server.request("bob", &forge::key());
    let other = EnrollRequest { name: "eve".parse().unwrap(), ..request.clone() };
    assert_eq!(server.ask_to_enroll(&other).await, Err(EnrollRefusal::Invitation));
    let unknown = EnrollRequest { invitation: [1; 16], ..request };
    assert_eq!(server.ask_to_enroll(&unknown).await, Err(EnrollRefusal::Invitation));
    let bob = server.enroll("bob").await;
    let second = server.request("bob", &forge::key());
    assert_eq!(server.ask_to_enroll(&second).await, Err(EnrollRefusal::NameTaken));
    let second = server.request("eve", &bob.key);
    assert_eq!(server.ask_to_enroll(&second).await, Err(EnrollRefusal::KeyTaken));
    let renewed = server.request("bob", &bob.key);
    assert!(server.ask_to_enroll(&renewed).await.is_ok(), "the old key takes the name again");
}

#[tokio::test]
async fn bad_certification_requests_are_refused_and_use_nothing_up() {
    let server = Server::start();
    let (key, bob) = (forge::key(), "bob".parse().unwrap());
    let request = server.request("bob", &key);
    let good = &request.csr.0;
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases = [
        flipped,
        [&good[..], &[0]].concat(),
        good[..good.len() - 1].to_vec(),
        Vec::new(),
        certification_request(&key, &"eve".parse().unwrap()).unwrap(),
        forge::authority_request("bob", &key),
        include_bytes!("../../../openchat-pki/testdata/csr-p384.der").to_vec(),
        include_bytes!("../../../openchat-pki/testdata/csr-rsa-2048.der").to_vec(),
        include_bytes!("../../../openchat-pki/testdata/csr-ed25519.der").to_vec(),
    ];
    for (i, csr) in cases.into_iter().enumerate() {
        let bad = EnrollRequest { csr: csr.into(), ..request.clone() };
        assert_eq!(server.ask_to_enroll(&bad).await, Err(EnrollRefusal::Csr), "case {i}");
        assert!(server.lines("refused", i + 1)[i].contains("certification request: "));
    }
    let certificate = server.ask_to_enroll(&request).await.unwrap().certificate;
    let certificate = server.ca().verify_member(&certificate.0).unwrap();
    assert_eq!((certificate.name(), certificate.public_key()), (&bob, key.public()));
}

#[tokio::test]
async fn frames_out_of_bounds_end_the_connection() {
    let server = Server::start();
    let request = server.request("bob", &forge::key());
    let huge = EnrollRequest { csr: Blob(vec![0; 1_000_000]), ..request.clone() };
    let beyond = u32::try_from(MAX_ENROLL_FRAME + 1).unwrap().to_be_bytes();
    let mut version = to_frame(&request);
    version[4] = 2;
    let trailing = [&[0, 0, 0, 3][..], &[1, 0, 0]].concat();
    let cases = [
        (vec![0; 4], "empty frame"),
        (vec![0xff; 4], "4294967295 bytes where at most"),
        (beyond.to_vec(), "where at most"),
        (to_frame(&huge)[..60_000].to_vec(), "where at most"),
        (version, "version 2"),
        (trailing, "frame payload"),
        (vec![], "lost"),
    ];
    for (i, (bytes, reason)) in cases.iter().enumerate() {
        let mut connection = server.connect_to_enroll().await;
        connection.send(bytes).await;
        if bytes.is_empty() {
            drop(connection);
        } else {
            let end = connection.receive::<EnrollAnswer>();
            assert_eq!(timeout(Duration::from_secs(5), end).await.unwrap(), None, "{reason}");
        }
        let lines = server.lines("refused", i + 1);
        assert!(lines[i].contains(reason), "{reason}: {}", lines[i]);
    }
    assert!(server.ask_to_enroll(&request).await.is_ok());
}
