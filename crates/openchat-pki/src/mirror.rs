//! A device's own copy of the transparency log (`docs/protocol.md` §9).
//!
//! A proof shows that an entry is there; only a copy shows that a second one for the same name is
//! not. So every device follows the whole log: it hashes what it is given, compares the root with
//! the signed head, and reads the entries into an index of who has which key. The entries themselves
//! are the caller's to store, as they are. Of every 32 one hash stays here, and of every key a line.

mod checkpoint;
mod index;

pub use checkpoint::CheckpointFault;
pub use index::{Finding, Irregularity, Standing};

use crate::{
    entry::{Logged, MAX_LOGGED},
    rotation::Announcement,
    statement::ServerKeys,
    transparency::{Head, HeadError, Inclusion, Rollback, UnverifiedHead},
    tree::{Consistency, HashTree, Reader},
    watch::{Alert, Watch},
};
use index::Index;
use openchat_crypto::PublicKey;
use openchat_wire::{Digest, Fingerprint, GroupId, GroupName, Name};

/// The mirror of one log.
#[derive(Debug, Clone)]
pub struct Mirror {
    log_id: Digest,
    log_key: PublicKey,
    tree: HashTree,
    index: Index,
    held: Option<Held>,
    watch: Option<Watch>,
    /// Size at the last checkpoint.
    kept: u64,
}

/// A head that was verified, with the bytes that prove it to others.
#[derive(Debug, Clone)]
struct Held {
    head: Head,
    signed: Vec<u8>,
}

/// What came of following the log to a head.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Extended {
    /// The head that the mirror is at now.
    pub head: Head,
    /// Entries that were taken, from the front of those given. Those behind the head are not.
    pub taken: usize,
    /// What in them breaks the log's rules, or concerns everybody.
    pub findings: Vec<Finding>,
    /// What in them concerns this device's own name and key.
    pub alerts: Vec<Alert>,
}

impl Mirror {
    /// The mirror of a server's log, without entries yet.
    #[must_use]
    pub fn new(keys: &ServerKeys) -> Self {
        Self {
            log_id: keys.log_id,
            log_key: keys.log_key,
            tree: HashTree::default(),
            index: Index::default(),
            held: None,
            watch: None,
            kept: 0,
        }
    }

    /// Watches a name and a key in the entries to come.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// The watch, to tell it of certificates that the device asks for.
    pub const fn watch_mut(&mut self) -> Option<&mut Watch> {
        self.watch.as_mut()
    }

    /// Follows the log to a head, as both came from the server: the entries after those mirrored, up
    /// to the head's size. Entries beyond it are left for the next head.
    ///
    /// # Errors
    /// [`MirrorFault`]; the mirror is then as it was.
    pub fn extend<E: AsRef<[u8]>>(
        &mut self,
        entries: &[E],
        head: &[u8],
    ) -> Result<Extended, MirrorFault> {
        let (signed, head) = (head, self.believe(head)?);
        let taken = self.needed(&head, entries.len())?;
        let (entries, _) = entries.split_at_checked(taken).ok_or(MirrorFault::Missing)?;
        let mut growth = self.tree.grow();
        for entry in entries {
            let entry = entry.as_ref();
            if entry.len() > MAX_LOGGED {
                return Err(MirrorFault::TooLong);
            }
            growth.push(entry);
        }
        if growth.root() != head.root {
            return Err(MirrorFault::OtherEntries);
        }
        let first = self.tree.size();
        self.tree.take(growth);
        self.held = Some(Held { head, signed: signed.to_vec() });
        let (findings, alerts) = self.read(first, entries);
        Ok(Extended { head, taken, findings, alerts })
    }

