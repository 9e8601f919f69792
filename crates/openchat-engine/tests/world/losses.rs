//! Devices that have lost what they knew, and devices that run twice, in groups of every kind.

use crate::{
    cases::{deaths, one_of},
    coming::{self, ops, talk, target},
    person::Death,
    vault::Vault,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Bring, Event, Order};

fn rejoin(group: &str) -> Order {
    Order::Rejoin { target: target(group) }
}

#[test]
fn a_device_that_has_lost_all_finds_its_groups_and_their_names_again() {
    let (mut world, all) = ops(280, &["alice", "bob", "carol"]);
    world.tell(all[0], "@bob", "direct");
    world.open(all[0], "#general");
    world.run(MINUTE);
    world.open(all[1], "#general");
    world.run(MINUTE);
    world.kill(all[1]);
    world.person_mut(all[1]).vault = Vault::default();
    world.forget_events();
    world.wake(all[1]);
    world.run(2 * MINUTE);
    for group in ["#ops", "#general", "@alice"] {
        assert!(world.summary(all[1], group).is_some(), "{group}");
    }
    talk(&mut world, "#ops", &all);
    world.tell(all[1], "@alice", "back");
    world.tell(all[0], "@bob", "welcome");
    world.run(SECOND);
    assert_eq!(world.person(all[0]).texts_in("@bob"), ["direct", "back", "welcome"]);
    assert_eq!(world.person(all[1]).texts_in("@alice"), ["back", "welcome"]);
    for who in all {
        assert_eq!(world.alarms(who), []);
    }
}

#[test]
fn the_name_is_told_again_also_if_the_first_member_is_away() {
    let (mut world, all) = ops(281, &["alice", "bob", "carol", "dave"]);
    world.kill(all[0]);
    world.kill(all[3]);
    world.person_mut(all[3]).vault = Vault::default();
    world.wake(all[3]);
    world.run(2 * MINUTE);
    assert!(world.summary(all[3], "#ops").is_some());
    talk(&mut world, "#ops", &all[1..]);
}

#[test]
fn one_command_brings_a_device_back() {
    let (mut world, all) = ops(282, &["alice", "bob"]);
    let before = world.summary(all[0], "#ops").unwrap().epoch.0;
    assert_eq!(world.done(all[1], rejoin("#ops")), "#ops");
    world.run(SECOND);
    assert_eq!(world.summary(all[0], "#ops").unwrap().epoch.0, before + 1);
    talk(&mut world, "#ops", &all);
    world.assert_no_alarms();
}

/// Two devices from one vault: bob's and its copy.
fn with_copy(seed: u64) -> (World, Who, Who, Who) {
    let (mut world, all) = ops(seed, &["alice", "bob"]);
    world.holds_keys_single = false;
    world.kill(all[1]);
    let copy = world.copy(all[1]);
    world.wake(all[1]);
    world.wake(copy);
    world.run(SECOND);
    (world, all[0], all[1], copy)
}

#[test]
fn the_second_of_two_copies_stops_and_says_so_until_its_person_decides() {
    let (mut world, alice, bob, copy) = with_copy(283);
    // One of them renews its keys; the other can only see that it was not itself.
    world.done(bob, rejoin("#ops"));
    world.run(MINUTE);
    assert_eq!(world.alarms(copy), [AlarmCode::Clone]);
    assert!(world.summary(copy, "#ops").unwrap().stopped);
    world.tell(copy, "#ops", "from the copy");
    world.run(MINUTE);
    assert_eq!(world.queued(copy), 1, "it sends nothing");
    assert_eq!(world.alarms(bob), []);
    talk(&mut world, "#ops", &[alice, bob]);
    // It says so again, whenever it starts.
    world.kill(copy);
    world.forget_events();
    world.wake(copy);
    world.run(SECOND);
    let told = world.person(copy).events.iter().any(|event| {
        matches!(event, Event::Alarm { code: AlarmCode::Clone, hint, .. } if hint.contains("rejoin"))
    });
    assert!(told);
    // The person has stopped the other one, and says that this one goes on.
    world.kill(bob);
    world.done(copy, rejoin("#ops"));
    world.run(MINUTE);
    assert!(!world.summary(copy, "#ops").unwrap().stopped);
    assert!(world.person(alice).texts().contains(&"from the copy".to_owned()));
    talk(&mut world, "#ops", &[alice, copy]);
}

