//! One group as one device has it.

use std::collections::{BTreeMap, BTreeSet};

use openchat_crypto::{CryptoRng, IdentityKey};
use openchat_roster::{
    CommitEntry, Leave, LeaveEntry, MessageEntry, MessageFault, MessageHeader, Naming, Notice,
    NoticeEntry, Policy, Reason, Revocation, Roster, Seen, log_hash_next, log_hash_over,
    log_hash_start,
};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, MessageId, Seq, encode};

use crate::{
    author::{self, Author, Basis, CommitError, Pending},
    message::{Content, Opened, Place, Unreadable},
    path::Steps,
    proposal::Proposal,
    schedule::Secrets,
    secret_tree::EpochRatchets,
    state::{Records, RestoreError, StateKey},
};

/// A group's log as far as it was read, and this device's part in it.
#[derive(Debug, Clone)]
pub struct Group {
    pub(crate) me: Fingerprint,
    pub(crate) roster: Roster,
    /// `None` while only commits were read: the log hash is then unknown.
    seen: Option<Seen>,
    pub(crate) secrets: Option<Secrets>,
    /// What was computed from them and the tree.
    pub(crate) steps: Steps,
    pub(crate) ratchets: BTreeMap<Epoch, EpochRatchets>,
    pub(crate) pending: Option<Pending>,
    /// Records that are not as they were when they were last taken.
    pub(crate) changed: BTreeSet<StateKey>,
}

/// Why a message can't be sealed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not seated, or the state is behind the log: join or rejoin first.
    #[error("this device has no current keys of the group")]
    NoKeys,
}

impl Group {
    /// A group whose log was not read yet.
    #[must_use]
    pub fn new(group: GroupId, me: Fingerprint) -> Self {
        Self {
            me,
            roster: Roster::new(group),
            seen: Some(Seen { seq: Seq(0), log_hash: log_hash_start(&group) }),
            secrets: None,
            steps: Steps::default(),
            ratchets: BTreeMap::new(),
            pending: None,
            changed: BTreeSet::new(),
        }
    }

