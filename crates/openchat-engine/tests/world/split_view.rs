//! A server that shows two transparency logs: the first message between those who see one and those
//! who see the other tells (`docs/protocol.md` §9.4).

use crate::{
    authority::Entries,
    insider::said_by,
    liar::Answers,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Standing};
use openchat_pki::{Deceit, Entry, Evidence};
use openchat_wire::{
    Blob, Digest, Fingerprint, encode,
    relay::{Answer, Request, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);

/// An entry that looks like any other, and that only some are shown.
fn rogue() -> Vec<u8> {
    let (name, fingerprint) = ("mallory".parse().unwrap(), Fingerprint([7; 32]));
    Entry::Revoke { name, fingerprint }.encode()
}

/// The last entry is another one for these. Nobody has said anything in this process.
fn split(world: &mut World, victims: &[Who]) {
    world.enroll("dave");
    let last = world.logged().len() - 1;
    world.show_log(victims, move |mut entries: Entries| {
        entries[last] = rogue();
        entries
    });
    world.run(2 * SECOND);
    world.forget_events();
}

fn assert_convicts(world: &World, who: Who) {
    let evidence = world.person(who).evidence();
    let [bytes] = evidence.as_slice() else { panic!("{} files", evidence.len()) };
    let evidence = Evidence::decode(bytes).unwrap();
    let verdict = evidence.verify(Some(&world.server.pin())).unwrap();
    assert!(matches!(verdict.what, Deceit::TwoLogs { .. }));
    assert!(evidence.verify(Some(&Digest([1; 32]))).is_err(), "against another server it is none");
}

#[test]
fn t19_a_log_shown_to_one_alone_shows_at_the_first_message_that_crosses() {
    for (speaker, hearers) in [(CAROL, &[ALICE, BOB][..]), (ALICE, &[CAROL])] {
        let (mut world, _) = World::with(701, &["alice", "bob", "carol"]);
        split(&mut world, &[CAROL]);
        world.say(speaker, "good morning");
        world.run(SECOND);
        for who in hearers {
            assert_eq!(world.alarms(*who), [AlarmCode::SplitView], "{who:?}");
            assert_convicts(&world, *who);
            // It was the server, so what people say to each other goes on.
            assert_eq!(world.person(*who).texts(), ["good morning"]);
            assert_eq!(world.summary(*who, "#general").unwrap().standing, Standing::Member);
        }
        assert_eq!(world.alarms(speaker), [], "nobody has told this one yet");
    }
}

#[test]
fn t19_a_log_shown_to_half_of_them_shows_to_the_other_half_at_the_first_message() {
    let names = ["alice", "bob", "carol", "dan", "erin", "frank"];
    let (mut world, all) = World::with(702, &names);
    split(&mut world, &all[..3]);
    world.say(all[0], "from one half");
    world.run(SECOND);
    for who in &all {
        let is_other = all[3..].contains(who);
        let alarms = if is_other { vec![AlarmCode::SplitView] } else { Vec::new() };
        assert_eq!(world.alarms(*who), alarms, "{who:?}");
    }
    world.say(all[5], "and back");
    world.run(SECOND);
    for who in &all[..3] {
        assert_eq!(world.alarms(*who), [AlarmCode::SplitView], "{who:?}");
        assert_convicts(&world, *who);
    }
}

#[test]
fn t19_logs_that_parted_long_ago_are_told_by_a_proof() {
    let (mut world, _) = World::with(703, &["alice", "bob", "carol"]);
    split(&mut world, &[CAROL]);
    world.say(CAROL, "an old head");
    world.run(100);
    world.kill(ALICE);
    // Both logs have grown by then.
    for n in 0..40 {
        world.enroll(&format!("new{n}"));
    }
    world.run(2 * SECOND);
    world.start(ALICE);
    world.run(SECOND);
    world.forget_events();
    world.kill(CAROL);
    world.start(CAROL);
    world.enroll("another");
    world.run(2 * SECOND);
    world.say(CAROL, "a new head");
    world.run(SECOND);
    assert_eq!(world.alarms(ALICE), [AlarmCode::SplitView]);
    assert_convicts(&world, ALICE);
}

#[test]
fn t19_a_device_that_was_given_another_log_key_is_found_out() {
    let mut world = World::new(704);
    for name in ["alice", "bob"] {
        let who = world.enroll(name);
        world.start(who);
        world.run(2 * SECOND);
    }
    let carol = world.enroll("carol");
    let (key, statement) = world.server.other_log(&mut world.rng);
    world.person_mut(carol).told_keys(statement);
    world.show_log(&[carol], |entries| entries);
    world.view.as_mut().unwrap().key = Some(key.to_pkcs8().to_vec());
    // The entries are the same, so she gets in.
    world.start(carol);
    world.run(2 * SECOND);
    world.say(carol, "hello");
    world.run(SECOND);
    world.say(ALICE, "hello");
    world.run(SECOND);
    for who in [ALICE, BOB, carol] {
        assert_eq!(world.alarms(who), [AlarmCode::SplitView], "{who:?}");
        assert_eq!(world.person(who).texts(), ["hello", "hello"]);
    }
}

#[test]
fn t20_a_head_that_is_old_for_ever_is_told_by_whoever_sees_a_newer_one() {
    let (mut world, _) = World::with(705, &["alice", "bob"]);
    world.show_log(&[BOB], |mut entries| {
        entries.truncate(3);
        entries
    });
    world.enroll("carol");
    world.run(2 * SECOND);
    assert_eq!(world.alarms(BOB), []);
    world.say(ALICE, "there is somebody new");
    world.say(ALICE, "did you hear?");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::LogRollback]);
    assert_eq!(world.person(BOB).texts().len(), 2);
    assert_eq!(world.alarms(ALICE), []);
}

