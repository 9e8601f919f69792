//! A member who goes on writing what no honest engine writes.

use crate::{
    forge::Forger,
    insider::stored,
    world::{SECOND, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_engine::MessageRef;
use openchat_group::{Content, ContentKind, Group};
use openchat_roster::LogEntry;
use openchat_wire::{Blob, GroupId, MessageId, UnixMillis, relay::Request};
use rand_core::Rng;

/// A member of `#general` whose device runs another program from here on.
pub(crate) struct Traitor {
    who: Who,
    key: IdentityKey,
    group: Group,
}

impl Traitor {
    pub(crate) fn take_over(world: &mut World, who: Who) -> Self {
        world.run(SECOND);
        world.kill(who);
        let log = world.general();
        let group = stored(world, log, who);
        Self { who, key: Forger::person(world, who).key, group }
    }

    /// How the others name a message of this member.
    pub(crate) fn named(&self, id: MessageId) -> MessageRef {
        MessageRef { author: self.key.fingerprint(), id }
    }

    /// Says something under an id of its own.
    pub(crate) fn says(&mut self, world: &mut World, kind: u16, body: Vec<u8>) -> MessageId {
        let mut id = MessageId([0; 16]);
        world.rng.fill_bytes(&mut id.0);
        self.says_as(world, id, kind, body);
        id
    }

    pub(crate) fn says_as(&mut self, world: &mut World, id: MessageId, kind: u16, body: Vec<u8>) {
        let time = UnixMillis(world.now);
        let content = Content { time, kind: ContentKind(kind), body: Blob(body) };
        let sealed = self.group.seal(&self.key, id, &content).unwrap();
        let entry = Blob(LogEntry::Message(sealed).to_bytes());
        let log: GroupId = *self.group.roster().group();
        let request = Request::Append { log, entry, letters: Vec::new(), follows: false };
        world.append(self.who, &request);
        world.run(SECOND);
    }
}
