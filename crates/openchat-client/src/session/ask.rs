//! What a front end asks of the session, and what is not answered yet.

use super::{Pick, Report, Say};
use openchat_engine::{Event, Grounds, Inviting, Joining, Order, Target};
use openchat_wire::{MessageId, Name, Seq, UnixMillis};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// What a front end asks of the session. `order` is chosen by the front end and returned in the one
/// [`Event::Done`] or [`Event::Failed`] that answers it.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Show a conversation, and take part in it: an invitation is accepted, an open group joined.
    Open {
        /// Names this.
        order: u64,
        /// Which.
        target: Target,
    },
    /// Say something; answered by [`Event::Ack`] or [`Event::Failed`].
    Send {
        /// Where.
        target: Target,
        /// Names the message; drawn by the front end, so that it knows its acknowledgement.
        id: MessageId,
        /// At most `MAX_TEXT` bytes.
        text: String,
    },
    /// Say anything; answered by [`Event::Ack`] or [`Event::Failed`], and a file also, behind its
    /// [`Event::Ack`], by the [`Event::Progress`] that has all of it.
    Say {
        /// Where.
        target: Target,
        /// Names the message; drawn by the front end.
        id: MessageId,
        /// What.
        what: Say,
    },
    /// Write a file that somebody has sent into a directory, or to a path.
    Save {
        /// Names this.
        order: u64,
        /// Where it was offered.
        target: Target,
        /// By which message; the last one that is here.
        file: Pick,
        /// Where to.
        to: PathBuf,
    },
    /// Do something with a group.
    Do {
        /// Names this.
        order: u64,
        /// What.
        what: Order,
    },
    /// Change who may join and invite; what is not named stays.
    Policy {
        /// Names this.
        order: u64,
        /// Where.
        target: Target,
        /// Who may take a seat by themselves.
        join: Option<Joining>,
        /// Who may invite and add.
        invite: Option<Inviting>,
    },
    /// Ask for a further certificate now.
    Renew {
        /// Names this.
        order: u64,
    },
    /// Trust somebody's key. It needs no connection.
    Trust {
        /// Names this.
        order: u64,
        /// Whose.
        who: Name,
        /// Why.
        on: Grounds,
    },
    /// Tell what can be compared with somebody: [`Report::Contact`] comes before the answer.
    Compare {
        /// Names this.
        order: u64,
        /// With whom.
        who: Name,
    },
    /// Tell how a conversation stands: [`Report::Standing`] comes before the answer.
    Describe {
        /// Names this.
        order: u64,
        /// Which.
        target: Target,
    },
    /// Be told of messages without taking part; for guests. [`Event::Done`] says that it begins.
    Follow {
        /// Names this.
        order: u64,
        /// Of which, and from where on.
        follow: Follow,
    },
    /// Remember that messages up to this place were shown elsewhere. With a number it is answered
    /// by [`Event::Done`] when that is stored.
    Shown {
        /// Names this.
        order: Option<u64>,
        /// Where.
        target: Target,
        /// The newest of them.
        seq: Seq,
        /// To which listener; if none is named, to the person.
        listener: Option<Name>,
    },
}

/// What a listener wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Of which conversation; of all, if none is named.
    pub target: Option<Target>,
    /// Under which name its place is kept.
    pub listener: Option<Name>,
    /// Where it begins, unless its name has a place.
    pub from: Start,
}

/// A place in conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// What comes from now on.
    Now,
    /// The first message that this device has.
    Beginning,
    /// After this place.
    After(Seq),
    /// After this message.
    AfterMessage(MessageId),
    /// After these places, by the names of the conversations; all others from their beginning.
    Places(BTreeMap<String, Seq>),
    /// With the first one that was written at this time or later.
    At(UnixMillis),
}

impl Ask {
    /// Its number, if it has one.
    #[must_use]
    pub const fn order(&self) -> Option<u64> {
        match self {
            Self::Send { .. } | Self::Say { .. } => None,
            Self::Shown { order, .. } => *order,
            Self::Open { order, .. }
            | Self::Save { order, .. }
            | Self::Do { order, .. }
            | Self::Policy { order, .. }
            | Self::Renew { order }
            | Self::Trust { order, .. }
            | Self::Compare { order, .. }
            | Self::Describe { order, .. }
            | Self::Follow { order, .. } => Some(*order),
        }
    }

