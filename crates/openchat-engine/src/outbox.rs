//! Messages on their way: kept from the moment they are typed until they are seen in the log.

use std::collections::{BTreeSet, VecDeque};

use openchat_group::{Content, ContentKind};
use openchat_wire::{Blob, Epoch, MessageId, Seq};
use serde::{Deserialize, Serialize};

use crate::{
    body::{Body, Offer},
    chunk::Chunk,
    content::{kind_of, unwrap},
    event::Unsent,
    output::Pen,
    record::{Key, Local},
};

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) id: MessageId,
    pub(crate) content: Content,
    /// The sealed entry. Sent again as these bytes until the log has it or it no longer counts;
    /// sealed anew only then.
    pub(crate) sealed: Option<Blob>,
    /// The relay will not have it, so it says. It is kept, and not sent, because it may have lied:
    /// should the log show it, it is said.
    pub(crate) refused: bool,
    /// It is said again, for those who were there in this epoch.
    pub(crate) repeats: Option<Epoch>,
}

impl Outgoing {
    pub(crate) fn new(id: MessageId, content: Content) -> Self {
        Self { id, content, sealed: None, refused: false, repeats: None }
    }

    pub(crate) fn again(id: MessageId, content: Content, epoch: Epoch) -> Self {
        Self { repeats: Some(epoch), ..Self::new(id, content) }
    }

    /// Something that the person said, rather than the device; of a file, the offer.
    pub(crate) fn is_text(&self) -> bool {
        let of_devices =
            [ContentKind::NAMING, ContentKind::MISSED, ContentKind::WITNESSED, ContentKind::CHUNK];
        !of_devices.contains(&kind_of(&self.content))
    }

    /// What the person said by it.
    pub(crate) fn said(&self) -> Option<Unsent> {
        let content = unwrap(&self.content).1;
        let body = Body::from_bytes(content.kind.0, &content.body.0).ok()?;
        Some(Unsent { id: self.id, time: content.time, body })
    }

    fn is_chunk(&self) -> bool {
        self.content.kind == ContentKind::CHUNK
    }

    /// The file that it offers, for the first time.
    pub(crate) fn offer(&self) -> Option<Offer> {
        let content = unwrap(&self.content).1;
        match Body::from_bytes(content.kind.0, &content.body.0) {
            Ok(Body::File(offer)) if self.repeats.is_none() => Some(offer),
            _ => None,
        }
    }

    /// The part of a file that it is.
    pub(crate) fn part(&self) -> Option<Chunk> {
        self.is_chunk().then(|| Chunk::read(&self.content.body).ok()).flatten()
    }
}

#[derive(Debug)]
struct Item {
    order: u64,
    outgoing: Outgoing,
    /// Asked of the relay on this connection.
    in_flight: bool,
    /// Where the relay says, on this connection, that it is.
    acked: Option<Seq>,
    /// The person was told that it is there.
    told: bool,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    local: Local,
    items: VecDeque<Item>,
    /// Where the relay says that messages are which it has not shown yet.
    unshown: BTreeSet<(Seq, MessageId)>,
    /// Nothing is sent until the relay has had time to recover.
    paused: bool,
    /// After a pause one message at a time is sent, until the relay takes one.
    probing: bool,
}

impl Outbox {
    pub(crate) const fn new(local: Local) -> Self {
        Self {
            local,
            items: VecDeque::new(),
            unshown: BTreeSet::new(),
            paused: false,
            probing: false,
        }
    }

    pub(crate) fn load(&mut self, order: u64, outgoing: Outgoing) {
        self.items.push_back(Item::new(order, outgoing));
        self.items.make_contiguous().sort_by_key(|item| item.order);
    }

    /// Texts that wait for the log.
    pub(crate) fn len(&self) -> usize {
        let waits = |item: &&Item| !item.outgoing.refused && item.outgoing.is_text();
        self.items.iter().filter(waits).count()
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.iter().all(|item| item.outgoing.refused)
    }

    /// Parts of files that the log is not known to have.
    pub(crate) fn chunks(&self) -> usize {
        let waits = |item: &&Item| !item.outgoing.refused && item.outgoing.is_chunk();
        self.items.iter().filter(waits).count()
    }

    /// Whether what is put in now goes out at once.
    pub(crate) fn is_free(&self) -> bool {
        let waits = |item: &Item| !item.in_flight && !item.outgoing.refused;
        !self.paused && !self.probing && !self.items.iter().any(waits)
    }

