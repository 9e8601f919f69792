//! Who has a message, and who is online: what members sign, what a relay only says, and what neither
//! can make anybody believe.

use crate::{
    liar::{Honest, Pushes},
    world::{MINUTE, SECOND, START, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_engine::{AlarmCode, Delivery, Event};
use openchat_relay::Publish;
use openchat_roster::{Heartbeat, Seen, SignedHeartbeat};
use openchat_wire::{
    Blob, Digest, Fingerprint, MessageId, Seq, UnixMillis,
    relay::{Request, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);

fn delivery(world: &World, who: Who, target: &str, id: MessageId) -> Option<Delivery> {
    let engine = world.person(who).engine.as_ref().unwrap();
    engine.delivery(&target.parse().unwrap(), id)
}

fn in_general(world: &World, id: MessageId) -> Option<Delivery> {
    delivery(world, ALICE, "#general", id)
}

/// Who is told to have a message, in this order, with the counts.
fn marks(world: &World, who: Who, message: MessageId) -> Vec<(String, u32, u32)> {
    let mark = |event: &Event| match event {
        Event::Delivered { id, by, count, of, .. } if *id == message => {
            Some((by.to_string(), *count, *of))
        }
        _ => None,
    };
    world.person(who).events.iter().filter_map(mark).collect()
}

fn heartbeats(world: &World, who: Who) -> usize {
    let all = world.requests.iter().filter(|(from, _)| *from == who);
    let beats = all.filter(|(_, bytes)| {
        let request: Result<Request, _> = openchat_wire::decode(bytes, usize::MAX);
        matches!(request, Ok(Request::Heartbeat { .. }))
    });
    beats.count()
}

/// The heartbeat of somebody, saying this of the log; signed by that one.
fn beat(world: &mut World, who: Who, change: impl FnOnce(&mut Heartbeat)) -> Vec<u8> {
    let (log, identity) = (world.general(), world.person(who).identity.clone());
    let claim = world.server.claim(&identity, &log);
    let mut beat = Heartbeat {
        author: identity.fingerprint,
        group: log,
        epoch: claim.epoch,
        interim: claim.interim,
        seen: Seen { seq: claim.seq, log_hash: claim.log_hash },
    };
    change(&mut beat);
    let key = IdentityKey::from_pkcs8(&world.person(who).key).unwrap();
    SignedHeartbeat::sign(&beat, &key).to_bytes().0
}

/// The relay tells it to alice, under a true receipt of its own.
fn tell_alice(world: &mut World, beat: Vec<u8>) {
    let (log, receipt) = (world.general(), world.receipt(ALICE));
    world.push(ALICE, ToClient::Heartbeat { log, beat: Blob(beat), receipt });
    world.run(100);
}

/// Nobody's heartbeats arrive.
fn without_heartbeats(world: &mut World) {
    world.liar = Box::new(Pushes(|_, frame| match frame {
        ToClient::Heartbeat { .. } => Vec::new(),
        frame => vec![frame],
    }));
}

fn presence(world: &mut World, online: Vec<Fingerprint>, offline: Vec<Fingerprint>) {
    let log = world.general();
    world.push(ALICE, ToClient::Presence { log, online, offline });
    world.run(100);
}

fn key(world: &World, who: Who) -> Fingerprint {
    world.person(who).identity.fingerprint
}

#[test]
fn a_text_is_queued_then_sent_then_delivered_to_one_after_the_other() {
    let (mut world, _) = World::with(400, &["alice", "bob", "carol"]);
    world.disconnect(CAROL);
    let id = world.say(ALICE, "hello");
    assert_eq!(in_general(&world, id), Some(Delivery::Queued));
    world.run(100);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    world.run(2 * SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 2 }));
    world.connect(CAROL);
    world.run(3 * SECOND);
    assert_eq!(marks(&world, ALICE, id), [("bob".to_owned(), 1, 2), ("carol".to_owned(), 2, 2)]);
    world.run(5 * MINUTE);
    assert_eq!(marks(&world, ALICE, id).len(), 2, "each of them once");
    world.assert_no_alarms();
}

#[test]
fn the_answer_alone_tells_that_the_other_one_has_it() {
    let (mut world, _) = World::with(401, &["alice", "bob"]);
    without_heartbeats(&mut world);
    let id = world.say(ALICE, "hello");
    world.run(MINUTE);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    world.say(BOB, "hello yourself");
    world.run(SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 1 }));
}

