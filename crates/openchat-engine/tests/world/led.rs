//! Devices that the server's TLS has led to another key of its CA.

use crate::{
    liar::Answers,
    world::{SECOND, Who, World},
};
use openchat_crypto::IdentityKey;
use openchat_engine::{AlarmCode, Input};
use openchat_pki::{CaCertificate, MerkleLog};
use openchat_relay::Store;
use openchat_wire::{
    Blob, UnixMillis,
    relay::{Answer, Request},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

/// Bob is led to the next key; the log announces it, or not.
fn led(announced: bool) -> World {
    let (mut world, _) = World::with(970, &["alice", "bob"]);
    let key = IdentityKey::generate(&mut world.rng);
    let (now, rng) = (UnixMillis(world.now), &mut world.rng);
    let succession = world.server.relay.ca().succeed(key, now, rng).unwrap();
    let next: CaCertificate = succession.authority.ca().clone();
    if announced {
        let log_id = world.person(BOB).device().server_keys.log_id;
        let recorded = world.server.relay.store().recorded(0, usize::MAX).unwrap();
        let mut tree: MerkleLog = recorded.iter().map(|it| it.entry.clone()).collect();
        let entry = succession.announcement.encode();
        tree.push(&entry);
        let head = Blob(tree.head(log_id, now).sign(&world.server.head_key()));
        let size = tree.size();
        world.liar = Box::new(Answers(move |_, request: &Request, answer| match answer {
            Ok(Answer::Recorded { mut entries, .. }) => {
                let Request::ReadTransparency(from) = request else { unreachable!() };
                if *from < size {
                    entries.push(Blob(entry.clone()));
                }
                Ok(Answer::Recorded { entries, head: head.clone(), complete: true })
            }
            other => other,
        }));
    }
    world.disconnect(BOB);
    world.input(BOB, Input::Authority(Box::new(next)));
    world.connect(BOB);
    world.run(SECOND);
    world
}

#[test]
fn t14_a_key_of_the_ca_that_only_one_device_is_shown_is_an_alarm() {
    let mut world = led(false);
    assert_eq!(world.alarms(BOB), [AlarmCode::LogIrregular]);
    assert_eq!(world.alarms(ALICE), []);
    world.reconnect(BOB);
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::LogIrregular], "told once");
}

#[test]
fn t14_a_key_that_everybody_is_told_of_is_followed_without_a_word() {
    let world = led(true);
    assert_eq!(world.alarms(BOB), []);
}
