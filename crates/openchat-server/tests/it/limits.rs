//! What one address and one person may have, and that nobody else notices.

use crate::{
    forge::Wish,
    server::{Place, Server},
    tls::ping,
};
use openchat_wire::{
    limits::MAX_HANDSHAKES,
    relay::{Answer, ToClient},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    collections::VecDeque,
    fs,
    net::{Ipv4Addr, TcpStream},
};
use tokio::io::AsyncReadExt;

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Half-open handshakes of one address, of which the server keeps a few.
const HALF_OPEN: usize = 5_000;

fn run(env: &[(&str, &str)]) -> Server {
    let place = Place::new();
    place.init();
    Server::run_with(place, &[], env)
}

/// As the server does for itself.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

#[tokio::test]
async fn five_thousand_half_open_handshakes_push_out_nobody_elsewhere() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    allow_many_files();
    let open = || TcpStream::connect(&server.address).unwrap();
    let mut held: VecDeque<_> = (0..HALF_OPEN).map(|_| open()).collect();
    for login in 0..30 {
        // Over a link so slow that more than the server has places for come before its next word.
        let tcp = server.tcp_from(OTHER).await.unwrap();
        for _ in 0..=MAX_HANDSHAKES {
            held.pop_front();
            held.push_back(open());
        }
        let connection = server.finish(tcp, &bob).await;
        let mut connection = connection.unwrap_or_else(|error| panic!("login {login}: {error}"));
        assert!(connection.is_served().await, "login {login}");
    }
    let refused = server.line("refused  127.0.0.1:");
    assert!(refused.ends_with("  the oldest handshake gave way to newer ones"), "{refused}");
    // Whoever is at the same address gets in too, if a little later than the others.
    assert!(server.connect(&bob).await.is_served().await);
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let server = run(&[("OPENCHAT_SERVER_CONNECTIONS_AN_ADDRESS", "3")]);
    let bob = server.enroll("bob").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = server.connect_from(OTHER, &bob).await.unwrap();
        assert!(connection.is_served().await);
        held.push(connection);
    }
    let mut beyond = server.tcp_from(OTHER).await.unwrap();
    // Without a word: the system may tell by a reset.
    assert_eq!(beyond.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(server.line("refused  127.0.0.2:").ends_with("  127.0.0.2 has 3 connections already"));
    assert!(server.connect_from(THIRD, &bob).await.unwrap().is_served().await);
    held.pop();
    server.line("disconnected  bob  127.0.0.2:");
    loop {
        // Its place comes back a moment after the line.
        if let Ok(mut again) = server.connect_from(OTHER, &bob).await {
            assert!(again.is_served().await);
            break;
        }
    }
}

#[tokio::test]
async fn other_limits_hold_at_once_after_a_reload() {
    let place = Place::new();
    place.init();
    let file = place.data().join("config.toml");
    fs::write(&file, "[limits]\nrequests_a_second = 8\nconnections_an_address = 1").unwrap();
    let server = Server::run(place, &[]);
    let bob = server.enroll("bob").await;
    let mut connection = server.connect_from(OTHER, &bob).await.unwrap();
    // All that may come at once. A thousand more would take two minutes.
    connection.send(&(0..64).flat_map(ping).collect::<Vec<_>>()).await;
    for id in 0..64 {
        let answer = ToClient::Answer { id, answer: Ok(Answer::Done) };
        assert_eq!(connection.receive().await, Some(answer));
    }
    fs::write(&file, "[limits]\nrequests_a_second = 100000\nconnections_an_address = 2").unwrap();
    server.signal("HUP");
    let said = server.line("reloaded");
    assert!(said.contains("  limits.requests_a_second 8 -> 100000"), "{said}");
    assert!(said.contains("  limits.connections_an_address 1 -> 2"), "{said}");
    connection.send(&(0..1_000).flat_map(ping).collect::<Vec<_>>()).await;
    for id in 0..1_000 {
        let answer = ToClient::Answer { id, answer: Ok(Answer::Done) };
        assert_eq!(connection.receive().await, Some(answer));
    }
    assert!(server.connect_from(OTHER, &bob).await.unwrap().is_served().await);
}

#[tokio::test]
async fn a_session_ends_when_its_certificate_does() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let ca = server.place.key("ca.key");
    let short = Wish::new("bob", &bob.key).ending(time::Duration::seconds(3));
    let mut connection = server.connect(&short.issued(&ca, "Test openchat CA")).await;
    let mut lasting = server.connect(&bob).await;
    assert!(connection.is_served().await);
    assert!(server.line("disconnected  bob").ends_with("  the certificate has expired"));
    assert!(!matches!(connection.try_receive::<ToClient>().await, Ok(Some(_))));
    assert!(lasting.is_served().await);
}