    /// What was refused may be tried again.
    pub(crate) fn allow(&mut self, pen: &mut Pen, which: impl Fn(&Outgoing) -> bool) {
        for item in self.items.iter_mut().filter(|item| item.outgoing.refused) {
            if which(&item.outgoing) {
                item.outgoing.refused = false;
                pen.put(Key::outgoing(self.local, item.order), &item.outgoing);
            }
        }
    }

    /// Everything that did not get away, in order: it will not any more.
    pub(crate) fn drain(&mut self, pen: &mut Pen) -> Vec<Outgoing> {
        let items = core::mem::take(&mut self.items);
        for item in &items {
            pen.delete(Key::outgoing(self.local, item.order));
        }
        self.unshown.clear();
        let waited = items.into_iter().filter(|item| !item.outgoing.refused);
        waited.map(|item| item.outgoing).collect()
    }

    /// What has not been refused, by id.
    pub(crate) fn waiting(&self) -> Vec<MessageId> {
        let waits = |item: &&Item| !item.outgoing.refused;
        self.items.iter().filter(waits).map(|item| item.outgoing.id).collect()
    }

    /// Whether something of it was in the log before.
    pub(crate) fn repeats(&self) -> bool {
        self.items.iter().any(|item| item.outgoing.repeats.is_some())
    }

