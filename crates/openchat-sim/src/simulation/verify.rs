//! A store that a process has left behind, and what it had promised until then.
//!
//! For tests that tear writes under a process: it runs [`run`](super::run) with a [`Written`]
//! journal on a [`SqliteDisk`](super::SqliteDisk) and is killed or fails; then [`verify`] opens what
//! is left.

use crate::simulation::{Journal, broken::Broken, ledger::Ledger};
use openchat_crypto::sha256;
use openchat_relay::{Limit, Store, store::Which};
use openchat_roster::LogEntry;
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{Digest, GroupId, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write as _},
    path::Path,
};

/// More than any simulated log has.
const ALL: Limit = Limit { entries: 1 << 20, bytes: 1 << 40 };

/// A journal in a file: `LOG PLACE SHA-256` on each line, written before anybody is told.
#[derive(Debug)]
pub struct Written(File);

impl Written {
    /// A new journal in this file.
    ///
    /// # Errors
    /// As the file can't be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(Self)
    }
}

impl Journal for Written {
    fn promise(&mut self, log: &GroupId, seq: Seq, entry: &[u8]) {
        let line = format!("{log} {} {}\n", seq.0, sha256(entry));
        self.0.write_all(line.as_bytes()).expect("the journal");
    }
}

/// Holds that the database has everything that the journal has, each entry once, and that each group's
/// log is one from its first entry to its last. Returns how many promises were kept.
///
/// # Errors
/// What is not so.
pub fn verify(database: &Path, journal: &str) -> Result<usize, Broken> {
    let store =
        SqliteStore::open(database).map_err(|error| Broken::new("the store opens", error))?;
    let mut logs: BTreeMap<GroupId, BTreeSet<(Seq, Digest)>> = BTreeMap::new();
    // The last line may be cut: then nobody was told.
    for line in journal.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let promise = read(line).ok_or_else(|| Broken::new("the journal is one", line))?;
        logs.entry(promise.0).or_default().insert((promise.1, promise.2));
    }
    for (log, promised) in &logs {
        let page = store.read(log, Seq(0), Which::All, ALL);
        let page = page.map_err(|error| Broken::new("the store reads", error))?;
        let mut there = Vec::new();
        for (seq, body) in page.entries {
            let bytes = body.whole().map_err(|error| Broken::new("bodies are there", error))?;
            there.push((seq, bytes));
        }
        check(log, promised, &there)?;
    }
    Ok(logs.values().map(BTreeSet::len).sum())
}

fn check(
    log: &GroupId,
    promised: &BTreeSet<(Seq, Digest)>,
    there: &[(Seq, Vec<u8>)],
) -> Result<(), Broken> {
    let places: BTreeSet<(Seq, Digest)> =
        there.iter().map(|(seq, bytes)| (*seq, sha256(bytes))).collect();
    if let Some((seq, _)) = promised.difference(&places).next() {
        let detail = format!("{seq:?} of {log}");
        return Err(Broken::new("what was acknowledged is there for ever", detail));
    }
    let hashes: BTreeSet<&Digest> = places.iter().map(|(_, hash)| hash).collect();
    if hashes.len() != there.len() {
        return Err(Broken::new("no entry is in a log twice", log));
    }
    let begins = there.first().map(|(_, entry)| LogEntry::decode(entry));
    if matches!(begins, Some(Ok(LogEntry::Commit(_)))) {
        let mut ledger = Ledger::new(*log);
        there.iter().try_for_each(|(seq, entry)| ledger.read(*seq, entry))?;
    }
    Ok(())
}

fn read(line: &str) -> Option<(GroupId, Seq, Digest)> {
    let mut words = line.split(' ');
    let (log, seq, hash) = (words.next()?, words.next()?, words.next()?);
    Some((GroupId(bytes(log)?), Seq(seq.parse().ok()?), Digest(bytes(hash)?)))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let digits = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..32).map(digits).collect::<Option<_>>()?;
    bytes.try_into().ok().filter(|_| hex.len() == 64)
}
