//! Comparing keys, through the real programs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::{Person, Server};
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
