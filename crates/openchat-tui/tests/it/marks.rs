//! What is said about messages.

use crate::kit::{Kit, id, message, named as of};
use openchat_client::{
    Pick, Say,
    engine::{Delivery, MessageRef},
    wire::Seq,
    wish::What,
};
use openchat_tui::{Body, Content, Effect, Input, Message, News, Quote};
use std::time::Duration;

fn kit() -> Kit {
    let mut kit = Kit::new((100, 30));
    kit.say("#ops", message(1, "bob", "ready?"));
    kit.say("#ops", message(2, "alice", "yes"));
    kit
}

fn edited(of: MessageRef, seq: u64, text: &str) -> News {
    News::Edited { target: "#ops".to_owned(), of, seq: Seq(seq), text: text.to_owned() }
}

fn deleted(of: MessageRef, seq: u64) -> News {
    News::Deleted { target: "#ops".to_owned(), of, seq: Seq(seq) }
}

fn reacted(to: MessageRef, by: &str, on: bool) -> News {
    let (target, word, by) = ("#ops".to_owned(), "+1".to_owned(), by.to_owned());
    News::Reacted { target, to, word, by, on }
}

fn first(kit: &Kit) -> Message {
    kit.open().named(&of("bob", 1)).unwrap().1.clone()
}

#[test]
fn only_its_author_changes_a_message_and_only_behind_it() {
    let mut kit = kit();
    kit.news(edited(of("mallory", 1), 3, "no"));
    kit.news(deleted(of("mallory", 1), 3));
    kit.news(edited(of("bob", 1), 1, "before it was said"));
    assert_eq!((first(&kit).text(), first(&kit).edited), ("ready?", false));
    kit.news(edited(of("bob", 1), 3, "ready now?"));
    assert_eq!((first(&kit).text(), first(&kit).edited), ("ready now?", true));
    assert!(kit.screen().contains("ready now? edited"), "{}", kit.screen());
    kit.news(reacted(of("bob", 1), "alice", true));
    kit.news(deleted(of("bob", 1), 4));
    kit.news(edited(of("bob", 1), 5, "back"));
    kit.news(reacted(of("bob", 1), "alice", true));
    let gone = first(&kit);
    assert_eq!((gone.body, gone.edited, gone.reactions), (Body::Deleted, false, Vec::new()));
}

#[test]
fn reactions_are_counted_once_each_and_taken_back() {
    let mut kit = kit();
    for by in ["alice", "carol", "alice"] {
        kit.news(reacted(of("bob", 1), by, true));
    }
    kit.news(reacted(of("mallory", 1), "carol", true));
    assert_eq!(first(&kit).reactions[0].by, ["carol", "alice"]);
    let again = kit.enter("/react +1");
    assert!(matches!(again[..], [Effect::React { on: false, .. }]), "{again:?}");
    for by in ["alice", "carol"] {
        kit.news(reacted(of("bob", 1), by, false));
    }
    assert!(first(&kit).reactions.is_empty());
}

#[test]
fn an_answer_quotes_what_is_here_and_what_comes_later() {
    let mut kit = Kit::new((100, 30));
    let answer = |number, to| {
        let quote = Quote { to: Some(to), sender: String::new(), text: "not here".to_owned() };
        Message { reply: Some(Box::new(quote)), ..message(number, "carol", "aye") }
    };
    let reply = |kit: &Kit, number| kit.open().named(&of("carol", number)).unwrap().1.reply.clone();
    kit.say("#ops", answer(5, of("bob", 1)));
    kit.say("#ops", answer(6, of("mallory", 1)));
    assert!(kit.screen().contains("re: not here"), "{}", kit.screen());
    kit.past("#ops", vec![message(1, "bob", "ready?")]);
    let quote = reply(&kit, 5).unwrap();
    assert_eq!((quote.sender.as_str(), quote.text.as_str()), ("bob", "ready?"));
    assert_eq!(reply(&kit, 6).unwrap().text, "not here", "another one of the same number");
    kit.say("#ops", answer(7, of("bob", 1)));
    assert_eq!(reply(&kit, 7).unwrap().sender, "bob");
}

#[test]
fn an_own_answer_quotes_while_it_is_queued() {
    let mut kit = kit();
    let effects = kit.enter("/reply soon");
    let Some(Effect::Send { ticket, content: Content::Reply { .. }, .. }) = effects.first() else {
        panic!("{effects:?}")
    };
    kit.input(Input::Sending { ticket: *ticket, id: id(9) });
    assert!(kit.screen().contains("re: bob \"ready?\""), "{}", kit.screen());
}

#[test]
fn topic_and_timer_stand_in_the_title() {
    let mut kit = kit();
    let target = || "#ops".to_owned();
    kit.news(News::Topic { target: target(), topic: Some("Deploys".to_owned()) });
    kit.news(News::Timer { target: target(), timer: Some(Duration::from_hours(48)) });
    assert!(kit.screen().contains("kept 2d  Deploys"), "{}", kit.screen());
    kit.news(News::Topic { target: target(), topic: None });
    assert!(!kit.screen().contains("Deploys"));
}