#[test]
fn two_people_know_when_the_other_has_it() {
    let mut world = World::new(402);
    world.online_people(&["alice", "bob"]);
    let id = world.tell(ALICE, "@bob", "hello");
    world.run(10 * SECOND);
    let delivered = Some(Delivery::Delivered { count: 1, of: 1 });
    assert_eq!(delivery(&world, ALICE, "@bob", id), delivered);
    world.assert_no_alarms();
}

#[test]
fn marks_survive_a_restart_and_are_not_told_again() {
    let (mut world, _) = World::with(403, &["alice", "bob", "carol"]);
    world.disconnect(CAROL);
    let id = world.say(ALICE, "hello");
    world.run(3 * SECOND);
    let old = beat(&mut world, BOB, |_| {});
    world.kill(ALICE);
    world.forget_events();
    world.start(ALICE);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 2 }));
    world.run(SECOND);
    tell_alice(&mut world, old);
    world.run(5 * MINUTE);
    assert_eq!(marks(&world, ALICE, id), []);
    world.connect(CAROL);
    world.run(5 * SECOND);
    assert_eq!(marks(&world, ALICE, id), [("carol".to_owned(), 2, 2)]);
    world.assert_no_alarms();
}

#[test]
fn whoever_came_later_does_not_have_what_was_said_before() {
    let (mut world, _) = World::with(404, &["alice", "bob"]);
    world.disconnect(BOB);
    let id = world.say(ALICE, "before");
    world.run(SECOND);
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(5 * SECOND);
    let after = world.say(ALICE, "after");
    world.run(5 * SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    assert_eq!(in_general(&world, after), Some(Delivery::Delivered { count: 1, of: 2 }));
}

#[test]
fn an_old_heartbeat_takes_nothing_back_and_delivers_nothing_new() {
    let (mut world, _) = World::with(405, &["alice", "bob"]);
    let first = world.say(ALICE, "one");
    world.run(3 * SECOND);
    let old = beat(&mut world, BOB, |_| {});
    world.disconnect(BOB);
    let second = world.say(ALICE, "two");
    world.run(SECOND);
    for _ in 0..3 {
        tell_alice(&mut world, old.clone());
    }
    assert_eq!(in_general(&world, first), Some(Delivery::Delivered { count: 1, of: 1 }));
    assert_eq!(marks(&world, ALICE, first).len(), 1);
    assert_eq!(in_general(&world, second), Some(Delivery::Sent));
    world.assert_no_alarms();
}

#[test]
fn nobody_says_in_anothers_name_that_a_text_was_read() {
    let (mut world, _) = World::with(406, &["alice", "bob", "carol"]);
    without_heartbeats(&mut world);
    let id = world.say(ALICE, "hello");
    world.run(SECOND);
    let bob = key(&world, BOB);
    let in_bobs_name = beat(&mut world, CAROL, |beat| beat.author = bob);
    tell_alice(&mut world, in_bobs_name);
    let stranger = world.enroll("mallory");
    let unseated = beat(&mut world, BOB, |_| {});
    let mut broken = unseated.clone();
    *broken.last_mut().unwrap() ^= 1;
    tell_alice(&mut world, broken);
    let me = key(&world, ALICE);
    let mine = beat(&mut world, ALICE, |beat| assert_eq!(beat.author, me));
    tell_alice(&mut world, mine);
    let key = IdentityKey::from_pkcs8(&world.person(stranger).key).unwrap();
    let (log, claim) = (world.general(), world.receipt(ALICE));
    let strangers = Heartbeat {
        author: key.fingerprint(),
        group: log,
        epoch: openchat_wire::Epoch(0),
        interim: Digest([0; 32]),
        seen: Seen { seq: Seq(1), log_hash: Digest([0; 32]) },
    };
    let strangers = SignedHeartbeat::sign(&strangers, &key).to_bytes();
    world.push(ALICE, ToClient::Heartbeat { log, beat: strangers, receipt: claim });
    world.run(SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    world.assert_no_alarms();
    tell_alice(&mut world, unseated);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 2 }));
}

