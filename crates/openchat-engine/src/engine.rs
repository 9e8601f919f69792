//! The engine: hands each input to the conversation it concerns.

use std::collections::BTreeMap;

use openchat_crypto::CryptoRng;
use openchat_group::{Group, Pending, Saved, Secrets};
use openchat_roster::{CommitEntry, CommitFault, LogEntry};
use openchat_wire::{
    Blob, DecodeError, Epoch, Fingerprint, GroupId, GroupName, Name, Seq, UnixMillis, decode,
    limits::{MAX_COMMIT, MAX_ENTRY, PING_INTERVAL},
    relay::{Answer, Refusal, Request, ToClient},
};

use crate::{
    conversation::{Conversation, Progress, Stage},
    event::{Command, Input},
    history::Past,
    outbox::Outgoing,
    output::Output,
    record::{Key, Kind},
    shared::{Ask, Asked, Device, Now, Shared},
};

/// Bytes of the largest record: a commit, or the ratchets of a very large epoch.
const MAX_RECORD: usize = 2 * MAX_COMMIT;

/// Everything that was stored for the engine.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// All records.
    pub records: Vec<(Key, Blob)>,
}

/// Why a snapshot can't be loaded: the vault is damaged, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A record is not what its key says.
    #[error("a stored record is damaged: {0}")]
    Record(#[from] DecodeError),
    /// A record has a key that makes no sense.
    #[error("a stored record has an unknown key")]
    Key,
    /// A stored commit does not follow from those before it.
    #[error("the stored commits of a group are damaged: {0}")]
    Commit(#[from] CommitFault),
}

/// One device's conversations.
#[derive(Debug)]
pub struct Engine {
    shared: Shared,
    conversations: BTreeMap<GroupName, Conversation>,
    ping_at: Option<UnixMillis>,
}

impl Engine {
    /// The engine of a device, with what it has stored.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn new(device: Device, snapshot: Snapshot) -> Result<Self, LoadError> {
        let mut engine =
            Self { shared: Shared::new(device), conversations: BTreeMap::new(), ping_at: None };
        Loader::sort(snapshot)?.load(&mut engine)?;
        Ok(engine)
    }

    /// Takes note of something that happened.
    pub fn handle(&mut self, input: Input, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.ping_at = self.ping_at.map(|at| at.min(now.after(PING_INTERVAL)));
        for conversation in self.conversations.values_mut() {
            conversation.draw_deadlines_near(now);
        }
        match input {
            Input::Connected => self.connected(now, rng),
            Input::Disconnected => self.disconnected(),
            Input::Frame(frame) => self.frame(frame, now, rng),
            Input::Command(command) => self.command(command, now, rng),
            Input::Tick => self.tick(now, rng),
        }
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
        own.chain(self.ping_at).min()
    }

    /// Messages that are not known to be in the log.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.conversations.values().map(|conversation| conversation.outbox.len()).sum()
    }

    /// Whether an alarm has stopped a conversation for good.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.conversations.values().any(|conversation| conversation.stage == Stage::Halted)
    }

    /// The groups that are known, with their epochs.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupName, Epoch)> {
        self.conversations.values().filter_map(|conversation| {
            let group = conversation.group.as_ref()?;
            Some((&conversation.name, group.roster().epoch()))
        })
    }

    fn connected(&mut self, time: UnixMillis, rng: &mut dyn CryptoRng) {
        self.disconnected();
        self.shared.online = true;
        self.shared.head_doubted = false;
        self.ping_at = Some(time.after(PING_INTERVAL));
        self.shared.ask(Asked::Head, Request::Head);
        let mut now = Now { shared: &mut self.shared, time, rng };
        for conversation in self.conversations.values_mut() {
            conversation.expect_anew(time);
            conversation.start(&mut now);
        }
    }

    fn disconnected(&mut self) {
        self.shared.online = false;
        self.shared.asked.clear();
        self.shared.pen.forget_requests();
        self.ping_at = None;
        self.conversations.values_mut().for_each(Conversation::disconnected);
    }

    fn command(&mut self, command: Command, time: UnixMillis, rng: &mut dyn CryptoRng) {
        let mut now = Now { shared: &mut self.shared, time, rng };
        let (Command::Open { group: name } | Command::Send { group: name, .. }) = &command;
        let conversation = self
            .conversations
            .entry(name.clone())
            .or_insert_with(|| Conversation::new(name.clone()));
        match command {
            Command::Open { .. } if conversation.stage == Stage::Offline => {
                conversation.start(&mut now);
            }
            Command::Open { .. } => {}
            Command::Send { id, text, .. } => conversation.send(&mut now, id, text),
        }
    }

    fn tick(&mut self, time: UnixMillis, rng: &mut dyn CryptoRng) {
        if self.ping_at.is_some_and(|at| at <= time) {
            self.ping_at = Some(time.after(PING_INTERVAL));
            self.shared.ask(Asked::Ping, Request::Ping);
        }
        let mut now = Now { shared: &mut self.shared, time, rng };
        for conversation in self.conversations.values_mut() {
            conversation.tick(&mut now);
        }
    }

    fn frame(&mut self, frame: ToClient, time: UnixMillis, rng: &mut dyn CryptoRng) {
        self.ping_at = self.ping_at.map(|_| time.after(PING_INTERVAL));
        match frame {
            ToClient::Answer { id, answer } => self.answer(id, answer, time, rng),
            ToClient::Entry { log, seq, entry } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.pushed(now, seq, entry);
                });
            }
            ToClient::Heartbeat { log, beat, receipt } => {
                self.of_log(log, time, rng, |conversation, now| {
                    conversation.heard_beat(now, &beat, &receipt);
                });
            }
            ToClient::Goodbye(_) => {}
        }
    }

    fn of_log(
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

    fn answer(
        &mut self,
        id: u32,
        answer: Result<Answer, Refusal>,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        // An answer to nothing that was asked means nothing.
        let Some(asked) = self.shared.asked.remove(&id) else { return };
        let mut now = Now { shared: &mut self.shared, time, rng };
        match asked {
            Asked::Ping => {}
            Asked::Head => take_head(&mut now, &answer),
            Asked::Certificate(key) => {
                if let Ok(Answer::Certificate(der)) = &answer {
                    now.shared.take_certificate(key, der);
                }
                let busy = matches!(answer, Err(Refusal::Internal | Refusal::Paced { .. }));
                for conversation in self.conversations.values_mut() {
                    conversation.certificate_answered(&mut now, key, busy);
                }
            }
            Asked::Of(name, ask) => {
                let taken = group_of(&answer).is_some_and(|id| {
                    let mut all = self.conversations.values();
                    all.any(|other| other.name != name && other.id() == Some(id))
                });
                if let Some(conversation) = self.conversations.get_mut(&name).filter(|_| taken) {
                    conversation.refuse_group(&mut now);
                } else if let Some(conversation) = self.conversations.get_mut(&name) {
                    conversation.answered(&mut now, ask, answer);
                }
            }
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
            Ask::HeadForCommit => {
                take_head(now, &answer);
                self.commit_intended(now);
            }
            Ask::Commit => self.commit_answered(now, answer),
            Ask::SeatReceipt => self.seated(now, answer),
            Ask::TailReceipt => self.tail_known(now, answer),
            Ask::Message(id) => self.message_answered(now, id, answer),
            Ask::Tail if answer.is_err() => self.timers.retry(now.time, 1_000, now.rng),
            Ask::Tail | Ask::Courtesy => {}
        }
    }
}

