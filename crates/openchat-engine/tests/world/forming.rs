//! How a group comes to be when many begin at once, and how commits race.

use crate::world::{MINUTE, SECOND, START, Who, World};
use openchat_wire::{GroupId, limits};
use std::collections::BTreeSet;

/// People who start at the same moment.
fn crowd(seed: u64, size: usize) -> (World, Vec<Who>) {
    let mut world = World::new(seed);
    let all: Vec<Who> = (0..size).map(|n| world.enroll(&format!("p{n}"))).collect();
    for who in &all {
        world.start(*who);
    }
    (world, all)
}

#[test]
fn thirty_two_who_start_at_once_end_in_one_group() {
    let (mut world, all) = crowd(10, 32);
    let formed = world.run_until(MINUTE, |world| all.iter().all(|who| world.is_ready(*who)));
    assert!(formed, "formed within a minute");
    let groups: BTreeSet<GroupId> = world.sealed.keys().map(|(group, ..)| *group).collect();
    assert!(groups.is_empty(), "nothing was said before");

    for who in &all {
        world.say(*who, &format!("{who:?} is here"));
    }
    world.run(10 * SECOND);
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).heard().len(), 32);
    let requests = world.people.iter().map(|person| person.requests).max().unwrap();
    assert!(requests < 300, "{requests} requests of one newcomer");
}

#[test]
fn who_comes_after_the_burst_gets_in_at_the_relays_pace() {
    let mut world = World::new(11);
    for n in 0..limits::JOIN_BURST - 2 {
        let early = world.enroll(&format!("early{n}"));
        world.start(early);
        assert!(world.run_until(MINUTE, |world| world.is_ready(early)));
        world.kill(early);
        // No time passes, so that the burst is spent.
        world.now = START;
    }
    let late: Vec<Who> = (0..6).map(|n| world.enroll(&format!("late{n}"))).collect();
    for who in &late {
        world.start(*who);
    }
    let all_in = |world: &World| late.iter().all(|who| world.is_ready(*who));
    assert!(!world.run_until(SECOND / 2, all_in), "the relay paces them");
    assert!(world.run_until(MINUTE, all_in));
    world.assert_no_alarms();
}

#[test]
fn messages_outlive_twenty_commits_that_race_with_them() {
    let (mut world, all) = World::with(12, &["alice", "bob", "carol"]);
    let before = world.epoch(all[0]);
    // What alice writes is held up on the way while twenty others come in.
    world.disconnect(all[0]);
    let mut said = Vec::new();
    for n in 0..20 {
        said.push(format!("{n}"));
        world.say(all[0], &format!("{n}"));
    }
    world.connect(all[0]);
    world.run(SECOND);
    world.say(all[0], "on its way");
    world.disconnect(all[0]);
    let late: Vec<Who> = (0..20).map(|n| world.enroll(&format!("late{n}"))).collect();
    for who in &late {
        world.start(*who);
    }
    while !late.iter().all(|who| world.is_ready(*who)) {
        world.say(all[1], "bob writes meanwhile");
        world.say(all[2], "carol writes meanwhile");
        world.run(250);
    }
    world.say(all[0], "written while away");
    world.connect(all[0]);
    world.run(5 * SECOND);

    assert!(world.epoch(all[0]) >= before + 20);
    let texts = world.person(all[1]).texts();
    for text in said.iter().map(String::as_str).chain(["on its way", "written while away"]) {
        assert_eq!(texts.iter().filter(|it| it.as_str() == text).count(), 1, "{text}");
    }
    for who in &all {
        assert_eq!(world.queued(*who), 0);
    }
    world.assert_no_alarms();
    world.assert_same(&all);
}
