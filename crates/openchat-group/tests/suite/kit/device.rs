//! One device: its key, its group, what it would have stored.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, Secret};
use openchat_group::{
    Author, Change, CommitError, CommitOutcome, Content, ContentKind, Effect, Group, Invited,
    NewMember, Opened, Proposal, SealError, StateKey, Unreadable,
};
use openchat_roster::{
    CommitEntry, HeadRef, Leave, LeaveFault, LogEntry, Naming, Notice, NoticeFault, Person, Policy,
    PrekeyKind, Revocation, SignedPrekey,
};
use openchat_wire::{
    Blob, DecodeError, Digest, GroupId, MessageId, Name, Seq, UnixMillis, relay::Letter,
};

use super::{post::Ring, rng::TestRng};

/// The transparency head that everybody names.
pub(crate) const HEAD: HeadRef = HeadRef { size: 7, root: Digest([7; 32]) };

/// A commit that a device makes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Join,
    Update,
    Rejoin,
}

/// What an entry of the log was to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Undecodable(DecodeError),
    Commit(CommitOutcome),
    Message(Opened),
    /// A message that this device sent: it has it already.
    OwnMessage,
    Unreadable(Unreadable),
    Notice(Result<Notice, NoticeFault>),
    Leave(Result<Leave, LeaveFault>),
}

impl Event {
    /// What a commit meant for the device's secrets; panics if it did not count.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Commit(CommitOutcome::Valid { effect, .. }) => effect.clone(),
            other => panic!("not a valid commit: {other:?}"),
        }
    }

    /// What a commit did; panics if it did not count.
    pub(crate) fn changes(&self) -> Vec<Change> {
        match self {
            Self::Commit(CommitOutcome::Valid { changes, .. }) => changes.clone(),
            other => panic!("not a valid commit: {other:?}"),
        }
    }

    /// Whether the entry was nothing that counts.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Undecodable(_) | Self::Unreadable(_) => true,
            Self::Notice(notice) => notice.is_err(),
            Self::Leave(leave) => leave.is_err(),
            Self::Commit(outcome) => matches!(outcome, CommitOutcome::Invalid(_)),
            Self::Message(_) | Self::OwnMessage => false,
        }
    }

    /// The text of a message that opened.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Message(opened) => core::str::from_utf8(&opened.content.body.0).ok(),
            _ => None,
        }
    }
}

/// All that a device has of its group, to see that nothing changed. Secrets don't show in Debug
/// output, so their bytes stand beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    shown: String,
    vault: Vault,
}

/// A device's records of its group.
pub(crate) type Vault = BTreeMap<StateKey, Blob>;

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
    pub(crate) group: Group,
    pub(crate) rng: TestRng,
    pub(crate) ring: Ring,
    pub(crate) naming: Option<Naming>,
    pub(crate) head: HeadRef,
    /// Entries of the log that it has read.
    pub(crate) read: usize,
    /// The commits that it found valid, for its next start.
    pub(crate) approved: Vec<CommitEntry>,
    /// Its records, as the group has changed them.
    stored: Vault,
    sent: Vec<Vec<u8>>,
}

impl Device {
    /// A device that has read nothing of the group yet.
    pub(crate) fn new(index: usize, group: GroupId, rng: &TestRng) -> Self {
        let mut rng = rng.fork(index);
        let key = IdentityKey::generate(&mut rng);
        Self {
            name: format!("d{index}").parse().unwrap(),
            group: Group::new(group, key.fingerprint()),
            key,
            rng,
            ring: Ring::default(),
            naming: None,
            head: HEAD,
            read: 0,
            approved: Vec::new(),
            stored: Vault::new(),
            sent: Vec::new(),
        }
    }

    /// Begins a group of its own; the entry is its pending commit.
    pub(crate) fn create(&mut self, policy: Policy) -> Vec<u8> {
        self.create_with(policy, Proposal::default()).unwrap()
    }

    pub(crate) fn create_with(
        &mut self,
        policy: Policy,
        proposal: Proposal,
    ) -> Result<Vec<u8>, CommitError> {
        let author = Author { key: &self.key, name: &self.name, head: self.head };
        let naming = self.naming.as_ref();
        self.group = Group::create(&author, policy, naming, proposal, &mut self.rng)?;
        self.stored.clear();
        Ok(self.pending())
    }

    pub(crate) fn make(&mut self, act: Act) -> Result<Vec<u8>, CommitError> {
        let author = Author { key: &self.key, name: &self.name, head: self.head };
        let pending = match act {
            Act::Join => self.group.join(&author, None, &mut self.rng),
            Act::Update => self.group.update(&author, &mut self.rng),
            Act::Rejoin => self.group.rejoin(&author, Vec::new(), &mut self.rng),
        };
        pending.map(|pending| pending.entry.0.clone())
    }

    pub(crate) fn propose(&mut self, proposal: Proposal) -> Result<Vec<u8>, CommitError> {
        let author = Author { key: &self.key, name: &self.name, head: self.head };
        let naming = self.naming.as_ref();
        let pending = self.group.propose(&author, naming, proposal, &mut self.rng);
        pending.map(|pending| pending.entry.0.clone())
    }

    pub(crate) fn join_replacing(&mut self, proof: Revocation) -> Result<Vec<u8>, CommitError> {
        let author = Author { key: &self.key, name: &self.name, head: self.head };
        let pending = self.group.join(&author, Some(proof), &mut self.rng);
        pending.map(|pending| pending.entry.0.clone())
    }

