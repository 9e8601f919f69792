//! §4.3: which leaves a commit re-keys, and what becomes of the tree.

use std::collections::BTreeSet;

use super::{
    commit::{Commit, Node, Op, Reason, SignedPrekey},
    prim::{Fpr, fpr},
    state::{Claim, Leaf, Seat, State},
};

/// A commit without its keys.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The group behind it; the keys of changed leaves and agreements are missing.
    pub(crate) after: State,
    pub(crate) author: Fpr,
    /// The author's slot.
    pub(crate) slot: u32,
    /// Changed leaves.
    pub(crate) leaves: Vec<u32>,
    /// Changed agreements, by level, then index.
    pub(crate) nodes: Vec<Node>,
    pub(crate) removed: Vec<Seat>,
}

/// What a changed leaf is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Vacant,
    Member { who: Fpr, prekey: SignedPrekey },
}

impl Plan {
    pub(crate) fn new(before: &State, author: Fpr, ops: &[Op], head_size: u64) -> Self {
        let removed = removed(before, ops);
        let mut rekeyed = rekeyed(before, author, ops, &removed);
        let mut after = before.clone();
        after.epoch += 1;
        after.head_size = head_size;
        remove(&mut after, ops);
        rekeyed.extend(seat_all(&mut after, author, ops));
        rekeyed.retain(|slot| *after.leaf(*slot) != Leaf::Empty);
        rekey(&mut after, author, &rekeyed);
        let slot = after.slot_of(&author).unwrap();
        let mut emptied = BTreeSet::new();
        if rekeyed.contains(&slot) {
            claim(before, &mut after, author);
            emptied = prune(&mut after, slot);
        }
        let leaves: Vec<u32> = rekeyed.difference(&emptied).copied().collect();
        let changed: BTreeSet<u32> = rekeyed.union(&emptied).copied().collect();
        let nodes = agreements(&after, &changed);
        let kept = after.clone();
        after.nodes.retain(|node, _| {
            kept.is_agreement(*node) && node.0 <= kept.height() && !nodes.contains(node)
        });
        settle(&mut after, ops);
        if ops.iter().any(|op| matches!(op, Op::Rejoin { .. })) {
            let epoch = after.epoch;
            after.seat_mut(&author).unwrap().since = epoch;
        }
        if !removed.is_empty() {
            after.last_removal = after.epoch;
        }
        Self { after, author, slot, leaves, nodes, removed }
    }

    pub(crate) fn whose(&self, slot: u32) -> Whose {
        match self.after.leaf(slot).seat() {
            _ if slot == self.slot => Whose::Own,
            Some(Seat { fpr, claim: Claim::Unclaimed { prekey, .. }, .. }) => {
                Whose::Member { who: *fpr, prekey: prekey.clone() }
            }
            Some(seat) => panic!("the leaf of {}, who claimed it, is re-keyed", seat.name),
            None => Whose::Vacant,
        }
    }

    /// Whether the commit has an ephemeral key E.
    pub(crate) fn needs_e(&self) -> bool {
        let whose = self.leaves.iter().map(|slot| self.whose(*slot));
        whose.into_iter().any(|whose| matches!(whose, Whose::Member { .. }))
    }

    /// The group behind the commit, its keys put in.
    pub(crate) fn with_keys(&self, commit: &Commit) -> State {
        let mut after = self.after.clone();
        for (slot, new) in &commit.leaves {
            if let Leaf::Held { key, .. } = after.leaf_mut(*slot) {
                *key = Some(*new);
            }
        }
        after.nodes.extend(commit.nodes.iter().copied());
        after
    }
}

/// The seats that a commit removes.
fn removed(before: &State, ops: &[Op]) -> Vec<Seat> {
    let seats = ops.iter().filter_map(|op| match op {
        Op::Remove { who, .. } => before.seat_of(who),
        Op::Join { entrant, revocation: Some(_), .. } => {
            before.seats().map(|(_, seat)| seat).find(|seat| seat.name == entrant.name)
        }
        _ => None,
    });
    seats.cloned().collect()
}

/// The set of re-keyed leaves, of those that are there before the commit.
fn rekeyed(before: &State, author: Fpr, ops: &[Op], removed: &[Seat]) -> BTreeSet<u32> {
    let rekeys_own = |op: &Op| matches!(op, Op::Update | Op::Rejoin { .. } | Op::Remove { .. });
    let does = ops.iter().any(rekeys_own);
    let gone: Vec<Fpr> = removed.iter().map(|seat| seat.fpr).collect();
    let is_rekeyed = |leaf: &Leaf| {
        let occupant = leaf.seat().map(|seat| seat.fpr);
        let (own, owned) = (occupant == Some(author), leaf.owner() == Some(author));
        let touches = |who: Option<Fpr>| who.is_some_and(|who| gone.contains(&who));
        does && (own || owned) || touches(occupant) || touches(leaf.owner())
    };
    before.slots().filter(|(_, leaf)| is_rekeyed(leaf)).map(|(slot, _)| slot).collect()
}

