//! People around a log, all run by the second implementation: what the vectors are taken from.

use std::collections::{BTreeMap, VecDeque};

use openchat_crypto::Secret;
use serde_json::{Value, json};

use crate::{
    file::{hex, unhex},
    plain::{
        CommitEntry, Fpr, Hash, Op, Policy, Revocation, State,
        commit::{Access, Rules, SignedPrekey},
        judge::{Valid, closed_name, group_id},
        letter::open,
        make::{Lie, Made, seal},
        member::{Effect, Member},
        message::log_hash,
        prim::ZEROS,
        proof::{path, revoke_entry, root},
        wish::{Evidence, Subject},
    },
};

/// A closed group's name and its salt.
pub(crate) const NAME: &str = "ops";
pub(crate) const SALT: Hash = [5; 32];

pub(crate) struct Setting {
    pub(crate) people: Vec<Member>,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) state: State,
    pub(crate) transparency: Vec<Vec<u8>>,
    pub(crate) evidence: Evidence,
    /// Tokens that were made earlier, in the order in which they are needed.
    frozen: VecDeque<Vec<u8>>,
    /// Each person's one-time prekey that nobody has used yet, and its last one.
    one_time: BTreeMap<usize, SignedPrekey>,
    last_resort: BTreeMap<usize, SignedPrekey>,
    /// Of everybody, in the order in which they were made.
    pub(crate) prekeys: Vec<Value>,
}

/// A commit that is in the log.
pub(crate) struct Logged {
    pub(crate) made: Made,
    pub(crate) valid: Valid,
}

impl Setting {
    pub(crate) fn new(seed: &str, count: usize, frozen: Vec<Vec<u8>>) -> Self {
        let person = |index: usize| Member::new(&format!("p{index}"), ZEROS, seed.as_bytes());
        Self {
            people: (0..count).map(person).collect(),
            log: Vec::new(),
            state: State::new(ZEROS),
            transparency: vec![b"the first entry".to_vec()],
            evidence: Evidence::default(),
            frozen: frozen.into(),
            one_time: BTreeMap::new(),
            last_resort: BTreeMap::new(),
            prekeys: Vec::new(),
        }
    }

    /// The first person creates a group, with these operations behind the creation.
    pub(crate) fn create(&mut self, access: Access, rules: Rules, rest: Vec<Op>) -> Logged {
        let policy = Policy { access, rules };
        if matches!(policy.access, Access::Closed(_)) {
            let name = Some((NAME.to_owned(), SALT));
            self.people.iter_mut().for_each(|person| person.naming.clone_from(&name));
        }
        let group = group_id(&self.people[0].fpr(), &[9; 32], &policy);
        self.state = State::new(group);
        self.people.iter_mut().for_each(|person| person.state = State::new(group));
        let entrant = self.people[0].entrant();
        let mut ops = vec![Op::Create { nonce: [9; 32], policy, entrant }];
        ops.extend(rest);
        self.commit(0, &ops)
    }

    pub(crate) fn head(&self) -> (u64, Hash) {
        (u64::try_from(self.transparency.len()).unwrap(), root(&self.transparency))
    }

    /// A prekey, as the relay would give it out.
    pub(crate) fn prekey(&mut self, who: usize, is_last_resort: bool) -> SignedPrekey {
        let kept = if is_last_resort { &mut self.last_resort } else { &mut self.one_time };
        if let Some(prekey) = kept.get(&who) {
            return prekey.clone();
        }
        let person = &mut self.people[who];
        let signed = person.prekey(is_last_resort);
        let pair = openchat_wire::encode(&person.prekeys[&signed.hash()]);
        self.prekeys.push(json!({
            "of": person.name, "record": hex(signed.write()), "hash": hex(signed.hash()),
            "private": hex(pair),
        }));
        kept.insert(who, signed.clone());
        signed
    }

    pub(crate) fn subject(&mut self, who: usize, is_last_resort: bool) -> Subject {
        let prekey = self.prekey(who, is_last_resort);
        Subject { entrant: self.people[who].entrant(), fpr: self.people[who].fpr(), prekey }
    }

    pub(crate) fn add(&mut self, who: usize) -> Op {
        let subject = self.subject(who, who % 5 == 3);
        Op::Add { entrant: subject.entrant, prekey: subject.prekey }
    }

    pub(crate) fn admit(&self, who: usize) -> Op {
        Op::Admit { name: self.people[who].name.clone(), who: self.people[who].fpr() }
    }

