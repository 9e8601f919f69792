//! A disk that fails on purpose, preloaded into a program under test (`faults.c` says how).
//!
//! Also used by the tests of `openchat-sim`, which give it to the real programs.

#![allow(dead_code, reason = "each of the tests that share this uses a part of it")]

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The smallest part of a file that a disk writes at once.
const SECTOR: usize = 512;

/// What happens at a write point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `SIGKILL` before it.
    KillBefore = 1,
    /// `SIGKILL` after it.
    KillAfter = 2,
    /// Half of the bytes and one more are written, then `SIGKILL`. Anything but a write: as before.
    Tear = 3,
    /// One sector is written, or nothing of less, then `SIGKILL`.
    TearAtSector = 4,
    /// The point is one of syncs, and that sync fails with `EIO`.
    FailSync = 5,
}

/// What a power cut leaves of what was written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// All: there was no power cut, only the process ended.
    Kept,
    /// Nothing.
    Lost,
    /// Any sectors, by a seed.
    Mixed(u64),
}

/// A directory whose disk fails when told to.
#[derive(Debug)]
pub(crate) struct Faults {
    below: PathBuf,
    control: PathBuf,
    shared: File,
    durable: Option<PathBuf>,
}

/// The fields of `struct control`.
#[derive(Debug, Clone, Copy)]
enum Field {
    Points,
    At,
    Fault,
    Full,
    Refused,
    Failed,
    Again,
    Syncs,
    Clock,
}

const FIELDS: u64 = 9;

impl Faults {
    /// For the files directly below `below`; the control file goes to `aside`, which is elsewhere.
    pub(crate) fn new(below: &Path, aside: &Path) -> Self {
        let control = aside.join("faults control");
        let mut options = File::options();
        let shared = options.read(true).write(true).create(true).truncate(true);
        let shared = shared.open(&control).unwrap();
        shared.set_len(FIELDS * 8).unwrap();
        Self { below: below.to_owned(), control, shared, durable: None }
    }

    /// Keeps apart what a power cut would leave; what is there now is on the disk.
    pub(crate) fn with_power_cuts(mut self, aside: &Path) -> Self {
        let durable = aside.join("durable");
        copy_files(&self.below, &durable);
        self.durable = Some(durable);
        self
    }

    /// What a program's environment needs for all this.
    pub(crate) fn environment(&self) -> Vec<(String, OsString)> {
        let mut all = vec![
            ("LD_PRELOAD", library()),
            ("FAULTS_BELOW", self.below.clone()),
            ("FAULTS_CONTROL", self.control.clone()),
        ];
        all.extend(self.durable.clone().map(|durable| ("FAULTS_DURABLE", durable)));
        all.into_iter().map(|(name, path)| (name.to_owned(), path.into())).collect()
    }

    /// Counts from zero, and does this at that point.
    pub(crate) fn plan(&self, point: u64, fault: Fault) {
        for field in [Field::Points, Field::Failed, Field::Again, Field::Syncs] {
            self.set(field, 0);
        }
        self.set(Field::Fault, fault as u64);
        self.set(Field::At, point);
    }

    /// Counts from zero, and does nothing.
    pub(crate) fn plan_nothing(&self) {
        self.plan(0, Fault::KillBefore);
    }

    /// Write points since the last plan.
    pub(crate) fn points(&self) -> u64 {
        self.get(Field::Points)
    }

    /// Syncs since the last plan.
    pub(crate) fn syncs(&self) -> u64 {
        self.get(Field::Syncs)
    }

    /// Whether a sync failed since the last plan.
    pub(crate) fn has_failed_a_sync(&self) -> bool {
        self.get(Field::Failed) != 0
    }

    /// Syncs of that file after the one that failed.
    pub(crate) fn syncs_after_the_failed(&self) -> u64 {
        self.get(Field::Again)
    }

