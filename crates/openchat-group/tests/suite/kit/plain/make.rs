//! §4.5: making a commit, honest or not.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, KeyPair, PublicKey, Secret, fernet::MessageKey};

use super::{
    commit::{Commit, CommitEntry, Node, Op},
    judge::Fault,
    keys::{EpochKeys, LeafOfAdd, Walk, epoch_keys, external_pair, joiner_secret, walk, wrap_pad},
    letter::{Invitation, Letter, Naming, invitation_key},
    plan::{Plan, Whose},
    prim::{Fpr, Hash, ZEROS, derive_pair, fpr, hash, hmac, node_pair, sha, sign},
    state::State,
    tree_hash::tree_hash,
};

/// Secrets in the order in which they are asked for, the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    seed: Hash,
    count: u64,
}

impl Source {
    pub(crate) fn new(seed: &[u8]) -> Self {
        Self { seed: sha(seed), count: 0 }
    }

    pub(crate) fn bytes(&mut self) -> Hash {
        self.count += 1;
        sha(&[&self.seed[..], &self.count.to_be_bytes()].concat())
    }

    pub(crate) fn secret(&mut self) -> Secret {
        Secret::from_bytes(self.bytes())
    }

    pub(crate) fn pair(&mut self) -> KeyPair {
        derive_pair(&self.secret())
    }
}

/// What seals a token; a frozen one may be put in its place.
pub(crate) type Seal<'a> = &'a mut dyn FnMut(&Secret, &[u8]) -> Vec<u8>;

/// Seals with a new IV.
pub(crate) fn seal(key: &Secret, plain: &[u8]) -> Vec<u8> {
    MessageKey::new(key.clone()).seal(plain)
}

/// What is wrong with a commit that everybody finds publicly valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Lie {
    #[default]
    Nothing,
    /// The author's agreements on these levels are somebody else's; what is above follows.
    Path(Vec<u8>),
    /// The leaves made with prekeys have other keys.
    Leaf,
    External,
    Tag,
    /// What is wrapped for these epochs is not s.
    Wrap(Vec<u64>),
    /// The Welcomes hold another joiner secret.
    Welcome,
}

/// All that an author brings to a commit.
#[derive(Debug, Clone)]
pub(crate) struct Author<'a> {
    pub(crate) key: &'a IdentityKey,
    pub(crate) leaf: Option<Secret>,
    pub(crate) init: Option<Secret>,
    pub(crate) seen: (u64, Hash),
    pub(crate) head: (u64, Hash),
    pub(crate) naming: Option<Naming>,
    /// Of the admitted, to whom a letter goes.
    pub(crate) prekeys: BTreeMap<Fpr, (Hash, PublicKey)>,
    pub(crate) lie: Lie,
}

/// What an author drew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drawn {
    pub(crate) leaves: BTreeMap<u32, Secret>,
    pub(crate) e: Option<KeyPair>,
    pub(crate) ephemeral: Option<KeyPair>,
    /// s, or a creator's `init_0`.
    pub(crate) init: Option<Secret>,
    /// What it put in the place of agreements.
    pub(crate) lies: Vec<Secret>,
}

/// A commit that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) entry: CommitEntry,
    pub(crate) letters: Vec<(Fpr, Vec<u8>)>,
    pub(crate) after: State,
    pub(crate) leaf: Secret,
    pub(crate) keys: EpochKeys,
    pub(crate) drawn: Drawn,
}

