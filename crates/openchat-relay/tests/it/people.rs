//! People who hold real keys and make real commits, and the chance that they go by.

use crate::{
    ring::Ring,
    support::{START, name},
};
use core::convert::Infallible;
use openchat_crypto::{CryptoRng, IdentityKey, sha256};
use openchat_group::{Author, Content, ContentKind, Group};
use openchat_pki::certification_request;
use openchat_relay::{Identity, Invited};
use openchat_roster::{HeadRef, LogEntry};
use openchat_wire::{Blob, GroupId, MessageId, enroll::EnrollRequest};
use rand_core::{TryCryptoRng, TryRng};
use std::rc::Rc;

/// SHA-256 in counter mode: the same numbers in every run.
pub(crate) struct TestRng(u64);

impl TestRng {
    pub(crate) const fn seeded(seed: u32) -> Self {
        Self((seed as u64) << 32)
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&sha256(&self.0.to_be_bytes()).0[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// Somebody with an identity key.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) key: IdentityKey,
    pub(crate) ring: Rc<Ring>,
}

impl Person {
    pub(crate) fn new(label: &str, rng: &mut impl CryptoRng) -> Self {
        let key = IdentityKey::generate(rng);
        let identity = Identity { name: name(label), fingerprint: key.fingerprint() };
        Self { identity, key, ring: Rc::default() }
    }

    pub(crate) fn request(&self, invited: &Invited) -> EnrollRequest {
        EnrollRequest {
            name: self.identity.name.clone(),
            invitation: invited.id,
            secret: invited.secret,
            csr: Blob(certification_request(&self.key, &self.identity.name).unwrap()),
        }
    }

    pub(crate) fn author(&self, head: HeadRef) -> Author<'_> {
        Author { key: &self.key, name: &self.identity.name, head }
    }
}

/// A person with a group's state.
pub(crate) struct Member {
    pub(crate) person: Person,
    pub(crate) group: Group,
}

impl Member {
    pub(crate) fn log(&self) -> GroupId {
        *self.group.roster().group()
    }

    /// A leave request, as an entry.
    pub(crate) fn leave(&self) -> Blob {
        let leave = self.group.leave_request(&self.person.key).unwrap();
        Blob(LogEntry::Leave(leave).to_bytes())
    }

    /// A sealed message, as an entry.
    pub(crate) fn message(&mut self, text: &str) -> Blob {
        let content =
            Content { time: START, kind: ContentKind::TEXT, body: Blob(text.as_bytes().to_vec()) };
        let id = MessageId(sha256(text.as_bytes()).0[..16].try_into().unwrap());
        let entry = self.group.seal(&self.person.key, id, &content).unwrap();
        Blob(LogEntry::Message(entry).to_bytes())
    }
}
