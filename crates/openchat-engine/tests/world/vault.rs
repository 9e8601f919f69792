//! A vault in memory: what a device still has after a crash.

use openchat_engine::{Body, Change, Key, MessageRef, Snapshot, StoredMessage};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub(crate) struct Vault {
    pub(crate) records: BTreeMap<Key, Blob>,
    pub(crate) messages: Vec<StoredMessage>,
    /// Own files, from before they are offered.
    pub(crate) files: BTreeMap<MessageId, Vec<u8>>,
    /// Parts of others' files.
    pub(crate) chunks: BTreeMap<(MessageRef, u32), Vec<u8>>,
    seen: BTreeSet<(Fingerprint, MessageId)>,
}

impl Vault {
    /// Applies an output's changes, and holds what must be true of every one of them: no message
    /// comes twice, and each stands behind the one before in its log.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    self.records.insert(key, value);
                }
                Change::Delete(key) => {
                    self.records.remove(&key);
                }
                Change::Message(message) => self.keep(message),
                Change::Chunk { file, index, bytes, .. } => {
                    let offered = self.messages.iter().any(|message| message.named() == file);
                    assert!(offered, "a part of a file that was not offered");
                    let before = self.chunks.insert((file, index), bytes.0);
                    assert!(before.is_none(), "part {index} comes twice");
                }
                Change::DropFile { file, .. } => self.chunks.retain(|(of, _), _| *of != file),
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let records = self.records.iter().map(|(key, value)| (key.clone(), value.clone()));
        Snapshot { records: records.collect() }
    }

    /// An own message as it stands, as far as it matters here: what a later one of the same author has
    /// deleted or changed, and topics and edits that were replaced.
    pub(crate) fn recall(&self, group: GroupId, id: MessageId) -> Option<(UnixMillis, Body)> {
        let all = || self.messages.iter().filter(|message| message.group == group);
        let message = all().find(|message| message.own && message.id == id)?;
        let mut body = message.body.clone();
        for later in all().filter(|later| later.seq > message.seq) {
            body = match (&later.body, body) {
                (Body::Delete { of }, _) if later.own && *of == id => later.body.clone(),
                (Body::Delete { of }, Body::Edit { of: it, .. }) if later.own && *of == it => {
                    return None;
                }
                (Body::Edit { of, text }, Body::Text(_)) if later.own && *of == id => {
                    Body::Text(text.clone())
                }
                (Body::Edit { of, .. }, Body::Edit { of: it, .. }) if later.own && *of == it => {
                    return None;
                }
                (Body::Topic(_), Body::Topic(_)) => return None,
                (_, body) => body,
            };
        }
        Some((message.time, body))
    }

    fn keep(&mut self, message: StoredMessage) {
        let mut before = self.messages.iter().rev();
        let last = before.find(|it| it.group == message.group).map_or(Seq(0), |last| last.seq);
        assert!(last < message.seq, "{:?} is stored behind {last:?}", message.seq);
        let fresh = self.seen.insert((message.fingerprint, message.id));
        assert!(fresh, "{} is stored twice", message.text());
        self.messages.push(message);
    }
}
