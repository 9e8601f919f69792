//! Devices, one server, and the wires between them, in virtual time. Everything that happens
//! follows from the seed, one thing after the other.

use crate::simulation::{
    broken::Broken,
    chance::Chance,
    device::{Death, Device, Who},
    disk::Disk,
    faults::{Fault, Weather},
    lines::{answer_line, request_line},
    people::People,
    process::{Process, ServerDeath, Told},
    trace::Trace,
    wire::{Connection, Way},
    witness::Witness,
};
use openchat_engine::{Command, Event, Input, Output};
use openchat_wire::relay::ToClient;
use std::collections::BTreeMap;

/// When worlds begin: 2026-07-01.
pub(crate) const START: u64 = 1_782_864_000_000;

pub(crate) const SECOND: u64 = 1_000;

/// The first and the longest wait of a device that can't connect, as of the real one.
const BACKOFF: (u64, u64) = (200, 10 * SECOND);

/// What is to happen at some time.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The next frame arrives.
    Arrive(u64, Way),
    /// A server of this life makes its batch durable.
    Flush(u64),
    /// The device sees that its connection is gone.
    DeviceSees(u64),
    /// The server does.
    ServerSees(u64),
    /// A device tries to connect.
    Dial(Who),
    /// A device starts.
    Boot(Who),
    /// The server starts.
    ServerStart,
    /// Somebody does something.
    Deed,
    /// Something goes wrong.
    Fault,
    /// Something is right again.
    Mend(Fault),
}

pub(crate) struct World<D: Disk> {
    pub(crate) now: u64,
    /// Draws keys, and what engines draw.
    pub(crate) keys: Chance,
    /// Draws what the network does.
    pub(crate) luck: Chance,
    pub(crate) server: Process<D>,
    pub(crate) devices: Vec<Device>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) weather: Weather,
    pub(crate) people: People,
    pub(crate) witness: Witness,
    pub(crate) trace: Trace,
    /// For what is promised to somebody, before anybody else learns of it.
    pub(crate) journal: Option<Box<dyn crate::simulation::Journal>>,
    queue: BTreeMap<(u64, u64), Happening>,
    counter: u64,
}

impl<D: Disk> World<D> {
    pub(crate) fn new(seed: u64, disk: D, trace: Trace) -> Result<Self, Broken> {
        let mut keys = Chance::new(seed, 1);
        let server = Process::new(disk, START, &mut keys)?;
        Ok(Self {
            now: START,
            keys,
            luck: Chance::new(seed, 2),
            server,
            devices: Vec::new(),
            connections: BTreeMap::new(),
            weather: Weather::new(Chance::new(seed, 3)),
            people: People::new(Chance::new(seed, 4)),
            witness: Witness::default(),
            trace,
            journal: None,
            queue: BTreeMap::new(),
            counter: 0,
        })
    }

    pub(crate) fn after(&mut self, millis: u64, what: Happening) {
        self.counter += 1;
        self.queue.insert((self.now + millis, self.counter), what);
    }

