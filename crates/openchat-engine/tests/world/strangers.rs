//! Somebody with a certificate and bad intentions makes commits that only members can see through.

use crate::{
    forge::{Fault, faulty_join},
    world::{MINUTE, SECOND, World},
};
use openchat_engine::AlarmCode;
use openchat_wire::relay::Request;

fn strikes(seed: u64, fault: Fault) {
    let (mut world, all) = World::with(seed, &["alice", "bob", "carol", "dave", "erin"]);
    let mallory = world.enroll("mallory");
    let entry = faulty_join(&mut world, mallory, fault);
    let log = world.general();
    for who in &all {
        world.say(*who, &format!("before, {who:?}"));
    }
    world.append(mallory, &Request::Append { log, entry, letters: Vec::new(), follows: false });
    for who in &all {
        world.say(*who, &format!("just then, {who:?}"));
    }
    world.run(100);
    for who in &all {
        assert!(world.alarms(*who).contains(&AlarmCode::BadCommit), "{who:?} sees through it");
        world.say(*who, &format!("left behind, {who:?}"));
        assert!(world.queued(*who) > 0);
    }
    world.run(MINUTE);

    // Who came back later than others has what was said meanwhile again.
    for who in &all {
        let mut texts = world.person(*who).texts();
        texts.sort();
        let mut expected = world.person(all[0]).texts();
        expected.sort();
        assert_eq!(texts, expected, "{who:?}");
    }
    assert_eq!(world.person(all[0]).texts().len(), 15, "what was queued has arrived");
    let commits = world.commits();
    assert!(commits <= 5 + 1 + 2, "one or two rejoins bring all back, not {commits} commits");
    for who in &all {
        assert_eq!(world.queued(*who), 0);
        let only = |code: &AlarmCode| *code == AlarmCode::BadCommit;
        assert!(world.alarms(*who).iter().all(only));
    }
    world.forget_events();
    world.say(all[4], "all is well");
    world.run(SECOND);
    assert_eq!(world.person(all[0]).texts().len(), 16);
    world.assert_no_alarms();
}

#[test]
fn a_strangers_wrong_path_keys_leave_nobody_out_for_long() {
    strikes(50, Fault::PathKey);
}

#[test]
fn a_strangers_wrong_external_key_leaves_nobody_out_for_long() {
    strikes(51, Fault::External);
}

#[test]
fn a_strangers_wrong_tag_leaves_nobody_out_for_long() {
    strikes(52, Fault::Tag);
}

#[test]
fn who_was_away_when_a_stranger_struck_comes_back_too() {
    let (mut world, all) = World::with(53, &["alice", "bob", "carol"]);
    world.kill(all[2]);
    let mallory = world.enroll("mallory");
    let entry = faulty_join(&mut world, mallory, Fault::External);
    let log = world.general();
    world.append(mallory, &Request::Append { log, entry, letters: Vec::new(), follows: false });
    world.run(MINUTE);
    world.say(all[0], "carol was away");
    world.run(SECOND);
    world.start(all[2]);
    world.run(MINUTE);
    world.say(all[2], "carol is back");
    world.run(SECOND);
    assert_eq!(world.person(all[0]).texts(), ["carol was away", "carol is back"]);
    assert_eq!(world.person(all[2]).texts().last().unwrap(), "carol is back");
}
