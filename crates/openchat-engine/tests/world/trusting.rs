//! Keys that people compare, and what waits when one changes.

use crate::{
    liar::{Answers, Honest},
    random::TestRng,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_engine::{AlarmCode, Command, Event, Grounds, Input, SafetyNumber, Trust};
use openchat_wire::{
    Blob, Name,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

fn bob() -> Name {
    "bob".parse().unwrap()
}

fn number(world: &World, who: Who, of: &str) -> SafetyNumber {
    let engine = world.person(who).engine.as_ref().unwrap();
    engine.contact(&of.parse().unwrap()).unwrap().number
}

fn trust_of(world: &World, who: Who, of: &str) -> Trust {
    let engine = world.person(who).engine.as_ref().unwrap();
    engine.contact(&of.parse().unwrap()).unwrap().trust
}

fn decide(world: &mut World, who: Who, whom: &str, on: Grounds) -> Result<String, String> {
    let (order, whom) = (world.next(), whom.parse().unwrap());
    world.input(who, Input::Command(Command::Trust { order, who: whom, on }));
    world.outcome(who, order).expect("decided at once")
}

/// From here on the server says that bob has another key.
fn change_key(world: &mut World) {
    let key = IdentityKey::generate(&mut world.rng);
    let der = Blob(world.server.certify(&key, &bob(), world.now, &mut TestRng::new(1)));
    world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
        Request::CertificateOf(name) if *name == bob() => Ok(Answer::Certificate(der.clone())),
        _ => answer,
    }));
    world.tell(ALICE, "@bob", "who are you?");
    world.run(SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::KeyChanged]);
}

fn is_told_that_it_waits(world: &World) -> bool {
    let is_held = |event: &&Event| matches!(event, Event::Waiting { code: "held", .. });
    match world.person(ALICE).events.iter().filter(is_held).count() {
        0 => false,
        1 => true,
        many => panic!("told {many} times"),
    }
}

#[test]
fn both_sides_see_one_number_and_it_verifies() {
    let (mut world, _) = World::with(601, &["alice", "bob", "carol"]);
    let seen = number(&world, ALICE, "bob");
    assert_eq!(seen, number(&world, BOB, "alice"));
    assert_ne!(seen, number(&world, ALICE, "carol"));
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Certified);
    assert_eq!(decide(&mut world, ALICE, "bob", Grounds::Compared(seen)), Ok("@bob".to_owned()));
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
    assert_eq!(trust_of(&world, BOB, "alice"), Trust::Certified, "each for itself");

    world.say(BOB, "hello");
    world.run(SECOND);
    let members = world.summary(ALICE, "#general").unwrap().members;
    let bob = members.iter().find(|member| member.name == bob()).unwrap();
    assert_eq!(bob.trust, Trust::Verified, "one state wherever he is");
    world.kill(ALICE);
    world.start(ALICE);
    world.run(SECOND);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
}

#[test]
fn another_number_verifies_nobody() {
    let (mut world, _) = World::with(602, &["alice", "bob", "carol"]);
    let other = number(&world, ALICE, "carol");
    let refused = decide(&mut world, ALICE, "bob", Grounds::Compared(other));
    assert_eq!(refused, Err("not-the-same".to_owned()));
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Certified);
    let never = decide(&mut world, ALICE, "nobody", Grounds::Accepted);
    assert_eq!(never, Err("no-such-person".to_owned()));
    let myself = decide(&mut world, ALICE, "alice", Grounds::Accepted);
    assert_eq!(myself, Err("no-such-person".to_owned()));
}

#[test]
fn what_is_said_to_a_verified_person_waits_when_the_key_changes() {
    let (mut world, _) = World::with(603, &["alice", "bob", "carol"]);
    let seen = number(&world, ALICE, "bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(seen)).unwrap();
    change_key(&mut world);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Changed);

    for text in ["one", "two"] {
        world.say(ALICE, text);
        world.run(MINUTE);
    }
    assert!(is_told_that_it_waits(&world));
    assert_eq!(world.person(Who(2)).texts(), [] as [&str; 0]);
    // Nor does a restart let it go.
    world.kill(ALICE);
    world.start(ALICE);
    world.run(MINUTE);
    assert_eq!(world.person(Who(2)).texts(), [] as [&str; 0]);
    assert_eq!(world.queued(ALICE), 2);

    decide(&mut world, ALICE, "bob", Grounds::Accepted).unwrap();
    world.run(SECOND);
    assert_eq!(world.person(Who(2)).texts(), ["one", "two"]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Certified, "accepted is not compared");
}

#[test]
fn where_a_verified_name_sits_under_another_key_nothing_goes_out_before_the_person_decides() {
    let (mut world, _) = World::with(604, &["alice", "bob"]);
    let before = number(&world, ALICE, "bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    change_key(&mut world);
    world.say(ALICE, "waits");
    let after = number(&world, ALICE, "bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(after)).unwrap();
    world.run(MINUTE);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
    assert_eq!(world.person(BOB).texts(), [] as [&str; 0], "that is the other bob");
    decide(&mut world, ALICE, "bob", Grounds::Accepted).unwrap();
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["waits"]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Certified);
}

#[test]
fn comparing_the_old_key_again_keeps_it_and_what_the_server_shows_lifts_nothing() {
    let (mut world, _) = World::with(607, &["alice", "bob"]);
    let before = number(&world, ALICE, "bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    change_key(&mut world);
    world.say(ALICE, "waits");
    world.run(SECOND);
    // The server shows the true certificate again.
    world.liar = Box::new(Honest);
    world.tell(ALICE, "@bob", "waits too");
    world.run(MINUTE);
    assert_eq!(world.person(BOB).texts(), [] as [&str; 0]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Changed);
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    world.run(MINUTE);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
    assert!(world.person(BOB).texts().iter().any(|text| text == "waits"));
}

#[test]
fn a_changed_key_that_nobody_compared_holds_nothing() {
    let (mut world, _) = World::with(605, &["alice", "bob"]);
    change_key(&mut world);
    world.say(ALICE, "goes out");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["goes out"]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Changed);
}

#[test]
fn a_decision_needs_no_connection() {
    let (mut world, _) = World::with(606, &["alice", "bob"]);
    let seen = number(&world, ALICE, "bob");
    world.kill(ALICE);
    world.person_mut(ALICE).load();
    decide(&mut world, ALICE, "bob", Grounds::Compared(seen)).unwrap();
    world.kill(ALICE);
    world.liar = Box::new(Honest);
    world.start(ALICE);
    world.run(SECOND);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
}
