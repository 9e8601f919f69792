//! Whole histories: every entry, every epoch's secrets, every message's key.

use std::collections::BTreeSet;

use openchat_wire::encode;
use serde_json::{Value, json};

use crate::{
    file::{frozen, hex, read, settle, unhex},
    first,
    plain::{
        CommitEntry, Op, Reason,
        make::Lie,
        member::Member,
        message::{log_hash, of_log},
        prim::{ZEROS, expand},
        tree_hash::tree_hash,
        wish::{Dice, Subject, wish},
    },
    setting::{Logged, Setting, access_of, letters, tokens},
};

/// Reads everything, and never makes a commit of its own; so an implementation that starts from
/// its prekey and its Welcome can follow the whole history.
pub(crate) const SILENT: usize = 1;

const HISTORIES: [(&str, usize, usize); 3] =
    [("open", 8, 120), ("closed", 10, 120), ("direct", 2, 60)];

fn file(kind: &str) -> String {
    format!("history-{kind}.json")
}

/// A history of so many commits.
fn made(kind: &str, count: usize, commits: usize, frozen: &Value) -> Value {
    let steps = frozen["steps"].as_array().cloned().unwrap_or_default();
    let tokens = steps.iter().flat_map(tokens).collect();
    let mut history = History {
        setting: Setting::new(kind, count, tokens),
        dice: Dice::new(commits as u64 + count as u64),
        steps: Vec::new(),
        commits: 0,
    };
    history.begin(kind);
    while history.commits < commits {
        history.step(kind);
    }
    let setting = &history.setting;
    json!({
        "about": "docs/protocol.md sections 3 to 6; see README.md",
        "group": hex(setting.state.group),
        "people": setting.who(),
        "prekeys": setting.prekeys,
        "silent": setting.people[SILENT].name,
        "steps": history.steps,
    })
}

struct History {
    setting: Setting,
    dice: Dice,
    steps: Vec<Value>,
    commits: usize,
}

impl History {
    fn begin(&mut self, kind: &str) {
        let (access, rules) = access_of(kind, &self.setting.people);
        let mut rest = vec![self.setting.add(SILENT)];
        if kind != "direct" {
            rest.push(self.setting.add(2));
            rest.push(self.setting.admit(3));
        }
        let logged = self.setting.create(access, rules, rest);
        self.note(&logged);
    }

    fn step(&mut self, kind: &str) {
        let is_due = kind != "direct" && self.commits >= 50;
        if is_due && self.setting.evidence.revocations.is_empty() {
            self.replace(kind == "open");
        }
        if is_due && self.commits % 20 == 10 {
            self.relent();
        }
        match self.dice.below(12) {
            0..3 => self.say(),
            3 | 4 => self.enter(),
            5 => self.rejoin(),
            6 if kind != "direct" => self.leave(),
            7 => self.commit(|_, _| vec![Op::Update]),
            _ => self.commit(Self::wish),
        }
    }

    /// Somebody with keys who is not silent.
    fn actor(&mut self) -> Option<usize> {
        let may = |index: &usize| *index != SILENT && self.setting.people[*index].is_current();
        let actors: Vec<usize> = (0..self.setting.people.len()).filter(may).collect();
        self.dice.pick(&actors)
    }

    fn wish(&mut self, who: usize) -> Vec<Op> {
        let mut people: Vec<Subject> = Vec::new();
        for index in (0..self.setting.people.len()).filter(|index| *index != SILENT) {
            let is_last_resort = self.dice.one_in(3);
            people.push(self.setting.subject(index, is_last_resort));
        }
        let author = self.setting.people[who].fpr();
        wish(&self.setting.state, &author, &people, &self.setting.evidence, &mut self.dice)
    }

    fn commit(&mut self, want: impl Fn(&mut Self, usize) -> Vec<Op>) {
        let Some(who) = self.actor() else { return };
        let ops = want(self, who);
        self.try_commit(who, &ops);
    }

