//! What a server may do with its transparency log, to a device that mirrors it.

use crate::{
    authority::{Entries, name},
    cases::deaths,
    liar::{Answers, Honest, Instead, Lies, Said},
    person::Death,
    random::TestRng,
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Event, Key, Standing};
use openchat_pki::{Entry, Evidence, Mirror};
use openchat_wire::{
    Blob, Fingerprint,
    relay::{Answer, Request, ToClient},
};
use rand_core::Rng;

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

/// Does something to the entries of every answer about the log, under the true head.
fn spoil(who: Who, edit: impl Fn(&mut Vec<Blob>) + 'static) -> Box<dyn Lies> {
    Box::new(Answers(move |to, _: &Request, answer: Said| match answer {
        Ok(Answer::Recorded { mut entries, head, complete }) if to == who => {
            edit(&mut entries);
            Ok(Answer::Recorded { entries, head, complete })
        }
        answer => answer,
    }))
}

type Edit = fn(&mut Vec<Blob>);

const SPOILT: [(&str, Edit); 7] = [
    ("edited", |entries| entries[1].0[5] ^= 1),
    ("withheld", |entries| drop(entries.remove(1))),
    ("the last one withheld", |entries| drop(entries.pop())),
    ("doubled", |entries| entries.insert(1, entries[0].clone())),
    ("in another order", |entries| entries.swap(0, 1)),
    ("empty", |entries| entries[0] = Blob(Vec::new())),
    ("too long", |entries| entries[0] = Blob(vec![0; 600])),
];

#[test]
fn t2_entries_that_are_not_those_of_the_head_are_not_believed() {
    for (n, (note, edit)) in SPOILT.into_iter().enumerate() {
        let (mut world, _) = World::with(720, &["alice", "bob"]);
        let carol = world.enroll("carol");
        world.liar = spoil(carol, edit);
        world.start(carol);
        world.say(carol, "am I in?");
        world.run(MINUTE / 2);
        assert_eq!(world.alarms(carol), [AlarmCode::LogRollback], "{note}");
        assert!(!world.is_ready(carol), "{note}: nobody there is known");
        assert_eq!(world.person(carol).mirrored(), [] as [Vec<u8>; 0]);
        let requests = world.person(carol).requests;
        world.run(HOUR);
        let asked = world.person(carol).requests - requests;
        assert!(asked < 4_000, "{note}: {asked} requests in an hour, most of them pings");
        // The operator mends it, and the device comes in by itself.
        world.liar = Box::new(Honest);
        world.run(2 * HOUR);
        assert!(world.is_ready(carol), "{note}");
        assert_eq!(world.person(ALICE).texts(), ["am I in?"], "{n}");
    }
}

#[test]
fn entries_beyond_the_head_are_left_for_the_next_one() {
    let (mut world, _) = World::with(721, &["alice", "bob"]);
    let carol = world.enroll("carol");
    let beyond = Entry::Revoke { name: name("alice"), fingerprint: Fingerprint([3; 32]) }.encode();
    world.liar = spoil(carol, move |entries| entries.push(Blob(beyond.clone())));
    world.start(carol);
    world.run(2 * SECOND);
    assert!(world.is_ready(carol));
    assert_eq!(world.person(carol).mirrored(), world.logged());
    world.assert_no_alarms();
}

#[test]
fn pages_without_an_end_fill_no_memory() {
    let (mut world, _) = World::with(722, &["alice", "bob"]);
    let page: Vec<Blob> = (0..1_000).map(|_| Blob(vec![9; 500])).collect();
    world.liar = Box::new(Answers(move |who, _: &Request, answer: Said| match answer {
        Ok(Answer::Recorded { head, .. }) if who == BOB => {
            Ok(Answer::Recorded { entries: page.clone(), head, complete: false })
        }
        answer => answer,
    }));
    let before = asked(&world, BOB);
    world.reconnect(BOB);
    world.run(MINUTE / 2);
    assert_eq!(world.alarms(BOB), [AlarmCode::LogRollback]);
    let pages = asked(&world, BOB) - before;
    assert!(pages <= (64 << 20) / (1_000 * 500), "{pages} pages were kept");
    // He speaks all the same, and hears.
    world.say(BOB, "one");
    world.say(ALICE, "two");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts(), ["one", "two"]);
    assert_eq!(world.person(BOB).texts(), ["one", "two"]);
}

