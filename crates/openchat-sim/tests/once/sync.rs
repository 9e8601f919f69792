//! The disk refuses a sync: the server says so and ends, and does not try that sync again. Run
//! again, it has what it acknowledged, and its clients go on.

use crate::{
    people::{assert_log_is_whole, assert_said, say_from},
    shim::{Cache, Fault, Faults},
};
use openchat_sim::{Client, Person, Server};
use std::{process::ExitStatus, time::Duration};

const NAMES: [&str; 2] = ["alice", "bob"];

/// Between two looks at whether it still runs.
const LOOK: Duration = Duration::from_millis(5);

#[test]
fn a_failed_sync_ends_the_server_and_is_told_and_nothing_is_lost() {
    for (sync, cache) in [(1, Cache::Kept), (2, Cache::Lost), (3, Cache::Mixed(7))] {
        let mut server = Server::prepare(&[]);
        let faults = Faults::new(&server.data(), server.place()).with_power_cuts(server.place());
        server.set_environment(faults.environment());
        server.run();
        let people = NAMES.map(|name| server.enroll(name));
        let mut clients = people.each_ref().map(Person::join);
        clients[0].meet("bob");
        clients[1].meet("alice");

        faults.plan(sync, Fault::FailSync);
        let (said, status) = talk_until_it_ends(&mut server, &mut clients);
        assert_eq!(status.code(), Some(1));
        assert!(faults.has_failed_a_sync());
        assert_eq!(faults.syncs_after_the_failed(), 0, "tried again");
        let console = server.console();
        assert!(console.contains("can't be sure of what is on the disk"), "{console}");

        faults.plan_nothing();
        faults.cut_power(cache);
        server.run();
        assert_said(&mut clients, &NAMES, said);
        assert!(clients.iter_mut().all(|client| client.finish() == Some(0)));
        assert_log_is_whole(&server);
    }
}

/// Both say one thing after the other. Gives how many that were, and how the server ended.
fn talk_until_it_ends(server: &mut Server, clients: &mut [Client; 2]) -> (usize, ExitStatus) {
    let mut said = 0;
    loop {
        if let Some(status) = server.ended() {
            return (said, status);
        }
        if clients.iter().all(|client| acks(client) == said) {
            for (client, name) in clients.iter_mut().zip(NAMES) {
                say_from(client, name, said, 1);
            }
            said += 1;
        }
        for client in &mut *clients {
            client.settle(LOOK);
        }
    }
}

fn acks(client: &Client) -> usize {
    client.seen().iter().filter(|event| event["type"] == "ack").count()
}
