//! Commits that are refused.

use openchat_crypto::{IdentityKey, PublicKey};
use serde_json::{Value, json};

use crate::{
    file::hex,
    plain::{
        Commit, CommitEntry, Entrant, Op, Reason, State,
        commit::{Access, Leave, LeaveBody, Policy, Prekey, Rules},
        judge::group_id,
        make::{Lie, Made, Source, signed},
        member::{Member, signed_prekey},
        prim::{ZEROS, sign},
        tree_hash::tree_hash,
        wish::in_order,
    },
    rejected::{ADMITTED, EVICTED, MEMBER, NEWCOMER, Refused, SILENT, STRANGER},
    setting::Setting,
};

/// An honest update of a member, with one thing changed and signed again.
struct Forger<'a> {
    setting: &'a mut Setting,
    all: Vec<Refused>,
}

pub(crate) fn all(setting: &mut Setting) -> Vec<Refused> {
    let mut forger = Forger { setting, all: Vec::new() };
    forger.bytes();
    forger.place();
    forger.sets();
    forger.keys();
    forger.used_prekeys();
    forger.combinations();
    forger.authority();
    forger.people();
    forger.evidence();
    let state = &forger.setting.state;
    for refused in &forger.all {
        let entry = CommitEntry::of_log(&refused.entry).unwrap();
        assert_eq!(state.judge(&entry).map(|_| ()), Err(refused.check), "{}", refused.what);
    }
    forger.all
}

