//! Who is online, for those who share a group: whoever tails a log learns who else does.
//!
//! It is made from what the server has anyway, the tails of its sessions, so a device says nothing
//! for it, and whoever may not tail a log learns nothing. Nobody signs it: it is the server's word.
//!
//! Here are no clocks and no sockets: time comes in, bells are to be rung, and a session that hears
//! its bell takes what has changed for it. So what waits for a slow session is one number, and
//! nothing is pending while nobody comes or goes.
//!
//! Each change of a person gets a version of its log. A watcher that was told of everything up to a
//! version takes the people whose newest change is later: whatever happened to one of them in
//! between, it hears how they stand now.

mod lobby;

pub(crate) use lobby::{Bell, Lobby};

use openchat_wire::{Fingerprint, GroupId};
use std::collections::{BTreeMap, BTreeSet};

/// People online in a group beyond which nobody is told: each coming and going is told to all
/// others, and a crowd that comes back after a restart would cost its square. At this number that
/// is 2 MB in all.
const MAX_ONLINE: usize = 256;

/// How few are left of a crowd before it is told again who is there: one who comes and goes at the
/// limit must not make everybody appear and vanish.
const NO_CROWD: usize = 192;

/// Whoever is gone for less than this was not away: connections break and come back.
const GRACE: Millis = 5_000;

/// A session hears of a log's people at most this often; what happens meanwhile comes together.
const PACE: Millis = 1_000;

/// People in one frame; more come in the next one. It holds a whole crowd that vanishes.
const MAX_CHANGES: usize = 512;

/// Milliseconds since the server's start, by a clock that is never set.
type Millis = u64;

/// Who tails which log, and what each of them was told. `B` reaches a session.
#[derive(Debug)]
pub(crate) struct Presence<B> {
    logs: BTreeMap<GroupId, Log<B>>,
    /// When which log is to be looked at.
    agenda: BTreeSet<(Millis, GroupId)>,
}

/// What a session is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) online: Vec<Fingerprint>,
    pub(crate) offline: Vec<Fingerprint>,
}

#[derive(Debug)]
struct Log<B> {
    people: BTreeMap<Fingerprint, Person>,
    /// By the numbers of their tails.
    watchers: BTreeMap<u64, Watcher<B>>,
    /// Whose newest change has which version.
    journal: BTreeMap<u64, Fingerprint>,
    /// The versions of those who are gone and not forgotten.
    gone: BTreeSet<u64>,
    version: u64,
    leaving: BTreeSet<(Millis, Fingerprint)>,
    online: usize,
    /// Too many to be told.
    crowded: bool,
    /// When somebody is to be told something.
    announce: Option<Millis>,
    /// Its place in the agenda.
    due: Option<Millis>,
}

#[derive(Debug, Default)]
struct Person {
    /// How many connections tail the log.
    tails: u32,
    /// None does any more, and this is when that counts.
    leaves_at: Option<Millis>,
    /// What is told of it.
    shown: bool,
    /// Of what is told; 0 if nothing ever was.
    version: u64,
}

#[derive(Debug)]
struct Watcher<B> {
    reader: Fingerprint,
    /// It has not taken anything yet, so it need not hear who is gone.
    fresh: bool,
    /// It knows everything up to this version.
    told: u64,
    next_at: Millis,
    /// It was rung for and has not looked yet.
    rung: bool,
    bell: B,
}

impl<B> Default for Presence<B> {
    fn default() -> Self {
        Self { logs: BTreeMap::new(), agenda: BTreeSet::new() }
    }
}

impl<B: Clone> Presence<B> {
    /// Somebody with a seat begins to tail a log. It looks without being rung for.
    pub(crate) fn arrive(
        &mut self,
        now: Millis,
        log: GroupId,
        (reader, number): (Fingerprint, u64),
        bell: B,
    ) {
        let entry = self.logs.entry(log).or_insert_with(Log::new);
        let (fresh, told, rung) = (true, 0, true);
        entry.watchers.insert(number, Watcher { reader, fresh, told, next_at: now, rung, bell });
        entry.come(now, reader);
        self.schedule(log);
    }

