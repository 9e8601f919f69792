//! Somebody with a valid key who makes what no honest device makes.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, KeyPair, Label, Secret, Tag, fernet::MessageKey, hash};
use openchat_roster::{
    Commit, CommitEntry, Entrant, LogEntry, MessageEntry, MessageHeader, NodeIndex, Operation, Seen,
};
use openchat_wire::{Blob, Digest, Epoch, Generation, Seq, Slot, decode, encode};
use serde::{Deserialize, Serialize};

use super::{
    device::{Act, Device, HEAD, Vault},
    reference::{Reference, SecretsView, epoch_keys, generation_secret, joiner, wrapped},
};

/// A commit's entry, signed as it stands.
pub(crate) fn resigned(key: &IdentityKey, commit: &Commit, tag: Tag) -> Vec<u8> {
    signed_as(key, Label::Commit, commit.to_bytes(), tag)
}

/// An entry of any commit bytes, signed for any purpose.
pub(crate) fn signed_as(key: &IdentityKey, label: Label, commit: Blob, tag: Tag) -> Vec<u8> {
    let signature = key.sign(label, &CommitEntry::signed_bytes(&commit, &tag));
    LogEntry::Commit(CommitEntry { commit, tag, signature }).to_bytes()
}

/// What is wrong with a commit that everybody finds publicly valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    Nothing,
    /// The agreements of these levels are somebody else's; what stands above follows from them.
    Path(Vec<u8>),
    /// The external key is another one; the tag is right all the same.
    External,
    /// The tag is another one.
    Tag,
    /// What is wrapped for each of these epochs is not s.
    Wrap(Vec<Epoch>),
}

/// Makes whole commits, by the second implementation.
pub(crate) struct Liar<'a> {
    pub(crate) device: &'a mut Device,
    pub(crate) log: &'a [Vec<u8>],
}

/// An author's fresh secrets.
struct Draw {
    slot: usize,
    leaf: Secret,
    init: Secret,
    operation: Operation,
}

impl Liar<'_> {
    /// A commit with a lie in it. Its author keeps what follows from it, as if it were honest.
    pub(crate) fn commit(&mut self, act: Act, lie: &Lie) -> Vec<u8> {
        let tail = self.device.group.roster().epoch();
        self.commit_for(act, lie, &[tail])
    }

    /// As [`Self::commit`], wrapping for these epochs.
    pub(crate) fn commit_for(&mut self, act: Act, lie: &Lie, epochs: &[Epoch]) -> Vec<u8> {
        let before = Reference::of_log(*self.device.group.roster().group(), self.log);
        let draw = self.draw(&before, act, lie, epochs);
        let mut after = before.clone();
        after.apply_tree(&self.commit_on(&before, &draw));
        let walk = after.walk_and_lie(draw.slot, &draw.leaf, &self.lies(lie));
        let (joiner, mut external) = joiner(&draw.init, &walk.root);
        if *lie == Lie::External {
            external = self.pair();
        }
        let mut commit = self.commit_on(&before, &draw);
        commit.leaves = vec![(Slot(u32::try_from(draw.slot).unwrap()), walk.leaf)];
        commit.nodes = walk.nodes;
        commit.external = *external.public();
        let mut after = before.clone();
        after.apply_tree(&commit);
        commit.tree_hash = after.tree_hash();

        let bytes = commit.to_bytes();
        let confirmed = hash(Label::CommitConfirmed, &[&before.interim.0, &bytes.0]);
        let keys = epoch_keys(&joiner, &confirmed);
        let mut tag = keys.confirmation.tag(&confirmed.0);
        if *lie == Lie::Tag {
            tag.0[31] ^= 1;
        }
        let entry = resigned(&self.device.key, &commit, tag);
        let epoch = before.epoch.next();
        let secrets = SecretsView {
            epoch,
            slot: commit.leaves[0].0,
            leaf: draw.leaf,
            init: keys.init,
            hedge: keys.hedge,
            external,
        };
        let top = (NodeIndex { level: after.height(), index: 0 }, keys.message);
        self.keep(&PendingView {
            entry: Blob(entry.clone()),
            interim: hash(Label::Interim, &[&confirmed.0, &tag.0]),
            secrets,
            ratchets: RatchetsView {
                epoch,
                confirmed,
                height: after.height(),
                nodes: BTreeMap::from([top]),
                ratchets: BTreeMap::new(),
            },
        });
        entry
    }

    fn draw(&mut self, before: &Reference, act: Act, lie: &Lie, epochs: &[Epoch]) -> Draw {
        let (leaf, s, ephemeral) = (self.secret(), self.secret(), self.pair());
        let wraps: Vec<_> = epochs
            .iter()
            .map(|epoch| match lie {
                Lie::Wrap(spoilt) if spoilt.contains(epoch) => {
                    wrapped(before, *epoch, &ephemeral, &self.secret())
                }
                _ => wrapped(before, *epoch, &ephemeral, &s),
            })
            .collect();
        let ephemeral = *ephemeral.public();
        let (operation, init) = match act {
            Act::Update => (Operation::Update, SecretsView::of(&self.device.group).init),
            Act::Rejoin => (Operation::Rejoin { wraps, ephemeral }, s),
            Act::Join => {
                let entrant =
                    Entrant { name: self.device.name.clone(), key: *self.device.key.public() };
                (Operation::Join { entrant, wrap: wraps[0], ephemeral }, s)
            }
        };
        let seat = before.slot_of(&self.device.key.fingerprint());
        let slot = seat.unwrap_or_else(|| before.free_slot());
        Draw { slot, leaf, init, operation }
    }

    /// The commit without its path.
    fn commit_on(&self, before: &Reference, draw: &Draw) -> Commit {
        let slot = Slot(u32::try_from(draw.slot).unwrap());
        let placeholder = *self.device.key.public();
        Commit {
            author: self.device.key.fingerprint(),
            group: before.group,
            epoch: before.epoch,
            interim: before.interim,
            seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
            operations: vec![draw.operation.clone()],
            leaves: vec![(slot, placeholder)],
            nodes: Vec::new(),
            tree_hash: Digest([0; 32]),
            external: placeholder,
            head: HEAD,
        }
    }

    fn lies(&mut self, lie: &Lie) -> BTreeMap<u8, Secret> {
        match lie {
            Lie::Path(levels) => levels.iter().map(|level| (*level, self.secret())).collect(),
            _ => BTreeMap::new(),
        }
    }

    fn keep(&mut self, pending: &PendingView) {
        let vault = self.device.vault();
        self.device.restart_with(&Vault { pending: Some(encode(pending)), ..vault });
    }

    fn secret(&mut self) -> Secret {
        Secret::random(&mut self.device.rng)
    }

    fn pair(&mut self) -> KeyPair {
        KeyPair::derive(&self.secret())
    }
}

