//! T8: how devices follow the CA to its next key, and when they do not.

use crate::support::key;
use openchat_crypto::IdentityKey;
use openchat_pki::{
    Announcement, Entry, Followed, RotationFault,
    rotation::{MAX_ROTATIONS, announce, follow},
};
use openchat_wire::Digest;

fn pin(key: &IdentityKey) -> Digest {
    Digest(key.fingerprint().0)
}

fn planned(old: u8, new: u8) -> Announcement {
    Announcement::of(&announce(&key(old), key(new).public())).unwrap()
}

fn emergency(old: u8, new: u8) -> Announcement {
    Announcement::of(&Entry::Replace { from: pin(&key(old)), to: *key(new).public() }).unwrap()
}

fn from_1(announcements: &[Announcement]) -> Result<Followed, RotationFault> {
    follow(key(1).public(), announcements)
}

#[test]
fn t8_a_device_follows_what_the_key_that_was_has_signed() {
    let all = [planned(1, 2), planned(2, 3), planned(3, 4)];
    for steps in 0..=3 {
        let followed = from_1(&all[..steps]).unwrap();
        let last = u8::try_from(steps + 1).unwrap();
        let expected = Followed { pin: pin(&key(last)), steps, emergency: None };
        assert_eq!(followed, expected);
    }
    // A device that pinned a later key goes on from there.
    assert_eq!(follow(key(3).public(), &all).unwrap().pin, pin(&key(4)));
    assert_eq!(follow(key(9).public(), &all).unwrap().pin, pin(&key(9)), "none of its business");
}

#[test]
fn t8_a_change_that_another_key_signed_is_refused() {
    let to = *key(9).public();
    let Entry::Rotate { signature, .. } = announce(&key(7), &to) else { panic!() };
    let forged = Announcement::Planned { from: pin(&key(1)), to, signature };
    assert_eq!(from_1(&[forged]), Err(RotationFault::Signature));
    let Announcement::Planned { from, signature, .. } = planned(1, 2) else { panic!() };
    let diverted = Announcement::Planned { from, to, signature };
    assert_eq!(from_1(&[diverted]), Err(RotationFault::Signature));
}

#[test]
fn t8_the_first_word_of_a_key_counts() {
    // A thief of an old key can say nothing more, once it has been left.
    let all = [planned(1, 2), planned(1, 9), emergency(1, 9), planned(2, 3)];
    assert_eq!(from_1(&all).unwrap().pin, pin(&key(3)));
}

#[test]
fn t8_nobody_follows_a_replacement_unasked() {
    let all = [planned(1, 2), emergency(2, 3), planned(3, 4)];
    let followed = from_1(&all).unwrap();
    assert_eq!((followed.pin, followed.steps), (pin(&key(2)), 1), "the pin stays");
    let unaccepted = followed.emergency.unwrap();
    assert_eq!((unaccepted.from(), unaccepted.pin()), (&pin(&key(2)), pin(&key(3))));
    let accepted = unaccepted.accept();
    assert_eq!(follow(&accepted, &all).unwrap().pin, pin(&key(4)));
}

#[test]
fn t8_there_are_no_circles_and_no_endless_chains() {
    assert_eq!(from_1(&[planned(1, 1)]), Err(RotationFault::Loop));
    assert_eq!(from_1(&[planned(1, 2), planned(2, 1)]), Err(RotationFault::Loop));
    let chain: Vec<_> = (1..=20).map(|n| planned(n, n + 1)).collect();
    assert_eq!(from_1(&chain[..MAX_ROTATIONS]).unwrap().steps, MAX_ROTATIONS);
    assert_eq!(from_1(&chain[..=MAX_ROTATIONS]), Err(RotationFault::TooMany));
}

#[test]
fn an_announcement_is_an_entry_of_its_size() {
    let entry = announce(&key(1), key(2).public());
    assert_eq!(entry.encode().len(), 162);
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
}
