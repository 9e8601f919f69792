//! Files, part by part: between devices that die, past a relay that refuses, and from members who lie.

use crate::{
    cases::deaths,
    liar::{Honest, Instead},
    person::Death,
    traitor::Traitor,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_crypto::sha256;
use openchat_engine::{
    Body, Command, Event, Input, MessageRef, Offer, Order, Progress, Recall, Want,
};
use openchat_group::ContentKind;
use openchat_wire::{
    Blob, Digest, Fingerprint, MessageId, encode,
    limits::FILE_CHUNK,
    relay::{Quota, Refusal, Request},
};
use rand_core::Rng;

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

/// Offers and parts as an insider writes them.
type Part = (MessageId, u32, Blob);

impl World {
    /// Gives the engine the messages that it wants from the vault, as a session does.
    pub(crate) fn bring_said(&mut self, who: Who, recalls: Vec<Recall>) {
        for recall in recalls {
            let said = self.person(who).vault.recall(recall.group, recall.id);
            self.input(who, Input::Command(Command::Recalled { recall, said }));
        }
    }

    /// Gives the engine the parts of files that it wants from the vault.
    pub(crate) fn bring(&mut self, who: Who, wants: Vec<Want>) {
        for want in wants {
            let file = self.person(who).vault.files.get(&want.file);
            let bytes = file.and_then(|file| {
                let at = usize::try_from(want.index).unwrap();
                file.chunks(FILE_CHUNK).nth(at).map(<[u8]>::to_vec)
            });
            self.input(who, Input::Command(Command::Part { want, bytes }));
        }
    }

    /// Puts a file into the vault and offers it in `#general`.
    fn send_file(&mut self, who: Who, bytes: Vec<u8>) -> MessageId {
        let mut id = MessageId([0; 16]);
        self.rng.fill_bytes(&mut id.0);
        self.send_file_as(who, id, bytes);
        id
    }

    fn send_file_as(&mut self, who: Who, id: MessageId, bytes: Vec<u8>) {
        let what = Body::File(offer(&bytes));
        self.person_mut(who).vault.files.insert(id, bytes);
        self.do_say(who, id, what);
    }

    /// Says anything in `#general`.
    pub(crate) fn utter(&mut self, who: Who, what: Body) -> MessageId {
        let mut id = MessageId([0; 16]);
        self.rng.fill_bytes(&mut id.0);
        self.do_say(who, id, what);
        id
    }

    fn do_say(&mut self, who: Who, id: MessageId, what: Body) {
        let target = "#general".parse().unwrap();
        self.input(who, Input::Command(Command::Send { target, id, what }));
    }

    pub(crate) fn fingerprint(&self, who: Who) -> Fingerprint {
        self.person(who).identity.fingerprint
    }

    fn progress(&self, who: Who) -> Vec<Progress> {
        let progress = |event: &Event| match event {
            Event::Progress(progress) => Some(progress.clone()),
            _ => None,
        };
        self.person(who).events.iter().filter_map(progress).collect()
    }

    fn has_whole(&self, who: Who, id: MessageId) -> bool {
        self.progress(who).iter().any(|it| it.file.id == id && it.done == it.size)
    }

    /// What a device has of somebody's file, put together.
    fn file(&self, who: Who, file: MessageRef) -> Vec<u8> {
        let parts = self.person(who).vault.chunks.iter().filter(|((of, _), _)| *of == file);
        parts.flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The file is at bob's as alice has sent it, and nobody has anything left to do.
    fn assert_arrived(&self, id: MessageId, note: &str) {
        let file = MessageRef { author: self.fingerprint(ALICE), id };
        let sent = &self.person(ALICE).vault.files[&id];
        assert!(self.file(BOB, file) == *sent, "{note}: what bob has is what alice sent");
        assert_eq!(self.queued(ALICE), 0, "{note}");
        self.assert_no_alarms();
        assert_eq!(self.person(BOB).unreadable(), [], "{note}");
        let offers = self.person(BOB).vault.messages.iter().filter(|it| it.id == id).count();
        assert_eq!(offers, 1, "{note}");
    }

    fn failures(&self, who: Who) -> Vec<(&'static str, Option<MessageId>)> {
        let failure = |event: &Event| match event {
            Event::Failed { code, id, .. } => Some((*code, *id)),
            _ => None,
        };
        self.person(who).events.iter().filter_map(failure).collect()
    }
}

/// Bytes unlike one another, of so many parts and a rest.
fn bytes(parts: usize, rest: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at * 31 + at / 251) % 256).unwrap();
    (0..parts * FILE_CHUNK + rest).map(byte).collect()
}

