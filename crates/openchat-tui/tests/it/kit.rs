//! A screen without a terminal.

use openchat_client::{
    engine::{
        ConversationKind, Delivery, MemberView, MessageRef, Role, Rules, Standing, Summary, Target,
        Trust,
    },
    session::StoredConversation,
    wire::{Epoch, Fingerprint, GroupId, MessageId, Seq, UnixMillis},
};
use openchat_tui::{
    Body, Change, Clock, Config, Content, Conversation, Effect, Input, Message, News, Notice,
    Setup, State, Tone, update, view,
};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

/// Fri 20 Nov 2026, 20:20 UTC.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_206_000_000);

pub(crate) const MINUTE: u64 = 60_000;

pub(crate) fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// Somebody in a conversation.
pub(crate) fn member(name: &str, trust: Trust, role: Role) -> MemberView {
    let me = name == "alice";
    MemberView {
        name: name.parse().unwrap(),
        me,
        trust,
        role,
        claimed: true,
        online: name == "bob",
    }
}

pub(crate) fn members() -> Vec<MemberView> {
    vec![
        member("alice", Trust::Verified, Role::Admin),
        member("bob", Trust::Verified, Role::Member),
        member("carol", Trust::Verified, Role::Member),
        member("dave", Trust::Certified, Role::Member),
        member("erin", Trust::Changed, Role::Member),
    ]
}

pub(crate) fn summary(name: &str, members: Vec<MemberView>) -> Summary {
    let target = target(name);
    let kind = match name.as_bytes() {
        [b'@', ..] => ConversationKind::Direct,
        b"#general" => ConversationKind::Open,
        _ => ConversationKind::Closed,
    };
    let mut group = [0; 32];
    group.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
    Summary {
        target,
        kind,
        group: Some(GroupId(group)),
        standing: Standing::Member,
        inviter: None,
        epoch: Epoch(1),
        rules: None::<Rules>,
        members,
        invited: Vec::new(),
        queued: 0,
        stopped: false,
        former: None,
    }
}

pub(crate) fn stored(name: &str, waiting: u64, members: Vec<MemberView>) -> StoredConversation {
    let summary = summary(name, members);
    StoredConversation { summary, waiting, deliveries: Vec::new(), unsent: Vec::new(), muted: None }
}

pub(crate) fn setup(size: (u16, u16)) -> Setup {
    let two = |name: &str, trust| {
        vec![member("alice", Trust::Verified, Role::Member), member(name, trust, Role::Member)]
    };
    Setup {
        me: "alice".to_owned(),
        key: key("alice"),
        org: "Acme".to_owned(),
        log: Some(1042),
        warns: false,
        not_after: UnixMillis(NOW.0 + 71 * 24 * 60 * MINUTE + MINUTE),
        server: "127.0.0.1:7443".to_owned(),
        clock: Clock::utc(),
        color: true,
        target: target("#ops"),
        conversations: vec![
            stored("#general", 0, members()[..3].to_vec()),
            stored("#ops", 0, members()),
            stored("#release", 3, members()[..2].to_vec()),
            stored("#design", 0, members()[..2].to_vec()),
            stored("@bob", 0, two("bob", Trust::Verified)),
            stored("@carol", 2, two("carol", Trust::Verified)),
            stored("@erin", 0, two("erin", Trust::Changed)),
        ],
        size,
    }
}

pub(crate) fn id(number: u64) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    MessageId(id)
}

/// Whose key this is.
pub(crate) fn key(name: &str) -> Fingerprint {
    let mut key = [0; 32];
    key.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
    Fingerprint(key)
}

/// What names somebody's message.
pub(crate) fn named(author: &str, number: u64) -> MessageRef {
    MessageRef { author: key(author), id: id(number) }
}

