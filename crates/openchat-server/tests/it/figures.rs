//! Figures for Prometheus, what is told to the service manager, and floods.

use crate::server::{Place, Server};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

fn asked(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    // One that is refused may be closed while it still sends.
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn with_figures() -> (Server, String) {
    let place = Place::new();
    place.init();
    let server = Server::run(place, &["--metrics-listen", "127.0.0.1:0"]);
    let address = server.line("metrics").split("  ").nth(1).unwrap().to_owned();
    (server, address)
}

#[tokio::test]
async fn figures_tell_what_happened() {
    let (server, address) = with_figures();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    let answer = asked(&address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    for line in [
        "openchat_people_online 1",
        "openchat_sessions 1",
        "openchat_enrolled_total 1",
        "openchat_registered_keys 1",
        "openchat_requests_total 1",
        "openchat_refused_total{reason=\"tls\"} 0",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in {body}");
    }
    assert!(!body.contains("bob") && !body.contains("127.0.0.1"), "nobody is named");
}

#[tokio::test]
async fn figures_are_all_that_can_be_asked_there() {
    let (server, address) = with_figures();
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\x16\x03\x01 something else\r\n\r\n", "400"),
        (&[b'a'; 4_096], "400"),
        (b"", "400"),
    ] {
        let answer = asked(&address, request);
        assert!(answer.starts_with(&format!("HTTP/1.0 {status} ")), "{answer:?}");
    }
    // Four who say nothing lose their places after five seconds; nobody else notices anything.
    let silent: Vec<_> = (0..4).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let began = Instant::now();
    assert!(server.connect(&server.enroll("bob").await).await.is_served().await);
    assert!(began.elapsed() < Duration::from_secs(4));
    let answer = asked(&address, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200 ") && began.elapsed() < Duration::from_secs(15));
    drop(silent);
}

#[test]
fn without_being_asked_for_there_are_none() {
    let server = Server::start();
    let ports = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.id())).unwrap();
    assert!(!ports.is_empty());
    assert!(server.lines("", 1).iter().all(|line| !line.starts_with("metrics")));
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let place = Place::new();
    place.init();
    let path = place.data().with_extension("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut server = Server::run_with(
        place,
        &[],
        &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")],
    );
    let mut told = String::new();
    let mut wait = |text: &str| {
        let mut bytes = [0; 256];
        while !told.contains(text) {
            let read = socket.recv(&mut bytes).unwrap();
            told.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        told.clear();
    };
    wait("READY=1\nSTATUS=serving 127.0.0.1:");
    wait("WATCHDOG=1\n");
    server.signal("HUP");
    wait("RELOADING=1\n");
    wait("READY=1\n");
    server.signal("TERM");
    wait("STOPPING=1\n");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn strangers_can_not_flood_the_console_nor_the_trace() {
    let mut server = Server::start();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let _ = stream.read(&mut [0; 100]);
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.line("stopped");
    let refused = server.lines("refused", 100).len();
    assert!(refused < 400, "{refused} lines");
    let counted: usize = server
        .lines("suppressed  refused  ", 1)
        .iter()
        .map(|line| line.split(' ').filter_map(|word| word.parse::<usize>().ok()).sum::<usize>())
        .sum();
    assert_eq!(refused + counted, 600, "what is not shown is counted");
    let trace = server.trace();
    assert!(trace.matches(" refused ").count() < 500 && trace.contains("were left out"), "{trace}");
}
