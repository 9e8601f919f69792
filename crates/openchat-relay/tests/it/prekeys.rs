//! Prekeys: kept for their owners, given out once, and not to be drained.

use crate::{
    people::Person,
    support::{NOBODY, World, invalid, is_invalid},
};
use openchat_group::Keyring as _;
use openchat_relay::StoreError;
use openchat_roster::{Prekey, PrekeyKind, SignedPrekey};
use openchat_wire::{
    Blob, UnixMillis,
    limits::{
        MAX_CLOCK_AHEAD, MAX_PREKEYS, PREKEY_BURST, PREKEY_BURST_OF_ONE, PREKEY_INTERVAL,
        PREKEY_INTERVAL_OF_ONE, PREKEY_LIFE, PUBLISH_BURST,
    },
    relay::{Answer, Refusal, Request},
};
use proptest::prelude::*;
use std::{collections::HashSet, time::Duration};

fn publish(prekeys: &[SignedPrekey]) -> Request {
    let prekeys = prekeys.iter().map(SignedPrekey::to_bytes).collect();
    Request::PublishPrekeys { replace: false, prekeys }
}

fn one_time(world: &mut World, who: &Person, count: usize) -> Vec<SignedPrekey> {
    (0..count).map(|_| world.prekey(who)).collect()
}

fn last_resort(world: &mut World, who: &Person) -> SignedPrekey {
    who.ring.of_kind(PrekeyKind::LastResort, &who.key, world.now, &mut world.rng)
}

/// Whatever else a prekey may say.
fn odd(world: &mut World, who: &Person, edit: impl FnOnce(&mut Prekey)) -> SignedPrekey {
    let now = world.now;
    who.ring.signed(&who.key, &mut world.rng, |prekey| {
        (prekey.not_before, prekey.not_after) = (now, now.after(PREKEY_LIFE));
        edit(prekey);
    })
}

fn left(world: &mut World, who: &Person) -> (u32, Option<UnixMillis>) {
    match world.ask(who, &Request::CountPrekeys).answer {
        Ok(Answer::Prekeys { one_time, last_resort }) => (one_time, last_resort),
        other => panic!("{other:?}"),
    }
}

fn fetch(world: &mut World, who: &Person, owner: &Person) -> Result<Blob, Refusal> {
    let request = Request::FetchPrekey(owner.identity.fingerprint);
    match world.ask(who, &request).answer {
        Ok(Answer::Prekey(prekey)) => Ok(prekey),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

fn two(world: &mut World) -> (Person, Person) {
    (world.person("alice"), world.person("bob"))
}

#[test]
fn what_is_published_is_counted_and_given_out_as_it_is() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    assert_eq!(left(&mut world, &bob), (0, None));
    assert_eq!(fetch(&mut world, &alice, &bob), Err(Refusal::NotFound));
    let prekeys = one_time(&mut world, &bob, 3);
    let last = last_resort(&mut world, &bob);
    let end = world.now.after(PREKEY_LIFE);
    let request = publish(&[&prekeys[..], std::slice::from_ref(&last)].concat());
    let answer = world.ask(&bob, &request).answer;
    assert_eq!(answer, Ok(Answer::Prekeys { one_time: 3, last_resort: Some(end) }));
    let mut world = world.crash();
    let given: HashSet<Vec<u8>> =
        (0..3).map(|_| fetch(&mut world, &alice, &bob).unwrap().0).collect();
    assert_eq!(given, prekeys.iter().map(|prekey| prekey.to_bytes().0).collect());
    assert_eq!(left(&mut world, &bob), (0, Some(end)));
    for _ in 0..3 {
        assert_eq!(fetch(&mut world, &alice, &bob), Ok(last.to_bytes()));
    }
    assert!(prekeys.iter().all(|prekey| bob.ring.prekey(&prekey.hash()).is_some()));
}

#[test]
fn nobody_gets_a_prekey_that_another_had_whatever_crashes() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let prekeys = one_time(&mut world, &bob, 10);
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    let mut told = HashSet::new();
    for round in 0..10 {
        let request = Request::FetchPrekey(bob.identity.fingerprint);
        let outcome = world.relay.handle(&alice.identity, &request, world.now);
        if round % 2 == 0 {
            // Decided and not flushed: it was told to nobody.
            world = world.crash();
            continue;
        }
        world.relay.flush().unwrap();
        let Ok(Answer::Prekey(prekey)) = outcome.answer else { panic!() };
        assert!(told.insert(prekey.0), "given twice");
        world = world.crash();
    }
    assert_eq!(left(&mut world, &bob), (5, None), "and none is lost");
}

