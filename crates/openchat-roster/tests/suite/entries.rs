//! Entries of a log: versions, kinds, sizes.

use openchat_roster::{LogEntry, MessageEntry, MessageHeader, NoticeEntry};
use openchat_wire::{
    Blob, DecodeError, Epoch, Generation, MessageId, Slot, limits::MAX_COMMIT, limits::MAX_ENTRY,
};
use proptest::prelude::*;

use crate::scribe::{Act, Scribe};

fn message(token: usize) -> LogEntry {
    let header = MessageHeader {
        epoch: Epoch(1),
        confirmed: [0; 16],
        slot: Slot(0),
        generation: Generation(0),
        id: MessageId([0; 16]),
    };
    LogEntry::Message(MessageEntry { header, token: Blob(vec![0; token]) })
}

#[test]
fn the_largest_message_decodes_and_one_byte_more_does_not() {
    let overhead = message(MAX_ENTRY).to_bytes().len() - MAX_ENTRY;
    let largest = message(MAX_ENTRY - overhead);
    assert_eq!(largest.to_bytes().len(), MAX_ENTRY);
    assert_eq!(LogEntry::decode(&largest.to_bytes()), Ok(largest));
    let beyond = message(MAX_ENTRY - overhead + 1).to_bytes();
    let too_long = DecodeError::TooLong { len: MAX_ENTRY + 1, max: MAX_ENTRY };
    assert_eq!(LogEntry::decode(&beyond), Err(too_long));
}

#[test]
fn the_largest_commit_decodes_and_a_larger_one_does_not() {
    let mut scribe = Scribe::new(1, 0);
    let commit = scribe.make(0, Act::Update);
    let mut entry = scribe.signed(0, &commit);
    entry.commit = Blob(vec![0; MAX_COMMIT]);
    let largest = LogEntry::Commit(entry.clone());
    assert_eq!(LogEntry::decode(&largest.to_bytes()), Ok(largest));
    entry.commit = Blob(vec![0; MAX_COMMIT + 64]);
    let beyond = LogEntry::Commit(entry.clone());
    let decoded = LogEntry::decode(&beyond.to_bytes());
    assert!(matches!(decoded, Err(DecodeError::TooLong { .. })));
    // What the envelope lets through, the commit's own limit refuses.
    entry.commit = Blob(vec![0; MAX_COMMIT + 1]);
    let too_long = DecodeError::TooLong { len: MAX_COMMIT + 1, max: MAX_COMMIT };
    assert_eq!(entry.view(), Err(too_long));
}

#[test]
fn a_notice_is_bounded_too() {
    let mut scribe = Scribe::new(1, 0);
    let commit = scribe.make(0, Act::Update);
    let signature = scribe.signed(0, &commit).signature;
    let notice = NoticeEntry { notice: Blob(vec![0; MAX_ENTRY]), signature };
    let decoded = LogEntry::decode(&LogEntry::Notice(notice).to_bytes());
    assert!(matches!(decoded, Err(DecodeError::TooLong { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_one_entry_or_none(bytes: Vec<u8>, kind in 0_u8..4) {
        let framed = [&[1, kind], &bytes[..]].concat();
        for bytes in [bytes, framed] {
            if let Ok(entry) = LogEntry::decode(&bytes) {
                prop_assert_eq!(entry.to_bytes(), bytes);
            }
        }
    }
}
