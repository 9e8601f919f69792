//! What is said about messages.

use crate::kit::{Kit, id, key, message};
use openchat_client::{Pick, Say, engine::MessageRef, wire::Seq, wish::What};
use openchat_tui::{Body, Content, Effect, Input, Message, News, Quote};
use std::time::Duration;

fn kit() -> Kit {
    let mut kit = Kit::new((100, 30));
    kit.say("#ops", message(1, "bob", "ready?"));
    kit.say("#ops", message(2, "alice", "yes"));
    kit
}

fn of(name: &str, number: u64) -> MessageRef {
    MessageRef { author: key(name), id: id(number) }
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
    kit.open().by_id(&id(1)).unwrap().1.clone()
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
    let reply = |kit: &Kit, number| kit.open().by_id(&id(number)).unwrap().1.reply.clone();
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
    assert_eq!(file(kit.enter("/save")), Pick::Id(id(3)));
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
