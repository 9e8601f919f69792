//! Whoever runs the session is killed, again and again.

use crate::people::{counted, holder, once, read, signal, socket, texts, visit};
use openchat_sim::{Client, PATIENCE, Person, Server, schema};
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

const HOLDERS: usize = 5;

/// Five processes, of which the one that runs the session is killed, four times. Bob writes all the
/// time, and the survivor has printed each of his words once; so have all others as far as they got.
#[test]
fn five_holders_killed_one_after_the_other_lose_and_repeat_nothing() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut writer = bob.join();
    writer.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let mut open: Vec<Client> = (0..HOLDERS).map(|_| alice.join()).collect();
    for client in &mut open {
        client.ready();
    }
    let mut last = None;
    let mut said = Vec::new();
    let mut gone = Vec::new();
    for round in 0..HOLDERS {
        for text in texts(&format!("round {round}"), 20) {
            writer.send(&text, &text);
            said.push(text);
        }
        if round + 1 < HOLDERS {
            let pid = holder(&alice, last);
            last = Some(pid);
            let place = open.iter().position(|client| client.pid() == Some(pid)).unwrap();
            let mut client = open.remove(place);
            client.kill();
            gone.push(client);
        }
    }
    let mut survivor = open.pop().unwrap();
    for text in &said {
        survivor.message(text);
    }
    survivor.send("own", "and still here");
    survivor.ack("own");
    assert_eq!(survivor.finish(), Some(0));
    assert_eq!(writer.finish(), Some(0));
    said.push("and still here".to_owned());
    assert_eq!(counted([&survivor]), once(said));
    for mut client in gone {
        client.settle(PATIENCE);
        assert!(counted([&client]).values().all(|count| *count == 1));
    }
}

/// One-shot sends go on while those who run the session are killed: each exits with 0, each word
/// arrives once.
#[test]
fn sends_survive_the_holder() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let said = texts("word", 60);
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let sending: Vec<_> =
            (0..4).map(|_| scope.spawn(|| send_on(&alice, &said, &next))).collect();
        let killing = scope.spawn(|| kill_on(&alice, &over));
        let sent: Vec<_> = sending.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        let killed = killing.join().unwrap();
        assert!(sent.iter().all(Result::is_ok));
        assert!(killed >= 3, "only {killed} were killed");
    });
    for text in &said {
        reader.message(text);
    }
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]), once(said));
}

fn send_on(alice: &Person, said: &[String], next: &AtomicUsize) {
    while let Some(text) = said.get(next.fetch_add(1, Ordering::Relaxed)) {
        // A send that runs the session itself and is killed has no exit code; what became of its word
        // nobody knows, so it is no part of this: only open conversations are killed.
        let objects = alice.run(&["send", "#general", text]);
        assert_eq!(objects[0]["type"], "ack", "{objects:?}");
    }
}

/// Opens a conversation, and kills it as soon as it runs the session.
fn kill_on(alice: &Person, over: &AtomicBool) -> usize {
    let mut killed = 0;
    while !over.load(Ordering::Relaxed) {
        let mut client = alice.join();
        client.ready();
        let pid = holder(alice, None);
        if client.pid() == Some(pid) {
            client.kill();
            killed += 1;
        }
    }
    killed
}

/// The one who runs the session ends in an orderly way while another one waits for a mark of
/// delivery, and a third one has just asked for something.
#[test]
fn an_orderly_end_hands_everything_over() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    assert_eq!(bob.join().finish(), Some(0));
    let mut open = alice.join();
    open.ready();
    let mut waiting =
        alice.start(&["send", "--wait", "delivered", "--timeout", "80", "@bob", "are you there?"]);
    // It is in the log as soon as the one who runs the session says so.
    open.event("ack");
    assert_eq!(open.finish(), Some(0));
    let mut reader = bob.open("@alice");
    reader.message("are you there?");
    assert_eq!(waiting.ended(), Some(0), "{:?}", waiting.seen());
    assert_eq!(waiting.seen()[1]["by"], "bob");
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]).len(), 1);
}

