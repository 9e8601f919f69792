//! One group as one device has it.

use std::collections::BTreeMap;

use openchat_crypto::{CryptoRng, IdentityKey};
use openchat_roster::{
    CommitEntry, CommitFault, MessageEntry, MessageFault, MessageHeader, Notice, NoticeEntry,
    Operation, Policy, Roster, Seen, log_hash_next, log_hash_start,
};
use openchat_wire::{
    Digest, Epoch, Fingerprint, GroupId, MessageId, Name, Seq, limits::EPOCH_WINDOW,
};

use crate::{
    author::{self, Author, Pending},
    follow::{PrivateFault, follow},
    message::{Content, Opened, Place, Unreadable},
    schedule::Secrets,
    secret_tree::EpochRatchets,
};

/// A group's log as far as it was read, and this device's part in it.
#[derive(Debug, Clone)]
pub struct Group {
    me: Fingerprint,
    roster: Roster,
    /// `None` while only commits were read: the log hash is then unknown.
    seen: Option<Seen>,
    secrets: Option<Secrets>,
    ratchets: BTreeMap<Epoch, EpochRatchets>,
    pending: Option<Pending>,
}

/// What a device has stored of a group beside the commits of its log.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// [`Group::seen`].
    pub seen: Option<Seen>,
    /// [`Group::secrets`].
    pub secrets: Option<Secrets>,
    /// [`Group::ratchets`], of every epoch kept.
    pub ratchets: Vec<EpochRatchets>,
    /// [`Group::pending`].
    pub pending: Option<Pending>,
}

/// What a commit was, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitKind {
    /// The group began.
    Created,
    /// Its author came in.
    Joined,
    /// Its author renewed its keys.
    Updated,
    /// Its author came back after losing its state.
    Rejoined,
}

/// What a commit in the log did to this device's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Publicly faulty: everybody skips it. Only a lying relay logs one.
    Invalid(CommitFault),
    /// The commit counts.
    Valid {
        /// Its author's name.
        author: Name,
        /// Its author's key.
        fingerprint: Fingerprint,
        /// What it did.
        kind: CommitKind,
        /// What it means for this device's secrets.
        effect: Effect,
    },
}

