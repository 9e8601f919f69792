//! A relay that lies about the log: members find out from each other at the next message, or at
//! the next heartbeat, and lose nothing.

use crate::{
    authority::{Entries, name},
    forge::{Fault, Forger},
    liar::{Answers, Edit, Fork, Honest, Pushes},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_engine::AlarmCode;
use openchat_pki::MerkleLog;
use openchat_relay::Publish;
use openchat_roster::{CommitEntry, HeadRef, Heartbeat, LogEntry, Seen, SignedHeartbeat};
use openchat_wire::{
    Blob, Digest, Epoch, Seq, Slot,
    relay::{Answer, Request, ToClient},
};
use std::collections::BTreeSet;

const ALICE: Who = Who(0);
const BOB: Who = Who(1);
const CAROL: Who = Who(2);
const CAROLS_SLOT: Slot = Slot(2);

/// A world in which the relay begins to lie to some of four people.
/// Nobody marks what it has read: each message is the first to tell.
fn lied_to(seed: u64, victims: &[Who], edit: Edit) -> World {
    let (mut world, all) = World::with(seed, &["alice", "bob", "carol", "dave"]);
    world.hush();
    for who in &all {
        world.say(*who, &format!("true, {who:?}"));
    }
    world.run(SECOND);
    lie(&mut world, victims, edit);
    world
}

fn lie(world: &mut World, victims: &[Who], edit: Edit) {
    let fork = fork(world, victims, edit);
    world.liar = Box::new(fork);
}

fn fork(world: &mut World, victims: &[Who], edit: Edit) -> Fork {
    let (who, log) = (world.person(ALICE).identity.clone(), world.general());
    let tail = world.server.claim(&who, &log);
    Fork::new(&tail, world.server.receipt_key(), victims, edit)
}

/// Shows the first two entries in the other order, at the places of each other.
fn swap_two() -> Edit {
    let mut held = None;
    let mut swapped = false;
    Box::new(move |_, seq, entry| match held.take() {
        _ if swapped => vec![(seq, entry)],
        None => {
            held = Some((seq, entry));
            Vec::new()
        }
        Some((first, before)) => {
            swapped = true;
            vec![(first, entry), (seq, before)]
        }
    })
}

/// Shows the victim the first `count` messages as they are, then changes the next one.
fn at(count: usize, mut change: impl FnMut(Seq, Vec<u8>) -> Vec<(Seq, Vec<u8>)> + 'static) -> Edit {
    let mut shown = 0;
    Box::new(move |_, seq, entry| {
        shown += 1;
        if shown == count + 1 { change(seq, entry) } else { vec![(seq, entry)] }
    })
}

/// Bob was lied to, and finds out from alice's next message.
fn next_message_tells(mut world: World) {
    for text in ["one", "two", "three"] {
        world.say(ALICE, text);
        world.run(SECOND);
    }
    assert_found_out(&mut world);
}

/// Nobody says anything more, and bob finds out all the same.
fn next_heartbeat_tells(mut world: World) {
    world.say(ALICE, "one");
    world.run(5 * MINUTE);
    assert_found_out(&mut world);
}

fn assert_found_out(world: &mut World) {
    let alarms = world.alarms(BOB);
    let right = |code: &AlarmCode| matches!(code, AlarmCode::HistoryFork | AlarmCode::HeldBack);
    assert!(alarms.iter().any(right), "bob: {alarms:?} {:?}", world.person(BOB).unreadable());
    assert!(alarms.len() < 12, "alarms are few: {alarms:?}");
    let only = |code: &AlarmCode| *code == AlarmCode::HistoryFork;
    assert!(world.alarms(CAROL).iter().all(only), "who was not lied to may find bob strange");
    assert_nothing_lost(world);
}

/// What was stored stays, and the device still starts.
fn assert_nothing_lost(world: &mut World) {
    let said = |world: &World, who| -> BTreeSet<(String, String)> {
        let heard = world.person(who).heard().into_iter();
        heard.map(|(_, sender, text)| (sender, text)).collect()
    };
    let (all, kept) = (said(world, ALICE), said(world, BOB));
    let of_before = kept.iter().filter(|(_, text)| text.starts_with("true")).count();
    assert_eq!(of_before, 4, "history stays");
    assert!(kept.is_subset(&all), "no false word");
    world.kill(BOB);
    world.person_mut(BOB).load();
}

fn drop_it(_: Seq, _: Vec<u8>) -> Vec<(Seq, Vec<u8>)> {
    Vec::new()
}

#[test]
fn h1_a_dropped_message_shows_at_the_very_next_one() {
    let mut world = lied_to(70, &[BOB], at(0, drop_it));
    world.say(ALICE, "dropped");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), []);
    world.say(ALICE, "next");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork], "alice has seen what bob has not");
    assert_nothing_lost(&mut world);
}

