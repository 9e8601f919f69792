//! Every signed object presented as every other kind, and under every other purpose.

use openchat_crypto::{Label, Signature, Tag};
use openchat_group::{Proposal, Unreadable};
use openchat_roster::{
    CommitEntry, CommitFault, Heartbeat, LeaveEntry, LeaveFault, LogEntry, MessageEntry,
    NoticeEntry, NoticeFault, PrekeyFault, PrekeyKind, SignedHeartbeat, SignedPrekey,
};
use openchat_wire::{Blob, DecodeError, decode, encode};

use crate::kit::{
    Act, Event, World,
    insider::signed_as,
    post::{inside, token, welcome_key},
    sealer::{Sealer, unrounded},
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
    let sealer = Sealer::new(&world.devices[1]);
    let commit = world.devices[1].make(Act::Update).unwrap();
    let made = commit_of(&commit);
    let notice = notice(&world);
    let beat = heartbeat(&world);
    let leave = leave(&world);
    let prekey = world.devices[1].prekey(PrekeyKind::OneTime);
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
    for label in others(Label::Leave) {
        let forged = LeaveEntry { signature: key.sign(label, &leave.leave.0), ..leave.clone() };
        assert_eq!(roster.check_leave(&forged), Err(LeaveFault::Signature), "{label:?}");
    }
    for label in others(Label::Prekey) {
        let signature = key.sign(label, &prekey.prekey.0);
        let forged = SignedPrekey { signature, ..prekey.clone() };
        assert_eq!(forged.verify(key.public()), Err(PrekeyFault::Signature), "{label:?}");
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

/// Everything that a member really signs, with its signature.
struct Signed {
    made: CommitEntry,
    bodies: Vec<(Label, Blob, Signature)>,
}

impl Signed {
    fn by_member(world: &mut World) -> Self {
        let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
        let add = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
        let welcome = world.devices[1].letters_with(&add).remove(0).sealed;
        let (ring, member) = (&world.devices[3].ring, world.fingerprint(3));
        let key = welcome_key(ring, world.roster(), &commit_of(&add), &member);
        let (welcome, by_welcome) = inside(&key, &welcome.0);
        let made = commit_of(&world.devices[1].make(Act::Update).unwrap());
        let (notice, beat, leave) = (notice(world), heartbeat(world), leave(world));
        let prekey = world.devices[1].prekey(PrekeyKind::LastResort);
        let bodies = vec![
            (Label::Commit, made.commit.clone(), made.signature),
            (
                Label::Commit,
                Blob(CommitEntry::signed_bytes(&made.commit, &made.tag)),
                made.signature,
            ),
            (Label::Notice, notice.notice, notice.signature),
            (Label::Heartbeat, beat.heartbeat, beat.signature),
            (Label::Leave, leave.leave, leave.signature),
            (Label::Prekey, prekey.prekey, prekey.signature),
            (Label::WelcomeLetter, Blob(welcome), by_welcome),
        ];
        Self { made, bodies }
    }
}

/// What a member really signed, in the clothes of each other kind.
#[test]
fn signed_bytes_as_another_kind_of_entry() {
    let mut world = World::closed(2, 3, 1);
    world.act(0, Act::Update);
    let Signed { made, bodies } = Signed::by_member(&mut world);
    let roster = world.roster();
    let key = *world.devices[1].key.public();
    for (kind, body, signature) in bodies {
        let as_notice = NoticeEntry { notice: body.clone(), signature };
        let fault = roster.check_notice(&as_notice).err();
        assert_eq!(fault, (kind != Label::Notice).then_some(NoticeFault::Encoding), "{kind:?}");
        let as_beat = SignedHeartbeat { heartbeat: body.clone(), signature };
        let fault = roster.check_heartbeat(&as_beat.to_bytes().0).err();
        assert_eq!(fault, (kind != Label::Heartbeat).then_some(NoticeFault::Encoding), "{kind:?}");
        let as_leave = LeaveEntry { leave: body.clone(), signature };
        let fault = roster.check_leave(&as_leave).err();
        assert_eq!(fault, (kind != Label::Leave).then_some(LeaveFault::Encoding), "{kind:?}");
        let as_prekey = SignedPrekey { prekey: body.clone(), signature };
        let fault = as_prekey.verify(&key).err();
        assert_eq!(fault, (kind != Label::Prekey).then_some(PrekeyFault::Encoding), "{kind:?}");
        for tag in [Tag([0; 32]), made.tag] {
            if body == made.commit && tag == made.tag {
                continue;
            }
            let as_commit = CommitEntry { commit: body.clone(), tag, signature };
            let fault = roster.check(&as_commit).unwrap_err();
            let expected = if body == made.commit {
                CommitFault::Signature
            } else {
                CommitFault::Encoding(encoding_of(&body))
            };
            assert_eq!(fault, expected, "{kind:?}");
        }
    }
}

/// What a member really signed, in place of a Welcome's or an invitation's contents.
#[test]
fn signed_bytes_as_a_letter() {
    let mut world = World::closed(6, 3, 1);
    world.act(0, Act::Update);
    let Signed { bodies, .. } = Signed::by_member(&mut world);
    let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
    let entry = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
    let member = world.fingerprint(3);
    let key = welcome_key(&world.devices[3].ring, world.roster(), &commit_of(&entry), &member);
    let place = (*world.roster().group(), world.roster().epoch().next());
    for (kind, body, signature) in bodies {
        let fernet = openchat_crypto::fernet::MessageKey::new(key.clone());
        let as_signed = Blob(fernet.seal(&[&body.0[..], signature.as_bytes()].concat()));
        let signer = &world.devices[1].key;
        let anew = token(&key, signer, Label::WelcomeLetter, &body.0);
        for letter in [as_signed, anew] {
            let mut ring = world.devices[3].ring.clone();
            ring.letters.insert(place, letter);
            let mut group = world.devices[3].group.clone();
            let outcome = group.commit(&commit_of(&entry), &ring);
            let openchat_group::CommitOutcome::Valid { effect, .. } = outcome else { panic!() };
            let openchat_group::Effect::LeftBehind(fault) = effect else { panic!("{kind:?}") };
            // A Welcome of another commit is one, and says so.
            assert!(matches!(fault, openchat_group::PrivateFault::Welcome(_)), "{kind:?}");
        }
    }
    world.publish(entry);
    world.assert_all_talk();
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
        LogEntry::Leave(leave(&world)).to_bytes(),
    ];
    for (kind, entry) in (0_u8..).zip(&entries) {
        assert_eq!(entry[..2], [1, kind]);
        for other in (0..4).filter(|other| *other != kind) {
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
    let leave = LogEntry::Leave(leave(&world)).to_bytes();
    for token in [made.clone(), commit_of(&made).commit.0, world.devices[1].notice(), leave] {
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

fn leave(world: &World) -> LeaveEntry {
    let device = &world.devices[1];
    let leave = device.group.leave_request(&device.key).unwrap();
    assert!(world.roster().check_leave(&leave).is_ok());
    leave
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
