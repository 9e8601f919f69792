//! People talk, and nothing goes wrong.

use crate::world::{MINUTE, SECOND, World};
use openchat_engine::Event;

#[test]
fn one_person_creates_the_group_and_three_talk() {
    let (mut world, all) = World::with(1, &["alice", "bob", "carol"]);
    let mut said = Vec::new();
    for round in 0..20 {
        for who in &all {
            let text = format!("{} {round}", world.person(*who).identity.name);
            said.push((*who, world.say(*who, &text), text));
        }
        world.run(7);
    }
    world.run(5 * SECOND);

    world.assert_no_alarms();
    world.assert_same(&all);
    let heard = world.person(all[0]).heard();
    assert_eq!(heard.len(), said.len(), "each message once");
    for (who, id, text) in said {
        let author = world.person(who);
        let seq = author.acks[&id];
        let (_, sender, told) = heard.iter().find(|(at, ..)| *at == seq).unwrap();
        assert_eq!((sender.as_str(), &told), (author.identity.name.as_str(), &&text));
        assert_eq!(world.queued(who), 0);
    }
}

#[test]
fn a_newcomer_gets_in_when_nobody_is_online_and_reads_what_comes_after() {
    let (mut world, all) = World::with(2, &["alice", "bob"]);
    world.say(all[0], "before carol came");
    world.run(SECOND);
    for who in &all {
        world.kill(*who);
    }

    let carol = world.enroll("carol");
    world.start(carol);
    assert!(world.run_until(MINUTE, |world| world.is_ready(carol)));
    world.say(carol, "is anybody here?");
    world.run(SECOND);
    for who in &all {
        world.start(*who);
    }
    world.run(SECOND);
    world.say(all[1], "now we are");
    world.run(SECOND);

    assert_eq!(world.person(carol).texts(), ["is anybody here?", "now we are"]);
    assert_eq!(world.person(all[0]).texts().len(), 3);
    world.assert_same(&all);
    world.assert_no_alarms();
}

#[test]
fn a_text_beyond_the_limit_fails_and_nothing_is_sent() {
    let (mut world, all) = World::with(3, &["alice", "bob"]);
    let sent = world.sealed.len();
    let limit = openchat_wire::limits::MAX_TEXT;
    let id = world.say(all[0], &"x".repeat(limit + 1));
    world.run(SECOND);
    let failed = |event: &Event| matches!(event, Event::Failed { id: Some(it), code: "too-long", .. } if *it == id);
    assert!(world.person(all[0]).events.iter().any(failed));
    assert_eq!(world.sealed.len(), sent);
    assert_eq!(world.queued(all[0]), 0);

    let texts = ["x".repeat(limit), "y".to_owned(), "שלום 你好 🙂".to_owned(), String::new()];
    for text in &texts {
        world.say(all[0], text);
    }
    world.run(SECOND);
    assert_eq!(world.person(all[1]).texts(), texts);
    world.assert_no_alarms();
}
