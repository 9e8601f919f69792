//! Why something can't be done, in words: what happened and what to do.

use openchat_wire::{MessageId, Name, relay::Quota};

use crate::{
    alarms::WAY_OUT,
    body::{Body, BodyError},
    event::Event,
    shared::deciding,
};

/// Codes of failures; stable, for scripts.
pub(crate) mod code {
    pub(crate) const ADMINS_ONLY: &str = "admins-only";
    pub(crate) const AMBIGUOUS: &str = "ambiguous";
    pub(crate) const CHANGED: &str = "changed";
    pub(crate) const CLOCK: &str = "clock";
    pub(crate) const DENIED: &str = "denied";
    pub(crate) const DIRECT: &str = "direct";
    pub(crate) const FORGED_PREKEY: &str = "forged-prekey";
    pub(crate) const GONE: &str = "gone";
    pub(crate) const HALTED: &str = "halted";
    pub(crate) const LAST_ADMIN: &str = "last-admin";
    pub(crate) const ALREADY_IN: &str = "already-in";
    pub(crate) const MYSELF: &str = "myself";
    pub(crate) const NAME_TAKEN: &str = "name-taken";
    pub(crate) const NO_ACCESS: &str = "no-access";
    pub(crate) const NO_ROOM: &str = "no-room";
    pub(crate) const NO_FILE: &str = "no-such-file";
    pub(crate) const NO_PREKEY: &str = "no-prekey";
    pub(crate) const NOBODY: &str = "no-such-person";
    pub(crate) const NOT_INVITED: &str = "not-invited";
    pub(crate) const NOT_MEMBER: &str = "not-a-member";
    pub(crate) const NOT_SAYABLE: &str = "not-sayable";
    pub(crate) const NOT_STORED: &str = "not-stored";
    pub(crate) const NOT_THE_SAME: &str = "not-the-same";
    pub(crate) const NOT_REPEATED: &str = "not-repeated";
    pub(crate) const REFUSED: &str = "refused";
    pub(crate) const TOO_LONG: &str = "too-long";
    pub(crate) const UNCERTIFIED: &str = "uncertified";
    pub(crate) const UNKNOWN: &str = "no-such-conversation";
}

/// What happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    message: String,
    hint: String,
}

/// A hint with the conversation in the place of `TARGET`: it is pasted as it is, and the shell takes
/// an unquoted `#` for a comment.
pub(crate) fn about(hint: &str, target: &str) -> String {
    hint.replace("TARGET", &format!("'{target}'"))
}

