//! T10: a whole log as a file.

use crate::{
    evidence::origin,
    mirror::{Log, fpr, issue, revoke},
    support::{ca, key, name},
};
use openchat_pki::{
    Audit, CaError, ExportError, FileError, Irregularity, MirrorFault, OriginError, export,
};
use openchat_wire::Digest;

fn log() -> Log {
    Log::of(&[issue("alice", 1, 1), issue("bob", 2, 2), issue("alice", 9, 3), revoke("bob", 2)])
}

fn file_of(log: &Log, head: &[u8]) -> Vec<u8> {
    let entries = log.entries.iter().flat_map(|entry| export::exported(entry));
    export::opening(&origin(), head).into_iter().chain(entries).collect()
}

fn verify(file: &[u8]) -> Result<Audit, ExportError> {
    export::verify(file, Some(&ca().pin()))
}

#[test]
fn t10_a_log_is_checked_with_nothing_but_its_file() {
    let log = log();
    let file = file_of(&log, &log.signed());
    let audit = export::verify(&file, None).unwrap();
    assert_eq!(Ok(audit.clone()), verify(&file));
    assert_eq!(audit.pin, ca().pin());
    assert_eq!((audit.head.size, audit.head.root), (4, log.head_at(0).root));
    assert_eq!(audit.people, [(name("alice"), fpr(1))]);
    let second = Irregularity::SecondKey { name: name("alice"), current: fpr(1), void: fpr(9) };
    assert_eq!(audit.findings.len(), 1);
    assert_eq!((audit.findings[0].index, &audit.findings[0].what), (2, &second));
    let other_pin = export::verify(&file, Some(&Digest([1; 32])));
    assert_eq!(other_pin, Err(ExportError::Origin(OriginError::Ca(CaError::Pin))));
    let empty = Log::default();
    assert_eq!(verify(&file_of(&empty, &empty.signed())).unwrap().head.size, 0);
}

#[test]
fn t10_a_file_that_was_touched_is_refused() {
    let log = log();
    let file = file_of(&log, &log.signed());
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(verify(&changed).is_err(), "byte {at}");
    }
    for end in 0..file.len() {
        assert!(verify(&file[..end]).is_err(), "{end}");
    }
    let refused = |entries: &[usize]| {
        let mut other = log.clone();
        other.entries = entries.iter().map(|&at| log.entries[at].clone()).collect();
        verify(&file_of(&other, &log.signed())).unwrap_err()
    };
    assert_eq!(refused(&[1, 0, 2, 3]), ExportError::Log(MirrorFault::OtherEntries));
    assert_eq!(refused(&[0, 1, 3]), ExportError::Log(MirrorFault::Missing));
    assert_eq!(refused(&[0, 1, 2, 3, 3]), ExportError::Surplus);
    let by_other = log.head_at(1).sign(&key(7));
    assert!(matches!(
        verify(&file_of(&log, &by_other)),
        Err(ExportError::Log(MirrorFault::Head(_)))
    ));
    let overlong = [file.as_slice(), &[0, 0, 2, 1], &[7; 513]].concat();
    assert_eq!(verify(&overlong), Err(ExportError::Cut));
    let promise = [file.as_slice(), &[0xff; 4]].concat();
    assert_eq!(verify(&promise), Err(ExportError::Cut));
    assert_eq!(verify(b"openchat log 2\n"), Err(ExportError::File(FileError::Magic)));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let file = [b"openchat log 1\n", bytes.as_slice()].concat();
        proptest::prop_assert!(verify(&file).is_err());
        let framed = [b"openchat log 1\n", &export::exported(&bytes)[..]].concat();
        proptest::prop_assert!(verify(&framed).is_err());
    }
}
