//! Commits as they travel: what moves a group from epoch n to n+1 (`docs/protocol.md` §4).

use openchat_crypto::{Label, PublicKey, Signature, Tag, hash};
use openchat_wire::{
    Blob, DecodeError, Digest, Epoch, Fingerprint, GroupId, Name, Seq, Slot, decode, encode,
    limits::{MAX_COMMIT, MAX_MEMBERS},
};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    leave::LeaveEntry,
    policy::{Person, Policy, Rules},
    prekey::SignedPrekey,
    revocation::Revocation,
    seat::Role,
    tree::NodeIndex,
};

/// Operations of one commit: a creation may come to list all its members, one each. The shortest
/// takes one byte as it travels and 200 in memory, so that without this limit a commit of
/// [`MAX_COMMIT`] bytes would take half a gigabyte before anybody has looked at its signature.
const MAX_OPERATIONS: usize = MAX_MEMBERS;

/// A commit in the log: its signed bytes C, the confirmation tag, the author's signature over
/// `C ‖ tag`. Nothing in it is verified until [`crate::Roster::check`] has returned a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitEntry {
    /// The canonical encoding of a [`Commit`].
    pub commit: Blob,
    /// HMAC under the new epoch's confirmation key; only members can check it.
    pub tag: Tag,
    /// `Sig("commit", C ‖ tag)`.
    pub signature: Signature,
}

impl CommitEntry {
    /// What the bytes say, unverified.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but one canonical commit of bounded size.
    pub fn view(&self) -> Result<Commit, DecodeError> {
        decode(&self.commit.0, MAX_COMMIT)
    }

    /// The bytes that the author signed: `C ‖ tag`, and C begins with the author's fingerprint.
    #[must_use]
    pub fn signed_bytes(commit: &Blob, tag: &Tag) -> Vec<u8> {
        [commit.as_ref(), &tag.0].concat()
    }

    /// `confirmed = H(interim_n ‖ C)`: what the confirmation tag covers.
    #[must_use]
    pub fn confirmed(interim: &Digest, commit: &Blob) -> Digest {
        hash(Label::CommitConfirmed, &[&interim.0, &commit.0])
    }

    /// `interim_{n+1} = H(confirmed ‖ tag)`: names this commit and all before it.
    #[must_use]
    pub fn interim(confirmed: &Digest, tag: &Tag) -> Digest {
        hash(Label::Interim, &[&confirmed.0, &tag.0])
    }
}

/// What a commit says (C). Field order is the encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Who made it. First, because every signed body begins with its signer.
    pub author: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The epoch n that it starts from; 0 for the commit that creates the group.
    pub epoch: Epoch,
    /// `interim_n`; 32 zero bytes for the commit that creates the group.
    pub interim: Digest,
    /// The author's last log entry and log hash when it was made. Never judged for validity.
    pub seen: Seen,
    /// What is done, in the order of `docs/protocol.md` §4.3. More than [`MAX_MEMBERS`] don't
    /// decode.
    #[serde(deserialize_with = "bounded_operations")]
    pub operations: Vec<Operation>,
    /// E: with it the members to whom changed leaves belong find their secrets. There exactly when
    /// such a leaf is.
    pub ephemeral: Option<PublicKey>,
    /// New keys of leaves, by slot.
    pub leaves: Vec<(Slot, PublicKey)>,
    /// New keys of inner nodes with two non-empty children, by level, then index.
    pub nodes: Vec<(NodeIndex, PublicKey)>,
    /// The tree hash after the commit.
    pub tree_hash: Digest,
    /// Public half of the new epoch's external key: newcomers wrap a secret to it.
    pub external: PublicKey,
    /// The newest transparency head that the author holds.
    pub head: HeadRef,
}

impl Commit {
    /// The signed bytes C.
    #[must_use]
    pub fn to_bytes(&self) -> Blob {
        Blob(encode(self))
    }
}

/// A place in the log and the log hash there, as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The place.
    pub seq: Seq,
    /// The log hash there.
    pub log_hash: Digest,
}