#[test]
fn a_dropped_message_shows_at_the_next_heartbeat() {
    next_heartbeat_tells(lied_to(71, &[BOB], at(0, drop_it)));
}

#[test]
fn h4_the_lost_tail_shows_at_the_next_heartbeat() {
    let mut world = lied_to(72, &[BOB], Box::new(|_, _, _| Vec::new()));
    for n in 0..5 {
        world.say(ALICE, &format!("{n}"));
    }
    world.run(5 * MINUTE);
    assert!(world.alarms(BOB).contains(&AlarmCode::HeldBack));
    assert_found_out(&mut world);
}

#[test]
fn a_sender_who_is_dropped_shows_at_the_next_message_of_another() {
    let edit: Edit = Box::new(|_, seq, entry| match LogEntry::decode(&entry) {
        Ok(LogEntry::Message(message)) if message.header.slot == CAROLS_SLOT => Vec::new(),
        _ => vec![(seq, entry)],
    });
    let mut world = lied_to(73, &[BOB], edit);
    world.say(CAROL, "nobody hears me?");
    world.run(SECOND);
    world.say(ALICE, "I do");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork]);
    assert_nothing_lost(&mut world);
}

#[test]
fn a_dropped_commit_shows_at_the_next_message() {
    let is_commit = |entry: &[u8]| matches!(LogEntry::decode(entry), Ok(LogEntry::Commit(_)));
    let mut world = lied_to(
        74,
        &[BOB],
        Box::new(
            move |_, seq, entry| {
                if is_commit(&entry) { Vec::new() } else { vec![(seq, entry)] }
            },
        ),
    );
    let erin = world.enroll("erin");
    world.start(erin);
    world.run(SECOND);
    world.say(ALICE, "welcome, erin");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork]);
    next_heartbeat_tells(world);
}

#[test]
fn two_entries_in_another_order_show_at_the_next_message() {
    for (seed, second) in [(75, CAROL), (76, ALICE)] {
        let mut world = lied_to(seed, &[BOB], swap_two());
        world.say(ALICE, "first");
        world.say(second, "second");
        world.run(SECOND);
        next_message_tells(world);
    }
}

#[test]
fn an_edited_byte_shows_at_once_and_at_the_next_message() {
    for place in [0_usize, 1, 2, 10, 20, 40, 60, 100, usize::MAX] {
        let edit = at(0, move |seq, mut entry| {
            let place = place.min(entry.len() - 1);
            entry[place] ^= 1;
            vec![(seq, entry)]
        });
        let mut world = lied_to(77, &[BOB], edit);
        for text in ["edited", "two", "three"] {
            world.say(ALICE, text);
            world.run(SECOND);
        }
        let unreadable = world.person(BOB).unreadable();
        let alarms = world.alarms(BOB);
        let halted = alarms == [AlarmCode::UnknownEntry];
        let forked = alarms == [AlarmCode::HistoryFork] && unreadable.len() == 1;
        assert!(halted || forked, "byte {place}: {alarms:?} {unreadable:?}");
        assert_nothing_lost(&mut world);
    }
}

#[test]
fn an_edited_commit_is_skipped_or_halts_and_shows() {
    for place in [0_usize, 1, 2, 40, 100, 300, usize::MAX] {
        let edit = at(0, move |seq, mut entry| {
            let place = place.min(entry.len() - 1);
            entry[place] ^= 1;
            vec![(seq, entry)]
        });
        let mut world = lied_to(78, &[BOB], edit);
        let erin = world.enroll("erin");
        world.start(erin);
        world.run(2 * SECOND);
        world.say(ALICE, "welcome");
        world.run(SECOND);
        let alarms = world.alarms(BOB);
        let right = [AlarmCode::UnknownEntry, AlarmCode::InvalidCommit, AlarmCode::Uncertified];
        assert!(right.contains(&alarms[0]), "byte {place}: {alarms:?}");
        if alarms[0] == AlarmCode::InvalidCommit {
            assert_eq!(alarms[1..], [AlarmCode::HistoryFork], "byte {place}");
        }
        assert_nothing_lost(&mut world);
    }
}

#[test]
fn an_entry_that_is_replayed_a_thousand_times_is_shown_once() {
    let mut shift = 0;
    let edit: Edit = Box::new(move |_, seq, entry| {
        let begin = seq.0 + shift;
        let times = if shift == 0 { 1_000 } else { 0 };
        shift += times;
        (begin..=begin + times).map(|seq| (Seq(seq), entry.clone())).collect()
    });
    let mut world = lied_to(79, &[BOB], edit);
    world.say(ALICE, "again");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts().iter().filter(|text| *text == "again").count(), 1);
    // What alice says next may have crossed with the rest on its way; what she says then not.
    for text in ["next", "and then"] {
        world.say(ALICE, text);
        world.run(SECOND);
    }
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork]);
    assert_nothing_lost(&mut world);
}

