//! Files through the real programs: whole, past `kill -9` on either side, and saved where one says.

#![allow(clippy::expect_used, reason = "a missing file or event has failed the test")]

use openchat_sim::{Client, Person, Server};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Instant};

const MIB: usize = 1024 * 1024;

/// A file of so many bytes, unlike at any two places, in the person's home.
fn file(of: &Person, name: &str, length: usize) -> (PathBuf, Vec<u8>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect();
    let path = of.home().join(name);
    fs::create_dir_all(of.home()).expect("a home");
    fs::write(&path, &bytes).expect("the file is written");
    (path, bytes)
}

/// Waits until so much of a file has come, or gone.
fn progress(client: &mut Client, done: usize) {
    client.until("progress", |event| {
        event["type"] == "progress" && event["done"].as_u64() >= u64::try_from(done).ok()
    });
}

/// Saves the file of this id and compares it.
fn save(of: &Person, id: &Value, bytes: &[u8]) {
    let to = of.home().join("saved");
    let saved = of.run(&["file", "save", id.as_str().expect("an id"), &to.to_string_lossy()]);
    assert_eq!(saved.last().expect("saved")["type"], "saved");
    assert!(fs::read(&to).expect("it is there") == bytes, "byte by byte");
    let mode = fs::metadata(&to).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, refused) =
        of.try_to(&["file", "save", id.as_str().expect("an id"), &to.to_string_lossy()]);
    assert_eq!((code, &refused.last().expect("an error")["code"]), (Some(1), &"file".into()));
}

#[test]
fn a_file_survives_kill_9_of_sender_and_receiver_and_comes_once() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let (path, bytes) = file(&alice, "plans.pdf", 6 * MIB);
    let mut bobs = bob.join();
    bobs.ready();
    let mut alices = alice.join();
    alices.ready();
    bobs.meet("alice");
    alices.order(&json!({"type": "file", "path": path, "ref": "f"}));
    let id = alices.ack("f")["id"].clone();
    // Its source is not needed any more.
    fs::remove_file(&path).expect("it was there");
    for quarter in 1..4 {
        progress(&mut alices, quarter * bytes.len() / 4);
        alices.kill();
        if quarter == 2 {
            bobs.kill();
            bobs = bob.join();
        }
        alices = alice.join();
    }
    progress(&mut alices, bytes.len());
    let came = bobs.event("file");
    assert_eq!(
        (&came["id"], &came["good"], &came["name"]),
        (&id, &true.into(), &"plans.pdf".into())
    );
    assert_eq!((alices.finish(), bobs.finish()), (Some(0), Some(0)));
    save(&bob, &id, &bytes);
    save(&alice, &id, &bytes);
    let files = bob.run(&["file", "list"]);
    assert_eq!(files.len(), 1);
    assert_eq!((&files[0]["state"], &files[0]["sender"]), (&"here".into(), &"alice".into()));
}

#[test]
fn one_command_sends_files_and_what_belongs_to_them() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut bobs = bob.join();
    bobs.ready();
    let (first, _) = file(&alice, "a.txt", 10);
    let (second, _) = file(&alice, "b.txt", 0);
    let (first, second) = (first.to_string_lossy(), second.to_string_lossy());
    let sent = alice.run(&["send", "--file", &first, "--file", &second, "#general", "There."]);
    assert_eq!(sent.iter().filter(|it| it["type"] == "ack").count(), 3, "{sent:?}");
    let reply = alice.run(&["send", "#general", "--reply-to", id(&sent[2]), "Yes?"]);
    alice.run(&["send", "#general", "--action", "waves"]);
    assert_eq!(bobs.message("There.")["kind"], "text");
    let answer = bobs.message("Yes?");
    assert_eq!((&answer["kind"], &answer["to"]), (&"reply".into(), &sent[2]["id"]));
    assert_eq!(answer["id"], reply.last().expect("an ack")["id"]);
    assert_eq!(bobs.message("waves")["kind"], "action");
    bobs.count("file", 2);
    // What can't be sent is said, and nothing of it is left.
    for wrong in ["/no/such/file", "/dev/zero", "/"] {
        let (code, said) = alice.try_to(&["send", "--file", wrong, "#general"]);
        assert_eq!((code, &said.last().expect("an error")["code"]), (Some(1), &"file".into()));
    }
    let (code, said) = alice.try_to(&["send", "--reply-to", &"0".repeat(32), "#general", "x"]);
    let error = said.last().expect("an error");
    assert_eq!((code, &error["code"]), (Some(7), &"no-such-message".into()), "{said:?}");
    assert_eq!(bobs.finish(), Some(0));
}