/// The server is killed and comes back while both a holder and its guests write.
#[test]
fn the_server_is_killed_and_back() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    let [mut first, mut second] = [alice.join(), alice.join()];
    first.ready();
    second.ready();
    server.kill();
    let said = texts("word", 10);
    for (number, text) in said.iter().enumerate() {
        let client = if number % 2 == 0 { &mut first } else { &mut second };
        client.send(text, text);
    }
    let mut one_shot = alice.start(&["send", "#general", "one more"]);
    server.run();
    first.ack(&said[8]);
    second.ack(&said[9]);
    assert_eq!(one_shot.ended(), Some(0), "{:?}", one_shot.seen());
    let all: Vec<_> = said.into_iter().chain(["one more".to_owned()]).collect();
    for text in &all {
        reader.message(text);
        first.message(text);
        second.message(text);
    }
    for client in [&mut second, &mut first, &mut reader] {
        assert_eq!(client.finish(), Some(0));
        assert_eq!(counted([&*client]), once(all.clone()));
    }
}

/// A stopped holder says nothing; whoever waits goes on when it is back.
#[test]
fn a_holder_that_sleeps_is_waited_for() {
    let server = Server::start();
    let alice = server.enroll("alice");
    let mut open = alice.join();
    open.ready();
    let pid = holder(&alice, None);
    signal(pid, "-STOP");
    let mut send = alice.start(&["send", "#general", "patience"]);
    send.settle(Duration::from_millis(300));
    assert!(send.seen().is_empty());
    signal(pid, "-CONT");
    assert_eq!(send.ended(), Some(0), "{:?}", send.seen());
    open.message("patience");
    assert_eq!(open.finish(), Some(0));
    assert_eq!(counted([&open]), once(["patience".to_owned()]));
}

/// Runs the session of this person in appearance: takes one order, and ends. `end` is its last word.
fn pretend(person: &Person, kind: &'static str, end: &'static str) -> thread::JoinHandle<Value> {
    let lock = File::options().append(true).open(person.profile().join("vault.lock")).unwrap();
    lock.try_lock().unwrap();
    let listener = UnixListener::bind(socket(person)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        writeln!(stream, r#"{{"v":1,"type":"agent","agent":1,"version":"0.1.0","pid":1}}"#)
            .unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let objects = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let order =
            objects.inspect(|it| schema::check("in", it).unwrap()).find(|it| it["type"] == kind);
        stream.write_all(end.as_bytes()).unwrap();
        drop(lock);
        order.unwrap()
    })
}

/// What was asked for under an id is asked of the next one under the same id.
#[test]
fn a_send_keeps_its_id_from_one_session_to_the_next() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let pretended = pretend(&alice, "send", "");
    let printed = alice.run(&["send", "#general", "once"]);
    let asked = pretended.join().unwrap();
    assert_eq!(printed[0]["id"], asked["id"]);
    assert_eq!(reader.message("once")["id"], asked["id"]);
    // Once more under the same id: nothing is said, and where it is is told again.
    let mut open = alice.join();
    open.ready();
    let again = serde_json::json!({
        "type": "send", "text": "once", "id": asked["id"], "target": "#general", "ref": "again"
    });
    for _ in 0..2 {
        let mut guest = visit(&alice);
        writeln!(guest.get_ref(), "{again}").unwrap();
        let mut told = std::iter::from_fn(|| read(&mut guest));
        let ack = told.find(|it| it["type"] == "ack").unwrap();
        assert_eq!((&ack["ref"], &ack["seq"]), (&again["ref"], &printed[0]["seq"]));
    }
    assert_eq!(open.finish(), Some(0));
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]), once(["once".to_owned()]));
}

/// Whether a group was begun by a session that is gone, nobody knows: two must not come of it.
#[test]
fn what_may_be_done_already_is_not_done_twice() {
    let server = Server::start();
    let alice = server.enroll("alice");
    assert_eq!(alice.join().finish(), Some(0));
    for end in ["", "{\"v\":1,\"type\":\"end\",\"taken\":[1],\"lost\":0,\"halted\":false}\n"] {
        let pretended = pretend(&alice, "new", end);
        let (code, objects) = alice.try_to(&["group", "new", "ops"]);
        assert_eq!((code, &objects[0]["code"]), (Some(1), &"no-answer".into()), "{objects:?}");
        assert_eq!(pretended.join().unwrap()["name"], "ops");
        let groups = alice.run(&["group", "list"]);
        assert!(groups.iter().all(|group| group["target"] != "#ops"), "{groups:?}");
    }
    // One that says what it has not begun leaves it to the next.
    let end = "{\"v\":1,\"type\":\"end\",\"taken\":[],\"lost\":0,\"halted\":false}\n";
    let pretended = pretend(&alice, "new", end);
    assert_eq!(alice.run(&["group", "new", "ops"])[0]["target"], "#ops");
    pretended.join().unwrap();
}
