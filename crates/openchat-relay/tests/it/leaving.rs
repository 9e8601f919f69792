//! Who is in a group, who was, and what those get to see who are not.

use crate::{
    people::{Member, Person},
    support::{World, append, evicting, is_invalid, naming, open, promoting},
};
use core::time::Duration;
use openchat_group::{Invited, Proposal};
use openchat_relay::{Store as _, TailEnd, Tailing, store::Table};
use openchat_roster::{
    Heartbeat, Leave, LeaveEntry, LogEntry, Person as Named, Policy, Reason, SignedHeartbeat,
};
use openchat_wire::{
    Blob, Epoch, Fingerprint, GroupId, Seq,
    limits::{MAX_GROUPS, MAX_GROUPS_BY_ANOTHER},
    relay::{Answer, Refusal, Request},
};

fn named(who: &Person) -> Named {
    Named { name: who.identity.name.clone(), fingerprint: who.identity.fingerprint }
}

fn admitting(who: &Person) -> Proposal {
    let admits = vec![Invited { person: named(who), prekey: None }];
    Proposal { admits, ..Proposal::default() }
}

fn leaving(leave: &Blob, who: &Person) -> Proposal {
    let Ok(LogEntry::Leave(leave)) = LogEntry::decode(&leave.0) else { panic!() };
    let removes = vec![(who.identity.fingerprint, Reason::Left(leave))];
    Proposal { removes, ..Proposal::default() }
}

fn groups(world: &mut World, who: &Person) -> Vec<GroupId> {
    match world.ask(who, &Request::Groups).answer {
        Ok(Answer::Groups(groups)) => groups,
        other => panic!("{other:?}"),
    }
}

fn commits(log: GroupId) -> Request {
    Request::ReadCommits { log, after: Seq(0) }
}

/// Alice and bob in a closed group, and what bob knows of it.
fn pair(world: &mut World) -> (Member, Member) {
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let group = world.closed_group(&alice);
    let proposal = world.adding(&bob);
    let group = world.commit(group, proposal);
    let log = group.log();
    let theirs = world.arrived(&bob, log);
    let theirs = world.update(theirs);
    (world.synced(group), theirs)
}

fn heartbeat(member: &Member) -> Blob {
    let roster = member.group.roster();
    let beat = Heartbeat {
        author: member.person.identity.fingerprint,
        group: *roster.group(),
        epoch: roster.epoch(),
        interim: *roster.interim(),
        seen: member.group.seen().unwrap(),
    };
    SignedHeartbeat::sign(&beat, &member.person.key).to_bytes()
}

#[test]
fn who_was_removed_neither_writes_nor_reads_any_more() {
    let mut world = World::new();
    let (group, mut bobs) = pair(&mut world);
    let (log, bob) = (group.log(), bobs.person.clone());
    let (message, beat) = (bobs.message("in vain"), heartbeat(&bobs));
    let notice = Blob(LogEntry::Notice(bobs.group.notice(&bob.key)).to_bytes());
    let (bobs, update) = world.prepare_update(bobs);
    let leave = bobs.leave();
    let mut group = world.commit(group, evicting(&bob));
    let last = group.group.seen().unwrap().seq;
    let later = group.message("not for bob");
    world.place(&group.person, log, &later);
    for _ in 0..2 {
        for entry in [&message, &notice, &update, &leave] {
            assert_eq!(world.refusal(&bob, log, entry), Refusal::NoAccess);
        }
        for request in [
            commits(log),
            Request::Receipt { log, at: None },
            Request::Receipt { log, at: Some(Seq(1)) },
            Request::Heartbeat { log, beat: beat.clone() },
            Request::Tail { log, after: last },
            Request::Tail { log, after: last.next() },
        ] {
            assert_eq!(world.refusal_of(&bob, &request), Refusal::NoAccess);
        }
        assert_eq!(groups(&mut world, &bob), []);
        world = world.crash();
    }
}

