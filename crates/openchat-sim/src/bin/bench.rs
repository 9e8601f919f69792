//! The load program behind `scripts/bench`: whole programs, as people run them, measured from
//! outside. One run prints every figure of one kind, medians of that run.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use openchat_sim::{Client, Person, Server};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Somebody's first minute, repeated this often.
const PEOPLE: usize = 11;
/// Fresh servers, from nothing to a message.
const SERVERS: usize = 5;
/// Messages whose way is timed, one at a time.
const MESSAGES: usize = 500;
/// Between two timed messages: the machine is at rest when each begins.
const PACE: Duration = Duration::from_millis(10);
/// Messages sent as fast as they are taken.
const BURST: usize = 3_000;
/// Members of the group that forms from nothing, and how often it does.
const GROUP: usize = 32;
const GROUPS: usize = 3;
/// How long the idle server is watched.
const IDLE: Duration = Duration::from_secs(10);

/// One figure.
struct Row {
    work: &'static str,
    n: usize,
    unit: &'static str,
    ours: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    if arguments.first().map(String::as_str) != Some("main") {
        println!("usage: bench main [--json]");
        return ExitCode::from(2);
    }
    for work in [first_message, newcomer, one_at_a_time, burst, forming] {
        for row in work() {
            print(&row, as_json);
        }
    }
    ExitCode::SUCCESS
}

/// From `init-ca` to the first message that somebody else has authenticated.
fn first_message() -> Vec<Row> {
    let once = || {
        let start = Instant::now();
        let server = Server::start();
        let (mut alice, mut bob) = two_people(&server);
        alice.send("1", "first");
        bob.message("first");
        start.elapsed()
    };
    let times: Vec<Duration> = (0..SERVERS).map(|_| once()).collect();
    vec![row("init-ca to first message", times, 50)]
}

/// Enroll and join of one person, beside one who is there.
fn newcomer() -> Vec<Row> {
    let server = Server::start();
    let mut first = server.enroll("first").join();
    first.ready();
    let once = |n: usize| {
        let start = Instant::now();
        let mut client = server.enroll(&format!("newcomer-{n}")).join();
        client.ready();
        start.elapsed()
    };
    vec![row("enroll and join", (0..PEOPLE).map(once).collect(), 50)]
}

/// From the line typed to the line shown at both receivers.
fn one_at_a_time() -> Vec<Row> {
    let server = Server::start();
    let (mut alice, mut bob) = two_people(&server);
    let mut carol = server.enroll("carol").join();
    carol.ready();
    alice.meet("carol");
    let mut once = |n: usize| {
        std::thread::sleep(PACE);
        let text = format!("message {n}");
        let start = Instant::now();
        alice.send("1", &text);
        bob.next_message(&text);
        carol.next_message(&text);
        start.elapsed()
    };
    let times: Vec<Duration> = (0..MESSAGES).map(&mut once).collect();
    vec![
        row("send to shown at 2, p50", times.clone(), 50),
        row("send to shown at 2, p99", times, 99),
    ]
}

/// Messages a second, from one sender to two receivers that show them all.
fn burst() -> Vec<Row> {
    let server = Server::start();
    let (mut alice, mut bob) = two_people(&server);
    let mut carol = server.enroll("carol").join();
    carol.ready();
    alice.meet("carol");
    let start = Instant::now();
    for n in 0..BURST {
        alice.send("1", &format!("message {n}"));
    }
    bob.count("message", BURST);
    carol.count("message", BURST);
    let seconds = start.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(BURST).unwrap_or(0)) / seconds;
    vec![Row { work: "burst to 2 receivers", n: BURST, unit: "messages/s", ours: rate }]
}

/// A group of 32 who all start at once on a new server; then the server's rest.
fn forming() -> Vec<Row> {
    let (mut whole, mut keys, mut idle) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..GROUPS {
        let server = Server::start();
        let start = Instant::now();
        let people: Vec<Person> = std::thread::scope(|scope| {
            let enroll = |n| {
                scope.spawn({
                    let server = &server;
                    move || server.enroll(&format!("person-{n}"))
                })
            };
            let threads: Vec<_> = (0..GROUP).map(enroll).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let enrolled = Instant::now();
        let mut clients: Vec<Client> = people.iter().map(Person::join).collect();
        for client in &mut clients {
            client.ready();
        }
        whole.push(start.elapsed());
        keys.push(enrolled.elapsed());
        idle = idle_percent(&server);
    }
    vec![
        row("32 enroll and form a group", whole, 50),
        row("32 enrolled form a group", keys, 50),
        Row { work: "server at rest, 32 connected", n: GROUP, unit: "% CPU", ours: idle },
    ]
}

fn two_people(server: &Server) -> (Client, Client) {
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut alice = alice.join();
    alice.ready();
    let mut bob = bob.join();
    bob.ready();
    alice.meet("bob");
    (alice, bob)
}

fn idle_percent(server: &Server) -> f64 {
    std::thread::sleep(Duration::from_secs(2));
    let before = server.cpu_time();
    std::thread::sleep(IDLE);
    let used = server.cpu_time().saturating_sub(before);
    100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
}

/// The given percentile of the times, in milliseconds.
fn row(work: &'static str, mut times: Vec<Duration>, percentile: usize) -> Row {
    times.sort();
    let at = (times.len() * percentile / 100).min(times.len().saturating_sub(1));
    let ours = times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    Row { work, n: times.len(), unit: "ms", ours }
}

fn print(row: &Row, as_json: bool) {
    let Row { work, n, unit, ours } = row;
    if as_json {
        let none = Value::Null;
        let line = json!({
            "work": work, "n": n, "unit": unit, "ours": ours,
            "peer": none, "peer_name": none, "ratio": none,
        });
        println!("{line}");
    } else {
        println!("{work:32} {ours:10.2} {unit:12} n = {n}");
    }
}
