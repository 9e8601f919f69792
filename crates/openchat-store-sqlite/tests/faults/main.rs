//! The store on a disk that fails: killed, cut short, torn, or refused at every one of its write
//! points, it has lost nothing that it acknowledged, has nothing twice, and no half of a batch.
//!
//! `cargo test -p openchat-store-sqlite --test faults -- --include-ignored` tries every point;
//! without the option it is some of them, spread over all.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it did"
)]

#[path = "../shim/mod.rs"]
mod shim;
mod workload;

use openchat_relay::store::StoreError;
use openchat_store_sqlite::SqliteStore;
use openchat_wire::Digest;
use shim::{Cache, Coins, Fault, Faults, copy_files};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use workload::{Workload, acknowledged, state};

/// From the first file on.
const FRESH: Workload = Workload { before: 0, batches: 4, closed_before: 3, large: None };

/// With a write-ahead log of nearly the length at which it is copied.
const GROWN: Workload = Workload { before: 90, batches: 100, closed_before: 96, large: None };

/// Past that length.
const LARGE: Workload = Workload { before: 2, batches: 6, closed_before: 6, large: Some(3) };

/// What happens at a point, and what the disk has afterwards.
const CRASHES: [(Fault, Cache); 10] = [
    (Fault::KillBefore, Cache::Kept),
    (Fault::KillBefore, Cache::Lost),
    (Fault::KillBefore, Cache::Mixed(1)),
    (Fault::KillAfter, Cache::Kept),
    (Fault::KillAfter, Cache::Lost),
    (Fault::KillAfter, Cache::Mixed(2)),
    (Fault::Tear, Cache::Kept),
    (Fault::Tear, Cache::Mixed(3)),
    (Fault::TearAtSector, Cache::Kept),
    (Fault::TearAtSector, Cache::Mixed(4)),
];

/// The sync of a new database's file, after two of the journal that is to undo it.
const CREATION: u64 = 3;

/// How the process of the workload ends.
const GAVE_UP: i32 = 3;

/// Longer than a process takes to become another program, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the process of the workload finds what to do.
const PLACE: &str = "WORKLOAD_PLACE";
const NUMBERS: &str = "WORKLOAD_NUMBERS";

#[test]
fn some_crashes_of_a_new_store() {
    Bench::new(FRESH).crash(17);
}

#[test]
fn some_crashes_of_a_store_with_a_long_log() {
    Bench::new(GROWN).crash(89);
}

#[test]
fn some_crashes_while_the_log_is_copied() {
    Bench::new(LARGE).crash(1021);
}

#[test]
#[ignore = "minutes"]
fn every_crash_of_a_new_store() {
    Bench::new(FRESH).crash(1);
}

#[test]
#[ignore = "minutes"]
fn every_crash_of_a_store_with_a_long_log() {
    Bench::new(GROWN).crash(1);
}

#[test]
#[ignore = "minutes"]
fn many_crashes_while_the_log_is_copied() {
    Bench::new(LARGE).crash(31);
}

#[test]
fn a_batch_that_stands_after_a_crash_stands_after_a_power_cut_too() {
    Bench::new(FRESH).crash_twice(11);
    Bench::new(GROWN).crash_twice(47);
}

#[test]
#[ignore = "minutes"]
fn every_batch_that_stands_after_a_crash_stands_after_a_power_cut_too() {
    Bench::new(FRESH).crash_twice(1);
    Bench::new(GROWN).crash_twice(1);
}

#[test]
fn a_failed_sync_ends_the_store_and_is_never_tried_again() {
    for workload in [FRESH, GROWN, LARGE] {
        Bench::new(workload).fail_syncs();
    }
}

/// What the other tests run as a process of its own.
#[test]
fn the_workload_comes_to_its_end() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else {
        let bench = Bench::new(GROWN);
        let trial = bench.trial();
        assert_eq!(trial.run(bench.workload).code(), Some(0));
        assert_eq!(trial.acknowledged(), GROWN.batches - GROWN.before);
        assert_eq!(Some(&trial.state()), bench.states.last());
        return;
    };
    let numbers = std::env::var(NUMBERS).unwrap();
    let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
    let [before, batches, closed_before, large] = numbers[..] else { panic!("{numbers:?}") };
    let large = (large != 0).then_some(large);
    let workload = Workload { before, batches, closed_before, large };
    if let Err(error) = workload.run(&place.join("files/db"), &place.join("journal")) {
        println!("{error:?}");
        assert!(error.is_fatal());
        std::process::exit(GAVE_UP);
    }
}