    /// Everything that happens within so many milliseconds.
    pub(crate) fn run(&mut self, millis: u64) -> Result<(), Broken> {
        let end = self.now + millis;
        loop {
            let queued = self.queue.first_key_value().map(|((time, _), _)| *time);
            let tick = self.next_tick();
            let next = [queued, tick.map(|(time, _)| time)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(next);
            match tick {
                Some((time, who)) if queued.is_none_or(|queued| time < queued) => self.tick(who)?,
                _ => {
                    if let Some((_, what)) = self.queue.pop_first() {
                        self.happen(&what)?;
                    }
                }
            }
        }
    }

    /// Hands something to an engine and does what it wants, in the order that it is promised, or
    /// lets the device die over it.
    pub(crate) fn input(&mut self, who: Who, input: Input) -> Result<(), Broken> {
        let device = &mut self.devices[who.0];
        let Some(output) = device.handle(input, self.now, &mut self.keys) else { return Ok(()) };
        let death = device.death.take();
        let Output { changes, lasting, requests, events, recalls, .. } = output;
        for event in &events {
            self.trace.note(self.now - START, &format!("{who:?} {event:?}"));
            if let Event::Alarm { .. } = event {
                let detail = format!("{who:?}: {event:?}");
                return Err(Broken::new("nobody is alarmed for nothing", detail));
            }
        }
        if death != Some(Death::BeforeStored) {
            device.store(changes, lasting)?;
            device.listen(&events);
        }
        let sent = match death {
            Some(Death::BeforeStored | Death::AfterStored) => 0,
            Some(Death::HalfSent) => 1,
            Some(Death::PowerCut) | None => requests.len(),
        };
        if let Some(connection) = device.connection {
            let author = device.identity.fingerprint;
            for request in requests.into_iter().take(sent) {
                self.witness.sent(author, &request)?;
                let due = self.now + self.latency(who);
                let stream = self.connections.get_mut(&connection).map(|it| &mut it.up);
                let due = stream.and_then(|stream| stream.send(&request, due));
                self.arrival(due, connection, Way::Up);
            }
        }
        if let Some(death) = death {
            self.fall(who, death == Death::PowerCut);
            return Ok(());
        }
        for recall in recalls {
            let said = self.devices[who.0].vault.recall(recall.id);
            self.input(who, Input::Command(Command::Recalled { recall, said }))?;
        }
        Ok(())
    }

    /// A device dies, and starts again some time later.
    pub(crate) fn fall(&mut self, who: Who, loses_power: bool) {
        self.trace.note(self.now - START, &format!("{who:?} dies"));
        if let Some(connection) = self.devices[who.0].connection {
            self.cut(connection, Way::Up);
        }
        let device = &mut self.devices[who.0];
        if loses_power {
            device.lose_power();
        } else {
            device.die();
        }
        let pause = self.luck.between(50..=4 * SECOND);
        self.after(pause, Happening::Boot(who));
    }

    /// The device lets go of a connection or loses it; what was sent may still arrive.
    pub(crate) fn hang_up(&mut self, who: Who) -> Result<(), Broken> {
        let Some(connection) = self.devices[who.0].connection else { return Ok(()) };
        self.cut(connection, Way::Up);
        self.device_sees(connection)
    }

    /// The connection ends, at the end that sends this way; some of what was sent arrives.
    pub(crate) fn cut(&mut self, connection: u64, by: Way) {
        let Some(it) = self.connections.get_mut(&connection) else { return };
        let arrives = |luck: &mut Chance, flying| luck.place(flying + 1);
        it.up.cut(arrives(&mut self.luck, it.up.flying()));
        it.down.cut(arrives(&mut self.luck, it.down.flying()));
        let up = it.up.release(self.now);
        let down = it.down.release(self.now);
        for due in up {
            self.arrival(Some(due), connection, Way::Up);
        }
        for due in down {
            self.arrival(Some(due), connection, Way::Down);
        }
        let later = self.luck.between(1..=3 * SECOND);
        self.after(
            later,
            match by {
                Way::Up => Happening::ServerSees(connection),
                Way::Down => Happening::DeviceSees(connection),
            },
        );
    }

    /// The server's process dies, or its machine; every connection ends.
    pub(crate) fn crash_server(&mut self) {
        if !self.server.is_up() {
            return;
        }
        self.trace.note(self.now - START, "server dies");
        self.server.die();
        let all: Vec<u64> = self.connections.keys().copied().collect();
        for connection in all {
            self.cut(connection, Way::Down);
            if let Some(it) = self.connections.get_mut(&connection) {
                it.server_holds = false;
            }
        }
        let pause = self.luck.between(20..=4 * SECOND);
        self.after(pause, Happening::ServerStart);
    }

    /// Makes the batch durable and tells what came of it.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        let death = self.server.death.take();
        if death == Some(ServerDeath::BeforeFlush) {
            self.crash_server();
            return Ok(());
        }
        let told = self.server.flush();
        let told = told.map_err(|error| Broken::new("the store works", error))?;
        if death == Some(ServerDeath::AfterFlush) {
            self.crash_server();
            return Ok(());
        }
        told.into_iter().try_for_each(|told| self.tell(told))
    }

