//! Beginning, end, and coming back.

use crate::server::{Place, Server};
use openchat_wire::{
    enroll,
    relay::{Goodbye, ToClient},
};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

#[tokio::test]
async fn sigterm_says_goodbye_and_leaves_nothing_behind() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    // Somebody in the middle of a handshake must not hold it up.
    let _half = server.tcp().await;
    server.signal("TERM");
    assert_eq!(connection.receive().await, Some(ToClient::Goodbye(Goodbye::ShuttingDown)));
    assert_eq!(connection.receive::<ToClient>().await, None);
    assert_eq!(server.wait().code(), Some(0));
    server.line("stopped");
    assert_eq!(server.lines("", 1).last().map(String::as_str), Some("stopped"));
    assert!(server.line("disconnected  bob").ends_with("  the server stops"));
    assert!(!server.place.data().join("admin.sock").exists());
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered_in_order_and_then_comes_the_goodbye() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    let many: Vec<u8> = (0..500).flat_map(crate::tls::ping).collect();
    connection.send(&many).await;
    server.signal("TERM");
    let mut answered = 0;
    loop {
        match connection.receive().await {
            Some(ToClient::Answer { id, answer: Ok(_) }) if id == answered => answered += 1,
            Some(ToClient::Goodbye(Goodbye::ShuttingDown)) => break,
            frame => panic!("after {answered} answers: {frame:?}"),
        }
    }
    assert_eq!(server.wait().code(), Some(0));
    assert!(std::net::TcpStream::connect(&server.address).is_err(), "nobody is accepted");
}

#[tokio::test]
async fn ctrl_c_stops_it_too() {
    let mut server = Server::start();
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    server.line("stopped");
}

#[tokio::test]
async fn members_are_known_after_a_crash() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    server.signal("KILL");
    server.wait();
    assert!(server.place.data().join("admin.sock").exists(), "as a crash leaves it");
    let place = std::mem::replace(&mut server.place, Place::new());
    let server = Server::run(place, &[]);
    assert!(server.connect(&bob).await.is_served().await);
    server.enroll("carol").await;
}

#[tokio::test]
async fn a_second_server_is_kept_out() {
    let server = Server::start();
    let output = server.place.output(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another server runs on "), "{said}");
    assert!(output.stdout.is_empty());
    server.invite("bob");
}

#[tokio::test]
async fn the_admin_socket_is_for_its_owner() {
    let server = Server::start();
    let socket = server.place.data().join("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let ready = server.line("ready");
    assert_eq!(
        ready,
        format!("ready  {}  invite-only  admin socket {}", server.address, socket.display())
    );
    assert_eq!(server.invite("bob").address, server.address);
}

#[tokio::test]
async fn the_server_certificate_follows_the_hosts() {
    let place = Place::new();
    place.init();
    let before = place.certificate("server.crt");
    let mut server = Server::run(place, &[]);
    assert_eq!(server.place.certificate("server.crt"), before, "nothing was missing");
    server.signal("TERM");
    server.wait();
    let place = std::mem::replace(&mut server.place, Place::new());
    let server = Server::run(place, &["--host", "chat.example.org"]);
    assert_ne!(server.place.certificate("server.crt"), before);
    server.traces("it does not name chat.example.org");
    for host in ["chat.example.org", "localhost", "127.0.0.1", "::1"] {
        assert!(server.dial_as(host, &[enroll::ALPN], None).await.is_ok(), "{host}");
    }
    assert!(server.dial_as("other.example.org", &[enroll::ALPN], None).await.is_err());
}

#[tokio::test]
async fn a_torn_renewal_is_made_good() {
    let place = Place::new();
    place.init();
    // As after a crash between the new key and its certificate.
    fs::copy(place.data().join("relay.key"), place.data().join("server.key")).unwrap();
    let server = Server::run(place, &[]);
    assert!(server.dial(&[enroll::ALPN], None).await.is_ok());
}

#[tokio::test]
async fn at_rest_it_does_nothing() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let mut session = server.connect(&bob).await;
        assert!(session.is_served().await);
        sessions.push(session);
    }
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ticks() - before <= 1, "a hundredth of a second of a second");
}
