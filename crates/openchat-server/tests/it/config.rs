//! The configuration, its layers, and its reload.

use crate::server::{Place, Server};
use openchat_wire::limits::MAX_SESSIONS_A_PERSON;
use serde_json::Value;
use std::fs;

fn shown(place: &Place, arguments: &[&str], env: &[(&str, &str)]) -> Value {
    let output = place
        .command(&[&["config", "show", "--json"], arguments].concat())
        .envs(env.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write(place: &Place, text: &str) {
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.data().join("config.toml"), text).unwrap();
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let place = Place::new();
    let listen = |arguments: &[&str], env: &[(&str, &str)]| {
        let shown = shown(&place, arguments, env);
        let setting = &shown["settings"]["listen"];
        let text = |key: &str| setting[key].as_str().unwrap().to_owned();
        (text("value"), text("source"))
    };
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let env = [("OPENCHAT_SERVER_LISTEN", "[::]:2")];
    assert_eq!(listen(&[], &[]), pair("[::]:7443", "default"));
    write(&place, "listen = '[::]:1'");
    assert_eq!(listen(&[], &[]), pair("[::]:1", "file"));
    assert_eq!(listen(&[], &env), pair("[::]:2", "OPENCHAT_SERVER_LISTEN"));
    assert_eq!(listen(&["--listen", "[::]:3"], &env), pair("[::]:3", "--listen"));
    let other = place.data().join("other.toml");
    fs::write(&other, "listen = '[::]:4'").unwrap();
    assert_eq!(listen(&["-c", other.to_str().unwrap()], &[]), pair("[::]:4", "file"));
}

#[test]
fn a_file_names_the_data_and_advice_names_the_file() {
    let place = Place::new();
    write(&place, &format!("data = '{}/deeper'", place.data().display()));
    let file = place.data().join("config.toml");
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env_remove("OPENCHAT_SERVER_HOME").arg("-c").arg(&file).output().unwrap()
    };
    let output = run(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    let hint = format!("next: openchat-server init-ca -c '{}'\n", file.display());
    assert!(said.ends_with(&hint), "{said}");
    assert!(run(&["init-ca"]).status.success());
    assert!(place.data().join("deeper/ca.key").exists());
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_nothing_is_touched() {
    let place = Place::new();
    for (text, line) in [("\n\nlissten = 'x'", 3), ("[limits]\nhandshakes = 'many'", 2)] {
        write(&place, text);
        for arguments in [&["config", "check"][..], &["config", "show"], &["run"], &["status"]] {
            let output = place.output(arguments);
            assert_eq!(output.status.code(), Some(78), "{arguments:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("config.toml:{line}: ")), "{said}");
            assert!(said.ends_with("next: openchat-server config example\n"), "{said}");
        }
    }
    assert_eq!(fs::read_dir(place.data()).unwrap().count(), 1, "nothing was made");
    write(&place, "[limits]\nhandshakes = 100");
    assert_eq!(place.output(&["config", "check"]).status.code(), Some(0));
}

#[test]
fn the_example_is_a_configuration_of_defaults() {
    let place = Place::new();
    let without = shown(&place, &[], &[]);
    let example = place.output(&["config", "example"]);
    write(&place, &String::from_utf8(example.stdout).unwrap());
    let with = shown(&place, &[], &[]);
    for (key, setting) in without["settings"].as_object().unwrap() {
        assert_eq!(with["settings"][key]["value"], setting["value"], "{key}");
        assert_eq!(with["settings"][key]["source"], "file", "{key} is in the example");
    }
}

#[test]
fn figures_are_for_this_machine_unless_it_is_said() {
    let place = Place::new();
    place.init();
    let open = ["config", "check", "--metrics-listen", "0.0.0.0:9464"];
    let output = place.output(&open);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--metrics-remote"));
    let allowed = place.output(&[&open[..], &["--metrics-remote"]].concat());
    assert_eq!(allowed.status.code(), Some(0));
}

#[tokio::test]
async fn sighup_takes_what_can_change_and_says_what_can_not() {
    let place = Place::new();
    place.init();
    write(&place, "");
    let server = Server::run(place, &[]);
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    let before = server.place.certificate("server.crt");

    write(
        &server.place,
        "listen = '[::]:1'\nlog_format = 'json'\nhosts = ['chat.example.org']\n\
         [limits]\nsessions_a_person = 1\nhandshakes = 99",
    );
    server.signal("HUP");
    let said = server.line("reloaded");
    assert!(said.contains("certificate renewed: it does not name chat.example.org"), "{said}");
    assert!(said.contains("  limits.handshakes 256 -> 99"), "{said}");
    assert!(said.contains("  limits.sessions_a_person 16 -> 1"), "{said}");
    assert!(said.contains("  log_format needs a restart"), "{said}");
    assert!(!said.contains("listen"), "the command line has the last word: {said}");
    assert_ne!(server.place.certificate("server.crt"), before);
    assert!(connection.is_served().await, "no connection is dropped");
    let mut second = server.connect(&bob).await;
    assert!(matches!(second.receive().await, Some(openchat_wire::relay::ToClient::Goodbye(_))));
    assert!(server.line("refused").ends_with("bob has 1 connections already"));
    let host = "chat.example.org";
    assert!(server.dial_as(host, &[openchat_wire::enroll::ALPN], None).await.is_ok());
}

#[tokio::test]
async fn a_broken_reload_changes_nothing() {
    let place = Place::new();
    place.init();
    write(&place, "[limits]\nsessions_a_person = 2");
    let server = Server::run(place, &[]);
    let bob = server.enroll("bob").await;
    let (mut first, mut second) = (server.connect(&bob).await, server.connect(&bob).await);
    assert!(first.is_served().await && second.is_served().await);

    write(&server.place, "[limits]\nsessions_a_person = 16\nsesions = 3");
    server.signal("HUP");
    let said = server.line("reload_refused");
    assert!(said.contains("config.toml:3: "), "{said}");
    // A good file, but a certificate that fits no key.
    write(&server.place, &format!("[limits]\nsessions_a_person = {MAX_SESSIONS_A_PERSON}"));
    let key = server.place.data().join("server.key");
    let good = fs::read(&key).unwrap();
    fs::copy(server.place.data().join("relay.key"), &key).unwrap();
    server.signal("HUP");
    let said = server.lines("reload_refused", 2).remove(1);
    assert!(said.ends_with("the key is another one's"), "{said}");
    let mut third = server.connect(&bob).await;
    assert!(third.receive::<openchat_wire::relay::ToClient>().await.is_some(), "still two");
    assert!(first.is_served().await);

    fs::write(&key, good).unwrap();
    server.signal("HUP");
    server.line("reloaded");
    assert!(server.connect(&bob).await.is_served().await);
}
