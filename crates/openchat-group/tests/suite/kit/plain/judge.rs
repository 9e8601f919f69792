//! §4.4: the public checks, in the order of the state that they need.

use std::collections::BTreeSet;

use openchat_crypto::PublicKey;

use super::{
    commit::{Access, Commit, CommitEntry, Entrant, Leave, Op, Policy, Reason, Rules},
    plan::Plan,
    prim::{Fpr, fpr, hash, is_signed},
    state::{Claim, State},
    tree_hash::tree_hash,
};

/// The number of the check that refuses a commit.
pub(crate) type Fault = &'static str;

const MAX_COMMIT: usize = 2_621_440;
const MAX_OPS: usize = 10_000;
const MAX_PEOPLE: usize = 10_000;
const MAX_UNCLAIMED: usize = 1_024;
const MAX_WRAPS: usize = 4;
const MAX_PREKEY: usize = 256;

/// A commit that counts.
#[derive(Debug, Clone)]
pub(crate) struct Valid {
    pub(crate) commit: Commit,
    pub(crate) plan: Plan,
    pub(crate) after: State,
}

fn check(holds: bool, fault: Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault) }
}

impl State {
    /// The group behind a commit, or the check that refuses it.
    pub(crate) fn judge(&self, entry: &CommitEntry) -> Result<Valid, Fault> {
        let commit = entry.view().filter(|_| entry.commit.len() <= MAX_COMMIT).ok_or("C1")?;
        check(commit.ops.len() <= MAX_OPS, "C1")?;
        check(commit.group == self.group, "C2")?;
        check((commit.epoch, commit.interim) == (self.epoch, self.interim), "C3")?;
        let plan = self.outline(&commit.author, &commit.ops, &commit.head)?;
        self.signature(entry, &commit)?;
        let slots: Vec<u32> = commit.leaves.iter().map(|(slot, _)| *slot).collect();
        check(slots == plan.leaves && commit.e.is_some() == plan.needs_e(), "C8")?;
        check(commit.nodes.iter().map(|(node, _)| node).eq(&plan.nodes), "C9")?;
        self.fresh(&commit)?;
        let mut after = plan.with_keys(&commit);
        check(tree_hash(&after) == commit.tree_hash, "C11")?;
        let confirmed = hash("commit confirmed", &[&self.interim, &entry.commit]);
        after.confirmed = confirmed;
        after.interim = hash("interim", &[&confirmed, &entry.tag]);
        after.past.push((after.interim, confirmed, commit.external));
        Ok(Valid { commit, plan, after })
    }

    /// The checks of a commit without its keys.
    pub(crate) fn outline(
        &self,
        author: &Fpr,
        ops: &[Op],
        head: &(u64, [u8; 32]),
    ) -> Result<Plan, Fault> {
        self.combination(author, ops)?;
        check(ops[0].index() != 2 || ops.len() == 1 || self.is_admin(author), "C5")?;
        let created = match ops.first() {
            Some(Op::Create { policy, .. }) => Some(policy),
            _ => None,
        };
        for op in ops {
            check(self.may(author, op, created), "C5")?;
        }
        self.people(author, ops)?;
        self.wraps(ops)?;
        for op in ops {
            self.evidence(op, head)?;
        }
        self.policy_suits(author, ops)?;
        check(head.0 >= self.head_size, "C12")?;
        let plan = Plan::new(self, *author, ops, head.0);
        check(is_within_limits(&plan, ops), "C13")?;
        Ok(plan)
    }