    /// Number of entries mirrored.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The newest head; none before the first.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.held.as_ref().map(|held| &held.head)
    }

    /// The newest head as the log's key signed it, to be stored and to be evidence.
    #[must_use]
    pub fn signed_head(&self) -> Option<&[u8]> {
        self.held.as_ref().map(|held| held.signed.as_slice())
    }

    /// The key that a name has, if it has one.
    #[must_use]
    pub fn certified(&self, name: &Name) -> Option<Standing> {
        self.index.certified(name)
    }

    /// The keys of a name that were revoked, oldest first. It looks through all keys, for screens.
    #[must_use]
    pub fn former_keys(&self, name: &Name) -> Vec<Fingerprint> {
        self.index.former_keys(name)
    }

    /// The one name that a key was ever certified for, also after it was revoked.
    #[must_use]
    pub fn name_of(&self, key: &Fingerprint) -> Option<Name> {
        self.index.name_of(key)
    }

    /// Everybody who has a key, by name.
    pub fn people(&self) -> impl Iterator<Item = (Name, Fingerprint)> {
        self.index.people()
    }

    /// Where the log revokes a key, if it does.
    #[must_use]
    pub fn revoked(&self, key: &Fingerprint) -> Option<u64> {
        self.index.revoked(key)
    }

    /// Whether the log revokes a key.
    #[must_use]
    pub fn is_revoked(&self, key: &Fingerprint) -> bool {
        self.revoked(key).is_some()
    }

    /// The group that has an open name.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<GroupId> {
        self.index.group(name)
    }

    /// Every change of the CA's key that the log announces, oldest first.
    #[must_use]
    pub fn announcements(&self) -> &[Announcement] {
        self.index.announcements()
    }

    /// The proof that the log of an earlier size has the entry at an index. Stored entries are read
    /// again by their index, at most 64 of them. None if the log is not mirrored so far, or if the
    /// store has other entries than were mirrored.
    #[must_use]
    pub fn prove(
        &self,
        index: u64,
        size: u64,
        mut entry: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Option<Inclusion> {
        let path = self.tree.path(index, size, &mut Reader::new(&mut entry))?;
        Some(Inclusion { index, path })
    }

    /// The root that this log had at an earlier size, to compare with a head that somebody else
    /// names. Reads as [`prove`](Self::prove) does.
    #[must_use]
    pub fn root_at(
        &self,
        size: u64,
        mut entry: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Option<Digest> {
        self.tree.root_at(size, &mut Reader::new(&mut entry))
    }

    /// The proof, for somebody without this copy, that its log of one size begins with the log of a
    /// smaller. Reads as [`prove`](Self::prove) does.
    #[must_use]
    pub fn prove_consistency(
        &self,
        smaller: u64,
        size: u64,
        mut entry: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Option<Consistency> {
        self.tree.consistency(smaller, size, &mut Reader::new(&mut entry))
    }

    /// T1: a head that this log's key signed and that takes nothing back. A time that goes back is a
    /// clock that was set.
    fn believe(&self, signed: &[u8]) -> Result<Head, MirrorFault> {
        let head = UnverifiedHead::decode(signed)?.verify(&self.log_key, &self.log_id)?;
        match self.held.as_ref().map(|held| head.follows(&held.head)) {
            None | Some(Ok(()) | Err(Rollback::Time)) => Ok(head),
            Some(Err(rollback)) => Err(MirrorFault::TakenBack(rollback)),
        }
    }

    /// How many entries lead to the head.
    fn needed(&self, head: &Head, given: usize) -> Result<usize, MirrorFault> {
        let missing = head.size.checked_sub(self.size()).ok_or(MirrorFault::Missing)?;
        let needed = usize::try_from(missing).map_err(|_| MirrorFault::Missing)?;
        if needed > given { Err(MirrorFault::Missing) } else { Ok(needed) }
    }

    fn read<E: AsRef<[u8]>>(&mut self, first: u64, entries: &[E]) -> (Vec<Finding>, Vec<Alert>) {
        let (mut findings, mut alerts) = (Vec::new(), Vec::new());
        for (index, bytes) in (first..).zip(entries) {
            let logged = Logged::read(bytes.as_ref());
            alerts.extend(self.watch.as_ref().and_then(|watch| watch.judge(index, &logged)));
            let what = self.index.note(index, logged);
            findings.extend(what.map(|what| Finding { index, what }));
        }
        (findings, alerts)
    }
}

/// Why a mirror did not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MirrorFault {
    /// Not a head of this log.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head takes something back. With the head held it may be [evidence](crate::Evidence).
    #[error("T1: {0}")]
    TakenBack(Rollback),
    /// There are fewer entries than lead to the head: more have to be read first.
    #[error("the transparency head is ahead of the entries that came with it")]
    Missing,
    /// An entry longer than any.
    #[error("an entry of the transparency log has over {MAX_LOGGED} bytes")]
    TooLong,
    /// T2: The entries are not those that the head commits to: changed, left out, added, in another
    /// order; or the head is of a log that parted from this one before.
    #[error("T2: the transparency head is of other entries than these")]
    OtherEntries,
}
