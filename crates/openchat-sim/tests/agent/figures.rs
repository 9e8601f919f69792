//! How long a one-shot send takes. No assertion: figures are for people.

use crate::people::texts;
use openchat_sim::{Person, Server};
use std::time::{Duration, Instant};

const TIMES: usize = 50;

/// `cargo test -p openchat-sim --release --test agent -- --ignored figures --nocapture`
#[test]
#[ignore = "measures"]
fn from_start_to_acknowledged() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    print("cold, with nobody there", &mut timed(&alice, "alone"));
    let mut open = alice.join();
    open.ready();
    print("beside an open conversation", &mut timed(&alice, "beside"));
    assert_eq!(open.finish(), Some(0));
    assert_eq!(reader.finish(), Some(0));
}

fn timed(person: &Person, prefix: &str) -> Vec<Duration> {
    let time = |text: &String| {
        let begun = Instant::now();
        person.run(&["send", "#general", text]);
        begun.elapsed()
    };
    texts(prefix, TIMES).iter().map(time).collect()
}

fn print(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let (half, last) = (took[TIMES / 2].as_millis(), took[TIMES * 95 / 100].as_millis());
    println!("{what}: p50 {half} ms, p95 {last} ms of {TIMES}");
}
