//! What is remembered of the newest log entries: their log hashes, to compare with what others
//! claim, and the ids of messages, to know a repetition.

use std::collections::{BTreeMap, VecDeque};

use openchat_roster::Seen;
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

/// What is remembered of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// The log hash there.
    Known(Digest),
    /// The log has no entry there.
    NoSuchPlace,
    /// It lies before everything that is remembered.
    Forgotten,
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

    /// Begins again behind a gap: what was before it proves nothing about what is missing.
    pub(crate) fn restart(&mut self, pen: &mut Pen, group: GroupId, at: Seen) {
        for (seq, _) in core::mem::take(self).order {
            pen.delete(Key::past(group, seq));
        }
        self.push(pen, group, at.seq, Past { log_hash: at.log_hash, message: None });
    }

    /// The log hash at a place before the newest.
    pub(crate) fn log_hash(&self, at: Seq) -> Memory {
        match self.order.binary_search_by_key(&at, |(seq, _)| *seq) {
            Err(0) => Memory::Forgotten,
            Err(_) => Memory::NoSuchPlace,
            Ok(found) => self
                .order
                .get(found)
                .map_or(Memory::NoSuchPlace, |(_, past)| Memory::Known(past.log_hash)),
        }
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
