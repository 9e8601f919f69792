//! What is said about messages.

use crate::kit::{Kit, change, id, message, named as of};
use openchat_client::{
    Pick, Say,
    engine::{self, Delivery, MessageRef, Unsent},
    wire::Seq,
    wish::What,
};
use openchat_tui::{Body, Change, Effect, Input, Message, News, Quote};
use std::time::Duration;

fn kit() -> Kit {
    let mut kit = Kit::new((100, 30));
    kit.say("#ops", message(1, "bob", "ready?"));
    kit.say("#ops", message(2, "alice", "yes"));
    kit
}

/// The message at this place, in which the author of another one says something about it.
fn said(about: MessageRef, seq: u64) -> MessageRef {
    MessageRef { id: id(seq), ..about }
}

fn edited(of: MessageRef, seq: u64, text: &str) -> News {
    let (target, said, text) = ("#ops".to_owned(), said(of, seq), text.to_owned());
    News::Edited { target, said, of, seq: Seq(seq), text }
}

fn deleted(of: MessageRef, seq: u64) -> News {
    News::Deleted { target: "#ops".to_owned(), said: said(of, seq), of, seq: Seq(seq) }
}

fn reacted(to: MessageRef, by: &str, on: bool) -> News {
    let (target, word, by) = ("#ops".to_owned(), "+1".to_owned(), by.to_owned());
    News::Reacted { target, said: said(of(&by, 0), 77), to, word, by, on }
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
    let (_, again) = change(&kit.enter("/react +1"));
    assert_eq!(again, Change::React { word: "+1".to_owned(), on: false });
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
    kit.queue("/reply soon", 9);
    assert!(kit.screen().contains("re: bob \"ready?\""), "{}", kit.screen());
}

#[test]
fn m15_what_is_taken_back_or_changed_is_quoted_no_more() {
    let mut kit = kit();
    let quote = |to, text: &str| {
        let (sender, text) = ("bob".to_owned(), text.to_owned());
        Some(Box::new(Quote { to: Some(to), sender, text }))
    };
    let answer = |number, to| {
        let reply = quote(to, "a secret further up");
        Message { reply, ..message(number, "carol", "aye") }
    };
    let quoted = |kit: &Kit, number| {
        let answer = kit.open().named(&of("carol", number)).unwrap().1.clone();
        answer.reply.unwrap().text
    };
    kit.say("#ops", answer(5, of("bob", 1)));
    // One that stands before all that was read, quoted from the vault.
    kit.say("#ops", answer(6, of("bob", 99)));
    assert_eq!(quoted(&kit, 5), "ready?");
    assert!(kit.screen().contains("a secret further up"));
    kit.news(edited(of("bob", 1), 7, "ready now?"));
    assert_eq!(quoted(&kit, 5), "ready now?");
    kit.news(deleted(of("bob", 1), 8));
    kit.news(deleted(of("bob", 99), 9));
    assert_eq!(quoted(&kit, 5), "(deleted)");
    let screen = kit.screen();
    assert!(!screen.contains("ready") && !screen.contains("secret"), "{screen}");
}

#[test]
fn m20_what_is_over_leaves_the_open_screen_and_its_quotes() {
    let mut kit = kit();
    let reply = Some(Box::new(Quote {
        to: Some(of("bob", 1)),
        sender: String::new(),
        text: "not here".to_owned(),
    }));
    kit.say("#ops", Message { reply, ..message(5, "carol", "aye") });
    kit.news(reacted(of("bob", 1), "carol", true));
    let recalls = |kit: &mut Kit, name: &str| {
        kit.effects.clear();
        kit.news(News::Forgotten { target: name.to_owned() });
        let effects = std::mem::take(&mut kit.effects).into_iter();
        effects.filter_map(|effect| match effect {
            Effect::Recall { target, messages, .. } => Some((target, messages)),
            _ => None,
        })
    };
    let (target, mut named) = recalls(&mut kit, "#ops").next().unwrap();
    named.sort();
    let mut all = vec![of("alice", 2), of("bob", 1), of("carol", 5)];
    all.sort();
    assert_eq!(named, all);
    kit.input(Input::Gone { target, gone: vec![of("bob", 1)] });
    let screen = kit.screen();
    assert!(!screen.contains("ready?") && screen.contains("re: bob \"(deleted)\""), "{screen}");
    assert!(screen.contains("yes") && screen.contains("aye"), "{screen}");
    assert_eq!(first(&kit).reactions, Vec::new());
    // A conversation that is not there is none of the screen's business.
    assert_eq!(recalls(&mut kit, "#none").count(), 0);
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
    kit.queue("on my way", 9);
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
    kit.press("ctrl+up");
    assert_eq!(change(&kit.enter("/react +1")).0, of("mallory", 1));
    kit.press("ctrl+up ctrl+up");
    assert_eq!(change(&kit.enter("/react +1")).0, of("bob", 1));
    // An own one is edited though another one has its id.
    let mut kit = with_a_twin(2);
    assert_eq!(change(&kit.enter("/edit no")).0, of("alice", 2));
}

