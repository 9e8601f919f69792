//! Checks that other tests of this crate pass by: each of these fails if one line of the source is
//! another.

use openchat_roster::{CommitFault, Naming, Operation, Policy, Wrap};
use openchat_wire::{Digest, Epoch};

use crate::scribe::{Act, HEAD, Scribe};

fn closed() -> Policy {
    Policy::closed(&Naming { name: "ops".parse().unwrap(), salt: Digest([1; 32]) })
}

fn readers(scribe: &Scribe) -> Vec<usize> {
    let may_read = |who: &usize| scribe.roster.may_read(&scribe.fingerprint(*who));
    (0..scribe.people.len()).filter(may_read).collect()
}

/// A closed group's commits are for those who are seated or admitted, a direct one's for the two, an
/// open one's for everybody.
#[test]
fn who_may_read() {
    let mut scribe = Scribe::new(1, 3);
    let admits = vec![scribe.admit(1)];
    scribe.create(closed(), admits);
    assert_eq!(readers(&scribe), [0, 1]);
    scribe.act(1, Act::Join);
    assert_eq!(readers(&scribe), [0, 1]);
    let evict = scribe.evict(1);
    scribe.does(0, vec![evict]);
    assert_eq!(readers(&scribe), [0]);

    let mut scribe = Scribe::new(1, 3);
    let two = Policy::direct(scribe.fingerprint(0), scribe.fingerprint(2));
    scribe.create(two, vec![]);
    assert_eq!(readers(&scribe), [0, 2]);

    assert_eq!(readers(&Scribe::new(2, 2)), [0, 1, 2, 3]);
}

/// C6, before anybody has looked at a signature: an author learns it when it makes its commit.
#[test]
fn c6_nobody_enters_with_the_key_of_another() {
    let mut scribe = Scribe::new(1, 3);
    let Operation::Join { wrap, ephemeral, replaces, .. } = scribe.join(1) else { unreachable!() };
    let join = Operation::Join { entrant: scribe.entrant(2), wrap, ephemeral, replaces };
    let outline = scribe.roster.outline(&scribe.fingerprint(1), &[join], &HEAD);
    assert_eq!(outline.map(drop), Err(CommitFault::Identity));
}

/// C15, at each of its edges.
#[test]
fn c15_wraps_fall_from_the_tail() {
    let mut scribe = Scribe::new(3, 0);
    for _ in 0..4 {
        scribe.act(0, Act::Update);
    }
    let tail = scribe.roster.epoch().0;
    let wraps = |epochs: &[u64]| {
        let wrap = |epoch: &u64| Wrap { epoch: Epoch(*epoch), wrapped: Digest([0; 32]) };
        epochs.iter().map(wrap).collect::<Vec<_>>()
    };
    let refused: [&[u64]; 7] = [
        &[],
        &[tail - 1],
        &[tail + 1],
        &[tail, tail],
        &[tail, tail - 2, tail - 1],
        &[tail, 0],
        &[tail, tail - 1, tail - 2, tail - 3, tail - 4],
    ];
    for epochs in refused {
        let ephemeral = scribe.fresh();
        let rejoin = Operation::Rejoin { wraps: wraps(epochs), ephemeral };
        assert_eq!(scribe.fault(1, vec![rejoin]), CommitFault::Wraps, "{epochs:?}");
    }
    for epochs in [&[tail, tail - 1, 2, 1][..], &[tail + 1]] {
        let ephemeral = scribe.fresh();
        scribe.does(1, vec![Operation::Rejoin { wraps: wraps(epochs), ephemeral }]);
    }
}
