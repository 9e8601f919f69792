//! People whose keys were revoked.

use crate::{
    forge::{Forger, current_head},
    vault::Vault,
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{Event, Key};
use openchat_group::{Author, Group, Proposal, StateKey};
use openchat_roster::{LogEntry, Reason, Revocation};
use openchat_wire::{GroupId, Seq, UnixMillis};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

/// `Kind::State` as it is stored: numbers are for ever.
const STATE: u8 = 14;

/// A group as somebody's vault and the log have it.
fn stored(world: &World, log: GroupId, who: Who) -> Group {
    let Vault { records, .. } = &world.person(who).vault;
    let is_state = |key: &Key| key.kind == STATE && key.group == Some(log);
    let state = records.iter().filter(|(key, _)| is_state(key));
    let state = state.map(|(key, value)| (StateKey::from_bytes(&key.sub).unwrap(), value.clone()));
    let entries = world.server.entries(&log, Seq(0));
    let commit = |(_, entry): &(Seq, Vec<u8>)| match LogEntry::decode(entry) {
        Ok(LogEntry::Commit(commit)) => Some(commit),
        _ => None,
    };
    let commits: Vec<_> = entries.iter().filter_map(commit).collect();
    let me = world.person(who).identity.fingerprint;
    Group::restore(log, me, commits.iter(), None, state).unwrap()
}

/// Somebody's device has made this commit and not sent it yet.
fn intends(world: &mut World, who: Who, target: &str, proof: Revocation) {
    let log = world.summary(who, target).unwrap().group.unwrap();
    world.kill(who);
    let mut group = stored(world, log, who);
    let (person, head) = (Forger::person(world, who), current_head(world, who));
    let author = Author { key: &person.key, name: &person.name, head };
    let bob = world.person(BOB).identity.fingerprint;
    let removes = vec![(bob, Reason::Revoked(proof))];
    let proposal = Proposal { removes, ..Proposal::default() };
    group.propose(&author, None, proposal, &mut world.rng).unwrap();
    for (part, value) in group.take_changes() {
        let key = Key { kind: STATE, group: Some(log), sub: part.to_bytes() };
        world.person_mut(who).vault.records.insert(key, value.unwrap());
    }
}

#[test]
fn a_revoked_peer_of_two_is_not_brought_back_because_somebody_writes() {
    let mut world = World::new(295);
    world.online_people(&["alice", "bob"]);
    world.tell(ALICE, "@bob", "hello");
    world.run(MINUTE);
    let mut world = world.restart_relay();
    let now = UnixMillis(world.now);
    let bob = world.person(BOB).identity.clone();
    let (server, proof) = world.server.revoke(&bob, now);
    world.server = server;
    intends(&mut world, ALICE, "@bob", proof);
    world.wake(ALICE);
    world.run(MINUTE);
    assert_eq!(world.members(ALICE, "@bob"), ["alice"]);
    world.forget_events();
    for _ in 0..2 {
        let id = world.tell(ALICE, "@bob", "are you still there?");
        world.run(MINUTE);
        assert_eq!(world.members(ALICE, "@bob"), ["alice"]);
        let is_told = |event: &Event| matches!(event, Event::Failed { id: Some(it), code: "denied", .. } if *it == id);
        assert!(world.person(ALICE).events.iter().any(is_told));
        assert_eq!(world.queued(ALICE), 0);
        world.kill(ALICE);
        world.wake(ALICE);
        world.run(SECOND);
    }
    assert_eq!(world.alarms(ALICE), []);
    // Nor does he come back by himself.
    world.connect(BOB);
    world.tell(BOB, "@alice", "let me in");
    world.run(MINUTE);
    assert_eq!(world.members(ALICE, "@bob"), ["alice"]);
}
