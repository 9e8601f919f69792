//! The load program behind `scripts/bench client`: what a person and a script wait for, and how much
//! memory it takes. Whole programs, measured from outside; medians of one run. Nobody else's client
//! does the same work over the same kind of server, so there is no peer.

#![allow(clippy::print_stdout, reason = "its figures are its output")]
#![allow(clippy::expect_used, clippy::panic, reason = "a bench fails by a panic")]

mod screen;
mod stock;

use openchat_sim::{Client, Figures, Person, Plan, Server, percentile};
use screen::Screen;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Messages in the conversation that is opened, searched and written in.
const MESSAGES: u32 = 100_000;
/// Messages that came while somebody was away.
const MISSED: u32 = 10_000;
/// Keys pressed, one at a time.
const KEYS: u32 = 300;
/// Messages that a script sends, each by a process of its own.
const SENDS: u32 = 50;
/// Whatever else is done more than once, and only its median told.
const TIMES: u32 = 11;
/// How often a catch-up and a file are measured: they take seconds.
const FEW: u32 = 3;
/// The file that is sent.
const FILE: usize = 20 * 1024 * 1024;
/// Between two timed things: the machine is at rest when each begins.
const PACE: Duration = Duration::from_millis(20);

const OURS: &str = "ours";

const PLAN: Plan = Plan {
    sides: &[OURS],
    rows: &[
        ("key to screen, p50", "ms"),
        ("key to screen, p99", "ms"),
        ("open a conversation", "ms"),
        ("search, a whole command", "ms"),
        ("send, start to ack, p50", "ms"),
        ("send, start to ack, p99", "ms"),
        ("catch up", "ms"),
        ("peak memory of join", "MiB"),
        ("peak memory of the screen", "MiB"),
        ("peak memory of listen", "MiB"),
        ("file sent", "MiB/s"),
        ("file there", "MiB/s"),
        ("file saved", "MiB/s"),
    ],
    panels: &[],
};

/// Measures some of the rows.
type Work = fn(&mut Figures);

/// What is measured, by the names that choose some of it.
const WORKS: [(&str, Work); 4] = [
    ("send", cold_sends),
    ("catch-up", catch_ups),
    ("file", files),
    ("screen", large_conversation),
];

fn main() -> ExitCode {
    let (options, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let as_json = options == ["--json"];
    let known = |name: &String| WORKS.iter().any(|(work, _)| work == name);
    if !(as_json || options.is_empty()) || !wanted.iter().all(known) {
        println!("usage: bench-client [--json] [send|catch-up|file|screen ...]");
        return ExitCode::from(2);
    }
    let mut figures = Figures::new(&PLAN);
    for (name, work) in WORKS {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            work(&mut figures);
        }
    }
    if as_json {
        figures.json().iter().for_each(|row| println!("{row}"));
    } else {
        print!("{}", figures.table());
    }
    ExitCode::SUCCESS
}

/// `openchat send`, from nothing to the server's answer, while somebody reads.
fn cold_sends(figures: &mut Figures) {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let mut reader = bob.join();
    reader.ready();
    memory(figures, "peak memory of join", 0, &reader);
    let mut listener = alice.start(&["listen"]);
    listener.event("connection");
    memory(figures, "peak memory of listen", 0, &listener);
    listener.kill();
    let mut times: Vec<f64> = (0..SENDS)
        .map(|number| millis(|| drop(alice.run(&["send", "#general", &format!("{number}")]))))
        .collect();
    percentiles(figures, "send, start to ack", SENDS, &mut times);
}

/// From the start of `openchat join` to the last of the messages that came meanwhile.
fn catch_ups(figures: &mut Figures) {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let mut writer = alice.join();
    writer.ready();
    for round in 0..FEW {
        for number in 0..MISSED {
            writer.send(&format!("{round} {number}"), &format!("message {number} of {round}"));
        }
        writer.ack(&format!("{round} {}", MISSED - 1));
        figures.add(OURS, MISSED, "catch up", millis(|| reads(&bob, MISSED)));
    }
}

