//! Further certificates: for the name and the key that ask, logged, and not as many as somebody likes.

use crate::{
    people::Person,
    support::{START, World, is_invalid, name},
};
use core::time::Duration;
use openchat_pki::{Entry, MemberCertificate, certification_request, check_issued};
use openchat_relay::{Identity, RenewalFault, RenewalOutcome, Store as _, StoreError};
use openchat_wire::{
    UnixMillis,
    limits::{CERTIFICATE_BURST, CERTIFICATE_INTERVAL},
    relay::{Answer, Refusal, Request},
};

const DAY: Duration = Duration::from_hours(24);

fn entries(world: &World) -> Vec<Entry> {
    let recorded = world.relay.store().recorded(0, usize::MAX).unwrap();
    recorded.iter().map(|recorded| Entry::decode(&recorded.entry).unwrap()).collect()
}

fn csr(person: &Person, asked: &str) -> Vec<u8> {
    certification_request(&person.key, &name(asked)).unwrap()
}

fn renew_with(world: &mut World, who: &Identity, csr: &[u8]) -> RenewalOutcome {
    let outcome = world.relay.renew(who, csr, world.now, &mut world.rng);
    world.relay.flush().unwrap();
    outcome
}

fn renew(world: &mut World, who: &Person) -> RenewalOutcome {
    renew_with(world, &who.identity, &csr(who, who.identity.name.as_str()))
}

/// The certificate, checked as its device does.
fn renewed(world: &mut World, who: &Person) -> MemberCertificate {
    let Ok(Answer::Certificate(der)) = renew(world, who).answer else { panic!("not renewed") };
    let ca = world.relay.ca().ca();
    check_issued(ca, &der.0, &who.identity.name, who.key.public(), world.now).unwrap()
}

/// Why not. Nothing may have changed by it.
fn refused(world: &mut World, who: &Identity, csr: &[u8]) -> (Refusal, RenewalFault) {
    let before = world.relay.store().clone();
    let RenewalOutcome { answer, decided } = renew_with(world, who, csr);
    assert!(*world.relay.store() == before, "a refused renewal changed something");
    (answer.unwrap_err(), decided.unwrap_err())
}

#[test]
fn q5_a_renewal_keeps_name_and_key_and_is_logged_with_the_certificate() {
    let mut world = World::new();
    let bob = world.person("bob");
    world.wait(60 * DAY);
    let certificate = renewed(&mut world, &bob);
    assert_eq!(Identity::from(&certificate), bob.identity);
    assert_eq!(certificate.not_after(), world.now.after(90 * DAY));
    assert_eq!(entries(&world)[1..], [Entry::issue(&certificate)]);
    let mut world = world.crash();
    let asked = Request::Certificate(bob.identity.fingerprint);
    let Ok(Answer::Certificate(der)) = world.ask(&bob, &asked).answer else { panic!() };
    assert_eq!(
        world.relay.ca().ca().verify_member(&der.0).unwrap(),
        certificate,
        "it is the newest"
    );
}

#[test]
fn q5_nobody_gets_a_certificate_for_another_key() {
    let mut world = World::new();
    let (bob, mallory) = (world.person("bob"), world.person("mallory"));
    let fresh = Person::new("bob", &mut world.rng);
    for other in [&mallory, &fresh] {
        let (refusal, fault) = refused(&mut world, &bob.identity, &csr(other, "bob"));
        is_invalid(&refusal, "Q5");
        assert!(matches!(fault, RenewalFault::OtherKey), "{fault}");
    }
}

#[test]
fn q5_nobody_gets_a_certificate_for_another_name() {
    let mut world = World::new();
    let (bob, _) = (world.person("bob"), world.person("alice"));
    for other in ["alice", "nobody"] {
        let (refusal, fault) = refused(&mut world, &bob.identity, &csr(&bob, other));
        is_invalid(&refusal, "certification request: the request asks for another name");
        assert!(matches!(fault, RenewalFault::Csr(_)), "{fault}");
        // Not even by a session that goes by it.
        let identity = Identity { name: name(other), ..bob.identity.clone() };
        let (refusal, fault) = refused(&mut world, &identity, &csr(&bob, other));
        is_invalid(&refusal, "Q5");
        assert!(matches!(fault, RenewalFault::OtherName), "{fault}");
    }
    let stranger = Person::new("stranger", &mut world.rng);
    let (_, fault) = refused(&mut world, &stranger.identity, &csr(&stranger, "stranger"));
    assert!(matches!(fault, RenewalFault::OtherName), "{fault}");
}