#[test]
fn who_lies_about_what_it_has_read_is_found_out_and_delivers_nothing() {
    let (mut world, _) = World::with(407, &["alice", "bob", "carol"]);
    without_heartbeats(&mut world);
    let id = world.say(ALICE, "hello");
    world.run(SECOND);
    let lie = beat(&mut world, BOB, |beat| beat.seen.log_hash = Digest([9; 32]));
    tell_alice(&mut world, lie);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    assert_eq!(world.alarms(ALICE), [AlarmCode::HistoryFork]);
}

#[test]
fn what_is_said_of_a_place_to_come_counts_when_it_has_come_and_is_true() {
    for (seed, is_true) in [(408, true), (409, false)] {
        let (mut world, _) = World::with(seed, &["alice", "bob", "carol"]);
        without_heartbeats(&mut world);
        let id = world.say(ALICE, "hello");
        world.run(SECOND);
        // Carol's next text is in the log, and alice has not seen it yet.
        let held = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let holding = std::sync::Arc::clone(&held);
        world.liar = Box::new(Pushes(move |to, frame| match frame {
            ToClient::Heartbeat { .. } => Vec::new(),
            ToClient::Entry { .. } if to == ALICE => {
                holding.lock().unwrap().push(frame);
                Vec::new()
            }
            frame => vec![frame],
        }));
        world.say(CAROL, "next");
        world.run(SECOND);
        let ahead = beat(&mut world, BOB, |beat| {
            if !is_true {
                beat.seen.log_hash = Digest([9; 32]);
            }
        });
        let (log, receipt) = (world.general(), world.receipt(ALICE));
        world.push(ALICE, ToClient::Heartbeat { log, beat: Blob(ahead), receipt });
        world.run(100);
        assert_eq!(marks(&world, ALICE, id), [], "not before alice's own log confirms it");
        world.liar = Box::new(Honest);
        for frame in held.lock().unwrap().drain(..) {
            world.push(ALICE, frame);
        }
        world.run(100);
        let by_bob = marks(&world, ALICE, id).iter().any(|(by, ..)| by == "bob");
        assert_eq!(by_bob, is_true);
        assert_eq!(world.alarms(ALICE).contains(&AlarmCode::HistoryFork), !is_true);
    }
}

#[test]
fn many_texts_need_few_marks() {
    let (mut world, _) = World::with(410, &["alice", "bob", "carol"]);
    let (bob, carol) = (heartbeats(&world, BOB), heartbeats(&world, CAROL));
    let mut last = MessageId([0; 16]);
    for n in 0..200 {
        last = world.say(ALICE, &format!("{n}"));
        world.run(100);
    }
    world.run(5 * SECOND);
    let beats = [heartbeats(&world, BOB) - bob, heartbeats(&world, CAROL) - carol];
    assert!(beats.iter().all(|beats| (5..=13).contains(beats)), "in 25 s: {beats:?}");
    assert_eq!(in_general(&world, last), Some(Delivery::Delivered { count: 2, of: 2 }));
}

#[test]
fn who_writes_itself_need_not_mark() {
    let (mut world, _) = World::with(411, &["alice", "bob"]);
    let before = heartbeats(&world, BOB);
    for n in 0..20 {
        world.say(ALICE, &format!("{n}"));
        world.run(100);
        world.say(BOB, &format!("{n}"));
        world.run(100);
    }
    assert_eq!(heartbeats(&world, BOB), before);
}

#[test]
fn a_device_that_does_not_tell_sends_no_more_heartbeats_than_before() {
    let (mut world, _) = World::with(412, &["alice", "bob"]);
    world.person_mut(BOB).engine.as_mut().unwrap().tell_delivered(false);
    let before = heartbeats(&world, BOB);
    let id = world.say(ALICE, "hello");
    world.run(20 * SECOND);
    assert_eq!((heartbeats(&world, BOB), in_general(&world, id)), (before, Some(Delivery::Sent)));
}

