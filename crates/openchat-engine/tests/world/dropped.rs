//! A relay that keeps old bodies no more, one that only says so, and one that has no room.

use crate::{
    liar::{Fork, Honest, Pushes},
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_crypto::sha256;
use openchat_engine::{AlarmCode, Event, Order, Target};
use openchat_pki::{sign_receipt, verify_receipt};
use openchat_relay::Quotas;
use openchat_roster::LogEntry;
use openchat_wire::{
    Blob, Digest, GroupId, Seq, UnixMillis,
    relay::{Receipt, Request, SignedReceipt, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

fn drop_all(world: &mut World) {
    let now = UnixMillis(world.now);
    world.server.drop_all(now);
}

/// What somebody was told of entries that are gone: how many, from where to where.
fn told(world: &World, who: Who) -> Vec<(u64, Seq, Seq)> {
    let dropped = |event: &Event| match event {
        Event::Dropped { count, first, last, .. } => Some((*count, *first, *last)),
        _ => None,
    };
    world.person(who).events.iter().filter_map(dropped).collect()
}

fn failures(world: &World, who: Who) -> Vec<(&'static str, String, String)> {
    let failed = |event: &Event| match event {
        Event::Failed { code, message, hint, .. } => Some((*code, message.clone(), hint.clone())),
        _ => None,
    };
    world.person(who).events.iter().filter_map(failed).collect()
}

/// Bob was away while alice wrote three texts, whose bodies are gone, and then one more.
fn away(seed: u64) -> World {
    let (mut world, _) = World::with(seed, &["alice", "bob", "carol"]);
    world.say(BOB, "see you");
    world.run(SECOND);
    world.kill(BOB);
    for text in ["one", "two", "three"] {
        world.say(ALICE, text);
    }
    world.run(SECOND);
    drop_all(&mut world);
    world.say(ALICE, "new");
    world.run(SECOND);
    world
}

#[test]
fn who_was_away_follows_the_log_over_what_was_dropped_and_is_told_once() {
    let mut world = away(300);
    world.start(BOB);
    world.run(5 * MINUTE);
    assert_eq!(world.person(BOB).texts(), ["see you", "new"]);
    let [(3, first, last)] = told(&world, BOB)[..] else { panic!("{:?}", told(&world, BOB)) };
    assert_eq!(last.0 - first.0, 2, "three in a row");
    assert_eq!(world.person(BOB).unreadable(), []);
    assert_eq!(failures(&world, BOB), []);

    world.kill(BOB);
    world.start(BOB);
    world.say(BOB, "hello again");
    world.run(5 * MINUTE);
    assert_eq!(told(&world, BOB).len(), 1, "not again");
    assert_eq!(told(&world, ALICE), [], "who was there has them all");
    assert_eq!(world.person(ALICE).texts().len(), 6);
    world.assert_no_alarms();
}

#[test]
fn a_newcomer_comes_in_over_a_log_that_has_lost_all_its_messages() {
    let mut world = away(301);
    let dave = world.enroll("dave");
    world.start(dave);
    assert!(world.run_until(MINUTE, |world| world.is_ready(dave)));
    world.say(ALICE, "welcome");
    world.run(SECOND);
    assert_eq!(world.person(dave).texts(), ["welcome"]);
    assert_eq!(told(&world, dave), [], "nothing of it was ever for dave");
    world.assert_no_alarms();
}

#[test]
fn a_letter_that_was_dropped_keeps_nobody_out() {
    let mut world = World::new(302);
    let people = world.online_people(&["alice", "bob"]);
    let [alice, bob] = people[..] else { panic!() };
    world.restarts_into_general = false;
    world.kill(bob);
    let new = Order::New {
        name: "plans".parse().unwrap(),
        kind: openchat_engine::GroupKind::Closed,
        people: vec!["bob".parse().unwrap()],
        how: openchat_engine::Bring::Add,
    };
    world.done(alice, new);
    drop_all(&mut world);
    world.wake(bob);
    let is_in = |world: &World| {
        let all = world.person(bob).engine.as_ref().unwrap().conversations().collect::<Vec<_>>();
        all.iter().any(|it| it.target == "#plans".parse::<Target>().unwrap())
    };
    assert!(world.run_until(5 * MINUTE, is_in), "bob comes back by itself and asks for the name");
    world.tell(alice, "#plans", "here you are");
    world.run(SECOND);
    assert_eq!(world.person(bob).texts_in("#plans"), ["here you are"]);
}

#[test]
fn an_own_message_that_is_said_to_be_gone_is_the_one_that_was_sent() {
    let (mut world, _) = World::with(303, &["alice", "bob"]);
    let is_message = |entry: &Blob| matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Message(_)));
    world.liar = Box::new(Pushes(move |to, frame| match frame {
        ToClient::Entry { log, seq, entry } if to == ALICE && is_message(&entry) => {
            vec![ToClient::Dropped { log, seq, hash: sha256(&entry.0) }]
        }
        frame => vec![frame],
    }));
    let id = world.say(ALICE, "mine");
    world.run(5 * MINUTE);
    assert_eq!(world.person(ALICE).texts(), ["mine"]);
    assert!(world.person(ALICE).acks.contains_key(&id));
    assert_eq!((world.queued(ALICE), told(&world, ALICE)), (0, vec![]));
    assert_eq!(world.person(BOB).texts(), ["mine"]);
    world.assert_no_alarms();
}

#[test]
fn h6_a_relay_that_calls_a_new_message_dropped_keeps_it_back() {
    let (mut world, _) = World::with(304, &["alice", "bob"]);
    world.liar = Box::new(Pushes(|to, frame| match frame {
        ToClient::Entry { log, seq, entry } if to == BOB => {
            vec![ToClient::Dropped { log, seq, hash: sha256(&entry.0) }]
        }
        frame => vec![frame],
    }));
    world.say(ALICE, "one");
    world.say(ALICE, "two");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HeldBack], "once");
    assert_eq!(told(&world, BOB).iter().map(|(count, ..)| count).sum::<u64>(), 2);
    world.liar = Box::new(Honest);
    world.say(ALICE, "three");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["three"], "the rest is read");
}

