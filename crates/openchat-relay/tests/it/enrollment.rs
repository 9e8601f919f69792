//! Invitations: one name, one key, one certificate, whatever is tried.

use crate::{
    people::Person,
    support::{START, World, name},
};
use openchat_pki::{Entry, MemberCertificate, ServerKeys, UnverifiedHead, check_issued};
use openchat_relay::{EnrollReason, Identity, Store as _, StoreError, store::Table};
use openchat_wire::{
    Blob, UnixMillis,
    enroll::{EnrollRefusal, EnrollRequest, Enrolled},
    limits::{INVITATION_LIFE, MAX_WRONG_SECRETS},
    relay::{Answer, Refusal, Request},
};

fn entries(world: &World) -> Vec<Entry> {
    let recorded = world.relay.store().recorded(0, usize::MAX).unwrap();
    recorded.iter().map(|recorded| Entry::decode(&recorded.entry).unwrap()).collect()
}

fn certificate(world: &World, person: &Person, enrolled: &Enrolled) -> MemberCertificate {
    let (ca, identity) = (world.relay.ca().ca(), &person.identity);
    let der = &enrolled.certificate.0;
    check_issued(ca, der, &identity.name, person.key.public(), world.now).unwrap()
}

/// What is refused without a word about why, and why.
fn refused(world: &mut World, request: &EnrollRequest) -> String {
    let before = entries(world).len();
    let outcome = world.enroll(request);
    assert_eq!(outcome.answer, Err(EnrollRefusal::Invitation));
    assert_eq!(entries(world).len(), before);
    outcome.reason.to_string()
}

#[test]
fn an_invitation_leads_to_a_certificate_that_is_logged() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    let enrolled = world.enroll(&bob.request(&invited)).answer.unwrap();

    let certificate = certificate(&world, &bob, &enrolled);
    assert_eq!(Identity::from(&certificate), bob.identity);
    assert_eq!(enrolled.ca.0, world.relay.ca().certificate());
    let keys = ServerKeys::verify(&enrolled.server_keys.0, world.relay.ca().ca()).unwrap();
    assert_eq!(keys, world.public);
    let head = UnverifiedHead::decode(&enrolled.head.0).unwrap();
    let head = head.verify(&keys.log_key, &keys.log_id).unwrap();
    assert_eq!((enrolled.index, head.size), (0, 1), "the head covers the issue");
    assert_eq!(entries(&world), [Entry::issue(&certificate)]);

    let asked = Request::Certificate(bob.identity.fingerprint);
    assert_eq!(world.ask(&bob, &asked).answer, Ok(Answer::Certificate(enrolled.certificate)));
    let nobody = Person::new("nobody", &mut world.rng).identity.fingerprint;
    assert_eq!(world.ask(&bob, &Request::Certificate(nobody)).answer, Err(Refusal::NotFound));
}

#[test]
fn the_same_key_again_gets_the_same_certificate_even_after_a_crash_and_late() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    let first = world.enroll(&bob.request(&invited)).answer.unwrap();
    let mut world = world.crash();
    world.wait(INVITATION_LIFE * 2);
    let again = world.enroll(&bob.request(&invited));
    assert!(matches!(again.reason, EnrollReason::Again));
    let again = again.answer.unwrap();
    assert_eq!((again.certificate, again.index), (first.certificate, first.index));
    assert_eq!(entries(&world).len(), 1);
}

#[test]
fn of_64_keys_that_race_for_one_invitation_one_wins() {
    let mut world = World::new();
    let invited = world.invite("bob");
    let mut certificates = 0;
    for _ in 0..64 {
        let request = Person::new("bob", &mut world.rng).request(&invited);
        // All in one batch, as when they come at once.
        match world.relay.enroll(&request, world.now, &mut world.rng).answer {
            Ok(_) => certificates += 1,
            Err(refusal) => assert_eq!(refusal, EnrollRefusal::Invitation),
        }
    }
    world.relay.flush().unwrap();
    assert_eq!((certificates, entries(&world).len()), (1, 1));
}

#[test]
fn guessed_secrets_lock_the_invitation_for_ever() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    let right = bob.request(&invited);
    for guess in 1..=MAX_WRONG_SECRETS {
        let mut wrong = right.clone();
        wrong.secret[15] ^= u8::try_from(guess).unwrap();
        assert_eq!(
            refused(&mut world, &wrong),
            format!("wrong secret, number {guess} for this invitation")
        );
        world = world.crash();
    }
    assert_eq!(refused(&mut world, &right), "invitation locked after wrong secrets");
}

#[test]
fn four_wrong_secrets_are_forgiven() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    let right = bob.request(&invited);
    for _ in 1..MAX_WRONG_SECRETS {
        refused(&mut world, &EnrollRequest { secret: [0; 16], ..right.clone() });
    }
    world.enroll(&right).answer.unwrap();
}

