//! Conversations of every kind through the real programs: with somebody who has never been online,
//! in closed groups, among those who come, go and are put out.

#![allow(clippy::expect_used, reason = "a missing event has failed the test")]

use openchat_sim::{
    Client, Lines, Person, Server, entries, files_below, files_with, forget_groups, group_secrets,
    vault_holds,
};
use serde_json::{Value, json};

#[test]
fn who_has_never_been_online_reads_the_first_message() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let sent = alice.run(&["send", "@bob", "Welcome, Bob."]);
    assert_eq!(sent.last().expect("an ack")["type"], "ack");

    // A session elsewhere announces it, without showing it.
    let mut general = bob.join();
    assert_eq!(general.event("unread")["target"], "@alice");
    assert_eq!(general.finish(), Some(0));
    let list = bob.run(&["group", "list"]);
    let direct = list.iter().find(|it| it["target"] == "@alice").expect("it is listed");
    assert_eq!((&direct["kind"], &direct["waiting"]), (&"direct".into(), &1.into()));

    let mut with_alice = bob.open("@alice");
    let message = with_alice.message("Welcome, Bob.");
    assert_eq!(message["id"], sent.last().expect("an ack")["id"]);
    assert_eq!((&message["sender"], &message["trust"]), (&"alice".into(), &"certified".into()));
    with_alice.ready();
    let mut with_bob = alice.open("@bob");
    with_bob.change("bob", "claimed");
    with_alice.send("thanks", "Thanks, Alice.");
    with_bob.message("Thanks, Alice.");
    assert!([with_alice, with_bob].iter_mut().all(|client| client.finish() == Some(0)));
    let waiting = bob.run(&["group", "list"]);
    assert!(waiting.iter().all(|it| it["waiting"] == 0), "{waiting:?}");
}

#[test]
fn a_closed_group_by_invitation_accepted_and_declined() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| server.enroll(name));
    let mut bobs = bob.join();
    bobs.ready();
    alice.run(&["group", "new", "ops", "--invite", "bob", "carol"]);
    assert_eq!(names(&show(&alice, "#ops")["invited"]), ["bob", "carol"]);
    let mut ops = alice.open("#ops");
    ops.ready();

    let invited = bobs.event("invited");
    assert_eq!((&invited["target"], &invited["by"]), (&"#ops".into(), &"alice".into()));
    assert_eq!(names(&invited["members"]), ["alice"]);
    bobs.obey(json!({"type": "join", "target": "#ops"}));
    ops.change("bob", "joined");
    carol.run(&["group", "decline", "#ops"]);
    ops.change("carol", "declined");

    ops.send("plan", "The plan of three, now of two.");
    bobs.message("The plan of three, now of two.");
    bobs.send("yes", "Yes.");
    assert_eq!(ops.message("Yes.")["target"], "#ops");
    let shown = show(&alice, "#ops");
    assert_eq!(members(&shown), ["alice", "bob"]);
    assert_eq!((names(&shown["invited"]), &shown["kind"]), (vec![], &"closed".into()));
    let (code, refused) = carol.try_to(&["join", "#ops"]);
    assert_ne!(code, Some(0), "{refused:?}");
}

#[test]
fn in_lines_news_come_with_names_and_commands_are_obeyed() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut bobs = Lines::start(&bob, &["join", "#general", "--commands"]);
    bobs.told("#general: epoch 1, bob (me, admin)");
    alice.run(&["group", "new", "ops", "--invite", "bob"]);
    bobs.told("alice invites you to #ops (alice); accept: /join #ops; decline: /decline #ops");
    bobs.types("/jion #ops");
    bobs.told("next: did you mean /join TARGET? //text sends /text");
    bobs.types("/join #ops");
    bobs.told("#ops: epoch 2, alice (certified, admin), bob (me)");
    bobs.types("said in #ops");
    bobs.types("/names");
    bobs.told("#ops  closed  member  epoch 2");
    let mut ops = alice.open("#ops");
    assert_eq!(ops.message("said in #ops")["target"], "#ops");
    ops.obey(json!({"type": "role", "who": "bob", "role": "admin"}));
    bobs.told("#ops: alice made bob an admin");
    bobs.types("/kick alice");
    bobs.told("#ops: bob removed alice, 1 member now");
    assert_eq!(ops.ended(), Some(1));
    let (code, stdout) = bobs.quit();
    assert_eq!(code, Some(1), "one of its lines was refused");
    assert!(stdout.ends_with("\t#ops\tbob\tcertified\tsaid in #ops\n"), "{stdout}");
    assert_eq!(stdout.lines().count(), 1, "what was refused was not sent: {stdout}");
}

