//! Following other members' commits: computing the new epoch's secrets from one's own, and
//! finding the faults that only those below a wrong key can see (`docs/protocol.md` §5.3).

use openchat_crypto::Secret;
use openchat_roster::{CommitEntry, Operation, Roster, Transition, Wrap};
use openchat_wire::{Epoch, Slot};

use crate::{
    author::wrap_pad,
    path::{self, Path},
    schedule::{Joiner, Secrets},
    secret_tree::EpochRatchets,
};

/// A fault of a commit that is publicly valid. The tag is signed, so it is the author's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrivateFault {
    /// P1: the commit gives an agreement above this member's leaf another key than follows from
    /// the two keys below it.
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
}

/// The secrets of the epoch that an approved commit leads to.
pub(crate) fn follow(
    secrets: &Secrets,
    roster: &Roster,
    transition: &Transition,
    entry: &CommitEntry,
) -> Result<(Secrets, EpochRatchets), PrivateFault> {
    let init = init_secret(secrets, roster, &transition.commit().operations)?;
    let tree = transition.tree();
    let copath = tree.copath(secrets.slot);
    let path = path::walk(roster.group(), secrets.slot, &secrets.leaf, &copath);
    check_path(&path, secrets.slot, transition)?;
    let joiner = Joiner::new(&init, &path.root);
    let external = joiner.external();
    if *external.public() != transition.commit().external {
        return Err(PrivateFault::External);
    }
    let confirmed = transition.confirmed();
    let keys = joiner.epoch(confirmed);
    keys.confirmation_key.verify_tag(&confirmed.0, &entry.tag).map_err(|_| PrivateFault::Tag)?;
    let epoch = roster.epoch().next();
    let followed = Secrets {
        epoch,
        slot: secrets.slot,
        leaf: secrets.leaf.clone(),
        init: keys.init,
        hedge: keys.hedge,
        external,
    };
    Ok((followed, EpochRatchets::new(epoch, *confirmed, tree.height(), keys.message_secret)))
}

/// P1. Of the keys that are not what this member derives, the lowest tells whose fault it is. An
/// honest author's keys follow from those below them, so one that the commit has set is its
/// author's fault. One that was there before is not: whoever rejoins above somebody else's wrong
/// key can't mend it. Nor is another key on the member's own leaf, which a copy of it has set.
fn check_path(path: &Path, slot: Slot, transition: &Transition) -> Result<(), PrivateFault> {
    let tree = transition.tree();
    if tree.leaf(slot).is_none_or(|leaf| leaf.key != path.leaf) {
        return Err(PrivateFault::Behind);
    }
    let Some((wrong, _)) = path.nodes.iter().find(|(at, key)| tree.agreement(*at) != Some(*key))
    else {
        return Ok(());
    };
    let is_new = transition.commit().nodes.iter().any(|(at, _)| at == wrong);
    Err(if is_new { PrivateFault::PathKey } else { PrivateFault::Behind })
}

/// `init_n`, or the fresh secret that a join or rejoin has wrapped for this member's last good
/// epoch.
fn init_secret(
    secrets: &Secrets,
    roster: &Roster,
    operations: &[Operation],
) -> Result<Secret, PrivateFault> {
    let unwrap = |wraps: &[Wrap], ephemeral| {
        let wrap = find_wrap(wraps, secrets.epoch)?;
        let shared = secrets.external.agree(ephemeral);
        let pad = wrap_pad(roster, wrap.epoch, &shared, ephemeral, secrets.external.public());
        Some(Secret::from_bytes(wrap.wrapped.0).xor(&pad))
    };
    match operations.first() {
        Some(Operation::Join { wrap, ephemeral, .. }) => {
            unwrap(core::slice::from_ref(wrap), ephemeral)
        }
        Some(Operation::Rejoin { wraps, ephemeral }) => unwrap(wraps, ephemeral),
        _ => (secrets.epoch == roster.epoch()).then(|| secrets.init.clone()),
    }
    .ok_or(PrivateFault::Behind)
}

fn find_wrap(wraps: &[Wrap], epoch: Epoch) -> Option<&Wrap> {
    wraps.iter().find(|wrap| wrap.epoch == epoch)
}
