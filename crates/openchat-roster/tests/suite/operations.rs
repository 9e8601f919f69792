//! C4 to C6, C8, C13, C14, C16 to C18: what each operation does, who may, and what must not be. A
//! commit that is refused leaves the group as it was, and an honest one is taken after it.

use openchat_pki::{Entry, MerkleLog};
use openchat_roster::{
    Claim, CommitFault, HeadRef, Inviting, Joining, Leave, LeaveEntry, Naming, Operation, Policy,
    PrekeyFault, PrekeyKind, Reason, Revocation, Role, Rules, SignedPrekey,
};
use openchat_wire::{Blob, Digest, Epoch, Slot};

use crate::scribe::{Act, Scribe};

pub(crate) fn closed() -> Policy {
    Policy::closed(&Naming { name: "ops".parse().unwrap(), salt: Digest([1; 32]) })
}

/// A closed group: person 0 is its admin, 1 and 2 were admitted and joined, 3 to 5 are outside.
pub(crate) fn stage() -> Scribe {
    let mut scribe = Scribe::new(1, 5);
    let admits = sorted(vec![scribe.admit(1), scribe.admit(2)]);
    scribe.create(closed(), admits);
    scribe.act(1, Act::Join);
    scribe.act(2, Act::Join);
    scribe
}

pub(crate) fn sorted(mut operations: Vec<Operation>) -> Vec<Operation> {
    operations.sort_by_key(|operation| (operation.index(), operation.about().copied()));
    operations
}

pub(crate) fn leave(scribe: &Scribe, who: usize, since: u64) -> LeaveEntry {
    let seat = scribe.roster.seat(&scribe.fingerprint(who));
    let leave = Leave {
        author: scribe.fingerprint(who),
        group: *scribe.roster.group(),
        since: Epoch(since),
        key: seat.is_none().then(|| *scribe.people[who].key.public()),
    };
    LeaveEntry::sign(&leave, &scribe.people[who].key)
}

pub(crate) fn left(scribe: &Scribe, who: usize, entry: LeaveEntry) -> Operation {
    Operation::Remove { member: scribe.fingerprint(who), reason: Reason::Left(entry) }
}

pub(crate) fn claim(scribe: &Scribe, who: usize) -> Claim {
    scribe.roster.seat(&scribe.fingerprint(who)).unwrap().claim
}

pub(crate) fn role(scribe: &Scribe, who: usize) -> Role {
    scribe.roster.seat(&scribe.fingerprint(who)).unwrap().role
}

pub(crate) fn is_seated(scribe: &Scribe, who: usize) -> bool {
    scribe.roster.seat(&scribe.fingerprint(who)).is_some()
}

#[test]
fn an_added_member_is_its_adders_until_it_claims() {
    let mut scribe = stage();
    let add = scribe.add(3);
    assert_eq!(scribe.changed(1, vec![add]), [3], "an add changes its slot and no other leaf");
    let Claim::Unclaimed(unclaimed) = claim(&scribe, 3) else { panic!("claimed") };
    assert_eq!(unclaimed.adder, scribe.fingerprint(1));
    assert_eq!(scribe.roster.unclaimed(), 1);
    let owned: Vec<Slot> = scribe.roster.owned(&scribe.fingerprint(1)).collect();
    assert_eq!(owned, [Slot(1), Slot(3)]);
    // The adder renews what it knows, the new member's leaf too; others don't.
    assert_eq!(scribe.changed(1, vec![Operation::Update]), [1, 3]);
    assert_eq!(scribe.changed(0, vec![Operation::Update]), [0]);
    assert_eq!(scribe.changed(3, vec![Operation::Update]), [3]);
    assert_eq!(claim(&scribe, 3), Claim::Claimed);
    assert_eq!(scribe.roster.unclaimed(), 0);
    assert_eq!(scribe.changed(1, vec![Operation::Update]), [1]);
}

