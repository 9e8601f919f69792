//! What may stand in a log beside commits: messages within the epoch window, notices, and the
//! requests of those who want to leave.
//!
//! Everything is checked before anything is staged, so a refused request leaves nothing behind.

use crate::{
    fault::RuleFault,
    group::Group,
    outcome::{Identity, Outcome, Publish, Stop},
    place::{self, key, replace},
    relay::{Relay, record},
    store::{CommitPoint, NewEntry, Origin, Place, Store, Table},
};
use openchat_crypto::sha256;
use openchat_roster::{CommitFault, LeaveEntry, LogEntry, MessageEntry, NoticeEntry, Policy};
use openchat_wire::{
    Digest, Epoch, GroupId, Seq, UnixMillis, encode,
    relay::{Answer, Letter, Refusal},
};
use serde::{Deserialize, Serialize};

/// An entry that somebody asks to append.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) who: &'a Identity,
    pub(crate) log: &'a GroupId,
    /// For a commit's newcomers.
    pub(crate) letters: &'a [Letter],
    pub(crate) now: UnixMillis,
    pub(crate) bytes: &'a [u8],
    near: u64,
    hash: Digest,
    /// A wish to leave waits until somebody sees to it, however long that takes.
    lasts: bool,
}

impl Offer<'_> {
    /// Where everything that is staged for it comes from.
    pub(crate) const fn origin(&self, lasts: bool) -> Origin {
        Origin { author: self.who.fingerprint, time: self.now, lasts }
    }

    /// What comes of it once it is staged.
    pub(crate) fn appended(&self, place: Place) -> Outcome {
        let entry = Publish::Entry { log: *self.log, seq: place.seq, entry: self.bytes.into() };
        Outcome { publish: vec![entry], ..Outcome::answer(Answer::Appended(place.seq)) }
    }
}

/// What is stored of somebody's last leave request in a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Asked {
    /// The seat or admission that it speaks of.
    since: Epoch,
    seq: Seq,
}

impl<S: Store> Relay<S> {
    /// Decides about `Request::Append`.
    pub(crate) fn append(
        &mut self,
        who: &Identity,
        (log, bytes): (&GroupId, &[u8]),
        letters: &[Letter],
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        // What it asked for before its session was cut.
        if self.transparency.is_revoked(&who.fingerprint) {
            return Err(RuleFault::Revoked.into());
        }
        let entry = LogEntry::decode(bytes)?;
        let lasts = matches!(entry, LogEntry::Leave(_));
        let (near, hash) = (near(&entry), sha256(bytes));
        let offer = Offer { who, log, letters, now, bytes, near, hash, lasts };
        if let Some(quota) = self.usage.full(offer, &entry) {
            return self.refuse_full(offer, &entry, quota);
        }
        let outcome = match entry {
            LogEntry::Commit(commit) => self.append_commit(offer, &commit),
            _ if !letters.is_empty() => Err(RuleFault::Letter.into()),
            LogEntry::Message(message) => self.append_message(offer, &message),
            LogEntry::Notice(notice) => self.append_notice(offer, &notice),
            LogEntry::Leave(leave) => self.append_leave(offer, &leave),
        }?;
        self.usage.count(&who.fingerprint, &outcome.publish);
        Ok(outcome)
    }

    fn append_message(
        &mut self,
        offer: Offer<'_>,
        message: &MessageEntry,
    ) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        member(group, offer.who)?;
        let checked = group.roster.check_message(&message.header, &offer.who.fingerprint);
        let staged = checked
            .map_err(Stop::from)
            .and_then(|()| stage(&mut self.store, offer, group.tail, None));
        match staged {
            Ok(place) => {
                group.advance(place);
                Ok(offer.appended(place))
            }
            // Looked for only now, because nearly every message is new, and the store refuses one
            // that it has. What would come too late by now was taken before all the same.
            Err(stop) if stop.may_be_repeated() => repeated(&self.store, offer)?.ok_or(stop),
            Err(stop) => Err(stop),
        }
    }

    fn append_notice(&mut self, offer: Offer<'_>, entry: &NoticeEntry) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        member(group, offer.who)?;
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        let notice = group.roster.check_notice(entry)?;
        if notice.author != offer.who.fingerprint {
            return Err(RuleFault::Author.into());
        }
        let place = stage(&mut self.store, offer, group.tail, None)?;
        group.advance(place);
        group.turns.note(offer.now);
        Ok(offer.appended(place))
    }

    /// Of several requests for one seat or admission the first is enough for all who have seen it, so
    /// nobody fills a log with them who may append nothing else.
    fn append_leave(&mut self, offer: Offer<'_>, entry: &LeaveEntry) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        let me = &offer.who.fingerprint;
        if !group.seats(me) && group.roster.admitted(me).is_none() {
            return Err(Refusal::NoAccess.into());
        }
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        let leave = group.roster.check_leave(entry).map_err(CommitFault::from)?;
        if leave.author != *me {
            return Err(RuleFault::Leave.into());
        }
        let key = key(&offer.log.0, &me.0);
        let asked = record::<Asked>(&self.store, Table::Leave, &key)?;
        if let Some(asked) = asked.filter(|asked| asked.since == leave.since)
            && (group.turns.has_asked(me, offer.now)
                || !has_seated_since(&self.store, group, asked.seq)?)
        {
            return Ok(Outcome::answer(Answer::Appended(asked.seq)));
        }
        let place = stage(&mut self.store, offer, group.tail, None)?;
        let asked = Asked { since: leave.since, seq: place.seq };
        replace(&mut self.store, Table::Leave, &key, &encode(&asked))?;
        if !group.roster.policy().is_some_and(Policy::is_direct) {
            place::leave(&mut self.store, me, offer.log)?;
        }
        group.turns.ask(*me, offer.now);
        group.advance(place);
        Ok(offer.appended(place))
    }
}

/// Whether somebody has come in behind this place, who has not been shown what is there: all who
/// were may be gone.
fn has_seated_since(store: &impl Store, group: &Group, place: Seq) -> Result<bool, Stop> {
    let Some(newest) = group.roster.seats().map(|seat| seat.seated).max() else { return Ok(false) };
    Ok(store.commit(group.roster.group(), newest)?.is_some_and(|seated| seated > place))
}

/// Outsiders are told the same as if there were no such group.
pub(crate) fn member(group: &Group, who: &Identity) -> Result<(), Refusal> {
    if group.seats(&who.fingerprint) { Ok(()) } else { Err(Refusal::NoAccess) }
}

/// Messages of one sender stand near one another, in the order in which they come ([`NewEntry::near`]).
fn near(entry: &LogEntry) -> u64 {
    let LogEntry::Message(MessageEntry { header, .. }) = entry else { return 0 };
    (u64::from(header.slot.0) << 32) | u64::from(header.generation.0)
}

/// The answer that the very same bytes got before.
pub(crate) fn repeated<S: Store>(store: &S, offer: Offer<'_>) -> Result<Option<Outcome>, Stop> {
    let found = store.find(offer.log, offer.near, &offer.hash)?;
    Ok(found.map(|seq| Outcome::answer(Answer::Appended(seq))))
}

pub(crate) fn stage<S: Store>(
    store: &mut S,
    offer: Offer<'_>,
    tail: Place,
    commit: Option<CommitPoint>,
) -> Result<Place, Stop> {
    let origin = offer.origin(commit.is_some() || offer.lasts);
    let Offer { near, hash, bytes, .. } = offer;
    let entry = NewEntry { near, hash, before: tail.log_hash, commit, origin, bytes };
    Ok(store.append(offer.log, tail.seq, &entry)?)
}