    fn tell(&mut self, told: Told) -> Result<(), Broken> {
        match told {
            Told::Acknowledged { log, seq, entry } => {
                if let Some(journal) = &mut self.journal {
                    journal.promise(&log, seq, &entry);
                }
                if self.witness.acknowledge(log, seq, &entry)? && self.is_group(&log) {
                    self.witness.follow(&log, &self.server)?;
                }
                Ok(())
            }
            Told::Tails(connection, log, after) => {
                if let Some(it) = self.connections.get_mut(&connection) {
                    it.sent.insert(log, after);
                }
                Ok(())
            }
            Told::Frame(connection, frame) => self.send_down(connection, &frame),
        }
    }

    /// What is sent of a log is sent once, in order.
    fn send_down(&mut self, connection: u64, frame: &ToClient) -> Result<(), Broken> {
        let Some(it) = self.connections.get_mut(&connection) else { return Ok(()) };
        if let ToClient::Entry { log, seq, .. } = frame {
            let before = it.sent.insert(*log, *seq);
            if before.is_none_or(|before| before >= *seq) {
                let detail = format!("{seq:?} of {log} behind {before:?} to {:?}", it.who);
                return Err(Broken::new("nobody is sent an entry twice", detail));
            }
        }
        let who = it.who;
        let due = self.now + self.latency(who);
        let stream = self.connections.get_mut(&connection).map(|it| &mut it.down);
        let due = stream.and_then(|stream| stream.send(frame, due));
        self.arrival(due, connection, Way::Down);
        Ok(())
    }

    fn happen(&mut self, what: &Happening) -> Result<(), Broken> {
        match what {
            Happening::Arrive(connection, Way::Up) => self.arrive_up(*connection),
            Happening::Arrive(connection, Way::Down) => self.arrive_down(*connection),
            Happening::Flush(life) if *life == self.server.life && !self.server.is_idle() => {
                self.flush()
            }
            Happening::Flush(_) => Ok(()),
            Happening::DeviceSees(connection) => self.device_sees(*connection),
            Happening::ServerSees(connection) => {
                self.server.end_session(*connection);
                if let Some(it) = self.connections.get_mut(connection) {
                    it.server_holds = false;
                }
                Ok(())
            }
            Happening::Dial(who) => self.dial(*who),
            Happening::Boot(who) => self.boot(*who),
            Happening::ServerStart => self.start_server(),
            Happening::Deed => self.deed(),
            Happening::Fault => self.fault(),
            Happening::Mend(fault) => {
                self.mend(*fault);
                Ok(())
            }
        }
    }

    fn start_server(&mut self) -> Result<(), Broken> {
        if self.server.is_up() {
            return Ok(());
        }
        self.server.start()?;
        self.trace.note(self.now - START, "server starts");
        self.witness.check(&self.server)?;
        let groups: Vec<_> = self.witness.ledgers.keys().copied().collect();
        groups.iter().try_for_each(|group| self.witness.follow(group, &self.server))
    }

    pub(crate) fn boot(&mut self, who: Who) -> Result<(), Broken> {
        let device = &mut self.devices[who.0];
        if device.engine.is_some() {
            return Ok(());
        }
        device.boot()?;
        device.backoff = BACKOFF.0;
        self.trace.note(self.now - START, &format!("{who:?} starts"));
        self.dial(who)
    }

