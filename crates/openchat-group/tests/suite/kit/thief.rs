//! What somebody knows who has read some devices' memory and every entry of the log: the closure
//! of those secrets under everything that the protocol derives.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, Label, PublicKey, Secret};
use openchat_roster::{CommitEntry, NewLeaf, Operation, Outline, Roster};
use openchat_wire::{Epoch, Slot};

use super::{
    post::Ring,
    views::{Handing, SecretsView, epoch_keys, external, joiner_secret, root_from, wrap_pad},
};

/// Listens, and never acts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thief {
    leaves: Vec<(Slot, Secret)>,
    inits: BTreeMap<Epoch, Secret>,
    externals: BTreeMap<Epoch, KeyPair>,
    prekeys: Ring,
}

impl Thief {
    /// Reads a device's memory.
    pub(crate) fn steal(&mut self, secrets: &SecretsView) {
        self.leaves.push((secrets.slot, secrets.leaf.clone()));
        self.inits.insert(secrets.epoch, secrets.init.clone());
        self.externals.insert(secrets.epoch, secrets.external.clone());
    }

    /// Takes a device's prekeys.
    pub(crate) fn steal_prekeys(&mut self, ring: &Ring) {
        self.prekeys.prekeys.extend(ring.prekeys.clone());
    }

    pub(crate) fn knows(&self, epoch: Epoch) -> bool {
        self.inits.contains_key(&epoch)
    }

    /// Tries every secret on a commit; `after` is the group behind it.
    pub(crate) fn listen(&mut self, before: &Roster, entry: &CommitEntry, after: &Roster) {
        let commit = entry.view().unwrap();
        let outline = before.outline(&commit.author, &commit.operations, &commit.head).unwrap();
        self.take_leaves(before, &commit.author, &outline, commit.ephemeral.as_ref());
        let inits = self.inits_for(before, &commit.operations[0]);
        for (slot, leaf) in self.leaves.clone() {
            // Also from where the stolen leaf is no longer in the tree: the walk is tried anyway.
            let root = root_from(after.group(), after.tree(), slot, &leaf);
            for init in &inits {
                let joiner = joiner_secret(init, &root);
                let external = external(&joiner);
                if *external.public() == commit.external {
                    let keys = epoch_keys(&joiner, after.confirmed());
                    self.inits.insert(after.epoch(), keys.init);
                    self.externals.insert(after.epoch(), external);
                }
            }
        }
    }

    /// The leaf secrets that a stolen prekey gives.
    fn take_leaves(
        &mut self,
        before: &Roster,
        author: &openchat_wire::Fingerprint,
        outline: &Outline,
        ephemeral: Option<&PublicKey>,
    ) {
        let Some(ephemeral) = ephemeral else { return };
        for (slot, leaf) in outline.leaves() {
            let NewLeaf::Member { member, prekey_hash, .. } = leaf else { continue };
            let Some(prekey) = self.prekeys.prekeys.get(&prekey_hash) else { continue };
            let handing = Handing {
                group: before.group(),
                epoch: before.epoch().next(),
                slot,
                author,
                member: &member,
                prekey_hash: &prekey_hash,
                ephemeral,
            };
            let secret = handing.prk(&prekey.agree(ephemeral)).expand(Label::Leaf, b"");
            self.leaves.push((slot, secret));
        }
    }

    /// Every init secret that it can have for a commit, and those of other epochs too.
    fn inits_for(&self, before: &Roster, operation: &Operation) -> Vec<Secret> {
        let (wraps, ephemeral) = match operation {
            Operation::Join { wrap, ephemeral, .. } => (vec![*wrap], ephemeral),
            Operation::Rejoin { wraps, ephemeral } => (wraps.clone(), ephemeral),
            _ => return self.inits.values().cloned().collect(),
        };
        let opened = wraps.iter().filter_map(|wrap| {
            let own = self.externals.get(&wrap.epoch)?;
            let ends = [ephemeral, own.public()];
            let pad = wrap_pad(before, wrap.epoch, own, ephemeral, ends);
            Some(Secret::from_bytes(wrap.wrapped.0).xor(&pad))
        });
        opened.collect()
    }
}
