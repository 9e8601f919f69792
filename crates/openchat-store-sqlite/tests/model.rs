//! Whatever is done to it, the store answers as the one in memory does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use openchat_crypto::sha256;
use openchat_relay::{
    Limit, Store, StoreError,
    memory::MemoryStore,
    store::{CommitPoint, NewEntry, Older, Origin, Table, Which},
};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{Digest, Epoch, Fingerprint, GroupId, Seq, UnixMillis};
use proptest::prelude::*;

/// Values come from a few, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    Append { log: u8, after: u8, bytes: u8, epoch: Option<u8> },
    Drop { after: u8, before: u8, max: u8 },
    Record { index: u8 },
    Put { key: u8, expected: Option<u8>, value: u8 },
    Remove { key: u8, expected: u8 },
    Flush,
    Rollback,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let few = || 0_u8..4;
    prop_oneof![
        8 => (few(), 0_u8..6, 0_u8..20, prop::option::of(1_u8..6))
            .prop_map(|(log, after, bytes, epoch)| Step::Append { log, after, bytes, epoch }),
        2 => (0_u8..6, 0_u8..20, 1_u8..5)
            .prop_map(|(after, before, max)| Step::Drop { after, before, max }),
        2 => (0_u8..5).prop_map(|index| Step::Record { index }),
        4 => (few(), prop::option::of(few()), few())
            .prop_map(|(key, expected, value)| Step::Put { key, expected, value }),
        2 => (few(), few()).prop_map(|(key, expected)| Step::Remove { key, expected }),
        2 => Just(Step::Flush),
        1 => Just(Step::Rollback),
        1 => Just(Step::Crash),
    ]
}

fn log(number: u8) -> GroupId {
    GroupId([number; 32])
}

/// What came of a write, as far as two stores can be compared.
fn apply<S: Store>(store: &mut S, step: &Step) -> Result<String, StoreError> {
    match *step {
        Step::Append { log: number, after, bytes, epoch } => {
            let text = vec![bytes; usize::from(bytes) * 50 + 1];
            let commit = epoch.map(|epoch| CommitPoint {
                epoch: Epoch(epoch.into()),
                interim: Digest([epoch; 32]),
            });
            let (hash, before) = (sha256(&text), Digest([after; 32]));
            let (author, time) = (Fingerprint([number; 32]), UnixMillis(bytes.into()));
            let origin = Origin { author, time, lasts: bytes == 7 };
            let entry = NewEntry { near: bytes.into(), hash, before, commit, origin, bytes: &text };
            Ok(format!("{:?}", store.append(&log(number), Seq(after.into()), &entry)?))
        }
        Step::Drop { after, before, max } => {
            let than = UnixMillis(before.into());
            let older = Older { than, plausible: UnixMillis(u64::from(before) + 2) };
            let mut dropping = store.drop_bodies(after.into(), older, max.into())?;
            dropping.freed.sort_unstable();
            Ok(format!("{dropping:?}"))
        }
        Step::Record { index } => {
            store.record(index.into(), UnixMillis(index.into()), &[index])?;
            Ok(String::new())
        }
        Step::Put { key, expected, value } => {
            let expected = expected.map(|value| [value]);
            store.put(Table::Name, &[key], expected.as_ref().map(|value| &value[..]), &[value])?;
            Ok(String::new())
        }
        Step::Remove { key, expected } => {
            store.remove(Table::Name, &[key], &[expected])?;
            Ok(String::new())
        }
        Step::Flush => store.flush().map(|()| String::new()),
        Step::Rollback | Step::Crash => store.rollback().map(|()| String::new()),
    }
}

/// Everything that a store can be asked.
fn everything<S: Store>(store: &S) -> Vec<String> {
    let limits = [Limit::READ, Limit { entries: 2, bytes: 1_000 }];
    let mut all = vec![format!("{:?}", store.recorded(0, 100).unwrap())];
    all.push(format!("{:?}", store.scan(Table::Name, &[], 3).unwrap()));
    let mut usage = store.usage().unwrap();
    usage.sort_unstable();
    all.push(format!("{usage:?}"));
    for number in 0..4 {
        let log = log(number);
        all.push(format!("{:?}", store.tail(&log).unwrap()));
        all.push(format!("{:?}", store.get(Table::Name, &[number]).unwrap()));
        for at in 0..8 {
            let text = vec![at; usize::from(at) * 50 + 1];
            all.push(format!("{:?}", store.find(&log, at.into(), &sha256(&text)).unwrap()));
            all.push(format!("{:?}", store.commit(&log, Epoch(at.into())).unwrap()));
            all.push(format!("{:?}", store.point(&log, Seq(at.into())).unwrap()));
            for (which, limit) in [Which::All, Which::Commits].into_iter().zip(limits) {
                all.push(format!("{:?}", store.read(&log, Seq(at.into()), which, limit).unwrap()));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn both_stores_are_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("db");
        let (mut model, mut store) = (MemoryStore::new(), SqliteStore::open(&path).unwrap());
        for step in steps {
            if matches!(step, Step::Crash) {
                model = model.crash();
                drop(store);
                store = SqliteStore::open(&path).unwrap();
            }
            match (apply(&mut model, &step), apply(&mut store, &step)) {
                (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                (Err(StoreError::Conflict(_)), Err(StoreError::Conflict(_))) => {}
                (one, other) => prop_assert!(false, "{:?}: {:?} but {:?}", step, one, other),
            }
            prop_assert_eq!(everything(&model), everything(&store));
        }
    }
}
