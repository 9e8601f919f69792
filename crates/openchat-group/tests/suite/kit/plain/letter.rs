//! §4.6: Welcomes and invitations.

use openchat_crypto::{IdentityKey, KeyPair, PublicKey, Secret, Signature, fernet::MessageKey};

use super::{
    bytes::{Reader, number, option, sized},
    prim::{Fpr, Hash, ecdh, expand, extract, hash, is_signed, sign},
};

/// A closed group's name and salt.
pub(crate) type Naming = (String, Hash);

/// What a letter says, and of which commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) author: Fpr,
    pub(crate) member: Fpr,
    pub(crate) group: Hash,
    pub(crate) epoch: u64,
    pub(crate) interim: Hash,
    /// Only in a Welcome.
    pub(crate) joiner: Option<Secret>,
    pub(crate) naming: Option<Naming>,
}

const WELCOME: &str = "welcome letter";
const INVITATION: &str = "group invitation letter";

impl Letter {
    fn label(&self) -> &'static str {
        if self.joiner.is_some() { WELCOME } else { INVITATION }
    }

    fn write(&self) -> Vec<u8> {
        let joiner = self.joiner.as_ref().map_or(&[][..], |secret| &secret.expose()[..]);
        let naming = option(self.naming.as_ref(), |(name, salt)| {
            [&sized(name.as_bytes())[..], salt].concat()
        });
        let epoch = number(self.epoch);
        [&self.author[..], &self.member, &self.group, &epoch, &self.interim, joiner, &naming]
            .concat()
    }

    fn read(bytes: &[u8], is_welcome: bool) -> Option<Self> {
        Reader::all(bytes, |r| {
            Some(Self {
                author: r.array()?,
                member: r.array()?,
                group: r.array()?,
                epoch: r.u64()?,
                interim: r.array()?,
                joiner: if is_welcome { Some(Secret::from_bytes(r.array()?)) } else { None },
                naming: r.option(|r| Some((r.name()?, r.array()?)))?,
            })
        })
    }

    /// What a letter's token holds.
    pub(crate) fn signed(&self, key: &IdentityKey) -> Vec<u8> {
        let body = self.write();
        let signature = sign(key, self.label(), &body);
        [&body[..], signature.as_bytes()].concat()
    }

    /// The letter in a token's plaintext, if the key signed it.
    pub(crate) fn verified(plain: &[u8], is_welcome: bool, author: &PublicKey) -> Option<Self> {
        let (body, signature) = plain.split_at_checked(plain.len().checked_sub(64)?)?;
        let letter = Self::read(body, is_welcome)?;
        let signature = Signature::from_bytes(signature).ok()?;
        is_signed(author, letter.label(), body, &signature).then_some(letter)
    }
}

pub(crate) fn open(key: &Secret, token: &[u8]) -> Option<Vec<u8>> {
    MessageKey::new(key.clone()).open(token).ok()
}

/// An invitation: by which prekey, the ephemeral key, the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invitation {
    pub(crate) prekey_hash: Hash,
    pub(crate) ephemeral: PublicKey,
    pub(crate) token: Vec<u8>,
}

impl Invitation {
    pub(crate) fn write(&self) -> Vec<u8> {
        [&self.prekey_hash[..], self.ephemeral.as_bytes(), &self.token].concat()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (prekey_hash, ephemeral) = (reader.array()?, reader.point()?);
        Some(Self { prekey_hash, ephemeral, token: reader.rest().to_vec() })
    }
}

/// The Fernet key of an invitation, from either side; `epoch` is the one that the commit led to.
pub(crate) fn invitation_key(
    (group, epoch): (&Hash, u64),
    [author, member]: [&Fpr; 2],
    prekey_hash: &Hash,
    ephemeral: &PublicKey,
    (mine, theirs): (&KeyPair, &PublicKey),
) -> Secret {
    let parts: [&[u8]; 6] =
        [group, &epoch.to_be_bytes(), author, member, prekey_hash, ephemeral.as_bytes()];
    let bound = hash("admission", &parts);
    expand(&extract(&bound, ecdh(mine, theirs).expose()), "group invitation", &[])
}
