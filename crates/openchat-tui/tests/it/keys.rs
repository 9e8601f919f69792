//! What each key does.

use crate::kit::{Kit, change, message, named, target};
use openchat_tui::{Action, Anchor, Change, Content, Effect, Input, KEYS, Overlay};

/// Wide enough for members, high enough for ten messages.
fn kit() -> Kit {
    Kit::new((100, 14))
}

fn sent(effects: &[Effect]) -> Option<&Content> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send { content, .. } => Some(content),
        _ => None,
    })
}

/// What proves that the key of this action did what the table says, and nothing else.
fn proof(action: Action) -> Option<fn() -> bool> {
    writing(action).or_else(|| reading(action)).or_else(|| going(action)).or_else(|| line(action))
}

fn writing(action: Action) -> Option<fn() -> bool> {
    Some(match action {
        Action::Send => || {
            let effects = kit().enter("hello");
            sent(&effects) == Some(&Content::Text("hello".to_owned()))
        },
        Action::Newline => || typed("a", "alt+enter") == "a\n" && typed("a", "ctrl+j") == "a\n",
        Action::Complete => || typed("hi @ca", "tab") == "hi @carol ",
        Action::Clear => || {
            let mut kit = kit();
            kit.type_in("draft");
            kit.press("ctrl+c");
            let cleared = kit.draft().is_empty() && !kit.effects.contains(&Effect::Quit);
            kit.press("ctrl+c");
            cleared && kit.effects.contains(&Effect::Quit)
        },
        Action::Recall => || {
            let mut kit = kit();
            kit.enter("one");
            kit.enter("two");
            kit.press("ctrl+r");
            kit.type_in("one");
            kit.press("enter");
            kit.draft() == "one"
        },
        Action::Up => || {
            let mut kit = kit();
            kit.say("#ops", message(1, "alice", "helo"));
            kit.say("#ops", message(2, "bob", "what?"));
            kit.press("up");
            kit.draft() == "helo"
                && kit.state.editing == Some(named("alice", 1))
                && typed("a\nb", "up x") == "ax\nb"
        },
        _ => return None,
    })
}

fn reading(action: Action) -> Option<fn() -> bool> {
    Some(match action {
        Action::Escape => || {
            let mut kit = long();
            kit.press("pgup");
            let away = kit.open().anchor != Anchor::Live;
            kit.press("esc");
            away && kit.open().anchor == Anchor::Live
        },
        Action::PageUp => || {
            let mut kit = long();
            kit.press("pgup");
            kit.screen().contains("message 85 ")
                || kit.screen().contains("message 85\n")
                || !kit.screen().contains("message 100")
        },
        Action::PageDown => || {
            let mut kit = long();
            kit.press("pgup pgup pgdn pgdn");
            kit.open().anchor == Anchor::Live
        },
        Action::ChooseUp => || {
            let mut kit = long();
            kit.press("ctrl+up ctrl+up");
            chosen(&kit) == Some("message 99")
        },
        Action::ChooseDown => || {
            let mut kit = long();
            kit.press("ctrl+up ctrl+up ctrl+up ctrl+down");
            let moved = chosen(&kit) == Some("message 99");
            kit.press("ctrl+down ctrl+down");
            moved && kit.open().chosen.is_none()
        },
        Action::Copy => || {
            let mut kit = long();
            kit.press("ctrl+up ctrl+up alt+c");
            kit.effects.contains(&Effect::Copy("message 99".to_owned()))
        },
        Action::Links => || {
            let mut kit = kit();
            kit.say("#ops", message(1, "bob", "see (https://a.example/x), ok?"));
            kit.press("alt+l enter");
            kit.effects.contains(&Effect::Copy("https://a.example/x".to_owned()))
        },
        _ => return None,
    })
}

fn going(action: Action) -> Option<fn() -> bool> {
    Some(match action {
        Action::Switcher => || opens("ctrl+p", |it| matches!(it, Overlay::Switcher { .. })),
        Action::Search => || opens("ctrl+f", |it| matches!(it, Overlay::Search { .. })),
        Action::Help => || opens("f1", |it| matches!(it, Overlay::Help { .. })),
        Action::NextUnread => || after("alt+a") == "#release",
        Action::Previous => || after("alt+up") == "#general",
        Action::Next => || after("alt+down") == "#release",
        Action::Nth(_) => || {
            (1..=7).all(|number| {
                let mut kit = kit();
                kit.press(&format!("alt+{number}"));
                kit.state.current == number - 1
            })
        },
        Action::Redraw => || {
            let mut kit = kit();
            kit.press("ctrl+l");
            kit.effects == [Effect::Redraw]
        },
        _ => return None,
    })
}

