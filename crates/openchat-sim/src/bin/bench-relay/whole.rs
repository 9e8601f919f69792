//! Whole clients, as people run them: `openchat join --json`, each a process with its own vault,
//! that seals, signs, opens, checks and stores.

use crate::{
    load::{milliseconds, now},
    stage::UNLIMITED,
};
use openchat_sim::{Client, Person, Server, percentile};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Messages whose way is timed, and between two of them.
const PACED: usize = 200;
const PACE: Duration = Duration::from_millis(20);

/// Deliveries of a burst, about.
const BURST: usize = 16_000;

/// What whole clients show.
pub(crate) struct Whole {
    /// Milliseconds from nothing until all are members and have the same keys.
    pub(crate) formed: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) deliveries_a_second: f64,
}

/// One sender and so many receivers on a new server.
pub(crate) fn run(receivers: usize) -> Whole {
    let mut server = Server::prepare(&[]);
    // The burst is more than one person may post at once.
    std::fs::write(server.data().join("config.toml"), UNLIMITED).expect("a configuration");
    server.run();
    let begin = Instant::now();
    let people: Vec<Person> = thread::scope(|scope| {
        let server = &server;
        let enroll = |n| scope.spawn(move || server.enroll(&format!("person-{n}")));
        let threads: Vec<_> = (0..=receivers).map(enroll).collect();
        threads.into_iter().map(|thread| thread.join().expect("enrolled")).collect()
    });
    let mut clients: Vec<Client> = people.iter().map(Person::join).collect();
    for client in &mut clients {
        client.ready();
    }
    let formed = begin.elapsed().as_secs_f64() * 1_000.0;
    let mut sender = clients.remove(0);
    for person in &people[1..] {
        sender.meet(person.name());
    }
    let mut latencies = paced(&mut sender, &mut clients);
    Whole {
        formed,
        p50: percentile(&mut latencies, 50),
        p99: percentile(&mut latencies, 99),
        deliveries_a_second: burst(&mut sender, &mut clients),
    }
}

/// How long each message took to each receiver: from the line typed to the line shown.
fn paced(sender: &mut Client, receivers: &mut [Client]) -> Vec<f64> {
    let sent: Vec<AtomicU64> = (0..PACED).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        let sent = &sent;
        let read = |client: &mut Client| -> Vec<f64> {
            let way = |(number, sent): (usize, &AtomicU64)| {
                client.next_message(&format!("paced {number}"));
                milliseconds(now() - sent.load(Ordering::Relaxed))
            };
            sent.iter().enumerate().map(way).collect()
        };
        let threads: Vec<_> =
            receivers.iter_mut().map(|client| scope.spawn(move || read(client))).collect();
        for (number, sent) in sent.iter().enumerate() {
            thread::sleep(PACE);
            sent.store(now(), Ordering::Relaxed);
            sender.send("paced", &format!("paced {number}"));
        }
        threads.into_iter().flat_map(|thread| thread.join().expect("all messages")).collect()
    })
}

/// Deliveries a second, until every receiver has shown every message.
fn burst(sender: &mut Client, receivers: &mut [Client]) -> f64 {
    let messages = BURST / receivers.len().max(8);
    let deliveries = f64::from(u32::try_from(messages * receivers.len()).unwrap_or(u32::MAX));
    let begin = Instant::now();
    thread::scope(|scope| {
        for client in receivers {
            scope.spawn(move || {
                for number in 0..messages {
                    client.next_message(&format!("burst {number}"));
                }
            });
        }
        for number in 0..messages {
            sender.send("burst", &format!("burst {number}"));
        }
    });
    deliveries / begin.elapsed().as_secs_f64()
}
