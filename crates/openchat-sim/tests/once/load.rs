//! Four people write as fast as they can while the server is killed, power is cut, and connections
//! break.

use crate::{
    cuts::Cuts,
    kill::seeded,
    people::{assert_log_is_whole, assert_said, say_from},
    shim::{Cache, Coins, Fault},
    watched::{Plan, Watched},
};
use openchat_sim::Person;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Messages of one person at once.
const ROUND: usize = 25;

/// Write points that the server comes to between two ends, at most; at the least it has started.
const APART: u64 = 150;

#[test]
fn four_who_write_without_pause_through_four_kills_and_four_cuts() {
    write_through(4, 4, 1);
}

#[test]
#[ignore = "minutes"]
fn four_who_write_without_pause_through_many_kills_and_cuts() {
    for seed in 2..6 {
        write_through(12, 16, seed);
    }
}

fn write_through(kills: usize, cut: usize, seed: u64) {
    let watched = Watched::start(Vec::new());
    let cuts = Cuts::start(watched.address(), cut, seed);
    let people = NAMES.map(|name| watched.enroll_by(name, &cuts.address()));
    watched.then(plan(kills, seed));
    let said = watched.during(|| {
        let mut clients = people.each_ref().map(Person::join);
        for client in &mut clients {
            for name in NAMES {
                client.meet(name);
            }
        }
        let mut said = 0;
        while said < 2 * ROUND || watched.left() > 0 || cuts.left() > 0 {
            for (client, name) in clients.iter_mut().zip(NAMES) {
                say_from(client, name, said, ROUND);
            }
            said += ROUND;
            for client in &mut clients {
                client.count("ack", said);
            }
        }
        assert_said(&mut clients, &NAMES, said);
        assert!(clients.iter_mut().all(|client| client.finish() == Some(0)));
        said
    });
    assert_log_is_whole(&watched.into_server());
    println!("{} × {said} messages, {kills} kills, {cut} cuts (seed {seed})", NAMES.len());
}

/// Ends of every kind, at points by the seed.
fn plan(kills: usize, seed: u64) -> Plan {
    let faults = [Fault::KillBefore, Fault::KillAfter, Fault::Tear, Fault::TearAtSector];
    let caches = [Cache::Kept, Cache::Lost, Cache::Mixed(seed)];
    let mut coins = Coins(seed);
    let end = |number: usize| {
        let point = 1 + coins.next() % APART;
        let fault = faults[number % faults.len()];
        (point, fault, seeded(caches[number % caches.len()], point))
    };
    (0..kills).map(end).collect()
}