fn offer(bytes: &[u8]) -> Offer {
    let size = u64::try_from(bytes.len()).unwrap();
    Offer { name: "notes.txt".to_owned(), size, hash: sha256(bytes) }
}

#[test]
fn a_file_comes_as_it_was_sent_of_any_length() {
    for (seed, (parts, rest)) in [(0, 0), (0, 1), (1, 0), (1, 1), (9, 77)].into_iter().enumerate() {
        let (mut world, _) = World::with(700 + u64::try_from(seed).unwrap(), &["alice", "bob"]);
        let id = world.send_file(ALICE, bytes(parts, rest));
        assert!(world.run_until(MINUTE, |it| it.has_whole(ALICE, id) && it.has_whole(BOB, id)));
        world.run(SECOND);
        world.assert_arrived(id, &format!("{parts} and {rest}"));
        for who in [ALICE, BOB] {
            let done: Vec<u64> = world.progress(who).iter().map(|it| it.done).collect();
            let mut sorted = done.clone();
            sorted.dedup();
            assert!(sorted.is_sorted() && sorted == done, "{who:?} sees it grow: {done:?}");
            assert_eq!(done.len(), parts + usize::from(rest > 0) + 1);
            assert!(world.progress(who).iter().all(|it| it.own == (who == ALICE)));
        }
    }
}

#[test]
fn a_text_overtakes_what_of_a_file_is_not_on_the_wire() {
    let (mut world, _) = World::with(710, &["alice", "bob"]);
    let id = world.send_file(ALICE, bytes(40, 0));
    assert!(world.run_until(MINUTE, |it| it.progress(BOB).len() > 10));
    let before = world.progress(BOB).len();
    let text = world.say(ALICE, "meanwhile");
    assert!(world.run_until(MINUTE, |it| it.person(BOB).texts().contains(&"meanwhile".to_owned())));
    let parts = world.progress(BOB).len() - before;
    assert!(parts <= 8, "{parts} parts came before the text, which is what was on the way");
    assert!(world.run_until(MINUTE, |it| it.has_whole(ALICE, id)));
    world.run(SECOND);
    assert!(world.person(ALICE).acks.contains_key(&text));
    world.assert_arrived(id, "with a text between");
}

#[test]
fn what_is_sent_offline_goes_out_in_the_end_after_the_texts() {
    let (mut world, _) = World::with(711, &["alice", "bob"]);
    world.disconnect(ALICE);
    let id = world.send_file(ALICE, bytes(5, 5));
    let text = world.say(ALICE, "and a word");
    world.run(SECOND);
    assert_eq!(world.queued(ALICE), 2);
    world.connect(ALICE);
    assert!(world.run_until(MINUTE, |it| it.has_whole(BOB, id)));
    world.run(SECOND);
    world.assert_arrived(id, "offline at first");
    let place = |world: &World, id| world.person(ALICE).acks[&id];
    assert!(place(&world, id) < place(&world, text), "the offer stands where it was made");
}

