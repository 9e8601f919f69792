//! What this device has said about messages and the log does not have yet: it is shown at once, and as
//! what waits.

use crate::{
    adapter,
    conversation::Conversation,
    input::Change,
    row::{Message, Reaction, Row},
};
use openchat_client::{
    engine::{Body, Delivery, MessageRef, Unsent},
    wire::Fingerprint,
};
use std::borrow::Cow;

/// A change that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What names the message that says so.
    pub said: MessageRef,
    /// The message that it is about.
    pub about: MessageRef,
    /// What is to become of it.
    pub change: Change,
    /// Whose it is: this person's.
    pub by: String,
    /// The server has it; the log is about to show it.
    pub acknowledged: bool,
}

impl Waiting {
    fn apply(&self, message: &mut Message) {
        let is_queued = !self.acknowledged;
        match &self.change {
            Change::Edit(text) => message.edit(text.clone()),
            Change::Delete => message.delete(),
            Change::React { word, on } => {
                message.react(word.clone(), &self.by, *on);
                if is_queued {
                    queue(message, word);
                }
                return;
            }
        }
        message.changing |= is_queued;
    }
}

/// This reaction waits. What is being taken back stays so long.
fn queue(message: &mut Message, word: &str) {
    let is_said = message.is_said();
    match message.reactions.iter_mut().find(|one| one.word == word) {
        Some(reaction) => reaction.queued = true,
        None if is_said => {
            let (word, by) = (word.to_owned(), Vec::new());
            message.reactions.push(Reaction { word, by, queued: true });
        }
        None => {}
    }
}

impl Conversation {
    /// Takes up what an earlier run has left: a message on its way, or something about one.
    pub(crate) fn take_up(&mut self, unsent: Unsent, me: &str, key: Fingerprint) {
        let own = |id| MessageRef { author: key, id };
        let (said, by) = (own(unsent.id), me.to_owned());
        let (about, change) = match unsent.body {
            Body::Edit { of, text } => (own(of), Change::Edit(text)),
            Body::Delete { of } => (own(of), Change::Delete),
            Body::Reaction { to, emoji, on } => (to, Change::React { word: emoji, on }),
            body => {
                let (shown, reply) = (adapter::body(&body, true), adapter::answered(&body));
                return self.push_pending(adapter::queued(said, me, unsent.time, shown, reply));
            }
        };
        self.wait(Waiting { said, about, change, by, acknowledged: false });
    }

    /// Something was said about a message and waits for the log.
    pub fn wait(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    /// What was said under this name is in the log, or never will be.
    pub fn take_waiting(&mut self, said: &MessageRef) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.said == *said)?;
        Some(self.waiting.remove(at))
    }

    /// The message with this number, with what is on its way to it.
    #[must_use]
    pub fn seen(&self, at: i64) -> Option<Cow<'_, Message>> {
        self.message(at).map(|message| self.changed(message))
    }

    pub(crate) fn changed<'a>(&self, message: &'a Message) -> Cow<'a, Message> {
        let mut changed = Cow::Borrowed(message);
        // Hardly ever there is one.
        for waiting in &self.waiting {
            if waiting.about == message.named() {
                waiting.apply(changed.to_mut());
            }
        }
        changed
    }

    /// Notes that the server has what waits here under this name.
    pub(crate) fn acknowledge(&mut self, which: &MessageRef) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.said == *which) {
            waiting.acknowledged = true;
        }
        for row in &mut self.pending {
            if let Row::Message(message) = row
                && message.named() == *which
            {
                message.delivery = Some(Delivery::Sent);
            }
        }
    }

    /// How many things that were said here the server is not known to have.
    #[must_use]
    pub fn queued(&self) -> usize {
        let is_queued =
            |row: &&Row| row.message().is_some_and(|one| one.delivery == Some(Delivery::Queued));
        let changes = self.waiting.iter().filter(|waiting| !waiting.acknowledged);
        self.pending.iter().filter(is_queued).count() + changes.count()
    }
}