#[test]
fn an_own_edit_is_shown_at_once_and_as_what_waits() {
    let mut kit = kit();
    kit.queue("/edit no", 9);
    assert!(kit.screen().contains("no edited, queued"), "{}", kit.screen());
    assert_eq!((kit.state.queued(), text_of(&kit, "alice", 2).as_str()), (1, "yes"));
    // What is edited next is what it says now.
    kit.press("up");
    assert_eq!(kit.draft(), "no");
    kit.press("esc");
    kit.news(News::Delivery { id: id(9), state: Delivery::Sent });
    let screen = kit.screen();
    assert!(screen.contains("no edited") && !screen.contains("queued"), "{screen}");
    assert_eq!(kit.state.queued(), 0);
    let (target, of) = ("#ops".to_owned(), of("alice", 2));
    let (said, text) = (said(of, 9), "no".to_owned());
    kit.news(News::Edited { target, said, of, seq: Seq(9), text });
    assert_eq!(text_of(&kit, "alice", 2), "no");
    assert!(kit.screen().contains("no edited"), "{}", kit.screen());
}

#[test]
fn an_own_deletion_is_shown_at_once_and_comes_back_if_it_is_refused() {
    let mut kit = kit();
    kit.queue("/delete", 9);
    let screen = kit.screen();
    assert!(screen.contains("(deleted) queued") && !screen.contains("yes"), "{screen}");
    // What is on its way out is not deleted twice.
    assert!(kit.enter("/delete").is_empty());
    let notice = crate::kit::notice("you are not a member");
    kit.news(News::Failed { order: None, id: Some(id(9)), target: None, notice });
    let screen = kit.screen();
    assert!(screen.contains("alice    yes") && !screen.contains("(deleted)"), "{screen}");
    assert!(screen.contains("not deleted: you are not a member"), "{screen}");
}

#[test]
fn an_own_reaction_waits_and_so_does_taking_it_back() {
    let mut kit = kit();
    kit.queue("/react +1", 9);
    assert!(kit.screen().contains("+1 alice (queued)"), "{}", kit.screen());
    let off = Change::React { word: "+1".to_owned(), on: false };
    assert_eq!(change(&kit.enter("/react +1")).1, off, "what waits is there");
    kit.news(News::Delivery { id: id(9), state: Delivery::Sent });
    assert!(!kit.screen().contains("queued"), "{}", kit.screen());
    let (target, to, word, by) =
        ("#ops".to_owned(), of("bob", 1), "+1".to_owned(), "alice".to_owned());
    kit.news(News::Reacted { target, said: of("alice", 9), to, word, by, on: true });
    kit.queue("/react +1", 10);
    assert!(kit.screen().contains("+1 taken back (queued)"), "{}", kit.screen());
    let (target, word, by) = ("#ops".to_owned(), "+1".to_owned(), "alice".to_owned());
    kit.news(News::Reacted { target, said: of("alice", 10), to, word, by, on: false });
    assert!(!kit.screen().contains("+1"), "{}", kit.screen());
}

