//! What an older server left behind is what a newer one goes on with.

use crate::server::{Place, Server};
use openchat_wire::relay::{Refusal, Request};
use std::fs;

/// A data directory whose database an older server wrote.
fn old_place() -> Place {
    let place = Place::new();
    place.init();
    let database = place.data().join("openchat.db");
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there once nobody has the database open.
        let _ = fs::remove_file(place.data().join(format!("openchat.db{suffix}")));
    }
    let old = rusqlite::Connection::open(&database).unwrap();
    old.execute_batch(include_str!("../data/version-1.sql")).unwrap();
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