/// A workload, what it begins with, and what stands after each of its batches.
struct Bench {
    workload: Workload,
    template: TempDir,
    /// First that of the template.
    states: Vec<Digest>,
    /// Write points of an undisturbed run.
    points: u64,
    syncs: u64,
}

impl Bench {
    fn new(workload: Workload) -> Self {
        let template = tempfile::tempdir().unwrap();
        let built = tempfile::tempdir().unwrap();
        let states = if workload.before == 0 {
            // Not even an empty database.
            states(workload, built.path(), 0)
        } else {
            let mut store = open(&built.path().join("db"));
            for batch in 0..workload.before {
                workload.batch(&mut store, batch).unwrap();
            }
            // As a killed process leaves it, with its write-ahead log.
            copy_files(built.path(), template.path());
            drop(store);
            states(workload, built.path(), workload.before)
        };
        let mut bench = Self { workload, template, states, points: 0, syncs: 0 };
        let trial = bench.trial();
        assert_eq!(trial.run(workload).code(), Some(0));
        (bench.points, bench.syncs) = (trial.faults.points(), trial.faults.syncs());
        let batches = workload.batches - workload.before;
        assert!(bench.syncs >= batches, "{} syncs of {batches} batches", bench.syncs);
        assert!(bench.points >= 4 * batches, "the program's writes are counted");
        bench
    }

    fn trial(&self) -> Trial {
        let place = tempfile::tempdir().unwrap();
        let files = place.path().join("files");
        copy_files(self.template.path(), &files);
        let faults = Faults::new(&files, place.path()).with_power_cuts(place.path());
        Trial { place, faults }
    }

    /// Each kind of crash at every `step`th point, each at others.
    fn crash(&self, step: usize) {
        let points = usize::try_from(self.points).unwrap();
        let first = |kind: usize| 1 + kind * step / CRASHES.len();
        let all = (0..CRASHES.len())
            .flat_map(|kind| (first(kind)..=points).step_by(step).map(move |at| (at as u64, kind)));
        let all: Vec<_> = all.collect();
        in_parallel(&all, |&(point, kind)| {
            let (fault, cache) = CRASHES[kind];
            let trial = self.trial();
            trial.faults.plan(point, fault);
            assert_eq!(trial.run(self.workload).code(), None, "killed at {point}");
            trial.faults.cut_power(seeded(cache, point));
            self.check(&trial, &format!("{fault:?} at {point} of {points}, cache {cache:?}"));
        });
        println!("{} crashes at {points} points, {} syncs", all.len(), self.syncs);
    }

    /// A crash that keeps what was written, and a power cut soon after the next start, which
    /// leaves only what was synced: what the second process took for done has to be there.
    fn crash_twice(&self, step: usize) {
        let points = usize::try_from(self.points).unwrap();
        let all: Vec<_> = (1..=points).step_by(step).map(|point| point as u64).collect();
        let cut = AtomicUsize::new(0);
        in_parallel(&all, |&point| {
            for second in [1, 2 + point % 7] {
                let trial = self.trial();
                trial.faults.plan(point, Fault::KillBefore);
                assert_eq!(trial.run(self.workload).code(), None);
                let before = trial.forget_acknowledged();
                trial.faults.plan(second, Fault::KillBefore);
                if trial.run(self.workload).code() == Some(0) {
                    continue; // There were not so many points left.
                }
                cut.fetch_add(1, Ordering::Relaxed);
                trial.faults.cut_power(Cache::Lost);
                let acknowledged = before.max(trial.acknowledged());
                let what = format!("killed at {point}, power cut at {second} after");
                self.check_from(&trial, acknowledged, &what);
            }
        });
        assert!(cut.load(Ordering::Relaxed) > all.len(), "few were cut");
        println!("{} power cuts after crashes at {points} points", cut.into_inner());
    }