/// The group that an answer says has a name.
fn group_of(answer: &Result<Answer, Refusal>) -> Option<GroupId> {
    match answer {
        Ok(Answer::Group(id)) | Err(Refusal::NameTaken(id)) => Some(*id),
        _ => None,
    }
}

fn take_head(now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
    if let Ok(Answer::Head(bytes)) = answer {
        now.shared.take_head(bytes);
    }
}

/// The records of a snapshot, by what they are about.
#[derive(Default)]
struct Loader {
    names: Vec<(GroupName, GroupId)>,
    groups: BTreeMap<GroupId, Stored>,
    outgoing: Vec<(GroupName, u64, Outgoing)>,
    certificates: Vec<Blob>,
    pins: Vec<(Name, Fingerprint)>,
    head: Option<Blob>,
}

/// The records of one group.
#[derive(Default)]
struct Stored {
    progress: Option<Progress>,
    commits: BTreeMap<Seq, CommitEntry>,
    saved: Saved,
    given_up: Vec<Pending>,
    past: Vec<(Seq, Past)>,
}

impl Loader {
    fn sort(snapshot: Snapshot) -> Result<Self, LoadError> {
        let mut loader = Self::default();
        for (key, value) in snapshot.records {
            loader.put(&key, value)?;
        }
        Ok(loader)
    }

