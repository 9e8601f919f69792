//! Letters to people whom a commit adds or admits (`docs/protocol.md` §4.6).

use openchat_crypto::{
    IdentityKey, KeyPair, Label, PublicKey, Secret, Signature, fernet::MessageKey, hash,
};
use openchat_roster::{Access, Naming, Policy, SignedPrekey};
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, GroupId, decode, encode, limits::MAX_LETTER,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{keyring::Keyring, schedule::Joiner};

/// Bytes of a signature, behind what it signs.
const SIGNATURE: usize = 64;

/// Why a letter tells nothing. Nobody else can see it, so that nobody is accused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterFault {
    /// There is none.
    #[error("no letter came with the commit")]
    Missing,
    /// W1: made with a prekey that this device does not have, or no longer.
    #[error("W1: its prekey is not this device's, or gone")]
    Prekey,
    /// W1: another key's, or damaged.
    #[error("W1: it does not open")]
    Sealed,
    /// W1: inside is not what a letter has.
    #[error("W1: it is malformed")]
    Encoding,
    /// W1: not from the commit's author to this device.
    #[error("W1: its author or its addressee is another")]
    Parties,
    /// W1: not signed by the commit's author.
    #[error("W1: it is not signed by the commit's author")]
    Signature,
    /// W2: it names another commit.
    #[error("W2: it belongs to another commit")]
    Commit,
    /// W3: it names the group otherwise than the group's policy does.
    #[error("W3: its name is not the group's")]
    Naming,
    /// W4: the secret in it is not the epoch's.
    #[error("W4: its secret is not that of the epoch")]
    Secret,
}

/// The commit that a letter came with, and the device that reads it.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// The epoch that the commit led to.
    pub epoch: Epoch,
    /// The interim hash that names the commit.
    pub interim: &'a Digest,
    /// The group's policy.
    pub policy: &'a Policy,
    /// The commit's author.
    pub author: &'a PublicKey,
    /// This device.
    pub me: &'a Fingerprint,
}

/// What an invitation to a group says: its author has admitted this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Who invites. First, because every signed body begins with its signer.
    pub author: Fingerprint,
    /// Who is invited.
    pub member: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The epoch that the admission led to.
    pub epoch: Epoch,
    /// The interim hash that names the admission.
    pub interim: Digest,
    /// The name of a closed group.
    pub naming: Option<Naming>,
}

/// What a Welcome says: how an added member comes to the epoch's secrets. It travels sealed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) author: Fingerprint,
    pub(crate) member: Fingerprint,
    pub(crate) group: GroupId,
    pub(crate) epoch: Epoch,
    pub(crate) interim: Digest,
    pub(crate) joiner: Secret,
    pub(crate) naming: Option<Naming>,
}

/// Who writes letters, and about which commit.
pub(crate) struct Sender<'a> {
    pub(crate) key: &'a IdentityKey,
    pub(crate) author: &'a Fingerprint,
    pub(crate) group: &'a GroupId,
    pub(crate) epoch: Epoch,
    pub(crate) interim: Digest,
    pub(crate) naming: Option<&'a Naming>,
}

impl Sender<'_> {
    /// A Welcome, under the key that came of the member's prekey.
    pub(crate) fn welcome(&self, member: &Fingerprint, key: Secret, joiner: &Joiner) -> Blob {
        let welcome = Welcome {
            author: *self.author,
            member: *member,
            group: *self.group,
            epoch: self.epoch,
            interim: self.interim,
            joiner: joiner.secret().clone(),
            naming: self.naming.cloned(),
        };
        let body = Zeroizing::new(encode(&welcome));
        Blob(sealed(self.key, Label::WelcomeLetter, &body, key))
    }

    /// An invitation to the holder of a prekey.
    pub(crate) fn invitation(
        &self,
        member: &Fingerprint,
        prekey: &SignedPrekey,
        public: &PublicKey,
        ephemeral: &KeyPair,
    ) -> Blob {
        let invite = Invite {
            author: *self.author,
            member: *member,
            group: *self.group,
            epoch: self.epoch,
            interim: self.interim,
            naming: self.naming.cloned(),
        };
        let prekey_hash = prekey.hash();
        let bound = Admission {
            group: self.group,
            epoch: self.epoch,
            author: self.author,
            member,
            prekey_hash: &prekey_hash,
            ephemeral: ephemeral.public(),
        };
        let key = bound.key(&ephemeral.agree(public));
        let token = sealed(self.key, Label::InvitationLetter, &encode(&invite), key);
        Blob([&prekey_hash.0, ephemeral.public().as_bytes().as_slice(), &token].concat())
    }
}

