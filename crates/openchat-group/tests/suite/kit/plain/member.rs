//! §4.5 to §5.3: one person's device, run by the second implementation.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, KeyPair, PublicKey, Secret};

use super::{
    commit::{
        Access, Commit, CommitEntry, Entrant, Leave, LeaveBody, Node, Op, Prekey, SignedPrekey,
    },
    judge::{Fault, Valid, closed_name},
    keys::{EpochKeys, LeafOfAdd, Walk, epoch_keys, external_pair, joiner_secret, walk, wrap_pad},
    letter::{Invitation, Letter, Naming, invitation_key, open},
    make::{Author, Drawn, Lie, Made, Seal, Source, seal, signed},
    message::{Content, Header, Seen, logged, opened, padded, sealed},
    plan::Plan,
    prim::{Fpr, Hash, ZEROS, fpr, is_tag, node_pair, sign},
    state::{Claim, State},
};

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) key: IdentityKey,
    pub(crate) state: State,
    pub(crate) secrets: Option<Secrets>,
    pub(crate) pending: Option<Made>,
    /// The private parts of its prekeys, by the hash of the signed record.
    pub(crate) prekeys: BTreeMap<Hash, KeyPair>,
    /// The top of each epoch's secret tree, and its height.
    pub(crate) messages: BTreeMap<u64, (Secret, u8)>,
    pub(crate) head: (u64, Hash),
    pub(crate) naming: Option<Naming>,
    pub(crate) source: Source,
    prekey_count: u64,
    /// The next generation of each (epoch, slot).
    next: BTreeMap<(u64, u32), u32>,
}

/// What is kept of an epoch.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    pub(crate) epoch: u64,
    pub(crate) leaf: Secret,
    pub(crate) init: Secret,
    pub(crate) hedge: Secret,
    pub(crate) external: KeyPair,
}

/// What a commit was to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Invalid(Fault),
    Watched,
    Own,
    Followed,
    /// It was stuck, and is back.
    Back,
    Added,
    /// It may come in, and has read who says so.
    Invited,
    /// The check that failed; "behind" if an earlier one's fault still stands.
    Behind(&'static str),
    Removed,
    NotMine,
}

impl Member {
    pub(crate) fn new(name: &str, group: Hash, seed: &[u8]) -> Self {
        let mut source = Source::new(&[seed, name.as_bytes()].concat());
        Self {
            name: name.to_owned(),
            key: identity(&mut source),
            state: State::new(group),
            secrets: None,
            pending: None,
            prekeys: BTreeMap::new(),
            messages: BTreeMap::new(),
            head: (0, ZEROS),
            naming: None,
            source,
            prekey_count: 0,
            next: BTreeMap::new(),
        }
    }

    pub(crate) fn fpr(&self) -> Fpr {
        fpr(self.key.public())
    }

    pub(crate) fn entrant(&self) -> Entrant {
        Entrant { name: self.name.clone(), key: *self.key.public() }
    }

    /// Seated, and with the current epoch's keys.
    pub(crate) fn is_current(&self) -> bool {
        self.secrets.as_ref().is_some_and(|secrets| secrets.epoch == self.state.epoch)
    }

    /// A new prekey; its private part is kept.
    pub(crate) fn prekey(&mut self, last_resort: bool) -> SignedPrekey {
        let pair = self.source.pair();
        let mut id = [0; 16];
        self.prekey_count += 1;
        id[8..].copy_from_slice(&self.prekey_count.to_be_bytes());
        let prekey = Prekey {
            owner: self.fpr(),
            last_resort,
            id,
            key: *pair.public(),
            not_before: 1_700_000_000_000,
            not_after: 1_702_592_000_000,
        };
        let signed = signed_prekey(&self.key, &prekey);
        self.prekeys.insert(signed.hash(), pair);
        signed
    }

    /// A commit, which is pending from now on.
    pub(crate) fn make(
        &mut self,
        ops: &[Op],
        lie: &Lie,
        prekeys: &BTreeMap<Fpr, (Hash, PublicKey)>,
        seal: Seal<'_>,
    ) -> Result<&Made, Fault> {
        let author = self.author(prekeys.clone(), lie.clone());
        let mut source = self.source.clone();
        let made = author.make(&self.state, ops, &mut source, seal);
        self.source = source;
        Ok(self.pending.insert(made?))
    }

    /// A commit of operations that it may not make; only its own keys are in it.
    pub(crate) fn force(&mut self, ops: &[Op]) -> CommitEntry {
        let rekeys = [Op::Update];
        let head = self.head;
        let plan = Plan::new(&self.state, self.fpr(), &rekeys, head.0);
        let mut source = self.source.clone();
        let author = self.author(BTreeMap::new(), Lie::Nothing);
        let made = author.make_planned(&self.state, &plan, &rekeys, &mut source, &mut seal);
        let mut commit = made.unwrap().entry.view().unwrap();
        self.source = source;
        commit.ops = ops.to_vec();
        signed(&self.key, commit.write(), ZEROS)
    }

