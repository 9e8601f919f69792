//! T7: a device's watch over its own name and key.

use crate::{
    mirror::{Log, fpr, issue, keys, revoke, serial},
    support::name,
};
use openchat_pki::{Concern, Entry, Mirror, Watch};

/// What a device of alice with key 1, which asked for serials 0x41 and 0x42, is told.
fn told(entries: &[Entry], since: u64) -> Vec<(u64, Concern)> {
    let mut mirror = Mirror::new(&keys());
    mirror.watch(Watch::new(name("alice"), fpr(1), since));
    for number in [0x41, 0x42] {
        mirror.watch_mut().unwrap().asked(serial(number));
    }
    let log = Log::of(entries);
    let alerts = mirror.extend(&log.entries, &log.signed()).unwrap().alerts;
    alerts.into_iter().map(|alert| (alert.index, alert.concern)).collect()
}

#[test]
fn t7_what_a_device_asked_for_is_no_alarm() {
    let log = [issue("alice", 1, 0x41), issue("bob", 2, 0x50), issue("alice", 1, 0x42)];
    assert_eq!(told(&log, 0), []);
    assert_eq!(told(&[revoke("bob", 2), issue("bob", 3, 0x44)], 0), []);
}

#[test]
fn t7_what_nobody_asked_for_is_one() {
    let other = Concern::OtherKey { name: name("alice"), fingerprint: fpr(9) };
    assert_eq!(told(&[issue("alice", 1, 0x41), issue("alice", 9, 0x42)], 0), [(1, other)]);
    let unasked = Concern::Unasked { serial: serial(0x43) };
    assert_eq!(told(&[issue("alice", 1, 0x41), issue("alice", 1, 0x43)], 0), [(1, unasked)]);
    let named = Concern::OtherName { name: name("mallory") };
    assert_eq!(told(&[issue("mallory", 1, 0x41)], 5), [(0, named)], "my key, at any time");
    for who in ["alice", "mallory"] {
        assert_eq!(told(&[issue("alice", 1, 0x41), revoke(who, 1)], 0), [(1, Concern::Revoked)]);
    }
    let revoked = Concern::OtherRevoked { name: name("alice"), fingerprint: fpr(9) };
    assert_eq!(told(&[revoke("alice", 9)], 0), [(0, revoked)]);
}

#[test]
fn earlier_holders_of_a_name_are_no_alarm() {
    let log = [issue("alice", 8, 0x60), revoke("alice", 8), issue("alice", 1, 0x41)];
    assert_eq!(told(&log, 2), []);
    assert_eq!(told(&log, 0).len(), 2);
    let back = [&log[..], &[revoke("alice", 1), issue("alice", 7, 0x61)]].concat();
    let taken = Concern::OtherKey { name: name("alice"), fingerprint: fpr(7) };
    assert_eq!(told(&back, 2), [(3, Concern::Revoked), (4, taken)]);
}
