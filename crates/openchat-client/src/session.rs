//! One person online: the loop between the socket, the engine, the vault and a front end.
//!
//! Each turn takes what has come (frames, orders, a deadline), lets the engine decide, and then, in
//! this order: stores all changes in one transaction, sends, shows, and remembers what was shown.
//! So nothing leaves the device that it could forget, and a process that is killed at any point
//! comes back to a state that it told the truth about.

mod ask;
mod drain;
mod files;
mod forgotten;
mod front;
mod guests;
mod kept;
mod obey;
mod remote;
mod say;
mod show;
mod stored;

pub use ask::{Ask, Follow, Start};
pub use front::{End, Front, LogView, Report, SessionError, Until};
pub use guests::{Guest, GuestEnd, GuestEvent, GuestId};
pub use remote::{FromHolder, Remote, Resume};
pub use say::{Pick, Say};
pub use stored::{Stored, StoredConversation, stored};

use crate::{
    device,
    dial::DialError,
    link::{Link, LinkEvent, Outgoing},
    outside::{OsRandom, now, os_random},
    vault::{Identity, Survive, Vault},
};
use ask::Unanswered;
use drain::Drain;
use files::{Saving, Staging};
use guests::{Guests, ShownElsewhere};
use openchat_engine::{Engine, Input, Recall, Standing, Summary, Target, Want};
use openchat_pki::CaCertificate;
use openchat_wire::{Fingerprint, MessageId, Name, Seq};
use show::is_ready;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
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