/// Opens an invitation that came with a commit.
///
/// # Errors
/// [`LetterFault`]: W1, W2 or W3.
pub fn open_invitation(
    letter: &[u8],
    occasion: &Occasion<'_>,
    keyring: &dyn Keyring,
) -> Result<Invite, LetterFault> {
    let (prekey_hash, rest) = letter.split_first_chunk::<32>().ok_or(LetterFault::Encoding)?;
    let (ephemeral, token) = rest.split_first_chunk::<65>().ok_or(LetterFault::Encoding)?;
    let prekey_hash = Digest(*prekey_hash);
    let pair = keyring.prekey(&prekey_hash).ok_or(LetterFault::Prekey)?;
    let ephemeral = PublicKey::from_bytes(ephemeral).map_err(|_| LetterFault::Encoding)?;
    let author = occasion.author.fingerprint();
    let bound = Admission {
        group: occasion.group,
        epoch: occasion.epoch,
        author: &author,
        member: occasion.me,
        prekey_hash: &prekey_hash,
        ephemeral: &ephemeral,
    };
    let key = bound.key(&pair.agree(&ephemeral));
    let invite: Invite = occasion.unsealed(Label::InvitationLetter, token, key)?;
    occasion.check_parties(&invite.author, &invite.member)?;
    occasion.check(&invite.group, invite.epoch, &invite.interim, invite.naming.as_ref())?;
    Ok(invite)
}

/// Opens a Welcome, up to W3; W4 is the epoch's.
pub(crate) fn open_welcome(
    letter: &[u8],
    occasion: &Occasion<'_>,
    key: Secret,
) -> Result<Welcome, LetterFault> {
    let welcome: Welcome = occasion.unsealed(Label::WelcomeLetter, letter, key)?;
    occasion.check_parties(&welcome.author, &welcome.member)?;
    occasion.check(&welcome.group, welcome.epoch, &welcome.interim, welcome.naming.as_ref())?;
    Ok(welcome)
}

/// W3: a closed group has the name that its policy commits to, any other group has none to tell.
pub(crate) fn is_naming_of(policy: &Policy, naming: Option<&Naming>) -> bool {
    match (&policy.access, naming) {
        (Access::Closed { name_hash }, Some(naming)) => naming.hash() == *name_hash,
        (Access::Closed { .. }, None) | (_, Some(_)) => false,
        (_, None) => true,
    }
}

impl Occasion<'_> {
    /// W1, but for the parties: the token opens and its author has signed what is inside.
    fn unsealed<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        label: Label,
        token: &[u8],
        key: Secret,
    ) -> Result<T, LetterFault> {
        let opened = MessageKey::new(key).open(token).map_err(|_| LetterFault::Sealed)?;
        let opened = Zeroizing::new(opened);
        let (body, signature) = opened.split_last_chunk().ok_or(LetterFault::Encoding)?;
        let signature: &[u8; SIGNATURE] = signature;
        let signature = Signature::from_bytes(signature).map_err(|_| LetterFault::Encoding)?;
        self.author.verify(label, body, &signature).map_err(|_| LetterFault::Signature)?;
        decode(body, MAX_LETTER).map_err(|_| LetterFault::Encoding)
    }

    fn check_parties(&self, author: &Fingerprint, member: &Fingerprint) -> Result<(), LetterFault> {
        let is_right = *author == self.author.fingerprint() && member == self.me;
        is_right.then_some(()).ok_or(LetterFault::Parties)
    }

    /// W2, W3.
    fn check(
        &self,
        group: &GroupId,
        epoch: Epoch,
        interim: &Digest,
        naming: Option<&Naming>,
    ) -> Result<(), LetterFault> {
        if (group, epoch, interim) != (self.group, self.epoch, self.interim) {
            return Err(LetterFault::Commit);
        }
        is_naming_of(self.policy, naming).then_some(()).ok_or(LetterFault::Naming)
    }
}

/// What the key of an invitation is bound to.
struct Admission<'a> {
    group: &'a GroupId,
    epoch: Epoch,
    author: &'a Fingerprint,
    member: &'a Fingerprint,
    prekey_hash: &'a Digest,
    ephemeral: &'a PublicKey,
}

impl Admission<'_> {
    /// `Expand(Extract(A', ECDH(e', P)), "group invitation")`
    fn key(&self, shared: &Secret) -> Secret {
        let parts: [&[u8]; 6] = [
            &self.group.0,
            &self.epoch.0.to_be_bytes(),
            &self.author.0,
            &self.member.0,
            &self.prekey_hash.0,
            self.ephemeral.as_bytes(),
        ];
        let context = hash(Label::Admission, &parts);
        Secret::extract(&context.0, shared.expose()).expand(Label::GroupInvitation, b"")
    }
}

/// A token of `body ‖ signature`.
fn sealed(author: &IdentityKey, label: Label, body: &[u8], key: Secret) -> Vec<u8> {
    let signature = author.sign(label, body);
    let signed = Zeroizing::new([body, signature.as_bytes()].concat());
    MessageKey::new(key).seal(&signed)
}