#[test]
fn every_order_about_messages_is_obeyed_and_history_shows_how_they_stand() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut bobs = bob.join();
    bobs.ready();
    let mut alices = alice.join();
    alices.ready();
    bobs.meet("alice");
    alices.send("1", "Tuesday, then");
    alices.send("2", "a secret");
    let [first, second] = ["1", "2"].map(|reference| alices.ack(reference)["id"].clone());
    let mut say = |order: Value, reference: &str| {
        let mut order = order;
        order["ref"] = reference.into();
        alices.order(&order);
        alices.ack(reference)
    };
    say(json!({"type": "edit", "of": first, "text": "Wednesday, then"}), "3");
    say(json!({"type": "delete", "of": second}), "4");
    say(json!({"type": "react", "to": first, "emoji": "👍"}), "5");
    say(json!({"type": "topic", "text": "the meeting"}), "6");
    say(json!({"type": "timer", "seconds": 3600}), "7");
    say(json!({"type": "timer", "seconds": 0}), "8");
    let kinds = ["edit", "delete", "reaction", "topic", "timer"];
    for kind in kinds {
        bobs.until(kind, |event| event["type"] == "message" && event["kind"] == kind);
    }
    bobs.message("Tuesday, then");
    // Nobody changes what another has said.
    bobs.order(&json!({"type": "edit", "of": first, "text": "never", "ref": "no"}));
    let refused = bobs.until("error", |event| event["type"] == "error" && event["ref"] == "no");
    assert_eq!(refused["code"], "not-yours");
    assert_eq!((alices.finish(), bobs.finish()), (Some(0), Some(1)));
    let history = bob.run(&["history", "#general"]);
    let kinds: Vec<_> = history.iter().map(|it| it["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["text", "delete", "topic", "timer", "timer"], "{history:?}");
    assert_eq!(history[0]["text"], "Wednesday, then");
    assert!(bob.run(&["search", "secret"]).is_empty());
    assert_eq!(bob.run(&["search", "wednesday"]).len(), 1);
}

/// The largest file there may be, timed: `cargo test -p openchat-sim --test files -- --ignored`.
#[test]
#[ignore = "takes a minute"]
fn the_largest_file_comes_and_a_larger_one_is_refused() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut bobs = bob.join();
    bobs.ready();
    let (path, bytes) = file(&alice, "large.bin", 64 * MIB);
    let began = Instant::now();
    let sent = alice.run(&["send", "--file", &path.to_string_lossy(), "#general"]);
    let uploaded = began.elapsed();
    let came = bobs.event("file");
    assert_eq!((&came["id"], &came["good"]), (&sent[0]["id"], &true.into()));
    let all = began.elapsed();
    assert_eq!(bobs.finish(), Some(0));
    let began = Instant::now();
    save(&bob, &came["id"], &bytes);
    eprintln!("64 MiB: sent {uploaded:?}, there {all:?}, saved {:?}", began.elapsed());
    let (path, _) = file(&alice, "larger.bin", 64 * MIB + 1);
    let (code, refused) = alice.try_to(&["send", "--file", &path.to_string_lossy(), "#general"]);
    assert_eq!((code, &refused.last().expect("an error")["code"]), (Some(1), &"too-long".into()));
}

fn id(ack: &Value) -> &str {
    ack["id"].as_str().expect("an id")
}
