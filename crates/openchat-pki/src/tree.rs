//! The hash tree of RFC 6962 §2.1 for whoever keeps the entries elsewhere: one hash for every 32
//! entries stays in memory, and the tree above them.
//!
//! `ct-merkle` keeps every entry and every node, which a server can afford and a phone need not. It
//! stays the judge: of proofs in [`Inclusion`](crate::Inclusion) and [`Consistency`], and of this
//! tree in its tests.

use crate::transparency::MAX_SIZE;
use ct_merkle::{ConsistencyProof, RootHash};
use openchat_wire::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Entries under one stored hash. Then an entry costs two bytes of memory, and a proof at most two
/// blocks of entries read again.
pub(crate) const BLOCK: u64 = 1 << BLOCK_LEVEL;

const BLOCK_LEVEL: u32 = 5;

/// A tree that only grows, without its entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct HashTree {
    frontier: Frontier,
    /// From blocks upward: the hashes of all full subtrees of a level.
    levels: Vec<Vec<Digest>>,
}

/// A tree with entries to come, not yet taken over: what was made on the way to its new root.
#[derive(Debug)]
pub(crate) struct Growth {
    frontier: Frontier,
    made: Vec<(u32, Digest)>,
}

impl Growth {
    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.frontier.push(leaf_hash(entry), &mut self.made);
    }

    pub(crate) fn root(&self) -> Digest {
        self.frontier.root()
    }
}

