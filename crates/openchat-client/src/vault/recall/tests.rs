use crate::vault::contents::tests::{ALICE, BOB, GROUP, Talk, edit, id, named, react, text};
use openchat_engine::Body;
use openchat_wire::{MessageId, UnixMillis};
use std::time::Duration;

impl Talk {
    fn recalled(&self, id: MessageId) -> Option<Body> {
        self.vault.recall(&GROUP, id).unwrap().map(|(_, body)| body)
    }
}

#[test]
fn m21_a_message_is_recalled_as_it_stands_and_not_once_it_is_gone() {
    let mut talk = Talk::new();
    let said = talk.text(ALICE, "umbrella");
    assert_eq!(talk.vault.recall(&GROUP, said).unwrap(), Some((UnixMillis(1), text("umbrella"))));
    let first = talk.says(ALICE, edit(said, "parasol"));
    let second = talk.says(ALICE, edit(said, "awning"));
    assert_eq!(talk.recalled(said), Some(text("awning")), "which is not what was said");
    assert_eq!(talk.recalled(first), None, "the next one has replaced it");
    assert_eq!(talk.recalled(second), Some(edit(said, "awning")));
    let gone = Body::Delete { of: said };
    let deletion = talk.says(ALICE, gone.clone());
    assert_eq!([said, first, second].map(|id| talk.recalled(id)), [Some(gone.clone()), None, None]);
    assert_eq!(talk.recalled(deletion), Some(gone));
    let other = talk.text(BOB, "mine");
    assert_eq!(talk.recalled(other), None, "nobody says what another one said");
    assert_eq!(talk.recalled(id(777)), None);
}

#[test]
fn m21_a_message_whose_time_is_over_is_not_recalled_even_before_it_is_deleted() {
    let mut talk = Talk::new();
    talk.says(ALICE, Body::Timer(Some(Duration::from_hours(1))));
    let said = talk.text(ALICE, "for an hour");
    assert_eq!(talk.recalled(said), Some(text("for an hour")));
    let over = "UPDATE messages SET due = zeroblob(8) WHERE due IS NOT NULL";
    talk.vault.database.execute(over, []).unwrap();
    assert_eq!(talk.recalled(said), None);
}

#[test]
fn m21_a_topic_a_timer_or_a_sign_is_recalled_until_another_one_replaces_it() {
    let mut talk = Talk::new();
    let hour = Body::Timer(Some(Duration::from_hours(1)));
    let topic = talk.says(ALICE, Body::Topic("plans".to_owned()));
    let timer = talk.says(ALICE, hour.clone());
    let to = named(BOB, talk.text(BOB, "hello"));
    let on = talk.says(ALICE, react(to, "👍", true));
    let other = talk.says(ALICE, react(to, "🎉", true));
    assert_eq!(talk.recalled(topic), Some(Body::Topic("plans".to_owned())));
    assert_eq!(talk.recalled(timer), Some(hour));
    assert_eq!(talk.recalled(on), Some(react(to, "👍", true)));
    talk.says(BOB, Body::Topic("lunch".to_owned()));
    talk.says(BOB, Body::Timer(None));
    let off = talk.says(ALICE, react(to, "👍", false));
    assert_eq!([topic, timer, on].map(|id| talk.recalled(id)), [None, None, None]);
    assert_eq!(talk.recalled(off), Some(react(to, "👍", false)));
    assert_eq!(talk.recalled(other), Some(react(to, "🎉", true)), "another sign");
    let again = talk.says(ALICE, react(to, "👍", true));
    assert_eq!([on, off].map(|id| talk.recalled(id)), [None, None]);
    assert_eq!(talk.recalled(again), Some(react(to, "👍", true)));
}