#[test]
fn a_prekey_of_last_resort_is_claimed_twice() {
    let mut scribe = stage();
    let prekey = scribe.prekey(3, PrekeyKind::LastResort);
    scribe.does(0, vec![Operation::Add { entrant: scribe.entrant(3), prekey }]);
    scribe.act(3, Act::Rejoin);
    assert_eq!(claim(&scribe, 3), Claim::Half);
    assert_eq!(scribe.roster.unclaimed(), 0);
    assert_eq!(scribe.changed(0, vec![Operation::Update]), [0], "the leaf is its own already");
    scribe.act(3, Act::Update);
    assert_eq!(claim(&scribe, 3), Claim::Claimed);
}

#[test]
fn c4_an_unclaimed_author_renews_its_leaf() {
    let mut scribe = stage();
    let add = scribe.add(3);
    scribe.does(0, vec![add]);
    let admit = scribe.admit(4);
    assert_eq!(scribe.fault(3, vec![admit.clone()]), CommitFault::Operations);
    assert_eq!(scribe.changed(3, vec![Operation::Update, admit]), [3]);
}

#[test]
fn c4_combinations_and_order() {
    let mut scribe = stage();
    let (rules, lift) = (Operation::Rules(Rules::INVITED), Operation::Lift(scribe.fingerprint(3)));
    let rejoin = |scribe: &mut Scribe| Operation::Rejoin {
        wraps: vec![scribe.wrap()],
        ephemeral: scribe.fresh(),
    };
    let (admit, other) = (scribe.admit(3), scribe.admit(4));
    let pair = sorted(vec![admit.clone(), other]);
    let backwards: Vec<_> = pair.iter().rev().cloned().collect();
    let create =
        Operation::Create { nonce: Digest([1; 32]), policy: closed(), entrant: scribe.entrant(0) };
    let (one, two, evict) = (rejoin(&mut scribe), rejoin(&mut scribe), scribe.evict(1));
    for operations in [
        vec![],
        vec![Operation::Update, Operation::Update],
        vec![rules.clone(), rules.clone()],
        vec![admit.clone(), Operation::Update],
        vec![Operation::Update, evict.clone()],
        vec![evict.clone(), evict.clone()],
        vec![admit.clone(), admit.clone()],
        vec![lift.clone(), rules],
        backwards,
        vec![one.clone(), two],
        vec![one.clone(), Operation::Update],
        vec![one.clone(), admit],
        vec![create.clone()],
        vec![create, Operation::Update],
    ] {
        assert_eq!(scribe.fault(0, operations.clone()), CommitFault::Operations, "{operations:?}");
    }
    let join = scribe.join(3);
    assert_eq!(scribe.fault(3, vec![join, Operation::Update]), CommitFault::Operations);
    scribe.does(0, vec![one, evict]);
    scribe.does(0, pair);
}

#[test]
fn who_was_evicted_is_denied_by_name_and_key() {
    let mut scribe = stage();
    scribe.does(0, vec![scribe.evict(1)]);
    assert!(!is_seated(&scribe, 1));
    assert_eq!(scribe.roster.all_denied().count(), 1);
    let join = scribe.join(1);
    assert_eq!(scribe.fault(1, vec![join]), CommitFault::Authority);
    // Another key under the same name is denied too; a member can't let either in, an admin can.
    let name = scribe.people[1].name.clone();
    scribe.people[3].name = name;
    for who in [1, 3] {
        let (add, admit) = (scribe.add(who), scribe.admit(who));
        assert_eq!(scribe.fault(2, vec![add]), CommitFault::Authority);
        assert_eq!(scribe.fault(2, vec![admit]), CommitFault::Authority);
    }
    scribe.does(0, vec![scribe.admit(3)]);
    assert_eq!(scribe.roster.all_denied().count(), 0);
    scribe.act(3, Act::Join);
}

#[test]
fn an_open_group_takes_anyone_but_the_denied() {
    let mut scribe = Scribe::new(2, 2);
    scribe.does(0, vec![scribe.evict(1)]);
    let join = scribe.join(1);
    assert_eq!(scribe.fault(1, vec![join]), CommitFault::Authority);
    scribe.does(0, vec![Operation::Lift(scribe.fingerprint(1))]);
    scribe.act(1, Act::Join);
    let rules = Rules { join: Joining::Admitted, invite: Inviting::Members };
    scribe.does(0, vec![Operation::Rules(rules)]);
    let join = scribe.join(2);
    assert_eq!(scribe.fault(2, vec![join]), CommitFault::Authority);
    scribe.does(1, vec![scribe.admit(2)]);
    scribe.act(2, Act::Join);
    assert_eq!(scribe.roster.all_admitted().count(), 0, "an admission is good for one seat");
}

