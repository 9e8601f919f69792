//! This device's own texts that are in the log, and how they are said again to who could not open them
//! (`docs/protocol.md` §6.2).
//!
//! What they say is not kept here: the vault is asked for it, and has it as it stands. So what was deleted,
//! changed or has expired there is gone, whoever asks.

use std::collections::VecDeque;

use openchat_group::{Content, ContentKind};
use openchat_wire::{Blob, Epoch, Fingerprint, MessageId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::{
    askers::Askers,
    body::Body,
    content::rewrap,
    conversation::Conversation,
    failure::Failure,
    missed::{Named, read_missed},
    outbox::Outgoing,
    output::{Pen, Recall},
    record::{Key, Local},
    shared::Now,
};

/// Own texts that can be said again: those of some minutes of lively talk.
const MAX_SAID: usize = 256;

/// How often one text is said again to one member: it may lose it more than once, but nobody makes a
/// device repeat itself for ever.
const MAX_AGAIN: u32 = 3;

/// A text of this device's own that is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    id: MessageId,
    /// The head of the transparency log that went with it.
    head: Option<Blob>,
    /// The epoch whose members it was sealed for. Nobody who came later is to read it.
    epoch: Epoch,
    askers: Askers,
    /// It is to be said again as soon as it can.
    is_wanted: bool,
    /// The person was told that it is not said again.
    told: bool,
}

/// Who is in the group, as far as it decides whom a text may be said to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    /// Who asks.
    pub(crate) asker: Fingerprint,
    /// When the one who asks was seated.
    pub(crate) since: Epoch,
    /// When the last one of all was seated.
    pub(crate) newest: Epoch,
}

/// What is to be done about a text that somebody has missed.
#[derive(Debug, PartialEq, Eq)]
enum Again {
    /// It is none that can be said again.
    Unknown,
    /// It is to be said.
    Wanted,
    /// Somebody has come since: tell the person, for the first time.
    Late,
    /// Nothing.
    Nothing,
}

/// The newest of this device's own texts that are in the log, in its order.
#[derive(Debug)]
pub(crate) struct Said {
    local: Local,
    items: VecDeque<(u64, Own)>,
    /// The vault was asked for these in this process.
    asked: Vec<MessageId>,
}

impl Said {
    pub(crate) const fn new(local: Local) -> Self {
        Self { local, items: VecDeque::new(), asked: Vec::new() }
    }

    pub(crate) fn load(&mut self, order: u64, own: Own) {
        self.items.push_back((order, own));
        self.items.make_contiguous().sort_by_key(|(order, _)| *order);
    }

    /// A text of this device is in the log, sealed in this epoch.
    pub(crate) fn push(&mut self, pen: &mut Pen, id: MessageId, head: Option<Blob>, epoch: Epoch) {
        let order = self.items.back().map_or(0, |(order, _)| order.saturating_add(1));
        let askers = Askers::default();
        let own = Own { id, head, epoch, askers, is_wanted: false, told: false };
        pen.put(Key::said(self.local, order), &own);
        self.items.push_back((order, own));
        while self.items.len() > MAX_SAID {
            let Some((oldest, _)) = self.items.pop_front() else { return };
            pen.delete(Key::said(self.local, oldest));
        }
    }

    /// In which epoch a text was sealed.
    pub(crate) fn epoch(&self, id: MessageId) -> Option<Epoch> {
        self.find(id).map(|own| own.epoch)
    }

    fn find(&self, id: MessageId) -> Option<&Own> {
        self.items.iter().map(|(_, own)| own).find(|own| own.id == id)
    }

    /// Somebody could not open a text. It is said again if everybody who would read it now could read
    /// it then. Who came later and asks all the same is not worth a word.
    fn ask(&mut self, pen: &mut Pen, id: MessageId, audience: Audience) -> Again {
        let Audience { asker, since, newest } = audience;
        let found = self.items.iter_mut().find(|(_, own)| own.id == id);
        let Some((order, own)) = found else { return Again::Unknown };
        let what = if own.epoch < since || own.is_wanted {
            Again::Nothing
        } else if newest > own.epoch {
            let was_told = core::mem::replace(&mut own.told, true);
            if was_told { Again::Nothing } else { Again::Late }
        } else if own.askers.grant(asker, MAX_AGAIN) {
            own.is_wanted = true;
            Again::Wanted
        } else {
            Again::Nothing
        };
        if what != Again::Nothing {
            pen.put(Key::said(self.local, *order), own);
        }
        what
    }

