//! A device's records as they stand in its vault, and what the protocol derives from them, written
//! a second time.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, Label, PublicKey, Secret, hash, sha256};
use openchat_group::Group;
use openchat_roster::{NodeIndex, Roster, Tree};
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, Generation, GroupId, Slot, decode, encode, relay::Letter,
};
use serde::{Deserialize, Serialize};

/// A member's secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SecretsView {
    pub(crate) epoch: Epoch,
    pub(crate) slot: Slot,
    pub(crate) leaf: Secret,
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) external: KeyPair,
}

impl SecretsView {
    pub(crate) fn of(group: &Group) -> Self {
        let secrets = group.secrets().expect("a member has secrets");
        decode(&encode(secrets), 1_000).unwrap()
    }
}

/// [`openchat_group::Pending`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PendingView {
    pub(crate) entry: Blob,
    pub(crate) letters: Vec<Letter>,
    pub(crate) interim: Digest,
    pub(crate) secrets: SecretsView,
    pub(crate) ratchets: RatchetsView,
}

/// [`openchat_group::EpochRatchets`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RatchetsView {
    pub(crate) epoch: Epoch,
    pub(crate) confirmed: Digest,
    pub(crate) height: u8,
    pub(crate) nodes: BTreeMap<NodeIndex, Secret>,
    pub(crate) ratchets: BTreeMap<Slot, (Generation, Secret)>,
}

/// §5.1: the root secret, from a leaf upward, whether or not the leaf is the tree's.
pub(crate) fn root_from(group: &GroupId, tree: &Tree, slot: Slot, leaf: &Secret) -> Secret {
    let mut secret = leaf.clone();
    let mut own = pair(&secret);
    for (level, beside) in tree.copath(slot).into_iter().enumerate() {
        let Some(beside) = beside else { continue };
        secret = agreement(group, &own, &beside, (slot.0 >> level) & 1 == 0);
        own = pair(&secret);
    }
    secret.expand(Label::Root, b"")
}

/// §5.1: the secret of a node with these two children.
pub(crate) fn agreement(
    group: &GroupId,
    own: &KeyPair,
    beside: &PublicKey,
    is_left: bool,
) -> Secret {
    let ends = if is_left { [own.public(), beside] } else { [beside, own.public()] };
    let context = [&group.0[..], &ends[0].as_bytes()[..], &ends[1].as_bytes()[..]].concat();
    Secret::extract(b"", own.agree(beside).expose()).expand(Label::Node, &context)
}

pub(crate) fn pair(secret: &Secret) -> KeyPair {
    KeyPair::derive(&secret.expand(Label::Key, b""))
}

/// The secrets of an epoch.
#[derive(Debug, Clone)]
pub(crate) struct EpochKeys {
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) confirmation: Secret,
    pub(crate) message: Secret,
}

/// §5.2.
pub(crate) fn joiner_secret(init: &Secret, root: &Secret) -> Secret {
    Secret::extract(init.expose(), root.expose())
}

/// §5.2.
pub(crate) fn external(joiner: &Secret) -> KeyPair {
    KeyPair::derive(&joiner.expand(Label::External, b""))
}

/// §5.2.
pub(crate) fn epoch_keys(joiner: &Secret, confirmed: &Digest) -> EpochKeys {
    let epoch = joiner.expand(Label::Epoch, &confirmed.0);
    EpochKeys {
        init: epoch.expand(Label::Init, b""),
        hedge: epoch.expand(Label::Hedge, b""),
        confirmation: epoch.expand(Label::ConfirmationKey, b""),
        message: epoch.expand(Label::MessageSecret, b""),
    }
}

/// §5.2: the pad of a wrap in a commit on `before`, from either side's key pair.
pub(crate) fn wrap_pad(
    before: &Roster,
    for_epoch: Epoch,
    mine: &KeyPair,
    theirs: &PublicKey,
    ends: [&PublicKey; 2],
) -> Secret {
    let context = [
        &before.group().0[..],
        &before.epoch().0.to_be_bytes(),
        &for_epoch.0.to_be_bytes(),
        &before.interim().0,
        &ends[0].as_bytes()[..],
        &ends[1].as_bytes()[..],
    ];
    let shared = Secret::extract(b"", mine.agree(theirs).expose());
    shared.expand(Label::RejoinWrap, &context.concat())
}

/// §4.6: `prk` of a leaf that its author has set for another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handing<'a> {
    pub(crate) group: &'a GroupId,
    /// n+1.
    pub(crate) epoch: Epoch,
    pub(crate) slot: Slot,
    pub(crate) author: &'a Fingerprint,
    pub(crate) member: &'a Fingerprint,
    pub(crate) prekey_hash: &'a Digest,
    pub(crate) ephemeral: &'a PublicKey,
}

impl Handing<'_> {
    pub(crate) fn prk(&self, shared: &Secret) -> Secret {
        let parts = [
            &self.group.0[..],
            &self.epoch.0.to_be_bytes(),
            &self.slot.0.to_be_bytes(),
            &self.author.0,
            &self.member.0,
            &self.prekey_hash.0,
            &self.ephemeral.as_bytes()[..],
        ];
        let bound = hash(Label::LeafOfAdd, &[&parts.concat()]);
        Secret::extract(&bound.0, shared.expose())
    }
}

/// §6.1: the secret of one generation of a sender's ratchet.
pub(crate) fn generation_secret(
    message: &Secret,
    height: u8,
    slot: u32,
    generation: u32,
) -> Secret {
    let mut secret = message.clone();
    for level in (0..height).rev() {
        let is_right = (slot >> level) & 1 == 1;
        let label = if is_right { Label::TreeRight } else { Label::TreeLeft };
        secret = secret.expand(label, b"");
    }
    for step in 0..generation {
        secret = secret.expand(Label::RatchetNext, &step.to_be_bytes());
    }
    secret.expand(Label::RatchetGeneration, &generation.to_be_bytes())
}

/// The log hash of a whole log whose places are 1, 2, 3…
pub(crate) fn log_hash(group: &GroupId, log: &[Vec<u8>]) -> Digest {
    let start = hash(Label::Log, &[&group.0]);
    (1_u64..).zip(log).fold(start, |before, (place, entry)| {
        hash(Label::Entry, &[&before.0, &place.to_be_bytes(), &sha256(entry).0])
    })
}
