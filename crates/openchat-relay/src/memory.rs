//! A store that loses everything with its process: for tests and simulations.

use crate::store::{
    CommitPoint, Dropping, Limit, NewEntry, Older, Origin, Owner, Page, PageBuilder, Place, Point,
    Record, Recorded, Store, StoreError, Table, Which,
};
use openchat_wire::{Digest, Epoch, GroupId, Seq, UnixMillis};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Keeps everything in memory, and behaves as a disk does that can be pulled out.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    logs: HashMap<GroupId, Log>,
    /// All entries, in the order in which they came.
    order: Vec<(GroupId, Seq)>,
    records: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    transparency: Vec<Recorded>,
    /// How to take back what was staged, in the order in which it was.
    undo: Vec<Undo>,
    faults: Faults,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Log {
    entries: BTreeMap<Seq, Stored>,
    places: HashMap<Digest, Seq>,
    commits: BTreeMap<Epoch, Seq>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    place: Place,
    hash: Digest,
    commit: Option<CommitPoint>,
    origin: Origin,
    /// Empty once it was dropped.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Undo {
    Append(GroupId),
    Drop(GroupId, Seq, Vec<u8>),
    Record,
    Put(Table, Vec<u8>, Option<Vec<u8>>),
}

/// Makes a store's writes fail, from outside of whoever owns the store.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

#[derive(Debug)]
struct Fault {
    writes_before: u32,
    error: StoreError,
}

impl Faults {
    /// One write, a flush included, fails with this: the next one if `writes_before` is 0.
    pub fn fail_write(&self, writes_before: u32, error: StoreError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Fault { writes_before, error });
    }

    fn strike(&self) -> Result<(), StoreError> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = armed.as_mut().filter(|fault| fault.writes_before > 0) {
            fault.writes_before = fault.writes_before.saturating_sub(1);
            return Ok(());
        }
        armed.take().map_or(Ok(()), |fault| Err(fault.error))
    }
}

/// Stores are equal that have the same in them, flushed or not.
impl PartialEq for MemoryStore {
    fn eq(&self, other: &Self) -> bool {
        (&self.logs, &self.records, &self.transparency)
            == (&other.logs, &other.records, &other.transparency)
    }
}

impl Eq for MemoryStore {}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What makes this store fail.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The store as it is found again after power failed: without what was not flushed.
    #[must_use]
    pub fn crash(mut self) -> Self {
        self.take_back();
        self
    }

    fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Append(log) => self.take_back_entry(&log),
                Undo::Drop(log, seq, bytes) => {
                    if let Some(entry) = self.entry_mut(&log, seq) {
                        entry.bytes = bytes;
                    }
                }
                Undo::Record => {
                    self.transparency.pop();
                }
                Undo::Put(table, key, Some(value)) => {
                    self.records.insert((table, key), value);
                }
                Undo::Put(table, key, None) => {
                    self.records.remove(&(table, key));
                }
            }
        }
    }

    fn entry_mut(&mut self, log: &GroupId, seq: Seq) -> Option<&mut Stored> {
        self.logs.get_mut(log)?.entries.get_mut(&seq)
    }

    fn time(&self, (log, seq): &(GroupId, Seq)) -> UnixMillis {
        let entry = self.logs.get(log).and_then(|log| log.entries.get(seq));
        entry.map_or(UnixMillis(0), |entry| entry.origin.time)
    }

    fn take_back_entry(&mut self, id: &GroupId) {
        self.order.pop();
        let Some(log) = self.logs.get_mut(id) else { return };
        if let Some((_, entry)) = log.entries.pop_last() {
            log.places.remove(&entry.hash);
            if let Some(commit) = entry.commit {
                log.commits.remove(&commit.epoch);
            }
        }
        if log.entries.is_empty() {
            self.logs.remove(id);
        }
    }
}

