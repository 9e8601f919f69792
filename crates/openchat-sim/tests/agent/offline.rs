//! No network, and no room: exit codes as they are documented, nothing twice, nothing lost.

use crate::people::{counted, once, signal};
use openchat_sim::Server;
use std::process::Command;

/// What was queued beside another process is sent by that one, once.
#[test]
fn without_a_server_what_is_sent_is_queued_and_goes_out_once() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    let mut open = alice.join();
    open.ready();
    server.kill();
    open.until("offline", |event| event["type"] == "connection" && event["state"] == "offline");
    let (code, objects) = alice.try_to(&["send", "--timeout", "3", "#general", "later"]);
    assert_eq!(code, Some(8), "{objects:?}");
    assert_eq!((&objects[0]["type"], &objects[1]["code"]), (&"queued".into(), &"queued".into()));
    // Whether there is such a group only the server knows: nothing is stored, and nothing is said when
    // it is back.
    let (code, objects) = alice.try_to(&["send", "--timeout", "3", "#secret", "never"]);
    assert_eq!((code, &objects[0]["code"]), (Some(4), &"unreachable".into()), "{objects:?}");
    let (code, objects) = alice.try_to(&["group", "new", "ops"]);
    assert_eq!((code, &objects[0]["code"]), (Some(4), &"unreachable".into()), "{objects:?}");
    server.run();
    let later = reader.message("later");
    assert_eq!(later["sender"], "alice");
    open.message("later");
    let failed = |event: &serde_json::Value| event["code"] == "no-such-conversation";
    assert_eq!(open.finish(), Some(0));
    assert!(!open.seen().iter().any(failed), "given up with the one who asked");
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]), once(["later".to_owned()]));
}

/// A listener waits for its server, ends in an orderly way without one, and tells all when it is there.
#[test]
fn without_a_server_a_listener_waits_and_loses_its_place_by_nothing() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    assert_eq!(bob.join().finish(), Some(0));
    assert_eq!(alice.join().finish(), Some(0));
    bob.run(&["send", "#general", "one"]);
    let args = ["listen", "#general", "--as", "log", "--since", "beginning"];
    let mut listener = alice.start(&args);
    listener.message("one");
    // Its place is stored when it begins with the next one.
    bob.run(&["send", "#general", "two"]);
    listener.message("two");
    signal(listener.pid().unwrap(), "-TERM");
    assert_eq!(listener.ended(), Some(130));
    server.kill();
    let mut waiting = alice.start(&args);
    let offline = |event: &serde_json::Value| event["state"] == "offline";
    waiting.until("offline", offline);
    signal(waiting.pid().unwrap(), "-TERM");
    assert_eq!((waiting.ended(), waiting.messages().count()), (Some(130), 0));
    let mut waiting = alice.start(&args);
    waiting.until("offline", offline);
    server.run();
    bob.run(&["send", "#general", "three"]);
    waiting.message("three");
    assert_eq!(counted([&listener, &waiting]), once(["one", "two", "three"].map(str::to_owned)));
}

/// Runs a program with its data on a small disk of its own, which has a copy of what there was and
/// no room for more.
const ON_A_FULL_DISK: &str = r#"set -e
    profile=$1
    shift
    cp -a "$profile" "$profile.before"
    mount -t tmpfs -o size=2m,mode=700 none "$profile"
    cp -a "$profile.before/." "$profile"
    dd if=/dev/zero of="$profile/ballast" bs=4k 2>/dev/null || true
    exec "$@""#;

#[test]
fn on_a_full_disk_nothing_is_said_and_the_exit_code_tells() {
    let mut mount = Command::new("unshare");
    mount.args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        println!("not tried: nothing may be mounted here");
        return;
    }
    let server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    let mut reader = bob.join();
    reader.ready();
    assert_eq!(alice.join().finish(), Some(0));
    let openchat = alice.command();
    let mut full = Command::new("unshare");
    full.args(["-rm", "sh", "-c", ON_A_FULL_DISK, "sh"]).arg(alice.profile());
    full.arg(openchat.get_program()).args(openchat.get_args());
    full.envs(openchat.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let long = "x".repeat(15_000);
    let output = full.args(["send", "#general", &long, "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(r#""code":"vault""#), "{said}");
    // With room again it is sent, once.
    alice.run(&["send", "#general", &long]);
    reader.message(&long);
    assert_eq!(reader.finish(), Some(0));
    assert_eq!(counted([&reader]), once([long]));
}
