//! A server that comes back from a backup: what was acknowledged since is gone there, and whoever
//! has seen it says so loudly. Nothing is shown twice, and who has seen nothing newer talks on.

use crate::people::{assert_said, say, say_from, view};
use openchat_sim::{Client, Person, Server, run};
use std::fs;

const NAMES: [&str; 2] = ["alice", "bob"];

#[test]
fn a_restore_is_told_by_those_who_saw_more_and_nothing_comes_twice() {
    let mut server = Server::start();
    let people = NAMES.map(|name| server.enroll(name));
    let mut busy = people.each_ref().map(Person::join);
    let mut quiet = ["carol", "dave"].map(|name| server.enroll(name).open("#quiet"));
    meet(&mut busy, NAMES);
    meet(&mut quiet, ["carol", "dave"]);
    for (client, name) in busy.iter_mut().zip(NAMES) {
        say(client, name, 10);
    }
    say(&mut quiet[0], "carol", 5);
    say(&mut quiet[1], "dave", 5);
    assert_said(&mut busy, &NAMES, 10);
    assert_said(&mut quiet, &["carol", "dave"], 5);

    // Taken while they write on.
    for (client, name) in busy.iter_mut().zip(NAMES) {
        say_from(client, name, 10, 10);
    }
    let copy = server.place().join("backup");
    let _ = run(server.command().arg("backup").arg(&copy));
    for (client, name) in busy.iter_mut().zip(NAMES) {
        say_from(client, name, 20, 10);
    }
    assert_said(&mut busy, &NAMES, 30);
    let before = busy.each_ref().map(view);
    server.kill();
    fs::rename(server.data(), server.place().join("lost")).unwrap();
    let _ = run(server.command().arg("restore").arg(&copy));
    server.run();

    for client in &mut busy {
        assert_eq!(client.event("alarm")["code"], "receipt-mismatch");
    }
    say_from(&mut quiet[0], "carol", 5, 5);
    say_from(&mut quiet[1], "dave", 5, 5);
    assert_said(&mut quiet, &["carol", "dave"], 10);
    assert!(quiet.iter_mut().all(|client| client.finish() == Some(0)));
    for (client, before) in busy.iter_mut().zip(before) {
        assert_eq!(client.finish(), Some(5), "a script sees it too");
        assert_eq!(view(client), before, "nothing came twice, and nothing went");
    }
    // Whoever comes later hears it too, and nothing of theirs goes into that log.
    let before = openchat_sim::entries(&server.data()).len();
    let (code, said) = people[0].try_to(&["send", "#general", "more"]);
    assert!(code != Some(0) && said[0]["code"] == "receipt-mismatch", "{code:?} {said:?}");
    let mut again = people[1].join();
    assert_eq!(again.event("alarm")["code"], "receipt-mismatch");
    assert_eq!((again.finish(), view(&again)), (Some(5), Vec::new()));
    assert_eq!(openchat_sim::entries(&server.data()).len(), before);
    is_told_afterwards(&people[1]);
}

/// Who was not there when the alarm was raised finds it, with the way out.
fn is_told_afterwards(person: &Person) {
    let (code, said) = person.try_to(&["status"]);
    assert_eq!((code, &said[1]["code"]), (Some(5), &"alarm".into()), "{said:?}");
    let alarm = &said[0]["alarms"][0];
    assert_eq!(
        (&alarm["target"], &alarm["code"]),
        (&"#general".into(), &"receipt-mismatch".into())
    );
    assert!(alarm["hint"].as_str().unwrap().contains("group new NAME"), "{alarm}");
    assert_eq!(said[0]["groups"][0]["stage"], "halted");
    let (_, listed) = person.try_to(&["group", "list"]);
    assert_eq!(listed[0]["stage"], "halted");
    let (code, found) = person.try_to(&["doctor"]);
    assert_eq!(code, Some(1));
    let is_it = |it: &serde_json::Value| it["check"] == "alarm" && it["level"] == "fail";
    assert!(found.iter().any(is_it), "{found:?}");
}

fn meet(clients: &mut [Client; 2], names: [&str; 2]) {
    for client in clients {
        for name in names {
            client.meet(name);
        }
    }
}
