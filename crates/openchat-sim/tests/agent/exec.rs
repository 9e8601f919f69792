//! Commands that a listener runs for each message, as they should be and as they should not.

use crate::{
    listen::{listening, say, two},
    people::{Running, counted, lines_of, once, program_at, signal},
};
use openchat_sim::{Client, Person, Server};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
};

/// A program that writes down what it was given, and fails as often as a file says.
fn bot(server: &Server) -> (PathBuf, PathBuf) {
    let [bot, heard] = ["bot", "heard"].map(|name| server.place().join(name));
    let lines = format!(
        "text=$(cat)\n\
         if [ -s '{0}.fail' ]; then sed -i 1d '{0}.fail'; exit 3; fi\n\
         printf '%s|%s|%s|%s|%s\\n' \"$OPENCHAT_TARGET\" \"$OPENCHAT_SENDER\" \"$OPENCHAT_TRUST\" \"$text\" \"$*\" >> '{0}'\n",
        heard.display()
    );
    program_at(&bot, &lines);
    (bot, heard)
}

#[test]
fn a_command_is_run_for_each_message_by_no_shell() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let (bot, heard) = bot(&server);
    let bot = bot.to_str().unwrap();
    let trap = server.place().join("trap");
    let nasty = format!("$(touch '{0}'); `touch '{0}'`; & | > '{0}' \"", trap.display());
    let mut listener = listening(
        &alice,
        &["#general", "--count", "2", "--exec", bot, "--", "--urgent", "$HOME; exit 9"],
    );
    say(&bob, &nasty);
    say(&bob, "plain");
    assert_eq!(listener.ended(), Some(0), "{:?}", listener.seen());
    let args = "--urgent $HOME; exit 9";
    assert_eq!(
        fs::read_to_string(heard).unwrap(),
        format!("#general|bob|certified|{nasty}|{args}\n#general|bob|certified|plain|{args}\n"),
        "in order"
    );
    assert!(!trap.exists());
}

#[test]
fn a_command_that_fails_is_run_again_and_then_ends_it() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let (bot, heard) = bot(&server);
    let fail = server.place().join("heard.fail");
    let bot = bot.to_str().unwrap();
    let args = ["--as", "bot", "--since", "beginning", "--attempts", "2", "--exec", bot];
    let once_more =
        |more: &[&str]| alice.start(&[&["listen", "#general"], &args[..], more].concat());
    say(&bob, "one");
    fs::write(&fail, "1\n").unwrap();
    let mut listener = once_more(&["--count", "1"]);
    assert_eq!(listener.ended(), Some(0), "the second run succeeds");
    say(&bob, "two");
    say(&bob, "three");
    fs::write(&fail, "1\n2\n").unwrap();
    let mut listener = once_more(&[]);
    assert_eq!(listener.ended(), Some(1));
    let error = listener.seen().last().unwrap();
    assert_eq!(error["code"], "command-failed", "{error}");
    // What was not done comes first the next time; and then it may be passed over.
    fs::write(&fail, "1\n2\n").unwrap();
    let mut listener = once_more(&["--count", "2", "--on-failure", "skip"]);
    assert_eq!(listener.ended(), Some(0), "{:?}", listener.seen());
    let heard = fs::read_to_string(heard).unwrap();
    assert_eq!(heard, "#general|bob|certified|one|\n#general|bob|certified|three|\n");
    let (code, objects) =
        alice.try_to(&["listen", "#general", "--since", "beginning", "--exec", "/nowhere"]);
    assert_eq!((code, &objects.last().unwrap()["code"]), (Some(1), &"command".into()));
}

/// Runs this for what is said in `#general`, and goes on where it was.
fn with_bot(person: &Person, bot: &Path, more: &[&str]) -> Client {
    let args = ["listen", "#general", "--as", "bot", "--since", "beginning", "--exec"];
    person.start(&[&args[..], &[bot.to_str().unwrap()], more].concat())
}

/// Whether there is such a process.
fn lives(pid: &str) -> bool {
    // One that has ended and was not waited for has no program any more.
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

#[test]
fn a_command_that_is_killed_has_failed_and_is_run_again() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let [bot, runs] = ["bot", "runs"].map(|name| server.place().join(name));
    let lines = "cat >> 'RUNS'; echo >> 'RUNS'; [ $(wc -l < 'RUNS') -gt 1 ] || kill -9 $$\n";
    program_at(&bot, &lines.replace("RUNS", runs.to_str().unwrap()));
    say(&bob, "one");
    say(&bob, "two");
    let mut listener = with_bot(&alice, &bot, &["--count", "2"]);
    assert_eq!(listener.ended(), Some(0), "{:?}", listener.seen());
    assert_eq!(lines_of(&runs, 3), ["one", "one", "two"]);
    program_at(&bot, "kill -9 $$\n");
    say(&bob, "three");
    let mut listener = with_bot(&alice, &bot, &["--attempts", "1"]);
    assert_eq!(listener.ended(), Some(1));
    let error = listener.seen().last().unwrap();
    assert_eq!(error["code"], "command-failed");
    assert!(error["message"].as_str().unwrap().contains("signal: 9"), "{error}");
}