impl Author<'_> {
    /// A commit of these operations; wraps and ephemeral keys in them are filled in.
    pub(crate) fn make(
        &self,
        before: &State,
        ops: &[Op],
        source: &mut Source,
        seal: Seal<'_>,
    ) -> Result<Made, Fault> {
        let author = fpr(self.key.public());
        let plan = before.outline(&author, ops, &self.head)?;
        self.make_planned(before, &plan, ops, source, seal)
    }

    /// As [`Self::make`], whether or not the author may do this.
    pub(crate) fn make_planned(
        &self,
        before: &State,
        plan: &Plan,
        ops: &[Op],
        source: &mut Source,
        seal: Seal<'_>,
    ) -> Result<Made, Fault> {
        let lie = &self.lie;
        let drawn = draw(before, plan, ops, lie, source);
        let ops = filled(before, ops, lie, &drawn, source);
        let mut known = drawn.leaves.clone();
        if let (false, Some(leaf)) = (plan.leaves.contains(&plan.slot), &self.leaf) {
            known.insert(plan.slot, leaf.clone());
        }
        let lies = lies(plan, lie, &drawn);
        let walk = walk(&plan.after, &known, &lies);
        let init = drawn.init.as_ref().or(self.init.as_ref()).ok_or("no init secret")?;
        let joiner = joiner_secret(init, walk.top.as_ref().ok_or("no leaf secret")?);
        let external = match lie {
            Lie::External => *source.pair().public(),
            _ => *external_pair(&joiner).public(),
        };
        let commit = self.commit(before, plan, ops, &known, &walk, &drawn, external);
        let bytes = commit.write();
        let confirmed = hash("commit confirmed", &[&before.interim, &bytes]);
        let keys = epoch_keys(&joiner, &confirmed);
        let mut tag = hmac(&keys.confirmation, &confirmed);
        if *lie == Lie::Tag {
            tag[31] ^= 1;
        }
        let entry = signed(self.key, bytes, tag);
        let mut after = plan.with_keys(&commit);
        after.confirmed = confirmed;
        after.interim = hash("interim", &[&confirmed, &tag]);
        after.past.push((after.interim, confirmed, external));
        let leaf = known[&plan.slot].clone();
        let made = Made { entry, letters: Vec::new(), after, leaf, keys, drawn };
        let letters = self.letters(before, plan, &commit, &made, source, seal);
        Ok(Made { letters, ..made })
    }

    #[expect(clippy::too_many_arguments, reason = "a commit has many parts")]
    fn commit(
        &self,
        before: &State,
        plan: &Plan,
        ops: Vec<Op>,
        known: &BTreeMap<u32, Secret>,
        walk: &Walk,
        drawn: &Drawn,
        external: PublicKey,
    ) -> Commit {
        let key = |slot: &u32| (*slot, *node_pair(&known[slot]).public());
        let mut commit = Commit {
            author: plan.author,
            group: before.group,
            epoch: before.epoch,
            interim: before.interim,
            seen: self.seen,
            ops,
            e: drawn.e.as_ref().map(|pair| *pair.public()),
            leaves: plan.leaves.iter().map(key).collect(),
            nodes: plan.nodes.iter().map(|node| (*node, walk.nodes[node])).collect(),
            tree_hash: ZEROS,
            external,
            head: self.head,
        };
        commit.tree_hash = tree_hash(&plan.with_keys(&commit));
        commit
    }

    #[expect(clippy::too_many_arguments, reason = "a letter names much of its commit")]
    fn letters(
        &self,
        before: &State,
        plan: &Plan,
        commit: &Commit,
        made: &Made,
        source: &mut Source,
        seal: Seal<'_>,
    ) -> Vec<(Fpr, Vec<u8>)> {
        let letter = |member: Fpr, joiner: Option<Secret>| Letter {
            author: plan.author,
            member,
            group: before.group,
            epoch: before.epoch + 1,
            interim: made.after.interim,
            joiner,
            naming: self.naming.clone(),
        };
        let mut letters = Vec::new();
        for op in &commit.ops {
            match op {
                Op::Add { entrant, prekey } => {
                    let who = entrant.fpr();
                    let slot = plan.after.slot_of(&who).unwrap();
                    let at = LeafOfAdd {
                        before,
                        slot,
                        author: &plan.author,
                        member: &who,
                        prekey_hash: &prekey.hash(),
                        e: &commit.e.unwrap(),
                    };
                    let p = prekey.view().unwrap().key;
                    let secrets = at.secrets(made.drawn.e.as_ref().unwrap(), &p);
                    let joiner = match self.lie {
                        Lie::Welcome => source.secret(),
                        _ => made.keys.joiner.clone(),
                    };
                    let sealed = letter(who, Some(joiner)).signed(self.key);
                    letters.push((who, seal(&secrets.wkey, &sealed)));
                }
                Op::Admit { who, .. } => {
                    let Some((prekey_hash, p)) = self.prekeys.get(who) else { continue };
                    let pair = source.pair();
                    let key = invitation_key(
                        (&before.group, before.epoch + 1),
                        [&plan.author, who],
                        prekey_hash,
                        pair.public(),
                        (&pair, p),
                    );
                    let token = seal(&key, &letter(*who, None).signed(self.key));
                    let invitation =
                        Invitation { prekey_hash: *prekey_hash, ephemeral: *pair.public(), token };
                    letters.push((*who, invitation.write()));
                }
                _ => {}
            }
        }
        letters
    }
}