impl Forger<'_> {
    fn honest(&mut self, who: usize) -> Made {
        self.setting.make(who, &[Op::Update], &Lie::Nothing).unwrap()
    }

    fn key(&self, who: usize) -> &IdentityKey {
        &self.setting.people[who].key
    }

    fn push(&mut self, check: &'static str, what: &'static str, entry: &CommitEntry) {
        self.all.push(Refused::commit(check, what, entry));
    }

    /// The member's update with something else in it.
    fn with(
        &mut self,
        check: &'static str,
        what: &'static str,
        change: impl Fn(&State, &mut Commit),
    ) {
        let made = self.honest(MEMBER);
        let mut commit = made.entry.view().unwrap();
        change(&self.setting.state, &mut commit);
        let entry = signed(self.key(MEMBER), commit.write(), made.entry.tag);
        self.push(check, what, &entry);
    }

    /// As [`Self::with`], and the tree hash is right again.
    fn with_hash(&mut self, what: &'static str, change: impl Fn(&State, &mut Commit)) {
        self.with("C10", what, |state, commit| {
            change(state, commit);
            let plan = state.outline(&commit.author, &commit.ops, &commit.head).unwrap();
            commit.tree_hash = tree_hash(&plan.with_keys(commit));
        });
    }

    /// Operations that somebody may not make.
    fn forced(&mut self, check: &'static str, what: &'static str, who: usize, ops: Vec<Op>) {
        let head = self.setting.head();
        let person = &mut self.setting.people[who];
        person.head = head;
        let entry = person.force(&in_order(ops));
        self.push(check, what, &entry);
    }

    fn bytes(&mut self) {
        let made = self.honest(MEMBER);
        let resigned =
            |bytes: Vec<u8>, forger: &Self| signed(forger.key(MEMBER), bytes, made.entry.tag);
        let mut bytes = made.entry.commit.clone();
        bytes.push(0);
        let entry = resigned(bytes, self);
        self.push("C1", "a byte behind the commit", &entry);
        let mut bytes = made.entry.commit.clone();
        // The epoch, 6, stands behind author and group.
        bytes.splice(64..65, [0x86, 0]);
        let entry = resigned(bytes, self);
        self.push("C1", "an overlong integer", &entry);
        let mut bytes = made.entry.commit.clone();
        bytes.truncate(bytes.len() - 1);
        let entry = resigned(bytes, self);
        self.push("C1", "a commit cut short", &entry);
        let mut entry = made.entry.clone();
        entry.tag[0] ^= 1;
        self.push("C7", "a tag changed after signing", &entry);
        let entry = signed(self.key(STRANGER), made.entry.commit.clone(), made.entry.tag);
        self.push("C7", "signed by another key", &entry);
    }

    fn place(&mut self) {
        self.with("C2", "another group", |_, commit| commit.group[0] ^= 1);
        self.with("C3", "the epoch before", |_, commit| commit.epoch -= 1);
        self.with("C3", "the epoch after", |_, commit| commit.epoch += 1);
        self.with("C3", "another interim hash", |_, commit| commit.interim[31] ^= 1);
        self.with("C12", "an older transparency head", |state, commit| {
            commit.head.0 = state.head_size - 1;
        });
    }

    fn sets(&mut self) {
        let key = *self.key(STRANGER).public();
        self.with("C8", "a leaf too few", |_, commit| commit.leaves.truncate(0));
        self.with("C8", "a leaf too many", move |_, commit| commit.leaves.insert(0, (0, key)));
        self.with("C8", "a needless ephemeral key", move |_, commit| commit.e = Some(key));
        self.with("C9", "an agreement too few", |_, commit| commit.nodes.truncate(1));
        self.with("C9", "an agreement too many", move |_, commit| {
            commit.nodes.push(((9, 0), key));
        });
        self.with("C9", "agreements in another order", |_, commit| commit.nodes.reverse());
        self.with("C11", "another tree hash", |_, commit| commit.tree_hash[0] ^= 1);
        let add = self.setting.add(NEWCOMER);
        let made = self.setting.make(MEMBER, &[add], &Lie::Nothing).unwrap();
        let mut commit = made.entry.view().unwrap();
        commit.e = None;
        let entry = signed(self.key(MEMBER), commit.write(), made.entry.tag);
        self.push("C8", "no ephemeral key where a leaf is another's", &entry);
    }

    fn keys(&mut self) {
        self.with_hash("an external key that is a leaf's", |_, commit| {
            commit.external = commit.leaves[0].1;
        });
        self.with_hash("a leaf's key that another leaf has", |state, commit| {
            commit.leaves[0].1 = state.leaf(0).key().unwrap();
        });
        self.with_hash("a leaf's key that it had before", |state, commit| {
            commit.leaves[0].1 = state.leaf(commit.leaves[0].0).key().unwrap();
        });
        self.with_hash("the external key of the epoch before", |state, commit| {
            commit.external = state.external(state.epoch).unwrap();
        });
        self.with_hash("an agreement's key that a leaf has", |_, commit| {
            commit.nodes[0].1 = commit.leaves[0].1;
        });
    }

    /// Prekeys that have keys which are there already.
    fn used_prekeys(&mut self) {
        let key = self.setting.state.leaf(0).key().unwrap();
        let add = self.add_with(NEWCOMER, key);
        let made = self.setting.make(MEMBER, &[add], &Lie::Nothing).unwrap();
        self.push("C10", "an added prekey that is a leaf's key", &made.entry);
        let key = *Source::new(b"a key for two").pair().public();
        let adds = [NEWCOMER, STRANGER].map(|who| self.add_with(who, key));
        let made = self.setting.make(MEMBER, &adds, &Lie::Nothing).unwrap();
        self.push("C10", "two added prekeys with one key", &made.entry);
    }

    /// An add by a prekey that somebody has signed for this key.
    fn add_with(&mut self, who: usize, key: PublicKey) -> Op {
        let subject = self.setting.subject(who, false);
        let prekey = Prekey { key, ..subject.prekey.view().unwrap() };
        let prekey = signed_prekey(self.key(who), &prekey);
        Op::Add { entrant: subject.entrant, prekey }
    }

    fn combinations(&mut self) {
        self.with("C4", "no operation", |_, commit| commit.ops.clear());
        self.with("C4", "two updates", |_, commit| commit.ops.push(Op::Update));
        let (add, admit) = (self.setting.add(NEWCOMER), self.setting.admit(STRANGER));
        let ops = vec![admit.clone(), add];
        self.with("C4", "an admit before an add", move |_, commit| commit.ops.clone_from(&ops));
        let rejoin = self.setting.people[MEMBER].rejoin();
        self.forced("C4", "a rejoin and an admit", MEMBER, vec![rejoin.clone(), admit.clone()]);
        self.forced("C4", "a rejoin and an update", MEMBER, vec![rejoin, Op::Update]);
        self.forced("C4", "an unclaimed author without an update", SILENT, vec![admit.clone()]);
        let twice = vec![Op::Update, admit.clone(), admit];
        self.with("C4", "the same admit twice", move |_, commit| commit.ops.clone_from(&twice));
        let person = &self.setting.people[0];
        let create = Op::Create {
            nonce: ZEROS,
            policy: self.setting.state.policy.clone().unwrap(),
            entrant: person.entrant(),
        };
        self.forced("C4", "a second creation", 0, vec![create]);
    }

    fn authority(&mut self) {
        let fpr = |forger: &Self, who: usize| forger.setting.people[who].fpr();
        let evict = |who| Op::Remove { who, reason: Reason::Evicted };
        let (silent, evicted) = (fpr(self, SILENT), fpr(self, EVICTED));
        self.forced("C5", "a member evicts", MEMBER, vec![evict(silent)]);
        let rejoin = self.setting.people[MEMBER].rejoin();
        let leave = self.setting.people[SILENT].leave().unwrap();
        let left = Op::Remove { who: silent, reason: Reason::Left(leave) };
        self.forced("C5", "a member's rejoin with a remove", MEMBER, vec![rejoin, left]);
        self.forced("C5", "an admin evicts itself", 0, vec![evict(fpr(self, 0))]);
        let rules = Rules { admitted_only: true, admins_invite: true };
        self.forced("C5", "a member sets rules", MEMBER, vec![Op::Rules(rules)]);
        self.forced("C5", "a member lifts", MEMBER, vec![Op::Lift(evicted)]);
        let role = Op::Role { who: fpr(self, MEMBER), admin: true };
        self.forced("C5", "a member makes itself an admin", MEMBER, vec![role]);
        let (add, admit) = (self.setting.add(EVICTED), self.setting.admit(EVICTED));
        self.forced("C5", "a member adds who is denied", MEMBER, vec![add]);
        self.forced("C5", "a member admits who is denied", MEMBER, vec![admit]);
        let stranger = &self.setting.people[STRANGER];
        let entry =
            uninvited(stranger, &self.setting.state, stranger.entrant(), self.setting.head());
        self.push("C5", "a join by somebody who is not admitted", &entry);
        let admitted = &self.setting.people[ADMITTED];
        let entrant = Entrant { name: "another".into(), ..admitted.entrant() };
        let entry = uninvited(admitted, &self.setting.state, entrant, self.setting.head());
        self.push("C5", "a join under another name than was admitted", &entry);
    }

    fn people(&mut self) {
        let fpr = |forger: &Self, who: usize| forger.setting.people[who].fpr();
        let (add, admit) = (self.setting.add(SILENT), self.setting.admit(ADMITTED));
        self.forced("C6", "an add of a member", MEMBER, vec![add]);
        self.forced("C6", "an admit of somebody admitted", MEMBER, vec![admit]);
        let who = fpr(self, STRANGER);
        let evict = Op::Remove { who, reason: Reason::Evicted };
        self.forced("C6", "a remove of a stranger", 0, vec![evict]);
        self.forced("C6", "a lift of somebody who is not denied", 0, vec![Op::Lift(who)]);
        self.forced("C6", "a role for a stranger", 0, vec![Op::Role { who, admin: true }]);
        let who = fpr(self, MEMBER);
        self.forced("C6", "a role that the member has", 0, vec![Op::Role { who, admin: false }]);
        let (add, admit) = (self.setting.add(NEWCOMER), self.setting.admit(NEWCOMER));
        self.forced("C6", "added and admitted in one", 0, vec![add, admit]);
        let ops = vec![Op::Remove { who, reason: Reason::Evicted }, Op::Role { who, admin: true }];
        self.forced("C6", "removed, and given a role", 0, ops);
        let admitted = &self.setting.people[ADMITTED];
        let key = *self.key(STRANGER).public();
        let entrant = Entrant { key, ..admitted.entrant() };
        let entry = uninvited(admitted, &self.setting.state, entrant, self.setting.head());
        self.push("C6", "a joiner whose key is another's", &entry);
    }

    fn evidence(&mut self) {
        let fpr = |forger: &Self, who: usize| forger.setting.people[who].fpr();
        let rules = Rules { admitted_only: false, admins_invite: false };
        self.forced("C14", "anyone may join a closed group", 0, vec![Op::Rules(rules)]);
        let tail = self.setting.state.epoch;
        for (what, epochs) in [
            ("no wrap", vec![]),
            ("no wrap for the tail", vec![tail - 1]),
            ("wraps that rise", vec![tail, 1, 2]),
            ("a wrap for epoch 0", vec![tail, 0]),
            ("five wraps", (tail - 4..=tail).rev().collect()),
        ] {
            let wraps = epochs.into_iter().map(|epoch| (epoch, ZEROS)).collect();
            let ephemeral = *self.key(STRANGER).public();
            self.forced("C15", what, MEMBER, vec![Op::Rejoin { wraps, ephemeral }]);
        }
        self.prekeys();
        self.leaves();
        let revoked = fpr(self, 3);
        let good = self.setting.evidence.revocations[&revoked].clone();
        let reason = |change: &dyn Fn(&mut crate::plain::Revocation)| {
            let mut revocation = good.clone();
            change(&mut revocation);
            Reason::Revoked(revocation)
        };
        let cases = [
            ("a revocation of another's key", fpr(self, SILENT), reason(&|_| {})),
            ("a proof with another hash", revoked, reason(&|it| it.path[0][0] ^= 1)),
            ("a proof for another index", revoked, reason(&|it| it.index += 1)),
            ("a proof that is too short", revoked, reason(&|it| it.path.truncate(0))),
            ("an entry that is no revocation", revoked, reason(&|it| it.entry[0] = 1)),
        ];
        for (what, who, reason) in cases {
            self.forced("C18", what, MEMBER, vec![Op::Remove { who, reason }]);
        }
    }

    fn prekeys(&mut self) {
        let newcomer = self.setting.subject(NEWCOMER, false);
        let view = newcomer.prekey.view().unwrap();
        let by_another = signed_prekey(self.key(STRANGER), &view);
        let of_another = self.setting.subject(STRANGER, false).prekey;
        let mut damaged = newcomer.prekey.clone();
        damaged.body.push(0);
        damaged.signature = sign(self.key(NEWCOMER), "prekey", &damaged.body);
        let late = Prekey { not_after: view.not_after + 1, ..view };
        let changed = crate::plain::commit::SignedPrekey { body: late.write(), ..newcomer.prekey };
        for (what, prekey) in [
            ("a prekey that another has signed", by_another),
            ("another's prekey", of_another),
            ("a prekey with a byte behind it", damaged),
            ("a prekey changed after signing", changed),
        ] {
            let entrant = newcomer.entrant.clone();
            self.forced("C16", what, MEMBER, vec![Op::Add { entrant, prekey }]);
        }
    }

    fn leaves(&mut self) {
        let group = self.setting.state.group;
        let author = self.setting.people[SILENT].fpr();
        let right = LeaveBody { author, group, since: 1, key: None };
        let key = Some(*self.key(SILENT).public());
        let admitted = self.setting.people[ADMITTED].fpr();
        let of_admitted = LeaveBody { author: admitted, group, since: 2, key: None };
        for (what, body, signer, who) in [
            ("a leave request of another seat", LeaveBody { since: 2, ..right }, SILENT, author),
            (
                "a leave request for another group",
                LeaveBody { group: ZEROS, ..right },
                SILENT,
                author,
            ),
            ("a leave request that another has signed", right.clone(), STRANGER, author),
            ("a member's leave request with a key", LeaveBody { key, ..right }, SILENT, author),
            ("another's leave request", right.clone(), SILENT, admitted),
            ("an admitted person's without a key", of_admitted, ADMITTED, admitted),
        ] {
            let body = body.write();
            let signature = sign(self.key(signer), "leave", &body);
            let reason = Reason::Left(Leave { body, signature });
            self.forced("C17", what, MEMBER, vec![Op::Remove { who, reason }]);
        }
    }
}