/// It holds up nobody but its own listener, ends with that, and its message is not done.
#[test]
fn a_command_that_hangs_holds_up_its_own_listener_and_ends_with_it() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let [bot, runs] = ["bot", "runs"].map(|name| server.place().join(name));
    // Its program is one process, which nothing but a signal ends in time.
    let lines = "echo \"$$ $OPENCHAT_ID\" >> 'RUNS'; exec sleep 600\n";
    program_at(&bot, &lines.replace("RUNS", runs.to_str().unwrap()));
    let first = say(&bob, "one");
    let mut listener = with_bot(&alice, &bot, &[]);
    let run = lines_of(&runs, 1).remove(0);
    // The listener runs the session, and the others come and go.
    for number in 0..3 {
        say(&alice, &number.to_string());
    }
    let mut other = listening(&alice, &["--count", "1"]);
    say(&bob, "two");
    assert_eq!(other.ended(), Some(0));
    let (pid, id) = run.split_once(' ').unwrap();
    assert!(lives(pid) && id == first["id"], "{run}");
    signal(listener.pid().unwrap(), "-TERM");
    assert_eq!(listener.ended(), Some(130));
    assert!(!lives(pid), "it would get in the way of the next one");

    // Killed with no warning, nobody ends what it runs: at least once is what is promised.
    let mut listener = with_bot(&alice, &bot, &[]);
    let run = lines_of(&runs, 2).remove(1);
    let (pid, id) = run.split_once(' ').unwrap();
    assert_eq!(id, first["id"], "it was not done");
    listener.kill();
    signal(pid.parse().unwrap(), "-KILL");
    let (bot, heard) = self::bot(&server);
    let mut listener = with_bot(&alice, &bot, &["--count", "2"]);
    assert_eq!(listener.ended(), Some(0), "{:?}", listener.seen());
    let heard = fs::read_to_string(heard).unwrap();
    assert_eq!(heard, "#general|bob|certified|one|\n#general|bob|certified|two|\n");
}

/// More than a pipe and this process would hold.
const MUCH: usize = 8 * 1024 * 1024;

/// What the command prints goes where the listener prints, whoever reads it and when.
#[test]
fn a_command_that_prints_a_lot_is_waited_for_and_all_of_it_comes() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let bot = server.place().join("bot");
    program_at(&bot, &format!("cat; head -c {MUCH} /dev/zero; head -c {MUCH} /dev/zero >&2\n"));
    say(&bob, "one");
    say(&bob, "two");
    let mut command = alice.command();
    command.args(["listen", "#general", "--as", "bot", "--since", "beginning", "--count", "2"]);
    command.arg("--exec").arg(&bot).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut stdout = process.stdout.take().unwrap();
    let mut running = Running::of(process);
    // It waits for its reader, and others don't wait for it.
    say(&alice, "meanwhile");
    let mut all = Vec::new();
    stdout.read_to_end(&mut all).unwrap();
    assert_eq!(running.ended().code(), Some(0));
    assert_eq!(all.len(), "onetwo".len() + 2 * MUCH);
    assert!(all.starts_with(b"one\0") && all.get(3 + MUCH..).unwrap().starts_with(b"two\0"));
    say(&bob, "three");
    let mut next = alice.start(&["listen", "#general", "--as", "bot", "--count", "1"]);
    assert_eq!(next.ended(), Some(0));
    assert_eq!(counted([&next]), once(["three".to_owned()]));
}

/// A reader that goes away ends the listening, and takes nothing with it.
#[test]
fn a_listener_whose_output_is_closed_tells_the_message_again() {
    let server = Server::start();
    let [alice, bob] = two(&server);
    let mut command = alice.command();
    command.args(["listen", "#general", "--as", "log", "--since", "beginning"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(process.stdout.take());
    let mut running = Running::of(process);
    say(&bob, "one");
    assert_eq!(running.ended().code(), Some(1));
    let mut next = alice.start(&["listen", "#general", "--as", "log", "--count", "1"]);
    assert_eq!(next.ended(), Some(0));
    assert_eq!(counted([&next]), once(["one".to_owned()]));
}