/// How far what is shown was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Before the vault: what they came through is shut first.
    guests: Guests,
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
    /// What is to be said, and saved, once the vault was asked which message is meant.
    sayings: Vec<(Target, MessageId, Say)>,
    savings: Vec<Saving>,
    /// What was asked about groups that nobody knows yet whether this device knows them.
    held: Vec<Ask>,
    /// Conversations that were read to their ends on this connection.
    live: BTreeSet<String>,
    /// Conversations that this device had a seat in, or came into, as far as it was told.
    seated: BTreeSet<String>,
    me: Name,
    fingerprint: Fingerprint,
    /// Files that are being read into the vault, one after the other.
    staging: VecDeque<Staging>,
    /// Parts of files that the engine wants.
    wants: Vec<Want>,
    /// Messages of this device's own that it wants to say again.
    recalls: Vec<Recall>,
    reports: Vec<Report>,
    /// As it was told last.
    log: LogView,
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
    /// Where the front end goes on that another session served before.
    places: BTreeMap<String, Seq>,
    /// Messages of which only the vault knows whether they were sent before.
    resumed: BTreeSet<MessageId>,
    repeats: Vec<(Target, MessageId)>,
    /// Shown by other processes.
    shown_elsewhere: Vec<ShownElsewhere>,
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
        let mut session = Self {
            fingerprint: engine.me(),
            log: LogView::of(&engine),
            staging: VecDeque::new(),
            wants: Vec::new(),
            recalls: Vec::new(),
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
            sayings: Vec::new(),
            savings: Vec::new(),
            reports: Vec::new(),
            unanswered: Unanswered::default(),
            until,
            drain: Drain::new(until),
            stopped: false,
            offline: None,
            failed: None,
            guests: Guests::default(),
            places: BTreeMap::new(),
            resumed: BTreeSet::new(),
            repeats: Vec::new(),
            shown_elsewhere: Vec::new(),
            rng: os_random(),
        };
        session.take_up_files()?;
        Ok(session)
    }

    /// Whether this device tells others soon what it has read.
    #[must_use]
    pub fn tell_delivered(mut self, on: bool) -> Self {
        self.engine.tell_delivered(on);
        self
    }

    /// Goes on for a front end that another session served before.
    #[must_use]
    pub fn resume(mut self, resume: Resume) -> Self {
        self.places = resume.places;
        for ask in resume.asks {
            if let Ask::Send { id, .. } | Ask::Say { id, .. } = &ask {
                self.resumed.insert(*id);
            }
            self.take_ask(Some(ask));
        }
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
        while !self.ended(front) {
            self.gather(&mut orders, stop).await;
            self.take_held()?;
            self.stage_on()?;
            self.settle(front)?;
            while !self.wants.is_empty() || !self.recalls.is_empty() {
                self.bring()?;
                self.settle(front)?;
            }
        }
        let done = self.is_done();
        let halted = self.halted(front);
        drop(self.outgoing.take());
        self.dismiss_guests();
        self.link.close().await;
        match self.failed {
            Some(error) => Err(SessionError::Dial(error)),
            None => Ok(End {
                queued: self.engine.queued(),
                done,
                lost: self
                    .held
                    .iter()
                    .filter(|ask| matches!(ask, Ask::Send { .. } | Ask::Say { .. }))
                    .count()
                    .saturating_add(self.staging.len()),
                stopped: self.stopped,
                halted,
                offline: self.offline,
            }),
        }
    }

    fn ended(&mut self, front: &impl Front) -> bool {
        let over = self.drain.is_over(self.is_done() && !self.engine.is_busy(), Instant::now());
        let over = over || front.is_over();
        self.stopped || self.failed.is_some() || (over && !self.guests.are_owed())
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
            Some(event) = self.guests.next() => self.take_guest(event),
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
        let guest = self.guests.try_next().map(|event| self.take_guest(event));
        event.or(ask.or(guest).map(|()| 1))
    }

    /// Until the next deadline of the engine's, or the drain's patience.
    fn pause(&self) -> Duration {
        if !self.staging.is_empty() {
            return Duration::ZERO;
        }
        let deadline = self.engine.next_deadline();
        let engine = deadline.map(|at| Duration::from_millis(at.0.saturating_sub(now().0)));
        let drain = self.drain.patience(Instant::now());
        let next = [engine, drain, self.guests.patience()]
            .into_iter()
            .flatten()
            .fold(LONGEST_SLEEP, Duration::min);
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
        let forgotten = self.vault.tidy()?;
        self.tell_forgotten(&forgotten)?;
        if let Some(outgoing) = &self.outgoing {
            output.requests.iter().for_each(|request| outgoing.send(request));
        }
        self.wants.extend(output.wants);
        self.recalls.extend(output.recalls);
        for event in output.events {
            let report = self.keep(event)?;
            self.reports.extend(report);
        }
        self.note_log();
        self.settle_guests()?;
        if self.reports.is_empty() {
            self.guests.tell(&[]);
            return self.catch_up_guests();
        }
        self.note_ready(front);
        let open = self.unanswered.settle(&mut self.reports);
        let guests_open = self.guests.settle(&mut self.reports);
        if self.reports.iter().any(|report| is_ready(report, front)) {
            self.reading = Reading::Ready;
        }
        self.drain.watch(&self.reports);
        let reports = std::mem::take(&mut self.reports);
        self.guests.tell(&reports);
        let reports = self.guests.without_theirs(reports);
        self.show(&reports, front)?;
        for (order, target) in open {
            let Ok(target) = target.parse::<Target>() else { continue };
            self.show_waiting(&target, front)?;
            // Who is in is told once more, now that it is shown.
            self.tell_ready(order, &target);
        }
        for (order, target) in guests_open {
            let Ok(target) = target.parse::<Target>() else { continue };
            self.guests.open(order, &target);
            self.tell_ready(order, &target);
        }
        // Nothing may come for a while that would bring this to the person.
        if self.reports.is_empty() { self.catch_up_guests() } else { self.settle(front) }
    }

    /// Tells how the transparency log has grown.
    fn note_log(&mut self) {
        let log = LogView::of(&self.engine);
        if log != std::mem::replace(&mut self.log, log) {
            self.reports.push(Report::Log(log));
        }
    }

    /// What guests did, and what they are to be told, before this turn is shown here.
    fn settle_guests(&mut self) -> Result<(), SessionError> {
        self.mark_shown_elsewhere()?;
        self.answer_repeats()?;
        self.bind_guests()
    }
}
