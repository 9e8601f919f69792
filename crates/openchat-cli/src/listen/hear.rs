//! What is done with what a listener is told.

use super::{beginning, going_on};
use crate::{
    args::ListenArgs,
    context::Context,
    fault::{Exit, Fault},
    join::Teller,
    json,
    listen::deliver::{Delivered, Delivery},
    out,
};
use openchat_client::{
    Ask, Follow, FromHolder, Report,
    engine::{Event, MemberChange, StoredMessage},
};
use openchat_wire::Seq;
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;

/// The number of the order to listen.
const ORDER: u64 = 1;

/// The number of the order to keep a place.
const MARK: u64 = 2;

/// How it ended.
pub(super) enum Heard {
    /// The session is gone; there will be another one.
    Lost,
    /// There is nothing more to listen to.
    End(Exit),
}

/// Somebody who listens, over any number of sessions.
pub(super) struct Listener<'a> {
    context: &'a Context,
    teller: Teller,
    args: ListenArgs,
    first: Follow,
    /// Up to where each conversation is done. Nothing before is told again.
    places: BTreeMap<String, Seq>,
    delivery: Delivery,
    told: u64,
    /// Whether the place of the last message is on its way to the vault. Until it is there nothing
    /// else is begun, so that a kill repeats one message at most.
    is_marking: bool,
    is_stopping: bool,
    /// What comes meanwhile.
    later: VecDeque<StoredMessage>,
    /// The last word about the connection: it is not repeated.
    connection: Option<String>,
}

impl<'a> Listener<'a> {
    pub(super) fn new(context: &'a Context, args: ListenArgs, delivery: Delivery) -> Self {
        let teller = Teller { slashes: false, hints: context.hints.clone() };
        let (first, places) = (beginning(&args), BTreeMap::new());
        Self {
            context,
            teller,
            args,
            first,
            places,
            delivery,
            told: 0,
            is_marking: false,
            is_stopping: false,
            later: VecDeque::new(),
            connection: None,
        }
    }

    /// Begins nothing more.
    pub(super) const fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Whether it was stopped, and nothing is on its way.
    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopping && !self.is_marking
    }

    /// What to ask of a session.
    pub(super) fn follow(&mut self) -> Ask {
        // Told again by the next session.
        self.is_marking = false;
        self.later.clear();
        let follow = if self.places.is_empty() {
            self.first.clone()
        } else {
            going_on(&self.first, self.places.clone())
        };
        Ask::Follow { order: ORDER, follow }
    }

    pub(super) async fn hear(
        &mut self,
        said: FromHolder,
        to: &mpsc::Sender<Ask>,
    ) -> Result<Option<Heard>, Fault> {
        match said {
            FromHolder::Opened(_) => Ok(None),
            FromHolder::Following(target, seq) => self.begins(target, seq),
            FromHolder::Report(Report::Event(Event::Message(message))) => {
                self.later.push_back(message);
                self.go_on(to).await
            }
            // It fails where there is no conversation any more, and so nothing to go on with.
            FromHolder::Report(Report::Event(
                Event::Done { order: MARK, .. } | Event::Failed { order: Some(MARK), .. },
            )) => {
                self.is_marking = false;
                if self.is_full() { Ok(Some(Heard::End(Exit::Ok))) } else { self.go_on(to).await }
            }
            FromHolder::Report(report) => self.report(&report),
            FromHolder::End(_) => Ok(Some(Heard::Lost)),
        }
    }

    /// From here on nothing is missed; a program may have to know.
    fn begins(&mut self, target: String, seq: Seq) -> Result<Option<Heard>, Fault> {
        if self.context.out.json && !self.places.contains_key(&target) {
            let line = json::following(&target, seq.0);
            out::data(&line).map_err(|error| Fault::output(&error))?;
        }
        self.places.entry(target).or_insert(seq);
        Ok(None)
    }

    /// Does what has come, as far as it may.
    async fn go_on(&mut self, to: &mpsc::Sender<Ask>) -> Result<Option<Heard>, Fault> {
        while !self.is_marking
            && !self.is_stopping
            && !self.is_full()
            && let Some(message) = self.later.pop_front()
        {
            self.message(&message, to).await?;
        }
        let is_over = self.is_full() && !self.is_marking;
        Ok(is_over.then_some(Heard::End(Exit::Ok)))
    }

    fn is_full(&self) -> bool {
        self.args.count.is_some_and(|count| self.told >= count)
    }

    async fn message(
        &mut self,
        message: &StoredMessage,
        to: &mpsc::Sender<Ask>,
    ) -> Result<(), Fault> {
        let place = self.places.get(&message.target).copied().unwrap_or_default();
        if message.seq <= place {
            return Ok(());
        }
        let is_wanted = self.args.own || !message.own;
        if is_wanted && self.delivery.deliver(self.context, message).await? == Delivered::Failed {
            return Err(self.delivery.failed(self.context, message));
        }
        self.places.insert(message.target.clone(), message.seq);
        self.told = self.told.saturating_add(u64::from(is_wanted));
        self.mark(message, to).await;
        Ok(())
    }

    /// Keeps the place for the next time.
    async fn mark(&mut self, message: &StoredMessage, to: &mpsc::Sender<Ask>) {
        let (listener, seq) = (self.args.name.clone(), message.seq);
        if listener.is_some()
            && let Ok(target) = message.target.parse()
        {
            self.is_marking = true;
            let ask = Ask::Shown { order: Some(MARK), target, seq, listener };
            // A session that is gone is noticed by what it says no more.
            let _ = to.send(ask).await;
        }
    }

    fn report(&mut self, report: &Report) -> Result<Option<Heard>, Fault> {
        match report {
            Report::Event(Event::Failed { order: Some(ORDER), code, message, hint, .. }) => {
                Err(Fault::of_event(code, message, hint))
            }
            Report::Event(Event::Gone { target, change, .. }) if self.is_only(target) => {
                self.tell(report)?;
                if *change == MemberChange::Left {
                    return Ok(Some(Heard::End(Exit::Ok)));
                }
                Err(crate::join::removed(self.context, target))
            }
            Report::Event(
                Event::Unreadable { target, .. }
                | Event::Dropped { target, .. }
                | Event::Gone { target, .. },
            ) if self.places.contains_key(target) => self.tell(report),
            Report::Forgotten { target, .. } if self.places.contains_key(target) => {
                self.tell(report)
            }
            Report::Event(Event::Alarm { .. } | Event::Expiring { .. }) | Report::Evidence(_) => {
                self.tell(report)
            }
            Report::Online | Report::Offline { .. } if self.is_new(report) => self.tell(report),
            _ => Ok(None),
        }
    }

    fn is_only(&self, target: &str) -> bool {
        self.first.target.as_ref().is_some_and(|only| only.to_string() == target)
    }

    fn is_new(&mut self, report: &Report) -> bool {
        let said = match report {
            Report::Offline { cause, .. } => cause.to_string(),
            _ => String::new(),
        };
        self.connection.replace(said.clone()) != Some(said)
    }

    /// For programs an object, for people a line beside the data.
    fn tell(&self, report: &Report) -> Result<Option<Heard>, Fault> {
        if self.context.out.json {
            out::data(&json::report(report, None)).map_err(|error| Fault::output(&error))?;
        } else if let Some((level, said)) = self.teller.notice(report) {
            match level {
                crate::join::Level::News => self.context.out.note(&said),
                crate::join::Level::Warning => out::diagnostic(&(said + "\n")),
            }
        }
        Ok(None)
    }
}