/// How often somebody has asked for the log.
fn asked(world: &World, who: Who) -> usize {
    let ours = world.requests.iter().filter(|(from, _)| *from == who);
    ours.filter(|(_, bytes)| {
        let request = openchat_wire::decode::<Request>(bytes, 1 << 20).unwrap();
        matches!(request, Request::ReadTransparency(_))
    })
    .count()
}

#[test]
fn a_page_of_nothing_that_is_not_the_last_is_asked_for_ever_more_seldom() {
    let (mut world, _) = World::with(723, &["alice", "bob"]);
    world.liar = Box::new(Instead(|who, request: &Request| match request {
        Request::ReadTransparency(_) if who == BOB => Some(Ok(Answer::Recorded {
            entries: Vec::new(),
            head: Blob(Vec::new()),
            complete: false,
        })),
        _ => None,
    }));
    world.reconnect(BOB);
    let before = asked(&world, BOB);
    world.run(HOUR);
    assert_eq!(world.alarms(BOB), [AlarmCode::LogRollback]);
    assert!(asked(&world, BOB) - before < 10, "{}", asked(&world, BOB) - before);
}

#[test]
fn heads_of_any_length_are_no_heads() {
    let (mut world, _) = World::with(724, &["alice", "bob"]);
    let honest = world.head_for(BOB);
    let mut rng = TestRng::new(724);
    for length in [0, 1, 8, 63, 64, 65, honest.0.len() - 1, honest.0.len() + 1, 1_000, 65_000] {
        let mut head = vec![0; length];
        rng.fill_bytes(&mut head);
        world.push(BOB, ToClient::Head(Blob(head)));
        let mut cut = honest.0.clone();
        cut.resize(length, 0);
        world.push(BOB, ToClient::Head(Blob(cut)));
        world.run(SECOND);
    }
    assert_eq!(world.alarms(BOB), [AlarmCode::LogRollback], "told once a connection");
    for bit in 0..honest.0.len() * 8 {
        let mut head = honest.clone();
        head.0[bit / 8] ^= 1 << (bit % 8);
        world.push(BOB, ToClient::Head(head));
    }
    world.run(MINUTE);
    assert_eq!(world.person(BOB).mirrored(), world.logged());
    world.say(BOB, "still here");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts(), ["still here"]);
}

#[test]
fn t1_a_server_with_the_database_of_yesterday_is_found_out_by_everybody() {
    let (mut world, all) = World::with(725, &["alice", "bob", "carol"]);
    world.enroll("dave");
    world.run(2 * SECOND);
    world.show_log(&all, |mut entries| {
        entries.truncate(4);
        entries
    });
    for who in &all {
        world.reconnect(*who);
    }
    world.run(SECOND);
    for who in &all {
        assert_eq!(world.alarms(*who), [AlarmCode::LogRollback], "{who:?}");
        // A log that only went back is no evidence: it can come of a backup.
        assert_eq!(world.person(*who).evidence().len(), 0);
        assert_eq!(world.person(*who).mirrored(), world.logged(), "nothing is taken back here");
    }
    // What it logs from there on is.
    world.forget_events();
    let other = Entry::GroupName { name: "other".parse().unwrap(), group: world.general() };
    world.show_log(&all, move |mut entries: Entries| {
        entries.truncate(4);
        entries.push(other.encode());
        entries
    });
    world.run(SECOND);
    for who in &all {
        assert_eq!(world.alarms(*who), [], "it was said on this connection already");
        let evidence = world.person(*who).evidence();
        let evidence = Evidence::decode(&evidence[0]).unwrap();
        evidence.verify(Some(&world.server.pin())).unwrap();
    }
}

