//! Trees of 1 to 33 slots, and what every operation makes of them.

use openchat_crypto::PublicKey;
use openchat_roster::{CommitEntry as FirstEntry, LogEntry, NodeIndex, Roster, Transition};
use openchat_wire::{GroupId, Slot};
use serde_json::{Value, json};

use crate::{
    file::{array, hex, read, settle, unhex},
    plain::{
        Leaf, Op, Reason,
        commit::Rules,
        make::{Lie, Made},
        tree_hash::tree_hash,
        wish::in_order,
    },
    setting::{Setting, access_of},
};

const FILE: &str = "trees.json";

/// The largest tree: five full levels, and one more slot.
const SLOTS: usize = 33;

/// Members of groups that are created with all of them.
const CREATED: [usize; 8] = [1, 2, 3, 4, 5, 9, 17, 33];

/// Who is never seated, but for what is said of it.
const EVICTED: usize = SLOTS;
const ADMITTED: usize = SLOTS + 1;
const NEWCOMER: usize = SLOTS + 2;
const OTHER: usize = SLOTS + 3;

struct Trees {
    setting: Setting,
    chain: Vec<Value>,
    branches: Vec<Value>,
}

fn made() -> Value {
    let mut setting = Setting::new("trees", SLOTS + 4, Vec::new());
    let (access, rules) = access_of("open", &setting.people);
    let logged = setting.create(access, rules, Vec::new());
    let mut trees = Trees { setting, chain: Vec::new(), branches: Vec::new() };
    trees.note(&logged.made);
    let (add, admit) = (trees.setting.add(EVICTED), trees.setting.admit(ADMITTED));
    trees.grow(0, &[add, admit]);
    let evicted = trees.setting.people[EVICTED].fpr();
    trees.grow(0, &[Op::Remove { who: evicted, reason: Reason::Evicted }]);
    trees.setting.revoke(SLOTS - 1);
    for members in 1..=SLOTS {
        trees.branch(members);
        if members == SLOTS {
            break;
        }
        let add = trees.setting.add(members);
        trees.grow(0, &[add]);
        // The others' leaves stay the first one's.
        if members % 7 != 0 {
            trees.grow(members, &[Op::Update]);
        }
    }
    json!({
        "about": "docs/protocol.md section 4; see README.md",
        "group": hex(trees.setting.state.group),
        "people": trees.setting.who(),
        "chain": trees.chain,
        "branches": trees.branches,
        "creations": CREATED.map(creation).to_vec(),
    })
}

impl Trees {
    /// A commit that stays.
    fn grow(&mut self, who: usize, ops: &[Op]) {
        let logged = self.setting.commit(who, &in_order(ops.to_vec()));
        self.note(&logged.made);
    }

    fn note(&mut self, made: &Made) {
        let value = described(made);
        self.chain.push(value);
    }

    /// Every operation on the tree as it is.
    fn branch(&mut self, members: usize) {
        let last = members - 1;
        let fpr = |trees: &Self, who: usize| trees.setting.people[who].fpr();
        let evict =
            |trees: &Self, who: usize| Op::Remove { who: fpr(trees, who), reason: Reason::Evicted };
        let (newcomer, other) = (self.setting.add(NEWCOMER), self.setting.add(OTHER));
        let join = self.setting.people[NEWCOMER].join();
        let rules = Rules { admitted_only: true, admins_invite: true };
        let rejoin = self.setting.people[last].rejoin();
        self.try_one(members, "update", last, vec![Op::Update]);
        self.try_one(members, "update of an adder", 0, vec![Op::Update]);
        self.try_one(members, "rejoin", last, vec![rejoin]);
        self.try_one(members, "join", NEWCOMER, vec![join]);
        self.try_one(members, "add", 0, vec![newcomer.clone()]);
        let adds = vec![newcomer, other, Op::Update];
        self.try_one(members, "adds and update", last, adds);
        self.try_one(members, "admit", 0, vec![self.setting.admit(OTHER)]);
        self.try_one(members, "rules", 0, vec![Op::Rules(rules)]);
        self.try_one(members, "lift", 0, vec![Op::Lift(fpr(self, EVICTED))]);
        let strike = Op::Remove { who: fpr(self, ADMITTED), reason: Reason::Evicted };
        self.try_one(members, "strike an admission", 0, vec![strike]);
        if members > 1 {
            let role = Op::Role { who: fpr(self, last), admin: true };
            self.try_one(members, "role", 0, vec![role]);
            self.try_one(members, "evict the last", 0, vec![evict(self, last)]);
            let half = (members / 2..members).filter(|who| *who > 0);
            let half = half.map(|who| evict(self, who)).collect();
            self.try_one(members, "evict the second half", 0, half);
            let odd = (1..members).filter(|who| who % 2 == 1);
            let mut odd: Vec<Op> = odd.map(|who| evict(self, who)).collect();
            odd.push(self.setting.add(OTHER));
            self.try_one(members, "evict every second and add", 0, odd);
            let leave = self.setting.people[0].leave().unwrap();
            let left = Op::Remove { who: fpr(self, 0), reason: Reason::Left(leave) };
            self.try_one(members, "the creator has left", last, vec![left, Op::Update]);
        }
        if members == SLOTS {
            let revocation = self.setting.evidence.revocations[&fpr(self, last)].clone();
            let reason = Reason::Revoked(revocation);
            let revoked = Op::Remove { who: fpr(self, last), reason };
            self.try_one(members, "revoked", 1, vec![revoked]);
        }
    }

