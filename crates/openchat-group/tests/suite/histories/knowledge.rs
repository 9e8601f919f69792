//! Who can derive what: the closure of what people have drawn or been given, under everything that
//! the protocol derives, from the published bytes alone.
//!
//! A fact is a secret, named by what is public of it. A rule says that whoever has certain secrets
//! has another one; it is written down only after the derivation was made and led to the published
//! key. So a lie in a path is a rule that is missing.

use std::collections::{BTreeMap, BTreeSet};

use openchat_crypto::{KeyPair, PublicKey, Secret};
use openchat_wire::encode;

use crate::kit::plain::{
    CommitEntry, Fpr, Op, State,
    commit::{Commit, Node, SignedPrekey},
    judge::Valid,
    keys::{EpochKeys, LeafOfAdd, agreed, epoch_keys, joiner_secret, wrap_pad},
    letter::{Letter, open},
    prim::{is_tag, node_pair},
    state::{Claim, children},
};

/// A secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Of a leaf or an agreement, by its key.
    Node(PublicKey),
    /// The private half of a prekey, an ephemeral or an external key.
    Pair(PublicKey),
    /// `init_n`.
    Init(u64),
    /// What the commit to an epoch wraps for epoch j; for none, what its author drew.
    Wrapped(u64, Option<u64>),
    /// The joiner secret of an epoch, and all that follows from it.
    Epoch(u64),
}

/// Everything that anybody has derived, and from what.
#[derive(Debug, Default)]
pub(crate) struct Book {
    nodes: BTreeMap<PublicKey, Secret>,
    pairs: BTreeMap<PublicKey, KeyPair>,
    inits: BTreeMap<u64, Secret>,
    wrapped: BTreeMap<(u64, Option<u64>), Secret>,
    pub(crate) epochs: BTreeMap<u64, EpochKeys>,
    rules: Vec<(Vec<Fact>, Fact)>,
    /// Agreements whose key is the one that follows from their children's.
    consistent: BTreeSet<(PublicKey, PublicKey, PublicKey)>,
    /// Leaves that follow from the prekey that they were made with.
    pub(crate) handed: BTreeSet<PublicKey>,
    /// Epochs whose external key is the one that follows, and whose tag is.
    pub(crate) externals: BTreeSet<u64>,
    pub(crate) tags: BTreeSet<u64>,
    /// Epochs that follow from the published root.
    pub(crate) rooted: BTreeSet<u64>,
    /// (epoch, member): Welcomes that hold what they should.
    pub(crate) welcomes: BTreeSet<(u64, Fpr)>,
}

/// What somebody has, before any derivation.
pub(crate) type Facts = BTreeSet<Fact>;

impl Book {
    /// The secret of a leaf or node that somebody drew.
    pub(crate) fn node(&mut self, secret: &Secret) -> Fact {
        let key = *node_pair(secret).public();
        self.nodes.insert(key, secret.clone());
        Fact::Node(key)
    }

    pub(crate) fn pair(&mut self, pair: &KeyPair) -> Fact {
        self.pairs.insert(*pair.public(), pair.clone());
        Fact::Pair(*pair.public())
    }

    /// What an author drew in the place of `init_n`.
    pub(crate) fn init(&mut self, before: u64, s: &Secret) -> Fact {
        self.wrapped.insert((before + 1, None), s.clone());
        Fact::Wrapped(before + 1, None)
    }

    /// Writes down what follows from a commit and its letters.
    pub(crate) fn commit(
        &mut self,
        before: &State,
        valid: &Valid,
        entry: &CommitEntry,
        letters: &[(Fpr, Vec<u8>)],
    ) {
        let (commit, after) = (&valid.commit, &valid.after);
        for (slot, key) in &commit.leaves {
            self.handed_leaf(before, valid, entry, (*slot, *key), letters);
        }
        for node in agreements(after) {
            self.agreement(after, node);
        }
        let candidates = self.inits_for(before, commit);
        let top = after.key(after.top()).unwrap();
        for (fact, init) in candidates {
            let Some(secret) = self.nodes.get(&top).cloned() else { continue };
            let joiner = joiner_secret(&init, &secret);
            if self.epoch(valid, entry, &joiner) {
                self.rooted.insert(after.epoch);
                self.rule([Fact::Node(top), fact], Fact::Epoch(after.epoch));
            }
        }
    }

    fn rule<const N: usize>(&mut self, from: [Fact; N], to: Fact) {
        self.rules.push((from.to_vec(), to));
    }

