//! Keys that people compare, and what waits when one changes.

use crate::world::{MINUTE, SECOND, Who, World};
use openchat_engine::{AlarmCode, Command, Event, Grounds, Input, SafetyNumber, Trust};
use openchat_pki::Entry;
use openchat_wire::Name;

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

/// Bob has lost his key and gets another one.
fn change_key(world: &mut World) -> Who {
    let new = world.reset(BOB);
    world.run(SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::KeyChanged]);
    new
}

/// The new bob is in #general.
fn come_back(world: &mut World, new: Who) {
    world.start(new);
    assert!(world.run_until(MINUTE, |world| world.is_ready(new)));
    world.run(SECOND);
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
    decide(&mut world, ALICE, "bob", Grounds::Accepted).unwrap();
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified, "nothing was to be decided");

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
    assert_eq!(myself, Err("myself".to_owned()));
}

#[test]
fn what_is_said_to_a_verified_person_waits_when_the_key_changes() {
    let (mut world, _) = World::with(603, &["alice", "bob", "carol"]);
    let seen = number(&world, ALICE, "bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(seen)).unwrap();
    let new = change_key(&mut world);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Changed);
    come_back(&mut world, new);

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
    assert_eq!(world.person(new).texts(), ["one", "two"]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Certified, "accepted is not compared");
}

#[test]
fn where_a_verified_name_sits_under_another_key_nothing_goes_out_before_the_person_decides() {
    let (mut world, _) = World::with(604, &["alice", "bob"]);
    let before = number(&world, ALICE, "bob");
    let new = change_key(&mut world);
    let after = number(&world, ALICE, "bob");
    assert_ne!(before, after);
    come_back(&mut world, new);
    // The person has compared the number of the key that bob had before.
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    world.say(ALICE, "waits");
    world.run(MINUTE);
    assert_eq!(world.person(new).texts(), [] as [&str; 0], "that is the other bob");
    decide(&mut world, ALICE, "bob", Grounds::Compared(after)).unwrap();
    world.run(SECOND);
    assert_eq!(world.person(new).texts(), ["waits"]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
}

#[test]
fn comparing_the_old_key_again_keeps_it_and_what_the_server_shows_lifts_nothing() {
    let (world, _) = World::with(607, &["alice", "bob"]);
    let before = number(&world, ALICE, "bob");
    let issued = world.logged()[2].clone();
    let mut world = world;
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    let new = change_key(&mut world);
    come_back(&mut world, new);
    world.say(ALICE, "waits");
    world.run(SECOND);
    // The server certifies the first key again, which stays revoked all the same (T6).
    let mut world = world.log_entry(&Entry::decode(&issued).unwrap());
    world.online_again(&[ALICE, new]);
    world.run(MINUTE);
    assert_eq!(world.person(new).texts(), [] as [&str; 0]);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Changed);
    assert!(world.alarms(ALICE).contains(&AlarmCode::LogIrregular));
    decide(&mut world, ALICE, "bob", Grounds::Compared(before)).unwrap();
    world.run(MINUTE);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
    assert_eq!(world.person(new).texts(), [] as [&str; 0], "he sits under the other key");
}

#[test]
fn a_changed_key_that_nobody_compared_holds_nothing() {
    let (mut world, _) = World::with(605, &["alice", "bob"]);
    let new = change_key(&mut world);
    come_back(&mut world, new);
    world.say(ALICE, "goes out");
    world.run(SECOND);
    assert_eq!(world.person(new).texts(), ["goes out"]);
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
    world.start(ALICE);
    world.run(SECOND);
    assert_eq!(trust_of(&world, ALICE, "bob"), Trust::Verified);
}
