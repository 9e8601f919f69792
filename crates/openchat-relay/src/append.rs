//! What may stand in a log: commits by compare-and-swap, messages within the epoch window, notices.
//!
//! Everything is checked before anything is staged, so a refused request leaves nothing behind.

use crate::{
    group::Group,
    outcome::{Identity, Outcome, Publish, Stop},
    relay::Relay,
    store::{CommitPoint, Limit, NewEntry, Place, Store, Table, Which},
};
use openchat_crypto::sha256;
use openchat_pki::Entry;
use openchat_roster::{
    Commit, CommitEntry, CommitFault, Entrant, LogEntry, MessageEntry, NoticeEntry, Operation,
    Policy, Roster, Transition, log_hash_start,
};
use openchat_wire::{
    Digest, Epoch, GroupId, Seq, UnixMillis, encode,
    relay::{Answer, Refusal},
};

/// The check that whoever sends something signed it.
pub(crate) const AUTHOR: &str = "the author is not the one who sends it";
/// The check that a newcomer goes by its certified name.
const NAME: &str = "the name is not the certified one";

/// An entry that somebody asks to append.
#[derive(Clone, Copy)]
struct Offer<'a> {
    who: &'a Identity,
    log: &'a GroupId,
    bytes: &'a [u8],
    hash: Digest,
    now: UnixMillis,
}

impl<S: Store> Relay<S> {
    /// Decides about `Request::Append`.
    pub(crate) fn append(
        &mut self,
        who: &Identity,
        log: &GroupId,
        bytes: &[u8],
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        let entry = LogEntry::decode(bytes)?;
        let offer = Offer { who, log, bytes, hash: sha256(bytes), now };
        match entry {
            LogEntry::Commit(commit) => self.append_commit(offer, &commit),
            LogEntry::Message(message) => self.append_message(offer, &message),
            LogEntry::Notice(notice) => self.append_notice(offer, &notice),
        }
    }

    fn append_commit(&mut self, offer: Offer<'_>, entry: &CommitEntry) -> Result<Outcome, Stop> {
        let commit = entry.view()?;
        if commit.author != offer.who.fingerprint {
            return Err(Refusal::Invalid(AUTHOR.to_owned()).into());
        }
        if entrant(&commit).is_some_and(|entrant| entrant.name != offer.who.name) {
            return Err(Refusal::Invalid(NAME.to_owned()).into());
        }
        match &commit.operations[..] {
            [Operation::Create { policy, .. }] => self.create(offer, entry, &commit, policy),
            _ => self.advance(offer, entry, &commit),
        }
    }

    /// A commit that begins a group. What it claims is judged before it matters whether the log is
    /// there, so that an outsider learns nothing about that.
    fn create(
        &mut self,
        offer: Offer<'_>,
        entry: &CommitEntry,
        commit: &Commit,
        policy: &Policy,
    ) -> Result<Outcome, Stop> {
        let mut roster = Roster::new(*offer.log);
        let transition = roster.check(entry)?;
        if let Some(group) = self.groups.get(&self.store, offer.log)? {
            member(group, offer.who)?;
            return match repeated(&self.store, offer)? {
                Some(outcome) => Ok(outcome),
                None => Err(conflict(&self.store, offer.log, commit.epoch)),
            };
        }
        if let Policy::Open { name } = policy
            && let Some(group) = self.named(name)?
        {
            return Err(Refusal::NameTaken(group).into());
        }
        self.transparency.check(commit.head, offer.now)?;

        if let Policy::Open { name } = policy {
            let entry = Entry::GroupName { name: name.clone(), group: *offer.log };
            self.transparency.push(&mut self.store, &entry, offer.now)?;
            self.store.put(Table::GroupName, name.as_str().as_bytes(), None, &encode(offer.log))?;
        }
        let start = Place { seq: Seq(0), log_hash: log_hash_start(offer.log) };
        let place = stage(&mut self.store, offer, start, Some(point(&roster, &transition)))?;
        roster.apply(transition);
        self.groups.insert(*offer.log, Group::new(roster, place));
        Ok(appended(offer, place))
    }

