//! Who has a message and who is online, through the real programs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::{Person, Server};

#[test]
fn a_script_can_wait_until_the_other_one_has_the_message() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let (code, said) = waits(&alice, "5");
    assert_eq!(code, Some(8), "{said:?}");
    let kinds: Vec<_> = said.iter().map(|object| object["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ack", "error"], "the server has it");
    assert_eq!(said[1]["code"], "not-delivered");

    let mut reader = bob.open("@alice");
    reader.message("are you there?");
    let (code, said) = waits(&alice, "60");
    assert_eq!(code, Some(0), "{said:?}");
    let mark = said.last().unwrap();
    assert_eq!((&mark["type"], &mark["by"]), (&"delivered".into(), &"bob".into()));
    assert_eq!(mark["id"], said[0]["id"]);
    assert_eq!(reader.finish(), Some(0));
}

fn waits(who: &Person, seconds: &str) -> (Option<i32>, Vec<serde_json::Value>) {
    let args = ["send", "--wait", "delivered", "--timeout", seconds, "@bob", "are you there?"];
    who.try_to(&args)
}

#[test]
fn a_conversation_tells_who_is_there_and_who_has_what() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut first = alice.join();
    first.ready();
    let mut second = bob.join();
    second.ready();
    let came =
        first.until("bob", |event| event["type"] == "presence" && event["online"][0] == "bob");
    assert_eq!(came["target"], "#general");
    second.until("alice", |event| event["type"] == "presence" && event["online"][0] == "alice");
    first.send("1", "hello");
    let id = first.ack("1")["id"].clone();
    let mark = first.event("delivered");
    assert_eq!((&mark["id"], &mark["by"]), (&id, &"bob".into()));
    assert_eq!((&mark["count"], &mark["of"]), (&1.into(), &1.into()));
    assert_eq!(second.finish(), Some(0));
    first.until("bob gone", |event| event["type"] == "presence" && event["offline"][0] == "bob");
    assert_eq!(first.finish(), Some(0));
}
