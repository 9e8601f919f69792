//! Reads what was stored for the engine.

use std::collections::{BTreeMap, BTreeSet};

use openchat_group::{Group, Pending, RestoreError, StateKey};
use openchat_roster::{CommitEntry, LeaveEntry, LogEntry, Operation};
use openchat_wire::{
    Blob, DecodeError, Digest, Fingerprint, GroupId, MessageId, Name, Seq, decode,
    limits::{MAX_COMMIT, MAX_ENTRY},
};

use crate::{
    alarms::Kept,
    archive::Archive,
    conversation::{Card, Conversation, Leaver, Progress, Wish},
    downloads::Download,
    engine::Engine,
    following::Warning,
    history::Past,
    inbox::Letter,
    invitations::NEVER,
    missed::Named,
    outbox::Outgoing,
    prekeys::Private,
    record::{Key, Kind, Local},
    renewal,
    said::Own,
    target::{Tag, Target},
    uploads::Upload,
};

/// Bytes of the largest record: a commit and the secrets that go with it.
const MAX_RECORD: usize = 6 * MAX_COMMIT;

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
    /// What was stored of a group does not fit together.
    #[error("what is stored of a group is damaged: {0}")]
    Group(#[from] RestoreError),
}

/// The records of a snapshot, by what they are about.
#[derive(Default)]
pub(crate) struct Loader {
    cards: BTreeMap<Local, Card>,
    groups: BTreeMap<GroupId, Stored>,
    outgoing: Vec<(Local, u64, Outgoing)>,
    said: Vec<(Local, u64, Own)>,
    uploads: Vec<(Local, MessageId, Upload)>,
    /// Kept before there was a mirror.
    outdated: Vec<Key>,
    logged: BTreeMap<u64, Blob>,
    mirror: Option<Blob>,
    warnings: BTreeMap<u64, Warning>,
    alarms: BTreeMap<u64, Kept>,
    renewal: renewal::Stored,
    pins: Vec<(Name, Blob)>,
    prekeys: Vec<(Digest, Private)>,
    inbox: Seq,
    head: Option<Blob>,
}

/// The records of one group.
#[derive(Default)]
struct Stored {
    progress: Option<Progress>,
    commits: BTreeMap<Seq, CommitEntry>,
    state: Vec<(StateKey, Blob)>,
    given_up: Vec<Pending>,
    past: Vec<(Seq, Past)>,
    letters: Vec<(Seq, Letter)>,
    leavers: Vec<(Fingerprint, LeaveEntry)>,
    missed: Vec<Named>,
    downloads: Vec<(Named, Download)>,
    marks: Vec<(Fingerprint, Seq)>,
}

impl Loader {
    pub(crate) fn sort(snapshot: Snapshot) -> Result<Self, LoadError> {
        let mut loader = Self::default();
        for (key, value) in snapshot.records {
            loader.put(&key, value)?;
        }
        Ok(loader)
    }

    fn put(&mut self, key: &Key, value: Blob) -> Result<(), LoadError> {
        let bytes = &value.0;
        let kind = Kind::of(key).ok_or(LoadError::Key)?;
        if let Some(group) = key.group {
            return self.groups.entry(group).or_default().put(kind, key, value);
        }
        match kind {
            Kind::Conversation => {
                let local = key.number().ok_or(LoadError::Key)?;
                self.cards.insert(local, decode(bytes, MAX_ENTRY)?);
            }
            Kind::Outgoing => {
                let (local, order) = key.numbers().ok_or(LoadError::Key)?;
                self.outgoing.push((local, order, decode(bytes, 2 * MAX_ENTRY)?));
            }
            Kind::Said => {
                let (local, order) = key.numbers().ok_or(LoadError::Key)?;
                self.said.push((local, order, decode(bytes, 2 * MAX_ENTRY)?));
            }
            Kind::Upload => {
                let (local, id) = key.number_and_message().ok_or(LoadError::Key)?;
                self.uploads.push((local, id, decode(bytes, MAX_ENTRY)?));
            }
            Kind::Prekey => {
                let hash = Digest(key.hash().ok_or(LoadError::Key)?);
                self.prekeys.push((hash, decode(bytes, MAX_ENTRY)?));
            }
            Kind::Certificate | Kind::SaidWhole => self.outdated.push(key.clone()),
            Kind::Logged => {
                self.logged.insert(key.number().ok_or(LoadError::Key)?, value);
            }
            Kind::Mirror => self.mirror = Some(value),
            Kind::Warning => {
                let index = key.number().ok_or(LoadError::Key)?;
                self.warnings.insert(index, decode(bytes, MAX_ENTRY)?);
            }
            Kind::Alarm => {
                let number = key.number().ok_or(LoadError::Key)?;
                self.alarms.insert(number, decode(bytes, MAX_ENTRY)?);
            }
            Kind::Renewal => self.renewal = decode(bytes, MAX_ENTRY)?,
            Kind::Head => self.head = Some(value),
            Kind::Inbox => self.inbox = decode(bytes, MAX_ENTRY)?,
            Kind::Pin => {
                let name = key.text().and_then(|text| text.parse().ok()).ok_or(LoadError::Key)?;
                self.pins.push((name, value));
            }
            _ => return Err(LoadError::Key),
        }
        Ok(())
    }

