//! What the full screen says of one's own messages, also of those of earlier runs.

use openchat_sim::{Person, Server, Terminal};

const WIDE: (u16, u16) = (100, 30);

fn join(person: &Person) -> Terminal {
    let terminal = Terminal::open(person, &["join"], WIDE);
    terminal.until("ready", |screen| screen.contains("online") && screen.contains("members"));
    terminal
}

/// Whether a line has both.
fn has(screen: &str, text: &str, word: &str) -> bool {
    screen.lines().any(|line| line.contains(text) && line.contains(word))
}

#[test]
fn what_waits_is_seen_also_by_the_next_run_and_what_came_of_the_rest() {
    let mut server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut bob = bob.join();
    bob.ready();
    let screen = join(&alice);
    bob.meet("alice");
    screen.enter("deploy at noon?");
    screen.enter("or at one?");
    bob.message("or at one?");
    bob.send("1", "as you like");
    screen.shows("as you like");
    screen.until("delivered", |screen| has(screen, "or at one?", "delivered"));
    server.kill();
    screen.shows("offline, retrying");
    screen.enter("/react 👍");
    screen.shows("👍 alice (queued)");
    screen.enter("/edit at two");
    screen.until("the edit", |screen| {
        screen.contains("at two edited, queued") && !screen.contains("or at one?")
    });
    screen.enter("said offline");
    screen.until("queued", |screen| has(screen, "said offline", "queued"));
    screen.enter("/quit");
    assert_eq!(screen.ended(), 8, "{}", screen.screen());

    let screen = Terminal::open(&alice, &["join"], WIDE);
    screen.shows("offline, retrying");
    let shown = screen.until("what waits", |screen| has(screen, "said offline", "queued"));
    assert!(shown.contains("at two edited, queued"), "{shown}");
    assert!(shown.contains("👍 alice (queued)"), "{shown}");
    assert!(has(&shown, "deploy at noon?", "delivered"), "{shown}");
    server.run();
    bob.message("said offline");
    let kinds = ["reaction", "edit"];
    for kind in kinds {
        bob.until(kind, |event| event["kind"] == kind);
    }
    let shown = screen.until("all is there", |screen| {
        !screen.contains("queued") && has(screen, "said offline", "delivered")
    });
    assert!(shown.contains("at two edited") && shown.contains("👍 alice"), "{shown}");
    assert_eq!(shown.matches("said offline").count(), 1, "{shown}");
}

#[test]
fn the_first_line_follows_the_log() {
    let server = Server::start();
    let alice = server.enroll("alice");
    let screen = Terminal::open(&alice, &["join"], WIDE);
    let size = |screen: &str| -> Option<u64> {
        let (_, rest) = screen.split_once("log #")?;
        rest.split_once(" ok")?.0.parse().ok()
    };
    let before = size(&screen.until("a log", |screen| size(screen).is_some()));
    let mut bob = server.enroll("bob").join();
    bob.ready();
    screen.until("a longer log", |screen| size(screen) > before);
}