#[test]
fn a_large_group_leaves_it_to_the_usual_heartbeats() {
    let names: Vec<String> = (0..65).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut world, all) = World::with(413, &names);
    let beats = |world: &World| all.iter().map(|who| heartbeats(world, *who)).sum::<usize>();
    let before = beats(&world);
    world.say(ALICE, "hello");
    world.run(30 * SECOND);
    assert!(beats(&world) <= before + 1, "{} more", beats(&world) - before);
}

#[test]
fn whoever_was_away_is_told_when_it_is_back() {
    let (mut world, _) = World::with(414, &["alice", "bob"]);
    let (alice, log) = (key(&world, ALICE), world.general());
    let id = world.say(ALICE, "hello");
    world.run(100);
    world.disconnect(ALICE);
    world.run(5 * SECOND);
    world.connect(ALICE);
    world.run(SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Sent));
    world.push(BOB, ToClient::Presence { log, online: vec![alice], offline: Vec::new() });
    world.run(5 * SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 1 }));
}

#[test]
fn presence_is_shown_as_the_relay_says_it_and_no_longer() {
    let (mut world, _) = World::with(415, &["alice", "bob", "carol"]);
    let (bob, carol) = (key(&world, BOB), key(&world, CAROL));
    let online = |world: &World| -> Vec<String> {
        let members = world.summary(ALICE, "#general").unwrap().members;
        let online = members.into_iter().filter(|member| member.online && !member.me);
        online.map(|member| member.name.to_string()).collect()
    };
    presence(&mut world, vec![bob, carol, bob], Vec::new());
    assert_eq!(online(&world), ["bob", "carol"]);
    presence(&mut world, Vec::new(), vec![carol, carol]);
    assert_eq!(online(&world), ["bob"]);
    let told = world.person(ALICE).events.iter().filter_map(|event| match event {
        Event::Presence { online, offline, .. } => Some((online.len(), offline.len())),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(2, 0), (0, 1)]);
    world.disconnect(ALICE);
    assert_eq!(online(&world), Vec::<String>::new(), "it is not known any more");
}

#[test]
fn presence_of_nobody_is_nothing_and_a_flood_of_it_is_bounded() {
    let (mut world, _) = World::with(416, &["alice", "bob"]);
    let (me, bob) = (key(&world, ALICE), key(&world, BOB));
    let invented = |n: u32| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Fingerprint(bytes)
    };
    presence(&mut world, vec![me], vec![me, bob]);
    presence(&mut world, (0..100_000).map(invented).collect(), Vec::new());
    let is_presence = |event: &Event| matches!(event, Event::Presence { .. });
    assert!(!world.person(ALICE).events.iter().any(is_presence));
    let written = world.person(ALICE).written;
    presence(&mut world, Vec::new(), (0..100_000).map(invented).collect());
    presence(&mut world, vec![bob], Vec::new());
    assert!(world.person(ALICE).events.iter().any(is_presence), "what was false is forgotten");
    assert_eq!(world.person(ALICE).written, written, "none of it is stored");
    world.assert_no_alarms();
}

#[test]
fn a_clock_that_was_set_back_delays_no_mark_for_long() {
    let (mut world, _) = World::with(417, &["alice", "bob"]);
    world.say(ALICE, "one");
    world.run(3 * SECOND);
    world.person_mut(BOB).skew = -3_600_000;
    let id = world.say(ALICE, "two");
    world.run(20 * SECOND);
    assert_eq!(in_general(&world, id), Some(Delivery::Delivered { count: 1, of: 1 }));
    assert!(world.now > START && UnixMillis(world.now).0 > 0);
}

/// The relay's own check: it hands on no heartbeat that is ahead of its log.
#[test]
fn the_relay_hands_on_no_heartbeat_ahead_of_the_log() {
    let (mut world, _) = World::with(418, &["alice", "bob"]);
    let ahead = beat(&mut world, BOB, |beat| beat.seen.seq = Seq(beat.seen.seq.0 + 1));
    let (log, bob) = (world.general(), world.person(BOB).identity.clone());
    let request = Request::Heartbeat { log, beat: Blob(ahead) };
    let outcome = world.server.relay.handle(&bob, &request, UnixMillis(world.now));
    assert!(outcome.answer.is_err());
    assert!(!outcome.publish.iter().any(|it| matches!(it, Publish::Heartbeat { .. })));
}
