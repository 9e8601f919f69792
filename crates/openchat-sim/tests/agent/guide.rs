//! What the user guide says works as it stands there.

use crate::people::{Running, counted, signal};
use openchat_sim::{Person, Server, program, workspace};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The example of this name in the guide.
fn example(name: &str) -> String {
    let guide = fs::read_to_string(workspace().join("docs/user-guide.md")).unwrap();
    let (_, after) = guide.split_once(&format!("<!-- example: {name} -->\n```")).unwrap();
    let (_, text) = after.split_once('\n').unwrap();
    text.split_once("```").unwrap().0.to_owned()
}

/// Puts it where it may be run.
fn script(server: &Server, name: &str) -> PathBuf {
    let path = server.place().join(name);
    fs::write(&path, example(name)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// As this person, with `openchat` on the path, as cron and systemd have it.
fn as_person(person: &Person, command: &mut Command) -> Output {
    with_environment(person, command).output().unwrap()
}

fn with_environment<'a>(person: &Person, command: &'a mut Command) -> &'a mut Command {
    let openchat = program("openchat");
    let place = Path::new(openchat.get_program()).parent().unwrap();
    let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
    let theirs = person.command();
    command.envs(theirs.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", path).env("OPENCHAT_PROFILE", person.name())
}

/// What stands after `ExecStart=`.
fn exec_start(unit: &str) -> String {
    let unit = example(unit);
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
    line.unwrap().to_owned()
}

fn two(server: &Server) -> [Person; 2] {
    let people = ["alice", "bob"].map(|name| server.enroll(name));
    for person in &people {
        assert_eq!(person.join().finish(), Some(0));
    }
    people
}

#[test]
fn the_script_for_cron_tells_what_came_of_it() {
    let mut server = Server::start();
    let [alice, bob] = two(&server);
    let notify = script(&server, "notify");
    let said = as_person(&alice, Command::new(&notify).args(["#general", "two words"]));
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && stderr.contains("sent as "), "{stderr}");
    server.kill();
    let said = as_person(&alice, Command::new(&notify).args(["#general", "later"]));
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && stderr.contains("queued as "), "{stderr}");
    let said = as_person(&alice, Command::new(&notify).args(["#nowhere", "never"]));
    assert_eq!(said.status.code(), Some(1));
    server.run();
    assert_eq!(alice.join().finish(), Some(0));
    let mut reader = bob.join();
    reader.message("two words");
    reader.message("later");
    assert_eq!(reader.finish(), Some(0));
}

#[test]
fn the_line_of_the_crontab_and_the_unit_of_the_timer_say_something() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    alice.run(&["group", "new", "ops", "--add", "bob"]);
    let guide = fs::read_to_string(workspace().join("docs/user-guide.md")).unwrap();
    let line = guide.lines().find_map(|line| line.strip_prefix("30 2 * * * backup-all")).unwrap();
    let cron = format!("false{line}");
    assert!(as_person(&alice, Command::new("sh").args(["-c", &cron])).status.success(), "{cron}");
    // systemd takes the quotes off as a shell does.
    let unit = exec_start("report.service");
    assert!(as_person(&alice, Command::new("sh").args(["-c", &unit])).status.success(), "{unit}");
    let mut reader = bob.open("#ops");
    let is_said = |event: &serde_json::Value, word: &str| {
        event["type"] == "message" && event["text"].as_str().unwrap().contains(word)
    };
    reader.until("the backup", |event| is_said(event, "failed"));
    reader.until("the disks", |event| is_said(event, "Filesystem"));
    assert_eq!(reader.finish(), Some(0));
}

#[test]
fn the_bot_answers() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let bot = script(&server, "bot");
    let unit = exec_start("bot.service").replace("%h/bot", &format!("'{}'", bot.display()));
    let mut running = Command::new("sh");
    running.args(["-c", &format!("exec {unit}")]);
    let mut running = Running::start(with_environment(&alice, &mut running));
    let mut asking = bob.open("@alice");
    asking.ready();
    // It may not be listening yet.
    while counted([&asking]).keys().all(|text| !text.starts_with("pong")) {
        asking.send("ping", "ping");
        asking.settle(std::time::Duration::from_secs(1));
    }
    asking.message("pong, bob");
    signal(running.pid(), "-TERM");
    assert_eq!(running.ended().code(), Some(130));
    assert_eq!(asking.finish(), Some(0));
}

#[test]
fn the_units_are_units() {
    let server = Server::start();
    let names = ["report.service", "report.timer", "bot.service"];
    for name in names {
        fs::write(server.place().join(name), example(name)).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "verify"]).args(names).current_dir(server.place());
    match verify.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let is_wrong = |line: &&str| line.contains("Unknown") || line.contains("parse");
            assert!(!said.lines().any(|line| is_wrong(&line)), "{said}");
        }
        Err(error) => println!("not tried: systemd-analyze: {error}"),
    }
}
