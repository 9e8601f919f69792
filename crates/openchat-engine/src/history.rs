//! What is remembered of the newest log entries: their log hashes, to compare with what others
//! claim, and the ids of messages, to know a repetition.

use std::collections::{BTreeMap, VecDeque};

use openchat_wire::{Digest, Fingerprint, GroupId, MessageId, Seq};
use serde::{Deserialize, Serialize};

use crate::{output::Pen, record::Key};

/// Entries remembered. Messages older than sixteen commits don't count any more, so a repetition
/// is young; and who claims a history claims it about the entry before its message.
const REMEMBERED: usize = 4_096;

/// One entry, as remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// The log hash at the entry.
    pub(crate) log_hash: Digest,
    /// For a message: who, which, and a hash of what.
    pub(crate) message: Option<(Fingerprint, MessageId, Digest)>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    order: VecDeque<(Seq, Past)>,
    messages: BTreeMap<(Fingerprint, MessageId), Digest>,
}

impl History {
    pub(crate) fn load(&mut self, mut stored: Vec<(Seq, Past)>) {
        stored.sort_by_key(|(seq, _)| *seq);
        for (seq, past) in stored {
            self.insert(seq, past);
        }
    }

    pub(crate) fn push(&mut self, pen: &mut Pen, group: GroupId, seq: Seq, past: Past) {
        pen.put(Key::past(group, seq), &past);
        self.insert(seq, past);
        while self.order.len() > REMEMBERED {
            let Some((old, past)) = self.order.pop_front() else { break };
            if let Some((author, id, _)) = past.message {
                self.messages.remove(&(author, id));
            }
            pen.delete(Key::past(group, old));
        }
    }

    /// The log hash at a place, if it is remembered.
    pub(crate) fn log_hash(&self, at: Seq) -> Option<Digest> {
        let found = self.order.binary_search_by_key(&at, |(seq, _)| *seq).ok()?;
        self.order.get(found).map(|(_, past)| past.log_hash)
    }

    /// The hash of what an author said under an id, if it is remembered.
    pub(crate) fn said(&self, author: Fingerprint, id: MessageId) -> Option<Digest> {
        self.messages.get(&(author, id)).copied()
    }

    fn insert(&mut self, seq: Seq, past: Past) {
        if let Some((author, id, content)) = past.message {
            self.messages.insert((author, id), content);
        }
        self.order.push_back((seq, past));
    }
}