#[test]
fn two_of_one_batch_get_two() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let carol = world.person("carol");
    let prekeys = one_time(&mut world, &bob, 2);
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    let request = Request::FetchPrekey(bob.identity.fingerprint);
    let one = world.relay.handle(&alice.identity, &request, world.now).answer.unwrap();
    let other = world.relay.handle(&carol.identity, &request, world.now).answer.unwrap();
    assert_ne!(one, other);
    // Nobody was told: both are there still.
    world.faults.fail_write(0, StoreError::Full);
    assert!(world.relay.flush().is_err());
    assert_eq!(left(&mut world, &bob), (2, None));
}

#[test]
fn a_prekey_that_was_given_out_is_not_kept_again() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let prekeys = one_time(&mut world, &bob, 2);
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    let first = fetch(&mut world, &alice, &bob).unwrap();
    // The answer was lost, so the device publishes them again; or it is a copy.
    for replace in [false, true] {
        let prekeys = prekeys.iter().map(SignedPrekey::to_bytes).collect();
        world.ask(&bob, &Request::PublishPrekeys { replace, prekeys }).answer.unwrap();
        assert_eq!(left(&mut world, &bob), (1, None));
        world = world.crash();
    }
    assert_ne!(fetch(&mut world, &alice, &bob), Ok(first));
    assert_eq!(fetch(&mut world, &alice, &bob), Err(Refusal::NotFound));
}

#[test]
fn the_newest_hundred_are_kept() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let old = one_time(&mut world, &bob, 60);
    world.ask(&bob, &publish(&old)).answer.unwrap();
    world.wait(Duration::from_hours(1));
    let new = one_time(&mut world, &bob, MAX_PREKEYS - 10);
    world.ask(&bob, &publish(&new)).answer.unwrap();
    assert_eq!(left(&mut world, &bob), (100, None));
    let old: HashSet<_> = old.iter().map(|prekey| prekey.to_bytes().0).collect();
    for place in 0..PREKEY_BURST_OF_ONE {
        let given = fetch(&mut world, &alice, &bob).unwrap().0;
        assert_eq!(old.contains(&given), place < 10, "those that end first go first");
    }
}

#[test]
fn replacing_forgets_all_that_were_there() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let old = [&one_time(&mut world, &bob, 5)[..], &[last_resort(&mut world, &bob)]].concat();
    world.ask(&bob, &publish(&old)).answer.unwrap();
    let new = one_time(&mut world, &bob, 1);
    let prekeys = new.iter().map(SignedPrekey::to_bytes).collect();
    let request = Request::PublishPrekeys { replace: true, prekeys };
    let answer = world.ask(&bob, &request).answer;
    assert_eq!(answer, Ok(Answer::Prekeys { one_time: 1, last_resort: None }));
    assert_eq!(fetch(&mut world, &alice, &bob), Ok(new[0].to_bytes()));
    assert_eq!(fetch(&mut world, &alice, &bob), Err(Refusal::NotFound));
}

#[test]
fn a_last_resort_replaces_the_one_before() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    for _ in 0..2 {
        let last = last_resort(&mut world, &bob);
        world.ask(&bob, &publish(std::slice::from_ref(&last))).answer.unwrap();
        assert_eq!(fetch(&mut world, &alice, &bob), Ok(last.to_bytes()));
    }
}

