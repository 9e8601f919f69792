//! What comes: order, unread messages, mentions, delivery.

use crate::kit::{Kit, id, message, notice, target};
use openchat_client::{
    LogView,
    engine::{Delivery, Trust},
};
use openchat_tui::{Connection, Effect, Input, LogAlarm, Message, News, Past};

fn kit() -> Kit {
    Kit::new((100, 30))
}

#[test]
fn what_comes_elsewhere_is_counted_and_what_names_me_apart() {
    let mut kit = kit();
    kit.say("#design", message(1, "bob", "hello"));
    kit.say("#design", message(2, "bob", "alice: look"));
    kit.say("#design", message(3, "bob", "malice and alice-b are others"));
    let design = kit.state.find(&target("#design")).unwrap();
    let design = &kit.state.conversations[design];
    assert_eq!((design.unread, design.mentions), (3, 1));
    let screen = kit.screen();
    assert!(screen.contains("@1|") && screen.contains("8 unread, @1"), "{screen}");
}

#[test]
fn what_is_in_view_is_not_unread() {
    let mut kit = kit();
    kit.say("#ops", message(1, "bob", "hello"));
    assert_eq!(kit.open().unread, 0);
    kit.press("alt+a");
    kit.past("#release", Vec::new());
    assert_eq!((kit.open().target.to_string().as_str(), kit.open().unread), ("#release", 0));
}

#[test]
fn one_s_own_messages_are_never_unread() {
    let mut kit = kit();
    kit.say("#design", message(1, "alice", "from another place"));
    let design = kit.state.find(&target("#design")).unwrap();
    assert_eq!(kit.state.conversations[design].unread, 0);
}

#[test]
fn muted_ones_neither_count_nor_ring() {
    let mut kit = kit();
    kit.enter("/mute #design");
    kit.effects.clear();
    kit.say("#design", message(1, "bob", "@alice"));
    assert!(!kit.effects.contains(&Effect::Bell));
    let design = kit.state.find(&target("#design")).unwrap();
    assert_eq!(kit.state.conversations[design].unread, 0);
    kit.say("@bob", message(2, "bob", "direct"));
    assert!(kit.effects.contains(&Effect::Bell));
}

#[test]
fn what_comes_twice_is_shown_once() {
    let mut kit = kit();
    for _ in 0..3 {
        kit.say("#ops", message(1, "bob", "hello"));
    }
    kit.past("#ops", vec![message(0, "bob", "before"), message(1, "bob", "hello")]);
    let screen = kit.screen();
    assert_eq!(screen.matches("hello").count(), 1, "{screen}");
    assert!(screen.find("before") < screen.find("hello"), "{screen}");
}

#[test]
fn the_way_of_a_message_is_seen() {
    let mut kit = kit();
    let effects = kit.enter("on its way");
    let Some(Effect::Send { ticket, .. }) = effects.first() else { panic!("{effects:?}") };
    kit.input(Input::Sending { ticket: *ticket, id: id(9) });
    let stands = |kit: &Kit, word: &str| {
        let screen = kit.screen();
        let line = screen.lines().find(|line| line.contains("on its way")).unwrap().to_owned();
        assert!(line.contains(word), "{screen}");
    };
    stands(&kit, "queued");
    assert_eq!(kit.state.queued(), 1);
    kit.say("#ops", Message { id: id(9), ..message(5, "alice", "on its way") });
    stands(&kit, "sent");
    assert_eq!(kit.state.queued(), 0);
    kit.news(News::Delivery { id: id(9), state: Delivery::Delivered { count: 1, of: 4 } });
    stands(&kit, "delivered 1/4");
    kit.news(News::Delivery { id: id(9), state: Delivery::Delivered { count: 4, of: 4 } });
    stands(&kit, "delivered ");
    assert_eq!(kit.screen().matches("on its way").count(), 1);
}

#[test]
fn what_others_say_meanwhile_stands_above_what_is_queued() {
    let mut kit = kit();
    let effects = kit.enter("mine");
    let Some(Effect::Send { ticket, .. }) = effects.first() else { panic!("{effects:?}") };
    kit.input(Input::Sending { ticket: *ticket, id: id(9) });
    kit.say("#ops", message(1, "bob", "his"));
    let screen = kit.screen();
    assert!(screen.find("his") < screen.find("mine"), "{screen}");
}

#[test]
fn loading_is_not_empty() {
    let mut kit = kit();
    kit.press("alt+a");
    assert_eq!(kit.open().past, Past::Loading);
    assert!(kit.screen().contains("Loading …"));
    kit.past("#release", Vec::new());
    assert!(kit.screen().contains("Reading the conversation …"), "{}", kit.screen());
    kit.ready("#release");
    assert!(kit.screen().contains("No messages yet"));
    kit.news(News::Offline("gone".to_owned()));
    assert!(kit.screen().contains("can't be reached"), "{}", kit.screen());
}

