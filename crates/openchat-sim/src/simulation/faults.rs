//! What goes wrong, and for how long.

use crate::simulation::{
    broken::Broken,
    chance::Chance,
    device::{Death, Who},
    disk::Disk,
    process::ServerDeath,
    wire::Way,
    world::{Happening, SECOND, START, World},
};
use std::collections::BTreeMap;

const MINUTE: i64 = 60 * 1_000;
const HOUR: i64 = 60 * MINUTE;
const YEAR: i64 = 365 * 24 * HOUR;

/// What clocks show beyond the true time. More than a day ahead makes engines renew their keys.
const SKEWS: [i64; 9] =
    [0, HOUR, -HOUR, 10 * YEAR, -10 * YEAR, 30 * HOUR, 60 * HOUR, 7 * MINUTE, -3_000];

/// What the server's clock shows at most beyond the true time in the end. Years ahead it takes every
/// prekey for expired, so that nobody can be added until it is set.
const MOST_AHEAD: i64 = 60 * HOUR;

/// How long a connection is held up, longer than an entry may take that a device was told of.
const LONGEST_SILENCE: u64 = 25 * SECOND;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody of these reaches the server, nor it them.
    Partition(u64),
    /// They do not reach it, but it them.
    Mute(u64),
    /// It does not reach them, but they it.
    Deaf(u64),
    /// What is sent to and fro takes longer.
    Slow(Who),
    Cut(Who),
    HangUp(Who),
    Death(Who, Death),
    PowerCut(Who),
    Kill(Who),
    Clock(Who, i64),
    ServerClock(i64),
    ServerDeath(ServerDeath),
    ServerKill,
    DiskFull(u32),
}

/// What is wrong with the network right now.
#[derive(Debug)]
pub(crate) struct Weather {
    pub(crate) chance: Chance,
    apart: BTreeMap<Who, u32>,
    slow: BTreeMap<Who, u32>,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
    /// Whether the server's disk may be full for a moment.
    pub(crate) fills: bool,
    pub(crate) count: u64,
}

impl Weather {
    pub(crate) fn new(chance: Chance) -> Self {
        let (apart, slow) = (BTreeMap::new(), BTreeMap::new());
        Self { chance, apart, slow, calm: false, fills: false, count: 0 }
    }

    /// Whether somebody can't connect.
    pub(crate) fn is_apart(&self, who: Who) -> bool {
        self.apart.get(&who).is_some_and(|count| *count > 0)
    }

    /// How many times longer than usual a way takes.
    pub(crate) fn slowness(&self, who: Who) -> u64 {
        let is_slow = self.slow.get(&who).is_some_and(|count| *count > 0);
        if is_slow { 50 } else { 1 }
    }

    fn draw(&mut self, people: usize) -> Fault {
        let full = if self.fills { 4 } else { 0 };
        let chance = &mut self.chance;
        let who = Who(chance.place(people));
        let some = chance.between(1..=(1 << people) - 1);
        let skew = *chance.pick(&SKEWS).unwrap_or(&0);
        let death = chance.weighed(&[
            (2, Death::BeforeStored),
            (2, Death::AfterStored),
            (2, Death::HalfSent),
            (2, Death::PowerCut),
        ]);
        let writes = u32::try_from(chance.below(6)).unwrap_or(0);
        chance.weighed(&[
            (6, Fault::Partition(some)),
            (6, Fault::Mute(some)),
            (6, Fault::Deaf(some)),
            (8, Fault::Slow(who)),
            (10, Fault::Cut(who)),
            (10, Fault::HangUp(who)),
            (20, Fault::Death(who, death)),
            (4, Fault::PowerCut(who)),
            (4, Fault::Kill(who)),
            (6, Fault::Clock(who, skew)),
            (3, Fault::ServerClock(skew)),
            (6, Fault::ServerDeath(ServerDeath::BeforeFlush)),
            (6, Fault::ServerDeath(ServerDeath::AfterFlush)),
            (3, Fault::ServerKill),
            (full, Fault::DiskFull(writes)),
        ])
    }
}

fn is_among(who: Who, some: u64) -> bool {
    some >> who.0 & 1 == 1
}