    pub(crate) fn load(mut self, engine: &mut Engine) -> Result<(), LoadError> {
        self.load_shared(engine)?;
        for (local, card) in self.cards {
            let stored = card.group.and_then(|id| self.groups.remove(&id));
            let label = Target::Tagged { name: None, tag: Tag::of(&GroupId([0; 32]), 0) };
            let mut conversation = Conversation::new(local, card, label);
            conversation.card_dirty = false;
            if let Some(id) = conversation.id() {
                stored.unwrap_or_default().load(id, engine.shared.me, &mut conversation)?;
            }
            engine.last_local = engine.last_local.max(local);
            engine.conversations.insert(local, conversation);
        }
        self.alarms.into_iter().for_each(|(number, kept)| engine.load_alarm(number, kept));
        for (local, order, outgoing) in self.outgoing {
            if let Some(conversation) = engine.conversations.get_mut(&local) {
                conversation.outbox.load(order, outgoing);
            }
        }
        for (local, order, own) in self.said {
            if let Some(conversation) = engine.conversations.get_mut(&local) {
                conversation.said.load(order, own);
            }
        }
        for (local, id, upload) in self.uploads {
            if let Some(conversation) = engine.conversations.get_mut(&local) {
                conversation.uploads.load(id, upload);
            }
        }
        let me = engine.shared.me;
        engine.conversations.values_mut().for_each(|conversation| conversation.recount_marks(&me));
        Ok(())
    }

    fn load_shared(&mut self, engine: &mut Engine) -> Result<(), LoadError> {
        let damaged = LoadError::Record(DecodeError::Malformed);
        let shared = &mut engine.shared;
        self.outdated.drain(..).for_each(|key| shared.pen.delete(key));
        let archive = Archive::load(core::mem::take(&mut self.logged))?;
        // A head without entries is of before there was a mirror, or of an empty log.
        if archive.len() > 0 {
            let (head, mirror) = (self.head.as_ref(), self.mirror.as_ref());
            shared.load_log(archive, head, mirror).ok_or_else(|| damaged.clone())?;
        }
        shared.warnings = core::mem::take(&mut self.warnings);
        for warning in shared.warnings.clone().values() {
            shared.warn(warning);
        }
        shared.renewal.load(core::mem::take(&mut self.renewal));
        for (name, stored) in self.pins.drain(..) {
            shared.pins.load(name, &stored).ok_or_else(|| damaged.clone())?;
        }
        self.prekeys.drain(..).for_each(|(hash, private)| shared.prekeys.load(hash, private));
        shared.inbox.load_position(self.inbox);
        for (group, stored) in &mut self.groups {
            for (seq, letter) in stored.letters.drain(..) {
                shared.inbox.load(*group, seq, letter);
            }
        }
        Ok(())
    }
}

