//! What an older server left behind is what a newer one goes on with.

use crate::server::{Place, Server};
use openchat_wire::relay::{Refusal, Request};
use std::fs;

/// A data directory whose database an older server wrote.
fn old_place() -> Place {
    place_with(include_str!("../data/version-1.sql"))
}

fn place_with(database_of: &str) -> Place {
    let place = Place::new();
    place.init();
    let database = place.data().join("openchat.db");
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there once nobody has the database open.
        let _ = fs::remove_file(place.data().join(format!("openchat.db{suffix}")));
    }
    let old = rusqlite::Connection::open(&database).unwrap();
    old.execute_batch(database_of).unwrap();
    place
}

fn names(place: &Place, arguments: &[&str]) -> Vec<String> {
    let output = place.output(arguments);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

async fn goes_on(server: &Server, newcomer: &str) {
    let people = names(&server.place, &["user", "list"]);
    assert!(people.starts_with(&["alice", "bob", "carol"].map(str::to_owned)), "{people:?}");
    assert!(names(&server.place, &["cert", "list"]).len() >= 8);
    assert_eq!(names(&server.place, &["invite", "list", "--all"]).len(), 13);
    let dave = server.enroll(newcomer).await;
    let mut connection = server.connect(&dave).await;
    assert!(connection.is_served().await);
    // Groups of version 1 are set aside, and their names are free again.
    let general = Request::FindGroup("general".parse().unwrap());
    assert_eq!(connection.ask(general).await, Err(Refusal::NotFound));
    let thief = server.request("bob", &crate::forge::key());
    assert!(server.ask_to_enroll(&thief).await.is_err(), "names are for ever");
    assert!(server.lines("refused", 1)[0].ends_with("name taken by another key"));
}

#[tokio::test]
async fn a_server_goes_on_with_what_version_1_wrote_and_again_after_a_restart() {
    let mut server = Server::run(old_place(), &[]);
    goes_on(&server, "dave").await;
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let place = std::mem::replace(&mut server.place, Place::new());
    let server = Server::run(place, &[]);
    server.enroll("erin").await;
    assert_eq!(names(&server.place, &["user", "list"]).len(), 5);
}

#[tokio::test]
async fn a_backup_of_an_older_server_is_restored_and_brought_up_to_date() {
    let old = old_place();
    let copy = old.data().with_extension("backup");
    let made = old.output(&["backup", copy.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let place = Place::new();
    let restored = place.output(&["restore", copy.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    goes_on(&Server::run(place, &[]), "dave").await;
}

fn status(place: &Place) -> serde_json::Value {
    let output = place.output(&["status", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_version_2_wrote_goes_on_and_loses_old_messages_only_when_that_is_wanted() {
    let place = place_with(include_str!("../data/version-2.sql"));
    let mut server = Server::run(place, &[]);
    let before = status(&server.place);
    assert_eq!((&before["entries"], &before["logs"]), (&12.into(), &3.into()));
    assert_eq!(before["kept_bytes"], 5_541, "as the bodies of version 2 are");
    assert_eq!(before["retention_days"], serde_json::Value::Null);
    assert!(before["oldest"].is_string(), "{before}");
    server.enroll("erin").await;
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));

    let place = std::mem::replace(&mut server.place, Place::new());
    let file = rusqlite::Connection::open(place.data().join("openchat.db")).unwrap();
    file.execute_batch("UPDATE marks SET value = 1 WHERE name = 'upgraded'").unwrap();
    drop(file);
    fs::write(place.data().join("config.toml"), "[keep]\nretention = '1d'\n").unwrap();
    let server = Server::run(place, &[]);
    let is_over = || status(&server.place)["oldest"].is_null();
    assert!((0..600).any(|_| is_over()), "{}", status(&server.place));
    let after = status(&server.place);
    assert_eq!(after["retention_days"], 1);
    assert_eq!(after["entries"], 12, "their places and hashes are kept");
    assert_eq!(after["kept_bytes"], 4_200, "commits and the wish to leave");
}
