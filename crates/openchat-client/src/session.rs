//! One person online: the loop between the socket, the engine, the vault and a front end.
//!
//! Each turn takes what has come (frames, orders, a deadline), lets the engine decide, and then, in
//! this order: stores all changes in one transaction, sends, shows, and remembers what was shown.
//! So nothing leaves the device that it could forget, and a process that is killed at any point
//! comes back to a state that it told the truth about.

mod ask;
mod drain;
mod kept;
mod obey;
mod stored;

pub use ask::Ask;
pub use stored::{Stored, StoredConversation, stored};

use crate::{
    device::{self, DeviceError},
    dial::DialError,
    link::{Link, LinkEvent, Outgoing},
    outside::{OsRandom, now, os_random},
    vault::{Identity, Survive, Vault, VaultError},
};
use ask::Unanswered;
use drain::Drain;
use openchat_engine::{
    Contact, ConversationKind, Engine, Event, Input, LoadError, MemberChange, Standing,
    StoredMessage, Summary, Target,
};
use openchat_pki::CaCertificate;
use openchat_wire::{GroupId, Name, Seq};
use std::{collections::BTreeSet, io, path::PathBuf, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

/// Inputs that one turn takes at most, the rest of a read's frames aside. Each costs up to a third of
/// a millisecond of signature checks, so a turn stays near a tenth of a second, and its one disk
/// write is shared by all.
const TURN: usize = 256;

/// Stored messages shown at once.
const PAGE: u32 = 500;

/// Longest sleep. Deadlines are by the wall clock, which may be set while the process sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Shortest sleep: a deadline that stays in the past must not make the loop spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);

/// When a session ends of which no more will be asked: all senders of its orders are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The conversations that were opened are read to their end, all orders are answered, and all
    /// messages are acknowledged, also those that earlier sessions left.
    Sent,
    /// All that was ordered in this session is answered or acknowledged.
    Answered,
    /// The relay has this device's prekeys, so that others can write to it first.
    Reachable,
}

/// What the session tells a front end.
#[derive(Debug)]
pub enum Report {
    /// The engine's news.
    Event(Event),
    /// How a conversation stands, because it was asked for.
    Standing(Summary),
    /// What can be compared with somebody, because it was asked for.
    Contact(Contact),
    /// A file that proves to others that the server has lied.
    Evidence(PathBuf),
    /// The server has accepted this device and answers.
    Online,
    /// There is no connection, or none any more.
    Offline {
        /// Why.
        cause: DialError,
        /// Until the next try.
        retry: Duration,
    },
}

/// Whoever shows reports to a person or a program.
pub trait Front {
    /// A conversation was opened: from now on it is shown. What of it waits follows at once.
    fn opened(&mut self, target: &str);

    /// Whether messages of this conversation are shown here. Others are left for another time.
    fn shows(&self, target: &str) -> bool;

    /// Whether there is nothing left to show: the session then ends.
    fn is_over(&self) -> bool {
        false
    }

    /// Shows a turn's reports, in order. What was shown is out of this process's hands when this
    /// returns.
    ///
    /// # Errors
    /// That of the stream; it ends the session.
    fn show(&mut self, reports: &[Report]) -> io::Result<()>;
}

/// Why a session can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The vault failed. The session ended before anything left that was not stored.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The stored identity can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The stored conversations can't be used.
    #[error("the stored conversations can't be used: {0}")]
    Load(#[from] LoadError),
    /// The server is another, or does not take this device.
    #[error(transparent)]
    Dial(DialError),
    /// Nobody takes what is shown.
    #[error("the output can't be written: {cause}")]
    Front {
        /// What the stream said.
        cause: io::Error,
        /// Messages that are stored and not acknowledged yet.
        queued: usize,
    },
    /// The system gives no more threads or signals.
    #[error("the system refuses: {0}")]
    System(io::Error),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Messages that are stored and not acknowledged yet.
    pub queued: usize,
    /// Whether all that [`Until`] names was reached.
    pub done: bool,
    /// Messages that are not stored, because it was never learned whether there is such a group.
    pub lost: usize,
    /// Whether it was told to stop.
    pub stopped: bool,
    /// Whether an alarm has stopped a conversation that is shown.
    pub halted: bool,
    /// Why there was no connection at the end, if there was none.
    pub offline: Option<DialError>,
}