    /// A tail has ended.
    pub(crate) fn depart(&mut self, now: Millis, log: GroupId, number: u64) {
        let Some(entry) = self.logs.get_mut(&log) else { return };
        let Some(watcher) = entry.watchers.remove(&number) else { return };
        entry.go(now, watcher.reader);
        self.schedule(log);
    }

    /// Somebody has lost its seat: it learns nothing more, and the others learn at once that it is
    /// not there.
    pub(crate) fn expel(&mut self, now: Millis, log: GroupId, reader: &Fingerprint) {
        let Some(entry) = self.logs.get_mut(&log) else { return };
        entry.watchers.retain(|_, watcher| watcher.reader != *reader);
        entry.leave(now, *reader);
        self.schedule(log);
    }

    /// What has come to its time; rings for those who have something to take.
    pub(crate) fn tick(&mut self, now: Millis) -> Vec<B> {
        let mut bells = Vec::new();
        while let Some((at, log)) = self.agenda.first().copied()
            && at <= now
        {
            self.agenda.pop_first();
            if let Some(entry) = self.logs.get_mut(&log) {
                entry.due = None;
                entry.tick(now, &mut bells);
            }
            self.schedule(log);
        }
        bells
    }

    /// When [`tick`](Self::tick) is due; never while nobody comes or goes.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// What a watcher does not know yet.
    pub(crate) fn take(&mut self, now: Millis, log: GroupId, number: u64) -> Option<Changes> {
        let changes = self.logs.get_mut(&log)?.take(now, number);
        self.schedule(log);
        changes
    }

    fn schedule(&mut self, log: GroupId) {
        let Some(entry) = self.logs.get_mut(&log) else { return };
        let leaving = entry.leaving.first().map(|(at, _)| *at);
        let due = [entry.announce, leaving].into_iter().flatten().min();
        // Without a watcher there is nobody to be told.
        let is_watched = !entry.watchers.is_empty();
        let due = due.filter(|_| is_watched);
        if due != entry.due {
            entry.due.map(|at| self.agenda.remove(&(at, log)));
            due.map(|at| self.agenda.insert((at, log)));
            entry.due = due;
        }
        if !is_watched {
            self.logs.remove(&log);
        }
    }
}

impl<B: Clone> Log<B> {
    const fn new() -> Self {
        Self {
            people: BTreeMap::new(),
            watchers: BTreeMap::new(),
            journal: BTreeMap::new(),
            gone: BTreeSet::new(),
            version: 0,
            leaving: BTreeSet::new(),
            online: 0,
            crowded: false,
            announce: None,
            due: None,
        }
    }

    fn come(&mut self, now: Millis, who: Fingerprint) {
        let person = self.people.entry(who).or_default();
        if let Some(at) = person.leaves_at.take() {
            self.leaving.remove(&(at, who));
        } else if person.tails == 0 {
            self.online = self.online.saturating_add(1);
        }
        person.tails = person.tails.saturating_add(1);
        self.weigh(now);
        self.show(now, who);
    }

    fn go(&mut self, now: Millis, who: Fingerprint) {
        let Some(person) = self.people.get_mut(&who) else { return };
        person.tails = person.tails.saturating_sub(1);
        if person.tails == 0 {
            let at = now.saturating_add(GRACE);
            person.leaves_at = Some(at);
            self.leaving.insert((at, who));
        }
    }

    /// It is offline, as far as anybody here is concerned.
    fn leave(&mut self, now: Millis, who: Fingerprint) {
        let Some(person) = self.people.get_mut(&who) else { return };
        if !person.is_online() {
            return;
        }
        person.tails = 0;
        if let Some(at) = person.leaves_at.take() {
            self.leaving.remove(&(at, who));
        }
        self.online = self.online.saturating_sub(1);
        self.show(now, who);
        match self.people.get(&who).map(|person| person.version) {
            // Nobody was ever told of it.
            Some(0) => drop(self.people.remove(&who)),
            Some(version) => drop(self.gone.insert(version)),
            None => {}
        }
        self.weigh(now);
        self.prune();
    }