#[test]
fn a_server_whose_clock_is_set_back_or_that_starts_anew_is_no_liar() {
    let (mut world, all) = World::with(726, &["alice", "bob", "carol"]);
    world.run(2 * MINUTE);
    for skew in [-2, 3, -1, 0] {
        world.server_skew = skew * i64::try_from(HOUR).unwrap();
        world = world.restart_relay();
        world.online_again(&all);
        world.run(SECOND);
        world.enroll(&format!("new{}", skew + 2));
        world.run(2 * SECOND);
        world.say(ALICE, "what time is it?");
        world.run(MINUTE);
    }
    world.assert_no_alarms();
    for who in &all {
        assert_eq!(world.person(*who).mirrored(), world.logged());
    }
}

/// Alice reads a log that grows, and dies at a step of hers.
fn grows(seed: u64, death: Option<(usize, Death)>) -> World {
    let mut world = World::new(seed);
    let alice = world.enroll("alice");
    if let Some((step, death)) = death {
        world.dies(alice, step, death);
    }
    world.start(alice);
    let bob = world.enroll("bob");
    world.start(bob);
    for n in 0..35 {
        world.enroll(&format!("new{n}"));
        world.run(300);
    }
    world.reset(bob);
    world.run(5 * SECOND);
    world.say(alice, "done");
    world.run(5 * SECOND);
    world
}

#[test]
fn a_mirror_survives_death_at_every_step() {
    for (step, death) in deaths(31) {
        let world = grows(727, Some((step, death)));
        let note = format!("{death:?} {step}");
        let is_of_bob = |code: &AlarmCode| *code == AlarmCode::KeyChanged;
        assert!(world.alarms(ALICE).iter().all(is_of_bob), "{note}");
        assert_eq!(world.person(ALICE).mirrored(), world.logged(), "{note}");
        assert_eq!(world.members(ALICE, "#general"), ["alice"], "{note}");
    }
}

#[test]
fn a_restored_mirror_is_the_same_as_one_that_reads_everything() {
    let (mut world, _) = World::with(728, &["alice", "bob"]);
    let now = world.server_time();
    let mut identities = Vec::new();
    for n in 0..3_000 {
        let name = name(&format!("n{n}"));
        let entry = if n % 7 == 6 {
            let (name, fingerprint) = (identities.pop()).unwrap();
            Entry::Revoke { name, fingerprint }
        } else {
            let mut fingerprint = Fingerprint([0; 32]);
            world.rng.fill_bytes(&mut fingerprint.0);
            identities.push((name.clone(), fingerprint));
            let Ok(Entry::Issue { serial, not_after, .. }) = Entry::decode(&world.logged()[0])
            else {
                panic!()
            };
            Entry::Issue { name, fingerprint, serial, not_after }
        };
        let (index, bytes) = (u64::try_from(world.logged().len()).unwrap(), entry.encode());
        if n == 0 {
            assert!(bytes.len() < 200, "{index}");
        }
        world = world.log_quietly(&bytes, now, n % 300 == 299);
    }
    world.online_again(&[ALICE, BOB]);
    world.run(10 * SECOND);
    let restart = |world: &mut World, who| {
        world.kill(who);
        world.start(who);
        world.run(2 * SECOND);
    };
    restart(&mut world, ALICE);
    assert_eq!(world.person(ALICE).mirrored(), world.logged());
    let checkpoints = world.person(ALICE).vault.records.keys().filter(|key| key.kind == 23);
    assert_eq!(checkpoints.count(), 1);
    let fresh = world.fresh_mirror();
    let restored = restored(&world, ALICE);
    assert_eq!(restored.people().collect::<Vec<_>>(), fresh.people().collect::<Vec<_>>());
    assert_eq!(restored.head().unwrap().root, fresh.head().unwrap().root);
    // Whoever comes now, and whoever was here, agree on whom they see.
    let carol = world.enroll("carol");
    world.start(carol);
    world.run(5 * SECOND);
    world.say(carol, "hello");
    world.run(SECOND);
    assert_eq!(world.person(ALICE).texts(), ["hello"]);
    world.assert_no_alarms();
}