impl Store for MemoryStore {
    fn append(
        &mut self,
        id: &GroupId,
        after: Seq,
        entry: &NewEntry<'_>,
    ) -> Result<Place, StoreError> {
        self.faults.strike()?;
        let tail = self.tail(id)?.map_or(Seq(0), |tail| tail.seq);
        if tail != after {
            return Err(StoreError::Conflict("the log's tail"));
        }
        if self.find(id, entry.near, &entry.hash)?.is_some() {
            return Err(StoreError::Conflict("an entry that the log has"));
        }
        let epoch = entry.commit.map(|commit| commit.epoch);
        let log = self.logs.entry(*id).or_default();
        if epoch.is_some_and(|epoch| log.commits.contains_key(&epoch)) {
            return Err(StoreError::Conflict("the commit of an epoch"));
        }
        let place = entry.at(tail.next());
        log.places.insert(entry.hash, place.seq);
        log.commits.extend(epoch.map(|epoch| (epoch, place.seq)));
        let NewEntry { hash, commit, origin, bytes, .. } = *entry;
        let stored = Stored { place, hash, commit, origin, bytes: bytes.to_vec() };
        log.entries.insert(place.seq, stored);
        self.order.push((*id, place.seq));
        self.undo.push(Undo::Append(*id));
        Ok(place)
    }

    fn find(&self, log: &GroupId, _near: u64, hash: &Digest) -> Result<Option<Seq>, StoreError> {
        Ok(self.logs.get(log).and_then(|log| log.places.get(hash).copied()))
    }

    fn tail(&self, log: &GroupId) -> Result<Option<Place>, StoreError> {
        let newest = self.logs.get(log).and_then(|log| log.entries.last_key_value());
        Ok(newest.map(|(_, entry)| entry.place))
    }

    fn commit(&self, log: &GroupId, epoch: Epoch) -> Result<Option<Seq>, StoreError> {
        Ok(self.logs.get(log).and_then(|log| log.commits.get(&epoch).copied()))
    }

    fn point(&self, log: &GroupId, seq: Seq) -> Result<Option<Point>, StoreError> {
        let entry = self.logs.get(log).and_then(|log| log.entries.get(&seq));
        Ok(entry.and_then(|entry| entry.commit.map(|commit| Point { place: entry.place, commit })))
    }

    fn read(
        &self,
        log: &GroupId,
        after: Seq,
        which: Which,
        limit: Limit,
    ) -> Result<Page, StoreError> {
        let mut page = PageBuilder::new(limit);
        let entries = self.logs.get(log).map(|log| log.entries.range(after.next()..));
        for (seq, entry) in entries.into_iter().flatten() {
            let wanted = which == Which::All || entry.commit.is_some();
            let add = |page: &mut PageBuilder| match &entry.bytes[..] {
                [] => page.add_dropped(*seq, entry.hash),
                bytes => page.add(*seq, bytes),
            };
            if wanted && add(&mut page).is_break() {
                break;
            }
        }
        Ok(page.finish())
    }

    fn drop_bodies(
        &mut self,
        after: u64,
        older: Older,
        max: usize,
    ) -> Result<Dropping, StoreError> {
        self.faults.strike()?;
        let mut dropping = Dropping { reached: after, complete: true, ..Dropping::default() };
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let window = max.saturating_add(1);
        let rows: Vec<_> = self.order.iter().skip(skipped).take(window).copied().collect();
        let end = after.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        let old = older.leading(rows.iter().map(|at| self.time(at)), |distance| {
            let place = usize::try_from(end.saturating_add(distance).saturating_sub(1));
            let found = self.order.get(place.unwrap_or(usize::MAX));
            Ok::<_, StoreError>(found.map(|at| self.time(at)))
        })?;
        dropping.complete = old <= max;
        for (log, seq) in rows.into_iter().take(old.min(max)) {
            let Some(entry) = self.entry_mut(&log, seq) else { continue };
            dropping.reached = dropping.reached.saturating_add(1);
            if entry.commit.is_some() || entry.origin.lasts || entry.bytes.is_empty() {
                continue;
            }
            let bytes = std::mem::take(&mut entry.bytes);
            let (len, author) = (size(&bytes), entry.origin.author);
            dropping.bodies = dropping.bodies.saturating_add(1);
            dropping.freed.extend([(Owner::Log(log), len), (Owner::Person(author), len)]);
            self.undo.push(Undo::Drop(log, seq, bytes));
        }
        Ok(dropping)
    }

