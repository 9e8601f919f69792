//! One conversation as the screen holds it: any number of rows, of which only those in view are
//! ever laid out.

use crate::{
    draft::Draft,
    row::{Body, Message, Notice, Row},
    waiting::Waiting,
};
use openchat_client::{
    engine::{
        ConversationKind, Delivery, MemberView, MessageRef, Standing, Summary, Target, Trust,
    },
    wire::{GroupId, MessageId, Name, Seq},
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// What is known of the time before the first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Nothing was asked for yet.
    Unasked,
    /// It was asked for.
    Loading,
    /// There may be more.
    More,
    /// The first row is the first one that this device has.
    Complete,
}

/// Which part is in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The end: what comes is seen.
    Live,
    /// The lowest line in view. What comes does not move it.
    At {
        /// The row's number; rows keep theirs when older ones are put before them.
        row: i64,
        /// The line within the row.
        line: usize,
    },
}

/// A conversation.
#[derive(Debug)]
pub struct Conversation {
    /// As people write it.
    pub target: Target,
    /// The log, once it is known.
    pub group: Option<GroupId>,
    /// What it is.
    pub kind: ConversationKind,
    /// Where this device stands.
    pub standing: Standing,
    /// With whom it was, if it is with a key that they have no more.
    pub former: Option<Name>,
    /// Who has invited this person.
    pub inviter: Option<Name>,
    /// Who is in.
    pub members: Vec<MemberView>,
    /// Who was invited and has not come.
    pub invited: Vec<Name>,
    /// What it is about.
    pub topic: Option<String>,
    /// For how long members are asked to keep what is said.
    pub timer: Option<Duration>,
    /// Nothing of it is counted or rung.
    pub muted: bool,
    /// Messages of others since it was last in view.
    pub unread: u64,
    /// Those among them that name this person.
    pub mentions: u64,
    /// It was read to its end on this connection.
    pub ready: bool,
    /// What is known of the time before the first row.
    pub past: Past,
    /// Which part is in view.
    pub anchor: Anchor,
    /// Messages that came below the view.
    pub below: u64,
    /// The first row that was not seen when the conversation was opened, and how many there were.
    pub fresh: Option<(i64, u64)>,
    /// The message that commands are about.
    pub chosen: Option<i64>,
    /// What is being written here.
    pub draft: Draft,
    rows: VecDeque<Row>,
    /// The number of the first row.
    base: i64,
    places: HashMap<MessageRef, i64>,
    /// The answers to each message, whether that is here or not.
    answers: HashMap<MessageRef, Vec<MessageRef>>,
    /// Messages of this device that are not in the log yet. They stand below all others.
    pub(crate) pending: Vec<Row>,
    /// What this device has said about messages and is not in the log yet.
    pub(crate) waiting: Vec<Waiting>,
    /// What became of own messages that were sent before the screen was opened.
    deliveries: HashMap<MessageId, Delivery>,
}

