//! The server is killed at each of its write points in turn, while two people meet and talk.

use crate::{
    people::{assert_log_is_whole, assert_said, say},
    shim::{Cache, Coins, Fault},
    watched::{Plan, Watched},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

const NAMES: [&str; 2] = ["alice", "bob"];
const EACH: usize = 20;

/// What happens at a point, and what the disk has afterwards.
const ENDS: [(Fault, Cache); 4] = [
    (Fault::KillBefore, Cache::Kept),
    (Fault::KillAfter, Cache::Lost),
    (Fault::Tear, Cache::Mixed(1)),
    (Fault::KillBefore, Cache::Lost),
];

#[test]
fn killed_at_some_write_points_it_loses_and_repeats_nothing() {
    kill_at_every(13, 1);
}

#[test]
#[ignore = "many minutes"]
fn killed_at_every_write_point_it_loses_and_repeats_nothing() {
    kill_at_every(1, ENDS.len());
}

/// Each `step`th point, the ends in turn.
fn kill_at_every(step: usize, ends: usize) {
    let points = scenario(Vec::new()).expect("nothing befell it");
    assert!(points > 100, "its writes are counted: {points}");
    let all = (1..=points).step_by(step).enumerate();
    let all: Vec<_> = all
        .flat_map(|(turn, point)| {
            (0..ends).map(move |end| (point, ENDS[(turn + end) % ENDS.len()]))
        })
        .collect();
    let (next, reached) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((point, (fault, cache))) =
                    all.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap())
                {
                    let cache = seeded(*cache, *point);
                    let plan = vec![(*point, *fault, cache)];
                    let _told = Told(&plan);
                    let missed = scenario(plan.clone()).is_some();
                    reached.fetch_add((!missed).into(), Ordering::Relaxed);
                }
            });
        }
    });
    let reached = reached.into_inner();
    // How many writes there are depends on how many messages one flush was shared by.
    assert!(reached > all.len() as u64 / 2, "{reached} of {}", all.len());
    println!("{reached} kills of {} at {points} write points", all.len());
}

/// Two people enroll, begin a group, and write to each other at once. Gives the server's write
/// points if nothing befell it.
fn scenario(plan: Plan) -> Option<u64> {
    let befalls = !plan.is_empty();
    let watched = Watched::start(plan);
    watched.during(|| {
        let people = NAMES.map(|name| watched.enroll(name));
        let mut clients = people.each_ref().map(openchat_sim::Person::join);
        for (client, name) in clients.iter_mut().zip(["bob", "alice"]) {
            client.meet(name);
        }
        for (client, name) in clients.iter_mut().zip(NAMES) {
            say(client, name, EACH);
        }
        assert_said(&mut clients, &NAMES, EACH);
        assert!(clients.iter_mut().all(|client| client.finish() == Some(0)));
    });
    let undisturbed = !befalls || watched.left() > 0;
    let points = undisturbed.then(|| watched.points());
    assert_log_is_whole(&watched.into_server());
    points
}

/// Says what befell the server when a scenario fails.
struct Told<'a>(&'a Plan);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("at write point, what, and what the disk had afterwards: {:?}", self.0);
        }
    }
}

/// Every power cut mixes in its own way.
pub(crate) fn seeded(cache: Cache, point: u64) -> Cache {
    match cache {
        Cache::Mixed(seed) => Cache::Mixed(Coins(seed ^ (point << 8)).next()),
        cache => cache,
    }
}