#[test]
fn a_group_that_one_was_invited_to_while_away_is_never_taken_for_an_open_one() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    alice.run(&["group", "new", "ops", "--invite", "bob"]);
    // The first thing that Bob does: his device does not know of it yet.
    let mut bobs = bob.open("#ops");
    bobs.ready();
    let shown = show(&bob, "#ops");
    assert_eq!((&shown["kind"], members(&shown)), (&"closed".into(), vec!["alice", "bob"]));
    let (code, objects) = alice.try_to(&["send", "#oops", "x"]);
    assert_eq!(code, Some(7), "only `join` begins an open group: {objects:?}");
}

#[test]
fn who_is_added_is_in_at_once_and_unclaimed_until_they_come() {
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    alice.run(&["group", "new", "ops", "--add", "bob"]);
    assert_eq!(claimed(&show(&alice, "#ops")), [("alice".into(), true), ("bob".into(), false)]);
    alice.run(&["send", "#ops", "before Bob ever came"]);
    let mut bobs = bob.join();
    let added = bobs.change("bob", "added");
    assert_eq!((&added["target"], &added["by"]), (&"#ops".into(), &"alice".into()));
    bobs.obey(json!({"type": "join", "target": "#ops"}));
    bobs.message("before Bob ever came");
    let mut ops = alice.open("#ops");
    ops.change("bob", "claimed");
    assert_eq!(claimed(&show(&alice, "#ops")), [("alice".into(), true), ("bob".into(), true)]);
}

#[test]
fn who_is_put_out_is_told_and_reads_nothing_more() {
    let server = Server::start();
    let ([_, bob, carol], [mut alices, mut bobs, mut carols]) = three_in_ops(&server);
    alices.send("all", "for all three");
    bobs.message("for all three");
    alice_kicks_bob(&mut alices);
    let gone = bobs.event("gone");
    assert_eq!((&gone["by"], &gone["change"]), (&"alice".into(), &"removed".into()));
    assert_eq!(bobs.ended(), Some(1), "its process says so");
    assert_eq!(bobs.seen().last().expect("an error")["code"], "removed");
    assert_eq!(carols.change("bob", "removed")["by"], "alice");

    alices.send("two", "for the two who are left");
    carols.message("for the two who are left");
    let (code, objects) = bob.try_to(&["join", "#ops"]);
    assert_ne!(code, Some(0), "{objects:?}");
    let left = vault_holds(&bob, b"for the two who are left");
    assert!(!left, "nothing of it is on the disk of who was put out");
    assert!(vault_holds(&bob, b"for all three"), "the search would find what is there");
    assert_eq!(members(&show(&carol, "#ops")), ["alice", "carol"]);

    // Only an admin's invitation brings Bob back.
    alices.obey(json!({"type": "invite", "who": "bob"}));
    bob.run(&["group", "join", "#ops"]);
    assert_eq!(carols.change("bob", "joined")["target"], "#ops");
}

fn alice_kicks_bob(alices: &mut Client) {
    alices.obey(json!({"type": "kick", "who": "bob"}));
    assert_eq!(alices.change("bob", "removed")["by"], "alice");
}

