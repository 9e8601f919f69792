//! T9: evidence that holds, and accusations that do not.

use crate::{
    mirror::{Log, issue, keys, revoke},
    support::{ca, ca_key, key},
};
use openchat_pki::{
    CaError, Contradiction, Deceit, Entry, Evidence, EvidenceError, FileError, HeadError, Mirror,
    Origin, OriginError, SignedError, sign_receipt,
};
use openchat_wire::{Blob, Digest, Epoch, GroupId, Seq, relay::Receipt};

pub(crate) fn origin() -> Origin {
    Origin::new(&ca(), &keys().sign(&ca_key()))
}

fn judge(contradiction: Contradiction) -> Result<Deceit, EvidenceError> {
    let file = Evidence::new(origin(), contradiction).encode();
    let verdict = Evidence::decode(&file)?.verify(Some(&ca().pin()))?;
    assert_eq!(verdict.pin, ca().pin());
    Ok(verdict.what)
}

fn log(last: Entry) -> Log {
    let mut entries: Vec<Entry> = (0..40).map(|n| issue(&format!("user-{n}"), n, n)).collect();
    entries.push(last);
    Log::of(&entries)
}

fn heads(one: &Log, other: &Log) -> Contradiction {
    Contradiction::Heads { one: Blob(one.signed()), other: Blob(other.signed()) }
}

#[test]
fn t9_two_heads_of_one_size_prove_two_logs() {
    let (one, other) = (log(revoke("user-1", 1)), log(revoke("user-2", 2)));
    let Deceit::TwoLogs { one: a, other: b } = judge(heads(&one, &other)).unwrap() else {
        panic!()
    };
    assert_eq!((a.size, b.size), (41, 41));
    assert_ne!(a.root, b.root);
}

/// What the side that was shown the longer log makes of the head that the other side was shown.
fn parted(smaller: &Log, larger: &Log) -> Contradiction {
    let mut mirror = Mirror::new(&keys());
    let _ = mirror.extend(&larger.entries, &larger.signed()).unwrap();
    let read = |index| larger.entries.get(usize::try_from(index).unwrap()).cloned();
    let size = u64::try_from(smaller.entries.len()).unwrap();
    Contradiction::Parted {
        smaller: Blob(smaller.signed()),
        larger: Blob(larger.signed()),
        root: mirror.root_at(size, read).unwrap(),
        consistency: mirror.prove_consistency(size, mirror.size(), read).unwrap(),
    }
}

#[test]
fn t9_heads_of_different_sizes_prove_two_logs_by_the_larger_ones_own_hashes() {
    let one = log(revoke("user-1", 1));
    for more in [1, 2, 23, 24, 60] {
        let mut other = log(revoke("user-2", 2));
        (0..more).for_each(|n: u8| other.push(&[n; 9]));
        assert!(matches!(judge(parted(&one, &other)), Ok(Deceit::TwoLogs { .. })), "{more}");
        let mut honest = one.clone();
        (0..more).for_each(|n: u8| honest.push(&[n; 9]));
        let nothing = judge(parted(&one, &honest));
        assert_eq!(nothing, Err(EvidenceError::NoContradiction), "a log that only grew");
        // To slander the honest log, one would have to find its prefix with another root.
        let Contradiction::Parted { smaller, larger, consistency, .. } = parted(&one, &honest)
        else {
            panic!()
        };
        let root = other.head_at(0).root;
        let slander = Contradiction::Parted { smaller, larger, root, consistency };
        assert_eq!(judge(slander), Err(EvidenceError::Consistency));
    }
}

#[test]
fn t9_what_can_both_be_true_is_no_evidence() {
    let one = log(revoke("user-1", 1));
    assert_eq!(judge(heads(&one, &one)), Err(EvidenceError::NoContradiction));
    let mut longer = one.clone();
    longer.push(b"more");
    assert_eq!(judge(heads(&one, &longer)), Err(EvidenceError::NoContradiction));
    let Contradiction::Parted { smaller, larger, root, consistency } = parted(&one, &longer) else {
        panic!()
    };
    let swapped = Contradiction::Parted { smaller: larger, larger: smaller, root, consistency };
    assert_eq!(judge(swapped), Err(EvidenceError::NoContradiction));
}

