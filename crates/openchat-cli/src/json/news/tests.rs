use super::*;
use crate::json;
use openchat_client::{
    Ask, Follow, Pick, Say, Start,
    engine::{Bring, Grounds, GroupKind, Inviting, Joining, Order, Role},
};
use std::collections::BTreeMap;

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

fn member(role: Role, online: bool) -> MemberView {
    let trust = trust::of_word("CHANGED").unwrap();
    MemberView { name: name("bob"), me: !online, trust, role, claimed: true, online }
}

fn message() -> StoredMessage {
    StoredMessage {
        group: GroupId([1; 32]),
        target: "#ops~1f2e".to_owned(),
        seq: Seq(u64::MAX),
        id: MessageId([0xab; 16]),
        sender: name("bob"),
        fingerprint: Fingerprint([2; 32]),
        trust: trust::of_word("verified").unwrap(),
        time: UnixMillis(1_763_683_200_007),
        body: Body::Text("two\nlines \u{202e} \"quoted\" \u{1f600}".to_owned()),
        own: true,
    }
}

/// A message of each kind.
fn messages() -> Vec<Event> {
    let to = MessageRef { author: Fingerprint([4; 32]), id: MessageId([6; 16]) };
    let text = || "a\u{202e}b".to_owned();
    let hash = Digest([3; 32]);
    let bodies = [
        Body::Action(text()),
        Body::Reply { to, text: text() },
        Body::Reaction { to, emoji: "\u{1f600}".to_owned(), on: true },
        Body::Reaction { to, emoji: "+".to_owned(), on: false },
        Body::Edit { of: to.id, text: text() },
        Body::Delete { of: to.id },
        Body::Topic(String::new()),
        Body::Timer(None),
        Body::Timer(Some(Duration::from_hours(1))),
        Body::File(Offer { name: text(), size: u64::MAX, hash }),
        Body::Unknown { kind: 77, bytes: vec![0x1b] },
    ];
    let said = |body| Event::Message(StoredMessage { body, ..message() });
    bodies.into_iter().map(said).collect()
}

fn progress(own: bool) -> Progress {
    Progress {
        target: "#ops".to_owned(),
        group: GroupId([1; 32]),
        file: MessageRef { author: Fingerprint([4; 32]), id: MessageId([6; 16]) },
        name: "a b".to_owned(),
        done: 3,
        size: 9,
        own,
    }
}

/// One of each kind that is told, with every field.
fn events() -> Vec<Event> {
    let target = || "#ops".to_owned();
    let (id, seq, epoch) = (MessageId([3; 16]), Seq(9), Epoch(4));
    let (message, hint) = (|| "what".to_owned(), || "what next".to_owned());
    let rules = Rules { join: Joining::Admitted, invite: Inviting::Admins };
    let mut events = vec![
        Event::Message(self::message()),
        Event::Ack { id, seq },
        Event::Delivered { target: target(), id, seq, by: name("bob"), count: 1, of: 2 },
        Event::Ready {
            target: target(),
            epoch,
            members: vec![member(Role::Admin, true), member(Role::Member, false)],
        },
        Event::Presence { target: target(), online: vec![name("bob")], offline: Vec::new() },
        Event::Rules { target: target(), rules, by: name("bob") },
        Event::Invited { target: target(), by: Some(name("bob")), members: vec![name("bob")] },
        Event::Invited { target: target(), by: None, members: Vec::new() },
        Event::Gone { target: target(), change: MemberChange::Removed, by: Some(name("bob")) },
        Event::Waiting { target: target(), code: "not-stored", message: message(), hint: hint() },
        Event::Unreadable { target: target(), seq, cause: message(), hint: hint() },
        Event::Dropped { target: target(), count: 3, first: Seq(1), last: Seq(3) },
        Event::Renewed { certificate: Vec::new(), until: UnixMillis(253_402_300_799_999) },
        Event::Expiring { until: UnixMillis(253_402_300_799_999), days: 7 },
    ];
    events.extend(messages());
    events.extend([true, false].map(progress).map(Event::Progress));
    events.extend(CHANGES.into_iter().map(|change| Event::Member {
        target: target(),
        name: name("bob"),
        change,
        by: (change != MemberChange::Joined).then(|| name("alice")),
        epoch,
        count: 2,
    }));
    events.extend(ALARMS.into_iter().map(|code| Event::Alarm {
        target: (code != AlarmCode::OwnName).then(target),
        code,
        message: message(),
        hint: hint(),
    }));
    events
}

