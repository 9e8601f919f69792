//! What is new in logs, on its way to the sessions that tail them.
//!
//! Every log that somebody tails has a [`Feed`]: its newest entries, encoded once for everybody.
//! A session has a [`Tail`]: its own place. The relay thread adds to feeds and wakes; each session
//! takes from behind its place at its own speed. So a slow session costs others nothing, and holds
//! nothing but a number.
//!
//! Nothing is lost, doubled or reordered between store and feed, because of three facts:
//! - the feed has every entry behind its *floor*, from the moment it exists: it begins at the
//!   log's end, on the thread that alone adds entries, and rises only as old ones are dropped;
//! - an entry is flushed before it is in the feed, so the store has everything up to the floor;
//! - a session at or above the floor goes on from the feed, one below it reads the store first.
//!
//! A tail may have an end, the commit that took its reader's seat. It is set before anything behind
//! it is added, and nothing that was not added yet is read from the store.

use crate::serve::{
    mailbox::Mailbox,
    presence::{Bell, Changes, Lobby},
};
use openchat_relay::{Publish, TailEnd, Tailing};
use openchat_wire::{Blob, Fingerprint, GroupId, Seq, frame::to_frame, relay::ToClient};
use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Bytes of recent entries kept for all logs together. A session that falls further behind reads
/// the store; ten thousand messages fit.
const MAX_RECENT: usize = 16 * 1024 * 1024;

/// All feeds. Only the relay thread has it.
#[derive(Debug)]
pub(crate) struct Hub {
    feeds: HashMap<GroupId, Arc<Feed>>,
    /// Where the next frame to be dropped is, and its size.
    oldest: VecDeque<(Weak<Feed>, usize)>,
    bytes: usize,
    max_bytes: usize,
    changed: Vec<Arc<Feed>>,
    next_subscription: u64,
    /// Feeds that make it worth looking for unused ones.
    prune_at: usize,
    lobby: Arc<Lobby>,
}

/// The newest entries of one log, and who wants them.
#[derive(Debug)]
pub(crate) struct Feed {
    log: GroupId,
    recent: Mutex<Recent>,
    subscriptions: Mutex<HashMap<u64, Arc<Subscription>>>,
}

#[derive(Debug)]
struct Recent {
    /// Entries behind this place are all here.
    floor: Seq,
    /// Place of the newest entry.
    end: Seq,
    /// Number of the first item, counted from the feed's beginning.
    first: u64,
    items: VecDeque<Item>,
}

#[derive(Debug)]
struct Item {
    kind: Kind,
    /// The log's end when it was added: for an entry its own place.
    end: Seq,
    frame: Arc<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry,
    /// Belongs to where the log was when it came.
    Heartbeat,
}

#[derive(Debug)]
struct Subscription {
    log: GroupId,
    reader: Fingerprint,
    mailbox: Arc<Mailbox>,
    /// The session knows that there is something new.
    told: AtomicBool,
    /// The last place that is for this reader, or [`NO_END`].
    last: AtomicU64,
    /// Somebody may have come or gone.
    company: AtomicBool,
}

/// A tail that goes on.
const NO_END: u64 = u64::MAX;

/// A session's place in a log.
#[derive(Debug)]
pub(crate) struct Tail {
    feed: Arc<Feed>,
    subscription: Arc<Subscription>,
    number: u64,
    /// The last entry that was taken.
    seq: Seq,
    /// Number of the next item, once the feed was reached.
    next: Option<u64>,
    /// Who else is here, if that is for this reader.
    lobby: Option<Arc<Lobby>>,
}

/// What a tail finds in its feed.
#[derive(Debug)]
pub(crate) enum Found {
    /// Frames to send, in order. Empty: nothing new.
    Frames(Vec<Arc<[u8]>>),
    /// Entries behind `after` are to be read from the store first, but none behind `end`.
    Behind { after: Seq, floor: Seq, end: Seq },
    /// Everything that is for this reader was taken.
    Ended,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(MAX_RECENT)
    }
}