#[test]
fn c5_what_takes_an_admin() {
    let mut scribe = stage();
    let admins = Rules { join: Joining::Admitted, invite: Inviting::Admins };
    let promote = |scribe: &Scribe, who| Operation::Role {
        member: scribe.fingerprint(who),
        role: Role::Admin,
    };
    for operation in [
        scribe.evict(2),
        Operation::Rules(admins),
        Operation::Lift(scribe.fingerprint(4)),
        promote(&scribe, 1),
    ] {
        let fault = scribe.fault(1, vec![operation.clone()]);
        assert_eq!(fault, CommitFault::Authority, "{operation:?}");
    }
    let rejoin = Operation::Rejoin { wraps: vec![scribe.wrap()], ephemeral: scribe.fresh() };
    let request = leave(&scribe, 2, 3);
    let removal = left(&scribe, 2, request);
    let fault = scribe.fault(1, vec![rejoin, removal]);
    assert_eq!(fault, CommitFault::Authority, "with a rejoin, any removal is an admin's");
    scribe.does(0, vec![Operation::Rules(admins)]);
    let (admit, add) = (scribe.admit(3), scribe.add(3));
    assert_eq!(scribe.fault(1, vec![admit.clone()]), CommitFault::Authority);
    assert_eq!(scribe.fault(1, vec![add]), CommitFault::Authority);
    scribe.does(0, vec![promote(&scribe, 1)]);
    scribe.does(
        1,
        vec![admit, Operation::Role { member: scribe.fingerprint(0), role: Role::Member }],
    );
    assert_eq!((role(&scribe, 0), role(&scribe, 1)), (Role::Member, Role::Admin));
}

#[test]
fn c5_strangers_and_ones_own_seat() {
    let mut scribe = stage();
    assert_eq!(scribe.fault(3, vec![Operation::Update]), CommitFault::Authority);
    let join = scribe.join(3);
    assert_eq!(scribe.fault(3, vec![join]), CommitFault::Authority, "not admitted");
    assert_eq!(scribe.fault(0, vec![scribe.evict(0)]), CommitFault::Authority);
    let join = scribe.join(1);
    assert_eq!(scribe.fault(1, vec![join]), CommitFault::Authority, "seated already");
}

#[test]
fn c6_people_are_where_they_should_be() {
    let mut scribe = stage();
    let (add1, admit1, admit3, add3, again3) =
        (scribe.add(1), scribe.admit(1), scribe.admit(3), scribe.add(3), scribe.add(3));
    let evict = |who| scribe.evict(who);
    let same_role = Operation::Role { member: scribe.fingerprint(1), role: Role::Member };
    let gone_role = Operation::Role { member: scribe.fingerprint(1), role: Role::Admin };
    for operations in [
        vec![add1.clone()],
        vec![admit1.clone()],
        vec![evict(3)],
        vec![Operation::Lift(scribe.fingerprint(3))],
        vec![same_role],
        vec![Operation::Role { member: scribe.fingerprint(3), role: Role::Admin }],
        vec![evict(1), gone_role],
        vec![evict(1), add1],
        vec![evict(1), admit1],
        vec![evict(1), Operation::Lift(scribe.fingerprint(1))],
        vec![add3.clone(), again3],
        vec![add3.clone(), admit3.clone()],
    ] {
        assert_eq!(scribe.fault(0, operations.clone()), CommitFault::Identity, "{operations:?}");
    }
    scribe.does(0, vec![admit3.clone()]);
    assert_eq!(scribe.fault(0, vec![admit3]), CommitFault::Identity, "admitted already");
    let evict = scribe.evict(3);
    assert_eq!(scribe.fault(0, vec![evict, add3.clone()]), CommitFault::Identity);
    // Two people of one name, in one commit and one after the other.
    scribe.people[4].name = scribe.people[3].name.clone();
    let add4 = scribe.add(4);
    assert_eq!(scribe.fault(0, vec![add3.clone(), add4.clone()]), CommitFault::Identity);
    scribe.does(0, vec![add3]);
    assert_eq!(scribe.fault(0, vec![add4]), CommitFault::Identity);
    assert_eq!(scribe.roster.all_admitted().count(), 0, "the add has struck the admission");
}

