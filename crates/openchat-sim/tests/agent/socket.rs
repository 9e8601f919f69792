//! What comes to the socket that should not.

use crate::people::{connect, read, socket, visit};
use openchat_sim::{Person, Server};
use std::{
    fs::{self, File, Permissions},
    io::{BufReader, ErrorKind, Read, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

fn alice(server: &Server) -> Person {
    let alice = server.enroll("alice");
    assert_eq!(alice.join().finish(), Some(0));
    alice
}

#[test]
fn only_this_user_may_come_in() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket(&alice)), mode(&alice.profile())), (0o600, 0o700));
    assert_eq!(open.finish(), Some(0));
    // A directory that was opened to all is shut before anybody listens there.
    fs::set_permissions(alice.profile(), Permissions::from_mode(0o777)).unwrap();
    let mut open = alice.join();
    open.ready();
    assert_eq!((mode(&socket(&alice)), mode(&alice.profile())), (0o600, 0o700));
    assert_eq!(open.finish(), Some(0));
}

const OTHER_USER: u32 = 65_534;
const PATH: &str = "OPENCHAT_TEST_SOCKET";

#[test]
fn another_user_is_shown_out_even_through_open_doors() {
    if !fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0) {
        println!("not tried: only root can be somebody else");
        return;
    }
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    let mut place = Some(alice.profile());
    while let Some(path) = place.filter(|path| path.starts_with(server.place())) {
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        place = path.parent().map(Path::to_owned);
    }
    fs::set_permissions(socket(&alice), Permissions::from_mode(0o777)).unwrap();
    // The test's own program, as somebody else; in a place where that one may run it.
    let program = server.place().join("somebody");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut other = Command::new(program);
    other.args(["--exact", "socket::somebody_else", "--ignored", "--nocapture"]);
    let output = other.env(PATH, socket(&alice)).uid(OTHER_USER).gid(OTHER_USER).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("connected and shown out"), "{said}");
    assert_eq!(open.finish(), Some(0));
}

/// Run by the test above, as another user.
#[test]
#[ignore = "run by another test"]
fn somebody_else() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let mut stream = UnixStream::connect(path).unwrap();
    let mut said = String::new();
    // Reset or at its end: nothing was said in any case.
    let _ = stream.read_to_string(&mut said);
    assert_eq!(said, "");
    println!("connected and shown out");
}

#[test]
fn what_a_killed_process_left_is_no_obstacle() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    open.kill();
    assert!(socket(&alice).exists() && connect(&alice).is_none());
    alice.run(&["send", "#general", "over a dead socket"]);
    assert!(!socket(&alice).exists());
    // Neither is a file.
    File::create(socket(&alice)).unwrap();
    alice.run(&["send", "#general", "over a file"]);
    assert!(!socket(&alice).exists());
}

/// A link in the socket's place leads nobody to whoever put it there.
#[test]
fn a_link_in_the_sockets_place_is_not_followed() {
    let server = Server::start();
    let alice = alice(&server);
    let elsewhere = server.place().join("elsewhere.sock");
    let listener = UnixListener::bind(&elsewhere).unwrap();
    listener.set_nonblocking(true).unwrap();
    symlink(&elsewhere, socket(&alice)).unwrap();
    alice.run(&["send", "#general", "not by that way"]);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody called");
    assert!(!socket(&alice).exists() && elsewhere.exists());
}

/// Questions of one process, more than its queue of answers holds.
const FLOOD: usize = 5_000;

/// Some ask without end and read nothing, some say nothing, some say nonsense.
#[test]
fn whoever_asks_without_end_holds_nobody_up() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for line in [r##"{"type":"names","target":"#general","ref":1}"##, "{}", "[[[["] {
            let (alice, over) = (&alice, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let guest = visit(alice);
                    let lines = [line, "\n"].concat().repeat(FLOOD);
                    // It is shown out when nobody reads what it is told.
                    guest.get_ref().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
                    let _ = guest.get_ref().write_all(lines.as_bytes());
                }
            });
        }
        let silent: Vec<_> = (0..20).filter_map(|_| connect(&alice)).collect();
        for number in 0..8 {
            let text = number.to_string();
            alice.run(&["send", "#general", &text]);
            open.message(&text);
            open.send(&text, "own");
            open.ack(&text);
        }
        drop(silent);
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(open.finish(), Some(0));
}