    /// A commit with a lie in it or none, which is not in the log.
    pub(crate) fn make(&mut self, who: usize, ops: &[Op], lie: &Lie) -> Result<Made, &'static str> {
        let mut prekeys = BTreeMap::new();
        for op in ops {
            let invited =
                |person: &Member| matches!(op, Op::Admit { who, .. } if *who == person.fpr());
            if let Some(index) = self.people.iter().position(invited) {
                let prekey = self.prekey(index, false);
                let view = prekey.view().unwrap();
                prekeys.insert(view.owner, (prekey.hash(), view.key));
            }
        }
        let head = self.head();
        let frozen = &mut self.frozen;
        let mut seal = |key: &Secret, plain: &[u8]| sealed(frozen, key, plain);
        self.people[who].head = head;
        self.people[who].make(ops, lie, &prekeys, &mut seal).cloned()
    }

    /// A commit that everybody reads.
    pub(crate) fn commit(&mut self, who: usize, ops: &[Op]) -> Logged {
        let made = self.make(who, ops, &Lie::Nothing).unwrap();
        self.log_commit(made)
    }

    pub(crate) fn log_commit(&mut self, made: Made) -> Logged {
        let valid = self.state.judge(&made.entry).unwrap();
        self.state = valid.after.clone();
        self.log.push(made.entry.logged());
        for person in &mut self.people {
            let letter = made.letters.iter().find(|(to, _)| *to == person.fpr());
            let effect = person.commit(&made.entry, letter.map(|(_, letter)| &letter[..]));
            assert!(!matches!(effect, Effect::Invalid(_) | Effect::Behind(_)), "{effect:?}");
            assert_eq!(person.state, self.state);
        }
        for op in &valid.commit.ops {
            if let Op::Add { prekey, .. } = op {
                self.one_time.retain(|_, kept| kept != prekey);
            }
        }
        Logged { made, valid }
    }

    /// A message that everybody reads.
    pub(crate) fn say(&mut self, who: usize, text: &str) -> Vec<u8> {
        let place = u64::try_from(self.log.len()).unwrap();
        let seen = (place, log_hash(&self.state.group, &self.log));
        let frozen = &mut self.frozen;
        let mut seal = |key: &Secret, plain: &[u8]| sealed(frozen, key, plain);
        let entry = self.people[who].say(text, seen, &mut seal).unwrap();
        self.log.push(entry.clone());
        for (index, person) in self.people.iter_mut().enumerate() {
            if index != who && person.is_current() {
                assert_eq!(person.hear(&entry).unwrap().0.body, text.as_bytes());
            }
        }
        entry
    }

    /// Its name's key is revoked, in a new entry of the transparency log.
    pub(crate) fn revoke(&mut self, who: usize) {
        let (name, fpr) = (self.people[who].name.clone(), self.people[who].fpr());
        let index = u64::try_from(self.transparency.len()).unwrap();
        let entry = revoke_entry(&name, &fpr);
        self.transparency.push(entry.clone());
        self.evidence.revocations.insert(fpr, Revocation { index, entry, path: Vec::new() });
        for revocation in self.evidence.revocations.values_mut() {
            let index = usize::try_from(revocation.index).unwrap();
            revocation.path = path(&self.transparency, index);
        }
    }

    /// The person that has a fingerprint.
    pub(crate) fn index_of(&self, fpr: &Fpr) -> usize {
        self.people.iter().position(|person| person.fpr() == *fpr).unwrap()
    }

    /// Everybody, with private keys.
    pub(crate) fn who(&self) -> Vec<Value> {
        let person = |person: &Member| {
            json!({
                "name": person.name, "fingerprint": hex(person.fpr()),
                "private": hex(&person.key.to_pkcs8()[36..68]),
                "public": hex(person.key.public().as_bytes()),
            })
        };
        self.people.iter().map(person).collect()
    }
}

/// The next frozen token, if it is the right one; a new one where there are none.
fn sealed(frozen: &mut VecDeque<Vec<u8>>, key: &Secret, plain: &[u8]) -> Vec<u8> {
    match frozen.pop_front() {
        Some(token) => {
            assert_eq!(open(key, &token).as_deref(), Some(plain), "a frozen token");
            token
        }
        None => seal(key, plain),
    }
}

/// The letters of a commit.
pub(crate) fn letters(made: &Made) -> Vec<Value> {
    let letter = |(to, letter): &(Fpr, Vec<u8>)| json!({ "to": hex(to), "letter": hex(letter) });
    made.letters.iter().map(letter).collect()
}

/// The tokens in a step that was frozen: those of its letters, or its message's.
pub(crate) fn tokens(step: &Value) -> Vec<Vec<u8>> {
    let entry = unhex(&step["entry"]);
    if let Some((_, token)) = crate::plain::message::of_log(&entry) {
        return vec![token];
    }
    let Some(commit) = CommitEntry::of_log(&entry).and_then(|entry| entry.view()) else {
        return Vec::new();
    };
    let mut tokens = Vec::new();
    for letter in step["letters"].as_array().into_iter().flatten() {
        let (to, bytes) = (unhex(&letter["to"]), unhex(&letter["letter"]));
        let is_added =
            |op: &Op| matches!(op, Op::Add { entrant, .. } if entrant.fpr()[..] == to[..]);
        // An invitation has the prekey's hash and a key before its token.
        let start = if commit.ops.iter().any(is_added) { 0 } else { 97 };
        tokens.push(bytes[start..].to_vec());
    }
    tokens
}

/// Ways of access, by name.
pub(crate) fn access_of(kind: &str, people: &[Member]) -> (Access, Rules) {
    let members = Rules { admitted_only: true, admins_invite: false };
    match kind {
        "open" => (Access::Open(NAME.into()), Rules { admitted_only: false, ..members }),
        "closed" => (Access::Closed(closed_name(&SALT, NAME)), members),
        _ => {
            let (one, other) = (people[0].fpr(), people[1].fpr());
            (Access::Direct(one.min(other), one.max(other)), members)
        }
    }
}