    /// What the person said and the log is not known to have, in order.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = Unsent> {
        let is_said = |outgoing: &&Outgoing| {
            !outgoing.refused && outgoing.is_text() && outgoing.repeats.is_none()
        };
        self.items.iter().map(|item| &item.outgoing).filter(is_said).filter_map(Outgoing::said)
    }

    /// Whether the log may not have yet all that the person has said.
    pub(crate) fn has_news(&self) -> bool {
        let is_news = |it: &Outgoing| it.is_text() && it.repeats.is_none();
        self.items.iter().any(|item| is_news(&item.outgoing))
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.items.iter().any(|item| item.outgoing.id == id)
    }

    pub(crate) fn push(&mut self, pen: &mut Pen, outgoing: Outgoing) {
        let order = self.items.back().map_or(0, |item| item.order.saturating_add(1));
        pen.put(Key::outgoing(self.local, order), &outgoing);
        pen.must_last();
        self.items.push_back(Item::new(order, outgoing));
    }

    /// A new connection knows of nothing that was asked on the old one.
    pub(crate) fn disconnected(&mut self) {
        self.items.iter_mut().for_each(|item| {
            item.in_flight = false;
            item.acked = None;
        });
        self.unshown.clear();
        (self.paused, self.probing) = (false, false);
    }

    /// Sends nothing until [`resume`](Self::resume).
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Goes on, unless something is in flight: what was sent later must not arrive earlier, for
    /// its key would use up that of what was sent before. True if there is nothing to wait for.
    pub(crate) fn resume(&mut self) -> bool {
        let settled = !self.items.iter().any(|item| item.in_flight);
        self.probing |= self.paused;
        self.paused &= !settled;
        !self.paused
    }

    /// The next message to send, if fewer than `limit` are in flight.
    pub(crate) fn next(&mut self, limit: usize) -> Option<&mut Outgoing> {
        let limit = if self.probing { 1 } else { limit };
        if self.paused || self.items.iter().filter(|item| item.in_flight).count() >= limit {
            return None;
        }
        let waits = |item: &&mut Item| !item.in_flight && !item.outgoing.refused;
        self.items.iter_mut().find(waits).map(|item| &mut item.outgoing)
    }

    /// Whether the relay has not answered yet what was sent before.
    pub(crate) fn is_waiting(&self) -> bool {
        self.items.iter().any(|item| item.in_flight && item.acked.is_none())
    }

    /// The message is on its way.
    pub(crate) fn sent(&mut self, id: MessageId) {
        if let Some(item) = self.item(id) {
            item.in_flight = true;
        }
    }

    /// Stores what became of a message by sealing.
    pub(crate) fn save(&self, pen: &mut Pen, id: MessageId) {
        if let Some(item) = self.items.iter().find(|item| item.outgoing.id == id) {
            pen.put(Key::outgoing(self.local, item.order), &item.outgoing);
        }
    }

    /// The relay says where the message is. True the first time that it does, on any connection.
    pub(crate) fn ack(&mut self, id: MessageId, seq: Seq) -> bool {
        let Some(item) = self.item(id) else { return false };
        item.acked = Some(seq);
        let first = !core::mem::replace(&mut item.told, true);
        self.unshown.insert((seq, id));
        self.probing = false;
        first
    }

    /// A message that should have been shown by now, the log being read up to `seq`. It stays in
    /// flight, so the next connection sends it again.
    pub(crate) fn take_unshown(&mut self, seq: Seq) -> Option<MessageId> {
        let (at, id) = self.unshown.pop_first()?;
        if at <= seq {
            return Some(id);
        }
        self.unshown.insert((at, id));
        None
    }

    /// To be sent again.
    pub(crate) fn again(&mut self, id: MessageId) {
        if let Some(item) = self.item(id) {
            item.in_flight = false;
        }
    }

    /// The relay will not have the message. True the first time that it says so.
    pub(crate) fn refuse(&mut self, pen: &mut Pen, id: MessageId) -> bool {
        let Some(item) = self.item(id) else { return false };
        item.in_flight = false;
        let first = !core::mem::replace(&mut item.outgoing.refused, true);
        self.save(pen, id);
        first
    }

    /// Forgets refused messages that the log can't have any more.
    pub(crate) fn forget_refused(&mut self, pen: &mut Pen, is_over: impl Fn(&Outgoing) -> bool) {
        let local = self.local;
        self.items.retain(|item| {
            let over = item.outgoing.refused && is_over(&item.outgoing);
            if over {
                pen.delete(Key::outgoing(local, item.order));
            }
            !over
        });
    }

    /// What is on its way under an id.
    pub(crate) fn sealed(&self, id: MessageId) -> Option<&Blob> {
        let item = self.items.iter().find(|item| item.outgoing.id == id)?;
        item.outgoing.sealed.as_ref()
    }

    /// The sealed entries of what goes before this message.
    pub(crate) fn sealed_before(&self, id: MessageId) -> impl Iterator<Item = &Blob> {
        let before = self.items.iter().take_while(move |item| item.outgoing.id != id);
        before.filter_map(|item| item.outgoing.sealed.as_ref())
    }

    /// The entries that were sealed, of refused messages too.
    pub(crate) fn all_sealed(&self) -> impl Iterator<Item = &Blob> {
        self.items.iter().filter_map(|item| item.outgoing.sealed.as_ref())
    }

    /// The message whose sealed entry this is.
    pub(crate) fn sealed_id(&self, entry: &[u8]) -> Option<MessageId> {
        let is_it = |item: &&Item| item.outgoing.sealed.as_ref().is_some_and(|it| it.0 == entry);
        self.items.iter().find(is_it).map(|item| item.outgoing.id)
    }

    /// The message is in the log: takes it out. Tells whether the person was told before.
    pub(crate) fn take(&mut self, pen: &mut Pen, id: MessageId) -> Option<(Outgoing, bool)> {
        let at = self.items.iter().position(|item| item.outgoing.id == id)?;
        let item = self.items.remove(at)?;
        if let Some(seq) = item.acked {
            self.unshown.remove(&(seq, id));
        }
        pen.delete(Key::outgoing(self.local, item.order));
        Some((item.outgoing, item.told))
    }

    pub(crate) fn find(&self, id: MessageId) -> Option<&Outgoing> {
        self.items.iter().find(|item| item.outgoing.id == id).map(|item| &item.outgoing)
    }

    /// Whether the relay says that it is in the log.
    pub(crate) fn is_acked(&self, id: MessageId) -> bool {
        self.items.iter().any(|item| item.outgoing.id == id && item.acked.is_some())
    }

    fn item(&mut self, id: MessageId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.outgoing.id == id)
    }
}

impl Item {
    const fn new(order: u64, outgoing: Outgoing) -> Self {
        Self { order, outgoing, in_flight: false, acked: None, told: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::UnixMillis;

    #[test]
    fn what_was_told_on_one_connection_is_not_told_again_on_the_next() {
        let (mut pen, id) = (Pen::default(), MessageId([1; 16]));
        let mut outbox = Outbox::new(1);
        let (time, kind) = (UnixMillis(1), ContentKind::TEXT);
        let content = Content { time, kind, body: Blob::default() };
        outbox.push(&mut pen, Outgoing::new(id, content));
        assert!(outbox.ack(id, Seq(7)));
        // It ends before the log has shown the message.
        outbox.disconnected();
        assert!(!outbox.ack(id, Seq(7)));
        outbox.disconnected();
        let (_, was_told) = outbox.take(&mut pen, id).unwrap();
        assert!(was_told);
    }
}
