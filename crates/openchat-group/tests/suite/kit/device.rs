//! One device: its key, its group, what it would have stored.

use openchat_crypto::{IdentityKey, Secret};
use openchat_group::{
    Author, CommitOutcome, Content, ContentKind, Effect, EpochRatchets, Group, Opened, Pending,
    Saved, SealError, Secrets, Unreadable,
};
use openchat_roster::{CommitEntry, CommitFault, HeadRef, LogEntry, Notice, NoticeFault, Policy};
use openchat_wire::{
    Blob, DecodeError, Digest, GroupId, MessageId, Name, Seq, UnixMillis, decode, encode,
};

use super::rng::TestRng;

/// The transparency head that everybody names.
pub(crate) const HEAD: HeadRef = HeadRef { size: 7, root: Digest([7; 32]) };

/// More than any record of these tests.
const VAULT: usize = 1 << 20;

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
}

impl Event {
    /// What a commit meant for the device's secrets; panics if it did not count.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::Commit(CommitOutcome::Valid { effect, .. }) => *effect,
            other => panic!("not a valid commit: {other:?}"),
        }
    }

    /// Whether the entry was nothing that counts.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Undecodable(_) | Self::Unreadable(_) | Self::Notice(Err(_)) => true,
            Self::Commit(outcome) => matches!(outcome, CommitOutcome::Invalid(_)),
            Self::Message(_) | Self::OwnMessage | Self::Notice(Ok(_)) => false,
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

/// A device's records, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vault {
    pub(crate) secrets: Option<Vec<u8>>,
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) ratchets: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
    pub(crate) group: Group,
    pub(crate) rng: TestRng,
    /// Entries of the log that it has read.
    pub(crate) read: usize,
    /// The commits that it found valid, for its next start.
    approved: Vec<CommitEntry>,
    sent: Vec<Vec<u8>>,
}

impl Device {
    /// A device that has read nothing of the group yet.
    pub(crate) fn new(index: usize, group: GroupId, rng: &TestRng) -> Self {
        let mut rng = rng.fork(index);
        let key = IdentityKey::generate(&mut rng);
        let group = Group::new(group, key.fingerprint());
        let name = format!("d{index}").parse().unwrap();
        Self { name, key, group, rng, read: 0, approved: Vec::new(), sent: Vec::new() }
    }

    /// Begins a group of its own; the entry is its pending commit.
    pub(crate) fn create(&mut self, policy: Policy) -> Vec<u8> {
        let author = Author { key: &self.key, name: &self.name, head: HEAD };
        self.group = Group::create(&author, policy, &mut self.rng).unwrap();
        self.pending()
    }

    pub(crate) fn make(&mut self, act: Act) -> Result<Vec<u8>, CommitFault> {
        let author = Author { key: &self.key, name: &self.name, head: HEAD };
        let pending = match act {
            Act::Join => self.group.join(&author, &mut self.rng),
            Act::Update => self.group.update(&author, &mut self.rng),
            Act::Rejoin => self.group.rejoin(&author, &mut self.rng),
        };
        pending.map(|pending| pending.entry.0.clone())
    }

    /// The entry of the pending commit.
    pub(crate) fn pending(&self) -> Vec<u8> {
        self.group.pending().unwrap().entry.0.clone()
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
            Ok(LogEntry::Commit(commit)) => {
                let outcome = self.group.commit(&commit);
                if matches!(outcome, CommitOutcome::Valid { .. }) {
                    self.approved.push(commit);
                }
                Event::Commit(outcome)
            }
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
        }
    }

    pub(crate) fn notice(&self) -> Vec<u8> {
        LogEntry::Notice(self.group.notice(&self.key)).to_bytes()
    }

    /// Seated, and with the current epoch's keys.
    pub(crate) fn is_current(&self) -> bool {
        let secrets = self.group.secrets();
        secrets.is_some_and(|secrets| secrets.epoch == self.group.roster().epoch())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { shown: format!("{:?}", self.group), vault: self.vault() }
    }

    pub(crate) fn vault(&self) -> Vault {
        let kept = self.group.epochs().filter_map(|epoch| self.group.ratchets(epoch));
        Vault {
            secrets: self.group.secrets().map(encode),
            pending: self.group.pending().map(encode),
            ratchets: kept.map(encode).collect(),
        }
    }

    /// Ends the process and starts it again, from bytes alone.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&self.vault());
    }

    /// As [`Self::restart`], with other records than it had.
    pub(crate) fn restart_with(&mut self, vault: &Vault) {
        let saved = Saved {
            seen: self.group.seen(),
            secrets: vault.secrets.as_ref().map(|bytes| decode::<Secrets>(bytes, VAULT).unwrap()),
            ratchets: vault.ratchets.iter().map(|bytes| restored(bytes)).collect(),
            pending: vault.pending.as_ref().map(|bytes| decode::<Pending>(bytes, VAULT).unwrap()),
        };
        let (group, me) = (*self.group.roster().group(), self.key.fingerprint());
        self.group = Group::restore(group, me, &self.approved, saved).unwrap();
    }

    /// Its secret state is gone; what is public is there.
    pub(crate) fn lose_secrets(&mut self) {
        self.restart_with(&Vault { secrets: None, pending: None, ratchets: Vec::new() });
    }
}

fn restored(bytes: &[u8]) -> EpochRatchets {
    decode(bytes, VAULT).unwrap()
}

pub(crate) fn content(text: &str) -> Content {
    let body = Blob(text.as_bytes().to_vec());
    Content { time: UnixMillis(1_700_000_000_000), kind: ContentKind::TEXT, body }
}