#[test]
fn what_could_not_be_opened_is_asked_for_and_said_again_once() {
    let (mut world, all) = ops(284, &["alice", "bob", "carol"]);
    let (alice, bob, carol) = (all[0], all[1], all[2]);
    // Carol loses her secrets only; meanwhile others talk.
    world.kill(carol);
    world.person_mut(carol).vault.records.retain(|key, _| key.kind != 14);
    for n in 0..10 {
        world.tell([alice, bob][n % 2], "#ops", &format!("{n}"));
        world.run(50);
    }
    world.forget_events();
    world.wake(carol);
    world.run(MINUTE);
    let mut texts = world.person(carol).texts_in("#ops");
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for who in [alice, bob] {
        assert_eq!(world.person(who).texts_in("#ops").len(), 10, "nobody has one twice");
        let acks = world.person(who).events.iter().filter(|it| matches!(it, Event::Ack { .. }));
        assert_eq!(acks.count(), 0, "nobody is told again that it was sent");
        assert_eq!(world.alarms(who), []);
    }
    talk(&mut world, "#ops", &all);
}

/// Orders that were lost with the process are given again.
fn insist(world: &mut World, who: Who, what: &Order) -> String {
    for _ in 0..4 {
        let back = |world: &World| world.person(who).engine.is_some();
        assert!(world.run_until(MINUTE, back));
        let order = world.order(who, what.clone());
        let over = |world: &World| world.outcome(who, order).is_some();
        if world.run_until(MINUTE, over) {
            return world.outcome(who, order).unwrap().unwrap_or_else(|code| code);
        }
    }
    panic!("{what:?} is never done: {:?}", world.person(who).events);
}

/// A group of two, into which a third one is invited, while a device dies at one of its steps.
fn story(victim: usize, death: Option<(usize, Death)>) -> World {
    let mut world = World::new(286);
    world.restarts_into_general = false;
    let all = ["alice", "bob", "carol"].map(|name| world.enroll(name));
    if let Some((step, death)) = death {
        world.dies(all[victim], step, death);
    }
    for who in &all {
        world.wake(*who);
    }
    world.run(2 * SECOND);
    let note = format!("{victim} {death:?}");
    // Whether it had begun when the process died can be seen.
    let founding = coming::new("ops", &["bob"], Bring::Add);
    let begun = insist(&mut world, all[0], &founding);
    assert!(
        ["#ops", "name-taken"].contains(&begun.as_str()) || begun.starts_with("#ops~"),
        "{note}: {begun}"
    );
    world.run(5 * SECOND);
    let ops = "#ops";
    insist(&mut world, all[0], &coming::add(ops, "bob"));
    insist(&mut world, all[0], &coming::invite(ops, "carol"));
    world.run(5 * SECOND);
    insist(&mut world, all[2], &coming::accept(ops));
    world.run(2 * MINUTE);
    // What is typed into a dead process is lost, so that nobody dies while they talk.
    world.person_mut(all[victim]).death = None;
    for who in all {
        assert_eq!(world.members(who, ops), ["alice", "bob", "carol"], "{note}: {who:?}");
        let members = world.summary(who, ops).unwrap().members;
        assert!(members.iter().all(|member| member.claimed), "{note}: {who:?}");
    }
    talk(&mut world, ops, &all);
    insist(&mut world, all[1], &Order::Leave { target: target(ops) });
    world.run(MINUTE);
    assert_eq!(world.members(all[0], ops), ["alice", "carol"], "{note}");
    talk(&mut world, ops, &[all[0], all[2]]);
    for who in all {
        assert_eq!(world.alarms(who), [], "{note}: {who:?}");
        assert_eq!(world.queued(who), 0, "{note}");
    }
    world
}

fn dies_at_every_step(victim: usize) {
    let world = story(victim, None);
    let steps = world.person(Who(victim)).steps;
    assert!(steps > 20, "{steps} steps");
    for death in one_of(2, victim, deaths(steps)) {
        story(victim, Some(death));
    }
}

#[test]
fn a_founder_may_die_at_any_step() {
    dies_at_every_step(0);
}

#[test]
fn who_is_added_may_die_at_any_step() {
    dies_at_every_step(1);
}

#[test]
fn who_is_invited_may_die_at_any_step() {
    dies_at_every_step(2);
}

#[test]
fn no_server_death_on_the_way_breaks_a_group() {
    for at in one_of(3, 0, 0..24) {
        let mut world = World::new(285);
        let all = world.online_people(&["alice", "bob", "carol"]);
        let order = crate::coming::new("ops", &["bob", "carol"], openchat_engine::Bring::Add);
        let order = world.order(all[0], order);
        world.run(at * 15);
        world = world.restart_relay();
        world.run(SECOND);
        world.online_again(&all);
        world.run(2 * MINUTE);
        assert_eq!(world.outcome(all[0], order), Some(Ok("#ops".to_owned())), "{at}");
        let order = world.order(all[1], rejoin("#ops"));
        world.tell(all[2], "@alice", "meanwhile");
        world.run(at * 15);
        world = world.restart_relay();
        world.online_again(&all);
        world.run(2 * MINUTE);
        assert_eq!(world.outcome(all[1], order), Some(Ok("#ops".to_owned())), "{at}");
        assert_eq!(world.person(all[0]).texts(), ["meanwhile"], "{at}");
        talk(&mut world, "#ops", &all);
        world.assert_no_alarms();
    }
}
