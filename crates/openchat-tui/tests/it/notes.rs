//! What the desktop is told, and what it is not.

use crate::kit::{Kit, message, notice, setup};
use openchat_tui::{Config, Effect, Input, Message, News, Note, Notice, Tone};

fn kit() -> Kit {
    let mut kit = Kit::new((100, 30));
    kit.input(Input::Focus(false));
    kit.effects.clear();
    kit
}

fn notes(kit: &mut Kit) -> Vec<Note> {
    let effects = std::mem::take(&mut kit.effects).into_iter();
    let notes = effects.filter_map(|effect| match effect {
        Effect::Notify(note) => Some(note),
        _ => None,
    });
    notes.collect()
}

fn titles(kit: &mut Kit) -> Vec<String> {
    notes(kit).into_iter().map(|note| note.title).collect()
}

#[test]
fn direct_messages_and_mentions_are_told() {
    let mut kit = kit();
    kit.say("#ops", message(1, "bob", "hello"));
    kit.say("#ops", message(2, "bob", "hello alice"));
    kit.say("#design", message(3, "carol", "@alice"));
    kit.say("@bob", message(4, "bob", "hello"));
    assert_eq!(titles(&mut kit), ["bob in #ops", "carol in #design", "bob"]);
}

#[test]
fn no_text_is_shown_unless_it_is_wanted() {
    let mut kit = kit();
    kit.say("@bob", message(1, "bob", "the secret"));
    assert_eq!(notes(&mut kit)[0].body, "writes to you");
    let config = Config::parse("[notify]\nshow = \"text\"").unwrap();
    let mut kit = Kit::with(setup((100, 30)), config);
    kit.input(Input::Focus(false));
    kit.say("@bob", message(1, "bob", "the secret\n\u{1b}[2J"));
    assert_eq!(notes(&mut kit)[0].body, "the secret \\u{1b}[2J");
}

#[test]
fn nobody_who_looks_is_told() {
    let mut kit = kit();
    kit.input(Input::Focus(true));
    kit.say("@bob", message(1, "bob", "hello"));
    assert!(notes(&mut kit).is_empty());
    kit.input(Input::Focus(false));
    kit.say("@bob", message(2, "bob", "hello"));
    assert_eq!(notes(&mut kit).len(), 1);
}

#[test]
fn a_terminal_that_tells_nothing_may_be_looked_at() {
    let mut kit = Kit::new((100, 30));
    kit.say("#ops", message(1, "bob", "alice: in view"));
    assert!(notes(&mut kit).is_empty());
    kit.say("@bob", message(2, "bob", "not in view"));
    assert_eq!(titles(&mut kit), ["bob"]);
}

#[test]
fn muted_ones_one_s_own_and_known_ones_are_not_told() {
    let mut kit = kit();
    kit.enter("/mute #design");
    kit.say("#design", message(1, "bob", "@alice"));
    kit.news(News::Changed {
        target: "#design".to_owned(),
        notice: Some(Notice { tone: Tone::Alarm, ..notice("somebody lies") }),
        loud: true,
    });
    kit.say("@bob", Message { own: true, ..message(2, "alice", "alice") });
    kit.say("@bob", message(3, "bob", "hello"));
    kit.say("@bob", message(3, "bob", "hello"));
    assert_eq!(titles(&mut kit), ["bob"]);
}

#[test]
fn invitations_and_alarms_are_told() {
    let mut kit = kit();
    kit.news(News::Changed {
        target: "#new".to_owned(),
        notice: Some(notice("bob invites you to #new")),
        loud: true,
    });
    let lied = Notice { tone: Tone::Alarm, ..notice("the server lied") };
    kit.news(News::Notice { target: None, notice: lied });
    kit.news(News::Notice { target: None, notice: notice("good to know") });
    let joined = Some(notice("dave joined"));
    kit.news(News::Changed { target: "#ops".to_owned(), notice: joined, loud: false });
    let told: Vec<_> = notes(&mut kit).into_iter().map(|note| (note.body, note.urgent)).collect();
    let expected =
        [("bob invites you to #new".to_owned(), false), ("the server lied".to_owned(), true)];
    assert_eq!(told, expected);
}

#[test]
fn who_wants_no_desktop_gets_none() {
    let config = Config::parse("[notify]\ndesktop = false").unwrap();
    let mut kit = Kit::with(setup((100, 30)), config);
    kit.input(Input::Focus(false));
    kit.say("@bob", message(1, "bob", "hello"));
    assert!(notes(&mut kit).is_empty());
    assert!(kit.state.config.notify.bell, "the bell is another matter");
}

#[test]
fn a_flood_is_told_a_few_times_and_drowns_no_alarm() {
    let mut kit = kit();
    for number in 1..=1_000 {
        kit.say("@bob", message(number, "bob", "flood"));
    }
    let lied = Notice { tone: Tone::Alarm, ..notice("the server lied") };
    kit.news(News::Notice { target: None, notice: lied });
    let notes = notes(&mut kit);
    assert_eq!(notes.len(), 7, "six, and the alarm");
    assert!(notes.last().unwrap().urgent);
}
