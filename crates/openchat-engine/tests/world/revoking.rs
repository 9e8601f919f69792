//! A key that the log revokes leaves every group, without a person acting (`docs/protocol.md` §9.4).

use crate::{
    coming::{changes, invite, name, ops, target},
    forge::Forger,
    insider::stored,
    liar::Honest,
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Event, MemberChange, Order, Standing};
use openchat_group::{Content, ContentKind};
use openchat_roster::{LogEntry, Role};
use openchat_wire::{
    Blob, Epoch, MessageId, Seq, UnixMillis,
    relay::{Refusal, Request, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);

#[test]
fn t15_a_group_is_keyed_anew_without_the_revoked_one_by_one_commit_within_seconds() {
    let names = ["alice", "bob", "carol", "dan", "erin", "frank", "gina", "hugo"];
    for seed in 760..764 {
        let (mut world, all) = World::with(seed, &names);
        let (before, epoch) = (world.commits(), world.epoch(ALICE));
        world.revoke(BOB);
        let is_out = |world: &World| !world.members(ALICE, "#general").contains(&"bob".to_owned());
        assert!(world.run_until(4 * SECOND, is_out), "seed {seed}");
        world.run(MINUTE);
        assert_eq!(world.commits() - before, 1, "seed {seed}: one commit wins and none follows");
        for who in all.iter().filter(|who| **who != BOB) {
            assert_eq!(world.epoch(*who), epoch + 1);
            assert_eq!(world.members(*who, "#general").len(), 7);
            let told = changes(&world, *who);
            let revoked = |it: &&(String, MemberChange, Option<String>)| {
                it.0 == "bob" && it.1 == MemberChange::Revoked
            };
            assert_eq!(told.iter().filter(revoked).count(), 1, "{told:?}");
        }
        world.say(ALICE, "without him");
        world.run(SECOND);
        assert_eq!(world.person(CAROL).texts(), ["without him"]);
        world.assert_no_alarms();
    }
}

#[test]
fn t15_what_the_revoked_one_writes_and_would_read_afterwards_it_can_t() {
    let (mut world, all) = World::with(765, &["alice", "bob", "carol"]);
    world.say(ALICE, "before");
    world.run(SECOND);
    let log = world.general();
    let (key, mut group) = (Forger::person(&world, BOB).key, stored(&mut world, log, BOB));
    world.revoke(BOB);
    world.run(10 * SECOND);
    world.say(ALICE, "after");
    world.run(SECOND);
    // The relay is on his side and takes what he seals with the secrets that he has.
    let (time, id) = (UnixMillis(world.now), MessageId([9; 16]));
    let content = Content { time, kind: ContentKind::TEXT, body: Blob(b"I am bob".to_vec()) };
    let sealed = LogEntry::Message(group.seal(&key, id, &content).unwrap()).to_bytes();
    for (seq, entry) in world.server.entries(&log, Seq(0)) {
        let Ok(LogEntry::Message(message)) = LogEntry::decode(&entry) else { continue };
        if message.header.epoch > group.roster().epoch() {
            assert!(group.open(&message).is_err(), "{seq:?}: he has none of the secrets of now");
        }
    }
    assert!(group.roster().epoch() < Epoch(world.epoch(ALICE)));
    let seq = Seq(world.log().last().unwrap().0.0 + 1);
    for who in [ALICE, CAROL] {
        world.push(who, ToClient::Entry { log, seq, entry: Blob(sealed.clone()) });
    }
    world.run(SECOND);
    for who in [ALICE, CAROL] {
        assert_eq!(world.person(who).texts(), ["before", "after"]);
        assert_eq!(world.person(who).unreadable().len(), 1);
    }
    // An honest relay takes nothing from him.
    let entry = Blob(sealed);
    let identity = world.person(all[1]).identity.clone();
    let append = Request::Append { log, entry, letters: Vec::new(), follows: false };
    let refused = world.server.relay.handle(&identity, &append, UnixMillis(world.now)).answer;
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn t15_who_was_invited_and_is_revoked_is_invited_no_more() {
    let (mut world, all) = ops(766, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    world.done(all[0], invite("#ops", "carol"));
    world.run(SECOND);
    assert_eq!(world.summary(BOB, "#ops").unwrap().invited, [name("carol")]);
    world.revoke(carol);
    world.run(5 * SECOND);
    for who in [ALICE, BOB] {
        assert!(world.summary(who, "#ops").unwrap().invited.is_empty(), "{who:?}");
    }
    world.assert_no_alarms();
}

#[test]
fn t15_a_revoked_admin_leaves_the_group_to_the_others() {
    let (mut world, all) = ops(767, &["alice", "bob", "carol"]);
    world.revoke(all[0]);
    world.run(10 * SECOND);
    for who in [BOB, CAROL] {
        assert_eq!(world.members(who, "#ops"), ["bob", "carol"]);
    }
    let admins = world.summary(BOB, "#ops").unwrap().members;
    assert_eq!(admins.iter().filter(|it| it.role == Role::Admin).count(), 1);
    world.tell(BOB, "#ops", "still a group");
    world.run(SECOND);
    assert_eq!(world.person(CAROL).texts(), ["still a group"]);
    world.assert_no_alarms();
}

#[test]
fn t15_two_at_once_and_one_while_nobody_was_there() {
    let (mut world, all) = World::with(768, &["alice", "bob", "carol", "dan"]);
    world.revoke(BOB);
    world.revoke(CAROL);
    world.run(10 * SECOND);
    assert_eq!(world.members(ALICE, "#general"), ["alice", "dan"]);
    let erin = world.enroll("erin");
    world.start(erin);
    world.run(2 * SECOND);
    for who in [all[0], all[3], erin] {
        world.kill(who);
    }
    world.revoke(all[3]);
    world.run(HOUR);
    assert_eq!(world.summary(ALICE, "#general"), None, "nobody is there");
    world.start(erin);
    world.run(10 * SECOND);
    assert_eq!(world.members(erin, "#general"), ["alice", "erin"]);
    world.start(ALICE);
    world.run(5 * SECOND);
    assert_eq!(world.members(ALICE, "#general"), ["alice", "erin"]);
    world.assert_no_alarms();
}

#[test]
fn t15_a_whole_team_at_once_is_removed_by_few_commits() {
    let names: Vec<String> = (0..45).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut world, all) = World::with(769, &names);
    let before = world.commits();
    for who in &all[5..] {
        world.revoke(*who);
    }
    let is_done = |world: &World| world.members(ALICE, "#general").len() == 5;
    assert!(world.run_until(30 * SECOND, is_done), "{}", world.members(ALICE, "#general").len());
    world.run(MINUTE);
    assert!(world.commits() - before <= 6, "{} commits", world.commits() - before);
    world.assert_no_alarms();
}

#[test]
fn t15_a_relay_that_refuses_the_removal_keeps_nobody_busy_and_is_asked_again() {
    for refusal in [
        Refusal::Invalid("C18".to_owned()),
        Refusal::Internal,
        Refusal::NoAccess,
        Refusal::TooLarge,
        Refusal::Paced { retry_ms: 10 },
    ] {
        let (mut world, _) = World::with(770, &["alice", "bob", "carol"]);
        world.liar = Box::new(Refuses(refusal.clone()));
        world.revoke(BOB);
        world.run(10 * SECOND);
        let before = world.person(ALICE).requests;
        world.run(MINUTE);
        let requests = world.person(ALICE).requests - before;
        assert!(requests < 200, "{refusal:?}: {requests} in a minute");
        assert_eq!(world.members(ALICE, "#general").len(), 3);
        world.liar = Box::new(Honest);
        world.run(2 * MINUTE);
        assert_eq!(world.members(ALICE, "#general"), ["alice", "carol"], "{refusal:?}");
        assert_eq!(world.members(CAROL, "#general"), ["alice", "carol"], "{refusal:?}");
    }
}

/// Takes no commit.
struct Refuses(Refusal);

impl crate::liar::Lies for Refuses {
    fn instead(&mut self, _: Who, request: &Request) -> Option<crate::liar::Said> {
        crate::answers::is_commit(request).then(|| Err(self.0.clone()))
    }
}

#[test]
fn t15_a_revoked_key_that_the_relay_lets_in_again_is_removed_again() {
    let (mut world, _) = World::with(771, &["alice", "bob"]);
    let mallory = world.enroll("mallory");
    let (log, entries) = (world.general(), world.log());
    let head = crate::forge::current_head(&mut world, ALICE);
    let forger = Forger::person(&world, mallory);
    let join = forger.join(log, &entries, (head, crate::forge::Fault::None), &mut world.rng);
    // The relay takes her join a moment before it hears of the revocation.
    world.append(
        mallory,
        &Request::Append { log, entry: join, letters: Vec::new(), follows: false },
    );
    let (name, now) = (world.person(mallory).identity.name.clone(), world.server_time());
    world.server.relay.revoke(&name, now).unwrap().unwrap();
    world.note_growth();
    world.run(10 * SECOND);
    for who in [ALICE, BOB] {
        assert_eq!(world.members(who, "#general"), ["alice", "bob"]);
    }
    world.assert_no_alarms();
}

#[test]
fn t15_who_is_revoked_hears_why_and_does_nothing_more() {
    let (mut world, _) = World::with(772, &["alice", "bob"]);
    // The server keeps the connection.
    let (name, now) = (world.person(BOB).identity.name.clone(), world.server_time());
    world.server.relay.revoke(&name, now).unwrap().unwrap();
    world.note_growth();
    world.run(10 * SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::Revoked]);
    let gone = |event: &Event| matches!(event, Event::Gone { change: MemberChange::Revoked, by: Some(by), .. } if by.as_str() == "alice");
    assert!(world.person(BOB).events.iter().any(gone), "{:?}", world.person(BOB).events);
    assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Out);
    assert_eq!(world.alarms(ALICE), []);
    let before = world.person(BOB).requests;
    world.run(10 * MINUTE);
    assert!(world.person(BOB).requests - before < 40);
    world.kill(BOB);
    world.forget_events();
    world.wake(BOB);
    world.run(2 * SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::Revoked], "again at each start, and nothing else");
}

#[test]
fn t15_a_removal_that_was_ordered_and_a_revocation_do_not_get_in_each_others_way() {
    let (mut world, all) = ops(773, &["alice", "bob", "carol"]);
    let order = world.order(all[0], Order::Kick { target: target("#ops"), who: name("bob") });
    world.revoke(BOB);
    world.run(MINUTE);
    assert!(matches!(world.outcome(all[0], order), Some(Ok(_))));
    assert_eq!(world.members(CAROL, "#ops"), ["alice", "carol"]);
    world.assert_no_alarms();
}

#[test]
fn a_relay_that_lets_nobody_go_keeps_nobody_busy() {
    let (mut world, all) = ops(774, &["alice", "bob", "carol"]);
    world.liar = Box::new(Refuses(Refusal::Invalid("C16".to_owned())));
    world.done(all[1], Order::Leave { target: target("#ops") });
    world.run(10 * SECOND);
    let before = world.person(ALICE).requests;
    world.run(MINUTE);
    let requests = world.person(ALICE).requests - before;
    assert!(requests < 200, "{requests} in a minute");
    world.liar = Box::new(Honest);
    world.run(MINUTE);
    assert_eq!(world.members(CAROL, "#ops"), ["alice", "carol"]);
}
