//! `openchat doctor`, through the real programs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]
#![allow(clippy::print_stdout, reason = "says what was not tried")]

#[path = "../../openchat-store-sqlite/tests/shim/mod.rs"]
mod shim;

use openchat_sim::{Person, Server, Terminal};
use serde_json::Value;
use shim::Faults;
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

/// The exit code, the findings, and the error that followed them.
fn examined(who: &Person) -> (Option<i32>, Vec<Value>, Option<Value>) {
    let (code, mut said) = who.try_to(&["doctor"]);
    let error = said.pop_if(|last| last["type"] == "error");
    assert!(said.iter().all(|object| object["type"] == "finding"), "{said:?}");
    for finding in &said {
        assert_eq!(finding["hint"].is_string(), finding["level"] != "ok", "{finding}");
    }
    (code, said, error)
}

/// What failed.
fn failed(findings: &[Value]) -> Vec<&str> {
    let failed = findings.iter().filter(|finding| finding["level"] == "fail");
    failed.map(|finding| finding["check"].as_str().unwrap()).collect()
}

fn level<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    &findings.iter().find(|finding| finding["check"] == check).unwrap()["level"]
}

#[test]
fn who_is_well_is_told_so_also_while_talking() {
    let server = Server::start();
    let bob = server.enroll("bob");
    let mut client = bob.join();
    client.ready();
    let (code, findings, error) = examined(&bob);
    assert_eq!((code, error), (Some(0), None), "{findings:?}");
    assert_eq!(failed(&findings), Vec::<&str>::new());
    for check in [
        "config",
        "permissions",
        "vault",
        "ca",
        "certificate",
        "clock",
        "server",
        "evidence",
        "log",
    ] {
        assert_eq!(level(&findings, check), "ok", "{check}");
    }
    assert_eq!(client.finish(), Some(0));
    let output = bob.command().arg("doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("ok    vault ")), "{text}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_server_that_is_gone_and_what_waits_for_it_are_told() {
    let mut server = Server::start();
    let bob = server.enroll("bob");
    assert_eq!(bob.join().finish(), Some(0));
    server.kill();
    assert_eq!(bob.try_to(&["send", "#general", "later", "--timeout", "1"]).0, Some(8));
    let (code, findings, error) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["server"]));
    assert_eq!(level(&findings, "queue"), "warn");
    let error = error.unwrap();
    assert_eq!(error["code"], "unwell");
    assert!(error["hint"].as_str().unwrap().contains("openchat-server run"), "{error}");
}

#[test]
fn who_is_not_enrolled_hears_it_as_everywhere() {
    let server = Server::prepare(&[]);
    let (code, findings, error) = examined(&Person::new("bob", &server));
    assert_eq!((code, failed(&findings)), (Some(3), vec!["vault"]));
    assert_eq!(error.unwrap()["code"], "not-enrolled");
    assert!(!server.place().join("home of bob").exists(), "looking makes nothing");
}

#[test]
fn what_others_may_read_is_told_with_the_command_that_ends_it() {
    let server = Server::start();
    let bob = server.enroll("bob");
    let profile = bob.home().join("profiles/bob");
    for (name, mode) in [("", 0o755), ("vault.key", 0o644)] {
        fs::set_permissions(profile.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (code, findings, _) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["permissions", "permissions"]));
    for finding in findings.iter().filter(|finding| finding["level"] == "fail") {
        let command = finding["hint"].as_str().unwrap();
        let done = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(done.success(), "{command}");
    }
    assert_eq!(examined(&bob).0, Some(0), "the commands were the right ones");
}

#[test]
fn a_broken_configuration_is_one_finding_and_the_rest_is_looked_at() {
    let server = Server::start();
    let bob = server.enroll("bob");
    fs::write(bob.home().join("config.toml"), "color = \"never\"\nprofiel = \"bob\"\n").unwrap();
    let (code, findings, _) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["config"]));
    assert!(findings[0]["message"].as_str().unwrap().contains("line 2"), "{}", findings[0]);
    assert_eq!(level(&findings, "server"), "ok");
}

/// Longer than a member's certificate lives, and not the CA's.
const YEAR: i64 = 365 * 24 * 60 * 60;

fn hint<'a>(findings: &'a [Value], check: &str) -> &'a str {
    findings.iter().find(|it| it["check"] == check).unwrap()["hint"].as_str().unwrap()
}

