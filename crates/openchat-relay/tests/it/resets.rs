//! Keys that are revoked, and names that get another key.

use crate::{
    people::Person,
    support::{World, is_invalid, name},
};
use openchat_pki::Entry;
use openchat_relay::{EnrollReason, Reset, Revoking, Store as _};
use openchat_wire::{
    Blob,
    enroll::EnrollRefusal,
    relay::{Answer, Refusal, Request},
};

fn entries(world: &World) -> Vec<Entry> {
    let recorded = world.relay.store().recorded(0, usize::MAX).unwrap();
    recorded.iter().map(|recorded| Entry::decode(&recorded.entry).unwrap()).collect()
}

fn revoke(world: &mut World, who: &str) -> Option<Revoking> {
    let revoking = world.relay.revoke(&name(who), world.now).unwrap();
    world.relay.flush().unwrap();
    revoking
}

fn reset(world: &mut World, who: &str) -> Option<Reset> {
    let reset = world.relay.reset(&name(who), world.now, &mut world.rng).unwrap();
    world.relay.flush().unwrap();
    reset
}

#[test]
fn a_reset_name_has_another_key_and_the_old_one_is_nobodys() {
    let mut world = World::new();
    let (alice, old) = (world.person("alice"), world.person("bob"));
    let Reset { revoking, invited } = reset(&mut world, "bob").unwrap();
    assert_eq!(revoking, Some(Revoking { key: old.identity.fingerprint, index: 2 }));

    let new = Person::new("bob", &mut world.rng);
    let enrolled = world.enroll(&new.request(&invited)).answer.unwrap();
    let asked = Request::CertificateOf(name("bob"));
    assert_eq!(world.ask(&alice, &asked).answer, Ok(Answer::Certificate(enrolled.certificate)));
    let logged = entries(&world);
    let (bob, key) = (name("bob"), old.identity.fingerprint);
    assert_eq!(logged[2], Entry::Revoke { name: bob, fingerprint: key });
    let Entry::Issue { name: named, fingerprint, .. } = &logged[3] else { panic!() };
    assert_eq!((named, *fingerprint), (&name("bob"), new.identity.fingerprint));
}

#[test]
fn a_revoked_person_does_not_come_back_by_an_invitation_that_it_kept() {
    let mut world = World::new();
    let bob = world.person("bob");
    let kept = world.invite("bob");
    let others = world.invite("carol");
    revoke(&mut world, "bob").unwrap();
    let other_key = Person::new("bob", &mut world.rng);
    for person in [&bob, &other_key] {
        let refused = world.enroll(&person.request(&kept));
        assert!(matches!(refused.reason, EnrollReason::Unknown), "{}", refused.reason);
    }
    let carol = Person::new("carol", &mut world.rng);
    world.enroll(&carol.request(&others)).answer.unwrap();
}

#[test]
fn a_revoked_key_is_given_no_certificate_again_by_the_invitation_that_it_used() {
    let mut world = World::new();
    let bob = Person::new("bob", &mut world.rng);
    let invited = world.invite("bob");
    world.enroll(&bob.request(&invited)).answer.unwrap();
    revoke(&mut world, "bob").unwrap();
    let refused = world.enroll(&bob.request(&invited));
    assert_eq!(refused.answer, Err(EnrollRefusal::Revoked));
    assert!(matches!(refused.reason, EnrollReason::Revoked), "{}", refused.reason);
}

#[test]
fn without_a_reset_a_revoked_name_gets_no_other_key() {
    let mut world = World::new();
    world.person("bob");
    revoke(&mut world, "bob").unwrap();
    let invited = world.invite("bob");
    let other = Person::new("bob", &mut world.rng);
    let refused = world.enroll(&other.request(&invited));
    assert!(matches!(refused.reason, EnrollReason::NameTaken), "{}", refused.reason);

    let Reset { revoking, invited } = reset(&mut world, "bob").unwrap();
    assert_eq!(revoking, None, "it was revoked before");
    world.enroll(&other.request(&invited)).answer.unwrap();
}

#[test]
fn the_old_key_does_not_take_the_reset_name_again() {
    let mut world = World::new();
    let old = world.person("bob");
    let invited = reset(&mut world, "bob").unwrap().invited;
    let refused = world.enroll(&old.request(&invited));
    assert!(matches!(refused.reason, EnrollReason::Revoked), "{}", refused.reason);
    let new = Person::new("bob", &mut world.rng);
    world.enroll(&new.request(&invited)).answer.unwrap();
}

#[test]
fn nobody_is_reset_who_is_not_there() {
    let mut world = World::new();
    assert!(reset(&mut world, "bob").is_none());
    world.person("bob");
    assert!(reset(&mut world, "bob").is_some());
    assert!(reset(&mut world, "bob").is_none(), "it waits for a key already");
    assert_eq!(entries(&world).len(), 2);
}

#[test]
fn a_reset_stands_after_a_crash_or_not_at_all() {
    let mut world = World::new();
    let alice = world.person("alice");
    world.person("bob");
    world.relay.reset(&name("bob"), world.now, &mut world.rng).unwrap().unwrap();
    let mut world = world.crash();
    assert_eq!(entries(&world).len(), 2, "nothing was flushed");
    let asked = Request::CertificateOf(name("bob"));
    assert!(world.ask(&alice, &asked).answer.is_ok());
    reset(&mut world, "bob").unwrap();
    let mut world = world.crash();
    assert_eq!(world.ask(&alice, &asked).answer, Err(Refusal::NotFound));
}

#[test]
fn r2_what_a_revoked_key_would_still_append_is_refused() {
    let mut world = World::new();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let log = world.open_group(&alice, "general").log();
    let mut member = world.join(&bob, log);
    let before = member.message("before");
    world.place(&bob, log, &before);
    let (message, leave) = (member.message("after"), member.leave());
    let (member, update) = world.prepare_update(member);
    // As bytes that its session had asked for when it was cut.
    revoke(&mut world, "bob").unwrap();
    for entry in [&message, &leave, &update, &before] {
        is_invalid(&world.refusal(&bob, member.log(), entry), "R2: the key was revoked");
    }
    let beat = Request::Heartbeat { log, beat: Blob(vec![1; 200]) };
    assert!(world.ask(&bob, &beat).answer.is_err());
}
