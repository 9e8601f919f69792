//! Devices, one relay, and the wires between them, in virtual time. Everything that happens
//! follows from the seed.

use crate::{
    authority::View,
    liar::{Honest, Lies, Said},
    person::{Death, Person},
    random::TestRng,
    server::Server,
};
use openchat_engine::{AlarmCode, Command, Event, Input, Target};
use openchat_relay::{Invited, Outcome, Publish, store::Body};
use openchat_roster::{LogEntry, MessageHeader};
use openchat_wire::{
    Blob, Fingerprint, GroupId, GroupName, MessageId, Name, Seq, UnixMillis,
    relay::{Answer, Request, SignedReceipt, ToClient, ToServer},
};
use std::collections::BTreeMap;

/// When worlds begin: 2026-07-01.
pub(crate) const START: u64 = 1_782_864_000_000;

/// One way over a wire, if a test says nothing else.
const LATENCY: u64 = 20;

/// From a device's death to its next start.
const RECOVERY: u64 = 300;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// Somebody in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Who(pub(crate) usize);

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Parcel {
    Up {
        from: Who,
        connection: u64,
        frame: ToServer,
    },
    Down {
        to: Who,
        connection: u64,
        frame: ToClient,
    },
    Start(Who),
    /// The newest head of the transparency log, to everybody.
    Heads,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: TestRng,
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    pub(crate) liar: Box<dyn Lies>,
    /// One way over a wire.
    pub(crate) latency: u64,
    /// What the server's clock shows beyond the true time.
    pub(crate) server_skew: i64,
    /// Sealed entries that were ever offered to the relay, by the key that must be theirs alone.
    pub(crate) sealed: BTreeMap<(GroupId, Fingerprint, Vec<u8>), Vec<u8>>,
    /// Whether a device that starts again after a death opens `#general`.
    pub(crate) restarts_into_general: bool,
    /// All requests that have arrived, as their bytes.
    pub(crate) requests: Vec<(Who, Vec<u8>)>,
    /// Whether to hold that no key seals twice: a cloned device can't keep to it.
    pub(crate) holds_keys_single: bool,
    /// Whether people say soon what they have read.
    pub(crate) tells_delivered: bool,
    /// The transparency log that some are shown in place of the true one.
    pub(crate) view: Option<View>,
    /// Entries of the transparency log, as far as their head was pushed or is about to be.
    pub(crate) told: usize,
    /// When it was pushed last.
    pub(crate) told_at: u64,
    wires: BTreeMap<(u64, u64), Parcel>,
    counter: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = TestRng::new(seed);
        let server = Server::new(UnixMillis(START), &mut rng);
        Self {
            now: START,
            rng,
            server,
            people: Vec::new(),
            liar: Box::new(Honest),
            latency: LATENCY,
            server_skew: 0,
            sealed: BTreeMap::new(),
            restarts_into_general: true,
            requests: Vec::new(),
            holds_keys_single: true,
            tells_delivered: true,
            view: None,
            told: 0,
            told_at: 0,
            wires: BTreeMap::new(),
            counter: 0,
        }
    }

    /// A world in which these people are in `#general`, in this order, and have read its log.
    pub(crate) fn with(seed: u64, names: &[&str]) -> (Self, Vec<Who>) {
        let mut world = Self::new(seed);
        let mut all = Vec::new();
        for name in names {
            let who = world.enroll(name);
            world.start(who);
            assert!(world.run_until(MINUTE, |world| world.is_ready(who)), "{name} gets in");
            all.push(who);
        }
        world.run(SECOND);
        (world, all)
    }

    pub(crate) fn enroll(&mut self, name: &str) -> Who {
        let (name, now) = (name.parse().unwrap(), UnixMillis(self.now));
        let invited = self.server.relay.invite(&name, now, &mut self.rng).unwrap();
        self.enroll_with(&name, &invited, now)
    }

    pub(crate) fn enroll_with(&mut self, name: &Name, invited: &Invited, now: UnixMillis) -> Who {
        let pin = self.server.pin();
        let (identity, key, enrolled) = self.server.enroll(name, invited, now, &mut self.rng);
        let mut person = Person::new(identity, &key, enrolled, pin);
        person.tells_delivered = self.tells_delivered;
        self.people.push(person);
        self.note_growth();
        Who(self.people.len() - 1)
    }

    /// Another device with the same vault and the same identity.
    pub(crate) fn copy(&mut self, who: Who) -> Who {
        self.people.push(self.person(who).copy());
        Who(self.people.len() - 1)
    }

    pub(crate) fn person(&self, who: Who) -> &Person {
        &self.people[who.0]
    }

    pub(crate) fn person_mut(&mut self, who: Who) -> &mut Person {
        &mut self.people[who.0]
    }

    /// Loads the vault, connects, and opens `#general`.
    pub(crate) fn start(&mut self, who: Who) {
        self.person_mut(who).load();
        self.connect(who);
        self.input(who, Input::Command(Command::Open { target: Target::Group(general()) }));
    }

    pub(crate) fn connect(&mut self, who: Who) {
        if self.person(who).is_shut_out {
            return;
        }
        let connection = self.next();
        let person = self.person_mut(who);
        person.connection = Some(connection);
        person.tails.clear();
        self.input(who, Input::Connected);
    }

    pub(crate) fn disconnect(&mut self, who: Who) {
        let person = self.person_mut(who);
        person.connection = None;
        person.tails.clear();
        self.input(who, Input::Disconnected);
    }

    pub(crate) fn reconnect(&mut self, who: Who) {
        self.disconnect(who);
        self.connect(who);
    }

    /// The device is off; its vault stays.
    pub(crate) fn kill(&mut self, who: Who) {
        self.person_mut(who).die();
    }

    /// The relay's process dies and comes back at once: every connection ends, what was on the
    /// wires is lost.
    pub(crate) fn restart_relay(mut self) -> Self {
        self.server = self.server.restart();
        self.wires.retain(|_, parcel| matches!(parcel, Parcel::Start(_) | Parcel::Heads));
        for who in self.online() {
            self.disconnect(who);
        }
        self
    }

    /// Those who are not connected are again.
    pub(crate) fn online_again(&mut self, all: &[Who]) {
        for who in all {
            if self.person(*who).connection.is_none() {
                self.connect(*who);
            }
        }
    }

    /// The device dies at a step of its own, and starts again a moment later.
    pub(crate) fn dies(&mut self, who: Who, step: usize, death: Death) {
        self.person_mut(who).death = Some((step, death));
    }

    pub(crate) fn online(&self) -> Vec<Who> {
        let all = (0..self.people.len()).map(Who);
        all.filter(|who| self.person(*who).connection.is_some()).collect()
    }

    /// Hands something to an engine and does what it wants.
    pub(crate) fn input(&mut self, who: Who, input: Input) {
        let person = &mut self.people[who.0];
        let clock = person.clock(self.now);
        if let Some(engine) = &mut person.engine {
            engine.handle(input, clock, &mut self.rng);
        }
        self.settle(who);
    }

    /// Everything that happens within so many milliseconds.
    pub(crate) fn run(&mut self, millis: u64) {
        self.run_until(millis, |_| false);
    }

    /// Runs until it is so, or the time is over; tells whether it is so.
    pub(crate) fn run_until(&mut self, millis: u64, so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + millis;
        while !so(self) {
            let parcel = self.wires.first_key_value().map(|((time, _), _)| *time);
            let tick = self.next_tick();
            let next = [parcel, tick.map(|(time, _)| time)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return so(self);
            };
            self.now = self.now.max(next);
            match tick {
                Some((time, who)) if parcel.is_none_or(|parcel| time < parcel) => self.tick(who),
                _ => self.deliver(),
            }
        }
        true
    }

    /// Everybody is offline for so long.
    pub(crate) fn sleep(&mut self, millis: u64) {
        let online = self.online();
        for who in &online {
            self.disconnect(*who);
        }
        self.run(millis);
        for who in &online {
            self.connect(*who);
        }
    }

    pub(crate) fn general(&mut self) -> GroupId {
        let who = self.people[0].identity.clone();
        self.server.group(&who, &general()).expect("#general is there")
    }

    /// The whole log of `#general`.
    pub(crate) fn log(&mut self) -> Vec<(Seq, Vec<u8>)> {
        let log = self.general();
        self.server.entries(&log, Seq(0))
    }

    /// How many commits the log of `#general` has.
    pub(crate) fn commits(&mut self) -> usize {
        let is_commit = |entry: &[u8]| matches!(LogEntry::decode(entry), Ok(LogEntry::Commit(_)));
        self.log().iter().filter(|(_, entry)| is_commit(entry)).count()
    }

    /// The relay's claim about the end of the log of `#general`.
    pub(crate) fn receipt(&mut self, who: Who) -> SignedReceipt {
        let request = Request::Receipt { log: self.general(), at: None };
        let identity = self.person(who).identity.clone();
        let outcome = self.server.relay.handle(&identity, &request, UnixMillis(self.now));
        match outcome.answer {
            Ok(Answer::Receipt(receipt)) => receipt,
            other => panic!("{other:?}"),
        }
    }

    /// Asks the relay in somebody's name, without their engine.
    pub(crate) fn append(&mut self, who: Who, request: &Request) {
        let identity = self.person(who).identity.clone();
        let outcome = self.server.relay.handle(&identity, request, UnixMillis(self.now));
        self.server.relay.flush().unwrap();
        outcome.answer.clone().unwrap();
        self.publish_all(&outcome);
    }

    pub(crate) fn is_ready(&self, who: Who) -> bool {
        self.person(who).events.iter().any(|event| matches!(event, Event::Ready { .. }))
    }

    /// Forgets what was shown so far, so that a test sees what comes next.
    pub(crate) fn forget_events(&mut self) {
        self.people.iter_mut().for_each(|person| person.events.clear());
    }

    pub(crate) fn alarms(&self, who: Who) -> Vec<AlarmCode> {
        self.person(who).alarms()
    }

    pub(crate) fn assert_no_alarms(&self) {
        for person in &self.people {
            assert_eq!(person.alarms(), [], "{}: {:?}", person.identity.name, person.events);
            assert_eq!(person.unreadable(), [], "{}", person.identity.name);
        }
    }

    /// All of them have stored the same messages, from the place where the last one came in.
    pub(crate) fn assert_same(&self, all: &[Who]) {
        let first = self.person(all[0]).heard();
        for who in &all[1..] {
            assert_eq!(first, self.person(*who).heard(), "{}", self.person(*who).identity.name);
        }
    }

    pub(crate) fn queued(&self, who: Who) -> usize {
        self.person(who).engine.as_ref().map_or(0, openchat_engine::Engine::queued)
    }

    pub(crate) fn epoch(&self, who: Who) -> u64 {
        let engine = self.person(who).engine.as_ref().unwrap();
        engine.conversations().next().map_or(0, |summary| summary.epoch.0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn next_tick(&self) -> Option<(u64, Who)> {
        let due = |(at, person): (usize, &Person)| Some((person.deadline()?, Who(at)));
        self.people.iter().enumerate().filter_map(due).min()
    }

    fn tick(&mut self, who: Who) {
        self.input(who, Input::Tick);
        let again = self.person(who).deadline().is_some_and(|deadline| deadline <= self.now);
        assert!(!again, "a tick leaves its own deadline in the past: the runtime would spin");
    }

    pub(crate) fn send(&mut self, after: u64, parcel: Parcel) {
        let order = self.next();
        self.wires.insert((self.now + after, order), parcel);
    }

    fn deliver(&mut self) {
        let Some((_, parcel)) = self.wires.pop_first() else { return };
        match parcel {
            // What was sent arrives, also over a connection that the device has given up since.
            Parcel::Up { from, connection, frame } => self.serve(from, connection, frame),
            Parcel::Down { to, connection, frame } => {
                if self.person(to).connection == Some(connection) {
                    self.input(to, Input::Frame(frame));
                }
            }
            Parcel::Start(who) if self.restarts_into_general => self.start(who),
            Parcel::Start(who) => self.wake(who),
            Parcel::Heads => {
                self.told_at = self.now;
                self.push_heads();
            }
        }
    }

    /// Does what an engine wants, in the order that it is promised, or dies over it.
    fn settle(&mut self, who: Who) {
        let person = &mut self.people[who.0];
        let Some((output, death)) = person.take_output() else { return };
        if death != Some(Death::BeforeStored) {
            person.keep(output.changes, output.lasting);
        }
        let sends = matches!(death, None | Some(Death::PowerCut));
        if let Some(connection) = person.connection.filter(|_| sends) {
            person.requests += output.requests.len();
            for frame in output.requests {
                self.send(self.latency, Parcel::Up { from: who, connection, frame });
            }
        }
        let person = &mut self.people[who.0];
        match death {
            None => {
                person.show(output.events);
                self.bring_said(who, output.recalls);
                self.bring(who, output.wants);
            }
            Some(death) => {
                person.fall(death);
                self.send(RECOVERY, Parcel::Start(who));
            }
        }
    }

    fn serve(&mut self, from: Who, connection: u64, frame: ToServer) {
        let ToServer { id, request } = frame;
        self.note_sealed(from, &request);
        let answer =
            |answer| Parcel::Down { to: from, connection, frame: ToClient::Answer { id, answer } };
        if self.liar.is_silent(from, &request) {
            return;
        }
        let lie = self.liar.instead(from, &request).or_else(|| self.false_log(from, &request));
        if let Some(lie) = lie {
            return self.send(self.latency, answer(lie));
        }
        let now = self.server_time();
        let who = self.person(from).identity.clone();
        if let Request::Renew(csr) = &request {
            let renewed = self.renew(&who, &csr.0);
            let said = self.liar.answer(from, &request, renewed);
            self.note_growth();
            return self.send(self.latency, answer(said));
        }
        let outcome = self.server.relay.handle(&who, &request, now);
        self.server.relay.flush().unwrap();
        let said: Said = self.liar.answer(from, &request, outcome.answer.clone());
        self.send(self.latency, answer(said));
        if let Some(tail) =
            outcome.tail.filter(|_| self.person(from).connection == Some(connection))
        {
            if tail.last.is_none() {
                self.person_mut(from).tails.insert(tail.log);
            }
            for (seq, body) in self.server.bodies(&tail.log, tail.after) {
                if tail.last.is_some_and(|last| last < seq) {
                    break;
                }
                let log = tail.log;
                let frame = match body {
                    Body::Whole(entry) => ToClient::Entry { log, seq, entry: Blob(entry) },
                    Body::Dropped(hash) => ToClient::Dropped { log, seq, hash },
                };
                self.push_lying(from, frame);
            }
        }
        self.publish_all(&outcome);
        self.note_growth();
    }

    fn publish_all(&mut self, outcome: &Outcome) {
        outcome.publish.iter().for_each(|publish| self.publish(publish));
        for end in &outcome.ends {
            let gone = self.people.iter_mut().filter(|it| it.identity.fingerprint == end.reader);
            gone.for_each(|person| {
                person.tails.remove(&end.log);
            });
        }
    }

    pub(crate) fn publish(&mut self, publish: &Publish) {
        let (log, frame) = match publish.clone() {
            Publish::Entry { log, seq, entry } => {
                (log, ToClient::Entry { log, seq, entry: Blob(entry.to_vec()) })
            }
            Publish::Heartbeat { log, beat, receipt } => {
                (log, ToClient::Heartbeat { log, beat: Blob(beat.to_vec()), receipt })
            }
        };
        for who in (0..self.people.len()).map(Who) {
            if self.person(who).tails.contains(&log) {
                self.push_lying(who, frame.clone());
            }
        }
    }

    pub(crate) fn push_lying(&mut self, to: Who, frame: ToClient) {
        for frame in self.liar.push(to, frame) {
            self.push(to, frame);
        }
    }

    pub(crate) fn push(&mut self, to: Who, frame: ToClient) {
        if let Some(connection) = self.person(to).connection {
            self.send(self.latency, Parcel::Down { to, connection, frame });
        }
    }

    /// Holds that no key of any ratchet ever seals two different things.
    fn note_sealed(&mut self, from: Who, request: &Request) {
        self.requests.push((from, openchat_wire::encode(request)));
        let Request::Append { log, entry, .. } = request else { return };
        let Ok(LogEntry::Message(message)) = LogEntry::decode(&entry.0) else { return };
        let header = MessageHeader { id: MessageId([0; 16]), ..message.header };
        let key = (*log, self.person(from).identity.fingerprint, openchat_wire::encode(&header));
        let before = self.sealed.insert(key, entry.0.clone());
        let once = before.is_none_or(|before| before == entry.0);
        assert!(once || !self.holds_keys_single, "a key seals twice: {:?}", message.header);
    }
}

pub(crate) fn general() -> GroupName {
    "general".parse().unwrap()
}
