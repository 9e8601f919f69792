//! Alarms that go on: they are kept, so that somebody is told too who was not there when they were
//! raised, and forgotten when what they are about is well again.

use serde::{Deserialize, Serialize};

use crate::{
    conversation::Conversation,
    engine::Engine,
    event::AlarmCode,
    failure::about,
    membership::ANOTHER_COPY,
    record::Key,
    shared::{Now, Shared},
    target::Target,
};

/// How somebody comes out of a conversation that an alarm has stopped.
pub(crate) const WAY_OUT: &str = "When it is explained, end openchat and start it again: all of it is \
     looked at anew. If it is stopped again, go on in another one: openchat group new NAME";

/// What another copy of this device has done, wherever it did it.
pub(crate) const COPIED: &str =
    "somebody else has used your identity here; this device sends nothing";

/// The number of the record that is about the transparency log: no conversation has it.
const LOG: u64 = 0;

/// An alarm that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingAlarm {
    /// The conversation, if it is about one.
    pub target: Option<Target>,
    /// Nothing is read or sent there.
    pub halts: bool,
    /// As [`AlarmCode::as_str`] says it.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// An alarm as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    code: String,
    message: String,
    hint: String,
}

impl Kept {
    pub(crate) fn new(code: AlarmCode, message: &str, hint: &str) -> Self {
        let [code, message, hint] = [code.as_str(), message, hint].map(str::to_owned);
        Self { code, message, hint }
    }

    fn about(&self, target: Option<&Target>) -> StandingAlarm {
        let Self { code, message, hint } = self.clone();
        let hint = target.map_or_else(|| hint.clone(), |target| about(&hint, &target.to_string()));
        StandingAlarm { target: target.cloned(), halts: target.is_some(), code, message, hint }
    }
}

impl Engine {
    /// The alarms that go on: about the transparency log, then about conversations.
    pub fn alarms(&self) -> impl Iterator<Item = StandingAlarm> {
        let log = self.shared.doubt.as_ref().map(|kept| kept.about(None));
        log.into_iter().chain(self.conversations.values().filter_map(Conversation::standing_alarm))
    }

    pub(crate) fn load_alarm(&mut self, number: u64, kept: Kept) {
        if number == LOG {
            self.shared.doubt = Some(kept);
        } else if let Some(conversation) = self.conversations.get_mut(&number) {
            conversation.notes.halted = Some(kept);
        }
    }
}

impl Shared {
    /// The transparency log can't be believed, until it was read to its end and checks.
    pub(crate) fn doubt_log(&mut self, kept: Kept) {
        self.pen.put(Key::alarm(LOG), &kept);
        self.doubt = Some(kept);
    }

    pub(crate) fn believe_log(&mut self) {
        if self.doubt.take().is_some() {
            self.pen.delete(Key::alarm(LOG));
        }
    }
}

impl Conversation {
    /// It stops, until it is looked at anew.
    pub(crate) fn keep_alarm(&mut self, now: &mut Now<'_>, kept: Kept) {
        now.shared.pen.put(Key::alarm(self.local), &kept);
        now.shared.pen.must_last();
        self.notes.halted = Some(kept);
    }

    /// It goes on, or is over.
    pub(crate) fn forget_alarm(&mut self, now: &mut Now<'_>) {
        if self.notes.halted.take().is_some() {
            now.shared.pen.delete(Key::alarm(self.local));
        }
    }

    fn standing_alarm(&self) -> Option<StandingAlarm> {
        if let Some(kept) = &self.notes.halted {
            return Some(kept.about(Some(&self.label)));
        }
        let copied = || Kept::new(AlarmCode::Clone, COPIED, ANOTHER_COPY).about(Some(&self.label));
        self.progress.cloned.then(|| StandingAlarm { halts: false, ..copied() })
    }
}
