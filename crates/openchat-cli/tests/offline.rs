//! The real binary without a server: exit codes, errors and their shape, and what survives.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod support;

use openchat_client::outside::{now, os_random};
use openchat_crypto::IdentityKey;
use openchat_pki::CertificateAuthority;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Child, Command},
    sync::Arc,
    thread,
    time::Duration,
};
use support::{Ended, Home, ca, invitation, nowhere};

#[test]
fn help_and_version_are_data() {
    let home = Home::new();
    for args in [&["--help"][..], &["-h"], &["join", "--help"], &["--version"]] {
        let ended = home.run(args);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        assert!(ended.stdout.contains("openchat"), "{}", ended.stdout);
    }
    assert!(!home.directory().exists(), "asking for help makes nothing");
}

#[test]
fn usage_errors_are_2() {
    let home = Home::new();
    for args in [
        &["nonsense"][..],
        &["join", "--nonsense"],
        &["-P", "../evil", "whoami"],
        &["enroll"],
        &["enroll", "--name", "Bob"],
        &["enroll", "--name", "bob", "--invite", "openchat://x"],
        &["join", "bob"],
        &["join", "#Ops"],
        &["send", "@bob", " \n"],
        &["group", "invite", "#ops"],
        &["group", "role", "#ops", "bob", "king"],
        &["group", "kick", "#ops", "Bob"],
        &["--config", "/nowhere.toml", "whoami"],
    ] {
        let ended = home.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ended.stderr.starts_with("error: "), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn with_json_an_error_is_the_last_line_of_stdout_and_stderr_is_empty() {
    let home = Home::new();
    for (args, code, exit) in [
        (&["--json", "nonsense"][..], "usage", 2),
        (&["join", "bob", "--json"], "usage", 2),
        (&["group", "show", "ops", "--json"], "usage", 2),
        (&["enroll", "--json"], "usage", 2),
        (&["--json", "whoami"], "not-enrolled", 3),
        (&["whoami", "--json"], "not-enrolled", 3),
        (&["enroll", "--name", "bob", "--json"], "no-server", 4),
    ] {
        let ended = home.run(args);
        assert_eq!((ended.code, ended.stderr.as_str()), (exit, ""), "{args:?}");
        let (found, message, hint) = ended.json_error();
        assert_eq!(found, code, "{args:?}");
        assert!(!message.is_empty() && hint.contains("openchat"), "{args:?}: {hint}");
    }
}

#[test]
fn who_is_not_enrolled_is_told_how_and_nothing_is_made() {
    let home = Home::new();
    for command in [
        &["join"][..],
        &["status"],
        &["whoami"],
        &["send", "@bob", "x"],
        &["group", "list"],
        &["group", "new", "ops"],
        &["renew"],
    ] {
        let ended = home.run(command);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{command:?}");
        assert!(ended.stderr.contains("next: openchat enroll --name"), "{}", ended.stderr);
    }
    let named = home.run(&["whoami", "-P", "bob"]);
    assert!(named.stderr.contains("next: openchat -P bob enroll --name"), "{}", named.stderr);
    assert!(!home.directory().exists());
}

#[test]
fn without_a_server_enrolling_is_4_and_the_key_is_kept() {
    let home = Home::new();
    let invitation = invitation(&ca());
    let absent = home.run(&["enroll", "--name", "bob"]);
    assert_eq!(absent.code, 4);
    assert!(absent.stderr.contains("admin.sock"), "{}", absent.stderr);

    let args = ["enroll", "--name", "bob", "--invite"];
    let ended = home.run(&[&args[..], &[&invitation]].concat());
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    let profile = home.directory().join("profiles/default");
    let key = stored_key(&profile);
    assert_eq!(home.run_with(&[&args[..], &["-"]].concat(), invitation.as_bytes()).code, 4);
    assert_eq!(stored_key(&profile), key, "the same key is tried again");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(profile.clone()), mode(profile.join("vault.db"))), (0o700, 0o600));
}

/// The public half of the key that is kept for bob.
fn stored_key(profile: &std::path::Path) -> Vec<u8> {
    let mut vault = openchat_client::Vault::open(profile).unwrap();
    let kept = vault.key_for(&"bob".parse().unwrap(), || unreachable!("it is there"));
    kept.unwrap().key.public().as_ref().to_vec()
}

#[test]
fn an_enrolled_person_is_known_without_a_server() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let ended = home.run(&["whoami"]);
    assert_eq!((ended.code, ended.stdout.lines().next()), (0, Some("bob")));
    let object: serde_json::Value =
        serde_json::from_str(&home.run(&["whoami", "--json"]).stdout).unwrap();
    assert_eq!((object["type"].as_str(), object["name"].as_str()), (Some("whoami"), Some("bob")));

    let other = home.run(&["enroll", "--name", "carol"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("next: openchat -P carol enroll --name carol"));
    let elsewhere = home.run(&["enroll", "--name", "bob", "--invite", &invitation(&ca())]);
    assert_eq!(elsewhere.code, 5, "another CA than this profile's");
}