    /// C4.
    fn combination(&self, author: &Fpr, ops: &[Op]) -> Result<(), Fault> {
        let indices: Vec<u8> = ops.iter().map(Op::index).collect();
        let rest_is = |allowed: &[u8]| indices[1..].iter().all(|index| allowed.contains(index));
        let fits = match indices.first() {
            None => false,
            Some(0) => rest_is(&[4, 6]),
            Some(1) => rest_is(&[]),
            Some(2) => rest_is(&[3]),
            Some(_) => true,
        };
        let begins = indices.first() == Some(&0);
        let rises = ops.windows(2).all(|pair| match (&pair[0], &pair[1]) {
            (Op::Add { .. }, Op::Add { .. }) => true,
            (one, next) => {
                let subjects = (subject(one), subject(next));
                one.index() < next.index()
                    || one.index() == next.index()
                        && subjects.0.is_some()
                        && subjects.0 < subjects.1
            }
        });
        let claims = ops.iter().any(|op| matches!(op, Op::Update | Op::Rejoin { .. }));
        let must_claim =
            self.seat_of(author).is_some_and(|seat| matches!(seat.claim, Claim::Unclaimed { .. }));
        check(fits && begins == (self.epoch == 0) && rises && (claims || !must_claim), "C4")
    }

    /// C5.
    fn may(&self, author: &Fpr, op: &Op, created: Option<&Policy>) -> bool {
        if let Some(policy) = created {
            return may_create(author, op, &policy.access);
        }
        let is_direct = self.direct_peers().is_some();
        let (is_member, is_admin) = (self.seat_of(author).is_some(), self.is_admin(author));
        match op {
            Op::Create { .. } => false,
            Op::Join { entrant, .. } => !is_member && self.may_join(author, &entrant.name),
            Op::Rejoin { .. } | Op::Update => is_member,
            Op::Remove { who, reason } => {
                let evicts = *reason == Reason::Evicted;
                is_member && who != author && (!evicts || is_admin && !is_direct)
            }
            Op::Add { entrant, .. } => {
                let who = fpr(&entrant.key);
                let fits = self.direct_peers().is_none_or(|peers| peers.contains(&who));
                fits && self.may_invite(author, &who, &entrant.name)
            }
            Op::Admit { name, who } => !is_direct && self.may_invite(author, who, name),
            Op::Lift(_) => is_admin,
            Op::Rules(_) | Op::Role { .. } => is_admin && !is_direct,
        }
    }

    fn may_join(&self, who: &Fpr, name: &str) -> bool {
        let Some(policy) = &self.policy else { return false };
        let is_peer = self.direct_peers().is_some_and(|peers| peers.contains(who));
        let is_admitted = self.admitted.get(who).is_some_and(|(admitted, _)| admitted == name);
        !self.is_denied(who, name) && (!policy.rules.admitted_only || is_admitted || is_peer)
    }

    /// Whether a member may add or admit somebody: of the denied, an admin.
    fn may_invite(&self, author: &Fpr, who: &Fpr, name: &str) -> bool {
        let Some(policy) = &self.policy else { return false };
        let needs_admin = policy.rules.admins_invite || self.is_denied(who, name);
        self.seat_of(author).is_some() && (!needs_admin || self.is_admin(author))
    }

    /// C6.
    fn people(&self, author: &Fpr, ops: &[Op]) -> Result<(), Fault> {
        let mut names: BTreeSet<&str> = self.seats().map(|(_, s)| s.name.as_str()).collect();
        let mut denied: BTreeSet<Fpr> = self.denied.keys().copied().collect();
        let mut keys: BTreeSet<Fpr> = self.seats().map(|(_, seat)| seat.fpr).collect();
        for op in ops {
            let is_right = match op {
                Op::Create { entrant, .. } | Op::Join { entrant, revocation: None, .. } => {
                    entrant.fpr() == *author
                }
                Op::Join { entrant, .. } => {
                    names.remove(&entrant.name[..]) && entrant.fpr() == *author
                }
                Op::Remove { who, .. } => keys.contains(who) || self.admitted.contains_key(who),
                Op::Admit { who, name } => {
                    !keys.contains(who)
                        && !names.contains(&name[..])
                        && !self.admitted.contains_key(who)
                }
                Op::Lift(who) => denied.contains(who),
                Op::Role { who, admin } => {
                    self.seat_of(who).is_some_and(|seat| seat.admin != *admin)
                }
                Op::Add { .. } | Op::Rejoin { .. } | Op::Update | Op::Rules(_) => true,
            };
            check(is_right, "C6")?;
            if let Op::Add { entrant: Entrant { name, .. }, .. } | Op::Admit { name, .. } = op {
                denied.retain(|key| self.denied[key].as_deref() != Some(name));
                denied.retain(|key| Some(*key) != op.newcomer());
            }
            if let Some(entrant) = op.entrant() {
                let is_new = names.insert(&entrant.name) && keys.insert(entrant.fpr());
                check(is_new, "C6")?;
            }
        }
        let removed: BTreeSet<Fpr> =
            ops.iter().filter(|op| op.index() == 3).filter_map(subject).collect();
        let clash = ops.iter().any(|op| match op {
            Op::Add { entrant, .. } => removed.contains(&entrant.fpr()),
            Op::Admit { who, .. } | Op::Role { who, .. } => removed.contains(who),
            _ => false,
        });
        check(!clash, "C6")
    }