    /// Every sync fails once; then the process ends, or the power is cut as well.
    fn fail_syncs(&self) {
        let all: Vec<_> =
            (1..=self.syncs).flat_map(|sync| [(sync, Cache::Kept), (sync, Cache::Lost)]).collect();
        let ignored = AtomicUsize::new(0);
        in_parallel(&all, |&(sync, cache)| {
            let trial = self.trial();
            trial.faults.plan(sync, Fault::FailSync);
            let end = trial.run(self.workload).code();
            assert!(trial.faults.has_failed_a_sync(), "sync {sync}");
            if end == Some(0) {
                ignored.fetch_add(1, Ordering::Relaxed);
            } else {
                assert_eq!(end, Some(GAVE_UP), "sync {sync}");
                // To make no database of a file it is written back and synced.
                let unmade = self.workload.before == 0 && sync == CREATION;
                let again = trial.faults.syncs_after_the_failed();
                assert!(again == 0 || unmade, "sync {sync} is tried again");
            }
            trial.faults.cut_power(cache);
            self.check(&trial, &format!("sync {sync} failed, cache {cache:?}"));
        });
        // Closing copies the write-ahead log, which stays if that fails: nobody is told of it.
        let Workload { batches, closed_before, .. } = self.workload;
        let closings = if closed_before < batches { 2 } else { 1 };
        assert_eq!(ignored.into_inner(), closings * 2 * 2, "the log's and the database's");
        println!("{} failed syncs", all.len());
    }

    /// After the crash: one of the states that it may be in, and from there to the end.
    fn check(&self, trial: &Trial, what: &str) {
        self.check_from(trial, trial.acknowledged(), what);
    }

    fn check_from(&self, trial: &Trial, acknowledged: u64, what: &str) {
        let Workload { before, batches, .. } = self.workload;
        let mut store = open(&trial.database());
        let found = state(&store);
        let stands = self.states.iter().position(|state| *state == found);
        let stands = stands.unwrap_or_else(|| panic!("{what}: no state of the workload")) as u64;
        assert!(stands >= acknowledged, "{what}: {stands} of {acknowledged} acknowledged stand");
        assert!(stands <= acknowledged + 1, "{what}: {stands} stand, {acknowledged} acknowledged");
        for batch in before..batches {
            self.workload.batch(&mut store, batch).unwrap();
        }
        assert_eq!(Some(&state(&store)), self.states.last(), "{what}: goes on");
        drop(store);
        openchat_store_sqlite::check(&trial.database()).unwrap();
    }
}

/// One run of the workload on a disk that fails.
struct Trial {
    place: TempDir,
    faults: Faults,
}

impl Trial {
    fn run(&self, workload: Workload) -> ExitStatus {
        let Workload { before, batches, closed_before, large } = workload;
        let large = large.unwrap_or_default();
        Command::new(std::env::current_exe().unwrap())
            .args(["the_workload_comes_to_its_end", "--exact"])
            .env(PLACE, self.place.path())
            .env(NUMBERS, format!("{before} {batches} {closed_before} {large}"))
            .envs(self.faults.environment())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    fn database(&self) -> PathBuf {
        self.place.path().join("files/db")
    }

    fn journal(&self) -> PathBuf {
        self.place.path().join("journal")
    }

    fn acknowledged(&self) -> u64 {
        acknowledged(&self.journal())
    }

    /// The next process does all of it again, and says so; gives what was acknowledged till now.
    fn forget_acknowledged(&self) -> u64 {
        let acknowledged = self.acknowledged();
        std::fs::remove_file(self.journal()).unwrap_or_default();
        acknowledged
    }

    fn state(&self) -> Digest {
        state(&open(&self.database()))
    }
}

/// Opens the database as soon as nobody has its lock: what another test starts has it too, until it has
/// become the program that it is to be.
fn open(database: &Path) -> SqliteStore {
    let begun = Instant::now();
    loop {
        match SqliteStore::open(database) {
            Err(StoreError::InUse(_)) if begun.elapsed() < PATIENCE => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// The state now, and after each batch that is still to come.
fn states(workload: Workload, place: &Path, before: u64) -> Vec<Digest> {
    let mut store = open(&place.join("db"));
    let mut states = vec![state(&store)];
    for batch in before..workload.batches {
        workload.batch(&mut store, batch).unwrap();
        states.push(state(&store));
    }
    states
}

/// Every power cut mixes in its own way.
fn seeded(cache: Cache, point: u64) -> Cache {
    match cache {
        Cache::Mixed(seed) => Cache::Mixed(Coins(seed ^ (point << 8)).next()),
        cache => cache,
    }
}

/// Does it to all, on all processors. What panics says so in the end.
fn in_parallel<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(one);
                }
            });
        }
    });
}
