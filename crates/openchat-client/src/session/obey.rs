//! From what was asked to the engine's commands.

use super::{
    Ask, Report, Say, Session, SessionError, ask::Unanswered, files::Saving, guests::Guests,
};
use openchat_engine::{
    Body, Command, ConversationKind, Event, Input, Inviting, Joining, Order, Rules, Standing,
    Summary, Target,
};
use openchat_wire::{MessageId, Name};

/// The open group of all: its name is never taken for another's.
const EVERYBODYS: &str = "general";

impl Session {
    /// Takes what was asked; nothing if no more will be asked.
    pub(super) fn take_ask(&mut self, ask: Option<Ask>) {
        match ask {
            None => self.drain.begin(),
            Some(ask) => {
                self.unanswered.add(&ask);
                self.take_or_hold(ask);
            }
        }
    }

    /// Takes what was held back, as soon as its conversation is known, or all are.
    pub(super) fn take_held(&mut self) -> Result<(), SessionError> {
        for ask in std::mem::take(&mut self.held) {
            self.take_or_hold(ask);
        }
        for (target, id, what) in std::mem::take(&mut self.sayings) {
            self.say(target, id, what)?;
        }
        for saving in std::mem::take(&mut self.savings) {
            self.save(saving)?;
        }
        Ok(())
    }

    /// An unknown name may be that of a closed group to which this device was invited while it was
    /// away. Until that is known, opening it would begin an open group of that name, and what is
    /// meant for few would be said to all.
    pub(super) fn take_or_hold(&mut self, ask: Ask) {
        let is_unknown = match &ask {
            Ask::Open { target, .. } | Ask::Send { target, .. } | Ask::Say { target, .. } => {
                !Self::may_begin(target) && !self.engine.knows_target(target)
            }
            Ask::Do { what, .. } => what.target().is_some_and(|at| !self.engine.knows_target(at)),
            Ask::Policy { target, .. }
            | Ask::Describe { target, .. }
            | Ask::Save { target, .. } => !self.engine.knows_target(target),
            Ask::Follow { follow, .. } => {
                follow.target.as_ref().is_some_and(|at| !self.engine.knows_target(at))
            }
            Ask::Trust { .. } | Ask::Compare { .. } | Ask::Renew { .. } | Ask::Shown { .. } => {
                false
            }
        };
        if is_unknown && !self.knows_all() {
            self.held.push(ask);
        } else {
            self.obey(ask);
        }
    }

    /// Whether it is known which conversations there are, and what they are called.
    fn knows_all(&self) -> bool {
        let is_unread = |summary: Summary| {
            summary.kind == ConversationKind::Unknown && summary.standing == Standing::Entering
        };
        self.engine.is_settled() && !self.engine.conversations().any(is_unread)
    }

    /// Whether an unknown conversation may be begun by talking there.
    fn may_begin(target: &Target) -> bool {
        match target {
            Target::Person(_) => true,
            Target::Group(name) => name.as_str() == EVERYBODYS,
            Target::Tagged { .. } => false,
        }
    }

    fn obey(&mut self, ask: Ask) {
        match ask {
            Ask::Open { order, target } => self.open_conversation(order, target),
            // Only who opens a group begins it.
            Ask::Send { target, id, .. } | Ask::Say { target, id, .. }
                if !Self::may_begin(&target) && !self.engine.knows_target(&target) =>
            {
                self.fail(None, Some(id), &target);
            }
            // What was said before goes before.
            Ask::Send { target, id, text } if !self.sayings.is_empty() => {
                self.note_repeat(&target, id);
                self.sayings.push((target, id, Say::Text(text)));
            }
            Ask::Send { target, id, text } => {
                self.note_repeat(&target, id);
                self.command(Command::Send { target, id, what: Body::Text(text) });
            }
            Ask::Say { target, id, what } => {
                self.note_repeat(&target, id);
                self.sayings.push((target, id, what));
            }
            Ask::Save { order, target, file, to } => {
                self.savings.push(Saving { order, target, file, to });
            }
            Ask::Do { order, what } => self.command(Command::Order { order, what }),
            Ask::Policy { order, target, join, invite } => {
                self.set_policy(order, target, join, invite);
            }
            Ask::Renew { order } => self.command(Command::Renew { order }),
            Ask::Trust { order, who, on } => self.command(Command::Trust { order, who, on }),
            Ask::Compare { order, who } => self.compare(order, &who),
            Ask::Describe { order, target } => match self.engine.conversation(&target) {
                Some(summary) => {
                    let called = summary.target.to_string();
                    self.tell(order, Report::Standing(summary));
                    self.reports.push(Report::Event(Event::Done { order, target: called }));
                }
                None => self.fail(Some(order), None, &target),
            },
            Ask::Follow { order, follow } => match &follow.target {
                Some(target) if !self.engine.knows_target(target) => {
                    self.fail(Some(order), None, target);
                }
                _ => self.listen(order, follow),
            },
            Ask::Shown { order, target, seq, listener } => {
                self.note_shown(order, &target, seq, listener);
            }
        }
    }

