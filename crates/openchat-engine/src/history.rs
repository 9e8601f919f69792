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
    /// The places before it were not read.
    pub(crate) is_first: bool,
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
    /// Where reading began for the last time.
    since: Seq,
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

    /// Begins again behind a gap: what was before it proves nothing about what is missing. But the
    /// messages are still known.
    pub(crate) fn restart(&mut self, pen: &mut Pen, group: GroupId, at: Seen) {
        while self.order.back().is_some_and(|(seq, _)| *seq >= at.seq) {
            self.order.pop_back();
        }
        let past = Past { log_hash: at.log_hash, message: None, is_first: true };
        self.push(pen, group, at.seq, past);
    }

    /// Whether nothing of the log was ever read in full.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The log hash at a place before the newest.
    pub(crate) fn log_hash(&self, at: Seq) -> Memory {
        if at < self.since {
            return Memory::Forgotten;
        }
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

    /// This author's messages, with their places, oldest first.
    pub(crate) fn said_by(&self, author: &Fingerprint) -> Vec<(Seq, MessageId)> {
        let own = |(seq, past): &(Seq, Past)| {
            past.message.filter(|(by, ..)| by == author).map(|(_, id, _)| (*seq, id))
        };
        self.order.iter().filter_map(own).collect()
    }

    fn insert(&mut self, seq: Seq, past: Past) {
        if let Some((author, id, content)) = past.message {
            self.messages.insert((author, id), content);
        }
        if past.is_first {
            self.since = seq;
        }
        self.order.push_back((seq, past));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId([1; 32]);

    fn hash(of: u8) -> Digest {
        Digest([of; 32])
    }

    #[test]
    fn behind_a_gap_places_are_forgotten_and_messages_are_not() {
        let (mut history, mut pen) = (History::default(), Pen::default());
        let named = (Fingerprint([2; 32]), MessageId([3; 16]));
        let message = Some((named.0, named.1, hash(9)));
        let past = |of, message| Past { log_hash: hash(of), message, is_first: false };
        history.restart(&mut pen, GROUP, Seen { seq: Seq(4), log_hash: hash(4) });
        history.push(&mut pen, GROUP, Seq(5), past(5, message));
        history.push(&mut pen, GROUP, Seq(7), past(7, None));
        assert_eq!(history.log_hash(Seq(5)), Memory::Known(hash(5)));
        assert_eq!(history.log_hash(Seq(6)), Memory::NoSuchPlace);
        assert_eq!(history.log_hash(Seq(3)), Memory::Forgotten);

        history.restart(&mut pen, GROUP, Seen { seq: Seq(20), log_hash: hash(20) });
        history.push(&mut pen, GROUP, Seq(22), past(22, None));
        for (at, memory) in
            [(5, Memory::Forgotten), (19, Memory::Forgotten), (21, Memory::NoSuchPlace)]
        {
            assert_eq!(history.log_hash(Seq(at)), memory);
        }
        assert_eq!(history.said(named.0, named.1), Some(hash(9)));
    }
}
