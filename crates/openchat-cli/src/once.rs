//! One thing, then the end: runs a session until it is answered, or until waiting has no prospect.

use crate::{
    agent,
    context::{Context, runtime},
    fault::{Exit, Fault},
    join::{self, Teller},
    json, out,
    target::quoted,
    text,
    wish::{What, Wish},
};
use openchat_client::{
    Ask, End, Front, Report, SessionError, Until,
    engine::{AlarmCode, Event, Progress, Target},
    spoken::bytes,
};
use openchat_wire::{MessageId, Seq};
use std::{
    collections::VecDeque,
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

/// Questions that may be asked at once: more people are in no group.
const MOST_QUESTIONS: usize = 10_000;

/// For what a message waits, and for how long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// Until the device of another member has it.
    pub(crate) delivered: bool,
    /// At most this long in all.
    pub(crate) limit: Option<Duration>,
}

/// How it went.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done; in this conversation, as it is now called.
    Done(Option<String>),
    /// The message is in the log, there.
    Acknowledged(Seq),
    /// And the device of another member has it; the report that says so.
    Delivered(Seq, Event),
    /// There was no answer in time; what was sent is stored.
    Unanswered(End),
    /// A signal came first.
    Interrupted,
}

/// Does these things one after the other.
pub(crate) fn obey(context: &Context, wishes: Vec<Wish>) -> Result<Outcome, Fault> {
    run(context, Until::Answered, wishes.into(), None, Patience::default())
}

/// Sends this message.
pub(crate) fn send(context: &Context, message: Ask, patience: Patience) -> Result<Outcome, Fault> {
    run(context, Until::Answered, VecDeque::new(), Some(message), patience)
}

/// Lets the server have what others need to write to this device.
pub(crate) fn become_reachable(context: &Context) -> Result<Outcome, Fault> {
    run(context, Until::Reachable, VecDeque::new(), None, Patience::default())
}

fn run(
    context: &Context,
    until: Until,
    wishes: VecDeque<Wish>,
    message: Option<Ask>,
    patience: Patience,
) -> Result<Outcome, Fault> {
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (_, identity) = context.look()?;
    let fault = |error| context.hints.session(&identity.server, &error);
    let runtime = runtime()?;
    let (asks, taken) = mpsc::channel(MOST_QUESTIONS);
    let mut asker = Asker::new(context, asks, wishes);
    asker.waits = patience.delivered;
    let over = Arc::new(AtomicBool::new(false));
    let ended = runtime.block_on(async {
        let stop = match join::stop_on_signal() {
            Ok(stop) => stop,
            Err(error) => return Ok(Err(SessionError::System(error))),
        };
        if let Some(limit) = patience.limit {
            tokio::spawn(end_after(limit, Arc::clone(&over), Arc::clone(&stop)));
        }
        if let Some(message) = message {
            asker.send(message);
        }
        asker.next();
        agent::run(context, &identity, until, taken, &stop, &mut asker).await
    });
    let end = ended?.map_err(fault)?;
    let stopped = end.stopped && !over.load(Ordering::Relaxed);
    asker.outcome(End { stopped, ..end })
}

/// Ends the session when its time is over.
async fn end_after(limit: Duration, over: Arc<AtomicBool>, stop: Arc<Notify>) {
    sleep(limit).await;
    over.store(true, Ordering::Relaxed);
    stop.notify_one();
}

/// Asks for one thing after the other, and takes the answers.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, none of which makes a state"
)]
struct Asker<'a> {
    context: &'a Context,
    teller: Teller,
    /// Until all is asked.
    asks: Option<mpsc::Sender<Ask>>,
    /// What is left to ask for.
    wishes: VecDeque<Wish>,
    /// Questions that were asked, and answers that have come.
    asked: u64,
    answered: u64,
    /// The conversation that the orders are about, whose news are told.
    about: Option<String>,
    target: Option<String>,
    /// The message to send, and where. Those that earlier processes left are told of, too.
    message: Option<MessageId>,
    place: Option<Target>,
    acknowledged: Option<Seq>,
    /// Whether it waits for somebody to have the message, and who has it.
    waits: bool,
    delivered: Option<Event>,
    failed: Option<Fault>,
    /// Whether this is the person's answer to the alarm that there is a copy.
    rejoins: bool,
    /// Whether there is nothing left to wait for.
    is_over: bool,
    /// Whether it was said that there is no connection.
    offline: bool,
}

