//! The transparency log against RFC 6962 and against a server that takes things back.

use crate::support::{bob, ca, key, name};
use openchat_crypto::sha256;
use openchat_pki::{
    Entry, Head, HeadError, Inclusion, MerkleLog, Rollback, SignedError, UnverifiedHead,
};
use openchat_wire::{DecodeError, Digest, GroupId, UnixMillis};

/// The eight leaves of Certificate Transparency's own test vectors.
const LEAVES: [&[u8]; 8] = [
    &[],
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[
        0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e,
        0x6f,
    ],
];

/// The root over the first n of them, n from 0.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const LOG: Digest = Digest([9; 32]);

fn head(size: usize, time: u64) -> Head {
    MerkleLog::from_iter(&LEAVES[..size]).head(LOG, UnixMillis(time))
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let mut log = MerkleLog::new();
    assert_eq!(log.root().to_string(), ROOTS[0]);
    assert_eq!(MerkleLog::root_of_empty().to_string(), ROOTS[0]);
    for (index, leaf) in LEAVES.iter().enumerate() {
        assert_eq!(log.push(leaf), u64::try_from(index).unwrap());
        assert_eq!(log.size(), u64::try_from(index + 1).unwrap());
        assert_eq!(log.root().to_string(), ROOTS[index + 1]);
    }
}

/// RFC 6962 §2.1, as it is written there.
fn tree_hash(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0x00], leaf.as_slice()].concat()),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let (left, right) = (tree_hash(left), tree_hash(right));
            sha256(&[&[0x01], left.as_bytes().as_slice(), right.as_bytes()].concat())
        }
    }
}

proptest::proptest! {
    #[test]
    fn roots_are_the_rfcs(leaves in proptest::collection::vec(proptest::prelude::any::<Vec<u8>>(), 0..70)) {
        proptest::prop_assert_eq!(MerkleLog::from_iter(&leaves).root(), tree_hash(&leaves));
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
        if let Ok(head) = UnverifiedHead::decode(&bytes) {
            proptest::prop_assert!(head.verify(key(10).public(), &LOG).is_err());
        }
        if let Ok(entry) = Entry::decode(&bytes) {
            proptest::prop_assert_eq!(entry.encode(), bytes);
        }
    }
}

#[test]
fn entries_have_their_documented_layout() {
    let certificate = ca().verify_member(&bob()).unwrap();
    let issue = Entry::issue(&certificate);
    let expected = [
        &[0, 3][..],
        b"bob",
        key(3).fingerprint().as_bytes(),
        certificate.serial().as_bytes(),
        // 1_790_640_000_000 ms, 2026-09-29, in LEB128
        &[0x80, 0x98, 0xd8, 0xd3, 0x8e, 0x34],
    ]
    .concat();
    assert_eq!(issue.encode(), expected);
    let named = Entry::GroupName { name: "general".parse().unwrap(), group: GroupId([5; 32]) };
    assert_eq!(named.encode(), [&[1, 7][..], b"general", &[5; 32]].concat());
    for entry in [issue, named] {
        assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    }
}

#[test]
fn the_longest_entry_fits() {
    let Entry::Issue { fingerprint, serial, .. } =
        Entry::issue(&ca().verify_member(&bob()).unwrap())
    else {
        unreachable!("an issue");
    };
    let longest = Entry::Issue {
        name: name(&"a".repeat(32)),
        fingerprint,
        serial,
        not_after: UnixMillis(u64::MAX),
    };
    assert_eq!(longest.encode().len(), 92);
    assert_eq!(Entry::decode(&longest.encode()), Ok(longest));
}