    /// A commit that nobody builds on.
    fn try_one(&mut self, members: usize, what: &str, who: usize, ops: Vec<Op>) {
        let made = self.setting.make(who, &in_order(ops), &Lie::Nothing).unwrap();
        let mut value = described(&made);
        value["what"] = what.into();
        value["members"] = members.into();
        value["after"] = (self.chain.len() - 1).into();
        self.branches.push(value);
    }
}

/// A creation with so many members at once.
fn creation(members: usize) -> Value {
    let mut setting = Setting::new("creations", members.max(2), Vec::new());
    let (access, rules) = access_of("open", &setting.people);
    let adds = (1..members).map(|who| setting.add(who)).collect();
    let logged = setting.create(access, rules, adds);
    let mut value = described(&logged.made);
    value["group"] = hex(setting.state.group).into();
    value["members"] = members.into();
    value
}

fn described(made: &Made) -> Value {
    let commit = made.entry.view().unwrap();
    let leaves: Vec<u32> = commit.leaves.iter().map(|(slot, _)| *slot).collect();
    let nodes: Vec<_> = commit.nodes.iter().map(|(node, _)| json!([node.0, node.1])).collect();
    let slots: String = made.after.leaves.iter().map(letter_of).collect();
    json!({
        "entry": hex(made.entry.logged()), "changed_leaves": leaves, "changed_nodes": nodes,
        "slots": slots, "tree_hash": hex(tree_hash(&made.after)),
    })
}

/// `-` empty, `v` vacant, `u` unclaimed, `h` half-claimed, `m` a member's.
fn letter_of(leaf: &Leaf) -> char {
    use crate::plain::Claim;
    match leaf {
        Leaf::Empty => '-',
        Leaf::Held { seat: None, .. } => 'v',
        Leaf::Held { seat: Some(seat), .. } => match seat.claim {
            Claim::Unclaimed { .. } => 'u',
            Claim::Half => 'h',
            Claim::Claimed => 'm',
        },
    }
}

#[test]
fn the_second_implementation_makes_them_again() {
    settle(FILE, &made());
}

fn entry_of(value: &Value) -> FirstEntry {
    match LogEntry::decode(&unhex(&value["entry"])).unwrap() {
        LogEntry::Commit(entry) => entry,
        other => panic!("{other:?}"),
    }
}

/// The first implementation's judgement of a commit, compared with what is written.
fn checked(roster: &Roster, value: &Value) -> Transition {
    let transition = roster.check(&entry_of(value)).unwrap();
    assert_eq!(transition.commit().tree_hash.0, array(&value["tree_hash"]));
    let outline = transition.outline();
    let leaves: Vec<Value> = outline.leaves().map(|(slot, _)| slot.0.into()).collect();
    assert_eq!(Value::from(leaves), value["changed_leaves"]);
    let pair = |node: NodeIndex| json!([node.level, node.index]);
    let nodes: Vec<Value> = outline.agreements().into_iter().map(pair).collect();
    assert_eq!(Value::from(nodes), value["changed_nodes"]);
    let slots = value["slots"].as_str().unwrap();
    assert_eq!(1 << transition.tree().height(), slots.len());
    for (slot, letter) in (0..).zip(slots.chars()) {
        let leaf = transition.tree().leaf(Slot(slot));
        let key: Option<&PublicKey> = leaf.map(|leaf| &leaf.key);
        assert_eq!(key.is_none(), letter == '-', "{slots}");
        assert_eq!(leaf.is_some_and(|leaf| leaf.seat.is_none()), letter == 'v', "{slots}");
    }
    transition
}

#[test]
fn the_first_implementation_finds_the_same_trees() {
    let file = read(FILE);
    let mut roster = Roster::new(GroupId(array(&file["group"])));
    for (index, step) in file["chain"].as_array().unwrap().iter().enumerate() {
        let transition = checked(&roster, step);
        roster.apply(transition);
        let branches = file["branches"].as_array().unwrap().iter();
        for branch in branches.filter(|branch| branch["after"] == index) {
            checked(&roster, branch);
        }
    }
    for creation in file["creations"].as_array().unwrap() {
        checked(&Roster::new(GroupId(array(&creation["group"]))), creation);
    }
}
