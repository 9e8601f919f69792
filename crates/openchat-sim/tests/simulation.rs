//! Whole worlds from seeds: see `openchat_sim::simulation`. `scripts/test --full` runs 10,000 of
//! them, with optimisation.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use openchat_sim::simulation::{Disk, MemoryDisk, Plan, Report, SqliteDisk, Written, run, verify};

/// Seeds for CI: a quarter of a minute's worth without optimisation, in two tests that run at once.
const SEEDS: u64 = 16;

/// One in so many is simulated on the real store.
const SQLITE_SHARE: u64 = 8;

/// In one of so many the server's disk is full at times.
const FULL_SHARE: u64 = 4;

fn simulated(plan: Plan, disk: impl Disk) -> Result<Report, String> {
    let replay = "cargo run --release -p openchat-sim --bin simulate -- --seed";
    let full = if plan.full_disks { " --full-disks" } else { "" };
    run(plan, disk, None).map_err(|broken| format!("{broken}\n  {replay} {}{full}", plan.seed))
}

fn hold(seeds: core::ops::Range<u64>) {
    let mut failed = Vec::new();
    for seed in seeds {
        let plan = Plan { full_disks: seed % FULL_SHARE == 1, ..Plan::of(seed) };
        let report = if seed.is_multiple_of(SQLITE_SHARE) {
            let place = tempfile::tempdir().unwrap();
            simulated(plan, SqliteDisk(place.path().to_owned()))
        } else {
            simulated(plan, MemoryDisk)
        };
        match report {
            Ok(report) => assert!(report.operations >= 200, "seed {seed}: {report:?}"),
            Err(why) => failed.push(why),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_doubled_or_reordered_and_all_agree() {
    hold(0..SEEDS / 2);
}

#[test]
fn nor_does_it_in_other_worlds() {
    hold(SEEDS / 2..SEEDS);
}

#[test]
fn a_seed_has_one_history_and_another_seed_another() {
    let hash = |seed| simulated(Plan::of(seed), MemoryDisk).unwrap().hash;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_store_has_no_part_in_what_happens() {
    let place = tempfile::tempdir().unwrap();
    let on_disk = simulated(Plan::of(1), SqliteDisk(place.path().to_owned())).unwrap();
    assert_eq!(on_disk, simulated(Plan::of(1), MemoryDisk).unwrap());
}

#[test]
fn a_store_is_held_to_its_journal() {
    let place = tempfile::tempdir().unwrap();
    let (disk, journal) = (SqliteDisk(place.path().to_owned()), place.path().join("journal"));
    let database = disk.database();
    let written = Box::new(Written::create(&journal).unwrap());
    run(Plan { operations: 20, ..Plan::of(1) }, disk, Some(written)).unwrap();

    let journal = std::fs::read_to_string(&journal).unwrap();
    assert!(verify(&database, &journal).unwrap() > 10);
    // A promise that was never kept.
    let last = journal.lines().last().unwrap();
    let (start, hash) = last.rsplit_once(' ').unwrap();
    let other: String = hash.chars().rev().collect();
    assert!(verify(&database, &format!("{journal}{start} {other}\n")).is_err());
}
