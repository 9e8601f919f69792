//! Random histories of an honest authority: whoever mirrors its log has the same, and nobody is alarmed
//! for nothing.

use crate::cases;
use crate::world::{MINUTE, SECOND, Who, World};
use openchat_engine::{AlarmCode, Command, Input};
use rand_core::Rng;

fn draw(world: &mut World, below: usize) -> usize {
    usize::try_from(world.rng.next_u64() % u64::try_from(below).unwrap()).unwrap()
}

/// Issues, renewals, revocations, resets, restarts and absences, in any order.
fn history(seed: u64) {
    let mut world = World::new(seed);
    let mut present: Vec<Who> = Vec::new();
    for n in 0..25 {
        let at = if present.is_empty() { 0 } else { draw(&mut world, present.len()) };
        match draw(&mut world, 8) {
            0..3 => {
                let who = world.enroll(&format!("p{n}"));
                world.start(who);
                present.push(who);
            }
            3 if present.len() > 2 => {
                let gone = present.swap_remove(at);
                world.revoke(gone);
            }
            4 if present.len() > 2 => {
                let new = world.reset(present[at]);
                world.start(new);
                present[at] = new;
            }
            5 if !present.is_empty() => {
                let order = world.next();
                world.input(present[at], Input::Command(Command::Renew { order }));
            }
            6 if !present.is_empty() => {
                world.kill(present[at]);
                world.run(SECOND);
                world.start(present[at]);
            }
            7 => {
                world = world.restart_relay();
                world.online_again(&present);
            }
            _ => {}
        }
        let wait = u64::try_from(draw(&mut world, 3_000)).unwrap();
        world.run(wait);
        if let Some(who) = present.first() {
            world.say(*who, &format!("{n}"));
        }
    }
    world.run(2 * MINUTE);
    let entries = world.logged();
    for who in &present {
        let note = format!("seed {seed}, {who:?}");
        assert_eq!(world.person(*who).mirrored(), entries, "{note}");
        let is_of_another = |code: &AlarmCode| *code == AlarmCode::KeyChanged;
        assert!(world.alarms(*who).iter().all(is_of_another), "{note}: {:?}", world.alarms(*who));
        assert_eq!(world.members(*who, "#general").len(), present.len(), "{note}");
        assert_eq!(world.queued(*who), 0, "{note}");
    }
}

#[test]
fn whatever_an_honest_authority_does_all_mirrors_are_one_and_nobody_is_alarmed_for_nothing() {
    for seed in 900..900 + cases::count(4, 40) {
        history(seed);
    }
}