#[test]
fn two_halves_with_two_histories_find_out_by_one_message_that_crosses() {
    let edit: Edit = Box::new(move |to, seq, entry| {
        let Ok(LogEntry::Message(message)) = LogEntry::decode(&entry) else {
            return vec![(seq, entry)];
        };
        let same_half = (message.header.slot.0 < 2) == (to.0 < 2);
        let long = message.token.0.len() > 1_000;
        if same_half || long { vec![(seq, entry)] } else { Vec::new() }
    });
    let all = [ALICE, BOB, CAROL, Who(3)];
    let mut world = lied_to(80, &all, edit);
    for who in all {
        world.say(who, &format!("to my half, {who:?}"));
        world.run(SECOND);
    }
    for who in all {
        assert_eq!(world.alarms(who), []);
    }
    world.say(ALICE, &"crosses".repeat(200));
    world.run(SECOND);
    for who in [CAROL, Who(3)] {
        assert_eq!(world.alarms(who), [AlarmCode::HistoryFork], "{who:?}");
    }
    world.say(CAROL, &"crosses back".repeat(200));
    world.run(SECOND);
    for who in [ALICE, BOB] {
        assert_eq!(world.alarms(who), [AlarmCode::HistoryFork], "{who:?}");
    }
}

#[test]
fn a_newcomers_key_that_the_server_swapped_shows_at_the_next_message() {
    let mut world = lied_to(81, &[], Box::new(|_, seq, entry| vec![(seq, entry)]));
    let erin = world.enroll("erin");
    // The server has the CA's key and the log's: to bob it shows a key of its own for erin.
    let (key, _, false_entry) = world.second_key(erin);
    let last = world.logged().len() - 1;
    let swap = move |mut entries: Entries| {
        entries[last] = false_entry.encode();
        entries
    };
    let shown: MerkleLog = swap(world.logged()).into_iter().collect();
    let head = HeadRef { size: shown.size(), root: shown.root() };
    world.show_log(&[BOB], swap);

    let (log, entries) = (world.general(), world.log());
    let forger = Forger { name: name("erin"), key };
    let false_join = forger.join(log, &entries, (head, Fault::None), &mut world.rng);
    let edit = at(0, move |seq, _| vec![(seq, false_join.0.clone())]);
    lie(&mut world, &[BOB], edit);

    world.start(erin);
    world.run(2 * SECOND);
    assert!(world.is_ready(erin));
    assert_eq!(world.alarms(BOB), []);
    assert!(world.members(BOB, "#general").contains(&"erin".to_owned()));
    world.say(ALICE, "welcome, erin");
    world.run(SECOND);
    // He can't open it, so it can't tell him of the log that she was shown.
    assert_eq!(world.alarms(BOB), [AlarmCode::HistoryFork]);
    world.view = None;
    world.person_mut(BOB).forget_log();
    assert_nothing_lost(&mut world);
}

#[test]
fn a_log_that_was_taken_back_is_an_alarm_at_the_next_connection() {
    let (mut world, _) = World::with(82, &["alice", "bob", "carol", "dave"]);
    let (who, log) = (world.person(ALICE).identity.clone(), world.general());
    let early = world.server.claim(&who, &log);
    for who in [ALICE, BOB, CAROL, Who(3)] {
        world.say(who, &format!("true, {who:?}"));
    }
    world.run(SECOND);
    world.disconnect(BOB);
    let edit: Edit = Box::new(|_, _, _| Vec::new());
    world.liar = Box::new(Fork::new(&early, world.server.receipt_key(), &[BOB], edit));
    world.connect(BOB);
    world.run(MINUTE);
    assert!(world.alarms(BOB).contains(&AlarmCode::ReceiptMismatch));
    assert_nothing_lost(&mut world);
}

#[test]
fn a_message_that_the_relay_acknowledges_and_does_not_log_is_an_alarm() {
    let mut world = lied_to(83, &[], Box::new(|_, seq, entry| vec![(seq, entry)]));
    world.liar = Box::new(Pushes(|to, frame| match frame {
        ToClient::Entry { .. } if to == BOB => Vec::new(),
        frame => vec![frame],
    }));
    world.say(BOB, "lost?");
    world.run(20 * SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::HeldBack]);
    assert_eq!(world.queued(BOB), 1, "kept until the log shows it");
    world.liar = Box::new(Honest);
    world.reconnect(BOB);
    world.run(SECOND);
    assert_eq!(world.queued(BOB), 0);
    assert!(world.person(BOB).texts().contains(&"lost?".to_owned()));
}