impl HashTree {
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size
    }

    pub(crate) fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Begins to grow on a copy of as many hashes as the tree has levels.
    pub(crate) fn grow(&self) -> Growth {
        Growth { frontier: self.frontier.clone(), made: Vec::new() }
    }

    /// Takes over what grew from this tree as it is.
    pub(crate) fn take(&mut self, growth: Growth) {
        for (level, hash) in growth.made {
            self.store(level, hash);
        }
        self.frontier = growth.frontier;
    }

    /// The hash of each full block.
    pub(crate) fn blocks(&self) -> &[Digest] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The tree over these full blocks and, after them, leaves of a block that is not full.
    pub(crate) fn from_blocks(blocks: &[Digest], leaves: &[Digest]) -> Option<Self> {
        let mut tree = Self::default();
        for block in blocks {
            let mut made = vec![(BLOCK_LEVEL, *block)];
            tree.frontier.push_subtree(BLOCK_LEVEL, *block, &mut made);
            for (level, hash) in made {
                tree.store(level, hash);
            }
        }
        if u64::try_from(leaves.len()).ok()? >= BLOCK {
            return None;
        }
        for leaf in leaves {
            tree.frontier.push(*leaf, &mut Vec::new());
        }
        Some(tree)
    }

    /// The root that this tree had at an earlier size.
    pub(crate) fn root_at(&self, size: u64, read: &mut Reader<'_>) -> Option<Digest> {
        match size {
            _ if size > self.size() => None,
            0 => Some(Frontier::default().root()),
            _ => self.subtree(0, size, read),
        }
    }

    /// The hashes beside an entry's way to the root of an earlier size (RFC 6962 §2.1.1).
    pub(crate) fn path(&self, index: u64, size: u64, read: &mut Reader<'_>) -> Option<Vec<Digest>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut count, mut path) = (0_u64, size, Vec::new());
        while count > 1 {
            let left = split(count);
            let right = count.checked_sub(left)?;
            let middle = start.checked_add(left)?;
            if index < middle {
                path.push(self.subtree(middle, right, read)?);
                count = left;
            } else {
                path.push(self.subtree(start, left, read)?);
                (start, count) = (middle, right);
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the tree of one size begins with the tree of a smaller (RFC 6962 §2.1.2).
    pub(crate) fn consistency(
        &self,
        older: u64,
        size: u64,
        read: &mut Reader<'_>,
    ) -> Option<Consistency> {
        if older == 0 || older > size || size > self.size() {
            return None;
        }
        let (mut start, mut count, mut path) = (0_u64, size, Vec::new());
        while older != start.checked_add(count)? {
            let left = split(count);
            let right = count.checked_sub(left)?;
            let middle = start.checked_add(left)?;
            if older <= middle {
                path.push(self.subtree(middle, right, read)?);
                count = left;
            } else {
                path.push(self.subtree(start, left, read)?);
                (start, count) = (middle, right);
            }
        }
        // A tree that is the left corner of the larger one is its own proof.
        if start > 0 {
            path.push(self.subtree(start, count, read)?);
        }
        path.reverse();
        Some(Consistency { path })
    }

    /// The hash over some entries: stored for full subtrees down to blocks, else made from halves.
    /// It calls itself as often as the tree has levels.
    fn subtree(&self, start: u64, count: u64, read: &mut Reader<'_>) -> Option<Digest> {
        if let Some(stored) = self.stored(start, count) {
            return Some(stored);
        }
        if count <= 1 {
            return self.leaf(start, read);
        }
        let left = split(count);
        let middle = start.checked_add(left)?;
        let right = self.subtree(middle, count.checked_sub(left)?, read)?;
        Some(node_hash(&self.subtree(start, left, read)?, &right))
    }

    fn stored(&self, start: u64, count: u64) -> Option<Digest> {
        if !count.is_power_of_two() || count < BLOCK {
            return None;
        }
        let height = count.trailing_zeros().checked_sub(BLOCK_LEVEL)?;
        let level = self.levels.get(usize::try_from(height).ok()?)?;
        level.get(usize::try_from(start.checked_div(count)?).ok()?).copied()
    }

    /// The hash of a leaf, from its block, which is read whole and checked, so that a damaged store
    /// gives no proof rather than a wrong one.
    fn leaf(&self, index: u64, read: &mut Reader<'_>) -> Option<Digest> {
        let block = index.checked_div(BLOCK)?;
        if read.block.as_ref().is_none_or(|(held, _)| *held != block) {
            read.block = Some((block, self.read_block(block, read.entry)?));
        }
        let (_, leaves) = read.block.as_ref()?;
        leaves.get(usize::try_from(index.checked_rem(BLOCK)?).ok()?).copied()
    }

    /// The leaves of a block, if the entries read again are those that were hashed.
    pub(crate) fn read_block(
        &self,
        block: u64,
        entry: &mut dyn FnMut(u64) -> Option<Vec<u8>>,
    ) -> Option<Vec<Digest>> {
        let start = block.checked_mul(BLOCK)?;
        let end = start.checked_add(BLOCK)?.min(self.size());
        let mut leaves = Vec::new();
        let mut frontier = Frontier::default();
        for index in start..end {
            let leaf = leaf_hash(entry(index)?.as_ref());
            frontier.push(leaf, &mut Vec::new());
            leaves.push(leaf);
        }
        let expected = match self.stored(start, BLOCK) {
            Some(stored) => vec![stored],
            None => self.frontier.below_blocks().to_vec(),
        };
        (frontier.peaks == expected).then_some(leaves)
    }

    fn store(&mut self, level: u32, hash: Digest) {
        let height = usize::try_from(level.saturating_sub(BLOCK_LEVEL)).unwrap_or_default();
        if self.levels.len() <= height {
            self.levels.resize_with(height.saturating_add(1), Vec::new);
        }
        if let Some(hashes) = self.levels.get_mut(height) {
            hashes.push(hash);
        }
    }
}

/// Reads stored entries again, and remembers the last block.
pub(crate) struct Reader<'a> {
    entry: &'a mut dyn FnMut(u64) -> Option<Vec<u8>>,
    block: Option<(u64, Vec<Digest>)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(entry: &'a mut dyn FnMut(u64) -> Option<Vec<u8>>) -> Self {
        Self { entry, block: None }
    }
}

/// The roots of the full subtrees side by side, one for each bit of the size, the largest first.
#[derive(Debug, Clone, Default)]
struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    fn push(&mut self, leaf: Digest, made: &mut Vec<(u32, Digest)>) {
        self.push_subtree(0, leaf, made);
    }

    /// Appends a full subtree of a level to a tree of whole subtrees of that level. Notes what full
    /// subtrees this makes, from blocks upward.
    fn push_subtree(&mut self, level: u32, root: Digest, made: &mut Vec<(u32, Digest)>) {
        let (mut hash, mut level, added) = (root, level, 1_u64.checked_shl(level));
        while self.size.checked_shr(level).is_some_and(|rest| rest & 1 == 1) {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            level = level.saturating_add(1);
            if level >= BLOCK_LEVEL {
                made.push((level, hash));
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(added.unwrap_or_default());
    }

    fn root(&self) -> Digest {
        let joined =
            self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        joined.unwrap_or_else(|| openchat_crypto::sha256(&[]))
    }

    /// The peaks over the entries after the last full block.
    fn below_blocks(&self) -> &[Digest] {
        let below = (self.size & BLOCK.saturating_sub(1)).count_ones();
        let count = usize::try_from(below).unwrap_or_default();
        self.peaks.split_at(self.peaks.len().saturating_sub(count)).1
    }
}

/// The proof that a log of one size and root begins with the log of a smaller size and root
/// (RFC 6962 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// From the common subtree upward.
    pub path: Vec<Digest>,
}

impl Consistency {
    /// Whether the log of the larger size and root begins with that of the smaller.
    #[must_use]
    pub fn verify(&self, smaller: (u64, &Digest), larger: (u64, &Digest)) -> bool {
        if smaller.0 == 0 || smaller.0 > larger.0 || larger.0 > MAX_SIZE {
            return false;
        }
        let path: Vec<u8> = self.path.iter().flat_map(|digest| digest.0).collect();
        let Ok(proof) = ConsistencyProof::<Sha256>::try_from_bytes(path) else { return false };
        let root = |(size, root): (u64, &Digest)| RootHash::<Sha256>::new(root.0.into(), size);
        root(larger).verify_consistency(&root(smaller), &proof).is_ok()
    }
}

/// The largest power of two below a count of two or more.
fn split(count: u64) -> u64 {
    let below = count.saturating_sub(1);
    1_u64.checked_shl(below.checked_ilog2().unwrap_or_default()).unwrap_or(1)
}

fn leaf_hash(entry: &[u8]) -> Digest {
    hash(&[&[0x00], entry])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[0x01], &left.0, &right.0])
}

