//! One person's device: run by the first implementation or by the second.

use std::collections::BTreeMap;

use openchat_crypto::{IdentityKey, PublicKey, Secret};
use openchat_group::{
    Author, CommitError, CommitOutcome, Effect as FirstEffect, Group, Invited, NewMember,
    PrivateFault, Proposal,
};
use openchat_roster::{CommitFault, HeadRef, Naming, Operation, Policy as FirstPolicy, PrekeyKind};
use openchat_wire::{Blob, Digest, Epoch, GroupId, decode, encode};
use rand_core::TryRng;

use super::knowledge::{Book, Fact, Facts};
use crate::kit::{
    Act, Device, Event,
    plain::{
        Commit, CommitEntry, Fpr, Hash, Op, State,
        commit::{Leave, SignedPrekey},
        make::{Lie, seal},
        member::{Effect, Member},
        prim::{derive_pair, extract, node_pair},
    },
    rng::TestRng,
};

#[derive(Debug)]
pub(crate) enum Side {
    First(Box<Device>),
    Second(Box<Member>),
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) fpr: Fpr,
    pub(crate) side: Side,
    /// All that it has ever drawn.
    pub(crate) facts: Facts,
    pub(crate) asleep: bool,
    /// Entries that it has read.
    pub(crate) read: usize,
    pub(crate) keys: Keys,
    /// Its leaf was re-keyed while it was stuck.
    pub(crate) has_moved: bool,
    last_resort: Option<SignedPrekey>,
    /// A one-time prekey that nobody has used yet.
    one_time: Option<SignedPrekey>,
}

/// The epoch whose secrets a device should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    At(u64),
}

/// A commit that a device made, and the letters with it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) entry: CommitEntry,
    pub(crate) letters: Vec<(Fpr, Vec<u8>)>,
    /// What its author may have drawn, where that is not known better.
    pub(crate) candidates: Vec<Secret>,
    /// What its author takes for the joiner secret.
    pub(crate) joiner: Option<Secret>,
}

/// What an entry was to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Commit(Effect),
    Text(String),
    Own,
    Unreadable,
    Leave(bool),
}

/// The prekeys of those who are invited.
pub(crate) type Prekeys = BTreeMap<Fpr, SignedPrekey>;

impl Person {
    pub(crate) fn new(name: &str, index: usize, group: Hash, seed: u64, is_first: bool) -> Self {
        let side = if is_first {
            let mut device = Device::new(index, GroupId(group), &TestRng::new(seed));
            device.name = name.parse().unwrap();
            Side::First(Box::new(device))
        } else {
            let seed = [&seed.to_be_bytes()[..], &index.to_be_bytes()].concat();
            Side::Second(Box::new(Member::new(name, group, &seed)))
        };
        let fpr = match &side {
            Side::First(device) => device.key.fingerprint().0,
            Side::Second(member) => member.fpr(),
        };
        Self {
            name: name.to_owned(),
            fpr,
            side,
            facts: Facts::new(),
            asleep: false,
            read: 0,
            keys: Keys::None,
            has_moved: false,
            last_resort: None,
            one_time: None,
        }
    }

    /// Tells the device the name of a closed group.
    pub(crate) fn learn_name(&mut self, name: &str, salt: Hash) {
        match &mut self.side {
            Side::First(device) => {
                device.naming = Some(Naming { name: name.parse().unwrap(), salt: Digest(salt) });
            }
            Side::Second(member) => member.naming = Some((name.to_owned(), salt)),
        }
    }