impl<'a> Asker<'a> {
    fn new(context: &'a Context, asks: mpsc::Sender<Ask>, wishes: VecDeque<Wish>) -> Self {
        Self {
            context,
            teller: Teller { slashes: false, hints: context.hints.clone() },
            asks: Some(asks),
            wishes,
            asked: 0,
            answered: 0,
            about: None,
            target: None,
            message: None,
            place: None,
            acknowledged: None,
            waits: false,
            delivered: None,
            failed: None,
            rejoins: false,
            is_over: false,
            offline: false,
        }
    }

    /// Asks for the next thing; after the last one the session may end.
    fn next(&mut self) {
        if let Some(Wish { target, what }) = self.wishes.pop_front() {
            // What follows a `new` is about the group that it made; a `new` itself has no target.
            let made = || self.target.as_deref()?.parse().ok();
            let Some(target) = target.or_else(made).or_else(|| named(&what)) else { return };
            let first = self.asked.saturating_add(1);
            self.about = Some(target.to_string());
            self.rejoins = what == What::Rejoin;
            let asks = what.ask(target, first);
            self.asked = self.asked.saturating_add(u64::try_from(asks.len()).unwrap_or(u64::MAX));
            for ask in asks {
                self.ask(ask);
            }
        }
        if self.wishes.is_empty() && !self.waits {
            self.asks = None;
        }
    }

    fn send(&mut self, message: Ask) {
        if let Ask::Send { target, id, .. } | Ask::Say { target, id, .. } = &message {
            (self.message, self.place) = (Some(*id), Some(target.clone()));
        }
        self.ask(message);
    }

    fn ask(&mut self, ask: Ask) {
        // There is room for all; and a session that has ended hears none.
        if let Some(asks) = &self.asks {
            let _ = asks.try_send(ask);
        }
    }