/// Alice sends a file; somebody dies at a step of theirs. Gives the steps that it took.
fn dies(seed: u64, who: Who, step: usize, death: Death) -> usize {
    let (mut world, _) = World::with(seed, &["alice", "bob"]);
    let before = world.person(who).steps;
    world.dies(who, before + step, death);
    let mut id = MessageId([0; 16]);
    world.rng.fill_bytes(&mut id.0);
    world.send_file_as(ALICE, id, bytes(4, 9));
    if world.person(ALICE).engine.is_none() {
        assert!(world.run_until(MINUTE, |it| it.person(ALICE).engine.is_some()));
        // Whoever can't tell whether it was kept sends it under the same id.
        world.send_file_as(ALICE, id, bytes(4, 9));
    }
    let note = format!("{who:?} {death:?} at {step}");
    let is_over = |it: &World| {
        it.person(BOB).vault.chunks.len() == 5
            && it.queued(ALICE) == 0
            && it.person(who).engine.is_some()
    };
    assert!(world.run_until(MINUTE, is_over), "{note}: {}", world.queued(ALICE));
    world.run(5 * SECOND);
    world.assert_arrived(id, &note);
    world.person(who).steps - before
}

#[test]
fn a_sender_that_dies_at_any_step_sends_the_rest_and_nothing_twice() {
    let steps = dies(720, ALICE, 100_000, Death::PowerCut);
    assert!(steps > 12, "{steps}");
    for (step, death) in deaths(steps) {
        dies(720, ALICE, step, death);
    }
}

#[test]
fn a_receiver_that_dies_at_any_step_has_each_part_once() {
    let steps = dies(721, BOB, 100_000, Death::PowerCut);
    assert!(steps > 6, "{steps}");
    for (step, death) in deaths(steps) {
        dies(721, BOB, step, death);
    }
}

#[test]
fn a_file_survives_commits_that_make_its_parts_stale() {
    let (mut world, _) = World::with(722, &["alice", "bob", "carol"]);
    let id = world.send_file(ALICE, bytes(12, 0));
    assert!(world.run_until(MINUTE, |it| it.progress(BOB).len() > 3));
    world.done(Who(2), Order::Leave { target: "#general".parse().unwrap() });
    assert!(world.run_until(MINUTE, |it| it.has_whole(BOB, id) && it.has_whole(ALICE, id)));
    world.run(SECOND);
    world.assert_arrived(id, "somebody left meanwhile");
}

#[test]
fn a_lost_connection_costs_nothing_of_a_file() {
    let (mut world, _) = World::with(723, &["alice", "bob"]);
    let id = world.send_file(ALICE, bytes(30, 0));
    let mut before = 0;
    while !world.has_whole(ALICE, id) {
        let who = if before % 2 == 0 { ALICE } else { BOB };
        world.run(70);
        world.reconnect(who);
        before += 1;
        assert!(before < 200, "{:?}", world.progress(ALICE).last());
    }
    world.run(5 * SECOND);
    world.assert_arrived(id, "over and over");
}

/// A relay that takes no entry larger than a text's.
fn no_room(from: Who, request: &Request) -> Option<Result<openchat_wire::relay::Answer, Refusal>> {
    let is_large = matches!(request, Request::Append { entry, .. } if entry.0.len() > FILE_CHUNK);
    (from == ALICE && is_large).then_some(Err(Refusal::Quota(Quota::Log)))
}

/// Alice's file is refused in its middle.
fn refused(seed: u64) -> (World, MessageId) {
    let (mut world, _) = World::with(seed, &["alice", "bob"]);
    let id = world.send_file(ALICE, bytes(20, 0));
    assert!(world.run_until(MINUTE, |it| it.progress(BOB).len() > 5));
    world.liar = Box::new(Instead(no_room));
    world.run(10 * SECOND);
    assert_eq!(world.failures(ALICE), [("no-room", Some(id))], "told once, about the file");
    assert_eq!(world.queued(ALICE), 0, "it waits for its person, and for nothing else");
    let text = world.say(ALICE, "texts go on");
    world.run(SECOND);
    assert!(world.person(ALICE).acks.contains_key(&text));
    (world, id)
}

