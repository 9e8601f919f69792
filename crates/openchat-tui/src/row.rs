//! What a conversation is made of, as people see it.

use openchat_client::{
    engine::{Delivery, MessageRef, Trust},
    wire::{Fingerprint, MessageId, Seq, UnixMillis},
};

/// A line of a conversation, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Somebody said something.
    Message(Message),
    /// Something happened.
    Notice(Notice),
}

impl Row {
    /// When it was.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        match self {
            Self::Message(message) => message.time,
            Self::Notice(notice) => notice.time,
        }
    }

    /// The message, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Notice(_) => None,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its author's name for it.
    pub id: MessageId,
    /// The key that signed it. Others choose their ids as they like, also one that is taken; so
    /// only both together name a message.
    pub author: Fingerprint,
    /// Its place in the log; none while it is queued.
    pub seq: Option<Seq>,
    /// Who wrote it.
    pub sender: String,
    /// Written on this device.
    pub own: bool,
    /// Whether the sender's name is to be believed.
    pub trust: Trust,
    /// The author's clock, as claimed.
    pub time: UnixMillis,
    /// What it says.
    pub body: Body,
    /// What it answers.
    pub reply: Option<Box<Quote>>,
    /// What others think of it.
    pub reactions: Vec<Reaction>,
    /// Its author has put another text in place of the first.
    pub edited: bool,
    /// Its author here has changed it, and the server is not known to have that.
    pub changing: bool,
    /// What became of it, where that is known; of own ones only.
    pub delivery: Option<Delivery>,
}

impl Message {
    /// What it says, in words.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.body {
            Body::Text(text) | Body::Action(text) => text,
            Body::Deleted => "(deleted)",
            Body::File { name, .. } => name,
            Body::Unknown(kind) => kind,
            Body::Changed(what) => what,
        }
    }

    /// Whether it says something by itself that can be answered.
    #[must_use]
    pub const fn is_said(&self) -> bool {
        !matches!(self.body, Body::Deleted | Body::Changed(_))
    }

    /// What names it, and no other one.
    #[must_use]
    pub const fn named(&self) -> MessageRef {
        MessageRef { author: self.author, id: self.id }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text.
    Text(String),
    /// The sender does something (`/me`).
    Action(String),
    /// Its author has taken it back.
    Deleted,
    /// A file.
    File {
        /// As the sender calls it; no path is made of it.
        name: String,
        /// In bytes.
        size: u64,
        /// How many of them are here.
        here: u64,
        /// What came is not what was announced, and is not kept.
        wrong: bool,
    },
    /// The sender has changed something about the conversation, in words: `sets the topic: x`.
    Changed(String),
    /// Of a kind that this program does not know: its name.
    Unknown(String),
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Which it is; none in an answer that is not in the log yet.
    pub to: Option<MessageRef>,
    /// Who wrote it.
    pub sender: String,
    /// What it says.
    pub text: String,
}

impl Quote {
    /// Of a message that is not here, or not any more.
    #[must_use]
    pub fn unknown(to: MessageRef) -> Self {
        let text = "a message that is not here".to_owned();
        Self { to: Some(to), sender: String::new(), text }
    }
}

/// A reaction, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// A word or an emoji.
    pub word: String,
    /// Who reacts so.
    pub by: Vec<String>,
    /// One's own is on its way, or being taken back.
    pub queued: bool,
}

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Good to know.
    News,
    /// To be read.
    Warning,
    /// Not to be overlooked.
    Alarm,
}

/// Something that happened in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When this device learned of it.
    pub time: UnixMillis,
    /// How loud.
    pub tone: Tone,
    /// What.
    pub text: String,
    /// What to do, if something can be done.
    pub hint: Option<String>,
}