/// A relay that says of every commit that its body is gone, to bob alone.
fn without_commits(world: &mut World, receipt: impl Fn(SignedReceipt) -> SignedReceipt + 'static) {
    world.liar = Box::new(Pushes(move |to, frame| match frame {
        ToClient::Entry { log, seq, entry } if to == BOB => match LogEntry::decode(&entry.0) {
            Ok(LogEntry::Commit(_)) => {
                vec![ToClient::Dropped { log, seq, hash: sha256(&entry.0) }]
            }
            _ => vec![ToClient::Entry { log, seq, entry }],
        },
        ToClient::Heartbeat { log, beat, receipt: honest } if to == BOB => {
            vec![ToClient::Heartbeat { log, beat, receipt: receipt(honest) }]
        }
        frame => vec![frame],
    }));
}

#[test]
fn h5_a_commit_that_is_called_dropped_contradicts_the_next_receipt() {
    let (mut world, _) = World::with(305, &["alice", "bob"]);
    without_commits(&mut world, |honest| honest);
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(5 * MINUTE);
    let alarms = world.alarms(BOB);
    assert!(alarms.contains(&AlarmCode::ReceiptMismatch), "{alarms:?}");
}

#[test]
fn h5_a_commit_that_is_called_dropped_contradicts_the_next_heartbeat() {
    let (mut world, _) = World::with(306, &["alice", "bob"]);
    let (who, log) = (world.person(ALICE).identity.clone(), world.general());
    let before = world.server.claim(&who, &log);
    let key = world.server.receipt_key();
    without_commits(&mut world, move |honest| {
        let honest = verify_receipt(&honest, key.public()).unwrap();
        let Receipt { epoch, interim, .. } = before;
        sign_receipt(&Receipt { epoch, interim, ..honest }, &key)
    });
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(5 * MINUTE);
    let alarms = world.alarms(BOB);
    assert!(alarms.contains(&AlarmCode::HistoryFork), "{alarms:?}");
}

#[test]
fn a_message_of_the_epoch_that_was_called_dropped_tells_too() {
    let (mut world, _) = World::with(307, &["alice", "bob"]);
    without_commits(&mut world, |honest| honest);
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(SECOND);
    world.say(ALICE, "we are three");
    world.run(SECOND);
    assert!(world.alarms(BOB).contains(&AlarmCode::HistoryFork), "{:?}", world.alarms(BOB));
    assert_eq!(world.person(BOB).texts(), [""; 0], "it is not opened");
}

fn wrong(hash: Digest) -> Digest {
    sha256(&hash.0)
}

#[test]
fn a_false_hash_of_a_dropped_entry_contradicts_the_relays_own_receipt() {
    let mut world = away(308);
    world.liar = Box::new(Pushes(|_, frame| match frame {
        ToClient::Dropped { log, seq, hash } => {
            vec![ToClient::Dropped { log, seq, hash: wrong(hash) }]
        }
        frame => vec![frame],
    }));
    world.start(BOB);
    world.run(SECOND);
    assert!(world.alarms(BOB).contains(&AlarmCode::ReceiptMismatch), "{:?}", world.alarms(BOB));
}

