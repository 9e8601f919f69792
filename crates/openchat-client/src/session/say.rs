//! From what a person says to what a message says: which message is meant is looked up in the vault.

use super::{Report, Session, SessionError};
use openchat_engine::{Body, Command, Event, MessageRef, StoredMessage, Target};
use openchat_wire::{GroupId, MessageId};
use std::{path::PathBuf, time::Duration};

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// A text.
    Text(String),
    /// What one does, without oneself: `waves`.
    Action(String),
    /// A text that answers a message.
    Reply {
        /// Which.
        to: Pick,
        /// The answer.
        text: String,
    },
    /// A sign on a message.
    React {
        /// Which.
        to: Pick,
        /// One character, as people see it.
        emoji: String,
        /// Put there, or taken away.
        on: bool,
    },
    /// Another text for a message of one's own.
    Edit {
        /// Which.
        of: Pick,
        /// The new text.
        text: String,
    },
    /// A message of one's own is to go.
    Delete {
        /// Which.
        of: Pick,
    },
    /// What the conversation is about; nothing if empty.
    Topic(String),
    /// For how long everybody is asked to keep what is said from now on.
    Timer(Option<Duration>),
    /// A file, by its path. It is read at once, and not needed any more then.
    File(PathBuf),
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This one.
    Of(MessageRef),
    /// The one with this id: of one's own where only that can be meant, else the first one. Authors
    /// choose their ids as they like, so somebody else's may have the same.
    Id(MessageId),
    /// The last one: of somebody else to answer it, of one's own to change it.
    Last,
}

/// Why nothing can be said: code, message, hint.
pub(super) type Why = (&'static str, String, String);

impl Session {
    /// Says it, or says why not.
    pub(super) fn say(
        &mut self,
        target: Target,
        id: MessageId,
        say: Say,
    ) -> Result<(), SessionError> {
        let say = match say {
            Say::File(path) => {
                if !self.was_read(&target, id)? {
                    self.stage(target, id, &path);
                }
                return Ok(());
            }
            say => say,
        };
        match self.body(&target, say)? {
            Ok(what) => self.command(Command::Send { target, id, what }),
            Err(why) => self.fail_saying(&target, id, why),
        }
        Ok(())
    }

    fn body(&self, target: &Target, say: Say) -> Result<Result<Body, Why>, SessionError> {
        Ok(match say {
            Say::Text(text) => Ok(Body::Text(text)),
            Say::Action(text) => Ok(Body::Action(text)),
            Say::Topic(topic) => Ok(Body::Topic(topic)),
            Say::Timer(time) => Ok(Body::Timer(time)),
            Say::Reply { to, text } => self.others(target, to)?.map(|to| Body::Reply { to, text }),
            Say::React { to, emoji, on } => {
                self.others(target, to)?.map(|to| Body::Reaction { to, emoji, on })
            }
            Say::Edit { of, text } => self.own(target, of)?.map(|of| Body::Edit { of, text }),
            Say::Delete { of } => self.own(target, of)?.map(|of| Body::Delete { of }),
            // Its way is another one.
            Say::File(_) => Err(no_message(target)),
        })
    }

    /// A message to say something about, whoever wrote it.
    fn others(&self, target: &Target, pick: Pick) -> Result<Result<MessageRef, Why>, SessionError> {
        Ok(match (self.picked(target, pick, false)?, pick) {
            (Some(message), _) => Ok(message.named()),
            (None, pick) => match self.on_its_way(target, pick) {
                Some(id) => Ok(self.my(id)),
                None => Err(no_message(target)),
            },
        })
    }

    /// A message of this device's own, also one that is on its way.
    fn own(&self, target: &Target, pick: Pick) -> Result<Result<MessageId, Why>, SessionError> {
        let mine = match pick {
            // Another one's message with this id is not meant, whichever came first.
            Pick::Id(id) => self.picked(target, Pick::Of(self.my(id)), true)?,
            Pick::Of(_) | Pick::Last => None,
        };
        let picked = match mine {
            Some(mine) => Some(mine),
            None => self.picked(target, pick, true)?,
        };
        Ok(match (picked, self.on_its_way(target, pick)) {
            (Some(message), _) if message.own => Ok(message.id),
            (_, Some(id)) => Ok(id),
            (Some(message), None) => Err(not_yours(&message)),
            (None, None) => Err(no_message(target)),
        })
    }

    /// The id of a message of one's own that the log was not seen to have.
    fn on_its_way(&self, target: &Target, pick: Pick) -> Option<MessageId> {
        let id = match pick {
            Pick::Id(id) => id,
            Pick::Of(which) if which.author == self.fingerprint => which.id,
            Pick::Of(_) | Pick::Last => return None,
        };
        self.engine.delivery(target, id).map(|_| id)
    }

    const fn my(&self, id: MessageId) -> MessageRef {
        MessageRef { author: self.fingerprint, id }
    }

    fn picked(
        &self,
        target: &Target,
        pick: Pick,
        own: bool,
    ) -> Result<Option<StoredMessage>, SessionError> {
        let Some(group) = self.group_of(target) else { return Ok(None) };
        let found = match pick {
            Pick::Of(which) => self.vault.message(&group, &which)?,
            Pick::Id(id) => self.vault.message_called(&group, id)?,
            Pick::Last => self.vault.last_said(&group, own)?,
        };
        Ok(found.filter(|message| message.body.is_said()))
    }

    pub(super) fn group_of(&self, target: &Target) -> Option<GroupId> {
        self.engine.conversation(target)?.group
    }

    pub(super) fn fail_saying(&mut self, target: &Target, id: MessageId, why: Why) {
        let (code, message, hint) = why;
        self.reports.push(Report::Event(Event::Failed {
            order: None,
            id: Some(id),
            target: Some(target.to_string()),
            code,
            message,
            hint,
        }));
    }
}

fn no_message(target: &Target) -> Why {
    let message = format!("there is no such message in {target} on this device");
    ("no-such-message", message, format!("openchat history '{target}' --json shows what there is"))
}

fn not_yours(message: &StoredMessage) -> Why {
    let why = format!("that message is {}'s, and only its author changes it", message.sender);
    ("not-yours", why, "Answer it instead: /reply TEXT".to_owned())
}
