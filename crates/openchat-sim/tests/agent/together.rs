//! Many at once.

use crate::people::{connect, counted, once, texts};
use openchat_sim::{Person, Server};
use serde_json::Value;
use std::{collections::BTreeSet, thread};

/// Runs `openchat send` for each of these at once; gives the ids.
fn send_all(person: &Person, texts: &[String]) -> BTreeSet<String> {
    thread::scope(|scope| {
        let send = |text| scope.spawn(move || person.run(&["send", "#general", text]));
        let sending: Vec<_> = texts.iter().map(|text| send(text.as_str())).collect();
        let printed = sending.into_iter().map(|thread| thread.join().unwrap());
        printed.map(|objects| objects[0]["id"].as_str().unwrap().to_owned()).collect()
    })
}

#[test]
fn twenty_sends_beside_an_open_conversation() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let [mut open, mut reader] = [&alice, &bob].map(Person::join);
    reader.meet("alice");
    let said = texts("word", 20);
    let ids = send_all(&alice, &said);
    assert_eq!(ids.len(), 20);
    for text in &said {
        reader.message(text);
        open.message(text);
    }
    assert_eq!(open.finish(), Some(0));
    assert_eq!(reader.finish(), Some(0));
    let shown: BTreeSet<_> =
        reader.messages().map(|message| message["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, ids, "what was printed is what was sent");
    assert_eq!(counted([&open]), once(said.clone()), "one's own too, once");
    assert_eq!(counted([&reader]), once(said));
    assert!(connect(&alice).is_none(), "the socket went with the session");
}

#[test]
fn twenty_sends_with_nobody_there() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let said = texts("word", 20);
    assert_eq!(send_all(&alice, &said).len(), 20);
    for text in &said {
        reader.message(text);
    }
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]), once(said));
}

/// What is printed does not tell whether somebody else runs the session.
#[test]
fn every_command_says_the_same_beside_another_one() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let alone = all_commands(&alice, "one");
    let mut open = alice.join();
    open.ready();
    let beside = all_commands(&alice, "two");
    for (alone, beside) in alone.iter().zip(&beside) {
        assert_eq!(alone, beside);
    }
    let errors = |client: &openchat_sim::Client| {
        let is_error = |event: &&Value| event["type"] == "error";
        client.seen().iter().filter(is_error).cloned().collect::<Vec<_>>()
    };
    assert_eq!((open.finish(), errors(&open)), (Some(0), vec![]), "what others asked is theirs");
    assert_eq!(reader.finish(), Some(0));
}

fn all_commands(alice: &Person, group: &str) -> Vec<(String, Option<i32>, Vec<String>)> {
    let target = format!("#{group}");
    let commands: Vec<Vec<&str>> = vec![
        vec!["send", "#general", "hello"],
        vec!["send", "--wait", "delivered", "#general", "are you there?"],
        vec!["send", "@nobody", "hello"],
        vec!["send", "#nowhere", "hello"],
        vec!["group", "new", group, "--invite", "bob"],
        vec!["group", "kick", &target, "bob"],
        vec!["group", "kick", &target, "nobody"],
        vec!["group", "policy", &target, "--invite", "admins"],
        vec!["group", "show", &target],
        vec!["group", "leave", "#nowhere"],
        vec!["verify", "bob"],
        vec!["verify", "nobody"],
        vec!["trust", "accept", "bob"],
        vec!["renew"],
    ];
    commands
        .iter()
        .map(|args| {
            let (code, objects) = alice.try_to(args);
            (
                args.join(" ").replace(group, "GROUP"),
                code,
                objects.iter().map(|object| shape(object, group)).collect(),
            )
        })
        .collect()
}

/// Without what differs from one time to the next.
fn shape(object: &Value, group: &str) -> String {
    let mut object = object.clone();
    for field in ["id", "seq", "epoch", "until", "queued", "fingerprint", "group"] {
        object.as_object_mut().unwrap().remove(field);
    }
    object.to_string().replace(&format!("#{group}"), "#GROUP")
}

/// Two conversations of one person are open at once, and each prints everything once.
#[test]
fn two_open_conversations_share_what_waits() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    reader.send("1", "while she is away");
    reader.ack("1");
    let mut first = alice.join();
    first.message("while she is away");
    first.ready();
    let mut second = alice.join();
    second.ready();
    reader.send("2", "while both are there");
    first.message("while both are there");
    second.message("while both are there");
    second.send("mine", "from the second one");
    second.ack("mine");
    first.message("from the second one");
    assert_eq!(second.finish(), Some(0));
    assert_eq!(first.finish(), Some(0));
    let both = once(["while both are there", "from the second one"].map(str::to_owned));
    assert_eq!(counted([&second]), both, "what was shown is not shown again");
    assert_eq!(alice.join().finish(), Some(0));
    assert_eq!(reader.finish(), Some(0));
}