#[test]
fn every_fault_of_an_invitation_looks_the_same_from_outside() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let (invited, other) = (world.invite("bob"), world.invite("carol"));
    let right = bob.request(&invited);
    let unknown = EnrollRequest { invitation: [9; 16], ..right.clone() };
    assert_eq!(refused(&mut world, &unknown), "unknown invitation");
    assert_eq!(refused(&mut world, &bob.request(&other)), "invitation for another name");
    let swapped = EnrollRequest { secret: other.secret, ..right.clone() };
    assert!(refused(&mut world, &swapped).starts_with("wrong secret"));

    world.now = START.after(INVITATION_LIFE).after(core::time::Duration::from_millis(1));
    assert_eq!(refused(&mut world, &right), "invitation expired");
    world.now = START.after(INVITATION_LIFE);
    world.enroll(&right).answer.unwrap();
    let thief = Person::new("bob", &mut world.rng);
    assert_eq!(refused(&mut world, &thief.request(&invited)), "invitation used by another key");
}

#[test]
fn q4_a_name_has_one_key_and_a_key_one_name_for_ever() {
    let mut world = World::new();
    let bob = world.person("bob");
    let invited = world.invite("bob");
    let thief = Person::new("bob", &mut world.rng);
    let taken = world.enroll(&thief.request(&invited));
    assert_eq!(taken.answer, Err(EnrollRefusal::NameTaken));

    let invited = world.invite("robert");
    let mut renamed = bob.clone();
    renamed.identity.name = name("robert");
    let taken = world.enroll(&renamed.request(&invited));
    assert_eq!(taken.answer, Err(EnrollRefusal::KeyTaken));
    assert_eq!(entries(&world).len(), 1);
}

#[test]
fn a_name_that_comes_back_with_its_key_gets_a_further_certificate() {
    let mut world = World::new();
    let bob = world.person("bob");
    world.wait(INVITATION_LIFE * 30);
    let invited = world.invite("bob");
    let enrolled = world.enroll(&bob.request(&invited)).answer.unwrap();
    certificate(&world, &bob, &enrolled);
    assert_eq!((enrolled.index, entries(&world).len()), (1, 2), "logged as well");
    let asked = Request::Certificate(bob.identity.fingerprint);
    assert_eq!(world.ask(&bob, &asked).answer, Ok(Answer::Certificate(enrolled.certificate)));
}

#[test]
fn a_bad_request_for_a_certificate_does_not_use_the_invitation_up() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let carol = Person::new("carol", &mut world.rng);
    let invited = world.invite("bob");
    let right = bob.request(&invited);
    let mut flipped = right.csr.0.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let trailing = [&right.csr.0[..], &[0]].concat();
    for csr in [flipped, trailing, Vec::new(), vec![0x30; 1_000_000], carol.request(&invited).csr.0]
    {
        let outcome = world.enroll(&EnrollRequest { csr: Blob(csr), ..right.clone() });
        assert_eq!(outcome.answer, Err(EnrollRefusal::Csr));
        assert!(matches!(outcome.reason, EnrollReason::Csr(_)));
    }
    world.enroll(&right).answer.unwrap();
}

#[test]
fn the_secret_is_kept_nowhere() {
    let mut world = World::new();
    let invited = world.invite("bob");
    let record = world.relay.store().get(Table::Invitation, &invited.id).unwrap().unwrap();
    assert!(!record.windows(16).any(|window| window == invited.secret));
    assert_eq!(format!("{invited:?}"), "Invited(..)");
}

#[test]
fn a_crash_before_the_flush_leaves_no_certificate_and_no_used_invitation() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    world.relay.enroll(&bob.request(&invited), world.now, &mut world.rng).answer.unwrap();
    let mut world = world.crash();
    assert_eq!(entries(&world), []);
    let other = Person::new("bob", &mut world.rng);
    world.enroll(&other.request(&invited)).answer.unwrap();
}

#[test]
fn a_store_that_fails_at_any_write_leaves_nothing_half_done() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    // Transparency entry, its head, name, member, invitation, flush.
    for write in 0..6 {
        world.faults.fail_write(write, StoreError::Full);
        let request = bob.request(&invited);
        let outcome = world.relay.enroll(&request, world.now, &mut world.rng);
        if write < 5 {
            assert_eq!(outcome.answer, Err(EnrollRefusal::Internal));
            assert!(matches!(outcome.reason, EnrollReason::Store(StoreError::Full)));
        }
        assert!(matches!(world.relay.flush(), Err(StoreError::Full)));
        assert_eq!(entries(&world), []);
    }
    let enrolled = world.enroll(&bob.request(&invited)).answer.unwrap();
    assert_eq!((enrolled.index, world.head().size), (0, 1));
}

#[test]
fn a_ca_past_its_time_issues_nothing_and_says_so_to_the_operator() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    world.now = UnixMillis(START.0 + 1_000 * 366 * 24 * 3_600_000);
    let invited = world.invite("bob");
    let outcome = world.enroll(&bob.request(&invited));
    assert_eq!(outcome.answer, Err(EnrollRefusal::Internal));
    assert!(matches!(outcome.reason, EnrollReason::Authority(_)), "{}", outcome.reason);
}
