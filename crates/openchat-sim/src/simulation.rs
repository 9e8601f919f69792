//! Many real engines and the real relay over a network that fails, in virtual time.
//!
//! [`run`] lets people do things while connections, devices, clocks and the server fail, then lets
//! everything be calm, and holds what was promised: what was acknowledged is there for ever, all see
//! one order, all agree within 60 simulated seconds, no key is used twice, no text is lost or comes
//! twice, nobody is alarmed for nothing. Everything follows from a seed, whose [`Report`] has the
//! hash of what happened.

mod broken;
mod chance;
mod device;
mod disk;
mod faults;
mod ledger;
mod lines;
mod people;
mod process;
mod trace;
mod vault;
mod verdict;
mod verify;
mod wire;
mod witness;
mod world;

pub use broken::Broken;
pub use disk::{Disk, MemoryDisk, SqliteDisk};
pub use verify::{Written, verify};

use openchat_wire::{Digest, GroupId, Seq};
use trace::Trace;
use world::{Happening, SECOND, START, World};

/// People that everything begins with.
const FIRST_PEOPLE: u64 = 2;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many things people do.
    pub operations: u64,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// Whether the server's disk is full at times, too: all that is asked of it is refused then, and
    /// has to be asked again.
    pub full_disks: bool,
    /// Print what happens.
    pub shown: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Over everything that happened.
    pub hash: Digest,
    /// Things that happened.
    pub events: u64,
    /// Things that people did.
    pub operations: u64,
    /// Things that went wrong.
    pub faults: u64,
    /// Simulated milliseconds.
    pub time: u64,
    /// Simulated milliseconds from the last fault until all agreed.
    pub settled: u64,
}

/// Where the server's promises are written down, beyond its own reach.
pub trait Journal {
    /// Somebody is about to be told that a log has this entry.
    fn promise(&mut self, log: &GroupId, seq: Seq, entry: &[u8]);
}

impl Plan {
    /// What a seed is simulated with, if nothing else is said.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self { seed, operations: 220, faults: true, full_disks: false, shown: false }
    }
}

/// Simulates on this disk.
///
/// # Errors
/// The first promise that did not hold.
pub fn run<D: Disk>(
    plan: Plan,
    disk: D,
    journal: Option<Box<dyn Journal>>,
) -> Result<Report, Broken> {
    let mut world = World::new(plan.seed, disk, Trace::new(plan.shown))?;
    world.journal = journal;
    world.weather.fills = plan.full_disks;
    let more = world.people.chance.below(3);
    for _ in 0..FIRST_PEOPLE + more {
        world.newcomer()?;
    }
    world.people.left = plan.operations;
    world.after(0, Happening::Deed);
    if plan.faults {
        world.after(SECOND, Happening::Fault);
    }
    while world.people.left > 0 {
        world.run(SECOND)?;
    }
    world.calm_down();
    let settled = world.judge()?;
    Ok(Report {
        hash: world.trace.hash(),
        events: world.trace.lines(),
        operations: world.people.operations,
        faults: world.weather.count,
        time: world.now - START,
        settled,
    })
}
