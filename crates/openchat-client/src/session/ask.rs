//! What a front end asks of the session, and what is not answered yet.

use super::Report;
use openchat_engine::{Event, Grounds, Inviting, Joining, Order, Target};
use openchat_wire::{MessageId, Name};
use std::collections::BTreeSet;

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
}

/// What was asked in this session and is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    orders: BTreeSet<u64>,
    messages: BTreeSet<MessageId>,
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
            Ask::Open { order, .. }
            | Ask::Do { order, .. }
            | Ask::Policy { order, .. }
            | Ask::Renew { order }
            | Ask::Trust { order, .. }
            | Ask::Compare { order, .. }
            | Ask::Describe { order, .. } => {
                self.orders.insert(*order);
            }
        }
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
    /// and gives the conversations to open now.
    pub(super) fn settle(&mut self, reports: &mut Vec<Report>) -> Vec<String> {
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
                    open.extend(self.opening.remove(order).then(|| target.clone()));
                }
                Report::Event(Event::Ack { id, .. }) => {
                    self.messages.remove(id);
                }
                Report::Event(Event::Failed { order, id, .. }) => {
                    order.map(|order| self.orders.remove(&order));
                    id.map(|id| self.messages.remove(&id));
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
        self.orders.is_empty() && self.messages.is_empty()
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
        assert_eq!(unanswered.settle(&mut vec![Report::Event(done)]), ["#ops~1a2b"]);
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
