//! C17 and C18, and what a removal makes of the tree and of earlier messages.

use openchat_pki::Entry;
use openchat_roster::{
    Claim, CommitFault, Leave, LeaveEntry, LeaveFault, Operation, Revocation, Role,
};
use openchat_wire::{Blob, GroupId, Slot};

use crate::{
    operations::{claim, is_seated, leave, left, revocation, revoked, role, sorted, stage},
    scribe::{Act, Scribe},
};

#[test]
fn removing_changes_what_the_removed_knew() {
    let mut scribe = stage();
    let add = scribe.add(3);
    scribe.does(2, vec![add]);
    // 2 owns its leaf and 3's; the remover renews both and its own, and owns them.
    assert_eq!(scribe.changed(0, vec![scribe.evict(2)]), [0, 2, 3]);
    assert!(scribe.roster.tree().leaf(Slot(2)).unwrap().seat.is_none(), "vacant");
    let Claim::Unclaimed(unclaimed) = claim(&scribe, 3) else { panic!("claimed") };
    assert_eq!(unclaimed.adder, scribe.fingerprint(2));
    let owned: Vec<Slot> = scribe.roster.owned(&scribe.fingerprint(0)).collect();
    assert_eq!(owned, [Slot(0), Slot(2), Slot(3)]);
    // Who owns a vacant leaf renews it; the next newcomer takes it.
    assert_eq!(scribe.changed(0, vec![Operation::Update]), [0, 2, 3]);
    let add = scribe.add(4);
    assert_eq!(scribe.changed(1, vec![add]), [2]);
    assert_eq!(scribe.changed(0, vec![Operation::Update]), [0, 3]);
}

#[test]
fn a_vacant_slot_is_taken_in_the_commit_that_vacates_it() {
    let mut scribe = stage();
    let add = scribe.add(3);
    assert_eq!(scribe.changed(0, vec![scribe.evict(1), add]), [0, 1]);
    assert_eq!(scribe.roster.seat(&scribe.fingerprint(3)).unwrap().slot, Slot(1));
}

#[test]
fn what_has_no_member_beside_the_author_is_pruned() {
    let mut scribe = Scribe::new(8, 1);
    let evictions = sorted((4..8).map(|who| scribe.evict(who)).collect());
    assert_eq!(scribe.changed(0, evictions), [0], "pruned leaves are not listed");
    assert_eq!(scribe.roster.tree().height(), 2, "the empty half is dropped");
    assert_eq!(scribe.roster.tree().lowest_free(), Slot(4));
    let evictions = sorted(vec![scribe.evict(0), scribe.evict(1)]);
    // Not an admin any more? The creator was the only one, so nobody else may do this.
    assert_eq!(scribe.fault(2, evictions), CommitFault::Authority);
    scribe.does(2, vec![left(&scribe, 0, leave(&scribe, 0, 1))]);
    assert_eq!(role(&scribe, 1), Role::Admin, "the longest seated follows");
    // 2's path has 0 and 1 beside it: there is a member left, so 0's leaf stays, vacant.
    assert!(scribe.roster.tree().leaf(Slot(0)).unwrap().seat.is_none());
    scribe.does(3, vec![left(&scribe, 1, leave(&scribe, 1, 2))]);
    assert!(
        scribe.roster.tree().leaf(Slot(0)).is_none()
            && scribe.roster.tree().leaf(Slot(1)).is_none()
    );
    assert_eq!(scribe.roster.tree().members(), 2);
    scribe.act(8, Act::Join);
    assert_eq!(scribe.roster.seat(&scribe.fingerprint(8)).unwrap().slot, Slot(0));
}

#[test]
fn c17_a_leave_request_is_for_one_seat() {
    let mut scribe = stage();
    let honest = leave(&scribe, 1, 2);
    let other_group = {
        let view = Leave { group: GroupId([1; 32]), ..honest.view().unwrap() };
        LeaveEntry::sign(&view, &scribe.people[1].key)
    };
    let with_key = {
        let view = Leave { key: Some(*scribe.people[1].key.public()), ..honest.view().unwrap() };
        LeaveEntry::sign(&view, &scribe.people[1].key)
    };
    let by_another = LeaveEntry::sign(&honest.view().unwrap(), &scribe.people[2].key);
    for (entry, fault) in [
        (leave(&scribe, 1, 3), LeaveFault::Seat),
        (leave(&scribe, 2, 3), LeaveFault::Encoding),
        (leave(&scribe, 4, 3), LeaveFault::Seat),
        (other_group, LeaveFault::Encoding),
        (with_key, LeaveFault::Seat),
        (by_another, LeaveFault::Signature),
    ] {
        let fault = CommitFault::Leave(fault);
        assert_eq!(scribe.fault(2, vec![left(&scribe, 1, entry)]), fault);
    }
    assert!(scribe.roster.check_leave(&honest).is_ok());
    scribe.does(2, vec![left(&scribe, 1, honest.clone())]);
    assert_eq!(scribe.roster.all_denied().count(), 0, "who leaves may come again");
    scribe.does(0, vec![scribe.admit(1)]);
    scribe.act(1, Act::Join);
    let replayed = scribe.fault(2, vec![left(&scribe, 1, honest)]);
    assert_eq!(replayed, CommitFault::Leave(LeaveFault::Seat), "the old request is void");
}

