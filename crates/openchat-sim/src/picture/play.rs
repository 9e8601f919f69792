//! The session that the pictures show. Each line that somebody writes is awaited on the other
//! screens before the next one, so that it is the same session every time.

use super::Picture;
use crate::{Person, Server, Terminal, run};
use serde_json::Value;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const WIDE: (u16, u16) = (100, 30);
const NARROW: (u16, u16) = (40, 12);
/// A fingerprint is 79 characters, and is not to be broken.
const SHELL: (u16, u16) = (108, 12);

/// Plays the session and takes all pictures of it.
///
/// # Panics
/// If anything does not come to be seen.
#[must_use]
pub fn play() -> Vec<Picture> {
    let mut server = Server::bare(&[]);
    let _ = run(server.command().args(["init-ca", "--org", "Acme"]));
    server.run();
    let zone = zone();
    let people = ["alice", "bob", "carol", "dave"];
    let people = people.map(|name| server.enroll(name).with_environment([zone.clone()]));
    let [alice, bob, carol, dave] = &people;
    found(&people);
    let verify = compare(alice, bob);
    compare_quietly(alice, dave);

    let at_alice = join(alice, "#general", WIDE);
    let [at_bob, at_carol, at_dave] = [bob, carol, dave].map(|person| join(person, "#ops", WIDE));
    let notes = server.place().join("changes-2.4.md");
    std::fs::write(&notes, "# 2.4\n\nFaster, smaller.\n").expect("a file");
    let screen = talk([&at_alice, &at_bob, &at_carol, &at_dave], &notes);
    at_carol.enter("/quit");
    assert_eq!(at_carol.ended(), 0, "{}", at_carol.screen());
    let narrow = narrow(carol);
    let changed = change_key(&server, &at_alice, &at_bob, at_dave, zone);
    vec![screen, verify, changed, narrow]
}

/// A time zone in which it is about noon, so that the session begins and ends on one day.
fn zone() -> (String, std::ffi::OsString) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    let hour = now.as_secs() / 3600 % 24;
    // POSIX counts westwards.
    let west = i64::try_from(hour).expect("an hour") - 12;
    ("TZ".to_owned(), format!("NOON{west}").into())
}

/// Groups, and everybody in them.
fn found([alice, bob, carol, dave]: &[Person; 4]) {
    let come = |person: &Person, target: &str| {
        assert_eq!(person.open(target).finish(), Some(0), "{} {target}", person.name());
    };
    for person in [alice, bob, carol, dave] {
        come(person, "#general");
    }
    alice.run(&["group", "new", "ops", "--add", "bob", "carol", "dave"]);
    alice.run(&["group", "new", "design", "--add", "bob"]);
    alice.run(&["group", "new", "release", "--add", "carol"]);
    for (person, group) in
        [(bob, "#ops"), (carol, "#ops"), (dave, "#ops"), (bob, "#design"), (carol, "#release")]
    {
        come(person, group);
    }
    // Whoever begins a group sees the others come.
    for group in ["#general", "#ops", "#design", "#release"] {
        come(alice, group);
    }
}

/// Alice compares with bob at her shell.
fn compare(alice: &Person, bob: &Person) -> Picture {
    let shell = Terminal::shell(alice, SHELL);
    prompt(&shell, 1);
    shell.enter("openchat verify bob");
    shell.shows("[y/N]");
    let number = number(bob, "alice");
    assert!(shell.screen().split_whitespace().any(|word| number.starts_with(word)));
    shell.enter("y");
    prompt(&shell, 2);
    shell.enter("openchat trust list");
    prompt(&shell, 3);
    Picture::of("verify", "openchat verify bob", &shell, SHELL.0)
}

/// Waits for the shell's prompt for the nth time: what was typed before it came would stand elsewhere.
fn prompt(shell: &Terminal, nth: usize) {
    shell.until("the prompt", |screen| {
        let prompts = screen.lines().filter(|line| line.starts_with('$'));
        prompts.count() == nth && screen.trim_end().lines().last() == Some("$")
    });
}

/// What somebody's program shows to be compared.
fn number(of: &Person, with: &str) -> String {
    let shown = of.run(&["verify", with]);
    shown[0]["number"].as_str().expect("a number").to_owned()
}

fn compare_quietly(alice: &Person, other: &Person) {
    alice.run(&["verify", other.name(), "--number", &number(other, alice.name())]);
}

fn join(person: &Person, target: &str, size: (u16, u16)) -> Terminal {
    let terminal = Terminal::open(person, &["join", target], size);
    terminal.until("ready", |screen| screen.contains("online") && screen.contains("members"));
    terminal
}

