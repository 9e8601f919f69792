//! The engine: hands each input to the conversation it concerns. What concerns the device as a whole
//! stands in `upkeep`, what its person wants in `orders`.

use std::collections::BTreeMap;

use openchat_crypto::CryptoRng;
use openchat_group::Group;
use openchat_roster::Roster;
use openchat_wire::{
    Blob, Epoch, Fingerprint, GroupId, MessageId, Name, UnixMillis,
    limits::PING_INTERVAL,
    relay::{Answer, Refusal, Request, ToClient},
};

use crate::{
    backlog::Shown,
    command::{Command, Input},
    conversation::{About, Card, Conversation, Stage, Wish},
    event::{Delivery, Kind, Standing, Summary, Unsent},
    labels,
    loader::{LoadError, Loader, Snapshot},
    outbox::Outgoing,
    output::Output,
    record::{Key, Local},
    shared::{Ask, Asked, Device, Doing, Now, Shared},
    target::{Tag, Target},
    upkeep::Upkeep,
};

/// One device's conversations.
#[derive(Debug)]
pub struct Engine {
    pub(crate) shared: Shared,
    pub(crate) conversations: BTreeMap<Local, Conversation>,
    pub(crate) upkeep: Upkeep,
    /// The last number that a conversation was given.
    pub(crate) last_local: Local,
    ping_at: Option<UnixMillis>,
}

