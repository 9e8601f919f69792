//! All that is on the screen, and what it was made of.

use crate::{
    clock::Clock,
    complete::Completing,
    config::Config,
    conversation::Conversation,
    draft::Draft,
    input::{Content, Hit},
    keys::Keys,
    note::Pace,
    row::{Notice, Tone},
    theme::Theme,
};
use openchat_client::{
    engine::{MessageRef, Target},
    session::StoredConversation,
    wire::{Fingerprint, MessageId, UnixMillis},
};
use std::collections::BTreeMap;

/// Lines that were typed and can be recalled.
pub(crate) const HISTORY: usize = 500;

/// What does not change while the screen is open.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Whose screen it is.
    pub me: String,
    /// The key with which this device signs.
    pub key: Fingerprint,
    /// The organisation that certifies.
    pub org: String,
    /// Entries of the transparency log that this device has checked, if it has.
    pub log: Option<u64>,
    /// That log has something about this device's name which it did not ask for.
    pub warns: bool,
    /// When the certificate ends.
    pub not_after: UnixMillis,
    /// The server, as `host:port`.
    pub server: String,
    /// Where the reader is.
    pub clock: Clock,
    /// Whether colours are wanted at all.
    pub color: bool,
    /// The conversation to begin with.
    pub target: Target,
    /// What is stored already.
    pub conversations: Vec<StoredConversation>,
    /// The size of the terminal: columns and lines.
    pub size: (u16, u16),
}

/// Whether the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Not tried yet.
    Connecting,
    /// It does.
    Online,
    /// It does not, and why; it is tried again.
    Offline(String),
}

/// What may be wrong with the transparency log, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogAlarm {
    /// It has something about this person that was not asked for. Ends when that is answered.
    OwnName,
    /// It breaks its own rules.
    Irregular,
    /// It was taken back.
    Rollback,
    /// Others are shown another one.
    SplitView,
}

impl LogAlarm {
    /// In a word or two, for the first line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OwnName => "OWN NAME",
            Self::Irregular => "IRREGULAR",
            Self::Rollback => "ROLLED BACK",
            Self::SplitView => "SPLIT VIEW",
        }
    }
}

/// What lies over the conversation.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// Keys and commands, from this line on.
    Help {
        /// The first line shown.
        top: usize,
    },
    /// Conversations by name.
    Switcher {
        /// What is typed.
        query: Draft,
        /// Which of those that fit.
        chosen: usize,
    },
    /// Messages by what they say.
    Search {
        /// What is typed.
        query: Draft,
        /// For what the hits are; none: nothing was asked yet.
        asked: Option<String>,
        /// What was found; none: it is being looked for.
        hits: Option<Vec<Hit>>,
        /// Which of them.
        chosen: usize,
    },
    /// What was typed before.
    Recall {
        /// What is typed.
        query: Draft,
        /// Which of those that fit, from the newest.
        chosen: usize,
    },
    /// Links, newest first.
    Links {
        /// All of them.
        links: Vec<String>,
        /// Which of them.
        chosen: usize,
    },
}

/// What an order was about, so that its answer is told where it was given.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    /// What is said when it is done, if nothing else tells it.
    pub(crate) said: Option<&'static str>,
    /// The conversation is then gone to.
    pub(crate) go: bool,
    /// Who is in is then told.
    pub(crate) tell: bool,
    /// Failing is told.
    pub(crate) loud: bool,
}

/// A message of which the id is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Unnamed {
    pub(crate) target: Target,
    pub(crate) content: Content,
    /// As it stood in the draft.
    pub(crate) typed: String,
    pub(crate) time: UnixMillis,
}

/// The state of the screen.
#[derive(Debug)]
pub struct State {
    /// What does not change.
    pub setup: Setup,
    /// What the person has set.
    pub config: Config,
    /// The theme in use.
    pub theme: Theme,
    /// Columns and lines.
    pub size: (u16, u16),
    /// All conversations, in the order of the list.
    pub conversations: Vec<Conversation>,
    /// The one in view.
    pub current: usize,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// Whether the server answers.
    pub connection: Connection,
    /// What is wrong with the transparency log, as long as it stands.
    pub log_alarm: Option<LogAlarm>,
    /// The last word about what was typed.
    pub flash: Option<(Tone, String)>,
    /// The message whose text is in the draft.
    pub editing: Option<MessageRef>,
    /// What was written in the draft's place.
    pub(crate) set_aside: Option<Draft>,
    /// Ctrl+C was pressed once.
    pub(crate) quitting: bool,
    /// What was typed, the newest last.
    pub(crate) typed: Vec<String>,
    pub(crate) completing: Option<Completing>,
    /// The time of the last input.
    pub now: UnixMillis,
    pub(crate) orders: BTreeMap<u64, Asked>,
    pub(crate) last_order: u64,
    pub(crate) unnamed: BTreeMap<u64, Unnamed>,
    /// A message to go to as soon as it is here.
    pub(crate) jump: Option<Hit>,
    /// Whether the terminal is looked at; none: it has not told.
    pub(crate) focus: Option<bool>,
    pub(crate) pace: Pace,
}