    /// A commit on top of the last one.
    fn advance(
        &mut self,
        offer: Offer<'_>,
        entry: &CommitEntry,
        commit: &Commit,
    ) -> Result<Outcome, Stop> {
        let joins = entrant(commit).is_some();
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        if !(joins && group.is_open()) {
            member(group, offer.who)?;
        }
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        if commit.epoch != group.roster.epoch() || commit.interim != *group.roster.interim() {
            return Err(conflict(&self.store, offer.log, commit.epoch));
        }
        let wait = group.bucket(commit.author, joins).wait(offer.now);
        if wait > 0 {
            return Err(Refusal::Paced { retry_ms: wait }.into());
        }
        self.transparency.check(commit.head, offer.now)?;
        let transition = group.roster.check(entry)?;

        let point = point(&group.roster, &transition);
        let place = stage(&mut self.store, offer, group.tail, Some(point))?;
        group.roster.apply(transition);
        group.advance(place);
        group.bucket(commit.author, joins).take(offer.now);
        Ok(appended(offer, place))
    }

    fn append_message(
        &mut self,
        offer: Offer<'_>,
        message: &MessageEntry,
    ) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        member(group, offer.who)?;
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        group.roster.check_message(&message.header, &offer.who.fingerprint)?;
        let place = stage(&mut self.store, offer, group.tail, None)?;
        group.advance(place);
        Ok(appended(offer, place))
    }

    fn append_notice(&mut self, offer: Offer<'_>, entry: &NoticeEntry) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        member(group, offer.who)?;
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        let notice = group.roster.check_notice(entry)?;
        if notice.author != offer.who.fingerprint {
            return Err(Refusal::Invalid(AUTHOR.to_owned()).into());
        }
        let place = stage(&mut self.store, offer, group.tail, None)?;
        group.advance(place);
        Ok(appended(offer, place))
    }
}

/// Whom a commit places by its own will; `None` for a commit of somebody seated.
fn entrant(commit: &Commit) -> Option<&Entrant> {
    commit.operations.iter().find_map(|operation| match operation {
        Operation::Create { entrant, .. } | Operation::Join { entrant, .. } => Some(entrant),
        Operation::Rejoin { .. } | Operation::Update => None,
    })
}

/// Outsiders are told the same as if there were no such group.
pub(crate) fn member(group: &Group, who: &Identity) -> Result<(), Refusal> {
    if group.seats(&who.fingerprint) { Ok(()) } else { Err(Refusal::NoAccess) }
}

/// The answer that the very same bytes got before.
fn repeated<S: Store>(store: &S, offer: Offer<'_>) -> Result<Option<Outcome>, Stop> {
    let found = store.find(offer.log, &offer.hash)?;
    Ok(found.map(|seq| Outcome::answer(Answer::Appended(seq))))
}

/// The commit that came first at `epoch`. There is none if the commit is ahead of the log, or made
/// on another history that ends at the same epoch.
fn conflict<S: Store>(store: &S, log: &GroupId, epoch: Epoch) -> Stop {
    match winner(store, log, epoch) {
        Ok(Some((seq, entry))) => Refusal::Conflict { seq, entry: entry.into() }.into(),
        Ok(None) => CommitFault::Place.into(),
        Err(stop) => stop,
    }
}

fn winner<S: Store>(
    store: &S,
    log: &GroupId,
    epoch: Epoch,
) -> Result<Option<(Seq, Vec<u8>)>, Stop> {
    let Some(seq) = store.commit(log, epoch.next())? else {
        return Ok(None);
    };
    let one = Limit { entries: 1, bytes: 0 };
    let page = store.read(log, Seq(seq.0.saturating_sub(1)), Which::All, one)?;
    Ok(page.entries.into_iter().next())
}

fn point(roster: &Roster, transition: &Transition) -> CommitPoint {
    CommitPoint { epoch: roster.epoch().next(), interim: *transition.interim() }
}

fn stage<S: Store>(
    store: &mut S,
    offer: Offer<'_>,
    tail: Place,
    commit: Option<CommitPoint>,
) -> Result<Place, Stop> {
    let entry = NewEntry { hash: offer.hash, before: tail.log_hash, commit, bytes: offer.bytes };
    Ok(store.append(offer.log, tail.seq, &entry)?)
}

fn appended(offer: Offer<'_>, place: Place) -> Outcome {
    let entry = Publish::Entry { log: *offer.log, seq: place.seq, entry: offer.bytes.into() };
    Outcome { publish: Some(entry), ..Outcome::answer(Answer::Appended(place.seq)) }
}
