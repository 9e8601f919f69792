//! What the CA does in somebody's name (`docs/protocol.md` §9.2, T4 to T7, and K1).

use crate::{
    coming::add,
    forge::{Fault, Forger},
    liar::{Answers, Edit, Fork},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Command, Event, Grounds, Input, Standing};
use openchat_pki::MerkleLog;
use openchat_roster::HeadRef;
use openchat_wire::{
    Blob,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);

fn accept(world: &mut World, who: Who) -> Result<String, String> {
    let (order, name) = (world.next(), world.person(who).identity.name.clone());
    world.input(who, Input::Command(Command::Trust { order, who: name, on: Grounds::Accepted }));
    world.outcome(who, order).expect("decided at once")
}

#[test]
fn t7_a_second_certificate_alarms_its_owner_until_she_has_answered_and_t4_tells_the_others() {
    let (mut world, all) = World::with(740, &["alice", "bob", "carol"]);
    let (_, _, entry) = world.second_key(ALICE);
    world = world.log_entry(&entry);
    world.online_again(&all);
    world.run(2 * SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::OwnName, AlarmCode::LogIrregular]);
    for who in [BOB, CAROL] {
        assert_eq!(world.alarms(who), [AlarmCode::LogIrregular], "{who:?}");
    }
    for n in 0..3 {
        world.forget_events();
        world.kill(ALICE);
        world.start(ALICE);
        world.run(2 * SECOND);
        assert_eq!(world.alarms(ALICE), [AlarmCode::OwnName], "at start {n}");
        world.say(ALICE, &format!("{n}"));
        world.run(SECOND);
        assert_eq!(world.person(BOB).texts().len(), n + 1, "nothing stops");
    }
    assert_eq!(accept(&mut world, ALICE), Ok("@alice".to_owned()));
    assert_eq!(
        accept(&mut world, ALICE),
        Err("myself".to_owned()),
        "there is nothing more to answer"
    );
    world.forget_events();
    world.kill(ALICE);
    world.start(ALICE);
    world.run(2 * SECOND);
    world.assert_no_alarms();
    // The void key is nobody's: she is still who she was.
    let late = world.enroll("dave");
    world.start(late);
    world.run(2 * SECOND);
    assert!(world.members(late, "#general").contains(&"alice".to_owned()));
}

#[test]
fn t18_an_alarm_survives_a_power_cut_and_comes_while_nobody_looks() {
    let (mut world, _) = World::with(741, &["alice", "bob"]);
    world.kill(ALICE);
    let (_, _, entry) = world.second_key(ALICE);
    world = world.log_entry(&entry);
    world.online_again(&[BOB]);
    world.run(MINUTE);
    world.start(ALICE);
    world.run(2 * SECOND);
    assert!(world.alarms(ALICE).contains(&AlarmCode::OwnName));
    world.person_mut(ALICE).fall(crate::person::Death::PowerCut);
    world.forget_events();
    world.person_mut(ALICE).load();
    world.input(ALICE, Input::Tick);
    assert_eq!(world.alarms(ALICE), [AlarmCode::OwnName], "also without a connection");
}

#[test]
fn t7_a_name_given_away_behind_its_owners_back_is_told_to_her_for_both_entries() {
    let (mut world, _) = World::with(742, &["alice", "bob"]);
    // The server keeps her connection, so that she hears of it.
    let name = world.person(ALICE).identity.name.clone();
    let now = world.server_time();
    let reset = world.server.relay.reset(&name, now, &mut world.rng).unwrap().unwrap();
    let thief = world.enroll_with(&name, &reset.invited, now);
    world.run(2 * SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::Revoked, AlarmCode::OwnName]);
    assert_eq!(world.alarms(BOB), [AlarmCode::KeyChanged]);
    world.start(thief);
    world.run(2 * SECOND);
    assert!(world.is_ready(thief), "that is what a reset is for");
    assert_eq!(world.alarms(thief), [], "entries from before it had the name are none of its own");
    world.kill(ALICE);
    world.forget_events();
    world.start(ALICE);
    world.run(2 * SECOND);
    let alarms = world.alarms(ALICE);
    assert!(alarms.starts_with(&[AlarmCode::Revoked, AlarmCode::OwnName]), "{alarms:?}");
}