    /// A leaf made with a prekey, and the Welcome under the same agreement.
    fn handed_leaf(
        &mut self,
        before: &State,
        valid: &Valid,
        entry: &CommitEntry,
        (slot, key): (u32, PublicKey),
        letters: &[(Fpr, Vec<u8>)],
    ) {
        let Some(seat) = valid.after.leaf(slot).seat() else { return };
        let (Claim::Unclaimed { prekey, .. }, Some(e)) = (&seat.claim, valid.commit.e) else {
            return;
        };
        let p = p_of(prekey);
        let (mine, theirs) = match (self.pairs.get(&e), self.pairs.get(&p)) {
            (Some(own), _) => (own, p),
            (_, Some(own)) => (own, e),
            _ => return,
        };
        let at = LeafOfAdd {
            before,
            slot,
            author: &valid.commit.author,
            member: &seat.fpr,
            prekey_hash: &prekey.hash(),
            e: &e,
        };
        let secrets = at.secrets(mine, &theirs);
        if *node_pair(&secrets.leaf).public() == key {
            self.nodes.insert(key, secrets.leaf);
            self.handed.insert(key);
            self.rule([Fact::Pair(e)], Fact::Node(key));
            self.rule([Fact::Pair(p)], Fact::Node(key));
        }
        for (_, letter) in letters.iter().filter(|(to, _)| *to == seat.fpr) {
            let plain = open(&secrets.wkey, letter);
            let author = valid.after.seat_of(&valid.commit.author).unwrap().key;
            let letter = plain.and_then(|plain| Letter::verified(&plain, true, &author));
            let joiner = letter.and_then(|letter| letter.joiner);
            if joiner.is_some_and(|joiner| self.epoch(valid, entry, &joiner)) {
                self.welcomes.insert((valid.after.epoch, seat.fpr));
                self.rule([Fact::Pair(e)], Fact::Epoch(valid.after.epoch));
                self.rule([Fact::Pair(p)], Fact::Epoch(valid.after.epoch));
            }
        }
    }

    fn agreement(&mut self, after: &State, node: Node) {
        let [left, right] = children(node).map(|child| after.key(child).unwrap());
        let key = after.key(node).unwrap();
        if self.consistent.contains(&(left, right, key)) {
            return;
        }
        let secret = match (self.nodes.get(&left), self.nodes.get(&right)) {
            (Some(own), _) => agreed(&after.group, own, &right, [&left, &right]),
            (_, Some(own)) => agreed(&after.group, own, &left, [&left, &right]),
            _ => return,
        };
        if *node_pair(&secret).public() == key {
            self.nodes.insert(key, secret);
            self.consistent.insert((left, right, key));
            self.rule([Fact::Node(left)], Fact::Node(key));
            self.rule([Fact::Node(right)], Fact::Node(key));
        }
    }

    /// What can stand for `init_n` in a commit.
    fn inits_for(&mut self, before: &State, commit: &Commit) -> Vec<(Fact, Secret)> {
        let to = before.epoch + 1;
        let (wraps, ephemeral) = match &commit.ops[0] {
            Op::Join { wrap, ephemeral, .. } => (vec![*wrap], ephemeral),
            Op::Rejoin { wraps, ephemeral } => (wraps.clone(), ephemeral),
            Op::Create { .. } => (Vec::new(), &commit.external),
            _ => {
                let init = self.inits.get(&before.epoch).cloned();
                return init.map(|init| (Fact::Init(before.epoch), init)).into_iter().collect();
            }
        };
        for (j, wrapped) in wraps {
            let external = before.external(j).unwrap();
            let (mine, theirs) = match (self.pairs.get(ephemeral), self.pairs.get(&external)) {
                (Some(own), _) => (own, external),
                (_, Some(own)) => (own, *ephemeral),
                _ => continue,
            };
            let pad = wrap_pad(before, j, mine, &theirs, [ephemeral, &external]);
            let s = Secret::from_bytes(wrapped).xor(&pad);
            self.wrapped.insert((to, Some(j)), s);
            self.rule([Fact::Pair(*ephemeral)], Fact::Wrapped(to, Some(j)));
            self.rule([Fact::Pair(external)], Fact::Wrapped(to, Some(j)));
        }
        let all = self.wrapped.range((to, None)..=(to, Some(u64::MAX)));
        all.map(|((to, j), s)| (Fact::Wrapped(*to, *j), s.clone())).collect()
    }

