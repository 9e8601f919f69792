//! The vault's key moves into the keyring and out of it, and the process is killed at its write points
//! on the way: the key is never lost.
//!
//! Without power cuts: the disk that is played here does not know what a renaming leaves of a file that
//! was synced under another name.

use crate::shim::{Fault, Faults};
use openchat_sim::{Desktop, Person, Server};

const ENDS: [Fault; 3] = [Fault::KillBefore, Fault::KillAfter, Fault::Tear];

/// More write points than this has.
const MANY: u64 = 2_000;

fn key_of(person: &Person) -> String {
    let told = person.run(&["vault"]);
    told[0]["key"].as_str().unwrap().to_owned()
}

/// Does this again and again, killed at each `step`th point in turn, until it comes through; how often
/// it was killed.
fn through(alice: &Person, faults: &Faults, args: &[&str], step: usize) -> usize {
    for (turn, point) in (1..MANY).step_by(step).enumerate() {
        let fault = ENDS[turn % ENDS.len()];
        faults.plan(point, fault);
        let mut process = alice.start(args);
        let code = process.ended();
        assert!([None, Some(0)].contains(&code), "at {point}: {code:?} {:?}", process.seen());
        faults.plan_nothing();
        let (opened, whoami) = alice.try_to(&["whoami"]);
        assert_eq!(opened, Some(0), "{args:?} at {point}, {fault:?}: {whoami:?}");
        if code == Some(0) {
            return turn;
        }
    }
    panic!("{args:?} never came through");
}

fn there_and_back(step: usize) {
    let (server, mut desktop) = (Server::start(), Desktop::start());
    desktop.log_in();
    let alice = server.enroll("alice");
    let faults = Faults::new(&alice.profile(), server.place());
    let environment: Vec<_> =
        faults.environment().into_iter().chain(desktop.environment()).collect();
    let alice = alice.with_environment(environment);
    let there = through(&alice, &faults, &["vault", "keyring"], step);
    assert_eq!(key_of(&alice), "keyring");
    let back = through(&alice, &faults, &["vault", "key-file"], step);
    assert_eq!(key_of(&alice), "beside");
    assert!(there > 5 && back > 5, "{there} kills on the way there, {back} on the way back");
    println!("{there} kills on the way there, {back} back, {} keys left over", desktop.keys());
}

#[test]
fn killed_on_the_way_into_the_keyring_and_out_the_key_is_there() {
    there_and_back(31);
}

#[test]
#[ignore = "two minutes"]
fn killed_anywhere_on_the_way_into_the_keyring_and_out_the_key_is_there() {
    there_and_back(1);
}