#[test]
fn a_tail_ends_with_the_commit_that_takes_its_readers_seat() {
    let mut world = World::new();
    let (group, bobs) = pair(&mut world);
    let (log, bob) = (group.log(), bobs.person.clone());
    let (group, entry, _) = world.prepare(group, evicting(&bob));
    let outcome = world.append(&group.person, log, &entry);
    let Ok(Answer::Appended(last)) = outcome.answer else { panic!() };
    let reader = bob.identity.fingerprint;
    assert_eq!(outcome.ends, [TailEnd { log, reader, last }]);
    let again = world.append(&group.person, log, &entry);
    assert_eq!((again.ends.len(), again.publish.len()), (0, 0));
}

#[test]
fn who_was_away_may_read_on_to_the_commit_that_took_its_seat_and_no_further() {
    let mut world = World::new();
    let (mut group, bobs) = pair(&mut world);
    let (log, bob) = (group.log(), bobs.person.clone());
    let seen = bobs.group.seen().unwrap().seq;
    let message = group.message("while bob was away");
    world.place(&group.person, log, &message);
    let mut group = world.commit(group, evicting(&bob));
    let last = Some(group.group.seen().unwrap().seq);
    let later = group.message("not for bob");
    let end = world.place(&group.person, log, &later);
    let mut world = world.crash();
    let outcome = world.ask(&bob, &Request::Tail { log, after: seen });
    let reader = bob.identity.fingerprint;
    assert_eq!(outcome.tail, Some(Tailing { log, after: seen, end, reader, last }));

    // Seated again, bob reads as everybody does.
    let proposal = world.adding(&bob);
    world.commit(group, proposal);
    let outcome = world.ask(&bob, &Request::Tail { log, after: seen });
    assert_eq!(outcome.tail.unwrap().last, None);
}

#[test]
fn at_a_removal_what_was_sealed_before_is_stale() {
    let mut world = World::new();
    let (alice, carol) = (world.person("alice"), world.person("carol"));
    let group = world.open_group(&alice, "general");
    let log = group.log();
    let bob = world.person("bob");
    world.join(&bob, log);
    let mut carols = world.join(&carol, log);
    let before = carols.message("sealed before");
    let group = world.synced(group);
    let group = world.commit(group, promoting(&carol));
    let between = world.synced(carols).message("a commit later");
    world.place(&carol, log, &between);
    world.commit(group, evicting(&bob));
    assert_eq!(world.refusal(&carol, log, &before), Refusal::Stale);
    let mut world = world.crash();
    assert_eq!(world.refusal(&carol, log, &before), Refusal::Stale);
}

#[test]
fn an_outsider_cannot_tell_whether_a_closed_group_exists() {
    let mut world = World::new();
    let (group, mut bobs) = pair(&mut world);
    let eve = world.person("eve");
    let closed = group.log();
    let message = bobs.message("hello");
    world.place(&bobs.person, closed, &message);
    let (_, join) = world.prepare_join_unasked(&eve, closed);
    // Eve knows everything that bob does, and has a group of her own.
    let mut own = world.open_group(&eve, "eve-s");
    let (own_message, beat) = (own.message("mine"), heartbeat(&own));
    let notice = Blob(LogEntry::Notice(own.group.notice(&eve.key)).to_bytes());
    let create = world.bytes(own.log())[0].1.clone();
    let (own, update) = world.prepare_update(own);
    let leave = |log| {
        let author = eve.identity.fingerprint;
        let leave = Leave { author, group: log, since: Epoch(1), key: Some(*eve.key.public()) };
        Blob(LogEntry::Leave(LeaveEntry::sign(&leave, &eve.key)).to_bytes())
    };
    assert_ne!(own.log(), closed);
    let ask = |world: &mut World, log: GroupId| {
        let mut requests = vec![
            commits(log),
            Request::Tail { log, after: Seq(0) },
            Request::Receipt { log, at: None },
            Request::Receipt { log, at: Some(Seq(1)) },
            Request::Heartbeat { log, beat: beat.clone() },
        ];
        for entry in [&message, &own_message, &notice, &update, &join, &leave(log)] {
            requests.push(append(log, entry));
        }
        requests.push(append(log, &Blob(create.clone())));
        let refusals = requests.iter().map(|request| world.refusal_of(&eve, request));
        refusals.collect::<Vec<_>>()
    };
    let (real, none) = (ask(&mut world, closed), ask(&mut world, GroupId([9; 32])));
    assert_eq!(real, none);
    let refused = real.iter().filter(|refusal| **refusal == Refusal::NoAccess).count();
    assert_eq!(refused, real.len() - 1, "all but the create, which names another group");
}

