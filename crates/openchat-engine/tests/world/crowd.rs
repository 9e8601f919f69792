//! Many people, many commits.

use crate::{
    cases,
    coming::target,
    forge::{Fault, faulty_join},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Order};
use openchat_roster::Role;
use openchat_wire::relay::Request;

/// People who are all in `#general`.
fn crowd(seed: u64, size: usize) -> (World, Vec<Who>) {
    let mut world = World::new(seed);
    let all: Vec<Who> = (0..size).map(|n| world.enroll(&format!("p{n}"))).collect();
    for who in &all {
        world.start(*who);
        world.run(200);
    }
    let ready = world.run_until(2 * MINUTE, |world| all.iter().all(|who| world.is_ready(*who)));
    assert!(ready);
    world.run(SECOND);
    (world, all)
}

#[test]
fn after_a_strangers_garbage_a_large_group_talks_again_within_seconds() {
    let size = cases::count(25, 50);
    let (mut world, all) = crowd(300, size);
    let mallory = world.enroll("mallory");
    let entry = faulty_join(&mut world, mallory, Fault::PathKey);
    let log = world.general();
    world.append(mallory, &Request::Append { log, entry, letters: Vec::new(), follows: false });
    world.forget_events();
    for who in &all {
        world.say(*who, &format!("{who:?} goes on"));
    }
    let quiet = |world: &World| all.iter().all(|who| world.queued(*who) == 0);
    assert!(world.run_until(15 * SECOND, quiet), "all have sent what they wrote");
    world.run(15 * SECOND);
    for who in &all {
        assert_eq!(world.person(*who).texts().len(), size, "{who:?}");
        let only = |code: &AlarmCode| *code == AlarmCode::BadCommit;
        assert!(world.alarms(*who).iter().all(only));
    }
}

#[test]
fn a_message_costs_no_more_in_a_large_group() {
    let (mut world, all) = crowd(302, cases::count(20, 40));
    world.say(all[0], "the first of its epoch derives more");
    world.run(SECOND);
    for who in &all {
        world.person_mut(*who).written = 0;
    }
    world.say(all[0], "how much is written for this?");
    world.run(SECOND);
    for who in &all {
        let written = world.person(*who).written;
        assert!(written < 3_000, "{who:?}: {written} bytes");
    }
}

#[test]
fn nothing_is_lost_while_twenty_commits_a_second_race_with_writers() {
    let (mut world, all) = crowd(301, 14);
    let (admins, writers) = all.split_at(4);
    let role = |who: usize, role| Order::Role {
        target: target("#general"),
        who: format!("p{who}").parse().unwrap(),
        role,
    };
    for admin in 1..4 {
        world.done(admins[0], role(admin, Role::Admin));
    }
    world.latency = 5;
    let before = world.commits();
    let mut orders = Vec::new();
    let rounds = cases::count(40, 100);
    for round in 0..rounds {
        for who in writers {
            world.say(*who, &format!("{who:?} {round}"));
        }
        let new = if round / 4 % 2 == 0 { Role::Admin } else { Role::Member };
        let admin = admins[round % 4];
        orders.push((admin, world.order(admin, role(4 + round % 4, new))));
        world.run(50);
    }
    world.run(MINUTE);
    for (who, order) in orders {
        assert!(matches!(world.outcome(who, order), Some(Ok(_))));
    }
    assert!(world.commits() - before >= rounds, "{} commits", world.commits() - before);
    for who in &all {
        assert_eq!(world.queued(*who), 0);
        assert_eq!(world.person(*who).texts().len(), 10 * rounds, "none lost, none twice");
    }
    world.assert_no_alarms();
    world.assert_same(&all);
}