fn line(action: Action) -> Option<fn() -> bool> {
    Some(match action {
        Action::Down => || typed("a\nb", "up down x") == "a\nbx",
        Action::Left => || typed("ab", "left x") == "axb" && typed("ab", "ctrl+b x") == "axb",
        Action::Right => || typed("ab", "left left right x") == "axb",
        Action::WordLeft => || typed("one two", "alt+b x") == "one xtwo",
        Action::WordRight => || typed("one two", "home alt+f x") == "one xtwo",
        Action::LineStart => || typed("ab", "ctrl+a x") == "xab" && typed("ab", "home x") == "xab",
        Action::LineEnd => || typed("ab", "home ctrl+e x") == "abx",
        Action::Backspace => || typed("ab", "backspace") == "a" && typed("ab", "ctrl+h") == "a",
        Action::Delete => || typed("ab", "home delete") == "b" && typed("ab", "home ctrl+d") == "b",
        Action::CutWord => || typed("one two", "ctrl+w") == "one ",
        Action::CutNextWord => || typed("one two", "home alt+d") == " two",
        Action::CutToStart => || typed("one two", "left ctrl+u") == "o",
        Action::CutToEnd => || typed("one two", "home right ctrl+k") == "o",
        Action::Yank => || typed("one two", "ctrl+w home ctrl+y") == "twoone ",
        Action::Undo => || typed("one", "ctrl+w ctrl+z") == "one",
        _ => return None,
    })
}

/// The draft after this was typed and these keys were pressed.
fn typed(text: &str, keys: &str) -> String {
    let mut kit = kit();
    kit.input(Input::Paste(text.to_owned()));
    kit.press(keys);
    kit.draft()
}

/// A hundred messages of bob's.
fn long() -> Kit {
    let mut kit = kit();
    for seq in 1..=100 {
        kit.say("#ops", message(seq, "bob", &format!("message {seq}")));
    }
    kit.effects.clear();
    kit
}

fn chosen(kit: &Kit) -> Option<&str> {
    kit.open().chosen.and_then(|at| kit.open().message(at)).map(openchat_tui::Message::text)
}

fn opens(key: &str, is_it: fn(&Overlay) -> bool) -> bool {
    let mut kit = kit();
    kit.press(key);
    let opened = kit.state.overlay.as_ref().is_some_and(is_it);
    kit.press("esc");
    opened && kit.state.overlay.is_none()
}

/// The conversation in view after a key.
fn after(key: &str) -> String {
    let mut kit = kit();
    kit.press(key);
    kit.open().target.to_string()
}

#[test]
fn each_key_of_the_table_does_what_it_says() {
    for row in KEYS {
        let proof =
            proof(row.action).unwrap_or_else(|| panic!("{} is proven by nothing", row.name));
        assert!(proof(), "{}", row.name);
    }
}

#[test]
fn a_view_back_in_time_does_not_move() {
    let mut kit = long();
    kit.press("pgup");
    let before = kit.screen();
    let rows = |screen: &str| screen.lines().skip(2).take(9).map(pane).collect::<Vec<_>>();
    for seq in 101..=112 {
        kit.say("#ops", message(seq, "carol", "news"));
    }
    let after = kit.screen();
    assert_eq!(rows(&before), rows(&after));
    assert!(after.contains("12 new below"), "{after}");
    kit.press("esc");
    assert!(kit.screen().contains("news") && !kit.screen().contains("new below"));
}

/// The pane in the middle.
fn pane(line: &str) -> String {
    line.chars().skip(21).take(58).collect()
}

#[test]
fn older_messages_do_not_move_the_view() {
    let mut kit = kit();
    for seq in 50..=60 {
        kit.say("#ops", message(seq, "bob", &format!("message {seq}")));
    }
    kit.press("pgup");
    let before = kit.screen();
    kit.past("#ops", (1..50).map(|seq| message(seq, "bob", &format!("message {seq}"))).collect());
    // What stood below the first row stands where it stood.
    let of = |screen: &str| screen.lines().rev().skip(3).take(6).map(pane).collect::<Vec<_>>();
    assert_eq!(of(&before), of(&kit.screen()));
    kit.press("pgup pgup pgup pgup pgup pgup pgup pgup pgup");
    assert!(kit.screen().contains("message 1\n") || kit.screen().contains("message 1 "));
}

#[test]
fn near_the_first_row_more_is_asked_for_once() {
    let mut kit = kit();
    let page: Vec<_> = (100..200).map(|seq| message(seq, "bob", "old")).collect();
    kit.input(Input::Past { target: target("#release"), messages: Vec::new(), complete: true });
    kit.press("alt+4");
    kit.input(Input::Past { target: target("#release"), messages: page, complete: false });
    kit.effects.clear();
    for _ in 0..40 {
        kit.press("pgup");
    }
    let asked: Vec<_> =
        kit.effects.iter().filter(|effect| matches!(effect, Effect::Past { .. })).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let Effect::Past { before, from: None, .. } = asked[0] else { panic!("{asked:?}") };
    assert_eq!(before.map(|seq| seq.0), Some(100));
}

