//! The agreements from a leaf to the root (`docs/protocol.md` §5.1).

use core::fmt;
use std::{collections::BTreeMap, sync::Arc};

use openchat_crypto::{KeyPair, Label, PublicKey, Secret, parallel};
use openchat_roster::{NodeIndex, Outline};
use openchat_wire::{GroupId, Slot};

/// Everything that a leaf secret leads to.
pub(crate) struct Path {
    /// The leaf's public key.
    pub(crate) leaf: PublicKey,
    /// The agreements above it, upward; transparent nodes are left out.
    pub(crate) nodes: Vec<(NodeIndex, PublicKey)>,
    /// `root_secret = Expand(secret of the topmost node, "root")`.
    pub(crate) root: Secret,
    /// What was computed on the way.
    pub(crate) steps: Steps,
}

/// Agreements on the way from one's own leaf to the root, by level.
///
/// They follow from the leaf's secret and the public tree, so that keeping them tells nobody more
/// than the leaf does; it saves computing again what a commit elsewhere in the tree has left alone.
/// They are never stored.
#[derive(Clone, Default)]
pub(crate) struct Steps {
    leaf: Option<Arc<Known>>,
    agreements: BTreeMap<u8, Arc<Step>>,
}

/// A subtree whose secret one knows.
struct Known {
    secret: Secret,
    pair: KeyPair,
}

/// What came of an agreement between these two keys.
struct Step {
    ends: [PublicKey; 2],
    node: Arc<Known>,
}

/// What an author computes from the leaves that its commit sets.
pub(crate) struct Climb {
    /// The public keys of those leaves, by slot.
    pub(crate) leaves: Vec<(Slot, PublicKey)>,
    /// The agreements above them, by level, then index.
    pub(crate) nodes: Vec<(NodeIndex, PublicKey)>,
    /// `root_secret`; `None` if no leaf was set.
    pub(crate) root: Option<Secret>,
}

/// Walks from `slot` to the root. `copath` has the key of each subtree beside the way, from the
/// leaf upward, `None` where it is empty: that parent is transparent and has its child's secret.
pub(crate) fn walk(
    group: &GroupId,
    slot: Slot,
    leaf_secret: &Secret,
    copath: &[Option<PublicKey>],
    before: &Steps,
) -> Path {
    let mut steps = Steps { leaf: Some(before.leaf(leaf_secret)), ..Steps::default() };
    let mut known = before.leaf(leaf_secret);
    let leaf = *known.pair.public();
    let mut nodes = Vec::with_capacity(copath.len());
    let mut index = slot.0;
    for (level, sibling) in (1_u8..).zip(copath) {
        let is_left = index & 1 == 0;
        index = index.checked_shr(1).unwrap_or(0);
        let Some(sibling) = sibling else { continue };
        let step = before.agreement(level, &known, sibling, is_left, group);
        known = step.node.clone();
        steps.agreements.insert(level, step);
        nodes.push((NodeIndex { level, index }, *known.pair.public()));
    }
    Path { leaf, nodes, root: root_secret(&known.secret), steps }
}

