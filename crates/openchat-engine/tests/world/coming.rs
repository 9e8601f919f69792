//! How people come into groups: founded with them, added, invited.

use crate::world::{MINUTE, SECOND, Who, World};
use openchat_engine::{
    AlarmCode, Bring, ConversationKind, Event, GroupKind, MemberChange, Order, Standing, Target,
};
use openchat_roster::{Inviting, Joining, Role, Rules};
use openchat_wire::Name;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// A closed group with these people.
pub(crate) fn new(group: &str, people: &[&str], how: Bring) -> Order {
    let people = people.iter().map(|person| name(person)).collect();
    Order::New { name: group.parse().unwrap(), kind: GroupKind::Closed, people, how }
}

pub(crate) fn invite(group: &str, who: &str) -> Order {
    Order::Invite { target: target(group), who: name(who) }
}

pub(crate) fn add(group: &str, who: &str) -> Order {
    Order::Add { target: target(group), who: name(who) }
}

pub(crate) fn kick(group: &str, who: &str) -> Order {
    Order::Kick { target: target(group), who: name(who) }
}

pub(crate) fn accept(group: &str) -> Order {
    Order::Accept { target: target(group) }
}

/// What changed of whom, by whom, as somebody was told it.
pub(crate) fn changes(world: &World, who: Who) -> Vec<(String, MemberChange, Option<String>)> {
    let change = |event: &Event| match event {
        Event::Member { name, change, by, .. } => {
            Some((name.to_string(), *change, by.as_ref().map(ToString::to_string)))
        }
        _ => None,
    };
    world.person(who).events.iter().filter_map(change).collect()
}

/// These people, online and with prekeys, the first of whom founds a closed `#ops` with the others.
pub(crate) fn ops(seed: u64, names: &[&str]) -> (World, Vec<Who>) {
    let mut world = World::new(seed);
    let all = world.online_people(names);
    assert_eq!(world.done(all[0], new("ops", &names[1..], Bring::Add)), "#ops");
    assert!(world.run_until(MINUTE, |world| all.iter().all(|who| world.is_ready(*who))));
    world.run(MINUTE);
    (world, all)
}

/// All of them hear what each of them says.
pub(crate) fn talk(world: &mut World, group: &str, all: &[Who]) {
    let before: Vec<usize> = all.iter().map(|who| world.person(*who).texts().len()).collect();
    for who in all {
        world.tell(*who, group, &format!("{who:?} speaks"));
    }
    world.run(2 * SECOND);
    for (who, before) in all.iter().zip(before) {
        let heard = world.person(*who).texts().len() - before;
        assert_eq!(heard, all.len(), "{who:?}: {:?}", world.person(*who).events.last());
        assert_eq!(world.queued(*who), 0);
    }
}

#[test]
fn a_closed_group_begins_with_people_who_are_in_at_once_and_claim_their_leaves() {
    let (mut world, all) = ops(200, &["alice", "bob", "carol"]);
    for who in &all {
        assert_eq!(world.members(*who, "#ops"), ["alice", "bob", "carol"]);
        let summary = world.summary(*who, "#ops").unwrap();
        assert_eq!((summary.kind, summary.standing), (ConversationKind::Closed, Standing::Member));
        assert!(summary.members.iter().all(|member| member.claimed), "{who:?}");
    }
    let told = changes(&world, all[1]);
    let by_alice = Some("alice".to_owned());
    assert!(told.contains(&("bob".to_owned(), MemberChange::Added, by_alice)), "{told:?}");
    assert!(told.contains(&("carol".to_owned(), MemberChange::Claimed, None)), "{told:?}");
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
    world.assert_same(&all);
}

