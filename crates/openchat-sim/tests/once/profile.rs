//! A process of a person is killed at each of its write points in turn, and the disk loses what was
//! not synced: what was told as done is done, nothing is said twice, nothing that came is lost.

use crate::{
    kill::seeded,
    people::{assert_log_is_whole, assert_unalarmed},
    shim::{Cache, Fault, Faults},
};
use openchat_sim::{Client, PATIENCE, Person, Server};
use serde_json::Value;
use std::collections::BTreeMap;

/// What happens at a point, and what the disk has afterwards.
const ENDS: [(Fault, Cache); 5] = [
    (Fault::KillBefore, Cache::Lost),
    (Fault::KillAfter, Cache::Kept),
    (Fault::Tear, Cache::Mixed(1)),
    (Fault::KillBefore, Cache::Kept),
    (Fault::TearAtSector, Cache::Lost),
];

/// More write points than any of these processes has.
const MANY: u64 = 2_000;

/// Points from the first on: each `step`th, with the ends in turn.
fn ends(step: usize) -> impl Iterator<Item = (u64, Fault, Cache)> {
    let points = (1..MANY).step_by(step).enumerate();
    points.map(|(turn, point)| {
        let (fault, cache) = ENDS[turn % ENDS.len()];
        (point, fault, seeded(cache, point))
    })
}

/// Alice, whose disk fails, and bob, who is in the same group and listens.
struct Pair {
    server: Server,
    alice: Person,
    faults: Faults,
    bob: Client,
}

impl Pair {
    fn start() -> Self {
        let server = Server::start();
        let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
        let mut bob = bob.join();
        bob.ready();
        assert_eq!(alice.join().finish(), Some(0));
        let faults = Faults::new(&alice.profile(), server.place()).with_power_cuts(server.place());
        let alice = alice.with_environment(faults.environment());
        Self { server, alice, faults, bob }
    }

    /// Runs this to its end, which is by itself or at this point; whether it was by itself.
    fn run(&self, args: &[&str], (point, fault, cache): (u64, Fault, Cache)) -> (bool, Vec<Value>) {
        self.faults.plan(point, fault);
        let mut process = self.alice.start(args);
        let code = process.ended();
        assert!([None, Some(0)].contains(&code), "at {point}: {code:?} {:?}", process.seen());
        self.faults.plan_nothing();
        self.faults.cut_power(cache);
        (code == Some(0), process.seen().to_vec())
    }

    /// How often bob has seen each text, once this one has come. His log is whole.
    fn seen(mut self, last: &str) -> BTreeMap<String, usize> {
        assert_eq!(self.alice.join().finish(), Some(0), "what was queued goes out");
        self.alice.run(&["send", "#general", last]);
        self.bob.message(last);
        assert_unalarmed(&self.bob);
        assert_log_is_whole(&self.server);
        count(self.bob.messages())
    }
}

fn count<'a>(messages: impl Iterator<Item = &'a Value>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for message in messages {
        *counted.entry(message["text"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counted
}

#[test]
fn a_send_killed_at_some_write_points_is_said_once_or_never() {
    kill_sends(3);
}

#[test]
#[ignore = "a minute"]
fn a_send_killed_at_every_write_point_is_said_once_or_never() {
    kill_sends(1);
}

/// Each `step`th point of a send, until one comes through.
fn kill_sends(step: usize) {
    let pair = Pair::start();
    let mut acknowledged = Vec::new();
    let mut kills = 0;
    for end in ends(step) {
        let text = format!("at {}", end.0);
        let (is_whole, printed) = pair.run(&["send", "#general", &text], end);
        let ack = printed.iter().any(|it| it["type"] == "ack");
        acknowledged.extend(ack.then_some(text));
        if is_whole {
            break;
        }
        kills += 1;
    }
    assert!(kills > 5 && !acknowledged.is_empty(), "{kills} kills");
    let seen = pair.seen("the end");
    assert!(seen.values().all(|count| *count == 1), "said twice: {seen:?}");
    let lost: Vec<_> = acknowledged.iter().filter(|text| !seen.contains_key(*text)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "acknowledged and not there");
    println!("{kills} kills, {} of their texts were said", seen.len());
}

#[test]
fn a_listener_killed_at_some_write_points_tells_all_and_one_a_kill_twice() {
    kill_listeners(5);
}

#[test]
#[ignore = "a minute"]
fn a_listener_killed_at_every_write_point_tells_all_and_one_a_kill_twice() {
    kill_listeners(1);
}

/// Each `step`th point of a listener that has two messages to tell, until one comes through.
fn kill_listeners(step: usize) {
    const ARGS: &[&str] =
        &["listen", "#general", "--as", "log", "--since", "beginning", "--count", "2"];
    let mut pair = Pair::start();
    let mut told = Vec::new();
    let (mut kills, mut said) = (0, 0);
    for end in ends(step) {
        // As many as it may have told of: there are always two more.
        for _ in 0..2 {
            pair.bob.send(&said.to_string(), &said.to_string());
            pair.bob.ack(&said.to_string());
            said += 1;
        }
        let (is_whole, printed) = pair.run(ARGS, end);
        told.extend(printed);
        if is_whole {
            break;
        }
        kills += 1;
    }
    assert!(kills > 5, "{kills} kills");
    let mut rest = pair.alice.start(&["listen", "#general", "--as", "log"]);
    rest.message(&(said - 1).to_string());
    rest.kill();
    rest.settle(PATIENCE);
    told.extend(rest.seen().to_vec());
    let counted = count(told.iter().filter(|it| it["type"] == "message"));
    assert_eq!(counted.len(), said, "nothing is lost: {counted:?}");
    let twice = counted.values().map(|count| count - 1).sum::<usize>();
    assert!(twice <= kills, "{twice} came twice in {kills} kills");
    println!("{kills} kills, {twice} of {said} messages twice");
    pair.seen("the end");
}

/// At each point since the session began to serve a send.
#[test]
fn whoever_serves_others_is_killed_at_every_write_point_and_they_notice_nothing() {
    let mut pair = Pair::start();
    let healthy = pair.alice.clone().with_environment([]);
    let mut said = Vec::new();
    let mut kills = 0;
    for (point, fault, _) in ends(1) {
        let mut holder = pair.alice.join();
        holder.ready();
        // Whoever takes over finds the files as they are: the machine has its power.
        pair.faults.plan(point, fault);
        let text = format!("at {point}");
        let printed = healthy.run(&["send", "#general", &text]);
        assert_eq!(printed[0]["type"], "ack", "{printed:?}");
        pair.bob.message(&text);
        said.push(text);
        pair.faults.plan_nothing();
        let is_whole = holder.is_running();
        holder.kill();
        if is_whole {
            break;
        }
        kills += 1;
    }
    assert!(kills > 2, "{kills} kills");
    let seen = pair.seen("the end");
    said.push("the end".to_owned());
    assert_eq!(seen, said.into_iter().map(|text| (text, 1)).collect());
    println!("{kills} kills");
}