#[test]
fn a_commit_of_no_known_kind_stops_the_group_before_it_does_harm() {
    let unknown = |entry: &[u8]| {
        let Ok(LogEntry::Commit(commit)) = LogEntry::decode(entry) else { panic!("a commit") };
        let mut bytes = commit.commit.0.clone();
        bytes.truncate(200);
        LogEntry::Commit(CommitEntry { commit: Blob(bytes), ..commit }).to_bytes()
    };
    let edit = at(0, move |seq, entry| vec![(seq, unknown(&entry))]);
    let mut world = lied_to(84, &[BOB], edit);
    let erin = world.enroll("erin");
    world.start(erin);
    world.run(2 * SECOND);
    world.say(erin, "hello");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::UnknownEntry]);
    // A program that knows the kind, or an honest relay, goes on from there.
    world.liar = Box::new(Honest);
    world.forget_events();
    world.kill(BOB);
    world.start(BOB);
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts().last().unwrap(), "hello");
    world.assert_no_alarms();
}

/// Changes the commits that a newcomer reads.
fn newcomer_reads(seed: u64, change: fn(&mut Vec<(Seq, Blob)>)) {
    let (mut world, _) = World::with(seed, &["alice", "bob", "carol"]);
    let dave = world.enroll("dave");
    world.liar = Box::new(Answers(move |who, request: &Request, answer| match (request, answer) {
        (Request::ReadCommits { .. }, Ok(Answer::Entries { mut entries, complete }))
            if who == dave =>
        {
            if entries.len() == 3 {
                change(&mut entries);
            }
            Ok(Answer::Entries { entries, complete })
        }
        (_, answer) => answer,
    }));
    world.start(dave);
    world.run(MINUTE);
    let alarms = world.alarms(dave);
    let right = [AlarmCode::InvalidCommit, AlarmCode::UnknownEntry, AlarmCode::ReceiptMismatch];
    assert!(alarms.iter().any(|code| right.contains(code)), "{alarms:?}");
    assert!(alarms.len() < 6, "{alarms:?}");
    assert!(world.person(dave).requests < 300);
    assert!(!world.is_ready(dave));
    // An honest relay makes it good.
    world.liar = Box::new(Honest);
    world.kill(dave);
    world.start(dave);
    assert!(world.run_until(MINUTE, |world| world.is_ready(dave)));
    world.say(dave, "in at last");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts(), ["in at last"]);
}

#[test]
fn a_newcomer_is_shown_commits_without_one_of_them() {
    newcomer_reads(85, |entries| {
        entries.remove(1);
    });
}

#[test]
fn a_newcomer_is_shown_commits_in_another_order() {
    newcomer_reads(86, |entries| entries.swap(1, 2));
}

#[test]
fn a_newcomer_is_shown_an_edited_commit() {
    newcomer_reads(87, |entries| {
        let last = entries[1].1.0.len() - 1;
        entries[1].1.0[last] ^= 1;
    });
}

#[test]
fn a_newcomer_is_not_shown_the_newest_commits() {
    let (mut world, _) = World::with(88, &["alice", "bob", "carol"]);
    let dave = world.enroll("dave");
    world.liar = Box::new(Answers(move |who, request: &Request, answer| match (request, answer) {
        (Request::ReadCommits { .. }, Ok(Answer::Entries { mut entries, complete }))
            if who == dave =>
        {
            entries.retain(|(seq, _)| seq.0 < 3);
            Ok(Answer::Entries { entries, complete })
        }
        (_, answer) => answer,
    }));
    world.start(dave);
    world.run(MINUTE);
    assert!(!world.is_ready(dave));
    assert!(world.alarms(dave).contains(&AlarmCode::HeldBack), "{:?}", world.alarms(dave));
    assert!(world.alarms(dave).len() < 6, "{:?}", world.alarms(dave));
}

#[test]
fn a_member_who_invents_a_place_does_not_hide_what_is_held_back() {
    let (mut world, _) = World::with(89, &["alice", "bob", "carol"]);
    let log = world.general();
    let key = IdentityKey::from_pkcs8(&world.person(CAROL).key).unwrap();
    let seen = Seen { seq: Seq(u64::MAX), log_hash: Digest([0; 32]) };
    let author = key.fingerprint();
    let beat = Heartbeat { author, group: log, epoch: Epoch(1), interim: Digest([0; 32]), seen };
    let beat = SignedHeartbeat::sign(&beat, &key).to_bytes();
    // An honest relay hands on nothing of the kind; this one signs a receipt of its own to it.
    let receipt = world.receipt(CAROL);
    world.publish(&Publish::Heartbeat { log, beat: beat.0.into(), receipt });
    world.run(SECOND);
    world.say(ALICE, "shown");
    world.run(SECOND);
    world.forget_events();
    lie(&mut world, &[BOB], Box::new(|_, _, _| Vec::new()));
    world.say(ALICE, "held back");
    world.run(5 * MINUTE);
    assert!(world.alarms(BOB).contains(&AlarmCode::HeldBack));
}
