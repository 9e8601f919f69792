//! A group's log as somebody reads it who was there from the beginning, and what follows for those
//! who are in it.

use crate::simulation::{broken::Broken, vault::Named};
use openchat_roster::{LogEntry, MessageHeader, Roster};
use openchat_wire::{Epoch, Fingerprint, GroupId, MessageId, Name, Seq, Slot};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(crate) struct Ledger {
    roster: Roster,
    end: Seq,
    /// Who sat where, by epoch.
    seats: BTreeMap<Epoch, BTreeMap<Slot, Fingerprint>>,
    /// Every message that counts, by its author and id, with the epochs it was sealed for.
    messages: BTreeMap<Named, BTreeSet<Epoch>>,
    places: BTreeMap<(Fingerprint, MessageId, Seq), Epoch>,
}

/// Somebody with a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: Name,
    pub(crate) fingerprint: Fingerprint,
    /// From here on it can read everything.
    pub(crate) since: Epoch,
}

impl Ledger {
    pub(crate) fn new(group: GroupId) -> Self {
        Self {
            roster: Roster::new(group),
            end: Seq(0),
            seats: BTreeMap::new(),
            messages: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    pub(crate) const fn end(&self) -> Seq {
        self.end
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.roster.epoch()
    }

    /// The next entry.
    pub(crate) fn read(&mut self, seq: Seq, entry: &[u8]) -> Result<(), Broken> {
        self.end = seq;
        let refused = |detail: String| Broken::new("every entry of a log is valid", detail);
        match LogEntry::decode(entry).map_err(|error| refused(error.to_string()))? {
            LogEntry::Commit(commit) => {
                let transition = self.roster.replay(&commit);
                let transition = transition.map_err(|fault| refused(fault.to_string()))?;
                self.roster.apply(transition);
                let seats = self.roster.seats().map(|seat| (seat.slot, seat.fingerprint));
                self.seats.insert(self.roster.epoch(), seats.collect());
                Ok(())
            }
            LogEntry::Message(message) => self.message(seq, &message.header),
            LogEntry::Notice(_) | LogEntry::Leave(_) => Ok(()),
        }
    }

    /// Who is in.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        self.roster.seats().map(|seat| Member {
            name: seat.name.clone(),
            fingerprint: seat.fingerprint,
            since: seat.since,
        })
    }

    /// Whether the log has this message.
    pub(crate) fn has(&self, message: &Named) -> bool {
        self.messages.contains_key(message)
    }

    /// Whether a message stands at this place.
    pub(crate) fn stands_at(&self, message: &Named, seq: Seq) -> bool {
        self.places.contains_key(&(message.0, message.1, seq))
    }

    /// Where a message stands, or stands first.
    pub(crate) fn place(&self, (author, id): &Named) -> Option<Seq> {
        let all = (*author, *id, Seq(0))..=(*author, *id, Seq(u64::MAX));
        self.places.range(all).next().map(|((.., seq), _)| *seq)
    }

    /// Every message that a member has to have read: what was sealed in an epoch in which it had the
    /// seat that it has now, and has not given its state up since.
    pub(crate) fn readable(&self, since: Epoch) -> impl Iterator<Item = &Named> {
        let readable = move |epochs: &BTreeSet<Epoch>| epochs.last() >= Some(&since);
        self.messages.iter().filter(move |(_, epochs)| readable(epochs)).map(|(named, _)| named)
    }

    fn message(&mut self, seq: Seq, header: &MessageHeader) -> Result<(), Broken> {
        let author = self.seats.get(&header.epoch).and_then(|seats| seats.get(&header.slot));
        let Some(author) = author else {
            let detail = format!("{header:?} at {seq:?}");
            return Err(Broken::new("who writes has a seat", detail));
        };
        let checked = self.roster.check_message(header, author);
        checked.map_err(|fault| Broken::new("every message counts when it comes", fault))?;
        self.messages.entry((*author, header.id)).or_default().insert(header.epoch);
        self.places.insert((*author, header.id, seq), header.epoch);
        Ok(())
    }
}