#[test]
fn t20_what_is_only_on_its_way_is_read_first() {
    let (mut world, _) = World::with(706, &["alice", "bob"]);
    // Nothing is pushed, and answers take a while.
    world.liar = Box::new(crate::liar::Pushes(|_, frame| match frame {
        ToClient::Head(_) => Vec::new(),
        frame => vec![frame],
    }));
    world.latency = 200;
    world.enroll("carol");
    world.reconnect(ALICE);
    world.run(2 * SECOND);
    world.say(ALICE, "I have seen more of the log than you");
    world.run(5 * SECOND);
    world.assert_no_alarms();
    assert_eq!(world.person(ALICE).mirrored().len(), 4);
    assert_eq!(world.person(BOB).mirrored().len(), 4, "bob has read on");
}

#[test]
fn heads_of_absurd_size_and_no_heads_at_all_raise_an_alarm_and_stop_nothing() {
    for n in 0..5 {
        let (mut world, all) = World::with(708, &["alice", "bob", "mallory"]);
        let (head, right) = match n {
            0 => (world.sign_head(u64::MAX, Digest([1; 32])), AlarmCode::LogRollback),
            1 => (world.sign_head(1 << 40, Digest([0; 32])), AlarmCode::LogRollback),
            2 => (world.sign_head(0, Digest([1; 32])), AlarmCode::SplitView),
            3 => (Blob(Vec::new()), AlarmCode::SplitView),
            _ => (Blob(vec![0xff; 40_000]), AlarmCode::SplitView),
        };
        let text = format!("number {n}");
        let body = encode(&(head, 1_u16, Blob(text.clone().into_bytes())));
        said_by(&mut world, all[2], "#general", 4, body);
        world.run(20 * SECOND);
        for who in [ALICE, BOB] {
            assert_eq!(world.alarms(who), [right], "{n}");
            assert_eq!(world.person(who).texts(), std::slice::from_ref(&text));
        }
        world.say(ALICE, "never mind");
        world.run(SECOND);
        assert_eq!(world.person(BOB).texts(), [text, "never mind".to_owned()]);
    }
}

#[test]
fn a_server_that_denies_its_own_heads_is_told_of_by_others_only_once_each() {
    let (mut world, _) = World::with(709, &["alice", "bob", "carol"]);
    world.liar = Box::new(Answers(|who, request: &Request, answer| match (request, answer) {
        (Request::ReadTransparency(3..), Ok(Answer::Recorded { .. })) if who == BOB => {
            Ok(Answer::Recorded { entries: Vec::new(), head: Blob(vec![1]), complete: true })
        }
        (_, answer) => answer,
    }));
    world.enroll("dave");
    world.run(2 * SECOND);
    for n in 0..20 {
        world.say(ALICE, &format!("{n}"));
        world.say(CAROL, &format!("{n}"));
        world.run(MINUTE);
    }
    let requests = world.person(BOB).requests;
    world.run(MINUTE);
    assert!(world.person(BOB).requests - requests < 20);
    assert!(world.alarms(BOB).len() <= 3, "{:?}", world.alarms(BOB));
    assert_eq!(world.person(BOB).texts().len(), 40);
}
