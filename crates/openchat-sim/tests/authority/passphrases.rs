//! The CA's key under a passphrase.

use crate::support::{asked, refused, said, secret_file, talk};
use openchat_sim::{Server, run};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

const FIRST: &str = "correct horse battery";
const SECOND: &str = "staple staple staple";

#[test]
fn a_server_runs_on_a_sealed_key_and_nobody_reads_it() {
    let mut server = Server::bare(&[]);
    let first = secret_file(&server.place().join("first"), FIRST);
    let short = secret_file(&server.place().join("short"), "too short");
    let init = ["init-ca", "--org", "Test", "--passphrase-file"];
    let (code, error) = asked(&server, &[&init[..], &[short.as_str()]].concat());
    assert_eq!((code, &error["code"]), (Some(2), &"passphrase".into()), "{error}");
    said(&server, &[&init[..], &[first.as_str()]].concat());
    let key = fs::read_to_string(server.data().join("ca.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
    assert_eq!(said(&server, &["ca", "status"])["sealed"], true);
    // OpenSSL opens it, when all else fails.
    let opened = run(Command::new("openssl")
        .args(["pkey", "-noout", "-text", "-passin", &format!("file:{first}"), "-in"])
        .arg(server.data().join("ca.key")));
    assert!(String::from_utf8_lossy(&opened.stdout).contains("P-256"));

    assert!(server.try_run().is_err(), "without it");
    assert_eq!(refused(&server, &["run", "--no-input"], 78), "passphrase");
    let second = secret_file(&server.place().join("second"), SECOND);
    assert_eq!(refused(&server, &["run", "--passphrase-file", &second], 78), "passphrase");
    fs::set_permissions(&first, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = asked(&server, &["run", "--passphrase-file", &first]);
    assert_eq!((code, &error["code"]), (Some(78), &"permissions".into()));
    assert!(error["hint"].as_str().unwrap().contains("chmod 600"), "{error}");
    fs::set_permissions(&first, fs::Permissions::from_mode(0o400)).unwrap();

    server.set_environment([("OPENCHAT_SERVER_PASSPHRASE_FILE".to_owned(), first.clone().into())]);
    server.run();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "sealed");
    // What needs no key of the CA's asks for none.
    said(&server, &["log", "verify"]);
    let copy = server.place().join("copy");
    said(&server, &["backup", copy.to_str().unwrap()]);
    server.stop();
    for file in openchat_sim::files_below(server.place()) {
        let bytes = fs::read(&file).unwrap();
        let leaks = bytes.windows(FIRST.len()).any(|window| window == FIRST.as_bytes());
        assert!(!leaks || file.ends_with("first"), "{}", file.display());
    }

    // A change of the key leaves it sealed, and so does the unit's credential open it.
    said(&server, &["ca", "rotate", "--passphrase-file", &first]);
    assert_eq!(said(&server, &["ca", "status"])["sealed"], true);
    let credentials = server.place().join("credentials");
    fs::create_dir(&credentials).unwrap();
    secret_file(&credentials.join("ca-passphrase"), FIRST);
    server.set_environment([("CREDENTIALS_DIRECTORY".to_owned(), credentials.into())]);
    server.run();
    talk(&alice, &bob, "changed");
}

#[test]
fn a_passphrase_is_added_changed_and_removed() {
    let mut server = Server::prepare(&[]);
    let data = server.data();
    let first = secret_file(&server.place().join("first"), FIRST);
    let second = secret_file(&server.place().join("second"), SECOND);
    let change = |args: &[&str]| asked(&server, &[&["ca", "passphrase"], args].concat());
    let (_, done) = change(&["--new-passphrase-file", &first]);
    assert_eq!(done["done"], "set", "{done}");
    assert_eq!(said(&server, &["ca", "status"])["sealed"], true);
    let (code, error) = change(&["--new-passphrase-file", &second]);
    assert_eq!((code, &error["code"]), (Some(78), &"passphrase".into()), "the old one is needed");
    let before = fs::read(data.join("ca.key")).unwrap();
    let (code, _) = change(&["--passphrase-file", &second, "--new-passphrase-file", &first]);
    assert_eq!((code, fs::read(data.join("ca.key")).unwrap() == before), (Some(78), true));
    let (_, done) = change(&["--passphrase-file", &first, "--new-passphrase-file", &second]);
    assert_eq!(done["done"], "changed");
    let (code, _) = change(&["--passphrase-file", &first, "--remove"]);
    assert_eq!(code, Some(78));
    let (_, done) = change(&["--passphrase-file", &second, "--remove"]);
    assert_eq!(done["done"], "removed");
    let mode = fs::metadata(data.join("ca.key")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    server.run();
    let _ = server.enroll("alice");
}

#[test]
fn the_configuration_names_the_file() {
    let mut server = Server::bare(&[]);
    let first = secret_file(&server.place().join("first"), FIRST);
    said(&server, &["init-ca", "--passphrase-file", &first]);
    let config = format!("passphrase_file = {first:?}\n");
    fs::write(server.data().join("config.toml"), config).unwrap();
    let shown = said(&server, &["config", "show"]);
    assert_eq!(shown["settings"]["passphrase_file"]["value"], *first);
    server.run();
    let _ = server.enroll("alice");
}

/// What a command says to somebody who types these lines at a terminal.
fn typed(server: &Server, command: &str, lines: &str) -> (Option<i32>, String) {
    let program = openchat_sim::program("openchat-server");
    let line = format!("{} {command}", program.get_program().to_str().unwrap());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).env("OPENCHAT_SERVER_HOME", server.data());
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = terminal.spawn().unwrap();
    process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn somebody_at_a_terminal_is_asked_twice_for_a_new_one_and_once_for_it() {
    let server = Server::bare(&[]);
    let (code, said) = typed(&server, "init-ca --passphrase-file -", "one and only\nanother one\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the two are not the same"), "{said}");
    assert!(!server.data().join("ca.key").exists());
    let twice = format!("{FIRST}\n{FIRST}\n");
    let (code, said) = typed(&server, "init-ca --passphrase-file -", &twice);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("New passphrase of ") && said.contains("The same again: "), "{said}");
    let (code, said) = typed(&server, "ca rotate", &format!("{SECOND}\n"));
    assert_eq!(code, Some(78), "{said}");
    let (code, said) = typed(&server, "ca rotate --no-input", &format!("{FIRST}\n"));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("nobody is asked for it"), "{said}");
    let (code, said) = typed(&server, "ca rotate", &format!("{FIRST}\n"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(crate::support::said(&server, &["ca", "status"])["sealed"], true);
}
