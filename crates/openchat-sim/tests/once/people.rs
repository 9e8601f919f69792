//! What people see, and whether it is what was said.

use openchat_sim::{Client, Server};
use serde_json::Value;
use std::collections::BTreeSet;

/// Sends `count` messages at once, which are called after their author.
pub(crate) fn say(client: &mut Client, name: &str, count: usize) {
    say_from(client, name, 0, count);
}

pub(crate) fn say_from(client: &mut Client, name: &str, first: usize, count: usize) {
    for number in first..first + count {
        client.send(&number.to_string(), &text(name, number));
    }
}

fn text(name: &str, number: usize) -> String {
    format!("{name} {number:04}")
}

/// Waits until each has all messages and all acknowledgements, and holds that they are what was
/// said: each message once, each author's in the order written, in one order for all, no alarm.
pub(crate) fn assert_said(clients: &mut [Client], names: &[&str], each: usize) {
    for client in &mut *clients {
        client.count("message", names.len() * each);
        client.count("ack", each);
    }
    let views: Vec<_> = clients.iter().map(view).collect();
    assert!(views.iter().all(|view| *view == views[0]), "views differ: {views:#?}");
    assert!(views[0].is_sorted_by(|a, b| a.0 < b.0), "places grow");
    for name in names {
        let said: Vec<_> =
            views[0].iter().map(|(_, text)| text).filter(|text| text.starts_with(name)).collect();
        let meant: Vec<_> = (0..each).map(|number| text(name, number)).collect();
        assert_eq!(said, meant.iter().collect::<Vec<_>>(), "of {name}");
    }
    for client in clients {
        assert_unalarmed(client);
        let acks: Vec<_> = client.seen().iter().filter(|event| event["type"] == "ack").collect();
        let distinct: BTreeSet<_> = acks.iter().map(|ack| ack["id"].to_string()).collect();
        assert_eq!((acks.len(), distinct.len()), (each, each), "acknowledged once: {acks:#?}");
    }
}

pub(crate) fn assert_unalarmed(client: &Client) {
    let bad = |event: &&Value| ["alarm", "error", "unreadable"].iter().any(|t| event["type"] == *t);
    assert_eq!(client.seen().iter().find(bad), None);
}

/// Places and texts of the messages that it shows.
pub(crate) fn view(client: &Client) -> Vec<(u64, String)> {
    let shown = |message: &Value| {
        (message["seq"].as_u64().unwrap(), message["text"].as_str().unwrap().to_owned())
    };
    client.messages().map(shown).collect()
}

/// What the relay has: places without gaps, nothing twice, no key used twice.
pub(crate) fn assert_log_is_whole(server: &Server) {
    let entries = openchat_sim::entries(&server.data());
    let hashes: BTreeSet<_> = entries.iter().map(|entry| (&entry.log, entry.hash())).collect();
    assert_eq!(hashes.len(), entries.len(), "an entry stands twice");
    let keys: Vec<_> = entries.iter().filter_map(openchat_sim::Entry::message_key).collect();
    assert!(!keys.is_empty());
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key was used twice");
    let mut last = (Vec::new(), 0);
    for entry in entries {
        let before = if entry.log == last.0 { last.1 } else { 0 };
        assert_eq!(entry.seq, before + 1, "a place is missing");
        last = (entry.log, entry.seq);
    }
}
