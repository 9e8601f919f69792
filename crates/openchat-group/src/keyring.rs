//! What a device has beside its groups: prekeys, and letters that came with commits.

use openchat_crypto::KeyPair;
use openchat_wire::{Blob, Digest, Epoch, GroupId};

/// A device's prekeys and letters, which are not any one group's.
pub trait Keyring {
    /// The prekey with this hash, private half included, if the device made it and still has it.
    /// It is asked for until the device has claimed the seat that it got by it: until then others
    /// may set the leaf again.
    fn prekey(&self, hash: &Digest) -> Option<KeyPair>;

    /// The letter that came with the commit of this group that leads to this epoch. It is asked for
    /// while that commit is read.
    fn letter(&self, group: &GroupId, epoch: Epoch) -> Option<Blob>;
}

/// No prekeys and no letters: of somebody who was neither added nor invited.
impl Keyring for () {
    fn prekey(&self, _hash: &Digest) -> Option<KeyPair> {
        None
    }

    fn letter(&self, _group: &GroupId, _epoch: Epoch) -> Option<Blob> {
        None
    }
}