#[test]
fn t9_what_the_server_did_not_sign_is_no_evidence() {
    let one = log(revoke("user-1", 1));
    let by_other = one.head_at(3).sign(&key(7));
    let heads = Contradiction::Heads { one: Blob(one.signed()), other: Blob(by_other) };
    let refused = Err(EvidenceError::Head(HeadError::Signed(SignedError::Signer)));
    assert_eq!(judge(heads), refused);
    let receipts = Contradiction::Receipts {
        one: sign_receipt(&receipt(), &key(11)),
        other: sign_receipt(&Receipt { log_hash: Digest([9; 32]), ..receipt() }, &key(10)),
    };
    assert_eq!(judge(receipts), Err(EvidenceError::Receipt(SignedError::Signer)));
}

#[test]
fn t9_evidence_is_of_the_pinned_servers() {
    let (one, other) = (log(revoke("user-1", 1)), log(revoke("user-2", 2)));
    let evidence = Evidence::new(origin(), heads(&one, &other));
    let other_pin = evidence.verify(Some(&Digest([1; 32])));
    assert_eq!(other_pin, Err(EvidenceError::Origin(OriginError::Ca(CaError::Pin))));
    assert_eq!(evidence.verify(None).unwrap().pin, ca().pin(), "for the reader to compare");
    // Keys that this CA did not state: somebody made a server that lies.
    let strange = Origin::new(&ca(), &keys().sign(&key(7)));
    let refused = Evidence::new(strange, heads(&one, &other)).verify(None);
    assert_eq!(refused, Err(EvidenceError::Origin(OriginError::Keys(SignedError::Signer))));
}

fn receipt() -> Receipt {
    Receipt {
        group: GroupId([1; 32]),
        seq: Seq(30),
        log_hash: Digest([2; 32]),
        epoch: Epoch(4),
        interim: Digest([3; 32]),
    }
}

fn both(one: Receipt, other: Receipt) -> Result<Deceit, EvidenceError> {
    let [one, other] = [one, other].map(|receipt| sign_receipt(&receipt, &key(11)));
    judge(Contradiction::Receipts { one, other })
}

#[test]
fn t9_two_receipts_prove_two_histories_of_a_group() {
    let other = Digest([9; 32]);
    let seq = |seq| Seq(seq);
    for contradictory in [
        Receipt { log_hash: other, ..receipt() },
        Receipt { interim: other, ..receipt() },
        Receipt { epoch: Epoch(5), ..receipt() },
        Receipt { seq: seq(31), interim: other, ..receipt() },
        Receipt { seq: seq(31), epoch: Epoch(3), ..receipt() },
        Receipt { seq: seq(29), epoch: Epoch(5), ..receipt() },
    ] {
        for (one, other) in [(receipt(), contradictory), (contradictory, receipt())] {
            assert_eq!(both(one, other), Ok(Deceit::TwoHistories { one, other }));
        }
    }
    for possible in [
        receipt(),
        Receipt { group: GroupId([2; 32]), log_hash: other, ..receipt() },
        Receipt { seq: seq(31), log_hash: other, ..receipt() },
        Receipt { seq: seq(31), log_hash: other, epoch: Epoch(5), interim: other, ..receipt() },
    ] {
        assert_eq!(both(receipt(), possible), Err(EvidenceError::NoContradiction));
    }
}

#[test]
fn every_changed_byte_of_evidence_is_refused() {
    let (one, other) = (log(revoke("user-1", 1)), log(revoke("user-2", 2)));
    let mut larger = other.clone();
    larger.push(b"more");
    for contradiction in [heads(&one, &other), parted(&one, &larger)] {
        let file = Evidence::new(origin(), contradiction).encode();
        let verdict = |file: &[u8]| Evidence::decode(file)?.verify(Some(&ca().pin()));
        assert!(verdict(&file).is_ok());
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(verdict(&changed).is_err(), "byte {at}");
        }
        for end in 0..file.len() {
            assert!(verdict(&file[..end]).is_err(), "{end}");
        }
        assert!(verdict(&[file.as_slice(), &[0]].concat()).is_err());
    }
    assert_eq!(Evidence::decode(b"openchat log 1\n"), Err(EvidenceError::File(FileError::Magic)));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let file = [b"openchat evidence 1\n", bytes.as_slice()].concat();
        if let Ok(evidence) = Evidence::decode(&file) {
            proptest::prop_assert!(evidence.verify(None).is_err());
        }
    }
}
