//! M1 to M8, and what becomes of keys.

use openchat_crypto::Label;
use openchat_group::{Content, ContentKind, SealError, Unreadable};
use openchat_roster::{LogEntry, MessageEntry, MessageFault, MessageHeader, Policy, Seen};
use openchat_wire::{
    Blob, Digest, Epoch, Generation, GroupId, MessageId, Seq, Slot, UnixMillis, encode,
    limits::{EPOCH_WINDOW, MAX_FORWARD_SKIP},
};

use crate::kit::{
    Act, Device, Event, World,
    device::content,
    sealer::{Sealer, unrounded},
    views::log_hash,
    world::message_of,
};

fn fault(fault: MessageFault) -> Event {
    Event::Unreadable(Unreadable::Fault(fault))
}

fn with_header(entry: &MessageEntry, change: impl FnOnce(&mut MessageHeader)) -> Vec<u8> {
    let mut entry = entry.clone();
    change(&mut entry.header);
    LogEntry::Message(entry).to_bytes()
}

/// Four members, one outside, and a message that waits.
fn stage() -> (World, MessageEntry, Vec<u8>) {
    let mut world = World::new(1, 4, 1);
    let honest = world.devices[2].seal("the real one").unwrap();
    (world, message_of(&honest), honest)
}

/// All but its author read the message.
fn assert_opens(world: &mut World, honest: Vec<u8>) {
    let events = world.publish(honest);
    assert_eq!(events[2], Event::OwnMessage);
    for listener in [0, 1, 3] {
        assert_eq!(events[listener].text(), Some("the real one"));
    }
    world.assert_all_talk();
}

#[test]
fn m1_a_slot_without_a_seat_or_anothers() {
    let (mut world, message, honest) = stage();
    for slot in [4, 5, 1 << 30, u32::MAX] {
        let forged = with_header(&message, |header| header.slot = Slot(slot));
        world.assert_refused(&forged, &fault(MessageFault::NotSeated));
    }
    // The relay knows who sends, and lets nobody write in another's slot, seated or not.
    let roster = world.roster();
    let check = |device: usize| {
        roster.check_message(&message.header, &world.devices[device].key.fingerprint())
    };
    assert_eq!(check(2), Ok(()));
    for other in [0, 1, 3, 4] {
        assert_eq!(check(other), Err(MessageFault::NotSeated));
    }
    assert_opens(&mut world, honest);
}

#[test]
fn m2_epochs_that_have_passed() {
    let (mut world, message, honest) = stage();
    for epoch in [0, 1, 2] {
        let forged = with_header(&message, |header| header.epoch = Epoch(epoch));
        world.assert_refused(&forged, &fault(MessageFault::Stale));
    }
    assert_opens(&mut world, honest);
    // Epoch 3 was d2's first: it has a place in the log, but sealed on another history.
    let before = with_header(&message, |header| header.epoch = Epoch(3));
    world.assert_refused(&before, &fault(MessageFault::Fork));
    // What was sealed before a rejoin does not count behind it.
    let early = world.devices[1].seal("sealed before").unwrap();
    let others = world.devices[3].seal("unlike others'").unwrap();
    world.act(1, Act::Rejoin);
    world.assert_refused(&early, &fault(MessageFault::Stale));
    assert_eq!(world.publish(others)[1].text(), Some("unlike others'"));
}

#[test]
fn m2_the_window_of_sixteen_epochs() {
    let mut world = World::new(2, 3, 0);
    let kept = world.devices[1].seal("just within").unwrap();
    let lost = world.devices[1].seal("just beyond").unwrap();
    for _ in 1..EPOCH_WINDOW {
        world.act(0, Act::Update);
    }
    let tail = world.roster().epoch();
    let epochs: Vec<Epoch> = world.devices[0].group.epochs().collect();
    assert_eq!(u64::try_from(epochs.len()), Ok(EPOCH_WINDOW));
    assert_eq!(epochs[0], Epoch(tail.0 - EPOCH_WINDOW + 1));
    assert_eq!(world.publish(kept)[2].text(), Some("just within"));
    world.act(2, Act::Update);
    for device in &world.devices {
        assert!(device.group.ratchets(epochs[0]).is_none(), "its keys are deleted");
    }
    world.assert_refused(&lost, &fault(MessageFault::Stale));
    world.assert_all_talk();
}

