//! A relay that gives a conversation's name the group of another: what is typed for one must never
//! be sealed for the other's members, and the other loses nothing.

use crate::{
    liar::Answers,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Command, Input, Target};
use openchat_wire::{
    GroupName,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

fn ops() -> GroupName {
    "ops".parse().unwrap()
}

/// A relay that says `#ops` is the group that `#general` is.
fn redirecting(mut world: World) -> World {
    let general = world.general();
    world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
        Request::FindGroup(name) if *name == ops() => Ok(Answer::Group(general)),
        _ => answer,
    }));
    world
}

#[test]
fn a_name_is_not_given_a_group_that_has_another_name_here() {
    let (world, all) = World::with(91, &["alice", "bob"]);
    let mut world = redirecting(world);
    world.input(BOB, Input::Command(Command::Open { target: Target::Group(ops()) }));
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork]);
    world.say(BOB, "still in general");
    world.run(SECOND);
    world.kill(BOB);
    world.start(BOB);
    world.run(MINUTE);
    world.say(BOB, "and after a restart");
    world.say(ALICE, "so am I");
    world.run(SECOND);
    world.assert_same(&all);
    assert_eq!(world.queued(BOB), 0);
}

#[test]
fn k2_a_newcomer_does_not_join_a_group_of_another_name() {
    let (mut world, _) = World::with(92, &["alice", "bob"]);
    let carol = world.enroll("carol");
    let mut world = redirecting(world);
    world.person_mut(carol).load();
    world.connect(carol);
    world.input(carol, Input::Command(Command::Open { target: Target::Group(ops()) }));
    let commits = world.commits();
    world.run(MINUTE);
    assert_eq!(world.alarms(carol), [AlarmCode::HistoryFork]);
    assert_eq!(world.commits(), commits, "it has not taken a seat");
}
