//! Somebody with a valid key who makes commits that no honest device makes.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, KeyPair, Label, PublicKey, Secret, Tag, hash};
use openchat_roster::{
    Commit, CommitEntry, Entrant, LogEntry, NewLeaf, NodeIndex, Operation, Outline, Roster, Seen,
    Wrap,
};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, Seq, Slot, encode, relay::Letter};

use super::{
    device::{Act, Device, HEAD},
    post::{WelcomeView, seal_welcome},
    views::{
        Handing, PendingView, RatchetsView, SecretsView, agreement, epoch_keys, external,
        joiner_secret, pair, wrap_pad,
    },
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
    /// The agreements of these levels above the author are somebody else's; what stands above
    /// follows from them.
    Path(Vec<u8>),
    /// The leaves of other members don't follow from their prekeys.
    Leaves,
    /// The external key is another one; the tag is right all the same.
    External,
    /// The tag is another one.
    Tag,
    /// What is wrapped for each of these epochs is not s.
    Wrap(Vec<Epoch>),
}

/// Makes whole commits, by a second implementation of §4.5.
pub(crate) struct Liar<'a> {
    pub(crate) device: &'a mut Device,
}

/// What an author makes by itself.
struct Draw {
    leaves: BTreeMap<u32, Secret>,
    ephemeral: Option<PublicKey>,
    nodes: BTreeMap<NodeIndex, PublicKey>,
    root: Secret,
    /// Under which key each newcomer gets its Welcome.
    welcomes: Vec<(Fingerprint, Secret)>,
}