#[test]
fn the_longest_seated_claimed_member_becomes_admin() {
    let mut scribe = Scribe::new(1, 3);
    let add = scribe.add(1);
    scribe.create(closed(), vec![add, scribe.admit(2)]);
    scribe.act(2, Act::Join);
    let removal = left(&scribe, 0, leave(&scribe, 0, 1));
    scribe.does(2, vec![removal]);
    assert_eq!((role(&scribe, 1), role(&scribe, 2)), (Role::Member, Role::Admin));
    let removal = left(&scribe, 2, leave(&scribe, 2, 2));
    scribe.does(1, vec![removal, Operation::Update]);
    assert_eq!(role(&scribe, 1), Role::Admin);
    let demotion = Operation::Role { member: scribe.fingerprint(1), role: Role::Member };
    scribe.does(1, vec![demotion]);
    assert_eq!(role(&scribe, 1), Role::Admin, "there is always one");
}

#[test]
fn c16_a_prekey_is_its_owners() {
    let mut scribe = stage();
    let honest = scribe.prekey(3, PrekeyKind::OneTime);
    let anothers = scribe.prekey(4, PrekeyKind::OneTime);
    let forged = SignedPrekey { signature: anothers.signature, ..honest.clone() };
    let padded =
        SignedPrekey { prekey: Blob([&honest.prekey.0[..], &[0]].concat()), ..honest.clone() };
    for (prekey, fault) in [
        (anothers, PrekeyFault::Owner),
        (forged, PrekeyFault::Signature),
        (padded, PrekeyFault::Encoding),
    ] {
        let add = Operation::Add { entrant: scribe.entrant(3), prekey };
        assert_eq!(scribe.fault(0, vec![add]), CommitFault::Prekey(fault));
    }
    scribe.does(0, vec![Operation::Add { entrant: scribe.entrant(3), prekey: honest }]);
}

/// A log that revokes somebody's key first of all, under the head that all commits name from here.
pub(crate) fn revocation(scribe: &mut Scribe, who: usize) -> Revocation {
    let fingerprint = scribe.fingerprint(who);
    let entry = Entry::Revoke { name: scribe.people[who].name.clone(), fingerprint }.encode();
    let mut all = vec![entry.clone()];
    all.extend((1..8).map(|number| vec![number; 3]));
    let log = MerkleLog::from_iter(&all);
    scribe.head = HeadRef { size: log.size(), root: log.root() };
    Revocation { entry: Blob(entry), inclusion: log.prove(0).unwrap() }
}

pub(crate) fn revoked(scribe: &Scribe, who: usize, proof: Revocation) -> Operation {
    Operation::Remove { member: scribe.fingerprint(who), reason: Reason::Revoked(proof) }
}

#[test]
fn a_direct_group_is_of_two() {
    let mut scribe = Scribe::new(1, 3);
    let direct = Policy::direct(scribe.fingerprint(0), scribe.fingerprint(1));
    let add = scribe.add(1);
    scribe.create(direct, vec![add]);
    let (add2, admit2, evict1) = (scribe.add(2), scribe.admit(2), scribe.evict(1));
    for operation in [
        add2,
        admit2,
        evict1,
        Operation::Rules(Rules::INVITED),
        Operation::Role { member: scribe.fingerprint(1), role: Role::Admin },
    ] {
        assert_eq!(scribe.fault(0, vec![operation]), CommitFault::Authority);
    }
    let join = scribe.join(2);
    assert_eq!(scribe.fault(2, vec![join]), CommitFault::Authority);
    scribe.act(1, Act::Update);
    let seated = scribe.roster.seat(&scribe.fingerprint(1)).unwrap().seated.0;
    scribe.does(0, vec![left(&scribe, 1, leave(&scribe, 1, seated))]);
    scribe.act(1, Act::Join);
    let strangers = [2, 3].map(|who| scribe.roster.may_read(&scribe.fingerprint(who)));
    assert_eq!(strangers, [false, false]);
    // Nobody creates a group of two others.
    let direct = Policy::direct(scribe.fingerprint(2), scribe.fingerprint(1));
    let nonce = Digest([1; 32]);
    let group = openchat_roster::group_id(&scribe.fingerprint(0), &nonce, &direct);
    scribe.roster = openchat_roster::Roster::new(group);
    let create = Operation::Create { nonce, policy: direct, entrant: scribe.entrant(0) };
    assert_eq!(scribe.fault(0, vec![create]), CommitFault::Authority);
}