    pub(super) const fn order_mut(&mut self) -> Option<&mut u64> {
        match self {
            Self::Send { .. } | Self::Say { .. } => None,
            Self::Shown { order, .. } => order.as_mut(),
            Self::Open { order, .. }
            | Self::Save { order, .. }
            | Self::Do { order, .. }
            | Self::Policy { order, .. }
            | Self::Renew { order }
            | Self::Trust { order, .. }
            | Self::Compare { order, .. }
            | Self::Describe { order, .. }
            | Self::Follow { order, .. } => Some(order),
        }
    }
}

/// What was asked in this session and is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    orders: BTreeSet<u64>,
    messages: BTreeSet<MessageId>,
    /// Files of which not all is in the log.
    files: BTreeSet<MessageId>,
    /// Orders that open a conversation when they are done.
    opening: BTreeSet<u64>,
    /// Orders that are done when this conversation is ready.
    entering: Vec<(u64, String)>,
}

impl Unanswered {
    pub(super) fn add(&mut self, ask: &Ask) {
        match ask {
            Ask::Send { id, .. } => {
                self.messages.insert(*id);
            }
            Ask::Say { id, what, .. } => {
                self.messages.insert(*id);
                if matches!(what, Say::File(_)) {
                    self.files.insert(*id);
                }
            }
            // It is answered when the file goes on, and done when all of it is there.
            Ask::Do { what: openchat_engine::Order::Resume { file, .. }, .. } => {
                self.files.insert(*file);
            }
            _ => {}
        }
        self.orders.extend(ask.order());
    }

    /// Orders without an answer.
    pub(super) fn orders(&self) -> impl Iterator<Item = u64> {
        self.orders.iter().copied()
    }