fn reports() -> Vec<Report> {
    let offline = |cause| Report::Offline { cause, retry: Duration::from_secs(1) };
    let mut reports: Vec<_> = events().into_iter().map(Report::Event).collect();
    reports.extend([
        Report::Online,
        Report::File { progress: progress(false), is_right: true },
        Report::File { progress: progress(false), is_right: false },
        Report::Saved { target: "#ops".to_owned(), path: PathBuf::from("/a place/\u{202e}") },
        offline(DialError::Unreachable("refused".to_owned())),
        offline(DialError::NotOpenchat),
        Report::Log(LogView { size: 1042, warns: true }),
        Report::Evidence(PathBuf::from("/a place/evidence")),
        Report::Forgotten { target: "#ops".to_owned(), unshown: 3 },
    ]);
    for (standing, stopped) in [
        (Standing::Member, true),
        (Standing::Invited, false),
        (Standing::Entering, false),
        (Standing::Out, false),
        (Standing::Halted, false),
    ] {
        reports.push(Report::Standing(Summary {
            target: "#ops".parse().unwrap(),
            kind: ConversationKind::Closed,
            group: (standing != Standing::Invited).then_some(GroupId([8; 32])),
            standing,
            inviter: Some(name("bob")),
            epoch: Epoch(1),
            rules: Some(Rules { join: Joining::Anyone, invite: Inviting::Members }),
            members: vec![member(Role::Admin, true)],
            invited: vec![name("carol")],
            queued: 2,
            stopped,
            former: stopped.then(|| name("erin")),
        }));
    }
    reports.push(Report::Contact(Contact {
        name: name("bob"),
        key: Fingerprint([7; 32]),
        trust: trust::of_word("certified").unwrap(),
        number: "12345 ".repeat(12).trim().parse().unwrap(),
        text: "openchat:v1:…".to_owned(),
    }));
    reports
}

fn written(report: &Report) -> String {
    match report {
        Report::Event(Event::Message(message)) => json::told(message),
        Report::Event(Event::Progress(progress)) => json::told_file(progress, None),
        Report::File { progress, is_right } => json::told_file(progress, Some(*is_right)),
        report => json::report(report, None),
    }
}

#[test]
fn what_one_process_writes_the_other_reads() {
    for report in reports() {
        let line = written(&report);
        let Some(FromHolder::Report(read)) = news(&line) else { panic!("{line}") };
        assert_eq!(written(&read), line);
    }
}

#[test]
fn answers_come_back_to_the_one_who_asked() {
    let failed = json::line(&json::Error::about("not-member", "no", "join", None));
    let fields = |line: &str| match news(line) {
        Some(FromHolder::Report(Report::Event(event))) => event,
        other => panic!("{line}: {other:?}"),
    };
    let Event::Failed { order: None, id: None, code: "not-member", .. } = fields(&failed) else {
        panic!("{failed}")
    };
    let with =
        |reference: &str| failed.replace("\"hint\"", &format!("\"ref\":{reference},\"hint\""));
    assert!(matches!(fields(&with("7")), Event::Failed { order: Some(7), id: None, .. }));
    let id = MessageId([5; 16]);
    let Event::Failed { order: None, id: Some(found), .. } = fields(&with(&format!("\"{id}\"")))
    else {
        panic!("an id")
    };
    assert_eq!(found, id);
    let done = json::done("#ops", None).replace("\"target\"", "\"ref\":7,\"target\"");
    assert!(matches!(fields(&done), Event::Done { order: 7, .. }));
}

#[test]
fn a_path_is_told_from_the_root_on() {
    let (target, to) = ("#ops".parse().unwrap(), PathBuf::from("below"));
    let line = json::ask(&Ask::Save { order: 7, target, file: Pick::Last, to });
    let here = std::env::current_dir().unwrap().join("below");
    assert!(line.contains(&format!("\"path\":\"{}\"", here.display())), "{line}");
}

#[test]
fn the_words_of_the_socket_are_read() {
    assert!(matches!(news(&json::opened("#ops")), Some(FromHolder::Opened(it)) if it == "#ops"));
    let following = json::following("#ops", 7);
    assert!(matches!(news(&following), Some(FromHolder::Following(_, Seq(7)))));
    let end = GuestEnd { taken: Vec::new(), lost: 2, halted: true };
    assert!(matches!(news(&json::end(&end, &[])), Some(FromHolder::End(it)) if it == end));
}

#[test]
fn what_is_not_known_is_nothing() {
    for line in [
        "",
        "[]",
        "{}",
        r#"{"type":"message"}"#,
        r#"{"type":"later"}"#,
        r#"{"type":"ack","id":"zz","seq":1}"#,
        r#"{"type":"ready","target":"x","epoch":-1,"members":[]}"#,
        r#"{"type":"presence","target":"x","online":["A b"],"offline":[]}"#,
    ] {
        assert!(news(line).is_none(), "{line}");
    }
}

#[test]
fn codes_are_remembered_up_to_a_number() {
    let mut codes = BTreeSet::new();
    for number in 0..2 * MOST_CODES {
        kept(&format!("code-{number}"), &mut codes);
    }
    assert_eq!(codes.len(), MOST_CODES);
    assert_eq!(kept("code-1", &mut codes), "code-1");
    assert_eq!(kept("one-more", &mut codes), "other");
}

