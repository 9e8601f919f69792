//! Every screen at three sizes, as it was looked at last.

use crate::kit::{Kit, MINUTE, NOW, id, message, named, notice, setup};
use insta::assert_snapshot;
use openchat_client::{
    engine::{Delivery, Standing},
    wire::{Seq, UnixMillis},
};
use openchat_tui::{Body, Config, Hit, Input, Message, News, Notice, Quote, Reaction, State, Tone};

const SIZES: [(u16, u16); 3] = [(40, 12), (100, 30), (200, 60)];

/// Looks at a screen at each size.
fn look(name: &str, scene: impl Fn(&mut Kit)) {
    for size in SIZES {
        let mut kit = Kit::new(size);
        scene(&mut kit);
        let (width, height) = size;
        assert_snapshot!(format!("{name}-{width}x{height}"), kit.screen());
    }
}

/// A conversation with everything that can be in one.
fn talk(kit: &mut Kit) {
    let yesterday = Message {
        time: UnixMillis(NOW.0 - 26 * 60 * MINUTE),
        ..message(1, "dave", "See https://wiki.acme/on-call for the plan of the week.")
    };
    let reply = Message {
        reply: Some(Box::new(Quote {
            to: None,
            sender: "bob".to_owned(),
            text: "deploy of 2.4 at 20:30, ok?".to_owned(),
        })),
        reactions: vec![Reaction {
            word: "+1".to_owned(),
            by: vec!["bob".to_owned()],
            queued: false,
        }],
        ..message(80, "carol", "go. notes: https://wiki.acme/rel-2.4")
    };
    let done =
        Message { body: Body::Action("rolls up his sleeves".to_owned()), ..message(81, "bob", "") };
    let gone = Message { body: Body::Deleted, ..message(82, "dave", "") };
    let edited = Message { edited: true, ..message(83, "alice", "starting") };
    kit.say("#ops", yesterday);
    kit.say("#ops", message(79, "bob", "deploy of 2.4 at 20:30, ok? It has the new ledger, the migration that we tried on Tuesday, and 日本語 in the invoices 👩‍👩‍👧"));
    for one in [reply, done, gone, edited] {
        kit.say("#ops", one);
    }
    kit.news(News::Delivery { id: id(83), state: Delivery::Delivered { count: 2, of: 4 } });
    kit.news(News::Changed {
        target: "#ops".to_owned(),
        notice: Some(notice("frank joined, 6 members now")),
        loud: false,
    });
    kit.news(News::Changed {
        target: "#ops".to_owned(),
        notice: Some(Notice {
            tone: Tone::Warning,
            hint: Some("Compare: /verify erin. Trust anyway: /trust erin.".to_owned()),
            ..notice("erin: key changed; your sends to #ops are held")
        }),
        loud: false,
    });
    kit.news(News::Changed {
        target: "#ops".to_owned(),
        notice: Some(Notice {
            tone: Tone::Warning,
            hint: Some("Nothing is wrong: it was on its way when you came in.".to_owned()),
            ..notice("entry 17 can't be read: it is from before you came in")
        }),
        loud: false,
    });
    kit.say(
        "#ops",
        Message {
            body: Body::File {
                name: "dump.tar".to_owned(),
                size: 48_123,
                here: 12_000,
                wrong: false,
            },
            ..message(90, "bob", "")
        },
    );
    kit.say("#ops", Message { body: Body::Unknown("poll".to_owned()), ..message(91, "carol", "") });
    kit.say("#ops", message(92, "bob", "@alice please look"));
    kit.type_in("done");
    kit.press("enter");
    kit.input(Input::Sending { ticket: kit_ticket(kit), id: id(1000) });
    kit.say("#design", message(3, "bob", "@alice what do you think?"));
    kit.type_in("thanks, writing the post-mortem");
}

/// The number of the last message that was sent.
fn kit_ticket(kit: &Kit) -> u64 {
    let ticket = |effect: &openchat_tui::Effect| match effect {
        openchat_tui::Effect::Send { ticket, .. } => Some(*ticket),
        _ => None,
    };
    kit.effects.iter().rev().find_map(ticket).unwrap()
}

#[test]
fn a_conversation() {
    look("conversation", talk);
}

#[test]
fn an_empty_one_says_what_to_do() {
    look("empty", |_| {});
}

#[test]
fn what_loads_is_not_empty() {
    for size in SIZES {
        let kit =
            Kit { state: State::new(setup(size), Config::default(), NOW), effects: Vec::new() };
        let screen = kit.screen();
        assert!(screen.contains("Loading") && !screen.contains("No messages"), "{screen}");
        assert_snapshot!(format!("loading-{}x{}", size.0, size.1), screen);
    }
}