#[test]
fn who_leaves_is_gone_and_the_oldest_member_becomes_admin() {
    let server = Server::start();
    let ([alice, bob, _], [mut alices, mut bobs, mut carols]) = three_in_ops(&server);
    alices.obey(json!({"type": "leave"}));
    for others in [&mut bobs, &mut carols] {
        others.change("alice", "left");
        others.change("bob", "admin");
    }
    assert_eq!(alices.event("gone")["change"], "left");
    assert_eq!(alices.ended(), Some(0), "nothing else was open, and it was wanted");
    assert_eq!(show(&alice, "#ops")["stage"], "out");
    let shown = show(&bob, "#ops");
    let bob_is = shown["members"].as_array().and_then(|all| all.iter().find(|m| m["me"] == true));
    assert_eq!(bob_is.expect("Bob")["role"], "admin");
    bobs.send("two", "now we are two");
    carols.message("now we are two");
}

#[test]
fn admins_decide_who_invites_and_who_is_admin() {
    let server = Server::start();
    let _ = server.enroll("dave");
    let (_, [mut alices, mut bobs, mut carols]) = three_in_ops(&server);
    alices.obey(json!({"type": "policy", "invite": "admins"}));
    let policy = carols.event("policy");
    assert_eq!((&policy["invite"], &policy["by"]), (&"admins".into(), &"alice".into()));
    carols.order(&json!({"type": "invite", "who": "dave", "ref": "not yet"}));
    let refused = carols.until("a refusal", |event| event["ref"] == "not yet");
    assert_eq!((&refused["type"], &refused["code"]), (&"error".into(), &"admins-only".into()));

    alices.obey(json!({"type": "role", "who": "carol", "role": "admin"}));
    assert_eq!(carols.change("carol", "admin")["by"], "alice");
    carols.obey(json!({"type": "invite", "who": "dave"}));
    assert_eq!(bobs.change("dave", "invited")["by"], "carol");
    carols.obey(json!({"type": "kick", "who": "dave"}));
    bobs.change("dave", "declined");
    alices.obey(json!({"type": "role", "who": "carol", "role": "member"}));
    bobs.change("carol", "member");
    bobs.order(&json!({"type": "kick", "who": "alice", "ref": "no"}));
    let refused = bobs.until("a refusal", |event| event["ref"] == "no");
    assert_eq!(refused["code"], "admins-only");
    let names = carols.obey(json!({"type": "names"}));
    assert_eq!(names["target"], "#ops");
    assert_eq!(members(&carols.event("conversation")), ["alice", "bob", "carol"]);
}

#[test]
fn sending_once_tells_by_its_exit_code_how_it_went() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let (code, objects) = alice.try_to(&["send", "@nobody", "x"]);
    assert_eq!(
        (code, &objects.last().expect("an error")["code"]),
        (Some(7), &"no-such-person".into())
    );
    let (code, _) = Person::new("carol", &server).try_to(&["send", "@bob", "x"]);
    assert_eq!(code, Some(3));
    let acked = alice.run(&["send", "@bob", "one"]);
    server.kill();
    let (code, objects) = alice.try_to(&["send", "@bob", "two"]);
    assert_eq!(
        (code, objects.last().expect("an error")["code"].as_str()),
        (Some(8), Some("queued"))
    );
    let queued = objects.iter().find(|it| it["type"] == "queued").expect("its id").clone();
    server.run();
    let third = alice.run(&["send", "@bob", "three"]);
    let mut bobs = bob.open("@alice");
    for (text, id) in [("one", &acked[0]["id"]), ("two", &queued["id"]), ("three", &third[0]["id"])]
    {
        assert_eq!(bobs.message(text)["id"], *id);
    }
    let texts: Vec<_> = bobs.messages().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn of_two_copies_of_one_device_the_second_stops_with_an_alarm() {
    let server = Server::start();
    let ([alice, ..], [mut alices, mut bobs, _]) = three_in_ops(&server);
    assert_eq!(alices.finish(), Some(0));
    let copy = alice.copied_to("stolen home");
    let mut originals = alice.open("#ops");
    originals.ready();
    let mut copies = copy.open("#ops");
    copies.ready();
    originals.send("first", "who speaks first is Alice");
    assert_eq!(copies.ended(), Some(5));
    let alarm = copies.event("alarm");
    assert_eq!((&alarm["code"], &alarm["target"]), (&"clone".into(), &"#ops".into()));
    assert_eq!(copies.seen().last().expect("an error")["code"], "clone");
    originals.send("second", "and goes on");
    bobs.message("and goes on");
    assert_eq!(originals.finish(), Some(0));

    // The other one may be the one to keep: one command says so.
    copy.run(&["group", "rejoin", "#ops"]);
    bobs.change("alice", "rejoined");
    copy.run(&["send", "#ops", "now it is I"]);
    bobs.message("now it is I");
}