impl State {
    /// The screen as it begins. [`crate::update()`] wants to be told of the first input next.
    #[must_use]
    pub fn new(setup: Setup, config: Config, now: UnixMillis) -> Self {
        let theme = config.theme.as_deref().and_then(|name| config.theme_named(name));
        let theme = match (setup.color, theme) {
            (false, _) => Theme::mono(),
            (true, theme) => theme.unwrap_or_else(Theme::dark),
        };
        let mut state = Self {
            size: setup.size,
            theme,
            conversations: Vec::new(),
            current: 0,
            overlay: None,
            connection: Connection::Connecting,
            log_alarm: setup.warns.then_some(LogAlarm::OwnName),
            flash: None,
            editing: None,
            set_aside: None,
            quitting: false,
            typed: Vec::new(),
            completing: None,
            now,
            orders: BTreeMap::new(),
            last_order: 0,
            unnamed: BTreeMap::new(),
            jump: None,
            focus: None,
            pace: Pace::default(),
            config,
            setup,
        };
        for mut stored in std::mem::take(&mut state.setup.conversations) {
            let at = state.place(&stored.summary.target);
            if let Some(conversation) = state.conversations.get_mut(at) {
                conversation.unread = stored.waiting;
                conversation.muted = stored.muted.unwrap_or(conversation.muted);
                conversation.was_delivered(std::mem::take(&mut stored.deliveries));
                conversation.stands(stored.summary);
                for unsent in stored.unsent {
                    conversation.take_up(unsent, &state.setup.me, state.setup.key);
                }
            }
        }
        state.current = state.place(&state.setup.target.clone());
        state
    }

    /// What names the message to which this device has given this id.
    #[must_use]
    pub const fn own(&self, id: MessageId) -> MessageRef {
        MessageRef { author: self.setup.key, id }
    }

    /// The conversation in view.
    #[must_use]
    pub fn open(&self) -> Option<&Conversation> {
        self.conversations.get(self.current)
    }

    /// The same, to be changed.
    pub fn open_mut(&mut self) -> Option<&mut Conversation> {
        self.conversations.get_mut(self.current)
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.config.keys
    }

    /// Where the conversation of this name stands in the list.
    #[must_use]
    pub fn find(&self, target: &Target) -> Option<usize> {
        self.conversations.iter().position(|one| target.means(&one.target, one.group.as_ref()))
    }

    /// The same; if there is none it is added. The list is in the order of its sections and names,
    /// and nothing moves in it by itself.
    pub fn place(&mut self, target: &Target) -> usize {
        if let Some(at) = self.find(target) {
            return at;
        }
        let order = |target: &Target| (matches!(target, Target::Person(_)), target.to_string());
        let at = self.conversations.partition_point(|one| order(&one.target) < order(target));
        let mut conversation = Conversation::new(target.clone());
        conversation.muted = self.config.muted.contains(&target.to_string());
        self.conversations.insert(at, conversation);
        if self.conversations.len() > 1 && at <= self.current {
            self.current += 1;
        }
        at
    }

    /// Whether names stand between the screen and a message: nothing else takes keys then.
    #[must_use]
    pub const fn is_covered(&self) -> bool {
        self.overlay.is_some()
    }

    /// A number for an order.
    pub(crate) fn expect(&mut self, asked: Asked, questions: usize) -> u64 {
        let first = self.last_order + 1;
        for _ in 0..questions {
            self.last_order += 1;
            self.orders.insert(self.last_order, Asked { said: None, ..asked.clone() });
        }
        // Said once, when the last one is done.
        self.orders.insert(self.last_order, asked);
        first
    }

    /// Says something in the last line, until the next key.
    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.flash = Some((tone, text.into()));
    }

    /// A notice for the conversation in view.
    pub(crate) fn tell(&mut self, tone: Tone, text: String, hint: Option<String>) {
        let notice = Notice { time: self.now, tone, text, hint };
        if let Some(conversation) = self.open_mut() {
            conversation.tell(notice);
        }
    }

    /// How many whole days the certificate is valid.
    #[must_use]
    pub const fn days_left(&self) -> u64 {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        self.setup.not_after.0.saturating_sub(self.now.0) / DAY
    }

    /// Messages of this device that the server does not have yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.conversations.iter().map(Conversation::queued).sum::<usize>() + self.unnamed.len()
    }
}