#[test]
fn other_bytes_are_no_entries() {
    let bytes = Entry::issue(&ca().verify_member(&bob()).unwrap()).encode();
    for end in 0..bytes.len() {
        assert_eq!(Entry::decode(&bytes[..end]), Err(DecodeError::Malformed), "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Entry::decode(&longer), Err(DecodeError::NotCanonical));
    let unknown_kind = [&[5], &bytes[1..]].concat();
    assert_eq!(Entry::decode(&unknown_kind), Err(DecodeError::Malformed));
    let no_name = [&[0, 3][..], b"Bob", &bytes[5..]].concat();
    assert_eq!(Entry::decode(&no_name), Err(DecodeError::Malformed));
    assert!(matches!(Entry::decode(&[0; 1000]), Err(DecodeError::TooLong { .. })));
}

#[test]
fn a_head_is_believed_from_its_log_alone() {
    let key = key(10);
    let bytes = head(3, 7).sign(&key);
    let unverified = || UnverifiedHead::decode(&bytes).unwrap();
    assert_eq!(unverified().verify(key.public(), &LOG), Ok(head(3, 7)));
    let other_key = unverified().verify(crate::support::key(7).public(), &LOG);
    assert_eq!(other_key, Err(HeadError::Signed(SignedError::Signer)));
    let other_log = unverified().verify(key.public(), &Digest([8; 32]));
    assert_eq!(other_log, Err(HeadError::OtherLog));
}

#[test]
fn every_changed_byte_of_a_head_is_refused() {
    let key = key(10);
    let bytes = head(3, 7).sign(&key);
    let verdict = |bytes: &[u8]| UnverifiedHead::decode(bytes)?.verify(key.public(), &LOG);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(verdict(&changed).is_err(), "byte {at}");
    }
    for end in 0..bytes.len() {
        assert!(verdict(&bytes[..end]).is_err(), "{end}");
    }
    assert!(verdict(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_head_that_contradicts_itself_is_refused() {
    let key = key(10);
    let verdict =
        |head: Head| UnverifiedHead::decode(&head.sign(&key)).unwrap().verify(key.public(), &LOG);
    assert_eq!(verdict(head(0, 1)), Ok(head(0, 1)));
    assert_eq!(verdict(Head { size: 0, ..head(1, 1) }), Err(HeadError::Empty));
    assert_eq!(verdict(Head { size: 1, ..head(0, 1) }), Err(HeadError::Empty));
}

#[test]
fn t1_a_log_that_is_taken_back_is_seen() {
    let first = head(3, 10);
    assert_eq!(head(3, 10).follows(&first), Ok(()));
    assert_eq!(head(3, 11).follows(&first), Ok(()));
    assert_eq!(head(5, 10).follows(&first), Ok(()));
    assert_eq!(head(2, 11).follows(&first), Err(Rollback::Shrunk));
    let two_histories = Head { root: Digest([1; 32]), ..head(3, 11) };
    assert_eq!(two_histories.follows(&first), Err(Rollback::OtherRoot));
    assert_eq!(head(3, 9).follows(&first), Err(Rollback::Time));
    assert_eq!(head(5, 9).follows(&first), Err(Rollback::Time));
    let other = Head { log_id: Digest([1; 32]), ..head(5, 11) };
    assert_eq!(other.follows(&first), Err(Rollback::OtherLog));
}

#[test]
fn every_entry_is_proved_at_its_place_and_nowhere_else() {
    for size in 1..=LEAVES.len() {
        let log = MerkleLog::from_iter(&LEAVES[..size]);
        let total = u64::try_from(size).unwrap();
        for (index, leaf) in (0..).zip(&LEAVES[..size]) {
            let proof = log.prove(index).unwrap();
            assert!(proof.verify(leaf, total, &log.root()), "{index} of {size}");
            assert!(!proof.verify(b"another", total, &log.root()));
            assert!(!proof.verify(leaf, total, &Digest([1; 32])));
            let elsewhere = Inclusion { index: index ^ 1, ..proof.clone() };
            assert!(!elsewhere.verify(leaf, total, &log.root()), "{index} of {size} elsewhere");
            let longer = [proof.path.clone(), vec![Digest([0; 32])]].concat();
            assert!(!Inclusion { path: longer, ..proof.clone() }.verify(leaf, total, &log.root()));
        }
        assert_eq!(log.prove(total), None);
    }
}

#[test]
fn absurd_sizes_and_indices_are_refused() {
    let proof = MerkleLog::from_iter(&LEAVES[..1]).prove(0).unwrap();
    let root = MerkleLog::from_iter(&LEAVES[..1]).root();
    for size in [0, 1 << 41, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        for index in [0, 1, size / 2, size.saturating_sub(1), u64::MAX] {
            assert!(!Inclusion { index, ..proof.clone() }.verify(LEAVES[0], size, &root));
        }
    }
}
