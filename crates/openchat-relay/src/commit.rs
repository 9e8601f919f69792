//! Commits: by compare-and-swap, one for each epoch, by the checks C of `docs/protocol.md` §4.4 and
//! the relay's own rules R1 to R7.

use crate::{
    append::{Offer, member, repeated, stage},
    fault::RuleFault,
    group::Group,
    inbox,
    outcome::{Outcome, Stop, TailEnd},
    pace::Buckets,
    place::{Moves, key},
    relay::{Relay, record},
    store::{CommitPoint, Limit, Place, Store, Table, Which},
    transparency::Transparency,
    turn::{Keeping, Turn},
};
use openchat_crypto::Label;
use openchat_pki::Entry;
use openchat_roster::{
    Access, Commit, CommitEntry, CommitFault, Entrant, Operation, Person, Policy, Reason, Role,
    Roster, Seat, Transition, log_hash_start,
};
use openchat_wire::{
    Epoch, Fingerprint, GroupId, Name, Seq, UnixMillis, encode, limits::MAX_UNCLAIMED,
    relay::Refusal,
};

impl<S: Store> Relay<S> {
    /// Decides about a commit.
    pub(crate) fn append_commit(
        &mut self,
        offer: Offer<'_>,
        entry: &CommitEntry,
    ) -> Result<Outcome, Stop> {
        let commit = entry.view()?;
        if commit.author != offer.who.fingerprint {
            return Err(RuleFault::Author.into());
        }
        inbox::check(&commit, offer.letters)?;
        if entrant(&commit).is_some_and(|entrant| entrant.name != offer.who.name) {
            return Err(RuleFault::Name.into());
        }
        match commit.operations.first() {
            Some(Operation::Create { policy, .. }) => self.create(offer, entry, &commit, policy),
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
        let author = commit.author;
        let is_member = |group: &mut Group| group.seats(&author);
        let is_known = self.groups.get(&self.store, offer.log)?.is_some_and(is_member);
        if is_known && let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        let wait = self.creates.wait(&author, 1, offer.now);
        if wait > 0 {
            return Err(Refusal::Paced { retry_ms: wait }.into());
        }
        take_adds(&mut self.adds, commit, offer.now)?;
        // An attempt counts: the checks of a large group take a while.
        self.creates.take(author, 1, offer.now);
        let mut roster = Roster::new(*offer.log);
        let transition = roster.check(entry)?;
        if let Some(group) = self.groups.get(&self.store, offer.log)? {
            member(group, offer.who)?;
            return Err(conflict(&self.store, offer.log, commit.epoch));
        }
        if let Some(group) = registered(&self.store, &policy.access)? {
            return Err(Refusal::NameTaken(group).into());
        }
        check_people(&self.store, &self.transparency, commit, offer.now)?;
        self.transparency.check(commit.head, offer.now)?;
        let moves = Moves::of(commit, &policy.access, transition.outline().removed(), false);
        moves.check_room(&self.store, offer.log)?;

        self.register(offer, &policy.access)?;
        let start = Place { seq: Seq(0), log_hash: log_hash_start(offer.log) };
        let next = Next::new(start, &roster, &transition, &moves);
        let (place, outcome) = stage_commit(&mut self.store, offer, commit, &next)?;
        roster.apply(transition);
        self.groups.insert(*offer.log, Group::new(roster, place));
        Ok(outcome)
    }

    /// Stages what makes a group the only one of its name or pair.
    fn register(&mut self, offer: Offer<'_>, access: &Access) -> Result<(), Stop> {
        let id = encode(offer.log);
        match access {
            Access::Open { name } => {
                let entry = Entry::GroupName { name: name.clone(), group: *offer.log };
                self.transparency.push(&mut self.store, &entry, offer.now)?;
                self.store.put(Table::GroupName, name.as_str().as_bytes(), None, &id)?;
            }
            Access::Closed { .. } => {}
            Access::Direct { peers: [one, other] } => {
                self.store.put(Table::Pair, &key(&one.0, &other.0), None, &id)?;
            }
        }
        Ok(())
    }

    /// A commit on top of the last one.
    fn advance(
        &mut self,
        offer: Offer<'_>,
        entry: &CommitEntry,
        commit: &Commit,
    ) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, offer.log)?.ok_or(Refusal::NoAccess)?;
        let joins = entrant(commit).is_some();
        if !(joins && group.roster.may_read(&commit.author)) {
            member(group, offer.who)?;
        }
        if let Some(outcome) = repeated(&self.store, offer)? {
            return Ok(outcome);
        }
        take_adds(&mut self.adds, commit, offer.now)?;
        if commit.epoch != group.roster.epoch() || commit.interim != *group.roster.interim() {
            let wait = group.turns.lose(commit.author, offer.now);
            if wait > 0 {
                return Err(Refusal::Paced { retry_ms: wait }.into());
            }
            keep_place(&self.store, group, (entry, commit), offer.now)?;
            return Err(conflict(&self.store, offer.log, commit.epoch));
        }
        let turn = Turn::of(commit, &group.roster);
        let wait = group.turns.wait(turn, &commit.author, offer.now);
        if wait > 0 {
            return Err(Refusal::Paced { retry_ms: wait }.into());
        }
        check_people(&self.store, &self.transparency, commit, offer.now)?;
        self.transparency.check(commit.head, offer.now)?;
        if turn.is_its_authors() {
            group.turns.take(turn, commit.author, offer.now);
        }
        let transition = group.roster.check(entry)?;
        let access = &group.roster.policy().ok_or(CommitFault::Place)?.access;
        let moves = Moves::of(commit, access, transition.outline().removed(), turn == Turn::Claim);
        moves.check_room(&self.store, offer.log)?;