    /// A prekey of this device, as somebody fetches it from the relay.
    pub(crate) fn prekey(&mut self, kind: PrekeyKind) -> SignedPrekey {
        self.ring.publish(kind, &self.key, &mut self.rng)
    }

    /// What somebody has of this device who adds it.
    pub(crate) fn as_new_member(&mut self, kind: PrekeyKind) -> NewMember {
        let prekey = self.prekey(kind);
        NewMember { name: self.name.clone(), key: *self.key.public(), prekey }
    }

    /// What somebody has of this device who invites it.
    pub(crate) fn as_invited(&mut self) -> Invited {
        let prekey = Some(self.prekey(PrekeyKind::OneTime));
        Invited { person: self.as_person(), prekey }
    }

    pub(crate) fn as_person(&self) -> Person {
        Person { name: self.name.clone(), fingerprint: self.key.fingerprint() }
    }

    /// The entry of the pending commit.
    pub(crate) fn pending(&self) -> Vec<u8> {
        self.group.pending().unwrap().entry.0.clone()
    }

    /// The letters that go with an entry, if it is the pending one.
    pub(crate) fn letters_with(&self, entry: &[u8]) -> Vec<Letter> {
        let pending = self.group.pending().filter(|pending| pending.entry.0 == entry);
        pending.map(|pending| pending.letters.clone()).unwrap_or_default()
    }

    pub(crate) fn seal(&mut self, text: &str) -> Result<Vec<u8>, SealError> {
        let mut id = [0; 16];
        id.copy_from_slice(&Secret::random(&mut self.rng).expose()[..16]);
        let entry = self.group.seal(&self.key, MessageId(id), &content(text))?;
        let bytes = LogEntry::Message(entry).to_bytes();
        self.sent.push(bytes.clone());
        Ok(bytes)
    }

    /// Reads the log to its end.
    pub(crate) fn read(&mut self, log: &[Vec<u8>]) -> Vec<Event> {
        let unread = log.iter().enumerate().skip(self.read);
        unread.map(|(index, bytes)| self.take(index, bytes)).collect()
    }

    fn take(&mut self, index: usize, bytes: &[u8]) -> Event {
        let event = self.judge(bytes);
        self.group.advance(Seq(u64::try_from(index).unwrap() + 1), bytes);
        self.read = index + 1;
        event
    }

    /// What an entry is, were it the next one; [`Group::advance`] aside.
    pub(crate) fn judge(&mut self, bytes: &[u8]) -> Event {
        match LogEntry::decode(bytes) {
            Err(fault) => Event::Undecodable(fault),
            Ok(LogEntry::Commit(commit)) => self.commit(commit),
            Ok(LogEntry::Message(_)) if self.sent.iter().any(|sent| sent == bytes) => {
                Event::OwnMessage
            }
            Ok(LogEntry::Message(message)) => match self.group.open(&message) {
                Ok(opened) => Event::Message(opened),
                Err(cause) => Event::Unreadable(cause),
            },
            Ok(LogEntry::Notice(notice)) => {
                Event::Notice(self.group.roster().check_notice(&notice))
            }
            Ok(LogEntry::Leave(leave)) => Event::Leave(self.group.roster().check_leave(&leave)),
        }
    }

    fn commit(&mut self, commit: CommitEntry) -> Event {
        let outcome = self.group.commit(&commit, &self.ring);
        if let CommitOutcome::Valid { effect, .. } = &outcome {
            self.approved.push(commit);
            if let Effect::Added { naming } | Effect::Invited(Ok(naming)) = effect {
                self.naming.clone_from(naming);
            }
        }
        Event::Commit(outcome)
    }

    pub(crate) fn notice(&self) -> Vec<u8> {
        LogEntry::Notice(self.group.notice(&self.key)).to_bytes()
    }

    /// Seated, and with the current epoch's keys.
    pub(crate) fn is_current(&self) -> bool {
        let secrets = self.group.secrets();
        secrets.is_some_and(|secrets| secrets.epoch == self.group.roster().epoch())
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let vault = self.vault();
        Snapshot { shown: format!("{:?}", self.group), vault }
    }

    /// Its records, brought up to date as a client would.
    pub(crate) fn vault(&mut self) -> Vault {
        self.store();
        self.stored.clone()
    }

    /// Stores what has changed; returns its bytes, keys included.
    pub(crate) fn store(&mut self) -> usize {
        let mut bytes = 0;
        for (key, record) in self.group.take_changes() {
            bytes += key.to_bytes().len() + record.as_ref().map_or(0, |record| record.0.len());
            match record {
                Some(record) => self.stored.insert(key, record),
                None => self.stored.remove(&key),
            };
        }
        bytes
    }

    /// Ends the process and starts it again, from bytes alone.
    pub(crate) fn restart(&mut self) {
        let vault = self.vault();
        self.restart_with(&vault);
    }

    /// As [`Self::restart`], with other records than it had.
    pub(crate) fn restart_with(&mut self, vault: &Vault) {
        let (group, me) = (*self.group.roster().group(), self.key.fingerprint());
        let records = vault.clone();
        let restored = Group::restore(group, me, &self.approved, self.group.seen(), records);
        self.group = restored.unwrap();
        self.stored.clone_from(vault);
    }

    /// Its secret state is gone; what is public is there.
    pub(crate) fn lose_secrets(&mut self) {
        self.restart_with(&Vault::new());
    }
}

pub(crate) fn content(text: &str) -> Content {
    let body = Blob(text.as_bytes().to_vec());
    Content { time: UnixMillis(1_700_000_000_000), kind: ContentKind::TEXT, body }
}
