//! What is in logs and inboxes, and what is signed in it.

use openchat_crypto::Label;
use openchat_roster::{
    Commit, CommitEntry, LeaveEntry, LogEntry, NoticeEntry, SignedHeartbeat, SignedPrekey,
};
use openchat_wire::{
    Blob, decode, encode,
    limits::{MAX_COMMIT, MAX_ENTRY},
    relay::InboxEntry,
};

use crate::world;

/// An entry of a group's log, judged by somebody who reads it.
pub fn log_entry(data: &[u8]) {
    let Ok(entry) = LogEntry::decode(data) else { return };
    assert_eq!(entry.to_bytes(), data, "an entry has two encodings");
    let is_commit = matches!(entry, LogEntry::Commit(_));
    assert!(is_commit || data.len() <= MAX_ENTRY);
    world::judge_by_a_reader(&entry);
}

/// An entry of an inbox.
pub fn inbox_entry(data: &[u8]) {
    let Ok(entry) = InboxEntry::decode(data) else { return };
    assert_eq!(entry.to_bytes(), data, "an entry has two encodings");
}

/// The signed bytes of a commit; signed by a member, so that the checks behind the signature see it.
pub fn commit(data: &[u8]) {
    if let Ok(commit) = decode::<Commit>(data, MAX_COMMIT) {
        assert_eq!(commit.to_bytes().0, data, "a commit has two encodings");
    }
    world::judge_by_a_reader(&LogEntry::Commit(world::signed_by_a_member(data)));
}

/// A prekey as the relay gives it out, or what its owner signs.
pub fn prekey(data: &[u8]) {
    if let Ok(signed) = SignedPrekey::decode(data) {
        assert_eq!(signed.to_bytes().0, data, "a prekey has two encodings");
    }
    let signature = world::signature(Label::Prekey, data);
    let signed = SignedPrekey { prekey: Blob(data.to_vec()), signature };
    if let Ok(prekey) = signed.verify(&world::member_key()) {
        assert_eq!(encode(&prekey), data, "a prekey has two encodings");
    }
}

/// What somebody signs who leaves.
pub fn leave(data: &[u8]) {
    let entry =
        LeaveEntry { leave: Blob(data.to_vec()), signature: world::signature(Label::Leave, data) };
    if let Ok(leave) = entry.view() {
        assert_eq!(encode(&leave), data, "a leave request has two encodings");
    }
    world::judge_by_a_reader(&LogEntry::Leave(entry));
}

/// What somebody signs who was left behind.
pub fn notice(data: &[u8]) {
    let entry = NoticeEntry {
        notice: Blob(data.to_vec()),
        signature: world::signature(Label::Notice, data),
    };
    if let Ok(notice) = entry.view() {
        assert_eq!(encode(&notice), data, "a notice has two encodings");
    }
    world::judge_by_a_reader(&LogEntry::Notice(entry));
}

/// A heartbeat as the relay hands it on.
pub fn heartbeat(data: &[u8]) {
    if let Ok((signed, beat)) = SignedHeartbeat::decode(data) {
        assert_eq!(signed.to_bytes().0, data, "a heartbeat has two encodings");
        assert_eq!(encode(&beat), signed.heartbeat.0, "a heartbeat has two encodings");
    }
    let signature = world::signature(Label::Heartbeat, data);
    let signed = SignedHeartbeat { heartbeat: Blob(data.to_vec()), signature };
    if let Ok(beat) = world::reader().check_heartbeat(&signed.to_bytes().0) {
        assert_eq!(encode(&beat), data, "a heartbeat has two encodings");
    }
}

/// That what was signed and logged can be looked at, whoever wrote it.
pub(crate) fn look_at(entry: &CommitEntry) {
    if let Ok(commit) = entry.view() {
        assert_eq!(commit.to_bytes(), entry.commit, "a commit has two encodings");
    }
}
