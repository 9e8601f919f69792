//! The command line.

use core::ops::Range;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: simulate --seed N | --seeds A..B [--jobs N]
                [--store memory|sqlite|mixed] [--dir D] [--operations N] [--no-faults] [--full-disks] [--show]
       simulate --seed N --store sqlite --dir D --journal J
       simulate --verify --dir D --journal J";

pub(crate) struct Options {
    pub(crate) task: Task,
    pub(crate) store: Kind,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) journal: Option<PathBuf>,
    pub(crate) jobs: usize,
    pub(crate) operations: Option<u64>,
    pub(crate) faults: bool,
    pub(crate) full_disks: bool,
    pub(crate) shown: bool,
}

pub(crate) enum Task {
    One(u64),
    Many(Range<u64>),
    /// Look at what a run has left in the folder.
    Verify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    /// One seed in sixteen on the real store.
    Mixed,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            task: Task::Many(0..100),
            store: Kind::Mixed,
            dir: None,
            journal: None,
            jobs: 1,
            operations: None,
            faults: true,
            full_disks: false,
            shown: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--seed" => options.task = Task::One(number(&value()?)?),
                "--seeds" => options.task = Task::Many(range(&value()?)?),
                "--jobs" => options.jobs = usize::try_from(number(&value()?)?).unwrap_or(1).max(1),
                "--store" => options.store = kind(&value()?)?,
                "--dir" => options.dir = Some(value()?.into()),
                "--operations" => options.operations = Some(number(&value()?)?),
                "--journal" => options.journal = Some(value()?.into()),
                "--verify" => options.task = Task::Verify,
                "--no-faults" => options.faults = false,
                "--full-disks" => options.full_disks = true,
                "--show" => options.shown = true,
                other => return Err(format!("what is {other}?")),
            }
        }
        if options.journal.is_some() && options.dir.is_none() {
            return Err("a journal is kept of a folder: --dir".to_owned());
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("{text} is no range A..B"))?;
    Ok(number(from)?..number(to)?)
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "memory" => Ok(Kind::Memory),
        "sqlite" => Ok(Kind::Sqlite),
        "mixed" => Ok(Kind::Mixed),
        other => Err(format!("no store is called {other}")),
    }
}
