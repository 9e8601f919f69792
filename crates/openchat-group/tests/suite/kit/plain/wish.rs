//! What somebody may come to want of a group.

use std::collections::BTreeMap;

use super::{
    Fpr, Op, Reason, Revocation, State,
    commit::{Access, Entrant, Leave, Rules, SignedPrekey},
};

/// Numbers that decide, from one seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let index = self.below(all.len());
        all.get(index).cloned()
    }
}

/// Somebody about whom one may want something.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) entrant: Entrant,
    pub(crate) fpr: Fpr,
    pub(crate) prekey: SignedPrekey,
}

/// What lies ready for whoever removes somebody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) leaves: BTreeMap<Fpr, Leave>,
    pub(crate) revocations: BTreeMap<Fpr, Revocation>,
}

/// The operations of a commit that a member comes to want. It may have the right to all of them,
/// or not.
pub(crate) fn wish(
    state: &State,
    author: &Fpr,
    people: &[Subject],
    evidence: &Evidence,
    dice: &mut Dice,
) -> Vec<Op> {
    let is_wild = dice.one_in(12);
    let admin = state.is_admin(author) || is_wild;
    let direct = state.direct_peers().is_some() && !is_wild;
    let mut ops = Vec::new();
    let mut touched: Vec<Fpr> = vec![*author];
    if dice.one_in(3) {
        let removable = |subject: &&Subject| {
            let known =
                state.seat_of(&subject.fpr).is_some() || state.admitted.contains_key(&subject.fpr);
            known && subject.fpr != *author || is_wild
        };
        let mut whom: Vec<Subject> = people.iter().filter(removable).cloned().collect();
        for _ in 0..=dice.below(2) {
            let Some(subject) = dice.pick(&whom) else { break };
            whom.retain(|other| other.fpr != subject.fpr);
            let due = evidence.leaves.get(&subject.fpr).filter(|it| state.is_due(it).is_some());
            let reason = match (evidence.revocations.get(&subject.fpr), due) {
                (Some(revocation), _) => Reason::Revoked(revocation.clone()),
                (None, Some(leave)) => Reason::Left(leave.clone()),
                (None, None) if admin && !direct => Reason::Evicted,
                (None, None) => continue,
            };
            touched.push(subject.fpr);
            ops.push(Op::Remove { who: subject.fpr, reason });
        }
    }
    let outside = |subject: &Subject| {
        let open = direct.then(|| state.direct_peers().unwrap().contains(&subject.fpr));
        let name = &subject.entrant.name;
        state.seats().all(|(_, seat)| seat.fpr != subject.fpr && seat.name != *name)
            && open.unwrap_or(true)
            && !evidence.revocations.contains_key(&subject.fpr)
            && (admin || !state.is_denied(&subject.fpr, name))
    };
    let invites = !state.policy.as_ref().unwrap().rules.admins_invite || admin;
    if invites && dice.one_in(2) {
        for _ in 0..=dice.below(3) {
            let free = |it: &&Subject| outside(it) && !touched.contains(&it.fpr);
            let free: Vec<Subject> = people.iter().filter(free).cloned().collect();
            let Some(subject) = dice.pick(&free) else { break };
            touched.push(subject.fpr);
            touched.extend(namesakes(people, &subject));
            ops.push(Op::Add { entrant: subject.entrant, prekey: subject.prekey });
        }
    }
    if dice.one_in(3) {
        ops.push(Op::Update);
    }
    if invites && !direct && dice.one_in(3) {
        let free = |it: &&Subject| {
            outside(it) && !touched.contains(&it.fpr) && !state.admitted.contains_key(&it.fpr)
        };
        let free: Vec<Subject> = people.iter().filter(free).cloned().collect();
        if let Some(subject) = dice.pick(&free) {
            touched.push(subject.fpr);
            ops.push(Op::Admit { name: subject.entrant.name, who: subject.fpr });
        }
    }
    if admin && !direct {
        govern(state, &touched, dice, &mut ops);
    }
    let claims = state.seat_of(author).is_some_and(is_unclaimed);
    if ops.is_empty() || claims {
        ops.retain(|op| *op != Op::Update);
        ops.push(Op::Update);
    }
    in_order(ops)
}

fn is_unclaimed(seat: &super::Seat) -> bool {
    matches!(seat.claim, super::Claim::Unclaimed { .. })
}

fn namesakes(people: &[Subject], of: &Subject) -> Vec<Fpr> {
    let same = |it: &&Subject| it.entrant.name == of.entrant.name;
    people.iter().filter(same).map(|it| it.fpr).collect()
}

/// What only admins do.
fn govern(state: &State, touched: &[Fpr], dice: &mut Dice, ops: &mut Vec<Op>) {
    if dice.one_in(8) {
        let is_open = matches!(state.policy.as_ref().unwrap().access, Access::Open(_));
        let admitted_only = !is_open || dice.one_in(2);
        ops.push(Op::Rules(Rules { admitted_only, admins_invite: dice.one_in(3) }));
    }
    let denied: Vec<Fpr> = state.denied.keys().copied().collect();
    if dice.one_in(3)
        && let Some(who) = dice.pick(&denied)
    {
        ops.push(Op::Lift(who));
    }
    if dice.one_in(4) {
        let seats: Vec<(Fpr, bool)> = state
            .seats()
            .map(|(_, seat)| (seat.fpr, seat.admin))
            .filter(|(who, _)| !touched[1..].contains(who))
            .collect();
        if let Some((who, admin)) = dice.pick(&seats) {
            ops.push(Op::Role { who, admin: !admin });
        }
    }
}

/// By index, then as each kind wants it.
pub(crate) fn in_order(mut ops: Vec<Op>) -> Vec<Op> {
    let subject = |op: &Op| match op {
        Op::Remove { who, .. } | Op::Admit { who, .. } | Op::Lift(who) | Op::Role { who, .. } => {
            *who
        }
        _ => [0; 32],
    };
    ops.sort_by_key(|op| (op.index(), subject(op)));
    ops
}
