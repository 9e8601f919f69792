//! Networks and relays that come and go.

use crate::{
    cases::one_of,
    liar::{Honest, Instead},
    world::{MINUTE, SECOND, World},
};
use openchat_engine::Event;
use openchat_wire::relay::{Refusal, Request};

#[test]
fn what_is_written_offline_is_sent_later_once() {
    let (mut world, all) = World::with(20, &["alice", "bob"]);
    world.disconnect(all[0]);
    for n in 0..300 {
        world.say(all[0], &format!("{n}"));
    }
    assert_eq!(world.queued(all[0]), 300);
    world.run(MINUTE);
    world.connect(all[0]);
    world.run(5 * SECOND);
    let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(world.person(all[1]).texts(), expected);
    world.assert_same(&all);
    world.assert_no_alarms();
}

#[test]
fn what_is_written_before_the_first_connection_survives_and_is_sent() {
    let (mut world, all) = World::with(21, &["alice"]);
    let bob = world.enroll("bob");
    world.person_mut(bob).load();
    world.say(bob, "early");
    world.kill(bob);
    world.start(bob);
    world.run(5 * SECOND);
    assert_eq!(world.person(all[0]).texts(), ["early"]);
    world.assert_no_alarms();
}

#[test]
fn a_relay_that_restarts_loses_nothing_that_it_acknowledged() {
    let (mut world, all) = World::with(22, &["alice", "bob", "carol"]);
    for round in 0..12 {
        for who in &all {
            world.say(*who, &format!("{who:?} {round}"));
        }
        world.run(13);
        world = world.restart_relay();
        world.run(50);
        for who in &all {
            world.connect(*who);
        }
        world.run(37);
    }
    world.run(5 * SECOND);
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).texts().len(), 36);
}

#[test]
fn connections_that_break_all_the_time_lose_and_double_nothing() {
    let (mut world, all) = World::with(23, &["alice", "bob", "carol"]);
    for round in 0..100 {
        let who = all[round % 3];
        world.say(who, &format!("{round}"));
        world.run(11);
        if round % 4 == 0 {
            world.reconnect(all[(round / 4) % 3]);
        }
        if round % 5 == 0 {
            world.kill(who);
            world.start(who);
        }
    }
    world.run(5 * SECOND);
    world.assert_no_alarms();
    world.assert_same(&all);
    assert_eq!(world.person(all[0]).texts().len(), 100);
}

#[test]
fn a_newcomer_whose_connection_breaks_at_any_time_gets_in() {
    for after in one_of(3, 0, (0..400).step_by(10)) {
        let (mut world, all) = World::with(24, &["alice"]);
        let bob = world.enroll("bob");
        world.start(bob);
        world.run(after);
        world.reconnect(bob);
        assert!(world.run_until(10 * SECOND, |world| world.is_ready(bob)), "after {after} ms");
        world.say(bob, "hello");
        world.run(SECOND);
        assert_eq!(world.person(all[0]).texts(), ["hello"], "after {after} ms");
        world.assert_no_alarms();
    }
}

#[test]
fn what_follows_a_text_that_had_to_be_sealed_anew_can_still_be_opened() {
    let (mut world, all) = World::with(29, &["alice", "bob"]);
    world.hush();
    let (alice, mut count) = (all[0], 0);
    // Of three that are under way the first and the last are refused: the second uses up the first
    // one's key, whose next key lies behind the last one's.
    world.liar = Box::new(Instead(move |who, request: &Request| {
        let is_text = who == alice && matches!(request, Request::Append { .. });
        count += usize::from(is_text);
        (is_text && [1, 3].contains(&count)).then_some(Err(Refusal::Internal))
    }));
    for text in ["one", "two", "three"] {
        world.say(alice, text);
    }
    world.run(MINUTE);
    let mut texts = world.person(all[1]).texts();
    texts.sort();
    assert_eq!(texts, ["one", "three", "two"]);
    world.assert_no_alarms();
}

#[test]
fn a_log_that_is_not_pushed_is_not_taken_for_read() {
    let (mut world, all) = World::with(28, &["alice", "bob"]);
    let (bob, general) = (all[1], world.general());
    world.disconnect(bob);
    // The relay says where the log ends, and that is how far bob has read.
    let mut refused = false;
    world.liar = Box::new(Instead(move |who, request: &Request| {
        let is_it = who == bob && matches!(request, Request::Tail { log, .. } if *log == general);
        (is_it && !core::mem::replace(&mut refused, true)).then_some(Err(Refusal::Internal))
    }));
    world.connect(bob);
    world.run(10 * SECOND);
    world.say(all[0], "heard?");
    world.run(SECOND);
    assert_eq!(world.person(bob).texts(), ["heard?"]);
    world.assert_no_alarms();
}

#[test]
fn letters_and_groups_that_a_relay_could_not_read_are_asked_for_again_soon() {
    let (mut world, all) = World::with(27, &["alice"]);
    let carol = world.online_people(&["carol"])[0];
    world.disconnect(carol);
    world.liar = Box::new(Instead(move |who, request: &Request| {
        let of_letters = matches!(request, Request::Tail { .. } | Request::Groups);
        (who == carol && of_letters).then_some(Err(Refusal::Internal))
    }));
    world.connect(carol);
    world.run(2 * MINUTE);
    world.liar = Box::new(Honest);
    let asked = world.person(carol).requests;
    assert!(asked < 60, "and not without a pause: {asked}");
    world.tell(all[0], "@carol", "hello");
    world.run(20 * SECOND);
    assert_eq!(world.person(carol).texts_in("@alice"), ["hello"]);
    world.assert_no_alarms();
}

#[test]
fn a_relay_that_can_store_nothing_is_told_of_once_and_all_is_sent_when_it_can() {
    let (mut world, all) = World::with(26, &["alice", "bob"]);
    world.liar = Box::new(Instead(|_, request: &Request| {
        matches!(request, Request::Append { .. }).then_some(Err(Refusal::Internal))
    }));
    for text in ["one", "two", "three"] {
        world.say(all[0], text);
    }
    world.run(MINUTE);
    let waits = |event: &&Event| matches!(event, Event::Waiting { code: "not-stored", .. });
    assert_eq!(world.person(all[0]).events.iter().filter(waits).count(), 1);
    assert_eq!(world.queued(all[0]), 3);
    world.liar = Box::new(Honest);
    world.run(MINUTE);
    assert_eq!(world.person(all[1]).texts(), ["one", "two", "three"]);
    assert_eq!(world.person(all[0]).events.iter().filter(waits).count(), 1);
    world.assert_no_alarms();
}