#[test]
fn garbage_is_answered_and_huge_lines_are_not_kept() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xff\xfe\n", b"{}\n", b"\n", b"[1]\n"] {
        let (mut stranger, _) = connect(&alice).unwrap();
        stranger.get_mut().write_all(hello).unwrap();
        let mut said = String::new();
        let _ = stranger.read_to_string(&mut said);
        assert!(said.is_empty() || said.contains("agent-version"), "{said}");
    }
    let mut guest = visit(&alice);
    let garbage = [
        "nonsense",
        "[]",
        "{}",
        r#"{"type":"send","text":"x"}"#,
        r#"{"type":"listen","since":"never"}"#,
    ];
    for line in garbage {
        writeln!(guest.get_ref(), "{line}").unwrap();
        let error = std::iter::from_fn(|| read(&mut guest)).find(|it| it["type"] == "error");
        assert_eq!(error.unwrap()["code"], "bad-input", "{line}");
    }
    writeln!(guest.get_ref(), r##"{{"type":"send","target":"#general","text":"fine","ref":1}}"##)
        .unwrap();
    assert!(
        std::iter::from_fn(|| read(&mut guest)).any(|it| it["type"] == "ack" && it["ref"] == 1)
    );
    open.message("fine");
    // Without an end; it is broken off long before it is all there.
    let endless = vec![b'x'; 4 * 1024 * 1024];
    let written = guest.get_ref().write_all(&endless);
    assert!(written.is_err() || std::iter::from_fn(|| read(&mut guest)).count() < 10);
    open.send("1", "and on it goes");
    open.ack("1");
    assert_eq!(open.finish(), Some(0));
}

/// More than a guest's queue and its socket hold.
const MANY: usize = 2_500;

#[test]
fn somebody_who_never_reads_holds_nobody_up() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    let mut listener = visit(&alice);
    writeln!(listener.get_ref(), r##"{{"type":"listen","target":"#general","ref":1}}"##).unwrap();
    assert!(std::iter::from_fn(|| read(&mut listener)).any(|it| it["type"] == "done"));
    let mut guest = visit(&alice);
    writeln!(guest.get_ref(), r##"{{"type":"join","target":"#general","ref":1}}"##).unwrap();
    assert!(std::iter::from_fn(|| read(&mut guest)).any(|it| it["type"] == "done"));
    let long = "x".repeat(500);
    for number in 0..MANY {
        open.send(&number.to_string(), &format!("{number} {long}"));
    }
    open.count("ack", MANY);
    // Messages wait in the vault; whoever only listens reads all of them when it wants to, in order.
    let messages = std::iter::from_fn(|| read(&mut listener)).filter(|it| it["type"] == "message");
    for (number, message) in messages.take(MANY).enumerate() {
        let text = message["text"].as_str().unwrap();
        assert_eq!(text.split_once(' ').unwrap().0, number.to_string());
    }
    // Of acknowledgements nobody could be told later: so this one was shown out, without a last word.
    assert!(std::iter::from_fn(|| read(&mut guest)).all(|it| it["type"] != "end"));
    open.send("last", "and on it goes");
    open.ack("last");
    assert_eq!(open.finish(), Some(0));
}

#[test]
fn more_than_can_be_served_wait_for_their_turn() {
    let server = Server::start();
    let alice = alice(&server);
    let mut open = alice.join();
    open.ready();
    let crowd: Vec<_> = (0..80).map(|_| UnixStream::connect(socket(&alice)).unwrap()).collect();
    let mut last = BufReader::new(crowd.last().unwrap().try_clone().unwrap());
    last.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(read(&mut last).is_none(), "not let in yet");
    drop((last, crowd));
    alice.run(&["send", "#general", "now"]);
    open.message("now");
    assert_eq!(open.finish(), Some(0));
}

/// Holds the lock as a running openchat does.
fn lock(person: &Person) -> File {
    let lock = File::options().append(true).open(person.profile().join("vault.lock")).unwrap();
    lock.try_lock().unwrap();
    lock
}

#[test]
fn another_version_is_told_apart() {
    let server = Server::start();
    let alice = alice(&server);
    let _lock = lock(&alice);
    let listener = UnixListener::bind(socket(&alice)).unwrap();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        writeln!(stream, r#"{{"v":1,"type":"agent","agent":2,"version":"9.9.9","pid":4711}}"#)
            .unwrap();
    });
    let (code, objects) = alice.try_to(&["send", "#general", "hello"]);
    answering.join().unwrap();
    assert_eq!((code, &objects[0]["code"]), (Some(1), &"agent-version".into()), "{objects:?}");
    let [message, hint] = ["message", "hint"].map(|field| objects[0][field].as_str().unwrap());
    assert!(message.contains("9.9.9") && hint.contains("4711"), "{message}; {hint}");
}

#[test]
fn a_holder_that_does_not_answer_is_named_after_a_while() {
    let server = Server::start();
    let alice = alice(&server);
    let _lock = lock(&alice);
    let begun = Instant::now();
    let (code, objects) = alice.try_to(&["send", "#general", "hello"]);
    assert_eq!((code, &objects[0]["code"]), (Some(1), &"vault-in-use".into()), "{objects:?}");
    assert!(begun.elapsed() > Duration::from_secs(5), "it may be about to answer");
}