#[test]
fn k1_a_second_certificate_that_is_not_logged_gets_nobody_in() {
    let (mut world, _) = World::with(743, &["alice", "bob", "carol"]);
    let (key, ..) = world.second_key(CAROL);
    // The server has the group's log too: it shows everybody else a join in her name.
    let entries = world.logged();
    let tree: MerkleLog = entries.iter().collect();
    let head = HeadRef { size: tree.size(), root: tree.root() };
    let (log, commits) = (world.general(), world.log());
    let forger = Forger { name: "dora".parse().unwrap(), key };
    let join = forger.join(log, &commits, (head, Fault::None), &mut world.rng);
    let tail = world.server.claim(&world.person(ALICE).identity.clone(), &log);
    let mut once = true;
    let edit: Edit = Box::new(move |_, seq, entry| {
        let shown = if core::mem::take(&mut once) { join.0.clone() } else { entry };
        vec![(seq, shown)]
    });
    world.liar = Box::new(Fork::new(&tail, world.server.receipt_key(), &[BOB], edit));
    world.say(ALICE, "anybody new?");
    world.run(MINUTE);
    assert_eq!(world.alarms(BOB), [AlarmCode::Uncertified]);
    assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Halted);
    assert_eq!(world.person(BOB).texts(), [] as [&str; 0]);
}

#[test]
fn k1_nobody_is_added_under_a_second_certificate_logged_or_not() {
    for is_logged in [false, true] {
        let (mut world, all) = crate::coming::ops(744, &["alice", "bob"]);
        let carol = world.online_people(&["carol"])[0];
        let (_, der, entry) = world.second_key(carol);
        if is_logged {
            world = world.log_entry(&entry);
            world.online_again(&[all[0], all[1], carol]);
            world.run(2 * SECOND);
            world.forget_events();
        }
        world.liar = Box::new(Answers(move |_, request: &Request, answer| match request {
            Request::CertificateOf(_) => Ok(Answer::Certificate(Blob(der.clone()))),
            _ => answer,
        }));
        assert_eq!(world.fails(ALICE, add("#ops", "carol")), "uncertified");
        assert_eq!(world.alarms(ALICE), [AlarmCode::Uncertified]);
        assert_eq!(world.members(BOB, "#ops"), ["alice", "bob"]);
        world.tell(ALICE, "@carol", "secret");
        world.run(MINUTE);
        assert_eq!(world.person(carol).texts(), [] as [&str; 0]);
        let failed = |event: &Event| matches!(event, Event::Failed { code: "uncertified", .. });
        assert_eq!(world.person(ALICE).events.iter().filter(|it| failed(it)).count(), 3);
    }
}

#[test]
fn who_is_not_in_the_log_is_told_so() {
    let (mut world, _) = World::with(745, &["alice", "bob"]);
    let carol = world.enroll("carol");
    world.show_log(&[carol], |mut entries| {
        entries.truncate(3);
        entries
    });
    world.start(carol);
    world.run(2 * SECOND);
    assert_eq!(world.alarms(carol), [AlarmCode::OwnName]);
    world.view = None;
    world.reconnect(carol);
    world.run(2 * SECOND);
    world.forget_events();
    // From then on it is watched.
    let (_, _, entry) = world.second_key(carol);
    world = world.log_entry(&entry);
    world.online_again(&[ALICE, BOB, carol]);
    world.run(2 * SECOND);
    assert!(world.alarms(carol).contains(&AlarmCode::OwnName));
}

#[test]
fn a_name_that_the_log_had_given_to_somebody_else_before_is_told_to_whoever_enrolls_with_it() {
    let (mut world, _) = World::with(746, &["alice", "bob"]);
    // The server writes a key of its own under a name that it is about to invite.
    let key = openchat_wire::Fingerprint([4; 32]);
    let Ok(openchat_pki::Entry::Issue { serial, not_after, .. }) =
        openchat_pki::Entry::decode(&world.logged()[0])
    else {
        panic!()
    };
    let name = "carol".parse().unwrap();
    let entry = openchat_pki::Entry::Issue { name, fingerprint: key, serial, not_after };
    world = world.log_entry(&entry);
    world.online_again(&[ALICE, BOB]);
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(2 * SECOND);
    assert_eq!(world.alarms(carol), [AlarmCode::LogIrregular, AlarmCode::OwnName]);
    assert!(world.alarms(BOB).contains(&AlarmCode::Uncertified), "she is nobody to the others");
}