    fn try_commit(&mut self, who: usize, ops: &[Op]) {
        let (author, head) = (self.setting.people[who].fpr(), self.setting.head());
        if self.setting.state.outline(&author, ops, &head).is_ok() {
            let made = self.setting.make(who, ops, &Lie::Nothing).unwrap();
            let logged = self.setting.log_commit(made);
            self.note(&logged);
        }
    }

    fn enter(&mut self) {
        let state = &self.setting.state;
        let outside = |index: &usize| {
            let person = &self.setting.people[*index];
            let is_revoked = self.setting.evidence.revocations.contains_key(&person.fpr());
            state.seat_of(&person.fpr()).is_none() && !is_revoked
        };
        let all: Vec<usize> = (0..self.setting.people.len()).filter(outside).collect();
        if let Some(who) = self.dice.pick(&all) {
            let join = self.setting.people[who].join();
            self.try_commit(who, &[join]);
        }
    }

    fn rejoin(&mut self) {
        let Some(who) = self.actor() else { return };
        let person = &self.setting.people[who];
        let earlier = person.state.epoch.saturating_sub(2);
        let Op::Rejoin { mut wraps, ephemeral } = person.rejoin() else { return };
        wraps.extend((earlier > 0).then_some((earlier, ZEROS)));
        self.try_commit(who, &[Op::Rejoin { wraps, ephemeral }]);
    }

    /// One asks to leave and another lets it go.
    fn leave(&mut self) {
        let Some(who) = self.actor() else { return };
        let leave = self.setting.people[who].leave().unwrap();
        let entry = [vec![1, 3], leave.write()].concat();
        self.setting.log.push(entry.clone());
        self.steps
            .push(json!({ "leave": true, "entry": hex(&entry), "log_hash": self.log_hash() }));
        let leaver = self.setting.people[who].fpr();
        self.setting.evidence.leaves.insert(leaver, leave.clone());
        if let Some(other) = self.actor().filter(|other| *other != who) {
            let reason = Reason::Left(leave);
            self.try_commit(other, &[Op::Remove { who: leaver, reason }, Op::Update]);
        }
    }

    /// A person's key is revoked, and the person comes back with another: by itself in an open
    /// group, otherwise others remove its old seat.
    fn replace(&mut self, is_open: bool) {
        let seated: Vec<usize> = (0..self.setting.people.len())
            .filter(|index| *index != SILENT && self.setting.people[*index].is_current())
            .collect();
        let [who, other, ..] = seated[..] else { return };
        let old = self.setting.people[who].fpr();
        self.setting.revoke(who);
        let name = self.setting.people[who].name.clone();
        let mut person = Member::new(&name, ZEROS, b"reborn");
        person.naming.clone_from(&self.setting.people[who].naming);
        person.state = self.setting.state.clone();
        self.setting.people.push(person);
        let proof = self.setting.evidence.revocations[&old].clone();
        if is_open {
            let newcomer = self.setting.people.len() - 1;
            let Op::Join { entrant, wrap, ephemeral, .. } = self.setting.people[newcomer].join()
            else {
                return;
            };
            self.try_commit(
                newcomer,
                &[Op::Join { entrant, wrap, ephemeral, revocation: Some(proof) }],
            );
        } else {
            let reason = Reason::Revoked(proof);
            self.try_commit(other, &[Op::Remove { who: old, reason }, Op::Update]);
        }
    }

    /// An admin throws somebody out, and thinks better of it.
    fn relent(&mut self) {
        let state = &self.setting.state;
        let people = &self.setting.people;
        let is_admin = |index: &usize| {
            *index != SILENT && people[*index].is_current() && state.is_admin(&people[*index].fpr())
        };
        let Some(admin) = (0..people.len()).find(is_admin) else { return };
        let is_other = |index: &usize| {
            ![SILENT, admin].contains(index) && state.seat_of(&people[*index].fpr()).is_some()
        };
        let Some(other) = (0..people.len()).find(is_other) else { return };
        let who = people[other].fpr();
        self.try_commit(admin, &[Op::Remove { who, reason: Reason::Evicted }, Op::Update]);
        self.try_commit(admin, &[Op::Update, Op::Lift(who)]);
    }