    /// From now on there is no room for any write, or there is again.
    pub(crate) fn set_full(&self, full: bool) {
        self.set(Field::Full, full.into());
    }

    /// Writes that found no room.
    pub(crate) fn refused(&self) -> u64 {
        self.get(Field::Refused)
    }

    /// Puts the wall clock off.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.shared.write_all_at(&seconds.to_ne_bytes(), Field::Clock as u64 * 8).unwrap();
    }

    /// Ends what a power cut would take. Nobody may use the files.
    pub(crate) fn cut_power(&self, cache: Cache) {
        let durable = self.durable.as_ref().unwrap();
        let names: std::collections::BTreeSet<_> =
            [&self.below, durable].into_iter().flat_map(|place| names(place)).collect();
        let mut coins = match cache {
            Cache::Kept => return copy_files(&self.below, durable),
            Cache::Lost => None,
            Cache::Mixed(seed) => Some(Coins(seed)),
        };
        for name in names {
            let left = left(&durable.join(&name), &self.below.join(&name), coins.as_mut());
            match left.filter(|_| !name.to_string_lossy().ends_with("-shm")) {
                Some(bytes) => fs::write(self.below.join(&name), bytes).unwrap(),
                None => remove(&self.below.join(&name)),
            }
        }
        copy_files(&self.below, durable);
    }

    fn get(&self, field: Field) -> u64 {
        let mut bytes = [0; 8];
        self.shared.read_exact_at(&mut bytes, field as u64 * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, field: Field, value: u64) {
        self.shared.write_all_at(&value.to_ne_bytes(), field as u64 * 8).unwrap();
    }
}

/// Copies the files directly below a directory; what else is there goes.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(to) {
        remove(&to.join(name));
    }
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// What a power cut leaves of a file: what was synced, or sectors of that and of what was not.
fn left(durable: &Path, live: &Path, coins: Option<&mut Coins>) -> Option<Vec<u8>> {
    let synced = fs::read(durable).ok();
    let Some(coins) = coins else { return synced };
    let newest = fs::read(live).ok();
    if synced == newest {
        return synced;
    }
    let one = if coins.toss() { &synced } else { &newest };
    let length = one.as_ref()?.len();
    let (synced, newest) = (synced.unwrap_or_default(), newest.unwrap_or_default());
    let mut mixed = Vec::with_capacity(length);
    while mixed.len() < length {
        let from = if coins.toss() { &synced } else { &newest };
        let end = (mixed.len() + SECTOR).min(length);
        let known = from.get(mixed.len()..end.min(from.len())).unwrap_or_default();
        mixed.extend_from_slice(known);
        mixed.resize(end, 0);
    }
    Some(mixed)
}

/// `xorshift64`: any bits will do, as long as a seed gives the same ones again.
#[derive(Debug)]
pub(crate) struct Coins(pub(crate) u64);

impl Coins {
    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn toss(&mut self) -> bool {
        self.next() >> 40 & 1 == 0
    }
}

fn names(place: &Path) -> Vec<OsString> {
    let files = fs::read_dir(place).unwrap().map(Result::unwrap);
    files.filter(|file| file.file_type().unwrap().is_file()).map(|file| file.file_name()).collect()
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            panic!("{}: {error}", file.display())
        }
        _ => {}
    }
}

/// The preloaded library, built once a test program.
fn library() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let source = [env!("CARGO_MANIFEST_DIR"), "..", "openchat-store-sqlite", "tests", "shim"];
    let source = source.iter().collect::<PathBuf>().join("faults.c");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let fresh = place.join(format!("faults-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]);
    let output = compiler.arg(&fresh).arg(&source).arg("-lpthread").output();
    let output = output.unwrap_or_else(|error| {
        panic!("no C compiler `cc`, which scripts/prerequisites installs: {error}")
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Other test programs build it at the same time: each puts a whole file there.
    let library = place.join("faults.so");
    fs::rename(&fresh, &library).unwrap();
    library
}