    pub(crate) fn key(&self) -> &IdentityKey {
        match &self.side {
            Side::First(device) => &device.key,
            Side::Second(member) => &member.key,
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        *self.key().public()
    }

    /// Begins to follow a group from its first entry.
    pub(crate) fn enter_group(&mut self, group: Hash) {
        match &mut self.side {
            Side::First(device) => {
                device.group = Group::new(GroupId(group), device.key.fingerprint());
            }
            Side::Second(member) => member.state = State::new(group),
        }
    }

    /// A prekey; the one of last resort is always the same, another until it was used.
    pub(crate) fn prekey(&mut self, book: &mut Book, is_last_resort: bool) -> SignedPrekey {
        let kept = if is_last_resort { &self.last_resort } else { &self.one_time };
        if let Some(prekey) = kept {
            return prekey.clone();
        }
        let (signed, pair) = match &mut self.side {
            Side::First(device) => {
                let kind =
                    if is_last_resort { PrekeyKind::LastResort } else { PrekeyKind::OneTime };
                let signed = device.prekey(kind);
                let pair = device.ring.prekeys[&signed.hash()].clone();
                let signature = signed.signature;
                (SignedPrekey { body: signed.prekey.0, signature }, pair)
            }
            Side::Second(member) => {
                let signed = member.prekey(is_last_resort);
                let pair = member.prekeys[&signed.hash()].clone();
                (signed, pair)
            }
        };
        self.facts.insert(book.pair(&pair));
        let kept = if is_last_resort { &mut self.last_resort } else { &mut self.one_time };
        kept.insert(signed).clone()
    }

    /// A one-time prekey serves once.
    pub(crate) fn forget(&mut self, used: &SignedPrekey) {
        self.one_time.take_if(|prekey| prekey == used);
    }

    pub(crate) fn leave(&self) -> Option<Leave> {
        match &self.side {
            Side::First(device) => {
                let leave = device.group.leave_request(&device.key)?;
                Some(Leave { body: leave.leave.0, signature: leave.signature })
            }
            Side::Second(member) => member.leave(),
        }
    }

    /// Makes a commit. Its secrets go into the book, and what it drew to what it knows.
    pub(crate) fn make(
        &mut self,
        book: &mut Book,
        ops: &[Op],
        lie: &Lie,
        prekeys: &Prekeys,
        head: (u64, Hash),
    ) -> Result<Sent, &'static str> {
        match &mut self.side {
            Side::First(device) => {
                device.head = HeadRef { size: head.0, root: Digest(head.1) };
                let (rng, hedge) = (device.rng.clone(), hedge(book, device));
                let entry = propose(device, ops, prekeys).map_err(error_code)?;
                let letters = device.letters_with(&entry).into_iter();
                let letters = letters.map(|letter| (letter.to.0, letter.sealed.0)).collect();
                let candidates = candidates(rng, &device.rng, hedge.as_ref());
                let entry = CommitEntry::of_log(&entry).unwrap();
                self.facts.extend(matched(book, &entry.view().unwrap(), &candidates));
                Ok(Sent { entry, letters, candidates, joiner: None })
            }
            Side::Second(member) => {
                member.head = head;
                let prekeys = prekeys
                    .iter()
                    .map(|(who, prekey)| (*who, (prekey.hash(), prekey.view().unwrap().key)));
                let before = member.state.epoch;
                let made = member.make(ops, lie, &prekeys.collect(), &mut seal)?;
                self.facts.extend(made.drawn.secrets().map(|secret| book.node(secret)));
                let pairs = made.drawn.e.iter().chain(&made.drawn.ephemeral);
                self.facts.extend(pairs.map(|pair| book.pair(pair)));
                self.facts.extend(made.drawn.init.iter().map(|s| book.init(before, s)));
                let (entry, letters) = (made.entry.clone(), made.letters.clone());
                let joiner = Some(made.keys.joiner.clone());
                Ok(Sent { entry, letters, candidates: Vec::new(), joiner })
            }
        }
    }