impl Conversation {
    /// One of which nothing is known but what it is called.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let kind = match target {
            Target::Person(_) => ConversationKind::Direct,
            Target::Group(_) | Target::Tagged { .. } => ConversationKind::Unknown,
        };
        Self {
            target,
            group: None,
            kind,
            standing: Standing::Entering,
            former: None,
            inviter: None,
            members: Vec::new(),
            invited: Vec::new(),
            topic: None,
            timer: None,
            muted: false,
            unread: 0,
            mentions: 0,
            ready: false,
            past: Past::Unasked,
            anchor: Anchor::Live,
            below: 0,
            fresh: None,
            chosen: None,
            draft: Draft::default(),
            rows: VecDeque::new(),
            base: 0,
            places: HashMap::new(),
            answers: HashMap::new(),
            pending: Vec::new(),
            waiting: Vec::new(),
            deliveries: HashMap::new(),
        }
    }

    /// Takes over how it stands.
    pub fn stands(&mut self, summary: Summary) {
        let Summary { target, kind, group, standing, inviter, members, invited, former, .. } =
            summary;
        self.target = target;
        self.group = group;
        if kind != ConversationKind::Unknown {
            self.kind = kind;
        }
        self.standing = standing;
        self.former = former;
        self.inviter = inviter;
        self.members = members;
        self.invited = invited;
    }

    /// Whether it stands under DIRECT.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self.target, Target::Person(_))
    }

    /// The other one of two.
    #[must_use]
    pub fn partner(&self) -> Option<&MemberView> {
        self.members.iter().find(|member| self.is_direct() && !member.me)
    }

    /// Whether somebody here has another key than before.
    #[must_use]
    pub fn has_changed_key(&self) -> bool {
        self.members.iter().any(|member| !member.me && member.trust == Trust::Changed)
    }

    /// The number of the first row.
    #[must_use]
    pub const fn first(&self) -> i64 {
        self.base
    }

    /// One more than the number of the last row.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.logged_end() + number(self.pending.len())
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.pending.is_empty()
    }

    /// The row with this number.
    #[must_use]
    pub fn row(&self, at: i64) -> Option<&Row> {
        let index = usize::try_from(at.checked_sub(self.base)?).ok()?;
        match index.checked_sub(self.rows.len()) {
            None => self.rows.get(index),
            Some(pending) => self.pending.get(pending),
        }
    }

    /// The message that this names, and its number.
    #[must_use]
    pub fn named(&self, which: &MessageRef) -> Option<(i64, &Message)> {
        let at = *self.places.get(which)?;
        Some((at, self.row(at)?.message()?))
    }

    /// The place of the first message that is here.
    #[must_use]
    pub fn first_seq(&self) -> Option<Seq> {
        self.rows.iter().find_map(Row::message).and_then(|message| message.seq)
    }

    /// The number of the newest message that fits, unless it is very far back.
    pub fn newest(&self, fits: impl Fn(&Message) -> bool) -> Option<i64> {
        /// A key press must not look through a whole history.
        const FAR: usize = 10_000;
        let fits = |at: &i64| self.seen(*at).is_some_and(|message| fits(&message));
        (self.base..self.end()).rev().take(FAR).find(fits)
    }

    /// The message with this number.
    #[must_use]
    pub fn message(&self, at: i64) -> Option<&Message> {
        self.row(at).and_then(Row::message)
    }

    /// Adds a message that is in the log. One that is here already is not added again; gives whether
    /// it was new.
    pub fn push(&mut self, mut message: Message) -> bool {
        let which = message.named();
        self.pending.retain(|row| row.message().is_none_or(|one| one.named() != which));
        if self.places.contains_key(&which) {
            return false;
        }
        self.quoted(&mut message);
        self.note_answer(&message);
        self.places.insert(which, self.logged_end());
        self.rows.push_back(Row::Message(message));
        true
    }

    /// Adds a message that is not in the log yet.
    pub fn push_pending(&mut self, mut message: Message) {
        self.quoted(&mut message);
        self.pending.push(Row::Message(message));
    }

    /// Takes a message back that was never sent.
    pub fn take_pending(&mut self, which: &MessageRef) -> Option<Message> {
        let is_it = |row: &Row| row.message().is_some_and(|message| message.named() == *which);
        let at = self.pending.iter().position(is_it)?;
        match self.pending.remove(at) {
            Row::Message(message) => Some(message),
            Row::Notice(_) => None,
        }
    }

    /// Adds a notice.
    pub fn tell(&mut self, notice: Notice) {
        self.rows.push_back(Row::Notice(notice));
    }

    /// What this hint advises was done, or can't be done any more: nobody is to follow it still.
    pub(crate) fn settle(&mut self, hint: &str) {
        for row in &mut self.rows {
            if let Row::Notice(notice) = row
                && notice.hint.as_deref() == Some(hint)
            {
                notice.hint = None;
            }
        }
    }

    /// Puts older messages, in order, before all rows.
    pub fn put_before(&mut self, messages: Vec<Message>) {
        let mut put = Vec::new();
        for mut message in messages.into_iter().rev() {
            // What was on its way when the screen was opened may be in the log by now.
            let which = message.named();
            self.pending.retain(|row| row.message().is_none_or(|one| one.named() != which));
            if self.places.contains_key(&which) {
                continue;
            }
            if message.own && message.delivery.is_none() {
                message.delivery = self.deliveries.get(&message.id).copied();
            }
            self.note_answer(&message);
            put.push(which);
            self.base -= 1;
            self.places.insert(which, self.base);
            self.rows.push_front(Row::Message(message));
        }
        for which in &put {
            self.requote(which);
        }
        self.quote_pending();
    }

    fn note_answer(&mut self, message: &Message) {
        if let Some(to) = message.reply.as_ref().and_then(|quote| quote.to) {
            self.answers.entry(to).or_default().push(message.named());
        }
    }

    pub(crate) fn answers_to(&self, which: &MessageRef) -> Vec<MessageRef> {
        self.answers.get(which).cloned().unwrap_or_default()
    }

    /// The messages of the log of which something is shown here: themselves, or in a quote.
    pub(crate) fn told(&self) -> Vec<MessageRef> {
        let rows = self.rows.iter().filter_map(Row::message);
        let whole = rows.filter(|message| message.body != Body::Deleted).map(Message::named);
        let quoted = self.answers.keys().filter(|which| !self.places.contains_key(*which));
        whole.chain(quoted.copied()).collect()
    }

    /// What is on its way may answer what has just been read, or went.
    pub(crate) fn quote_pending(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        for row in &mut pending {
            if let Row::Message(message) = row {
                self.quoted(message);
            }
        }
        self.pending = pending;
    }

    /// Takes over what became of messages that were sent before the screen was opened.
    pub fn was_delivered(&mut self, deliveries: Vec<(MessageId, Delivery)>) {
        self.deliveries.extend(deliveries);
    }

    /// Notes what became of an own message.
    pub fn deliver(&mut self, which: &MessageRef, delivery: Delivery) {
        if let Some(message) = self.named_mut(which) {
            message.delivery = Some(delivery);
            return;
        }
        self.acknowledge(which);
        // It may stand before what was read of the past.
        self.deliveries.entry(which.id).and_modify(|known| *known = delivery);
    }

    /// The message that this names, to be changed.
    pub(crate) fn named_mut(&mut self, which: &MessageRef) -> Option<&mut Message> {
        let at = self.places.get(which)?.checked_sub(self.base)?;
        match self.rows.get_mut(usize::try_from(at).ok()?)? {
            Row::Message(message) => Some(message),
            Row::Notice(_) => None,
        }
    }

    /// What was not seen begins at the `unread`th message of others from the end.
    pub fn mark_fresh(&mut self) {
        self.fresh = None;
        let mut left = self.unread;
        for at in (self.base..self.logged_end()).rev() {
            if left == 0 {
                break;
            }
            if self.message(at).is_some_and(|message| !message.own) {
                left -= 1;
                self.fresh = Some((at, self.unread));
            }
        }
    }

    /// The last message was not seen when it was said.
    pub fn catch_up(&mut self) {
        let (from, count) = self.fresh.unwrap_or((self.logged_end() - 1, 0));
        self.fresh = Some((from, count + 1));
    }

    fn logged_end(&self) -> i64 {
        self.base + number(self.rows.len())
    }
}

/// More rows than fit into an address space there are not.
fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