    /// Whether a joiner secret is that of the epoch that a commit led to; then what follows from it.
    pub(crate) fn epoch(&mut self, valid: &Valid, entry: &CommitEntry, joiner: &Secret) -> bool {
        let (epoch, confirmed) = (valid.after.epoch, valid.after.confirmed);
        let keys = epoch_keys(joiner, &confirmed);
        let external = *keys.external.public() == valid.commit.external;
        let tag = is_tag(&keys.confirmation, &confirmed, &entry.tag);
        if !external && !tag {
            return false;
        }
        if self.epochs.contains_key(&epoch) {
            return true;
        }
        self.inits.insert(epoch, keys.init.clone());
        self.rule([Fact::Epoch(epoch)], Fact::Init(epoch));
        if external {
            let pair = self.pair(&keys.external);
            self.externals.insert(epoch);
            self.rule([Fact::Epoch(epoch)], pair);
        }
        if tag {
            self.tags.insert(epoch);
        }
        self.epochs.insert(epoch, keys);
        true
    }

    /// All that follows from some facts.
    pub(crate) fn closure(&self, facts: &Facts) -> Facts {
        let mut known = facts.clone();
        loop {
            let before = known.len();
            for (from, to) in &self.rules {
                if !known.contains(to) && from.iter().all(|fact| known.contains(fact)) {
                    known.insert(*to);
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }

    /// The secrets whose bytes stand in others.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Facts {
        let windows: BTreeSet<&[u8]> = bytes.windows(32).collect();
        let has = |secret: &Secret| windows.contains(&secret.expose()[..]);
        let nodes = self.nodes.iter().filter(|(_, secret)| has(secret));
        let mut found: Facts = nodes.map(|(key, _)| Fact::Node(*key)).collect();
        let pairs = self.pairs.iter().filter(|(_, pair)| windows.contains(&encode(*pair)[..]));
        found.extend(pairs.map(|(key, _)| Fact::Pair(*key)));
        let inits = self.inits.iter().filter(|(_, secret)| has(secret));
        found.extend(inits.map(|(epoch, _)| Fact::Init(*epoch)));
        let wrapped = self.wrapped.iter().filter(|(_, secret)| has(secret));
        found.extend(wrapped.map(|((to, j), _)| Fact::Wrapped(*to, *j)));
        let epochs = self.epochs.iter().filter(|(_, keys)| has(&keys.joiner) || has(&keys.epoch));
        found.extend(epochs.map(|(epoch, _)| Fact::Epoch(*epoch)));
        found
    }

    /// Whether a member whose leaf this is derives every key above it.
    pub(crate) fn is_path_right(&self, state: &State, slot: u32) -> bool {
        (1..=state.height()).all(|level| {
            let node = (level, slot >> level);
            if !state.is_agreement(node) {
                return true;
            }
            let [left, right] = children(node).map(|child| state.key(child).unwrap());
            self.consistent.contains(&(left, right, state.key(node).unwrap()))
        })
    }

    /// Whether what is wrapped for an epoch is what the author drew.
    pub(crate) fn is_wrap_right(&self, to: u64, j: u64) -> bool {
        let (drawn, wrapped) = (self.wrapped.get(&(to, None)), self.wrapped.get(&(to, Some(j))));
        wrapped.is_some() && drawn.is_none_or(|drawn| wrapped == Some(drawn))
    }

    /// Finds a creator's `init_0` among what it may have drawn.
    pub(crate) fn find_creation(
        &mut self,
        valid: &Valid,
        entry: &CommitEntry,
        drawn: &[Secret],
    ) -> Option<Fact> {
        let top = valid.after.key(valid.after.top()).unwrap();
        let secret = self.nodes.get(&top)?.clone();
        let leads = |init: &&Secret| leads_to(valid, entry, &joiner_secret(init, &secret));
        let init = drawn.iter().find(leads)?.clone();
        self.epoch(valid, entry, &joiner_secret(&init, &secret));
        let fact = self.init(0, &init);
        self.rooted.insert(1);
        self.rule([Fact::Node(top), fact], Fact::Epoch(1));
        Some(fact)
    }
}

/// Whether a joiner secret is that of the epoch that a commit led to.
fn leads_to(valid: &Valid, entry: &CommitEntry, joiner: &Secret) -> bool {
    let keys = epoch_keys(joiner, &valid.after.confirmed);
    is_tag(&keys.confirmation, &valid.after.confirmed, &entry.tag)
}

/// The agreements of a tree, from below.
fn agreements(state: &State) -> Vec<Node> {
    let levels = (1..=state.height())
        .flat_map(|level| (0..1_u32 << (state.height() - level)).map(move |index| (level, index)));
    levels.filter(|node| state.is_agreement(*node)).collect()
}

fn p_of(prekey: &SignedPrekey) -> PublicKey {
    prekey.view().unwrap().key
}