    /// The texts that the vault is to be asked for now, in the order in which they were said.
    fn take_wanted(&mut self) -> Vec<MessageId> {
        let wanted = self.items.iter().filter(|(_, own)| own.is_wanted).map(|(_, own)| own.id);
        let fresh: Vec<_> = wanted.filter(|id| !self.asked.contains(id)).collect();
        self.asked.extend(&fresh);
        fresh
    }

    /// The vault has answered. False if it was not asked.
    fn answered(&mut self, id: MessageId) -> bool {
        let at = self.asked.iter().position(|it| *it == id);
        at.map(|at| self.asked.swap_remove(at)).is_some()
    }

    /// It is said again now, or never.
    fn settled(&mut self, pen: &mut Pen, id: MessageId) -> Option<Own> {
        let (order, own) = self.items.iter_mut().find(|(_, own)| own.id == id)?;
        own.is_wanted = false;
        pen.put(Key::said(self.local, *order), own);
        Some(own.clone())
    }

    /// Whether the person hears for the first time that it is not said again.
    fn tell(&mut self, pen: &mut Pen, id: MessageId) -> bool {
        let Some((order, own)) = self.items.iter_mut().find(|(_, own)| own.id == id) else {
            return false;
        };
        let is_first = !core::mem::replace(&mut own.told, true);
        pen.put(Key::said(self.local, *order), own);
        is_first
    }
}

impl Conversation {
    /// Somebody could not open some messages: this device says its own again, under the same ids,
    /// if nobody has come since who was not to read them.
    pub(crate) fn say_again(&mut self, now: &mut Now<'_>, asker: Fingerprint, body: &Blob) {
        let Ok(missed) = read_missed(body) else { return };
        let me = now.shared.me;
        let Some(since) = self.seat(&asker).map(|seat| seat.seated) else { return };
        let Some(newest) = self.newest_seat() else { return };
        let audience = Audience { asker, since, newest };
        let (mut late, mut parts) = (0_usize, Vec::new());
        let is_own = |(author, id): &Named| {
            *author == me && self.history.said(me, *id).is_some() && !self.outbox.contains(*id)
        };
        let own: Vec<_> = missed.into_iter().filter(is_own).map(|(_, id)| id).collect();
        for id in own {
            match self.said.ask(&mut now.shared.pen, id, audience) {
                Again::Wanted | Again::Nothing => {}
                Again::Late => late = late.saturating_add(1),
                Again::Unknown => parts.push(id),
            }
        }
        let late = late.saturating_add(self.say_parts_again(now, &parts, audience));
        if late > 0 {
            self.report(now, None, Failure::not_repeated(late));
        }
        self.flush(now);
    }

    /// Asks the vault for what is to be said again. Only when the log has all that the person has said:
    /// then the vault shows all that takes something back, and what is said again goes before what is
    /// said next.
    pub(crate) fn recall(&mut self, now: &mut Now<'_>) {
        let Some(group) = self.id() else { return };
        if self.outbox.has_news() || !self.may_send(now) {
            return;
        }
        for id in self.said.take_wanted() {
            now.shared.pen.recall(Recall { conversation: self.local, group, id });
        }
    }

    /// The vault has a text as it stands now, or has it not any more.
    pub(crate) fn recalled(
        &mut self,
        now: &mut Now<'_>,
        id: MessageId,
        said: Option<(UnixMillis, Body)>,
    ) {
        if !self.said.answered(id) {
            return;
        }
        // Else it stays wanted, and the vault is asked again.
        if self.may_send(now) && !self.outbox.has_news() {
            self.repeat(now, id, said);
        }
        self.flush(now);
    }

