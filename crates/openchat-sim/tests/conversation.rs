//! People talk through the real programs: everything arrives once, in one order for all, whatever
//! is killed, and the server has none of it.

#![allow(clippy::expect_used, reason = "a missing event has failed the test")]

use openchat_sim::{
    Client, Person, Server, files_below, files_with, group_secrets, identity_keys, vault_holds,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// A page of every kind of writing: right to left, combining, ideographs, an emoji of many parts.
const SCRIPTS: &str = "Zażółć · Ελληνικά · Русский · עברית · العربية · हिन्दी · 中文 · 日本語 · 한국어 · 👩‍👩‍👧‍👦 · e\u{301}";

/// The longest text, as the README states it.
const LONGEST: usize = 16_000;

#[test]
fn texts_of_every_size_arrive_and_the_server_has_none_of_them() {
    // With all of its trace: that may hold none of them either.
    let mut server = Server::start_with(&["-vv"]);
    let (people, mut clients) = three(&server);
    let longest = "The longest text that fits. ".repeat(LONGEST)[..LONGEST].to_owned();
    let texts = ["x".to_owned(), SCRIPTS.to_owned(), longest];
    for (client, text) in clients.iter_mut().zip(&texts) {
        client.send("sized", text);
    }
    for client in &mut clients {
        for text in &texts {
            client.message(text);
        }
    }
    assert_one_view(&clients);
    assert!(clients.iter_mut().all(|client| client.finish() == Some(0)));
    assert!(server.stop().success());
    assert_holds_nothing(&server, &people, &texts[1..]);
}

#[test]
fn a_text_beyond_the_limit_is_refused_and_nothing_is_lost() {
    let server = Server::start();
    let (_, mut clients) = three(&server);
    clients[0].send("before", "before");
    clients[0].send("long", &"x".repeat(LONGEST + 1));
    clients[0].send("after", "after");
    let error = clients[0].until("an error", |event| event["type"] == "error");
    assert_eq!(error["ref"], "long");
    for field in ["code", "message", "hint"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    }
    for client in &mut clients {
        client.message("before");
        client.message("after");
    }
    assert_one_view(&clients);
    assert_eq!(clients[1].messages().count(), 2);
}

/// Authors choose ids. Whoever takes another one's gets neither its reactions nor its edits.
#[test]
fn two_messages_under_one_id_stay_two() {
    let server = Server::start();
    let (_, [mut alice, mut bob, mut mallory]) = three(&server);
    let id = "0123456789abcdef0123456789abcdef";
    bob.order(&json!({"type": "send", "id": id, "text": "bob's"}));
    let bobs = mallory.message("bob's");
    mallory.order(&json!({"type": "send", "id": id, "text": "mallory's"}));
    let other = alice.message("mallory's");
    assert_eq!((&bobs["id"], &other["id"]), (&json!(id), &json!(id)));
    for message in [&other, &bobs] {
        let author = &message["fingerprint"];
        alice.order(&json!({"type": "react", "to": id, "author": author, "emoji": "+"}));
        bob.until("a reaction to it", |event| {
            event["kind"] == "reaction" && event["author"] == *author
        });
    }
    mallory.order(&json!({"type": "edit", "of": id, "text": "changed", "ref": "edit"}));
    mallory.ack("edit");
    let edit = alice.until("the edit", |event| event["kind"] == "edit");
    assert_eq!(edit["fingerprint"], other["fingerprint"]);
    let of_bob = json!({"type": "delete", "of": id, "author": bobs["fingerprint"]});
    mallory.order(&of_bob);
    let refused = mallory.until("an error", |event| event["type"] == "error");
    assert_eq!(refused["code"], "not-yours");
}

#[test]
fn a_thousand_messages_each_way_at_once() {
    const EACH: usize = 1_000;
    let server = Server::start();
    let (_, mut clients) = three(&server);
    for number in 0..EACH {
        say_all(&mut clients, number);
    }
    for client in &mut clients {
        client.count("message", NAMES.len() * EACH);
        client.count("ack", EACH);
    }
    assert_one_view(&clients);
    assert_eq!(texts(&clients[0]), expected(EACH));
    assert!(clients.iter_mut().all(|client| client.finish() == Some(0)));
    assert_keys_are_used_once(&server);
}

#[test]
fn a_killed_server_loses_nothing_and_nobody_acts() {
    const EACH: usize = 120;
    let mut server = Server::start();
    let (_, mut clients) = three(&server);
    for round in 0..3 {
        for number in round * EACH / 3..(round + 1) * EACH / 3 {
            say_all(&mut clients, number);
            if number % (EACH / 3) == EACH / 6 {
                clients[0].count("ack", number / 2);
                server.kill();
            }
        }
        server.run();
    }
    for client in &mut clients {
        client.count("message", NAMES.len() * EACH);
        client.count("ack", EACH);
    }
    assert_one_view(&clients);
    assert_eq!(texts(&clients[0]), expected(EACH));
    assert_keys_are_used_once(&server);
}

#[test]
fn a_killed_client_comes_back_and_says_nothing_twice() {
    const EACH: usize = 60;
    let server = Server::start();
    let (people, [mut alice, mut bob, mut carol]) = three(&server);
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        for number in 0..EACH {
            let text = format!("bob {round}.{number:02}");
            bob.send(&text, &text);
            alice.send("", &format!("alice {round}.{number:02}"));
        }
        bob.count("ack", EACH / 3);
        bob.kill();
        let acks = bob.seen().iter().filter(|event| event["type"] == "ack");
        // Those of messages that an earlier process took come without its word for them.
        acknowledged.extend(acks.filter_map(|ack| Some(ack["ref"].as_str()?.to_owned())));
        bob = people[1].join();
        bob.ready();
    }
    bob.send("back", "back");
    for client in [&mut alice, &mut carol] {
        client.message("back");
        client.count("message", 3 * EACH);
    }
    let arrived: Vec<_> =
        texts_in_order(&carol).into_iter().filter(|t| t.starts_with("bob")).collect();
    let distinct: BTreeSet<_> = arrived.iter().cloned().collect();
    assert!(arrived.is_sorted(), "in the order they were written, and none twice: {arrived:?}");
    assert_eq!(arrived.len(), distinct.len(), "{arrived:?}");
    assert!(acknowledged.is_subset(&distinct), "acknowledged and lost");
    assert_keys_are_used_once(&server);
}