    /// C7.
    fn signature(&self, entry: &CommitEntry, commit: &Commit) -> Result<(), Fault> {
        let key = match commit.ops.first() {
            Some(Op::Create { entrant, .. } | Op::Join { entrant, .. }) => Some(entrant.key),
            _ => self.seat_of(&commit.author).map(|seat| seat.key),
        };
        let body = [&entry.commit[..], &entry.tag].concat();
        let is_right = key.is_some_and(|key| is_signed(&key, "commit", &body, &entry.signature));
        check(is_right, "C7")
    }

    /// C10.
    fn fresh(&self, commit: &Commit) -> Result<(), Fault> {
        let mut known: BTreeSet<PublicKey> = self.tree_keys().into_iter().collect();
        known.extend(self.external(self.epoch));
        let mut new: Vec<PublicKey> = commit.leaves.iter().map(|(_, key)| *key).collect();
        new.extend(commit.nodes.iter().map(|(_, key)| *key));
        new.extend([commit.external]);
        new.extend(commit.e);
        for op in &commit.ops {
            match op {
                Op::Join { ephemeral, .. } | Op::Rejoin { ephemeral, .. } => new.push(*ephemeral),
                Op::Add { prekey, .. } => new.push(prekey.view().unwrap().key),
                _ => {}
            }
        }
        check(new.into_iter().all(|key| known.insert(key)), "C10")
    }

    /// C15.
    fn wraps(&self, ops: &[Op]) -> Result<(), Fault> {
        let epochs: Vec<u64> = match ops.first() {
            Some(Op::Join { wrap, .. }) => vec![wrap.0],
            Some(Op::Rejoin { wraps, .. }) => wraps.iter().map(|wrap| wrap.0).collect(),
            _ => return Ok(()),
        };
        let falls = epochs.windows(2).all(|pair| pair[0] > pair[1]);
        let ends = epochs.first() == Some(&self.epoch) && epochs.last() >= Some(&1);
        check(falls && ends && epochs.len() <= MAX_WRAPS, "C15")
    }

    /// C16, C17, C18.
    fn evidence(&self, op: &Op, head: &(u64, [u8; 32])) -> Result<(), Fault> {
        match op {
            Op::Add { entrant, prekey } => {
                let is_its = prekey.view().is_some_and(|view| view.owner == entrant.fpr());
                let is_right = is_its
                    && prekey.write().len() <= MAX_PREKEY
                    && is_signed(&entrant.key, "prekey", &prekey.body, &prekey.signature);
                check(is_right, "C16")
            }
            Op::Remove { who, reason: Reason::Left(leave) } => {
                check(self.is_due(leave) == Some(*who), "C17")
            }
            Op::Remove { who, reason: Reason::Revoked(revocation) } => {
                check(revocation.proves(who, head), "C18")
            }
            Op::Join { entrant, revocation: Some(revocation), .. } => {
                let seat = self.seats().find(|(_, seat)| seat.name == entrant.name);
                check(seat.is_some_and(|(_, seat)| revocation.proves(&seat.fpr, head)), "C18")
            }
            _ => Ok(()),
        }
    }

