//! A disk is full for a while. At the server: nothing new is taken, what is there can be read, and
//! all goes on by itself once there is room. At a client: it ends and says so, and loses nothing.

use crate::{
    people::{assert_log_is_whole, assert_unalarmed, view},
    shim::Faults,
};
use openchat_sim::{Client, Person, Server};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    ops::Range,
    path::PathBuf,
    process::Command,
};

const NAMES: [&str; 2] = ["alice", "bob"];

/// Long texts, which soon fill what SQLite may still write to without more room.
const LONG: usize = 15_000;

/// How many texts alice says before the disk is full, and by its end.
const BEFORE: usize = 10;
const ALICES: usize = BEFORE + 40;

/// What bob says into the full disk: several times what was said before it. SQLite may empty its
/// write-ahead log once more and so find the room again that all of that had taken.
const BOBS: usize = 60;

/// Runs a program with its data on a small disk of its own, which has a copy of what there was.
const ON_A_SMALL_DISK: &str = r#"set -e
    data=$1
    shift
    cp -a "$data" "$data.before"
    mount -t tmpfs -o size=8m,mode=700 none "$data"
    cp -a "$data.before/." "$data"
    exec "$@""#;

#[test]
fn a_full_small_disk_takes_nothing_new_and_goes_on_by_itself() {
    if may_mount() {
        full_and_free(Disk::small);
    } else {
        // As in containers; the other test has a full disk too, but one that is only played.
        println!("not tried: nothing may be mounted here");
    }
}

#[test]
fn a_disk_that_refuses_every_write_takes_nothing_new_and_goes_on_by_itself() {
    full_and_free(Disk::refusing);
}

fn full_and_free(disk: fn(&mut Server) -> Disk) {
    let mut server = Server::start();
    let people = NAMES.map(|name| server.enroll(name));
    let [mut alice, mut bob] = people.each_ref().map(Person::join);
    alice.meet("bob");
    bob.meet("alice");
    bob.kill();
    say(&mut alice, 0..BEFORE);
    alice.count("ack", BEFORE);
    assert!(server.stop().success());
    let disk = disk(&mut server);
    server.run();
    alice.send("up", "up");
    alice.ack("up");

    disk.fill(&server);
    say(&mut alice, BEFORE..ALICES);
    let waiting = alice.event("waiting");
    assert_eq!(waiting["code"], "not-stored", "{waiting}");
    // Who comes now reads what is there, and may write.
    let mut bob = people[1].join();
    bob.message(&text(BEFORE - 1));
    bob.message("up");
    for number in 0..BOBS {
        bob.send("", &me_too(number));
    }
    assert_eq!(bob.event("waiting")["code"], "not-stored");
    assert!(server.ended().is_none(), "it goes on");

    disk.free(&server);
    alice.count("ack", ALICES + 1);
    bob.count("ack", BOBS);
    for client in [&mut alice, &mut bob] {
        client.message(&me_too(BOBS - 1));
        client.message(&text(ALICES - 1));
    }
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.finish(), Some(0));
        assert_unalarmed(client);
    }
    assert_shown_once(&alice, &bob);
    assert!(server.console().contains("the disk is full"), "{}", server.console());
    disk.keep(&server);
    assert_log_is_whole(&server);
}

/// All that was said, once, in one order for both, and each one's in the order in which it was written.
fn assert_shown_once(alice: &Client, bob: &Client) {
    let (one, other) = (view(alice), view(bob));
    assert!(one == other, "views differ");
    let said = |author: char| -> Vec<usize> {
        let texts = one.iter().filter_map(|(_, text)| text.strip_prefix(author));
        texts.map(|text| text.trim_start_matches(author).parse().unwrap()).collect()
    };
    assert_eq!(said('a'), (0..ALICES).collect::<Vec<_>>());
    assert_eq!(said('b'), (0..BOBS).collect::<Vec<_>>());
    assert_eq!(one.len(), ALICES + BOBS + 1);
}

#[test]
fn a_full_disk_of_a_client_ends_it_and_loses_nothing() {
    let server = Server::start();
    let [alice, bob] = NAMES.map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    let faults = Faults::new(&vault(&alice), server.place());
    let alice = alice.with_environment(faults.environment());
    let mut writer = alice.join();
    writer.meet("bob");
    reader.meet("alice");
    writer.send("kept", "kept");
    writer.ack("kept");

    faults.set_full(true);
    writer.send("lost", "not stored, not sent");
    let error = writer.event("error");
    assert_eq!((error["code"].as_str(), writer.ended()), (Some("vault"), Some(1)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("full"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("free space"), "{error}");
    let (code, said) = alice.try_to(&["send", "#general", "not stored either"]);
    let error = said.last().unwrap();
    assert_eq!((code, error["code"].as_str()), (Some(1), Some("vault")), "{said:?}");
    assert!(faults.refused() > 0);

    faults.set_full(false);
    let mut writer = alice.join();
    writer.ready();
    writer.send("again", "again");
    writer.ack("again");
    reader.message("again");
    let texts: Vec<_> = view(&reader).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["kept", "again"], "what was refused was not half done");
    assert_unalarmed(&reader);
    assert_unalarmed(&writer);
}

fn say(client: &mut Client, numbers: Range<usize>) {
    for number in numbers {
        client.send(&number.to_string(), &text(number));
    }
}

fn text(number: usize) -> String {
    "a".repeat(LONG) + &number.to_string()
}

fn me_too(number: usize) -> String {
    "b".repeat(LONG) + &number.to_string()
}

/// Where somebody's vault is.
fn vault(person: &Person) -> PathBuf {
    let vault = |file: &PathBuf| file.file_name().is_some_and(|name| name == "vault.db");
    let files = openchat_sim::files_below(person.home());
    files.iter().find(|file| vault(file)).unwrap().parent().unwrap().to_owned()
}

/// Whether somebody who is not root may mount a file system of one's own here too.
fn may_mount() -> bool {
    let mut mount = Command::new("unshare");
    mount.args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
    mount.output().is_ok_and(|output| output.status.success())
}

/// What the server's data is on from its next start.
enum Disk {
    /// A file system of a few megabytes, which a file fills.
    Small,
    /// One that says that it is full.
    Refusing(Faults),
}

impl Disk {
    fn small(server: &mut Server) -> Self {
        let words = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh"].map(Into::into);
        server.set_wrapper(words.into_iter().chain([server.data().into()]).collect::<Vec<_>>());
        Self::Small
    }

    fn refusing(server: &mut Server) -> Self {
        let faults = Faults::new(&server.data(), server.place());
        server.set_environment(faults.environment());
        Self::Refusing(faults)
    }

    fn fill(&self, server: &Server) {
        if let Self::Refusing(faults) = self {
            return faults.set_full(true);
        }
        let mut filler = File::create(seen(server).join("filler")).unwrap();
        let full = loop {
            if let Err(error) = filler.write_all(&[7; 4_096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// Leaves the server's database where it is looked for.
    fn keep(&self, server: &Server) {
        if matches!(self, Self::Small) {
            for name in ["openchat.db", "openchat.db-wal"] {
                fs::copy(seen(server).join(name), server.data().join(name)).unwrap();
            }
        }
    }

    fn free(&self, server: &Server) {
        match self {
            Self::Small => fs::remove_file(seen(server).join("filler")).unwrap(),
            Self::Refusing(faults) => {
                assert!(faults.refused() > 0);
                faults.set_full(false);
            }
        }
    }
}

/// The server's data as the server sees it.
fn seen(server: &Server) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    root.join(server.data().strip_prefix("/").unwrap())
}
