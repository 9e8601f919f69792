//! People whose keys were revoked.

use crate::world::{MINUTE, SECOND, Who, World};
use openchat_engine::Event;

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

#[test]
fn a_revoked_peer_of_two_is_not_brought_back_because_somebody_writes() {
    let mut world = World::new(295);
    world.online_people(&["alice", "bob"]);
    world.tell(ALICE, "@bob", "hello");
    world.run(MINUTE);
    assert_eq!(world.person(BOB).texts(), ["hello"]);
    let former = world.summary(ALICE, "@bob").unwrap().group.unwrap();
    world.revoke(BOB);
    world.run(MINUTE);
    let members = |world: &World| {
        let engine = world.person(ALICE).engine.as_ref().unwrap();
        let summary = engine.conversations().find(|it| it.group == Some(former)).unwrap();
        summary.members.into_iter().map(|member| member.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(members(&world), ["alice"]);
    for _ in 0..2 {
        world.forget_events();
        let id = world.tell(ALICE, "@bob", "are you still there?");
        world.run(MINUTE);
        assert_eq!(members(&world), ["alice"]);
        let is_told = |event: &Event| matches!(event, Event::Failed { id: Some(it), code: "denied", .. } if *it == id);
        assert!(world.person(ALICE).events.iter().any(is_told));
        assert_eq!(world.queued(ALICE), 0);
        world.kill(ALICE);
        world.wake(ALICE);
        world.run(SECOND);
    }
    assert_eq!(world.alarms(ALICE), []);
    // Nor does he come back by himself, if the server lets him.
    world.person_mut(BOB).is_shut_out = false;
    world.connect(BOB);
    world.tell(BOB, "@alice", "let me in");
    world.run(MINUTE);
    assert_eq!(members(&world), ["alice"]);
}
