//! The full screen in a real terminal, with the real server: what a person sees.

use openchat_sim::{Person, Server, Terminal};

const WIDE: (u16, u16) = (100, 30);

/// `openchat join` as this person, who has enrolled, in a terminal; waits until it is ready.
fn join(person: &Person, target: &[&str], size: (u16, u16)) -> Terminal {
    let terminal = Terminal::open(person, &[&["join"], target].concat(), size);
    terminal.until("ready", |screen| screen.contains("online") && screen.contains("members"));
    terminal
}

/// Alice at her screen, and bob in the same group.
fn alice_and_bob(server: &Server) -> (Terminal, openchat_sim::Client) {
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut client = bob.join();
    client.ready();
    let terminal = join(&alice, &[], WIDE);
    client.meet("alice");
    terminal.shows("MEMBERS 2");
    (terminal, client)
}

#[test]
fn from_the_first_run_on_two_people_talk() {
    let server = Server::start();
    let alice = Person::new("alice", &server);
    let enroll = Terminal::open(&alice, &["enroll", "--name", "alice"], WIDE);
    enroll.shows("openchat -P alice join");
    assert_eq!(enroll.ended(), 0);
    let bob = server.enroll("bob");
    let at_alice = Terminal::open(&alice, &["join"], WIDE);
    at_alice.shows("only you");
    let at_bob = join(&bob, &[], (70, 20));
    at_alice.shows("bob joined, 2 members now");
    at_alice.enter("Hello bob, 日本語 👩‍👩‍👧 and all");
    let screen = at_bob.shows("alice    Hello bob, 日本語");
    assert!(screen.contains("GROUPS") && !screen.contains("MEMBERS"), "{screen}");
    at_alice.until("delivered", |screen| screen.contains("delivered"));
    at_bob.enter("@alice hi!");
    at_alice.shows("bob      @alice hi!");
    for terminal in [at_alice, at_bob] {
        terminal.enter("/quit");
        assert_eq!(terminal.ended(), 0, "{}", terminal.screen());
        let left = terminal.screen();
        assert!(!left.contains("GROUPS"), "the terminal is as it was: {left}");
    }
}

#[test]
fn two_people_answer_react_edit_and_delete() {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let at_alice = Terminal::open(&alice, &["join"], WIDE);
    at_alice.shows("only you");
    let at_bob = join(&bob, &[], WIDE);
    at_alice.shows("bob joined, 2 members now");
    at_alice.enter("deploy at noon?");
    at_bob.shows("deploy at noon?");
    at_bob.enter("/reply after lunch");
    at_alice.shows("re: alice \"deploy at noon?\"");
    at_alice.enter("/react 👍");
    at_bob.shows("👍 alice");
    at_bob.enter("/me waves");
    at_alice.shows("* bob waves");
    at_alice.enter("/edit deploy at one?");
    at_bob.shows("deploy at one? edited");
    at_alice.enter("/topic Deploys");
    at_bob.shows("alice sets the topic: Deploys");
    at_alice.enter("/delete");
    at_bob.until("deleted", |screen| {
        screen.contains("(deleted)") && !screen.contains("deploy at one?")
    });
    at_bob.enter("/quit");
    assert_eq!(at_bob.ended(), 0, "{}", at_bob.screen());
    // What the vault has kept of it is the same.
    let at_bob = join(&bob, &[], WIDE);
    let screen = at_bob.shows("* bob waves");
    for kept in ["(deleted)", "after lunch", "👍 alice", "open  Deploys", "sets the topic"] {
        assert!(screen.contains(kept), "{kept}: {screen}");
    }
    assert!(!screen.contains("deploy at"), "{screen}");
}

#[test]
fn what_was_said_before_is_there_again() {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let mut client = bob.join();
    client.ready();
    let terminal = join(&alice, &[], WIDE);
    client.meet("alice");
    client.send("1", "before the pause");
    terminal.shows("before the pause");
    terminal.press(&["C-c"]);
    terminal.shows("again quits");
    terminal.press(&["C-c"]);
    assert_eq!(terminal.ended(), 0);
    client.send("2", "during the pause");
    client.ack("2");
    let terminal = join(&alice, &[], WIDE);
    let screen = terminal.shows("during the pause");
    let place = |text: &str| screen.find(text).unwrap();
    assert!(place("before the pause") < place("1 new"), "{screen}");
    assert!(place("1 new") < place("during the pause"), "{screen}");
    assert_eq!(screen.matches("before the pause").count(), 1, "{screen}");
}