#[test]
fn c17_the_admitted_may_decline() {
    let mut scribe = stage();
    scribe.does(0, vec![scribe.admit(3)]);
    let no = leave(&scribe, 3, scribe.roster.epoch().0);
    assert!(scribe.roster.check_leave(&no).is_ok());
    let foreign_key = {
        let view = Leave { key: Some(*scribe.people[4].key.public()), ..no.view().unwrap() };
        LeaveEntry::sign(&view, &scribe.people[4].key)
    };
    let fault = scribe.fault(1, vec![left(&scribe, 3, foreign_key)]);
    assert_eq!(fault, CommitFault::Leave(LeaveFault::Seat));
    scribe.does(1, vec![left(&scribe, 3, no)]);
    assert_eq!(scribe.roster.all_admitted().count(), 0);
    let join = scribe.join(3);
    assert_eq!(scribe.fault(3, vec![join]), CommitFault::Authority);
}

#[test]
fn c18_a_revocation_is_proved() {
    let mut scribe = stage();
    let proof = revocation(&mut scribe, 1);
    let mut elsewhere = proof.clone();
    elsewhere.inclusion.index = 1;
    let mut cut = proof.clone();
    cut.inclusion.path.pop();
    let edited = Revocation {
        entry: Blob(
            Entry::Revoke { name: "x".parse().unwrap(), fingerprint: scribe.fingerprint(1) }
                .encode(),
        ),
        ..proof.clone()
    };
    for wrong in [elsewhere, cut, edited] {
        assert_eq!(scribe.fault(2, vec![revoked(&scribe, 1, wrong)]), CommitFault::Revocation);
    }
    let another = scribe.fault(2, vec![revoked(&scribe, 0, proof.clone())]);
    assert_eq!(another, CommitFault::Revocation, "of another key");
    scribe.does(2, vec![revoked(&scribe, 1, proof)]);
    assert!(scribe.roster.all_denied().any(|it| it.name.is_none()), "the key, not the name");
}

#[test]
fn a_new_key_takes_the_place_of_its_revoked_one() {
    let mut scribe = Scribe::new(3, 2);
    let add = scribe.add(4);
    scribe.does(1, vec![add]);
    scribe.people[3].name = scribe.people[1].name.clone();
    let join = scribe.join(3);
    assert_eq!(scribe.fault(3, vec![join.clone()]), CommitFault::Identity, "the name is seated");
    let proof = revocation(&mut scribe, 1);
    let Operation::Join { entrant, wrap, ephemeral, .. } = join else { unreachable!() };
    let replacing = |replaces| {
        let (entrant, wrap) = (entrant.clone(), wrap);
        vec![Operation::Join { entrant, wrap, ephemeral, replaces }]
    };
    let mut wrong = proof.clone();
    wrong.inclusion.index = 3;
    assert_eq!(scribe.fault(3, replacing(Some(wrong))), CommitFault::Revocation);
    // The old seat's slot, and the leaf that the revoked key had set.
    assert_eq!(scribe.changed(3, replacing(Some(proof.clone()))), [1, 3]);
    assert!(!is_seated(&scribe, 1) && is_seated(&scribe, 3));
    let join = scribe.join(1);
    assert_eq!(scribe.fault(1, vec![join]), CommitFault::Authority, "the old key is denied");
    let needless = scribe.join(2);
    let Operation::Join { entrant, wrap, ephemeral, .. } = needless else { unreachable!() };
    let needless = Operation::Join { entrant, wrap, ephemeral, replaces: Some(proof) };
    assert_eq!(scribe.fault(2, vec![needless]), CommitFault::Authority);
}

#[test]
fn a_removal_ends_the_window() {
    let mut scribe = stage();
    let header = |scribe: &Scribe| openchat_roster::MessageHeader {
        epoch: scribe.roster.epoch(),
        confirmed: openchat_roster::MessageHeader::prefix(scribe.roster.confirmed()),
        slot: Slot(0),
        generation: openchat_wire::Generation(0),
        id: openchat_wire::MessageId([0; 16]),
    };
    let before = header(&scribe);
    scribe.does(0, vec![scribe.admit(3)]);
    let who = scribe.fingerprint(0);
    assert_eq!(scribe.roster.check_message(&before, &who), Ok(()));
    scribe.does(0, vec![scribe.evict(3)]);
    assert_eq!(scribe.roster.check_message(&before, &who), Ok(()), "only an admission was struck");
    scribe.does(0, vec![scribe.evict(1)]);
    let stale = Err(openchat_roster::MessageFault::Stale);
    assert_eq!(scribe.roster.check_message(&before, &who), stale);
    assert_eq!(scribe.roster.oldest_epoch(), Some(scribe.roster.epoch()));
    assert_eq!(scribe.roster.check_message(&header(&scribe), &who), Ok(()));
}
