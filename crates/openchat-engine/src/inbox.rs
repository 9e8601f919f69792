//! This device's inbox: letters to it, which the relay hands on with the commits that they speak of
//! (`docs/protocol.md` §4.6). Nothing in it is believed before a letter has opened.

use std::collections::BTreeMap;

use openchat_crypto::KeyPair;
use openchat_group::Keyring;
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, GroupId, Seq,
    limits::{MAX_GROUPS, MAX_LETTER},
    relay::InboxEntry,
};
use serde::{Deserialize, Serialize};

use crate::{output::Pen, prekeys::Prekeys, record::Key};

/// Letters kept for one group: adds after removals are rare, and only the last one counts.
const LETTERS_A_GROUP: usize = 4;

/// Adds and admissions remembered for one group: who is invited more often has no old letters left.
const MAX_CALLS: usize = 64;

/// A letter that waits until its commit was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) from: Fingerprint,
    pub(crate) sealed: Blob,
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    read: Seq,
    letters: BTreeMap<GroupId, BTreeMap<Seq, Letter>>,
}

impl Inbox {
    pub(crate) fn load_position(&mut self, read: Seq) {
        self.read = read;
    }

    pub(crate) fn load(&mut self, group: GroupId, seq: Seq, letter: Letter) {
        self.letters.entry(group).or_default().insert(seq, letter);
    }

    /// Where reading goes on.
    pub(crate) const fn position(&self) -> Seq {
        self.read
    }

    /// Keeps the next letter and tells which group it is about; `None` for what is no letter, or
    /// was read before.
    pub(crate) fn take(&mut self, pen: &mut Pen, seq: Seq, bytes: &[u8]) -> Option<GroupId> {
        if seq <= self.read {
            return None;
        }
        self.read = seq;
        pen.put(Key::inbox(), &seq);
        let entry = InboxEntry::decode(bytes).ok()?;
        let is_known = self.letters.contains_key(&entry.group);
        if entry.letter.0.len() > MAX_LETTER || (self.letters.len() >= MAX_GROUPS && !is_known) {
            return None;
        }
        let letter = Letter { from: entry.from, sealed: entry.letter };
        pen.put(Key::letter(entry.group, entry.seq), &letter);
        let of_group = self.letters.entry(entry.group).or_default();
        of_group.insert(entry.seq, letter);
        if of_group.len() > LETTERS_A_GROUP
            && let Some((oldest, _)) = of_group.pop_first()
        {
            pen.delete(Key::letter(entry.group, oldest));
        }
        Some(entry.group)
    }

    /// The newest letter about a group.
    pub(crate) fn newest(&self, group: &GroupId) -> Option<&Letter> {
        self.letters.get(group)?.last_key_value().map(|(_, letter)| letter)
    }

    /// Whether a letter about this group came with a commit behind this place.
    pub(crate) fn tells(&self, group: &GroupId, after: Seq) -> bool {
        let newest = self.letters.get(group).and_then(BTreeMap::last_key_value);
        newest.is_some_and(|(seq, _)| *seq > after)
    }

    /// The letter that came with the commit at this place; if there is none, the newest one.
    fn at(&self, group: &GroupId, seq: Seq) -> Option<&Letter> {
        self.letters.get(group)?.get(&seq).or_else(|| self.newest(group))
    }

    /// Whether a letter speaks of a commit up to this place that was not shown.
    pub(crate) fn contradicts(&self, group: &GroupId, upto: Seq, calls: &Calls) -> bool {
        let letters = self.letters.get(group).into_iter().flatten();
        letters.take_while(|(seq, _)| **seq <= upto).any(|(seq, it)| !calls.explain(*seq, &it.from))
    }

    /// The letters up to a place have served.
    pub(crate) fn forget_to(&mut self, pen: &mut Pen, group: &GroupId, upto: Seq) {
        let Some(letters) = self.letters.get_mut(group) else { return };
        letters.retain(|seq, _| {
            let stays = *seq > upto;
            if !stays {
                pen.delete(Key::letter(*group, *seq));
            }
            stays
        });
        if letters.is_empty() {
            self.letters.remove(group);
        }
    }

