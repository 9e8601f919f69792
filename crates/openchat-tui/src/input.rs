//! What happens, and what is to be done about it.

use crate::{
    keys::Chord,
    note::Note,
    row::{Message, Notice, Quote},
    state::LogAlarm,
};
use openchat_client::{
    LogView,
    engine::{Delivery, MemberView, MessageRef, Summary, Target},
    wire::{GroupId, MessageId, Name, Seq, UnixMillis},
    wish::What,
};
use std::time::Duration;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key was pressed.
    Key(Chord),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Lines.
        height: u16,
    },
    /// The wheel was turned: lines, upwards if negative.
    Wheel(i32),
    /// The terminal says that it is looked at, or not any more.
    Focus(bool),
    /// The session has news.
    News(News),
    /// The message of an [`Effect::Send`] is on its way, under this name.
    Sending {
        /// As the effect calls it.
        ticket: u64,
        /// From here on.
        id: MessageId,
    },
    /// What an effect asked for can't be done.
    Refused {
        /// The message that it was about, if it was a [`Effect::Send`].
        ticket: Option<u64>,
        /// Why, and what to do.
        why: String,
    },
    /// Older messages, as [`Effect::Past`] asked.
    Past {
        /// Where.
        target: Target,
        /// In order.
        messages: Vec<Message>,
        /// There are none before these.
        complete: bool,
    },
    /// Which of the messages that [`Effect::Recall`] named are not kept any more.
    Gone {
        /// Where.
        target: Target,
        /// These.
        gone: Vec<MessageRef>,
    },
    /// What [`Effect::Search`] found, newest first.
    Found {
        /// For what.
        query: String,
        /// Where.
        hits: Vec<Hit>,
    },
}

/// The session's news, as the screen needs it.
#[derive(Debug, Clone)]
pub enum News {
    /// The server answers.
    Online,
    /// It can't be reached; it is tried again.
    Offline(String),
    /// How far the transparency log was checked, and whether it has something about this device that
    /// nobody asked for.
    Log(LogView),
    /// Something is wrong with it.
    LogAlarm(LogAlarm),
    /// How a conversation stands.
    Standing(Box<Summary>),
    /// A conversation was read to its end.
    Ready {
        /// Which.
        target: String,
        /// Who is in.
        members: Vec<MemberView>,
    },
    /// A message, in the order of the log.
    Message {
        /// Where.
        target: String,
        /// Which.
        message: Message,
    },
    /// Its author has put another text in place of a message's.
    Edited {
        /// Where.
        target: String,
        /// The message that says so.
        said: MessageRef,
        /// Which message.
        of: MessageRef,
        /// The place at which it was said; what is behind it, is not meant.
        seq: Seq,
        /// The new text.
        text: String,
    },
    /// Its author has taken a message back.
    Deleted {
        /// Where.
        target: String,
        /// The message that says so.
        said: MessageRef,
        /// Which message.
        of: MessageRef,
        /// The place at which it was said; what is behind it, is not meant.
        seq: Seq,
    },
    /// Messages are not kept any more, because their time was over.
    Forgotten {
        /// Where.
        target: String,
    },
    /// Somebody reacts to a message, or not any more.
    Reacted {
        /// Where.
        target: String,
        /// The message that says so.
        said: MessageRef,
        /// To which.
        to: MessageRef,
        /// A word or an emoji.
        word: String,
        /// Who.
        by: String,
        /// Put there, or taken away.
        on: bool,
    },
    /// What a conversation is about.
    Topic {
        /// Which.
        target: String,
        /// What; none: nothing in particular.
        topic: Option<String>,
    },
    /// For how long its members are asked to keep what is said in a conversation.
    Timer {
        /// Which.
        target: String,
        /// So long; none: nobody asks.
        timer: Option<Duration>,
    },
    /// How far a file has come.
    Progress {
        /// Where.
        target: String,
        /// The message that has offered it.
        file: MessageRef,
        /// Bytes of it that are here, or there.
        here: u64,
        /// It is not what was announced.
        wrong: bool,
    },
    /// What became of an own message.
    Delivery {
        /// Which.
        id: MessageId,
        /// What.
        state: Delivery,
    },
    /// Who has come and gone, as the server says.
    Presence {
        /// Where.
        target: String,
        /// Who came.
        online: Vec<Name>,
        /// Who went.
        offline: Vec<Name>,
    },
    /// Something about the members is different now.
    Changed {
        /// Where.
        target: String,
        /// In words, if it is worth a line.
        notice: Option<Notice>,
        /// It is also told where the person is.
        loud: bool,
    },
    /// This device's certificate is valid to then.
    Renewed(UnixMillis),
    /// Something to be told.
    Notice {
        /// Where; none: wherever the person is.
        target: Option<String>,
        /// In words.
        notice: Notice,
    },
    /// What was ordered is done.
    Done {
        /// Which order.
        order: u64,
        /// What it was about, as it is called from here on.
        target: String,
    },
    /// It can't be done.
    Failed {
        /// Which order.
        order: Option<u64>,
        /// Which message.
        id: Option<MessageId>,
        /// Where.
        target: Option<String>,
        /// In words.
        notice: Notice,
    },
}