#[test]
fn m3_epochs_to_come() {
    let (mut world, message, honest) = stage();
    for epoch in [5, 6, u64::MAX] {
        let forged = with_header(&message, |header| header.epoch = Epoch(epoch));
        world.assert_refused(&forged, &fault(MessageFault::Future));
    }
    assert_opens(&mut world, honest);
}

#[test]
fn m4_another_history() {
    let (mut world, message, honest) = stage();
    for byte in 0..16 {
        let forged = with_header(&message, |header| header.confirmed[byte] ^= 1);
        world.assert_refused(&forged, &fault(MessageFault::Fork));
    }
    let other = message_of(&World::new(9, 4, 1).devices[2].seal("of another group").unwrap());
    world.assert_refused(&LogEntry::Message(other).to_bytes(), &fault(MessageFault::Fork));
    assert_opens(&mut world, honest);
}

#[test]
fn m5_keys_that_were_used_or_skipped_or_lie_too_far_ahead() {
    let (mut world, message, honest) = stage();
    for generation in [MAX_FORWARD_SKIP + 1, u32::MAX] {
        let forged = with_header(&message, |h| h.generation = Generation(generation));
        let listener = &mut world.devices[0];
        let before = listener.snapshot();
        assert_eq!(listener.judge(&forged), Event::Unreadable(Unreadable::TooFar));
        assert_eq!(listener.snapshot(), before);
    }
    let second = world.devices[2].seal("second").unwrap();
    let third = world.devices[2].seal("third").unwrap();
    assert_eq!(world.publish(second.clone())[0].text(), Some("second"));
    for again in [&honest, &second] {
        let listener = &mut world.devices[0];
        assert_eq!(listener.judge(again), Event::Unreadable(Unreadable::Spent));
    }
    let events = world.publish(honest);
    assert_eq!(events[1], Event::Unreadable(Unreadable::Spent), "it was skipped");
    assert_eq!(world.publish(third)[1].text(), Some("third"));
    world.assert_all_talk();
}

#[test]
fn m5_so_many_generations_are_skipped_and_no_more() {
    let mut world = World::new(3, 2, 0);
    let edge = usize::try_from(MAX_FORWARD_SKIP).unwrap();
    let writer = &mut world.devices[0];
    let sent: Vec<_> = (0..=edge + 1).map(|n| writer.seal(&n.to_string()).unwrap()).collect();
    let reader = &mut world.devices[1];
    let before = reader.snapshot();
    assert_eq!(reader.judge(&sent[edge + 1]), Event::Unreadable(Unreadable::TooFar));
    assert_eq!(reader.snapshot(), before);
    assert_eq!(reader.judge(&sent[edge]).text(), Some(&*edge.to_string()));
    assert_eq!(reader.judge(&sent[edge + 1]).text(), Some(&*(edge + 1).to_string()));
    for old in [0, 1, edge - 1, edge] {
        assert_eq!(reader.judge(&sent[old]), Event::Unreadable(Unreadable::Spent));
    }
    world.assert_all_talk();
}

/// Ten thousand messages are missing: the reader derives no more than 2,000 keys for any one
/// entry, and goes on from whatever it can open.
#[test]
fn m5_ten_thousand_keys_are_not_skipped_at_once() {
    let mut world = World::new(13, 2, 0);
    let sent: Vec<_> = (0..=10_000).map(|_| world.devices[0].seal("again").unwrap()).collect();
    let reader = &mut world.devices[1];
    let before = reader.snapshot();
    for _ in 0..100 {
        assert_eq!(reader.judge(&sent[10_000]), Event::Unreadable(Unreadable::TooFar));
    }
    assert_eq!(reader.snapshot(), before);
    for far in (1_000..=10_000).step_by(1_000) {
        assert_eq!(reader.judge(&sent[far]).text(), Some("again"), "{far}");
    }
    assert_eq!(reader.judge(&sent[9_999]), Event::Unreadable(Unreadable::Spent));
    world.assert_all_talk();
}