/// Computes upward from all leaves that a commit sets: one agreement for each changed node, however
/// many of them lead there. Those on the way up from `own` are put into `steps`.
pub(crate) fn climb(
    group: &GroupId,
    outline: &Outline,
    leaves: &[(Slot, Secret)],
    own: Slot,
    steps: &mut Steps,
) -> Climb {
    let known = |(slot, secret): &(Slot, Secret)| (slot.0, Known::new(secret.clone()));
    let mut row: Vec<(u32, Arc<Known>)> = parallel::map(leaves, known);
    let leaf_keys = row.iter().map(|(slot, known)| (Slot(*slot), *known.pair.public()));
    let mut climb = Climb { leaves: leaf_keys.collect(), nodes: Vec::new(), root: None };
    if let Some((_, known)) = row.iter().find(|(slot, _)| *slot == own.0) {
        steps.leaf = Some(known.clone());
    }
    for level in 1..=outline.height() {
        let meetings = meetings(outline, level, row);
        let held = parallel::map(&meetings, |meeting| meeting.hold(group));
        row = Vec::with_capacity(meetings.len());
        for (Meeting { at, known, .. }, step) in meetings.into_iter().zip(held) {
            let is_mine = NodeIndex::above(own, level) == at;
            if is_mine {
                steps.agreements.remove(&level);
            }
            let Some(step) = step else {
                row.push((at.index, known));
                continue;
            };
            climb.nodes.push((at, *step.node.pair.public()));
            row.push((at.index, step.node.clone()));
            if is_mine {
                steps.agreements.insert(level, step);
            }
        }
    }
    steps.agreements.split_off(&outline.height().saturating_add(1));
    climb.root = row.first().map(|(_, known)| root_secret(&known.secret));
    climb
}

/// A subtree whose secret is known, and what is beside it, if it is not empty.
struct Meeting {
    at: NodeIndex,
    known: Arc<Known>,
    is_left: bool,
    sibling: Option<Sibling>,
}

/// The other end of an agreement.
enum Sibling {
    /// A subtree whose secret is known, too.
    Known(Arc<Known>),
    Key(PublicKey),
}

/// The nodes of a level that the row below leads to.
fn meetings(outline: &Outline, level: u8, row: Vec<(u32, Arc<Known>)>) -> Vec<Meeting> {
    let mut meetings = Vec::with_capacity(row.len());
    let mut row = row.into_iter().peekable();
    while let Some((index, known)) = row.next() {
        let beside = row.next_if(|(next, _)| *next == index | 1);
        let sibling = NodeIndex { level: level.saturating_sub(1), index: index ^ 1 };
        let sibling = match beside {
            Some((_, beside)) => Some(Sibling::Known(beside)),
            None => outline.unchanged_key(sibling).map(Sibling::Key),
        };
        let at = NodeIndex { level, index: index.checked_shr(1).unwrap_or(0) };
        meetings.push(Meeting { at, known, is_left: index & 1 == 0, sibling });
    }
    meetings
}

impl Meeting {
    /// The agreement; `None` beside an empty subtree, where the node is transparent.
    fn hold(&self, group: &GroupId) -> Option<Arc<Step>> {
        let sibling = self.sibling.as_ref()?;
        Some(Arc::new(Step::new(&self.known, sibling, self.is_left, group)))
    }
}

impl Sibling {
    fn key(&self) -> &PublicKey {
        match self {
            Self::Known(known) => known.pair.public(),
            Self::Key(key) => key,
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps(..)")
    }
}

impl Steps {
    fn leaf(&self, secret: &Secret) -> Arc<Known> {
        match &self.leaf {
            Some(leaf) if leaf.secret == *secret => leaf.clone(),
            _ => Known::new(secret.clone()),
        }
    }