/// How far what is shown was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// No conversation was opened.
    Nothing,
    /// One was; none was read to its end yet.
    Opened,
    /// One was read to its end at least once.
    Ready,
}

/// An open session.
pub struct Session {
    vault: Vault,
    identity: Identity,
    engine: Engine,
    link: Link,
    /// To the relay, while the connection stands.
    outgoing: Option<Outgoing>,
    /// Whether the relay has said anything on this connection.
    online: bool,
    reading: Reading,
    /// Conversations that were opened in this turn.
    opening: Vec<Target>,
    /// What was asked about groups that nobody knows yet whether this device knows them.
    held: Vec<Ask>,
    /// Conversations that were read to their ends on this connection.
    live: BTreeSet<String>,
    /// Conversations that this device had a seat in, or came into, as far as it was told.
    seated: BTreeSet<String>,
    me: Name,
    reports: Vec<Report>,
    unanswered: Unanswered,
    /// Whom this device trusts.
    ca: CaCertificate,
    /// The CA that it trusts from now on, until it is stored.
    next_ca: Option<CaCertificate>,
    until: Until,
    drain: Drain,
    stopped: bool,
    /// Why there is no connection, if there was none the last time.
    offline: Option<DialError>,
    /// Why there will be none.
    failed: Option<DialError>,
    rng: OsRandom,
}

impl Session {
    /// Loads the state of `identity` from its vault and begins to connect. Call within a runtime.
    ///
    /// # Errors
    /// [`SessionError`]
    pub fn open(vault: Vault, identity: &Identity, until: Until) -> Result<Self, SessionError> {
        let engine = stored::load(&vault, identity)?;
        let link = Link::start(device::dialer(identity)?);
        let is_seated = |summary: &Summary| summary.standing == Standing::Member;
        let seated = engine.conversations().filter(is_seated);
        Ok(Self {
            seated: seated.map(|summary| summary.target.to_string()).collect(),
            live: BTreeSet::new(),
            me: identity.name.clone(),
            identity: identity.clone(),
            ca: device::ca(identity)?,
            next_ca: None,
            vault,
            engine,
            link,
            outgoing: None,
            online: false,
            reading: Reading::Nothing,
            opening: Vec::new(),
            held: Vec::new(),
            reports: Vec::new(),
            unanswered: Unanswered::default(),
            until,
            drain: Drain::new(until),
            stopped: false,
            offline: None,
            failed: None,
            rng: os_random(),
        })
    }

    /// Whether this device tells others soon what it has read.
    #[must_use]
    pub fn tell_delivered(mut self, on: bool) -> Self {
        self.engine.tell_delivered(on);
        self
    }

