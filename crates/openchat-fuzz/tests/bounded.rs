//! Every body, with a fixed number of inputs: samples, samples changed at random, random bytes, and
//! the inputs in `corpus/`, which once broke a promise or reach far.
//!
//! `OPENCHAT_FUZZ_RUNS` is how many inputs each body gets, if others than these few.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeSet, fs, path::Path};

use openchat_fuzz::{
    Random, TARGETS,
    client::deeds,
    insider::{Tally, conversation},
    run, samples,
};

/// Inputs of each body. A conversation takes a hundred times as long as a record.
fn runs(target: &str) -> usize {
    let usual = match target {
        "insider" => 25,
        "client" => 100,
        "group_records" | "welcome_letter" | "invitation_letter" => 60,
        _ => 400,
    };
    std::env::var("OPENCHAT_FUZZ_RUNS").map_or(usual, |runs| runs.parse().unwrap())
}

/// Random bytes, or a sample with up to eight changes.
fn input(rng: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    if samples.is_empty() || rng.below(4) == 0 {
        let length = rng.below(400);
        return rng.bytes(length);
    }
    let mut bytes = samples[rng.below(samples.len())].clone();
    for _ in 0..=rng.below(8) {
        change(rng, &mut bytes);
    }
    bytes
}

fn change(rng: &mut Random, bytes: &mut Vec<u8>) {
    let at = rng.below(bytes.len());
    let length = rng.below(bytes.len() - at + 1).min(40);
    let other = rng.below(40);
    let other = rng.bytes(other);
    match (rng.below(6), bytes.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << rng.below(8),
        (1, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
        (2, _) => bytes.truncate(at),
        (3, _) => drop(bytes.drain(at..at + length)),
        (4, _) => bytes.extend_from_within(at..at + length),
        _ => drop(bytes.splice(at..at, other)),
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let Ok(files) = fs::read_dir(directory) else { return Vec::new() };
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn bounded(target: &str) {
    let mut rng = Random::new(target.as_bytes());
    let mut samples = samples::of(target);
    samples.extend(corpus(target));
    for sample in &samples {
        run(target, sample);
    }
    run(target, &[]);
    for _ in 0..runs(target) {
        run(target, &input(&mut rng, &samples));
    }
}

#[test]
fn frames() {
    each(|target| target.starts_with("frames_"));
}

#[test]
fn client() {
    each(|target| target == "client");
}

#[test]
fn insider() {
    each(|target| target == "insider");
}

/// Conversations reach what they are for: lies that count, lies that are refused for many reasons,
/// people who are left behind.
#[test]
fn conversations_are_not_idle() {
    let mut rng = Random::new(b"idle");
    let random = (0..40).map(|_| rng.bytes(600));
    let inputs = corpus("insider").into_iter().chain(random);
    let tallies: Vec<_> = inputs.map(|input| conversation(&input)).collect();
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let faults: BTreeSet<_> = tallies.iter().flat_map(|tally| tally.faults.keys()).collect();
    assert!(sum(|tally| tally.commits) > 100);
    assert!(sum(|tally| tally.left_behind) > 20);
    assert!(sum(|tally| tally.opened) > 20);
    assert!(faults.len() >= 12, "{faults:?}");
}

/// Most vaults are loaded, and their clients do something.
#[test]
fn clients_are_not_idle() {
    let mut rng = Random::new(b"idle");
    let deeds: Vec<_> = (0..40).map(|_| deeds(&rng.bytes(600))).collect();
    let loaded = deeds.iter().flatten().count();
    assert!((10..40).contains(&loaded), "{loaded}");
    assert!(deeds.iter().flatten().sum::<usize>() > 10 * loaded, "{deeds:?}");
}

#[test]
fn letters() {
    each(|target| target.ends_with("_letter"));
}

#[test]
fn everything_else() {
    let others = ["client", "frames_", "insider", "invitation_letter", "welcome_letter"];
    each(|target| !others.iter().any(|other| target.starts_with(other)));
}

fn each(is_meant: impl Fn(&str) -> bool) {
    let meant = TARGETS.iter().map(|(target, _)| *target).filter(|target| is_meant(target));
    meant.for_each(bounded);
}

/// `cargo fuzz` knows the same bodies.
#[test]
fn cargo_fuzz_has_all_targets() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let bins = manifest.lines().filter_map(|line| line.strip_prefix("name = "));
    let mut bins: Vec<_> = bins.map(|name| name.trim_matches('"')).skip(1).collect();
    let mut targets: Vec<_> = TARGETS.iter().map(|(target, _)| *target).collect();
    bins.sort_unstable();
    targets.sort_unstable();
    assert_eq!(bins, targets);
}
