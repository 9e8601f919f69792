//! How people leave groups, and are removed.

use crate::{
    coming::{accept, add, changes, invite, kick, new, ops, talk, target},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{
    Bring, Command, Event, GroupKind, Input, Inviting, Joining, MemberChange, Order, Rules,
    Standing, Target,
};
use openchat_wire::{MessageId, Name};

/// `Kind::Commit` as it is stored: numbers are for ever.
const COMMIT: u8 = 6;

fn leave(group: &str) -> Order {
    Order::Leave { target: target(group) }
}

/// How somebody was told that it is out: why, and by whom.
fn gone(world: &World, who: Who) -> Option<(MemberChange, Option<String>)> {
    world.person(who).events.iter().find_map(|event| match event {
        Event::Gone { change, by, .. } => Some((*change, by.as_ref().map(Name::to_string))),
        _ => None,
    })
}

fn failure(world: &World, who: Who, message: MessageId) -> Option<&'static str> {
    world.person(who).events.iter().find_map(|event| match event {
        Event::Failed { id: Some(id), code, .. } if *id == message => Some(*code),
        _ => None,
    })
}

#[test]
fn who_leaves_is_let_go_by_whoever_is_there() {
    let (mut world, all) = ops(220, &["alice", "bob", "carol"]);
    assert_eq!(world.done(all[2], leave("#ops")), "#ops");
    assert!(world.run_until(10 * SECOND, |world| gone(world, all[2]).is_some()));
    let (change, by) = gone(&world, all[2]).unwrap();
    assert_eq!(change, MemberChange::Left);
    assert!(["alice", "bob"].contains(&by.unwrap().as_str()));
    world.run(10 * SECOND);
    for who in &all[..2] {
        assert_eq!(world.members(*who, "#ops"), ["alice", "bob"]);
        let left = |(name, change, _): &(String, MemberChange, Option<String>)| {
            name == "carol" && *change == MemberChange::Left
        };
        let told = changes(&world, *who).iter().filter(|it| left(it)).count();
        // Whoever has removed her has told it by the order's own event.
        assert!(told <= 1);
    }
    assert_eq!(world.summary(all[2], "#ops").unwrap().standing, Standing::Out);
    let id = world.tell(all[2], "#ops", "too late");
    assert_eq!(failure(&world, all[2], id), Some("not-a-member"));
    talk(&mut world, "#ops", &all[..2]);
    assert_eq!(world.person(all[2]).texts(), [] as [&str; 0]);

    // It does not come back by itself, but may be invited again.
    world.reconnect(all[2]);
    world.run(MINUTE);
    assert_eq!(world.summary(all[2], "#ops").unwrap().standing, Standing::Out);
    world.done(all[1], invite("#ops", "carol"));
    world.run(SECOND);
    world.done(all[2], accept("#ops"));
    world.run(MINUTE);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

#[test]
fn a_request_to_leave_waits_for_somebody_to_see_to_it() {
    let (mut world, all) = ops(221, &["alice", "bob"]);
    world.kill(all[0]);
    world.done(all[1], leave("#ops"));
    world.run(MINUTE);
    assert_eq!(gone(&world, all[1]), None);
    let id = world.tell(all[1], "#ops", "on second thoughts");
    assert_eq!(failure(&world, all[1], id), Some("not-a-member"));
    // Neither forgets it over a restart.
    world.kill(all[1]);
    world.wake(all[1]);
    world.run(SECOND);
    world.kill(all[1]);
    world.wake(all[0]);
    world.run(500);
    world.kill(all[0]);
    world.wake(all[0]);
    world.run(MINUTE);
    assert_eq!(world.members(all[0], "#ops"), ["alice"]);
    world.forget_events();
    world.wake(all[1]);
    world.run(10 * SECOND);
    assert_eq!(gone(&world, all[1]), Some((MemberChange::Left, Some("alice".to_owned()))));
    assert_eq!(world.summary(all[1], "#ops").unwrap().standing, Standing::Out);
    world.assert_no_alarms();
}

#[test]
fn who_is_in_has_no_invitation_to_decline() {
    let (mut world, all) = ops(223, &["alice", "bob"]);
    let decline = || Order::Decline { target: target("#ops") };
    assert_eq!(world.fails(all[1], decline()), "already-in");
    let carol = world.online_people(&["carol"])[0];
    world.done(all[0], invite("#ops", "carol"));
    world.run(SECOND);
    world.done(carol, accept("#ops"));
    assert_eq!(world.fails(carol, decline()), "already-in");
    world.run(MINUTE);
    assert_eq!(world.members(all[0], "#ops"), ["alice", "bob", "carol"]);
    talk(&mut world, "#ops", &[all[0], all[1], carol]);
}

#[test]
fn nobody_is_removed_who_is_not_there() {
    let (mut world, all) = ops(224, &["alice", "bob"]);
    world.online_people(&["carol"]);
    assert_eq!(world.fails(all[0], kick("#ops", "nobody")), "not-a-member");
    assert_eq!(world.fails(all[0], kick("#ops", "carol")), "not-a-member");
    world.done(all[0], invite("#ops", "carol"));
    world.run(SECOND);
    world.forget_events();
    world.done(all[0], kick("#ops", "carol"));
    world.run(SECOND);
    let back = ("carol".to_owned(), MemberChange::Declined, Some("alice".to_owned()));
    assert!(changes(&world, all[1]).contains(&back), "alice has decided it");
    world.done(all[0], kick("#ops", "bob"));
    assert_eq!(world.fails(all[0], kick("#ops", "bob")), "not-a-member");
}

#[test]
fn the_last_one_just_goes() {
    let (mut world, all) = ops(222, &["alice"]);
    world.done(all[0], leave("#ops"));
    assert_eq!(gone(&world, all[0]), Some((MemberChange::Left, None)));
    world.kill(all[0]);
    world.wake(all[0]);
    world.run(MINUTE);
    assert_eq!(world.summary(all[0], "#ops").unwrap().standing, Standing::Out);
}

#[test]
fn who_has_left_while_nobody_was_there_is_let_go_by_whoever_comes() {
    let (mut world, all) = World::with(224, &["alice"]);
    let alice = all[0];
    world.done(alice, leave("#general"));
    assert_eq!(gone(&world, alice), Some((MemberChange::Left, None)));
    world.disconnect(alice);
    let bob = world.enroll("bob");
    world.start(bob);
    assert!(world.run_until(MINUTE, |world| world.is_ready(bob)));
    assert_eq!(world.members(bob, "#general"), ["alice", "bob"]);
    world.run(2 * MINUTE);
    world.connect(alice);
    world.run(MINUTE);
    assert_eq!(world.members(bob, "#general"), ["bob"]);
    assert_eq!(world.summary(alice, "#general").unwrap().standing, Standing::Out);
    // That she was asks for nothing any more, and she may come again.
    let asked = world.person(alice).requests;
    world.run(MINUTE);
    assert!(world.person(alice).requests < asked + 5);
    world.open(alice, "#general");
    world.run(MINUTE);
    talk(&mut world, "#general", &[alice, bob]);
    world.assert_no_alarms();
}

#[test]
fn who_was_removed_and_added_again_while_it_was_away_is_shown_a_talk_without_a_gap() {
    let (mut world, all) = ops(225, &["alice", "bob"]);
    world.disconnect(all[1]);
    world.done(all[0], kick("#ops", "bob"));
    world.done(all[0], add("#ops", "bob"));
    world.connect(all[1]);
    // Some are pushed to bob because of his first question while the second one is on its way.
    for n in 0..60 {
        world.tell(all[0], "#ops", &format!("{n}"));
        world.run(7);
    }
    world.run(MINUTE);
    assert_eq!(world.person(all[1]).texts_in("#ops").len(), 60);
    world.assert_no_alarms();
}

#[test]
fn an_open_group_that_one_has_left_keeps_its_name() {
    let (mut world, all) = World::with(226, &["alice", "bob"]);
    world.done(all[1], leave("#general"));
    world.run(MINUTE);
    let name = "general".parse().unwrap();
    let again = Order::New { name, kind: GroupKind::Open, people: Vec::new(), how: Bring::Add };
    assert_eq!(world.fails(all[1], again), "name-taken");
    world.open(all[1], "#general");
    world.run(MINUTE);
    talk(&mut world, "#general", &all);
    world.assert_no_alarms();
}

#[test]
fn who_has_left_a_closed_group_alone_is_out_of_it_whatever_it_types() {
    let mut world = World::new(228);
    let all = world.online_people(&["alice", "bob"]);
    world.done(all[0], new("ops", &["bob"], Bring::Invite));
    world.run(SECOND);
    world.done(all[0], leave("#ops"));
    world.done(all[1], accept("#ops"));
    world.run(2 * MINUTE);
    world.reconnect(all[0]);
    world.run(MINUTE);
    assert_eq!(world.members(all[1], "#ops"), ["bob"]);
    world.open(all[0], "#ops");
    world.run(MINUTE);
    world.reconnect(all[0]);
    world.run(MINUTE);
    assert_eq!(world.summary(all[0], "#ops").unwrap().standing, Standing::Out);
    world.done(all[1], add("#ops", "alice"));
    world.run(MINUTE);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

#[test]
fn who_is_not_let_in_keeps_nothing_of_the_group_and_may_come_later() {
    let (mut world, all) = World::with(227, &["alice", "bob"]);
    let rules = |join| Order::Rules {
        target: target("#general"),
        rules: Rules { join, invite: Inviting::Members },
    };
    world.done(all[0], rules(Joining::Admitted));
    let carol = world.online_people(&["carol"])[0];
    world.open(carol, "#general");
    // Its process ends on the way, and starts again.
    world.run(150);
    world.kill(carol);
    world.wake(carol);
    world.open(carol, "#general");
    world.run(MINUTE);
    let records = &world.person(carol).vault.records;
    let commits = records.keys().filter(|key| key.kind == COMMIT).count();
    assert_eq!(commits, 0, "{:?}", world.person(carol).events);
    world.done(all[0], rules(Joining::Anyone));
    world.open(carol, "#general");
    world.run(MINUTE);
    talk(&mut world, "#general", &[all[0], all[1], carol]);
    world.assert_no_alarms();
}

#[test]
fn who_is_removed_is_told_by_whom_and_what_was_not_sent() {
    let (mut world, all) = ops(223, &["alice", "bob", "carol"]);
    world.disconnect(all[2]);
    let id = world.tell(all[2], "#ops", "never sent");
    world.done(all[0], kick("#ops", "carol"));
    world.tell(all[0], "#ops", "carol does not read this");
    world.run(SECOND);
    world.connect(all[2]);
    world.run(SECOND);
    assert_eq!(gone(&world, all[2]), Some((MemberChange::Removed, Some("alice".to_owned()))));
    assert_eq!(failure(&world, all[2], id), Some("gone"));
    assert_eq!(world.queued(all[2]), 0);
    assert_eq!(world.person(all[2]).texts(), [] as [&str; 0]);
    let told = changes(&world, all[1]);
    let by_alice = Some("alice".to_owned());
    assert!(told.contains(&("carol".to_owned(), MemberChange::Removed, by_alice)));
    // By herself she does not come back, and only an admin may bring her.
    assert_eq!(world.fails(all[2], accept("#ops")), "no-access");
    assert_eq!(world.fails(all[1], invite("#ops", "carol")), "denied");
    world.done(all[0], add("#ops", "carol"));
    world.run(MINUTE);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

#[test]
fn who_is_removed_while_online_is_out_at_once() {
    let (mut world, all) = ops(224, &["alice", "bob", "carol"]);
    world.done(all[0], kick("#ops", "bob"));
    world.tell(all[2], "#ops", "without bob");
    world.run(SECOND);
    assert_eq!(gone(&world, all[1]), Some((MemberChange::Removed, Some("alice".to_owned()))));
    assert_eq!(world.person(all[1]).texts(), [] as [&str; 0]);
    let records = &world.person(all[1]).vault.records;
    let secrets = records.keys().filter(|key| key.kind == 14).count();
    assert_eq!(secrets, 0, "its keys of the group are gone");
    talk(&mut world, "#ops", &[all[0], all[2]]);
    world.assert_no_alarms();
}

#[test]
fn an_invitation_can_be_taken_back() {
    let (mut world, all) = ops(225, &["alice", "bob"]);
    let carol = world.online_people(&["carol"])[0];
    world.done(all[0], invite("#ops", "carol"));
    world.run(SECOND);
    world.done(all[0], kick("#ops", "carol"));
    world.run(SECOND);
    let code = world.fails(carol, accept("#ops"));
    assert!(["not-invited", "no-access"].contains(&code.as_str()), "{code}");
    world.assert_no_alarms();
}

#[test]
fn who_was_added_and_removed_while_away_hears_of_neither() {
    let mut world = World::new(226);
    let all = world.online_people(&["alice", "bob"]);
    world.kill(all[1]);
    world.done(all[0], new("ops", &["bob"], Bring::Add));
    world.done(all[0], kick("#ops", "bob"));
    world.forget_events();
    world.wake(all[1]);
    world.run(MINUTE);
    assert_eq!(world.queued(all[1]), 0);
    world.assert_no_alarms();
    let engine = world.person(all[1]).engine.as_ref().unwrap();
    assert_eq!(engine.conversations().count(), 0);
    assert!(engine.is_settled());
    assert_eq!(world.person(all[1]).events, []);
}

#[test]
fn who_was_removed_and_brought_back_while_away_is_in() {
    for how in [add("#ops", "carol"), invite("#ops", "carol")] {
        let (mut world, all) = ops(229, &["alice", "bob", "carol"]);
        world.tell(all[0], "#ops", "before");
        world.run(SECOND);
        world.kill(all[2]);
        world.done(all[0], kick("#ops", "carol"));
        world.tell(all[0], "#ops", "while she was out");
        world.run(SECOND);
        world.done(all[0], how.clone());
        world.tell(all[0], "#ops", "after");
        world.forget_events();
        world.wake(all[2]);
        world.run(MINUTE);
        if matches!(how, Order::Invite { .. }) {
            assert_eq!(world.summary(all[2], "#ops").unwrap().standing, Standing::Invited);
            world.done(all[2], accept("#ops"));
            assert_eq!(world.person(all[2]).texts(), ["before"]);
        } else {
            assert_eq!(world.person(all[2]).texts(), ["before", "after"]);
        }
        world.run(MINUTE);
        talk(&mut world, "#ops", &all);
        assert_eq!(gone(&world, all[2]), None);
        assert_eq!(world.alarms(all[2]), []);
    }
}

#[test]
fn whoever_an_admin_has_removed_from_an_open_group_does_not_come_back_by_itself() {
    let (mut world, all) = World::with(227, &["alice", "bob"]);
    world.done(all[0], kick("#general", "bob"));
    world.run(SECOND);
    world.forget_events();
    world.input(all[1], Input::Command(Command::Open { target: target("#general") }));
    world.run(SECOND);
    let refused = |event: &Event| matches!(event, Event::Failed { code: "not-invited", .. });
    assert!(world.person(all[1]).events.iter().any(refused), "{:?}", world.person(all[1]).events);
    world.done(all[0], invite("#general", "bob"));
    world.run(SECOND);
    world.done(all[1], accept("#general"));
    world.run(SECOND);
    talk(&mut world, "#general", &all);
    world.assert_no_alarms();
}

#[test]
fn admins_pass_on_and_the_group_goes_on() {
    let (mut world, all) = ops(228, &["alice", "bob", "carol"]);
    world.done(all[0], leave("#ops"));
    assert!(world.run_until(20 * SECOND, |world| gone(world, all[0]).is_some()));
    world.run(20 * SECOND);
    let summary = world.summary(all[2], "#ops").unwrap();
    let admins = summary.members.iter().filter(|it| it.role == openchat_roster::Role::Admin);
    assert_eq!(admins.count(), 1);
    talk(&mut world, "#ops", &all[1..]);
    world.assert_no_alarms();
    let _: Target = summary.target;
}
