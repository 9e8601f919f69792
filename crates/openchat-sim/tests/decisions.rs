//! What people decide at their screens: about a changed key, files and a timer.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::{Client, Person, Server, Terminal, run};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

const WIDE: (u16, u16) = (100, 30);

fn join(person: &Person) -> Terminal {
    let terminal = Terminal::open(person, &["join"], WIDE);
    terminal.until("ready", |screen| screen.contains("online") && screen.contains("members"));
    terminal
}

/// Alice at her screen, who has compared with bob; his key is another one since. What she writes is
/// held.
fn changed(server: &Server) -> (Terminal, Client, Person) {
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut his = bob.join();
    his.ready();
    let terminal = join(&alice);
    his.meet("alice");
    terminal.enter(&format!("/verify bob {}", number(&bob)));
    terminal.until("verified", |screen| {
        screen.lines().any(|line| line.contains("bob") && line.contains("verified"))
    });
    let reset = run(server.command().args(["user", "reset", "bob", "--json"]));
    let reset: Value = serde_json::from_slice(&reset.stdout).unwrap();
    assert_eq!(his.ended(), Some(6));
    let new = Person::new("bob-s-new-device", server);
    new.run(&["enroll", "--name", "bob", "--invite", reset["invitation"].as_str().unwrap()]);
    let mut his = new.join();
    his.meet("alice");
    his.send("1", "it is me");
    terminal.until("the changed key", |screen| {
        screen.lines().any(|line| line.contains("CHANGED") && line.contains("it is me"))
    });
    terminal.enter("is it you?");
    terminal.shows("What you write here is kept, not sent.");
    terminal.until("queued", |screen| {
        screen.lines().any(|line| line.contains("is it you?") && line.contains("queued"))
    });
    // What comes after it would have come after what was held.
    his.send("2", "still me");
    his.ack("2");
    terminal.shows("still me");
    assert!(!his.messages().any(|message| message["text"] == "is it you?"), "it is held");
    (terminal, his, new)
}

/// The number that this person's program shows for alice.
fn number(of: &Person) -> String {
    let shown = of.run(&["verify", "alice"]);
    shown.last().unwrap()["number"].as_str().unwrap().to_owned()
}

/// What the screen says to type, behind these words.
fn advised(screen: &str, before: &str) -> String {
    let (_, after) = screen.rsplit_once(before).unwrap();
    after.split(['.', '|', '\n']).next().unwrap().trim().to_owned()
}

#[test]
fn a_changed_key_holds_what_is_written_until_it_is_trusted() {
    let server = Server::start();
    let (terminal, mut his, _) = changed(&server);
    let screen = terminal.screen();
    // Just as it stands there.
    let (compare, trust) = (advised(&screen, "Compare:"), advised(&screen, "Trust anyway:"));
    assert_eq!((compare.as_str(), trust.as_str()), ("/verify bob", "/trust bob"), "{screen}");
    terminal.enter(&compare);
    terminal.shows("CHANGED  key SHA256:");
    terminal.enter(&trust);
    his.message("is it you?");
    terminal.until("delivered", |screen| {
        screen.lines().any(|line| line.contains("is it you?") && line.contains("delivered"))
    });
    terminal.enter("good");
    his.message("good");
}

#[test]
fn a_changed_key_that_was_compared_sends_what_was_held() {
    let server = Server::start();
    let (terminal, mut his, bob) = changed(&server);
    let number = number(&bob);
    // Another number changes nothing.
    let other = number.replace('1', "2").replace('0', "3");
    terminal.enter(&format!("/verify bob {other}"));
    terminal.shows("that is not the number");
    assert!(!his.messages().any(|message| message["text"] == "is it you?"), "it is held");
    terminal.enter(&format!("/verify bob {number}"));
    his.message("is it you?");
    terminal.until("verified", |screen| {
        screen.lines().any(|line| line.contains("bob") && line.ends_with("verified"))
    });
}

#[test]
fn a_file_comes_as_it_was_and_lands_where_it_is_put() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let at_alice = Terminal::open(&alice, &["join"], WIDE);
    at_alice.shows("only you");
    let at_bob = join(&bob);
    at_alice.shows("bob joined, 2 members now");
    let (from, to) = (server.place().join("hers"), server.place().join("his"));
    for folder in [&from, &to] {
        fs::create_dir(folder).unwrap();
    }
    // A shell would read the first one, take the second one for an option, and Windows the last one
    // for a path.
    let names =
        [(".profile", ".profile", "_profile"), ("-rf", "-rf", "_rf"), ("..\\..\\x", "x", "x")];
    for (number, (source, name, saved)) in (0u8..).zip(names) {
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8 ^ number).collect();
        fs::write(from.join(source), &bytes).unwrap();
        at_alice.enter(&format!("/file {}", from.join(source).display()));
        at_bob.shows(&format!("{name} is here"));
        at_alice.until("all of it is there", |screen| {
            screen.contains(&format!("[file {name}, 200000 B]"))
        });
        at_bob.enter(&format!("/save {}", to.display()));
        let path = to.join(saved);
        // It is whole when it appears.
        at_bob.until("it is saved", |_| path.exists());
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Over nothing that is there.
        at_bob.enter(&format!("/save {}", path.display()));
        let refused = usize::from(number) + 1;
        at_bob.until("it is refused", |screen| {
            screen.matches("nothing was written").count() == refused
        });
    }
    assert_eq!(fs::read_dir(&to).unwrap().count(), names.len(), "and nothing else");
}

#[test]
fn a_timer_stands_in_the_title_until_it_is_off() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let at_alice = Terminal::open(&alice, &["join"], WIDE);
    at_alice.shows("only you");
    let at_bob = join(&bob);
    at_alice.shows("bob joined, 2 members now");
    // Shorter than anybody could read.
    at_alice.enter("/timer 3s");
    at_alice.shows("from 5 minutes to a year");
    at_alice.enter("/timer 7d");
    for terminal in [&at_alice, &at_bob] {
        terminal.shows("asks everybody to delete what is said");
        terminal.shows("kept 1w");
    }
    at_alice.enter("/timer off");
    at_bob.shows("asks nobody to delete messages any more");
    for terminal in [&at_alice, &at_bob] {
        terminal.until("no timer", |screen| !screen.contains("kept 1w"));
    }
}
