//! Lines that begin with `/`.

use crate::kit::{Kit, NOW, change, id, message, named, notice, target};
use openchat_client::{
    engine::{Grounds, Standing},
    wish::{COMMANDS, What, Where},
};
use openchat_tui::{Change, Config, Content, Effect, Hit, Input, News, Notice, Overlay, Theme};

fn kit() -> Kit {
    let mut kit = Kit::new((100, 30));
    kit.say("#ops", message(1, "bob", "ready?"));
    kit.say("#ops", message(2, "alice", "yes"));
    kit
}

#[test]
fn an_unknown_command_is_never_sent() {
    let mut kit = kit();
    for line in ["/qiut", "/xyzzy and more", "/", "/Join #ops", "/join", "/etc/passwd"] {
        let effects = kit.enter(line);
        assert!(effects.is_empty(), "{line}: {effects:?}");
        kit.press("ctrl+c esc");
    }
    kit.enter("/qiut");
    assert_eq!(kit.draft(), "/qiut", "it can be mended");
    assert!(kit.flash().contains("did you mean /quit?"), "{}", kit.flash());
}

#[test]
fn two_slashes_send_one() {
    let effects = kit().enter("//etc/passwd");
    let Some(Effect::Send { content: Content::Text(text), .. }) = effects.first() else {
        panic!("{effects:?}")
    };
    assert_eq!(text, "/etc/passwd");
}

#[test]
fn a_pasted_text_that_begins_with_a_slash_is_not_sent() {
    let mut kit = kit();
    kit.input(Input::Paste("/usr/bin\n/usr/lib".to_owned()));
    kit.effects.clear();
    kit.press("enter");
    assert!(kit.effects.is_empty());
    assert!(kit.flash().contains("//text sends /text"), "{}", kit.flash());
}

/// Every command does something that can be seen, or asks for something to be done.
#[test]
fn every_command_of_the_table_is_obeyed() {
    let lines = [
        "/add dave",
        "/decline #secret",
        "/delete",
        "/edit new text",
        "/file notes.txt",
        "/help",
        "/invite dave",
        "/join #general",
        "/kick dave",
        "/leave",
        "/me waves",
        "/msg bob hi there",
        "/mute",
        "/names",
        "/new plans bob",
        "/policy join admitted",
        "/quit",
        "/react +1",
        "/rejoin",
        "/reply I am",
        "/resume 00000000000000000000000000000001",
        "/role bob admin",
        "/save",
        "/search ready",
        "/set bell off",
        "/status",
        "/theme light",
        "/timer 7d",
        "/topic Deploys",
        "/trust erin",
        "/unread",
        "/verify bob",
        "/whois bob",
    ];
    assert_eq!(lines.len(), COMMANDS.len());
    for (line, command) in lines.iter().zip(COMMANDS) {
        assert!(line.starts_with(&format!("/{}", command.name)), "{line}");
        let mut kit = kit();
        let before = kit.screen();
        let effects = kit.enter(line);
        assert!(kit.draft().is_empty() || *line == "/edit", "{line}");
        assert!(!effects.is_empty() || kit.screen() != before, "{line}");
        assert!(!kit.flash().contains("there is no command"), "{line}: {}", kit.flash());
    }
}