        let next = Next::new(group.tail, &group.roster, &transition, &moves);
        let (place, outcome) = stage_commit(&mut self.store, offer, commit, &next)?;
        if !turn.is_its_authors() {
            group.turns.take(turn, commit.author, offer.now);
        }
        group.turns.taken(&commit.author);
        group.roster.apply(transition);
        group.advance(place);
        Ok(outcome)
    }
}

/// Whom a commit places by its own will; `None` for a commit of somebody seated.
fn entrant(commit: &Commit) -> Option<&Entrant> {
    commit.operations.iter().find_map(|operation| match operation {
        Operation::Create { entrant, .. } | Operation::Join { entrant, .. } => Some(entrant),
        _ => None,
    })
}

/// R4: the group that has this open name or pair of people.
fn registered(store: &impl Store, access: &Access) -> Result<Option<GroupId>, Stop> {
    Ok(match access {
        Access::Open { name } => record(store, Table::GroupName, name.as_str().as_bytes())?,
        Access::Closed { .. } => None,
        Access::Direct { peers: [one, other] } => {
            record(store, Table::Pair, &key(&one.0, &other.0))?
        }
    })
}

/// R2 and R7: whom a commit puts into the group is known by that name and key, and a prekey that it
/// uses has not expired.
fn check_people(
    store: &impl Store,
    log: &Transparency,
    commit: &Commit,
    now: UnixMillis,
) -> Result<(), Stop> {
    let check_known = |key: &Fingerprint, name: Option<&Name>| {
        if log.is_revoked(key) {
            Err(RuleFault::Revoked.into())
        } else {
            check_known(store, key, name)
        }
    };
    for operation in &commit.operations {
        match operation {
            Operation::Create {
                policy: Policy { access: Access::Direct { peers }, .. }, ..
            } => {
                for peer in peers {
                    check_known(peer, None)?;
                }
            }
            Operation::Add { entrant: Entrant { name, key }, prekey } => {
                check_known(&key.fingerprint(), Some(name))?;
                if prekey.view().map_err(CommitFault::from)?.not_after < now {
                    return Err(RuleFault::Expired.into());
                }
            }
            Operation::Admit(Person { name, fingerprint }) => {
                check_known(fingerprint, Some(name))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_known(store: &impl Store, key: &Fingerprint, name: Option<&Name>) -> Result<(), Stop> {
    let member = crate::authority::member(store, key)?;
    let is_known = member.is_some_and(|member| name.is_none_or(|name| *name == member.name));
    if is_known { Ok(()) } else { Err(RuleFault::Stranger.into()) }
}

/// Paces the adds of one person over all groups, whatever comes of them: the relay checks a
/// signature for each. More of them than one adder may own are refused before (C13).
fn take_adds(
    adds: &mut Buckets<Fingerprint>,
    commit: &Commit,
    now: UnixMillis,
) -> Result<(), Stop> {
    let is_add = |operation: &&Operation| matches!(operation, Operation::Add { .. });
    let count = commit.operations.iter().filter(is_add).count();
    if count > MAX_UNCLAIMED {
        return Err(CommitFault::Full.into());
    }
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let wait = adds.wait(&commit.author, count, now);
    if wait > 0 {
        return Err(Refusal::Paced { retry_ms: wait }.into());
    }
    if count > 0 {
        adds.take(commit.author, count, now);
    }
    Ok(())
}

/// After a removal has lost its race, its author has the next place for a while: those who are to be
/// removed could go on winning. It has lost just now, its author has signed it, and the operations
/// make sense still; or else any member could hold the group up with what it never meant to commit.
fn keep_place(
    store: &impl Store,
    group: &mut Group,
    (entry, commit): (&CommitEntry, &Commit),
    now: UnixMillis,
) -> Result<(), Stop> {
    let author = &commit.author;
    let Some(claim) = keeping(group, commit) else { return Ok(()) };
    if group.turns.may_keep(author, claim, now)
        && has_just_lost(store, group, commit)?
        && is_signed(group, entry, author)
        && group.roster.outline(author, &commit.operations, &commit.head).is_ok()
    {
        group.turns.keep(*author, claim, now);
    }
    Ok(())
}

/// What a commit claims the next place for: `None` without a removal, or a seat.
fn keeping(group: &Group, commit: &Commit) -> Option<Keeping> {
    let removal = |operation: &Operation| match operation {
        Operation::Remove { reason, .. } => Some(matches!(reason, Reason::Evicted)),
        _ => None,
    };
    let mut removals = commit.operations.iter().filter_map(removal).peekable();
    removals.peek()?;
    let is_admin = group.roster.seat(&commit.author)?.role == Role::Admin;
    Some(match (is_admin, removals.any(|evicts| evicts)) {
        (true, true) => Keeping::Eviction,
        (true, false) => Keeping::Admin,
        (false, _) => Keeping::Member,
    })
}

/// Whether a commit was made on the epoch just before the log's last one.
fn has_just_lost(store: &impl Store, group: &Group, commit: &Commit) -> Result<bool, Stop> {
    if commit.epoch.next() != group.roster.epoch() {
        return Ok(false);
    }
    let log = group.roster.group();
    let Some(seq) = store.commit(log, commit.epoch)? else { return Ok(false) };
    let point = store.point(log, seq)?;
    Ok(point.is_some_and(|point| point.commit.interim == commit.interim))
}

fn is_signed(group: &Group, entry: &CommitEntry, author: &Fingerprint) -> bool {
    let signed = CommitEntry::signed_bytes(&entry.commit, &entry.tag);
    let verifies = |seat: &Seat| seat.key.verify(Label::Commit, &signed, &entry.signature).is_ok();
    group.roster.seat(author).is_some_and(verifies)
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
    let first = page.entries.into_iter().next();
    Ok(first.map(|(seq, body)| body.whole().map(|bytes| (seq, bytes))).transpose()?)
}

/// Where a commit goes, and what the log is after it.
struct Next<'a> {
    tail: Place,
    point: CommitPoint,
    moves: &'a Moves,
}

impl<'a> Next<'a> {
    fn new(tail: Place, roster: &Roster, transition: &Transition, moves: &'a Moves) -> Self {
        let point = CommitPoint { epoch: roster.epoch().next(), interim: *transition.interim() };
        Self { tail, point, moves }
    }
}

/// Stages a commit and all that goes with it: letters, and who is where.
fn stage_commit(
    store: &mut impl Store,
    offer: Offer<'_>,
    commit: &Commit,
    next: &Next<'_>,
) -> Result<(Place, Outcome), Stop> {
    let place = stage(store, offer, next.tail, Some(next.point))?;
    next.moves.stage(store, offer.log, place.seq)?;
    let mut outcome = offer.appended(place);
    outcome.publish.extend(inbox::deliver(store, commit, place.seq, offer)?);
    let end = |reader: &Fingerprint| TailEnd { log: *offer.log, reader: *reader, last: place.seq };
    outcome.ends = next.moves.unseated.iter().map(end).collect();
    Ok((place, outcome))
}
