//! A history as it goes: a log, those who read it, and after every commit the questions whether all
//! have the same group, and who can derive its secrets.

use std::{collections::BTreeMap, rc::Rc};

use openchat_wire::encode;

use super::{
    compare::{admits, wraps},
    knowledge::{Book, Fact, Facts},
    person::{Heard, Keys, Person, Prekeys, Sent, Side, vault_bytes},
    theft::Theft,
};
use crate::kit::plain::{
    Entrant, Fpr, Hash, Op, Reason, Revocation, Seat, State,
    commit::Access,
    judge::Valid,
    make::Lie,
    member::Effect,
    message::{log_hash, of_log},
    prim::ZEROS,
    proof::{path, revoke_entry, root},
    state::{Claim, Leaf},
    wish::{Dice, Evidence, Subject},
};

/// A closed group's name and its salt.
pub(crate) const NAME: &str = "ops";
pub(crate) const SALT: Hash = [5; 32];

/// The checks that are made of one operation after the other.
const BY_OPERATION: &[&str] = &["C4", "C5", "C6", "C13", "C14", "C15", "C16", "C17", "C18"];

/// The group before a commit, and the commit or the check that refuses it.
type Judged = (Rc<State>, Result<Rc<Valid>, &'static str>);

pub(crate) struct Play {
    pub(crate) log: Vec<Vec<u8>>,
    /// Of each entry.
    letters: Vec<Vec<(Fpr, Vec<u8>)>>,
    pub(crate) state: State,
    pub(crate) people: Vec<Person>,
    pub(crate) book: Book,
    pub(crate) transparency: Vec<Vec<u8>>,
    pub(crate) evidence: Evidence,
    pub(crate) thefts: Vec<Theft>,
    /// Whether every commit so far was what it should be.
    pub(crate) is_honest: bool,
    pub(crate) dice: Dice,
    seed: u64,
    /// What each message says, by its place.
    texts: BTreeMap<usize, (Fpr, String)>,
    /// The group before each commit of the log, and what became of it.
    judged: BTreeMap<usize, Judged>,
    /// The prekeys that somebody was added with, and whether they are of last resort.
    pub(crate) served: BTreeMap<Hash, bool>,
    /// How often each thing has happened.
    pub(crate) tally: BTreeMap<String, usize>,
}

impl Play {
    /// Some people, the first of whom has created a group.
    pub(crate) fn new(seed: u64, count: usize, policy: usize) -> Self {
        let mut dice = Dice::new(seed);
        let person = |index: usize, dice: &mut Dice| {
            Person::new(&format!("d{index}"), index, ZEROS, seed, dice.one_in(2))
        };
        let people: Vec<Person> = (0..count).map(|index| person(index, &mut dice)).collect();
        let mut play = Self {
            log: Vec::new(),
            letters: Vec::new(),
            state: State::new(ZEROS),
            people,
            book: Book::default(),
            transparency: vec![b"the first entry".to_vec()],
            evidence: Evidence::default(),
            thefts: Vec::new(),
            is_honest: true,
            dice,
            seed,
            texts: BTreeMap::new(),
            judged: BTreeMap::new(),
            served: BTreeMap::new(),
            tally: BTreeMap::new(),
        };
        play.create(policy);
        play
    }

    fn create(&mut self, policy: usize) {
        let ops = self.creation(policy);
        if let Op::Create { policy, .. } = &ops[0] {
            self.state.policy = Some(policy.clone());
        }
        let mut people = core::mem::take(&mut self.people);
        for person in &mut people {
            self.tell_name(person);
        }
        self.people = people;
        let (head, prekeys) = (self.head(), self.prekeys_of(&ops));
        let created = self.people[0].create(&mut self.book, &ops, &prekeys, head);
        let (group, sent) = created.unwrap();
        self.state = State::new(group);
        for person in &mut self.people[1..] {
            person.enter_group(group);
        }
        self.publish(&sent);
    }

    fn tell_name(&self, person: &mut Person) {
        if matches!(self.state.policy.as_ref().unwrap().access, Access::Closed(_)) {
            person.learn_name(NAME, SALT);
        }
    }

    /// Somebody with an old name and a new key.
    pub(crate) fn reborn(&mut self, who: usize) {
        let (name, old) = (self.people[who].name.clone(), self.people[who].fpr);
        let index = self.transparency.len();
        self.transparency.push(revoke_entry(&name, &old));
        let entry = self.transparency[index].clone();
        let revocation =
            Revocation { index: u64::try_from(index).unwrap(), entry, path: Vec::new() };
        self.evidence.revocations.insert(old, revocation);
        self.prove();
        let (index, is_first) = (self.people.len(), self.dice.one_in(2));
        let mut person = Person::new(&name, index, self.state.group, self.seed, is_first);
        person.enter_group(self.state.group);
        self.tell_name(&mut person);
        self.people.push(person);
        self.everybody_reads();
    }

    /// Every proof leads to the newest head.
    fn prove(&mut self) {
        for revocation in self.evidence.revocations.values_mut() {
            let index = usize::try_from(revocation.index).unwrap();
            revocation.path = path(&self.transparency, index);
        }
    }

    pub(crate) fn head(&self) -> (u64, Hash) {
        (u64::try_from(self.transparency.len()).unwrap(), root(&self.transparency))
    }

    /// Everybody, with a prekey each, as the relay would give it out.
    pub(crate) fn subjects(&mut self) -> Vec<Subject> {
        (0..self.people.len()).map(|index| self.subject(index)).collect()
    }

    pub(crate) fn subject(&mut self, index: usize) -> Subject {
        let is_last_resort = self.dice.one_in(3);
        let person = &mut self.people[index];
        let prekey = person.prekey(&mut self.book, is_last_resort);
        let entrant = Entrant { name: person.name.clone(), key: person.public() };
        Subject { entrant, fpr: person.fpr, prekey }
    }

    /// Prekeys for letters to those who are invited.
    pub(crate) fn prekeys_of(&mut self, ops: &[Op]) -> Prekeys {
        let mut prekeys = Prekeys::new();
        for op in ops {
            if let Op::Admit { who, .. } = op
                && let Some(index) = self.people.iter().position(|person| person.fpr == *who)
            {
                prekeys.insert(*who, self.people[index].prekey(&mut self.book, false));
            }
        }
        prekeys
    }

    /// `who` makes a commit; or the check that refuses it.
    pub(crate) fn make(&mut self, who: usize, ops: &[Op], lie: &Lie) -> Result<Sent, &'static str> {
        let (head, prekeys) = (self.head(), self.prekeys_of(ops));
        self.people[who].make(&mut self.book, ops, lie, &prekeys, head)
    }

    /// A commit that everybody reads, be it valid or not.
    pub(crate) fn publish(&mut self, sent: &Sent) {
        let judged = self.state.judge(&sent.entry).map(Rc::new);
        let before = Rc::new(self.state.clone());
        self.judged.insert(self.log.len(), (before.clone(), judged.clone()));
        self.log.push(sent.entry.logged());
        self.letters.push(sent.letters.clone());
        if let Ok(valid) = judged {
            self.state = valid.after.clone();
            self.book.commit(&before, &valid, &sent.entry, &sent.letters);
            self.learn_of_author(&valid, sent);
            self.is_honest &= self.is_as_it_should(&before, &valid);
            self.note_operations(&valid);
            self.suit_thefts(&valid);
        }
        self.everybody_reads();
        self.ask();
    }

    pub(crate) fn count(&mut self, what: impl core::fmt::Display) {
        *self.tally.entry(what.to_string()).or_default() += 1;
    }

    fn note_operations(&mut self, valid: &Valid) {
        if !valid.plan.removed.is_empty() {
            self.count("seats removed");
        }
        if valid.after.leaves.len() < self.judged.values().last().unwrap().0.leaves.len() {
            self.count("halves dropped");
        }
        for op in &valid.commit.ops {
            let name = format!("{op:?}");
            let reason = match op {
                Op::Remove { reason: Reason::Left(_), .. } => " left",
                Op::Remove { reason: Reason::Revoked(_), .. }
                | Op::Join { revocation: Some(_), .. } => " revoked",
                _ => "",
            };
            let kind = name.split([' ', '(']).next().unwrap();
            self.count(format!("operation {kind}{reason}"));
            if let Op::Add { prekey, .. } = op {
                self.served.insert(prekey.hash(), prekey.view().unwrap().last_resort);
                self.people.iter_mut().for_each(|person| person.forget(prekey));
            }
        }
    }

    /// Whether a device has no more use for a prekey.
    pub(crate) fn is_spent(&self, hash: &Hash) -> bool {
        let waits = |seat: &Seat| matches!(&seat.claim, Claim::Unclaimed { prekey, .. } if prekey.hash() == *hash);
        self.served.get(hash) == Some(&false) && !self.state.seats().any(|(_, seat)| waits(seat))
    }

    /// Finds what a creator drew; and what a liar has made of its own lie.
    fn learn_of_author(&mut self, valid: &Valid, sent: &Sent) {
        let to = valid.after.epoch;
        if let Some(joiner) = sent.joiner.as_ref().filter(|_| !self.book.epochs.contains_key(&to)) {
            assert!(self.book.epoch(valid, &sent.entry, joiner), "its author has epoch {to}");
            let mut people = self.people.iter_mut();
            let author = people.find(|person| person.fpr == valid.commit.author).unwrap();
            author.facts.insert(Fact::Epoch(to));
        }
        if valid.after.epoch == 1 && !sent.candidates.is_empty() {
            let found = self.book.find_creation(valid, &sent.entry, &sent.candidates);
            self.people[0].facts.extend(found);
        }
    }

    /// Whether everybody whom a commit concerns can follow it.
    fn is_as_it_should(&self, before: &State, valid: &Valid) -> bool {
        let to = valid.after.epoch;
        let paths =
            valid.after.seats().all(|(slot, _)| self.book.is_path_right(&valid.after, slot));
        let leaves = valid.commit.leaves.iter().all(|(slot, key)| {
            let seat = valid.after.leaf(*slot).seat();
            let is_handed = seat.is_some_and(|it| matches!(it.claim, Claim::Unclaimed { .. }));
            !is_handed || self.book.handed.contains(key)
        });
        let come = valid.after.seats().filter(|(_, seat)| before.seat_of(&seat.fpr).is_none());
        let welcomes = come.filter(|(_, seat)| seat.fpr != valid.commit.author);
        paths
            && leaves
            && wraps(&valid.commit.ops[0]).iter().all(|j| self.book.is_wrap_right(to, *j))
            && welcomes.into_iter().all(|(_, it)| self.book.welcomes.contains(&(to, it.fpr)))
            && self.book.rooted.contains(&to)
            && self.book.externals.contains(&to)
            && self.book.tags.contains(&to)
    }

    pub(crate) fn everybody_reads(&mut self) {
        for who in 0..self.people.len() {
            while !self.people[who].asleep && self.people[who].read < self.log.len() {
                self.read_one(who);
            }
        }
    }

    fn read_one(&mut self, who: usize) {
        let index = self.people[who].read;
        let person = &mut self.people[who];
        let letter = self.letters[index].iter().find(|(to, _)| *to == person.fpr);
        let heard = person.hear(&self.log, letter.map(|(_, letter)| letter));
        match heard {
            Heard::Commit(effect) => {
                let (fpr, has_moved) = (person.fpr, person.has_moved);
                let (before, judged) = self.judged[&index].clone();
                let expected = match &judged {
                    Err(fault) => Effect::Invalid(fault),
                    Ok(valid) => self.expected(&before, valid, who),
                };
                let is_it = match (effect, expected) {
                    (Effect::Behind(_), Effect::Behind(_)) => true,
                    // What breaks two checks of its operations is refused by either.
                    (Effect::Invalid(one), Effect::Invalid(other)) => {
                        one == other || [one, other].iter().all(|it| BY_OPERATION.contains(it))
                    }
                    (Effect::Back, Effect::Behind(_)) | (Effect::Behind(_), Effect::Back) => {
                        has_moved
                    }
                    (one, other) => one == other,
                };
                assert!(
                    is_it,
                    "entry {index} to {}: {effect:?}, not {expected:?}",
                    self.people[who].name
                );
                self.count(match effect {
                    Effect::Behind(_) => "effect Behind".to_owned(),
                    effect => format!("effect {effect:?}"),
                });
                match judged {
                    Ok(valid) => {
                        self.settle(who, &fpr, effect, &valid);
                        self.compare(who, &valid.after);
                    }
                    Err(_) => self.compare(who, &before),
                }
            }
            Heard::Text(text) => {
                assert_eq!(self.texts[&index].1, text);
                self.count("messages opened");
            }
            Heard::Own => assert_eq!(self.texts[&index].0, person.fpr),
            Heard::Unreadable => {
                let (header, _) = of_log(&self.log[index]).unwrap();
                assert_ne!(person.keys, Keys::At(header.epoch), "entry {index} to {}", person.name);
                self.count("messages not opened");
            }
            Heard::Leave(is_due) => assert!(is_due),
        }
    }

    /// What a commit should be to a device, told by the book.
    fn expected(&self, before: &State, valid: &Valid, who: usize) -> Effect {
        let (person, after) = (&self.people[who], &valid.after);
        if valid.commit.author == person.fpr {
            return Effect::Own;
        }
        let slot = after.slot_of(&person.fpr);
        let behind = Effect::Behind("");
        let is_right = |slot: u32| {
            let handed = valid.plan.leaves.contains(&slot);
            let leaf = !handed || self.book.handed.contains(&after.leaf(slot).key().unwrap());
            leaf && (self.book.rooted.contains(&after.epoch)
                || before.slot_of(&person.fpr).is_none())
                && self.book.is_path_right(after, slot)
                && self.book.externals.contains(&after.epoch)
                && self.book.tags.contains(&after.epoch)
        };
        match (before.slot_of(&person.fpr), slot, person.keys) {
            (None, None, _) if admits(&valid.commit.ops, &person.fpr) => Effect::Invited,
            (None, None, _) | (Some(_), Some(_), Keys::None) => Effect::Watched,
            (Some(_), None, _) => Effect::Removed,
            (None, Some(slot), _) => {
                let welcome = self.book.welcomes.contains(&(after.epoch, person.fpr));
                if welcome && is_right(slot) { Effect::Added } else { behind }
            }
            (Some(_), Some(slot), Keys::At(epoch)) => {
                let op = &valid.commit.ops[0];
                let is_fresh = matches!(op, Op::Join { .. } | Op::Rejoin { .. });
                let wrapped = wraps(op).contains(&epoch)
                    && self.book.is_wrap_right(after.epoch, epoch)
                    && self.book.externals.contains(&epoch);
                let init = if is_fresh { wrapped } else { epoch == before.epoch };
                match (init && is_right(slot), epoch == before.epoch) {
                    (false, _) => behind,
                    (true, true) => Effect::Followed,
                    (true, false) => Effect::Back,
                }
            }
        }
    }

    fn settle(&mut self, who: usize, fpr: &Fpr, effect: Effect, valid: &Valid) {
        let person = &mut self.people[who];
        match effect {
            Effect::Own | Effect::Followed | Effect::Back | Effect::Added => {
                person.keys = Keys::At(valid.after.epoch);
                person.has_moved = false;
            }
            Effect::NotMine | Effect::Removed => person.keys = Keys::None,
            Effect::Behind(_) => {
                let slot = valid.after.slot_of(fpr);
                person.has_moved |= slot.is_some_and(|slot| valid.plan.leaves.contains(&slot));
            }
            Effect::Watched | Effect::Invited | Effect::Invalid(_) => {}
        }
        assert_eq!(person.has(), person.keys, "the secrets of {}", person.name);
    }

    /// The device's group is the group.
    fn compare(&mut self, who: usize, state: &State) {
        let person = &mut self.people[who];
        match &mut person.side {
            Side::First(device) => super::compare::compare(device.group.roster(), state),
            Side::Second(member) => assert_eq!(member.state, *state),
        }
        if person.keys == Keys::At(state.epoch) {
            let keys = &self.book.epochs[&state.epoch];
            let (init, message) = match &mut person.side {
                Side::First(device) => {
                    let bytes = encode(device.group.secrets().unwrap());
                    let has = |secret: &[u8]| bytes.windows(32).any(|part| part == secret);
                    (has(keys.init.expose()), has(keys.hedge.expose()))
                }
                Side::Second(member) => {
                    let secrets = member.secrets.as_ref().unwrap();
                    (secrets.init == keys.init, secrets.hedge == keys.hedge)
                }
            };
            assert!(init && message, "{} has other secrets", person.name);
        }
    }

    pub(crate) fn say(&mut self, who: usize) {
        if self.people[who].asleep {
            return;
        }
        let text = format!("{who} says {}", self.log.len());
        let place = u64::try_from(self.log.len()).unwrap();
        let seen = (place, log_hash(&self.state.group, &self.log));
        let person = &mut self.people[who];
        let is_current = person.keys == Keys::At(self.state.epoch);
        let entry = person.say(&text, seen);
        assert_eq!(entry.is_some(), is_current, "{} seals", person.name);
        if let Some(entry) = entry {
            self.texts.insert(self.log.len(), (person.fpr, text));
            self.log.push(entry);
            self.letters.push(Vec::new());
            self.everybody_reads();
        }
    }

    pub(crate) fn ask_to_leave(&mut self, who: usize) {
        if let Some(leave) = self.people[who].leave().filter(|_| !self.people[who].asleep) {
            self.log.push([vec![1, 3], leave.write()].concat());
            self.letters.push(Vec::new());
            self.evidence.leaves.insert(self.people[who].fpr, leave);
            self.everybody_reads();
        }
    }

    /// Who can derive what.
    fn ask(&mut self) {
        let (tail, top) = (self.state.epoch, self.state.key(self.state.top()).unwrap());
        let mut outside = Facts::new();
        for person in &self.people {
            let is_seated = self.state.seat_of(&person.fpr).is_some();
            let knows = self.book.closure(&person.facts).contains(&Fact::Epoch(tail));
            let is_current = person.keys == Keys::At(tail) && !person.asleep;
            assert!(knows || !is_current, "{} has what it can't derive", person.name);
            assert!(knows || !(is_seated && self.is_honest), "{} is a member", person.name);
            assert!(!knows || is_seated, "{} is outside and derives epoch {tail}", person.name);
            if !is_seated {
                outside.extend(&person.facts);
            }
        }
        let pooled = self.book.closure(&outside);
        assert!(!pooled.contains(&Fact::Epoch(tail)), "who is outside derives epoch {tail}");
        assert!(!pooled.contains(&Fact::Init(tail)), "who is outside derives init {tail}");
        assert!(!pooled.contains(&Fact::Node(top)), "who is outside derives the root");
        let inside: Vec<bool> = self.thefts.iter().map(|theft| theft.ask(self)).collect();
        for is_inside in inside {
            self.count(if is_inside { "a thief inside" } else { "a thief outside" });
        }
    }

    fn suit_thefts(&mut self, valid: &Valid) {
        let is_honest = self.is_honest;
        for theft in &mut self.thefts {
            theft.suit(valid, is_honest);
        }
    }

    /// Somebody copies what a device has stored.
    pub(crate) fn steal(&mut self, who: usize) {
        let person = &self.people[who];
        let state = &self.state;
        let is_stuck = person.keys != Keys::None && person.keys != Keys::At(state.epoch);
        if person.asleep || is_stuck {
            return;
        }
        let mut allowed = Facts::new();
        let leaf = state.slot_of(&person.fpr).map(|slot| state.leaf(slot).clone());
        if let (Keys::At(epoch), Some(Leaf::Held { key: Some(key), .. })) = (person.keys, leaf) {
            allowed.extend([Fact::Node(key), Fact::Init(epoch)]);
            if self.book.externals.contains(&epoch) {
                allowed.insert(Fact::Pair(state.external(epoch).unwrap()));
            }
        }
        if let Side::First(device) = &mut self.people[who].side {
            let found = self.book.found_in(&vault_bytes(device));
            assert_eq!(found, allowed, "what {} has stored", self.people[who].name);
        }
        self.thefts.push(Theft::new(self, who, allowed));
    }
}
