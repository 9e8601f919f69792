//! Members renew their keys by themselves.

use crate::world::{HOUR, MINUTE, SECOND, World};

#[test]
fn everybody_renews_keys_within_a_day_and_a_fifth() {
    let (mut world, all) = World::with(40, &["alice", "bob"]);
    let before = world.epoch(all[0]);
    world.sleep(19 * HOUR);
    world.run(5 * MINUTE);
    assert_eq!(world.epoch(all[0]), before, "not before 24 h less a fifth");
    let renewed = world.run_until(10 * HOUR, |world| world.epoch(all[0]) == before + 2);
    assert!(renewed, "each once");
    world.run(HOUR);
    assert_eq!(world.epoch(all[0]), before + 2, "and no more");
    world.say(all[0], "still here");
    world.run(SECOND);
    assert_eq!(world.person(all[1]).texts(), ["still here"]);
    world.assert_no_alarms();
}

#[test]
fn two_renewals_that_race_both_come_through() {
    let (mut world, all) = World::with(41, &["alice", "bob", "carol"]);
    let before = world.epoch(all[0]);
    for who in &all {
        world.kill(*who);
    }
    world.now += 48 * HOUR;
    for who in &all {
        world.start(*who);
    }
    for n in 0..20 {
        world.say(all[n % 3], &format!("{n}"));
        world.run(20);
    }
    world.run(10 * MINUTE);
    assert_eq!(world.epoch(all[0]), before + 3, "each once");
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).texts().len(), 20);
}

#[test]
fn a_thousand_messages_of_its_own_renew_a_members_keys() {
    let (mut world, all) = World::with(42, &["alice", "bob"]);
    let before = world.epoch(all[1]);
    for n in 0..130 {
        for m in 0..10 {
            world.say(all[0], &format!("{n} {m}"));
        }
        world.run(100);
        if n == 78 {
            assert_eq!(world.epoch(all[1]), before, "not before 1,000 less a fifth");
        }
    }
    world.run(2 * MINUTE);
    assert_eq!(world.epoch(all[1]), before + 1);
    assert_eq!(world.person(all[1]).texts().len(), 1_300);
    world.assert_no_alarms();
    world.assert_same(&all);
}
