//! A mirror on disk: what is known after some entries, so that a start need not read them all.
//!
//! A checkpoint holds the signed head, one hash for every 32 entries, and the keys in order. The
//! hashes prove themselves: their root must be the head's. The keys are believed from the device's
//! own store, which has its pins and secrets too; that they fit together is checked.

use super::{
    Held, Mirror,
    index::{Index, Key, ShortName},
};
use crate::{
    rotation::Announcement,
    statement::ServerKeys,
    transparency::{HeadError, UnverifiedHead},
    tree::{BLOCK, HashTree},
};
use core::num::NonZeroU64;
use openchat_wire::{
    Blob, DecodeError, Digest, Fingerprint, GroupId, GroupName, Name, UnixMillis, decode, encode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The layout that follows. Another one is no fault: the mirror is then made from its entries.
const VERSION: u8 = 1;

/// Bytes of a checkpoint: three million keys'. What is longer was not written here.
const MAX_CHECKPOINT: usize = 256 << 20;

/// Entries after which a checkpoint is worth its bytes, at least.
const LEAST: u64 = 1_024;

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    version: u8,
    head: Blob,
    blocks: Vec<Digest>,
    /// The leaves after the last full block.
    leaves: Vec<Digest>,
    keys: Vec<Line>,
    groups: Vec<(GroupName, GroupId)>,
    announcements: Vec<Announcement>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    fingerprint: Fingerprint,
    owner: Name,
    since: u64,
    not_after: UnixMillis,
    revoked: Option<NonZeroU64>,
}

impl Mirror {
    /// Whether so many entries came since the last checkpoint that the next is due: an eighth of
    /// all, so that all checkpoints together cost a small multiple of the last one.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        let since = self.size().saturating_sub(self.kept);
        since >= LEAST.max(self.size() / 8)
    }

    /// The mirror as it is, to be stored; none before its first head. The entries after the last
    /// full block are read again, at most 31. None if the store has others than were mirrored.
    pub fn checkpoint(&mut self, mut entry: impl FnMut(u64) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let held = self.held.as_ref()?;
        let line = |(of, key): (&Fingerprint, &Key)| {
            let Key { since, not_after, revoked, .. } = *key;
            Some(Line { fingerprint: *of, owner: key.owner.name()?, since, not_after, revoked })
        };
        let checkpoint = Checkpoint {
            version: VERSION,
            head: Blob(held.signed.clone()),
            blocks: self.tree.blocks().to_vec(),
            leaves: self.tree.last_leaves(&mut entry)?,
            keys: self.index.keys.iter().map(line).collect::<Option<_>>()?,
            groups: self.index.groups.iter().map(|(name, group)| (name.clone(), *group)).collect(),
            announcements: self.index.announcements.clone(),
        };
        self.kept = self.size();
        Some(encode(&checkpoint))
    }

    /// The mirror that a checkpoint was made of. Entries stored after it are to be given to
    /// [`extend`](Self::extend) with the newest head that was stored. The watch is the caller's to
    /// set again.
    ///
    /// # Errors
    /// [`CheckpointFault`]; the mirror is then to be made of its entries anew.
    pub fn restore(keys: &ServerKeys, checkpoint: &[u8]) -> Result<Self, CheckpointFault> {
        if checkpoint.first() != Some(&VERSION) {
            return Err(CheckpointFault::Version);
        }
        let read: Checkpoint = decode(checkpoint, MAX_CHECKPOINT)?;
        let unverified = UnverifiedHead::decode(&read.head.0)?;
        let head = unverified.verify(&keys.log_key, &keys.log_id)?;
        let tree = HashTree::from_blocks(&read.blocks, &read.leaves);
        let tree = tree.ok_or(CheckpointFault::Inconsistent)?;
        if (tree.size(), tree.root()) != (head.size, head.root) {
            return Err(CheckpointFault::OtherHead);
        }
        let index = index(read.keys, read.groups, read.announcements, head.size);
        let index = index.ok_or(CheckpointFault::Inconsistent)?;
        Ok(Self {
            tree,
            index,
            held: Some(Held { head, signed: read.head.0 }),
            kept: head.size,
            ..Self::new(keys)
        })
    }
}

/// The index of these lines, if each key and group stands once and in order, no name has two keys,
/// and nothing points behind the log's end.
fn index(
    lines: Vec<Line>,
    groups: Vec<(GroupName, GroupId)>,
    announcements: Vec<Announcement>,
    size: u64,
) -> Option<Index> {
    let fits = |line: &Line| {
        line.since < size && line.revoked.is_none_or(|at| at.get() <= size && at.get() > line.since)
    };
    let ordered = lines.is_sorted_by(|one, next| one.fingerprint < next.fingerprint)
        && groups.is_sorted_by(|(one, _), (next, _)| one < next);
    if !ordered || !lines.iter().all(fits) {
        return None;
    }
    let live = lines.iter().filter(|line| line.revoked.is_none());
    let mut people: Vec<_> =
        live.map(|line| (ShortName::from(&line.owner), line.fingerprint)).collect();
    people.sort_unstable();
    if !people.is_sorted_by(|(one, _), (next, _)| one < next) {
        return None;
    }
    let key = |line: Line| {
        let Line { fingerprint, owner, since, not_after, revoked } = line;
        (fingerprint, Key { owner: ShortName::from(&owner), since, not_after, revoked })
    };
    Some(Index {
        keys: lines.into_iter().map(key).collect(),
        people: BTreeMap::from_iter(people),
        groups: BTreeMap::from_iter(groups),
        announcements,
    })
}

impl HashTree {
    /// The leaves after the last full block.
    fn last_leaves(&self, entry: &mut dyn FnMut(u64) -> Option<Vec<u8>>) -> Option<Vec<Digest>> {
        if self.size().is_multiple_of(BLOCK) {
            return Some(Vec::new());
        }
        self.read_block(self.size().checked_div(BLOCK)?, entry)
    }
}

/// Why a checkpoint is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// Of another version of this program.
    #[error("the mirror's checkpoint is of another version")]
    Version,
    /// Not a checkpoint.
    #[error("the mirror's checkpoint is {0}")]
    Decode(#[from] DecodeError),
    /// Its head is not one of this log.
    #[error("the mirror's checkpoint: {0}")]
    Head(#[from] HeadError),
    /// Its hashes are not those that the head commits to.
    #[error("the mirror's checkpoint is of other entries than its head")]
    OtherHead,
    /// Its parts do not fit together.
    #[error("the mirror's checkpoint contradicts itself")]
    Inconsistent,
}