#[test]
fn a_file_that_finds_no_room_goes_on_when_its_person_says_so() {
    let (mut world, id) = refused(730);
    // Nothing of it is tried again by itself, not even by the next process or connection.
    world.kill(ALICE);
    world.start(ALICE);
    world.run(5 * SECOND);
    assert_eq!(world.failures(ALICE).len(), 1);
    world.liar = Box::new(Honest);
    world.run(5 * SECOND);
    assert!(!world.has_whole(BOB, id));
    let target = "#general".parse().unwrap();
    world.done(ALICE, Order::Resume { target, file: id });
    assert!(world.run_until(MINUTE, |it| it.has_whole(BOB, id) && it.has_whole(ALICE, id)));
    world.run(SECOND);
    world.assert_arrived(id, "after a refusal");
    let target = "#general".parse().unwrap();
    assert_eq!(world.fails(ALICE, Order::Resume { target, file: id }), "no-such-file");
}

#[test]
fn a_file_that_finds_no_room_can_be_taken_back() {
    let (mut world, id) = refused(731);
    world.liar = Box::new(Honest);
    world.utter(ALICE, Body::Delete { of: id });
    world.run(5 * SECOND);
    let target = "#general".parse().unwrap();
    assert_eq!(world.fails(ALICE, Order::Resume { target, file: id }), "no-such-file");
    let parts = world.progress(BOB).len();
    world.run(MINUTE);
    assert_eq!(world.progress(BOB).len(), parts, "nothing of it comes any more");
    world.assert_no_alarms();
}

#[test]
fn a_file_whose_bytes_are_gone_ends_and_says_so() {
    let (mut world, _) = World::with(732, &["alice", "bob"]);
    let id = world.send_file(ALICE, bytes(20, 0));
    assert!(world.run_until(MINUTE, |it| it.progress(BOB).len() > 3));
    world.person_mut(ALICE).vault.files.clear();
    world.run(10 * SECOND);
    assert_eq!(world.failures(ALICE), [("no-such-file", Some(id))]);
    assert_eq!(world.queued(ALICE), 0);
}

#[test]
fn whoever_is_removed_sends_no_more_of_a_file_and_hears_of_it() {
    let (mut world, _) = World::with(733, &["alice", "bob"]);
    let id = world.send_file(BOB, bytes(40, 0));
    assert!(world.run_until(MINUTE, |it| it.progress(ALICE).len() > 3));
    let target = "#general".parse().unwrap();
    world.done(ALICE, Order::Kick { target, who: "bob".parse().unwrap() });
    world.run(5 * SECOND);
    assert!(world.failures(BOB).iter().any(|(_, of)| *of == Some(id)), "{:?}", world.failures(BOB));
    assert_eq!(world.queued(BOB), 0);
}

#[test]
fn what_is_too_large_or_called_like_a_path_is_not_sent() {
    let (mut world, _) = World::with(734, &["alice", "bob"]);
    let fine = offer(b"x");
    for (offer, code) in [
        (Offer { size: 64 * 1024 * 1024 + 1, ..fine.clone() }, "too-long"),
        (Offer { name: "../x".to_owned(), ..fine }, "not-sayable"),
    ] {
        let id = world.utter(ALICE, Body::File(offer));
        assert_eq!(world.failures(ALICE).last(), Some(&(code, Some(id))));
    }
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts().len(), 0);
}

/// `Kind::State` as it is stored: numbers are for ever.
const STATE: u8 = 14;

/// Bob loses his secrets, a file comes that he can't open, and he is back.
fn left_behind(seed: u64, meanwhile: impl FnOnce(&mut World)) -> (World, MessageId) {
    let (mut world, _) = World::with(seed, &["alice", "bob"]);
    world.kill(BOB);
    world.person_mut(BOB).vault.records.retain(|key, _| key.kind != STATE);
    let id = world.send_file(ALICE, bytes(5, 5));
    assert!(world.run_until(MINUTE, |it| it.has_whole(ALICE, id)));
    meanwhile(&mut world);
    world.start(BOB);
    world.run(MINUTE);
    (world, id)
}