#[test]
fn m6_a_header_that_the_key_is_not_bound_to() {
    let (mut world, message, honest) = stage();
    let token = Event::Unreadable(Unreadable::Token);
    let moved = [
        with_header(&message, |header| header.id = MessageId([0; 16])),
        with_header(&message, |header| header.generation = Generation(1)),
        with_header(&message, |header| header.generation = Generation(MAX_FORWARD_SKIP)),
        with_header(&message, |header| header.slot = Slot(0)),
    ];
    for forged in moved {
        for listener in [0, 1, 3] {
            let listener = &mut world.devices[listener];
            let before = listener.snapshot();
            let event = listener.judge(&forged);
            // Its own slot's keys are those that it seals with.
            assert!(event == token || event == Event::Unreadable(Unreadable::Spent), "{event:?}");
            assert_eq!(listener.snapshot(), before);
        }
    }
    assert_opens(&mut world, honest);
}

/// A member has everybody's message keys, so it can seal anew what another has signed; what was
/// signed says where it belongs.
#[test]
fn m8_signed_content_sealed_again_elsewhere() {
    let mut world = World::new(4, 4, 0);
    let sealer = Sealer::new(&world.devices[3]);
    let honest = world.devices[2].seal("yes").unwrap();
    let message = message_of(&honest);
    let inside = sealer.opened(&message);
    let good = message.header;
    let elsewhere = [
        MessageHeader { slot: Slot(1), ..good },
        MessageHeader { generation: Generation(7), ..good },
        MessageHeader { id: MessageId([0; 16]), ..good },
    ];
    for header in elsewhere {
        let forged = sealer.token(header, &inside);
        refused_by(&mut world, &[0], &forged, Unreadable::Signature);
    }
    world.act(0, Act::Update);
    let later = Sealer::new(&world.devices[3]);
    let header = MessageHeader { id: good.id, ..later.header(2, 0) };
    refused_by(&mut world, &[0, 1, 2], &later.token(header, &inside), Unreadable::Signature);
    assert_eq!(world.publish(honest)[0].text(), Some("yes"));
    // Another group of the same people.
    let policy = Policy::open("elsewhere".parse().unwrap());
    let mut other = World::empty(4, 4, policy);
    for joiner in 1..4 {
        other.act(joiner, Act::Join);
    }
    assert_eq!(other.devices[2].key.fingerprint(), world.devices[2].key.fingerprint());
    let there = Sealer::new(&other.devices[3]);
    let forged = there.token(MessageHeader { id: good.id, ..there.header(2, 0) }, &inside);
    refused_by(&mut other, &[0, 1, 3], &forged, Unreadable::Signature);
}

#[test]
fn m8_another_members_slot() {
    let mut world = World::new(6, 4, 0);
    let sealer = Sealer::new(&world.devices[3]);
    let padded = padded("send money");
    for victim in [0, 1] {
        let forged =
            sealer.seal(sealer.header(victim, 0), &world.devices[3].key, Label::Message, &padded);
        refused_by(&mut world, &[2], &forged, Unreadable::Signature);
    }
    // The victim's key is not spent by that.
    world.assert_all_talk();
    let own = sealer.seal(sealer.header(3, 1), &world.devices[3].key, Label::Message, &padded);
    assert_eq!(world.devices[0].judge(&own).text(), Some("send money"), "the sealer works");
}

#[test]
fn m7_other_paddings_and_contents() {
    let mut world = World::new(7, 3, 0);
    let sealer = Sealer::new(&world.devices[2]);
    let good = encode(&content("0123456789a"));
    let zeros = padded("0123456789a").len() - good.len() - 4;
    assert_eq!(zeros, 1);
    let mut dirty = padded("0123456789a");
    if let Some(last) = dirty.last_mut() {
        *last = 1;
    }
    let mut too_long = unrounded(&good, zeros);
    too_long[0] = 1;
    let bad = [
        unrounded(&good, zeros + 1),
        unrounded(&good, zeros + 16),
        unrounded(&good, 500),
        dirty,
        too_long,
        Vec::new(),
        vec![0, 0],
        unrounded(&[], 0),
        padded_bytes(&[&good[..], &[0]].concat()),
        padded_bytes(&good[..good.len() - 1]),
    ];
    for padded in bad {
        let key = &world.devices[2].key;
        let forged = sealer.seal(sealer.header(2, 0), key, Label::Message, &padded);
        refused_by(&mut world, &[0, 1], &forged, Unreadable::Content);
    }
    for short in [0, 1, 103] {
        let forged = sealer.token(sealer.header(2, 0), &vec![0; short]);
        refused_by(&mut world, &[0, 1], &forged, Unreadable::Content);
    }
    world.assert_all_talk();
}

