//! Clocks that are wrong and clocks that jump.

use crate::{
    liar::{Honest, Pushes},
    world::{HOUR, MINUTE, SECOND, World},
};
use openchat_wire::relay::ToClient;
use std::{cell::RefCell, rc::Rc};

const TEN_YEARS: i64 = 10 * 365 * 24 * 3_600_000;

#[test]
fn clocks_that_jump_ten_years_lose_nothing() {
    let (mut world, all) = World::with(110, &["alice", "bob", "carol"]);
    let jumps = [TEN_YEARS, -TEN_YEARS, 0, -TEN_YEARS, TEN_YEARS, 0];
    let mut said = 0;
    for (round, jump) in jumps.into_iter().cycle().take(24).enumerate() {
        if round % 4 == 3 {
            world.server_skew = jump;
        } else {
            world.person_mut(all[round % 3]).skew = jump;
        }
        for who in &all {
            world.say(*who, &format!("{who:?} {round}"));
            said += 1;
        }
        world.run(50);
        if round % 5 == 0 {
            world.reconnect(all[round % 3]);
        }
        world.run(20 * SECOND);
    }
    world.run(5 * MINUTE);
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).texts().len(), said);
    for who in &all {
        assert_eq!(world.queued(*who), 0);
    }
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_puts_no_renewal_off() {
    let (mut world, all) = World::with(111, &["alice", "bob"]);
    world.person_mut(all[0]).skew = TEN_YEARS;
    world.run(3 * MINUTE);
    world.person_mut(all[0]).skew = 0;
    world.run(3 * MINUTE);
    let before = world.epoch(all[0]);
    world.sleep(23 * HOUR);
    world.run_until(6 * HOUR, |world| world.epoch(all[0]) == before + 2);
    assert_eq!(world.epoch(all[0]), before + 2, "both renew within the day");
    world.assert_no_alarms();
}

#[test]
fn a_clock_set_forward_while_an_entry_is_on_its_way_accuses_nobody() {
    let (mut world, all) = World::with(113, &["alice", "bob"]);
    let bob = all[1];
    let held = Rc::new(RefCell::new(Vec::new()));
    let holds = Rc::clone(&held);
    world.liar = Box::new(Pushes(move |to, frame| match frame {
        ToClient::Entry { .. } if to == bob => {
            holds.borrow_mut().push(frame);
            Vec::new()
        }
        frame => vec![frame],
    }));
    world.say(bob, "soon");
    world.run(SECOND);
    // Forward past the whole wait, and once more while the relay is asked whether it is there.
    for skew in [HOUR, 2 * HOUR, 3 * HOUR] {
        world.person_mut(bob).skew = i64::try_from(skew).unwrap();
        world.run(SECOND);
    }
    world.liar = Box::new(Honest);
    held.take().into_iter().for_each(|frame| world.push(bob, frame));
    world.run(MINUTE);
    assert_eq!(world.queued(bob), 0);
    world.assert_no_alarms();
}

#[test]
fn what_waits_for_a_servers_clock_is_sent_when_it_was_set() {
    for skew in [TEN_YEARS, -TEN_YEARS] {
        let (mut world, all) = World::with(114, &["alice", "bob"]);
        world.server_skew = skew;
        for who in &all {
            world.reconnect(*who);
        }
        world.run(10 * MINUTE);
        world.tell(all[0], "@bob", "what year is it?");
        world.run(10 * MINUTE);
        world.server_skew = 0;
        world.run(2 * HOUR);
        assert_eq!(world.person(all[1]).texts_in("@alice"), ["what year is it?"], "{skew}");
        assert_eq!(world.queued(all[0]), 0);
        world.assert_no_alarms();
    }
}

#[test]
fn a_newcomer_may_live_in_another_decade() {
    for skew in [TEN_YEARS, -TEN_YEARS] {
        let (mut world, all) = World::with(112, &["alice"]);
        let bob = world.enroll("bob");
        world.person_mut(bob).skew = skew;
        world.start(bob);
        assert!(world.run_until(MINUTE, |world| world.is_ready(bob)));
        world.say(bob, "what year is it?");
        world.run(SECOND);
        assert_eq!(world.person(all[0]).texts(), ["what year is it?"]);
        world.assert_no_alarms();
    }
}