#[test]
fn what_has_expired_is_neither_counted_nor_given_out() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let mut prekeys = one_time(&mut world, &bob, 2);
    prekeys.push(last_resort(&mut world, &bob));
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    world.wait(PREKEY_LIFE);
    assert_eq!(left(&mut world, &bob), (2, Some(world.now)));
    fetch(&mut world, &alice, &bob).unwrap();
    world.wait(Duration::from_millis(1));
    assert_eq!(left(&mut world, &bob), (0, None));
    assert_eq!(fetch(&mut world, &alice, &bob), Err(Refusal::NotFound));
    let fresh = one_time(&mut world, &bob, 1);
    world.ask(&bob, &publish(&fresh)).answer.unwrap();
    assert_eq!(fetch(&mut world, &alice, &bob), Ok(fresh[0].to_bytes()));
}

#[test]
fn only_ones_own_signed_prekeys_of_the_present_are_kept() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let now = world.now;
    let second = Duration::from_millis(1);
    let other = world.prekey(&alice);
    let mut forged = world.prekey(&bob);
    forged.signature = other.signature;
    let long = odd(&mut world, &bob, |prekey| prekey.not_after = now.after(PREKEY_LIFE + second));
    let old = odd(&mut world, &bob, |prekey| {
        (prekey.not_before, prekey.not_after) = (UnixMillis(now.0 - 2), UnixMillis(now.0 - 1));
    });
    let early = odd(&mut world, &bob, |prekey| {
        prekey.not_before = now.after(MAX_CLOCK_AHEAD + second);
    });
    let good = world.prekey(&bob);
    for (bad, check) in [
        (other, "C16: the prekey is another person's"),
        (forged, "C16: the prekey is not signed by its owner"),
        (long, "a prekey lives for thirty days at most"),
        (old, "a prekey has expired"),
        (early, "a prekey is of a time to come"),
    ] {
        let request = publish(&[good.clone(), bad]);
        assert_eq!(world.refusal_of(&bob, &request), invalid(check));
    }
    let mut bytes = good.to_bytes();
    bytes.0.push(0);
    let request = Request::PublishPrekeys { replace: true, prekeys: vec![bytes] };
    is_invalid(&world.refusal_of(&bob, &request), "not canonical");
    assert_eq!(left(&mut world, &bob), (0, None), "all are kept, or none");
    let edge = odd(&mut world, &bob, |prekey| prekey.not_before = now.after(MAX_CLOCK_AHEAD));
    world.ask(&bob, &publish(&[good, edge])).answer.unwrap();
    assert_eq!(left(&mut world, &bob), (2, None));
}

#[test]
fn nobody_is_drained_by_ten_thousand_fetches() {
    let mut world = World::new();
    let (mallory, bob) = two(&mut world);
    let mut prekeys = one_time(&mut world, &bob, MAX_PREKEYS);
    let last = last_resort(&mut world, &bob);
    prekeys.push(last.clone());
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    let mut given = 0_usize;
    for _ in 0..10_000 {
        match fetch(&mut world, &mallory, &bob) {
            Ok(_) => given += 1,
            Err(Refusal::Paced { retry_ms }) => assert!(retry_ms > 0),
            Err(other) => panic!("{other:?}"),
        }
    }
    let allowed = usize::try_from(PREKEY_BURST_OF_ONE).unwrap();
    assert_eq!(given, allowed);
    assert_eq!(left(&mut world, &bob).0, 100 - PREKEY_BURST_OF_ONE);
    let carol = world.person("carol");
    assert_ne!(fetch(&mut world, &carol, &bob), Ok(last.to_bytes()), "others get their own");

    let wait = u32::try_from(PREKEY_INTERVAL_OF_ONE.as_millis()).unwrap();
    let paced = Err(Refusal::Paced { retry_ms: wait });
    assert_eq!(fetch(&mut world, &mallory, &bob), paced);
    world.wait(PREKEY_INTERVAL_OF_ONE);
    assert!(fetch(&mut world, &mallory, &bob).is_ok());
    assert_eq!(fetch(&mut world, &mallory, &bob), paced);
}

