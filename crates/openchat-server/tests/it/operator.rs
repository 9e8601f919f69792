//! The operator's commands against a running server.

use crate::server::{Place, Server};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
};

/// What the program says with these arguments; it must succeed.
pub(crate) fn said(place: &Place, arguments: &[&str]) -> String {
    let output = place.output(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same with `--json`: an object a line.
pub(crate) fn objects(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let said = said(place, &[arguments, &["--json"]].concat());
    let objects: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.iter().all(|object| object["v"] == 1 && object["type"].is_string()));
    objects
}

/// The code and the hint of a failure, which has to be the same for people and for programs.
pub(crate) fn failed(place: &Place, arguments: &[&str], exit: i32) -> (String, String) {
    let output = place.output(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    assert!(output.stderr.is_empty());
    let last = String::from_utf8(output.stdout).unwrap();
    let error: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    let hint = error["hint"].as_str().unwrap().to_owned();
    let shown = place.output(arguments);
    assert_eq!(shown.status.code(), Some(exit));
    assert!(text(&shown.stderr).ends_with(&format!("next: {hint}\n")), "{shown:?}");
    (error["code"].as_str().unwrap().to_owned(), hint)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn invitations_are_listed_without_their_secrets_and_taken_back() {
    let server = Server::start();
    let place = &server.place;
    let bob = server.request("bob", &crate::forge::key());
    let carol = server.request("carol", &crate::forge::key());
    let dave = server.request("dave", &crate::forge::key());
    server.ask_to_enroll(&dave).await.unwrap();

    let open = objects(place, &["invite", "list"]);
    let names: Vec<_> = open.iter().map(|o| o["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bob", "carol"]);
    let all = objects(place, &["invite", "list", "--all"]);
    assert_eq!(all.len(), 3);
    assert_eq!((&all[2]["name"], &all[2]["state"]), (&"dave".into(), &"used".into()));
    let shown = said(place, &["invite", "list", "--all"]) + &format!("{all:?}");
    for request in [&bob, &carol, &dave] {
        let secret = crate::secrets::written(&request.secret);
        assert!(secret.iter().all(|secret| !shown.contains(secret)), "{shown}");
    }

    let id = open[0]["id"].as_str().unwrap();
    let revoked = said(place, &["invite", "revoke", &id[..8]]);
    assert_eq!(revoked, format!("revoked  {id}  bob\n"));
    assert!(server.ask_to_enroll(&bob).await.is_err());
    assert_eq!(said(place, &["invite", "revoke", "--name", "carol"]).lines().count(), 1);
    assert!(server.ask_to_enroll(&carol).await.is_err());
    assert!(objects(place, &["invite", "list"]).is_empty());

    let list = "openchat-server invite list --all".to_owned();
    let none = failed(place, &["invite", "revoke", &id[..8]], 7);
    assert_eq!(none, ("not_found".to_owned(), list.clone()));
    assert_eq!(failed(place, &["invite", "revoke", "--name", "bob"], 7).1, list);
    let dave = all[2]["id"].as_str().unwrap();
    let used = failed(place, &["invite", "revoke", dave], 1);
    assert_eq!(used, ("used".to_owned(), "openchat-server user show dave".to_owned()));
}

#[tokio::test]
async fn lists_of_any_length_come_whole() {
    let server = Server::start();
    for number in 0..150 {
        server.invite(&format!("p{number}"));
    }
    let listed = objects(&server.place, &["invite", "list"]);
    assert_eq!(listed.len(), 150);
}

#[tokio::test]
async fn people_and_their_certificates_are_shown() {
    let server = Server::start();
    let place = &server.place;
    assert_eq!(said(place, &["user", "list"]), "");
    let bob = server.enroll("bob").await;
    server.enroll("alice").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);

    let users = objects(place, &["user", "list"]);
    let fingerprint = bob.key.fingerprint().to_string();
    assert_eq!(users.len(), 2);
    assert_eq!((&users[0]["name"], &users[0]["connections"]), (&"alice".into(), &0.into()));
    assert_eq!((&users[1]["name"], &users[1]["connections"]), (&"bob".into(), &1.into()));
    assert_eq!(users[1]["fingerprint"], fingerprint);
    assert_eq!(users[1]["state"], "valid");
    let lines = said(place, &["user", "list"]);
    assert!(lines.lines().nth(1).unwrap().ends_with("  online"), "{lines}");

    let shown = objects(place, &["user", "show", "bob"]).remove(0);
    assert_eq!(shown["certificates"].as_array().unwrap().len(), 1);
    assert!(said(place, &["user", "show", "bob"]).contains(&fingerprint[..4]));
    let (code, hint) = failed(place, &["user", "show", "carol"], 7);
    assert_eq!((code.as_str(), hint.as_str()), ("not_found", "openchat-server user list"));

    let issued = objects(place, &["cert", "list"]);
    assert_eq!((&issued[0]["index"], &issued[0]["name"]), (&0.into(), &"bob".into()));
    assert_eq!(objects(place, &["cert", "list", "--name", "alice"]).len(), 1);
    let shown = objects(place, &["cert", "show", "bob"]).remove(0);
    assert_eq!((&shown["serial"], &shown["names"][0]), (&issued[0]["serial"], &"bob".into()));
    assert_eq!(failed(place, &["cert", "show", "carol"], 7).0, "not_found");
    for which in ["ca", "server"] {
        let pem = said(place, &["cert", "show", &format!("--{which}"), "--pem"]);
        let file = fs::read_to_string(place.data().join(format!("{which}.crt"))).unwrap();
        assert_eq!(pem.trim_end(), file.trim_end());
    }
}

#[tokio::test]
async fn status_and_health_say_how_it_does() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    let status = objects(&server.place, &["status"]).remove(0);
    for (key, value) in [("registered", 1), ("online", 1), ("connections", 1), ("recorded", 1)] {
        assert_eq!(status[key], value, "{key} in {status}");
    }
    assert!(status["requests"].as_u64().unwrap() >= 1 && status["free_bytes"].as_u64() > Some(0));
    assert_eq!(status["address"], server.address.as_str());
    let people = said(&server.place, &["status"]);
    assert!(people.contains("1 online with 1 connections, 1 registered keys"), "{people}");
    let checks = objects(&server.place, &["health"]);
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["relay", "disk", "certificate", "authority"]);
    assert!(checks.iter().filter(|check| check["name"] != "disk").all(|check| check["ok"] == true));
}

