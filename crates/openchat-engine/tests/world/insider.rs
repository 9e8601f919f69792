//! A member that says what no honest device says: it has its keys, after all.

use crate::{
    forge::Forger,
    vault::Vault,
    world::{Who, World},
};
use openchat_engine::Key;
use openchat_group::{Content, ContentKind, Group, StateKey};
use openchat_roster::{LogEntry, Seen};
use openchat_wire::{Blob, GroupId, MessageId, Seq, UnixMillis, relay::Request};
use rand_core::Rng;

/// `Kind::State` as it is stored: numbers are for ever.
const STATE: u8 = 14;

/// A group as somebody's vault and the log have it.
pub(crate) fn stored(world: &mut World, log: GroupId, who: Who) -> Group {
    let identity = world.person(who).identity.clone();
    let tail = world.server.claim(&identity, &log);
    let seen = Seen { seq: tail.seq, log_hash: tail.log_hash };
    let Vault { records, .. } = &world.person(who).vault;
    let is_state = |key: &Key| key.kind == STATE && key.group == Some(log);
    let state = records.iter().filter(|(key, _)| is_state(key));
    let state = state.map(|(key, value)| (StateKey::from_bytes(&key.sub).unwrap(), value.clone()));
    let entries = world.server.entries(&log, Seq(0));
    let commit = |(_, entry): &(Seq, Vec<u8>)| match LogEntry::decode(entry) {
        Ok(LogEntry::Commit(commit)) => Some(commit),
        _ => None,
    };
    let commits: Vec<_> = entries.iter().filter_map(commit).collect();
    let me = world.person(who).identity.fingerprint;
    Group::restore(log, me, commits.iter(), Some(seen), state).unwrap()
}

/// A member's device is taken over and says this, whatever it is.
pub(crate) fn said_by(world: &mut World, who: Who, target: &str, kind: u16, body: Vec<u8>) {
    let log = world.summary(who, target).unwrap().group.unwrap();
    world.run(1_000);
    let mut group = stored(world, log, who);
    world.kill(who);
    let key = Forger::person(world, who).key;
    let mut id = MessageId([0; 16]);
    world.rng.fill_bytes(&mut id.0);
    let time = UnixMillis(world.now);
    let content = Content { time, kind: ContentKind(kind), body: Blob(body) };
    let sealed = group.seal(&key, id, &content).unwrap();
    let entry = Blob(LogEntry::Message(sealed).to_bytes());
    world.append(who, &Request::Append { log, entry, letters: Vec::new(), follows: false });
}
