//! The disk of a person is full while several processes share the profile: each of them ends and says
//! so, nothing is half done, and all goes on where it was once there is room.

use crate::{
    people::{assert_log_is_whole, assert_unalarmed, view},
    shim::Faults,
};
use openchat_sim::{Client, Person, Server};
use serde_json::Value;
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

/// Alice, whose disk can be filled, and bob, who is in the same group and listens.
fn two(server: &Server) -> (Person, Faults, Client) {
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut bob = bob.join();
    bob.ready();
    assert_eq!(alice.join().finish(), Some(0));
    bob.meet("alice");
    let faults = Faults::new(&alice.profile(), server.place());
    (alice.with_environment(faults.environment()), faults, bob)
}

fn assert_no_room(code: Option<i32>, error: &Value) {
    assert_eq!((code, &error["code"]), (Some(1), &"vault".into()), "{error}");
    // Where the files themselves could not be made longer, SQLite only says that a write failed.
    assert!(error["hint"].as_str().unwrap().contains("free space"), "{error}");
}

#[test]
fn whoever_serves_others_ends_with_them_and_all_go_on_where_they_were() {
    let server = Server::start();
    let (alice, faults, mut bob) = two(&server);
    let mut holder = alice.join();
    holder.ready();
    let mut listener = alice.start(&["listen", "#general", "--as", "log"]);
    listener.event("following");
    bob.send("before", "before");
    listener.message("before");
    holder.message("before");

    faults.set_full(true);
    let (code, said) = alice.try_to(&["send", "#general", "never"]);
    assert_no_room(code, said.last().unwrap());
    for process in [&mut holder, &mut listener] {
        let code = process.ended();
        assert_no_room(code, process.seen().last().unwrap());
    }
    bob.send("meanwhile", "meanwhile");
    bob.ack("meanwhile");
    let (code, said) = alice.try_to(&["listen", "#general", "--as", "log", "--count", "1"]);
    assert_no_room(code, said.last().unwrap());

    faults.set_full(false);
    let mut listener = alice.start(&["listen", "#general", "--as", "log"]);
    listener.message("meanwhile");
    alice.run(&["send", "#general", "after"]);
    bob.message("after");
    let texts: Vec<_> = view(&bob).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["before", "meanwhile", "after"], "nothing was half done");
    assert_unalarmed(&bob);
    assert_log_is_whole(&server);
}

/// The command has done its work, and nobody could write that down: it is run once more.
#[test]
fn a_command_whose_message_can_t_be_noted_is_run_again_with_the_same_id() {
    let server = Server::start();
    let (alice, faults, mut bob) = two(&server);
    let [bot, runs, full] = ["bot", "runs", "faults control"].map(|name| server.place().join(name));
    // It fills the disk by the file that the tests' own disk is told by.
    let lines = format!(
        "#!/bin/sh\necho \"$OPENCHAT_ID $(cat)\" >> '{}'\n\
         [ -e '{1}.full' ] || printf '\\001' | dd of='{1}' bs=1 seek={FULL} conv=notrunc 2>/dev/null\n\
         touch '{1}.full'\n",
        runs.display(),
        full.display(),
    );
    fs::write(&bot, lines).unwrap();
    fs::set_permissions(&bot, fs::Permissions::from_mode(0o755)).unwrap();
    for text in ["one", "two"] {
        bob.send(text, text);
        bob.ack(text);
    }
    let args = ["listen", "#general", "--as", "bot", "--since", "beginning", "--count", "2"];
    let args = [&args[..], &["--exec", bot.to_str().unwrap()]].concat();
    let (code, said) = alice.try_to(&args);
    assert_no_room(code, said.last().unwrap());
    assert!(faults.refused() > 0);
    faults.set_full(false);
    alice.run(&args);
    let runs = fs::read_to_string(runs).unwrap();
    let texts: Vec<_> = runs.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(texts, ["one", "one", "two"]);
    let ids: BTreeSet<_> = runs.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(ids.len(), 2, "the same message has the same id: {runs}");
}

/// Where the control file says that the disk is full; its fields have eight bytes each.
const FULL: usize = 3 * 8;
