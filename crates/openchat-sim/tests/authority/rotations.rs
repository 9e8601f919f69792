//! Another key for the CA: planned, and after a theft.

use crate::support::{invite, pin, refused, said, server_pin, talk};
use openchat_sim::{Person, Server};

#[test]
fn t11_devices_follow_a_planned_change_by_themselves() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    let old = pin(&alice);
    let invitation = invite(&server, "dave");
    assert_eq!(refused(&server, &["ca", "rotate"], 78), "in_use");
    // Alice is connected all the time, bob is away.
    let mut connected = alice.join();
    connected.ready();
    server.stop();
    let rotated = said(&server, &["ca", "rotate"]);
    assert_eq!((&rotated["from"], &rotated["emergency"]), (&old.clone().into(), &false.into()));
    let new = rotated["pin"].as_str().unwrap();
    server.run();
    connected.send("1", "after");
    connected.ack("1");
    assert_eq!(connected.finish(), Some(0));
    assert_eq!((pin(&alice), pin(&bob)), (new.to_owned(), old.clone()));
    talk(&alice, &bob, "after all");
    assert_eq!((pin(&bob), server_pin(&server)), (new.to_owned(), new.to_owned()));
    let status = said(&server, &["ca", "status"]);
    assert_eq!(status["former"][0], old);
    // Who comes now never knew the old key, and believes what it has issued.
    let carol = server.enroll("carol");
    assert_eq!(pin(&carol), new);
    talk(&carol, &bob, "welcome");
    // An invitation from before has the old pin, which leads on as well.
    let dave = Person::new("dave", &server);
    dave.run(&["enroll", "--name", "dave", "--invite", &invitation]);
    let console = server.console();
    assert!(!console.contains("alarm"), "{console}");
}

#[test]
fn t11_whoever_was_away_for_several_changes_finds_the_way() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    for _ in 0..3 {
        server.stop();
        said(&server, &["ca", "rotate"]);
        server.run();
    }
    talk(&alice, &bob, "after");
    assert_eq!(pin(&alice), server_pin(&server));
    // Enrolling again, after all that, is the same device.
    let invitation = invite(&server, "bob");
    bob.run(&["enroll", "--name", "bob", "--invite", &invitation]);
    talk(&bob, &alice, "renewed");
}

#[test]
fn t11_a_device_that_enrolls_again_follows_too() {
    let mut server = Server::start();
    let alice = server.enroll("alice");
    server.stop();
    said(&server, &["ca", "rotate"]);
    server.run();
    let invitation = invite(&server, "alice");
    let said = alice.run(&["enroll", "--name", "alice", "--invite", &invitation]);
    assert_eq!(said[0]["new_key"], false);
    assert_eq!(pin(&alice), server_pin(&server));
}

#[test]
fn t8_after_a_theft_nobody_follows_unasked() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    let old = pin(&alice);
    server.stop();
    let rotated = said(&server, &["ca", "rotate", "--emergency"]);
    let new = rotated["pin"].as_str().unwrap().to_owned();
    server.run();
    // Refused, again and again, with the command that helps.
    for _ in 0..2 {
        let (code, said) = alice.try_to(&["send", "#general", "hello?"]);
        let error = said.last().unwrap();
        assert_eq!((code, &error["code"]), (Some(5), &"another-ca".into()), "{said:?}");
        assert!(error["hint"].as_str().unwrap().contains("trust accept --ca PIN"), "{error}");
        assert!(error["message"].as_str().unwrap().contains(&new), "{error}");
        assert_eq!(pin(&alice), old);
    }
    // An ordinary enrollment is no acceptance, though the invitation has the new pin.
    let invitation = invite(&server, "alice");
    let enroll = ["enroll", "--name", "alice", "--invite", &invitation];
    let (code, said) = alice.try_to(&enroll);
    assert_eq!((code, &said.last().unwrap()["code"]), (Some(5), &"other-server".into()));
    // Nor is another pin than the invitation's.
    let wrong = "ab".repeat(32);
    let accept =
        |pin: &str| alice.try_to(&["trust", "accept", "--ca", pin, "--invite", &invitation]);
    let (code, said) = accept(&wrong);
    assert_eq!((code, &said.last().unwrap()["code"]), (Some(5), &"other-pin".into()));
    assert_eq!(pin(&alice), old);
    let (code, said) = accept(&format!("SHA256:{new}"));
    assert_eq!((code, &said[0]["new_key"]), (Some(0), &false.into()), "{said:?}");
    assert_eq!(pin(&alice), new);
    // On the server's machine no invitation is needed; the word is.
    bob.run(&["trust", "accept", "--ca", &new]);
    talk(&alice, &bob, "again");
}