/// Whoever is denied comes in by no rule, and by itself lifts nothing.
#[test]
fn c5_the_deny_list_holds_in_every_kind_of_group() {
    let mut scribe = Scribe::new(1, 2);
    let direct = Policy::direct(scribe.fingerprint(0), scribe.fingerprint(1));
    let add = scribe.add(1);
    scribe.create(direct, vec![add]);
    let proof = revocation(&mut scribe, 1);
    scribe.does(0, vec![revoked(&scribe, 1, proof)]);
    let join = scribe.join(1);
    assert_eq!(scribe.fault(1, vec![join]), CommitFault::Authority, "revoked, in a direct group");
    assert_eq!(scribe.roster.all_denied().count(), 1);
    // Two keys of one name: one admitted, the other evicted with its name.
    let mut scribe = stage();
    scribe.people[3].name = scribe.people[4].name.clone();
    scribe.does(0, sorted(vec![scribe.admit(3), scribe.admit(4)]));
    scribe.act(3, Act::Join);
    scribe.does(0, vec![scribe.evict(3)]);
    let join = scribe.join(4);
    assert_eq!(scribe.fault(4, vec![join]), CommitFault::Authority, "the name is denied");
    scribe.does(0, vec![Operation::Lift(scribe.fingerprint(3))]);
    scribe.act(4, Act::Join);
}

#[test]
fn c14_rules_suit_the_group() {
    let mut scribe = stage();
    let anyone = Rules { join: Joining::Anyone, invite: Inviting::Members };
    assert_eq!(scribe.fault(0, vec![Operation::Rules(anyone)]), CommitFault::Rules);
    let mut open = Scribe::new(1, 0);
    open.does(0, vec![Operation::Rules(anyone)]);
    let policy = Policy { rules: anyone, ..closed() };
    let nonce = Digest([1; 32]);
    let group = openchat_roster::group_id(&scribe.fingerprint(0), &nonce, &policy);
    scribe.roster = openchat_roster::Roster::new(group);
    let create = Operation::Create { nonce, policy, entrant: scribe.entrant(0) };
    assert_eq!(scribe.fault(0, vec![create]), CommitFault::Rules);
}

#[test]
fn c8_leaves_and_the_ephemeral_key() {
    let mut scribe = stage();
    let add = scribe.add(3);
    let honest = scribe.commit(1, vec![add, Operation::Update]).unwrap();
    let mut fewer = honest.clone();
    fewer.leaves.pop();
    let mut more = honest.clone();
    more.leaves.push((Slot(4), scribe.fresh()));
    let mut swapped = honest.clone();
    swapped.leaves.swap(0, 1);
    let mut without = honest.clone();
    without.ephemeral = None;
    for commit in [fewer, more, swapped, without] {
        let entry = scribe.signed(1, &commit);
        assert_eq!(scribe.roster.check(&entry).unwrap_err(), CommitFault::Leaves);
    }
    scribe.take(1, &honest);
    let mut needless = scribe.commit(0, vec![Operation::Update]).unwrap();
    needless.ephemeral = Some(scribe.fresh());
    let entry = scribe.signed(0, &needless);
    assert_eq!(scribe.roster.check(&entry).unwrap_err(), CommitFault::Leaves);
}
