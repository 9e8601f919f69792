//! Messages of others that this device could not open, which it asks for when it is back
//! (`docs/protocol.md` §6.2).

use std::collections::{BTreeMap, VecDeque};

use openchat_wire::{
    Blob, DecodeError, Fingerprint, GroupId, MessageId, decode, encode, limits::MAX_TEXT,
};

use crate::{output::Pen, record::Key};

/// Messages remembered as missed. Who was away from more has lost a conversation, not messages.
const MAX_MISSED: usize = 1_024;

/// Messages named in one request: 48 bytes each.
const MAX_NAMED: usize = 256;

/// Names a message.
pub(crate) type Named = (Fingerprint, MessageId);

/// By author, each in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Missed(BTreeMap<Fingerprint, VecDeque<MessageId>>);

impl Missed {
    pub(crate) fn load(&mut self, missed: Vec<Named>) {
        for (author, id) in missed {
            self.0.entry(author).or_default().push_back(id);
        }
    }

    /// A message could not be opened. If there are too many, the author that has most gives way: nobody
    /// keeps others' messages from being asked for by writing more.
    pub(crate) fn note(&mut self, pen: &mut Pen, group: GroupId, (author, id): Named) {
        let of_author = self.0.get(&author);
        if of_author.is_some_and(|ids| ids.contains(&id)) {
            return;
        }
        if self.0.values().map(VecDeque::len).sum::<usize>() >= MAX_MISSED {
            let count = of_author.map_or(0, VecDeque::len);
            let Some(fullest) = self.0.values_mut().max_by_key(|ids| ids.len()) else { return };
            if fullest.len() <= count.saturating_add(1) {
                return;
            }
            fullest.pop_back();
        }
        self.0.entry(author).or_default().push_back(id);
        self.save(pen, group);
    }

    /// A message has come.
    pub(crate) fn came(&mut self, pen: &mut Pen, group: GroupId, (author, id): Named) {
        let Some(ids) = self.0.get_mut(&author) else { return };
        let Some(at) = ids.iter().position(|it| *it == id) else { return };
        ids.remove(at);
        self.save(pen, group);
    }

    /// Takes some out, to ask for them.
    pub(crate) fn take(&mut self, pen: &mut Pen, group: GroupId) -> Option<Blob> {
        let mut all = self.all();
        if all.is_empty() {
            return None;
        }
        let rest = all.split_off(all.len().min(MAX_NAMED));
        self.0.clear();
        self.load(rest);
        self.save(pen, group);
        Some(Blob(encode(&all)))
    }

    fn all(&self) -> Vec<Named> {
        let named = |(author, ids): (&Fingerprint, &VecDeque<MessageId>)| {
            let author = *author;
            ids.iter().map(move |id| (author, *id)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(named).collect()
    }

    fn save(&self, pen: &mut Pen, group: GroupId) {
        let all = self.all();
        if all.is_empty() {
            pen.delete(Key::missed(group));
        } else {
            pen.put(Key::missed(group), &all);
        }
    }
}

/// What somebody asks for.
pub(crate) fn read_missed(body: &Blob) -> Result<Vec<Named>, DecodeError> {
    decode(&body.0, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId([1; 32]);

    fn named(n: usize) -> Named {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        (Fingerprint([2; 32]), MessageId(id))
    }

    fn asked(missed: &mut Missed, pen: &mut Pen) -> Vec<Named> {
        let mut asked = Vec::new();
        while let Some(body) = missed.take(pen, GROUP) {
            assert!(body.0.len() < MAX_TEXT);
            asked.extend(read_missed(&body).unwrap());
        }
        asked
    }

    #[test]
    fn what_was_missed_is_asked_for_once_and_in_parts() {
        let (mut missed, mut pen) = (Missed::default(), Pen::default());
        for n in 0..MAX_MISSED + 10 {
            missed.note(&mut pen, GROUP, named(n));
        }
        missed.came(&mut pen, GROUP, named(0));
        assert_eq!(asked(&mut missed, &mut pen), (1..MAX_MISSED).map(named).collect::<Vec<_>>());
    }
    #[test]
    fn m23_who_writes_most_keeps_nobody_elses_messages_from_being_asked_for() {
        let (mut missed, mut pen) = (Missed::default(), Pen::default());
        for n in 0..MAX_MISSED {
            missed.note(&mut pen, GROUP, named(n));
        }
        let of = |author, n| (Fingerprint([author; 32]), named(n).1);
        for n in 0..20 {
            missed.note(&mut pen, GROUP, of(1, n));
            missed.note(&mut pen, GROUP, of(3, n));
        }
        let asked = asked(&mut missed, &mut pen);
        assert_eq!(asked.len(), MAX_MISSED);
        for author in [1, 3] {
            assert!((0..20).all(|n| asked.contains(&of(author, n))), "{author}");
        }
        assert!(asked.contains(&named(0)), "what was noted first is asked for");
    }
}
