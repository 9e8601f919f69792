//! A log that stands still: because the relay holds it back, or because the connection is held up.

use crate::{
    liar::{Honest, Lies, Pushes},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Event};
use openchat_wire::relay::{Request, ToClient};
use std::{cell::RefCell, rc::Rc};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

#[test]
fn who_holds_an_entry_back_and_keeps_silent_about_it_is_found_out_too() {
    let (mut world, _) = World::with(183, &["alice", "bob"]);
    world.liar = Box::new(HoldsBack);
    world.say(BOB, "lost?");
    world.run(2 * MINUTE);
    assert_eq!(world.alarms(BOB), [AlarmCode::HeldBack]);
}

/// Shows bob no entry, and does not answer when he asks whether anybody is there.
struct HoldsBack;

impl Lies for HoldsBack {
    fn push(&mut self, to: Who, frame: ToClient) -> Vec<ToClient> {
        match frame {
            ToClient::Entry { .. } if to == BOB => Vec::new(),
            frame => vec![frame],
        }
    }

    fn is_silent(&mut self, from: Who, request: &Request) -> bool {
        from == BOB && *request == Request::Ping
    }
}

#[test]
fn a_connection_that_is_held_up_for_long_is_no_lie() {
    let (mut world, _) = World::with(184, &["alice", "bob"]);
    let held = Rc::new(RefCell::new(Vec::new()));
    let holds = Rc::clone(&held);
    world.liar = Box::new(Pushes(move |to, frame| match frame {
        ToClient::Entry { .. } if to == BOB => {
            holds.borrow_mut().push(frame);
            Vec::new()
        }
        frame => vec![frame],
    }));
    let said = world.say(BOB, "slow");
    world.run(SECOND);
    let is_ack = |event: &Event| matches!(event, Event::Ack { id, .. } if *id == said);
    assert!(world.person(BOB).events.iter().any(is_ack));
    world.liar = Box::new(Honest);
    // From here on everything takes long: the entry, and what the relay answers.
    world.latency = 22 * SECOND;
    held.take().into_iter().for_each(|frame| world.push(BOB, frame));
    world.run(2 * MINUTE);
    assert_eq!(world.queued(BOB), 0);
    assert_eq!(world.person(ALICE).texts(), ["slow"]);
    world.assert_no_alarms();
}