#[test]
fn what_was_said_while_one_was_away_has_a_line() {
    let mut kit = kit();
    kit.say("#ops", message(1, "bob", "before"));
    kit.news(News::Offline("gone".to_owned()));
    kit.news(News::Online);
    kit.say("#ops", message(2, "bob", "during"));
    kit.say("#ops", message(3, "alice", "mine"));
    kit.say("#ops", message(4, "bob", "also"));
    kit.ready("#ops");
    kit.say("#ops", message(5, "bob", "after"));
    let screen = kit.screen();
    let place = |text: &str| screen.find(text).unwrap();
    assert!(place("before") < place("2 new") && place("2 new") < place("during"), "{screen}");
}

#[test]
fn the_connection_is_told() {
    let mut kit = kit();
    kit.news(News::Offline("refused".to_owned()));
    assert_eq!(kit.state.connection, Connection::Offline("refused".to_owned()));
    assert!(kit.screen().contains("offline, retrying"));
    assert!(!kit.screen().contains("+bob"), "nobody is known to be there");
    kit.news(News::Online);
    assert!(kit.screen().lines().next().unwrap().ends_with(" online"));
}

#[test]
fn a_changed_key_is_seen_in_words() {
    let mut kit = kit();
    kit.say("#ops", Message { trust: Trust::Changed, ..message(1, "erin", "it is me") });
    let screen = kit.screen();
    assert_eq!(screen.matches("CHANGED").count(), 4, "list twice, message, members\n{screen}");
}

#[test]
fn what_must_not_be_overlooked_is_also_told_here() {
    let mut kit = kit();
    let told = openchat_tui::Notice { tone: openchat_tui::Tone::Alarm, ..notice("it forks") };
    kit.news(News::Changed { target: "#design".to_owned(), notice: Some(told), loud: true });
    assert!(kit.screen().contains("ALARM: #design: it forks"), "{}", kit.screen());
    let quiet = Some(notice("dave joined"));
    kit.news(News::Changed { target: "#design".to_owned(), notice: quiet, loud: false });
    assert!(!kit.screen().contains("dave joined"));
    kit.press("alt+1");
    kit.past("#design", Vec::new());
    assert!(kit.screen().contains("dave joined"));
}

#[test]
fn whom_nobody_knew_gets_a_place_in_the_list() {
    let mut kit = kit();
    kit.say("@zoe", message(1, "zoe", "hello, I am new"));
    let screen = kit.screen();
    assert!(
        screen.lines().any(|line| line.starts_with("  zoe") && line.contains("1|")),
        "{screen}"
    );
    assert_eq!(kit.open().target, target("#ops"), "and nothing else moves");
}

#[test]
fn a_hundred_thousand_messages_are_held() {
    let mut kit = kit();
    let all = (0..100_000).map(|seq| message(seq, "bob", "one of many")).collect();
    kit.past("#ops", all);
    kit.say("#ops", message(100_000, "bob", "the very last"));
    assert!(kit.screen().contains("the very last"));
    assert_eq!(kit.open().end() - kit.open().first(), 100_001);
    kit.press("pgup pgup pgdn");
    assert!(!kit.screen().contains("the very last"));
}

#[test]
fn the_first_line_follows_the_transparency_log() {
    let mut kit = Kit::new((100, 30));
    let first = |kit: &Kit| kit.screen().lines().next().unwrap().to_owned();
    assert!(first(&kit).contains("log #1042 ok"));
    kit.news(News::Log(LogView { size: 1043, warns: false }));
    assert!(first(&kit).contains("log #1043 ok"), "{}", first(&kit));
    kit.news(News::Log(LogView { size: 1044, warns: true }));
    assert!(first(&kit).contains("log #1044 OWN NAME"), "{}", first(&kit));
    kit.news(News::Log(LogView { size: 1044, warns: false }));
    assert!(first(&kit).contains("log #1044 ok"), "it was answered: {}", first(&kit));
    kit.news(News::LogAlarm(LogAlarm::SplitView));
    kit.news(News::LogAlarm(LogAlarm::OwnName));
    kit.news(News::Log(LogView { size: 1045, warns: false }));
    assert!(first(&kit).contains("log #1045 SPLIT VIEW"), "{}", first(&kit));
    // Where there is little room the certificate goes first.
    kit.input(Input::Resize { width: 40, height: 12 });
    assert!(first(&kit).contains("SPLIT VIEW"), "{}", first(&kit));
}
