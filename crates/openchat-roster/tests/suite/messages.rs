//! M1 to M4 as the relay judges them, who knows from TLS who sends.

use openchat_roster::{MessageFault, MessageHeader};
use openchat_wire::{Epoch, Generation, MessageId, Slot, limits::EPOCH_WINDOW};

use crate::scribe::{Act, Scribe, nobodys};

fn header(scribe: &Scribe, slot: u32) -> MessageHeader {
    MessageHeader {
        epoch: scribe.roster.epoch(),
        confirmed: MessageHeader::prefix(scribe.roster.confirmed()),
        slot: Slot(slot),
        generation: Generation(0),
        id: MessageId([0; 16]),
    }
}

fn check(scribe: &Scribe, header: &MessageHeader, by: usize) -> Result<(), MessageFault> {
    scribe.roster.check_message(header, &scribe.fingerprint(by))
}

#[test]
fn m1_who_is_not_seated_there() {
    let scribe = Scribe::new(3, 1);
    let honest = header(&scribe, 1);
    for other in [0, 2, 3] {
        assert_eq!(check(&scribe, &honest, other), Err(MessageFault::NotSeated));
    }
    for slot in [0, 2, 3, 4, u32::MAX] {
        let moved = MessageHeader { slot: Slot(slot), ..honest };
        assert_eq!(check(&scribe, &moved, 1), Err(MessageFault::NotSeated));
    }
    assert_eq!(check(&scribe, &honest, 1), Ok(()));
    let nobody = nobodys().check_message(&honest, &scribe.fingerprint(1));
    assert_eq!(nobody, Err(MessageFault::NotSeated));
}

#[test]
fn m2_the_window_and_its_edge() {
    let mut scribe = Scribe::new(2, 0);
    let early = header(&scribe, 1);
    for passed in 1..EPOCH_WINDOW {
        scribe.act(0, Act::Update);
        assert_eq!(check(&scribe, &early, 1), Ok(()), "after {passed}");
    }
    scribe.act(0, Act::Update);
    assert_eq!(check(&scribe, &early, 1), Err(MessageFault::Stale));
    assert_eq!(check(&scribe, &header(&scribe, 1), 1), Ok(()));
}

#[test]
fn m2_from_before_the_seat_or_the_rejoin() {
    let mut scribe = Scribe::new(2, 1);
    let before = MessageHeader { slot: Slot(2), ..header(&scribe, 1) };
    scribe.act(2, Act::Join);
    assert_eq!(check(&scribe, &before, 2), Err(MessageFault::Stale));
    let joined = header(&scribe, 2);
    assert_eq!(check(&scribe, &joined, 2), Ok(()));
    scribe.act(2, Act::Update);
    assert_eq!(check(&scribe, &joined, 2), Ok(()), "an update keeps earlier messages");
    scribe.act(2, Act::Rejoin);
    assert_eq!(check(&scribe, &joined, 2), Err(MessageFault::Stale));
    let others = MessageHeader { slot: Slot(1), ..joined };
    assert_eq!(check(&scribe, &others, 1), Ok(()), "another's rejoin does not concern it");
    assert_eq!(check(&scribe, &header(&scribe, 2), 2), Ok(()));
}

#[test]
fn m3_and_m4_other_epochs_and_histories() {
    let mut scribe = Scribe::new(2, 0);
    let honest = header(&scribe, 1);
    for epoch in [3, 4, u64::MAX] {
        let ahead = MessageHeader { epoch: Epoch(epoch), ..honest };
        assert_eq!(check(&scribe, &ahead, 1), Err(MessageFault::Future));
    }
    for byte in 0..honest.confirmed.len() {
        let mut forked = honest;
        forked.confirmed[byte] ^= 0x80;
        assert_eq!(check(&scribe, &forked, 1), Err(MessageFault::Fork));
    }
    assert_eq!(check(&scribe, &honest, 1), Ok(()));
    scribe.act(0, Act::Update);
    let mixed = MessageHeader { epoch: scribe.roster.epoch(), ..honest };
    assert_eq!(check(&scribe, &mixed, 1), Err(MessageFault::Fork));
    assert_eq!(check(&scribe, &honest, 1), Ok(()));
}
