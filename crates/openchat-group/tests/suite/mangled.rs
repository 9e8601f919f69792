//! Entries with one bit changed, cut short, or with a byte more: refused, and nothing changes.

use openchat_group::Proposal;
use openchat_roster::{Inviting, LogEntry, PrekeyKind, Reason, Role, Rules};

use proptest::prelude::*;

use crate::kit::{Act, Event, World};

/// Every entry that differs from `bytes` in one bit; or by its length.
fn mangled(bytes: &[u8], bits: impl Fn(usize) -> Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..bytes.len()).flat_map(move |at| {
        bits(at).into_iter().map(move |bit| {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            flipped
        })
    });
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let longer = [0, 1, 255].map(|byte| [bytes, &[byte]].concat());
    flipped.chain(cut).chain(longer)
}

/// None of them counts, and none changes a device.
fn assert_all_refused(world: &mut World, entry: &[u8], bits: impl Fn(usize) -> Vec<u8>) {
    let listeners = [1, world.devices.len() - 1];
    for listener in listeners {
        let device = &mut world.devices[listener];
        let (before, vault) = (device.snapshot(), device.vault());
        for bytes in mangled(entry, &bits) {
            let event = device.judge(&bytes);
            assert!(event.is_refusal(), "{event:?}");
            assert_eq!(device.vault(), vault);
        }
        assert_eq!(device.snapshot(), before);
    }
}

fn all(_: usize) -> Vec<u8> {
    (0..8).collect()
}

fn one(at: usize) -> Vec<u8> {
    vec![u8::try_from(at % 8).unwrap()]
}

#[test]
fn a_message_with_any_bit_changed() {
    let mut world = World::new(1, 3, 1);
    let entry = world.devices[0].seal("hello").unwrap();
    assert_all_refused(&mut world, &entry, all);
    let events = world.publish(entry);
    assert_eq!(events[1].text(), Some("hello"));
    world.assert_all_talk();
}

#[test]
fn a_commit_with_a_bit_of_any_byte_changed() {
    let mut world = World::new(2, 4, 1);
    for (who, act) in [(2, Act::Update), (0, Act::Rejoin), (4, Act::Join)] {
        let entry = world.devices[who].make(act).unwrap();
        assert_all_refused(&mut world, &entry, one);
        world.publish(entry);
        world.assert_all_talk();
    }
}

/// The tag has 32 bytes, or there is no commit.
#[test]
fn a_commit_with_a_tag_of_another_length() {
    let mut world = World::new(6, 3, 1);
    let entry = world.devices[1].make(Act::Update).unwrap();
    let (body, signature) = entry.split_at(entry.len() - 64);
    let (commit, tag) = body.split_at(body.len() - 32);
    let longer = [tag, &[0]].concat();
    for other in [&[][..], &tag[..31], &tag[1..], &longer] {
        let forged = [commit, other, signature].concat();
        for device in &mut world.devices {
            let before = device.snapshot();
            assert!(matches!(device.judge(&forged), Event::Undecodable(_)));
            assert_eq!(device.snapshot(), before);
        }
    }
    world.publish(entry);
    world.assert_all_talk();
}

#[test]
fn a_notice_with_any_bit_changed() {
    let mut world = World::new(3, 3, 0);
    world.act(0, Act::Update);
    let entry = world.devices[2].notice();
    assert_all_refused(&mut world, &entry, all);
    assert!(matches!(world.publish(entry)[0], Event::Notice(Ok(_))));
}

#[test]
fn a_leave_request_with_any_bit_changed() {
    let mut world = World::new(7, 3, 0);
    let device = &world.devices[2];
    let leave = device.group.leave_request(&device.key).unwrap();
    assert_all_refused(&mut world, &LogEntry::Leave(leave).to_bytes(), all);
    world.leave(2);
}

/// Commits with all that they can hold: adds, removes, admissions, rules, roles.
#[test]
fn a_large_commit_with_a_bit_of_any_byte_changed() {
    let mut world = World::closed(8, 4, 3);
    let adds = vec![world.devices[4].as_new_member(PrekeyKind::OneTime)];
    let admits = vec![world.devices[5].as_invited()];
    let removes = vec![(world.fingerprint(2), Reason::Evicted)];
    let proposal = Proposal {
        removes,
        adds,
        admits,
        rules: Some(Rules { invite: Inviting::Admins, ..Rules::INVITED }),
        roles: vec![(world.fingerprint(3), Role::Admin)],
        ..Proposal::default()
    };
    let entry = world.devices[0].propose(proposal).unwrap();
    assert_all_refused(&mut world, &entry, one);
    world.publish(entry);
    world.act(4, Act::Update);
    world.assert_agree();
    world.assert_heard(&[0, 1, 3, 4]);
}

#[test]
fn an_entry_of_another_version_or_kind() {
    let mut world = World::new(4, 3, 0);
    let entry = world.devices[2].seal("hello").unwrap();
    for version in (0..=255).filter(|version| *version != 1) {
        let other = [&[version], &entry[1..]].concat();
        assert!(LogEntry::decode(&other).is_err());
    }
    for kind in 4..=255 {
        let other = [&[1, kind], &entry[2..]].concat();
        assert!(LogEntry::decode(&other).is_err());
    }
    assert!(LogEntry::decode(&[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Pieces of real entries, cut and joined at random: nothing panics, nothing counts.
    #[test]
    fn pieces_of_entries(
        kind in 0_usize..4,
        edits in proptest::collection::vec((0_usize..2_000, 0_usize..40, any::<Vec<u8>>()), 1..4),
    ) {
        let mut world = World::new(5, 3, 0);
        world.act(0, Act::Update);
        let entry = match kind {
            0 => world.devices[2].make(Act::Update).unwrap(),
            1 => world.devices[2].make(Act::Rejoin).unwrap(),
            2 => world.devices[2].seal("hello").unwrap(),
            _ => world.devices[2].notice(),
        };
        let mut bytes = entry.clone();
        for (at, length, with) in edits {
            let at = at % (bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, with);
        }
        if bytes != entry {
            let device = &mut world.devices[1];
            let before = device.snapshot();
            let event = device.judge(&bytes);
            prop_assert!(event.is_refusal(), "{:?}", event);
            prop_assert_eq!(device.snapshot(), before);
        }
    }
}
