//! Commits that no honest engine makes.

use crate::{
    random::TestRng,
    world::{Who, World},
};
use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret};
use openchat_group::{Author, Group};
use openchat_pki::UnverifiedHead;
use openchat_roster::{Commit, CommitEntry, HeadRef, LogEntry};
use openchat_wire::{
    Blob, GroupId, Name, Seq, UnixMillis,
    relay::{Answer, Request},
};

/// What a stranger does to its own join before it signs it.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    None,
    PathKey,
    External,
    Tag,
}

/// Who makes the commit.
pub(crate) struct Forger {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
}

impl Forger {
    pub(crate) fn person(world: &World, who: Who) -> Self {
        let person = world.person(who);
        let key = IdentityKey::from_pkcs8(&person.key).unwrap();
        Self { name: person.identity.name.clone(), key }
    }

    /// A join behind these commits, publicly valid but for its author, with one fault.
    pub(crate) fn join(
        &self,
        log: GroupId,
        entries: &[(Seq, Vec<u8>)],
        (head, fault): (HeadRef, Fault),
        rng: &mut TestRng,
    ) -> Blob {
        let mut group = Group::new(log, self.key.fingerprint());
        for (_, entry) in entries {
            if let Ok(LogEntry::Commit(commit)) = LogEntry::decode(entry) {
                group.commit(&commit, &());
            }
        }
        let author = Author { key: &self.key, name: &self.name, head };
        let honest = group.join(&author, None, rng).unwrap().entry.clone();
        let Ok(LogEntry::Commit(mut entry)) = LogEntry::decode(&honest.0) else { panic!() };
        let mut commit = entry.view().unwrap();
        match fault {
            Fault::None => return honest,
            Fault::PathKey => spoil_path(&mut commit, &group, rng),
            Fault::External => commit.external = random_key(rng),
            Fault::Tag => entry.tag.0[0] ^= 1,
        }
        let bytes = commit.to_bytes();
        let signature =
            self.key.sign(Label::Commit, &CommitEntry::signed_bytes(&bytes, &entry.tag));
        let entry = CommitEntry { commit: bytes, tag: entry.tag, signature };
        Blob(LogEntry::Commit(entry).to_bytes())
    }
}

/// The join of somebody enrolled, at the tail of `#general`.
pub(crate) fn faulty_join(world: &mut World, who: Who, fault: Fault) -> Blob {
    let (log, entries, head) = (world.general(), world.log(), current_head(world, who));
    Forger::person(world, who).join(log, &entries, (head, fault), &mut world.rng)
}

pub(crate) fn current_head(world: &mut World, who: Who) -> HeadRef {
    let identity = world.person(who).identity.clone();
    let now = UnixMillis(world.now);
    let said = world.server.relay.handle(&identity, &Request::Head, now).answer;
    let Ok(Answer::Head(bytes)) = said else { panic!("no head") };
    let keys = world.person(who).device().server_keys;
    let head = UnverifiedHead::decode(&bytes.0).unwrap();
    let head = head.verify(&keys.log_key, &keys.log_id).unwrap();
    HeadRef { size: head.size, root: head.root }
}

/// Every key above the author's leaf is another one, and the tree hash says so.
fn spoil_path(commit: &mut Commit, group: &Group, rng: &mut TestRng) {
    commit.nodes.iter_mut().for_each(|(_, key)| *key = random_key(rng));
    let outline = group.roster().outline(&commit.author, &commit.operations, &commit.head).unwrap();
    commit.tree_hash = *group.roster().draft(outline, commit).unwrap().tree_hash();
}

fn random_key(rng: &mut TestRng) -> PublicKey {
    *KeyPair::derive(&Secret::random(rng)).public()
}