#[test]
fn the_admitted_read_the_commits_of_a_closed_group_and_nothing_else() {
    let mut world = World::new();
    let (mut group, _bobs) = pair(&mut world);
    let (log, carol) = (group.log(), world.person("carol"));
    assert_eq!(world.refusal_of(&carol, &commits(log)), Refusal::NoAccess);
    group = world.commit(group, admitting(&carol));
    assert!(world.ask(&carol, &commits(log)).answer.is_ok());
    assert!(world.ask(&carol, &Request::Receipt { log, at: None }).answer.is_ok());
    let tail = Request::Tail { log, after: Seq(0) };
    assert_eq!(world.refusal_of(&carol, &tail), Refusal::NoAccess);
    let message = group.message("hello");
    assert_eq!(world.refusal(&carol, log, &message), Refusal::NoAccess);
    assert_eq!(groups(&mut world, &carol), [log]);
    world.join(&carol, log);
    assert!(world.ask(&carol, &tail).answer.is_ok());
}

#[test]
fn a_refusal_to_come_is_logged_once_and_strikes_the_admission_when_somebody_commits_it() {
    let mut world = World::new();
    let (mut group, _bobs) = pair(&mut world);
    let (log, carol) = (group.log(), world.person("carol"));
    group = world.commit(group, admitting(&carol));
    let since = group.group.roster().epoch();
    let author = carol.identity.fingerprint;
    let body = Leave { author, group: log, since, key: Some(*carol.key.public()) };
    let no = Blob(LogEntry::Leave(LeaveEntry::sign(&body, &carol.key)).to_bytes());
    world.place(&carol, log, &no);
    assert_eq!(groups(&mut world, &carol), [], "no is no at once");
    assert!(world.ask(&carol, &commits(log)).answer.is_ok(), "she may still change her mind");
    let group = world.commit(group, leaving(&no, &carol));
    assert_eq!(world.refusal_of(&carol, &commits(log)), Refusal::NoAccess);
    assert_eq!(world.refusal(&carol, log, &no), Refusal::NoAccess);
    world.commit(group, admitting(&carol));
    is_invalid(&world.refusal(&carol, log, &with_since(&carol, &body, since)), "C17");
    assert_eq!(groups(&mut world, &carol), [log]);
}

fn with_since(who: &Person, body: &Leave, since: Epoch) -> Blob {
    let leave = LeaveEntry::sign(&Leave { since, ..*body }, &who.key);
    Blob(LogEntry::Leave(leave).to_bytes())
}

#[test]
fn of_many_requests_for_one_seat_the_first_is_logged() {
    let mut world = World::new();
    let (_group, bobs) = pair(&mut world);
    let (log, bob) = (bobs.log(), bobs.person.clone());
    let since = bobs.group.roster().seat(&bob.identity.fingerprint).unwrap().seated;
    // As after another one, which a modified client can sign in as many ways as it likes.
    let key = [log.0, bob.identity.fingerprint.0].concat();
    let asked = openchat_wire::encode(&(since, Seq(2)));
    let mut world = world.with_store(|store| store.put(Table::Leave, &key, None, &asked).unwrap());
    let outcome = world.append(&bob, log, &bobs.leave());
    assert_eq!(outcome.answer, Ok(Answer::Appended(Seq(2))));
    assert!(outcome.publish.is_empty());
    // One that speaks of an earlier seat does not count.
    let earlier = openchat_wire::encode(&(Epoch(since.0 - 1), Seq(2)));
    let mut world =
        world.with_store(|store| store.put(Table::Leave, &key, Some(&asked), &earlier).unwrap());
    let end = world.entries(log).entries.last().unwrap().0;
    assert_eq!(world.place(&bob, log, &bobs.leave()), end.next());
}

