//! Clocks that are ten years off: no message is lost, and who is refused for it is told of the clock.

use crate::{
    people::{assert_log_is_whole, assert_unalarmed, view},
    shim::Faults,
};
use openchat_sim::{Client, Person, Server};
use serde_json::Value;

/// Longer than any certificate lives, the CA's too, which lives for 3,650 days.
const TEN_YEARS: i64 = 3_653 * 24 * 60 * 60;

/// Longer than a member's certificate lives, and not the CA's.
const YEAR: i64 = 365 * 24 * 60 * 60;

/// A server whose clock can be set.
fn with_a_clock() -> (Server, Faults) {
    let mut server = Server::prepare(&[]);
    let faults = Faults::new(&server.data(), server.place());
    server.set_environment(faults.environment());
    server.run();
    (server, faults)
}

#[test]
fn a_servers_clock_may_be_ten_years_off_for_a_while() {
    for off in [TEN_YEARS, -TEN_YEARS] {
        let (mut server, faults) = with_a_clock();
        let people = ["alice", "bob"].map(|name| server.enroll(name));
        let [mut alice, mut bob] = people.each_ref().map(Person::join);
        alice.meet("bob");
        alice.send("before", "before");
        bob.message("before");

        faults.set_clock(off);
        alice.send("connected", "connected");
        bob.message("connected");
        bob.kill();
        let mut bob = people[1].join();
        bob.send("typed", "typed");
        let error = bob.event("error");
        assert_eq!((&error["code"], bob.ended()), (&"expired".into(), Some(6)), "{error}");
        assert_blames_a_clock(&error);
        let (code, said) = people[1].try_to(&["send", "#general", "sent"]);
        assert_eq!(code, Some(6), "{said:?}");
        // Whoever is not told says it again.
        assert!(said[0]["type"] == "queued" && said[0]["id"].is_string(), "{said:?}");
        assert!(said[1]["message"].as_str().unwrap().contains("message is stored"), "{said:?}");
        server.kill();
        alice.send("offline", "offline");
        assert_eq!(server.try_run().unwrap_err().code(), Some(78));
        assert!(server.console().contains("look at this machine's clock"), "{}", server.console());

        faults.set_clock(0);
        server.run();
        alice.ack("offline");
        let mut bob = people[1].join();
        for text in ["typed", "sent"] {
            alice.message(text);
        }
        bob.message("offline");
        assert_all_once(&alice, &["before", "connected", "offline", "sent", "typed"]);
        assert_unalarmed(&alice);
        assert_unalarmed(&bob);
        assert_log_is_whole(&server);
    }
}

#[test]
fn a_clients_clock_may_be_ten_years_off_for_a_while() {
    for off in [TEN_YEARS, -TEN_YEARS] {
        let server = Server::start();
        let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
        let faults = Faults::new(alice.home(), server.place());
        let alice = alice.with_environment(faults.environment());
        let [mut writer, mut bob] = [alice.join(), bob.join()];
        writer.meet("bob");
        bob.meet("alice");

        faults.set_clock(off);
        writer.send("connected", "connected");
        bob.message("connected");
        bob.send("heard", "heard");
        writer.message("heard");
        writer.kill();
        let mut writer = alice.join();
        writer.send("typed", "typed");
        let error = writer.event("error");
        assert_eq!(error["code"], "server-certificate", "{error}");
        assert_eq!(writer.ended(), Some(5));
        assert_blames_a_clock(&error);
        let (code, said) = alice.try_to(&["send", "#general", "sent"]);
        assert_eq!(code, Some(5), "{said:?}");
        assert_blames_a_clock(said.last().unwrap());

        faults.set_clock(0);
        let mut writer = alice.join();
        for text in ["typed", "sent"] {
            bob.message(text);
        }
        writer.send("back", "back");
        bob.message("back");
        assert_all_once(&bob, &["back", "connected", "heard", "sent", "typed"]);
        assert_unalarmed(&bob);
        assert_unalarmed(&writer);
        assert_log_is_whole(&server);
    }
}

#[test]
fn a_revocation_stands_whatever_the_servers_clock_said() {
    for off in [YEAR, -YEAR] {
        let (mut server, faults) = with_a_clock();
        let people = ["alice", "bob"].map(|name| server.enroll(name));
        let [mut alice, mut bob] = people.each_ref().map(Person::join);
        alice.meet("bob");
        alice.send("before", "before");
        bob.message("before");

        faults.set_clock(off);
        let revoked = server.command().args(["user", "revoke", "bob"]).output().unwrap();
        assert!(revoked.status.success(), "{revoked:?}");
        let error = bob.event("error");
        assert_eq!((&error["code"], bob.ended()), (&"revoked".into(), Some(6)), "{error}");
        // The key is what is told first, whatever the clock says of the certificate.
        let (code, said) = people[1].try_to(&["send", "#general", "sent"]);
        let code_said = said.last().unwrap()["code"].clone();
        assert_eq!((code, code_said), (Some(6), "revoked".into()), "{said:?}");
        alice.send("during", "during");
        alice.ack("during");

        faults.set_clock(0);
        server.stop();
        server.run();
        let (code, said) = people[1].try_to(&["send", "#general", "sent"]);
        let code_said = said.last().unwrap()["code"].clone();
        assert_eq!((code, code_said), (Some(6), "revoked".into()), "{said:?}");
        alice.send("after", "after");
        alice.ack("after");
        assert_unalarmed(&alice);
    }
}

fn assert_blames_a_clock(error: &Value) {
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(message.contains("not valid at this time"), "{error}");
    assert!(message.contains("clock") && hint.contains("date"), "{error}");
}

/// What it shows, in any order.
fn assert_all_once(client: &Client, texts: &[&str]) {
    let mut shown: Vec<_> = view(client).into_iter().map(|(_, text)| text).collect();
    shown.sort_unstable();
    assert_eq!(shown, texts);
}
