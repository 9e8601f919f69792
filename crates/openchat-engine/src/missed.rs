//! Messages that did not arrive everywhere: those of others that this device could not open, which
//! it asks for when it is back, and its own, which it can say again (`docs/protocol.md` §6.2).

use std::collections::{BTreeSet, VecDeque};

use openchat_group::Content;
use openchat_wire::{
    Blob, DecodeError, Epoch, Fingerprint, GroupId, MessageId, decode, encode, limits::MAX_TEXT,
};
use serde::{Deserialize, Serialize};

use crate::{
    output::Pen,
    record::{Key, Local},
};

/// Messages remembered as missed. Who was away from more has lost a conversation, not messages.
const MAX_MISSED: usize = 1_024;

/// Messages named in one request: 48 bytes each.
const MAX_NAMED: usize = 256;

/// Own messages that can be said again: those of some minutes of lively talk.
const MAX_SAID: usize = 256;

/// How often one message is said again: some may have lost it one after the other, but nobody makes
/// a device repeat itself for ever.
const MAX_AGAIN: u8 = 3;

/// Names a message.
pub(crate) type Named = (Fingerprint, MessageId);

#[derive(Debug, Default)]
pub(crate) struct Missed(BTreeSet<Named>);

impl Missed {
    pub(crate) fn load(&mut self, missed: Vec<Named>) {
        self.0.extend(missed);
    }

    /// A message could not be opened.
    pub(crate) fn note(&mut self, pen: &mut Pen, group: GroupId, message: Named) {
        if self.0.len() < MAX_MISSED && self.0.insert(message) {
            self.save(pen, group);
        }
    }

    /// A message has come.
    pub(crate) fn came(&mut self, pen: &mut Pen, group: GroupId, message: Named) {
        if self.0.remove(&message) {
            self.save(pen, group);
        }
    }

    /// Takes some out, to ask for them.
    pub(crate) fn take(&mut self, pen: &mut Pen, group: GroupId) -> Option<Blob> {
        let some: Vec<Named> = self.0.iter().take(MAX_NAMED).copied().collect();
        if some.is_empty() {
            return None;
        }
        for message in &some {
            self.0.remove(message);
        }
        self.save(pen, group);
        Some(Blob(encode(&some)))
    }

    fn save(&self, pen: &mut Pen, group: GroupId) {
        if self.0.is_empty() {
            pen.delete(Key::missed(group));
        } else {
            pen.put(Key::missed(group), &self.0.iter().copied().collect::<Vec<_>>());
        }
    }
}

/// What somebody asks for.
pub(crate) fn read_missed(body: &Blob) -> Result<Vec<Named>, DecodeError> {
    decode(&body.0, MAX_TEXT)
}

/// A text of this device's own that is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    id: MessageId,
    content: Content,
    /// The epoch whose members it was sealed for. Nobody who came later is to read it.
    epoch: Epoch,
    /// How often it was said again.
    again: u8,
    /// The person was told that it is not said again.
    told: bool,
}

/// What is to be done about a text that somebody has missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Say it again, for those of this epoch.
    Say(Content, Epoch),
    /// Somebody has come since: tell the person, for the first time.
    Late,
    /// Nothing.
    Nothing,
}

/// Who is in the group, as far as it decides whom a text may be said to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    /// When the one who asks was seated.
    pub(crate) asker: Epoch,
    /// When the last one of all was seated.
    pub(crate) newest: Epoch,
}

/// The newest of this device's own texts that are in the log.
#[derive(Debug)]
pub(crate) struct Said {
    local: Local,
    items: VecDeque<(u64, Own)>,
}

impl Said {
    pub(crate) const fn new(local: Local) -> Self {
        Self { local, items: VecDeque::new() }
    }

    pub(crate) fn load(&mut self, order: u64, own: Own) {
        self.items.push_back((order, own));
        self.items.make_contiguous().sort_by_key(|(order, _)| *order);
    }