#[test]
fn status_of_a_server_that_is_down_is_4() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let ended = home.run(&["status"]);
    assert_eq!(ended.code, 4);
    assert!(ended.stdout.contains("certificate valid for 90 more days"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("0 queued\n"), "{}", ended.stdout);
    assert!(ended.stderr.contains("can't be reached"), "{}", ended.stderr);
    let as_json = home.run(&["--json", "status"]);
    assert_eq!(as_json.json_error().0, "unreachable");
    let status: serde_json::Value =
        serde_json::from_str(as_json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((status["reachable"].as_bool(), status["queued"].as_u64()), (Some(false), Some(0)));
}

#[test]
fn without_a_server_lines_are_queued_and_survive() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let long = "x".repeat(16_001);
    let lines = format!("one\n\n{long}\n{}\n/quit\n", "y".repeat(16_000));
    let ended = home.run_with(&["join"], lines.as_bytes());
    assert_eq!((ended.code, ended.stdout.as_str()), (8, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("a text of 16001 bytes is longer"), "{}", ended.stderr);
    assert!(ended.stderr.contains("3 messages are stored"), "{}", ended.stderr);
    assert!(home.run(&["status"]).stdout.contains("3 queued"));
}

#[test]
fn without_a_server_a_message_is_queued_and_its_id_told() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let ended = home.run_with(&["send", "@alice", "-"], b"two\nlines\n");
    assert_eq!(ended.code, 8, "{}", ended.stderr);
    let id = ended.stdout.trim_end();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(ended.stderr.contains("can't be reached") || ended.stderr.contains("not connected"));
    assert!(ended.stderr.contains("1 message is stored"), "{}", ended.stderr);
    assert!(home.run(&["status"]).stdout.contains("1 queued"));
    let as_json = home.run(&["send", "@alice", "three", "--json"]);
    assert_eq!((as_json.code, as_json.stderr.as_str()), (8, ""));
    let first: serde_json::Value =
        serde_json::from_str(as_json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first["type"].as_str(), as_json.json_error().0.as_str()),
        (Some("queued"), "queued")
    );
}

#[test]
fn what_only_the_server_knows_is_not_guessed() {
    // Each waits for the server as long as it may: side by side that takes no longer than one.
    let asking = [
        &["send", "#ops", "for a closed group, perhaps"][..],
        &["group", "join", "#ops"],
        &["group", "invite", "#ops", "carol"],
        &["group", "new", "ops"],
    ]
    .map(|args| {
        thread::spawn(move || {
            let home = Home::new();
            home.enroll_bob(&ca(), &nowhere());
            let ended = home.run(args);
            assert_eq!((ended.code, ended.stdout.as_str()), (4, ""), "{args:?}: {}", ended.stderr);
            assert!(home.run(&["status"]).stdout.ends_with("0 queued\n"));
        })
    });
    for thread in asking {
        thread.join().unwrap();
    }
}

#[test]
fn a_listener_without_its_program_ends_before_it_begins() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let here = home.directory();
    for (program, why) in [
        ("./nothere", "No such file"),
        ("no-such-program-anywhere", "nowhere in PATH"),
        (here.to_str().unwrap(), "is a directory"),
        ("/etc/passwd", "chmod +x"),
    ] {
        let ended = home.run(&["listen", "--exec", program, "--json"]);
        let (code, message, hint) = ended.json_error();
        assert_eq!((ended.code, code.as_str()), (1, "command"), "{message}");
        assert!(message.contains(why) && hint.contains("--exec"), "{message}; {hint}");
    }
}

#[test]
fn conversations_are_listed_without_a_server() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let none = home.run(&["group", "list"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    assert!(none.stderr.contains("Next: openchat join"), "{}", none.stderr);
    assert_eq!(home.run(&["send", "@alice", "hi"]).code, 8);
    let list = home.run(&["group", "list"]);
    assert_eq!((list.code, list.stdout.as_str()), (0, "@alice\tdirect\tentering\t0\t0\n"));
    let shown = home.run(&["group", "show", "@alice"]);
    assert!(shown.stdout.starts_with("@alice  direct  entering"), "{}", shown.stdout);
    let unknown = home.run(&["group", "show", "#ops", "--json"]);
    assert_eq!((unknown.code, unknown.json_error().0.as_str()), (7, "no-such-conversation"));
}

#[test]
fn a_text_that_does_not_fit_is_not_sent() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let long = "x".repeat(16_001);
    for ended in [
        home.run(&["send", "@alice", &long, "--json"]),
        home.run_with(&["send", "@alice", "--json"], format!("{long}\n").as_bytes()),
    ] {
        assert_eq!((ended.code, ended.json_error().0.as_str()), (1, "too-long"));
    }
    let binary = home.run_with(&["send", "@alice", "--json"], b"\xff");
    assert_eq!((binary.code, binary.json_error().0.as_str()), (1, "not-utf8"));
    assert!(home.run(&["status"]).stdout.ends_with("0 queued\n"));
}

