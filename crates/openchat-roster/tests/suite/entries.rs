//! Entries of a log: versions, kinds, sizes.

use openchat_roster::{CommitFault, LogEntry, MessageEntry, MessageHeader, NoticeEntry, Operation};
use openchat_wire::{
    Blob, DecodeError, Epoch, Generation, MessageId, Slot,
    limits::{MAX_COMMIT, MAX_ENTRY, MAX_MEMBERS},
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
fn e2_the_largest_message_decodes_and_one_byte_more_does_not() {
    let overhead = message(MAX_ENTRY).to_bytes().len() - MAX_ENTRY;
    let largest = message(MAX_ENTRY - overhead);
    assert_eq!(largest.to_bytes().len(), MAX_ENTRY);
    assert_eq!(LogEntry::decode(&largest.to_bytes()), Ok(largest));
    let beyond = message(MAX_ENTRY - overhead + 1).to_bytes();
    let too_long = DecodeError::TooLong { len: MAX_ENTRY + 1, max: MAX_ENTRY };
    assert_eq!(LogEntry::decode(&beyond), Err(too_long));
}

#[test]
fn e2_the_largest_commit_decodes_and_a_larger_one_does_not() {
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

/// An update takes one byte as an operation and 200 in memory: a commit of nothing else is refused
/// long before it is all in memory, and with it the rest of what its author's frame could hold.
#[test]
fn a_commit_has_no_more_operations_than_a_group_has_members() {
    let mut scribe = Scribe::new(1, 0);
    let mut commit = scribe.make(0, Act::Update);
    commit.operations = vec![Operation::Update; MAX_MEMBERS];
    let most = scribe.signed(0, &commit);
    assert_eq!(most.view(), Ok(commit.clone()));
    assert_eq!(scribe.roster.check(&most).unwrap_err(), CommitFault::Operations);
    commit.operations.push(Operation::Update);
    let beyond = scribe.signed(0, &commit);
    assert_eq!(beyond.view(), Err(DecodeError::Malformed));
    let fault = CommitFault::Encoding(DecodeError::Malformed);
    assert_eq!(scribe.roster.check(&beyond).unwrap_err(), fault);
    scribe.act(0, Act::Update);
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