fn asks() -> Vec<Ask> {
    let at = || "#ops".parse::<Target>().unwrap();
    let (order, who) = (7, || name("bob"));
    let act = |what| Ask::Do { order, what };
    let pick = Pick::Id(MessageId([1; 16]));
    let of = Pick::Of(MessageRef { author: Fingerprint([3; 32]), id: MessageId([1; 16]) });
    let say = |what| Ask::Say { target: at(), id: MessageId([9; 16]), what };
    let follow = |from| Ask::Follow {
        order,
        follow: Follow { target: Some(at()), listener: Some(name("pager")), from },
    };
    vec![
        Ask::Open { order, target: at() },
        Ask::Send { target: at(), id: MessageId([9; 16]), text: "\u{1b}[2J".to_owned() },
        say(Say::Action("waves".to_owned())),
        say(Say::Reply { to: pick, text: "x".to_owned() }),
        say(Say::Reply { to: Pick::Last, text: "x".to_owned() }),
        say(Say::React { to: pick, emoji: "+".to_owned(), on: true }),
        say(Say::React { to: Pick::Last, emoji: "+".to_owned(), on: false }),
        say(Say::Edit { of: pick, text: "x".to_owned() }),
        say(Say::Delete { of: pick }),
        say(Say::Reply { to: of, text: "x".to_owned() }),
        say(Say::React { to: of, emoji: "+".to_owned(), on: true }),
        say(Say::Edit { of, text: "x".to_owned() }),
        say(Say::Delete { of }),
        say(Say::Topic(String::new())),
        say(Say::Timer(None)),
        say(Say::Timer(Some(Duration::from_hours(1)))),
        say(Say::File("/a place/x".into())),
        Ask::Save { order, target: at(), file: pick, to: "/a place".into() },
        Ask::Save { order, target: at(), file: of, to: "/a place".into() },
        Ask::Save { order, target: at(), file: Pick::Last, to: "/a place".into() },
        act(Order::Resume { target: at(), file: MessageId([1; 16]) }),
        act(Order::New {
            name: "ops".parse().unwrap(),
            kind: GroupKind::Closed,
            people: vec![who()],
            how: Bring::Add,
        }),
        act(Order::Invite { target: at(), who: who() }),
        act(Order::Add { target: at(), who: who() }),
        act(Order::Accept { target: at() }),
        act(Order::Decline { target: at() }),
        act(Order::Leave { target: at() }),
        act(Order::Kick { target: at(), who: who() }),
        act(Order::Role { target: at(), who: who(), role: Role::Admin }),
        act(Order::Rejoin { target: at() }),
        Ask::Policy { order, target: at(), join: None, invite: Some(Inviting::Admins) },
        Ask::Renew { order },
        Ask::Trust { order, who: who(), on: Grounds::Accepted },
        Ask::Trust {
            order,
            who: who(),
            on: Grounds::Compared("12345".repeat(12).parse().unwrap()),
        },
        Ask::Compare { order, who: who() },
        Ask::Describe { order, target: at() },
        follow(Start::Now),
        follow(Start::Beginning),
        follow(Start::After(Seq(3))),
        follow(Start::AfterMessage(MessageId([1; 16]))),
        follow(Start::At(UnixMillis(1_763_683_200_007))),
        follow(Start::Places(BTreeMap::from([("#ops".to_owned(), Seq(3))]))),
        Ask::Shown { order: Some(order), target: at(), seq: Seq(3), listener: None },
    ]
}

/// What the other side makes of the line, without the numbers that it chooses itself.
fn understood(line: &str) -> Vec<String> {
    let order = json::parse(line).unwrap_or_else(|bad| panic!("{line}: {}", bad.message));
    let asks = match order.what {
        json::Ordered::Send { target, id, text } => {
            vec![Ask::Send { target: target.unwrap(), id: id.unwrap(), text }]
        }
        json::Ordered::Say { target, id, what } => {
            vec![Ask::Say { target: target.unwrap(), id: id.unwrap(), what }]
        }
        json::Ordered::Wish(wish) => {
            let target = wish.target.unwrap_or_else(|| "#nowhere".parse().unwrap());
            wish.what.ask(target, 7)
        }
        json::Ordered::Listen(follow) => vec![Ask::Follow { order: 7, follow }],
        json::Ordered::Shown { target, seq, listener } => {
            vec![Ask::Shown { order: Some(7), target, seq, listener }]
        }
    };
    asks.iter().map(|ask| format!("{ask:?}")).collect()
}

#[test]
fn what_one_process_asks_the_other_understands() {
    for ask in asks() {
        let line = json::ask(&ask);
        assert_eq!(understood(&line), [format!("{ask:?}")], "{line}");
        assert!(line.contains("\"ref\""), "{line}");
    }
}
