use super::*;
use crate::fault::{Exit, Hints};
use openchat_client::{dial::DialError, engine::Target};
use openchat_wire::{Epoch, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::time::Duration;

fn message(target: &str, text: &str) -> StoredMessage {
    StoredMessage {
        group: GroupId([1; 32]),
        target: target.to_owned(),
        seq: Seq(1),
        id: MessageId([1; 16]),
        sender: "bob".parse().unwrap(),
        fingerprint: Fingerprint([1; 32]),
        trust: trust::of_word("certified").unwrap(),
        time: UnixMillis(0),
        body: openchat_client::engine::Body::Text(text.to_owned()),
        own: false,
    }
}

/// Alice's, with `#general` open.
fn screen(style: Style) -> Screen {
    let general: Target = "#general".parse().unwrap();
    let teller = Teller { slashes: false, hints: Hints::new("openchat".to_owned()) };
    let shared = Arc::new(Shared::new(false, general));
    let mut screen = Screen::new(style, "alice".parse().unwrap(), teller, shared);
    screen.opened("#general");
    screen
}

fn gone(target: &str, change: MemberChange) -> Report {
    Report::Event(Event::Gone {
        target: target.to_owned(),
        change,
        by: Some("bob".parse().unwrap()),
    })
}

fn failed(order: Option<u64>, code: &'static str) -> Report {
    let (message, hint) = ("no".to_owned(), "h".to_owned());
    Report::Event(Event::Failed { order, id: None, target: None, code, message, hint })
}

#[test]
fn a_line_has_five_fields_whatever_the_text() {
    let shown = line(&message("#general", "a\tb\nc\u{1b}[31m"));
    assert_eq!(shown, "1970-01-01T00:00:00.000Z\t#general\tbob\tcertified\ta\\tb\\nc\\u{1b}[31m\n");
    assert_eq!(shown.matches('\t').count(), 4);
}

/// A tab ends what is ordered from right to left, and what precedes the text is never such: so a text
/// moves nothing but itself, and scripts get it as it is.
#[test]
fn only_the_last_field_can_run_from_right_to_left() {
    let shown = line(&message("#general", "שלום\t7 \u{202e}x\u{2067}"));
    let (before, text) = shown.rsplit_once('\t').unwrap();
    assert!(before.is_ascii() && before.matches('\t').count() == 3, "{before}");
    assert_eq!(text, "שלום\\t7 \\u{202e}x\\u{2067}\n");
}

#[test]
fn other_conversations_are_announced_once_and_not_shown() {
    let of_bob = || Report::Event(Event::Message(message("@bob", "psst")));
    let mut lines = screen(Style::Lines);
    let said = "@bob: bob writes; open it: openchat join @bob\n";
    assert_eq!(lines.rendered(&of_bob()), (String::new(), said.to_owned()));
    assert_eq!(lines.rendered(&of_bob()), (String::new(), String::new()));
    assert!(!lines.shows("@bob"));
    let (object, _) = screen(Style::Json).rendered(&of_bob());
    assert_eq!(object, "{\"v\":1,\"type\":\"unread\",\"target\":\"@bob\",\"sender\":\"bob\"}\n");
    lines.opened("@bob");
    assert!(lines.rendered(&of_bob()).0.contains("psst"));
}

#[test]
fn being_added_elsewhere_is_announced_and_what_others_do_there_is_not() {
    let added = |who: &str| {
        Report::Event(Event::Member {
            target: "#ops".to_owned(),
            name: who.parse().unwrap(),
            change: MemberChange::Added,
            by: Some("bob".parse().unwrap()),
            epoch: Epoch(1),
            count: 2,
        })
    };
    let mut screen = screen(Style::Lines);
    assert_eq!(screen.rendered(&added("carol")).1, "");
    let said = "#ops: bob added you; open it: openchat join '#ops'\n";
    assert_eq!(screen.rendered(&added("alice")).1, said);
}

#[test]
fn who_is_put_out_of_the_last_conversation_is_told_and_the_session_ends() {
    let mut screen = screen(Style::Lines);
    screen.opened("@bob");
    screen.note(&gone("#general", MemberChange::Removed));
    assert!(!screen.is_over(), "another one is open");
    let said = screen.rendered(&gone("#general", MemberChange::Removed)).1;
    assert!(said.starts_with("#general: bob removed you"), "{said}");
    screen.note(&gone("@bob", MemberChange::Left));
    assert!(screen.is_over());
    assert_eq!(screen.put_out_of(), None, "the last of them was left");
    screen.opened("#general");
    assert!(!screen.is_over());
    screen.note(&gone("#general", MemberChange::Removed));
    assert_eq!(screen.put_out_of(), Some("#general"));
}

#[test]
fn a_conversation_that_can_not_be_opened_ends_it_with_the_reason() {
    let mut screen = screen(Style::Json);
    screen.note(&failed(Some(2), "no-such-person"));
    assert!(!screen.is_over(), "that was a later line");
    screen.note(&failed(Some(FIRST), "no-such-person"));
    assert!(screen.is_over());
    assert_eq!(screen.rendered(&failed(Some(FIRST), "no-such-person")).0, "", "told at the end");
    assert_eq!(screen.fault().unwrap().exit, Exit::NotFound);
}

#[test]
fn another_copy_of_this_device_ends_it() {
    let mut screen = screen(Style::Lines);
    let alarm = Report::Event(Event::Alarm {
        target: Some("#general".to_owned()),
        code: AlarmCode::Clone,
        message: "a message in your name".to_owned(),
        hint: "stop".to_owned(),
    });
    screen.note(&alarm);
    assert!(screen.rendered(&alarm).1.starts_with("ALARM #general"));
    assert!(screen.is_over());
    let fault = screen.fault().unwrap();
    assert_eq!((fault.exit, fault.code), (Exit::Trust, "clone"));
    assert!(fault.hint.ends_with("openchat group rejoin '#general'"), "{}", fault.hint);
}

#[test]
fn the_connection_is_reported_when_it_changes() {
    let mut screen = screen(Style::Json);
    let offline = || Report::Offline {
        cause: DialError::Unreachable("refused".to_owned()),
        retry: Duration::from_secs(1),
    };
    assert!(screen.rendered(&offline()).0.contains("offline"));
    assert_eq!(screen.rendered(&offline()).0, "");
    assert!(screen.rendered(&Report::Online).0.contains("online"));
    assert!(screen.rendered(&offline()).0.contains("offline"));
}

#[test]
fn quiet_hides_news_and_keeps_warnings() {
    let mut screen = screen(Style::QuietLines);
    assert_eq!(screen.rendered(&Report::Online).1, "");
    assert_eq!(screen.rendered(&failed(None, "x")).1, "error: no\nnext: h\n");
}

#[test]
fn a_reference_is_handed_back_once() {
    let mut screen = screen(Style::Json);
    let sent = json::parse(r#"{"type":"send","text":"a","ref":"r"}"#).unwrap();
    screen.shared.answers().name(MessageId([1; 16]), sent.reference.unwrap());
    let ack = Report::Event(Event::Ack { id: MessageId([1; 16]), seq: Seq(1) });
    assert!(screen.rendered(&ack).0.contains(r#""ref":"r""#));
    assert!(!screen.rendered(&ack).0.contains("ref"));
}

#[test]
fn an_order_is_answered_with_its_reference() {
    let mut screen = screen(Style::Json);
    let left = json::parse(r#"{"type":"leave","ref":7}"#).unwrap();
    let json::Ordered::Wish(wish) = left.what else { panic!("a wish") };
    let order = screen.shared.answers().expect(&wish.what, left.reference);
    let done = Report::Event(Event::Done { order, target: "#ops".to_owned() });
    let line = "{\"v\":1,\"type\":\"done\",\"ref\":7,\"target\":\"#ops\"}\n";
    assert_eq!(screen.rendered(&done).0, line);
    let opened = Report::Event(Event::Done { order: FIRST, target: "#general".to_owned() });
    assert_eq!(screen.rendered(&opened).0, "", "nobody asked for that");
}