/// The message at this place of the log, as many minutes before now as are missing to 100.
pub(crate) fn message(seq: u64, sender: &str, text: &str) -> Message {
    Message {
        id: id(seq),
        author: key(sender),
        seq: Some(Seq(seq)),
        sender: sender.to_owned(),
        own: sender == "alice",
        trust: Trust::Verified,
        time: UnixMillis((NOW.0 + seq * MINUTE).saturating_sub(100 * MINUTE)),
        body: Body::Text(text.to_owned()),
        reply: None,
        reactions: Vec::new(),
        edited: false,
        changing: false,
        delivery: (sender == "alice").then_some(Delivery::Sent),
    }
}

pub(crate) fn notice(text: &str) -> Notice {
    Notice { time: NOW, tone: Tone::News, text: text.to_owned(), hint: None }
}

/// A message about another one, among what is to be done.
pub(crate) fn change(effects: &[Effect]) -> (MessageRef, Change) {
    match effects {
        [Effect::Send { content: Content::About { message, change }, .. }] => {
            (*message, change.clone())
        }
        other => unreachable!("{other:?}"),
    }
}

/// A screen, and all that it wanted done.
pub(crate) struct Kit {
    pub(crate) state: State,
    pub(crate) effects: Vec<Effect>,
}

impl Kit {
    /// Of a size, with an empty `#ops` in view.
    pub(crate) fn new(size: (u16, u16)) -> Self {
        Self::with(setup(size), Config::default())
    }

    pub(crate) fn with(setup: Setup, config: Config) -> Self {
        let mut kit = Self { state: State::new(setup, config, NOW), effects: Vec::new() };
        kit.past("#ops", Vec::new());
        kit.input(Input::News(News::Online));
        kit.ready("#ops");
        kit
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.effects.extend(update(&mut self.state, input, NOW));
    }

    pub(crate) fn past(&mut self, name: &str, messages: Vec<Message>) {
        self.input(Input::Past { target: target(name), messages, complete: true });
    }

    pub(crate) fn ready(&mut self, name: &str) {
        let at = self.state.find(&target(name)).unwrap();
        let members = self.state.conversations[at].members.clone();
        self.news(News::Ready { target: name.to_owned(), members });
        self.effects.clear();
    }

    pub(crate) fn news(&mut self, news: News) {
        self.input(Input::News(news));
    }

    pub(crate) fn say(&mut self, name: &str, message: Message) {
        self.news(News::Message { target: name.to_owned(), message });
    }

    /// Presses keys, written as in the configuration.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.input(Input::Key(key.parse().unwrap()));
        }
    }

    /// Types a text, a key a character.
    pub(crate) fn type_in(&mut self, text: &str) {
        for character in text.chars() {
            let key = if character == ' ' { "space".to_owned() } else { character.to_string() };
            self.input(Input::Key(key.parse().unwrap()));
        }
    }

    /// Types a line and sends it, and has it queued under this number.
    pub(crate) fn queue(&mut self, line: &str, number: u64) {
        match &self.enter(line)[..] {
            [Effect::Send { ticket, .. }] => {
                let ticket = *ticket;
                self.input(Input::Sending { ticket, id: id(number) });
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// Types a line and sends it; what is to be done then.
    pub(crate) fn enter(&mut self, line: &str) -> Vec<Effect> {
        self.type_in(line);
        self.effects.clear();
        self.press("enter");
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn open(&self) -> &Conversation {
        self.state.open().unwrap()
    }

    pub(crate) fn draft(&self) -> String {
        self.open().draft.text()
    }

    pub(crate) fn flash(&self) -> String {
        self.state.flash.clone().map(|(_, text)| text).unwrap_or_default()
    }

    pub(crate) fn buffer(&self) -> Buffer {
        let (width, height) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.state, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// What stands there, without spaces at the ends of lines.
    pub(crate) fn screen(&self) -> String {
        let buffer = self.buffer();
        let line = |y| {
            let mut line = String::new();
            let mut x = 0;
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol)).unwrap().max(1);
            }
            line.trim_end().to_owned() + "\n"
        };
        (0..buffer.area.height).map(line).collect()
    }
}
