//! A mirror that is stored and comes back, and stores that were damaged.

use crate::{
    mirror::{Log, fpr, issue, keys, revoke},
    support::{key, name},
};
use openchat_pki::{CheckpointFault, Entry, Head, Mirror, ServerKeys, rotation};
use openchat_wire::{Digest, GroupId, encode};

fn entries(count: u8) -> Vec<Entry> {
    let mut all: Vec<Entry> = (0..count).map(|n| issue(&format!("user-{n}"), n, n)).collect();
    all.extend([revoke("user-3", 3), issue("user-3", 200, 1), revoke("nobody", 250)]);
    all.push(Entry::GroupName { name: "general".parse().unwrap(), group: GroupId([5; 32]) });
    all.push(rotation::announce(&key(1), key(2).public()));
    all
}

fn mirrored(log: &Log) -> Mirror {
    let mut mirror = Mirror::new(&keys());
    let _ = mirror.extend(&log.entries, &log.signed()).unwrap();
    mirror
}

fn stored(log: &Log) -> Vec<u8> {
    mirrored(log)
        .checkpoint(|index| log.entries.get(usize::try_from(index).unwrap()).cloned())
        .unwrap()
}

/// Everything that a mirror says.
fn said(mirror: &Mirror) -> String {
    let keys = (0..=255).map(|n| (mirror.name_of(&fpr(n)), mirror.revoked(&fpr(n))));
    let people: Vec<_> = mirror.people().map(|(who, key)| (mirror.certified(&who), key)).collect();
    let group = mirror.group(&"general".parse().unwrap());
    format!(
        "{:?} {people:?} {group:?} {:?} {:?} {:?}",
        keys.collect::<Vec<_>>(),
        mirror.announcements(),
        mirror.head(),
        mirror.former_keys(&name("user-3")),
    )
}

#[test]
fn a_mirror_comes_back_as_it_was_and_goes_on() {
    for count in [4, 27, 28, 59, 60, 100] {
        let log = Log::of(&entries(count));
        let mut restored = Mirror::restore(&keys(), &stored(&log)).unwrap();
        assert_eq!(said(&restored), said(&mirrored(&log)), "{count}");
        let mut longer = log.clone();
        longer.push(&issue("user-0", 0, 9).encode());
        longer.push(&issue("user-1", 77, 9).encode());
        let rest = &longer.entries[log.entries.len()..];
        let extended = restored.extend(rest, &longer.signed()).unwrap();
        assert_eq!(extended.findings.len(), 1, "a second key is seen by what came back");
        assert_eq!(said(&restored), said(&mirrored(&longer)));
        let read = |index| longer.entries.get(usize::try_from(index).unwrap()).cloned();
        let size = u64::try_from(log.entries.len()).unwrap();
        assert_eq!(restored.root_at(size, read), mirrored(&log).head().map(|head| head.root));
    }
}

#[test]
fn a_mirror_without_a_head_has_no_checkpoint_nor_one_whose_store_is_damaged() {
    assert_eq!(Mirror::new(&keys()).checkpoint(|_| None), None);
    let log = Log::of(&entries(4));
    assert_eq!(mirrored(&log).checkpoint(|_| None), None);
    assert_eq!(mirrored(&log).checkpoint(|_| Some(vec![1])), None);
}

#[test]
fn checkpoints_are_due_rarely() {
    let mut log = Log::default();
    let mut mirror = Mirror::new(&keys());
    let (mut made, mut bytes) = (0, 0);
    for page in 0..40_u64 {
        for n in 0..512_u64 {
            log.push(&(page << 32 | n).to_be_bytes());
        }
        let from = usize::try_from(mirror.size()).unwrap();
        let _ = mirror.extend(&log.entries[from..], &log.signed()).unwrap();
        if mirror.checkpoint_due() {
            made += 1;
            bytes += mirror.checkpoint(|_| None).unwrap().len();
            assert!(!mirror.checkpoint_due());
        }
    }
    assert!((8..=20).contains(&made), "{made}");
    assert!(bytes < 10 * mirror.checkpoint(|_| None).unwrap().len());
}

#[test]
fn every_changed_byte_of_a_checkpoint_is_refused_or_changes_no_hash() {
    let log = Log::of(&entries(30));
    let good = stored(&log);
    let head = mirrored(&log).head().copied();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        // The keys are believed from the device's own store; the log they came from is not.
        if let Ok(mirror) = Mirror::restore(&keys(), &changed) {
            assert_eq!(mirror.head().copied(), head, "byte {at}");
        }
    }
    for end in 0..good.len() {
        assert!(Mirror::restore(&keys(), &good[..end]).is_err(), "{end}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(matches!(Mirror::restore(&keys(), &longer), Err(CheckpointFault::Decode(_))));
    let newer = [&[2], &good[1..]].concat();
    assert_eq!(Mirror::restore(&keys(), &newer).unwrap_err(), CheckpointFault::Version);
}

/// A checkpoint by hand: head, blocks, leaves, then (key, owner, since, end, revoked).
fn forged(head: &Head, leaves: &[Digest], lines: &[(u8, &str, u64, Option<u64>)]) -> Vec<u8> {
    let lines: Vec<_> = lines
        .iter()
        .map(|(key, owner, since, revoked)| (fpr(*key), name(owner), *since, 1_u64, *revoked))
        .collect();
    let blob = openchat_wire::Blob(head.sign(&key(10)));
    let none: [u8; 2] = [0, 0];
    encode(&(1_u8, blob, Vec::<Digest>::new(), leaves, lines, none))
}

#[test]
fn a_checkpoint_that_contradicts_itself_is_refused() {
    let bytes = b"leaf";
    let leaf = openchat_crypto::sha256(&[&[0], &bytes[..]].concat());
    let mut log = Log::default();
    log.push(bytes);
    let head = log.head_at(1);
    let restore = |head, leaves: &[Digest], lines: &[(u8, &str, u64, Option<u64>)]| {
        Mirror::restore(&keys(), &forged(head, leaves, lines)).err()
    };
    assert_eq!(restore(&head, &[leaf], &[]), None, "the base of the attacks is good");
    assert_eq!(restore(&head, &[leaf], &[(1, "bob", 0, Some(1)), (2, "bob", 0, None)]), None);
    for leaves in [&[][..], &[Digest([1; 32])], &[leaf; 2], &[leaf; 33]] {
        let refused = restore(&head, leaves, &[]);
        let expected = [CheckpointFault::OtherHead, CheckpointFault::Inconsistent];
        assert!(refused.is_some_and(|why| expected.contains(&why)), "{refused:?}");
    }
    for lines in [
        &[(2, "bob", 0, None), (1, "carol", 0, None)][..],
        &[(1, "bob", 0, None), (1, "bob", 0, None)],
        &[(1, "bob", 0, None), (2, "bob", 0, None)],
        &[(1, "bob", 1, None)],
        &[(1, "bob", 0, Some(2))],
    ] {
        let refused = restore(&head, &[leaf], lines);
        assert_eq!(refused, Some(CheckpointFault::Inconsistent), "{lines:?}");
    }
    let other = ServerKeys::new(*key(12).public(), *key(11).public());
    let good = forged(&head, &[leaf], &[]);
    assert!(matches!(Mirror::restore(&other, &good), Err(CheckpointFault::Head(_))));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_restoring_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(Mirror::restore(&keys(), &bytes).is_err());
        let versioned = [&[1][..], &bytes].concat();
        proptest::prop_assert!(Mirror::restore(&keys(), &versioned).is_err());
    }
}
