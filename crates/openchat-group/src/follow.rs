//! Following other members' commits: computing the new epoch's secrets from one's own, and
//! finding the faults that only those below a wrong key can see (`docs/protocol.md` §5.3).

use openchat_crypto::{PublicKey, Secret};
use openchat_roster::{
    CommitEntry, Naming, NewLeaf, NodeIndex, Operation, Roster, Seat, Transition, Wrap,
};
use openchat_wire::{Digest, Epoch, Fingerprint, Slot};

use crate::{
    author::wrap_pad,
    handover::{Handed, Handover},
    keyring::Keyring,
    letter::{LetterFault, Occasion, open_welcome},
    path::{self, Path, Steps},
    schedule::{Joiner, Secrets},
    secret_tree::EpochRatchets,
};

/// Why this device has not the secrets that a publicly valid commit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrivateFault {
    /// P1: the commit gives this member's leaf, or an agreement above it, another key than follows
    /// from what is below.
    #[error("P1: a path key does not follow from the keys below it")]
    PathKey,
    /// P2: the external key does not follow from the joiner secret.
    #[error("P2: the external key does not follow from the group's secret")]
    External,
    /// P3: the confirmation tag is not that of the epoch.
    #[error("P3: the confirmation tag is wrong")]
    Tag,
    /// This member is stuck since an earlier commit, and this one holds no way back for it. That
    /// is nobody's fault but the earlier author's.
    #[error("this device was left behind earlier")]
    Behind,
    /// The commit sets this member's leaf by a prekey whose private half is gone.
    #[error("the prekey of this device's seat is gone")]
    NoPrekey,
    /// This device was added, and no letter of its author says how to come in.
    #[error("no letter came with the commit that adds this device")]
    NoWelcome,
    /// This device was added, and the letter of its author is of no use.
    #[error("the letter that came with the commit: {0}")]
    Welcome(LetterFault),
}

impl PrivateFault {
    /// Whether the commit's author has lied in public, under its signature: worth a notice.
    #[must_use]
    pub const fn is_authors(self) -> bool {
        matches!(self, Self::PathKey | Self::External | Self::Tag)
    }
}

impl From<LetterFault> for PrivateFault {
    fn from(fault: LetterFault) -> Self {
        match fault {
            LetterFault::Missing => Self::NoWelcome,
            LetterFault::Prekey => Self::NoPrekey,
            other => Self::Welcome(other),
        }
    }
}

/// A commit that somebody else has made, as this device reads it.
pub(crate) struct Reading<'a> {
    pub(crate) me: &'a Fingerprint,
    pub(crate) roster: &'a Roster,
    pub(crate) transition: &'a Transition,
    pub(crate) author: &'a Seat,
    pub(crate) entry: &'a CommitEntry,
    pub(crate) keyring: &'a dyn Keyring,
}

/// The epoch that a commit leads to, as a member has it.
pub(crate) struct Entered {
    pub(crate) secrets: Secrets,
    pub(crate) ratchets: EpochRatchets,
    pub(crate) steps: Steps,
}

