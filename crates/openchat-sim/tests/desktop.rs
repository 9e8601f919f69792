//! The full screen tells a desktop, by a real session bus.

use openchat_sim::{Desktop, Person, Server, Shown, Terminal};
use std::{fs, io::Read, os::unix::net::UnixListener, thread};

const SIZE: (u16, u16) = (100, 30);

/// Alice at her screen with the sequence that a terminal sends when it is left; bob writes to her.
struct World {
    _server: Server,
    terminal: Terminal,
    bob: openchat_sim::Client,
    direct: openchat_sim::Client,
}

fn world(desktop: Option<&Desktop>, config: &str) -> World {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    assert!(fs::write(alice.home().join("config.toml"), config).is_ok());
    let alice = match desktop {
        Some(desktop) => alice.with_environment(desktop.environment()),
        None => alice,
    };
    world_of(server, &alice, &bob)
}

fn world_of(server: Server, alice: &Person, bob: &Person) -> World {
    let mut client = bob.join();
    client.ready();
    let terminal = Terminal::open(alice, &["join"], SIZE);
    client.meet("alice");
    terminal.shows("MEMBERS 2");
    let direct = bob.open("@alice");
    World { _server: server, terminal, bob: client, direct }
}

impl World {
    /// What a terminal sends when another window comes to the front.
    fn look_away(&self) {
        self.terminal.type_in("\u{1b}[O");
    }
}

#[test]
fn messages_that_call_are_told_and_others_are_not() {
    let mut desktop = Desktop::start();
    let shown = desktop.serve(&["body", "body-markup"]);
    let mut world = world(Some(&desktop), "");
    world.look_away();
    world.bob.send("1", "nothing of interest");
    world.bob.send("2", "see here, alice: <b>now</b>");
    let note = Shown::next(&shown);
    assert_eq!((&*note.title, &*note.body), ("bob in #general", "names you"));
    assert_eq!(note.app, "openchat");
    world.direct.ready();
    world.direct.send("1", "between us");
    let note = Shown::next(&shown);
    assert_eq!((&*note.title, &*note.body), ("bob", "writes to you"));
    assert!(shown.try_recv().is_err(), "all told");
}

#[test]
fn texts_are_shown_to_whoever_wants_and_act_on_nothing() {
    let mut desktop = Desktop::start();
    let shown = desktop.serve(&["body", "body-markup", "body-hyperlinks", "body-images"]);
    let mut world = world(Some(&desktop), "[notify]\nshow = \"text\"\n");
    world.look_away();
    world.bob.send("1", "alice <img src=\"file:///etc/passwd\"> & \u{1b}]0;x\u{7}\n\u{202e}<a>");
    let note = Shown::next(&shown);
    assert_eq!(
        note.body,
        "alice &lt;img src=&quot;file:///etc/passwd&quot;&gt; &amp; \\u{1b}]0;x\\u{7} \
         \\u{202e}&lt;a&gt;"
    );
}

#[test]
fn a_service_without_markup_gets_the_text_as_it_is() {
    let mut desktop = Desktop::start();
    let shown = desktop.serve(&["body"]);
    let mut world = world(Some(&desktop), "[notify]\nshow = \"text\"\n");
    world.look_away();
    world.bob.send("1", "alice: a < b & c");
    assert_eq!(Shown::next(&shown).body, "alice: a < b & c");
}

#[test]
fn without_a_service_it_is_said_once_and_nothing_waits() {
    let desktop = Desktop::start();
    let mut world = world(Some(&desktop), "");
    world.look_away();
    for number in 0..4 {
        world.bob.send(&number.to_string(), "alice!");
    }
    let screen = world.terminal.shows("the desktop can't be told of messages");
    assert!(screen.contains("alice!"), "{screen}");
    world.terminal.enter("still here");
    world.bob.message("still here");
    let screen = world.terminal.screen();
    assert_eq!(screen.matches("can't be told").count(), 1, "{screen}");
    world.terminal.enter("/quit");
    assert_eq!(world.terminal.ended(), 0, "{}", world.terminal.screen());
}

#[test]
fn a_bus_that_never_answers_holds_nothing_up() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let (asked, was_asked) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        asked.send(stream).unwrap();
    });
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let address = format!("unix:path={}", path.display()).into();
    let alice = alice.with_environment([("DBUS_SESSION_BUS_ADDRESS".to_owned(), address)]);
    let mut world = world_of(server, &alice, &bob);
    world.look_away();
    for number in 0..40 {
        world.bob.send(&number.to_string(), &format!("alice {number}"));
    }
    let held = was_asked.recv_timeout(openchat_sim::PATIENCE).unwrap();
    world.terminal.shows("alice 39");
    world.terminal.enter("not held up");
    world.bob.message("not held up");
    world.terminal.enter("/quit");
    assert_eq!(world.terminal.ended(), 0, "{}", world.terminal.screen());
    drop(held);
}

#[test]
fn who_wants_none_gets_none_and_scripts_never_do() {
    let mut desktop = Desktop::start();
    let shown = desktop.serve(&["body"]);
    let mut world = world(Some(&desktop), "[notify]\ndesktop = false\n");
    world.look_away();
    world.bob.send("1", "alice, are you there?");
    world.terminal.shows("are you there?");
    world.terminal.enter("/quit");
    assert_eq!(world.terminal.ended(), 0);
    assert!(shown.try_recv().is_err());
}

#[test]
fn neither_lines_nor_json_tell_the_desktop() {
    let mut desktop = Desktop::start();
    let shown = desktop.serve(&["body"]);
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let alice = alice.with_environment(desktop.environment());
    let mut at_bob = bob.join();
    at_bob.ready();
    let lines = Terminal::open(&alice, &["join", "--line"], SIZE);
    at_bob.meet("alice");
    let mut json = alice.join();
    json.ready();
    at_bob.send("1", "alice, are you there?");
    lines.shows("are you there?");
    json.message("alice, are you there?");
    lines.enter("/quit");
    assert_eq!(lines.ended(), 0);
    assert!(shown.try_recv().is_err());
}