#[test]
fn a_member_who_asks_to_leave_is_in_until_somebody_commits_it() {
    let mut world = World::new();
    let (group, mut bobs) = pair(&mut world);
    let (log, bob) = (group.log(), bobs.person.clone());
    let leave = bobs.leave();
    world.place(&bob, log, &leave);
    bobs = world.synced(bobs);
    let message = bobs.message("one more thing");
    world.place(&bob, log, &message);
    let group = world.synced(group);
    let group = world.commit(group, leaving(&leave, &bob));
    assert_eq!(world.refusal_of(&bob, &commits(log)), Refusal::NoAccess);
    assert!(group.group.roster().all_denied().next().is_none());
}

#[test]
fn groups_are_those_in_which_one_is_seated_or_admitted() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
    let mut expected = Vec::new();
    let open = world.open_group(&alice, "general");
    world.join(&bob, open.log());
    expected.push(open.log());
    for proposal in [world.adding(&bob), admitting(&bob)] {
        let group = world.closed_group(&alice);
        expected.push(world.commit(group, proposal).log());
    }
    let policy = Policy::direct(alice.identity.fingerprint, bob.identity.fingerprint);
    let proposal = world.adding(&bob);
    let (direct, entry, letters) = world.begin_with(&alice, policy, proposal);
    world.post(&alice, direct.log(), &entry, &letters);
    expected.push(direct.log());
    expected.sort_unstable();
    let mut world = world.crash();
    assert_eq!(groups(&mut world, &bob), expected);
    assert_eq!(groups(&mut world, &alice), expected);
    let eve = world.person("eve");
    assert_eq!(groups(&mut world, &eve), []);
}

#[test]
fn the_two_of_a_direct_group_stay_in_it_for_ever() {
    let mut world = World::new();
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| world.person(name));
    let policy = Policy::direct(alice.identity.fingerprint, bob.identity.fingerprint);
    let (direct, entry) = world.begin(&alice, policy);
    let log = direct.log();
    world.place(&alice, log, &entry);
    let direct = world.synced(direct);
    assert!(world.ask(&bob, &commits(log)).answer.is_ok(), "not seated yet, but one of the two");
    assert_eq!(groups(&mut world, &bob), [log]);
    assert_eq!(world.refusal_of(&eve, &commits(log)), Refusal::NoAccess);
    let theirs = world.join(&bob, log);
    let leave = theirs.leave();
    world.place(&bob, log, &leave);
    let direct = world.synced(direct);
    world.commit(direct, leaving(&leave, &bob));
    assert_eq!(groups(&mut world, &bob), [log]);
    assert!(world.ask(&bob, &commits(log)).answer.is_ok());
    world.join(&bob, log);
}

/// A world in which somebody is in so many groups, put there by `by`.
fn crowded(world: World, who: &Person, count: usize, by: &Fingerprint) -> World {
    world.with_store(|store| {
        for number in 0..count {
            let group = [&[0xee; 24][..], &number.to_be_bytes()].concat();
            let key = [&who.identity.fingerprint.0[..], &group].concat();
            store.put(Table::Place, &key, None, &by.0).unwrap();
        }
    })
}

#[test]
fn nobody_is_in_more_groups_than_there_is_room_for() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
    let me = bob.identity.fingerprint;
    let mut world = crowded(world, &bob, MAX_GROUPS - 1, &me);
    let general = world.open_group(&alice, "general");
    world.join(&bob, general.log());
    let other = world.open_group(&alice, "other");
    let full = Refusal::TooManyGroups(me);
    let (_, join) = world.prepare_join(&bob, other.log());
    assert_eq!(world.refusal(&bob, other.log(), &join), full);
    let (member, entry) = world.begin(&bob, open("bob-s"));
    assert_eq!(world.refusal(&bob, member.log(), &entry), full);
    for proposal in [world.adding(&bob), admitting(&bob)] {
        let closed = world.closed_group(&alice);
        let (closed, entry, _) = world.prepare(closed, proposal);
        assert_eq!(world.refusal(&alice, closed.log(), &entry), full);
    }
    assert_eq!(groups(&mut world, &bob).len(), MAX_GROUPS);
    let general = world.synced(general);
    world.commit(general, evicting(&bob));
    world.place(&bob, other.log(), &join);
}