#[test]
fn m14_whoever_was_left_behind_is_given_the_file_again() {
    let (world, id) = left_behind(735, |_| ());
    let file = MessageRef { author: world.fingerprint(ALICE), id };
    assert!(world.file(BOB, file) == bytes(5, 5));
    world.assert_no_alarms_of(BOB);
    assert_eq!(world.progress(ALICE).len(), 7, "her own progress has ended before");
}

#[test]
fn m14_no_file_is_said_again_once_somebody_has_come_and_its_author_is_told_once() {
    let (world, id) = left_behind(736, |world| {
        let carol = world.enroll("carol");
        world.start(carol);
        assert!(world.run_until(MINUTE, |world| world.is_ready(carol)));
    });
    let file = MessageRef { author: world.fingerprint(ALICE), id };
    assert!(world.file(BOB, file).is_empty());
    assert!(world.file(Who(2), file).is_empty());
    assert_eq!(world.failures(ALICE), [("not-repeated", None)]);
    world.assert_no_alarms_of(BOB);
}

/// Carol speaks without an engine; alice and bob listen.
fn with_carol(seed: u64) -> (World, Traitor) {
    let (mut world, all) = World::with(seed, &["alice", "bob", "carol"]);
    let carol = Traitor::take_over(&mut world, all[2]);
    (world, carol)
}

fn part_of(carol: &Traitor, file: MessageId, index: u32, bytes: Vec<u8>) -> (MessageId, Vec<u8>) {
    let part: Part = (file, index, Blob(bytes));
    (openchat_engine::chunk_id(carol.named(file), index), encode(&part))
}

const FILE: u16 = ContentKind::FILE.0;
const CHUNK: u16 = ContentKind::CHUNK.0;

#[test]
fn m11_m12_parts_that_are_none_of_the_file_are_refused_and_those_that_are_may_come_in_any_order() {
    let (mut world, mut carol) = with_carol(740);
    let whole = bytes(2, 5);
    let file = carol.says(&mut world, FILE, encode(&offer(&whole)));
    let parts: Vec<&[u8]> = whole.chunks(FILE_CHUNK).collect();
    let say = |world: &mut World, carol: &mut Traitor, (id, body): (MessageId, Vec<u8>)| {
        carol.says_as(world, id, CHUNK, body);
        world.person(BOB).unreadable().len()
    };
    let make = |carol: &Traitor, index, bytes: &[u8]| part_of(carol, file, index, bytes.to_vec());
    // The last one first, then again under its name, then under another, then parts that are not there.
    let last = make(&carol, 2, parts[2]);
    assert_eq!(say(&mut world, &mut carol, last.clone()), 0);
    let other = (MessageId([9; 16]), last.1.clone());
    assert_eq!(say(&mut world, &mut carol, other), 1, "another name than its own");
    let beyond = make(&carol, 3, parts[2]);
    assert_eq!(say(&mut world, &mut carol, beyond), 2, "behind the end");
    let far = make(&carol, u32::MAX, parts[2]);
    assert_eq!(say(&mut world, &mut carol, far), 3);
    let short = make(&carol, 0, &parts[0][1..]);
    assert_eq!(say(&mut world, &mut carol, short), 4, "one byte is missing");
    let (_, mut cut) = make(&carol, 1, parts[1]);
    cut.pop();
    assert_eq!(say(&mut world, &mut carol, (MessageId([8; 16]), cut)), 5);
    assert_eq!(world.person(BOB).vault.chunks.len(), 1, "nothing of all that is kept");
    let right = make(&carol, 1, parts[1]);
    assert_eq!(say(&mut world, &mut carol, right), 5);
    assert!(!world.has_whole(BOB, file));
    world.assert_no_alarms_of(BOB);
}