#[test]
fn a_refused_edit_says_so_and_can_be_recalled() {
    let mut kit = kit();
    kit.queue("/edit no", 9);
    let notice = crate::kit::notice("too late");
    kit.news(News::Failed { order: None, id: Some(id(9)), target: None, notice });
    let screen = kit.screen();
    assert!(screen.contains("not edited to \"no\": too late"), "{screen}");
    assert!(screen.contains("alice    yes") && !screen.contains("queued"), "{screen}");
    kit.press("ctrl+r");
    kit.type_in("no");
    kit.press("enter");
    assert_eq!(kit.draft(), "no");
}

#[test]
fn what_is_queued_is_changed_while_it_waits() {
    let mut kit = kit();
    kit.queue("helo", 9);
    kit.press("up");
    assert_eq!((kit.draft().as_str(), kit.state.editing), ("helo", Some(of("alice", 9))));
    kit.press("esc");
    kit.queue("/edit hello", 10);
    assert!(kit.screen().contains("hello edited, queued"), "{}", kit.screen());
    assert_eq!(kit.state.queued(), 2);
    kit.queue("/topic Deploys", 11);
    assert!(kit.screen().contains("* alice sets the topic: Deploys"), "{}", kit.screen());
}

/// As a screen is opened: what earlier runs have left.
fn reopened(unsent: Vec<(u64, engine::Body)>, deliveries: Vec<(u64, Delivery)>) -> Kit {
    let mut setup = crate::kit::setup((100, 30));
    let ops = &mut setup.conversations[1];
    ops.unsent = unsent
        .into_iter()
        .map(|(number, body)| Unsent { id: id(number), time: crate::kit::NOW, body })
        .collect();
    ops.deliveries = deliveries.into_iter().map(|(number, state)| (id(number), state)).collect();
    let mut kit = Kit::with(setup, openchat_tui::Config::default());
    let of_vault = |message: Message| Message { delivery: None, ..message };
    let said = [message(1, "bob", "ready?"), message(2, "alice", "yes"), message(3, "alice", "go")];
    kit.past("#ops", said.into_iter().map(of_vault).collect());
    kit
}

#[test]
fn what_became_of_messages_of_earlier_runs_is_shown() {
    let delivered = Delivery::Delivered { count: 2, of: 4 };
    let mut kit = reopened(Vec::new(), vec![(2, delivered), (3, Delivery::Sent)]);
    let screen = kit.screen();
    let line = |text: &str| screen.lines().find(|line| line.contains(text)).unwrap().to_owned();
    assert!(line("yes").contains("delivered 2/4"), "{screen}");
    assert!(line("go ").contains("sent"), "{screen}");
    // A message of somebody else's under the same id has none.
    assert!(!line("ready?").contains("delivered"), "{screen}");
    let state = Delivery::Delivered { count: 3, of: 4 };
    kit.news(News::Delivery { id: id(2), state });
    assert!(kit.screen().contains("delivered 3/4"), "{}", kit.screen());
}

#[test]
fn what_earlier_runs_left_unsent_is_there_as_queued() {
    let unsent = vec![
        (7, engine::Body::Text("said offline".to_owned())),
        (8, engine::Body::Edit { of: id(2), text: "no".to_owned() }),
        (9, engine::Body::Reaction { to: of("bob", 1), emoji: "+1".to_owned(), on: true }),
        (10, engine::Body::Reply { to: of("bob", 1), text: "almost".to_owned() }),
    ];
    let mut kit = reopened(unsent, Vec::new());
    let screen = kit.screen();
    let line = |text: &str| screen.lines().find(|line| line.contains(text)).unwrap().to_owned();
    assert!(line("said offline").contains("queued"), "{screen}");
    assert!(
        screen.contains("no edited, queued") && screen.contains("+1 alice (queued)"),
        "{screen}"
    );
    assert!(screen.contains("re: bob \"ready?\""), "{screen}");
    assert_eq!(kit.state.queued(), 4);
    kit.say("#ops", Message { id: id(7), ..message(4, "alice", "said offline") });
    assert_eq!(kit.screen().matches("said offline").count(), 1);
    assert_eq!(kit.state.queued(), 3);
}