/// A message that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands.
    pub target: Target,
    /// At which place.
    pub seq: Seq,
    /// Which message.
    pub message: MessageRef,
    /// When it was written.
    pub time: UnixMillis,
    /// By whom.
    pub sender: String,
    /// What it says.
    pub text: String,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This conversation is in view from now on: its messages count as seen.
    Look(Option<Target>),
    /// Read older messages: those before a place, or the newest; so many, or all from a place on.
    Past {
        /// Where.
        target: Target,
        /// Its log; without one nothing is stored of it.
        group: Option<GroupId>,
        /// Before this place.
        before: Option<Seq>,
        /// From this place on, if all of them are needed.
        from: Option<Seq>,
    },
    /// Look which of these messages are kept still.
    Recall {
        /// Where.
        target: Target,
        /// Its log.
        group: GroupId,
        /// These.
        messages: Vec<MessageRef>,
    },
    /// Take part in a conversation and read it.
    Open {
        /// Names the order.
        order: u64,
        /// Which.
        target: Target,
    },
    /// Tell how a conversation stands.
    Describe {
        /// Names the order.
        order: u64,
        /// Which.
        target: Target,
    },
    /// Do what a command asks for.
    Wish {
        /// Names the first of its orders.
        first: u64,
        /// Where.
        target: Target,
        /// What.
        what: What,
    },
    /// Say something.
    Send {
        /// Names it until it has an id.
        ticket: u64,
        /// Where.
        target: Target,
        /// What.
        content: Content,
    },
    /// Look for messages, in all conversations.
    Search(String),
    /// Put this on the clipboard.
    Copy(String),
    /// Ring.
    Bell,
    /// Keep whether a conversation is muted.
    Mute {
        /// Its log.
        group: GroupId,
        /// Whether it is.
        muted: bool,
    },
    /// Tell the desktop.
    Notify(Note),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Draw everything again.
    Redraw,
    /// End.
    Quit,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Text that answers a message.
    Reply {
        /// Which.
        to: MessageRef,
        /// As it is shown above the answer.
        quote: Quote,
        /// The answer.
        text: String,
    },
    /// That one does something.
    Action(String),
    /// Something about a message.
    About {
        /// Which.
        message: MessageRef,
        /// What is to become of it.
        change: Change,
    },
    /// What the conversation is about.
    Topic(String),
}

/// What is to become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another text, of an own one.
    Edit(String),
    /// An own one is taken back.
    Delete,
    /// A reaction.
    React {
        /// A word or an emoji.
        word: String,
        /// Put it there, or take it away.
        on: bool,
    },
}
