//! One thing, then the end: runs a session until it is answered, or until waiting has no prospect.

use crate::{
    context::{Context, runtime},
    fault::{Exit, Fault},
    join::{self, Teller},
    json, out,
    target::quoted,
    wish::{What, Wish},
};
use openchat_client::{
    Ask, End, Front, Report, Session, SessionError, Until, Vault,
    engine::{AlarmCode, Event, Target},
};
use openchat_wire::{MessageId, Seq};
use std::{collections::VecDeque, io};
use tokio::sync::mpsc;

/// Questions that may be asked at once: more people are in no group.
const MOST_QUESTIONS: usize = 10_000;

/// How it went.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done; in this conversation, as it is now called.
    Done(Option<String>),
    /// The message is in the log, there.
    Acknowledged(Seq),
    /// There was no answer in time; what was sent is stored.
    Unanswered(End),
    /// A signal came first.
    Interrupted,
}

/// Does these things one after the other.
pub(crate) fn obey(context: &Context, wishes: Vec<Wish>) -> Result<Outcome, Fault> {
    run(context, Until::Answered, wishes.into(), None)
}

/// Sends this message.
pub(crate) fn send(context: &Context, message: Ask) -> Result<Outcome, Fault> {
    run(context, Until::Answered, VecDeque::new(), Some(message))
}

/// Lets the server have what others need to write to this device.
pub(crate) fn become_reachable(context: &Context) -> Result<Outcome, Fault> {
    run(context, Until::Reachable, VecDeque::new(), None)
}

fn run(
    context: &Context,
    until: Until,
    wishes: VecDeque<Wish>,
    message: Option<Ask>,
) -> Result<Outcome, Fault> {
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (_, identity) = context.look()?;
    let fault = |error| context.hints.session(&identity.server, &error);
    let vault = Vault::open(&context.directory()).map_err(|error| fault(error.into()))?;
    let runtime = runtime()?;
    let (asks, taken) = mpsc::channel(MOST_QUESTIONS);
    let mut asker = Asker::new(context, asks, wishes);
    let ended = runtime.block_on(async {
        let session = Session::open(vault, &identity, until)?;
        let stop = join::stop_on_signal().map_err(SessionError::System)?;
        if let Some(message) = message {
            asker.send(message);
        }
        asker.next();
        session.run(taken, &stop, &mut asker).await
    });
    asker.outcome(ended.map_err(fault)?)
}

/// Asks for one thing after the other, and takes the answers.
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
    /// The message to send. Those that earlier processes left are told of, too.
    message: Option<MessageId>,
    acknowledged: Option<Seq>,
    failed: Option<Fault>,
    /// Whether this is the person's answer to the alarm that there is a copy.
    rejoins: bool,
    is_copied: bool,
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
            acknowledged: None,
            failed: None,
            rejoins: false,
            is_copied: false,
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
        if self.wishes.is_empty() {
            self.asks = None;
        }
    }

    fn send(&mut self, message: Ask) {
        if let Ask::Send { id, .. } = &message {
            self.message = Some(*id);
        }
        self.ask(message);
    }

    fn ask(&mut self, ask: Ask) {
        // There is room for all; and a session that has ended hears none.
        let _ = self.asks.as_ref().map(|asks| asks.try_send(ask));
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
            Report::Event(event @ (Event::Alarm { .. } | Event::Waiting { .. })) if out.json => {
                return out::data(&json::event(event, None));
            }
            Report::Event(Event::Alarm { .. } | Event::Waiting { .. }) => {
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

    fn outcome(self, end: End) -> Result<Outcome, Fault> {
        match (self.failed, end) {
            (_, End { stopped: true, .. }) => Ok(Outcome::Interrupted),
            (Some(fault), _) => Err(fault),
            (None, End { done: true, .. }) => {
                Ok(self.acknowledged.map_or(Outcome::Done(self.target), Outcome::Acknowledged))
            }
            (None, End { halted: true, .. }) => Err(join::halted()),
            (None, end) => Ok(Outcome::Unanswered(end)),
        }
    }
}

/// It was not answered in time, though the server is there.
pub(crate) fn no_answer(context: &Context, target: Option<&str>) -> Fault {
    let message = "it was not done in time; it may still be";
    let show = target.map_or("group list".to_owned(), |at| format!("group show {}", quoted(at)));
    Fault::new(Exit::Failure, "no-answer", message, context.hints.command(&show))
}

/// The name that a group is begun under.
fn named(what: &What) -> Option<Target> {
    match what {
        What::New { name, .. } => Some(Target::Group(name.clone())),
        _ => None,
    }
}

impl Front for Asker<'_> {
    fn opened(&mut self, _target: &str) {}

    fn is_over(&self) -> bool {
        self.is_copied
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
                    self.is_copied = true;
                }
                _ => self.tell(report)?,
            }
        }
        Ok(())
    }
}
