//! A revocation that acts, through the real programs: nobody at any client does anything.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::{Person, Server};
use serde_json::Value;

/// What the operator's command says; it has to succeed.
fn operator(server: &Server, args: &[&str]) -> Value {
    let output = server.command().args(args).arg("--json").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn whoever_is_revoked_is_cut_and_leaves_every_group_without_anybodys_doing() {
    let server = Server::start();
    let people = ["alice", "bob", "carol"].map(|name| server.enroll(name));
    let [mut alice, mut bob, mut carol] = people.each_ref().map(Person::join);
    alice.meet("bob");
    alice.meet("carol");
    bob.meet("carol");
    alice.send("before", "before");
    bob.message("before");

    let revoked = operator(&server, &["user", "revoke", "bob"]);
    assert_eq!(revoked["connections"], 1);
    let error = bob.event("error");
    assert_eq!((&error["code"], bob.ended()), (&"revoked".into(), Some(6)), "{error}");
    for client in [&mut alice, &mut carol] {
        client.change("bob", "revoked");
    }
    alice.send("after", "after");
    carol.message("after");
    let (code, said) = people[1].try_to(&["send", "#general", "let me in"]);
    assert_eq!(code, Some(6), "{said:?}");
}

#[test]
fn whoever_is_reset_comes_back_under_the_name_with_another_key() {
    let server = Server::start();
    let people = ["alice", "bob"].map(|name| server.enroll(name));
    let [mut alice, mut bob] = people.each_ref().map(Person::join);
    alice.meet("bob");
    bob.send("old", "from the old key");
    alice.message("from the old key");

    let reset = operator(&server, &["user", "reset", "bob"]);
    assert_eq!(bob.ended(), Some(6));
    alice.change("bob", "revoked");
    let invitation = reset["invitation"].as_str().unwrap();
    // Not on the device that has the old key.
    let (code, said) = people[1].try_to(&["enroll", "--name", "bob", "--invite", invitation]);
    assert_ne!(code, Some(0), "{said:?}");

    let new = Person::new("bob-s-new-device", &server);
    let (code, said) = new.try_to(&["enroll", "--name", "bob", "--invite", invitation]);
    assert_eq!(code, Some(0), "{said:?}");
    let mut bob = new.join();
    bob.meet("alice");
    bob.send("new", "from the new key");
    let shown = alice.message("from the new key");
    assert_eq!(shown["sender"], "bob");
    assert_eq!(shown["trust"], "CHANGED", "{shown}");
    alice.send("back", "who are you?");
    bob.message("who are you?");
}
