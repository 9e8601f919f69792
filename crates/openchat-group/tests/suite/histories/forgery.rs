//! Commits that everybody refuses: an honest one with one thing wrong, signed by its author again.

use openchat_crypto::IdentityKey;

use crate::kit::plain::wish::{Dice, Evidence, Subject};
use crate::kit::plain::{
    CommitEntry, Fpr, Leaf, Op, Reason, State,
    commit::{Access, Rules},
    make::signed,
    prim::ZEROS,
    tree_hash::tree_hash,
};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    Trailing,
    Group,
    Epoch,
    Interim,
    NoOperation,
    TwoUpdates,
    Order,
    NotSigned,
    MissingLeaf,
    ExtraLeaf,
    NeedlessE,
    MissingNode,
    ExtraNode,
    SameKey,
    OldKey,
    TreeHash,
    OldHead,
}

impl Forgery {
    pub(crate) const ALL: [Self; 17] = [
        Self::Trailing,
        Self::Group,
        Self::Epoch,
        Self::Interim,
        Self::NoOperation,
        Self::TwoUpdates,
        Self::Order,
        Self::NotSigned,
        Self::MissingLeaf,
        Self::ExtraLeaf,
        Self::NeedlessE,
        Self::MissingNode,
        Self::ExtraNode,
        Self::SameKey,
        Self::OldKey,
        Self::TreeHash,
        Self::OldHead,
    ];
}

/// The forged entry; None where the commit has nothing that could be wrong so.
pub(crate) fn forge(
    honest: &CommitEntry,
    forgery: Forgery,
    before: &State,
    key: &IdentityKey,
) -> Option<CommitEntry> {
    let mut commit = honest.view().unwrap();
    let other = *key.public();
    let mut rehashes = false;
    match forgery {
        Forgery::Trailing => {
            return Some(signed(key, [&honest.commit[..], &[0]].concat(), honest.tag));
        }
        Forgery::NotSigned => {
            let mut entry = honest.clone();
            entry.tag[0] ^= 1;
            return Some(entry);
        }
        Forgery::Group => commit.group[0] ^= 1,
        Forgery::Epoch => commit.epoch += 1,
        Forgery::Interim => commit.interim[31] ^= 1,
        Forgery::NoOperation => commit.ops.clear(),
        Forgery::TwoUpdates => {
            let update = commit.ops.iter().position(|op| *op == Op::Update)?;
            commit.ops.insert(update, Op::Update);
        }
        Forgery::Order => {
            (commit.ops.len() > 1).then_some(())?;
            let kinds = [commit.ops[0].index(), commit.ops.last()?.index()];
            (kinds != [4, 4]).then_some(())?;
            commit.ops.reverse();
        }
        Forgery::MissingLeaf => drop(commit.leaves.pop()?),
        Forgery::ExtraLeaf => commit.leaves.push((1 << before.height(), other)),
        Forgery::NeedlessE => commit.e = if commit.e.is_some() { None } else { Some(other) },
        Forgery::MissingNode => drop(commit.nodes.pop()?),
        Forgery::ExtraNode => commit.nodes.push(((before.height() + 2, 0), other)),
        Forgery::SameKey => {
            commit.external = commit.leaves.first()?.1;
            rehashes = true;
        }
        Forgery::OldKey => {
            commit.leaves.first_mut()?.1 = before.leaves.iter().find_map(Leaf::key)?;
            rehashes = true;
        }
        Forgery::TreeHash => commit.tree_hash[7] ^= 1,
        Forgery::OldHead => commit.head.0 = before.head_size.checked_sub(1)?,
    }
    if rehashes {
        let plan = before.outline(&commit.author, &commit.ops, &commit.head).unwrap();
        commit.tree_hash = tree_hash(&plan.with_keys(&commit));
    }
    Some(signed(key, commit.write(), honest.tag))
}

/// Operations that the author may not make, or not so; None where there are none at hand.
pub(crate) fn trespass(
    state: &State,
    author: &Fpr,
    people: &[Subject],
    evidence: &Evidence,
    dice: &mut Dice,
) -> Option<Vec<Op>> {
    let others: Vec<Fpr> =
        state.seats().map(|(_, seat)| seat.fpr).filter(|who| who != author).collect();
    let (other, subject) = (dice.pick(&others), dice.pick(people)?);
    let evict = |who| Op::Remove { who, reason: Reason::Evicted };
    let rules = state.policy.as_ref().unwrap().rules;
    let mut ops = match dice.below(12) {
        0 => vec![evict(other?)],
        1 => vec![Op::Rules(Rules { admins_invite: !rules.admins_invite, ..rules })],
        2 => vec![Op::Rules(Rules { admitted_only: false, ..rules })],
        3 => vec![Op::Role { who: other?, admin: !state.is_admin(&other?) }],
        4 => vec![Op::Role { who: other?, admin: state.is_admin(&other?) }],
        5 => vec![Op::Lift(other?)],
        6 => {
            let leaves: Vec<_> = evidence.leaves.values().cloned().collect();
            let leave = dice.pick(&leaves)?;
            vec![Op::Remove { who: other?, reason: Reason::Left(leave) }]
        }
        7 => {
            let (who, revocation) = evidence.revocations.iter().next()?;
            let mut revocation = revocation.clone();
            revocation.path.pop();
            let who = if state.seat_of(who).is_some() { *who } else { other? };
            vec![Op::Remove { who, reason: Reason::Revoked(revocation) }]
        }
        8 => {
            let mut prekey = subject.prekey;
            prekey.body[40] ^= 1;
            vec![Op::Add { entrant: subject.entrant, prekey }]
        }
        9 => vec![Op::Add { entrant: subject.entrant, prekey: subject.prekey }],
        10 => {
            let wraps = if state.epoch > 1 { vec![(1, ZEROS)] } else { Vec::new() };
            return Some(vec![Op::Rejoin { wraps, ephemeral: subject.entrant.key }]);
        }
        _ => vec![Op::Admit { name: subject.entrant.name, who: subject.fpr }],
    };
    let claims = !matches!(state.policy.as_ref()?.access, Access::Direct(..)) || dice.one_in(2);
    if claims {
        ops.push(Op::Update);
    }
    Some(crate::kit::plain::wish::in_order(ops))
}