    fn newest(&self, max: usize) -> Result<Vec<UnixMillis>, StoreError> {
        Ok(self.order.iter().rev().take(max).map(|at| self.time(at)).collect())
    }

    fn usage(&self) -> Result<Vec<(Owner, u64)>, StoreError> {
        let mut usage = BTreeMap::<_, u64>::new();
        for (log, entries) in &self.logs {
            for entry in entries.entries.values() {
                for owner in [Owner::Log(*log), Owner::Person(entry.origin.author)] {
                    let sum = usage.entry(owner).or_default();
                    *sum = sum.saturating_add(size(&entry.bytes));
                }
            }
        }
        Ok(usage.into_iter().filter(|(_, bytes)| *bytes > 0).collect())
    }

    fn record(&mut self, index: u64, time: UnixMillis, entry: &[u8]) -> Result<(), StoreError> {
        self.faults.strike()?;
        if u64::try_from(self.transparency.len()) != Ok(index) {
            return Err(StoreError::Conflict("the transparency log's length"));
        }
        self.transparency.push(Recorded { time, entry: entry.to_vec() });
        self.undo.push(Undo::Record);
        Ok(())
    }

    fn recorded(&self, index: u64, max: usize) -> Result<Vec<Recorded>, StoreError> {
        let skipped = usize::try_from(index).unwrap_or(usize::MAX);
        Ok(self.transparency.iter().skip(skipped).take(max).cloned().collect())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.records.get(&(table, key.to_vec())).cloned())
    }

    fn put(
        &mut self,
        table: Table,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(), StoreError> {
        self.faults.strike()?;
        let known = self.get(table, key)?;
        if known.as_deref() != expected {
            return Err(StoreError::Conflict("a record"));
        }
        self.records.insert((table, key.to_vec()), value.to_vec());
        self.undo.push(Undo::Put(table, key.to_vec(), known));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8], expected: &[u8]) -> Result<(), StoreError> {
        self.faults.strike()?;
        let known = self.get(table, key)?;
        if known.as_deref() != Some(expected) {
            return Err(StoreError::Conflict("a record"));
        }
        self.records.remove(&(table, key.to_vec()));
        self.undo.push(Undo::Put(table, key.to_vec(), known));
        Ok(())
    }

    fn scan(&self, table: Table, prefix: &[u8], max: usize) -> Result<Vec<Record>, StoreError> {
        let from = (table, prefix.to_vec());
        let found = self.records.range(from..).map_while(|((other, key), value)| {
            let rest = key.strip_prefix(prefix).filter(|_| *other == table)?;
            Some(Record { rest: rest.to_vec(), value: value.clone() })
        });
        Ok(found.take(max).collect())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.faults.strike().inspect_err(|_| self.take_back())?;
        self.undo.clear();
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.take_back();
        Ok(())
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_the_suite() {
        crate::conformance::run(MemoryStore::new, MemoryStore::crash).unwrap();
    }

    #[test]
    fn fails_once_as_told() {
        let mut store = MemoryStore::new();
        store.faults().fail_write(0, StoreError::Full);
        assert!(matches!(store.put(Table::Name, b"k", None, b"v"), Err(StoreError::Full)));
        store.put(Table::Name, b"k", None, b"v").unwrap();
        store.faults().fail_write(0, StoreError::Full);
        assert!(matches!(store.flush(), Err(StoreError::Full)));
        assert_eq!(store.get(Table::Name, b"k").unwrap(), None, "nothing of the batch stands");
    }
}
