//! Inputs that are refused, each with the number of the check that refuses it: one thing is wrong
//! with each of them, and all the rest is right.

use std::collections::BTreeMap;

use openchat_group::{CommitOutcome, Effect, LetterFault, PrivateFault, Unreadable};
use openchat_roster::{CommitFault, LogEntry, MessageFault, NoticeFault};
use serde_json::{Value, json};

use crate::{
    commits, entries,
    file::{frozen, hex, read, settle, unhex},
    first::Reader,
    plain::{CommitEntry, Fpr, Op, Reason},
    setting::{Setting, access_of, letters, tokens},
};

const FILE: &str = "rejected.json";

/// The file's groups, all of the same people: 0 has created it, 1 was added and reads silently,
/// 2 has claimed its seat, 3 has done so once of twice, 4 is admitted, 5 was evicted, 6 and 7 were
/// never inside.
pub(crate) const SILENT: usize = 1;
pub(crate) const MEMBER: usize = 2;
pub(crate) const ADMITTED: usize = 4;
pub(crate) const EVICTED: usize = 5;
pub(crate) const STRANGER: usize = 6;
pub(crate) const NEWCOMER: usize = 7;

/// One refused input.
pub(crate) struct Refused {
    pub(crate) check: &'static str,
    pub(crate) what: &'static str,
    pub(crate) entry: Vec<u8>,
    pub(crate) letters: Vec<(Fpr, Vec<u8>)>,
    /// Who finds the fault.
    pub(crate) reader: usize,
}

impl Refused {
    pub(crate) fn new(check: &'static str, what: &'static str, entry: Vec<u8>) -> Self {
        Self { check, what, entry, letters: Vec::new(), reader: SILENT }
    }

    pub(crate) fn commit(check: &'static str, what: &'static str, entry: &CommitEntry) -> Self {
        Self::new(check, what, entry.logged())
    }
}

/// A group to which something wrong is added, and its entries.
pub(crate) struct Base {
    pub(crate) setting: Setting,
    steps: Vec<Value>,
}

impl Base {
    fn new(kind: &str, frozen: &Value) -> Self {
        let steps = frozen["groups"].as_array().into_iter().flatten();
        let own = steps.clone().find(|group| group["kind"] == kind);
        let steps = own.map(|group| group["steps"].as_array().unwrap().clone()).unwrap_or_default();
        let setting = Setting::new(kind, 8, steps.iter().flat_map(tokens).collect());
        let mut base = Self { setting, steps: Vec::new() };
        base.grow(kind);
        base
    }

    fn grow(&mut self, kind: &str) {
        let (access, rules) = access_of(kind, &self.setting.people);
        let adds = vec![self.setting.add(SILENT)];
        let logged = self.setting.create(access, rules, adds);
        self.note(&logged.made.entry.logged(), &letters(&logged.made));
        if kind == "direct" {
            return;
        }
        let mut ops = vec![self.setting.add(MEMBER), self.setting.add(3)];
        ops.extend([self.setting.add(EVICTED), self.setting.admit(ADMITTED)]);
        self.commit(0, &ops);
        self.commit(MEMBER, &[Op::Update]);
        self.commit(3, &[Op::Update]);
        let who = self.setting.people[EVICTED].fpr();
        self.commit(0, &[Op::Remove { who, reason: Reason::Evicted }]);
        self.setting.revoke(3);
        self.commit(MEMBER, &[Op::Update]);
        let said = self.setting.say(MEMBER, "the first of this epoch");
        self.note(&said, &[]);
    }

    fn commit(&mut self, who: usize, ops: &[Op]) {
        let logged = self.setting.commit(who, ops);
        self.note(&logged.made.entry.logged(), &letters(&logged.made));
    }

    fn note(&mut self, entry: &[u8], letters: &[Value]) {
        self.steps.push(json!({ "entry": hex(entry), "letters": letters }));
    }

    fn described(&self, kind: &str) -> Value {
        json!({
            "kind": kind, "group": hex(self.setting.state.group), "people": self.setting.who(),
            "prekeys": self.setting.prekeys, "steps": self.steps,
        })
    }
}

fn made(frozen: &Value) -> Value {
    let mut groups = Vec::new();
    let mut refused = Vec::new();
    for kind in ["closed", "open", "direct"] {
        let mut base = Base::new(kind, frozen);
        let mut inputs = match kind {
            "closed" => commits::all(&mut base.setting),
            "open" => commits::of_open(&mut base.setting),
            _ => commits::of_direct(&mut base.setting),
        };
        if kind == "closed" {
            inputs.extend(entries::all(&mut base.setting, &frozen_entries(frozen)));
        }
        for input in &inputs {
            let name = &base.setting.people[input.reader].name;
            let letter =
                |(to, letter): &(Fpr, Vec<u8>)| json!({ "to": hex(to), "letter": hex(letter) });
            refused.push(json!({
                "check": input.check, "what": input.what, "group": kind, "reader": name,
                "entry": hex(&input.entry),
                "letters": input.letters.iter().map(letter).collect::<Vec<_>>(),
            }));
        }
        groups.push(base.described(kind));
    }
    refused.extend(commits::creations());
    json!({
        "about": "docs/protocol.md sections 4 to 6; see README.md",
        "groups": groups,
        "refused": refused,
    })
}