    /// The agreement that was computed before, if its two ends are still the same.
    fn agreement(
        &self,
        level: u8,
        known: &Known,
        sibling: &PublicKey,
        is_left: bool,
        group: &GroupId,
    ) -> Arc<Step> {
        let ends = ends(known.pair.public(), sibling, is_left);
        match self.agreements.get(&level) {
            Some(step) if step.ends == ends => step.clone(),
            _ => Arc::new(Step::new(known, &Sibling::Key(*sibling), is_left, group)),
        }
    }
}

impl Step {
    /// `node_secret = Expand(Extract("", x(ECDH(left, right))), "node" ‖ group ‖ left_pub ‖ right_pub)`
    fn new(known: &Known, sibling: &Sibling, is_left: bool, group: &GroupId) -> Self {
        let ends = ends(known.pair.public(), sibling.key(), is_left);
        let [left, right] = &ends;
        let context = [group.as_bytes().as_slice(), left.as_bytes(), right.as_bytes()].concat();
        let shared = match sibling {
            Sibling::Known(other) => known.pair.agree_alone(&other.pair),
            Sibling::Key(key) => known.pair.agree(key),
        };
        let secret = Secret::extract(b"", shared.expose()).expand(Label::Node, &context);
        Self { ends, node: Known::new(secret) }
    }
}

impl Known {
    /// With its key pair, `DeriveKeyPair(Expand(secret, "key"))`.
    fn new(secret: Secret) -> Arc<Self> {
        Arc::new(Self { pair: KeyPair::derive(&secret.expand(Label::Key, b"")), secret })
    }
}

fn ends(own: &PublicKey, sibling: &PublicKey, is_left: bool) -> [PublicKey; 2] {
    if is_left { [*own, *sibling] } else { [*sibling, *own] }
}

fn root_secret(top: &Secret) -> Secret {
    top.expand(Label::Root, b"")
}

#[cfg(test)]
#[path = "../tests/suite/kit/rng.rs"]
mod rng;

#[cfg(test)]
mod tests {
    use super::{rng::TestRng, *};
    use crate::{Author, Group, NewMember, Proposal};
    use openchat_crypto::IdentityKey;
    use openchat_roster::{
        CommitEntry, HeadRef, LogEntry, Policy, Prekey, PrekeyKind, Reason, SignedPrekey,
    };
    use openchat_wire::{Digest, UnixMillis};

    const GROUP: GroupId = GroupId([9; 32]);

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes([byte; 32])
    }

    fn fresh_walk(group: &GroupId, slot: u32, leaf: u8, copath: &[Option<PublicKey>]) -> Path {
        walk(group, Slot(slot), &secret(leaf), copath, &Steps::default())
    }

    #[test]
    fn both_sides_of_an_agreement_reach_the_same_root() {
        let leaf = |byte| fresh_walk(&GROUP, 0, byte, &[]).leaf;
        let from_a = fresh_walk(&GROUP, 0, 1, &[Some(leaf(2))]);
        let from_b = fresh_walk(&GROUP, 1, 2, &[Some(leaf(1))]);
        assert_eq!(from_a.root, from_b.root);
        assert_eq!(from_a.nodes, from_b.nodes);
        assert_eq!(from_a.nodes[0].0, NodeIndex { level: 1, index: 0 });
    }

    #[test]
    fn an_empty_sibling_is_transparent() {
        let alone = fresh_walk(&GROUP, 0, 1, &[]);
        let beside_empty = fresh_walk(&GROUP, 0, 1, &[None, None]);
        assert_eq!(alone.root, beside_empty.root);
        assert!(beside_empty.nodes.is_empty());
    }

    #[test]
    fn another_group_or_order_is_another_root() {
        let sibling = fresh_walk(&GROUP, 0, 2, &[]).leaf;
        let root = |group, slot| fresh_walk(&group, slot, 1, &[Some(sibling)]).root;
        assert_ne!(root(GROUP, 0), root(GroupId([8; 32]), 0));
        assert_ne!(root(GROUP, 0), root(GROUP, 1));
    }

    /// What was kept is used where nothing has changed, and nowhere else.
    #[test]
    fn a_walk_with_steps_of_another_tree_is_that_of_a_fresh_one() {
        let keys: Vec<_> = (10..18).map(|byte| fresh_walk(&GROUP, 0, byte, &[]).leaf).collect();
        let trees = [
            vec![Some(keys[0]), Some(keys[1]), Some(keys[2])],
            vec![Some(keys[0]), Some(keys[1]), Some(keys[3])],
            vec![Some(keys[0]), Some(keys[4]), Some(keys[3])],
            vec![Some(keys[0]), None, Some(keys[3])],
            vec![Some(keys[5]), None, Some(keys[3]), Some(keys[6])],
            vec![None],
        ];
        let mut steps = Steps::default();
        for leaf in [1, 2] {
            for (tree, slot) in trees.iter().chain(trees.iter().rev()).zip([0, 0, 1].iter().cycle())
            {
                let kept = walk(&GROUP, Slot(*slot), &secret(leaf), tree, &steps);
                let fresh = fresh_walk(&GROUP, *slot, leaf, tree);
                assert_eq!((kept.leaf, &kept.nodes), (fresh.leaf, &fresh.nodes));
                assert_eq!(kept.root, fresh.root);
                steps = kept.steps;
            }
        }
    }

