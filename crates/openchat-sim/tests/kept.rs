//! What a person has settled about a conversation stays, and others see what they should.

use openchat_sim::{Server, Terminal};

const SIZE: (u16, u16) = (100, 30);

#[test]
fn a_topic_is_said_told_and_taken_away_on_the_command_line() {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut at_bob = bob.join();
    at_bob.ready();
    let mut at_alice = alice.join();
    at_alice.ready();
    at_bob.meet("alice");
    // Beside an open conversation of the same profile.
    let said = alice.run(&["group", "topic", "#general", "Lunch & more"]);
    assert_eq!(said.last().map(|one| one["type"].clone()), Some("ack".into()), "{said:?}");
    at_bob.message("Lunch & more");
    let told = bob.run(&["group", "topic", "#general"]);
    assert_eq!(told[0]["topic"], "Lunch & more");
    assert_eq!(told[0]["by"], "alice");
    bob.run(&["group", "topic", "#general", ""]);
    at_alice.message("");
    let told = alice.run(&["group", "topic", "#general"]);
    assert_eq!((told[0]["topic"].as_str(), &told[0]["target"]), (None, &"#general".into()));
    let (code, objects) = alice.try_to(&["group", "topic", "#general", "two\nlines"]);
    assert_ne!(code, Some(0), "{objects:?}");
    let (code, _) = alice.try_to(&["group", "topic", "#nowhere"]);
    assert_eq!(code, Some(7));
}

#[test]
fn what_is_muted_stays_muted_wherever_it_was_said() {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut at_bob = bob.join();
    at_bob.ready();
    let mut direct = bob.open("@alice");
    let terminal = Terminal::open(&alice, &["join"], SIZE);
    at_bob.meet("alice");
    direct.ready();
    direct.send("1", "between us");
    terminal.until("bob's message", |screen| screen.contains("bob") && screen.contains("1 unread"));
    // On the command line, beside the screen; another screen begins so.
    let told = alice.run(&["group", "mute", "@bob"]);
    assert_eq!((&told[0]["target"], &told[0]["muted"]), (&"@bob".into(), &true.into()));
    terminal.enter("/quit");
    assert_eq!(terminal.ended(), 0, "{}", terminal.screen());
    let terminal = Terminal::open(&alice, &["join"], SIZE);
    terminal.until("it is muted", |screen| {
        screen.lines().any(|line| line.contains("bob") && line.contains("muted"))
    });
    // On the screen; it stays.
    terminal.enter("/mute @bob");
    terminal.shows("@bob is counted again");
    terminal.enter("/mute #general");
    terminal.shows("#general is muted");
    terminal.enter("/quit");
    assert_eq!(terminal.ended(), 0, "{}", terminal.screen());
    let terminal = Terminal::open(&alice, &["join", "@bob"], SIZE);
    terminal.until("what was said before holds", |screen| {
        screen.lines().any(|line| line.contains("#general") && line.contains("muted"))
            && !screen.lines().any(|line| line.contains("  bob") && line.contains("muted"))
    });
    let (code, _) = alice.try_to(&["group", "mute", "#nowhere"]);
    assert_eq!(code, Some(7));
}