#[test]
fn who_restores_a_backup_comes_back_with_new_keys_and_the_old_device_stops() {
    let server = Server::start();
    let ([alice, ..], [mut alices, mut bobs, _]) = three_in_ops(&server);
    alices.send("before", "before the backup");
    bobs.message("before the backup");
    assert_eq!(alices.finish(), Some(0));
    let secret = server.place().join("secret");
    std::fs::write(&secret, "correct horse").expect("a file");
    let backup = server.place().join("alice.openchat");
    let [secret, file] = [&secret, &backup].map(|path| path.to_str().expect("text"));
    let option = "--backup-passphrase-file";
    alice.run(&["export", "--backup", file, option, secret]);
    let restored = alice.moved_to("new home");
    restored.run(&["import", file, option, secret]);
    let kept = restored.run(&["history", "#ops"]);
    assert!(kept.iter().any(|message| message["text"] == "before the backup"), "{kept:?}");
    assert!(vault_holds(&restored, b"before the backup"));
    assert!(group_secrets(&restored).is_empty(), "nothing that seals or opens messages");
    assert!(!group_secrets(&alice).is_empty(), "the search would find it");

    let mut olds = alice.open("#ops");
    olds.ready();
    let mut news = restored.open("#ops");
    news.ready();
    bobs.change("alice", "rejoined");
    assert_eq!(olds.ended(), Some(5), "the old one was there");
    assert_eq!(olds.event("alarm")["code"], "clone");
    news.send("after", "from the new device");
    bobs.message("from the new device");
    bobs.send("back", "and back to it");
    news.message("and back to it");
    let (code, objects) = alice.try_to(&["send", "#ops", "from the old device"]);
    assert_ne!(code, Some(0), "{objects:?}");
    bobs.send("end", "the end");
    bobs.message("the end");
    assert!(bobs.messages().all(|message| message["text"] != "from the old device"));
    assert_eq!(news.finish(), Some(0));
}

/// Two of one device: the one that came last goes on, and no key is ever used by both.
#[test]
fn who_restores_a_backup_twice_has_one_device_that_goes_on() {
    let server = Server::start();
    let ([alice, ..], [mut alices, mut bobs, _]) = three_in_ops(&server);
    assert_eq!(alices.finish(), Some(0));
    let secret = server.place().join("secret");
    std::fs::write(&secret, "correct horse").expect("a file");
    let backup = server.place().join("alice.openchat");
    let [secret, file] = [&secret, &backup].map(|path| path.to_str().expect("text"));
    let option = "--backup-passphrase-file";
    alice.run(&["export", "--backup", file, option, secret]);
    let [first, second] = ["first", "second"].map(|home| alice.moved_to(home));
    for restored in [&first, &second] {
        restored.run(&["import", file, option, secret]);
        assert!(group_secrets(restored).is_empty());
    }

    let mut firsts = first.open("#ops");
    firsts.ready();
    firsts.send("1", "from the first");
    bobs.message("from the first");
    let mut seconds = second.open("#ops");
    seconds.ready();
    assert_eq!(firsts.ended(), Some(5), "there is another one");
    assert_eq!(firsts.event("alarm")["code"], "clone");
    seconds.send("2", "from the second");
    bobs.message("from the second");
    for stopped in [&first, &alice] {
        let (code, objects) = stopped.try_to(&["send", "#ops", "from one that was stopped"]);
        assert_ne!(code, Some(0), "{objects:?}");
    }
    bobs.send("end", "the end");
    seconds.message("the end");
    assert_eq!(seconds.finish(), Some(0));
    assert!(bobs.messages().all(|message| message["text"] != "from one that was stopped"));
    let keys: Vec<_> =
        entries(&server.data()).iter().filter_map(openchat_sim::Entry::message_key).collect();
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert!(keys.len() >= 3 && distinct.len() == keys.len(), "a key was used twice");
}

