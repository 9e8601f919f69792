//! T11, T13: what a server shows of its CA over the changes of its key, and who finds the way.

use crate::{
    chains::{below, root},
    support::{DAY, NOW, authority, ca, ca_key, key, name, request, rng},
};
use openchat_pki::{
    Announcement, CaCertificate, CaError, CertificateAuthority, NotOurs, Origin, Profiles,
    RotationFault, ServerKeys, Validity,
    rotation::{self, announced},
};
use openchat_wire::{Digest, UnixMillis};

/// The CA after one change and after two.
fn changed() -> [CertificateAuthority; 3] {
    let first = authority().succeed(key(50), NOW, &mut rng(51)).unwrap().authority;
    let second = first.succeed(key(52), UnixMillis(NOW.0 + DAY), &mut rng(53)).unwrap().authority;
    [authority(), first, second]
}

fn refused(shown: &[Vec<u8>], pin: &Digest) -> CaError {
    CaCertificate::shown(shown, pin, NOW).unwrap_err()
}

#[test]
fn t11_whoever_pinned_any_key_of_the_ca_finds_the_newest() {
    let all = changed();
    let newest = &all[2];
    assert_eq!(newest.shown().len(), 5);
    for pinned in &all {
        let later = UnixMillis(NOW.0 + DAY);
        let found = CaCertificate::shown(newest.shown(), &pinned.pin(), later).unwrap();
        assert_eq!((found.pin(), found.former().len()), (newest.pin(), 2));
        let joined = newest.shown().concat();
        assert_eq!(CaCertificate::shown_in(&joined, &pinned.pin(), later).unwrap(), found);
    }
    assert_eq!(refused(newest.shown(), &Digest([7; 32])), CaError::Pin);
}

#[test]
fn t13_what_an_earlier_key_has_issued_counts_for_everybody() {
    let [old, _, newest] = changed();
    let bob = request(&key(3), &name("bob"));
    let der = old.issue_client(&bob, &name("bob"), NOW, &mut rng(4)).unwrap();
    let newcomer = CaCertificate::shown(newest.shown(), &newest.pin(), NOW).unwrap();
    assert_eq!(newcomer.verify_member(&der).unwrap().name(), &name("bob"));
    let server = old.issue_server(key(5).public(), &["a.b".parse().unwrap()], NOW, &mut rng(6));
    assert!(newcomer.verify_server(&server.unwrap()).is_err(), "a server shows the newest key");
}

#[test]
fn t11_no_other_certificates_lead_anywhere() {
    let [old, first, newest] = changed();
    let pin = old.pin();
    let mut swapped = first.shown().to_vec();
    let strange = old.succeed(key(60), NOW, &mut rng(61)).unwrap();
    swapped[1] = strange.cross.clone();
    assert_eq!(refused(&swapped, &pin), CaError::NotASuccessor, "a certificate for another key");
    swapped.swap(1, 2);
    assert!(matches!(refused(&swapped, &pin), CaError::Unreadable(NotOurs::Signature)));
    let mut turned = first.shown().to_vec();
    turned.swap(1, 2);
    assert!(matches!(refused(&turned, &pin), CaError::Unreadable(NotOurs::Signature)));
    // Announced, and not certified by the key that was.
    let alone = &first.shown()[..1];
    assert_eq!(refused(alone, &pin), CaError::Pin);
    assert_eq!(refused(&first.shown()[..2], &pin), CaError::Chain);
    let extra = [first.shown(), &[ca().der().to_vec()]].concat();
    assert_eq!(refused(&extra, &pin), CaError::Chain);
    let twice = [first.shown(), &first.shown()[1..]].concat();
    assert!(matches!(refused(&twice, &pin), CaError::Unreadable(NotOurs::Signature)));
    let long = [newest.shown(), &vec![ca().der().to_vec(); 40]].concat();
    assert_eq!(refused(&long, &pin), CaError::Chain);
    let none: [Vec<u8>; 0] = [];
    assert_eq!(refused(&none, &pin), CaError::Chain);
}

#[test]
fn t11_a_change_that_leads_back_is_refused() {
    let [old, first, _] = changed();
    // The first key comes again: what it shows goes round.
    let again = first.succeed(ca_key(), NOW, &mut rng(62));
    assert!(again.is_err(), "{again:?}");
    let bare = CertificateAuthority::load(key(50), first.certificate(), first.profiles()).unwrap();
    let again = bare.succeed(ca_key(), NOW, &mut rng(62)).unwrap();
    let round = [again.authority.shown(), &first.shown()[1..]].concat();
    let found = CaCertificate::shown(&round, &old.pin(), NOW);
    assert_eq!(found.unwrap_err(), CaError::NotASuccessor);
}

#[test]
fn t11_nobody_follows_a_change_whose_time_is_over() {
    let [old, first, _] = changed();
    let late = UnixMillis(NOW.0 + 3_651 * DAY);
    let found = CaCertificate::shown(first.shown(), &old.pin(), late);
    assert_eq!(found.unwrap_err(), CaError::Change(Validity::Expired));
    assert!(CaCertificate::shown(first.shown(), &first.pin(), late).is_ok());
    // The server leaves it out then.
    let profiles = Profiles::builtin().unwrap();
    let shown = first.shown().to_vec();
    let loaded = CertificateAuthority::load_shown(key(50), shown, &profiles, late).unwrap();
    assert_eq!(loaded.shown().len(), 1);
}

