//! The steps of a history; what can't be done at its time is left out, or done by another.

use super::{
    forgery::{self, Forgery},
    person::{Keys, Sent, Side},
    play::{NAME, Play, SALT},
};
use crate::kit::plain::{
    Entrant, Op, Policy, Reason,
    commit::{Access, Rules},
    judge::closed_name,
    make::Lie,
    prim::ZEROS,
    wish::{Dice, in_order, wish},
};

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: u8,
    pub(crate) who: usize,
    pub(crate) seed: u64,
}

impl Play {
    pub(crate) fn step(&mut self, step: &Step) {
        self.dice = Dice::new(step.seed ^ u64::from(step.kind) << 32 ^ 0xabcd);
        let who = step.who % self.people.len();
        match step.kind % 64 {
            0..14 => self.commit(who, &Lie::Nothing),
            14..20 => self.enter(who),
            20..25 => self.renew(who),
            25..29 => self.race(who),
            29..35 => self.say(who),
            35..38 => self.ask_to_leave(self.awake(who)),
            38..41 => self.rejoin(who),
            41..46 => self.lie(who),
            46..50 => self.forge(who),
            50..53 => self.steal(who),
            53..55 => self.people[who].asleep = true,
            55..58 => self.wake(who),
            58..60 => self.lose(who),
            60..62 => self.people[who].restart(),
            62 if self.people.len() < 12 => self.reborn(who),
            _ => self.prune(who),
        }
    }

    /// Everybody wakes, whoever has no keys comes back, and all talk.
    pub(crate) fn end(&mut self) {
        for person in &mut self.people {
            person.asleep = false;
        }
        self.everybody_reads();
        for _ in 0..self.people.len() {
            let stuck = |who: &usize| {
                let person = &self.people[*who];
                let is_seated = self.state.seat_of(&person.fpr).is_some();
                is_seated && person.keys != Keys::At(self.state.epoch)
            };
            let Some(who) = (0..self.people.len()).find(stuck) else { break };
            self.rejoin(who);
        }
        for who in 0..self.people.len() {
            let person = &self.people[who];
            if self.state.seat_of(&person.fpr).is_some() {
                assert_eq!(person.keys, Keys::At(self.state.epoch), "{} is not back", person.name);
                self.say(who);
            }
        }
    }

    /// The next one who is awake.
    fn awake(&self, who: usize) -> usize {
        let count = self.people.len();
        let mut round = (who..count).chain(0..who);
        round.find(|who| !self.people[*who].asleep).unwrap_or(who)
    }

    /// The next one with the current keys.
    fn current(&self, who: usize) -> Option<usize> {
        let count = self.people.len();
        let is_current = |who: &usize| {
            let person = &self.people[*who];
            !person.asleep && person.keys == Keys::At(self.state.epoch)
        };
        (who..count).chain(0..who).find(is_current)
    }

    /// Makes and publishes a commit, or sees both implementations refuse it alike.
    fn try_commit(&mut self, who: usize, ops: &[Op], lie: &Lie) {
        let outlined = self.state.outline(&self.people[who].fpr, ops, &self.head());
        match (self.make(who, ops, lie), outlined) {
            (Ok(sent), Ok(_)) => {
                if *lie != Lie::Nothing {
                    self.count(format!("lie {}", format!("{lie:?}").split('(').next().unwrap()));
                }
                self.publish(&sent);
            }
            (Err(_), Err(fault)) => self.count(format!("refused to make {fault}")),
            (made, outlined) => {
                let (made, outlined) = (made.map(|_| ()), outlined.map(|_| ()));
                panic!("{ops:?} by {}: {made:?}, not {outlined:?}", self.people[who].name);
            }
        }
    }

    fn wish_of(&mut self, who: usize) -> Vec<Op> {
        let people = self.subjects();
        let author = self.people[who].fpr;
        wish(&self.state, &author, &people, &self.evidence, &mut self.dice)
    }

    fn commit(&mut self, who: usize, lie: &Lie) {
        if let Some(who) = self.current(who) {
            let ops = self.wish_of(who);
            self.try_commit(who, &ops, lie);
        }
    }

