//! One seed, and many of them.

use crate::options::{Kind, Options};
use core::ops::Range;
use openchat_sim::simulation::{
    Journal, MemoryDisk, Plan, Report, SqliteDisk, Written, run, verify,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Where a store's files cost no wear and no wait, if the machine has such a place.
const MEMORY_FOLDER: &str = "/dev/shm";

/// One seed in so many is simulated on the real store.
const SQLITE_SHARE: u64 = 16;

pub(crate) fn one(seed: u64, options: &Options) -> ExitCode {
    match simulated(seed, options) {
        Ok(report) => {
            print(seed, &report);
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn many(seeds: Range<u64>, options: &Options) -> ExitCode {
    let (begin, next) = (Instant::now(), AtomicU64::new(seeds.start));
    let failed = AtomicU64::new(0);
    let slowest = Mutex::new((0, 0));
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    match simulated(seed, options) {
                        Ok(report) => {
                            let mut slowest =
                                slowest.lock().unwrap_or_else(PoisonError::into_inner);
                            *slowest = (*slowest).max((report.settled, seed));
                        }
                        Err(why) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("seed {seed} fails: {why}\n  {}", replay(seed, options));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    let (settled, seed) = slowest.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (count, took) = (seeds.end - seeds.start, begin.elapsed().as_secs_f64());
    println!("{count} seeds in {took:.1} s, {failed} failed");
    println!("longest until all agreed: {settled} ms (seed {seed})");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A process that was killed has left a store and a journal; the store has what the journal says.
pub(crate) fn verified(options: &Options) -> ExitCode {
    let (Some(dir), Some(journal)) = (&options.dir, &options.journal) else {
        println!("--verify needs --dir and --journal");
        return ExitCode::from(2);
    };
    let journal = std::fs::read_to_string(journal).expect("the journal");
    match verify(&SqliteDisk(dir.clone()).database(), &journal) {
        Ok(kept) => {
            println!("{kept} acknowledged entries are there");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}

fn kept(path: &Path) -> Box<dyn Journal> {
    Box::new(Written::create(path).expect("a journal"))
}

fn simulated(seed: u64, options: &Options) -> Result<Report, String> {
    let mut plan = Plan::of(seed);
    plan.operations = options.operations.unwrap_or(plan.operations);
    plan.faults = options.faults;
    plan.full_disks = options.full_disks;
    plan.shown = options.shown;
    let report = catch_unwind(AssertUnwindSafe(|| match (kind(seed, options), &options.dir) {
        (Kind::Memory, _) => run(plan, MemoryDisk, None),
        (_, Some(dir)) => run(plan, SqliteDisk(dir.clone()), options.journal.as_deref().map(kept)),
        (_, None) => {
            let place = Some(Path::new(MEMORY_FOLDER)).filter(|place| place.is_dir());
            let place = place.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
            run(plan, SqliteDisk(place.expect("a folder").path().to_owned()), None)
        }
    }));
    match report {
        Ok(report) => report.map_err(|broken| broken.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}

fn kind(seed: u64, options: &Options) -> Kind {
    match options.store {
        Kind::Mixed if seed.is_multiple_of(SQLITE_SHARE) => Kind::Sqlite,
        Kind::Mixed => Kind::Memory,
        kind => kind,
    }
}

fn replay(seed: u64, options: &Options) -> String {
    let store = match kind(seed, options) {
        Kind::Sqlite => " --store sqlite",
        _ => " --store memory",
    };
    let full = if options.full_disks { " --full-disks" } else { "" };
    format!("cargo run --release -p openchat-sim --bin simulate -- --seed {seed}{store}{full}")
}

fn print(seed: u64, report: &Report) {
    let Report { hash, events, operations, faults, time, settled } = report;
    println!("seed {seed}: {hash}");
    println!("  {operations} operations, {faults} faults, {events} events");
    println!("  {} s simulated, all agreed after {} ms", time / 1_000, settled);
}
