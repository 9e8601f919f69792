//! What of a group's secret half has to be stored, in records small enough that a message or a
//! commit changes a few of them, however large the group is.

use std::collections::BTreeMap;

use openchat_roster::{CommitFault, NodeIndex};
use openchat_wire::{Blob, DecodeError, Epoch, Slot, decode};
use zeroize::Zeroizing;

use crate::{
    author::Pending,
    schedule::Secrets,
    secret_tree::{EpochRatchets, Head},
};

/// More than any record has; what comes from one's own vault needs no closer limit.
const MAX_RECORD: usize = 16 * 1024 * 1024;

/// Names a record of one group's secret half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// The secrets of the last good epoch.
    Secrets,
    /// The commit that was made and not seen in the log.
    Pending,
    /// That there are message keys of an epoch.
    Epoch(Epoch),
    /// A node of an epoch's secret tree.
    Node(Epoch, NodeIndex),
    /// A sender's ratchet.
    Ratchet(Epoch, Slot),
}

/// Why a group can't be restored: the vault is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A commit does not fit those before it.
    #[error("a stored commit does not fit: {0}")]
    Commit(#[from] CommitFault),
    /// A record is none.
    #[error("a stored record is damaged: {0}")]
    Record(#[from] DecodeError),
    /// Message keys of an epoch that nothing else is known of.
    #[error("a stored message key belongs to no epoch")]
    Stray,
}

impl StateKey {
    /// Bytes that sort as the keys do.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, epoch): (u8, Option<&Epoch>) = match self {
            Self::Secrets => (0, None),
            Self::Pending => (1, None),
            Self::Epoch(epoch) => (2, Some(epoch)),
            Self::Node(epoch, _) => (3, Some(epoch)),
            Self::Ratchet(epoch, _) => (4, Some(epoch)),
        };
        let mut bytes = vec![kind];
        bytes.extend(epoch.iter().flat_map(|epoch| epoch.0.to_be_bytes()));
        match self {
            Self::Node(_, at) => {
                bytes.push(at.level);
                bytes.extend(at.index.to_be_bytes());
            }
            Self::Ratchet(_, slot) => bytes.extend(slot.0.to_be_bytes()),
            Self::Secrets | Self::Pending | Self::Epoch(_) => {}
        }
        bytes
    }

    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match (kind, rest) {
            (0, []) => return Some(Self::Secrets),
            (1, []) => return Some(Self::Pending),
            _ => {}
        }
        let (epoch, rest) = rest.split_first_chunk()?;
        let epoch = Epoch(u64::from_be_bytes(*epoch));
        match (kind, rest) {
            (2, []) => Some(Self::Epoch(epoch)),
            (3, [level, index @ ..]) => {
                let index = u32::from_be_bytes(index.try_into().ok()?);
                Some(Self::Node(epoch, NodeIndex { level: *level, index }))
            }
            (4, slot) => {
                Some(Self::Ratchet(epoch, Slot(u32::from_be_bytes(slot.try_into().ok()?))))
            }
            _ => None,
        }
    }
}

/// The secret half, from its records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) secrets: Option<Secrets>,
    pub(crate) pending: Option<Pending>,
    pub(crate) ratchets: BTreeMap<Epoch, EpochRatchets>,
}

impl Records {
    /// All of them, in whatever order.
    pub(crate) fn read(
        records: impl IntoIterator<Item = (StateKey, Blob)>,
    ) -> Result<Self, RestoreError> {
        let mut all = Self::default();
        let records: BTreeMap<StateKey, Blob> = records.into_iter().collect();
        // Epochs sort before what belongs to them.
        for (key, Blob(bytes)) in records {
            let bytes = Zeroizing::new(bytes);
            match key {
                StateKey::Secrets => all.secrets = Some(decode(&bytes, MAX_RECORD)?),
                StateKey::Pending => all.pending = Some(decode(&bytes, MAX_RECORD)?),
                StateKey::Epoch(epoch) => {
                    let head: Head = decode(&bytes, MAX_RECORD)?;
                    all.ratchets.insert(epoch, EpochRatchets::restored(epoch, head));
                }
                StateKey::Node(epoch, at) => {
                    all.epoch(epoch)?.put_node(at, decode(&bytes, MAX_RECORD)?);
                }
                StateKey::Ratchet(epoch, slot) => {
                    all.epoch(epoch)?.put_sender(slot, decode(&bytes, MAX_RECORD)?);
                }
            }
        }
        Ok(all)
    }

    fn epoch(&mut self, epoch: Epoch) -> Result<&mut EpochRatchets, RestoreError> {
        self.ratchets.get_mut(&epoch).ok_or(RestoreError::Stray)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = StateKey> {
        let at = |(level, index)| NodeIndex { level, index };
        prop_oneof![
            Just(StateKey::Secrets),
            Just(StateKey::Pending),
            any::<u64>().prop_map(|epoch| StateKey::Epoch(Epoch(epoch))),
            (any::<u64>(), any::<(u8, u32)>())
                .prop_map(move |(epoch, node)| StateKey::Node(Epoch(epoch), at(node))),
            any::<(u64, u32)>().prop_map(|(e, s)| StateKey::Ratchet(Epoch(e), Slot(s))),
        ]
    }

    proptest! {
        #[test]
        fn keys_come_back_and_sort_as_their_bytes(one in keys(), other in keys()) {
            prop_assert_eq!(StateKey::from_bytes(&one.to_bytes()), Some(one));
            prop_assert_eq!(one.cmp(&other), one.to_bytes().cmp(&other.to_bytes()));
        }

        #[test]
        fn bytes_are_one_key_or_none(bytes: Vec<u8>) {
            if let Some(key) = StateKey::from_bytes(&bytes) {
                prop_assert_eq!(key.to_bytes(), bytes);
            }
        }
    }
}
