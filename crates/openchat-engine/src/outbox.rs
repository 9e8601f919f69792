//! Messages on their way: kept from the moment they are typed until they are seen in the log.

use std::collections::VecDeque;

use openchat_group::Content;
use openchat_wire::{Blob, GroupName, MessageId};
use serde::{Deserialize, Serialize};

use crate::{output::Pen, record::Key};

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) id: MessageId,
    pub(crate) content: Content,
    /// The sealed entry. Sent again as these bytes until the log has it or the relay calls it
    /// stale; sealed anew only then.
    pub(crate) sealed: Option<Blob>,
}

#[derive(Debug)]
struct Item {
    order: u64,
    outgoing: Outgoing,
    /// Asked of the relay on this connection.
    in_flight: bool,
    acked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: VecDeque<Item>,
}

impl Outbox {
    pub(crate) fn load(&mut self, order: u64, outgoing: Outgoing) {
        self.items.push_back(Item { order, outgoing, in_flight: false, acked: false });
        self.items.make_contiguous().sort_by_key(|item| item.order);
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.items.iter().any(|item| item.outgoing.id == id)
    }

    pub(crate) fn push(&mut self, pen: &mut Pen, name: &GroupName, outgoing: Outgoing) {
        let order = self.items.back().map_or(0, |item| item.order.saturating_add(1));
        pen.put(Key::outgoing(name, order), &outgoing);
        self.items.push_back(Item { order, outgoing, in_flight: false, acked: false });
    }

    /// A new connection knows of nothing that was asked on the old one.
    pub(crate) fn disconnected(&mut self) {
        self.items.iter_mut().for_each(|item| item.in_flight = false);
    }

    /// The next message to send, if fewer than `limit` are in flight. It is in flight from here.
    pub(crate) fn next(&mut self, limit: usize) -> Option<&mut Outgoing> {
        if self.items.iter().filter(|item| item.in_flight).count() >= limit {
            return None;
        }
        let item = self.items.iter_mut().find(|item| !item.in_flight)?;
        item.in_flight = true;
        Some(&mut item.outgoing)
    }

    /// Stores what became of a message by sealing.
    pub(crate) fn save(&self, pen: &mut Pen, name: &GroupName, id: MessageId) {
        if let Some(item) = self.items.iter().find(|item| item.outgoing.id == id) {
            pen.put(Key::outgoing(name, item.order), &item.outgoing);
        }
    }

    /// The message is in the log. True the first time that this is known.
    pub(crate) fn ack(&mut self, id: MessageId) -> bool {
        match self.items.iter_mut().find(|item| item.outgoing.id == id) {
            Some(item) => !core::mem::replace(&mut item.acked, true),
            None => false,
        }
    }

    /// To be sent again, sealed anew if `reseal`.
    pub(crate) fn again(&mut self, pen: &mut Pen, name: &GroupName, id: MessageId, reseal: bool) {
        let Some(item) = self.items.iter_mut().find(|item| item.outgoing.id == id) else { return };
        item.in_flight = false;
        if reseal {
            item.outgoing.sealed = None;
            pen.put(Key::outgoing(name, item.order), &item.outgoing);
        }
    }

    /// The message whose sealed entry this is.
    pub(crate) fn sealed_id(&self, entry: &[u8]) -> Option<MessageId> {
        let is_it = |item: &&Item| item.outgoing.sealed.as_ref().is_some_and(|it| it.0 == entry);
        self.items.iter().find(is_it).map(|item| item.outgoing.id)
    }

    /// The message is in the log: takes it out.
    /// So too if the relay will never take it.
    pub(crate) fn take(
        &mut self,
        pen: &mut Pen,
        name: &GroupName,
        id: MessageId,
    ) -> Option<Outgoing> {
        let at = self.items.iter().position(|item| item.outgoing.id == id)?;
        let item = self.items.remove(at)?;
        pen.delete(Key::outgoing(name, item.order));
        Some(item.outgoing)
    }
}