/// A join that nobody takes: only its operation matters.
fn uninvited(
    person: &Member,
    state: &State,
    entrant: Entrant,
    head: (u64, [u8; 32]),
) -> CommitEntry {
    let mut source = Source::new(b"uninvited");
    let mut key = || -> PublicKey { *source.pair().public() };
    let signer = person.key.clone();
    let commit = Commit {
        author: person.fpr(),
        group: state.group,
        epoch: state.epoch,
        interim: state.interim,
        seen: (0, ZEROS),
        ops: vec![Op::Join {
            entrant,
            wrap: (state.epoch, ZEROS),
            ephemeral: key(),
            revocation: None,
        }],
        e: None,
        leaves: vec![(0, key())],
        nodes: Vec::new(),
        tree_hash: ZEROS,
        external: key(),
        head,
    };
    signed(&signer, commit.write(), ZEROS)
}

/// Of an open group.
pub(crate) fn of_open(setting: &mut Setting) -> Vec<Refused> {
    let evicted = &setting.people[EVICTED];
    let entry = uninvited(evicted, &setting.state, evicted.entrant(), setting.head());
    let namesake = Entrant { name: evicted.name.clone(), ..setting.people[STRANGER].entrant() };
    let other = uninvited(&setting.people[STRANGER], &setting.state, namesake, setting.head());
    let member =
        Entrant { name: setting.people[MEMBER].name.clone(), ..setting.people[STRANGER].entrant() };
    let third = uninvited(&setting.people[STRANGER], &setting.state, member, setting.head());
    let all = [
        ("C5", "a join by somebody who was evicted", entry),
        ("C5", "a join under the name of somebody who was evicted", other),
        ("C6", "a join under a member's name", third),
    ];
    checked(&setting.state, all)
}