    /// Runs until all is done that [`Until`] names, or `stop` is notified, or an error. What is queued
    /// then stays in the vault for the next time.
    ///
    /// It may be dropped at any point, as a killed process would be, without losing anything.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Ask>,
        stop: &Notify,
        front: &mut impl Front,
    ) -> Result<End, SessionError> {
        while !self.ended() && !front.is_over() {
            self.gather(&mut orders, stop).await;
            self.take_held();
            self.settle(front)?;
        }
        let done = self.is_done();
        let halted = self.halted(front);
        drop(self.outgoing.take());
        self.link.close().await;
        match self.failed {
            Some(error) => Err(SessionError::Dial(error)),
            None => Ok(End {
                queued: self.engine.queued(),
                done,
                lost: self.held.iter().filter(|ask| matches!(ask, Ask::Send { .. })).count(),
                stopped: self.stopped,
                halted,
                offline: self.offline,
            }),
        }
    }

    fn ended(&self) -> bool {
        let over = self.drain.is_over(self.is_done() && !self.engine.is_busy(), Instant::now());
        self.stopped || self.failed.is_some() || over
    }

    fn is_done(&self) -> bool {
        let read = self.reading != Reading::Opened;
        match self.until {
            Until::Sent => read && self.engine.queued() == 0 && self.unanswered.is_empty(),
            Until::Answered => self.unanswered.is_empty(),
            Until::Reachable => self.engine.is_settled(),
        }
    }

    /// Whether an alarm has stopped a conversation that is shown.
    fn halted(&self, front: &impl Front) -> bool {
        let halted = |summary: &Summary| summary.standing == Standing::Halted;
        let mut halted = self.engine.conversations().filter(halted);
        halted.any(|summary| front.shows(&summary.target.to_string()))
    }

    /// Waits for something to do and hands it to the engine, with all that came at the same time.
    async fn gather(&mut self, orders: &mut mpsc::Receiver<Ask>, stop: &Notify) {
        // Let the connection's task run first: a turn then takes all that the socket holds.
        tokio::task::yield_now().await;
        let pause = self.pause();
        tokio::select! {
            Some(event) = self.link.next() => { self.take_event(event); }
            order = orders.recv(), if !self.drain.begun() => self.take_ask(order),
            () = stop.notified() => self.stopped = true,
            () = tokio::time::sleep(pause) => {}
        }
        let mut room = TURN;
        while let Some(taken) = self.take_waiting(orders)
            && room > taken
        {
            room = room.saturating_sub(taken);
        }
        // At every wake-up, not at a deadline: a clock that was set back may have moved it away.
        self.decide(Input::Tick);
    }

    /// Takes what is there already and says how many inputs it was; nothing if nothing is there.
    fn take_waiting(&mut self, orders: &mut mpsc::Receiver<Ask>) -> Option<usize> {
        let event = self.link.try_next().map(|event| self.take_event(event));
        let ask = orders.try_recv().ok().map(|ask| self.take_ask(Some(ask)));
        event.or(ask.map(|()| 1))
    }

    /// Until the next deadline of the engine's, or the drain's patience.
    fn pause(&self) -> Duration {
        let deadline = self.engine.next_deadline();
        let engine = deadline.map(|at| Duration::from_millis(at.0.saturating_sub(now().0)));
        let drain = self.drain.patience(Instant::now());
        let next = [engine, drain].into_iter().flatten().fold(LONGEST_SLEEP, Duration::min);
        next.max(SHORTEST_SLEEP)
    }

    /// Gives the number of inputs that it was.
    fn take_event(&mut self, event: LinkEvent) -> usize {
        match event {
            LinkEvent::Up(outgoing, shown) => {
                self.follow(*shown);
                self.outgoing = Some(outgoing);
                self.decide(Input::Connected);
            }
            LinkEvent::Frames(frames) => {
                self.heard();
                let count = frames.len();
                for frame in frames {
                    self.decide(Input::Frame(frame));
                }
                return count;
            }
            LinkEvent::Down { cause, retry } => {
                self.disconnected();
                self.offline = Some(cause.clone());
                self.reports.push(Report::Offline { cause, retry });
            }
            LinkEvent::Ended(cause) => {
                self.disconnected();
                self.failed = Some(cause);
            }
        }
        1
    }

    /// Only what the relay says shows that it took this device's certificate.
    fn heard(&mut self) {
        if !self.online {
            self.online = true;
            self.offline = None;
            self.reports.push(Report::Online);
            self.drain.progress();
        }
        // Reading a long history, or waiting for one's turn to join, is progress.
        if self.reading != Reading::Ready {
            self.drain.progress();
        }
    }

    fn disconnected(&mut self) {
        self.online = false;
        self.live.clear();
        if self.outgoing.take().is_some() {
            self.decide(Input::Disconnected);
        }
    }

    fn decide(&mut self, input: Input) {
        self.engine.handle(input, now(), &mut self.rng);
    }

    /// Makes the engine's decisions real: on the disk, then to the relay, then to the person.
    fn settle(&mut self, front: &mut impl Front) -> Result<(), SessionError> {
        let output = self.engine.take_output();
        for target in std::mem::take(&mut self.opening) {
            self.show_waiting(&target, front)?;
        }
        let survive = if output.lasting { Survive::PowerCut } else { Survive::Kill };
        if let Some(ca) = self.next_ca.take() {
            self.vault.follow(&ca)?;
        }
        self.vault.apply(&output.changes, survive)?;
        if let Some(outgoing) = &self.outgoing {
            output.requests.iter().for_each(|request| outgoing.send(request));
        }
        for event in output.events {
            let report = self.keep(event)?;
            self.reports.extend(report);
        }
        if self.reports.is_empty() {
            return Ok(());
        }
        self.note_ready(front);
        let open = self.unanswered.settle(&mut self.reports);
        if self.reports.iter().any(|report| is_ready(report, front)) {
            self.reading = Reading::Ready;
        }
        self.drain.watch(&self.reports);
        let reports = std::mem::take(&mut self.reports);
        self.show(&reports, front)?;
        for target in open.iter().filter_map(|target| target.parse::<Target>().ok()) {
            self.show_waiting(&target, front)?;
            // Who is in is told once more, now that it is shown.
            self.tell_ready(&target);
        }
        // Nothing may come for a while that would bring this to the person.
        if self.reports.is_empty() { Ok(()) } else { self.settle(front) }
    }

    /// Takes note of conversations that were read to their ends, or ended. Into some of them this
    /// device was put by somebody else, which the engine tells by this alone.
    fn note_ready(&mut self, front: &impl Front) {
        let mut ready = Vec::new();
        for report in &self.reports {
            match report {
                Report::Event(Event::Ready { target, .. }) => ready.push(target.clone()),
                Report::Event(Event::Gone { target, .. }) => {
                    self.seated.remove(target);
                    self.live.remove(target);
                }
                _ => {}
            }
        }
        for target in ready {
            self.live.insert(target.clone());
            let is_new = self.seated.insert(target.clone());
            if is_new && !front.shows(&target) && !self.unanswered.opens_any() {
                self.reports.extend(self.added(target));
            }
        }
    }

    fn added(&self, target: String) -> Option<Report> {
        let summary = self.engine.conversation(&target.parse().ok()?)?;
        let by = summary.inviter.filter(|_| summary.kind != ConversationKind::Direct)?;
        Some(Report::Event(Event::Member {
            target,
            name: self.me.clone(),
            change: MemberChange::Added,
            by: Some(by),
            epoch: summary.epoch,
            count: u32::try_from(summary.members.len()).unwrap_or(u32::MAX),
        }))
    }

    /// Tells who is in, if it was read to its end.
    fn tell_ready(&mut self, target: &Target) {
        if let Some(Summary { target, epoch, members, .. }) = self.engine.conversation(target) {
            let target = target.to_string();
            if self.live.contains(&target) {
                self.reports.push(Report::Event(Event::Ready { target, epoch, members }));
            }
        }
    }

    /// Opens a conversation: first what waits in the vault, which this turn's news follow.
    fn show_waiting(
        &mut self,
        target: &Target,
        front: &mut impl Front,
    ) -> Result<(), SessionError> {
        let found = self.engine.conversation(target);
        let called = found.as_ref().map_or(target, |summary| &summary.target).to_string();
        if self.reading == Reading::Nothing {
            self.reading = Reading::Opened;
        }
        front.opened(&called);
        let Some(group) = found.and_then(|summary| summary.group) else { return Ok(()) };
        while front.shows(&called) {
            let messages = self.vault.unshown(&group, PAGE)?;
            let Some(last) = messages.last().map(|message| message.seq) else { break };
            let named = |message| StoredMessage { target: called.clone(), ..message };
            let reports = messages.into_iter().map(named).map(Event::Message).map(Report::Event);
            self.show(&reports.collect::<Vec<_>>(), front)?;
            self.vault.mark_shown(&[(group, last)])?;
        }
        Ok(())
    }

    fn show(&mut self, reports: &[Report], front: &mut impl Front) -> Result<(), SessionError> {
        let queued = self.engine.queued();
        front.show(reports).map_err(|cause| SessionError::Front { cause, queued })?;
        Ok(self.vault.mark_shown(&shown(reports, front))?)
    }
}

fn is_ready(report: &Report, front: &impl Front) -> bool {
    matches!(report, Report::Event(Event::Ready { target, .. }) if front.shows(target))
}

/// The newest place shown of each conversation.
fn shown(reports: &[Report], front: &impl Front) -> Vec<(GroupId, Seq)> {
    let mut places: Vec<(GroupId, Seq)> = Vec::new();
    for report in reports {
        let Report::Event(Event::Message(message)) = report else { continue };
        if !front.shows(&message.target) {
            continue;
        }
        match places.iter_mut().find(|(group, _)| *group == message.group) {
            Some((_, seq)) => *seq = message.seq.max(*seq),
            None => places.push((message.group, message.seq)),
        }
    }
    places
}