#[test]
fn m11_a_second_part_under_one_name_is_equivocation_and_the_first_one_stays() {
    let (mut world, mut carol) = with_carol(741);
    let file = carol.says(&mut world, FILE, encode(&offer(&bytes(1, 0))));
    let (id, first) = part_of(&carol, file, 0, bytes(1, 0));
    let (_, second) = part_of(&carol, file, 0, vec![0; FILE_CHUNK]);
    carol.says_as(&mut world, id, CHUNK, first);
    carol.says_as(&mut world, id, CHUNK, second);
    assert!(world.file(BOB, carol.named(file)) == bytes(1, 0));
    assert_eq!(world.alarms(BOB), [openchat_engine::AlarmCode::Equivocation]);
}

#[test]
fn m12_a_part_of_a_file_that_nobody_offered_or_another_did_is_told_once_and_not_kept() {
    let (mut world, mut carol) = with_carol(742);
    for index in 0..5 {
        let (id, part) = part_of(&carol, MessageId([7; 16]), index, bytes(1, 0));
        carol.says_as(&mut world, id, CHUNK, part);
    }
    assert_eq!(world.person(BOB).unreadable().len(), 1);
    // Alice's file is nobody else's to send parts of.
    let of_alice = Offer { size: u64::try_from(2 * FILE_CHUNK).unwrap(), ..offer(b"") };
    world.disconnect(BOB);
    let file = world.send_file(ALICE, bytes(2, 0));
    assert_eq!(of_alice.chunks(), 2);
    let (id, part) = part_of(&carol, file, 0, vec![0; FILE_CHUNK]);
    carol.says_as(&mut world, id, CHUNK, part);
    world.connect(BOB);
    world.run(5 * SECOND);
    let file = MessageRef { author: world.fingerprint(ALICE), id: file };
    assert!(world.file(BOB, file) == bytes(2, 0));
    assert_eq!(world.person(BOB).unreadable().len(), 2);
}

#[test]
fn m13_an_offer_that_is_a_lie_is_shown_as_unreadable_and_no_part_of_it_is_kept() {
    let (mut world, mut carol) = with_carol(743);
    let honest = offer(&bytes(1, 0));
    let lies = [
        Offer { size: u64::MAX, ..honest.clone() },
        Offer { name: "../../.bashrc".to_owned(), ..honest.clone() },
        Offer { name: "a\0b".to_owned(), ..honest.clone() },
        Offer { name: "photo\u{202e}gnp.exe".to_owned(), ..honest.clone() },
        Offer { name: "x".repeat(256), ..honest },
    ];
    for lie in lies {
        let file = carol.says(&mut world, FILE, encode(&lie));
        let (id, part) = part_of(&carol, file, 0, bytes(1, 0));
        carol.says_as(&mut world, id, CHUNK, part);
    }
    assert_eq!(world.person(BOB).unreadable().len(), 10, "five offers, and one part of each");
    assert_eq!(world.person(BOB).vault.chunks.len(), 0);
    assert_eq!(world.person(BOB).vault.messages.len(), 0);
}

#[test]
fn a_member_who_offers_and_never_sends_costs_little() {
    let (mut world, mut carol) = with_carol(744);
    let first = offer(&bytes(2, 0));
    let first = carol.says(&mut world, FILE, encode(&first));
    let (id, part) = part_of(&carol, first, 0, bytes(1, 0));
    carol.says_as(&mut world, id, CHUNK, part);
    assert_eq!(world.person(BOB).vault.chunks.len(), 1);
    for _ in 0..40 {
        let size = 64 * 1024 * 1024;
        let lie = Offer { name: "large".to_owned(), size, hash: Digest([0; 32]) };
        carol.says(&mut world, FILE, encode(&lie));
    }
    let kept = world.person(BOB).vault.records.keys().filter(|key| key.kind == 27).count();
    assert_eq!(kept, 32);
    assert_eq!(world.person(BOB).vault.chunks.len(), 0, "of the oldest nothing is kept");
}