impl Reading<'_> {
    /// From one's own leaf and the epoch before, or what is wrapped for an earlier one.
    pub(crate) fn follow(&self, secrets: &Secrets, steps: &Steps) -> Result<Entered, PrivateFault> {
        let handed = self.handed(secrets.slot)?;
        let init = self.init_secret(secrets).ok_or(PrivateFault::Behind)?;
        let leaf = handed.map_or_else(|| secrets.leaf.clone(), |handed| handed.leaf);
        let path = self.checked_path(secrets.slot, &leaf, steps)?;
        let joiner = Joiner::new(&init, &path.root);
        self.enter(secrets.slot, leaf, &joiner, path.steps)
    }

    /// From the letter that came with the commit that adds this device.
    pub(crate) fn come_in(&self, slot: Slot) -> Result<(Entered, Option<Naming>), PrivateFault> {
        let handed = self.handed(slot)?.ok_or(PrivateFault::NoPrekey)?;
        let occasion = self.occasion();
        let letter = self.keyring.letter(occasion.group, occasion.epoch);
        let letter = letter.ok_or(PrivateFault::NoWelcome)?;
        let welcome = open_welcome(&letter.0, &occasion, handed.welcome)?;
        let path = self.checked_path(slot, &handed.leaf, &Steps::default())?;
        let joiner = Joiner::from_secret(welcome.joiner);
        let entered = self.enter(slot, handed.leaf, &joiner, path.steps);
        let entered = entered.map_err(|_| PrivateFault::Welcome(LetterFault::Secret))?;
        Ok((entered, welcome.naming))
    }

    /// What a letter about the commit must agree with.
    pub(crate) fn occasion(&self) -> Occasion<'_> {
        Occasion {
            group: self.roster.group(),
            epoch: self.roster.epoch().next(),
            interim: self.transition.interim(),
            policy: self.transition.policy(),
            author: &self.author.key,
            me: self.me,
        }
    }

    /// The new secret of this member's leaf, if the commit's author has set it.
    fn handed(&self, slot: Slot) -> Result<Option<Handed>, PrivateFault> {
        let commit = self.transition.commit();
        let leaf = self.transition.outline().leaf(slot);
        let (Some(NewLeaf::Member { prekey_hash, .. }), Some(ephemeral)) =
            (leaf, &commit.ephemeral)
        else {
            return Ok(None);
        };
        let handover = Handover {
            group: self.roster.group(),
            epoch: self.roster.epoch().next(),
            slot,
            author: &commit.author,
            member: self.me,
            prekey_hash: &prekey_hash,
            ephemeral,
        };
        let prekey = self.keyring.prekey(&prekey_hash).ok_or(PrivateFault::NoPrekey)?;
        Ok(Some(handover.derive(&prekey.agree(ephemeral))))
    }

    /// `init_n`, or the fresh secret that a join or rejoin has wrapped for this member's last good
    /// epoch.
    fn init_secret(&self, secrets: &Secrets) -> Option<Secret> {
        let unwrap = |wraps: &[Wrap], ephemeral: &PublicKey| {
            let wrap = find_wrap(wraps, secrets.epoch)?;
            let shared = secrets.external.agree(ephemeral);
            let external = secrets.external.public();
            let pad = wrap_pad(self.roster, wrap.epoch, &shared, ephemeral, external);
            Some(Secret::from_bytes(wrap.wrapped.0).xor(&pad))
        };
        match self.transition.commit().operations.first() {
            Some(Operation::Join { wrap, ephemeral, .. }) => {
                unwrap(core::slice::from_ref(wrap), ephemeral)
            }
            Some(Operation::Rejoin { wraps, ephemeral }) => unwrap(wraps, ephemeral),
            _ => (secrets.epoch == self.roster.epoch()).then(|| secrets.init.clone()),
        }
    }

    /// P1. Of the keys that are not what this member derives, the lowest tells whose fault it is.
    /// An honest author's keys follow from those below them, so one that the commit has set is its
    /// author's fault. One that was there before is not: whoever rejoins above somebody else's
    /// wrong key can't mend it. Nor is another key on the member's own leaf, which a copy of it
    /// has set.
    fn checked_path(&self, slot: Slot, leaf: &Secret, steps: &Steps) -> Result<Path, PrivateFault> {
        let tree = self.transition.tree();
        let path = path::walk(self.roster.group(), slot, leaf, &tree.copath(slot), steps);
        let fault =
            |is_new: bool| if is_new { PrivateFault::PathKey } else { PrivateFault::Behind };
        if tree.leaf(slot).is_none_or(|leaf| leaf.key != path.leaf) {
            return Err(fault(self.transition.outline().leaf(slot).is_some()));
        }
        let wrong = path.nodes.iter().find(|(at, key)| tree.agreement(*at) != Some(*key));
        match wrong {
            Some((wrong, _)) => Err(fault(self.sets(*wrong))),
            None => Ok(path),
        }
    }

    fn sets(&self, node: NodeIndex) -> bool {
        self.transition.commit().nodes.binary_search_by_key(&node, |(at, _)| *at).is_ok()
    }

    /// P2, P3.
    fn enter(
        &self,
        slot: Slot,
        leaf: Secret,
        joiner: &Joiner,
        steps: Steps,
    ) -> Result<Entered, PrivateFault> {
        let external = joiner.external.clone();
        if *external.public() != self.transition.commit().external {
            return Err(PrivateFault::External);
        }
        let confirmed: &Digest = self.transition.confirmed();
        let keys = joiner.epoch(confirmed);
        let verified = keys.confirmation_key.verify_tag(&confirmed.0, &self.entry.tag);
        verified.map_err(|_| PrivateFault::Tag)?;
        let epoch = self.roster.epoch().next();
        let height = self.transition.tree().height();
        let ratchets = EpochRatchets::new(epoch, *confirmed, height, keys.message_secret);
        let secrets = Secrets { epoch, slot, leaf, init: keys.init, hedge: keys.hedge, external };
        Ok(Entered { secrets, ratchets, steps })
    }
}

fn find_wrap(wraps: &[Wrap], epoch: Epoch) -> Option<&Wrap> {
    wraps.iter().find(|wrap| wrap.epoch == epoch)
}