/// Bob is told false hashes, under receipts that fit them.
fn with_false_hashes(seed: u64) -> World {
    let (mut world, _) = World::with(seed, &["alice", "bob"]);
    let (who, log) = (world.person(ALICE).identity.clone(), world.general());
    let tail = world.server.claim(&who, &log);
    world.kill(BOB);
    world.say(ALICE, "one");
    world.run(SECOND);
    drop_all(&mut world);
    let edit = Box::new(|_, seq, entry| vec![(seq, entry)]);
    let mut fork = Fork::new(&tail, world.server.receipt_key(), &[BOB], edit);
    fork.dropped = wrong;
    world.liar = Box::new(fork);
    world.start(BOB);
    world.run(SECOND);
    assert_eq!(told(&world, BOB).len(), 1);
    world
}

#[test]
fn a_false_hash_under_a_false_receipt_shows_at_the_next_message() {
    let mut world = with_false_hashes(309);
    assert_eq!(world.alarms(BOB), []);
    world.say(ALICE, "two");
    world.run(SECOND);
    assert!(world.alarms(BOB).contains(&AlarmCode::HistoryFork), "{:?}", world.alarms(BOB));
}

#[test]
fn a_false_hash_under_a_false_receipt_shows_at_the_next_heartbeat() {
    let mut world = with_false_hashes(310);
    world.run(5 * MINUTE);
    assert!(world.alarms(BOB).contains(&AlarmCode::HistoryFork), "{:?}", world.alarms(BOB));
}

fn full(world: &mut World) {
    world.server.relay.set_quotas(Quotas { log: Some(1), person: None });
}

fn appends(world: &World, log: GroupId) -> usize {
    let is_append = |(_, bytes): &&(Who, Vec<u8>)| {
        let request = openchat_wire::decode::<Request>(bytes, bytes.len());
        matches!(request, Ok(Request::Append { log: it, .. }) if it == log)
    };
    world.requests.iter().filter(is_append).count()
}

#[test]
fn a_text_that_finds_no_room_fails_with_the_next_step_and_is_not_sent_in_a_loop() {
    let (mut world, _) = World::with(311, &["alice", "bob"]);
    let log = world.general();
    full(&mut world);
    let before = appends(&world, log);
    world.say(ALICE, "too much");
    world.run(HOUR);
    let [(code, message, hint)] = &failures(&world, ALICE)[..] else {
        panic!("{:?}", failures(&world, ALICE))
    };
    assert_eq!(*code, "no-room");
    assert_eq!(message, "the conversation has as many bytes as the server keeps of one");
    assert!(hint.contains("keep.quota_log") && hint.contains("keep.retention"), "{hint}");
    assert_eq!((appends(&world, log), world.queued(ALICE)), (before + 1, 0));
    let unlimited = Quotas { log: None, person: None };
    world.server.relay.set_quotas(unlimited);
    world.say(ALICE, "there is room");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["there is room"]);
    world.assert_no_alarms();
}

#[test]
fn a_full_group_takes_nobody_in_and_still_lets_members_go() {
    let (mut world, all) = World::with(312, &["alice", "bob", "carol"]);
    let log = world.general();
    full(&mut world);
    let dave = world.enroll("dave");
    world.start(dave);
    let before = appends(&world, log);
    world.run(10 * MINUTE);
    assert!(failures(&world, dave).iter().any(|(code, ..)| *code == "no-room"));
    assert!(appends(&world, log) <= before + 1, "it is not tried again and again");
    let target: Target = "#general".parse().unwrap();
    let add = Order::Add { target: target.clone(), who: "dave".parse().unwrap() };
    assert_eq!(world.fails(ALICE, add), "no-room");
    world.done(ALICE, Order::Kick { target: target.clone(), who: "carol".parse().unwrap() });
    world.done(BOB, Order::Rejoin { target });
    world.run(SECOND);
    assert_eq!(world.members(ALICE, "#general"), ["alice", "bob"]);
    assert_eq!(world.epoch(all[0]), world.epoch(all[1]));
}

#[test]
fn a_group_that_can_not_begin_is_not_begun_again_and_again() {
    let mut world = World::new(313);
    let people = world.online_people(&["alice"]);
    world.restarts_into_general = false;
    world.server.relay.set_quotas(Quotas { log: None, person: Some(1) });
    let new = Order::New {
        name: "plans".parse().unwrap(),
        kind: openchat_engine::GroupKind::Closed,
        people: Vec::new(),
        how: openchat_engine::Bring::Add,
    };
    assert_eq!(world.fails(people[0], new), "no-room");
    let before = world.requests.len();
    world.run(10 * MINUTE);
    let later = world.requests[before..].iter();
    let creates = later.filter(|(_, bytes)| bytes.len() > 500).count();
    assert_eq!(creates, 0);
}