impl Hub {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            feeds: HashMap::new(),
            oldest: VecDeque::new(),
            bytes: 0,
            max_bytes,
            changed: Vec::new(),
            next_subscription: 0,
            prune_at: 64,
            lobby: Arc::default(),
        }
    }

    /// Who is in which log, to be kept up.
    pub(crate) fn lobby(&self) -> Arc<Lobby> {
        Arc::clone(&self.lobby)
    }

    /// A session begins to tail a log, at this point of the relay thread's order.
    pub(crate) fn subscribe(&mut self, tailing: &Tailing, mailbox: &Arc<Mailbox>) -> Tail {
        self.prune();
        let Tailing { log, after, end, reader, last } = *tailing;
        let feed = self.feeds.entry(log).or_insert_with(|| Arc::new(Feed::new(log, end)));
        let number = self.next_subscription;
        self.next_subscription = number.wrapping_add(1);
        let (told, last) = (AtomicBool::new(false), last.map_or(NO_END, |last| last.0));
        let (mailbox, last) = (Arc::clone(mailbox), AtomicU64::new(last));
        let company = AtomicBool::new(true);
        let subscription = Arc::new(Subscription { log, reader, mailbox, told, last, company });
        feed.subscriptions().insert(number, Arc::clone(&subscription));
        let shares = tailing.last.is_none() && !tailing.is_inbox();
        let lobby = shares.then(|| Arc::clone(&self.lobby));
        if let Some(lobby) = &lobby {
            let bell: Arc<dyn Bell> = Arc::<Subscription>::clone(&subscription);
            lobby.arrive(log, (reader, number), bell);
        }
        // Heartbeats from before are not for this session, those from now on are.
        let next = (after >= end).then(|| feed.recent().next());
        Tail { feed: Arc::clone(feed), subscription, number, seq: after, next, lobby }
    }

    /// Adds something flushed to the log's feed. Call [`wake`](Self::wake) after the last one.
    pub(crate) fn publish(&mut self, publish: Publish) {
        let log = match &publish {
            Publish::Entry { log, .. } | Publish::Heartbeat { log, .. } => *log,
        };
        let Some(feed) = self.feeds.get(&log).map(Arc::clone) else { return };
        if feed.subscriptions().is_empty() {
            // Nobody is left, so the feed need not follow the log any longer.
            self.feeds.remove(&log);
            return;
        }
        let len = feed.recent().push(publish);
        self.oldest.push_back((Arc::downgrade(&feed), len));
        self.bytes = self.bytes.saturating_add(len);
        if !self.changed.iter().any(|other| Arc::ptr_eq(other, &feed)) {
            self.changed.push(feed);
        }
        self.drop_old();
    }

    /// Tails end with what was published last of their logs.
    pub(crate) fn end(&self, ends: &[TailEnd]) {
        // By reader, because a commit may remove thousands of those who tail.
        let mut by_log = HashMap::<_, HashMap<_, _>>::new();
        for TailEnd { log, reader, last } in ends {
            self.lobby.expel(*log, reader);
            by_log.entry(log).or_default().insert(reader, last);
        }
        for (log, readers) in by_log {
            let Some(feed) = self.feeds.get(log) else { continue };
            for subscription in feed.subscriptions().values() {
                if let Some(last) = readers.get(&subscription.reader) {
                    subscription.last.fetch_min(last.0, Ordering::AcqRel);
                }
            }
        }
    }

    /// Tells the sessions about what was published.
    pub(crate) fn wake(&mut self) {
        for feed in mem::take(&mut self.changed) {
            for subscription in feed.subscriptions().values() {
                subscription.tell();
            }
        }
    }

    fn drop_old(&mut self) {
        while self.bytes > self.max_bytes {
            let Some((feed, len)) = self.oldest.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(len);
            if let Some(feed) = feed.upgrade() {
                feed.recent().pop();
            }
        }
    }

    /// Forgets what was published: whoever has not got it yet reads it from the store.
    pub(crate) fn forget(&mut self) {
        let max_bytes = std::mem::replace(&mut self.max_bytes, 0);
        self.drop_old();
        self.max_bytes = max_bytes;
    }

    /// Forgets feeds of logs that nobody tails, now and then.
    fn prune(&mut self) {
        if self.feeds.len() >= self.prune_at {
            self.feeds.retain(|_, feed| !feed.subscriptions().is_empty());
            self.prune_at = self.feeds.len().saturating_mul(2).max(64);
        }
    }
}