    /// A device connects, or waits to try again.
    fn dial(&mut self, who: Who) -> Result<(), Broken> {
        let device = &mut self.devices[who.0];
        if device.engine.is_none() || device.connection.is_some() {
            return Ok(());
        }
        if !self.server.is_up() || self.weather.is_apart(who) {
            let wait = self.luck.between(device.backoff / 2..=device.backoff);
            device.backoff = (device.backoff * 2).min(BACKOFF.1);
            self.after(wait, Happening::Dial(who));
            return Ok(());
        }
        self.counter += 1;
        let connection = self.counter;
        device.backoff = BACKOFF.0;
        device.connection = Some(connection);
        self.connections.insert(connection, Connection::new(who));
        self.server.accept(connection, device.identity.fingerprint);
        self.connections.retain(|_, connection| !connection.is_over());
        self.input(who, Input::Connected)
    }

    fn device_sees(&mut self, connection: u64) -> Result<(), Broken> {
        let Some(it) = self.connections.get_mut(&connection) else { return Ok(()) };
        it.device_holds = false;
        let who = it.who;
        let device = &mut self.devices[who.0];
        if device.connection != Some(connection) {
            return Ok(());
        }
        device.connection = None;
        let wait = self.luck.between(device.backoff / 2..=device.backoff);
        self.after(wait, Happening::Dial(who));
        self.input(who, Input::Disconnected)
    }

    fn arrive_up(&mut self, connection: u64) -> Result<(), Broken> {
        let Some(it) = self.connections.get_mut(&connection) else { return Ok(()) };
        let who = it.who;
        let arrived = it.up.arrive(self.now);
        let arrived = arrived.map_err(|error| Broken::new("frames come whole", error))?;
        let Some(frame) = arrived.filter(|_| it.server_holds) else { return Ok(()) };
        let asked = request_line(&frame.request);
        let is_first = self.server.is_idle();
        let identity = self.devices[who.0].identity.clone();
        let Some(outcome) =
            self.server.serve(connection, (&identity, frame), self.now, &mut self.keys)
        else {
            return Ok(());
        };
        let line = format!("{who:?} {asked}: {}", answer_line(&outcome.answer));
        self.trace.note(self.now - START, &line);
        if is_first {
            let wait = self.luck.below(8);
            let flush = Happening::Flush(self.server.life);
            self.after(wait, flush);
        }
        Ok(())
    }

    fn arrive_down(&mut self, connection: u64) -> Result<(), Broken> {
        let Some(it) = self.connections.get_mut(&connection) else { return Ok(()) };
        let who = it.who;
        let arrived = it.down.arrive(self.now);
        let arrived = arrived.map_err(|error| Broken::new("frames come whole", error))?;
        let device = &mut self.devices[who.0];
        let Some(frame) = arrived.filter(|_| device.connection == Some(connection)) else {
            return Ok(());
        };
        self.input(who, Input::Frame(frame))
    }

    fn next_tick(&self) -> Option<(u64, Who)> {
        let due = |(at, device): (usize, &Device)| Some((device.deadline()?, Who(at)));
        self.devices.iter().enumerate().filter_map(due).min()
    }

    fn tick(&mut self, who: Who) -> Result<(), Broken> {
        self.input(who, Input::Tick)?;
        let again = self.devices[who.0].deadline().filter(|deadline| *deadline <= self.now);
        match again {
            Some(_) => Err(Broken::new("a tick moves its deadline", format!("{who:?}"))),
            None => Ok(()),
        }
    }

    fn arrival(&mut self, due: Option<u64>, connection: u64, way: Way) {
        if let Some(due) = due {
            self.after(due.saturating_sub(self.now), Happening::Arrive(connection, way));
        }
    }

    fn latency(&mut self, who: Who) -> u64 {
        let slowness = self.weather.slowness(who);
        self.luck.between(2..=20 * slowness)
    }

    /// An inbox is a log too, whose entries only its owner can judge.
    fn is_group(&self, log: &openchat_wire::GroupId) -> bool {
        let mut inboxes = self.devices.iter().map(|it| it.identity.fingerprint);
        !inboxes.any(|owner| openchat_roster::inbox(&owner) == *log)
    }
}