    /// A text of this device is in the log, sealed in this epoch.
    pub(crate) fn push(&mut self, pen: &mut Pen, id: MessageId, content: Content, epoch: Epoch) {
        let order = self.items.back().map_or(0, |(order, _)| order.saturating_add(1));
        let own = Own { id, content, epoch, again: 0, told: false };
        pen.put(Key::said(self.local, order), &own);
        self.items.push_back((order, own));
        while self.items.len() > MAX_SAID {
            let Some((oldest, _)) = self.items.pop_front() else { return };
            pen.delete(Key::said(self.local, oldest));
        }
    }

    /// In which epoch a text was sealed.
    pub(crate) fn epoch(&self, id: MessageId) -> Option<Epoch> {
        self.items.iter().find(|(_, own)| own.id == id).map(|(_, own)| own.epoch)
    }

    /// What was said under an id, if everybody who would read it now could read it then. Who came
    /// later and asks all the same is not worth a word.
    pub(crate) fn again(&mut self, pen: &mut Pen, id: MessageId, audience: Audience) -> Again {
        let found = self.items.iter_mut().find(|(_, own)| own.id == id);
        let Some((order, own)) = found else { return Again::Nothing };
        let what = if own.again >= MAX_AGAIN || own.epoch < audience.asker {
            Again::Nothing
        } else if audience.newest <= own.epoch {
            own.again = own.again.saturating_add(1);
            Again::Say(own.content.clone(), own.epoch)
        } else if core::mem::replace(&mut own.told, true) {
            Again::Nothing
        } else {
            Again::Late
        };
        if what != Again::Nothing {
            pen.put(Key::said(self.local, *order), own);
        }
        what
    }
}

#[cfg(test)]
mod tests {
    use openchat_group::ContentKind;
    use openchat_wire::UnixMillis;

    use super::*;

    const GROUP: GroupId = GroupId([1; 32]);

    fn named(n: usize) -> Named {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        (Fingerprint([2; 32]), MessageId(id))
    }

    #[test]
    fn what_was_missed_is_asked_for_once_and_in_parts() {
        let (mut missed, mut pen) = (Missed::default(), Pen::default());
        for n in 0..MAX_MISSED + 10 {
            missed.note(&mut pen, GROUP, named(n));
        }
        missed.came(&mut pen, GROUP, named(0));
        let mut asked = Vec::new();
        while let Some(body) = missed.take(&mut pen, GROUP) {
            assert!(body.0.len() < MAX_TEXT);
            asked.extend(read_missed(&body).unwrap());
        }
        assert_eq!(asked, (1..MAX_MISSED).map(named).collect::<Vec<_>>());
    }

    #[test]
    fn the_newest_texts_can_be_said_again_a_few_times_also_after_a_restart() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        let content = Content { time: UnixMillis(1), kind: ContentKind::TEXT, body: Blob(vec![7]) };
        for n in 0..=MAX_SAID {
            said.push(&mut pen, named(n).1, content.clone(), Epoch(5));
        }
        let audience = Audience { asker: Epoch(2), newest: Epoch(5) };
        let mut again = |said: &mut Said, n| said.again(&mut pen, named(n).1, audience);
        assert_eq!(again(&mut said, 0), Again::Nothing);
        for _ in 0..MAX_AGAIN {
            assert_eq!(again(&mut said, 1), Again::Say(content.clone(), Epoch(5)));
            let mut restarted = Said::new(1);
            for (order, own) in &said.items {
                restarted.load(*order, decode(&encode(own), MAX_TEXT).unwrap());
            }
            said = restarted;
        }
        assert_eq!(again(&mut said, 1), Again::Nothing);
    }

    #[test]
    fn nothing_is_said_again_once_somebody_has_come_and_its_author_is_told_once() {
        let (mut said, mut pen) = (Said::new(1), Pen::default());
        let content = Content { time: UnixMillis(1), kind: ContentKind::TEXT, body: Blob(vec![7]) };
        said.push(&mut pen, named(0).1, content, Epoch(5));
        let mut again = |asker, newest| {
            let audience = Audience { asker: Epoch(asker), newest: Epoch(newest) };
            said.again(&mut pen, named(0).1, audience)
        };
        assert_eq!(again(6, 6), Again::Nothing, "the newcomer itself asks");
        assert_eq!(again(1, 6), Again::Late);
        assert_eq!(again(1, 6), Again::Nothing);
        assert!(matches!(again(1, 5), Again::Say(..)), "who had come has gone");
    }
}
