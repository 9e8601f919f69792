//! Members' sessions, as far as no group is needed.

use crate::{
    server::Server,
    tls::{Connection, ping},
};
use openchat_pki::{ServerKeys, UnverifiedHead};
use openchat_wire::{
    Blob, GroupId, Seq,
    frame::to_frame,
    limits::{MAX_FRAME, MAX_SESSIONS_A_PERSON},
    relay::{Answer, Goodbye, Refusal, Request, ToClient, ToServer},
};
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_directory_and_the_transparency_head_are_told() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let request = server.request("carol", &crate::forge::key());
    let carol = server.ask_to_enroll(&request).await.unwrap();
    let keys = ServerKeys::verify(&carol.server_keys.0, &server.ca()).unwrap();
    let mut connection = server.connect(&bob).await;
    let certificate = connection.ask(Request::Certificate(bob.key.fingerprint())).await;
    assert_eq!(certificate, Ok(Answer::Certificate(Blob(bob.certificate.to_vec()))));
    let Ok(Answer::Head(head)) = connection.ask(Request::Head).await else { panic!("no head") };
    let head = UnverifiedHead::decode(&head.0).unwrap();
    assert_eq!(head.verify(&keys.log_key, &keys.log_id).unwrap().size, 2);
    let nowhere = GroupId([1; 32]);
    for request in [
        Request::Tail { log: nowhere, after: Seq(0) },
        Request::ReadCommits { log: nowhere, after: Seq(0) },
        Request::Receipt { log: nowhere, at: None },
        Request::Heartbeat { log: nowhere, beat: Blob::default() },
    ] {
        assert_eq!(connection.ask(request).await, Err(Refusal::NoAccess));
    }
    let none = Request::FindGroup("general".parse().unwrap());
    assert_eq!(connection.ask(none).await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests_however_many() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    let all: Vec<u8> = (0..5_000).flat_map(ping).collect();
    connection.send(&all).await;
    for expected in 0..5_000 {
        match connection.receive().await {
            Some(ToClient::Answer { id, answer: Ok(Answer::Done) }) => assert_eq!(id, expected),
            frame => panic!("{frame:?}"),
        }
    }
}

#[tokio::test]
async fn one_who_asks_without_listening_holds_up_nobody() {
    let server = Server::start();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut deaf = server.connect(&bob).await;
    let flood = tokio::spawn(async move {
        let many: Vec<u8> = (0..10_000).flat_map(ping).collect();
        loop {
            deaf.send(&many).await;
        }
    });
    let mut connection = server.connect(&carol).await;
    let began = Instant::now();
    for _ in 0..100 {
        assert!(connection.is_served().await);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!flood.is_finished());
    flood.abort();
}

#[tokio::test]
async fn a_frame_in_single_bytes_is_a_frame() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    for byte in ping(3) {
        connection.send(&[byte]).await;
    }
    let answer = Some(ToClient::Answer { id: 3, answer: Ok(Answer::Done) });
    assert_eq!(connection.receive().await, answer);
}

async fn is_told_malformed(connection: &mut Connection) -> bool {
    let goodbye = connection.receive().await == Some(ToClient::Goodbye(Goodbye::Malformed));
    goodbye && connection.receive::<ToClient>().await.is_none()
}

#[tokio::test]
async fn senseless_frames_end_the_session_with_a_word() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let beyond = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    let unknown = [0, 0, 0, 3, 1, 0, 99];
    let overlong = [0, 0, 0, 4, 1, 0x80, 0, 0];
    let cases: [&[u8]; 6] =
        [&[0; 4], &[0xff; 4], &beyond, &[0, 0, 0, 2, 2, 0], &unknown, &overlong];
    for (i, bytes) in cases.iter().enumerate() {
        let mut connection = server.connect(&bob).await;
        assert!(connection.is_served().await);
        // More follows, as from somebody who does not notice.
        connection.send(&[bytes, &vec![0; 50_000][..]].concat()).await;
        assert!(is_told_malformed(&mut connection).await, "case {i}");
        drop(connection);
        assert!(server.lines("disconnected", i + 1)[i].contains("malformed: "));
    }
}

#[tokio::test]
async fn the_largest_frame_is_read() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    let entry = Blob(vec![0; MAX_FRAME - 100]);
    let request =
        Request::Append { log: GroupId([1; 32]), entry, letters: Vec::new(), follows: false };
    assert!(to_frame(&ToServer { id: 7, request: request.clone() }).len() < MAX_FRAME);
    assert!(connection.ask(request).await.is_err());
    assert!(connection.is_served().await);
}

#[tokio::test]
async fn a_person_has_so_many_sessions() {
    let server = Server::start();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut held = Vec::new();
    for _ in 0..MAX_SESSIONS_A_PERSON {
        let mut connection = server.connect(&bob).await;
        assert!(connection.is_served().await);
        held.push(connection);
    }
    let mut beyond = server.connect(&bob).await;
    assert_eq!(beyond.receive().await, Some(ToClient::Goodbye(Goodbye::TooManySessions)));
    assert_eq!(beyond.receive::<ToClient>().await, None);
    assert!(server.line("refused").ends_with("bob has 16 connections already"));
    assert!(server.connect(&carol).await.is_served().await);
    held.pop();
    server.line("disconnected  bob");
    assert!(server.connect(&bob).await.is_served().await);
}