/// An entry of these bytes, signed as they stand.
pub(crate) fn signed(key: &IdentityKey, commit: Vec<u8>, tag: Hash) -> CommitEntry {
    let signature = sign(key, "commit", &[&commit[..], &tag].concat());
    CommitEntry { commit, tag, signature }
}

fn draw(before: &State, plan: &Plan, ops: &[Op], lie: &Lie, source: &mut Source) -> Drawn {
    let mut drawn = Drawn::default();
    if plan.needs_e() {
        drawn.e = Some(source.pair());
    }
    for slot in &plan.leaves {
        let secret = match plan.whose(*slot) {
            Whose::Member { who, prekey } if *lie != Lie::Leaf => {
                let e = drawn.e.as_ref().unwrap();
                let at = LeafOfAdd {
                    before,
                    slot: *slot,
                    author: &plan.author,
                    member: &who,
                    prekey_hash: &prekey.hash(),
                    e: e.public(),
                };
                at.secrets(e, &prekey.view().unwrap().key).leaf
            }
            _ => source.secret(),
        };
        drawn.leaves.insert(*slot, secret);
    }
    match ops[0] {
        Op::Create { .. } => drawn.init = Some(source.secret()),
        Op::Join { .. } | Op::Rejoin { .. } => {
            drawn.init = Some(source.secret());
            drawn.ephemeral = Some(source.pair());
        }
        _ => {}
    }
    if let Lie::Path(levels) = lie {
        drawn.lies = levels.iter().map(|_| source.secret()).collect();
    }
    drawn
}

/// The operations with what was drawn in them.
fn filled(before: &State, ops: &[Op], lie: &Lie, drawn: &Drawn, source: &mut Source) -> Vec<Op> {
    let mut wrapped = |j: u64| {
        let ephemeral = drawn.ephemeral.as_ref().unwrap();
        let external = before.external(j).unwrap();
        let ends = [ephemeral.public(), &external];
        let pad = wrap_pad(before, j, ephemeral, &external, ends);
        let s = match lie {
            Lie::Wrap(epochs) if epochs.contains(&j) => source.secret(),
            _ => drawn.init.clone().unwrap(),
        };
        (j, *s.xor(&pad).expose())
    };
    let fill = |op: &Op| match op.clone() {
        Op::Join { entrant, wrap, revocation, .. } => {
            let ephemeral = *drawn.ephemeral.as_ref().unwrap().public();
            Op::Join { entrant, wrap: wrapped(wrap.0), ephemeral, revocation }
        }
        Op::Rejoin { wraps, .. } => {
            let ephemeral = *drawn.ephemeral.as_ref().unwrap().public();
            Op::Rejoin { wraps: wraps.iter().map(|wrap| wrapped(wrap.0)).collect(), ephemeral }
        }
        other => other,
    };
    ops.iter().map(fill).collect()
}

/// Secrets for the author's own agreements on the levels of a lie.
fn lies(plan: &Plan, lie: &Lie, drawn: &Drawn) -> BTreeMap<Node, Secret> {
    let Lie::Path(levels) = lie else { return BTreeMap::new() };
    let nodes = levels.iter().map(|level| (*level, plan.slot >> level));
    let lies = nodes.zip(drawn.lies.iter().cloned());
    lies.filter(|(node, _)| plan.nodes.contains(node)).collect()
}