#[test]
fn a_clock_that_is_off_is_told_or_what_it_ends() {
    let server = Server::start();
    let bob = server.enroll("bob");
    let faults = Faults::new(bob.home(), server.place());
    let bob = bob.with_environment(faults.environment());
    assert_eq!(examined(&bob).0, Some(0));
    // A server's certificate that has not begun is no openchat's fault: it is told beside the clock.
    faults.set_clock(-YEAR);
    let (code, findings, _) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["clock", "server"]), "{findings:?}");
    assert!(hint(&findings, "clock").contains("date"), "{findings:?}");
    // One that is ahead is seen by what has ended.
    faults.set_clock(YEAR);
    let (code, findings, _) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["certificate", "server"]));
    assert!(hint(&findings, "certificate").contains("enroll --name bob"), "{findings:?}");
    assert!(hint(&findings, "server").contains("date"), "{findings:?}");
}

#[test]
fn another_ca_in_the_servers_place_is_told() {
    let mut server = Server::start();
    let bob = server.enroll("bob");
    server.kill();
    let mut other = Server::prepare(&[]);
    other.set_address(server.address());
    other.run();
    let (code, findings, error) = examined(&bob);
    assert_eq!((code, failed(&findings)), (Some(1), vec!["server"]), "{findings:?}");
    assert_eq!(level(&findings, "ca"), "ok", "the pin is as it was");
    let hint = hint(&findings, "server");
    assert!(hint.contains("openchat -P bob trust accept --ca PIN"), "{hint}");
    assert_eq!(error.unwrap()["hint"], hint);
}

/// Runs a program with the profile on a small disk of its own.
const ON_A_SMALL_DISK: &str = r#"set -e
    profile=$1
    shift
    cp -a "$profile" "$profile.before"
    mount -t tmpfs -o size=4m,mode=700 none "$profile"
    cp -a "$profile.before/." "$profile"
    exec "$@""#;

#[test]
fn a_disk_with_little_room_is_told() {
    let mut mount = Command::new("unshare");
    mount.args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        println!("not tried: nothing may be mounted here");
        return;
    }
    let server = Server::start();
    let bob = server.enroll("bob");
    let openchat = bob.command();
    let mut small = Command::new("unshare");
    small.args(["-rm", "sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(bob.profile());
    small.arg(openchat.get_program()).args(openchat.get_args()).arg("doctor");
    small.envs(openchat.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = small.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains(" disk ")).unwrap();
    assert!(line.starts_with("warn  disk ") && line.contains(" MB are free"), "{text}");
    assert!(text.contains("\nnext: df -h "), "{text}");
}

#[test]
fn a_terminal_that_is_too_small_or_can_do_little_is_told() {
    let server = Server::start();
    let bob = server.enroll("bob");
    let seen = |size, environment: &[(&str, &str)]| {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let bob = bob.clone().with_environment(environment);
        let terminal = Terminal::open(&bob, &["doctor"], size);
        let said = terminal.shows("queue");
        assert_eq!(terminal.ended(), 0, "{said}");
        said
    };
    let said = seen((200, 50), &[("LC_ALL", "C.UTF-8")]);
    for line in ["ok    terminal     200×50", "ok    locale       C.UTF-8", "ok    colours"] {
        assert!(said.contains(line), "{said}");
    }
    let said = seen((39, 200), &[("NO_COLOR", "1")]);
    assert!(said.contains("warn  terminal     39×200"), "{said}");
    assert!(said.contains("NO_COLOR"), "{said}");
    let output = bob.command().env("LC_ALL", "C").arg("doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("warn  locale       C is not UTF-8"), "{text}");
    assert!(text.contains("next: export LC_ALL=C.UTF-8"), "{text}");
}

#[test]
fn what_the_program_says_of_itself_needs_nobody() {
    let server = Server::prepare(&[]);
    let bob = Person::new("bob", &server);
    for args in [&["completions", "bash"][..], &["man"]] {
        let text = bob.run(args)[0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains("doctor"), "{args:?}");
    }
    let directory = server.place().join("pages");
    let (code, said) = bob.try_to(&["man", directory.to_str().unwrap()]);
    assert_eq!((code, said[0]["code"].as_str()), (Some(1), Some("file")), "it makes no directory");
    fs::create_dir(&directory).unwrap();
    let said = bob.run(&["man", directory.to_str().unwrap()]);
    assert_eq!(said[0]["count"], fs::read_dir(&directory).unwrap().count());
    assert!(!bob.home().exists(), "looking makes nothing");
}
