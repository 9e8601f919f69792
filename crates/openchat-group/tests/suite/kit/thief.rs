//! What somebody knows who has read some devices' memory and every entry of the log: the closure
//! of those secrets under everything that the protocol derives.

use std::collections::BTreeMap;

use openchat_crypto::{KeyPair, Secret};
use openchat_roster::{CommitEntry, Operation};
use openchat_wire::Epoch;

use super::reference::{Reference, SecretsView, epoch_keys, joiner, wrap_pad};

/// Listens, and never acts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thief {
    leaves: Vec<(usize, Secret)>,
    inits: BTreeMap<Epoch, Secret>,
    externals: BTreeMap<Epoch, KeyPair>,
}

impl Thief {
    /// Reads a device's memory.
    pub(crate) fn steal(&mut self, secrets: &SecretsView) {
        let slot = usize::try_from(secrets.slot.0).unwrap();
        self.leaves.push((slot, secrets.leaf.clone()));
        self.inits.insert(secrets.epoch, secrets.init.clone());
        self.externals.insert(secrets.epoch, secrets.external.clone());
    }

    pub(crate) fn knows(&self, epoch: Epoch) -> bool {
        self.inits.contains_key(&epoch)
    }

    /// Tries every secret on a commit; `after` is the group behind it.
    pub(crate) fn listen(&mut self, before: &Reference, entry: &CommitEntry, after: &Reference) {
        let commit = entry.view().unwrap();
        let inits = self.inits_for(before, &commit.operations[0]);
        for (slot, leaf) in self.leaves.clone() {
            // Also from where the stolen leaf is no longer in the tree: the walk is tried anyway.
            let root = after.walk(slot, &leaf).root;
            for init in &inits {
                let (joiner, external) = joiner(init, &root);
                if *external.public() == commit.external {
                    let keys = epoch_keys(&joiner, &after.confirmed);
                    self.inits.insert(after.epoch, keys.init);
                    self.externals.insert(after.epoch, external);
                }
            }
        }
    }

    /// Every init secret that it can have for a commit, and those of other epochs too.
    fn inits_for(&self, before: &Reference, operation: &Operation) -> Vec<Secret> {
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
