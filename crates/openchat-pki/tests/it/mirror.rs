//! The mirror against a server that changes, hides, takes back and certifies what it should not.

use crate::support::{key, name};
use core::time::Duration;
use openchat_pki::{
    Entry, Extended, Head, HeadError, Inclusion, Irregularity, MAX_LOGGED, MerkleLog, Mirror,
    MirrorFault, Rollback, Serial, ServerKeys, SignedError,
};
use openchat_wire::{Digest, Fingerprint, GroupId, Name, UnixMillis, decode};

/// A server's log, with its key: what it signs is what the tests make it sign.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Vec<u8>>,
    tree: MerkleLog,
}

pub(crate) fn keys() -> ServerKeys {
    ServerKeys::new(*key(10).public(), *key(11).public())
}

impl Log {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut log = Self::default();
        for entry in entries {
            log.push(&entry.encode());
        }
        log
    }

    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.tree.push(entry);
        self.entries.push(entry.to_vec());
    }

    pub(crate) fn head_at(&self, time: u64) -> Head {
        self.tree.head(keys().log_id, UnixMillis(time))
    }

    pub(crate) fn signed(&self) -> Vec<u8> {
        self.head_at(self.tree.size()).sign(&key(10))
    }
}

pub(crate) fn fpr(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

pub(crate) fn serial(number: u8) -> Serial {
    decode(&[number; 16], 16).unwrap()
}

pub(crate) fn issue(who: &str, key: u8, number: u8) -> Entry {
    Entry::Issue {
        name: name(who),
        fingerprint: fpr(key),
        serial: serial(number),
        not_after: UnixMillis(u64::from(number)),
    }
}

pub(crate) fn revoke(who: &str, key: u8) -> Entry {
    Entry::Revoke { name: name(who), fingerprint: fpr(key) }
}

fn open(text: &str, group: u8) -> Entry {
    Entry::GroupName { name: text.parse().unwrap(), group: GroupId([group; 32]) }
}

fn follow(mirror: &mut Mirror, log: &Log) -> Result<Extended, MirrorFault> {
    let from = usize::try_from(mirror.size()).unwrap();
    mirror.extend(&log.entries[from.min(log.entries.len())..], &log.signed())
}

/// The mirror of a log, and what it found.
pub(crate) fn mirrored(entries: &[Entry]) -> (Mirror, Vec<(u64, Irregularity)>) {
    let mut mirror = Mirror::new(&keys());
    let extended = follow(&mut mirror, &Log::of(entries)).unwrap();
    let findings = extended.findings.into_iter().map(|it| (it.index, it.what)).collect();
    (mirror, findings)
}

fn some() -> Vec<Entry> {
    vec![issue("alice", 1, 1), issue("bob", 2, 2), open("general", 5), issue("alice", 1, 3)]
}

fn holder(mirror: &Mirror, who: &str) -> Option<Fingerprint> {
    mirror.certified(&name(who)).map(|standing| standing.fingerprint)
}

#[test]
fn a_mirror_knows_who_has_which_key() {
    let (mirror, findings) = mirrored(&some());
    assert_eq!(findings, []);
    let alice = mirror.certified(&name("alice")).unwrap();
    assert_eq!((alice.fingerprint, alice.since, alice.not_after), (fpr(1), 0, UnixMillis(3)));
    assert_eq!(mirror.name_of(&fpr(2)), Some(name("bob")));
    assert_eq!(mirror.group(&"general".parse().unwrap()), Some(GroupId([5; 32])));
    assert_eq!(holder(&mirror, "carol"), None);
    assert_eq!(mirror.name_of(&fpr(9)), None);
    assert!(!mirror.is_revoked(&fpr(1)) && mirror.former_keys(&name("alice")).is_empty());
    let people: Vec<(Name, Fingerprint)> = mirror.people().collect();
    assert_eq!(people, [(name("alice"), fpr(1)), (name("bob"), fpr(2))]);
    assert_eq!(mirror.head().unwrap().size, 4);
}

#[test]
fn a_reset_is_a_revocation_and_then_another_key() {
    let log = [issue("alice", 1, 1), revoke("alice", 1), issue("alice", 7, 2)];
    let (mirror, findings) = mirrored(&log);
    assert_eq!(findings, []);
    assert_eq!(holder(&mirror, "alice"), Some(fpr(7)));
    assert_eq!(mirror.former_keys(&name("alice")), [fpr(1)]);
    assert_eq!(mirror.revoked(&fpr(1)), Some(1));
    assert_eq!(mirror.name_of(&fpr(1)), Some(name("alice")), "for ever");
    let (between, _) = mirrored(&log[..2]);
    assert_eq!(holder(&between, "alice"), None);
}

#[test]
fn t4_a_second_key_of_a_name_is_void_and_seen() {
    let (mirror, findings) = mirrored(&[issue("alice", 1, 1), issue("alice", 9, 2)]);
    let second = Irregularity::SecondKey { name: name("alice"), current: fpr(1), void: fpr(9) };
    assert_eq!(findings, [(1, second)]);
    assert_eq!(holder(&mirror, "alice"), Some(fpr(1)));
    assert_eq!(mirror.name_of(&fpr(9)), None, "a void key has no name");
}

#[test]
fn t5_a_second_name_of_a_key_is_void_and_seen_even_after_its_revocation() {
    let void = |index| {
        let [owner, void] = ["alice", "bob"].map(name);
        (index, Irregularity::SecondName { fingerprint: fpr(1), owner, void })
    };
    let (mirror, findings) = mirrored(&[issue("alice", 1, 1), issue("bob", 1, 2)]);
    assert_eq!(findings, [void(1)]);
    assert_eq!((holder(&mirror, "alice"), holder(&mirror, "bob")), (Some(fpr(1)), None));
    let (mirror, findings) =
        mirrored(&[issue("alice", 1, 1), revoke("alice", 1), issue("bob", 1, 2)]);
    assert_eq!(findings, [void(2)]);
    assert_eq!(mirror.name_of(&fpr(1)), Some(name("alice")));
}

#[test]
fn t6_a_revoked_key_stays_revoked() {
    let (mirror, findings) = mirrored(&[
        issue("alice", 1, 1),
        revoke("alice", 1),
        issue("alice", 1, 2),
        revoke("alice", 1),
    ]);
    let (name, fingerprint) = (name("alice"), fpr(1));
    let revived = Irregularity::Revived { name: name.clone(), fingerprint };
    let again = Irregularity::RevokedAgain { name, fingerprint };
    assert_eq!(findings, [(2, revived), (3, again)]);
    assert_eq!(holder(&mirror, "alice"), None);
    assert_eq!(mirror.revoked(&fpr(1)), Some(1), "where it was revoked first");
}

#[test]
fn a_revocation_counts_whatever_name_it_gives() {
    let (mirror, findings) = mirrored(&[
        issue("alice", 1, 1),
        revoke("bob", 1),
        revoke("carol", 3),
        issue("carol", 3, 4),
    ]);
    let as_other = Irregularity::RevokedAsOther {
        fingerprint: fpr(1),
        owner: name("alice"),
        named: name("bob"),
    };
    let unknown = Irregularity::RevokedUnknown { name: name("carol"), fingerprint: fpr(3) };
    let revived = Irregularity::Revived { name: name("carol"), fingerprint: fpr(3) };
    assert_eq!(findings, [(1, as_other), (2, unknown), (3, revived)]);
    assert!(mirror.is_revoked(&fpr(1)) && mirror.is_revoked(&fpr(3)));
    assert_eq!((holder(&mirror, "alice"), holder(&mirror, "carol")), (None, None));
}

#[test]
fn an_open_name_has_its_first_group_for_ever() {
    let (mirror, findings) =
        mirrored(&[open("general", 5), open("general", 6), open("general", 5)]);
    let [group, void] = [5, 6].map(|group| GroupId([group; 32]));
    let second = Irregularity::SecondGroup { name: "general".parse().unwrap(), group, void };
    assert_eq!(findings, [(1, second)]);
    assert_eq!(mirror.group(&"general".parse().unwrap()), Some(group));
}

#[test]
fn t3_what_it_can_not_read_is_hashed_and_told_and_stops_nothing() {
    let mut log = Log::of(&some());
    log.push(&[0x60, 1, 2, 3]);
    log.push(b"");
    log.push(&[&issue("carol", 3, 3).encode()[..], &[0]].concat());
    // Names with capitals, zero bytes, dots, a wildcard, or letters that look like others.
    for bad in ["Bob", "b\0b", "bob.", "*", "b\u{43e}b", ""] {
        let length = u8::try_from(bad.len()).unwrap();
        let tail = &issue("bob", 3, 3).encode()[5..];
        log.push(&[&[0, length], bad.as_bytes(), tail].concat());
    }
    log.push(&issue("dave", 4, 4).encode());
    let mut mirror = Mirror::new(&keys());
    let findings = follow(&mut mirror, &log).unwrap().findings;
    assert_eq!(findings[0].what, Irregularity::Unknown { kind: 0x60 });
    assert_eq!(findings.len(), 9);
    assert!(findings[1..].iter().all(|finding| finding.what == Irregularity::Malformed));
    assert_eq!(holder(&mirror, "dave"), Some(fpr(4)));
    assert_eq!(mirror.people().count(), 3);
}

#[test]
fn t2_entries_that_the_head_does_not_cover_change_nothing() {
    let log = Log::of(&some());
    let mut base = Mirror::new(&keys());
    let _ = base.extend(&log.entries[..1], &Log::of(&some()[..1]).signed()).unwrap();
    let rest = &log.entries[1..];
    let attempts: [(&str, Vec<Vec<u8>>); 6] = [
        ("edited", vec![rest[0].clone(), rest[1].clone(), issue("alice", 1, 4).encode()]),
        ("reordered", vec![rest[1].clone(), rest[0].clone(), rest[2].clone()]),
        ("inserted", vec![revoke("bob", 2).encode(), rest[0].clone(), rest[1].clone()]),
        ("replaced", vec![rest[0].clone(), rest[0].clone(), rest[2].clone()]),
        (
            "a node for a leaf",
            vec![[rest[0].clone(), rest[1].clone()].concat(), rest[2].clone(), vec![]],
        ),
        ("an empty one", vec![vec![], rest[1].clone(), rest[2].clone()]),
    ];
    for (what, entries) in attempts {
        let mut mirror = base.clone();
        let refused = mirror.extend(&entries, &log.signed());
        assert_eq!(refused, Err(MirrorFault::OtherEntries), "{what}");
        assert_eq!(mirror.head(), base.head(), "{what}");
        assert_eq!((mirror.size(), holder(&mirror, "bob")), (1, None), "{what}");
        let _ = follow(&mut mirror, &log).unwrap();
        assert_eq!(holder(&mirror, "bob"), Some(fpr(2)), "the true ones are still taken");
    }
    let removed = [rest[0].clone(), rest[2].clone()];
    assert_eq!(base.extend(&removed, &log.signed()), Err(MirrorFault::Missing));
    let overlong = [vec![9; MAX_LOGGED + 1], rest[1].clone(), rest[2].clone()];
    assert_eq!(base.extend(&overlong, &log.signed()), Err(MirrorFault::TooLong));
}

#[test]
fn entries_beyond_the_head_wait_for_the_next() {
    let log = Log::of(&some());
    let mut mirror = Mirror::new(&keys());
    let early = Log::of(&some()[..3]).signed();
    assert_eq!(mirror.extend(&log.entries, &early).unwrap().taken, 3);
    assert_eq!(mirror.size(), 3);
    assert_eq!(follow(&mut mirror, &log).unwrap().taken, 1);
}

#[test]
fn t1_a_log_that_goes_back_or_has_two_histories_is_refused() {
    let log = Log::of(&some());
    let (base, _) = mirrored(&some());
    let yesterday = Log::of(&some()[..2]);
    let two = Log::of(&[&some()[..3], &[revoke("bob", 2)]].concat());
    for (head, why) in [(yesterday.signed(), Rollback::Shrunk), (two.signed(), Rollback::OtherRoot)]
    {
        let mut mirror = base.clone();
        let refused = mirror.extend::<Vec<u8>>(&[], &head);
        assert_eq!(refused, Err(MirrorFault::TakenBack(why)));
        assert_eq!(mirror.signed_head(), Some(&log.signed()[..]), "what was held is evidence");
    }
    // A split view at a larger size: the entries after the split fit no root that this log has.
    let mut longer = two;
    longer.push(&issue("mallory", 6, 6).encode());
    let mut mirror = base;
    assert_eq!(follow(&mut mirror, &longer), Err(MirrorFault::OtherEntries));
}

#[test]
fn heads_of_others_are_refused() {
    let log = Log::of(&some());
    let mut mirror = Mirror::new(&keys());
    let mut refused = |head: Vec<u8>| mirror.extend(&log.entries, &head).unwrap_err();
    let by_other = log.head_at(1).sign(&key(7));
    assert_eq!(refused(by_other), MirrorFault::Head(HeadError::Signed(SignedError::Signer)));
    let of_other = Head { log_id: Digest([1; 32]), ..log.head_at(1) }.sign(&key(10));
    assert_eq!(refused(of_other), MirrorFault::Head(HeadError::OtherLog));
    let contradictory = Head { size: 0, ..log.head_at(1) }.sign(&key(10));
    assert_eq!(refused(contradictory), MirrorFault::Head(HeadError::Empty));
    for size in [5, 1 << 41, u64::MAX] {
        let absurd = Head { size, ..log.head_at(1) }.sign(&key(10));
        assert_eq!(refused(absurd), MirrorFault::Missing, "{size}");
    }
    let shorter = Head { size: 3, ..log.head_at(1) }.sign(&key(10));
    assert_eq!(refused(shorter), MirrorFault::OtherEntries);
    assert!(matches!(refused(vec![0; 99]), MirrorFault::Head(HeadError::Signed(_))));
    assert!(mirror.head().is_none() && mirror.signed_head().is_none());
}

#[test]
fn the_age_of_a_head_shows_a_log_that_stands_still() {
    let log = Log::of(&some());
    let mut mirror = Mirror::new(&keys());
    let at = |time| log.head_at(time).sign(&key(10));
    let _ = mirror.extend(&log.entries, &at(10_000)).unwrap();
    let age = |mirror: &Mirror, now| mirror.head().unwrap().age(UnixMillis(now));
    let year = 365 * 24 * 3_600 * 1_000;
    assert_eq!(age(&mirror, 10_000 + year), Duration::from_millis(year));
    assert_eq!(age(&mirror, 0), Duration::ZERO, "a clock that is slow makes nothing old");
    let _ = mirror.extend::<Vec<u8>>(&[], &at(20_000)).unwrap();
    assert_eq!(age(&mirror, 20_000), Duration::ZERO);
    // An old head shown again takes nothing back, and makes nothing look fresh.
    let _ = mirror.extend::<Vec<u8>>(&[], &at(10_000)).unwrap();
    assert_eq!(age(&mirror, 20_000), Duration::from_secs(10));
}

#[test]
fn a_revocation_is_proved_to_the_head_that_a_commit_names() {
    let mut entries = some();
    entries.push(revoke("bob", 2));
    for number in 20..120 {
        entries.push(issue(&format!("user-{number}"), number, number & 0x3f | 0x40));
    }
    let log = Log::of(&entries);
    let (mirror, _) = mirrored(&entries);
    let read = |index: u64| log.entries.get(usize::try_from(index).unwrap()).cloned();
    let index = mirror.revoked(&fpr(2)).unwrap();
    for size in 5..=105 {
        let root = Log::of(&entries[..size]).head_at(0).root;
        let size = u64::try_from(size).unwrap();
        let proof = mirror.prove(index, size, read).unwrap();
        assert!(proof.verify(&revoke("bob", 2).encode(), size, &root), "{size}");
        assert!(!proof.verify(&revoke("bob", 3).encode(), size, &root));
        let mut longer = proof.clone();
        longer.path.push(Digest([0; 32]));
        assert!(!longer.verify(&revoke("bob", 2).encode(), size, &root));
        let cut = Inclusion { path: proof.path[1..].to_vec(), ..proof };
        assert!(!cut.verify(&revoke("bob", 2).encode(), size, &root));
        assert_eq!(mirror.root_at(size, read), Some(root));
    }
    assert_eq!(mirror.prove(index, 4, read), None, "not yet in that log");
    assert_eq!(mirror.prove(index, 106, read), None, "not mirrored so far");
    assert_eq!(mirror.root_at(106, read), None);
    assert_eq!(mirror.prove(index, 105, |_| None), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// However a log is cut into pages, its mirror is the same, and so is what it found.
    #[test]
    fn pages_do_not_matter(
        steps in proptest::collection::vec((0..4_u8, 0..6_u8, 0..6_u8), 0..80),
        cuts in proptest::collection::vec(1..30_usize, 1..40),
    ) {
        let entry = |(kind, who, key): (u8, u8, u8)| match kind {
            0 => revoke(&format!("user-{who}"), key),
            1 => open(&format!("open-{who}"), key),
            _ => issue(&format!("user-{who}"), key, 0x41),
        };
        let entries: Vec<Entry> = steps.into_iter().map(entry).collect();
        let (whole, all) = mirrored(&entries);
        let (mut mirror, mut found, mut upto) = (Mirror::new(&keys()), Vec::new(), 0);
        for cut in cuts.into_iter().chain([80]) {
            upto = entries.len().min(upto + cut);
            let extended = follow(&mut mirror, &Log::of(&entries[..upto])).unwrap();
            found.extend(extended.findings.into_iter().map(|it| (it.index, it.what)));
        }
        proptest::prop_assert_eq!(found, all);
        proptest::prop_assert_eq!(mirror.people().collect::<Vec<_>>(), whole.people().collect::<Vec<_>>());
        // One name has one key, and one key one name.
        for (who, key) in whole.people() {
            proptest::prop_assert_eq!(whole.name_of(&key), Some(who));
            proptest::prop_assert!(!whole.is_revoked(&key));
        }
    }

    #[test]
    fn no_bytes_make_the_mirror_panic(entries: Vec<Vec<u8>>, head: Vec<u8>) {
        let mut mirror = Mirror::new(&keys());
        proptest::prop_assert!(mirror.extend(&entries, &head).is_err());
        let mut log = Log::default();
        for entry in &entries {
            log.push(entry);
        }
        drop(follow(&mut mirror, &log));
    }
}
