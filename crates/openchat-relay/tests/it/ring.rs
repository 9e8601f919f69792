//! What a person has beside its groups: the private halves of prekeys, and letters.

use crate::people::TestRng;
use openchat_crypto::{IdentityKey, KeyPair, Secret};
use openchat_group::Keyring;
use openchat_roster::{Prekey, PrekeyKind, SignedPrekey};
use openchat_wire::{Blob, Digest, Epoch, GroupId, UnixMillis, limits::PREKEY_LIFE};
use rand_core::Rng as _;
use std::{cell::RefCell, collections::BTreeMap};

#[derive(Default)]
pub(crate) struct Ring {
    prekeys: RefCell<BTreeMap<[u8; 32], KeyPair>>,
    letters: RefCell<BTreeMap<(GroupId, Epoch), Blob>>,
}

impl Ring {
    pub(crate) fn one_time(
        &self,
        owner: &IdentityKey,
        now: UnixMillis,
        rng: &mut TestRng,
    ) -> SignedPrekey {
        self.of_kind(PrekeyKind::OneTime, owner, now, rng)
    }

    pub(crate) fn of_kind(
        &self,
        kind: PrekeyKind,
        owner: &IdentityKey,
        now: UnixMillis,
        rng: &mut TestRng,
    ) -> SignedPrekey {
        self.signed(owner, rng, |prekey| {
            (prekey.kind, prekey.not_before, prekey.not_after) =
                (kind, now, now.after(PREKEY_LIFE));
        })
    }

    /// A prekey that says what `edit` makes of it.
    pub(crate) fn signed(
        &self,
        owner: &IdentityKey,
        rng: &mut TestRng,
        edit: impl FnOnce(&mut Prekey),
    ) -> SignedPrekey {
        let (mut id, mut seed) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut seed);
        let pair = KeyPair::derive(&Secret::from_bytes(seed));
        let mut prekey = Prekey {
            owner: owner.fingerprint(),
            kind: PrekeyKind::OneTime,
            id,
            key: *pair.public(),
            not_before: UnixMillis(0),
            not_after: UnixMillis(0),
        };
        edit(&mut prekey);
        let signed = SignedPrekey::sign(&prekey, owner);
        self.prekeys.borrow_mut().insert(signed.hash().0, pair);
        signed
    }

    pub(crate) fn put_letter(&self, group: GroupId, epoch: Epoch, letter: Blob) {
        self.letters.borrow_mut().insert((group, epoch), letter);
    }
}

impl Keyring for Ring {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        self.prekeys.borrow().get(&hash.0).cloned()
    }

    fn letter(&self, group: &GroupId, epoch: Epoch) -> Option<Blob> {
        self.letters.borrow().get(&(*group, epoch)).cloned()
    }
}
