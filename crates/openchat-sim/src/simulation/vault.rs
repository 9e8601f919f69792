//! A device's vault, and what must be true of every one.

use crate::simulation::broken::Broken;
use openchat_engine::{Body, Change, Key, Snapshot, StoredMessage};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::collections::BTreeMap;

/// Names a message.
pub(crate) type Named = (Fingerprint, MessageId);

#[derive(Debug, Clone, Default)]
pub(crate) struct Vault {
    records: BTreeMap<Key, Blob>,
    messages: BTreeMap<Named, (GroupId, Seq)>,
    /// What this device has said, which nobody takes back here.
    own: BTreeMap<MessageId, (UnixMillis, Body)>,
    last: BTreeMap<GroupId, Seq>,
}

impl Vault {
    /// One transaction.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Broken> {
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    self.records.insert(key, value);
                }
                Change::Delete(key) => {
                    self.records.remove(&key);
                }
                Change::Message(message) => self.keep(&message)?,
                // Nobody sends files here.
                Change::Chunk { .. } | Change::DropFile { .. } => {}
            }
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let records = self.records.iter().map(|(key, value)| (key.clone(), value.clone()));
        Snapshot { records: records.collect() }
    }

    /// Where this device has read a message.
    pub(crate) fn place(&self, of: &Named) -> Option<(GroupId, Seq)> {
        self.messages.get(of).copied()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = (&Named, &(GroupId, Seq))> {
        self.messages.iter()
    }

    /// An own message, to say it again.
    pub(crate) fn recall(&self, id: MessageId) -> Option<(UnixMillis, Body)> {
        self.own.get(&id).cloned()
    }

    /// No message comes twice, and each stands behind the one before in its log.
    fn keep(&mut self, message: &StoredMessage) -> Result<(), Broken> {
        let StoredMessage { group, seq, .. } = *message;
        if let Some(last) = self.last.insert(group, seq).filter(|last| *last >= seq) {
            let detail = format!("{seq:?} is read behind {last:?}");
            return Err(Broken::new("a log is read in order", detail));
        }
        if message.own {
            self.own.insert(message.id, (message.time, message.body.clone()));
        }
        let named = (message.fingerprint, message.id);
        match self.messages.insert(named, (group, seq)) {
            Some(before) => {
                let detail = format!("{} at {before:?} and {seq:?}", message.text());
                Err(Broken::new("no text is read twice", detail))
            }
            None => Ok(()),
        }
    }
}