    /// A group from the vault: `commits` are those this device has approved, in order, `records`
    /// what [`take_changes`](Self::take_changes) has left there.
    ///
    /// # Errors
    /// [`RestoreError`]: the vault is damaged.
    pub fn restore<'a>(
        group: GroupId,
        me: Fingerprint,
        commits: impl IntoIterator<Item = &'a CommitEntry>,
        seen: Option<Seen>,
        records: impl IntoIterator<Item = (StateKey, Blob)>,
    ) -> Result<Self, RestoreError> {
        let mut roster = Roster::new(group);
        for commit in commits {
            let transition = roster.replay(commit)?;
            roster.apply(transition);
        }
        let Records { secrets, pending, ratchets } = Records::read(records)?;
        Ok(Self { roster, seen, secrets, ratchets, pending, ..Self::new(group, me) })
    }

    /// Begins a group, with whom the proposal adds and admits: the entry to append is in
    /// [`Self::pending`]. A closed group's letters need its name.
    ///
    /// # Errors
    /// [`CommitError`] if nobody would accept the commit.
    pub fn create(
        author: &Author<'_>,
        policy: Policy,
        naming: Option<&Naming>,
        proposal: Proposal,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CommitError> {
        let (id, pending) = author::create(author, policy, naming, proposal, rng)?;
        let mut group = Self::new(id, author.key.fingerprint());
        group.set_pending(pending);
        Ok(group)
    }

    /// Makes the commit that takes a seat. It replaces a pending one. With the proof that the key
    /// of the seat with the author's name was revoked, that seat is removed.
    ///
    /// # Errors
    /// [`CommitError`] if the policy or the state forbids it.
    pub fn join(
        &mut self,
        author: &Author<'_>,
        replaces: Option<Revocation>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitError> {
        let pending = author::join(author, self.basis(), replaces, rng)?;
        Ok(self.set_pending(pending))
    }

    /// Makes the commit that changes the group as proposed. It replaces a pending one. A closed
    /// group's letters need its name.
    ///
    /// # Errors
    /// [`CommitError`] unless the device is seated, up to date, and may do this.
    pub fn propose(
        &mut self,
        author: &Author<'_>,
        naming: Option<&Naming>,
        proposal: Proposal,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitError> {
        let secrets = self.current_secrets();
        let basis = Basis { secrets, ..self.basis() };
        let pending = author::propose(author, basis, naming, proposal, rng)?;
        Ok(self.set_pending(pending))
    }

    /// Makes the commit that renews this device's keys. It replaces a pending one.
    ///
    /// # Errors
    /// [`CommitError`] unless the device is seated and up to date.
    pub fn update(
        &mut self,
        author: &Author<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitError> {
        self.propose(author, None, Proposal::update(), rng)
    }

    /// Makes the commit that brings this device back, and removes people if it is an admin's. It
    /// replaces a pending one.
    ///
    /// # Errors
    /// [`CommitError`] unless the device is seated and may do this.
    pub fn rejoin(
        &mut self,
        author: &Author<'_>,
        removes: Vec<(Fingerprint, Reason)>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitError> {
        let removes = Proposal { removes, ..Proposal::default() };
        let pending = author::rejoin(author, self.basis(), removes, rng)?;
        Ok(self.set_pending(pending))
    }

    /// Seals content under the next key of this device; the key is gone afterwards.
    ///
    /// # Errors
    /// [`SealError::NoKeys`].
    pub fn seal(
        &mut self,
        author: &IdentityKey,
        id: MessageId,
        content: &Content,
    ) -> Result<MessageEntry, SealError> {
        let seen = self.seen.ok_or(SealError::NoKeys)?;
        let slot = self.current_secrets().ok_or(SealError::NoKeys)?.slot;
        let ratchets = self.ratchets.get_mut(&self.roster.epoch()).ok_or(SealError::NoKeys)?;
        let taken = ratchets.next(slot).map_err(|_| SealError::NoKeys)?;
        let header = MessageHeader {
            epoch: ratchets.epoch,
            confirmed: MessageHeader::prefix(&ratchets.confirmed),
            slot,
            generation: taken.generation,
            id,
        };
        let place = Place::new(self.roster.group(), header, &ratchets.confirmed, self.me);
        let entry = place.seal(&taken.secret, author, content, seen);
        self.changed.extend(ratchets.keep(taken));
        Ok(entry)
    }

    /// Opens a message at its place in the log; its key is gone afterwards. A message that can't
    /// be opened changes nothing.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn open(&mut self, entry: &MessageEntry) -> Result<Opened, Unreadable> {
        let header = entry.header;
        let seat = self.roster.seat_at(header.slot).ok_or(MessageFault::NotSeated)?;
        self.roster.check_message(&header, &seat.fingerprint)?;
        let ratchets = self.ratchets.get_mut(&header.epoch).ok_or(Unreadable::NoEpoch)?;
        let taken = ratchets.take(header.slot, header.generation)?;
        let (group, author) = (self.roster.group(), seat.fingerprint);
        let place = Place::new(group, header, &ratchets.confirmed, author);
        let opened = place.open(&taken.secret, &seat.key, &entry.token)?;
        self.changed.extend(ratchets.keep(taken));
        Ok(opened)
    }

    /// Moves past an entry of the log, of whatever kind and whether or not it counted.
    pub fn advance(&mut self, seq: Seq, entry: &[u8]) {
        if let Some(seen) = &mut self.seen {
            *seen = Seen { seq, log_hash: log_hash_next(&seen.log_hash, seq, entry) };
        }
    }

    /// Moves past an entry whose body the relay keeps no more.
    pub fn advance_dropped(&mut self, seq: Seq, hash: &Digest) {
        if let Some(seen) = &mut self.seen {
            *seen = Seen { seq, log_hash: log_hash_over(&seen.log_hash, seq, hash) };
        }
    }

    /// The log hash is unknown: only commits will be read from here.
    pub fn read_commits_only(&mut self) {
        self.seen = None;
    }

    /// The log as a receipt has it: where a newcomer begins to read everything.
    pub fn begin_reading(&mut self, seen: Seen) {
        self.seen = Some(seen);
    }

    /// A signed report that the last commit left this device behind.
    #[must_use]
    pub fn notice(&self, author: &IdentityKey) -> NoticeEntry {
        let notice = Notice {
            author: self.me,
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
        };
        NoticeEntry::sign(&notice, author)
    }

    /// A signed request to be removed, or to be struck from the list of the admitted; `None` if
    /// this device is neither seated nor admitted.
    #[must_use]
    pub fn leave_request(&self, author: &IdentityKey) -> Option<LeaveEntry> {
        let (since, key) = match self.roster.seat(&self.me) {
            Some(seat) => (seat.seated, None),
            None => (self.roster.admitted(&self.me)?.since, Some(*author.public())),
        };
        let leave = Leave { author: self.me, group: *self.roster.group(), since, key };
        Some(LeaveEntry::sign(&leave, author))
    }

    /// Gives up the pending commit, so that another can be made for the same place. Only the log
    /// decides: whoever was told that the commit is refused keeps it until the place is taken, and
    /// should the log show it, hands it to [`take_up`](Self::take_up) first.
    pub fn drop_pending(&mut self) -> Option<Pending> {
        let dropped = self.pending.take();
        self.changed.extend(dropped.as_ref().map(|_| StateKey::Pending));
        dropped
    }

    /// Makes a commit pending that was given up before.
    pub fn take_up(&mut self, pending: Pending) {
        self.set_pending(pending);
    }

    /// Records that have changed since this was last asked, with what they are now; `None` for
    /// those that are gone. They go into the vault with whatever else the same step brought,
    /// before anything leaves the device.
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<(StateKey, Option<Blob>)> {
        let changed = core::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key, self.record(key))).collect()
    }

    /// The public state.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The last entry that was read and the log hash there; `None` while only commits are read.
    #[must_use]
    pub const fn seen(&self) -> Option<Seen> {
        self.seen
    }

    /// The secrets of the last good epoch.
    #[must_use]
    pub const fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref()
    }

    /// The commit that was made and not seen in the log.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// The unused message keys of an epoch.
    #[must_use]
    pub fn ratchets(&self, epoch: Epoch) -> Option<&EpochRatchets> {
        self.ratchets.get(&epoch)
    }

    /// The epochs of which keys are kept.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.ratchets.keys().copied()
    }

    /// Whether this device has a seat.
    #[must_use]
    pub fn is_seated(&self) -> bool {
        self.roster.seat(&self.me).is_some()
    }

    /// Whether this device has a seat but not the current epoch's secrets.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        self.is_seated() && self.current_secrets().is_none()
    }

    fn current_secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref().filter(|secrets| secrets.epoch == self.roster.epoch())
    }

    fn basis(&self) -> Basis<'_> {
        let nowhere = Seen { seq: Seq(0), log_hash: Digest([0; 32]) };
        Basis {
            roster: &self.roster,
            secrets: self.secrets.as_ref(),
            steps: &self.steps,
            seen: self.seen.unwrap_or(nowhere),
        }
    }

    fn set_pending(&mut self, pending: Pending) -> &Pending {
        self.changed.insert(StateKey::Pending);
        self.pending.insert(pending)
    }

    fn record(&self, key: StateKey) -> Option<Blob> {
        let ratchets = |epoch: Epoch| self.ratchets.get(&epoch);
        let bytes = match key {
            StateKey::Secrets => encode(self.secrets.as_ref()?),
            StateKey::Pending => encode(self.pending.as_ref()?),
            StateKey::Epoch(epoch) => encode(&ratchets(epoch)?.head()),
            StateKey::Node(epoch, at) => encode(ratchets(epoch)?.node(at)?),
            StateKey::Ratchet(epoch, slot) => encode(ratchets(epoch)?.sender(slot)?),
        };
        Some(Blob(bytes))
    }
}