    /// The letters about a group have served, or can't any more.
    pub(crate) fn forget(&mut self, pen: &mut Pen, group: &GroupId) {
        for seq in self.letters.remove(group).unwrap_or_default().into_keys() {
            pen.delete(Key::letter(*group, seq));
        }
    }
}

/// The commits of one log that have added or admitted this device: where, and whose.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<Seq, Fingerprint>);

impl Calls {
    pub(crate) fn note(&mut self, seq: Seq, author: Fingerprint) {
        self.0.insert(seq, author);
        if self.0.len() > MAX_CALLS {
            self.0.pop_first();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a letter came with one of them. What is too old to be remembered may have.
    fn explain(&self, seq: Seq, from: &Fingerprint) -> bool {
        let forgotten = self.0.len() >= MAX_CALLS && self.0.keys().next() > Some(&seq);
        forgotten || self.0.get(&seq) == Some(from)
    }
}

/// What this device can open letters with, at one commit of a log.
pub(crate) struct Keys<'a> {
    pub(crate) prekeys: &'a Prekeys,
    pub(crate) inbox: &'a Inbox,
    /// The commit's place.
    pub(crate) seq: Seq,
}

impl Keyring for Keys<'_> {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        self.prekeys.pair(hash).cloned()
    }

    fn letter(&self, group: &GroupId, _epoch: Epoch) -> Option<Blob> {
        self.inbox.at(group, self.seq).map(|letter| letter.sealed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId([7; 32]);

    fn entry(group: GroupId, seq: u64, letter: usize) -> Vec<u8> {
        let letter = Blob(vec![1; letter]);
        InboxEntry { from: Fingerprint([2; 32]), group, seq: Seq(seq), letter }.to_bytes()
    }

    #[test]
    fn letters_are_taken_once_and_in_order() {
        let (mut inbox, mut pen) = (Inbox::default(), Pen::default());
        assert_eq!(inbox.take(&mut pen, Seq(2), &entry(GROUP, 9, 10)), Some(GROUP));
        for old in [1, 2] {
            assert_eq!(inbox.take(&mut pen, Seq(old), &entry(GROUP, 10, 10)), None);
        }
        assert_eq!(inbox.position(), Seq(2));
        assert!(inbox.newest(&GROUP).is_some());
        inbox.forget(&mut pen, &GROUP);
        assert!(inbox.newest(&GROUP).is_none());
    }

    #[test]
    fn what_is_no_letter_moves_the_position_only() {
        let (mut inbox, mut pen) = (Inbox::default(), Pen::default());
        let mut other = entry(GROUP, 1, 10);
        other[0] = 2;
        let too_long = entry(GROUP, 1, MAX_LETTER + 1);
        for (at, bytes) in [vec![], vec![1], other, too_long].into_iter().enumerate() {
            let seq = Seq(1 + u64::try_from(at).unwrap());
            assert_eq!(inbox.take(&mut pen, seq, &bytes), None);
            assert_eq!(inbox.position(), seq);
        }
        assert!(inbox.letters.is_empty());
    }

    #[test]
    fn a_flood_of_letters_is_bounded() {
        let (mut inbox, mut pen) = (Inbox::default(), Pen::default());
        let groups = u64::try_from(MAX_GROUPS).unwrap();
        for n in 1..=groups + 10 {
            let mut group = GROUP;
            group.0[..8].copy_from_slice(&n.to_be_bytes());
            let taken = inbox.take(&mut pen, Seq(n), &entry(group, 1, 10));
            assert_eq!(taken.is_some(), n <= groups);
        }
        let known = *inbox.letters.first_key_value().unwrap().0;
        for n in 1..10 {
            inbox.take(&mut pen, Seq(groups + 10 + n), &entry(known, n, 10));
        }
        assert_eq!(inbox.letters.get(&known).unwrap().len(), LETTERS_A_GROUP);
    }
}
