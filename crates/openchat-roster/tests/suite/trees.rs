//! The persistent tree against a plain list of leaves.

use std::collections::BTreeMap;

use openchat_crypto::PublicKey;
use openchat_roster::{Commit, CommitFault, NodeIndex, Roster};
use openchat_wire::Slot;
use proptest::prelude::*;

use crate::scribe::{Act, Scribe, nobodys};

/// Leaves by slot, and the keys of agreements.
#[derive(Debug, Default)]
struct Plain {
    leaves: Vec<PublicKey>,
    agreements: BTreeMap<NodeIndex, PublicKey>,
}

impl Plain {
    fn take(&mut self, commit: &Commit) {
        let (slot, key) = commit.leaves[0];
        let slot = usize::try_from(slot.0).unwrap();
        if slot == self.leaves.len() {
            self.leaves.push(key);
        } else {
            self.leaves[slot] = key;
        }
        self.agreements.extend(commit.nodes.iter().copied());
    }

    fn height(&self) -> u8 {
        u8::try_from(self.leaves.len().next_power_of_two().ilog2()).unwrap()
    }

    fn key(&self, level: u8, index: u32) -> Option<PublicKey> {
        if level == 0 {
            return self.leaves.get(usize::try_from(index).unwrap()).copied();
        }
        let (left, right) = (self.key(level - 1, index * 2), self.key(level - 1, index * 2 + 1));
        match (left, right) {
            (Some(_), Some(_)) => self.agreements.get(&NodeIndex { level, index }).copied(),
            (left, right) => left.or(right),
        }
    }

    fn copath(&self, slot: u32, height: u8) -> Vec<Option<PublicKey>> {
        (0..height).map(|level| self.key(level, (slot >> level) ^ 1)).collect()
    }

    fn assert_same(&self, roster: &Roster) {
        let tree = roster.tree();
        let count = u32::try_from(self.leaves.len()).unwrap();
        assert_eq!(tree.height(), self.height());
        assert_eq!(tree.members(), count);
        assert_eq!(tree.lowest_free(), Slot(count));
        for slot in 0..count {
            assert_eq!(tree.leaf(Slot(slot)).map(|leaf| leaf.key), self.key(0, slot));
            assert_eq!(tree.copath(Slot(slot)), self.copath(slot, self.height()));
        }
        assert!(tree.leaf(Slot(count)).is_none());
        let grown = u8::try_from((count + 1).next_power_of_two().ilog2()).unwrap();
        assert_eq!(tree.copath(Slot(count)), self.copath(count, grown));
        for level in 1..=self.height() + 1 {
            for index in 0..=count {
                let at = NodeIndex { level, index };
                let known = self.agreements.get(&at).copied();
                assert_eq!(tree.agreement(at), known);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_joins_and_renewals(steps in proptest::collection::vec(0_usize..40, 1..40)) {
        let mut scribe = Scribe::new(1, steps.len());
        let mut plain = Plain::default();
        let (slot, first) = (Slot(0), scribe.roster.tree().leaf(Slot(0)).unwrap().key);
        prop_assert_eq!(scribe.roster.tree().lowest_free(), slot.next());
        plain.leaves.push(first);
        let mut seated = 1;
        for step in steps {
            let (who, act) = match step {
                0..16 => (step % seated, Act::Update),
                16..22 => (step % seated, Act::Rejoin),
                _ => (seated, Act::Join),
            };
            seated += usize::from(act == Act::Join);
            let commit = scribe.make(who, act);
            scribe.take(who, &commit);
            plain.take(&commit);
            plain.assert_same(&scribe.roster);
        }
    }
}

/// A roster is judged from again and again: what was built for one commit changes nothing.
#[test]
fn an_older_roster_stays_as_it_was() {
    let mut scribe = Scribe::new(5, 2);
    let old = scribe.roster.clone();
    let shown = format!("{old:?}");
    let (update, join) = (scribe.make(3, Act::Update), scribe.make(5, Act::Join));
    scribe.take(3, &update);
    scribe.act(4, Act::Rejoin);
    assert_eq!(format!("{old:?}"), shown);
    assert!(old.check(&scribe.signed(5, &join)).is_ok());
    assert!(old.check(&scribe.signed(3, &update)).is_ok());
    assert_eq!(scribe.roster.check(&scribe.signed(5, &join)).unwrap_err(), CommitFault::Place);
}

/// A key that the tree no longer has may come again: only what is there now counts. What matters
/// is that nobody can hold back a commit by naming keys before it does.
#[test]
fn keys_that_were_replaced_are_forgotten() {
    let mut scribe = Scribe::new(3, 0);
    let first = scribe.make(1, Act::Update);
    scribe.take(1, &first);
    scribe.act(1, Act::Update);
    let mut again = scribe.make(1, Act::Update);
    again.leaves[0].1 = first.leaves[0].1;
    again.nodes[0].1 = first.nodes[0].1;
    again.external = first.external;
    scribe.rehash(&mut again).unwrap();
    scribe.take(1, &again);
}

#[test]
fn a_group_before_its_first_commit_is_empty() {
    let roster = nobodys();
    assert_eq!(roster.tree().height(), 0);
    assert_eq!(roster.tree().members(), 0);
    assert_eq!(roster.tree().lowest_free(), Slot(0));
    assert_eq!(roster.tree().copath(Slot(0)), []);
    assert!(roster.tree().leaf(Slot(0)).is_none());
    assert!(roster.seats().next().is_none());
    assert!(roster.policy().is_none() && roster.external().is_none());
}

/// Indices that no tree has.
#[test]
fn nodes_that_are_not_there() {
    let scribe = Scribe::new(5, 0);
    let tree = scribe.roster.tree();
    for (level, index) in [(0, 0), (1, 2), (1, 4), (2, 1), (4, 0), (31, 0), (255, u32::MAX)] {
        assert!(tree.agreement(NodeIndex { level, index }).is_none(), "{level} {index}");
    }
    for slot in [5, 7, 8, u32::MAX] {
        assert!(tree.leaf(Slot(slot)).is_none());
    }
    assert!(tree.agreement(NodeIndex { level: 3, index: 0 }).is_some());
}