    fn author(&self, prekeys: BTreeMap<Fpr, (Hash, PublicKey)>, lie: Lie) -> Author<'_> {
        let secrets = self.secrets.as_ref().filter(|secrets| secrets.epoch == self.state.epoch);
        Author {
            key: &self.key,
            leaf: secrets.map(|secrets| secrets.leaf.clone()),
            init: secrets.map(|secrets| secrets.init.clone()),
            seen: (0, ZEROS),
            head: self.head,
            naming: self.naming.clone(),
            prekeys,
            lie,
        }
    }

    /// A join of the group as it is, not filled in.
    pub(crate) fn join(&self) -> Op {
        let ephemeral = *self.key.public();
        let wrap = (self.state.epoch, ZEROS);
        Op::Join { entrant: self.entrant(), wrap, ephemeral, revocation: None }
    }

    /// A rejoin that wraps for the tail and for where this one is stuck.
    pub(crate) fn rejoin(&self) -> Op {
        let tail = self.state.epoch;
        let stuck = self.secrets.as_ref().map(|secrets| secrets.epoch);
        let stuck = stuck.filter(|epoch| *epoch < tail);
        let wraps = core::iter::once(tail).chain(stuck).map(|epoch| (epoch, ZEROS)).collect();
        Op::Rejoin { wraps, ephemeral: *self.key.public() }
    }

    pub(crate) fn leave(&self) -> Option<Leave> {
        let me = self.fpr();
        let (since, key) = match (self.state.seat_of(&me), self.state.admitted.get(&me)) {
            (Some(seat), _) => (seat.seated, None),
            (None, Some((_, since))) => (*since, Some(*self.key.public())),
            (None, None) => return None,
        };
        let body = LeaveBody { author: me, group: self.state.group, since, key }.write();
        let signature = sign(&self.key, "leave", &body);
        Some(Leave { body, signature })
    }

    /// Reads a commit, with the letter that came with it if there is one for this device.
    pub(crate) fn commit(&mut self, entry: &CommitEntry, letter: Option<&[u8]>) -> Effect {
        let valid = match self.state.judge(entry) {
            Ok(valid) => valid,
            Err(fault) => return Effect::Invalid(fault),
        };
        let pending = self.pending.take();
        let before = core::mem::replace(&mut self.state, valid.after.clone());
        if !valid.plan.removed.is_empty() {
            self.messages.clear();
        }
        let me = self.fpr();
        if valid.commit.author == me {
            let Some(made) = pending.filter(|made| made.entry == *entry) else {
                self.secrets = None;
                return Effect::NotMine;
            };
            self.enter(made.leaf, &made.keys);
            return Effect::Own;
        }
        match (before.slot_of(&me).is_some(), self.state.slot_of(&me).is_some()) {
            (true, false) => {
                self.secrets = None;
                Effect::Removed
            }
            (false, true) => self.added(&before, entry, &valid, letter),
            (true, true) => self.follow(&before, entry, &valid),
            (false, false) => self.watch(&valid, letter),
        }
    }

    /// Of a commit that admits this one, the invitation.
    fn watch(&self, valid: &Valid, letter: Option<&[u8]>) -> Effect {
        let me = self.fpr();
        let admits = |op: &Op| matches!(op, Op::Admit { who, .. } if *who == me);
        if !valid.commit.ops.iter().any(admits) {
            return Effect::Watched;
        }
        let Some(letter) = letter.and_then(|letter| self.invitation(valid, letter)) else {
            return Effect::Behind("W1");
        };
        let names = (letter.group, letter.epoch, letter.interim);
        if names != (self.state.group, self.state.epoch, self.state.interim) {
            return Effect::Behind("W2");
        }
        if is_naming_of(&self.state, letter.naming.as_ref()) {
            Effect::Invited
        } else {
            Effect::Behind("W3")
        }
    }

    /// W1 of an invitation.
    fn invitation(&self, valid: &Valid, letter: &[u8]) -> Option<Letter> {
        let Invitation { prekey_hash, ephemeral, token } = Invitation::read(letter)?;
        let (me, author) = (self.fpr(), valid.commit.author);
        let key = invitation_key(
            (&self.state.group, self.state.epoch),
            [&author, &me],
            &prekey_hash,
            &ephemeral,
            (self.prekeys.get(&prekey_hash)?, &ephemeral),
        );
        let author_key = valid.after.seat_of(&author)?.key;
        let letter = Letter::verified(&open(&key, &token)?, false, &author_key)?;
        (letter.author == author && letter.member == me).then_some(letter)
    }

    /// W1 to W4, and P1 for its own path.
    fn added(
        &mut self,
        before: &State,
        entry: &CommitEntry,
        valid: &Valid,
        letter: Option<&[u8]>,
    ) -> Effect {
        let author = valid.after.seat_of(&valid.commit.author).unwrap();
        let Some((leaf, wkey)) = self.leaf_of_add(before, &valid.commit) else {
            return Effect::Behind("W1");
        };
        let plain = letter.and_then(|letter| open(&wkey, letter));
        let letter = plain.and_then(|plain| Letter::verified(&plain, true, &author.key));
        let Some(letter) = letter else { return Effect::Behind("W1") };
        if letter.author != valid.commit.author || letter.member != self.fpr() {
            return Effect::Behind("W1");
        }
        let names = (letter.group, letter.epoch, letter.interim);
        if names != (self.state.group, self.state.epoch, self.state.interim) {
            return Effect::Behind("W2");
        }
        if !is_naming_of(&self.state, letter.naming.as_ref()) {
            return Effect::Behind("W3");
        }
        let joiner = letter.joiner.unwrap();
        let (_, walk) = self.walk(&leaf);
        if let Err(fault) = self.path(&valid.commit, &leaf, &walk) {
            return Effect::Behind(fault);
        }
        let keys = epoch_keys(&joiner, &self.state.confirmed);
        let is_led_to = *keys.external.public() == valid.commit.external
            && is_tag(&keys.confirmation, &self.state.confirmed, &entry.tag);
        if !is_led_to {
            return Effect::Behind("W4");
        }
        self.naming = letter.naming;
        self.enter(leaf, &keys);
        Effect::Added
    }

    /// Its new leaf secret, if the commit set its leaf with its prekey; and the Welcome's key.
    fn leaf_of_add(&self, before: &State, commit: &Commit) -> Option<(Secret, Secret)> {
        let me = self.fpr();
        let slot = self.state.slot_of(&me)?;
        let Claim::Unclaimed { prekey, .. } = &self.state.leaf(slot).seat()?.claim else {
            return None;
        };
        let prekey_hash = prekey.hash();
        let own = self.prekeys.get(&prekey_hash)?;
        let e = commit.e?;
        let at = LeafOfAdd {
            before,
            slot,
            author: &commit.author,
            member: &me,
            prekey_hash: &prekey_hash,
            e: &e,
        };
        let secrets = at.secrets(own, &e);
        commit.leaves.iter().any(|(at, _)| *at == slot).then_some((secrets.leaf, secrets.wkey))
    }

    /// P1 to P3.
    fn follow(&mut self, before: &State, entry: &CommitEntry, valid: &Valid) -> Effect {
        let rekeyed = self.leaf_of_add(before, &valid.commit);
        let Some(secrets) = &mut self.secrets else { return Effect::Watched };
        if let Some((leaf, _)) = rekeyed {
            secrets.leaf = leaf;
        }
        let secrets = secrets.clone();
        let was_stuck = secrets.epoch != before.epoch;
        let Some(init) = init_of(before, &valid.commit, &secrets) else {
            return Effect::Behind("behind");
        };
        let (_, walk) = self.walk(&secrets.leaf);
        if let Err(fault) = self.path(&valid.commit, &secrets.leaf, &walk) {
            return Effect::Behind(fault);
        }
        let joiner = joiner_secret(&init, walk.top.as_ref().unwrap());
        if *external_pair(&joiner).public() != valid.commit.external {
            return Effect::Behind("P2");
        }
        let keys = epoch_keys(&joiner, &self.state.confirmed);
        if !is_tag(&keys.confirmation, &self.state.confirmed, &entry.tag) {
            return Effect::Behind("P3");
        }
        self.enter(secrets.leaf, &keys);
        if was_stuck { Effect::Back } else { Effect::Followed }
    }

    /// An entry with a message, if this one has the keys.
    pub(crate) fn say(&mut self, text: &str, seen: Seen, seal: Seal<'_>) -> Option<Vec<u8>> {
        if !self.is_current() {
            return None;
        }
        let (epoch, slot) = (self.state.epoch, self.state.slot_of(&self.fpr())?);
        let (message, height) = self.messages.get(&epoch)?;
        let generation = self.next.entry((epoch, slot)).or_default();
        let header = Header {
            epoch,
            confirmed: self.state.confirmed[..16].try_into().unwrap(),
            slot,
            generation: *generation,
            id: self.source.bytes()[..16].try_into().unwrap(),
        };
        *generation += 1;
        let body = text.as_bytes().to_vec();
        let padded = padded(&Content { time: 1_700_000_000_000, kind: 1, body });
        let of = (&self.state.group, &self.state.confirmed);
        let plain = sealed(&self.key, of, &header, &seen, &padded);
        let token = seal(&header.key(&self.state.group, message, *height), &plain);
        Some(logged(&header, &token))
    }

    /// The text of another's message: M1 to M8.
    pub(crate) fn hear(&mut self, entry: &[u8]) -> Result<(Content, Seen), &'static str> {
        let (header, token) = super::message::of_log(entry).ok_or("E1")?;
        let seat = self.state.leaf(header.slot).seat().ok_or("M1")?;
        header.judge(&self.state, &seat.fpr)?;
        let (message, height) = self.messages.get(&header.epoch).ok_or("no keys")?;
        let next = self.next.get(&(header.epoch, header.slot)).copied().unwrap_or(0);
        let skipped = header.generation.checked_sub(next).ok_or("M5")?;
        if skipped > 2_000 {
            return Err("M5");
        }
        let key = header.key(&self.state.group, message, *height);
        let index = usize::try_from(header.epoch).unwrap() - 1;
        let of = (&self.state.group, &self.state.past[index].1);
        let heard = opened(key, &token, &seat.key, of, &header)?;
        self.next.insert((header.epoch, header.slot), header.generation + 1);
        Ok(heard)
    }

    fn walk(&self, leaf: &Secret) -> (u32, Walk) {
        let slot = self.state.slot_of(&self.fpr()).unwrap();
        (slot, walk(&self.state, &BTreeMap::from([(slot, leaf.clone())]), &BTreeMap::new()))
    }

    /// P1: whose fault the lowest key is that differs.
    fn path(&self, commit: &Commit, leaf: &Secret, walk: &Walk) -> Result<(), &'static str> {
        let slot = self.state.slot_of(&self.fpr()).unwrap();
        let own = ((0, slot), *node_pair(leaf).public());
        let keys = core::iter::once(own).chain(walk.nodes.iter().map(|(node, key)| (*node, *key)));
        let differs = |(node, key): &(Node, PublicKey)| self.state.key(*node) != Some(*key);
        let Some((node, _)) = keys.into_iter().find(differs) else { return Ok(()) };
        let sets_leaf = node.0 == 0 && commit.leaves.iter().any(|(slot, _)| *slot == node.1);
        let sets_node = commit.nodes.iter().any(|(at, _)| *at == node);
        Err(if sets_leaf || sets_node { "P1" } else { "behind" })
    }

    fn enter(&mut self, leaf: Secret, keys: &EpochKeys) {
        let epoch = self.state.epoch;
        self.secrets = Some(Secrets {
            epoch,
            leaf,
            init: keys.init.clone(),
            hedge: keys.hedge.clone(),
            external: keys.external.clone(),
        });
        self.messages.insert(epoch, (keys.message.clone(), self.state.height()));
    }
}