/// A transparency head, by what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRef {
    /// Entries covered.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
}

/// One operation of a commit.
///
/// The order of the variants is the order in which a commit lists them. Later operations get
/// variants of their own; a program that does not know one stops following the group rather than
/// skip it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The group begins, with its author on the first slot as admin.
    Create {
        /// Makes the group's id unlike any other of the same author.
        nonce: Digest,
        /// What group it is.
        policy: Policy,
        /// The author.
        entrant: Entrant,
    },
    /// The author takes the lowest free slot by itself.
    Join {
        /// The author.
        entrant: Entrant,
        /// A fresh init secret for those inside, wrapped to epoch n's external key.
        wrap: Wrap,
        /// The author's one-time key of the wrap.
        ephemeral: PublicKey,
        /// The key of the seat with the author's own name was revoked: that seat is removed.
        replaces: Option<Revocation>,
    },
    /// A seated author whose secret state is damaged or lost comes back on its own slot.
    Rejoin {
        /// The fresh init secret, wrapped for the tail and for those who are stuck earlier.
        wraps: Vec<Wrap>,
        /// The author's one-time key of the wraps.
        ephemeral: PublicKey,
    },
    /// Somebody loses its seat or its admission.
    Remove {
        /// Who.
        member: Fingerprint,
        /// Why.
        reason: Reason,
    },
    /// Somebody is seated at once, online or not.
    Add {
        /// Who.
        entrant: Entrant,
        /// A prekey of that person, from which it finds its leaf's secret.
        prekey: SignedPrekey,
    },
    /// The author renews the secrets of the leaves it owns.
    Update,
    /// Somebody may take a seat by itself.
    Admit(Person),
    /// The group has other rules from here on.
    Rules(Rules),
    /// Somebody is no longer denied.
    Lift(Fingerprint),
    /// A member may do other things from here on.
    Role {
        /// Who.
        member: Fingerprint,
        /// Its new role.
        role: Role,
    },
}

/// Why somebody is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// An admin wants it.
    Evicted,
    /// The removed wants it.
    Left(LeaveEntry),
    /// Its key was revoked.
    Revoked(Revocation),
}

impl Operation {
    /// The place of its kind in a commit; the index of its encoding.
    #[must_use]
    pub const fn index(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Join { .. } => 1,
            Self::Rejoin { .. } => 2,
            Self::Remove { .. } => 3,
            Self::Add { .. } => 4,
            Self::Update => 5,
            Self::Admit(_) => 6,
            Self::Rules(_) => 7,
            Self::Lift(_) => 8,
            Self::Role { .. } => 9,
        }
    }

    /// Whom it is about, where a commit lists several of a kind by fingerprint.
    #[must_use]
    pub const fn about(&self) -> Option<&Fingerprint> {
        match self {
            Self::Remove { member, .. } | Self::Role { member, .. } | Self::Lift(member) => {
                Some(member)
            }
            Self::Admit(person) => Some(&person.fingerprint),
            _ => None,
        }
    }
}

/// Who takes a seat: the name is certified elsewhere, the key signs from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrant {
    /// The certified name.
    pub name: Name,
    /// The identity key; its fingerprint is the commit's author.
    pub key: PublicKey,
}

/// A secret s, one-time padded for those who hold the external private key of epoch `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrap {
    /// The epoch j whose external key opens it.
    pub epoch: Epoch,
    /// `w_j = s xor Expand(…)`: 32 bytes that look random to everybody else.
    pub wrapped: Digest,
}

/// C1: at most [`MAX_OPERATIONS`], however many bytes there are.
fn bounded_operations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Operation>, D::Error> {
    struct Bounded;
    impl<'de> de::Visitor<'de> for Bounded {
        type Value = Vec<Operation>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a list of operations")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut operations = Vec::new();
            while let Some(operation) = list.next_element()? {
                if operations.len() == MAX_OPERATIONS {
                    return Err(de::Error::custom("too many operations"));
                }
                operations.push(operation);
            }
            Ok(operations)
        }
    }
    deserializer.deserialize_seq(Bounded)
}
