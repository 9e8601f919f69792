//! Comparing keys, through the real programs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use openchat_sim::{Person, Server, run};
use serde_json::{Value, json};

fn asked(who: &Person, args: &[&str]) -> (Option<i32>, Value) {
    let (code, said) = who.try_to(args);
    (code, said.last().cloned().unwrap_or_default())
}

#[test]
fn two_people_compare_and_remember_it() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let (code, error) = asked(&alice, &["verify", "bob"]);
    assert_eq!((code, &error["code"]), (Some(7), &"no-such-person".into()));

    let mut client = alice.open("@bob");
    client.send("hello", "hello");
    assert_eq!(client.finish(), Some(0));
    let mut reader = bob.open("@alice");
    reader.message("hello");
    assert_eq!(reader.finish(), Some(0));

    let (_, hers) = asked(&alice, &["verify", "bob"]);
    let (_, his) = asked(&bob, &["verify", "alice"]);
    assert_eq!((&hers["number"], &hers["qr"]), (&his["number"], &his["qr"]));
    assert_eq!(hers["trust"], "certified");

    let number = his["number"].as_str().unwrap();
    let other = number.replace('1', "2").replace('0', "3");
    let (code, error) = asked(&alice, &["verify", "bob", "--number", &other]);
    assert_eq!((code, &error["code"]), (Some(5), &"not-the-same".into()));
    assert_eq!(asked(&alice, &["verify", "bob"]).1["trust"], "certified");

    let (code, contact) = asked(&alice, &["verify", "bob", "--number", &number.replace(' ', "-")]);
    assert_eq!((code, &contact["trust"]), (Some(0), &"verified".into()));
    let (_, listed) = asked(&alice, &["trust", "list"]);
    assert_eq!((&listed["name"], &listed["trust"]), (&"bob".into(), &"verified".into()));
    let (code, usage) = asked(&alice, &["verify", "bob", "--number", "12345"]);
    assert_eq!((code, &usage["code"]), (Some(2), &"usage".into()));
    let (code, error) = asked(&alice, &["trust", "accept", "carol"]);
    assert_eq!((code, &error["code"]), (Some(7), &"no-such-person".into()));
}

#[test]
fn an_open_conversation_compares_too() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut hers = alice.join();
    hers.ready();
    let mut his = bob.join();
    his.meet("alice");
    hers.meet("bob");
    hers.order(&json!({"type": "verify", "who": "bob", "ref": 1}));
    let contact = hers.event("contact");
    his.order(&json!({"type": "verify", "who": "alice"}));
    assert_eq!(his.event("contact")["number"], contact["number"]);
    let number = contact["number"].as_str().unwrap();
    hers.order(&json!({"type": "verify", "who": "bob", "number": number, "ref": 2}));
    let done = hers.until("the answer", |it| it["type"] == "done" && it["ref"] == 2);
    assert_eq!(done["target"], "@bob");
    his.send("who", "who am I to you?");
    assert_eq!(hers.message("who am I to you?")["trust"], "verified");
}

/// Bob has lost his device, and got another key from the operator.
fn change_key(server: &Server, who: &Person) -> Person {
    let mut reset = server.command();
    let output = run(reset.args(["user", "reset", who.name(), "--json"]));
    let reset: Value = serde_json::from_slice(&output.stdout).unwrap();
    let new = Person::new("new-device", server);
    let invitation = reset["invitation"].as_str().unwrap();
    new.run(&["enroll", "--name", who.name(), "--invite", invitation]);
    new
}

/// Runs what a hint of this form advises: each of its commands that begins so.
fn advised(who: &Person, hint: &str, command: &str) {
    let line = hint.split("; or without comparing: ").find(|it| it.contains(command)).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    let [program, dash_p, profile, args @ ..] = &words[..] else { panic!("{line}") };
    assert_eq!((*program, *dash_p, *profile), ("openchat", "-P", who.name()), "{hint}");
    who.run(args);
}

#[test]
fn a_send_that_is_held_says_so_at_once_and_what_to_do_last() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| server.enroll(name));
    assert_eq!(alice.join().finish(), Some(0));
    let mut reader = carol.join();
    reader.meet("alice");
    assert_eq!(bob.join().finish(), Some(0));
    assert_eq!(alice.join().finish(), Some(0));
    let number = asked(&alice, &["verify", "bob"]).1["number"].as_str().unwrap().to_owned();
    alice.run(&["verify", "bob", "--number", &number]);
    let new = change_key(&server, &bob);
    assert_eq!(new.join().finish(), Some(0));
    assert_eq!(alice.join().finish(), Some(0));

    let (code, said) = alice.try_to(&["send", "#general", "one"]);
    let error = said.last().unwrap();
    assert_eq!((code, &error["code"]), (Some(8), &"held".into()), "{said:?}");
    let is = |kind: &'static str| move |it: &Value| it["type"] == kind;
    let queued = said.iter().find(|it| is("queued")(it)).unwrap();
    assert!(said.iter().any(is("waiting")), "{said:?}");
    let hint = error["hint"].as_str().unwrap();
    let commands =
        "openchat -P alice verify bob; or without comparing: openchat -P alice trust accept bob";
    assert_eq!(hint, commands);
    // For people it is the last line, after the id on stdout.
    let output = alice.command().args(["send", "#general", "two"]).output().unwrap();
    let (stdout, stderr) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), stdout.len()), (Some(8), 33), "{stderr}");
    assert_eq!(stderr.lines().last().unwrap(), format!("next: {commands}"));
    // Beside an open conversation that knows it already, too.
    let mut open = alice.join();
    open.event("waiting");
    let (code, error) = asked(&alice, &["send", "#general", "three"]);
    assert_eq!(
        (code, &error["code"], error["hint"].as_str()),
        (Some(8), &"held".into(), Some(hint))
    );
    assert_eq!(open.finish(), Some(8));
    assert_eq!(open.seen().last().unwrap()["code"], "held");

    advised(&alice, hint, "trust accept");
    assert_eq!(alice.join().finish(), Some(0));
    let first = reader.message("one");
    assert_eq!(first["id"], queued["id"]);
    reader.message("two");
    reader.message("three");
    assert_eq!(reader.messages().count(), 3, "each once");
}
