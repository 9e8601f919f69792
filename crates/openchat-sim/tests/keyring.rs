//! The vault's key in a desktop's keyring, with the keyring of GNOME.

use openchat_sim::{Desktop, Person, Server};
use serde_json::Value;
use std::{ffi::OsString, fs};

/// Alice at this desktop.
fn alice(server: &Server, desktop: &Desktop) -> Person {
    server.enroll("alice").with_environment(desktop.environment())
}

/// The same person where no desktop's session is.
fn outside(person: &Person) -> Person {
    person.clone().with_environment([("DBUS_SESSION_BUS_ADDRESS".to_owned(), OsString::new())])
}

fn key_file(person: &Person) -> String {
    fs::read_to_string(person.profile().join("vault.key")).unwrap_or_default()
}

/// What goes wrong with this: its message and its hint.
fn fails(person: &Person, args: &[&str]) -> (String, String) {
    let (code, objects) = person.try_to(args);
    let error = objects.last().cloned().unwrap_or_default();
    assert_eq!(code, Some(1), "{error}");
    assert_eq!(error["code"], "vault-keyring", "{error}");
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    (text("message"), text("hint"))
}

fn key(told: &[Value]) -> &str {
    told.last().and_then(|one| one["key"].as_str()).unwrap_or_default()
}

#[test]
fn the_key_goes_into_the_keyring_and_comes_back() {
    let (server, mut desktop) = (Server::start(), Desktop::start());
    desktop.log_in();
    let alice = alice(&server, &desktop);
    let before = key_file(&alice);
    assert_eq!(key(&alice.run(&["vault", "keyring"])), "keyring");
    let there = key_file(&alice);
    assert!(there.contains("keyring ") && !there.contains("beside"), "{there}");
    assert_eq!(desktop.keys(), 1);
    alice.run(&["send", "#general", "from the keyring"]);
    // Again: another key, and the old one is gone.
    assert_eq!(key(&alice.run(&["vault", "keyring"])), "keyring");
    assert_eq!(desktop.keys(), 1);
    assert_ne!(key_file(&alice), there);
    // It survives the end of the session.
    desktop.log_out();
    desktop.log_in();
    alice.run(&["whoami"]);
    let found = alice.run(&["doctor"]);
    assert!(found.iter().any(|one| {
        one["message"].as_str().is_some_and(|text| text.contains("its key in the keyring"))
    }));
    assert_eq!(key(&alice.run(&["vault", "key-file"])), "beside");
    assert_eq!(desktop.keys(), 0, "nothing is left in the keyring");
    assert_ne!(key_file(&alice), before, "a new key");
    alice.run(&["whoami"]);
}

#[test]
fn without_a_session_a_script_learns_why() {
    let (server, mut desktop) = (Server::start(), Desktop::start());
    desktop.log_in();
    let alice = alice(&server, &desktop);
    alice.run(&["vault", "keyring"]);
    let cron = outside(&alice);
    let (message, hint) = fails(&cron, &["send", "#general", "from cron"]);
    assert!(message.contains("no session bus"), "{message}");
    assert!(hint.contains("DBUS_SESSION_BUS_ADDRESS"), "{hint}");
    assert!(hint.contains("openchat -P alice vault key-file"), "{hint}");
    alice.run(&["send", "#general", "from the desktop"]);
}

#[test]
fn where_there_is_no_keyring_nothing_changes() {
    let (server, desktop) = (Server::start(), Desktop::start());
    let alice = alice(&server, &desktop);
    let before = key_file(&alice);
    let (message, hint) = fails(&alice, &["vault", "keyring"]);
    assert!(message.contains("no keyring answers"), "{message}");
    assert!(hint.contains("vault passphrase"), "{hint}");
    assert_eq!(key_file(&alice), before);
    alice.run(&["whoami"]);
    fails(&outside(&alice), &["vault", "keyring"]);
    assert_eq!(key_file(&alice), before);
}

#[test]
fn a_locked_keyring_is_told_and_asks_no_script() {
    let (server, mut desktop) = (Server::start(), Desktop::start());
    desktop.log_in();
    let alice = alice(&server, &desktop);
    alice.run(&["vault", "keyring"]);
    desktop.log_out();
    desktop.start_locked();
    let (message, _) = fails(&alice, &["whoami"]);
    assert_eq!(message, "the keyring is locked");
    desktop.log_out();
    desktop.log_in();
    alice.run(&["whoami"]);
}

#[test]
fn another_keyring_does_not_have_the_key() {
    let (server, mut desktop) = (Server::start(), Desktop::start());
    desktop.log_in();
    let alice = alice(&server, &desktop);
    alice.run(&["vault", "keyring"]);
    let mut other = Desktop::start();
    other.log_in();
    let elsewhere = alice.clone().with_environment(other.environment());
    let (message, hint) = fails(&elsewhere, &["whoami"]);
    assert!(message.contains("does not have the vault's key"), "{message}");
    assert!(hint.contains("import"), "{hint}");
    alice.run(&["whoami"]);
}