#[test]
fn a_fetcher_has_a_burst_and_a_pace_over_all_people() {
    let mut world = World::new();
    let (alice, bob) = two(&mut world);
    let request = Request::FetchPrekey(NOBODY);
    for _ in 0..PREKEY_BURST {
        assert_eq!(world.ask(&alice, &request).answer, Err(Refusal::NotFound));
    }
    let wait = u32::try_from(PREKEY_INTERVAL.as_millis()).unwrap();
    let paced = Err(Refusal::Paced { retry_ms: wait });
    assert_eq!(world.ask(&alice, &request).answer, paced);
    let prekeys = one_time(&mut world, &bob, 1);
    world.ask(&bob, &publish(&prekeys)).answer.unwrap();
    assert_eq!(fetch(&mut world, &alice, &bob), Err(Refusal::Paced { retry_ms: wait }));
    world.wait(PREKEY_INTERVAL);
    assert_eq!(fetch(&mut world, &alice, &bob), Ok(prekeys[0].to_bytes()));
}

#[test]
fn publishing_has_a_pace_because_every_signature_costs() {
    let mut world = World::new();
    let bob = world.person("bob");
    let senseless = vec![Blob(vec![0]); MAX_PREKEYS + 1];
    let request = Request::PublishPrekeys { replace: false, prekeys: senseless };
    let mut refused = 0;
    while !matches!(world.refusal_of(&bob, &request), Refusal::Paced { .. }) {
        refused += MAX_PREKEYS + 1;
    }
    assert_eq!(u32::try_from(refused).unwrap(), PUBLISH_BURST, "attempts count");
    assert_eq!(left(&mut world, &bob), (0, None));
}

#[derive(Debug, Clone)]
enum Step {
    /// Some of ten, again or for the first time.
    Publish {
        first: usize,
        count: usize,
        replace: bool,
    },
    Fetch {
        who: usize,
    },
    Flush,
    Fail,
    Crash,
    Wait {
        hours: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..10_usize, 0..6_usize, any::<bool>())
            .prop_map(|(first, count, replace)| Step::Publish { first, count, replace }),
        8 => (0..3_usize).prop_map(|who| Step::Fetch { who }),
        3 => Just(Step::Flush),
        1 => Just(Step::Fail),
        1 => Just(Step::Crash),
        1 => (1..200_u64).prop_map(|hours| Step::Wait { hours }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_nobody_is_told_a_prekey_that_was_told_before(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        let bob = world.person("bob");
        let others = ["alice", "carol", "dave"].map(|name| world.person(name));
        let all = one_time(&mut world, &bob, 10);
        let end = world.now.after(PREKEY_LIFE);
        let (mut told, mut decided) = (HashSet::new(), Vec::new());
        for step in steps {
            match step {
                Step::Publish { first, count, replace } => {
                    let some = all.iter().cycle().skip(first).take(count);
                    let prekeys = some.map(SignedPrekey::to_bytes).collect();
                    let request = Request::PublishPrekeys { replace, prekeys };
                    let _ = world.relay.handle(&bob.identity, &request, world.now);
                }
                Step::Fetch { who } => {
                    let request = Request::FetchPrekey(bob.identity.fingerprint);
                    let outcome = world.relay.handle(&others[who].identity, &request, world.now);
                    if let Ok(Answer::Prekey(prekey)) = outcome.answer {
                        prop_assert!(world.now <= end, "it has expired");
                        decided.push(prekey.0);
                    }
                }
                Step::Flush => {
                    world.relay.flush().unwrap();
                    for prekey in decided.drain(..) {
                        prop_assert!(told.insert(prekey), "told twice");
                    }
                }
                Step::Fail => {
                    world.faults.fail_write(0, StoreError::Full);
                    prop_assert!(world.relay.flush().is_err());
                    decided.clear();
                }
                Step::Crash => {
                    world = world.crash();
                    decided.clear();
                }
                Step::Wait { hours } => world.wait(Duration::from_hours(hours)),
            }
        }
    }
}