    /// What was said by another process, or to another session, may have been said before.
    fn note_repeat(&mut self, target: &Target, id: MessageId) {
        if self.guests.is_sender(&id) || self.resumed.contains(&id) {
            self.repeats.push((target.clone(), id));
        }
    }

    /// Tells whoever asked.
    pub(super) fn tell(&mut self, order: u64, report: Report) {
        if Guests::is_guest(order) {
            self.guests.tell_aside(order, report);
        } else {
            self.reports.push(report);
        }
    }

    fn unanswered(&mut self, order: u64) -> &mut Unanswered {
        if Guests::is_guest(order)
            && let Some(its) = self.guests.unanswered(order)
        {
            return its;
        }
        &mut self.unanswered
    }

    fn compare(&mut self, order: u64, who: &Name) {
        let target = Target::Person(who.clone()).to_string();
        let Some(contact) = self.engine.contact(who) else {
            let event = Event::Failed {
                order: Some(order),
                id: None,
                target: Some(target),
                code: "no-such-person",
                message: format!("this device has met nobody called {who}"),
                hint: format!("Write to them first: openchat join @{who}"),
            };
            return self.reports.push(Report::Event(event));
        };
        self.tell(order, Report::Contact(contact));
        self.reports.push(Report::Event(Event::Done { order, target }));
    }

    fn set_policy(
        &mut self,
        order: u64,
        target: Target,
        join: Option<Joining>,
        invite: Option<Inviting>,
    ) {
        let Some(before) = self.engine.conversation(&target).and_then(|found| found.rules) else {
            return self.fail(Some(order), None, &target);
        };
        let rules =
            Rules { join: join.unwrap_or(before.join), invite: invite.unwrap_or(before.invite) };
        self.command(Command::Order { order, what: Order::Rules { target, rules } });
    }

    fn open_conversation(&mut self, order: u64, target: Target) {
        if self
            .engine
            .conversation(&target)
            .is_some_and(|found| found.standing == Standing::Invited)
        {
            self.unanswered(order).opens(order);
            return self.command(Command::Order { order, what: Order::Accept { target } });
        }
        if Guests::is_guest(order) {
            let called = self.engine.conversation(&target).map(|found| found.target);
            self.guests.open(order, called.as_ref().unwrap_or(&target));
        } else {
            self.opening.push(target.clone());
        }
        self.command(Command::Open { target: target.clone() });
        let called = self.called(&target);
        if self.live.contains(&called) {
            self.tell_ready(order, &target);
            self.reports.push(Report::Event(Event::Done { order, target: called }));
        } else {
            self.unanswered(order).enters(order, called);
        }
    }

    /// Tells whoever asked who is in, if it was read to its end.
    pub(super) fn tell_ready(&mut self, order: u64, target: &Target) {
        if let Some(Summary { target, epoch, members, .. }) = self.engine.conversation(target) {
            let target = target.to_string();
            if self.live.contains(&target) {
                self.tell(order, Report::Event(Event::Ready { target, epoch, members }));
            }
        }
    }

    /// How news of it call the conversation.
    fn called(&self, target: &Target) -> String {
        self.engine
            .conversation(target)
            .map_or_else(|| target.to_string(), |summary| summary.target.to_string())
    }

    pub(super) fn fail(&mut self, order: Option<u64>, id: Option<MessageId>, target: &Target) {
        self.reports.push(Report::Event(Event::Failed {
            order,
            id,
            target: Some(target.to_string()),
            code: "no-such-conversation",
            message: format!("this device knows of no conversation {target}"),
            hint: format!("openchat group list; to join an open group: openchat join '{target}'"),
        }));
    }

    pub(super) fn command(&mut self, command: Command) {
        self.decide(Input::Command(command));
    }
}