impl Engine {
    /// The engine of a device, with what it has stored.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn new(device: Device, snapshot: Snapshot) -> Result<Self, LoadError> {
        let mut engine = Self {
            shared: Shared::new(device),
            conversations: BTreeMap::new(),
            upkeep: Upkeep::default(),
            last_local: 0,
            ping_at: None,
        };
        Loader::sort(snapshot)?.load(&mut engine)?;
        labels::relabel(&mut engine.conversations);
        Ok(engine)
    }

    /// Takes note of something that happened.
    pub fn handle(&mut self, input: Input, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.ping_at = self.ping_at.map(|at| at.min(now.after(PING_INTERVAL)));
        self.upkeep.draw_near(now);
        self.shared.draw_renewal_near(now);
        for conversation in self.conversations.values_mut() {
            conversation.draw_deadlines_near(now);
        }
        match input {
            Input::Connected => self.connected(now, rng),
            Input::Authority(ca) => self.shared.device.ca = *ca,
            Input::Disconnected => self.disconnected(),
            Input::Frame(frame) => self.frame(frame, now, rng),
            Input::Command(command) => self.command(command, now, rng),
            Input::Tick => self.tick(now, rng),
        }
        self.follow_up(now, rng);
    }

    /// What is to be done about everything since the last call.
    pub fn take_output(&mut self) -> Output {
        for conversation in self.conversations.values_mut() {
            conversation.save(&mut self.shared);
        }
        self.shared.pen.take()
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMillis> {
        if !self.shared.online {
            return None;
        }
        let own = self.conversations.values().filter_map(Conversation::next_deadline);
        let device = [self.ping_at, self.upkeep.next_deadline(), self.shared.renewal.at];
        own.chain(device.into_iter().flatten()).min()
    }

    /// Texts that are not known to be in the log, and files that are not all there.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.conversations.values().map(Conversation::queued).sum()
    }

    /// This device's key, as others name it.
    #[must_use]
    pub const fn me(&self) -> Fingerprint {
        self.shared.me
    }

    /// Files of this device's own whose parts may still be wanted, by the messages that offer them.
    pub fn files(&self) -> impl Iterator<Item = MessageId> {
        self.conversations.values().flat_map(Conversation::files)
    }

    /// Whether this device can be added while it is away, and knows of all its groups: on this
    /// connection its prekeys were found or left with the relay, and its inbox was read.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.upkeep.is_settled()
    }

    /// Entries of the transparency log that this device mirrors.
    #[must_use]
    pub fn log_size(&self) -> u64 {
        self.shared.log.mirror().size()
    }

    /// When the server signed the newest head of that log which this device has seen.
    #[must_use]
    pub fn log_time(&self) -> Option<UnixMillis> {
        self.shared.log.mirror().head().map(|head| head.time)
    }

    /// What the transparency log has about this device that it did not ask for, while its person has
    /// not answered.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.shared.warnings.values().map(|warning| warning.message.as_str())
    }

    /// What became of an own message, if it is one of the newest there.
    #[must_use]
    pub fn delivery(&self, target: &Target, id: MessageId) -> Option<Delivery> {
        self.meant(target)?.delivery(id)
    }

    /// What became of the newest own messages there that are in the log.
    pub fn deliveries(&self, target: &Target) -> impl Iterator<Item = (MessageId, Delivery)> {
        self.meant(target).into_iter().flat_map(Conversation::deliveries)
    }

    /// What was said there and the log is not known to have, in order.
    pub fn unsent(&self, target: &Target) -> impl Iterator<Item = Unsent> {
        self.meant(target).into_iter().flat_map(|conversation| conversation.outbox.unsent())
    }

    /// Whether this device tells soon how far it has read. If not, it says so in its own messages and
    /// in the heartbeats that guard the history, as seldom as those are.
    pub fn tell_delivered(&mut self, on: bool) {
        self.shared.marks = on;
    }

    /// Whether this device is about to commit by itself what others wait for: to set its own leaf,
    /// or to let somebody go. Whoever ends before leaves that undone.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.online && self.conversations.values().any(Conversation::owes_commit)
    }

    /// All conversations, in the order in which this device came to know them.
    pub fn conversations(&self) -> impl Iterator<Item = Summary> {
        self.conversations.values().map(|conversation| self.summary(conversation))
    }

    /// Where something waits to be sent until the person has decided about a key, and whose it is.
    pub fn held(&self) -> impl Iterator<Item = (Target, Name)> {
        let waiting = self.conversations.values().filter(|it| it.queued() > 0);
        waiting.filter_map(|it| Some((it.label.clone(), it.held_by(&self.shared)?)))
    }

    /// The conversation that is meant, if it is known.
    #[must_use]
    pub fn conversation(&self, target: &Target) -> Option<Summary> {
        self.meant(target).map(|conversation| self.summary(conversation))
    }

    /// Whether there is such a conversation.
    #[must_use]
    pub fn knows_target(&self, target: &Target) -> bool {
        self.meant(target).is_some()
    }

    fn meant(&self, target: &Target) -> Option<&Conversation> {
        let mut all = self.conversations.values();
        all.find(|conversation| target.means(&conversation.label, conversation.id().as_ref()))
    }

    fn summary(&self, conversation: &Conversation) -> Summary {
        let roster = conversation.group.as_ref().map(Group::roster);
        let is_member = roster.is_some_and(|roster| roster.seat(&self.shared.me).is_some());
        let Card { about, wish, .. } = &conversation.card;
        let standing = match (conversation.stage, wish) {
            (Stage::Halted, _) => Standing::Halted,
            (Stage::Invited, _) => Standing::Invited,
            (_, Wish::Out) => Standing::Out,
            _ if is_member => Standing::Member,
            (_, Wish::Told) if roster.is_some_and(|it| it.admitted(&self.shared.me).is_some()) => {
                Standing::Invited
            }
            _ => Standing::Entering,
        };
        let invited = roster.into_iter().flat_map(Roster::all_admitted);
        Summary {
            target: conversation.label.clone(),
            kind: match about {
                About::Open(_) => Kind::Open,
                About::Closed(_) => Kind::Closed,
                About::Direct(_) | About::Former(_) => Kind::Direct,
                About::Unknown => Kind::Unknown,
            },
            group: conversation.id(),
            standing,
            inviter: conversation.card.inviter.clone(),
            epoch: roster.map_or(Epoch(0), Roster::epoch),
            rules: roster.and_then(|roster| roster.policy()).map(|policy| policy.rules),
            members: conversation.members(&self.shared),
            invited: invited.map(|admitted| admitted.name.clone()).collect(),
            queued: conversation.queued(),
            stopped: conversation.progress.cloned,
            former: match about {
                About::Former(name) => Some(name.clone()),
                _ => None,
            },
        }
    }

    fn connected(&mut self, time: UnixMillis, rng: &mut dyn CryptoRng) {
        self.disconnected();
        self.shared.online = true;
        self.shared.head_doubted = false;
        self.ping_at = Some(time.after(PING_INTERVAL));
        self.shared.ask_for_testified();
        self.begin_renewing(time);
        // Letters first: a log that takes this device's seat may be followed by one that tells it
        // how it comes in again.
        self.settle_in(time);
        let mut now = Now { shared: &mut self.shared, time, rng };
        for conversation in self.conversations.values_mut() {
            conversation.expect_anew(time);
            conversation.start(&mut now);
            conversation.ask_for_release(&mut now);
        }
    }

    fn disconnected(&mut self) {
        self.shared.online = false;
        self.shared.asked.clear();
        self.shared.log.disconnected();
        self.shared.forget_renewal();
        self.shared.pen.forget_requests();
        self.ping_at = None;
        self.upkeep = Upkeep::default();
        self.conversations.values_mut().for_each(Conversation::disconnected);
    }

    fn command(&mut self, command: Command, time: UnixMillis, rng: &mut dyn CryptoRng) {
        match command {
            Command::Open { target } => self.open(&target, time, rng),
            Command::Send { target, id, what } => self.send(&target, (id, what), time, rng),
            Command::Part { want, bytes } => {
                self.with(want.conversation, time, rng, |conversation, now| {
                    conversation.take_part(now, (want.file, want.index), bytes);
                });
            }
            Command::Recalled { recall, said } => {
                self.with(recall.conversation, time, rng, |conversation, now| {
                    conversation.recalled(now, recall.id, said);
                });
            }
            Command::Renew { order } => self.renew(order, time),
            Command::Trust { order, who, on } => self.trust(order, &who, on, time, rng),
            Command::Order { order, what } => self.order(order, what, time, rng),
        }
    }

    fn tick(&mut self, time: UnixMillis, rng: &mut dyn CryptoRng) {
        if self.ping_at.is_some_and(|at| at <= time) {
            self.ping_at = Some(time.after(PING_INTERVAL));
            self.shared.ask(Asked::Ping, Request::Ping);
        }
        self.keep_up(time, rng);
        let mut now = Now { shared: &mut self.shared, time, rng };
        for conversation in self.conversations.values_mut() {
            conversation.tick(&mut now);
        }
    }

    fn frame(&mut self, frame: ToClient, time: UnixMillis, rng: &mut dyn CryptoRng) {
        self.ping_at = self.ping_at.map(|_| time.after(PING_INTERVAL));
        match frame {
            ToClient::Answer { id, answer } => self.answer(id, answer, time, rng),
            ToClient::Entry { log, seq, entry } if log == self.shared.inbox_log => {
                self.letter(seq, &entry, time, rng);
            }
            ToClient::Entry { log, seq, entry } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.pushed(now, seq, Shown::Whole(entry));
                });
            }
            // What is no letter moves the place in the inbox only; the groups are asked for anyway.
            ToClient::Dropped { log, seq, .. } if log == self.shared.inbox_log => {
                self.letter(seq, &Blob::default(), time, rng);
            }
            ToClient::Dropped { log, seq, hash } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.pushed(now, seq, Shown::Dropped(hash));
                });
            }
            ToClient::Heartbeat { log, beat, receipt } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.heard_beat(now, &beat, &receipt);
                });
            }
            ToClient::Presence { log, online, offline } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.company(now, online, offline);
                });
            }
            ToClient::Head(head) => {
                if self.shared.is_news_of_log(&head) {
                    self.shared.read_log();
                }
            }
            ToClient::Goodbye(_) => {}
        }
    }

    pub(crate) fn of_log(
        &mut self,
        log: GroupId,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
        act: impl FnOnce(&mut Conversation, &mut Now<'_>),
    ) {
        let mut now = Now { shared: &mut self.shared, time, rng };
        let mut all = self.conversations.values_mut();
        if let Some(conversation) = all.find(|conversation| conversation.id() == Some(log)) {
            act(conversation, &mut now);
        }
    }

    pub(crate) fn knows(&self, group: &GroupId) -> bool {
        self.conversations.values().any(|conversation| conversation.id() == Some(*group))
    }

    fn answer(
        &mut self,
        id: u32,
        answer: Result<Answer, Refusal>,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(asked) = self.shared.asked.remove(&id) else { return };
        match asked {
            Asked::Ping => {}
            Asked::Log => self.log_answered(answer, time, rng),
            Asked::Renewal => self.renewal_answered(answer, time),
            Asked::Stock => self.stock_answered(&answer, time, rng),
            Asked::Publication => self.publication_answered(&answer, time),
            Asked::Inbox => self.inbox_answered(&answer, time),
            Asked::Groups => self.groups_answered(answer, time),
            Asked::Of(local, ask) => self.conversation_answered(local, ask, answer, time, rng),
        }
    }

    fn conversation_answered(
        &mut self,
        local: Local,
        ask: Ask,
        answer: Result<Answer, Refusal>,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let taken = group_of(&answer).and_then(|id| {
            let mut all = self.conversations.values();
            all.find(|it| it.local != local && it.id() == Some(id)).map(|it| it.local)
        });
        // What was only heard of has now been found by its name.
        let is_rumour = |engine: &Self, other: &Local| {
            engine.conversations.get(other).is_some_and(|it| it.card.about == About::Unknown)
        };
        let taken = match taken.filter(|other| is_rumour(self, other)) {
            Some(rumour) => {
                let texts = self.forget(rumour, time, rng);
                self.hand_over(texts, local);
                None
            }
            None => taken,
        };
        let mut now = Now { shared: &mut self.shared, time, rng };
        let Some(conversation) = self.conversations.get_mut(&local) else { return };
        if taken.is_some() {
            conversation.refuse_group(&mut now);
        } else {
            conversation.answered(&mut now, ask, answer);
        }
    }

    /// A conversation that begins.
    pub(crate) fn add(&mut self, card: Card) -> Local {
        self.last_local = self.last_local.saturating_add(1);
        let local = self.last_local;
        let nameless = Target::Tagged { name: None, tag: Tag::of(&GroupId([0; 32]), 0) };
        self.conversations.insert(local, Conversation::new(local, card, nameless));
        labels::relabel(&mut self.conversations);
        local
    }

    /// Forgets a conversation; returns what was written in it and did not get away.
    fn forget(&mut self, local: Local, time: UnixMillis, rng: &mut dyn CryptoRng) -> Vec<Outgoing> {
        let Some(mut conversation) = self.conversations.remove(&local) else { return Vec::new() };
        let mut now = Now { shared: &mut self.shared, time, rng };
        conversation.forget_group(&mut now);
        conversation.forget_alarm(&mut now);
        now.shared.pen.delete(Key::conversation(local));
        now.shared.relabel = true;
        conversation.uploads.clear(&mut now.shared.pen);
        conversation.outbox.drain(&mut now.shared.pen)
    }

    /// What was written in a conversation that turned out to be this one is said here.
    fn hand_over(&mut self, texts: Vec<Outgoing>, to: Local) {
        let Some(conversation) = self.conversations.get_mut(&to) else { return };
        for text in texts {
            conversation.queue(&mut self.shared.pen, text);
        }
    }

    /// What one conversation's news means for the others, and how they are written now.
    fn follow_up(&mut self, time: UnixMillis, rng: &mut dyn CryptoRng) {
        while let Some(doing) = self.shared.doings.pop() {
            match doing {
                Doing::Identified(local) => self.identified(local, time, rng),
                Doing::Forget(local) => drop(self.forget(local, time, rng)),
            }
        }
        if core::mem::take(&mut self.shared.relabel) {
            labels::relabel(&mut self.conversations);
        }
        if self.shared.prekeys.take_wish() {
            self.upkeep.count_soon(time);
        }
        for local in core::mem::take(&mut self.shared.invitations) {
            let mut now = Now { shared: &mut self.shared, time, rng };
            if let Some(conversation) = self.conversations.get_mut(&local) {
                conversation.announce(&mut now);
            }
        }
    }

    /// What was heard of turns out to be what another conversation was looking for: that one goes
    /// on with it. K2: it can't have another group already.
    fn identified(&mut self, local: Local, time: UnixMillis, rng: &mut dyn CryptoRng) {
        let Some(heard) = self.conversations.get(&local) else { return };
        let (about, id) = (heard.card.about.clone(), heard.id());
        let is_unique = matches!(about, About::Open(_) | About::Direct(_));
        let mut all = self.conversations.values();
        let same = all.find(|it| is_unique && it.local != local && it.card.about == about);
        let (Some(other), Some(id)) = (same.map(|it| it.local), id) else { return };
        let mut now = Now { shared: &mut self.shared, time, rng };
        let has_group = |it: &Conversation| {
            it.group.as_ref().is_some_and(|group| group.roster().policy().is_some())
        };
        if self.conversations.get(&other).is_some_and(has_group) {
            if let Some(heard) = self.conversations.get_mut(&local) {
                heard.refuse_group(&mut now);
            }
            let texts = self.forget(local, time, rng);
            return self.hand_over(texts, other);
        }
        let texts = self.forget(local, time, rng);
        self.hand_over(texts, other);
        let mut now = Now { shared: &mut self.shared, time, rng };
        if let Some(conversation) = self.conversations.get_mut(&other) {
            conversation.intent = None;
            conversation.forget_group(&mut now);
            conversation.enter(&mut now, id);
        }
    }
}

impl Conversation {
    fn answered(&mut self, now: &mut Now<'_>, ask: Ask, answer: Result<Answer, Refusal>) {
        if self.stage == Stage::Halted {
            return;
        }
        match ask {
            Ask::Find => self.found(now, &answer),
            Ask::Read => self.read_answered(now, answer),
            Ask::Commit => self.commit_answered(now, answer),
            Ask::SeatReceipt => self.seated(now, answer),
            Ask::Tail => self.tail_answered(now, &answer),
            Ask::TailReceipt => self.tail_known(now, answer),
            Ask::Alive => self.relay_is_there(now),
            Ask::Message(id) => self.message_answered(now, id, answer),
            Ask::Whose(name) => self.whose_answered(now, &name, &answer),
            Ask::Prekey(name) => self.prekey_answered(now, &name, &answer),
            Ask::Leave => self.leave_answered(now, &answer),
            Ask::Release => self.release_answered(&answer),
            Ask::Courtesy => {}
        }
    }
}

/// The group that an answer says has a name, or is that of two people.
fn group_of(answer: &Result<Answer, Refusal>) -> Option<GroupId> {
    match answer {
        Ok(Answer::Group(id)) | Err(Refusal::NameTaken(id)) => Some(*id),
        _ => None,
    }
}
