//! Whatever others write, nothing of it acts on the terminal and nothing leaves its pane.

use crate::kit::{Kit, message, notice};
use openchat_client::text::acts;
use openchat_tui::{Body, Input, Message, News, Quote, Reaction};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Every cell holds what may be shown, and no line is wider than the screen.
fn is_harmless(buffer: &Buffer) -> Result<(), TestCaseError> {
    for y in 0..buffer.area.height {
        let (mut x, mut isolated) = (0, false);
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            for mark in symbol.chars().filter(|character| acts(*character)) {
                // Only the screen's own isolation, in which nothing is isolated twice.
                let (before, after) =
                    if mark == '\u{2068}' { (false, true) } else { (true, false) };
                prop_assert!(mark == '\u{2068}' || mark == '\u{2069}', "{symbol:?}");
                prop_assert_eq!(isolated, before, "{:?} at {},{}", symbol, x, y);
                isolated = after;
            }
            let wide = u16::try_from(symbol.width()).unwrap().max(1);
            prop_assert!(x + wide <= buffer.area.width, "{symbol:?} at {x},{y}");
            x += wide;
        }
        prop_assert!(!isolated, "what is isolated ends in its line");
    }
    Ok(())
}

/// Text of every kind, much of it bad.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(\u{1b}\\[[0-9;]{0,4}[A-Za-z]|\u{9b}2J|\u{7}|\r|\u{8}|\u{202e}|\u{2066}|\u{200f}|a|日|\t|\n){0,30}",
        "(\u{301}|\u{200d}|\u{fe0f}|👩|e|\u{1f3fd}|ﷺ|ก็){0,40}",
        "(שלום|مرحبا|a|7| |  |,|\u{2067}|\u{2069}|\u{2068}|日){0,20}",
        "https?://[a-z\u{1b}\u{202e}]{0,20} x",
    ]
}

/// A case draws many screens, so there are fewer of them than of other properties.
fn part() -> u32 {
    ProptestConfig::default().cases / 4
}

proptest! {
    #![proptest_config(ProptestConfig { cases: part(), ..ProptestConfig::default() })]

    #[test]
    fn any_text_anywhere(
        (text, other, word) in (nasty(), nasty(), nasty()),
        (width, height) in (20_u16..120, 6_u16..40),
        kind in 0..5,
    ) {
        let mut kit = Kit::new((width, height));
        kit.state.setup.org = other.clone();
        let body = match kind {
            0 => Body::Action(text.clone()),
            1 => Body::File { name: text.clone(), size: 9, here: 3, wrong: false },
            2 => Body::Unknown(text.clone()),
            _ => Body::Text(text.clone()),
        };
        let message = Message {
            body,
            sender: other.clone(),
            reply: Some(Box::new(Quote { to: None, sender: word.clone(), text: other.clone() })),
            reactions: vec![Reaction { word: word.clone(), by: vec![text.clone()], queued: kind == 1 }],
            ..message(1, "bob", "")
        };
        kit.say("#ops", message);
        kit.state.open_mut().unwrap().topic = Some(text.clone());
        let notice = openchat_tui::Notice { hint: Some(other.clone()), ..notice(&text) };
        kit.news(News::Notice { target: None, notice });
        kit.news(News::Offline(word.clone()));
        kit.input(Input::Paste(word.clone()));
        is_harmless(&kit.buffer())?;
        for keys in ["ctrl+up", "pgup", "alt+l", "esc", "ctrl+r"] {
            kit.press(keys);
            is_harmless(&kit.buffer())?;
        }
        kit.input(Input::Paste(text));
        is_harmless(&kit.buffer())?;
    }

    #[test]
    fn any_keys_at_any_size(
        keys in proptest::collection::vec(0..200_usize, 0..60),
        sizes in proptest::collection::vec((0_u16..310, 0_u16..110), 1..4),
    ) {
        let mut kit = Kit::new((80, 24));
        for seq in 1..30 {
            kit.say("#ops", message(seq, if seq % 3 == 0 { "alice" } else { "bob" }, "a message"));
        }
        let bound: Vec<&str> =
            openchat_tui::KEYS.iter().flat_map(|row| row.keys).copied().collect();
        for (at, key) in keys.iter().enumerate() {
            match bound.get(*key) {
                Some(key) => kit.press(key),
                None => kit.type_in("/ré 日"),
            }
            let (width, height) = sizes[at % sizes.len()];
            kit.input(Input::Resize { width, height });
            is_harmless(&kit.buffer())?;
        }
    }
}