    fn renew(&mut self, who: usize) {
        if let Some(who) = self.current(who) {
            self.try_commit(who, &[Op::Update], &Lie::Nothing);
        }
    }

    /// Somebody without a seat takes one, if it may.
    fn enter(&mut self, who: usize) {
        let count = self.people.len();
        let is_outside = |who: &usize| {
            let person = &self.people[*who];
            !person.asleep
                && self.state.seat_of(&person.fpr).is_none()
                && !self.evidence.revocations.contains_key(&person.fpr)
        };
        let Some(who) = (who..count).chain(0..who).find(is_outside) else { return };
        let op = self.entry_of(who);
        self.try_commit(who, &[op], &Lie::Nothing);
    }

    fn entry_of(&self, who: usize) -> Op {
        let person = &self.people[who];
        let namesake = self.state.seats().find(|(_, seat)| seat.name == person.name);
        let revocation = namesake.and_then(|(_, seat)| self.evidence.revocations.get(&seat.fpr));
        Op::Join {
            entrant: Entrant { name: person.name.clone(), key: person.public() },
            wrap: (self.state.epoch, ZEROS),
            ephemeral: person.public(),
            revocation: revocation.cloned(),
        }
    }

    fn rejoin_of(&mut self, who: usize) -> Vec<Op> {
        let (person, tail) = (&self.people[who], self.state.epoch);
        let mut wraps = vec![(tail, ZEROS)];
        if let Keys::At(epoch) = person.keys
            && epoch < tail
        {
            wraps.push((epoch, ZEROS));
        }
        let mut ops = vec![Op::Rejoin { wraps, ephemeral: person.public() }];
        if self.state.is_admin(&person.fpr) && self.dice.one_in(4) {
            let author = person.fpr;
            let is_direct = self.state.direct_peers().is_some();
            let others: Vec<_> = self.state.seats().map(|(_, seat)| seat.fpr).collect();
            let other = self.dice.pick(&others).filter(|other| *other != author && !is_direct);
            ops.extend(other.map(|who| Op::Remove { who, reason: Reason::Evicted }));
        }
        ops
    }

    fn rejoin(&mut self, who: usize) {
        let person = &self.people[who];
        if !person.asleep && self.state.seat_of(&person.fpr).is_some() {
            let ops = self.rejoin_of(who);
            self.try_commit(who, &ops, &Lie::Nothing);
        }
    }

    /// Two make commits on the same tail; the relay logs one, or both.
    fn race(&mut self, who: usize) {
        let Some(first) = self.current(who) else { return };
        let Some(second) = self.current(first + 1).filter(|second| *second != first) else {
            return;
        };
        let ops = self.wish_of(second);
        let Ok(late) = self.make(second, &ops, &Lie::Nothing) else { return };
        let before = self.state.epoch;
        self.commit(first, &Lie::Nothing);
        if self.state.epoch == before {
            self.people[second].drop_pending();
        } else if self.dice.one_in(2) {
            self.publish(&late);
            self.count("races");
        }
    }

    /// A member of the second kind makes a commit that is valid and wrong.
    fn lie(&mut self, who: usize) {
        let Some(who) = self.current(who) else { return };
        if matches!(self.people[who].side, Side::First(_)) {
            return;
        }
        let height = usize::from(self.state.height());
        let level = u8::try_from(self.dice.below(height) + 1).unwrap();
        let tail = self.state.epoch;
        let lie = match self.dice.below(6) {
            0 => Lie::External,
            1 => Lie::Tag,
            2 => Lie::Leaf,
            3 => Lie::Welcome,
            4 => Lie::Wrap(vec![tail]),
            _ => Lie::Path(vec![level]),
        };
        let ops = match &lie {
            Lie::Wrap(_) => self.rejoin_of(who),
            Lie::Path(_) if self.dice.one_in(2) => vec![Op::Update],
            _ => self.wish_of(who),
        };
        self.try_commit(who, &ops, &lie);
    }