/// Reads so many messages of `openchat join`, by their lines alone: to check each would take time, too.
fn reads(person: &Person, mut messages: u32) {
    let mut command = person.command();
    command.args(["--json", "join", "#general"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("openchat");
    let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    while messages > 0 {
        let line = lines.next().expect("it goes on").expect("a line");
        messages -= u32::from(line.contains(r#""type":"message""#));
    }
    // It stores what it has shown, and ends.
    drop(process.stdin.take());
    process.wait().expect("it ends");
}

/// A file on its way, until each has all of it.
fn files(figures: &mut Figures) {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let path = alice.home().join("file");
    let path = path.to_string_lossy();
    let mut reader = bob.join();
    reader.ready();
    for round in 0..FEW {
        // Another one each time, and nothing that could be packed.
        let bytes: Vec<u8> =
            stock::random(round).map(|it| it.to_be_bytes()[0]).take(FILE).collect();
        fs::write(&*path, bytes).expect("a file");
        let begun = Instant::now();
        let sent = alice.run(&["send", "--file", &path, "#general"]);
        let id = sent[0]["id"].as_str().expect("an id").to_owned();
        speed(figures, "file sent", begun);
        reader.until("the file", |event| event["type"] == "file" && event["id"] == *id);
        speed(figures, "file there", begun);
        let to = bob.home().join(format!("saved {round}"));
        let begun = Instant::now();
        bob.run(&["file", "save", &id, &to.to_string_lossy()]);
        speed(figures, "file saved", begun);
    }
}

/// The screen over a conversation with a past.
fn large_conversation(figures: &mut Figures) {
    let server = Server::start();
    let [alice, bob] = two(&server);
    alice.run(&["send", "@bob", "elsewhere"]);
    stock::fill(&server, &alice, MESSAGES);
    for _ in 0..TIMES {
        let search = || drop(alice.run(&["search", stock::RARE]));
        figures.add(OURS, MESSAGES, "search, a whole command", millis(search));
    }
    let mut client = alice.join();
    client.ready();
    memory(figures, "peak memory of join", MESSAGES, &client);
    assert_eq!(client.finish(), Some(0));
    drop(bob);

    let mut screen = Screen::open(&alice, "@bob");
    screen.wait_for("elsewhere");
    for _ in 0..TIMES {
        screen.rest();
        screen.type_in("/join #general");
        screen.rest();
        let opened = millis(|| {
            screen.type_in("\r");
            screen.wait_for(stock::NEWEST);
        });
        figures.add(OURS, MESSAGES, "open a conversation", opened);
        screen.type_in("/join @bob\r");
        screen.wait_for("elsewhere");
    }
    screen.type_in("/join #general\r");
    screen.wait_for(stock::NEWEST);
    let mut times: Vec<f64> = (0..KEYS).map(|number| screen.key(number)).collect();
    percentiles(figures, "key to screen", MESSAGES, &mut times);
    figures.add(OURS, MESSAGES, "peak memory of the screen", peak(screen.pid()));
}

/// Two who are both in `#general`, and not there now.
fn two(server: &Server) -> [Person; 2] {
    let both = ["alice", "bob"].map(|name| server.enroll(name));
    for person in &both {
        let mut client = person.join();
        client.ready();
        assert_eq!(client.finish(), Some(0));
    }
    both
}

fn millis(act: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    act();
    begun.elapsed().as_secs_f64() * 1e3
}

fn percentiles(figures: &mut Figures, work: &str, n: u32, times: &mut [f64]) {
    for percent in [50, 99] {
        figures.add(OURS, n, &format!("{work}, p{percent}"), percentile(times, percent));
    }
}

fn speed(figures: &mut Figures, work: &str, begun: Instant) {
    let mebibytes = f64::from(u32::try_from(FILE >> 20).expect("a small number"));
    figures.add(OURS, 20, work, mebibytes / begun.elapsed().as_secs_f64());
}

fn memory(figures: &mut Figures, work: &str, n: u32, client: &Client) {
    figures.add(OURS, n, work, peak(client.pid().expect("it runs")));
}

/// The most memory that a process has had, in MiB.
fn peak(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.expect("how much") / 1024.0
}
