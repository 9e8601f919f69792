//! A conversation in which one member, and one stranger, do what they want.

use openchat_group::{ContentKind, Proposal};
use openchat_roster::{Inviting, LogEntry, Reason, Role, Rules};

use crate::{
    forge::Forger,
    input::Input,
    world::{ALICE, CAROL, HONEST, MALLORY, World},
};

pub use crate::world::Tally;

/// Steps of one conversation; longer inputs are cut.
const STEPS: usize = 24;

/// All honest devices decide every entry alike and as the relay does; what does not count changes
/// nothing; an honest commit leaves nobody behind; whoever was left behind by a lie comes back by a
/// rejoin, and then all honest members hear each other.
pub fn insider(data: &[u8]) {
    let _tally = conversation(data);
}

/// As [`insider`], telling what happened.
#[must_use]
pub fn conversation(data: &[u8]) -> Tally {
    let mut input = Input::new(data);
    let mut world = World::base(input.flag());
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        step(&mut world, &mut input);
    }
    world.heal();
    world.assert_honest_talk();
    world.tally
}

fn step(world: &mut World, input: &mut Input<'_>) {
    match input.below(12) {
        0 => honest_proposal(world, input),
        1 => {
            let who = *input.one(&HONEST);
            world.propose(who, Proposal::update());
        }
        2 => {
            let who = *input.one(&HONEST);
            if let Some(entry) = world.devices[who].seal(ContentKind::TEXT, input.bytes()) {
                world.publish(&entry.to_bytes(), &[]);
            }
        }
        3 => leave(world, input),
        4 => {
            world.join(CAROL);
            world.propose(CAROL, Proposal::update());
        }
        5 => mallory_behaves(world, input),
        6..=8 => {
            let entry = Forger::new(world, input).commit();
            world.publish(&entry.to_bytes(), &[]);
        }
        9 => {
            if let Some(entry) = Forger::new(world, input).message() {
                world.publish(&entry.to_bytes(), &[]);
            }
        }
        10 => {
            let entry = Forger::new(world, input).report();
            world.publish(&entry.to_bytes(), &[]);
        }
        _ => world.heal(),
    }
}

/// Alice does what an admin may.
fn honest_proposal(world: &mut World, input: &mut Input<'_>) {
    let who = input.below(world.devices.len());
    let fingerprint = world.devices[who].fingerprint();
    let mut proposal = Proposal { update: input.flag(), ..Proposal::default() };
    match input.below(7) {
        0 => proposal.adds.push(world.devices[who].as_new_member(input.flag())),
        1 => proposal.admits.push(world.devices[who].as_invited()),
        2 => proposal.removes.push((fingerprint, Reason::Evicted)),
        3 => proposal.lifts.push(fingerprint),
        4 => proposal.roles.push((fingerprint, Role::Admin)),
        5 => proposal.roles.push((fingerprint, Role::Member)),
        _ => {
            let rules = world.relay.policy().map(|policy| policy.rules);
            proposal.rules = rules.map(|rules| Rules { invite: *input.one(&INVITING), ..rules });
        }
    }
    world.propose(ALICE, proposal);
}

const INVITING: [Inviting; 2] = [Inviting::Members, Inviting::Admins];

/// Somebody wants to leave; somebody else may let it, now or never.
fn leave(world: &mut World, input: &mut Input<'_>) {
    let who = *input.one(&HONEST);
    let device = &world.devices[who];
    let Some(leave) = device.group.leave_request(&device.key) else { return };
    let fingerprint = device.fingerprint();
    world.leave = Some(leave.clone());
    world.publish(&LogEntry::Leave(leave.clone()).to_bytes(), &[]);
    if input.flag() {
        let by = *input.one(&HONEST);
        let removes = vec![(fingerprint, Reason::Left(leave))];
        world.propose(by, Proposal { removes, ..Proposal::default() });
    }
}

/// So that she has keys to lie with.
fn mallory_behaves(world: &mut World, input: &mut Input<'_>) {
    if world.devices[MALLORY].group.is_left_behind() {
        world.rejoin(MALLORY);
    } else if !world.devices[MALLORY].group.is_seated() {
        world.join(MALLORY);
    } else if input.flag() {
        let adds = vec![world.devices[CAROL].as_new_member(input.flag())];
        world.propose(MALLORY, Proposal { adds, ..Proposal::default() });
    } else {
        world.propose(MALLORY, Proposal::update());
    }
}