/// Of two people's.
pub(crate) fn of_direct(setting: &mut Setting) -> Vec<Refused> {
    let (add, admit) = (setting.add(STRANGER), setting.admit(STRANGER));
    let silent = setting.people[SILENT].fpr();
    let head = setting.head();
    let mut force = |ops: Vec<Op>| {
        setting.people[0].head = head;
        setting.people[0].force(&ops)
    };
    let all = [
        ("C5", "an add of a third person to two", force(vec![add])),
        ("C5", "an admit to a group of two", force(vec![admit])),
        ("C5", "an eviction from a group of two", {
            force(vec![Op::Remove { who: silent, reason: Reason::Evicted }])
        }),
        ("C5", "a role in a group of two", force(vec![Op::Role { who: silent, admin: true }])),
    ];
    checked(&setting.state, all)
}

fn checked<const N: usize>(
    state: &State,
    all: [(&'static str, &'static str, CommitEntry); N],
) -> Vec<Refused> {
    let refused = all.map(|(check, what, entry)| {
        assert_eq!(state.judge(&entry).map(|_| ()), Err(check), "{what}");
        Refused::commit(check, what, &entry)
    });
    refused.into()
}

/// Creations. Their keys are left out: they are looked at later.
pub(crate) fn creations() -> Vec<Value> {
    let creator = Member::new("p0", ZEROS, b"creations");
    let (me, other) = (creator.fpr(), [7; 32]);
    let policy = |access, admitted_only| Policy {
        access,
        rules: Rules { admitted_only, admins_invite: false },
    };
    let open = policy(Access::Open("ops".into()), false);
    let (low, high) = (me.min(other), me.max(other));
    let made = |policy: &Policy| Op::Create {
        nonce: [9; 32],
        policy: policy.clone(),
        entrant: creator.entrant(),
    };
    let elsewhere = policy(Access::Open("cat".into()), false);
    let closed = policy(Access::Closed([1; 32]), false);
    let unsorted = policy(Access::Direct(high, low), true);
    let strangers = policy(Access::Direct([8; 32], [9; 32]), true);
    let impostor = Op::Create {
        nonce: [9; 32],
        policy: open.clone(),
        entrant: Member::new("p0", ZEROS, b"another").entrant(),
    };
    let cases = [
        ("C5", "a group of two that a third creates", &strangers, vec![made(&strangers)]),
        ("C6", "a creator whose key is another's", &open, vec![impostor]),
        ("C13", "1,025 unclaimed members of one adder", &open, crowd(made(&open))),
        ("C14", "a group whose id is of another policy", &open, vec![made(&elsewhere)]),
        ("C14", "a closed group that anyone may join", &closed, vec![made(&closed)]),
        ("C14", "two people in the wrong order", &unsorted, vec![made(&unsorted)]),
    ];
    let all =
        cases.map(|(check, what, policy, ops)| creation((check, what), &creator, policy, ops));
    all.into()
}