#[test]
fn commands_are_obeyed_and_an_unknown_one_is_never_sent() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let lines = b"/help\n/qiut now\n/kick\n//etc\n/quit\nnever read\n";
    let ended = home.run_with(&["join", "--commands"], lines);
    assert_eq!(ended.code, 8, "{}", ended.stderr);
    assert!(ended.stderr.contains("/role WHO admin|member"), "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean /quit?"), "{}", ended.stderr);
    assert!(ended.stderr.contains("next: /kick WHO"), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 message is stored"), "{}", ended.stderr);
}

#[test]
fn with_nothing_to_send_an_absent_server_is_4() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let ended = home.run_with(&["join"], b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (4, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("can't be reached"), "{}", ended.stderr);
}

#[test]
fn bad_lines_of_json_are_answered_and_the_session_goes_on() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let ended = home.run_with(
        &["join", "--json"],
        b"hello\n{\"type\":\"send\",\"ref\":\"r\"}\n{\"type\":\"send\",\"text\":\"kept\"}\n",
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (8, ""));
    let objects: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors: Vec<_> = objects.iter().filter(|object| object["type"] == "error").collect();
    assert_eq!(errors.len(), 3, "{}", ended.stdout);
    assert_eq!((&errors[0]["code"], errors[0].get("ref")), (&"bad-input".into(), None));
    assert_eq!((&errors[1]["code"], &errors[1]["ref"]), (&"bad-input".into(), &"r".into()));
    assert_eq!(errors[2]["code"], "queued");
    assert!(objects.iter().any(|o| o["type"] == "connection" && o["state"] == "offline"));
    assert!(objects.iter().all(|object| object["v"] == 1));
}

#[test]
fn signals_end_it_after_saving_and_a_second_process_is_its_guest() {
    for signal in ["-INT", "-TERM"] {
        let home = Home::new();
        home.enroll_bob(&ca(), &nowhere());
        let mut child = home.start(&["join"]);
        wait_for(&mut child, "not connected");
        child.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();

        // It says what it would say alone.
        let second = home.run(&["join"]);
        assert_eq!(second.code, 4, "{}", second.stderr);
        assert!(second.stderr.contains("can't be reached"), "{}", second.stderr);
        while !home.run(&["status"]).stdout.contains("1 queued") {}

        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert!(home.run(&["status"]).stdout.contains("1 queued"));
    }
}

/// Reads its stderr until this is said.
fn wait_for(child: &mut Child, said: &str) {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(said)));
}

#[test]
fn a_server_of_another_ca_at_the_same_address_is_5_and_says_what_changed() {
    let (ours, other) = (ca(), ca());
    let home = Home::new();
    home.enroll_bob(&ours, &serve(&other));
    let joined = home.run_with(&["join"], b"secret plan\n");
    assert_trust_failure(&joined, &ours, &other);
    assert_trust_failure(&home.run(&["status"]), &ours, &other);
    for args in [&["join", "--json"][..], &["send", "@alice", "secret plan", "--json"]] {
        let as_json = home.run_with(args, b"");
        assert_eq!((as_json.code, as_json.stderr.as_str()), (5, ""));
        assert_eq!(as_json.json_error().0, "another-ca");
    }
}

fn assert_trust_failure(ended: &Ended, ours: &CertificateAuthority, other: &CertificateAuthority) {
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    for pin in [ours.pin(), other.pin()] {
        assert!(ended.stderr.contains(&pin.to_string()), "{}", ended.stderr);
    }
}

/// A TLS server of this CA, for as long as the test runs.
fn serve(ca: &CertificateAuthority) -> String {
    let mut rng = os_random();
    let key = IdentityKey::generate(&mut rng);
    let hosts = ["127.0.0.1".parse().unwrap()];
    let leaf = ca.issue_server(key.public(), &hosts, now(), &mut rng).unwrap();
    let chain = [leaf, ca.certificate().to_vec()].map(CertificateDer::from).to_vec();
    let key = PrivateKeyDer::Pkcs8(key.to_pkcs8().to_vec().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![openchat_wire::relay::ALPN.to_vec()];
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, tcp.unwrap());
            // Who does not trust this server ends the handshake.
            assert!(stream.read(&mut [0]).is_err(), "nobody talks to this server");
        }
    });
    address
}

#[test]
fn a_closed_stdout_is_no_catastrophe() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let mut child = home.start(&["join", "--json"]);
    drop(child.stdout.take());
    // Long enough for the first word about the connection, which meets the closed stdout.
    thread::sleep(Duration::from_millis(500));
    drop(child.stdin.take());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn the_configuration_file_is_read_and_flags_win() {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    fs::write(home.directory().join("config.toml"), "profile = \"carol\"\n").unwrap();
    assert_eq!(home.run(&["whoami"]).code, 3);
    assert_eq!(home.run(&["whoami", "-P", "default"]).code, 0);
    let variable = home.openchat(&["whoami"]).env("OPENCHAT_PROFILE", "default").output().unwrap();
    assert_eq!(Ended::from(variable).code, 0);
    fs::write(home.directory().join("config.toml"), "profiel = \"carol\"\n").unwrap();
    let wrong = home.run(&["whoami"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("config.toml") && wrong.stderr.contains("profiel"));
}
