//! A relay that lies about what is in an inbox, and about prekeys.

use crate::{
    coming::{accept, invite, new, ops, talk},
    liar::{Answers, Honest, Instead, Pushes},
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Bring, Event, Standing};
use openchat_roster::inbox;
use openchat_wire::{
    Blob, GroupId, Seq,
    limits::MAX_PREKEYS,
    relay::{Answer, InboxEntry, Refusal, Request, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

fn inbox_of(world: &World, who: Who) -> GroupId {
    inbox(&world.person(who).identity.fingerprint)
}

/// What is in somebody's inbox.
fn letters(world: &World, who: Who) -> Vec<(Seq, InboxEntry)> {
    let entries = world.server.entries(&inbox_of(world, who), Seq(0));
    let decoded = |(seq, bytes): (Seq, Vec<u8>)| (seq, InboxEntry::decode(&bytes).unwrap());
    entries.into_iter().map(decoded).collect()
}

fn push(world: &mut World, to: Who, seq: u64, entry: &InboxEntry) {
    let (log, entry) = (inbox_of(world, to), Blob(entry.to_bytes()));
    world.push(to, ToClient::Entry { log, seq: Seq(seq), entry });
}

fn conversations(world: &World, who: Who) -> usize {
    world.person(who).engine.as_ref().unwrap().conversations().count()
}

#[test]
fn a_letter_that_is_kept_back_costs_one_rejoin_and_loses_nothing() {
    let mut world = World::new(260);
    world.online_people(&["alice", "bob"]);
    let log = inbox_of(&world, BOB);
    world.liar = Box::new(Pushes(move |_, frame| match frame {
        ToClient::Entry { log: of, .. } if of == log => Vec::new(),
        frame => vec![frame],
    }));
    world.tell(ALICE, "@bob", "first");
    world.run(SECOND);
    // The relay tells of the group, at the latest on the next connection.
    world.reconnect(BOB);
    world.run(MINUTE);
    assert_eq!(world.members(BOB, "@alice"), ["alice", "bob"]);
    world.tell(ALICE, "@bob", "second");
    world.run(SECOND);
    let mut texts = world.person(BOB).texts();
    texts.sort();
    assert_eq!(texts, ["first", "second"]);
    assert_eq!(world.alarms(BOB), []);
    assert_eq!(world.alarms(ALICE), []);
}

#[test]
fn letters_for_others_and_nonsense_are_ignored() {
    let (mut world, all) = ops(261, &["alice", "bob", "carol"]);
    let for_carol = letters(&world, all[2]).remove(0).1;
    world.forget_events();
    let foreign = InboxEntry { group: GroupId([9; 32]), ..for_carol.clone() };
    push(&mut world, BOB, 100, &for_carol);
    push(&mut world, BOB, 101, &foreign);
    let log = inbox_of(&world, BOB);
    for (seq, bytes) in [(102, vec![]), (103, vec![1, 2, 3]), (u64::MAX, vec![9; 5_000])] {
        world.push(BOB, ToClient::Entry { log, seq: Seq(seq), entry: Blob(bytes) });
    }
    world.run(MINUTE);
    assert_eq!(conversations(&world, BOB), 1);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

#[test]
fn replayed_letters_bring_nobody_back() {
    let (mut world, all) = ops(262, &["alice", "bob"]);
    let (_, letter) = letters(&world, BOB).remove(0);
    world.done(ALICE, crate::coming::kick("#ops", "bob"));
    world.run(SECOND);
    for seq in 50..60 {
        push(&mut world, BOB, seq, &letter);
        world.run(SECOND);
    }
    assert_eq!(world.summary(BOB, "#ops").unwrap().standing, Standing::Out);
    assert_eq!(world.members(all[0], "#ops"), ["alice"]);
    world.assert_no_alarms();
}

#[test]
fn letters_of_commits_that_lost_are_forgotten() {
    let mut world = World::new(263);
    world.online_people(&["alice", "bob"]);
    // Alice's creation never comes into the log, but its letter comes into the inbox.
    let mut lost = Vec::new();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let notes = seen.clone();
    world.liar = Box::new(Instead(move |_, request: &Request| match request {
        Request::Append { log, letters, .. } if !letters.is_empty() => {
            notes.borrow_mut().push((*log, letters[0].sealed.clone()));
            Some(Err(Refusal::Invalid("lost".to_owned())))
        }
        _ => None,
    }));
    world.tell(ALICE, "@bob", "hello");
    world.run(SECOND);
    lost.append(&mut seen.borrow_mut());
    assert!(!lost.is_empty());
    let from = world.person(ALICE).identity.fingerprint;
    for (at, (group, letter)) in (10..).zip(lost) {
        let entry = InboxEntry { from, group, seq: Seq(1), letter };
        push(&mut world, BOB, at, &entry);
    }
    world.run(MINUTE);
    assert_eq!(conversations(&world, BOB), 0);
    world.liar = Box::new(Honest);
    world.run(MINUTE);
    assert_eq!(world.queued(ALICE), 0);
    // What the relay has put into the inbox has hidden the true letter; not the group.
    world.reconnect(BOB);
    world.run(MINUTE);
    world.tell(BOB, "@alice", "here I am");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts(), ["hello", "here I am"]);
    assert_eq!(world.alarms(BOB), []);
}

#[test]
fn letters_in_another_order_lead_to_the_same_groups() {
    let mut world = World::new(264);
    world.online_people(&["alice", "bob"]);
    world.kill(BOB);
    for group in ["one", "two", "three"] {
        world.done(ALICE, new(group, &["bob"], Bring::Add));
        world.tell(ALICE, &format!("#{group}"), group);
    }
    world.run(SECOND);
    let mut held: Vec<ToClient> = Vec::new();
    let log = inbox_of(&world, BOB);
    world.liar = Box::new(Pushes(move |_, frame| match frame {
        ToClient::Entry { log: of, .. } if of == log => {
            held.push(frame);
            if held.len() < 3 {
                return Vec::new();
            }
            let mut shuffled: Vec<ToClient> = held.drain(..).rev().collect();
            for (at, frame) in (1..).zip(&mut shuffled) {
                if let ToClient::Entry { seq, .. } = frame {
                    *seq = Seq(at);
                }
            }
            shuffled
        }
        frame => vec![frame],
    }));
    world.wake(BOB);
    world.run(2 * SECOND);
    for group in ["one", "two", "three"] {
        assert_eq!(world.person(BOB).texts_in(&format!("#{group}")), [group]);
    }
    world.run(2 * MINUTE);
    world.assert_no_alarms();
}

#[test]
fn groups_that_nobody_knows_are_forgotten() {
    let mut world = World::new(265);
    world.online_people(&["alice", "bob"]);
    let from = world.person(ALICE).identity.fingerprint;
    world.liar = Box::new(Answers(|_, request: &Request, answer| match request {
        Request::ReadCommits { .. } => Err(Refusal::Internal),
        _ => answer,
    }));
    for n in 1..=200_u64 {
        let mut group = GroupId([3; 32]);
        group.0[..8].copy_from_slice(&n.to_be_bytes());
        let entry = InboxEntry { from, group, seq: Seq(1), letter: Blob(vec![0; 100]) };
        push(&mut world, BOB, n, &entry);
    }
    world.run(500);
    assert_eq!(conversations(&world, BOB), 200);
    world.liar = Box::new(Honest);
    world.run(MINUTE);
    assert_eq!(conversations(&world, BOB), 0);
    world.reconnect(BOB);
    world.tell(BOB, "@alice", "through it all");
    world.run(MINUTE);
    assert_eq!(world.person(ALICE).texts(), ["through it all"]);
}

fn stock(world: &mut World, who: Who) -> u32 {
    let identity = world.person(who).identity.clone();
    let now = openchat_wire::UnixMillis(world.now);
    match world.server.relay.handle(&identity, &Request::CountPrekeys, now).answer {
        Ok(Answer::Prekeys { one_time, last_resort: Some(_) }) => one_time,
        other => panic!("{other:?}"),
    }
}

#[test]
fn prekeys_are_left_filled_up_and_renewed() {
    let mut world = World::new(267);
    let all = world.online_people(&["alice", "bob"]);
    let full = u32::try_from(MAX_PREKEYS).unwrap();
    assert_eq!(stock(&mut world, BOB), full);
    assert!(world.person(BOB).engine.as_ref().unwrap().is_settled());
    let identity = world.person(ALICE).identity.clone();
    let fetch = Request::FetchPrekey(world.person(BOB).identity.fingerprint);
    for n in 0..51 {
        let now = openchat_wire::UnixMillis(world.now + n * MINUTE);
        world.server.relay.handle(&identity, &fetch, now).answer.unwrap();
    }
    assert_eq!(stock(&mut world, BOB), full - 51);
    world.run(2 * HOUR);
    assert_eq!(stock(&mut world, BOB), full);
    // Half of their lives later all are others.
    let records = |world: &World| -> Vec<_> {
        let records = world.person(BOB).vault.records.keys();
        records.filter(|key| key.kind == 15).cloned().collect()
    };
    let before = records(&world);
    world.sleep(16 * 24 * HOUR);
    world.run(2 * HOUR);
    assert_eq!(stock(&mut world, BOB), full);
    assert!(records(&world).len() > before.len(), "the old ones still open what was sealed");
    world.sleep(22 * 24 * HOUR);
    world.run(2 * HOUR);
    let after = records(&world);
    assert!(before.iter().all(|key| !after.contains(key)), "and go when their time is over");
    assert!(all.iter().all(|who| world.alarms(*who).is_empty()));
}

#[test]
fn a_used_prekey_is_gone_with_the_claim() {
    let mut world = World::new(268);
    world.online_people(&["alice", "bob"]);
    let count =
        |world: &World| world.person(BOB).vault.records.keys().filter(|key| key.kind == 15).count();
    let before = count(&world);
    world.tell(ALICE, "@bob", "hello");
    world.run(MINUTE);
    assert_eq!(count(&world), before - 1);
}

#[test]
fn who_was_added_by_a_last_resort_claims_twice() {
    let mut world = World::new(269);
    world.online_people(&["alice", "bob"]);
    let identity = world.person(ALICE).identity.clone();
    let fetch = Request::FetchPrekey(world.person(BOB).identity.fingerprint);
    world.kill(BOB);
    for n in 0..100 {
        let now = openchat_wire::UnixMillis(world.now + n * MINUTE);
        world.server.relay.handle(&identity, &fetch, now).answer.unwrap();
    }
    world.now += 200 * MINUTE;
    world.tell(ALICE, "@bob", "hello");
    world.run(MINUTE);
    let before = world.summary(ALICE, "@bob").unwrap().epoch.0;
    world.wake(BOB);
    world.run(2 * MINUTE);
    assert_eq!(world.summary(ALICE, "@bob").unwrap().epoch.0, before + 2);
    assert!(world.summary(ALICE, "@bob").unwrap().members.iter().all(|it| it.claimed));
    assert_eq!(world.person(BOB).texts(), ["hello"]);
    world.assert_no_alarms();
}

#[test]
fn accepting_while_the_relay_fails_waits() {
    let (mut world, all) = ops(270, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    world.done(all[0], invite("#ops", "carol"));
    world.run(SECOND);
    let mut failures = 5;
    world.liar = Box::new(Instead(move |who, _: &Request| {
        let fails = who == carol && failures > 0;
        failures -= usize::from(fails);
        fails.then_some(Err(Refusal::Internal))
    }));
    assert_eq!(world.done(carol, accept("#ops")), "#ops");
    talk(&mut world, "#ops", &[all[0], all[1], carol]);
    world.assert_no_alarms();
}

#[test]
fn k3_who_is_told_of_a_commit_that_is_not_shown_does_not_come_in() {
    let (mut world, all) = ops(271, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    // At the place of the admission's letter the log has a commit of alice's; bob has made none.
    let log = inbox_of(&world, carol);
    let bob = world.person(BOB).identity.fingerprint;
    world.liar = Box::new(Pushes(move |_, frame| match frame {
        ToClient::Entry { log: of, seq, entry } if of == log => {
            let letter = InboxEntry { from: bob, ..InboxEntry::decode(&entry.0).unwrap() };
            vec![ToClient::Entry { log: of, seq, entry: Blob(letter.to_bytes()) }]
        }
        frame => vec![frame],
    }));
    world.done(all[0], invite("#ops", "carol"));
    world.run(MINUTE);
    let invited = |event: &Event| matches!(event, Event::Invited { .. });
    assert!(!world.person(carol).events.iter().any(invited));
    assert_eq!(world.alarms(carol), [AlarmCode::HistoryFork]);
    // Nor when the process begins anew.
    world.kill(carol);
    world.forget_events();
    world.wake(carol);
    world.run(MINUTE);
    assert_eq!(world.alarms(carol), [AlarmCode::HistoryFork]);
}

#[test]
fn k3_a_log_that_ends_before_the_commit_that_a_letter_tells_of_is_not_believed() {
    let (mut world, all) = ops(272, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    let group = world.summary(all[0], "#ops").unwrap().group.unwrap();
    let shown = world.server.entries(&group, Seq(0)).last().unwrap().0;
    world.liar = Box::new(Answers(move |who, request: &Request, answer| match (request, answer) {
        (Request::ReadCommits { .. }, Ok(Answer::Entries { mut entries, complete }))
            if who == carol =>
        {
            entries.retain(|(seq, _)| *seq <= shown);
            Ok(Answer::Entries { entries, complete })
        }
        (_, answer) => answer,
    }));
    world.done(all[0], invite("#ops", "carol"));
    world.run(MINUTE);
    assert_eq!(world.alarms(carol), [AlarmCode::HistoryFork]);
    assert_eq!(world.members(all[0], "#ops"), ["alice", "bob"]);
}
