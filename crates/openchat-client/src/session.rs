//! One person online: the loop between the socket, the engine, the vault and a front end.
//!
//! Each turn takes what has come (frames, orders, a deadline), lets the engine decide, and then, in
//! this order: stores all changes in one transaction, sends, shows, and remembers what was shown.
//! So nothing leaves the device that it could forget, and a process that is killed at any point
//! comes back to a state that it told the truth about.

mod drain;

use crate::{
    device::{self, DeviceError},
    dial::DialError,
    link::{Link, LinkEvent, Outgoing},
    outside::{OsRandom, now, os_random},
    vault::{Identity, Survive, Vault, VaultError},
};
use drain::Drain;
use openchat_engine::{Command, Engine, Event, Input, LoadError, Snapshot};
use openchat_wire::{Epoch, GroupId, GroupName, MessageId, Seq};
use std::{io, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

/// Inputs that one turn takes at most, the rest of a read's frames aside. Each costs up to a third of
/// a millisecond of signature checks, so a turn stays near a tenth of a second, and its one disk
/// write is shared by all.
const TURN: usize = 256;

/// Longest sleep. Deadlines are by the wall clock, which may be set while the process sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Shortest sleep: a deadline that stays in the past must not make the loop spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);

/// What a front end asks of the session. When all senders are gone no more will be asked: the
/// session then waits until it has read its conversations to their end and everything it was given
/// is acknowledged, and ends; or until waiting has no prospect.
#[derive(Debug)]
pub enum Order {
    /// Take part in this open group.
    Open(GroupName),
    /// Send a text to it.
    Send {
        /// The group.
        group: GroupName,
        /// Names the message; drawn by the front end, so that it knows its acknowledgement.
        id: MessageId,
        /// At most `MAX_TEXT` bytes.
        text: String,
    },
}

/// What the session tells a front end.
#[derive(Debug)]
pub enum Report {
    /// The engine's news.
    Event(Event),
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
    /// Whether messages of this conversation are shown here. Others are left for another time.
    fn shows(&self, target: &str) -> bool;

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
    /// Whether it was told to stop.
    pub stopped: bool,
    /// Whether a conversation that is shown was read to its end at least once.
    pub ready: bool,
    /// Whether a conversation was stopped for good by an alarm.
    pub halted: bool,
    /// Why there was no connection at the end, if there was none.
    pub offline: Option<DialError>,
}

/// What is stored of the conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The groups.
    pub groups: Vec<StoredGroup>,
    /// Messages that are not acknowledged yet.
    pub queued: usize,
}

/// A group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// As people write it: `#general`.
    pub target: String,
    /// Its epoch.
    pub epoch: Epoch,
}

/// Reads how things stand, also while a session is open elsewhere.
///
/// # Errors
/// [`SessionError`]
pub fn stored(vault: &Vault, identity: &Identity) -> Result<Stored, SessionError> {
    let engine = load(vault, identity)?;
    let group =
        |(name, epoch): (&GroupName, Epoch)| StoredGroup { target: format!("#{name}"), epoch };
    Ok(Stored { groups: engine.groups().map(group).collect(), queued: engine.queued() })
}

fn load(vault: &Vault, identity: &Identity) -> Result<Engine, SessionError> {
    let snapshot = Snapshot { records: vault.records()? };
    Ok(Engine::new(device::device(identity)?, snapshot)?)
}

/// An open session.
pub struct Session {
    vault: Vault,
    engine: Engine,
    link: Link,
    /// To the relay, while the connection stands.
    outgoing: Option<Outgoing>,
    /// Whether the relay has said anything on this connection.
    online: bool,
    /// Whether a conversation that is shown was read to its end yet.
    ready: bool,
    reports: Vec<Report>,
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
    pub fn open(vault: Vault, identity: &Identity) -> Result<Self, SessionError> {
        let engine = load(&vault, identity)?;
        let link = Link::start(device::dialer(identity)?);
        Ok(Self {
            vault,
            engine,
            link,
            outgoing: None,
            online: false,
            ready: false,
            reports: Vec::new(),
            drain: Drain::default(),
            stopped: false,
            offline: None,
            failed: None,
            rng: os_random(),
        })
    }

    /// Runs until all is done that was ordered, or `stop` is notified, or an error. What is queued
    /// then stays in the vault for the next time.
    ///
    /// It may be dropped at any point, as a killed process would be, without losing anything.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        stop: &Notify,
        front: &mut impl Front,
    ) -> Result<End, SessionError> {
        while !self.ended() {
            self.gather(&mut orders, stop).await;
            self.settle(front)?;
        }
        drop(self.outgoing.take());
        self.link.close().await;
        match self.failed {
            Some(error) => Err(SessionError::Dial(error)),
            None => Ok(End {
                queued: self.engine.queued(),
                stopped: self.stopped,
                ready: self.ready,
                halted: self.engine.is_halted(),
                offline: self.offline,
            }),
        }
    }

    fn ended(&self) -> bool {
        let done = self.ready && self.engine.queued() == 0;
        self.stopped || self.failed.is_some() || self.drain.is_over(done, Instant::now())
    }

    /// Waits for something to do and hands it to the engine, with all that came at the same time.
    async fn gather(&mut self, orders: &mut mpsc::Receiver<Order>, stop: &Notify) {
        // Let the connection's task run first: a turn then takes all that the socket holds.
        tokio::task::yield_now().await;
        let pause = self.pause();
        tokio::select! {
            Some(event) = self.link.next() => { self.take_event(event); }
            order = orders.recv(), if !self.drain.begun() => self.take_order(order),
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
    fn take_waiting(&mut self, orders: &mut mpsc::Receiver<Order>) -> Option<usize> {
        let event = self.link.try_next().map(|event| self.take_event(event));
        let order = orders.try_recv().ok().map(|order| self.take_order(Some(order)));
        event.or(order.map(|()| 1))
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
            LinkEvent::Up(outgoing) => {
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
        if !self.ready {
            self.drain.progress();
        }
    }

    fn disconnected(&mut self) {
        self.online = false;
        if self.outgoing.take().is_some() {
            self.decide(Input::Disconnected);
        }
    }

    fn take_order(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Open(group)) => self.decide(Input::Command(Command::Open { group })),
            Some(Order::Send { group, id, text }) => {
                self.decide(Input::Command(Command::Send { group, id, text }));
            }
            None => self.drain.begin(),
        }
    }

    fn decide(&mut self, input: Input) {
        self.engine.handle(input, now(), &mut self.rng);
    }

    /// Makes the engine's decisions real: on the disk, then to the relay, then to the person.
    fn settle(&mut self, front: &mut impl Front) -> Result<(), SessionError> {
        let output = self.engine.take_output();
        let survive = if output.lasting { Survive::PowerCut } else { Survive::Kill };
        self.vault.apply(&output.changes, survive)?;
        if let Some(outgoing) = &self.outgoing {
            output.requests.iter().for_each(|request| outgoing.send(request));
        }
        self.reports.extend(output.events.into_iter().map(Report::Event));
        if self.reports.is_empty() {
            return Ok(());
        }
        self.ready |= self.reports.iter().any(|report| is_ready(report, front));
        self.drain.watch(&self.reports);
        let queued = self.engine.queued();
        front.show(&self.reports).map_err(|cause| SessionError::Front { cause, queued })?;
        self.vault.mark_shown(&shown(&self.reports, front))?;
        self.reports.clear();
        Ok(())
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