    fn put(&mut self, key: &Key, value: Blob) -> Result<(), LoadError> {
        let bytes = &value.0;
        match (Kind::of(key).ok_or(LoadError::Key)?, key.group) {
            (Kind::GroupName, None) => self.names.push((text(key, 0)?, decode(bytes, 64)?)),
            (Kind::Outgoing, None) => {
                let order = key.number().ok_or(LoadError::Key)?;
                self.outgoing.push((text(key, 8)?, order, decode(bytes, 2 * MAX_ENTRY)?));
            }
            (Kind::Certificate, None) => self.certificates.push(value),
            (Kind::Head, None) => self.head = Some(value),
            (Kind::Pin, None) => self.pins.push((text(key, 0)?, decode(bytes, 64)?)),
            (kind, Some(group)) => self.groups.entry(group).or_default().put(kind, key, bytes)?,
            (_, None) => return Err(LoadError::Key),
        }
        Ok(())
    }

    fn load(self, engine: &mut Engine) -> Result<(), LoadError> {
        let damaged = LoadError::Record(DecodeError::Malformed);
        let shared = &mut engine.shared;
        for der in &self.certificates {
            shared.load_certificate(der).ok_or_else(|| damaged.clone())?;
        }
        if let Some(head) = &self.head {
            shared.load_head(head).ok_or(damaged)?;
        }
        self.pins.into_iter().for_each(|(name, key)| shared.load_pin(name, key));
        let mut groups = self.groups;
        for (name, id) in self.names {
            let mut conversation = Conversation::new(name.clone());
            groups.remove(&id).unwrap_or_default().load(id, engine.shared.me, &mut conversation)?;
            engine.conversations.insert(name, conversation);
        }
        for (name, order, outgoing) in self.outgoing {
            let mut conversation = engine
                .conversations
                .remove(&name)
                .unwrap_or_else(|| Conversation::new(name.clone()));
            conversation.outbox.load(order, outgoing);
            engine.conversations.insert(name, conversation);
        }
        Ok(())
    }
}

impl Stored {
    fn put(&mut self, kind: Kind, key: &Key, bytes: &[u8]) -> Result<(), LoadError> {
        let number = || key.number().ok_or(LoadError::Key);
        match kind {
            Kind::Progress => self.progress = Some(decode(bytes, MAX_RECORD)?),
            Kind::Secrets => self.saved.secrets = Some(decode(bytes, MAX_RECORD)?),
            Kind::Ratchets => self.saved.ratchets.push(decode(bytes, MAX_RECORD)?),
            Kind::Pending => self.saved.pending = Some(decode(bytes, MAX_RECORD)?),
            Kind::GivenUp => self.given_up = decode(bytes, MAX_RECORD)?,
            Kind::Past => self.past.push((Seq(number()?), decode(bytes, MAX_RECORD)?)),
            Kind::Commit => match LogEntry::decode(bytes)? {
                LogEntry::Commit(commit) => {
                    self.commits.insert(Seq(number()?), commit);
                }
                _ => return Err(LoadError::Record(DecodeError::Malformed)),
            },
            _ => return Err(LoadError::Key),
        }
        Ok(())
    }

    fn load(
        mut self,
        id: GroupId,
        me: Fingerprint,
        conversation: &mut Conversation,
    ) -> Result<(), LoadError> {
        if let Some(progress) = self.progress {
            self.saved.seen = progress.seen;
            conversation.progress = progress;
        }
        // Without its message keys an epoch is as good as lost: this device has to come back.
        let has_keys =
            |secrets: &Secrets| self.saved.ratchets.iter().any(|keys| keys.epoch == secrets.epoch);
        if !self.saved.secrets.as_ref().is_some_and(has_keys) {
            self.saved.secrets = None;
        }
        conversation.history.load(self.past);
        conversation.given_up = self.given_up;
        conversation.stored_epochs = self.saved.ratchets.iter().map(|epoch| epoch.epoch).collect();
        conversation.group = Some(Group::restore(id, me, self.commits.values(), self.saved)?);
        Ok(())
    }
}

fn text<T: core::str::FromStr>(key: &Key, after: usize) -> Result<T, LoadError> {
    key.text(after).and_then(|text| text.parse().ok()).ok_or(LoadError::Key)
}
