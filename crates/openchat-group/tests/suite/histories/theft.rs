//! Somebody who has copied a device's secrets, and listens from then on.

use super::{
    knowledge::{Fact, Facts},
    person::{Keys, Side},
    play::Play,
};
use crate::kit::plain::{Claim, Fpr, Hash, judge::Valid};

#[derive(Debug)]
pub(crate) struct Theft {
    /// Whose.
    of: Fpr,
    facts: Facts,
    /// The hashes of the prekeys whose private parts it has.
    prekeys: Vec<Hash>,
    epoch: u64,
    /// Whether the device's leaf is none that the thief knows.
    is_healed: bool,
    /// Whether the thief has followed every commit so far.
    follows: bool,
    /// Whether one of the prekeys has served in this group.
    had_prekey: bool,
}

impl Theft {
    pub(crate) fn new(play: &Play, who: usize, mut facts: Facts) -> Self {
        let person = &play.people[who];
        let held = match &person.side {
            Side::First(device) => {
                device.ring.prekeys.iter().map(|(hash, pair)| (hash.0, *pair.public())).collect()
            }
            Side::Second(member) => member
                .prekeys
                .iter()
                .map(|(hash, pair)| (*hash, *pair.public()))
                .collect::<Vec<_>>(),
        };
        let kept: Vec<_> = held.into_iter().filter(|(hash, _)| !play.is_spent(hash)).collect();
        facts.extend(kept.iter().map(|(_, key)| Fact::Pair(*key)));
        let is_current = person.keys == Keys::At(play.state.epoch);
        let waits = play.state.seat_of(&person.fpr).is_some_and(|seat| match &seat.claim {
            Claim::Unclaimed { prekey, .. } => kept.iter().any(|(hash, _)| *hash == prekey.hash()),
            _ => false,
        });
        Self {
            of: person.fpr,
            facts,
            had_prekey: kept.iter().any(|(hash, _)| play.served.contains_key(hash)),
            prekeys: kept.into_iter().map(|(hash, _)| hash).collect(),
            epoch: play.state.epoch,
            is_healed: !is_current && !waits,
            follows: is_current,
        }
    }

    /// What a commit makes of the theft.
    pub(crate) fn suit(&mut self, valid: &Valid, is_honest: bool) {
        let Some(slot) = valid.after.slot_of(&self.of) else {
            (self.is_healed, self.follows) = (true, false);
            return;
        };
        let claim = &valid.after.leaf(slot).seat().unwrap().claim;
        if valid.plan.leaves.contains(&slot) {
            let by_stolen = matches!(claim, Claim::Unclaimed { prekey, .. } if self.prekeys.contains(&prekey.hash()));
            let knew = !self.is_healed;
            self.is_healed = !by_stolen;
            let is_added = valid.after.leaf(slot).seat().unwrap().seated == valid.after.epoch;
            self.follows = by_stolen && (is_added && is_honest || knew && self.follows);
        }
    }

    /// The thief is inside only while the device has not re-keyed, and then if nobody has lied.
    pub(crate) fn ask(&self, play: &Play) -> bool {
        let known = play.book.closure(&self.facts);
        let is_inside = known.contains(&Fact::Epoch(play.state.epoch));
        assert!(!is_inside || !self.is_healed, "a thief is inside after its victim has healed");
        let is_new = play.state.epoch > self.epoch;
        assert!(is_inside || !(self.follows && play.is_honest && is_new), "a thief lost its way");
        if !self.had_prekey {
            let early = (1..=self.epoch).any(|epoch| known.contains(&Fact::Epoch(epoch)));
            assert!(!early, "a thief reads what was before");
        }
        is_inside
    }
}