/// [`openchat_group::Pending`] as it stands in a vault.
#[derive(Serialize)]
struct PendingView {
    entry: Blob,
    interim: Digest,
    secrets: SecretsView,
    ratchets: RatchetsView,
}

/// [`openchat_group::EpochRatchets`] as it stands in a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RatchetsView {
    pub(crate) epoch: Epoch,
    pub(crate) confirmed: Digest,
    pub(crate) height: u8,
    pub(crate) nodes: BTreeMap<NodeIndex, Secret>,
    pub(crate) ratchets: BTreeMap<Slot, (Generation, Secret)>,
}

/// A member who seals in any name, on any slot: every member has every member's message keys.
pub(crate) struct Sealer {
    pub(crate) reference: Reference,
    ratchets: RatchetsView,
}

impl Sealer {
    /// With the keys of a device's current epoch, of which it has used none yet.
    pub(crate) fn new(device: &Device, log: &[Vec<u8>]) -> Self {
        let roster = device.group.roster();
        let ratchets = device.group.ratchets(roster.epoch()).unwrap();
        let ratchets = decode(&encode(ratchets), 1 << 20).unwrap();
        Self { reference: Reference::of_log(*roster.group(), log), ratchets }
    }

    pub(crate) fn header(&self, slot: u32, generation: u32) -> MessageHeader {
        MessageHeader {
            epoch: self.ratchets.epoch,
            confirmed: MessageHeader::prefix(&self.ratchets.confirmed),
            slot: Slot(slot),
            generation: Generation(generation),
            id: openchat_wire::MessageId([5; 16]),
        }
    }

    /// A message of padded content as it is, signed by `key` for the purpose `label`.
    pub(crate) fn seal(
        &self,
        header: MessageHeader,
        key: &IdentityKey,
        label: Label,
        padded: &[u8],
    ) -> Vec<u8> {
        let header_hash = header.hash(&self.reference.group);
        let seen = [0; 40];
        let body = [
            &key.fingerprint().0[..],
            &header_hash.0,
            &self.ratchets.confirmed.0,
            &seen,
            &hash(Label::Content, &[padded]).0,
        ];
        let signature = key.sign(label, &body.concat());
        self.token(header, &[padded, &seen, signature.as_bytes()].concat())
    }

    /// A message whose token holds these bytes.
    pub(crate) fn token(&self, header: MessageHeader, sealed: &[u8]) -> Vec<u8> {
        let token = Blob(self.key(&header).seal(sealed));
        LogEntry::Message(MessageEntry { header, token }).to_bytes()
    }

    /// What a message's token holds, signature and all.
    pub(crate) fn opened(&self, message: &MessageEntry) -> Vec<u8> {
        self.key(&message.header).open(&message.token.0).unwrap()
    }

    fn key(&self, header: &MessageHeader) -> MessageKey {
        let height = self.ratchets.height;
        let top = &self.ratchets.nodes[&NodeIndex { level: height, index: 0 }];
        let secret = generation_secret(top, height, header.slot.0, header.generation.0);
        let bound = header.hash(&self.reference.group);
        MessageKey::new(secret.expand(Label::MessageKey, &bound.0))
    }
}

/// §6.2: `len ‖ content ‖ zeros`, without any rounding up.
pub(crate) fn unrounded(content: &[u8], zeros: usize) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], content, &vec![0; zeros]].concat()
}