fn creation((check, what): (&str, &str), creator: &Member, policy: &Policy, ops: Vec<Op>) -> Value {
    let mut source = Source::new(what.as_bytes());
    let group = group_id(&creator.fpr(), &[9; 32], policy);
    let commit = Commit {
        author: creator.fpr(),
        group,
        epoch: 0,
        interim: ZEROS,
        seen: (0, ZEROS),
        ops,
        e: None,
        leaves: Vec::new(),
        nodes: Vec::new(),
        tree_hash: ZEROS,
        external: *source.pair().public(),
        head: (1, ZEROS),
    };
    let entry = signed(&creator.key, commit.write(), ZEROS);
    let judged = State::new(group).judge(&entry).map(|_| "valid");
    assert_eq!(judged, Err(check), "{what}");
    json!({ "check": check, "what": what, "group": hex(group), "entry": hex(entry.logged()) })
}

/// A creation with one member more than its creator can answer for.
fn crowd(create: Op) -> Vec<Op> {
    let add = |index: usize| {
        let mut member = Member::new(&format!("p{index}"), ZEROS, b"crowd");
        let prekey = member.prekey(false);
        Op::Add { entrant: member.entrant(), prekey }
    };
    core::iter::once(create).chain((1..=1_025).map(add)).collect()
}
