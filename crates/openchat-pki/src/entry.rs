//! What the CA did, as its transparency log tells it to everybody.

use crate::{member::MemberCertificate, serial::Serial};
use openchat_crypto::{PublicKey, Signature};
use openchat_wire::{
    DecodeError, Digest, Fingerprint, GroupId, GroupName, Name, UnixMillis, decode, encode,
};
use serde::{Deserialize, Serialize};

/// One thing that the CA did and everyone may see. Further kinds are appended: the order of the
/// variants is their encoding.
///
/// A reset is a [`Revoke`](Self::Revoke) and then an [`Issue`](Self::Issue); a renewal is one more
/// `Issue` for the same key. So the rule that a name has one key at a time needs two kinds only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A certificate was issued: for a name's first key, for its next one after a revocation, or
    /// once more for the key that it has.
    Issue {
        /// The member.
        name: Name,
        /// The certified key.
        fingerprint: Fingerprint,
        /// The certificate's serial number.
        serial: Serial,
        /// The certificate's last second.
        not_after: UnixMillis,
    },
    /// The name of an open group was given to a group, for ever.
    GroupName {
        /// The name, without `#`.
        name: GroupName,
        /// The group.
        group: GroupId,
    },
    /// A key is no longer its name's, from here on and for ever: revoked, or replaced by a reset.
    Revoke {
        /// The member.
        name: Name,
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The CA's key will be another, and the key that was says so
    /// ([`Rotation`](crate::Rotation)).
    Rotate {
        /// The pin of the CA's key up to here.
        from: Digest,
        /// The CA's key from here on.
        to: PublicKey,
        /// By the key that was.
        signature: Signature,
    },
    /// The CA's key was replaced without a word from the key that was: it is lost, or stolen.
    /// Nobody follows this unasked.
    Replace {
        /// The pin of the CA's key up to here.
        from: Digest,
        /// The CA's key from here on.
        to: PublicKey,
    },
}

/// Bytes of an entry. The longest so far takes 162.
pub const MAX_LOGGED: usize = 512;

/// Kinds of entries that this program knows.
const KINDS: u8 = 5;

impl Entry {
    /// The entry for a certificate that was issued.
    #[must_use]
    pub fn issue(certificate: &MemberCertificate) -> Self {
        Self::Issue {
            name: certificate.name().clone(),
            fingerprint: certificate.fingerprint(),
            serial: certificate.serial(),
            not_after: certificate.not_after(),
        }
    }

    /// The canonical bytes, which are hashed as a leaf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The entry that `bytes` are the canonical encoding of.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_LOGGED)
    }
}

/// What stands at a place of a log: whoever mirrors it keeps what it can't read, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// An entry.
    Entry(Entry),
    /// An entry of a kind that this program does not know yet.
    Unknown {
        /// The kind's number.
        kind: u8,
    },
    /// No entry at all: not even the program that wrote it could read it.
    Malformed,
}

impl Logged {
    /// Reads what stands in a log. Kinds below 128 are told by the first byte; there are no others.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        match (Entry::decode(bytes), bytes) {
            (Ok(entry), _) => Self::Entry(entry),
            (_, [kind @ KINDS..=0x7f, ..]) if bytes.len() <= MAX_LOGGED => {
                Self::Unknown { kind: *kind }
            }
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_kinds_of_later_programs_are_told_from_garbage() {
        assert_eq!(Logged::read(&[KINDS, 1, 2]), Logged::Unknown { kind: KINDS });
        assert_eq!(Logged::read(&[0x7f]), Logged::Unknown { kind: 0x7f });
        for garbage in [&[][..], &[0], &[4, 1], &[0x80, 0], &[0x85, 0], &[9; MAX_LOGGED + 1]] {
            assert_eq!(Logged::read(garbage), Logged::Malformed, "{garbage:?}");
        }
    }

    #[test]
    fn no_entry_has_a_number_that_counts_as_unknown() {
        let last = Entry::Replace { from: Digest([1; 32]), to: key() };
        assert_eq!(last.encode().first(), Some(&(KINDS - 1)));
        assert_eq!(Logged::read(&last.encode()), Logged::Entry(last));
    }

    fn key() -> PublicKey {
        *openchat_crypto::KeyPair::derive(&openchat_crypto::Secret::from_bytes([1; 32])).public()
    }
}