fn hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inclusion, MerkleLog};

    fn entry(index: u64) -> Vec<u8> {
        index.to_be_bytes().to_vec()
    }

    fn tree(size: u64) -> HashTree {
        let mut tree = HashTree::default();
        let mut growth = tree.grow();
        (0..size).for_each(|index| growth.push(&entry(index)));
        tree.take(growth);
        tree
    }

    fn judge(size: u64) -> MerkleLog {
        (0..size).map(entry).collect()
    }

    #[test]
    fn roots_are_ct_merkles_whatever_the_batches() {
        let (mut tree, mut log) = (HashTree::default(), MerkleLog::new());
        assert_eq!(tree.root(), log.root());
        for batch in [1, 1, 3, 30, 64, 1, 28, 200, 7, 513] {
            let mut growth = tree.grow();
            for _ in 0..batch {
                growth.push(&entry(log.size()));
                log.push(&entry(log.size()));
                assert_eq!(growth.root(), log.root());
            }
            tree.take(growth);
            assert_eq!((tree.size(), tree.root()), (log.size(), log.root()));
        }
    }

    #[test]
    fn every_earlier_root_and_every_proof_is_ct_merkles() {
        let size = 131;
        let tree = tree(size);
        let mut read = |index| Some(entry(index));
        for older in 1..=size {
            let log = judge(older);
            let mut reader = Reader::new(&mut read);
            assert_eq!(tree.root_at(older, &mut reader), Some(log.root()), "{older}");
            for index in 0..older {
                let path = tree.path(index, older, &mut reader).unwrap();
                assert_eq!(Some(Inclusion { index, path }), log.prove(index), "{index} of {older}");
            }
        }
        let mut reader = Reader::new(&mut read);
        assert_eq!(tree.root_at(0, &mut reader), Some(MerkleLog::root_of_empty()));
        assert_eq!(tree.root_at(size + 1, &mut reader), None);
        assert_eq!(tree.path(size, size, &mut reader), None);
        assert_eq!(tree.path(0, size + 1, &mut reader), None);
    }

    #[test]
    fn every_consistency_proof_convinces_ct_merkle_of_that_root_alone() {
        let tree = tree(70);
        let mut read = |index| Some(entry(index));
        let mut reader = Reader::new(&mut read);
        for larger in 1..=70 {
            let root = judge(larger).root();
            for smaller in 1..=larger {
                let proof = tree.consistency(smaller, larger, &mut reader).unwrap();
                let older = judge(smaller).root();
                assert!(proof.verify((smaller, &older), (larger, &root)), "{smaller} {larger}");
                let other = Digest([7; 32]);
                assert!(!proof.verify((smaller, &other), (larger, &root)));
                assert!(!proof.verify((smaller, &older), (larger, &other)));
                let longer = [proof.path, vec![other]].concat();
                assert!(!Consistency { path: longer }.verify((smaller, &older), (larger, &root)));
            }
        }
        assert_eq!(tree.consistency(0, 70, &mut reader), None);
        assert_eq!(tree.consistency(2, 71, &mut reader), None);
        assert_eq!(tree.consistency(3, 2, &mut reader), None);
    }

    #[test]
    fn a_proof_reads_two_blocks_at_most() {
        let tree = tree(10_000);
        for (index, size) in [(0, 1), (5, 10_000), (4_997, 9_999), (9_999, 10_000), (31, 33)] {
            let mut reads = 0;
            let mut read = |index| {
                reads += 1;
                Some(entry(index))
            };
            assert!(tree.path(index, size, &mut Reader::new(&mut read)).is_some());
            assert!(reads <= 2 * BLOCK, "{reads} entries read");
        }
    }

    #[test]
    fn a_damaged_store_gives_no_proof() {
        let tree = tree(77);
        for damaged in [3, 70] {
            let mut read = |index| Some(if index == damaged { vec![9] } else { entry(index) });
            assert_eq!(tree.path(damaged ^ 1, 77, &mut Reader::new(&mut read)), None);
            let mut missing = |index| (index != damaged).then(|| entry(index));
            assert_eq!(tree.path(damaged ^ 1, 77, &mut Reader::new(&mut missing)), None);
        }
    }

    #[test]
    fn a_tree_comes_back_from_its_blocks() {
        for size in [0, 1, 31, 32, 33, 64, 95, 96, 1_000] {
            let tree = tree(size);
            let rest: Vec<Digest> =
                (size / BLOCK * BLOCK..size).map(|index| leaf_hash(&entry(index))).collect();
            let again = HashTree::from_blocks(tree.blocks(), &rest).unwrap();
            assert_eq!((again.size(), again.root()), (tree.size(), tree.root()), "{size}");
            assert_eq!(again.levels, tree.levels);
        }
        assert!(HashTree::from_blocks(&[], &[Digest([0; 32]); 32]).is_none());
    }

    #[test]
    fn absurd_sizes_prove_nothing() {
        let root = Digest([1; 32]);
        for size in [0, 1, 1 << 41, u64::MAX / 2, u64::MAX] {
            for larger in [0, 1 << 41, u64::MAX / 2 + 1, u64::MAX] {
                assert!(!Consistency { path: vec![] }.verify((size, &root), (larger, &root)));
            }
        }
    }
}