/// The mirror that a vault's records make.
fn restored(world: &World, who: Who) -> Mirror {
    let person = world.person(who);
    let record = |kind| person.vault.records.iter().find(|(key, _)| key.kind == kind).unwrap().1;
    let keys = person.device().server_keys;
    let mut mirror = Mirror::restore(&keys, &record(23).0).unwrap();
    let size = usize::try_from(mirror.size()).unwrap();
    let rest = person.mirrored().split_off(size);
    let _extended = mirror.extend(&rest, &record(10).0).unwrap();
    mirror
}

#[test]
fn a_vault_of_before_the_mirror_loads() {
    let (mut world, _) = World::with(729, &["alice", "bob"]);
    let head = world.head_for(ALICE);
    let certificate = Blob(world.person(BOB).device().certificate);
    let bob = world.person(BOB).identity.fingerprint;
    let person = world.person_mut(ALICE);
    person.forget_log();
    let records = &mut person.vault.records;
    let outdated = Key { kind: 9, group: None, sub: bob.0.to_vec() };
    records.insert(outdated.clone(), certificate);
    records.insert(Key { kind: 10, group: None, sub: Vec::new() }, head);
    world.start(ALICE);
    world.say(ALICE, "as before");
    world.run(2 * SECOND);
    assert_eq!(world.person(BOB).texts(), ["as before"]);
    assert_eq!(world.person(ALICE).mirrored(), world.logged());
    assert!(!world.person(ALICE).vault.records.contains_key(&outdated));
    world.assert_no_alarms();
}

#[test]
fn a_vault_whose_entries_are_not_those_of_its_head_is_damaged() {
    let (world, _) = World::with(730, &["alice", "bob"]);
    for kind in [10, 22] {
        let mut vault = world.person(ALICE).vault.clone();
        let (_, value) = vault.records.iter_mut().find(|(key, _)| key.kind == kind).unwrap();
        value.0[9] ^= 1;
        let engine = openchat_engine::Engine::new(world.person(ALICE).device(), vault.snapshot());
        assert!(engine.is_err(), "{kind}");
        vault.records.retain(|key, _| key.kind != kind);
        let engine = openchat_engine::Engine::new(world.person(ALICE).device(), vault.snapshot());
        assert_eq!(engine.is_err(), kind == 10, "{kind}: without entries it begins anew");
    }
}

#[test]
fn a_log_full_of_nonsense_is_told_by_a_few_alarms() {
    let (mut world, _) = World::with(731, &["alice", "bob"]);
    let now = world.server_time();
    for n in 0..200_u8 {
        let name = name("alice");
        let entry = Entry::Revoke { name, fingerprint: Fingerprint([n; 32]) };
        world = world.log_quietly(&entry.encode(), now, n == 199);
    }
    world.online_again(&[ALICE, BOB]);
    world.run(2 * SECOND);
    assert!(world.alarms(BOB).len() <= 17, "{}", world.alarms(BOB).len());
    assert!(world.alarms(ALICE).len() <= 33, "{}", world.alarms(ALICE).len());
    assert!(world.alarms(ALICE).contains(&AlarmCode::OwnName));
    let kept = world.person(ALICE).vault.records.keys().filter(|key| key.kind == 24).count();
    assert!(kept <= 16, "{kept}");
    world.say(ALICE, "nothing stops");
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["nothing stops"]);
    let halted = |event: &Event| matches!(event, Event::Gone { .. });
    assert!(!world.person(BOB).events.iter().any(halted));
    assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Member);
}