/// Alice, bob, carol and dave prepare a deploy.
fn talk([alice, bob, carol, dave]: [&Terminal; 4], notes: &Path) -> Picture {
    alice.press(&["C-p"]);
    alice.shows("Switch to");
    alice.enter("ops");
    alice.shows("#ops>");
    alice.enter("/topic Deploys and incidents");
    for terminal in [alice, bob, carol, dave] {
        terminal.shows("sets the topic");
    }
    let ops = [alice, bob, carol];
    say(dave, "morning! what is on today?", "what is on today?", &ops);
    say(alice, "2.3, after lunch", "2.3, after lunch", &ops);
    say(alice, "/edit 2.4, after lunch", "2.4, after lunch", &ops);
    say(carol, &format!("/file {}", notes.display()), "changes-2.4.md", &[alice, bob]);
    say(dave, "read it: nothing that needs a migration,\nand no new ports", "no new ports", &ops);
    say(bob, "deploy of 2.4 at one, ok?", "deploy of 2.4 at one, ok?", &ops);
    say(carol, "/reply go. notes: https://wiki.acme.example/rel-2.4", "go. notes: ", &ops);
    bob.enter("/react 👍");
    alice.shows("👍 bob");
    say(alice, "starting; 日本 first, then all", "starting; ", &ops);
    say(bob, "/me watches the error rate", "watches the error rate", &ops);
    // While alice is elsewhere.
    alice.enter("/join #general");
    alice.shows("#general>");
    say(carol, "nothing unusual in the first ten minutes", "nothing unusual", &[bob]);
    say(dave, "@alice tokyo is green", "tokyo is green", &[bob, carol]);
    carol.enter("/join #release");
    carol.shows("#release>");
    for text in ["2.4 is tagged", "packages are up", "notes are out"] {
        say(carol, text, text, &[]);
    }
    bob.enter("/join #design");
    bob.shows("#design>");
    say(bob, "@alice the new icons, please have a look", "please have a look", &[]);
    say(bob, "/msg alice coffee?", "coffee?", &[]);
    alice.until("what came elsewhere", |screen| {
        let badges = [("#release", "3"), ("#design", "@1"), ("#ops", "@1"), ("bob", "1")];
        let sum = "7 unread, @2";
        screen.contains(sum) && badges.iter().all(|(of, badge)| is_badge(screen, of, badge))
    });
    bob.enter("/join #ops");
    carol.enter("/join #ops");
    alice.enter("/join #ops");
    alice.shows("2 new");
    say(alice, "done everywhere. thanks, all!", "thanks, all!", &[bob, carol]);
    alice.type_in("writing the post-mort");
    alice.until("all of it", |screen| {
        let parts = ["+bob", "+carol", "+dave", "#ops> writing the post-mort"];
        let own = screen.lines().filter(|line| line.contains("delivered"));
        // Not to some of the three others only.
        parts.iter().all(|part| screen.contains(part)) && own.count() == 4 && !screen.contains("/3")
    });
    Picture::of("screen", "openchat join '#ops'", alice, WIDE.0)
}

/// Writes a line and waits until others have it.
fn say(who: &Terminal, line: &str, seen: &str, by: &[&Terminal]) {
    if line.contains('\n') {
        who.paste(line);
    } else {
        who.type_in(line);
    }
    who.press(&["Enter"]);
    for terminal in by {
        terminal.shows(seen);
    }
    // Its own draft has the text too: it is gone when it is sent.
    who.until("it is sent", |screen| {
        screen.contains(seen) && screen.lines().all(|at| !at.contains(&format!("> {line}")))
    });
}

/// Whether the list tells this of a conversation.
fn is_badge(screen: &str, conversation: &str, badge: &str) -> bool {
    let lists = screen.lines().filter_map(|line| line.split('|').next());
    lists.into_iter().any(|line| line.contains(conversation) && line.trim_end().ends_with(badge))
}

/// The same conversation on a small terminal.
fn narrow(carol: &Person) -> Picture {
    let terminal = join(carol, "#ops", NARROW);
    terminal.shows("done everywhere.");
    terminal
        .until("delivered to all", |screen| screen.contains("delivered") && !screen.contains("/3"));
    terminal.type_in("well done 🎉");
    terminal.shows("#ops> well done 🎉");
    Picture::of("narrow", "40×12", &terminal, NARROW.0)
}

/// Dave comes back with another key than the one that alice has compared.
fn change_key(
    server: &Server,
    alice: &Terminal,
    bob: &Terminal,
    dave: Terminal,
    zone: (String, std::ffi::OsString),
) -> Picture {
    alice.press(&["C-c"]);
    let reset = run(server.command().args(["user", "reset", "dave", "--json"]));
    let reset: Value = serde_json::from_slice(&reset.stdout).expect("an object");
    assert_eq!(dave.ended(), 6, "{}", dave.screen());
    drop(dave);
    bob.shows("the key of dave was revoked");
    let invitation = reset["invitation"].as_str().expect("an invitation");
    let new = Person::new("dave-s-new-device", server).with_environment([zone]);
    new.run(&["enroll", "--name", "dave", "--invite", invitation]);
    bob.enter("/add dave");
    alice.shows("bob added dave");
    let new = join(&new, "#ops", WIDE);
    alice.shows("dave has come");
    alice.until("the other key", |screen| is_badge(screen, "#ops", "CHANGED"));
    alice.enter("dave, is this really you?");
    // It has a revocation and another certificate more.
    alice.shows("log #7 ok");
    alice.until("it is held", |screen| {
        screen.contains("kept, not sent") && screen.contains("+dave")
    });
    let picture = Picture::of("changed-key", "openchat join '#ops'", alice, WIDE.0);
    drop(new);
    picture
}