/// W3.
fn is_naming_of(state: &State, naming: Option<&Naming>) -> bool {
    match (&state.policy.as_ref().unwrap().access, naming) {
        (Access::Closed(hash), Some((name, salt))) => closed_name(salt, name) == *hash,
        (Access::Closed(_), None) => false,
        (_, naming) => naming.is_none(),
    }
}

/// `init_n`, or the s of a join or rejoin.
fn init_of(before: &State, commit: &Commit, secrets: &Secrets) -> Option<Secret> {
    let (wraps, ephemeral) = match &commit.ops[0] {
        Op::Join { wrap, ephemeral, .. } => (vec![*wrap], ephemeral),
        Op::Rejoin { wraps, ephemeral } => (wraps.clone(), ephemeral),
        _ => return (secrets.epoch == before.epoch).then(|| secrets.init.clone()),
    };
    let (j, wrapped) = wraps.into_iter().find(|(j, _)| *j == secrets.epoch)?;
    let own = &secrets.external;
    let pad = wrap_pad(before, j, own, ephemeral, [ephemeral, own.public()]);
    Some(Secret::from_bytes(wrapped).xor(&pad))
}

pub(crate) fn signed_prekey(key: &IdentityKey, prekey: &Prekey) -> SignedPrekey {
    let body = prekey.write();
    SignedPrekey { signature: sign(key, "prekey", &body), body }
}

/// The identity key of the next secret.
pub(crate) fn identity(source: &mut Source) -> IdentityKey {
    IdentityKey::generate(&mut Once(source.bytes())).deterministic()
}

/// A generator of these 32 bytes.
struct Once(Hash);

impl rand_core::TryRng for Once {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from(self.try_next_u32()?))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Self::Error> {
        for (to, from) in target.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Once {}

/// What an author drew, as the secrets and pairs that it knows.
impl Drawn {
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.leaves.values().chain(&self.lies)
    }
}