    /// Creates a group, with these operations behind the creation.
    pub(crate) fn create(
        &mut self,
        book: &mut Book,
        ops: &[Op],
        prekeys: &Prekeys,
        head: (u64, Hash),
    ) -> Result<(Hash, Sent), &'static str> {
        let Op::Create { nonce, policy, .. } = &ops[0] else { return Err("no creation") };
        if let Side::Second(member) = &mut self.side {
            let group = crate::kit::plain::judge::group_id(&member.fpr(), nonce, policy);
            member.state = State::new(group);
            return Ok((group, self.make(book, ops, &Lie::Nothing, prekeys, head)?));
        }
        let sent = self.make(book, ops, &Lie::Nothing, prekeys, head)?;
        Ok((sent.entry.view().unwrap().group, sent))
    }

    /// Reads the next entry.
    pub(crate) fn hear(&mut self, log: &[Vec<u8>], letter: Option<&Vec<u8>>) -> Heard {
        let entry = &log[self.read];
        let heard = match &mut self.side {
            Side::First(device) => {
                let commit = CommitEntry::of_log(entry).and_then(|entry| entry.view());
                if let (Some(letter), Some(commit)) = (letter, commit) {
                    let place = (GroupId(commit.group), Epoch(commit.epoch + 1));
                    device.ring.letters.insert(place, Blob(letter.clone()));
                }
                heard(&device.read(&log[..=self.read])[0])
            }
            Side::Second(member) => match entry[1] {
                0 => {
                    let commit = CommitEntry::of_log(entry).unwrap();
                    Heard::Commit(member.commit(&commit, letter.map(|letter| &letter[..])))
                }
                1 => match member.hear(entry) {
                    Ok((content, _)) => Heard::Text(String::from_utf8(content.body).unwrap()),
                    Err("M5") => Heard::Own,
                    Err(_) => Heard::Unreadable,
                },
                _ => {
                    let leave = crate::kit::plain::bytes::Reader::all(&entry[2..], Leave::read);
                    Heard::Leave(member.state.is_due(&leave.unwrap()).is_some())
                }
            },
        };
        self.read += 1;
        heard
    }

    pub(crate) fn say(&mut self, text: &str, seen: (u64, Hash)) -> Option<Vec<u8>> {
        match &mut self.side {
            Side::First(device) => device.seal(text).ok(),
            Side::Second(member) => member.say(text, seen, &mut seal),
        }
    }

    /// Its secrets of the group are gone.
    pub(crate) fn lose_secrets(&mut self) {
        match &mut self.side {
            Side::First(device) => device.lose_secrets(),
            Side::Second(member) => {
                member.secrets = None;
                member.pending = None;
                member.messages.clear();
            }
        }
        self.keys = Keys::None;
    }

    pub(crate) fn restart(&mut self) {
        if let Side::First(device) = &mut self.side {
            device.restart();
        }
    }

    pub(crate) fn drop_pending(&mut self) {
        match &mut self.side {
            Side::First(device) => drop(device.group.drop_pending()),
            Side::Second(member) => member.pending = None,
        }
    }

    /// The epoch whose secrets the device has.
    pub(crate) fn has(&self) -> Keys {
        let epoch = match &self.side {
            Side::First(device) => device.group.secrets().map(|secrets| secrets.epoch.0),
            Side::Second(member) => member.secrets.as_ref().map(|secrets| secrets.epoch),
        };
        epoch.map_or(Keys::None, Keys::At)
    }
}

fn propose(device: &mut Device, ops: &[Op], prekeys: &Prekeys) -> Result<Vec<u8>, CommitError> {
    let operations: Vec<Operation> =
        ops.iter().map(|op| decode(&op.write(), 1 << 16).unwrap()).collect();
    let mut proposal = Proposal::default();
    let mut policy: Option<FirstPolicy> = None;
    for operation in &operations {
        match operation.clone() {
            Operation::Create { policy: created, .. } => policy = Some(created),
            Operation::Join { .. } | Operation::Rejoin { .. } => {}
            Operation::Remove { member, reason } => proposal.removes.push((member, reason)),
            Operation::Add { entrant, prekey } => {
                proposal.adds.push(NewMember { name: entrant.name, key: entrant.key, prekey });
            }
            Operation::Update => proposal.update = true,
            Operation::Admit(person) => {
                let prekey = prekeys.get(&person.fingerprint.0);
                let prekey = prekey.map(|prekey| decode(&prekey.write(), 512).unwrap());
                proposal.admits.push(Invited { person, prekey });
            }
            Operation::Rules(rules) => proposal.rules = Some(rules),
            Operation::Lift(who) => proposal.lifts.push(who),
            Operation::Role { member, role } => proposal.roles.push((member, role)),
        }
    }
    match (&operations[0], policy) {
        (_, Some(policy)) => device.create_with(policy, proposal),
        (Operation::Join { replaces: Some(proof), .. }, _) => device.join_replacing(proof.clone()),
        (Operation::Join { .. }, _) => device.make(Act::Join),
        (Operation::Rejoin { .. }, _) => {
            let author = Author { key: &device.key, name: &device.name, head: device.head };
            let pending = device.group.rejoin(&author, proposal.removes, &mut device.rng)?;
            Ok(pending.entry.0.clone())
        }
        _ => device.propose(proposal),
    }
}

/// The hedge secret of a device, by the book.
fn hedge(book: &Book, device: &Device) -> Option<Secret> {
    let epoch = device.group.secrets()?.epoch.0;
    book.epochs.get(&epoch).map(|keys| keys.hedge.clone())
}