    fn repeat(&mut self, now: &mut Now<'_>, id: MessageId, said: Option<(UnixMillis, Body)>) {
        let hash = self.history.said(now.shared.me, id);
        let Some(own) = self.said.settled(&mut now.shared.pen, id) else { return };
        let is_deleted = |body: &Body| matches!(body, Body::Delete { of } if *of == id);
        let Some((time, body)) = said.filter(|(_, body)| !is_deleted(body)) else { return };
        let (kind, bytes) = (ContentKind(body.kind()), Blob(body.to_bytes()));
        let content = rewrap(own.head, Content { time, kind, body: bytes });
        if hash == Some(content.hash()) {
            self.outbox.push(&mut now.shared.pen, Outgoing::again(id, content, own.epoch));
        } else if self.said.tell(&mut now.shared.pen, id) {
            self.report(now, None, Failure::not_repeated_as_changed());
        }
    }
}

#[cfg(test)]
mod tests {
    use openchat_wire::{decode, encode, limits::MAX_TEXT};

    use super::*;
    use crate::askers::MAX_ASKERS;

    fn id(n: usize) -> MessageId {
        MessageId(u128::try_from(n).unwrap().to_be_bytes())
    }

    const fn asks(asker: u8, since: u64, newest: u64) -> Audience {
        let asker = Fingerprint([asker; 32]);
        Audience { asker, since: Epoch(since), newest: Epoch(newest) }
    }

    fn restarted(said: &Said) -> Said {
        let mut restarted = Said::new(1);
        for (order, own) in &said.items {
            restarted.load(*order, decode(&encode(own), MAX_TEXT).unwrap());
        }
        restarted
    }

    #[test]
    fn the_newest_texts_can_be_said_again_a_few_times_also_after_a_restart() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        for n in 0..=MAX_SAID {
            said.push(&mut pen, id(n), None, Epoch(5));
        }
        let bob = asks(2, 2, 5);
        assert_eq!(said.ask(&mut pen, id(0), bob), Again::Unknown);
        for _ in 0..MAX_AGAIN {
            assert_eq!(said.ask(&mut pen, id(1), bob), Again::Wanted);
            assert_eq!(said.ask(&mut pen, id(1), bob), Again::Nothing, "once at a time");
            said = restarted(&said);
            assert_eq!(said.take_wanted(), [id(1)], "the next process goes on with it");
            assert_eq!(said.take_wanted(), []);
            assert!(said.answered(id(1)) && !said.answered(id(1)));
            said.settled(&mut pen, id(1));
        }
        assert_eq!(said.ask(&mut pen, id(1), bob), Again::Nothing);
    }

    #[test]
    fn m23_what_one_member_has_spent_another_still_has() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        said.push(&mut pen, id(0), None, Epoch(5));
        let most = u8::try_from(MAX_ASKERS).unwrap();
        for asker in 1..=most {
            for n in 0..=MAX_AGAIN {
                let expected = if n < MAX_AGAIN { Again::Wanted } else { Again::Nothing };
                assert_eq!(said.ask(&mut pen, id(0), asks(asker, 1, 5)), expected);
                said.settled(&mut pen, id(0));
            }
        }
        let one_more = said.ask(&mut pen, id(0), asks(most + 1, 1, 5));
        assert_eq!(one_more, Again::Nothing, "all together are bounded, too");
    }

    #[test]
    fn texts_are_recalled_in_the_order_in_which_they_were_said() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        for n in 0..4 {
            said.push(&mut pen, id(n), None, Epoch(5));
        }
        for n in [2, 0, 3] {
            said.ask(&mut pen, id(n), asks(2, 1, 5));
        }
        assert_eq!(said.take_wanted(), [0, 2, 3].map(id));
    }

    #[test]
    fn nothing_is_said_again_once_somebody_has_come_and_its_author_is_told_once() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        said.push(&mut pen, id(0), None, Epoch(5));
        let mut ask = |since, newest| said.ask(&mut pen, id(0), asks(2, since, newest));
        assert_eq!(ask(6, 6), Again::Nothing, "the newcomer itself asks");
        assert_eq!(ask(1, 6), Again::Late);
        assert_eq!(ask(1, 6), Again::Nothing);
        assert_eq!(ask(1, 5), Again::Wanted, "who had come has gone");
    }
}
