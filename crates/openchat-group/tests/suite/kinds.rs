//! Every signed object presented as every other kind, and under every other purpose.

use openchat_crypto::{Label, Signature, Tag};
use openchat_group::Unreadable;
use openchat_roster::{
    CommitEntry, CommitFault, Heartbeat, LogEntry, MessageEntry, NoticeEntry, NoticeFault,
    SignedHeartbeat,
};
use openchat_wire::{Blob, DecodeError, decode, encode};

use crate::kit::{
    Act, Event, World,
    insider::{Sealer, signed_as, unrounded},
    world::{commit_of, invalid, message_of},
};

/// Labels that are not `own`.
fn others(own: Label) -> impl Iterator<Item = Label> {
    Label::ALL.iter().copied().filter(move |label| *label != own)
}

#[test]
fn signatures_for_other_purposes() {
    let mut world = World::new(1, 3, 0);
    world.act(0, Act::Update);
    let sealer = Sealer::new(&world.devices[1], &world.log);
    let commit = world.devices[1].make(Act::Update).unwrap();
    let made = commit_of(&commit);
    let notice = notice(&world);
    let beat = heartbeat(&world);
    let key = &world.devices[1].key;
    let roster = world.roster();
    for label in others(Label::Notice) {
        let forged = NoticeEntry { signature: key.sign(label, &notice.notice.0), ..notice.clone() };
        assert_eq!(roster.check_notice(&forged), Err(NoticeFault::Signature), "{label:?}");
    }
    for label in others(Label::Heartbeat) {
        let signature = key.sign(label, &beat.heartbeat.0);
        let forged = SignedHeartbeat { signature, ..beat.clone() };
        let fault = roster.check_heartbeat(&forged.to_bytes().0);
        assert_eq!(fault, Err(NoticeFault::Signature), "{label:?}");
    }
    let commits: Vec<_> = others(Label::Commit)
        .map(|label| signed_as(key, label, made.commit.clone(), made.tag))
        .collect();
    let messages: Vec<_> = others(Label::Message)
        .map(|label| sealer.seal(sealer.header(1, 0), key, label, &unrounded(&[1; 16], 0)))
        .collect();
    for forged in commits {
        world.assert_refused(&forged, &invalid(CommitFault::Signature));
    }
    let before = world.devices[2].snapshot();
    for forged in messages {
        let event = world.devices[2].judge(&forged);
        assert_eq!(event, Event::Unreadable(Unreadable::Signature));
    }
    assert_eq!(world.devices[2].snapshot(), before);
    world.publish(commit);
    world.assert_all_talk();
}

/// What a member really signed, with its signature, in the clothes of each other kind.
#[test]
fn signed_bytes_as_another_kind_of_entry() {
    let mut world = World::new(2, 3, 0);
    world.act(0, Act::Update);
    let made = commit_of(&world.devices[1].make(Act::Update).unwrap());
    let notice = notice(&world);
    let beat = heartbeat(&world);
    let signed: Vec<(Blob, Signature)> = vec![
        (made.commit.clone(), made.signature),
        (Blob(CommitEntry::signed_bytes(&made.commit, &made.tag)), made.signature),
        (notice.notice.clone(), notice.signature),
        (beat.heartbeat.clone(), beat.signature),
    ];
    for (body, signature) in signed {
        let is_notice = signature == notice.signature;
        let is_beat = signature == beat.signature;
        let as_notice = NoticeEntry { notice: body.clone(), signature };
        let fault = world.roster().check_notice(&as_notice).err();
        assert_eq!(fault, (!is_notice).then_some(NoticeFault::Encoding));
        let as_beat = SignedHeartbeat { heartbeat: body.clone(), signature };
        let fault = world.roster().check_heartbeat(&as_beat.to_bytes().0).err();
        assert_eq!(fault, (!is_beat).then_some(NoticeFault::Encoding));
        for tag in [Tag([0; 32]), made.tag] {
            if body == made.commit && tag == made.tag {
                continue;
            }
            let as_commit = CommitEntry { commit: body.clone(), tag, signature };
            let fault = world.roster().check(&as_commit).unwrap_err();
            let expected = if body == made.commit {
                CommitFault::Signature
            } else {
                CommitFault::Encoding(encoding_of(&body))
            };
            assert_eq!(fault, expected);
        }
    }
}

/// The same bytes under another kind's number in the log.
#[test]
fn entries_relabelled() {
    let mut world = World::new(3, 3, 0);
    world.act(0, Act::Update);
    let entries = [
        world.devices[1].make(Act::Update).unwrap(),
        world.devices[1].seal("hello").unwrap(),
        world.devices[1].notice(),
    ];
    for (kind, entry) in (0_u8..).zip(&entries) {
        assert_eq!(entry[..2], [1, kind]);
        for other in (0..3).filter(|other| *other != kind) {
            let forged = [&[1, other], &entry[2..]].concat();
            let before = world.devices[2].snapshot();
            let event = world.devices[2].judge(&forged);
            assert!(event.is_refusal(), "kind {kind} as {other}: {event:?}");
            assert_eq!(world.devices[2].snapshot(), before);
        }
    }
}

/// A commit or a notice where a token belongs.
#[test]
fn signed_bytes_as_a_message() {
    let mut world = World::new(4, 3, 0);
    let made = world.devices[1].make(Act::Update).unwrap();
    let header = message_of(&world.devices[1].seal("x").unwrap()).header;
    for token in [made.clone(), commit_of(&made).commit.0, world.devices[1].notice()] {
        let forged = LogEntry::Message(MessageEntry { header, token: Blob(token) });
        let refused = Event::Unreadable(Unreadable::Token);
        let listener = &mut world.devices[0];
        let before = listener.snapshot();
        assert_eq!(listener.judge(&forged.to_bytes()), refused);
        assert_eq!(listener.snapshot(), before);
    }
}

fn notice(world: &World) -> NoticeEntry {
    match LogEntry::decode(&world.devices[1].notice()) {
        Ok(LogEntry::Notice(notice)) => notice,
        other => panic!("{other:?}"),
    }
}

fn heartbeat(world: &World) -> SignedHeartbeat {
    let device = &world.devices[1];
    let beat = Heartbeat {
        author: device.key.fingerprint(),
        group: *world.roster().group(),
        epoch: world.roster().epoch(),
        interim: *world.roster().interim(),
        seen: device.group.seen().unwrap(),
    };
    let signed = SignedHeartbeat::sign(&beat, &device.key);
    assert_eq!(world.roster().check_heartbeat(&signed.to_bytes().0), Ok(beat));
    signed
}

fn encoding_of(body: &Blob) -> DecodeError {
    decode::<openchat_roster::Commit>(&body.0, 1 << 20).unwrap_err()
}

#[test]
fn a_heartbeat_is_encoded_as_what_it_is() {
    let mut world = World::new(5, 2, 0);
    world.act(0, Act::Update);
    let beat = heartbeat(&world);
    let bytes = beat.to_bytes().0;
    for length in 0..bytes.len() {
        let fault = world.roster().check_heartbeat(&bytes[..length]);
        assert_eq!(fault, Err(NoticeFault::Encoding));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(world.roster().check_heartbeat(&longer), Err(NoticeFault::Encoding));
    assert_eq!(encode(&beat), bytes);
}