/// What follows from the numbers that a device drew: §2.3.
fn candidates(mut from: TestRng, to: &TestRng, hedge: Option<&Secret>) -> Vec<Secret> {
    let mut drawn = Vec::new();
    while format!("{from:?}") != format!("{to:?}") {
        let mut block = [0; 32];
        from.try_fill_bytes(&mut block).unwrap();
        let block = Secret::from_bytes(block);
        drawn.push(hedge.map_or(block.clone(), |hedge| extract(hedge.expose(), block.expose())));
    }
    drawn
}

/// Those of the candidates that a commit's keys come from.
fn matched(book: &mut Book, commit: &Commit, candidates: &[Secret]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let leaves: Vec<PublicKey> = commit.leaves.iter().map(|(_, key)| *key).collect();
    let mut passing: Vec<PublicKey> = commit.e.into_iter().collect();
    for op in &commit.ops {
        if let Op::Join { ephemeral, .. } | Op::Rejoin { ephemeral, .. } = op {
            passing.push(*ephemeral);
        }
    }
    for candidate in candidates {
        if leaves.contains(node_pair(candidate).public()) {
            facts.push(book.node(candidate));
        }
        let pair = derive_pair(candidate);
        if passing.contains(pair.public()) {
            facts.push(book.pair(&pair));
        }
    }
    facts
}

fn heard(event: &Event) -> Heard {
    match event {
        Event::Commit(CommitOutcome::Invalid(fault)) => {
            Heard::Commit(Effect::Invalid(code(*fault)))
        }
        Event::Commit(CommitOutcome::Valid { effect, .. }) => Heard::Commit(match effect {
            FirstEffect::Watched => Effect::Watched,
            FirstEffect::Invited(Ok(_)) => Effect::Invited,
            FirstEffect::Invited(Err(_)) => Effect::Behind("W"),
            FirstEffect::Own => Effect::Own,
            FirstEffect::Followed { back: false } => Effect::Followed,
            FirstEffect::Followed { back: true } => Effect::Back,
            FirstEffect::Added { .. } => Effect::Added,
            FirstEffect::LeftBehind(fault) => Effect::Behind(private_code(*fault)),
            FirstEffect::NotMine | FirstEffect::Reseated => Effect::NotMine,
            FirstEffect::Removed => Effect::Removed,
        }),
        Event::OwnMessage => Heard::Own,
        Event::Message(_) => Heard::Text(event.text().unwrap().to_owned()),
        Event::Leave(judged) => Heard::Leave(judged.is_ok()),
        _ => Heard::Unreadable,
    }
}

fn private_code(fault: PrivateFault) -> &'static str {
    match fault {
        PrivateFault::PathKey => "P1",
        PrivateFault::External => "P2",
        PrivateFault::Tag => "P3",
        PrivateFault::Behind => "behind",
        _ => "W",
    }
}

fn error_code(error: CommitError) -> &'static str {
    match error {
        CommitError::Fault(fault) => code(fault),
        CommitError::Naming => "W3",
    }
}

/// The number of the check in the first implementation's words.
pub(crate) fn code(fault: CommitFault) -> &'static str {
    match fault {
        CommitFault::Encoding(_) => "C1",
        CommitFault::Group => "C2",
        CommitFault::Place => "C3",
        CommitFault::Operations => "C4",
        CommitFault::Authority => "C5",
        CommitFault::Identity => "C6",
        CommitFault::Signature => "C7",
        CommitFault::Leaves => "C8",
        CommitFault::Nodes => "C9",
        CommitFault::ReusedKey => "C10",
        CommitFault::TreeHash => "C11",
        CommitFault::Head => "C12",
        CommitFault::Full => "C13",
        CommitFault::GroupId | CommitFault::Rules => "C14",
        CommitFault::Wraps => "C15",
        CommitFault::Prekey(_) => "C16",
        CommitFault::Leave(_) => "C17",
        CommitFault::Revocation => "C18",
    }
}

/// The records of a device of the first implementation, as bytes.
pub(crate) fn vault_bytes(device: &mut Device) -> Vec<u8> {
    device
        .vault()
        .into_iter()
        .flat_map(|(key, record)| [key.to_bytes(), encode(&record)].concat())
        .collect()
}