impl<D: Disk> World<D> {
    /// Something goes wrong, and something else later.
    pub(crate) fn fault(&mut self) -> Result<(), Broken> {
        if self.weather.calm {
            return Ok(());
        }
        let next = self.weather.chance.between(100..=3 * SECOND);
        self.after(next, Happening::Fault);
        let fault = self.weather.draw(self.devices.len());
        self.weather.count += 1;
        self.trace.note(self.now - START, &format!("{fault:?}"));
        self.strike(fault)
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        match fault {
            Fault::Partition(some) | Fault::Mute(some) | Fault::Deaf(some) => {
                self.part(some, fault, true);
                self.mend_later(fault, LONGEST_SILENCE);
            }
            Fault::Slow(who) => {
                *self.weather.slow.entry(who).or_default() += 1;
                self.mend_later(fault, 10 * SECOND);
            }
            Fault::Cut(who) => {
                if let Some(connection) = self.devices[who.0].connection {
                    self.cut(connection, Way::Up);
                    let later = self.weather.chance.between(1..=5 * SECOND);
                    self.after(later, Happening::DeviceSees(connection));
                }
            }
            Fault::HangUp(who) => self.hang_up(who)?,
            Fault::Death(who, death) => self.devices[who.0].death = Some(death),
            Fault::PowerCut(who) | Fault::Kill(who) if self.devices[who.0].engine.is_some() => {
                self.fall(who, matches!(fault, Fault::PowerCut(_)));
            }
            Fault::PowerCut(_) | Fault::Kill(_) => {}
            Fault::Clock(who, skew) => self.devices[who.0].skew = skew,
            Fault::ServerClock(skew) => self.server.skew = skew,
            Fault::ServerDeath(death) => self.server.death = Some(death),
            Fault::ServerKill => self.crash_server(),
            Fault::DiskFull(writes) => {
                self.server.fill_disk(writes);
            }
        }
        Ok(())
    }

    fn mend_later(&mut self, fault: Fault, longest: u64) {
        let later = self.weather.chance.between(100..=longest);
        self.after(later, Happening::Mend(fault));
    }

    pub(crate) fn mend(&mut self, fault: Fault) {
        match fault {
            Fault::Partition(some) | Fault::Mute(some) | Fault::Deaf(some) => {
                self.part(some, fault, false);
            }
            Fault::Slow(who) => {
                if let Some(count) = self.weather.slow.get_mut(&who) {
                    *count = count.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// From now on nothing goes wrong: what was apart comes together, what was dead starts.
    pub(crate) fn calm_down(&mut self) {
        self.weather.calm = true;
        self.weather.apart.clear();
        self.weather.slow.clear();
        self.server.death = None;
        self.server.skew = self.server.skew.min(MOST_AHEAD);
        self.trace.note(self.now - START, "calm");
        let connections: Vec<u64> = self.connections.keys().copied().collect();
        for connection in connections {
            self.hold(connection, false, (true, true));
        }
        for device in &mut self.devices {
            device.death = None;
        }
    }

    fn part(&mut self, some: u64, fault: Fault, apart: bool) {
        for at in (0..self.devices.len()).map(Who).filter(|who| is_among(*who, some)) {
            let count = self.weather.apart.entry(at).or_default();
            *count = if apart { *count + 1 } else { count.saturating_sub(1) };
        }
        let ways = match fault {
            Fault::Mute(_) => (true, false),
            Fault::Deaf(_) => (false, true),
            _ => (true, true),
        };
        let theirs = self.connections.iter().filter(|(_, it)| is_among(it.who, some));
        let theirs: Vec<u64> = theirs.map(|(connection, _)| *connection).collect();
        for connection in theirs {
            self.hold(connection, apart, ways);
        }
    }

    fn hold(&mut self, connection: u64, held: bool, (up, down): (bool, bool)) {
        let Some(it) = self.connections.get_mut(&connection) else { return };
        let mut due = Vec::new();
        if up && held {
            it.up.hold();
        } else if up {
            due.extend(it.up.release(self.now).into_iter().map(|due| (due, Way::Up)));
        }
        if down && held {
            it.down.hold();
        } else if down {
            due.extend(it.down.release(self.now).into_iter().map(|due| (due, Way::Down)));
        }
        for (due, way) in due {
            self.after(due - self.now, Happening::Arrive(connection, way));
        }
    }
}