    /// Whether this message is acknowledged, or refused.
    pub(super) fn is_answered(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Send { id, .. } | Ask::Say { id, .. } => !self.waits_for(id),
            ask => ask.order().is_none_or(|order| !self.orders.contains(&order)),
        }
    }

    /// Whether this message is not acknowledged yet, or not all of its file is in the log.
    pub(super) fn waits_for(&self, id: &MessageId) -> bool {
        self.messages.contains(id) || self.files.contains(id)
    }

    /// Messages without an answer.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// This has failed, and is told of already.
    pub(super) fn give_up(&mut self, order: u64) {
        self.orders.remove(&order);
    }

    /// When this order is done, its conversation is opened.
    pub(super) fn opens(&mut self, order: u64) {
        self.opening.insert(order);
    }

    /// Whether any order opens a conversation when it is done.
    pub(super) fn opens_any(&self) -> bool {
        !self.opening.is_empty()
    }

    /// The order is done when this conversation is ready.
    pub(super) fn enters(&mut self, order: u64, target: String) {
        self.entering.push((order, target));
    }

    /// Adds what the engine's events answer without naming the order; takes off what is answered;
    /// and gives the conversations to open now, with the orders.
    pub(super) fn settle(&mut self, reports: &mut Vec<Report>) -> Vec<(u64, String)> {
        let mut answers = Vec::new();
        for report in reports.iter_mut() {
            if let Report::Event(event) = report {
                self.enter(event, &mut answers);
            }
        }
        reports.extend(answers.into_iter().map(Report::Event));
        let mut open = Vec::new();
        for report in reports.iter() {
            match report {
                Report::Event(Event::Done { order, target }) => {
                    self.orders.remove(order);
                    open.extend(self.opening.remove(order).then(|| (*order, target.clone())));
                }
                Report::Event(Event::Ack { id, .. }) => {
                    self.messages.remove(id);
                }
                Report::Event(Event::Progress(progress))
                    if progress.own && progress.done == progress.size =>
                {
                    self.files.remove(&progress.file.id);
                }
                Report::Event(Event::Failed { order, id, code, .. }) => {
                    // There is nothing to go on with.
                    if order.is_some() && *code == "no-such-file" {
                        self.files.clear();
                    }
                    order.map(|order| self.orders.remove(&order));
                    if let Some(id) = id {
                        self.messages.remove(id);
                        self.files.remove(id);
                    }
                }
                _ => {}
            }
        }
        open
    }

    fn enter(&mut self, event: &mut Event, answers: &mut Vec<Event>) {
        match event {
            Event::Ready { target, .. } => {
                let here = |(_, at): &mut (u64, String)| at == target;
                let orders = self.entering.extract_if(.., here).map(|(order, _)| order);
                answers.extend(orders.map(|order| Event::Done { order, target: target.clone() }));
            }
            Event::Failed { order: order @ None, id: None, target: Some(target), .. } => {
                let at = self.entering.iter().position(|(_, at)| at == target);
                *order = at.map(|at| self.entering.remove(at).0);
            }
            _ => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.messages.is_empty() && self.files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Epoch, Seq};

    fn ready(target: &str) -> Report {
        let target = target.to_owned();
        Report::Event(Event::Ready { target, epoch: Epoch(1), members: Vec::new() })
    }

    fn failed(target: &str) -> Report {
        Report::Event(Event::Failed {
            order: None,
            id: None,
            target: Some(target.to_owned()),
            code: "x",
            message: String::new(),
            hint: String::new(),
        })
    }

    fn open(order: u64, target: &str) -> Ask {
        Ask::Open { order, target: target.parse().unwrap() }
    }

    #[test]
    fn being_ready_answers_whoever_opened() {
        let mut unanswered = Unanswered::default();
        unanswered.add(&open(1, "#ops"));
        unanswered.enters(1, "#ops".to_owned());
        let mut reports = vec![ready("#general"), ready("#ops")];
        assert!(unanswered.settle(&mut reports).is_empty());
        let Some(Report::Event(Event::Done { order: 1, target })) = reports.get(2) else {
            panic!("{reports:?}")
        };
        assert_eq!(target, "#ops");
        assert!(unanswered.is_empty());
        let mut again = vec![ready("#ops")];
        unanswered.settle(&mut again);
        assert_eq!(again.len(), 1, "answered once");
    }

    #[test]
    fn what_can_not_be_opened_is_answered_by_the_failure() {
        let mut unanswered = Unanswered::default();
        unanswered.add(&open(1, "#ops"));
        unanswered.enters(1, "#ops".to_owned());
        let mut reports = vec![failed("#general"), failed("#ops")];
        unanswered.settle(&mut reports);
        let order = |report: &Report| match report {
            Report::Event(Event::Failed { order, .. }) => *order,
            _ => panic!("{report:?}"),
        };
        assert_eq!(reports.iter().map(order).collect::<Vec<_>>(), [None, Some(1)]);
        assert!(unanswered.is_empty());
    }

    #[test]
    fn a_done_order_opens_what_it_was_about() {
        let mut unanswered = Unanswered::default();
        let rejoin = Order::Rejoin { target: "#ops".parse().unwrap() };
        unanswered.add(&Ask::Do { order: 4, what: rejoin });
        unanswered.opens(4);
        let done = Event::Done { order: 4, target: "#ops~1a2b".to_owned() };
        let open = unanswered.settle(&mut vec![Report::Event(done)]);
        assert!(matches!(&open[..], [(_, target)] if target == "#ops~1a2b"), "{open:?}");
        assert!(unanswered.is_empty());
    }

    #[test]
    fn a_message_is_answered_by_its_ack() {
        let mut unanswered = Unanswered::default();
        let (id, text) = (MessageId([1; 16]), "x".to_owned());
        unanswered.add(&Ask::Send { target: "@bob".parse().unwrap(), id, text });
        unanswered
            .settle(&mut vec![Report::Event(Event::Ack { id: MessageId([2; 16]), seq: Seq(1) })]);
        assert!(!unanswered.is_empty());
        unanswered.settle(&mut vec![Report::Event(Event::Ack { id, seq: Seq(1) })]);
        assert!(unanswered.is_empty());
    }
}
