//! The real binary: the vault's key, history, search, export, backups, retention.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "vault/files.rs"]
mod files;
mod support;

use openchat_client::{
    Survive, Vault,
    engine::{Change, StoredMessage, Trust},
};
use openchat_wire::{Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use support::{Ended, Home, ca, invitation, nowhere};

/// Bob, with four messages in #ops and one of alice.
fn home() -> Home {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let mut vault = Vault::open(&profile(&home)).unwrap();
    let ops = [
        ("carol", "deploy of 2.4 at 20:30, ok?"),
        ("bob", "go: https://wiki.acme/rel-2.4"),
        ("carol", "# \u{1b}[2Jdone\twith\nit"),
        ("carol", "明日東京に行きます"),
    ];
    let mut changes = Vec::new();
    for (index, (sender, text)) in ops.into_iter().enumerate() {
        let index = u64::try_from(index).unwrap();
        changes.push(Change::Message(message(9, "#ops", index + 1, sender, text)));
    }
    changes.push(Change::Message(message(8, "@alice", 1, "alice", "deploy?")));
    vault.apply(&changes, Survive::PowerCut).unwrap();
    home
}

fn message(group: u8, target: &str, seq: u64, sender: &str, text: &str) -> StoredMessage {
    StoredMessage {
        group: GroupId([group; 32]),
        target: target.to_owned(),
        seq: Seq(seq),
        id: MessageId([7; 16]),
        sender: sender.parse().unwrap(),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Certified,
        time: UnixMillis(seq * 86_400_000),
        body: openchat_client::engine::Body::Text(text.to_owned()),
        own: sender == "bob",
    }
}

fn profile(home: &Home) -> PathBuf {
    home.directory().join("profiles/default")
}

fn ok(home: &Home, args: &[&str]) -> String {
    let ended = home.run(args);
    assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
    ended.stdout
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file with a passphrase.
fn passphrase(home: &Home, name: &str, text: &str) -> String {
    fs::create_dir_all(home.directory()).unwrap();
    let path = home.directory().join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn code_of(ended: &Ended) -> (i32, String) {
    (ended.code, ended.json_error().0)
}

#[test]
fn history_is_lines_or_objects_of_one_conversation() {
    let home = home();
    let lines = ok(&home, &["history", "#ops"]);
    assert_eq!(lines.lines().count(), 4);
    assert!(lines.contains("\tcarol\tcertified\t# \\u{1b}[2Jdone\\twith\\nit\n"), "{lines}");
    assert!(!lines.contains('\u{1b}'));
    let texts = |args: &[&str]| -> Vec<String> {
        let all = objects(&ok(&home, &[&["--json", "history", "#ops"][..], args].concat()));
        assert!(all.iter().all(|object| object["v"] == 1 && object["type"] == "message"));
        all.iter().map(|object| object["seq"].to_string()).collect()
    };
    assert_eq!(texts(&["--limit", "2"]), ["3", "4"]);
    assert_eq!(texts(&["--since", "1970-01-03"]), ["2", "3", "4"]);
    assert_eq!(texts(&["--until", "1970-01-03T00:00:00Z"]), ["1"]);
    assert_eq!(texts(&["--since", "1970-01-03", "--limit", "1"]), ["4"]);
    assert_eq!(texts(&["--since", "1h"]), [""; 0]);
    let unknown = home.run(&["history", "#none", "--json"]);
    assert_eq!(code_of(&unknown), (7, "no-such-conversation".to_owned()));
    assert_eq!(home.run(&["history", "#ops", "--since", "tuesday"]).code, 2);
}

#[test]
fn search_finds_words_and_says_when_there_are_none() {
    let home = home();
    let found = |args: &[&str]| objects(&ok(&home, &[&["--json", "search"][..], args].concat()));
    assert_eq!(found(&["deploy"]).len(), 2);
    assert_eq!(found(&["DEPL", "ok"]).len(), 1);
    assert_eq!(found(&["deploy", "--in", "@alice"])[0]["sender"], "alice");
    assert_eq!(found(&["deploy", "--from", "carol"])[0]["target"], "#ops");
    assert_eq!(found(&["https://wiki.acme/rel-2.4"]).len(), 1);
    assert_eq!(found(&["東京"]).len(), 1);
    assert_eq!(found(&["--", "-\"*("]).len(), 0);
    let none = home.run(&["search", "nowhere"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("Nothing was found"));
    assert_eq!(home.run(&["search"]).code, 2);
}

#[test]
fn messages_are_exported_for_their_owner_and_said_to_be_in_the_clear() {
    let home = home();
    let file = home.directory().join("ops.md");
    let path = file.to_str().unwrap();
    let ended = home.run(&["export", "--format", "md", "#ops", "-o", path]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("not sealed"), "{}", ended.stderr);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# \\#ops\n\n## 1970-01-02\n\n**00:00 carol**\n\n> deploy of 2.4"));
    assert!(text.contains("> \\# \\\\u\\{1b\\}\\[2Jdone"), "{text}");
    let again = home.run(&["export", "--format", "md", "-o", path]);
    assert_eq!(again.code, 1, "not written over");
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let all = objects(&ok(&home, &["export", "--format", "json", "-q"]));
    assert_eq!(all.len(), 5);
    assert_eq!(home.run(&["export"]).code, 2);
    assert_eq!(home.run(&["export", "--format", "md", "--backup", "x"]).code, 2);
}

#[test]
fn a_backup_becomes_another_profile_and_nothing_is_written_over() {
    let home = home();
    let secret = passphrase(&home, "secret", "correct horse");
    let file = home.directory().join("b.openchat");
    let path = file.to_str().unwrap();
    let option = "--backup-passphrase-file";
    let nobody = home.run(&["export", "--backup", path, "--json"]);
    assert_eq!(code_of(&nobody), (2, "usage".to_owned()), "without a terminal nobody is asked");
    assert!(!file.exists());
    let made = objects(&ok(&home, &["export", "--backup", path, option, &secret, "--json"]));
    assert_eq!((&made[0]["type"], &made[0]["name"]), (&"backup".into(), &"bob".into()));
    let again = home.run(&["export", "--backup", path, option, &secret, "--json"]);
    assert_eq!(code_of(&again), (1, "exists".to_owned()));

    let here = home.run(&["import", path, option, &secret, "--json"]);
    assert_eq!(code_of(&here), (1, "not-empty".to_owned()));
    let wrong = passphrase(&home, "wrong", "correct");
    let closed = home.run(&["-P", "other", "import", path, option, &wrong, "--json"]);
    assert_eq!(code_of(&closed), (1, "no-backup".to_owned()));
    assert!(!home.directory().join("profiles/other").exists());
    let nowhere = home.run(&["-P", "other", "import", "/no/backup", option, &secret]);
    assert!(nowhere.stderr.contains("no such file") && nowhere.stderr.contains("check the path"));
    let ended = home.run(&["-P", "other", "import", path, option, &secret]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("new keys") && ended.stderr.contains("delete one of the two"));
    assert_eq!(ok(&home, &["-P", "other", "whoami"]).lines().next(), Some("bob"));
    assert_eq!(ok(&home, &["-P", "other", "history", "#ops"]), ok(&home, &["history", "#ops"]));
    assert_eq!(ok(&home, &["-P", "other", "search", "東京"]).lines().count(), 1);
}

#[test]
fn a_passphrase_is_set_changed_and_taken_away() {
    let home = home();
    let (one, two) = (passphrase(&home, "one", "one"), passphrase(&home, "two", "two"));
    let new = "--new-passphrase-file";
    assert_eq!(objects(&ok(&home, &["vault", "--json"]))[0]["key"], "beside");
    let set = objects(&ok(&home, &["vault", "passphrase", new, &one, "--json"]));
    assert_eq!((&set[0]["type"], &set[0]["key"]), (&"vault".into(), &"passphrase".into()));

    for args in [&["whoami"][..], &["join"], &["history", "#ops"], &["status"], &["vault"]] {
        let locked = home.run(&[args, &["--json"]].concat());
        assert_eq!(code_of(&locked), (1, "vault-locked".to_owned()), "{args:?}");
    }
    let with = |file: &str, args: &[&str]| home.run(&[args, &["--passphrase-file", file]].concat());
    assert_eq!(with(&one, &["whoami"]).code, 0);
    assert_eq!(code_of(&with(&two, &["whoami", "--json"])), (1, "vault-locked".to_owned()));
    let piped = home.run_with(&["whoami", "--passphrase-file", "-"], b"one\n");
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    let both = home.run_with(&["send", "@alice", "-", "--passphrase-file", "-"], b"one\ntext\n");
    assert_eq!(both.code, 8, "{}", both.stderr);
    let by_variable = home.openchat(&["whoami"]).env("OPENCHAT_PASSPHRASE_FILE", &one).output();
    assert_eq!(by_variable.unwrap().status.code(), Some(0));

    assert_eq!(with(&one, &["vault", "passphrase", new, &two]).code, 0);
    assert_eq!(with(&one, &["whoami"]).code, 1, "the old one opens nothing any more");
    assert_eq!(with(&two, &["vault", "check"]).code, 0);
    let elsewhere = home.directory().join("bob.key");
    let to = elsewhere.to_str().unwrap();
    assert_eq!(with(&two, &["vault", "key-file", to]).code, 0);
    assert_eq!(objects(&ok(&home, &["vault", "--json"]))[0]["file"], to);
    fs::rename(&elsewhere, home.directory().join("away.key")).unwrap();
    assert_eq!(code_of(&home.run(&["whoami", "--json"])), (1, "vault-key".to_owned()));
    fs::rename(home.directory().join("away.key"), &elsewhere).unwrap();
    ok(&home, &["vault", "key-file"]);
    assert_eq!(objects(&ok(&home, &["vault", "--json"]))[0]["key"], "beside");
    assert_eq!(ok(&home, &["history", "#ops"]).lines().count(), 4, "all is there");
}

#[test]
fn a_profile_is_made_with_a_passphrase_by_one_option() {
    let home = Home::new();
    let invitation = invitation(&ca());
    let one = passphrase(&home, "one", "one");
    let args = ["enroll", "--name", "bob", "--invite", &invitation];
    let nobody = home.run(&[&args[..], &["--passphrase", "--json"]].concat());
    assert_eq!(code_of(&nobody), (2, "usage".to_owned()), "nobody to ask");
    assert!(!profile(&home).exists());
    let made = home.run(&[&args[..], &["--passphrase-file", &one]].concat());
    assert_eq!(made.code, 4, "the server is not there: {}", made.stderr);
    let key = fs::read_to_string(profile(&home).join("vault.key")).unwrap();
    assert!(key.contains("\nargon2id 65536 3 "), "{key}");
    assert_eq!(code_of(&home.run(&["vault", "--json"])), (1, "vault-locked".to_owned()));
    let late = home.run(&[&args[..], &["--passphrase", "--json"]].concat());
    assert_eq!(code_of(&late), (2, "usage".to_owned()));
    assert!(late.json_error().2.contains("vault passphrase"));
}

#[test]
fn a_damaged_page_is_found_and_named() {
    let home = home();
    ok(&home, &["vault", "check"]);
    let path = profile(&home).join("vault.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let ended = home.run(&["vault", "check", "--json"]);
    assert_eq!(code_of(&ended).0, 1);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let closed = home.run(&["whoami", "--json"]);
    assert_eq!(code_of(&closed), (1, "vault-damaged".to_owned()));
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was changed");
}

#[test]
fn retention_is_told_set_and_obeyed() {
    let home = home();
    assert_eq!(ok(&home, &["retention"]), "all\tforever\n");
    assert_eq!(ok(&home, &["retention", "#ops", "30d"]), "#ops\t30d\n");
    ok(&home, &["retention", "all", "52w"]);
    assert_eq!(ok(&home, &["retention"]), "all\t52w\n#ops\t30d\n");
    assert_eq!(ok(&home, &["history", "#ops"]).lines().count(), 4, "they came just now");
    let objects = objects(&ok(&home, &["retention", "#ops", "forever", "--json"]));
    assert_eq!((&objects[0]["time"], objects[0].get("seconds")), (&"forever".into(), None));
    assert_eq!(home.run(&["retention", "#ops", "soon"]).code, 2);
    assert_eq!(home.run(&["retention", "#none", "1d"]).code, 7);
}