#[test]
fn offline_is_seen() {
    look("offline", |kit| kit.news(News::Offline("connection refused".to_owned())));
}

#[test]
fn an_alarm_is_not_overlooked() {
    look("alarm", |kit| {
        let told = Notice {
            tone: Tone::Alarm,
            hint: Some(
                "Do not rely on this server until its operator has explained it.".to_owned(),
            ),
            ..notice("bob has another history of this conversation than this device")
        };
        kit.news(News::Changed { target: "#ops".to_owned(), notice: Some(told), loud: true });
    });
}

#[test]
fn an_invitation_waits_for_an_answer() {
    look("invited", |kit| {
        let mut invited = crate::kit::summary("#secret", Vec::new());
        invited.standing = Standing::Invited;
        invited.inviter = Some("bob".parse().unwrap());
        kit.news(News::Standing(Box::new(invited)));
        kit.press("ctrl+p");
        kit.type_in("secret");
        kit.press("enter");
        kit.past("#secret", Vec::new());
    });
}

#[test]
fn a_view_back_in_time() {
    look("scrolled", |kit| {
        for seq in 1..=90 {
            kit.say("#ops", message(seq, "bob", &format!("message {seq}")));
        }
        kit.press("pgup pgup");
        for seq in 91..=102 {
            kit.say("#ops", message(seq, "carol", "you don't see me"));
        }
    });
}

#[test]
fn what_is_new_has_a_line() {
    look("new", |kit| {
        for seq in 1..=3 {
            kit.say("#release", message(seq, "bob", &format!("release {seq}")));
        }
        kit.press("alt+a");
        let older = (0..2).map(|seq| message(seq, "bob", "old")).collect();
        kit.past("#release", older);
    });
}

#[test]
fn the_help() {
    look("help", |kit| kit.press("f1"));
    look("help-end", |kit| kit.press("f1 pgdn pgdn pgdn pgdn pgdn pgdn pgdn pgdn pgdn pgdn pgdn"));
}

#[test]
fn the_switcher() {
    look("switcher", |kit| {
        kit.press("ctrl+p");
        kit.type_in("e");
        kit.press("down");
    });
}

#[test]
fn the_search() {
    look("search", |kit| {
        kit.press("ctrl+f");
        kit.type_in("deploy");
        kit.press("enter");
        let hit = |seq: u64, text: &str| Hit {
            target: "#ops".parse().unwrap(),
            seq: Seq(seq),
            message: named("bob", seq),
            time: UnixMillis(NOW.0 - seq * 24 * 60 * MINUTE),
            sender: "bob".to_owned(),
            text: text.to_owned(),
        };
        let hits =
            vec![hit(0, "deploy of 2.4 at 20:30, ok?"), hit(400, "the last deploy\nwas fine")];
        kit.input(Input::Found { query: "deploy".to_owned(), hits });
    });
    look("search-none", |kit| {
        kit.enter("/search nowhere");
        kit.input(Input::Found { query: "nowhere".to_owned(), hits: Vec::new() });
    });
}

#[test]
fn the_links() {
    look("links", |kit| {
        talk(kit);
        kit.press("alt+l");
    });
}

#[test]
fn what_was_typed() {
    look("recall", |kit| {
        kit.enter("first thing");
        kit.enter("second thing");
        kit.press("ctrl+r");
        kit.type_in("thing");
        kit.press("down");
    });
}

#[test]
fn a_paste_is_one_draft() {
    look("paste", |kit| {
        let text: Vec<String> = (1..=500).map(|line| format!("line {line}")).collect();
        kit.input(Input::Paste(text.join("\n")));
    });
}

#[test]
fn a_message_of_ones_own_is_edited() {
    look("edit", |kit| {
        kit.say("#ops", message(1, "alice", "helo"));
        kit.press("up");
    });
}

#[test]
fn a_message_is_chosen() {
    look("chosen", |kit| {
        kit.say("#ops", message(1, "bob", "one"));
        kit.say("#ops", message(2, "carol", "two"));
        kit.press("ctrl+up ctrl+up");
    });
}

#[test]
fn a_command_that_does_not_exist() {
    look("unknown", |kit| {
        kit.enter("/jion #release");
    });
}

#[test]
fn too_small_is_said() {
    for size in [(19, 30), (100, 5), (1, 1), (0, 0)] {
        let kit = Kit::new(size);
        let _ = kit.screen();
    }
    assert!(Kit::new((19, 8)).screen().contains("too small"));
}