#[test]
fn q5_a_revoked_key_gets_no_further_certificate() {
    let mut world = World::new();
    let bob = world.person("bob");
    world.relay.revoke(&name("bob"), world.now).unwrap().unwrap();
    // In the same batch, when its session has not heard of it yet.
    let outcome = world.relay.renew(&bob.identity, &csr(&bob, "bob"), world.now, &mut world.rng);
    is_invalid(&outcome.answer.unwrap_err(), "Q5");
    world.relay.flush().unwrap();
    let mut world = world.crash();
    let (_, fault) = refused(&mut world, &bob.identity, &csr(&bob, "bob"));
    assert!(matches!(fault, RenewalFault::Revoked), "{fault}");

    let invited =
        world.relay.reset(&name("bob"), world.now, &mut world.rng).unwrap().unwrap().invited;
    let new = Person::new("bob", &mut world.rng);
    world.enroll(&new.request(&invited)).answer.unwrap();
    let (_, fault) = refused(&mut world, &bob.identity, &csr(&bob, "bob"));
    assert!(matches!(fault, RenewalFault::Revoked), "{fault}");
    renewed(&mut world, &new);
}

#[test]
fn a_request_that_is_none_costs_no_renewal() {
    let mut world = World::new();
    let bob = world.person("bob");
    let right = csr(&bob, "bob");
    let mut flipped = right.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let trailing = [&right[..], &[0]].concat();
    for bad in [flipped, trailing, Vec::new(), vec![0x30; 1_000_000]] {
        for _ in 0..=CERTIFICATE_BURST {
            let (refusal, fault) = refused(&mut world, &bob.identity, &bad);
            is_invalid(&refusal, "certification request");
            assert!(matches!(fault, RenewalFault::Csr(_)), "{fault}");
        }
    }
    renewed(&mut world, &bob);
}

#[test]
fn a_device_that_loops_does_not_fill_the_log() {
    let mut world = World::new();
    let (bob, carol) = (world.person("bob"), world.person("carol"));
    let before = entries(&world).len();
    for _ in 0..CERTIFICATE_BURST {
        renewed(&mut world, &bob);
    }
    let (refusal, _) = refused(&mut world, &bob.identity, &csr(&bob, "bob"));
    let Refusal::Paced { retry_ms } = refusal else { panic!("{refusal:?}") };
    assert_eq!(u128::from(retry_ms), CERTIFICATE_INTERVAL.as_millis());
    renewed(&mut world, &carol);

    // Every ten minutes, for a month.
    for _ in 0..30 * 24 * 6 {
        world.wait(Duration::from_mins(10));
        drop(renew(&mut world, &bob).answer);
    }
    let logged = entries(&world).len() - before;
    assert_eq!(logged, usize::try_from(CERTIFICATE_BURST).unwrap() + 1 + 30);
}

#[test]
fn a_certificate_is_renewed_up_to_its_last_moment_and_after_it() {
    let mut world = World::new();
    let bob = world.person("bob");
    let end = START.after(90 * DAY);
    for now in [end.0 - 1_000, end.0, end.0 + 1_000] {
        world.now = UnixMillis(now);
        let certificate = renewed(&mut world, &bob);
        assert_eq!(certificate.not_after().0 / 1_000, (now + 90 * 86_400_000) / 1_000);
    }
}

#[test]
fn a_clock_that_was_a_year_off_keeps_nobody_from_a_good_certificate() {
    let mut world = World::new();
    let bob = world.person("bob");
    let year = 365 * DAY;
    world.wait(year);
    let ahead = renewed(&mut world, &bob);
    world.now = START;
    assert!(ahead.valid_at(world.now).is_err());
    for _ in 1..CERTIFICATE_BURST {
        renewed(&mut world, &bob);
    }

    // Before the CA's own time there is none to be had, and that costs nothing.
    let carol = world.person("carol");
    world.now = UnixMillis(START.0 - 365 * 86_400_000);
    for _ in 0..=CERTIFICATE_BURST {
        let (refusal, fault) = refused(&mut world, &carol.identity, &csr(&carol, "carol"));
        assert_eq!(refusal, Refusal::Internal);
        assert!(matches!(fault, RenewalFault::Authority(_)), "{fault}");
    }
    world.now = START;
    renewed(&mut world, &carol);
}

#[test]
fn a_renewal_that_could_not_be_stored_never_was() {
    let mut world = World::new();
    let bob = world.person("bob");
    let before = entries(&world);
    // Transparency entry, its head, name, member, flush.
    for write in 0..5 {
        world.faults.fail_write(write, StoreError::Full);
        let outcome =
            world.relay.renew(&bob.identity, &csr(&bob, "bob"), world.now, &mut world.rng);
        assert_eq!(outcome.answer.is_err(), write < 4);
        assert!(matches!(world.relay.flush(), Err(StoreError::Full)));
        assert_eq!(entries(&world), before);
    }
    renewed(&mut world, &bob);
}

#[test]
fn nothing_is_renewed_without_chance() {
    let mut world = World::new();
    let bob = world.person("bob");
    let asked = Request::Renew(csr(&bob, "bob").into());
    is_invalid(&world.refusal_of(&bob, &asked), "no certificate is renewed here");
}