    /// A group in the making, by one device.
    struct Maker {
        key: IdentityKey,
        group: Group,
        rng: TestRng,
    }

    impl Maker {
        fn propose(&mut self, proposal: Proposal) {
            let head = HeadRef { size: 0, root: Digest([0; 32]) };
            let name = "maker".parse().unwrap();
            let author = Author { key: &self.key, name: &name, head };
            self.group.propose(&author, None, proposal, &mut self.rng).unwrap();
            self.settle();
        }

        fn settle(&mut self) {
            let entry = LogEntry::decode(&self.group.pending().unwrap().entry.0).unwrap();
            let LogEntry::Commit(entry) = entry else { unreachable!() };
            let _: &CommitEntry = &entry;
            self.group.commit(&entry, &());
        }

        /// What is kept is what a walk through the tree as it is comes to, and no more.
        fn assert_steps(&self) {
            let (tree, secrets) = (self.group.roster.tree(), self.group.secrets.as_ref().unwrap());
            let copath = tree.copath(secrets.slot);
            let (group, leaf) = (self.group.roster.group(), &secrets.leaf);
            let fresh = walk(group, secrets.slot, leaf, &copath, &Steps::default()).steps;
            let kept = &self.group.steps;
            assert!(kept.agreements.keys().all(|level| fresh.agreements.contains_key(level)));
            for (level, step) in &kept.agreements {
                assert!(fresh.agreements[level].node.secret == step.node.secret, "level {level}");
            }
        }
    }

    fn newcomer(index: usize, rng: &mut TestRng) -> (NewMember, IdentityKey) {
        let key = IdentityKey::generate(rng);
        let prekey = Prekey {
            owner: key.fingerprint(),
            kind: PrekeyKind::OneTime,
            id: [0; 16],
            key: *KeyPair::derive(&Secret::random(rng)).public(),
            not_before: UnixMillis(0),
            not_after: UnixMillis(1),
        };
        let prekey = SignedPrekey::sign(&prekey, &key);
        let name = format!("n{index}").parse().unwrap();
        (NewMember { name, key: *key.public(), prekey }, key)
    }

    /// Nothing of a tree that is gone stays in memory.
    #[test]
    fn an_author_keeps_the_steps_of_its_tree_and_no_others() {
        let mut rng = TestRng::new(1).fork(0);
        let key = IdentityKey::generate(&mut rng);
        let head = HeadRef { size: 0, root: Digest([0; 32]) };
        let name = "maker".parse().unwrap();
        let author = Author { key: &key, name: &name, head };
        let policy = Policy::open("steps".parse().unwrap());
        let group = Group::create(&author, policy, None, Proposal::default(), &mut rng).unwrap();
        let mut maker = Maker { key, group, rng };
        maker.settle();
        let mut inside = Vec::new();
        for round in 0..40_usize {
            let proposal = match round % 5 {
                0..=2 => {
                    let (new, key) = newcomer(round, &mut maker.rng);
                    inside.push(key.fingerprint());
                    Proposal { adds: vec![new], update: round % 2 == 0, ..Proposal::default() }
                }
                3 => Proposal::update(),
                _ => {
                    let gone = (inside.len() / 2).max(1);
                    let gone = inside.split_off(inside.len() - gone);
                    let removes = gone.into_iter().map(|who| (who, Reason::Evicted)).collect();
                    Proposal { removes, ..Proposal::default() }
                }
            };
            maker.propose(proposal);
            maker.assert_steps();
        }
    }
}