#[test]
fn five_hundred_pasted_lines_are_one_draft() {
    let server = Server::start();
    let (terminal, mut bob) = alice_and_bob(&server);
    let text = (1..=500).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
    terminal.paste(&text);
    terminal.shows("500 lines, one message");
    terminal.press(&["Enter"]);
    bob.message(&text);
    assert_eq!(bob.messages().count(), 1);
    terminal.shows("line 500");
}

#[test]
fn the_size_changes_while_one_types() {
    let server = Server::start();
    let (terminal, mut bob) = alice_and_bob(&server);
    terminal.type_in("half a thou");
    terminal.shows("half a thou");
    for (size, panes) in
        [((40, 12), (false, false)), ((70, 15), (true, false)), ((180, 50), (true, true))]
    {
        terminal.resize(size);
        terminal.until("the panes that fit", |screen| {
            let seen = (screen.contains("GROUPS"), screen.contains("MEMBERS"));
            seen == panes && screen.contains("half a thou")
        });
    }
    terminal.enter("ght");
    bob.message("half a thought");
}

#[test]
fn the_view_stays_while_messages_come() {
    let server = Server::start();
    let (terminal, mut bob) = alice_and_bob(&server);
    for number in 1..=60 {
        bob.send(&number.to_string(), &format!("message {number}."));
    }
    terminal.shows("message 60.");
    terminal.press(&["PPage"]);
    let before = terminal.until("the past", |screen| !screen.contains("message 60."));
    for number in 61..=72 {
        bob.send(&number.to_string(), &format!("message {number}."));
    }
    let after = terminal.shows("12 new below");
    let pane = |screen: &str| -> Vec<String> {
        screen.lines().filter(|line| line.contains("message")).map(str::to_owned).collect()
    };
    assert_eq!(pane(&before), pane(&after));
    terminal.press(&["Escape"]);
    terminal.shows("message 72.");
}

#[test]
fn a_dead_server_is_told_and_nothing_is_lost() {
    let mut server = Server::start();
    let (terminal, mut bob) = alice_and_bob(&server);
    server.kill();
    terminal.shows("offline, retrying");
    terminal.enter("said while it was away");
    terminal.until("queued", |screen| {
        screen.lines().any(|line| line.contains("said while") && line.contains("queued"))
    });
    server.run();
    bob.message("said while it was away");
    terminal.until("delivered", |screen| {
        screen.lines().any(|line| line.contains("said while") && line.contains("delivered"))
    });
    let screen = terminal.screen();
    assert_eq!(screen.matches("said while").count(), 1, "{screen}");
    assert_eq!(bob.messages().count(), 1);
}

#[test]
fn whoever_quits_with_something_queued_learns_so() {
    let mut server = Server::start();
    let (terminal, _bob) = alice_and_bob(&server);
    server.kill();
    terminal.shows("offline, retrying");
    terminal.enter("kept for later");
    terminal.shows("queued");
    terminal.enter("/quit");
    assert_eq!(terminal.ended(), 8, "{}", terminal.screen());
    terminal.shows("1 message is stored and not acknowledged yet");
}

#[test]
fn a_command_that_does_not_exist_is_not_sent() {
    let server = Server::start();
    let (terminal, mut bob) = alice_and_bob(&server);
    terminal.enter("/qiut");
    terminal.shows("did you mean /quit?");
    terminal.press(&["C-u"]);
    terminal.enter("sent");
    bob.message("sent");
    assert_eq!(bob.messages().count(), 1);
}

#[test]
fn a_group_is_made_joined_and_left_by_commands() {
    let server = Server::start();
    let (alice, bob) = (server.enroll("alice"), server.enroll("bob"));
    let at_alice = Terminal::open(&alice, &["join"], WIDE);
    at_alice.shows("only you");
    let at_bob = join(&bob, &[], (50, 20));
    at_alice.enter("/new ops bob");
    at_alice.shows("alice invited bob");
    // The list is not shown at this size: it is told where bob is.
    at_bob.shows("alice invites you to #ops");
    at_bob.enter("/join #ops");
    at_alice.shows("bob joined, 2 members now");
    at_bob.shows("#ops>");
    at_bob.enter("here I am");
    at_alice.shows("bob      here I am");
    at_alice.enter("/verify bob");
    at_alice.shows("/verify bob");
    at_bob.enter("/leave");
    at_alice.shows("bob left");
}

#[test]
fn lines_are_still_there() {
    let server = Server::start();
    let alice = server.enroll("alice");
    let terminal = Terminal::open(&alice, &["join", "--line"], WIDE);
    terminal.shows("#general: epoch 1");
    terminal.enter("/search x");
    terminal.shows("/search is for the full screen");
    terminal.enter("/quit");
    assert_eq!(terminal.ended(), 1, "a line was refused: {}", terminal.screen());
}