    fn done(&mut self, target: &str) {
        self.target = Some(target.to_owned());
        self.answered = self.answered.saturating_add(1);
        if self.answered == self.asked {
            self.next();
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.failed.get_or_insert(fault);
        self.wishes.clear();
        self.asks = None;
    }

    /// Alarms are told in any case, what changes to people.
    fn tell(&mut self, report: &Report) -> io::Result<()> {
        let out = self.context.out;
        match report {
            // A message of before, of which nobody else hears what has become of it.
            Report::Event(
                event @ (Event::Alarm { .. }
                | Event::Waiting { .. }
                | Event::Failed { id: Some(_), .. }),
            ) if out.json => {
                return out::data(&json::event(event, None));
            }
            Report::Evidence(_) | Report::Event(Event::Expiring { .. }) if out.json => {
                return out::data(&json::report(report, None));
            }
            Report::Evidence(_)
            | Report::Event(
                Event::Alarm { .. }
                | Event::Waiting { .. }
                | Event::Failed { id: Some(_), .. }
                | Event::Expiring { .. },
            ) => {
                let said = self.teller.notice(report).map(|(_, said)| said + "\n");
                out::diagnostic(&said.unwrap_or_default());
            }
            Report::Offline { .. } if !self.offline => {
                self.offline = true;
                self.note(report);
            }
            Report::Event(
                Event::Member { target, .. }
                | Event::Rules { target, .. }
                | Event::Gone { target, .. },
            ) if self.about.as_ref() == Some(target) => self.note(report),
            _ => {}
        }
        Ok(())
    }

    fn note(&self, report: &Report) {
        if let Some((_, said)) = self.teller.notice(report) {
            self.context.out.note(&said);
        }
    }

    /// A file is on its way; whoever looks at a terminal sees how far.
    fn progress(&self, progress: &Progress) {
        if self.context.out.json || self.context.out.quiet || !io::stderr().is_terminal() {
            return;
        }
        let Progress { name, done, size, .. } = progress;
        let percent = done.saturating_mul(100).checked_div(*size).unwrap_or(100);
        let end = if done == size { "\n" } else { "" };
        let name = text::safe(name);
        out::diagnostic(&format!("\r\u{1b}[K{name}: {percent} % of {}{end}", bytes(*size)));
    }

    fn outcome(self, end: End) -> Result<Outcome, Fault> {
        match (self.failed, end) {
            (_, End { stopped: true, .. }) => Ok(Outcome::Interrupted),
            (Some(fault), _) => Err(fault),
            (None, End { done: true, .. }) => Ok(match (self.acknowledged, self.delivered) {
                (Some(seq), Some(event)) => Outcome::Delivered(seq, event),
                (Some(seq), None) => Outcome::Acknowledged(seq),
                (None, _) => Outcome::Done(self.target),
            }),
            (None, End { halted: true, .. }) => Err(join::halted()),
            (None, end) => Ok(Outcome::Unanswered(end)),
        }
    }
}

/// It was not answered in time: the server is not there, or it is.
pub(crate) fn unanswered(context: &Context, end: End, about: Option<&str>) -> Result<Fault, Fault> {
    let (_, identity) = context.look()?;
    Ok(end.offline.map_or_else(
        || no_answer(context, about),
        |cause| context.hints.dial(&identity.server, &cause),
    ))
}

/// It was not answered in time, though the server is there.
fn no_answer(context: &Context, target: Option<&str>) -> Fault {
    let message = "it was not done in time; it may still be";
    let show = target.map_or("group list".to_owned(), |at| format!("group show {}", quoted(at)));
    Fault::new(Exit::Failure, "no-answer", message, context.hints.command(&show))
}

/// What it is about by itself: the name that a group is begun under, or a person.
pub(crate) fn named(what: &What) -> Option<Target> {
    match what {
        What::New { name, .. } => Some(Target::Group(name.clone())),
        What::Compare(who) | What::Trust(who, _) => Some(Target::Person(who.clone())),
        _ => None,
    }
}

impl Front for Asker<'_> {
    fn opened(&mut self, _target: &str) {}

    fn is_over(&self) -> bool {
        self.is_over
    }

    /// What was said is left for `openchat join`.
    fn shows(&self, _target: &str) -> bool {
        false
    }

    fn show(&mut self, reports: &[Report]) -> io::Result<()> {
        for report in reports {
            match report {
                Report::Event(Event::Done { target, .. }) => self.done(target),
                Report::Event(Event::Ack { id, seq }) if self.message == Some(*id) => {
                    self.acknowledged = Some(*seq);
                }
                Report::Event(event @ Event::Delivered { id, .. })
                    if self.message == Some(*id) && self.delivered.is_none() =>
                {
                    self.delivered = Some(event.clone());
                    self.asks = None;
                }
                Report::Event(Event::Failed { code, message, hint, order, id, .. })
                    if order.is_some() || (id.is_some() && self.message == *id) =>
                {
                    self.fail(Fault::of_event(code, message, hint));
                }
                Report::Event(Event::Alarm { code: AlarmCode::Clone, target, .. })
                    if !self.rejoins =>
                {
                    self.tell(report)?;
                    self.fail(self.teller.hints.copied(target.as_deref()));
                    self.is_over = true;
                }
                // Only a person's decision brings it further. The last word says which, for people.
                Report::Event(event @ Event::Waiting { target, code: "held", .. })
                    if self.place.as_ref().is_some_and(|place| place.to_string() == *target) =>
                {
                    if self.context.out.json {
                        out::data(&json::event(event, None))?;
                    }
                    self.is_over = true;
                }
                Report::Event(Event::Progress(progress))
                    if progress.own && self.message == Some(progress.file.id) =>
                {
                    self.progress(progress);
                }
                _ => self.tell(report)?,
            }
        }
        Ok(())
    }
}