impl Stored {
    fn put(&mut self, kind: Kind, key: &Key, value: Blob) -> Result<(), LoadError> {
        let bytes = &value.0;
        let seq = || key.number().map(Seq).ok_or(LoadError::Key);
        match kind {
            Kind::Progress => self.progress = Some(decode(bytes, MAX_RECORD)?),
            Kind::GivenUp => self.given_up = decode(bytes, MAX_RECORD)?,
            Kind::Past => self.past.push((seq()?, decode(bytes, MAX_RECORD)?)),
            Kind::Letter => self.letters.push((seq()?, decode(bytes, MAX_RECORD)?)),
            Kind::Mark => {
                let member = Fingerprint(key.hash().ok_or(LoadError::Key)?);
                self.marks.push((member, decode(bytes, MAX_RECORD)?));
            }
            Kind::Download => {
                let file = key.author_and_message().ok_or(LoadError::Key)?;
                self.downloads.push((file, decode(bytes, MAX_RECORD)?));
            }
            Kind::Missed => self.missed = decode(bytes, MAX_RECORD)?,
            Kind::Leave => {
                let author = Fingerprint(key.hash().ok_or(LoadError::Key)?);
                self.leavers.push((author, decode(bytes, MAX_RECORD)?));
            }
            Kind::State => {
                let part = StateKey::from_bytes(&key.sub).ok_or(LoadError::Key)?;
                self.state.push((part, value));
            }
            Kind::Commit => match LogEntry::decode(bytes)? {
                LogEntry::Commit(commit) => {
                    self.commits.insert(seq()?, commit);
                }
                _ => return Err(LoadError::Record(DecodeError::Malformed)),
            },
            _ => return Err(LoadError::Key),
        }
        Ok(())
    }

    fn load(
        self,
        id: GroupId,
        me: Fingerprint,
        conversation: &mut Conversation,
    ) -> Result<(), LoadError> {
        let seen = self.progress.and_then(|progress| progress.seen);
        let commits = || self.commits.values();
        let state = whole(self.state);
        let mut group = Group::restore(id, me, commits(), seen, state.clone())?;
        // Without its message keys an epoch is as good as lost: this device has to come back.
        let has_keys = |epoch| group.epochs().any(|kept| kept == epoch);
        if group.secrets().is_some_and(|secrets| !has_keys(secrets.epoch)) {
            let rest = state.into_iter().filter(|(part, _)| *part != StateKey::Secrets);
            group = Group::restore(id, me, commits(), seen, rest)?;
        }
        if seen.is_none() {
            group.read_commits_only();
        }
        if let Some(progress) = self.progress {
            conversation.progress = progress;
        }
        if conversation.card.wish == Wish::Told || seen.is_none() {
            conversation.provisional = self.commits.keys().copied().collect();
        }
        for (seq, commit) in &self.commits {
            let Ok(commit) = commit.view() else { continue };
            let called = |operation: &Operation| match operation {
                Operation::Add { entrant, .. } => entrant.key.fingerprint() == me,
                Operation::Admit(person) => person.fingerprint == me,
                _ => false,
            };
            if commit.operations.iter().any(called) {
                conversation.calls.note(*seq, commit.author);
            }
        }
        conversation.history.load(self.past);
        conversation.missed.load(self.missed);
        for ((author, id), download) in self.downloads {
            conversation.downloads.load(author, id, download);
        }
        self.marks.into_iter().for_each(|(member, seq)| conversation.marks.load(member, seq));
        conversation.given_up = self.given_up;
        for (author, entry) in self.leavers {
            let at = if author == me { NEVER } else { openchat_wire::UnixMillis(0) };
            conversation.leavers.insert(author, Leaver { entry, at });
        }
        conversation.group = Some(group);
        Ok(())
    }
}

/// Message keys are of use only with the record of their epoch.
fn whole(state: Vec<(StateKey, Blob)>) -> Vec<(StateKey, Blob)> {
    let epoch = |(part, _): &(StateKey, Blob)| match part {
        StateKey::Epoch(epoch) => Some(*epoch),
        _ => None,
    };
    let epochs: BTreeSet<_> = state.iter().filter_map(epoch).collect();
    let is_whole = |(part, _): &(StateKey, Blob)| match part {
        StateKey::Node(epoch, _) | StateKey::Ratchet(epoch, _) => epochs.contains(epoch),
        StateKey::Secrets | StateKey::Pending | StateKey::Epoch(_) => true,
    };
    state.into_iter().filter(is_whole).collect()
}
