//! Listeners: scripts and bots.

use crate::people::{counted, once, signal, texts};
use openchat_sim::{Client, PATIENCE, Person, Server};
use serde_json::Value;

pub(crate) fn two(server: &Server) -> [Person; 2] {
    let people = ["alice", "bob"].map(|name| server.enroll(name));
    assert_eq!(people[1].join().finish(), Some(0));
    assert_eq!(people[0].join().finish(), Some(0));
    people
}

pub(crate) fn say(person: &Person, text: &str) -> Value {
    person.run(&["send", "#general", text])[0].clone()
}

/// Has begun to listen.
pub(crate) fn listening(person: &Person, args: &[&str]) -> Client {
    let mut client = person.start(&[&["listen"], args].concat());
    client.event("following");
    client
}

#[test]
fn it_begins_where_it_was_told_to() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let said: Vec<Value> = ["one", "two", "three"].iter().map(|text| say(&bob, text)).collect();
    // All have to be here before one can be pointed at.
    let mut open = alice.join();
    open.message("three");
    let three = open.message("three");
    assert_eq!(open.finish(), Some(0));
    let seq = said[0]["seq"].to_string();
    for (since, count, first) in [
        ("beginning", "3", "one"),
        (seq.as_str(), "2", "two"),
        (said[1]["id"].as_str().unwrap(), "1", "three"),
        (three["time"].as_str().unwrap(), "1", "three"),
    ] {
        let mut listener = alice.start(&["listen", "#general", "--since", since, "--count", count]);
        assert_eq!(listener.ended(), Some(0), "{since}");
        assert_eq!(listener.messages().next().unwrap()["text"], first, "{since}");
        assert_eq!(listener.messages().count().to_string(), count, "{since}");
    }
    let mut now = listening(&alice, &["--count", "1"]);
    say(&bob, "four");
    assert_eq!(now.ended(), Some(0));
    assert_eq!(counted([&now]), once(["four".to_owned()]));
}

#[test]
fn it_takes_part_in_nothing() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    bob.run(&["group", "new", "ops", "--invite", "alice"]);
    let (code, objects) = alice.try_to(&["listen", "#nowhere"]);
    assert_eq!(code, Some(7), "{objects:?}");
    assert_eq!(objects.last().unwrap()["code"], "no-such-conversation");
    let mut listener = listening(&alice, &[]);
    say(&bob, "hello");
    listener.message("hello");
    let stage = &alice.run(&["group", "show", "#ops"])[0]["stage"];
    assert_eq!(stage, "invited", "it accepted nothing");
    // What is written on this device is not told, unless it is asked for: a bot would answer itself.
    let mut all = listening(&alice, &["--own"]);
    say(&alice, "mine");
    all.message("mine");
    say(&bob, "yours");
    listener.message("yours");
    assert_eq!(counted([&listener]), once(["hello", "yours"].map(str::to_owned)));
    for client in [&mut listener, &mut all] {
        signal(client.pid().unwrap(), "-TERM");
        assert_eq!(client.ended(), Some(130));
    }
}

/// It is killed again and again, as its server is once. All is told, and the last before a kill at
/// most once more.
#[test]
fn a_killed_listener_goes_on_where_it_was() {
    let mut server = Server::start();
    let [alice, bob] = two(&server);
    let mut writer = bob.join();
    writer.ready();
    let said = texts("word", 60);
    let mut before = Vec::new();
    let start = || alice.start(&["listen", "#general", "--as", "pager", "--since", "beginning"]);
    let mut listener = start();
    for (number, text) in said.iter().enumerate() {
        writer.send(text, text);
        if number % 12 == 11 {
            listener.message(&said[number - 6]);
            listener.kill();
            listener.settle(PATIENCE);
            before.push(std::mem::replace(&mut listener, start()));
        }
        if number == 30 {
            server.kill();
            server.run();
        }
    }
    let told = |text: &String| before.iter().any(|client| counted([client]).contains_key(text));
    for text in &said {
        if !told(text) {
            listener.message(text);
        }
    }
    let kills = before.len();
    before.push(listener);
    let counted = counted(&before);
    assert_eq!(counted.keys().count(), said.len(), "nothing is lost");
    let twice = counted.values().map(|count| count - 1).sum::<usize>();
    assert!(twice <= kills, "{twice} came twice in {kills} kills");
    assert_eq!(writer.finish(), Some(0));
}

/// Listener and conversation take the session over from each other.
#[test]
fn a_listener_survives_the_holder_and_repeats_nothing() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let mut writer = bob.join();
    writer.ready();
    let mut said = Vec::new();
    let mut holders = vec![alice.join()];
    holders[0].ready();
    let mut named = listening(&alice, &["#general", "--as", "pager"]);
    let mut all = listening(&alice, &[]);
    for round in 0..4 {
        for text in texts(&format!("round {round}"), 10) {
            writer.send(&text, &text);
            said.push(text);
        }
        if let Some(mut holder) = holders.pop() {
            holder.kill();
        }
        // Whoever comes now is the guest of one of the two.
        holders.push(alice.join());
    }
    for listener in [&mut named, &mut all] {
        for text in &said {
            listener.message(text);
        }
        assert_eq!(counted([&*listener]), once(said.clone()));
    }
    let (code, objects) = alice.try_to(&["listen", "--as", "pager"]);
    assert_eq!((code, &objects.last().unwrap()["code"]), (Some(1), &"listener-in-use".into()));
    assert_eq!(writer.finish(), Some(0));
}

#[test]
fn lines_are_those_of_join() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    say(&bob, "two\nlines");
    let mut command = alice.command();
    command.args(["listen", "#general", "--since", "beginning", "--count", "1", "--quiet"]);
    let output = command.output().unwrap();
    let (said, noted) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(said.ends_with("\t#general\tbob\tcertified\ttwo\\nlines\n"), "{said}");
    assert_eq!((output.status.code(), noted.len()), (Some(0), 0));
}