#[test]
fn thirty_two_who_start_at_once_meet_in_one_group() {
    const CROWD: usize = 32;
    let server = Server::start();
    let people: Vec<_> = (0..CROWD).map(|n| server.enroll(&format!("person-{n}"))).collect();
    let mut clients: Vec<_> = people.iter().map(Person::join).collect();
    for client in &mut clients {
        for person in &people {
            client.meet(person.name());
        }
    }
    for (client, person) in clients.iter_mut().zip(&people) {
        client.send("", &format!("here is {}", person.name()));
    }
    for client in &mut clients {
        client.count("message", CROWD);
    }
    assert_one_view(&clients);
}

/// Alice, Bob and Carol in `#general`, each aware of the others.
fn three(server: &Server) -> ([Person; 3], [Client; 3]) {
    let people = NAMES.map(|name| server.enroll(name));
    let mut clients = people.each_ref().map(|person| {
        let mut client = person.join();
        client.ready();
        client
    });
    for client in &mut clients {
        for name in NAMES {
            client.meet(name);
        }
    }
    (people, clients)
}

fn say_all(clients: &mut [Client; 3], number: usize) {
    for (client, name) in clients.iter_mut().zip(NAMES) {
        client.send(&number.to_string(), &format!("{name} {number:04}"));
    }
}

fn expected(each: usize) -> BTreeSet<String> {
    let of = |name| (0..each).map(move |number| format!("{name} {number:04}"));
    NAMES.into_iter().flat_map(of).collect()
}

/// All have the same messages, each once, in the order of the log.
fn assert_one_view(clients: &[Client]) {
    let view = |client: &Client| -> Vec<_> {
        let fields = ["seq", "id", "sender", "text"];
        client.messages().map(|message| fields.map(|field| message[field].clone())).collect()
    };
    let first = view(&clients[0]);
    let seqs: Vec<_> = first.iter().map(|message| message[0].as_u64().expect("a number")).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    assert!(clients.iter().all(|client| view(client) == first), "views differ");
}

/// The distinct texts that a client shows.
fn texts(client: &Client) -> BTreeSet<String> {
    texts_in_order(client).into_iter().collect()
}

fn texts_in_order(client: &Client) -> Vec<String> {
    client.messages().map(|message| text_of(message, "text")).collect()
}

fn text_of(event: &Value, field: &str) -> String {
    event[field].as_str().expect("a text").to_owned()
}

/// The server's files hold neither the texts nor anybody's identity key or group secrets; names they do hold.
fn assert_holds_nothing(server: &Server, people: &[Person], texts: &[String]) {
    let mut files = files_below(&server.data());
    files.push(server.console_file());
    assert!(!files_with(&files, b"alice").is_empty(), "the search would find what is there");
    for text in texts {
        assert!(files_with(&files, text.as_bytes()).is_empty(), "{text}");
    }
    for person in people {
        let keys = identity_keys(person);
        assert!(!keys.is_empty(), "{} has a key", person.name());
        assert!(keys.iter().all(|key| files_with(&files, key).is_empty()), "{}", person.name());
        let secrets = group_secrets(person);
        assert!(secrets.len() > 4, "{} is in a group", person.name());
        let own = files_below(person.home());
        assert!(vault_holds(person, &secrets[0]), "the search would find what is there");
        let all = secrets.iter().chain(&keys).map(Vec::as_slice);
        for sealed in all.chain(texts.iter().map(String::as_bytes)) {
            assert!(files_with(&own, sealed).is_empty(), "{}: in the clear", person.name());
        }
        assert!(secrets.iter().all(|key| files_with(&files, key).is_empty()), "{}", person.name());
    }
}

/// No two messages in the relay's database were sealed with one key.
fn assert_keys_are_used_once(server: &Server) {
    let entries = openchat_sim::entries(&server.data());
    let keys: Vec<_> = entries.iter().filter_map(openchat_sim::Entry::message_key).collect();
    assert!(!keys.is_empty());
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key was used twice");
}