impl Failure {
    pub(crate) fn new(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn event(
        self,
        order: Option<u64>,
        id: Option<MessageId>,
        target: Option<String>,
    ) -> Event {
        let Self { code, message, hint } = self;
        let hint = target.as_deref().map_or_else(|| hint.clone(), |target| about(&hint, target));
        Event::Failed { order, id, target, code, message, hint }
    }

    pub(crate) fn direct() -> Self {
        let message = "a conversation of two people has no other members, admins or rules";
        Self::new(code::DIRECT, message, "Begin a group: 'openchat group new NAME'.")
    }

    pub(crate) fn admins_only() -> Self {
        let message = "only an admin of this group may do that";
        Self::new(
            code::ADMINS_ONLY,
            message,
            "Ask an admin; who is one: openchat group show TARGET",
        )
    }

    pub(crate) fn last_admin(who: &Name) -> Self {
        let message = format!("{who} is the only admin, and a group always has one");
        let hint = "Make somebody else an admin first: openchat group role TARGET NAME admin";
        Self::new(code::LAST_ADMIN, message, hint)
    }

    pub(crate) fn denied(who: &Name) -> Self {
        let message = format!("{who} was removed from this group by an admin");
        Self::new(code::DENIED, message, "Ask an admin, who may bring them back.")
    }

    pub(crate) fn denied_peer(who: &Name) -> Self {
        let message = format!("the key of {who} was revoked, so nothing is sealed for it");
        let hint = "Nothing was sent. Ask your operator in person what has become of it.";
        Self::new(code::DENIED, message, hint)
    }

    pub(crate) fn not_renewed() -> Self {
        let message = "the server's answer is no certificate of this device's name and key";
        Self::new(code::UNCERTIFIED, message, "The old one stays. Ask its operator in person.")
    }

    pub(crate) fn renewed_too_often() -> Self {
        let message = "the server renews a certificate a few times, then once a day";
        Self::new(code::REFUSED, message, "The one you have stays: openchat whoami")
    }

    pub(crate) fn not_there(who: &Name) -> Self {
        let message = format!("{who} is not a member of this group");
        Self::new(code::NOT_MEMBER, message, "Who is: openchat group show TARGET")
    }

    pub(crate) fn seated() -> Self {
        let message = "you are in it already, so there is no invitation to refuse";
        Self::new(code::ALREADY_IN, message, "To go: openchat group leave TARGET")
    }

    pub(crate) fn not_member() -> Self {
        let message = "this device is not a member of that group";
        Self::new(code::NOT_MEMBER, message, "'openchat group list' shows where you are a member.")
    }

    pub(crate) fn nobody(who: &Name) -> Self {
        let message = format!("nobody is called {who} at this server");
        Self::new(code::NOBODY, message, "Check the name, or have them enroll first.")
    }

    pub(crate) fn uncertified(who: &Name) -> Self {
        let message = format!("the server has shown no valid certificate of {who}");
        Self::new(code::UNCERTIFIED, message, "Nothing was sent. Ask its operator in person.")
    }

    pub(crate) fn not_the_same(who: &Name) -> Self {
        let message = format!("that is not the number that this device has for {who}");
        let hint = "Nothing was recorded. If both read it right, somebody stands between you: \
                    ask the operator in person.";
        Self::new(code::NOT_THE_SAME, message, hint)
    }

    pub(crate) fn never_met(who: &Name) -> Self {
        let message = format!("this device has met nobody called {who}");
        Self::new(code::NOBODY, message, format!("Write to them first: openchat join @{who}"))
    }

    pub(crate) fn changed(who: &Name) -> Self {
        let message = format!("{who} has another key than before");
        Self::new(code::CHANGED, message, format!("Nothing was sent. {}", deciding(who)))
    }

    pub(crate) fn forged_prekey(who: &Name) -> Self {
        let message = format!("the server has handed out a prekey that {who} has not signed");
        Self::new(code::FORGED_PREKEY, message, "Nothing was sent. Ask its operator in person.")
    }

    pub(crate) fn no_prekey(who: &Name) -> Self {
        let message = format!("{who} has not been online yet, so nothing can be sealed for them");
        Self::new(
            code::NO_PREKEY,
            message,
            "Invite them instead; they come in when they are online. If they have been, the server's \
             clock may be wrong: ask its operator.",
        )
    }

    pub(crate) fn clock(who: &Name) -> Self {
        let message = format!("the prekey of {who} is not valid at this device's time");
        Self::new(code::CLOCK, message, "Check the clock of this device; then try again.")
    }

    pub(crate) fn refused(why: &str) -> Self {
        let message = format!("the group does not take it: {why}");
        Self::new(
            code::REFUSED,
            message,
            "Nothing was changed. How it is: openchat group show TARGET",
        )
    }

    pub(crate) fn no_room(quota: Quota) -> Self {
        let setting = match quota {
            Quota::Log => "quota_log",
            Quota::Person => "quota_person",
        };
        let hint = format!(
            "Nothing was sent. Ask the operator to raise keep.{setting} or to set keep.retention; \
             then try again."
        );
        Self::new(code::NO_ROOM, quota.to_string(), hint)
    }

    /// What is to be said is none.
    pub(crate) fn no_body(cause: &BodyError) -> Self {
        let message = format!("this can't be sent: {cause}");
        match cause {
            BodyError::TooLong { .. } => {
                Self::new(code::TOO_LONG, message, "Nothing was sent. Send it in parts.")
            }
            BodyError::Size(_) => {
                Self::new(code::TOO_LONG, message, "Nothing was sent. Split it: split -b 60M FILE")
            }
            _ => Self::new(code::NOT_SAYABLE, message, "Nothing was sent."),
        }
    }

    /// The same, about something that was said and is taken out of the vault: its words are nowhere
    /// else, and whoever has typed them may have done so days ago.
    pub(crate) fn losing(self, said: Option<&Body>) -> Self {
        let Some(Body::Text(text) | Body::Action(text) | Body::Reply { text, .. }) = said else {
            return self;
        };
        Self { message: format!("{}; not sent: \"{text}\"", self.message), ..self }
    }

    /// The same, about a file of which some parts are in the log.
    pub(crate) fn stops(self, name: &str, done: u32, of: u32) -> Self {
        let message = format!("{} ({done} of {of} parts of '{name}' were sent)", self.message);
        let hint = format!(
            "{} Go on: /resume ID, or openchat file resume ID. Take it back: /delete ID.",
            self.hint.replace("Nothing was sent. ", "").replace("then send it again", "then go on")
        );
        Self { message, hint, ..self }
    }

    /// The parts of a file are not where they were put.
    pub(crate) fn file_lost(name: &str) -> Self {
        let message =
            format!("'{name}' can't be sent to its end: its parts are not there any more");
        Self::new(code::NO_FILE, message, "Send the file again.")
    }

    pub(crate) fn no_file() -> Self {
        let message = "no file of this device under that id is on its way";
        Self::new(code::NO_FILE, message, "What there is: openchat file list TARGET")
    }

    pub(crate) fn not_repeated(texts: usize) -> Self {
        let message = format!(
            "somebody could not open messages of yours ({texts}), and they were not sent again"
        );
        let hint = "Somebody new has come since and would read them. Send them again if all may.";
        Self::new(code::NOT_REPEATED, message, hint)
    }

    pub(crate) fn not_repeated_as_changed() -> Self {
        let message = "somebody could not open a message of yours that you have changed since, and it \
                       was not sent again";
        let hint = "What it said first is not kept. Send what it says now as a new message.";
        Self::new(code::NOT_REPEATED, message, hint)
    }

    pub(crate) fn myself() -> Self {
        let message = "nobody does that to themselves";
        Self::new(code::MYSELF, message, "To go: openchat group leave TARGET")
    }

    pub(crate) fn name_taken() -> Self {
        let message = "there is a group of that name already";
        Self::new(code::NAME_TAKEN, message, "Take another name, or join it: openchat join TARGET")
    }

    pub(crate) fn not_invited() -> Self {
        let message = "nobody has invited this device to that group, or no longer";
        Self::new(code::NOT_INVITED, message, "Ask a member for an invitation.")
    }

    pub(crate) fn no_access() -> Self {
        let message = "the server says that there is no such group, or that you are not in it";
        Self::new(code::NO_ACCESS, message, "Ask one of its members to invite you.")
    }

    pub(crate) fn gone() -> Self {
        let message = "this device is no longer a member, so the text was not sent";
        Self::new(code::GONE, message, "Ask to be invited, then send it again.")
    }

    pub(crate) fn halted() -> Self {
        let message = "an alarm has stopped this conversation";
        let hint = format!("Why: 'openchat status'. Ask your operator in person. {WAY_OUT}");
        Self::new(code::HALTED, message, hint)
    }

    pub(crate) fn unknown() -> Self {
        let message = "there is no such conversation on this device";
        let hint = "openchat group list shows those there are; to join an open group, or begin \
            one: openchat join TARGET";
        Self::new(code::UNKNOWN, message, hint)
    }

    pub(crate) fn ambiguous() -> Self {
        let message = "more than one conversation is written like that";
        Self::new(
            code::AMBIGUOUS,
            message,
            "Write more digits after '~'; 'openchat group list' shows them.",
        )
    }
}
