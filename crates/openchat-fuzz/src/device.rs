//! One person's device: its key, its prekeys and letters, its group.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, KeyPair, Secret};
use openchat_group::{
    Author, CommitOutcome, Content, ContentKind, EpochRatchets, Group, Invited, Keyring, NewMember,
    Pending, Secrets, StateKey,
};
use openchat_roster::{HeadRef, LogEntry, Naming, Person, Prekey, PrekeyKind, Seen, SignedPrekey};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, MessageId, Name, Seq, UnixMillis};

use crate::Random;

/// The transparency head that everybody names.
pub(crate) const HEAD: HeadRef = HeadRef { size: 7, root: Digest([7; 32]) };

/// Prekeys and letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring {
    pub(crate) prekeys: BTreeMap<Digest, KeyPair>,
    pub(crate) letters: BTreeMap<Epoch, Blob>,
}

impl Keyring for Ring {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        self.prekeys.get(hash).cloned()
    }

    fn letter(&self, _: &GroupId, epoch: Epoch) -> Option<Blob> {
        self.letters.get(&epoch).cloned()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
    pub(crate) group: Group,
    pub(crate) ring: Ring,
    pub(crate) rng: Random,
    /// Its records of the group.
    pub(crate) stored: BTreeMap<StateKey, Blob>,
}

/// All of a group's state that an entry could change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    public: (Epoch, Digest, Digest),
    seats: Vec<openchat_roster::Seat>,
    seen: Option<Seen>,
    secrets: Option<Secrets>,
    ratchets: Vec<EpochRatchets>,
    pending: Option<Pending>,
}

impl Device {
    pub(crate) fn new(who: &str) -> Self {
        let mut rng = Random::new(who.as_bytes());
        let key = IdentityKey::generate(&mut rng).deterministic();
        let group = Group::new(GroupId([0; 32]), key.fingerprint());
        let name = who.parse().unwrap();
        Self { name, key, group, ring: Ring::default(), rng, stored: BTreeMap::new() }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    pub(crate) fn person(&self) -> Person {
        Person { name: self.name.clone(), fingerprint: self.fingerprint() }
    }

    /// Its key with a name, a group to change and randomness, for one commit.
    pub(crate) fn parts(&mut self) -> (Author<'_>, &mut Group, &mut Random) {
        let author = Author { key: &self.key, name: &self.name, head: HEAD };
        (author, &mut self.group, &mut self.rng)
    }

    /// A prekey as the relay gives it out.
    pub(crate) fn prekey(&mut self, last_resort: bool) -> SignedPrekey {
        let pair = KeyPair::derive(&Secret::random(&mut self.rng));
        let prekey = Prekey {
            owner: self.fingerprint(),
            kind: if last_resort { PrekeyKind::LastResort } else { PrekeyKind::OneTime },
            id: self.rng.array(),
            key: *pair.public(),
            not_before: UnixMillis(0),
            not_after: UnixMillis(1),
        };
        let signed = SignedPrekey::sign(&prekey, &self.key);
        self.ring.prekeys.insert(signed.hash(), pair);
        signed
    }

    pub(crate) fn as_new_member(&mut self, last_resort: bool) -> NewMember {
        let prekey = self.prekey(last_resort);
        NewMember { name: self.name.clone(), key: *self.key.public(), prekey }
    }

    pub(crate) fn as_invited(&mut self) -> Invited {
        Invited { person: self.person(), prekey: Some(self.prekey(false)) }
    }

    /// A message's entry, if the device has keys.
    pub(crate) fn seal(&mut self, kind: ContentKind, body: &[u8]) -> Option<LogEntry> {
        let content = Content { time: UnixMillis(1), kind, body: Blob(body.to_vec()) };
        let id = MessageId(self.rng.array());
        self.group.seal(&self.key, id, &content).ok().map(LogEntry::Message)
    }

    /// Whether it has a seat and the current keys.
    pub(crate) fn is_current(&self) -> bool {
        self.group.is_seated() && !self.group.is_left_behind()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let group = &self.group;
        let roster = group.roster();
        Snapshot {
            public: (roster.epoch(), *roster.interim(), roster.tree().hash()),
            seats: roster.seats().cloned().collect(),
            seen: group.seen(),
            secrets: group.secrets().cloned(),
            ratchets: group.epochs().filter_map(|epoch| group.ratchets(epoch)).cloned().collect(),
            pending: group.pending().cloned(),
        }
    }

    /// Takes the next entry of the log. What does not count changes nothing.
    pub(crate) fn judge(&mut self, entry: &LogEntry) -> Verdict {
        self.store();
        let before = self.snapshot();
        let verdict = self.take(entry);
        if verdict == Verdict::Refused {
            assert!(self.snapshot() == before, "a refused entry has changed {}", self.name);
            assert!(self.group.take_changes().is_empty(), "{} has something to store", self.name);
        }
        self.store();
        verdict
    }

    pub(crate) fn advance(&mut self, seq: Seq, entry: &[u8]) {
        self.group.advance(seq, entry);
    }

    fn store(&mut self) {
        for (key, record) in self.group.take_changes() {
            match record {
                Some(record) => self.stored.insert(key, record),
                None => self.stored.remove(&key),
            };
        }
    }

    fn take(&mut self, entry: &LogEntry) -> Verdict {
        let counts = match entry {
            LogEntry::Commit(commit) => match self.group.commit(commit, &self.ring) {
                CommitOutcome::Invalid(_) => false,
                CommitOutcome::Valid { .. } => true,
            },
            LogEntry::Message(message) => match self.group.open(message) {
                Ok(opened) => return Verdict::Opened(opened.author, opened.content.body),
                Err(_) => false,
            },
            LogEntry::Notice(notice) => self.group.roster().check_notice(notice).is_ok(),
            LogEntry::Leave(leave) => self.group.roster().check_leave(leave).is_ok(),
        };
        if counts { Verdict::Counts } else { Verdict::Refused }
    }
}

/// What an entry was to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Refused,
    /// A message, by whom.
    Opened(Fingerprint, Blob),
    /// Something else that counts.
    Counts,
}

/// What the closed group is called.
pub(crate) fn naming() -> Naming {
    Naming { name: "ops".parse().unwrap(), salt: Digest([9; 32]) }
}