#[test]
fn one_press_of_ctrl_c_never_quits() {
    let mut kit = kit();
    for _ in 0..3 {
        kit.press("ctrl+c");
        kit.type_in("x");
    }
    assert!(!kit.effects.contains(&Effect::Quit));
    assert_eq!(kit.draft(), "x");
}

#[test]
fn what_was_cleared_comes_back() {
    let mut kit = kit();
    kit.type_in("long thought");
    kit.press("ctrl+c ctrl+r enter");
    assert_eq!(kit.draft(), "long thought");
}

#[test]
fn each_conversation_keeps_its_draft() {
    let mut kit = kit();
    kit.type_in("for ops");
    kit.press("alt+1");
    assert_eq!(kit.draft(), "");
    kit.type_in("for all");
    kit.press("alt+3");
    assert_eq!(kit.draft(), "for ops");
}

#[test]
fn an_edit_can_be_left() {
    let mut kit = kit();
    kit.say("#ops", message(1, "alice", "helo"));
    kit.press("up");
    kit.type_in("!!");
    kit.press("esc");
    assert_eq!((kit.draft().as_str(), kit.state.editing), ("", None));
    kit.press("up");
    kit.press("backspace");
    kit.type_in("lo");
    kit.effects.clear();
    kit.press("enter");
    let edit = Change::Edit("hello".to_owned());
    assert_eq!(change(&kit.effects), (named("alice", 1), edit));
}

#[test]
fn a_paste_of_500_lines_is_one_message() {
    let mut kit = kit();
    let text = (1..=500).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\r\n");
    kit.effects.clear();
    kit.input(Input::Paste(text.clone()));
    assert!(kit.effects.is_empty(), "nothing is sent by pasting");
    assert_eq!(kit.draft().lines().count(), 500);
    kit.press("enter");
    assert_eq!(kit.effects.len(), 1);
    assert_eq!(sent(&kit.effects), Some(&Content::Text(text.replace("\r\n", "\n"))));
}

#[test]
fn what_is_too_long_stays_a_draft() {
    let mut kit = kit();
    kit.input(Input::Paste("x".repeat(16_001)));
    kit.effects.clear();
    kit.press("enter");
    assert!(kit.effects.is_empty());
    assert!(kit.flash().contains("1 bytes too long"), "{}", kit.flash());
    assert_eq!(kit.draft().len(), 16_001);
    kit.press("backspace enter");
    assert!(sent(&kit.effects).is_some());
    kit.input(Input::Paste("x".repeat(1_000_000)));
    assert!(kit.draft().is_empty() && kit.flash().contains("nothing was pasted"));
}

#[test]
fn blank_drafts_are_not_sent() {
    let mut kit = kit();
    assert!(kit.enter("   ").is_empty());
}

#[test]
fn what_can_not_be_sent_comes_back() {
    let mut kit = kit();
    let effects = kit.enter("/me waves");
    let Some(Effect::Send { ticket, content: Content::Action(_), .. }) = effects.first() else {
        panic!("{effects:?}")
    };
    kit.input(Input::Refused { ticket: Some(*ticket), why: "not possible".to_owned() });
    assert_eq!((kit.draft().as_str(), kit.flash().as_str()), ("/me waves", "not possible"));
}

#[test]
fn resizing_while_typing_loses_nothing() {
    let mut kit = long();
    kit.type_in("half a thou");
    for (width, height) in [(40, 12), (300, 100), (1, 1), (60, 12), (89, 20), (100, 30)] {
        kit.input(Input::Resize { width, height });
        let screen = kit.screen();
        assert!(width < 40 || screen.contains("half a thou"), "{screen}");
    }
    kit.type_in("ght");
    assert_eq!(kit.draft(), "half a thought");
}

#[test]
fn panes_hide_where_there_is_no_room() {
    let has = |width| {
        let screen = Kit::new((width, 20)).screen();
        (screen.contains("GROUPS"), screen.contains("MEMBERS"))
    };
    assert_eq!(
        [has(59), has(60), has(89), has(90)],
        [(false, false), (true, false), (true, false), (true, true)]
    );
}

#[test]
fn the_wheel_scrolls() {
    let mut kit = long();
    kit.input(Input::Wheel(-3));
    assert!(!kit.screen().contains("message 100"));
    kit.input(Input::Wheel(3));
    assert_eq!(kit.open().anchor, Anchor::Live);
}

#[test]
fn a_key_without_meaning_says_so() {
    let mut kit = kit();
    kit.press("f7");
    assert_eq!(kit.flash(), "F7 has no meaning here; F1 lists the keys");
}

#[test]
fn while_something_lies_over_it_the_draft_is_left_alone() {
    let mut kit = kit();
    kit.type_in("draft");
    kit.press("ctrl+p");
    kit.type_in("gen");
    kit.input(Input::Paste("eral\nmore".to_owned()));
    kit.press("enter");
    assert_eq!(kit.open().target, target("#general"));
    kit.press("alt+3");
    assert_eq!(kit.draft(), "draft");
}