impl Feed {
    fn new(log: GroupId, end: Seq) -> Self {
        let recent = Recent { floor: end, end, first: 0, items: VecDeque::new() };
        Self { log, recent: Mutex::new(recent), subscriptions: Mutex::default() }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<u64, Arc<Subscription>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    /// Adds the frame that all receivers get, and returns its size.
    fn push(&mut self, publish: Publish) -> usize {
        let (kind, message) = match publish {
            Publish::Entry { log, seq, entry } => {
                self.end = seq;
                (Kind::Entry, ToClient::Entry { log, seq, entry: Blob(entry.to_vec()) })
            }
            Publish::Heartbeat { log, beat, receipt } => {
                let beat = Blob(beat.to_vec());
                (Kind::Heartbeat, ToClient::Heartbeat { log, beat, receipt })
            }
        };
        let frame: Arc<[u8]> = to_frame(&message).into();
        let len = frame.len();
        self.items.push_back(Item { kind, end: self.end, frame });
        len
    }

    fn pop(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.floor = self.floor.max(item.end);
            self.first = self.first.saturating_add(1);
        }
    }

    /// Number of the item that will be added next.
    fn next(&self) -> u64 {
        let len = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        self.first.saturating_add(len)
    }

    /// Index of the first item that a tail at this place has not had.
    fn index(&self, seq: Seq, next: Option<u64>) -> Option<usize> {
        let known = next.and_then(|next| next.checked_sub(self.first));
        match known.and_then(|index| usize::try_from(index).ok()) {
            Some(index) => Some(index),
            None if seq < self.floor => None,
            None => Some(self.items.partition_point(|item| item.end <= seq)),
        }
    }
}

impl Subscription {
    /// Once, until the session looks.
    fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.mailbox.changed(self.log);
        }
    }
}

impl Bell for Subscription {
    fn ring(&self) {
        self.company.store(true, Ordering::Release);
        self.tell();
    }
}

impl Tail {
    pub(crate) fn log(&self) -> GroupId {
        self.feed.log
    }

    /// Tells it from other tails.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next frames, `budget` bytes of them or a little more.
    pub(crate) fn take(&mut self, budget: usize) -> Found {
        // First this, then the look: whatever is added after the look is told again.
        self.subscription.told.store(false, Ordering::Release);
        let recent = self.feed.recent();
        // Under the lock: whatever is behind the end was added after the end was set.
        let last = Seq(self.subscription.last.load(Ordering::Acquire));
        if self.seq >= last {
            return Found::Ended;
        }
        let Some(index) = recent.index(self.seq, self.next) else {
            let (floor, end) = (recent.floor, recent.end.min(last));
            return Found::Behind { after: self.seq, floor, end };
        };
        let (mut frames, mut bytes, mut next) = (Vec::new(), 0_usize, index);
        for item in recent.items.range(index.min(recent.items.len())..) {
            if bytes >= budget || self.seq >= last {
                break;
            }
            next = next.saturating_add(1);
            if item.kind == Kind::Entry && item.end <= self.seq {
                // Asked for from a later place on.
                continue;
            }
            self.seq = self.seq.max(item.end);
            bytes = bytes.saturating_add(item.frame.len());
            frames.push(Arc::clone(&item.frame));
        }
        let next = u64::try_from(next).ok();
        self.next = next.map(|next| recent.first.saturating_add(next));
        drop(recent);
        frames.extend(self.company());
        Found::Frames(frames)
    }

    /// Who has come and gone since the last time.
    fn company(&self) -> Option<Arc<[u8]>> {
        if !self.subscription.company.swap(false, Ordering::AcqRel) {
            return None;
        }
        let Changes { online, offline } = self.lobby.as_ref()?.take(self.log(), self.number)?;
        Some(to_frame(&ToClient::Presence { log: self.log(), online, offline }).into())
    }

    /// Entries up to here came from the store.
    pub(crate) fn caught_up(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
        self.next = None;
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.feed.subscriptions().remove(&self.number);
        if let Some(lobby) = &self.lobby {
            lobby.depart(self.log(), self.number);
        }
    }
}

#[cfg(test)]
mod tests;