    /// Whether it is a crowd now, which nobody is told of.
    fn weigh(&mut self, now: Millis) {
        let crowded = self.online > if self.crowded { NO_CROWD } else { MAX_ONLINE };
        if crowded != self.crowded {
            self.crowded = crowded;
            for who in self.people.keys().copied().collect::<Vec<_>>() {
                self.show(now, who);
            }
        }
    }

    /// Brings what is told of somebody to how it is.
    fn show(&mut self, now: Millis, who: Fingerprint) {
        let Some(person) = self.people.get_mut(&who) else { return };
        let shown = person.is_online() && !self.crowded;
        if shown == person.shown {
            if person.is_online() {
                self.gone.remove(&person.version);
            }
            return;
        }
        self.version = self.version.saturating_add(1);
        self.gone.remove(&person.version);
        self.journal.remove(&person.version);
        self.journal.insert(self.version, who);
        (person.shown, person.version) = (shown, self.version);
        self.announce_at(now);
    }

    fn announce_at(&mut self, at: Millis) {
        self.announce = Some(self.announce.map_or(at, |earlier| earlier.min(at)));
    }

    fn tick(&mut self, now: Millis, bells: &mut Vec<B>) {
        while let Some((at, who)) = self.leaving.first().copied()
            && at <= now
        {
            self.leave(now, who);
        }
        if self.announce.is_none_or(|at| at > now) {
            return;
        }
        self.announce = None;
        let mut next = None::<Millis>;
        for watcher in self.watchers.values_mut() {
            if watcher.rung || watcher.told == self.version {
                continue;
            }
            if watcher.next_at <= now {
                watcher.rung = true;
                bells.push(watcher.bell.clone());
            } else {
                next = Some(next.map_or(watcher.next_at, |at| at.min(watcher.next_at)));
            }
        }
        if let Some(at) = next {
            self.announce_at(at);
        }
    }

    fn take(&mut self, now: Millis, number: u64) -> Option<Changes> {
        let watcher = self.watchers.get_mut(&number)?;
        watcher.rung = false;
        let (mut changes, mut told) = (Changes::default(), self.version);
        for (version, who) in self.journal.range(watcher.told.saturating_add(1)..) {
            let shown = self.people.get(who).is_some_and(|person| person.shown);
            if *who == watcher.reader || (watcher.fresh && !shown) {
                continue;
            }
            if changes.len() == MAX_CHANGES {
                told = version.saturating_sub(1);
                break;
            }
            if shown { changes.online.push(*who) } else { changes.offline.push(*who) }
        }
        (watcher.told, watcher.fresh) = (told, false);
        let is_news = changes.len() > 0;
        if is_news {
            watcher.next_at = now.saturating_add(PACE);
        }
        let next_at = watcher.next_at;
        if told < self.version {
            self.announce_at(next_at);
        }
        self.prune();
        is_news.then_some(changes)
    }

    /// Forgets those who are gone, once everybody knows.
    fn prune(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        let told = self.watchers.values().filter(|watcher| !watcher.fresh);
        let known = told.map(|watcher| watcher.told).min().unwrap_or(self.version);
        while let Some(version) = self.gone.first().copied()
            && version <= known
        {
            self.gone.pop_first();
            if let Some(who) = self.journal.remove(&version) {
                self.people.remove(&who);
            }
        }
    }
}

impl Person {
    const fn is_online(&self) -> bool {
        self.tails > 0 || self.leaves_at.is_some()
    }
}

impl Changes {
    const fn len(&self) -> usize {
        self.online.len().saturating_add(self.offline.len())
    }
}

#[cfg(test)]
mod tests;
