//! Somebody with a stolen CA key in the server's place.

use crate::support::{invite, pin, said, talk};
use openchat_sim::{Server, files_below};
use std::fs;

/// A server that has the CA's key, and neither the log's nor the relay's.
fn thief(real: &Server, log: &str) -> Server {
    let fake = Server::prepare(&[]);
    for file in ["ca.key", "ca.crt"] {
        fs::copy(real.data().join(file), fake.data().join(file)).unwrap();
    }
    for file in ["server-keys.pem", "server.crt"] {
        fs::remove_file(fake.data().join(file)).unwrap();
    }
    if !log.is_empty() {
        for file in files_below(&real.data()) {
            if file.file_name().unwrap().to_string_lossy().starts_with(log) {
                fs::copy(&file, fake.data().join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    fake
}

#[test]
fn q6_a_fake_server_with_a_stolen_ca_key_signs_nothing_that_is_believed() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    let trusted = pin(&alice);
    server.stop();
    let mut fake = thief(&server, "openchat.db");
    fake.set_address(server.address());
    fake.run();
    // TLS is no obstacle to who has the CA's key. What the log and the relay sign is.
    let (code, said) = alice.try_to(&["send", "#general", "for the thief?"]);
    assert_ne!(code, Some(0), "{said:?}");
    assert!(
        said.iter().any(|object| object["type"] == "alarm" || object["type"] == "error"),
        "{said:?}"
    );
    // Nor does enrolling again teach this device other keys.
    let invitation = invite(&fake, "alice");
    let (code, said) = alice.try_to(&["enroll", "--name", "alice", "--invite", &invitation]);
    assert_eq!((code, &said.last().unwrap()["code"]), (Some(5), &"untrusted-answer".into()));
    let (code, said) =
        alice.try_to(&["trust", "accept", "--ca", &trusted, "--invite", &invitation]);
    assert_eq!((code, &said.last().unwrap()["code"]), (Some(5), &"untrusted-answer".into()));
    fake.stop();
    server.run();
    talk(&alice, &bob, "after");
}

#[test]
fn t11_a_thief_of_a_former_key_is_refused_by_who_has_left_it() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    let mut fake = thief(&server, "");
    server.stop();
    said(&server, &["ca", "rotate"]);
    server.run();
    talk(&alice, &bob, "after");
    server.stop();
    fake.set_address(server.address());
    fake.run();
    let (code, said) = alice.try_to(&["status"]);
    assert_eq!((code, &said.last().unwrap()["code"]), (Some(5), &"another-ca".into()), "{said:?}");
}

#[test]
fn t11_an_announcement_without_the_certificate_leads_nowhere() {
    let mut server = Server::start();
    let alice = server.enroll("alice");
    let old = pin(&alice);
    server.stop();
    said(&server, &["ca", "rotate"]);
    let data = server.data();
    let shown = fs::read_to_string(data.join("ca.crt")).unwrap();
    let blocks: Vec<&str> = shown.split_inclusive("-----END CERTIFICATE-----\n").collect();
    assert_eq!(blocks.len(), 3);
    // Its own alone; and those of another change of the same CA.
    fs::write(data.join("ca.crt"), blocks[0]).unwrap();
    server.run();
    let (code, said_) = alice.try_to(&["status"]);
    assert_eq!((code, &said_.last().unwrap()["code"]), (Some(5), &"another-ca".into()));
    assert_eq!(pin(&alice), old);
    server.stop();
    fs::write(data.join("ca.crt"), [blocks[0], blocks[2], blocks[1]].concat()).unwrap();
    assert!(server.try_run().is_err(), "the server itself shows no such thing");
    fs::write(data.join("ca.crt"), shown).unwrap();
    server.run();
    alice.run(&["status"]);
}