/// By what they are, the inputs that were frozen: their tokens are used again.
fn frozen_entries(frozen: &Value) -> BTreeMap<String, Value> {
    let refused = frozen["refused"].as_array().into_iter().flatten();
    refused.map(|it| (it["what"].as_str().unwrap().to_owned(), it.clone())).collect()
}

#[test]
fn the_second_implementation_makes_them_again() {
    settle(FILE, &made(&frozen(FILE)));
}

#[test]
fn the_first_implementation_refuses_each_by_its_check() {
    let file = read(FILE);
    for group in file["groups"].as_array().unwrap() {
        let mut readers: BTreeMap<&str, Reader> = BTreeMap::new();
        for person in group["people"].as_array().unwrap() {
            let mut reader = Reader::new(group, person);
            for step in group["steps"].as_array().unwrap() {
                reader.read(step);
            }
            readers.insert(person["name"].as_str().unwrap(), reader);
        }
        let inputs = file["refused"].as_array().unwrap().iter();
        for input in inputs.filter(|input| input["group"] == group["kind"]) {
            let mut reader = readers[input["reader"].as_str().unwrap()].clone();
            assert_eq!(judged(&mut reader, input), input["check"], "{}", input["what"]);
        }
    }
    for input in file["refused"].as_array().unwrap().iter().filter(|it| it["reader"].is_null()) {
        assert_eq!(judged(&mut Reader::empty(input), input), input["check"], "{}", input["what"]);
    }
}

#[test]
fn every_check_refuses_something() {
    let file = read(FILE);
    let refused = file["refused"].as_array().unwrap();
    let numbered = |letter: char, last: u8| (1..=last).map(move |n| format!("{letter}{n}"));
    let all = numbered('C', 18).chain(numbered('M', 8)).chain(numbered('N', 4));
    for check in all.chain(numbered('P', 3)).chain(numbered('W', 4)) {
        assert!(refused.iter().any(|it| it["check"] == check), "{check}");
    }
}

/// The number of the check by which the first implementation refuses an input.
fn judged(reader: &mut Reader, input: &Value) -> &'static str {
    reader.take_letter(input);
    match LogEntry::decode(&unhex(&input["entry"])).unwrap() {
        LogEntry::Commit(commit) => match reader.group.commit(&commit, &reader.ring) {
            CommitOutcome::Invalid(fault) => number_of(fault),
            CommitOutcome::Valid { effect: Effect::LeftBehind(fault), .. } => private(fault),
            CommitOutcome::Valid { effect: Effect::Invited(Err(fault)), .. } => letter(fault),
            CommitOutcome::Valid { effect, .. } => panic!("{}: {effect:?}", input["what"]),
        },
        LogEntry::Message(message) => match reader.group.open(&message).unwrap_err() {
            Unreadable::Fault(MessageFault::NotSeated) => "M1",
            Unreadable::Fault(MessageFault::Stale) => "M2",
            Unreadable::Fault(MessageFault::Future) => "M3",
            Unreadable::Fault(MessageFault::Fork) => "M4",
            Unreadable::Spent | Unreadable::TooFar => "M5",
            Unreadable::Token => "M6",
            Unreadable::Content => "M7",
            Unreadable::Signature => "M8",
            Unreadable::NoEpoch => "no keys",
        },
        LogEntry::Notice(notice) => {
            match reader.group.roster().check_notice(&notice).unwrap_err() {
                NoticeFault::Encoding => "N1",
                NoticeFault::NotSeated => "N2",
                NoticeFault::Signature => "N3",
                NoticeFault::Epoch => "N4",
            }
        }
        LogEntry::Leave(_) => panic!("no leave request is among them"),
    }
}

fn private(fault: PrivateFault) -> &'static str {
    match fault {
        PrivateFault::PathKey => "P1",
        PrivateFault::External => "P2",
        PrivateFault::Tag => "P3",
        PrivateFault::Behind => "behind",
        PrivateFault::NoPrekey | PrivateFault::NoWelcome => "W1",
        PrivateFault::Welcome(fault) => letter(fault),
    }
}

fn letter(fault: LetterFault) -> &'static str {
    match fault {
        LetterFault::Commit => "W2",
        LetterFault::Naming => "W3",
        LetterFault::Secret => "W4",
        _ => "W1",
    }
}

fn number_of(fault: CommitFault) -> &'static str {
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