#[test]
fn who_is_away_reads_everything_since_it_was_added() {
    let mut world = World::new(201);
    let all = world.online_people(&["alice", "bob"]);
    world.kill(all[1]);
    world.done(all[0], new("ops", &["bob"], Bring::Add));
    for n in 0..5 {
        world.tell(all[0], "#ops", &format!("{n}"));
    }
    world.run(48 * 60 * MINUTE);
    world.tell(all[0], "#ops", "5");
    world.run(SECOND);
    world.wake(all[1]);
    world.run(SECOND);
    assert_eq!(world.person(all[1]).texts_in("#ops"), ["0", "1", "2", "3", "4", "5"]);
    world.run(MINUTE);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

#[test]
fn the_invited_are_asked_and_come_in_if_they_want_to() {
    let (mut world, all) = ops(202, &["alice", "bob"]);
    let more = world.online_people(&["carol", "dave"]);
    for who in ["carol", "dave"] {
        assert_eq!(world.done(all[1], invite("#ops", who)), "#ops");
    }
    world.run(SECOND);
    for who in &more {
        let is_asked = |event: &Event| {
            matches!(event, Event::Invited { target, by, members }
                if target == "#ops" && *by == Some(name("bob")) && members.len() == 2)
        };
        assert!(world.person(*who).events.iter().any(is_asked), "{:?}", world.person(*who).events);
        assert_eq!(world.summary(*who, "#ops").unwrap().standing, Standing::Invited);
        assert_eq!(world.members(all[0], "#ops"), ["alice", "bob"]);
    }
    // An invitation outlives the process, and is told again.
    world.kill(more[0]);
    world.forget_events();
    world.wake(more[0]);
    world.run(SECOND);
    let asked = |event: &Event| matches!(event, Event::Invited { by: Some(_), .. });
    assert!(world.person(more[0]).events.iter().any(asked));

    assert_eq!(world.done(more[0], accept("#ops")), "#ops");
    assert_eq!(world.done(more[1], Order::Decline { target: target("#ops") }), "#ops");
    world.run(10 * SECOND);
    assert_eq!(world.members(all[0], "#ops"), ["alice", "bob", "carol"]);
    assert_eq!(world.summary(all[0], "#ops").unwrap().invited, [] as [Name; 0]);
    for who in [all[0], all[1], more[0]] {
        let told = changes(&world, who);
        let of_dave = told.iter().filter(|(_, change, _)| *change == MemberChange::Declined);
        let told: Vec<_> = of_dave.map(|(name, _, by)| (name.as_str(), by.as_deref())).collect();
        assert_eq!(told, [("dave", None)], "nobody else has decided it");
    }
    talk(&mut world, "#ops", &[all[0], all[1], more[0]]);
    assert_eq!(world.person(more[1]).texts(), [] as [&str; 0]);
    world.assert_no_alarms();

    // Who has declined is not asked again by itself, but may be invited again.
    world.forget_events();
    world.reconnect(more[1]);
    world.run(MINUTE);
    assert_eq!(world.person(more[1]).events, []);
    world.done(all[0], invite("#ops", "dave"));
    world.run(SECOND);
    world.done(more[1], accept("#ops"));
    talk(&mut world, "#ops", &[all[0], all[1], more[0], more[1]]);
}

#[test]
fn who_was_invited_while_away_finds_the_invitation() {
    let (mut world, all) = ops(203, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    world.kill(carol);
    world.done(all[0], invite("#ops", "carol"));
    world.run(MINUTE);
    world.wake(carol);
    world.run(SECOND);
    assert_eq!(world.done(carol, accept("#ops")), "#ops");
    talk(&mut world, "#ops", &[all[0], all[1], carol]);
    world.assert_no_alarms();
}

#[test]
fn who_never_left_prekeys_can_be_invited_and_learns_the_name_inside() {
    let (mut world, all) = ops(204, &["alice", "bob"]);
    let carol = world.enroll("carol");
    assert_eq!(world.fails(all[0], add("#ops", "carol")), "no-prekey");
    world.done(all[0], invite("#ops", "carol"));
    world.wake(carol);
    world.run(10 * SECOND);
    let invited = world.person(carol).events.iter().find_map(|event| match event {
        Event::Invited { target, .. } => Some(target.clone()),
        _ => None,
    });
    let nameless = invited.expect("the relay tells that there is a group");
    assert!(nameless.starts_with("#~"), "{nameless}");
    world.done(carol, accept(&nameless));
    world.run(10 * SECOND);
    assert!(world.summary(carol, "#ops").is_some(), "a member has told the name");
    talk(&mut world, "#ops", &[all[0], all[1], carol]);
    world.assert_no_alarms();
}

#[test]
fn a_group_may_begin_with_more_people_than_prekeys_are_handed_out_at_once() {
    let mut world = World::new(211);
    let names: Vec<String> = (0..70).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = world.online_people(&names);
    for who in &all[1..] {
        world.kill(*who);
    }
    let before = world.requests.len();
    world.done(all[0], new("ops", &names[1..], Bring::Add));
    assert!(world.requests.len() - before < 600, "{} requests", world.requests.len() - before);
    assert_eq!(world.members(all[0], "#ops").len(), 70);
    world.tell(all[0], "#ops", "hello");
    world.run(SECOND);
    world.wake(all[69]);
    world.run(SECOND);
    assert_eq!(world.person(all[69]).texts(), ["hello"]);
    world.assert_no_alarms();
}

#[test]
fn k1_nobody_is_added_or_invited_whom_the_log_does_not_have() {
    for how in [add("#ops", "carol"), invite("#ops", "carol")] {
        let (mut world, all) = ops(212, &["alice", "bob"]);
        world.online_people(&["carol"]);
        // Bob's device, which comes again with nothing in its mirror, is shown a log without her.
        world.show_log(&[Who(1)], |mut entries| {
            entries.truncate(2);
            entries
        });
        world.person_mut(Who(1)).forget_log();
        world.wake(Who(1));
        world.run(SECOND);
        world.done(all[0], how);
        world.run(SECOND);
        assert_eq!(world.alarms(all[1]), [AlarmCode::Uncertified]);
        assert_eq!(world.summary(all[1], "#ops").unwrap().standing, Standing::Halted);
        assert_eq!(world.alarms(all[0]), []);
    }
}

#[test]
fn two_groups_of_one_name_can_be_told_apart() {
    let mut world = World::new(205);
    let all = world.online_people(&["alice", "bob", "carol"]);
    world.done(all[0], new("ops", &["carol"], Bring::Add));
    world.run(SECOND);
    world.done(all[1], new("ops", &["carol"], Bring::Add));
    world.run(MINUTE);
    let targets: Vec<String> = {
        let engine = world.person(all[2]).engine.as_ref().unwrap();
        engine.conversations().map(|summary| summary.target.to_string()).collect()
    };
    assert_eq!(targets[0], "#ops");
    assert!(targets[1].starts_with("#ops~"), "{targets:?}");
    world.tell(all[2], &targets[1], "for bob");
    world.tell(all[2], "#ops", "for alice");
    world.run(SECOND);
    assert_eq!(world.person(all[0]).texts(), ["for alice"]);
    assert_eq!(world.person(all[1]).texts(), ["for bob"]);
    world.assert_no_alarms();
}

#[test]
fn rules_and_roles_are_kept_and_changed_by_admins() {
    let (mut world, all) = ops(206, &["alice", "bob", "carol"]);
    let rules = Rules { join: Joining::Admitted, invite: Inviting::Admins };
    let set = |rules| Order::Rules { target: target("#ops"), rules };
    let role = |who, role| Order::Role { target: target("#ops"), who: name(who), role };
    assert_eq!(world.fails(all[1], set(rules)), "admins-only");
    assert_eq!(world.fails(all[1], role("bob", Role::Admin)), "admins-only");
    assert_eq!(world.fails(all[1], kick("#ops", "carol")), "admins-only");
    let epoch = world.epoch(all[0]);
    assert_eq!(world.fails(all[0], role("alice", Role::Member)), "last-admin");
    assert_eq!(world.epoch(all[0]), epoch, "nothing was committed");
    world.done(all[0], set(rules));
    world.run(SECOND);
    let told = |event: &Event| matches!(event, Event::Rules { rules: new, .. } if *new == rules);
    assert!(world.person(all[1]).events.iter().any(told));
    world.online_people(&["dave"]);
    assert_eq!(world.fails(all[1], invite("#ops", "dave")), "admins-only");
    world.done(all[0], role("bob", Role::Admin));
    world.run(SECOND);
    world.done(all[1], invite("#ops", "dave"));
    world.done(all[1], role("alice", Role::Member));
    world.run(SECOND);
    assert_eq!(
        world.fails(all[0], set(Rules { invite: Inviting::Members, ..rules })),
        "admins-only"
    );
    let told = changes(&world, all[2]);
    let by = |who: &str| Some(who.to_owned());
    assert!(told.contains(&("bob".to_owned(), MemberChange::Admin, by("alice"))));
    assert!(told.contains(&("alice".to_owned(), MemberChange::Member, by("bob"))));
    world.assert_no_alarms();
}

#[test]
fn what_makes_no_sense_is_said() {
    let (mut world, all) = ops(207, &["alice", "bob"]);
    assert_eq!(world.fails(all[0], add("#ops", "nobody")), "no-such-person");
    assert_eq!(world.fails(all[0], add("#ops", "alice")), "myself");
    assert_eq!(world.fails(all[0], add("#nowhere", "bob")), "no-such-conversation");
    assert_eq!(world.fails(all[0], add("#ops~ffff", "bob")), "no-such-conversation");
    assert_eq!(world.fails(all[0], new("dev", &["bob", "nobody"], Bring::Add)), "no-such-person");
    assert_eq!(world.summary(all[0], "#dev"), None, "nothing was begun");
    let open = Order::New {
        name: "general".parse().unwrap(),
        kind: GroupKind::Open,
        people: vec![name("bob")],
        how: Bring::Add,
    };
    assert_eq!(world.done(all[0], open.clone()), "#general");
    world.run(SECOND);
    assert!(world.summary(all[1], "#general").is_some());
    let carol = world.online_people(&["carol"])[0];
    assert_eq!(world.fails(carol, open), "name-taken");
    world.assert_no_alarms();
}

#[test]
fn an_order_that_is_so_already_is_done() {
    let (mut world, all) = ops(208, &["alice", "bob"]);
    let before = world.summary(all[0], "#ops").unwrap().epoch;
    world.done(all[0], add("#ops", "bob"));
    world.done(all[0], invite("#ops", "bob"));
    world.done(all[0], accept("#ops"));
    assert_eq!(world.summary(all[0], "#ops").unwrap().epoch, before);
}

#[test]
fn orders_of_several_people_at_once_are_all_done() {
    let (mut world, all) = ops(209, &["alice", "bob", "carol"]);
    let names: Vec<String> = (0..6).map(|n| format!("new{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.online_people(&names);
    let mut orders = Vec::new();
    for (n, who) in names.iter().enumerate() {
        orders.push((all[n % 3], world.order(all[n % 3], add("#ops", who))));
        // Somebody else wants the same at the same time.
        orders.push((all[(n + 1) % 3], world.order(all[(n + 1) % 3], add("#ops", who))));
    }
    world.run(MINUTE);
    for (who, order) in orders {
        assert_eq!(world.outcome(who, order), Some(Ok("#ops".to_owned())), "{who:?}");
    }
    assert_eq!(world.members(all[0], "#ops").len(), 9);
    world.run(2 * MINUTE);
    let everybody: Vec<Who> = (0..9).map(Who).collect();
    talk(&mut world, "#ops", &everybody);
    world.assert_no_alarms();
}

#[test]
fn the_name_of_a_closed_group_leaves_no_device_in_the_clear() {
    let mut world = World::new(210);
    let secret = "quokka-plans";
    let all = world.online_people(&["alice", "bob", "carol"]);
    world.done(all[0], new(secret, &["bob"], Bring::Add));
    world.done(all[0], invite(&format!("#{secret}"), "carol"));
    world.run(SECOND);
    world.done(all[2], accept(&format!("#{secret}")));
    world.run(MINUTE);
    // Bob loses everything, and is told the name again.
    world.kill(all[1]);
    world.person_mut(all[1]).vault = crate::vault::Vault::default();
    world.wake(all[1]);
    world.run(2 * MINUTE);
    assert!(world.summary(all[1], &format!("#{secret}")).is_some());
    talk(&mut world, &format!("#{secret}"), &all);
    assert!(world.requests.len() > 50);
    for (who, request) in &world.requests {
        let shows = request.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!shows, "{who:?}");
    }
}
