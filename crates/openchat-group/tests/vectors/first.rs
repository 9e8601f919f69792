//! The first implementation as a reader of vectors.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, PublicKey};
use openchat_group::{CommitOutcome, Effect, Group, Keyring};
use openchat_roster::LogEntry;
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, Seq, decode, encode};
use serde_json::Value;

use crate::file::{array, unhex};

/// A person's prekeys and letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring {
    pub(crate) prekeys: BTreeMap<Digest, KeyPair>,
    pub(crate) letters: BTreeMap<(GroupId, Epoch), Blob>,
}

impl Keyring for Ring {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        self.prekeys.get(hash).cloned()
    }

    fn letter(&self, group: &GroupId, epoch: Epoch) -> Option<Blob> {
        self.letters.get(&(*group, epoch)).cloned()
    }
}

/// Somebody who reads a log.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) group: Group,
    pub(crate) ring: Ring,
    fingerprint: Vec<u8>,
    place: u64,
}

impl Reader {
    /// One of the people of a file, with all prekeys that are its own.
    pub(crate) fn new(file: &Value, person: &Value) -> Self {
        let key = PublicKey::from_bytes(&unhex(&person["public"])).unwrap();
        let mut ring = Ring::default();
        let own = |prekey: &&Value| prekey["of"] == person["name"];
        for prekey in file["prekeys"].as_array().unwrap().iter().filter(own) {
            let pair = decode(&unhex(&prekey["private"]), 32).unwrap();
            ring.prekeys.insert(Digest(array(&prekey["hash"])), pair);
        }
        Self {
            group: Group::new(GroupId(array(&file["group"])), key.fingerprint()),
            ring,
            fingerprint: key.fingerprint().0.to_vec(),
            place: 0,
        }
    }

    /// Somebody who knows nothing yet of the group of an input.
    pub(crate) fn empty(input: &Value) -> Self {
        let group = Group::new(GroupId(array(&input["group"])), Fingerprint([0; 32]));
        Self { group, ring: Ring::default(), fingerprint: Vec::new(), place: 0 }
    }

    /// Takes the letter of a step that is its own.
    pub(crate) fn take_letter(&mut self, step: &Value) {
        let roster = self.group.roster();
        let place = (*roster.group(), roster.epoch().next());
        for letter in step["letters"].as_array().into_iter().flatten() {
            if unhex(&letter["to"]) == self.fingerprint {
                self.ring.letters.insert(place, Blob(unhex(&letter["letter"])));
            }
        }
    }

    /// Reads a step's entry: what a commit was, or a message said.
    pub(crate) fn read(&mut self, step: &Value) -> Heard {
        let bytes = unhex(&step["entry"]);
        self.take_letter(step);
        let heard = match LogEntry::decode(&bytes).unwrap() {
            LogEntry::Commit(commit) => match self.group.commit(&commit, &self.ring) {
                CommitOutcome::Valid { effect, .. } => Heard::Commit(effect),
                CommitOutcome::Invalid(fault) => panic!("{fault} at {}", self.place),
            },
            LogEntry::Message(message) => {
                let text = self.group.open(&message).map(|opened| opened.content.body.0);
                Heard::Text(text.map(|text| String::from_utf8(text).unwrap()).ok())
            }
            LogEntry::Leave(leave) => {
                assert!(self.group.roster().check_leave(&leave).is_ok());
                Heard::Other
            }
            LogEntry::Notice(_) => Heard::Other,
        };
        self.place += 1;
        self.group.advance(Seq(self.place), &bytes);
        heard
    }
}

/// What an entry was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Commit(Effect),
    Text(Option<String>),
    Other,
}

/// Reads a history as one of its people; how many commits it followed.
pub(crate) fn follow(history: &Value, person: &Value) -> usize {
    let mut reader = Reader::new(history, person);
    let mut followed = 0;
    let mut is_inside = false;
    for step in history["steps"].as_array().unwrap() {
        let heard = reader.read(step);
        assert_eq!(reader.group.seen().unwrap().log_hash.0, array(&step["log_hash"]));
        match heard {
            Heard::Commit(effect) => {
                let roster = reader.group.roster();
                assert_eq!(roster.epoch().0, step["epoch"].as_u64().unwrap());
                assert_eq!(roster.interim().0, array(&step["interim"]));
                assert_eq!(roster.confirmed().0, array(&step["confirmed"]));
                assert_eq!(u64::from(roster.tree().height()), step["height"].as_u64().unwrap());
                is_inside = match effect {
                    Effect::Followed { .. } | Effect::Added { .. } => true,
                    // It has made a commit of its own, whose secrets it lacks here.
                    Effect::LeftBehind(_) if !is_inside => false,
                    Effect::Watched | Effect::NotMine | Effect::Reseated | Effect::Removed => false,
                    Effect::Invited(read) => {
                        assert!(read.is_ok(), "{read:?}");
                        false
                    }
                    other => panic!("{other:?}"),
                };
                if is_inside {
                    followed += 1;
                    check_secrets(&reader.group, step);
                }
            }
            Heard::Text(text) => {
                if is_inside {
                    assert_eq!(text.as_deref(), step["text"].as_str());
                }
            }
            Heard::Other => {}
        }
    }
    followed
}

fn check_secrets(group: &Group, step: &Value) {
    let stored = encode(group.secrets().unwrap());
    for name in ["init", "hedge_secret", "external"] {
        let secret = unhex(&step[name]);
        assert!(stored.windows(32).any(|part| part == secret), "{name}");
    }
}