/// A kind of content that this program does not know is handed on, signed as it is.
#[test]
fn content_of_a_later_version_opens() {
    let mut world = World::new(8, 2, 0);
    let later = Content {
        time: UnixMillis(u64::MAX),
        kind: ContentKind(u16::MAX),
        body: Blob(vec![0xff; 300]),
    };
    let writer = &mut world.devices[0];
    let entry = writer.group.seal(&writer.key, MessageId([1; 16]), &later).unwrap();
    let opened = world.devices[1].group.open(&entry).unwrap();
    assert_eq!(opened.content, later);
    assert_eq!(opened.content_hash, later.hash());
    assert_eq!(opened.author, world.devices[0].key.fingerprint());
    assert_eq!(opened.id, MessageId([1; 16]));
}

#[test]
fn what_an_author_has_seen_is_what_the_log_says() {
    let mut world = World::new(9, 3, 0);
    world.say(1, "one");
    let group = *world.roster().group();
    let seq = Seq(u64::try_from(world.log.len()).unwrap());
    let seen = Seen { seq, log_hash: log_hash(&group, &world.log) };
    let events = world.say(0, "two");
    let Event::Message(opened) = &events[2] else { panic!() };
    assert_eq!(opened.seen, seen);
    // Who reads commits only does not know the log, and writes nothing until it does.
    world.devices[1].group.read_commits_only();
    assert_eq!(world.devices[1].seal("blind").unwrap_err(), SealError::NoKeys);
    let tail = world.devices[0].group.seen().unwrap();
    world.devices[1].group.begin_reading(tail);
    world.assert_all_talk();
}

#[test]
fn nobody_seals_without_a_seat() {
    let mut world = World::new(10, 2, 1);
    assert_eq!(world.devices[2].seal("hello?").unwrap_err(), SealError::NoKeys);
    let mut new = Device::new(3, GroupId([0; 32]), &world.rng);
    assert_eq!(new.seal("hello?").unwrap_err(), SealError::NoKeys);
    new.create(crate::kit::world::open_policy());
    assert_eq!(new.seal("too early").unwrap_err(), SealError::NoKeys);
    let entry = new.pending();
    new.judge(&entry);
    assert!(new.seal("to myself").is_ok());
}

/// Some devices say the same of an entry, and none of them changes.
fn refused_by(world: &mut World, listeners: &[usize], entry: &[u8], cause: Unreadable) {
    for &listener in listeners {
        let device = &mut world.devices[listener];
        let before = device.snapshot();
        assert_eq!(device.judge(entry), Event::Unreadable(cause), "d{listener}");
        assert_eq!(device.snapshot(), before, "d{listener} changed");
    }
}

/// A text as an honest device pads it.
fn padded(text: &str) -> Vec<u8> {
    padded_bytes(&encode(&content(text)))
}

/// The one padding of some bytes: the sealed length tells, whatever they are.
fn padded_bytes(content: &[u8]) -> Vec<u8> {
    let length = content.len() + 4;
    let kept = length.ilog2().ilog2() + 1;
    let step = 1 << (length.ilog2() - kept);
    unrounded(content, length.div_ceil(step) * step - length)
}

#[test]
fn an_entry_of_zeros_is_nothing() {
    let mut world = World::new(11, 2, 0);
    let header = message_of(&world.devices[0].seal("x").unwrap()).header;
    let empty = MessageEntry { header, token: Blob(Vec::new()) };
    refused_by(&mut world, &[1], &LogEntry::Message(empty).to_bytes(), Unreadable::Token);
    let zeros = MessageHeader {
        epoch: Epoch(0),
        confirmed: MessageHeader::prefix(&Digest([0; 32])),
        slot: Slot(0),
        generation: Generation(0),
        id: MessageId([0; 16]),
    };
    let zeros = MessageEntry { header: zeros, token: Blob(vec![0; 200]) };
    let stale = Unreadable::Fault(MessageFault::Stale);
    refused_by(&mut world, &[0, 1], &LogEntry::Message(zeros).to_bytes(), stale);
}
