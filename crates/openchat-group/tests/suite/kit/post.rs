//! Prekeys that a device has made, letters that have come for it, and whoever forges those.

use std::collections::BTreeMap;

use openchat_crypto::{
    IdentityKey, KeyPair, Label, PublicKey, Secret, Signature, fernet::MessageKey,
};
use openchat_group::Keyring;
use openchat_roster::{Naming, Prekey, PrekeyKind, Roster, SignedPrekey};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, UnixMillis, decode, encode};
use serde::{Deserialize, Serialize};

use super::{rng::TestRng, views::Handing};

/// A day in these tests, when everybody's prekeys are valid.
pub(crate) const TODAY: UnixMillis = UnixMillis(1_700_000_000_000);

/// A month.
const LIFE: u64 = 30 * 24 * 3_600_000;

/// What a device has beside its groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring {
    pub(crate) prekeys: BTreeMap<Digest, KeyPair>,
    pub(crate) letters: BTreeMap<(GroupId, Epoch), Blob>,
}

impl Keyring for Ring {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        self.prekeys.get(hash).cloned()
    }

    fn letter(&self, group: &GroupId, epoch: Epoch) -> Option<Blob> {
        self.letters.get(&(*group, epoch)).cloned()
    }
}

impl Ring {
    /// A new prekey, as the relay gives it out.
    pub(crate) fn publish(
        &mut self,
        kind: PrekeyKind,
        owner: &IdentityKey,
        rng: &mut TestRng,
    ) -> SignedPrekey {
        let pair = KeyPair::derive(&Secret::random(rng));
        let mut id = [0; 16];
        id.copy_from_slice(&Secret::random(rng).expose()[..16]);
        let prekey = Prekey {
            owner: owner.fingerprint(),
            kind,
            id,
            key: *pair.public(),
            not_before: TODAY,
            not_after: UnixMillis(TODAY.0 + LIFE),
        };
        let signed = SignedPrekey::sign(&prekey, owner);
        self.prekeys.insert(signed.hash(), pair);
        signed
    }
}

/// §4.6: what a Welcome says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WelcomeView {
    pub(crate) author: Fingerprint,
    pub(crate) member: Fingerprint,
    pub(crate) group: GroupId,
    pub(crate) epoch: Epoch,
    pub(crate) interim: Digest,
    pub(crate) joiner: Secret,
    pub(crate) naming: Option<Naming>,
}

/// §4.6: a token of `body ‖ signature`.
pub(crate) fn token(key: &Secret, signer: &IdentityKey, label: Label, body: &[u8]) -> Blob {
    let signature = signer.sign(label, body);
    Blob(MessageKey::new(key.clone()).seal(&[body, signature.as_bytes()].concat()))
}

/// What a token holds: body and signature.
pub(crate) fn inside(key: &Secret, token: &[u8]) -> (Vec<u8>, Signature) {
    let opened = MessageKey::new(key.clone()).open(token).unwrap();
    let (body, signature) = opened.split_at(opened.len() - 64);
    (body.to_vec(), Signature::from_bytes(signature).unwrap())
}

/// The key of a Welcome, as its addressee derives it; `roster` is the one before the commit.
pub(crate) fn welcome_key(
    ring: &Ring,
    roster: &Roster,
    entry: &openchat_roster::CommitEntry,
    member: &Fingerprint,
) -> Secret {
    let commit = entry.view().unwrap();
    let outline = roster.outline(&commit.author, &commit.operations, &commit.head).unwrap();
    let of_member = |leaf: &openchat_roster::NewLeaf| match leaf {
        openchat_roster::NewLeaf::Member { member: who, prekey_hash, .. } if who == member => {
            Some(*prekey_hash)
        }
        _ => None,
    };
    let (slot, prekey_hash) =
        outline.leaves().find_map(|(slot, leaf)| Some((slot, of_member(&leaf)?))).unwrap();
    let ephemeral: PublicKey = commit.ephemeral.unwrap();
    let handing = Handing {
        group: roster.group(),
        epoch: roster.epoch().next(),
        slot,
        author: &commit.author,
        member,
        prekey_hash: &prekey_hash,
        ephemeral: &ephemeral,
    };
    let shared = ring.prekeys[&prekey_hash].agree(&ephemeral);
    handing.prk(&shared).expand(Label::Welcome, b"")
}

/// A Welcome, opened by its addressee's prekey.
pub(crate) fn open_welcome(key: &Secret, letter: &Blob) -> WelcomeView {
    decode(&inside(key, &letter.0).0, 1_024).unwrap()
}

pub(crate) fn seal_welcome(key: &Secret, signer: &IdentityKey, welcome: &WelcomeView) -> Blob {
    token(key, signer, Label::WelcomeLetter, &encode(welcome))
}