impl Liar<'_> {
    /// A commit with a lie in it. Its author keeps what follows from it, as if it were honest.
    pub(crate) fn commit(&mut self, act: Act, lie: &Lie) -> Vec<u8> {
        let tail = self.device.group.roster().epoch();
        self.commit_for(act, lie, &[tail])
    }

    /// As [`Self::commit`], wrapping for these epochs.
    pub(crate) fn commit_for(&mut self, act: Act, lie: &Lie, epochs: &[Epoch]) -> Vec<u8> {
        let (s, ephemeral) = (self.secret(), self.pair());
        let wraps: Vec<_> = epochs
            .iter()
            .map(|epoch| match lie {
                Lie::Wrap(spoilt) if spoilt.contains(epoch) => {
                    let other = self.secret();
                    self.wrapped(*epoch, &ephemeral, &other)
                }
                _ => self.wrapped(*epoch, &ephemeral, &s),
            })
            .collect();
        let ephemeral = *ephemeral.public();
        let (operation, init) = match act {
            Act::Update => (Operation::Update, SecretsView::of(&self.device.group).init),
            Act::Rejoin => (Operation::Rejoin { wraps, ephemeral }, s),
            Act::Join => {
                let Device { name, key, .. } = &*self.device;
                let entrant = Entrant { name: name.clone(), key: *key.public() };
                (Operation::Join { entrant, wrap: wraps[0], ephemeral, replaces: None }, s)
            }
        };
        self.commit_of(vec![operation], &init, lie)
    }

    /// A commit of any operations that need no fresh init secret.
    pub(crate) fn propose(&mut self, operations: Vec<Operation>, lie: &Lie) -> Vec<u8> {
        let init = SecretsView::of(&self.device.group).init;
        self.commit_of(operations, &init, lie)
    }

    fn commit_of(&mut self, operations: Vec<Operation>, init: &Secret, lie: &Lie) -> Vec<u8> {
        let before = self.device.group.roster().clone();
        let me = self.device.key.fingerprint();
        let outline = before.outline(&me, &operations, &HEAD).unwrap();
        let slot = outline.slot();
        let draw = self.draw(&before, &outline, lie);
        let leaf = match draw.leaves.get(&slot.0) {
            Some(leaf) => leaf.clone(),
            None => SecretsView::of(&self.device.group).leaf,
        };
        let joiner = joiner_secret(init, &draw.root);
        let mut external = external(&joiner);
        if *lie == Lie::External {
            external = self.pair();
        }
        let mut commit = Commit {
            author: me,
            group: *before.group(),
            epoch: before.epoch(),
            interim: *before.interim(),
            seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
            operations,
            ephemeral: draw.ephemeral,
            leaves: draw.leaves.iter().map(|(at, s)| (Slot(*at), *pair(s).public())).collect(),
            nodes: draw.nodes.iter().map(|(at, key)| (*at, *key)).collect(),
            tree_hash: Digest([0; 32]),
            external: *external.public(),
            head: HEAD,
        };
        let height = outline.height();
        commit.tree_hash = *before.draft(outline, &commit).unwrap().tree_hash();

        let bytes = commit.to_bytes();
        let confirmed = hash(Label::CommitConfirmed, &[&before.interim().0, &bytes.0]);
        let keys = epoch_keys(&joiner, &confirmed);
        let mut tag = keys.confirmation.tag(&confirmed.0);
        if *lie == Lie::Tag {
            tag.0[31] ^= 1;
        }
        let entry = resigned(&self.device.key, &commit, tag);
        let epoch = before.epoch().next();
        let (init, hedge) = (keys.init, keys.hedge);
        let secrets = SecretsView { epoch, slot, leaf, init, hedge, external };
        let nodes = BTreeMap::from([(NodeIndex { level: height, index: 0 }, keys.message)]);
        let ratchets = BTreeMap::new();
        let ratchets = RatchetsView { epoch, confirmed, height, nodes, ratchets };
        let interim = hash(Label::Interim, &[&confirmed.0, &tag.0]);
        let naming = self.device.naming.clone();
        let letters = draw.welcomes.iter().map(|(member, key)| {
            let (group, naming) = (*before.group(), naming.clone());
            let joiner = joiner.clone();
            let member = *member;
            let welcome = WelcomeView { author: me, member, group, epoch, interim, joiner, naming };
            Letter { to: member, sealed: seal_welcome(key, &self.device.key, &welcome) }
        });
        let (letters, entry) = (letters.collect(), Blob(entry));
        self.keep(&PendingView { entry: entry.clone(), letters, interim, secrets, ratchets });
        entry.0
    }

    /// Secrets of the changed leaves, and of everything above them, from below.
    fn draw(&mut self, before: &Roster, outline: &Outline, lie: &Lie) -> Draw {
        let e = self.pair();
        let (mut leaves, mut welcomes) = (BTreeMap::new(), Vec::new());
        for (slot, leaf) in outline.leaves() {
            let secret = match leaf {
                NewLeaf::Member { member, prekey, prekey_hash } => {
                    let handing = Handing {
                        group: before.group(),
                        epoch: before.epoch().next(),
                        slot,
                        author: &self.device.key.fingerprint(),
                        member: &member,
                        prekey_hash: &prekey_hash,
                        ephemeral: e.public(),
                    };
                    let prk = handing.prk(&e.agree(&prekey));
                    if before.seat(&member).is_none() {
                        welcomes.push((member, prk.expand(Label::Welcome, b"")));
                    }
                    match lie {
                        Lie::Leaves => self.secret(),
                        _ => prk.expand(Label::Leaf, b""),
                    }
                }
                _ => self.secret(),
            };
            leaves.insert(slot.0, secret);
        }
        let mut known = leaves.clone();
        let mut nodes = BTreeMap::new();
        for level in 1..=outline.height() {
            let mut above = BTreeMap::new();
            for (index, secret) in &known {
                let own = pair(secret);
                let beside = match known.get(&(index ^ 1)) {
                    Some(other) => Some(*pair(other).public()),
                    None => outline.unchanged_key(NodeIndex { level: level - 1, index: index ^ 1 }),
                };
                let Some(beside) = beside else {
                    above.insert(index >> 1, secret.clone());
                    continue;
                };
                let secret = agreement(before.group(), &own, &beside, index & 1 == 0);
                above.insert(index >> 1, secret);
            }
            let own = outline.slot().0 >> level;
            if matches!(lie, Lie::Path(levels) if levels.contains(&level)) {
                above.insert(own, self.secret());
            }
            known = above;
            for (index, secret) in &known {
                let at = NodeIndex { level, index: *index };
                if outline.agreements().contains(&at) {
                    nodes.insert(at, *pair(secret).public());
                }
            }
        }
        let root = known[&0].expand(Label::Root, b"");
        let ephemeral = outline.needs_ephemeral().then(|| *e.public());
        Draw { leaves, ephemeral, nodes, root, welcomes }
    }

    /// s, wrapped for whoever has the external private key of an epoch.
    fn wrapped(&self, epoch: Epoch, ephemeral: &KeyPair, s: &Secret) -> Wrap {
        let before = self.device.group.roster();
        let mut commits = self.device.approved.iter().map(|entry| entry.view().unwrap());
        let external = commits.find(|commit| commit.epoch.next() == epoch).unwrap().external;
        let pad = wrap_pad(before, epoch, ephemeral, &external, [ephemeral.public(), &external]);
        Wrap { epoch, wrapped: Digest(*s.xor(&pad).expose()) }
    }

    fn keep(&mut self, pending: &PendingView) {
        let mut vault = self.device.vault();
        vault.insert(openchat_group::StateKey::Pending, Blob(encode(pending)));
        self.device.restart_with(&vault);
    }

    fn secret(&mut self) -> Secret {
        Secret::random(&mut self.device.rng)
    }

    fn pair(&mut self) -> KeyPair {
        KeyPair::derive(&self.secret())
    }
}