#[test]
fn a_file_comes_and_the_chosen_one_is_saved() {
    let mut kit = kit();
    let (name, size) = ("dump.tar".to_owned(), 100);
    let body = Body::File { name, size, here: 0, wrong: false };
    kit.say("#ops", Message { body, ..message(3, "bob", "") });
    let progress =
        |here, wrong| News::Progress { target: "#ops".to_owned(), file: of("bob", 3), here, wrong };
    kit.news(progress(40, false));
    assert!(kit.screen().contains("[file dump.tar, 40 of 100 B]"), "{}", kit.screen());
    kit.news(progress(100, false));
    assert!(kit.screen().contains("[file dump.tar, 100 B]"), "{}", kit.screen());
    let file = |effects: Vec<Effect>| match effects.first() {
        Some(Effect::Wish { what: What::Save { file, .. }, .. }) => *file,
        other => panic!("{other:?}"),
    };
    assert_eq!(file(kit.enter("/save")), Pick::Last);
    kit.press("ctrl+up");
    assert_eq!(file(kit.enter("/save")), Pick::Of(of("bob", 3)));
    kit.news(progress(0, true));
    assert!(kit.screen().contains("not what was announced"), "{}", kit.screen());
}

#[test]
fn what_is_only_said_takes_no_order_from_another_one() {
    let mut kit = kit();
    kit.enter("/leave");
    let effects = kit.enter("/file a.txt");
    let is_file = matches!(&effects[..], [Effect::Wish { what: What::Say(Say::File(_)), .. }]);
    assert!(is_file, "{effects:?}");
    let order = match &kit.enter("/names")[..] {
        [Effect::Wish { first, .. }] => *first,
        other => panic!("{other:?}"),
    };
    kit.news(News::Done { order: order - 1, target: "#ops".to_owned() });
    assert!(kit.flash().contains("you leave"), "{}", kit.flash());
}

/// Somebody sends a message under the id of another one's. Ids are their authors' to choose.
fn with_a_twin(of: u64) -> Kit {
    let mut kit = kit();
    let twin = Message { id: id(of), ..message(3, "mallory", "I am somebody else") };
    kit.say("#ops", twin);
    kit
}

fn text_of(kit: &Kit, author: &str, number: u64) -> String {
    kit.open().named(&of(author, number)).unwrap().1.text().to_owned()
}

#[test]
fn a_message_under_an_id_that_is_taken_stands_beside_the_other_one() {
    let mut kit = with_a_twin(1);
    let screen = kit.screen();
    assert!(screen.contains("ready?") && screen.contains("I am somebody else"), "{screen}");
    // Whoever was first: read again, both are there once.
    let again = vec![
        Message { id: id(1), ..message(0, "mallory", "I am somebody else") },
        message(1, "bob", "ready?"),
    ];
    kit.past("#ops", again);
    assert_eq!(kit.screen().matches("somebody else").count(), 1);
    assert_eq!(kit.screen().matches("ready?").count(), 1);
}

#[test]
fn what_is_said_about_a_message_does_not_touch_its_twin() {
    let mut kit = with_a_twin(1);
    kit.news(edited(of("mallory", 1), 4, "I am mallory"));
    kit.news(reacted(of("mallory", 1), "carol", true));
    assert_eq!((first(&kit).text(), first(&kit).reactions.len()), ("ready?", 0));
    kit.news(edited(of("bob", 1), 5, "ready now?"));
    assert_eq!(text_of(&kit, "mallory", 1), "I am mallory");
    kit.news(deleted(of("mallory", 1), 6));
    assert_eq!(
        (first(&kit).text(), text_of(&kit, "mallory", 1).as_str()),
        ("ready now?", "(deleted)")
    );
    kit.news(reacted(of("bob", 1), "carol", true));
    assert_eq!(first(&kit).reactions.len(), 1);
}

#[test]
fn an_own_message_keeps_its_state_beside_its_twin() {
    let mut kit = kit();
    let ticket = match &kit.enter("on my way")[..] {
        [Effect::Send { ticket, .. }] => *ticket,
        other => panic!("{other:?}"),
    };
    kit.input(Input::Sending { ticket, id: id(9) });
    kit.say("#ops", Message { id: id(9), ..message(3, "mallory", "no, I am") });
    assert_eq!((kit.open().queued(), kit.state.queued()), (1, 1), "it still waits");
    kit.say("#ops", Message { id: id(9), ..message(4, "alice", "on my way") });
    let state = Delivery::Delivered { count: 2, of: 4 };
    kit.news(News::Delivery { id: id(9), state });
    let delivery = |who| kit.open().named(&of(who, 9)).unwrap().1.delivery;
    assert_eq!((delivery("alice"), delivery("mallory")), (Some(state), None));
}

#[test]
fn orders_go_to_the_chosen_one_of_two_twins() {
    let mut kit = with_a_twin(1);
    let reacts_to = |effects: Vec<Effect>| match effects.first() {
        Some(Effect::React { to, .. }) => *to,
        other => panic!("{other:?}"),
    };
    kit.press("ctrl+up");
    assert_eq!(reacts_to(kit.enter("/react +1")), of("mallory", 1));
    kit.press("ctrl+up ctrl+up");
    assert_eq!(reacts_to(kit.enter("/react +1")), of("bob", 1));
    // An own one is edited though another one has its id.
    let mut kit = with_a_twin(2);
    let edits = kit.enter("/edit no");
    assert!(
        matches!(&edits[..], [Effect::Edit { of: it, .. }] if *it == of("alice", 2)),
        "{edits:?}"
    );
}