    /// A member of the second kind makes a commit that everybody refuses.
    fn forge(&mut self, who: usize) {
        let Some(who) = self.current(who) else { return };
        if matches!(self.people[who].side, Side::First(_)) {
            return;
        }
        if self.dice.one_in(2) {
            return self.trespass(who);
        }
        let ops = if self.dice.one_in(2) { vec![Op::Update] } else { self.wish_of(who) };
        let Ok(mut sent) = self.make(who, &ops, &Lie::Nothing) else { return };
        self.people[who].drop_pending();
        let forgery = Forgery::ALL[self.dice.below(Forgery::ALL.len())];
        let Some(entry) = forgery::forge(&sent.entry, forgery, &self.state, self.people[who].key())
        else {
            return;
        };
        sent.entry = entry;
        assert!(self.state.judge(&sent.entry).is_err(), "{forgery:?}");
        self.publish(&sent);
    }

    /// One does what it may not.
    fn trespass(&mut self, who: usize) {
        let (people, author, head) = (self.subjects(), self.people[who].fpr, self.head());
        let ops = forgery::trespass(&self.state, &author, &people, &self.evidence, &mut self.dice);
        let Some(ops) = ops else { return };
        if self.state.outline(&author, &ops, &head).is_ok() {
            return;
        }
        let Side::Second(member) = &mut self.people[who].side else { return };
        member.head = head;
        let entry = member.force(&ops);
        let sent = Sent { entry, letters: Vec::new(), candidates: Vec::new(), joiner: None };
        assert!(self.state.judge(&sent.entry).is_err());
        self.publish(&sent);
    }

    fn wake(&mut self, who: usize) {
        self.people[who].asleep = false;
        self.everybody_reads();
    }

    fn lose(&mut self, who: usize) {
        if !self.people[who].asleep {
            self.people[who].lose_secrets();
        }
    }

    /// An admin throws several out at once.
    fn prune(&mut self, who: usize) {
        let Some(who) = self.current(who) else { return };
        let author = self.people[who].fpr;
        if !self.state.is_admin(&author) || self.state.direct_peers().is_some() {
            return;
        }
        let others = self.state.seats().map(|(_, seat)| seat.fpr).filter(|who| *who != author);
        let mut ops = Vec::new();
        for other in others.collect::<Vec<_>>() {
            if self.dice.one_in(2) {
                ops.push(Op::Remove { who: other, reason: Reason::Evicted });
            }
        }
        ops.push(Op::Update);
        let ops = in_order(ops);
        self.try_commit(who, &ops, &Lie::Nothing);
    }

    /// A creation, by one of the policies, with some people in it.
    pub(crate) fn creation(&mut self, policy: usize) -> Vec<Op> {
        let members = Rules { admitted_only: true, admins_invite: false };
        let (one, other) = (self.people[0].fpr, self.people[1].fpr);
        let (access, rules) = match policy {
            0 => (Access::Open(NAME.into()), Rules { admitted_only: false, ..members }),
            1 => (Access::Open(NAME.into()), members),
            2 => (Access::Direct(one.min(other), one.max(other)), members),
            3 => (Access::Closed(closed_name(&SALT, NAME)), members),
            _ => {
                (Access::Closed(closed_name(&SALT, NAME)), Rules { admins_invite: true, ..members })
            }
        };
        let key = self.people[0].public();
        let entrant = Entrant { name: self.people[0].name.clone(), key };
        let mut ops =
            vec![Op::Create { nonce: [9; 32], policy: Policy { access, rules }, entrant }];
        let end = if policy == 2 { 2 } else { self.people.len() };
        for index in 1..end {
            if self.dice.one_in(2) || policy == 2 {
                let subject = self.subject(index);
                ops.push(Op::Add { entrant: subject.entrant, prekey: subject.prekey });
            } else if self.dice.one_in(2) {
                let (name, who) = (self.people[index].name.clone(), self.people[index].fpr);
                ops.push(Op::Admit { name, who });
            }
        }
        in_order(ops)
    }
}