#[test]
fn who_has_lost_a_groups_keys_comes_back_by_one_command() {
    let server = Server::start();
    let ([_, bob, _], [mut alices, mut bobs, _]) = three_in_ops(&server);
    assert_eq!(bobs.finish(), Some(0));
    forget_groups(&bob);
    bob.run(&["group", "rejoin", "#ops"]);
    alices.change("bob", "rejoined");
    let mut bobs = bob.open("#ops");
    bobs.ready();
    alices.send("again", "Bob reads again");
    bobs.message("Bob reads again");
    bobs.send("too", "and writes again");
    alices.message("and writes again");
}

#[test]
fn the_server_has_no_name_of_a_closed_group_and_no_text() {
    const NAME: &str = "merger-of-the-year";
    // With all of its trace: that may hold none of it either.
    let mut server = Server::start_with(&["-vv"]);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| server.enroll(name));
    let group = format!("#{NAME}");
    alice.run(&["group", "new", NAME, "--invite", "bob", "--add", "carol"]);
    bob.run(&["group", "join", &group]);
    let secrets = ["Only the three of us know of this.", "And this is for Bob alone."];
    alice.run(&["send", &group, secrets[0]]);
    alice.run(&["send", "@bob", secrets[1]]);
    let mut bobs = bob.open("@alice");
    bobs.message(secrets[1]);
    bobs.obey(json!({"type": "join", "target": group}));
    bobs.message(secrets[0]);
    carol.open(&group).message(secrets[0]);
    assert!(server.stop().success());

    let mut files = files_below(&server.data());
    files.push(server.console_file());
    assert!(!files_with(&files, b"alice").is_empty(), "the search would find what is there");
    for secret in [NAME, secrets[0], secrets[1]] {
        assert_eq!(files_with(&files, secret.as_bytes()).len(), 0, "{secret}");
        assert!(vault_holds(&alice, secret.as_bytes()), "Alice's device has it: {secret}");
    }
}

/// Alice, Bob and Carol in the closed group `#ops`, of which Alice is the admin, each with it open.
fn three_in_ops(server: &Server) -> ([Person; 3], [Client; 3]) {
    let people = ["alice", "bob", "carol"].map(|name| server.enroll(name));
    people[0].run(&["group", "new", "ops", "--invite", "bob"]);
    people[1].run(&["group", "join", "#ops"]);
    people[0].run(&["group", "invite", "#ops", "carol"]);
    people[2].run(&["group", "join", "#ops"]);
    let mut clients = people.each_ref().map(|person| person.open("#ops"));
    for client in &mut clients {
        client.ready();
        for person in &people {
            client.meet(person.name());
        }
    }
    (people, clients)
}

fn show(person: &Person, target: &str) -> Value {
    person.run(&["group", "show", target]).pop().expect("a conversation")
}

fn names(array: &Value) -> Vec<&str> {
    let names = array.as_array().expect("an array").iter();
    let mut names: Vec<_> = names.map(|it| it.as_str().expect("a name")).collect();
    names.sort_unstable();
    names
}

fn members(shown: &Value) -> Vec<&str> {
    let members = shown["members"].as_array().expect("members");
    let mut names: Vec<_> = members.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    names
}

fn claimed(shown: &Value) -> Vec<(String, bool)> {
    let members = shown["members"].as_array().expect("members").iter();
    let claim = |member: &Value| {
        let name = member["name"].as_str().expect("a name").to_owned();
        (name, member["claimed"].as_bool().expect("a claim"))
    };
    let mut all: Vec<_> = members.map(claim).collect();
    all.sort_unstable();
    all
}