#[test]
fn what_the_session_does_is_asked_of_it() {
    let wish = |line: &str| match kit().enter(line).remove(0) {
        Effect::Wish { target, what, .. } => (target.to_string(), what),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(wish("/leave"), ("#ops".to_owned(), What::Leave));
    assert_eq!(wish("/leave #release"), ("#release".to_owned(), What::Leave));
    let erin = "erin".parse().unwrap();
    assert_eq!(wish("/trust erin").1, What::Trust(erin, Grounds::Accepted));
    assert_eq!(wish("/verify bob").1, What::Compare("bob".parse().unwrap()));
}

#[test]
fn an_answer_is_to_the_chosen_message_or_the_last_one_of_others() {
    let mut kit = kit();
    kit.say("#ops", message(3, "carol", "me too"));
    let to = |effects: Vec<Effect>| match effects.first() {
        Some(Effect::Send { content: Content::Reply { to, .. }, .. }) => *to,
        other => panic!("{other:?}"),
    };
    assert_eq!(to(kit.enter("/reply good")), named("carol", 3));
    kit.press("ctrl+up ctrl+up ctrl+up");
    assert_eq!(to(kit.enter("/reply good")), named("bob", 1));
    kit.press("ctrl+up");
    let react = Change::React { word: "+1".to_owned(), on: true };
    assert_eq!(change(&kit.enter("/react +1")), (named("carol", 3), react));
    kit.press("esc");
    assert_eq!(change(&kit.enter("/delete")), (named("alice", 2), Change::Delete));
}

#[test]
fn nothing_of_others_is_edited_or_deleted() {
    let mut kit = kit();
    kit.press("ctrl+up ctrl+up");
    for line in ["/delete", "/edit mine now"] {
        assert!(kit.enter(line).is_empty(), "{line}");
        assert!(kit.flash().contains("there is nothing to"), "{}", kit.flash());
    }
}

#[test]
fn a_message_to_somebody_opens_the_conversation() {
    let mut kit = kit();
    let effects = kit.enter("/msg dave hi  there");
    assert_eq!(kit.open().target, target("@dave"));
    let Some(Effect::Send { target: to, content: Content::Text(text), .. }) = effects.last() else {
        panic!("{effects:?}")
    };
    assert_eq!((to, text.as_str()), (&target("@dave"), "hi  there"));
}

#[test]
fn completion_goes_through_all_that_fits() {
    let mut kit = kit();
    let mut next = |keys: &str| {
        kit.press(keys);
        kit.draft()
    };
    assert_eq!(next("/ r e tab"), "/react ");
    assert_eq!(next("tab"), "/rejoin ");
    assert_eq!(next("tab"), "/reply ");
    assert_eq!(next("tab"), "/resume ");
    assert_eq!(next("tab"), "/react ");
    assert_eq!(next("ctrl+u / i n v tab"), "/invite ");
    assert_eq!(next("c tab"), "/invite carol ");
    assert_eq!(next("d tab"), "/invite carol dave ", "people, as many as one likes");
    assert_eq!(next("ctrl+u / r o l e space b tab a tab"), "/role bob admin ");
    assert_eq!(next("ctrl+u / j o i n space # r tab"), "/join #release ");
    assert_eq!(next("ctrl+u / t h e m e space l tab"), "/theme light ");
    assert_eq!(next("ctrl+u h i space @ e tab"), "hi @erin ");
    assert_eq!(next("ctrl+u x y z tab"), "xyz", "nothing fits");
    assert_eq!(next("ctrl+u / k i c k space b o b space c tab"), "/kick bob c", "one is enough");
}

#[test]
fn the_name_of_every_command_is_completed() {
    for command in COMMANDS {
        let mut kit = kit();
        kit.type_in(&format!("/{}", command.name));
        kit.press("tab");
        assert!(kit.draft().starts_with(&format!("/{}", command.name)), "{}", command.name);
    }
}

#[test]
fn an_invitation_is_not_accepted_by_looking() {
    let mut kit = kit();
    let mut invited = crate::kit::summary("#secret", Vec::new());
    invited.standing = Standing::Invited;
    kit.news(News::Standing(Box::new(invited)));
    kit.effects.clear();
    kit.press("ctrl+p");
    kit.type_in("secret");
    kit.press("enter");
    assert!(!kit.effects.iter().any(|effect| matches!(effect, Effect::Open { .. })));
    let effects = kit.enter("/join #secret");
    let Some(Effect::Wish { first, what: What::Join, .. }) = effects.first() else {
        panic!("{effects:?}")
    };
    kit.press("alt+1");
    kit.news(News::Done { order: *first, target: "#secret".to_owned() });
    assert_eq!(kit.open().target, target("#secret"));
}

#[test]
fn an_invitation_that_was_answered_advises_no_answer() {
    let mut kit = kit();
    let advice = "/join #secret accepts, /decline #secret refuses";
    let told = Notice { hint: Some(advice.to_owned()), ..notice("bob invites you to #secret") };
    let mut invited = crate::kit::summary("#secret", Vec::new());
    invited.standing = Standing::Invited;
    let target = "#secret".to_owned();
    kit.news(News::Changed { target, notice: Some(told), loud: true });
    kit.news(News::Standing(Box::new(invited.clone())));
    // The line may be broken behind it.
    let begins = "/join #secret accepts";
    assert!(kit.screen().contains(begins), "{}", kit.screen());
    invited.standing = Standing::Member;
    kit.news(News::Standing(Box::new(invited)));
    assert!(kit.screen().contains("bob invites you to #secret"), "{}", kit.screen());
    assert!(!kit.screen().contains(begins), "{}", kit.screen());
}

#[test]
fn whoever_has_begun_a_group_by_a_slip_is_told() {
    let mut kit = kit();
    let alone = crate::kit::members()[..1].to_vec();
    let ready = |members| News::Ready { target: "#genral".to_owned(), members };
    kit.news(News::Standing(Box::new(crate::kit::summary("#genral", alone.clone()))));
    kit.press("ctrl+p");
    kit.type_in("genral");
    kit.press("enter");
    kit.past("#genral", Vec::new());
    kit.news(ready(crate::kit::members()));
    assert!(!kit.screen().contains("the only one"), "{}", kit.screen());
    for _ in 0..2 {
        kit.news(ready(alone.clone()));
        let told = kit.screen().matches("you are the only one in #genral so far").count();
        assert_eq!(told, 1, "{}", kit.screen());
        assert!(kit.screen().contains("/leave #genral"), "{}", kit.screen());
    }
}

#[test]
fn a_conversation_with_an_old_key_goes_by_the_name() {
    let mut kit = kit();
    let mut old = crate::kit::summary("#~738d", crate::kit::members()[..1].to_vec());
    old.former = Some("erin".parse().unwrap());
    kit.news(News::Standing(Box::new(old)));
    assert!(kit.screen().contains("@erin (old key)"), "{}", kit.screen());
}

#[test]
fn what_failed_is_told_where_it_was_ordered() {
    let mut kit = kit();
    let effects = kit.enter("/kick dave");
    let Some(Effect::Wish { first, .. }) = effects.first() else { panic!("{effects:?}") };
    kit.press("alt+1");
    kit.news(News::Failed {
        order: Some(*first),
        id: None,
        target: None,
        notice: notice("only admins may"),
    });
    assert!(!kit.screen().contains("only admins may"));
    kit.press("alt+3");
    assert!(kit.screen().contains("only admins may"));
}

#[test]
fn a_message_that_failed_is_a_draft_again() {
    let mut kit = kit();
    let effects = kit.enter("important");
    let Some(Effect::Send { ticket, .. }) = effects.first() else { panic!("{effects:?}") };
    kit.input(Input::Sending { ticket: *ticket, id: id(77) });
    assert!(kit.screen().contains("queued"));
    let notice = notice("no room");
    kit.news(News::Failed { order: None, id: Some(id(77)), target: None, notice });
    assert_eq!(kit.draft(), "important");
    assert!(!kit.screen().contains("queued") && kit.screen().contains("no room"));
}

#[test]
fn settings_and_themes_change_and_say_so() {
    let mut kit = kit();
    kit.enter("/theme light");
    assert_eq!(kit.state.theme, Theme::light());
    kit.enter("/theme none");
    assert!(kit.flash().contains("themes are: dark, light, mono"), "{}", kit.flash());
    kit.enter("/set members off");
    assert!(!kit.screen().contains("MEMBERS"));
    assert_eq!(kit.enter("/set mouse on"), [Effect::Mouse(true)]);
    kit.enter("/set");
    assert_eq!(kit.flash(), "bell on   members off   mouse on   theme light");
    for bad in ["/set colour on", "/set bell loud"] {
        assert!(kit.enter(bad).is_empty() && !kit.flash().is_empty(), "{bad}");
    }
}

#[test]
fn without_colour_no_theme_brings_one() {
    let setup = openchat_tui::Setup { color: false, ..crate::kit::setup((100, 30)) };
    let mut kit = Kit::with(setup, Config::default());
    kit.enter("/theme dark");
    assert_eq!(kit.state.theme, Theme::mono());
    let buffer = kit.buffer();
    let plain = |cell: &ratatui::buffer::Cell| {
        cell.fg == ratatui::style::Color::Reset && cell.bg == ratatui::style::Color::Reset
    };
    assert!(buffer.content.iter().all(plain));
}

#[test]
fn a_search_goes_to_what_it_found_also_if_it_has_to_be_read() {
    let mut kit = kit();
    let effects = kit.enter("/search plan");
    assert_eq!(effects, [Effect::Search("plan".to_owned())]);
    let hit = Hit {
        target: target("#design"),
        seq: openchat_client::wire::Seq(7),
        message: named("bob", 7),
        time: NOW,
        sender: "bob".to_owned(),
        text: "the plan".to_owned(),
    };
    kit.input(Input::Found { query: "old".to_owned(), hits: vec![hit.clone(); 3] });
    assert!(matches!(&kit.state.overlay, Some(Overlay::Search { hits: None, .. })), "not asked");
    kit.input(Input::Found { query: "plan".to_owned(), hits: vec![hit] });
    kit.effects.clear();
    kit.press("enter");
    assert_eq!(kit.open().target, target("#design"));
    // The newest messages come first; it is not among them.
    let newest = (50..60).map(|seq| message(seq, "bob", "new")).collect();
    kit.input(Input::Past { target: target("#design"), messages: newest, complete: false });
    let asked = kit.effects.iter().rev().find_map(|effect| match effect {
        Effect::Past { before, from, .. } => Some((before.unwrap().0, from.unwrap().0)),
        _ => None,
    });
    assert_eq!(asked, Some((50, 7)));
    let older = (7..50).map(|seq| message(seq, "bob", &format!("number {seq}"))).collect();
    kit.input(Input::Past { target: target("#design"), messages: older, complete: false });
    assert!(kit.screen().contains("number 7"), "{}", kit.screen());
    assert_eq!(
        kit.open().chosen.and_then(|at| kit.open().message(at)).map(openchat_tui::Message::named),
        Some(named("bob", 7))
    );
}

#[test]
fn screen_commands_are_marked_as_such() {
    let screen: Vec<_> =
        COMMANDS.iter().filter(|one| one.place == Where::Screen).map(|one| one.name).collect();
    assert_eq!(screen.len(), 8, "{screen:?}");
}