/// Step 1.
fn remove(after: &mut State, ops: &[Op]) {
    for op in ops {
        let (who, reason) = match op {
            Op::Remove { who, reason } => (*who, reason.clone()),
            Op::Join { revocation: Some(revocation), .. } => {
                let (_, who) = revocation.revoked().unwrap();
                (who, Reason::Revoked(revocation.clone()))
            }
            _ => continue,
        };
        let admission = after.admitted.remove(&who).map(|(name, _)| name);
        let slot = after.slot_of(&who);
        let seated = slot.and_then(|slot| match after.leaf_mut(slot) {
            Leaf::Held { seat, .. } => seat.take().map(|seat| seat.name),
            Leaf::Empty => None,
        });
        match reason {
            Reason::Evicted => drop(after.denied.insert(who, seated.or(admission))),
            Reason::Revoked(_) => drop(after.denied.insert(who, None)),
            Reason::Left(_) => {}
        }
    }
}

/// Step 2: the creator or joiner, and who is added; the slots that they take.
fn seat_all(after: &mut State, author: Fpr, ops: &[Op]) -> Vec<u32> {
    let mut slots = Vec::new();
    for op in ops {
        let (entrant, admin, claim) = match op {
            Op::Create { entrant, policy, .. } => {
                after.policy = Some(policy.clone());
                (entrant, true, Claim::Claimed)
            }
            Op::Join { entrant, .. } => (entrant, false, Claim::Claimed),
            Op::Add { entrant, prekey } => {
                (entrant, false, Claim::Unclaimed { prekey: prekey.clone(), adder: author })
            }
            _ => continue,
        };
        let who = fpr(&entrant.key);
        let (seated, since) = (after.epoch, after.epoch);
        let seat = Seat {
            name: entrant.name.clone(),
            key: entrant.key,
            fpr: who,
            admin,
            seated,
            since,
            claim,
        };
        after.admitted.remove(&who);
        after.lift(&who, &entrant.name);
        let free = after.leaves.iter().position(|leaf| leaf.seat().is_none());
        let slot = free.unwrap_or(after.leaves.len());
        if slot == after.leaves.len() {
            after.leaves.resize(slot * 2, Leaf::Empty);
        }
        after.leaves[slot] = Leaf::Held { owner: author, key: None, seat: Some(seat) };
        slots.push(u32::try_from(slot).unwrap());
    }
    slots
}

/// Step 3.
fn rekey(after: &mut State, author: Fpr, slots: &BTreeSet<u32>) {
    for slot in slots {
        if let Leaf::Held { owner, key, .. } = after.leaf_mut(*slot) {
            (*owner, *key) = (author, None);
        }
    }
}

/// The author has set its own leaf, and not for the first time.
fn claim(before: &State, after: &mut State, author: Fpr) {
    let seat = after.seat_mut(&author).unwrap();
    if before.slot_of(&author).is_some() {
        let is_last_resort = match &seat.claim {
            Claim::Unclaimed { prekey, .. } => prekey.view().unwrap().last_resort,
            _ => false,
        };
        seat.claim = if is_last_resort { Claim::Half } else { Claim::Claimed };
    }
}

/// Step 4; the slots that were emptied.
fn prune(after: &mut State, own: u32) -> BTreeSet<u32> {
    let mut emptied = BTreeSet::new();
    for level in 0..after.height() {
        let beside = (level, (own >> level) ^ 1);
        if !after.has_member(beside) {
            let held = State::below(beside).filter(|slot| *after.leaf(*slot) != Leaf::Empty);
            emptied.extend(held.collect::<Vec<_>>());
        }
    }
    for slot in &emptied {
        *after.leaf_mut(*slot) = Leaf::Empty;
    }
    while after.height() > 0 && !after.has_member((after.height() - 1, 1)) {
        after.leaves.truncate(after.leaves.len() / 2);
    }
    emptied
}

/// Step 5: the agreements above changed or emptied leaves.
fn agreements(after: &State, changed: &BTreeSet<u32>) -> Vec<Node> {
    let nodes = (1..=after.height()).flat_map(|level| {
        let above: BTreeSet<u32> = changed.iter().map(|slot| slot >> level).collect();
        above.into_iter().map(move |index| (level, index))
    });
    let inside = |node: &Node| u64::from(node.1) << node.0 < after.leaves.len() as u64;
    nodes.filter(|node| inside(node) && after.is_agreement(*node)).collect()
}

/// What takes effect last: admits, rules, lifts, roles, and the succession of admins.
fn settle(after: &mut State, ops: &[Op]) {
    let epoch = after.epoch;
    for op in ops {
        match op {
            Op::Admit { name, who } => {
                after.lift(who, name);
                after.admitted.insert(*who, (name.clone(), epoch));
            }
            Op::Rules(rules) => after.policy.as_mut().unwrap().rules = *rules,
            Op::Lift(who) => drop(after.denied.remove(who)),
            Op::Role { who, admin } => after.seat_mut(who).unwrap().admin = *admin,
            _ => {}
        }
    }
    if after.seats().all(|(_, seat)| !seat.admin) {
        let rank = |(slot, seat): &(u32, &Seat)| (seat.claim != Claim::Claimed, seat.seated, *slot);
        let heir = after.seats().min_by_key(rank).map(|(_, seat)| seat.fpr).unwrap();
        after.seat_mut(&heir).unwrap().admin = true;
    }
}