    /// Whose leave request it is, if it is one that is due.
    pub(crate) fn is_due(&self, leave: &Leave) -> Option<Fpr> {
        let body = leave.view()?;
        let (since, key) = match (self.seat_of(&body.author), self.admitted.get(&body.author)) {
            (Some(seat), _) => (seat.seated, seat.key),
            (None, Some((_, since))) => (*since, body.key?),
            (None, None) => return None,
        };
        let carries = body.key.is_some() == self.seat_of(&body.author).is_none();
        let is_right = fpr(&key) == body.author && body.group == self.group && body.since == since;
        (carries && is_right && is_signed(&key, "leave", &leave.body, &leave.signature))
            .then_some(body.author)
    }

    /// C14.
    fn policy_suits(&self, author: &Fpr, ops: &[Op]) -> Result<(), Fault> {
        for op in ops {
            let (access, rules) = match op {
                Op::Create { nonce, policy, .. } => {
                    check(self.group == group_id(author, nonce, policy), "C14")?;
                    (&policy.access, policy.rules)
                }
                Op::Rules(rules) => (&self.policy.as_ref().unwrap().access, *rules),
                _ => continue,
            };
            check(suits(access, rules), "C14")?;
        }
        Ok(())
    }
}

pub(crate) fn group_id(author: &Fpr, nonce: &[u8; 32], policy: &Policy) -> [u8; 32] {
    hash("group", &[author, nonce, &policy.write()])
}

/// The commitment to a closed group's name.
pub(crate) fn closed_name(salt: &[u8; 32], name: &str) -> [u8; 32] {
    hash("closed name", &[salt, name.as_bytes()])
}

/// Whether a creator may do this.
fn may_create(author: &Fpr, op: &Op, access: &Access) -> bool {
    let Access::Direct(one, other) = access else { return true };
    let is_peer = |who: &Fpr| who == one || who == other;
    match op {
        Op::Add { entrant, .. } => is_peer(&entrant.fpr()),
        Op::Admit { .. } => false,
        _ => is_peer(author),
    }
}

fn suits(access: &Access, rules: Rules) -> bool {
    match access {
        Access::Open(_) => true,
        Access::Closed(_) => rules.admitted_only,
        Access::Direct(one, other) => one < other && rules.admitted_only && !rules.admins_invite,
    }
}

/// Whom an operation is about, where operations are ordered by that.
fn subject(op: &Op) -> Option<Fpr> {
    match op {
        Op::Remove { who, .. } | Op::Admit { who, .. } | Op::Lift(who) | Op::Role { who, .. } => {
            Some(*who)
        }
        _ => None,
    }
}

impl Op {
    /// Whose way in an add or an admit opens.
    fn newcomer(&self) -> Option<Fpr> {
        match self {
            Self::Add { entrant, .. } => Some(entrant.fpr()),
            Self::Admit { who, .. } => Some(*who),
            _ => None,
        }
    }

    pub(crate) fn entrant(&self) -> Option<&Entrant> {
        match self {
            Self::Create { entrant, .. }
            | Self::Join { entrant, .. }
            | Self::Add { entrant, .. } => Some(entrant),
            _ => None,
        }
    }
}

/// C13.
fn is_within_limits(plan: &Plan, ops: &[Op]) -> bool {
    let after = &plan.after;
    let people = [after.seats().count(), after.admitted.len(), after.denied.len()];
    let answers_for = after.leaves.iter().filter(|leaf| {
        let seat = leaf.seat().map(|seat| &seat.claim);
        let is_own = matches!(seat, Some(Claim::Unclaimed { adder, .. }) if *adder == plan.author);
        is_own && leaf.owner() == Some(plan.author)
    });
    let adds = ops.iter().any(|op| op.index() == 4);
    people.into_iter().all(|count| count <= MAX_PEOPLE)
        && (!adds || answers_for.count() <= MAX_UNCLAIMED)
}