#[test]
fn without_a_server_every_command_says_so_and_what_to_do() {
    let place = Place::new();
    place.init();
    for arguments in [
        &["invite", "list"][..],
        &["invite", "revoke", "--name", "bob"],
        &["user", "list"],
        &["user", "show", "bob"],
        &["user", "revoke", "bob"],
        &["user", "reset", "bob"],
        &["cert", "list"],
        &["cert", "show", "--ca"],
        &["status"],
        &["health"],
    ] {
        let (code, hint) = failed(&place, arguments, 4);
        assert_eq!((code.as_str(), hint.as_str()), ("unreachable", "openchat-server run"));
    }
}

#[test]
fn certificates_live_as_long_as_was_said() {
    let place = Place::new();
    let made = place.output(&["init-ca", "--ca-validity", "2y", "--leaf-validity", "30d"]);
    assert!(made.status.success(), "{made:?}");
    let server = Server::run(place, &[]);
    let life = |which: &str| {
        let shown = objects(&server.place, &["cert", "show", which]).remove(0);
        let day = |key: &str| shown[key].as_str().unwrap().get(..10).unwrap().to_owned();
        (day("valid_from"), day("valid_to"))
    };
    let (ca, own) = (server.ca(), life("--server"));
    assert_eq!((ca.not_after().0 - ca.not_before().0) / 86_400_000, 730);
    assert_ne!(own.0.get(..7), own.1.get(..7), "a month later: {own:?}");
    let refused = Place::new();
    let (code, _) = failed(&refused, &["init-ca", "--leaf-validity", "398d"], 2);
    assert_eq!(code, "validity");
    assert!(!refused.data().join("ca.key").exists());
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let place = Place::new();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let script = said(&place, &["completions", shell]);
        assert!(script.contains(sign) && script.contains("invite"), "{shell}");
    }
    let script = place.data().with_extension("bash");
    fs::write(&script, said(&place, &["completions", "bash"])).unwrap();
    let sourced = std::process::Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(sourced.status.success(), "{sourced:?}");

    let page = said(&place, &["man"]);
    assert!(page.contains(".TH openchat\\-server 1") || page.contains(".TH openchat-server 1"));
    let out = place.data().with_extension("man");
    fs::create_dir(&out).unwrap();
    said(&place, &["man", out.to_str().unwrap()]);
    for page in ["", "-run", "-invite-revoke", "-config-show", "-backup", "-restore", "-man"] {
        let page = out.join(format!("openchat-server{page}.1"));
        assert!(fs::read_to_string(&page).unwrap().contains(".SH SYNOPSIS"), "{}", page.display());
    }
    assert_eq!(place.output(&["completions", "csh"]).status.code(), Some(2));
}

fn backup(server: &Server, name: &str) -> std::path::PathBuf {
    let copy = server.place.data().with_extension(name);
    said(&server.place, &["backup", copy.to_str().unwrap()]);
    copy
}