#[test]
fn t13_a_device_keeps_what_it_has_verified() {
    let [old, _, newest] = changed();
    let keys = ServerKeys::new(*key(10).public(), *key(11).public());
    let statement = old.sign_server_keys(&keys);
    let found = CaCertificate::shown(newest.shown(), &old.pin(), UnixMillis(NOW.0 + DAY))
        .unwrap()
        .after(old.ca());
    let stored = CaCertificate::stored(&found.to_stored(), &newest.pin()).unwrap();
    assert_eq!(stored, found);
    assert_eq!(stored.former().len(), 2);
    assert!(ServerKeys::verify(&statement, &stored).is_err());
    assert_eq!(ServerKeys::verify_stored(&statement, &stored).unwrap(), keys);
    // What it tells a third person rests on the pin that the statement was made under.
    let origin = Origin::new(&stored, &statement);
    assert_eq!(origin.verify(Some(&old.pin())).unwrap().pin, old.pin());
    assert!(origin.verify(Some(&newest.pin())).is_err());
    // Earlier versions stored the certificate alone.
    assert_eq!(&CaCertificate::stored(old.certificate(), &old.pin()).unwrap(), old.ca());
    assert!(CaCertificate::stored(&found.to_stored(), &old.pin()).is_err());
}

#[test]
fn t13_keys_below_a_root_count_on_too() {
    let old = below();
    let hosts = crate::chains::hosts();
    let der = root().certify(key(70).public(), &hosts, &[], NOW, &mut rng(71)).unwrap();
    let shown = [der, root().certificate().to_vec(), old.certificate().to_vec()].to_vec();
    let profiles = Profiles::builtin().unwrap();
    let new = CertificateAuthority::load_shown(key(70), shown, &profiles, NOW).unwrap();
    assert_eq!(new.pin(), root().pin());
    let bob = request(&key(3), &name("bob"));
    let der = old.issue_client(&bob, &name("bob"), NOW, &mut rng(4)).unwrap();
    let found = CaCertificate::shown(new.shown(), &root().pin(), NOW).unwrap();
    assert!(found.verify_member(&der).is_ok());
    let stored = CaCertificate::stored(&found.to_stored(), &root().pin()).unwrap();
    assert!(stored.verify_member(&der).is_ok());
    let stranger = [new.shown(), &[ca().der().to_vec()]].concat();
    assert!(CaCertificate::shown(&stranger, &root().pin(), NOW).is_err());
    let twice = [new.shown(), &new.shown()[2..]].concat();
    assert_eq!(refused(&twice, &root().pin()), CaError::Chain);
}

#[test]
fn t8_nothing_leads_from_a_stolen_key() {
    let (profiles, old) = (Profiles::builtin().unwrap(), authority());
    let (new, entry) =
        CertificateAuthority::replace(old.ca(), key(80), &profiles, NOW, &mut rng(81)).unwrap();
    assert!(matches!(entry, openchat_pki::Entry::Replace { from, .. } if from == old.pin()));
    assert_eq!(new.shown().len(), 1);
    assert_eq!(refused(new.shown(), &old.pin()), CaError::Pin);
    let bob = request(&key(3), &name("bob"));
    let der = old.issue_client(&bob, &name("bob"), NOW, &mut rng(4)).unwrap();
    assert!(new.ca().verify_member(&der).is_err());
}

#[test]
fn t14_a_change_that_the_log_does_not_announce_is_found() {
    let later = UnixMillis(NOW.0 + DAY);
    let first = authority().succeed(key(50), NOW, &mut rng(51)).unwrap();
    let second = first.authority.succeed(key(52), later, &mut rng(53)).unwrap();
    let words: Vec<Announcement> = [&first.announcement, &second.announcement]
        .map(|entry| Announcement::of(entry).unwrap())
        .to_vec();
    let ca = second.authority.ca();
    assert_eq!(announced(ca, &words), Ok(()));
    assert_eq!(announced(authority().ca(), &[]), Ok(()), "nothing has changed");
    for told in [&words[..1], &words[1..], &[]] {
        assert_eq!(announced(ca, told), Err(RotationFault::Unannounced));
    }
    // The first word of a key counts, and its own signature.
    let other = Announcement::of(&rotation::announce(&ca_key(), key(60).public())).unwrap();
    let twice = [vec![other], words.clone()].concat();
    assert_eq!(announced(ca, &twice), Err(RotationFault::Unannounced));
    let forged = rotation::announce(&key(61), key(50).public());
    let Some(Announcement::Planned { to, signature, .. }) = Announcement::of(&forged) else {
        panic!("a planned change")
    };
    let forged = Announcement::Planned { from: authority().pin(), to, signature };
    let words = [forged, words[1].clone()];
    assert_eq!(announced(ca, &words), Err(RotationFault::Signature));
    // A change that a person has accepted has to be announced too.
    let profiles = Profiles::builtin().unwrap();
    let (new, entry) =
        CertificateAuthority::replace(authority().ca(), key(80), &profiles, NOW, &mut rng(81))
            .unwrap();
    let accepted = new.ca().clone().after(authority().ca());
    let word = Announcement::of(&entry).unwrap();
    assert_eq!(announced(&accepted, &[word]), Ok(()));
    assert_eq!(announced(&accepted, &[]), Err(RotationFault::Unannounced));
    assert_eq!(announced(below().ca(), &[]), Ok(()), "a root answers for what is below it");
}

#[test]
fn t11_every_byte_of_it_is_verified() {
    let [old, first, _] = changed();
    let joined = first.shown().concat();
    for at in 0..joined.len() {
        let mut bytes = joined.clone();
        bytes[at] ^= 1;
        let found = CaCertificate::shown_in(&bytes, &old.pin(), NOW);
        assert!(found.is_err(), "byte {at}: {found:?}");
    }
    for end in (0..joined.len()).step_by(7) {
        let found = CaCertificate::shown_in(&joined[..end], &old.pin(), NOW);
        assert!(found.is_err(), "cut at {end}");
    }
    let change = joined.len() - first.shown()[0].len();
    assert!(change < 1_200, "{change} bytes a change in every handshake");
}