/// What a valid commit means for this device's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// This device has no seat, or has lost the secrets that go with it: it watches.
    Watched,
    /// This device's own pending commit is in the log.
    Own,
    /// The device has the new epoch's secrets; `back` if it had been left behind.
    Followed {
        /// It had been left behind.
        back: bool,
    },
    /// The commit leaves this device behind: the public state moves on, the secrets stay.
    LeftBehind(PrivateFault),
    /// The commit is this device's own, but it never made it: a clone, or a restored backup.
    NotMine,
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
            ratchets: BTreeMap::new(),
            pending: None,
        }
    }

    /// A group from the vault: `commits` are those this device has approved, in order.
    ///
    /// # Errors
    /// The fault of a commit that does not fit: the vault is damaged.
    pub fn restore<'a>(
        group: GroupId,
        me: Fingerprint,
        commits: impl IntoIterator<Item = &'a CommitEntry>,
        saved: Saved,
    ) -> Result<Self, CommitFault> {
        let mut roster = Roster::new(group);
        for commit in commits {
            let transition = roster.replay(commit)?;
            roster.apply(transition);
        }
        let ratchets = saved.ratchets.into_iter().map(|epoch| (epoch.epoch, epoch)).collect();
        let Saved { seen, secrets, pending, .. } = saved;
        Ok(Self { me, roster, seen, secrets, ratchets, pending })
    }

    /// Begins a group: the entry to append is in [`Self::pending`].
    ///
    /// # Errors
    /// [`CommitFault`] if the author's own view can't be committed on.
    pub fn create(
        author: &Author<'_>,
        policy: Policy,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, CommitFault> {
        let (id, pending) = author::create(author, policy, rng)?;
        Ok(Self { pending: Some(pending), ..Self::new(id, author.key.fingerprint()) })
    }

    /// Makes the commit that takes a seat in an open group. It replaces a pending one.
    ///
    /// # Errors
    /// [`CommitFault`] if the policy or the state forbids it.
    pub fn join(
        &mut self,
        author: &Author<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitFault> {
        let pending = author::join(author, &self.roster, self.seen_or_zero(), rng)?;
        Ok(self.pending.insert(pending))
    }

    /// Makes the commit that renews this device's keys. It replaces a pending one.
    ///
    /// # Errors
    /// [`CommitFault::Authority`] unless the device is seated and up to date.
    pub fn update(
        &mut self,
        author: &Author<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitFault> {
        let secrets = self.current_secrets().ok_or(CommitFault::Authority)?;
        let pending = author::update(author, &self.roster, secrets, self.seen_or_zero(), rng)?;
        Ok(self.pending.insert(pending))
    }

    /// Makes the commit that brings this device back. It replaces a pending one.
    ///
    /// # Errors
    /// [`CommitFault::Authority`] unless the device is seated.
    pub fn rejoin(
        &mut self,
        author: &Author<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<&Pending, CommitFault> {
        let (secrets, seen) = (self.secrets.as_ref(), self.seen_or_zero());
        let pending = author::rejoin(author, &self.roster, secrets, seen, rng)?;
        Ok(self.pending.insert(pending))
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
        let place = Place { group: self.roster.group(), header, confirmed: &ratchets.confirmed };
        let entry = place.seal(&taken.secret, author, content, seen);
        ratchets.keep(taken);
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
        self.roster.check_message(&header, &seat.key.fingerprint())?;
        let ratchets = self.ratchets.get_mut(&header.epoch).ok_or(Unreadable::NoEpoch)?;
        let taken = ratchets.take(header.slot, header.generation)?;
        let place = Place { group: self.roster.group(), header, confirmed: &ratchets.confirmed };
        let opened = place.open(&taken.secret, &seat.key, &entry.token)?;
        ratchets.keep(taken);
        Ok(opened)
    }

    /// Takes the next commit of the log.
    pub fn commit(&mut self, entry: &CommitEntry) -> CommitOutcome {
        let transition = match self.roster.check(entry) {
            Ok(transition) => transition,
            Err(fault) => return CommitOutcome::Invalid(fault),
        };
        let seat = transition.seat();
        let (author, fingerprint) = (seat.name.clone(), seat.key.fingerprint());
        let kind = kind(&transition.commit().operations);
        let effect = if fingerprint == self.me {
            self.adopt(transition.interim())
        } else {
            self.follow(&transition, entry)
        };
        // Whatever was pending was made for this place and has lost it, or has just won it.
        self.pending = None;
        self.roster.apply(transition);
        self.forget_old_epochs();
        CommitOutcome::Valid { author, fingerprint, kind, effect }
    }

    /// Moves past an entry of the log, of whatever kind and whether or not it counted.
    pub fn advance(&mut self, seq: Seq, entry: &[u8]) {
        if let Some(seen) = &mut self.seen {
            *seen = Seen { seq, log_hash: log_hash_next(&seen.log_hash, seq, entry) };
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

    /// A signed report that `commit` left this device behind.
    #[must_use]
    pub fn notice(&self, author: &IdentityKey) -> NoticeEntry {
        let notice = Notice {
            author: author.fingerprint(),
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
        };
        NoticeEntry::sign(&notice, author)
    }

    /// Gives up the pending commit, so that another can be made for the same place. Only the log
    /// decides: whoever was told that the commit is refused keeps it until the place is taken, and
    /// should the log show it, hands it to [`take_up`](Self::take_up) first.
    pub fn drop_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    /// Makes a commit pending that was given up before.
    pub fn take_up(&mut self, pending: Pending) {
        self.pending = Some(pending);
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

    fn seen_or_zero(&self) -> Seen {
        self.seen.unwrap_or(Seen { seq: Seq(0), log_hash: Digest([0; 32]) })
    }

    /// My commit is in the log: mine because its secrets are here, not because of its name.
    fn adopt(&mut self, interim: &Digest) -> Effect {
        match self.pending.take().filter(|pending| pending.interim == *interim) {
            Some(pending) => {
                self.enter(pending.secrets, pending.ratchets);
                Effect::Own
            }
            None => Effect::NotMine,
        }
    }

    fn follow(&mut self, transition: &openchat_roster::Transition, entry: &CommitEntry) -> Effect {
        let Some(secrets) = self.secrets.as_ref().filter(|_| self.is_seated()) else {
            return Effect::Watched;
        };
        let back = secrets.epoch < self.roster.epoch();
        match follow(secrets, &self.roster, transition, entry) {
            Ok((secrets, ratchets)) => {
                self.enter(secrets, ratchets);
                Effect::Followed { back }
            }
            Err(fault) => Effect::LeftBehind(fault),
        }
    }

    fn enter(&mut self, secrets: Secrets, ratchets: EpochRatchets) {
        self.ratchets.insert(ratchets.epoch, ratchets);
        self.secrets = Some(secrets);
    }

    /// Keys of epochs whose messages no longer count are deleted.
    fn forget_old_epochs(&mut self) {
        let oldest = Epoch(self.roster.epoch().0.saturating_add(1).saturating_sub(EPOCH_WINDOW));
        self.ratchets = self.ratchets.split_off(&oldest);
    }
}

fn kind(operations: &[Operation]) -> CommitKind {
    match operations.first() {
        Some(Operation::Create { .. }) => CommitKind::Created,
        Some(Operation::Join { .. }) => CommitKind::Joined,
        Some(Operation::Rejoin { .. }) => CommitKind::Rejoined,
        Some(Operation::Update) | None => CommitKind::Updated,
    }
}