/// Runs the program over another directory.
fn over(place: &Place, data: &std::path::Path, arguments: &[&str]) -> Output {
    place.command(arguments).env("OPENCHAT_SERVER_HOME", data).output().unwrap()
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_a_server() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    fs::write(server.place.data().join("config.toml"), "log_format = 'json'").unwrap();
    let copy = backup(&server, "backup");
    assert!(connection.is_served().await, "nobody notices");
    let later = server.enroll("carol").await;
    for entry in fs::read_dir(&copy).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
    }
    server.signal("TERM");
    server.wait();

    // Where there was a server nothing is restored.
    let restore = ["restore", copy.to_str().unwrap()];
    let (code, hint) = failed(&server.place, &restore, 78);
    assert_eq!(code, "not_empty");
    assert!(hint.starts_with("mv '"), "{hint}");

    let place = Place::new();
    said(&place, &restore);
    let kept = fs::read_to_string(place.data().join("config.toml")).unwrap();
    assert_eq!(kept, "log_format = 'json'");
    let restored = Server::run(place, &[]);
    assert!(restored.lines("", 1)[0].starts_with("ready  "), "the first line stays what it is");
    assert!(restored.line("restored").starts_with("restored  from the backup of 20"));
    assert!(restored.connect(&bob).await.is_served().await);
    let unknown = restored.refuses(Some(&later)).await;
    assert_eq!(unknown, rustls::AlertDescription::AccessDenied, "she came after the backup");
    let status = objects(&restored.place, &["status"]).remove(0);
    assert!(status["restored"].is_string());
    assert_eq!(restored.place.certificate("ca.crt"), server.place.certificate("ca.crt"));
}

#[tokio::test]
async fn a_backup_taken_while_people_enroll_has_each_of_them_whole_or_not_at_all() {
    let server = Server::start();
    for number in 0..5 {
        server.enroll(&format!("early{number}")).await;
    }
    let copy = server.place.data().with_extension("backup");
    let mut backup = server.place.command(&["backup", copy.to_str().unwrap()]);
    let mut backup = backup.stdout(Stdio::null()).spawn().unwrap();
    let mut later = 0;
    while backup.try_wait().unwrap().is_none() {
        server.enroll(&format!("late{later}")).await;
        later += 1;
    }
    assert!(backup.wait().unwrap().success());

    let place = Place::new();
    said(&place, &["restore", copy.to_str().unwrap()]);
    let restored = Server::run(place, &[]);
    let users = objects(&restored.place, &["user", "list"]);
    let early = users.iter().filter(|user| user["name"].as_str().unwrap().starts_with("early"));
    assert_eq!(early.count(), 5, "whoever was told is there");
    assert_eq!(users.len(), objects(&restored.place, &["cert", "list"]).len());
    let used = objects(&restored.place, &["invite", "list", "--all"]);
    assert_eq!(used.iter().filter(|one| one["state"] == "used").count(), users.len());
    for user in users {
        said(&restored.place, &["cert", "show", user["name"].as_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_backup_that_is_cut_or_changed_restores_nothing() {
    let server = Server::start();
    server.enroll("bob").await;
    let copy = backup(&server, "backup");
    let empty = Place::new();
    for file in ["openchat.db", "relay.key", "backup.json", "ca.crt"] {
        let path = copy.join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for damaged in [changed.as_slice(), &whole[..middle]] {
            fs::write(&path, damaged).unwrap();
            let output = over(&server.place, &empty.data(), &["restore", copy.to_str().unwrap()]);
            assert_ne!(output.status.code(), Some(0), "{file}");
            assert!(!empty.data().join("ca.key").exists());
        }
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(copy.join("backup.json")).unwrap();
    let (code, _) = failed(&empty, &["restore", copy.to_str().unwrap()], 78);
    assert_eq!(code, "no_backup");
}

#[tokio::test]
async fn a_backup_has_a_place_of_its_own() {
    let server = Server::start();
    let taken = backup(&server, "backup");
    let (code, _) = failed(&server.place, &["backup", taken.to_str().unwrap()], 78);
    assert_eq!(code, "not_empty");
    let inside = server.place.data().join("inside/it");
    let (code, _) = failed(&server.place, &["backup", inside.to_str().unwrap()], 2);
    assert_eq!(code, "place");
    fs::write(server.place.data().join("dump of something"), "x").unwrap();
    let other = server.place.data().with_extension("other");
    let (code, hint) = failed(&server.place, &["backup", other.to_str().unwrap()], 78);
    assert_eq!(code, "foreign_file");
    assert!(hint.starts_with("mv ") && !other.exists(), "{hint}");
}
