//! Checks that other tests of this crate pass by: each of these fails if one line of the source is
//! another.

use core::ops::Range;

use openchat_roster::{
    Claim, CommitFault, Naming, Operation, Person, Policy, PrekeyKind, Reason, Wrap,
};
use openchat_wire::{
    Digest, Epoch, Fingerprint,
    limits::{MAX_ADMITTED, MAX_DENIED, MAX_UNCLAIMED},
};

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

/// Somebody who is on a list and nothing else.
fn listed(number: usize) -> Person {
    let mut fingerprint = Fingerprint([0; 32]);
    fingerprint.0[..8].copy_from_slice(&number.to_be_bytes());
    Person { name: format!("n{number}").parse().unwrap(), fingerprint }
}

fn admits(numbers: Range<usize>) -> Vec<Operation> {
    numbers.map(|number| Operation::Admit(listed(number))).collect()
}

fn evictions(numbers: Range<usize>) -> Vec<Operation> {
    let member = |number| listed(number).fingerprint;
    let evict = |number| Operation::Remove { member: member(number), reason: Reason::Evicted };
    numbers.map(evict).collect()
}

/// Both lists take as many people as they may, and not one more.
#[test]
fn c13_as_many_admitted_and_denied_as_may_be() {
    let mut scribe = Scribe::new(1, 0);
    scribe.create(closed(), admits(1..MAX_ADMITTED));
    assert_eq!(scribe.fault(0, admits(MAX_ADMITTED..MAX_ADMITTED + 2)), CommitFault::Full);
    scribe.does(0, admits(MAX_ADMITTED..MAX_ADMITTED + 1));
    assert_eq!(scribe.roster.all_admitted().count(), MAX_ADMITTED);
    assert_eq!(scribe.fault(0, admits(0..1)), CommitFault::Full);
    // They all go over to the other list.
    scribe.does(0, evictions(1..MAX_DENIED));
    scribe.does(0, admits(0..1));
    let both = [evictions(0..1), evictions(MAX_DENIED..MAX_DENIED + 1)].concat();
    assert_eq!(scribe.fault(0, both), CommitFault::Full);
    scribe.does(0, evictions(0..1));
    assert_eq!(scribe.roster.all_denied().count(), MAX_DENIED);
    assert_eq!(scribe.fault(0, evictions(MAX_DENIED..MAX_DENIED + 1)), CommitFault::Full);
    // Who is lifted makes room.
    scribe.does(0, vec![Operation::Lift(listed(0).fingerprint)]);
    scribe.does(0, evictions(MAX_DENIED..MAX_DENIED + 1));
}

/// One adder answers for so many who have not claimed their seats, and not for one more; another
/// adder has room of its own, and whoever comes by itself needs none.
#[test]
fn c13_as_many_unclaimed_of_one_adder_as_may_be() {
    let mut scribe = Scribe::new(2, MAX_UNCLAIMED + 3);
    let adds: Vec<_> = (2..MAX_UNCLAIMED + 2).map(|who| scribe.add(who)).collect();
    scribe.does(0, adds);
    assert_eq!(scribe.roster.unclaimed(), MAX_UNCLAIMED);
    let (next, last) = (MAX_UNCLAIMED + 2, MAX_UNCLAIMED + 3);
    let one_more = vec![scribe.add(next)];
    assert_eq!(scribe.fault(0, one_more.clone()), CommitFault::Full);
    let with_update = [one_more, vec![Operation::Update]].concat();
    assert_eq!(scribe.fault(0, with_update), CommitFault::Full);
    let of_another = vec![scribe.add(next)];
    scribe.does(1, of_another);
    scribe.act(last, Act::Join);
    scribe.act(0, Act::Update);
    scribe.act(2, Act::Update);
    let in_its_place = vec![scribe.add(MAX_UNCLAIMED + 4)];
    scribe.does(0, in_its_place);
}

/// Whoever came by a prekey of last resort is claimed by setting its leaf twice, not by whatever
/// else it commits.
#[test]
fn a_commit_that_sets_no_leaf_claims_nothing() {
    let mut scribe = Scribe::new(1, 2);
    let prekey = scribe.prekey(1, PrekeyKind::LastResort);
    let add = Operation::Add { entrant: scribe.entrant(1), prekey };
    scribe.does(0, vec![add]);
    let claim = |scribe: &Scribe| scribe.roster.seat(&scribe.fingerprint(1)).unwrap().claim;
    scribe.act(1, Act::Update);
    assert_eq!(claim(&scribe), Claim::Half);
    let admit = scribe.admit(2);
    scribe.does(1, vec![admit]);
    assert_eq!(claim(&scribe), Claim::Half);
    scribe.act(1, Act::Update);
    assert_eq!(claim(&scribe), Claim::Claimed);
}