#[test]
fn nobody_fills_another_persons_list_alone() {
    let mut world = World::new();
    let [mallory, alice, bob] = ["mallory", "alice", "bob"].map(|name| world.person(name));
    let (me, by) = (bob.identity.fingerprint, mallory.identity.fingerprint);
    let mut world = crowded(world, &bob, MAX_GROUPS_BY_ANOTHER - 1, &by);
    let entered = world.closed_group(&mallory);
    let entered = world.commit(entered, admitting(&bob));
    for proposal in [world.adding(&bob), admitting(&bob)] {
        let group = world.closed_group(&mallory);
        let (group, entry, _) = world.prepare(group, proposal);
        assert_eq!(world.refusal(&mallory, group.log(), &entry), Refusal::TooManyGroups(me));
    }
    let theirs = world.closed_group(&alice);
    world.commit(theirs, admitting(&bob));
    // What bob has entered by himself is his own.
    world.join(&bob, entered.log());
    let proposal = world.adding(&bob);
    let group = world.closed_group(&mallory);
    let group = world.commit(group, proposal);
    // So is what he was added to and has claimed.
    let theirs = world.arrived(&bob, group.log());
    world.update(theirs);
    let group = world.closed_group(&mallory);
    world.commit(group, admitting(&bob));
}

#[test]
fn a_certificate_is_found_by_its_name() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let by_key = world.ask(&alice, &Request::Certificate(bob.identity.fingerprint)).answer;
    let by_name = world.ask(&alice, &Request::CertificateOf(bob.identity.name)).answer;
    assert!(matches!(&by_name, Ok(Answer::Certificate(_))));
    assert_eq!(by_name, by_key);
    let nobody = Request::CertificateOf(naming().name.as_str().parse().unwrap());
    assert_eq!(world.ask(&alice, &nobody).answer, Err(Refusal::NotFound));
}

#[test]
fn places_that_others_put_one_in_keep_nobody_from_its_own() {
    let mut world = World::new();
    let [alice, bob] = ["alice", "bob"].map(|name| world.person(name));
    let mut world = crowded(world, &bob, MAX_GROUPS, &openchat_wire::Fingerprint([7; 32]));
    let general = world.open_group(&alice, "general").log();
    world.join(&bob, general);
    let own = world.closed_group(&bob).log();
    let told = groups(&mut world, &bob);
    assert!(told.contains(&general) && told.contains(&own), "its own come first");
    assert_eq!(told.len(), MAX_GROUPS);
    let closed = world.closed_group(&alice);
    let (closed, entry, _) = world.prepare(closed, admitting(&bob));
    let full = Refusal::TooManyGroups(bob.identity.fingerprint);
    assert_eq!(world.refusal(&alice, closed.log(), &entry), full);
}

#[test]
fn a_request_is_logged_again_for_those_who_came_later_once_a_minute() {
    let mut world = World::new();
    let (group, bobs) = pair(&mut world);
    let (log, bob) = (group.log(), bobs.person.clone());
    let first = world.place(&bob, log, &bobs.leave());
    world.wait(Duration::from_mins(1));
    assert_eq!(world.place(&bob, log, &bobs.leave()), first, "all have seen it");
    let carol = world.person("carol");
    let proposal = world.adding(&carol);
    let group = world.commit(group, proposal);
    let second = world.place(&bob, log, &bobs.leave());
    assert!(second > first, "carol has not");
    let dave = world.person("dave");
    let proposal = world.adding(&dave);
    world.commit(group, proposal);
    assert_eq!(world.place(&bob, log, &bobs.leave()), second, "within a minute");
    world.wait(Duration::from_mins(1));
    assert!(world.place(&bob, log, &bobs.leave()) > second);
}