    fn say(&mut self) {
        let Some(who) = self.actor() else { return };
        let text = format!("{} writes the text at place {}", who, self.setting.log.len() + 1);
        let entry = self.setting.say(who, &text);
        let (header, _) = of_log(&entry).unwrap();
        let person = &self.setting.people[who];
        let (message, height) = &person.messages[&header.epoch];
        let group = &self.setting.state.group;
        self.steps.push(json!({
            "message": true, "author": person.name, "entry": hex(&entry), "text": text,
            "header_hash": hex(header.hash(group)),
            "key": hex(header.key(group, message, *height).expose()),
            "log_hash": self.log_hash(),
        }));
    }

    fn log_hash(&self) -> String {
        hex(log_hash(&self.setting.state.group, &self.setting.log))
    }

    fn note(&mut self, logged: &Logged) {
        self.commits += 1;
        let Logged { made, valid } = logged;
        let keys = &made.keys;
        let secret = |secret: &openchat_crypto::Secret| hex(secret.expose());
        let leaves = made.drawn.leaves.iter().map(|(slot, leaf)| json!([slot, secret(leaf)]));
        let pair =
            |pair: &Option<openchat_crypto::KeyPair>| pair.as_ref().map(|it| hex(encode(it)));
        let author = self.setting.index_of(&valid.commit.author);
        self.steps.push(json!({
            "commit": true, "author": self.setting.people[author].name,
            "entry": hex(made.entry.logged()), "letters": letters(made),
            "epoch": valid.after.epoch,
            "confirmed": hex(valid.after.confirmed), "interim": hex(valid.after.interim),
            "tree_hash": hex(tree_hash(&valid.after)),
            "height": valid.after.height(),
            "drawn": {
                "leaves": leaves.collect::<Vec<_>>(), "e": pair(&made.drawn.e),
                "ephemeral": pair(&made.drawn.ephemeral),
                "init": made.drawn.init.as_ref().map(secret),
            },
            "author_leaf": secret(&made.leaf),
            "joiner_secret": secret(&keys.joiner), "external": hex(encode(&keys.external)),
            "epoch_secret": secret(&keys.epoch), "init": secret(&keys.init),
            "hedge_secret": secret(&keys.hedge), "confirmation_key": secret(&keys.confirmation),
            "message_secret": secret(&keys.message),
            "log_hash": self.log_hash(),
        }));
        assert_eq!(keys.init, expand(&keys.epoch, "init", &[]));
    }
}

#[test]
fn the_second_implementation_makes_them_again() {
    for (kind, count, commits) in HISTORIES {
        let frozen = frozen(&file(kind));
        settle(&file(kind), &made(kind, count, commits, &frozen));
    }
}

#[test]
fn the_first_implementation_follows_them() {
    for (kind, _, _) in HISTORIES {
        let history = read(&file(kind));
        let silent = history["silent"].as_str().unwrap().to_owned();
        for person in history["people"].as_array().unwrap() {
            let name = person["name"].as_str().unwrap();
            let followed = first::follow(&history, person);
            let commits = |it: &&Value| it["commit"] == true;
            let all = history["steps"].as_array().unwrap().iter().filter(commits).count();
            assert!(name != silent || followed == all, "{kind}: {name} followed {followed}");
        }
    }
}

#[test]
fn they_have_every_operation() {
    let mut seen = BTreeSet::new();
    for (kind, _, commits) in HISTORIES {
        let history = read(&file(kind));
        let entries = history["steps"].as_array().unwrap().iter().map(|it| unhex(&it["entry"]));
        let found: Vec<_> = entries.filter_map(|entry| CommitEntry::of_log(&entry)).collect();
        assert!(found.len() >= commits);
        for op in found.iter().flat_map(|entry| entry.view().unwrap().ops) {
            let reason = match &op {
                Op::Remove { reason: Reason::Left(_), .. } => 1,
                Op::Remove { reason: Reason::Revoked(_), .. }
                | Op::Join { revocation: Some(_), .. } => 2,
                _ => 0,
            };
            seen.insert((op.index(), reason));
        }
    }
    let all = (0..10).map(|index| (index, 0)).chain([(1, 2), (3, 1), (3, 2)]);
    assert_eq!(seen, all.collect());
}
